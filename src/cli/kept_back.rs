//! Warnings that were kept back when the last of their kind had been told.

use std::time::Duration;

use crate::base::time::Instant;
use crate::link::pause::{LENGTH, Pause};
use crate::shard::state::common::Common;

/// Looks for them once a second.
#[derive(Debug, Default)]
pub struct KeptBack {
    next: Instant,
}

impl KeptBack {
    /// Tells of those that no further warning tells of.
    pub fn look(&mut self, common: &Common, now: Instant) {
        if now >= self.next {
            self.next = now + LENGTH;
            tell(common, now, LENGTH);
        }
    }
}

/// Tells how many warnings of each kind were kept back, where the pause behind the last one has
/// been over for as long as this.
pub fn tell(common: &Common, now: Instant, after: Duration) {
    let terms = &common.era.load().terms;
    for provider in &terms.plan.providers {
        let name = &*provider.name;
        for (kind, pause) in terms.gates.providers[provider.id.index()]
            .told()
            .pauses
            .all()
        {
            tell_of(Some(name), kind, pause.left(now, after));
        }
    }
    let others = common.process.pauses.all();
    let retries: (_, &Pause) = ("retry_budget", &common.retries.pause);
    for (kind, pause) in others.chain([retries]) {
        tell_of(None, kind, pause.left(now, after));
    }
}

fn tell_of(provider: Option<&str>, kind: &str, kept_back: Option<u64>) {
    if let Some(repeated) = kept_back {
        tracing::warn!(provider, kind, repeated, "there were more such warnings");
    }
}
