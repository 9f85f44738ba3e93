//! The last changes of circuits, for operators who look later.

use std::collections::{BTreeMap, VecDeque};

use crate::base::limits::CHANGES_KEPT_MAX;
use crate::coordinator::time::Time;
use crate::decide::circuit::Transition;
use crate::ledger::breakers::Change;
use crate::report::changes::ChangeReport;

/// How often circuits have changed, and the last changes. When there are too many, the oldest are
/// dropped.
#[derive(Debug, Default)]
pub struct Changes {
    /// The number of changes, by provider, new state and reason.
    counts: BTreeMap<(Box<str>, &'static str, &'static str), u64>,
    /// The last changes, the newest first.
    dated: VecDeque<ChangeReport>,
    /// The changes since the last call of [`Changes::date`], the newest first.
    undated: VecDeque<(Box<str>, Change)>,
}

impl Changes {
    /// The circuit of the provider called `provider` has changed.
    pub fn add(&mut self, provider: &str, change: Change) {
        let Transition { to, reason, .. } = change.transition;
        let key = (provider.into(), to.name(), reason.name());
        *self.counts.entry(key).or_default() += 1;
        self.undated.push_front((provider.into(), change));
        self.undated.truncate(CHANGES_KEPT_MAX);
    }

    /// Gives the changes since the last call their calendar time: once, so that it is the same in
    /// every report.
    pub fn date(&mut self, time: Time) {
        while let Some((provider, change)) = self.undated.pop_back() {
            let Transition { from, to, reason } = change.transition;
            self.dated.push_front(ChangeReport {
                time: time.wall.before(time.now.since(change.at)),
                provider,
                from: from.name(),
                to: to.name(),
                reason: reason.name(),
            });
        }
        self.dated.truncate(CHANGES_KEPT_MAX);
    }

    /// How often circuits have changed: provider, new state, reason, and number.
    #[must_use]
    pub fn counts(&self) -> Vec<(Box<str>, &'static str, &'static str, u64)> {
        let counts = self.counts.iter();
        counts
            .map(|((name, to, reason), count)| (name.clone(), *to, *reason, *count))
            .collect()
    }

    /// The last changes that have their calendar time, the newest first.
    #[must_use]
    pub fn report(&self) -> &VecDeque<ChangeReport> {
        &self.dated
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::base::ids::ProviderId;
    use crate::base::time::{Instant, WallTime};
    use crate::decide::circuit::{Reason, State};

    fn change(second: u64) -> Change {
        let at = Instant::from_millis(1_000 * second);
        let (since, until) = (at, at + Duration::from_secs(30));
        Change {
            at,
            provider: ProviderId(0),
            transition: Transition {
                from: State::Closed,
                to: State::Open { since, until },
                reason: Reason::Manual,
            },
        }
    }

    fn at(second: u64) -> Time {
        Time {
            now: Instant::from_millis(1_000 * second),
            wall: WallTime::from_unix_millis(1_000_000 + 1_000 * second),
        }
    }

    #[test]
    fn the_newest_come_first_and_keep_their_time() {
        let mut changes = Changes::default();
        changes.add("a", change(1));
        changes.add("b", change(2));
        assert!(changes.report().is_empty());
        changes.date(at(5));
        changes.add("c", change(6));
        changes.date(at(6));
        let told: Vec<(&str, u64)> = changes
            .report()
            .iter()
            .map(|one| (&*one.provider, one.time.unix_millis()))
            .collect();
        assert_eq!(told, [("c", 1_006_000), ("b", 1_002_000), ("a", 1_001_000)]);
        let one = serde_json::to_string(&changes.report()[0]).unwrap();
        let expected = "{\"time\":\"1970-01-01T00:16:46.000Z\",\"provider\":\"c\",\
            \"from\":\"closed\",\"to\":\"open\",\"reason\":\"manual\"}";
        assert_eq!(one, expected);
    }

    #[test]
    fn the_oldest_make_room() {
        let mut changes = Changes::default();
        for second in 0..200 {
            changes.add("a", change(second));
            if second % 90 == 0 {
                changes.date(at(second));
            }
        }
        changes.date(at(200));
        assert_eq!(changes.counts(), [("a".into(), "open", "manual", 200)]);
        let told = changes.report();
        assert_eq!(told.len(), CHANGES_KEPT_MAX);
        assert_eq!(told[0].time.unix_millis(), 1_199_000);
        assert_eq!(told[CHANGES_KEPT_MAX - 1].time.unix_millis(), 1_136_000);
    }
}
