//! What is remembered beside a plain queue, and between threads.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

fn thing(memory: &Memory<u32>, name: &str) -> Option<u32> {
    memory.find(name.as_bytes()).map(|found| found.thing)
}

#[test]
fn the_oldest_goes_when_there_are_too_many() {
    let memory = Memory::new(2, 10_000, Arc::default());
    for (name, value) in [("a", 1), ("b", 2), ("c", 3)] {
        memory.remember(name.as_bytes(), value, 10);
    }
    assert_eq!(thing(&memory, "a"), None);
    assert_eq!(thing(&memory, "b"), Some(2));
    assert_eq!(thing(&memory, "c"), Some(3));
    assert_eq!(memory.bytes(), 2 * (1 + 10 + OVERHEAD_BYTES));
}

#[test]
fn the_oldest_go_when_they_are_too_large() {
    let memory = Memory::new(100, 1_000, Arc::default());
    memory.remember(b"a", 1, 200);
    memory.remember(b"b", 2, 200);
    memory.remember(b"c", 3, 1_000 - 1 - OVERHEAD_BYTES);
    assert_eq!(thing(&memory, "b"), None);
    assert_eq!(thing(&memory, "c"), Some(3));
    assert_eq!(memory.bytes(), 1_000);
    // What is larger than all there is room for drives nothing out.
    memory.remember(b"d", 4, 1_000);
    assert_eq!((thing(&memory, "c"), thing(&memory, "d")), (Some(3), None));
}

#[test]
fn nothing_is_remembered_without_room_and_nothing_is_allocated() {
    let memory = Memory::new(100, 0, Arc::default());
    memory.remember(b"a", 1, 0);
    assert!(!memory.is_used() && memory.ring.get().is_none());
    assert_eq!((thing(&memory, "a"), memory.bytes()), (None, 0));
}

#[test]
fn a_thing_is_taken_once() {
    let memory = Memory::new(8, 1_000, Arc::default());
    memory.remember(b"a", 1, 10);
    let taken = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                if memory.take(b"a").is_some() {
                    taken.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(taken.load(Ordering::Relaxed), 1);
    assert_eq!((thing(&memory, "a"), memory.bytes()), (None, 0));
}

/// The bytes of a plain queue of values.
fn sum(plain: &VecDeque<(usize, usize)>) -> usize {
    plain.iter().map(|(_, bytes)| bytes).sum()
}

proptest! {
    #[test]
    fn it_remembers_the_latest_that_fit(
        sizes in prop::collection::vec(0..400_usize, 0..60),
        count_max in 1..20_usize,
    ) {
        let memory = Memory::new(count_max, 2_000, Arc::default());
        let mut plain: VecDeque<(usize, usize)> = VecDeque::new();
        for (value, size) in sizes.into_iter().enumerate() {
            let name = value.to_string();
            memory.remember(name.as_bytes(), value, size);
            plain.push_back((value, size + name.len() + OVERHEAD_BYTES));
            while plain.len() > count_max || sum(&plain) > 2_000 {
                plain.pop_front();
            }
            prop_assert_eq!(memory.bytes(), sum(&plain));
            for one in 0..=value {
                let found = memory.find(one.to_string().as_bytes()).map(|found| found.thing);
                let is_kept = plain.iter().any(|(kept, _)| *kept == one);
                prop_assert_eq!(found, is_kept.then_some(one));
            }
        }
    }
}

#[test]
fn threads_never_hold_more_than_the_bounds_and_never_find_anothers_thing() {
    let memory = Memory::new(16, 4_000, Arc::default());
    std::thread::scope(|scope| {
        for thread in 0..4_u32 {
            let memory = &memory;
            scope.spawn(move || {
                for round in 0..20_000_u32 {
                    let value = round * 4 + thread;
                    let name = value.to_be_bytes();
                    memory.remember(&name, value, (round % 300) as usize);
                    let found = memory.find(&name).map(|found| found.thing);
                    assert!(found.is_none() || found == Some(value));
                    if round % 5 == 0
                        && let Some(taken) = memory.take(&name)
                    {
                        assert_eq!(taken.thing, value);
                    }
                }
            });
        }
    });
    let ring = memory.ring.get().expect("it was used");
    let kept: Vec<_> = ring
        .places
        .iter()
        .filter_map(arc_swap::ArcSwapAny::load_full)
        .collect();
    let bytes: usize = kept.iter().map(|one| one.bytes).sum();
    assert_eq!(memory.bytes(), bytes);
    assert!(bytes <= 4_000, "{bytes}");
}
