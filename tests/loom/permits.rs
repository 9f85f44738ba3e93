//! A provider's words: the permit of a half-open circuit, places and headroom.

use infermux::testing::base::time::Instant;
use infermux::testing::link::orders::{Circuit, Health};
use infermux::testing::link::provider_gate::{Limits, ProviderGate};

use super::{end, every_order, with};

fn half_open(generation: u32) -> Circuit {
    Circuit::HalfOpen {
        generation,
        until: Instant::from_millis(9),
    }
}

/// Finds: the permit is taken by a store in place of a compare-and-swap; a circuit is published by
/// a load and a store.
#[test]
fn each_half_open_phase_has_one_probe_and_its_permit_comes_back() {
    every_order(|| {
        let gate = ProviderGate::new(Limits::default());
        gate.set_circuit(half_open(7));
        let shards = [(); 2].map(|()| with(&gate, |gate| gate.take(0).map(|taken| taken.probe)));
        let coordinator = with(&gate, |gate| {
            gate.set_health(Health::Healthy);
            gate.set_circuit(half_open(8))
        });
        let probes: Vec<u32> = shards.into_iter().filter_map(end).flatten().collect();
        let back = end(coordinator);
        let count = |wanted| probes.iter().filter(|probe| **probe == wanted).count();
        assert!(count(7) <= 1 && count(8) <= 1, "{probes:?}");
        assert_eq!(back, (count(7) == 1).then_some(7), "{probes:?}");
        assert_eq!(gate.is_taken(8), count(8) == 1, "{probes:?}");
    });
}

/// Finds: no request comes back where the tokens do not suffice; places or headroom are taken by a
/// load and a store.
#[test]
fn nothing_is_taken_twice_and_what_was_not_had_comes_back() {
    every_order(|| {
        let gate = ProviderGate::new(Limits {
            requests: Some(2),
            tokens: Some(10),
            in_flight: Some(2),
            ..Limits::default()
        });
        let shards = [6, 6].map(|tokens| {
            with(&gate, move |gate| {
                let taken = gate.take(tokens)?;
                // Beyond what was estimated.
                let excess = gate.take_excess(taken, 7);
                gate.release();
                Some(taken.tokens + excess)
            })
        });
        // A token of a former request leaves the window meanwhile: still too few for both.
        let coordinator = with(&gate, |gate| gate.give_back(0, 1));
        let used: Vec<u64> = shards.into_iter().filter_map(end).collect();
        end(coordinator);
        assert_eq!(used, [7]);
        assert_eq!(gate.in_flight(), 0);
        assert_eq!(gate.headroom(), (Some(1), Some(4)));
    });
}

/// Finds: a place is taken before it is known to be there.
#[test]
fn no_more_requests_are_in_flight_than_may_be() {
    every_order(|| {
        let gate = ProviderGate::new(Limits {
            in_flight: Some(1),
            ..Limits::default()
        });
        let shards = [(); 3].map(|()| {
            with(&gate, |gate| {
                let taken = gate.take(0).is_some();
                if taken {
                    assert_eq!(gate.in_flight(), 1);
                    gate.release();
                }
                taken
            })
        });
        let taken = shards.map(end);
        assert!(taken.contains(&true));
        assert_eq!(gate.in_flight(), 0);
    });
}
