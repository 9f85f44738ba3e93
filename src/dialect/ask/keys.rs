//! The keys of a request that the router reads.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::wire::json::{check, string};

/// The keys that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Model,
    Stream,
    StreamOptions,
    MaxTokens,
    MaxCompletionTokens,
    N,
    User,
    Messages,
    Prompt,
    Input,
    Other,
}

impl Key {
    const ALL: [Self; Self::Other as usize] = [
        Self::Model,
        Self::Stream,
        Self::StreamOptions,
        Self::MaxTokens,
        Self::MaxCompletionTokens,
        Self::N,
        Self::User,
        Self::Messages,
        Self::Prompt,
        Self::Input,
    ];

    /// The key of this name.
    pub(super) fn of(name: &str) -> Self {
        match name {
            "model" => Self::Model,
            "stream" => Self::Stream,
            "stream_options" => Self::StreamOptions,
            "max_tokens" => Self::MaxTokens,
            "max_completion_tokens" => Self::MaxCompletionTokens,
            "n" => Self::N,
            "user" => Self::User,
            "messages" => Self::Messages,
            "prompt" => Self::Prompt,
            "input" => Self::Input,
            _ => Self::Other,
        }
    }

    /// The key for which a reader might take this name, although the name is no key.
    fn mistaken_for(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|key| may_be_taken_for(name, key.name()))
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Stream => "stream",
            Self::StreamOptions => "stream_options",
            Self::MaxTokens => "max_tokens",
            Self::MaxCompletionTokens => "max_completion_tokens",
            Self::N => "n",
            Self::User => "user",
            Self::Messages => "messages",
            Self::Prompt => "prompt",
            Self::Input => "input",
            Self::Other => "",
        }
    }
}

/// Whether a reader that ignores case takes `name` for the different name `known`: Go's reader of
/// JSON does, and to it two letters beyond ASCII equal ASCII ones.
pub(super) fn may_be_taken_for(name: &str, known: &str) -> bool {
    let folded = name.chars().map(|letter| match letter {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        _ => letter.to_ascii_lowercase(),
    });
    // Nearly all names are in lower case, and end here.
    name.bytes()
        .any(|byte| byte.is_ascii_uppercase() || !byte.is_ascii())
        && folded.eq(known.chars())
}

/// The values of the keys that are read, untouched: skipping a value does not recurse.
pub(super) struct Keys<'a> {
    values: [Option<&'a str>; Key::Other as usize],
    /// The first key that occurred twice.
    pub(super) twice: Option<Key>,
    /// The first key for which some readers would take another name.
    pub(super) mistaken: Option<Key>,
}

impl<'a> Keys<'a> {
    pub(super) const NONE: Self = Self {
        values: [None; Key::Other as usize],
        twice: None,
        mistaken: None,
    };

    pub(super) fn raw(&self, key: Key) -> Option<&'a str> {
        self.values.get(key as usize).copied().flatten()
    }

    pub(super) fn of(text: &'a str) -> Result<Self, serde_json::Error> {
        match Self::read(text) {
            Some(keys) => Ok(keys),
            // An unusual or faulty body is judged, and its fault named, by a reader that knows all
            // of JSON.
            None => serde_json::from_str(text),
        }
    }

    /// Reads an object as callers usually write it; `None`: it is something else, or has a name
    /// with escapes.
    fn read(text: &'a str) -> Option<Self> {
        let bytes = text.as_bytes();
        let mut keys = Self::NONE;
        let mut at = behind(bytes, 0, b'{')?;
        loop {
            let name = behind(bytes, at, b'"')?;
            let quote = string::mark(bytes, name)?;
            if bytes.get(quote) != Some(&b'"') {
                return None;
            }
            let name = text.get(name..quote)?;
            let value = check::space_end(bytes, behind(bytes, quote + 1, b':')?);
            let end = check::value_end(bytes, value)?;
            keys.put(name, text.get(value..end)?);
            at = check::space_end(bytes, end);
            match bytes.get(at)? {
                b',' => at += 1,
                b'}' => break,
                _ => return None,
            }
        }
        (check::space_end(bytes, at + 1) == bytes.len()).then_some(keys)
    }

    pub(super) fn put(&mut self, name: &str, value: &'a str) {
        let key = Key::of(name);
        if key == Key::Other {
            self.mistaken = self.mistaken.or_else(|| Key::mistaken_for(name));
        } else if let Some(slot) = self.values.get_mut(key as usize)
            && slot.replace(value).is_some()
        {
            self.twice = self.twice.or(Some(key));
        }
    }
}

/// The place behind `byte`, if that is the next byte, white space aside.
fn behind(bytes: &[u8], at: usize, byte: u8) -> Option<usize> {
    let at = check::space_end(bytes, at);
    (bytes.get(at) == Some(&byte)).then_some(at + 1)
}

impl<'de> Deserialize<'de> for Keys<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(KeysVisitor)
    }
}

/// A name, decoded if it has escapes.
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

struct KeysVisitor;

impl<'de> Visitor<'de> for KeysVisitor {
    type Value = Keys<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut keys = Keys::NONE;
        while let Some(Name(name)) = map.next_key::<Name<'_>>()? {
            keys.put(&name, map.next_value::<&RawValue>()?.get());
        }
        Ok(keys)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_read_quickly_is_what_serde_reads(
            text in concat!(
                r#"\{( ?"(user|n|x|Us(e|\\u0065)r|\\u006e)": ?"#,
                r#"("a"|\{\}|01|\[1, 2\]|"\\""),?){0,5}[\} ]{1,2}"#,
            )
        ) {
            if let Some(keys) = Keys::read(&text) {
                let expected: Keys<'_> = serde_json::from_str(&text).unwrap();
                prop_assert_eq!(keys.values, expected.values);
                prop_assert_eq!(keys.twice, expected.twice);
                prop_assert_eq!(keys.mistaken, expected.mistaken);
            }
        }
    }

    #[test]
    fn a_plain_request_is_read_quickly() {
        let text = r#"{"model": "m", "messages": [{"role":"user","content":"hi\n"}], "seed":1} "#;
        let keys = Keys::read(text).unwrap();
        assert_eq!(keys.raw(Key::Model), Some("\"m\""));
        assert_eq!(keys.raw(Key::Prompt), None);
        for odd in [
            r#"{}"#,
            r#"{"n":01}"#,
            r#"{"\u006e":1}"#,
            r#"{"n":1}}"#,
            "[]",
        ] {
            assert!(Keys::read(odd).is_none(), "{odd}");
        }
    }

    #[test]
    fn names_in_another_case_are_told_from_others() {
        for (name, key) in [
            ("Model", Some(Key::Model)),
            ("STREAM_options", Some(Key::StreamOptions)),
            ("\u{17f}tream", Some(Key::Stream)),
            ("max_to\u{212a}ens", Some(Key::MaxTokens)),
            ("N", Some(Key::N)),
            ("modell", None),
            ("Modell", None),
            ("seed", None),
            ("topK", None),
            ("\u{e9}", None),
            ("", None),
        ] {
            assert_eq!(Key::mistaken_for(name), key, "{name}");
        }
    }
}
