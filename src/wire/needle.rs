//! Looks for a word that few texts hold.
//!
//! Most texts are short, and to prepare a search takes `memchr` longer than to look through one of
//! them.

use memchr::memmem;

use crate::wire::scan::{BLOCK, Block};

/// The first place of `word` in `text`.
#[must_use]
pub fn find(text: &[u8], word: &[u8]) -> Option<usize> {
    if text.len() > SHORT {
        return memmem::find(text, word);
    }
    find_near(text, word)
}

/// Whether `word` stands in `text`.
#[must_use]
pub fn is_in(text: &[u8], word: &[u8]) -> bool {
    find(text, word).is_some()
}

/// The places of `word` in `text`, which do not overlap.
pub fn places<'t>(text: &'t [u8], word: &'t [u8]) -> impl Iterator<Item = usize> + 't {
    let mut from = 0;
    std::iter::from_fn(move || {
        let rest = text.get(from..)?;
        let place = from + find(rest, word)?;
        from = place + word.len().max(1);
        Some(place)
    })
}

/// As [`find`]. A place that counts has both the first byte of the word and, as far behind it as in
/// the word, the last.
fn find_near(text: &[u8], word: &[u8]) -> Option<usize> {
    let [first, .., last] = word else {
        let place = |word: &u8| text.iter().position(|byte| byte == word);
        return word.first().map_or(Some(0), place);
    };
    let behind = word.len() - 1;
    // Where the last block begins, which shares bytes with the one before.
    let Some(last_at) = text.len().checked_sub(behind + BLOCK) else {
        return text.windows(word.len()).position(|window| window == word);
    };
    let mut at = 0;
    loop {
        let (firsts, lasts) = (Block::at(text, at)?, Block::at(text, at + behind)?);
        let mut places = firsts.equal(*first) & lasts.equal(*last);
        while places != 0 {
            let place = at + places.trailing_zeros() as usize;
            if text.get(place..).is_some_and(|rest| rest.starts_with(word)) {
                return Some(place);
            }
            places &= places - 1;
        }
        if at == last_at {
            return None;
        }
        at = last_at.min(at + BLOCK);
    }
}

/// Length in bytes up to which a text is short.
const SHORT: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn words_are_where_the_library_finds_them(
            text in "[ab]{0,120}", word in "[ab]{0,5}", fill in 0..2_usize,
        ) {
            let text = text.clone() + &"c".repeat(fill * SHORT) + &text;
            let (text, word) = (text.as_bytes(), word.as_bytes());
            prop_assert_eq!(find(text, word), memmem::find(text, word));
            prop_assert_eq!(is_in(text, word), memmem::find(text, word).is_some());
            if !word.is_empty() {
                let expected: Vec<usize> = memmem::find_iter(text, word).collect();
                prop_assert_eq!(places(text, word).collect::<Vec<_>>(), expected);
            }
        }
    }

    #[test]
    fn an_empty_word_is_everywhere() {
        assert_eq!(find(b"abc", b""), Some(0));
        assert_eq!(find(b"", b"a"), None);
    }
}
