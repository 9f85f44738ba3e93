//! A sliding window as a ring of slices: bounded memory whatever the rate.

use std::time::Duration;

use crate::base::time::Instant;

/// The last `N` slices of time, the running one included.
///
/// Resolution: the window holds nothing older than its length, and everything younger than its
/// length less one slice.
#[derive(Clone, Debug)]
pub struct Slices<T, const N: usize> {
    slices: [T; N],
    /// Length of one slice, in nanoseconds.
    span: u64,
    /// The running slice, counted from the clock's start; its place in the ring is this number
    /// modulo `N`.
    running: u64,
}

impl<T: Default, const N: usize> Slices<T, N> {
    /// An empty window of this length.
    #[must_use]
    pub fn new(length: Duration) -> Self {
        const { assert!(N > 0) };
        let nanos = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
        Self {
            slices: std::array::from_fn(|_| T::default()),
            span: (nanos / N as u64).max(1),
            running: 0,
        }
    }

    /// Goes on to `now`; slices that leave the window are handed to `left`. A moment before the
    /// last one changes nothing.
    pub fn go_on(&mut self, now: Instant, left: impl FnMut(T)) {
        self.go_on_to(now.as_nanos() / self.span, left);
    }

    /// [Goes on](Self::go_on) to `at`, and returns the slice of that moment, which may be before
    /// the running one; `None` where the moment has left the window.
    pub fn at(&mut self, at: Instant, left: impl FnMut(T)) -> Option<&mut T> {
        let number = at.as_nanos() / self.span;
        self.go_on_to(number, left);
        let is_within = self.running - number < N as u64;
        is_within.then(|| self.place(number))
    }

    #[inline]
    fn go_on_to(&mut self, number: u64, mut left: impl FnMut(T)) {
        let passed = number.saturating_sub(self.running);
        for step in 1..=passed.min(N as u64) {
            left(std::mem::take(self.place(self.running + step)));
        }
        self.running += passed;
    }

    /// All slices, in no order.
    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.slices.iter()
    }

    /// Empties the window.
    pub fn clear(&mut self) {
        self.slices
            .iter_mut()
            .for_each(|slice| *slice = T::default());
    }

    fn place(&mut self, number: u64) -> &mut T {
        &mut self.slices[usize::try_from(number % N as u64).unwrap_or(0)]
    }
}
