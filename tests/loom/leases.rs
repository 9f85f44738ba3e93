//! The words of leased quotas: what requests lack reaches the coordinator, all of it, once.

use std::sync::Arc;

use infermux::testing::link::lease::Lease;

use super::{end, every_order, with};

/// Finds: what is lacked is read and then set to zero; what the least request lacks is forgotten by
/// a look that finds nothing.
#[test]
fn what_requests_lack_is_told_once_and_in_full() {
    every_order(|| {
        let lease = Arc::new(Lease::default());
        let shards = [7, 9].map(|amount| with(&lease, move |lease| lease.lack(amount)));
        let coordinator = with(&lease, |lease| [lease.take_lacked(), lease.take_lacked()]);
        let told: Vec<bool> = shards.into_iter().map(end).collect();
        let looks = end(coordinator);
        let last = lease.take_lacked();
        assert!(told.contains(&true), "the coordinator is told to look");
        let looks: Vec<_> = looks.into_iter().chain([last]).flatten().collect();
        let sum: u64 = looks.iter().map(|lacked| lacked.sum).sum();
        assert_eq!(sum, 16, "{looks:?}");
        for lacked in &looks {
            let least = if lacked.sum == 9 { 9 } else { 7 };
            assert!(lacked.unit <= least, "{looks:?}");
        }
    });
}
