//! Whom a request is counted for: the caller, project and environment that its headers name.

use crate::base::limits::LABEL_BYTES_MAX;
use crate::wire::head::Head;
use crate::wire::known::Known;
use crate::wire::plain::are_all;
use crate::wire::scan::text;

/// The values of a request's attribution headers. They never go to a provider.
#[derive(Clone, Debug, Default)]
pub struct Attribution {
    /// `X-Infermux-Caller`
    pub caller: Option<Label>,
    /// `X-Infermux-Project`
    pub project: Option<Label>,
    /// `X-Infermux-Env`
    pub env: Option<Label>,
}

/// A short text from a header, without control characters.
#[derive(Clone, PartialEq, Eq)]
pub struct Label(Text);

/// The text of a label. Nearly all of them are short, and need no memory of their own.
#[derive(Clone, PartialEq, Eq)]
enum Text {
    Short { bytes: [u8; SHORT], length: u8 },
    Long(Box<str>),
}

impl Attribution {
    /// What the head that was parsed from `bytes` says. Of several headers of one kind, the first
    /// with a text counts.
    #[must_use]
    pub fn read(head: &Head, bytes: &[u8]) -> Self {
        let label = |known| {
            let mut values = head.values_of(bytes, known);
            values.find_map(Label::of)
        };
        Self {
            caller: label(Known::InfermuxCaller),
            project: label(Known::InfermuxProject),
            env: label(Known::InfermuxEnv),
        }
    }

    /// Bytes of memory that its labels have besides it.
    #[must_use]
    pub fn own_bytes(&self) -> usize {
        let labels = [&self.caller, &self.project, &self.env];
        labels.into_iter().flatten().map(Label::own_bytes).sum()
    }
}

impl Label {
    /// The text of a header's value: trimmed, without control characters, cut at
    /// `LABEL_BYTES_MAX`, with bytes that are not UTF-8 replaced. `None` when nothing is left.
    #[must_use]
    pub fn of(value: &[u8]) -> Option<Self> {
        let value = value.trim_ascii();
        if !value.is_empty() && are_all(value, (b' ', b'~'), []) {
            let cut = value.get(..LABEL_BYTES_MAX).unwrap_or(value);
            return Self::short(cut).or_else(|| Self::cleaned(cut));
        }
        Self::cleaned(value)
    }

    /// A text that needs no memory of its own; `None` where it is too long for that.
    fn short(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; SHORT];
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        let length = u8::try_from(text.len()).ok()?;
        Some(Self(Text::Short { bytes, length }))
    }

    /// As [`Label::of`], for any value.
    fn cleaned(value: &[u8]) -> Option<Self> {
        let mut text = String::new();
        'all: for chunk in value.utf8_chunks() {
            let replaced = (!chunk.invalid().is_empty()).then_some(char::REPLACEMENT_CHARACTER);
            let chars = chunk.valid().chars().filter(|c| !c.is_control());
            for c in chars.chain(replaced) {
                if text.len() + c.len_utf8() > LABEL_BYTES_MAX {
                    break 'all;
                }
                text.push(c);
            }
        }
        if text.is_empty() {
            return None;
        }
        let short = Self::short(text.as_bytes());
        Some(short.unwrap_or_else(|| Self(Text::Long(text.into()))))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Text::Short { bytes, length } => {
                let bytes = bytes.get(..usize::from(*length)).unwrap_or_default();
                text::short(bytes).unwrap_or_default()
            }
            Text::Long(text) => text,
        }
    }

    /// Bytes of memory of its own.
    fn own_bytes(&self) -> usize {
        match &self.0 {
            Text::Short { .. } => 0,
            Text::Long(text) => text.len(),
        }
    }
}

impl std::fmt::Debug for Label {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_str().fmt(f)
    }
}

/// Bytes of a text that stands in the label itself.
const SHORT: usize = 46;
const _: () = assert!(SHORT <= u8::MAX as usize && SHORT < LABEL_BYTES_MAX);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::head::Arrival;

    #[test]
    fn labels_are_short_clean_text() {
        let (long, cut) = ("x".repeat(300), "x".repeat(256));
        let (wide, wide_cut) = ("é".repeat(300), "é".repeat(128));
        let (odd, odd_cut) = (format!("x{wide}"), format!("x{}", "é".repeat(127)));
        for (value, expected) in [
            (&b""[..], None),
            (b" \t ", None),
            (b"\x01\x7f", None),
            (b" team a ", Some("team a")),
            (b"a\tb\x1b[0m", Some("ab[0m")),
            ("größe".as_bytes(), Some("größe")),
            (b"caf\xe9", Some("caf\u{fffd}")),
            (long.as_bytes(), Some(&*cut)),
            (wide.as_bytes(), Some(&*wide_cut)),
            (odd.as_bytes(), Some(&*odd_cut)),
        ] {
            assert_eq!(
                Label::of(value).as_ref().map(Label::as_str),
                expected,
                "{value:?}"
            );
        }
    }

    #[test]
    fn the_first_of_each_header_counts() {
        let bytes = b"GET / HTTP/1.1\r\nHost: no\r\nX-Infermux-Caller: \r\n\
            X-Infermux-Caller: one\r\nx-infermux-caller: two\r\nX-INFERMUX-ENV: prod\r\n\
            X-Infermux-Other: no\r\n\r\n";
        let mut head = Head::default();
        assert_eq!(head.parse_request(bytes, 0), Ok(Arrival::Whole));
        let attribution = Attribution::read(&head, bytes);
        let text = |label: &Option<Label>| label.as_ref().map(|label| label.as_str().to_owned());
        assert_eq!(text(&attribution.caller).as_deref(), Some("one"));
        assert_eq!(text(&attribution.env).as_deref(), Some("prod"));
        assert_eq!(attribution.project, None);
    }

    proptest! {
        #[test]
        fn any_bytes_make_a_clean_label_or_none(
            value in prop::collection::vec(any::<u8>(), 0..600),
        ) {
            if let Some(label) = Label::of(&value) {
                prop_assert!(!label.as_str().is_empty());
                prop_assert!(!label.as_str().contains(char::is_control));
            }
        }
    }
}
