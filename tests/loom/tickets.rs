//! What is given out once: tickets of a rotation, places of connections, and the right to warn.

use std::sync::Arc;
use std::time::Duration;

use infermux::testing::base::ids::RouteId;
use infermux::testing::base::time::Instant;
use infermux::testing::link::gate::{Audience, ConnectionsMax, Gates};
use infermux::testing::link::pause::Pause;

use super::{end, every_order, with};

/// Finds: a ticket is read and then counted.
#[test]
fn each_ticket_is_given_out_once() {
    every_order(|| {
        let gates = Arc::new(Gates::new(1, ConnectionsMax::default()));
        let shards =
            [(); 2].map(|()| with(&gates, |gates| [(); 2].map(|()| gates.ticket(RouteId(0)))));
        let mut tickets = shards.map(end).concat();
        tickets.sort_unstable();
        assert_eq!(tickets, [0, 1, 2, 3]);
    });
}

/// Finds: a connection is counted after it was compared with the maximum.
#[test]
fn no_more_connections_are_open_than_may_be() {
    every_order(|| {
        let most = ConnectionsMax {
            callers: 1,
            operators: 1,
        };
        let gates = Arc::new(Gates::new(0, most));
        let shards = [(); 2].map(|()| with(&gates, |gates| gates.acquire(Audience::Callers)));
        let open = shards
            .into_iter()
            .map(end)
            .filter(|is_open| *is_open)
            .count();
        assert_eq!((open, gates.connections(Audience::Callers)), (1, 1));
    });
}

/// Finds: the end of the pause is stored without a look at what is there.
#[test]
fn one_thread_warns_and_every_other_warning_is_counted() {
    every_order(|| {
        let pause = Arc::new(Pause::default());
        let every = Duration::from_secs(1);
        let threads = [(); 2].map(|()| {
            with(&pause, move |pause| {
                pause.end_after(Instant::from_millis(5_000), every)
            })
        });
        let told: Vec<u64> = threads.into_iter().filter_map(end).collect();
        assert_eq!(told.len(), 1);
        let later = pause.end_after(Instant::from_millis(7_000), every);
        assert_eq!(told[0] + later.expect("the pause is over"), 1);
    });
}
