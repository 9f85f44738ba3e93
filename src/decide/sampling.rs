//! Which requests have their traces told.

use crate::base::trace::TraceId;

/// How it is decided whether a trace is told.
///
/// The share is taken by the trace's id, as OpenTelemetry's samplers take it: every part of a
/// system that goes by the same share decides alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampler {
    /// Ids whose lower 63 bits are below this are told.
    bound: u64,
    /// Whether a caller that has decided decides.
    by_parent: bool,
}

impl Sampler {
    /// Tells this many billionths of all traces, whatever the caller has decided.
    #[must_use]
    pub fn ratio(billionths: u32) -> Self {
        let share = u128::from(billionths.min(WHOLE));
        let bound = (share << 63) / u128::from(WHOLE);
        Self {
            bound: u64::try_from(bound).unwrap_or(1 << 63),
            by_parent: false,
        }
    }

    /// The same for traces that begin here; where the caller has decided, that counts.
    #[must_use]
    pub const fn by_parent(self) -> Self {
        Self {
            by_parent: true,
            ..self
        }
    }

    /// Whether `trace` is told; `parent` is what the caller has decided.
    #[must_use]
    pub fn tells(self, trace: TraceId, parent: Option<bool>) -> bool {
        match parent {
            Some(decided) if self.by_parent => decided,
            Some(_) | None => trace.low() >> 1 < self.bound,
        }
    }
}

/// All traces, in billionths.
pub const WHOLE: u32 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::random::Random;

    fn id(low: u64) -> TraceId {
        TraceId::fresh([1, low])
    }

    #[test]
    fn all_none_and_the_bounds_between() {
        for low in [0, 1, u64::MAX / 2, u64::MAX] {
            assert!(Sampler::ratio(WHOLE).tells(id(low), None), "{low}");
            assert!(Sampler::ratio(u32::MAX).tells(id(low), None), "{low}");
            assert!(!Sampler::ratio(0).tells(id(low), None), "{low}");
        }
        let half = Sampler::ratio(WHOLE / 2);
        assert!(half.tells(id(u64::MAX >> 1), None));
        assert!(!half.tells(id(1 << 63), None));
    }

    #[test]
    fn who_is_asked_to_go_by_the_caller_does() {
        for share in [0, WHOLE] {
            for decided in [false, true] {
                let sampler = Sampler::ratio(share);
                assert_eq!(sampler.tells(id(5), Some(decided)), share == WHOLE);
                assert_eq!(sampler.by_parent().tells(id(5), Some(decided)), decided);
                assert_eq!(sampler.by_parent().tells(id(5), None), share == WHOLE);
            }
        }
    }

    #[test]
    fn the_share_is_kept() {
        let mut random = Random::new(3);
        for permille in [1, 100, 500, 900] {
            let sampler = Sampler::ratio(permille * 1_000_000);
            let ids = (0..100_000).map(|_| id(random.next_u64()));
            let told = ids.filter(|id| sampler.tells(*id, None)).count();
            let wanted = permille as usize * 100;
            assert!(told.abs_diff(wanted) < 500, "{told} of {wanted}");
        }
    }

    proptest! {
        #[test]
        fn who_tells_less_tells_nothing_else(low: u64, one in 0..=WHOLE, other in 0..=WHOLE) {
            let (less, more) = (one.min(other), one.max(other));
            let tells = |share| Sampler::ratio(share).tells(id(low), None);
            prop_assert!(!tells(less) || tells(more));
        }
    }
}
