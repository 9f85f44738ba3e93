//! When the next request starts: as soon as it can, or at a fixed rate.

use std::time::Duration;

/// One thread's supply of requests.
#[derive(Debug)]
pub(crate) struct Pace {
    rhythm: Rhythm,
    /// The moment from which requests are measured.
    measured_from: Duration,
    end: End,
}

#[derive(Debug)]
enum Rhythm {
    Closed,
    Open { due: Duration, interval: Duration },
}

#[derive(Debug)]
enum End {
    At(Duration),
    After { left: u64 },
}

/// Permission to send one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    /// The moment its latency counts from.
    pub(crate) at: Duration,
    /// Whether it belongs to the measurement and not to the warm-up.
    pub(crate) is_measured: bool,
}

impl Pace {
    /// A closed loop that ends at the moment `end`.
    pub(crate) fn until(end: Duration, measured_from: Duration) -> Self {
        Self {
            rhythm: Rhythm::Closed,
            measured_from,
            end: End::At(end),
        }
    }

    /// A closed loop that ends after `count` measured requests.
    pub(crate) fn count(count: u64, measured_from: Duration) -> Self {
        Self {
            rhythm: Rhythm::Closed,
            measured_from,
            end: End::After { left: count },
        }
    }

    /// Makes it an open loop: one request each `interval`, the first at `first`.
    pub(crate) fn every(self, interval: Duration, first: Duration) -> Self {
        Self {
            rhythm: Rhythm::Open {
                due: first,
                interval,
            },
            ..self
        }
    }

    /// The next request, if one may be sent at `now`.
    ///
    /// In an open loop a request that is late starts at the moment it was due, however late: a
    /// server that stalls is charged with everything its stall held up.
    pub(crate) fn take(&mut self, now: Duration) -> Option<Start> {
        if self.has_ended(now) {
            return None;
        }
        let at = match &mut self.rhythm {
            Rhythm::Closed => now,
            Rhythm::Open { due, .. } if *due > now => return None,
            Rhythm::Open { due, interval } => {
                let at = *due;
                *due += *interval;
                at
            }
        };
        let is_measured = at >= self.measured_from;
        if let (End::After { left }, true) = (&mut self.end, is_measured) {
            *left -= 1;
        }
        Some(Start { at, is_measured })
    }

    /// The moment to ask again, when `take` gave nothing.
    pub(crate) fn next_due(&self, now: Duration) -> Option<Duration> {
        match self.rhythm {
            _ if self.has_ended(now) => None,
            Rhythm::Closed => None,
            Rhythm::Open { due, .. } => Some(due),
        }
    }

    /// Whether no request will start at `now` or later.
    pub(crate) fn has_ended(&self, now: Duration) -> bool {
        match self.end {
            End::At(end) => now >= end,
            End::After { left } => left == 0,
        }
    }

    /// Requests that were due before the end and never got a free connection.
    pub(crate) fn unsent(&self) -> u64 {
        match (&self.rhythm, &self.end) {
            (Rhythm::Open { due, interval }, End::At(end)) if due < end => {
                let late = (*end - *due)
                    .as_nanos()
                    .div_ceil(interval.as_nanos().max(1));
                u64::try_from(late).unwrap_or(u64::MAX)
            }
            (Rhythm::Closed | Rhythm::Open { .. }, End::At(_) | End::After { .. }) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_closed_loop_starts_at_once_until_its_end() {
        let mut pace = Pace::until(ms(10), ms(5));
        assert_eq!(
            pace.take(ms(1)),
            Some(Start {
                at: ms(1),
                is_measured: false
            })
        );
        assert_eq!(
            pace.take(ms(9)),
            Some(Start {
                at: ms(9),
                is_measured: true
            })
        );
        assert_eq!(pace.take(ms(10)), None);
        assert_eq!(pace.unsent(), 0);
    }

    #[test]
    fn the_warm_up_does_not_use_up_the_count() {
        let mut pace = Pace::count(1, ms(5));
        assert!(pace.take(ms(1)).is_some() && pace.take(ms(2)).is_some());
        assert!(pace.take(ms(6)).is_some_and(|start| start.is_measured));
        assert!(pace.has_ended(ms(6)) && pace.take(ms(7)).is_none());
    }

    #[test]
    fn an_open_loop_charges_a_stall_to_the_requests_it_held_up() {
        let mut pace = Pace::until(ms(100), ms(0)).every(ms(10), ms(0));
        assert_eq!(pace.take(ms(0)).map(|s| s.at), Some(ms(0)));
        assert_eq!(pace.take(ms(1)), None);
        assert_eq!(pace.next_due(ms(1)), Some(ms(10)));
        // Nothing could be sent for 35 ms: three requests are late, each by its own time.
        for due in [10, 20, 30] {
            assert_eq!(pace.take(ms(36)).map(|s| s.at), Some(ms(due)));
        }
        assert_eq!(pace.take(ms(36)), None);
    }

    #[test]
    fn what_was_never_sent_is_counted() {
        let mut pace = Pace::until(ms(100), ms(0)).every(ms(10), ms(0));
        pace.take(ms(0));
        assert_eq!(pace.take(ms(100)), None);
        assert_eq!(pace.unsent(), 9);
    }
}
