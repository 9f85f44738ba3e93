//! Closes connections that need not wait for a request any longer.

use std::rc::Rc;
use std::time::Duration;

use crate::shard::net::sleep::sleep;
use crate::shard::state::current::Current;
use crate::sys::clock;

/// Closes connections that have waited too long, that lead to a provider out of service, or whose
/// descriptors other shards need, as long as the shard runs.
pub async fn look_after(current: Rc<Current>) {
    let (pool, process) = (&current.pool, &current.process);
    loop {
        pool.filled().await;
        let mut lacks = process.descriptors_lacked();
        let mut looks = 0_u32;
        while !pool.is_empty() {
            sleep(LOOK_EVERY).await;
            pool.close_unusable(&current.shard().gates, clock::now());
            if std::mem::replace(&mut lacks, process.descriptors_lacked()) != lacks {
                pool.close_half();
            }
            looks += 1;
            if looks.is_multiple_of(LOOKS_PER_ROUND) {
                pool.close_old(clock::now());
                learn_addresses(&current);
            }
        }
    }
}

/// Takes over what was found since: a provider may have got an address that no connection leads to.
fn learn_addresses(current: &Current) {
    for provider in &current.shard().plan.providers {
        let found = current.addresses.of(provider.id);
        let known = &current.pool.addresses;
        known.learn(provider.id, found, || current.any_place());
    }
}

/// Pause between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Every so many looks, the age of connections is checked, too.
const LOOKS_PER_ROUND: u32 = 25;
