//! Taking from the words of limits, which threads share.

use crate::link::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};

use crate::base::period::PeriodTag;
use crate::decide::limiter::DayWord;
use crate::link::scope_limits::LimitMode;

/// Whether a request fits into a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fits {
    Yes,
    No,
}

impl Fits {
    pub(super) const fn of(is_there: bool) -> Self {
        if is_there { Self::Yes } else { Self::No }
    }
}

pub(super) fn take_place(in_flight: &AtomicU32, most: u64, mode: LimitMode) -> Fits {
    let fits = |now: u32| Fits::of(u64::from(now) < most);
    let more = |now| (fits(now) == Fits::Yes || mode == LimitMode::Count).then_some(now + 1);
    match in_flight.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) {
        Ok(before) | Err(before) => fits(before),
    }
}

pub(super) fn take_room(room: &AtomicI64, amount: u64, mode: LimitMode) -> Fits {
    let amount = signed(amount);
    let fits = |left: i64| Fits::of(left >= amount);
    let less = |left| {
        let may = fits(left) == Fits::Yes || mode == LimitMode::Count;
        may.then(|| left.saturating_sub(amount))
    };
    match room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less) {
        Ok(before) | Err(before) => fits(before),
    }
}

/// The day is that of the word from which it was taken, or that has too little.
pub(super) fn take_of_day(word: &AtomicU64, amount: u64, mode: LimitMode) -> (Fits, PeriodTag) {
    let fits = |word: DayWord| Fits::of(word.has(amount));
    let less = |bits| {
        let word = DayWord::from_bits(bits);
        let may = fits(word) == Fits::Yes || mode == LimitMode::Count;
        may.then(|| word.take(amount).to_bits())
    };
    let (Ok(before) | Err(before)) = word.fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
    let before = DayWord::from_bits(before);
    (fits(before), PeriodTag(before.day()))
}

/// A change for another day has no effect.
pub(super) fn change(word: &AtomicU64, change: impl Fn(DayWord) -> Option<DayWord>) {
    let changed = |bits| Some(change(DayWord::from_bits(bits))?.to_bits());
    let _ = word.fetch_update(Ordering::AcqRel, Ordering::Acquire, changed);
}

pub(super) fn signed(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}
