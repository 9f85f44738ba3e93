//! The queue of spans.

use proptest::prelude::*;

use super::*;

fn piece(spans: u32, bytes: usize) -> Piece {
    Piece {
        spans,
        text: vec![b'x'; bytes],
    }
}

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn counts(delivery: &mut Delivery) -> (u64, u64, u64) {
    let counts = delivery.take_counts();
    (counts.sent, counts.dropped, counts.failed)
}

const TAKEN: Answer = Answer::Taken { rejected: 0 };

#[test]
fn spans_are_gathered_for_a_second_or_until_a_batch_is_full() {
    let mut delivery = Delivery::default();
    assert_eq!(delivery.due(), None);
    delivery.push(at(5), piece(2, 10));
    delivery.push(at(900), piece(3, 10));
    assert_eq!(delivery.due(), Some(at(1_005)));
    assert_eq!(delivery.take(at(1_004)), None);
    let batch = delivery.take(at(1_005)).unwrap();
    assert_eq!(batch.spans(), 5);
    assert_eq!(delivery.due(), None);
    delivery.ended(at(1_010), batch, TAKEN, 0);
    assert_eq!(counts(&mut delivery), (5, 0, 0));
    delivery.push(at(2_000), piece(2_048, 10));
    assert_eq!(delivery.due(), Some(Instant::ZERO));
    // What does not fit into a batch is in the next one.
    delivery.push(at(2_000), piece(1, 10));
    assert_eq!(delivery.take(at(2_000)).unwrap().spans(), 2_048);
    assert_eq!(delivery.due(), Some(at(3_000)));
    delivery.push(at(2_001), piece(1, DELIVERY_BATCH_BYTES));
    assert_eq!(delivery.take(at(2_001)).unwrap().spans(), 1);
    assert_eq!(delivery.take(at(2_001)).unwrap().spans(), 1);
}

#[test]
fn what_is_refused_is_counted_and_not_sent_again() {
    let mut delivery = Delivery::default();
    for (result, expected) in [
        (Answer::Taken { rejected: 1 }, (3, 0, 1)),
        (Answer::Taken { rejected: 99 }, (0, 0, 4)),
        (Answer::Refused, (0, 0, 4)),
    ] {
        delivery.push(at(0), piece(4, 1));
        let batch = delivery.take(at(1_000)).unwrap();
        delivery.ended(at(1_001), batch, result, 0);
        assert_eq!((counts(&mut delivery), delivery.due()), (expected, None));
    }
}

#[test]
fn a_batch_is_sent_again_at_growing_intervals_and_then_given_up() {
    let mut delivery = Delivery::default();
    delivery.push(at(0), piece(4, 1));
    let (mut now, mut pauses) = (at(1_000), Vec::new());
    while let Some(due) = delivery.due() {
        now = due.max(now);
        let batch = delivery.take(now).unwrap();
        delivery.ended(now, batch, Answer::Later(None), 0);
        pauses.extend(delivery.due().map(|next| next.since(now).as_millis()));
    }
    assert_eq!(pauses, [750, 1_500, 3_000, 6_000, 12_000]);
    assert_eq!(counts(&mut delivery), (0, 0, 4));
}

#[test]
fn who_asks_for_a_pause_gets_it_within_bounds() {
    for (asked, pause) in [(0, 100), (7_000, 7_000), (9_999_000, 120_000)] {
        let mut delivery = Delivery::default();
        delivery.push(at(0), piece(4, 1));
        let batch = delivery.take(at(1_000)).unwrap();
        let asked = Duration::from_millis(asked);
        delivery.ended(at(2_000), batch, Answer::Later(Some(asked)), 5);
        assert_eq!(delivery.due(), Some(at(2_000 + pause)));
        // What comes meanwhile waits behind it.
        delivery.push(at(2_000), piece(1, 1));
        assert_eq!(delivery.take(at(2_099)), None);
        let batch = delivery.take(at(2_000 + pause)).unwrap();
        assert_eq!(batch.spans(), 4);
    }
}

#[test]
fn what_has_no_room_is_dropped_and_counted() {
    let mut delivery = Delivery::default();
    delivery.push(at(0), piece(2, DELIVERY_BYTES_MAX));
    delivery.push(at(0), piece(3, 1));
    assert_eq!(counts(&mut delivery), (0, 3, 0));
    delivery.take(at(0)).unwrap();
    delivery.push(at(0), piece(3, 1));
    assert_eq!(counts(&mut delivery), (0, 0, 0));
}

#[test]
fn at_the_end_nothing_waits() {
    let mut delivery = Delivery::default();
    delivery.push(at(0), piece(1, 1));
    delivery.close();
    let batch = delivery.take(at(1)).unwrap();
    delivery.ended(
        at(1),
        batch,
        Answer::Later(Some(Duration::from_secs(60))),
        0,
    );
    assert_eq!(delivery.due(), Some(at(101)));
    let batch = delivery.take(at(101)).unwrap();
    delivery.ended(at(101), batch, Answer::Later(None), 0);
    let batch = delivery.take(at(201)).unwrap();
    delivery.ended(at(201), batch, Answer::Later(None), 0);
    assert_eq!((counts(&mut delivery), delivery.due()), ((0, 0, 1), None));
    delivery.push(at(300), piece(2, 1));
    delivery.give_up();
    assert_eq!((counts(&mut delivery), delivery.due()), ((0, 0, 2), None));
}

proptest! {
    /// Whatever happens, each span is counted once, in its order, and no batch or queue is larger
    /// than it may be.
    #[test]
    fn every_span_is_accounted_for(
        steps in prop::collection::vec(
            (0_u8..8, 1_u32..1_600, 1_usize..4_000_000, any::<u64>()),
            1..60,
        ),
    ) {
        let (mut delivery, mut now) = (Delivery::default(), Instant::ZERO);
        let (mut pushed, mut counted) = (0_u64, 0_u64);
        let mut add = |delivery: &mut Delivery| {
            let counts = delivery.take_counts();
            counted += counts.sent + counts.dropped + counts.failed;
        };
        for (what, spans, bytes, random) in steps {
            now = now + Duration::from_millis(random % 2_000);
            if what < 4 {
                pushed += u64::from(spans);
                delivery.push(now, piece(spans, bytes));
            } else if let Some(batch) = delivery.take(now) {
                let bytes: usize = batch.pieces.iter().map(|one| one.text.len()).sum();
                let is_one = batch.pieces.len() == 1;
                prop_assert!(is_one || bytes <= DELIVERY_BATCH_BYTES);
                prop_assert!(is_one || batch.spans() <= DELIVERY_BATCH_SPANS);
                let result = match what {
                    4 => Answer::Taken { rejected: random % 500 },
                    5 => Answer::Refused,
                    6 => Answer::Later(Some(Duration::from_millis(random % 300_000))),
                    _ => Answer::Later(None),
                };
                delivery.ended(now, batch, result, random);
                prop_assert!(delivery.due().is_none_or(|due| due.since(now) <= PAUSE_ASKED_MAX));
            }
            add(&mut delivery);
        }
        delivery.close();
        delivery.give_up();
        add(&mut delivery);
        prop_assert_eq!(pushed, counted);
        prop_assert_eq!(delivery.due(), None);
    }
}
