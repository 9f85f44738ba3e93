//! The look-up of the providers' names, on a thread of its own because it blocks.
//!
//! One name is looked up at a time. The resolver decides how long it waits for an answer (with
//! glibc's defaults 10 s per name server). Other names wait no longer than that, since a name that
//! was just looked up goes to the end of the queue.

use std::sync::Arc;

use crate::coordinator::names::Names;
use crate::ledger::terms::Terms;
use crate::link::addresses::{Addresses, Wanted, Wish};
use crate::link::latest::Latest;
use crate::link::reports::Reply;
use crate::sys::{clock, names};

/// Keeps `addresses` up to date until no sender of wishes is left; reports to `after_first_round`
/// when every name has been looked up once. The names of a configuration that is about to take
/// effect are found in `terms`.
pub fn run(
    mut queue: Names,
    addresses: &Addresses,
    wanted: &Wanted,
    terms: &Latest<Terms>,
    after_first_round: impl FnOnce(),
) {
    publish_literals(&queue, addresses);
    let mut after_first_round = Some(after_first_round);
    let mut asked: Vec<Arc<Reply>> = Vec::new();
    loop {
        if queue.is_complete() {
            if let Some(tell) = after_first_round.take() {
                tell();
            }
            asked.drain(..).for_each(|reply| reply.give(Vec::new()));
        }
        match wanted.next(queue.deadline().since(clock::now())) {
            Wish::Refresh(provider) => queue.on_wish(provider),
            Wish::Adopt(reply) => {
                let terms = terms.load();
                for provider in &terms.fresh.providers {
                    addresses.publish(*provider, Vec::new());
                }
                let (next, known) = queue.next(&terms.plan);
                queue = next;
                publish_literals(&queue, addresses);
                for (provider, found) in known {
                    addresses.publish(provider, found);
                }
                asked.push(reply);
            }
            Wish::Due => look_up(&mut queue, addresses),
            Wish::Gone => return,
        }
    }
}

fn publish_literals(queue: &Names, addresses: &Addresses) {
    for (provider, address) in queue.literals() {
        addresses.publish(*provider, vec![*address]);
    }
}

fn look_up(queue: &mut Names, addresses: &Addresses) {
    let Some(host) = queue.due(clock::now()) else {
        return;
    };
    // Each provider has its own port: the same host may serve several providers.
    let answer = names::look_up(queue.name(host), 0);
    for (provider, found) in queue.on_answer(clock::now(), host, answer) {
        addresses.publish(provider, found);
    }
}

#[cfg(test)]
mod tests {
    use crate::base::ids::ProviderId;
    use crate::coordinator::names::tests::plan;
    use crate::link::addresses;

    use super::*;
    use crate::link::gate::ConnectionsMax;

    #[test]
    fn every_provider_has_its_addresses_after_the_first_round() {
        let plan = plan(&["http://127.0.0.1:11", "http://localhost:12", "http://[::1]"]);
        let (table, wanted) = addresses::channel(3);
        let (told, first_round) = std::sync::mpsc::channel();
        let (shared, queue) = (Arc::clone(&table), Names::of(&plan));
        let terms = Latest::new(Arc::new(Terms::first(
            Arc::new(plan),
            ConnectionsMax::default(),
        )));
        // The thread ends with the test's process: the table is also a sender of wishes, so that it
        // never runs out of senders.
        let chores = std::thread::Builder::new();
        let tell = move || told.send(()).unwrap();
        let started = chores.spawn(move || run(queue, &shared, &wanted, &terms, tell));
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
