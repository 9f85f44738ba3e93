//! Whom a request is counted for: the caller, project and environment that its headers name.

use crate::base::limits::LABEL_BYTES_MAX;
use crate::wire::head::Head;
use crate::wire::known::Known;

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
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Label {
    bytes: [u8; LABEL_BYTES_MAX],
    length: u16,
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
}

impl Label {
    /// The text of a header's value: trimmed, without control characters, cut at
    /// `LABEL_BYTES_MAX`, with bytes that are not UTF-8 replaced. `None` when nothing is left.
    #[must_use]
    pub fn of(value: &[u8]) -> Option<Self> {
        let mut label = Self {
            bytes: [0; LABEL_BYTES_MAX],
            length: 0,
        };
        let value = value.trim_ascii();
        let is_plain = |byte: &u8| matches!(byte, b' '..=b'~');
        if let Some(room) = label.bytes.get_mut(..value.len())
            && value.iter().all(is_plain)
        {
            room.copy_from_slice(value);
            label.length = u16::try_from(value.len()).ok()?;
            return (!value.is_empty()).then_some(label);
        }
        for chunk in value.utf8_chunks() {
            let replaced = (!chunk.invalid().is_empty()).then_some(char::REPLACEMENT_CHARACTER);
            for c in chunk
                .valid()
                .chars()
                .filter(|c| !c.is_control())
                .chain(replaced)
            {
                if label.push(c).is_none() {
                    return Some(label);
                }
            }
        }
        (label.length > 0).then_some(label)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let bytes = self
            .bytes
            .get(..usize::from(self.length))
            .unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    /// Adds a character; `None` when there is no room for it.
    fn push(&mut self, c: char) -> Option<()> {
        let start = usize::from(self.length);
        let end = start + c.len_utf8();
        c.encode_utf8(self.bytes.get_mut(start..end)?);
        self.length = u16::try_from(end).ok()?;
        Some(())
    }
}

impl std::fmt::Debug for Label {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_str().fmt(f)
    }
}

const _: () = assert!(LABEL_BYTES_MAX <= u16::MAX as usize);

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
        let text = |label: &Option<Label>| label.map(|label| label.as_str().to_owned());
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
