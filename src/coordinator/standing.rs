//! What is published of a shared quota beside its word: what there is elsewhere, and whether it is
//! of use to wait for more.

use std::time::Duration;

use crate::base::ids::BudgetId;
use crate::base::money::NanoUsd;
use crate::base::time::Instant;
use crate::coordinator::quotas::{AnyLease, GateWords, Target};
use crate::ledger::shares::Shares;
use crate::ledger::shares::quota::ShareId;

/// Publishes what is known of the quota with this number; `sync` is how often the store is spoken
/// with. Returns, for a budget, what has been spent of it elsewhere.
pub(super) fn publish(
    shares: &Shares,
    words: &GateWords<'_>,
    (now, sync): (Instant, Duration),
    id: ShareId,
) -> Option<(BudgetId, NanoUsd)> {
    let target = words.quotas.target(id)?;
    let lease = words.lease(target)?;
    let vain_until = if shares.waits_in_vain(now, id) {
        now + sync
    } else {
        Instant::ZERO
    };
    lease.words().set_vain_until(vain_until);
    match (target, &lease) {
        (Target::Budget(budget), AnyLease::Budget(one)) => {
            let [others, lost] = shares.spent_by_others(id, words);
            let elsewhere = others.saturating_add(lost);
            one.lease.set_elsewhere(elsewhere);
            one.set_lost(lost);
            Some((budget, NanoUsd::new(elsewhere)))
        }
        (Target::Limit(..), _) | (Target::Budget(_), AnyLease::Limit(_)) => {
            lease.words().set_elsewhere(shares.free(id));
            None
        }
    }
}

/// Another quota is counted in these words from now on, such as that of the next period: nothing is
/// known of it yet.
pub(super) fn forget(lease: &AnyLease<'_>) {
    lease.words().set_elsewhere(0);
    if let AnyLease::Budget(one) = lease {
        one.set_lost(0);
    }
}
