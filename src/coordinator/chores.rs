//! The look-up of the providers' names, on a thread of its own because it blocks.
//!
//! One name is looked up at a time. The resolver decides how long a name that nobody answers for
//! takes (with glibc's defaults 10 s per name server); the others wait that long at most, since a
//! name that was just looked up is behind all others in the queue.

use crate::coordinator::names::Names;
use crate::link::addresses::{Addresses, Wanted, Wish};
use crate::sys::{clock, names};

/// Keeps `addresses` up to date until nobody can wish for more; tells `after_first_round` when
/// every name has been looked up once.
pub fn run(
    mut queue: Names,
    addresses: &Addresses,
    wanted: &Wanted,
    after_first_round: impl FnOnce(),
) {
    for (provider, address) in queue.literals() {
        addresses.publish(*provider, vec![*address]);
    }
    let mut after_first_round = Some(after_first_round);
    loop {
        if queue.is_complete()
            && let Some(tell) = after_first_round.take()
        {
            tell();
        }
        match wanted.next(queue.deadline().since(clock::now())) {
            Wish::Refresh(provider) => queue.on_wish(provider),
            Wish::Due => look_up(&mut queue, addresses),
            Wish::Gone => return,
        }
    }
}

fn look_up(queue: &mut Names, addresses: &Addresses) {
    let Some(host) = queue.due(clock::now()) else {
        return;
    };
    // The port is each provider's own: the same host may serve several.
    let answer = names::look_up(queue.name(host), 0);
    for (provider, found) in queue.on_answer(clock::now(), host, answer) {
        addresses.publish(provider, found);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::base::ids::ProviderId;
    use crate::coordinator::names::tests::plan;
    use crate::link::addresses;

    use super::*;

    #[test]
    fn every_provider_has_its_addresses_after_the_first_round() {
        let plan = plan(&["http://127.0.0.1:11", "http://localhost:12", "http://[::1]"]);
        let (table, wanted) = addresses::channel(3);
        let (told, first_round) = std::sync::mpsc::channel();
        let (shared, queue) = (Arc::clone(&table), Names::of(&plan));
        // The thread ends with the test's process: whoever publishes could also wish.
        let chores = std::thread::Builder::new();
        let tell = move || told.send(()).unwrap();
        let started = chores.spawn(move || run(queue, &shared, &wanted, tell));
        assert!(started.is_ok());
        first_round.recv().unwrap();
        assert_eq!(*table.of(ProviderId(0)), ["127.0.0.1:11".parse().unwrap()]);
        assert_eq!(*table.of(ProviderId(2)), ["[::1]:80".parse().unwrap()]);
        let local = table.of(ProviderId(1));
        assert!(!local.is_empty());
        assert!(
            local
                .iter()
                .all(|one| one.ip().is_loopback() && one.port() == 12)
        );
    }
}
