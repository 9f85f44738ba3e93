//! The table beside a plain one, and between threads.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::base::limits::OWNED_IDS_MAX;

/// One bucket as it should be: hash and number, the least recently used first.
#[derive(Default)]
struct Plain(Vec<(u64, u16)>);

impl Plain {
    fn set(&mut self, hash: u64, number: u16) {
        self.0.retain(|(own, _)| *own != hash);
        if self.0.len() == WAYS {
            self.0.remove(0);
        }
        self.0.push((hash, number));
    }

    fn find(&mut self, hash: u64) -> Option<u16> {
        let at = self.0.iter().position(|(own, _)| *own == hash)?;
        let found = self.0.remove(at);
        self.0.push(found);
        Some(found.1)
    }
}

/// The hash whose bucket and tag are these.
fn hash(bucket: u64, tag: u64) -> u64 {
    tag << 32 | bucket
}

#[derive(Clone, Debug)]
enum Step {
    Set(u64, u64, u16),
    Find(u64, u64),
    Forget(u16),
}

fn step() -> impl Strategy<Value = Step> {
    let (bucket, tag, number) = (0..2_u64, 0..12_u64, 0..4_u16);
    prop_oneof![
        4 => (bucket.clone(), tag.clone(), number.clone()).prop_map(|(b, t, n)| Step::Set(b, t, n)),
        4 => (bucket, tag).prop_map(|(b, t)| Step::Find(b, t)),
        1 => number.prop_map(Step::Forget),
    ]
}

proptest! {
    #[test]
    fn each_bucket_forgets_what_was_not_used_for_the_longest_time(
        steps in prop::collection::vec(step(), 0..200),
        age in prop_oneof![Just(0_u16), Just(u16::MAX - 20)],
    ) {
        let index = Index::of(2 * WAYS);
        let mut plain: HashMap<u64, Plain> = HashMap::new();
        if age > 0 {
            // The ages of the first bucket are about to run out.
            let old = Entry { tag: 99, number: 9, age };
            index.buckets[0].replace(0, old.word());
            plain.entry(0).or_default().set(hash(0, 99), 9);
        }
        for step in steps {
            match step {
                Step::Set(bucket, tag, number) => {
                    index.set(hash(bucket, tag), number);
                    plain.entry(bucket).or_default().set(hash(bucket, tag), number);
                }
                Step::Find(bucket, tag) => {
                    let found = index.find(hash(bucket, tag));
                    let known = plain.entry(bucket).or_default().find(hash(bucket, tag));
                    prop_assert_eq!(found, known);
                }
                Step::Forget(gone) => {
                    index.forget(|number| number == gone);
                    for bucket in plain.values_mut() {
                        bucket.0.retain(|(_, number)| *number != gone);
                    }
                }
            }
        }
    }
}

#[test]
fn every_order_of_uses_of_three_entries_keeps_the_last_ones() {
    // All sequences of six uses in a bucket that others have filled but for two words.
    for code in 0..3_u32.pow(6) {
        let index = Index::of(WAYS);
        let mut plain = Plain::default();
        for other in 10..16 {
            index.set(hash(0, other), 0);
            plain.set(hash(0, other), 0);
        }
        for at in 0..6 {
            let one = u64::from(code / 3_u32.pow(at) % 3);
            index.set(hash(0, one), 1);
            plain.set(hash(0, one), 1);
        }
        for tag in (0..3).chain(10..16) {
            let is_known = plain.0.iter().any(|(own, _)| *own == hash(0, tag));
            assert_eq!(index.find(hash(0, tag)).is_some(), is_known, "{code} {tag}");
        }
    }
}

#[test]
fn it_holds_as_many_as_it_may_and_no_more() {
    let index = Index::of(OWNED_IDS_MAX);
    let words = index.buckets.iter().flat_map(|bucket| &bucket.0);
    assert_eq!(words.count(), OWNED_IDS_MAX);
    assert_eq!(size_of::<Bucket>() * index.buckets.len(), 2 << 20);
    assert_eq!(index.find(0), None);
    index.set(0, 0);
    assert_eq!(index.find(0), Some(0));
}

#[test]
fn threads_find_only_what_one_of_them_has_set() {
    let index = Index::of(4 * WAYS);
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let index = &index;
            scope.spawn(move || {
                for round in 0..20_000_u64 {
                    let tag = (round * 7 + thread) % 40;
                    let hash = hash(round % 4, tag);
                    // All threads say the same of a hash.
                    let number = u16::try_from(tag * 3 + 1).unwrap_or_default();
                    index.set(hash, number);
                    let found = index.find(hash);
                    assert!(found.is_none() || found == Some(number), "{found:?}");
                }
            });
        }
    });
    for bucket in &index.buckets {
        for (_, entry) in bucket.entries() {
            assert_eq!(u32::from(entry.number), entry.tag * 3 + 1);
        }
    }
}
