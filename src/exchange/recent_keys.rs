//! Keys that callers presented lately: the digest of a key that comes again need not be computed.

use std::cell::RefCell;
use std::fmt;
use std::hint::black_box;

/// The keys that one shard found in a ring lately, with their places in it. It belongs to that ring
/// and ends with it.
#[derive(Default)]
pub struct RecentKeys(RefCell<Vec<Recent>>);

/// Where a key stands in a ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyPlace {
    /// The key's place.
    pub key: usize,
    /// Which of its secrets it is.
    pub secret: usize,
}

#[derive(Clone, Copy)]
struct Recent {
    /// The key, and zeros behind it.
    text: [u64; WORDS],
    length: usize,
    place: KeyPlace,
}

impl RecentKeys {
    /// The place of `key`, if it was found lately. The time does not tell how much of another key
    /// is the same.
    #[must_use]
    pub fn find(&self, key: &[u8]) -> Option<KeyPlace> {
        let recent = *self.0.borrow().get(entry(key)?)?;
        let text = words(key);
        let pairs = text.iter().zip(&recent.text);
        let difference = pairs.fold(0, |sum, (own, other)| black_box(sum | (own ^ other)));
        // No key has the length of an entry that is empty.
        let is_same = black_box(difference) == 0 && recent.length == key.len();
        is_same.then_some(recent.place)
    }

    /// Remembers that `key` was found there. A long key is not remembered.
    pub fn remember(&self, key: &[u8], place: KeyPlace) {
        let Some(entry) = entry(key) else { return };
        let empty = Recent {
            text: [0; WORDS],
            length: 0,
            place: KeyPlace::default(),
        };
        let mut all = self.0.borrow_mut();
        if all.is_empty() {
            all.resize(ENTRIES, empty);
        }
        all[entry] = Recent {
            text: words(key),
            length: key.len(),
            place,
        };
    }
}

/// The entry that a key has, which others share; `None`: it is too long, or none.
fn entry(key: &[u8]) -> Option<usize> {
    let is_short = key.len() <= WORDS * size_of::<u64>();
    // The last bytes of a key of infermux are its check sum.
    let sum = |last: &[u8; 3]| {
        last.iter()
            .fold(0, |sum, byte| 31 * sum + usize::from(*byte))
    };
    let last = key.last_chunk().filter(|_| is_short);
    last.map(|last| sum(last) % ENTRIES)
}

fn words(key: &[u8]) -> [u64; WORDS] {
    let mut text = [0; WORDS * size_of::<u64>()];
    text[..key.len()].copy_from_slice(key);
    let (chunks, _) = text.as_chunks();
    std::array::from_fn(|place| u64::from_le_bytes(chunks[place]))
}

/// Tells nothing of the keys.
impl fmt::Debug for RecentKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecentKeys")
    }
}

/// Keys of infermux have 53 bytes.
const WORDS: usize = 8;
/// A shard holds 6 KiB of them.
const ENTRIES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn place(key: usize) -> KeyPlace {
        KeyPlace { key, secret: 1 }
    }

    #[test]
    fn a_key_is_found_again_and_no_other_one_is() {
        let recent = RecentKeys::default();
        assert_eq!(recent.find(b"imx_one"), None);
        recent.remember(b"imx_one", place(1));
        assert_eq!(recent.find(b"imx_one"), Some(place(1)));
        // They share its entry.
        for other in [&b"imx_two_one"[..], b"one", b"Imx_one", b"xone", b"\0one"] {
            assert_eq!(recent.find(other), None, "{other:?}");
        }
        recent.remember(b"two_one", place(2));
        assert_eq!(recent.find(b"imx_one"), None);
        assert_eq!(recent.find(b"two_one"), Some(place(2)));
    }

    #[test]
    fn zeros_behind_a_key_make_another_key() {
        let recent = RecentKeys::default();
        recent.remember(b"\0\0\0", place(3));
        assert_eq!(recent.find(b"\0\0\0"), Some(place(3)));
        assert_eq!(recent.find(b"\0\0\0\0"), None);
    }

    #[test]
    fn long_and_very_short_keys_are_not_remembered() {
        let recent = RecentKeys::default();
        for key in [&[b'k'; 65][..], b"", b"ab"] {
            recent.remember(key, place(1));
            assert_eq!(recent.find(key), None);
        }
        recent.remember(&[b'k'; 64], place(4));
        assert_eq!(recent.find(&[b'k'; 64]), Some(place(4)));
        assert_eq!(format!("{recent:?}"), "RecentKeys");
    }
}
