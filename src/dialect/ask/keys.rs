//! The keys of a request that the router reads.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::base::endpoint::Dialect;
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
    System,
    Tools,
    Instructions,
    MaxOutputTokens,
    SafetyIdentifier,
    Other,
}

impl Key {
    pub(super) const ALL: [Self; Self::Other as usize] = [
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
        Self::System,
        Self::Tools,
        Self::Instructions,
        Self::MaxOutputTokens,
        Self::SafetyIdentifier,
    ];

    /// The keys of what a model is to read.
    pub(super) const PROMPT: [Self; 6] = [
        Self::Messages,
        Self::Prompt,
        Self::Input,
        Self::System,
        Self::Tools,
        Self::Instructions,
    ];

    /// The key of this name in this dialect.
    pub(super) fn of(dialect: Dialect, name: &str) -> Self {
        let key = match name {
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
            "system" => Self::System,
            "tools" => Self::Tools,
            "instructions" => Self::Instructions,
            "max_output_tokens" => Self::MaxOutputTokens,
            "safety_identifier" => Self::SafetyIdentifier,
            _ => Self::Other,
        };
        if key.is_read_in(dialect) {
            key
        } else {
            Self::Other
        }
    }

    /// Whether it means something to the router in this dialect.
    const fn is_read_in(self, dialect: Dialect) -> bool {
        match self {
            Self::Model | Self::Stream => true,
            Self::MaxTokens | Self::Messages => !matches!(dialect, Dialect::Responses),
            // The `stream_options` of a response say nothing about its usage, and its `prompt`
            // names a text that the provider keeps.
            Self::StreamOptions | Self::MaxCompletionTokens | Self::N | Self::Prompt => {
                matches!(dialect, Dialect::Chat)
            }
            Self::User | Self::Input => !matches!(dialect, Dialect::Messages),
            Self::System => matches!(dialect, Dialect::Messages),
            Self::Tools => !matches!(dialect, Dialect::Chat),
            Self::Instructions | Self::MaxOutputTokens | Self::SafetyIdentifier => {
                matches!(dialect, Dialect::Responses)
            }
            Self::Other => false,
        }
    }

    /// The key for which a reader might take this name, although the name is no key.
    fn mistaken_for(dialect: Dialect, name: &str) -> Option<Self> {
        // Nearly all names are in lower case, and end here.
        if is_in_lower_case(name) {
            return None;
        }
        let mut all = Self::ALL.into_iter();
        all.find(|key| key.is_read_in(dialect) && may_be_taken_for(name, key.name()))
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
            Self::System => "system",
            Self::Tools => "tools",
            Self::Instructions => "instructions",
            Self::MaxOutputTokens => "max_output_tokens",
            Self::SafetyIdentifier => "safety_identifier",
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
    !is_in_lower_case(name) && folded.eq(known.chars())
}

/// Whether a name has neither capital letters nor any beyond ASCII.
fn is_in_lower_case(name: &str) -> bool {
    let is_other = |byte: u8| byte.is_ascii_uppercase() || !byte.is_ascii();
    !name.bytes().any(is_other)
}

/// The values of the keys that are read, untouched: skipping a value does not recurse.
pub(super) struct Keys<'a> {
    /// The dialect that says which keys these are.
    pub(super) dialect: Dialect,
    values: [Option<&'a str>; Key::Other as usize],
    /// The first key that occurred twice.
    pub(super) twice: Option<Key>,
    /// The first key for which some readers would take another name.
    pub(super) mistaken: Option<Key>,
}

impl<'a> Keys<'a> {
    pub(super) const fn none(dialect: Dialect) -> Self {
        Self {
            dialect,
            values: [None; Key::Other as usize],
            twice: None,
            mistaken: None,
        }
    }

    /// Sets the value of a key.
    pub(super) fn set(&mut self, key: Key, value: Option<&'a str>) {
        if let Some(slot) = self.values.get_mut(key as usize) {
            *slot = value;
        }
    }

    pub(super) fn raw(&self, key: Key) -> Option<&'a str> {
        self.values.get(key as usize).copied().flatten()
    }

    pub(super) fn of(dialect: Dialect, text: &'a str) -> Result<Self, serde_json::Error> {
        match Self::read(dialect, text) {
            Some(keys) => Ok(keys),
            None => Self::judge(dialect, text),
        }
    }

    /// Reads an unusual or faulty body, and names its fault, with a reader that knows all of JSON.
    fn judge(dialect: Dialect, text: &'a str) -> Result<Self, serde_json::Error> {
        let mut reader = serde_json::Deserializer::from_str(text);
        let keys = KeysVisitor { dialect }.deserialize(&mut reader)?;
        reader.end()?;
        Ok(keys)
    }

    /// Reads an object as callers usually write it; `None`: it is something else, or has a name
    /// with escapes.
    fn read(dialect: Dialect, text: &'a str) -> Option<Self> {
        let bytes = text.as_bytes();
        let mut keys = Self::none(dialect);
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
        let key = Key::of(self.dialect, name);
        if key == Key::Other {
            self.mistaken = self
                .mistaken
                .or_else(|| Key::mistaken_for(self.dialect, name));
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

/// A name, decoded if it has escapes.
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

struct KeysVisitor {
    dialect: Dialect,
}

impl<'de> DeserializeSeed<'de> for KeysVisitor {
    type Value = Keys<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Keys<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for KeysVisitor {
    type Value = Keys<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut keys = Keys::none(self.dialect);
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
            if let Some(keys) = Keys::read(Dialect::Chat, &text) {
                let expected = Keys::judge(Dialect::Chat, &text).unwrap();
                prop_assert_eq!(keys.values, expected.values);
                prop_assert_eq!(keys.twice, expected.twice);
                prop_assert_eq!(keys.mistaken, expected.mistaken);
            }
        }
    }

    #[test]
    fn a_plain_request_is_read_quickly() {
        let text = r#"{"model": "m", "messages": [{"role":"user","content":"hi\n"}], "seed":1} "#;
        let keys = Keys::read(Dialect::Chat, text).unwrap();
        assert_eq!(keys.raw(Key::Model), Some("\"m\""));
        assert_eq!(keys.raw(Key::Prompt), None);
        for odd in [
            r#"{}"#,
            r#"{"n":01}"#,
            r#"{"\u006e":1}"#,
            r#"{"n":1}}"#,
            "[]",
        ] {
            assert!(Keys::read(Dialect::Chat, odd).is_none(), "{odd}");
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
            assert_eq!(Key::mistaken_for(Dialect::Chat, name), key, "{name}");
        }
    }
}
