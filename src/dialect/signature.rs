//! What travels through a caller to the same kind of provider in the next request: signatures of
//! thoughts, and Gemini's signatures of calls (rules MR5, MR8, MA2, MA4 of
//! reference/messages-inbound.md).
//!
//! infermux keeps nothing between requests, and every client returns ids and signatures as it got
//! them. So what has no place in the caller's dialect is put into these.

use std::borrow::Cow;

use crate::dialect::compose::between_quotes;

/// The member of a chat message that holds what the model has thought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThoughtField {
    /// `reasoning_content`
    ReasoningContent,
    /// `reasoning`
    Reasoning,
}

impl ThoughtField {
    /// Both.
    pub const ALL: [Self; 2] = [Self::ReasoningContent, Self::Reasoning];

    /// The member's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReasoningContent => "reasoning_content",
            Self::Reasoning => "reasoning",
        }
    }

    /// The signature of a thought that came in this member.
    #[must_use]
    pub const fn signature(self) -> &'static str {
        match self {
            Self::ReasoningContent => "infermux.reasoning_content",
            Self::Reasoning => "infermux.reasoning",
        }
    }

    /// The member that a thought with this `signature` came in; `None`: infermux has not signed it.
    #[must_use]
    pub fn of_signature(signature: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|field| field.signature() == signature)
    }
}

/// Whether infermux has signed a thought with `signature`.
#[must_use]
pub fn is_own(signature: &str) -> bool {
    signature.starts_with(OWN)
}

/// The id of a call for a caller: `id` with only the characters that Messages allow. With a
/// `thought_signature`, in base64, that is carried behind it.
#[must_use]
pub fn carrying(id: &str, thought_signature: Option<&str>) -> String {
    let allowed = |letter: char| match letter {
        'A'..='Z' | 'a'..='z' | '0'..='9' | '_' | '-' => letter,
        _ => '_',
    };
    let legal: String = id.chars().map(allowed).collect();
    carrying_any(&legal, thought_signature)
}

/// As [`carrying`], for a caller whose dialect allows all characters. What is no base64 is none of
/// Gemini's signatures: no reader would take it out of the id again.
#[must_use]
pub fn carrying_any(id: &str, thought_signature: Option<&str>) -> String {
    // The reader takes the first mark for the one of infermux.
    let mut own = id.replace(MARK, UNMARKED);
    if let Some(signature) = thought_signature.filter(|text| text.bytes().all(is_of_base64)) {
        // This end and the mark together would hold a mark that begins earlier.
        if own.ends_with("_ts") {
            own.push('-');
        }
        own.push_str(MARK);
        own.extend(signature.chars().filter_map(|letter| match letter {
            '+' => Some('-'),
            '/' => Some('_'),
            '=' => None,
            _ => Some(letter),
        }));
    }
    own
}

/// Whether a byte stands in base64, that of URLs included.
const fn is_of_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_')
}

/// The id of a call without what was carried in it.
#[must_use]
pub fn bare(id: &str) -> &str {
    split(id).0
}

/// The `thought_signature` that was carried in the id of a call, in base64.
#[must_use]
pub fn carried(id: &str) -> Option<String> {
    let text = split(id).1?;
    let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    // One digit alone is less than a byte.
    if text.is_empty() || text.len() % 4 == 1 || !text.bytes().all(is_base64url) {
        return None;
    }
    let letters = text.chars().map(|letter| match letter {
        '-' => '+',
        '_' => '/',
        letter => letter,
    });
    let padding = std::iter::repeat_n('=', text.len().wrapping_neg() % 4);
    Some(letters.chain(padding).collect())
}

/// What the signature of a thought, a string with its quotes, says to a reader that compares texts.
pub(super) fn text_of(signature: &[u8]) -> Cow<'_, str> {
    serde_json::from_slice(signature)
        .unwrap_or_else(|_| String::from_utf8_lossy(between_quotes(signature)))
}

fn split(id: &str) -> (&str, Option<&str>) {
    match id.split_once(MARK) {
        Some((id, signature)) => (id, Some(signature)),
        None => (id, None),
    }
}

/// How every signature of infermux begins.
pub(super) const OWN: &str = "infermux.";
/// Between the id of a call and what it carries.
const MARK: &str = "_ts_";
/// What stands for the mark in an id that has it of its own.
const UNMARKED: &str = "_ts-";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_id_carries_a_signature_there_and_back() {
        let id = carrying("call_9", Some("AQL+/w=="));
        assert_eq!(id, "call_9_ts_AQL-_w");
        assert_eq!(bare(&id), "call_9");
        assert_eq!(carried(&id).as_deref(), Some("AQL+/w=="));
    }

    #[test]
    fn what_is_no_base64_is_not_carried() {
        for signature in [r#"{"a":1}"#, "AQ==\n", "A B", "\u{e4}"] {
            assert_eq!(carrying("call_9", Some(signature)), "call_9");
            assert_eq!(carrying_any("call:9", Some(signature)), "call:9");
        }
    }

    #[test]
    fn an_id_of_its_own_has_no_mark() {
        let id = carrying("functions.get_ts_data:0", None);
        assert_eq!(id, "functions_get_ts-data_0");
        assert_eq!(bare(&id), id);
        assert_eq!(carried("call_9"), None);
        // What is no base64 was not put there by infermux.
        for id in ["get_ts_", "get_ts_a:b", "get_ts_abcde"] {
            assert_eq!((bare(id), carried(id)), ("get", None));
        }
    }

    #[test]
    fn a_thought_s_signature_names_its_field() {
        for field in ThoughtField::ALL {
            assert_eq!(ThoughtField::of_signature(field.signature()), Some(field));
            assert_eq!(field.signature(), format!("{OWN}{}", field.name()));
            assert!(is_own(field.signature()));
        }
        assert_eq!(ThoughtField::of_signature("infermux.role"), None);
        assert!(!is_own("EqQBCgIYAhIM"));
    }

    proptest! {
        #[test]
        fn no_signature_brings_a_character_that_messages_do_not_allow(
            id: String, signature: String,
        ) {
            let own = carrying(&id, Some(&signature));
            let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
            prop_assert!(own.bytes().all(is_legal), "{own}");
        }

        #[test]
        fn every_signature_survives_in_every_id(
            id in "[a-z_.:-]{0,12}(_ts_)?[a-z_]{0,8}", digits in "[A-Za-z0-9+/]{0,24}",
        ) {
            let text = match digits.len() % 4 {
                0 => digits,
                1 => format!("{digits}AAA"),
                2 => format!("{digits}=="),
                _ => format!("{digits}="),
            };
            let signature = Some(&*text).filter(|text| !text.is_empty());
            let own = carrying(&id, signature);
            let found = carried(&own);
            prop_assert_eq!(found.as_deref(), signature);
            prop_assert!(!bare(&own).contains(MARK));
        }
    }
}
