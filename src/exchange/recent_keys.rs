//! Keys that callers presented lately: the digest of a key that comes again need not be computed.

use std::cell::RefCell;
use std::fmt;
use std::hint::black_box;

use siphasher::sip128::SipHasher24;

/// The keys that one shard found in a ring lately, with their places in it. It belongs to that ring
/// and ends with it. No key is kept: each is known by its tag, 128 bits of SipHash-2-4 under a
/// random secret of this value. Tags are a pseudorandom function of keys, so that another key has
/// the same tag with a probability of 2^-128 for whoever does not know the secret.
#[derive(Default)]
pub struct RecentKeys {
    /// What tags are computed with; `None`: no key is remembered.
    tags: Option<SipHasher24>,
    entries: RefCell<Box<[Option<Recent>]>>,
}

/// Where a key stands in a ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyPlace {
    /// The key's place.
    pub key: usize,
    /// Which of its secrets it is.
    pub secret: usize,
}

/// What stands for a key.
#[derive(Clone, Copy)]
struct Tag {
    words: [u64; 2],
    /// Bytes of the key.
    length: usize,
}

#[derive(Clone, Copy)]
struct Recent {
    tag: Tag,
    place: KeyPlace,
}

impl RecentKeys {
    /// No keys yet; `secret` is random, and nobody else knows it.
    #[must_use]
    pub fn new(secret: &[u8; 16]) -> Self {
        Self {
            tags: Some(SipHasher24::new_with_key(secret)),
            entries: RefCell::default(),
        }
    }

    /// The place of `key`, if it was found lately. The time does not tell how much of a tag is the
    /// same.
    #[must_use]
    pub fn find(&self, key: &[u8]) -> Option<KeyPlace> {
        let tag = self.tag(key)?;
        let recent = (*self.entries.borrow().get(tag.entry())?)?;
        recent.tag.is(&tag).then_some(recent.place)
    }

    /// Remembers that `key` was found there.
    pub fn remember(&self, key: &[u8], place: KeyPlace) {
        let Some(tag) = self.tag(key) else { return };
        let mut entries = self.entries.borrow_mut();
        if entries.is_empty() {
            *entries = Box::new([None; ENTRIES]);
        }
        entries[tag.entry()] = Some(Recent { tag, place });
    }

    fn tag(&self, key: &[u8]) -> Option<Tag> {
        let hash = self.tags.as_ref()?.hash(key);
        Some(Tag {
            words: [hash.h1, hash.h2],
            length: key.len(),
        })
    }
}

impl Tag {
    /// The entry that it has, which others share.
    fn entry(&self) -> usize {
        usize::from(self.words[0].to_le_bytes()[0]) % ENTRIES
    }

    fn is(&self, other: &Self) -> bool {
        let [first, second] = [0, 1].map(|word| self.words[word] ^ other.words[word]);
        black_box(first | second) == 0 && self.length == other.length
    }
}

/// Tells nothing of the keys.
impl fmt::Debug for RecentKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecentKeys")
    }
}

/// A shard holds 3 KiB of them.
const ENTRIES: usize = 64;
const _: () = assert!(size_of::<Option<Recent>>() * ENTRIES <= 3_072);

#[cfg(test)]
mod tests {
    use super::*;

    fn place(key: usize) -> KeyPlace {
        KeyPlace { key, secret: 1 }
    }

    #[test]
    fn a_key_is_found_again_and_no_other_one_is() {
        let recent = RecentKeys::new(&[7; 16]);
        assert_eq!(recent.find(b"imx_one"), None);
        recent.remember(b"imx_one", place(1));
        assert_eq!(recent.find(b"imx_one"), Some(place(1)));
        for other in [&b"imx_two"[..], b"one", b"Imx_one", b"imx_one\0", b""] {
            assert_eq!(recent.find(other), None, "{other:?}");
        }
    }

    #[test]
    fn of_many_keys_those_are_found_that_came_last_in_their_entries() {
        let recent = RecentKeys::new(&[7; 16]);
        let keys: Vec<[u8; 60]> = (0..=u8::MAX).map(|byte| [byte; 60]).collect();
        for (number, key) in (0..).zip(&keys) {
            recent.remember(key, place(number));
            assert_eq!(recent.find(key), Some(place(number)));
        }
        let places = (0..).zip(&keys);
        let found = places.filter_map(|(number, key)| Some((number, recent.find(key)?)));
        let found: Vec<_> = found.collect();
        assert!(found.iter().all(|(number, found)| *found == place(*number)));
        // 256 keys leave few of 64 entries empty.
        assert!((48..=ENTRIES).contains(&found.len()), "{}", found.len());
    }

    #[test]
    fn tags_differ_with_the_secret_and_none_is_shown() {
        let key = b"imx_0123456789abcdef0123456789abcdef";
        let [one, other] = [[1; 16], [2; 16]].map(|secret| RecentKeys::new(&secret));
        let tags = [&one, &other].map(|recent| recent.tag(key).unwrap().words);
        assert_ne!(tags[0], tags[1]);
        one.remember(key, place(1));
        assert_eq!(format!("{one:?}"), "RecentKeys");
    }

    #[test]
    fn without_a_secret_no_key_is_remembered() {
        let recent = RecentKeys::default();
        recent.remember(b"imx_one", place(1));
        assert_eq!(recent.find(b"imx_one"), None);
    }
}
