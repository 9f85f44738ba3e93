//! Text that must not leave the process except as a credential.

/// A key or token. It has no `Debug` and no `Display`, so that it cannot reach a log, a report or
/// an error text by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

impl Secret {
    /// Wraps `text`.
    #[must_use]
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The bare text, for the one place that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether `offered` is this secret, in a time that depends on the length of `offered` alone.
    #[must_use]
    pub fn matches(&self, offered: &[u8]) -> bool {
        let own = self.0.as_bytes();
        let mut difference = u8::from(own.len() != offered.len()) | u8::from(own.is_empty());
        for (i, byte) in offered.iter().enumerate() {
            let mine = if own.is_empty() {
                0
            } else {
                own[i % own.len()]
            };
            difference |= std::hint::black_box(byte ^ mine);
        }
        std::hint::black_box(difference) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_text_matches() {
        let key = Secret::new("sk-abc");
        assert!(key.matches(b"sk-abc"));
        for wrong in [
            &b""[..],
            b"sk-ab",
            b"sk-abcd",
            b"sk-abcsk-abc",
            b"sk-abd",
            b"SK-ABC",
        ] {
            assert!(!key.matches(wrong));
        }
        assert!(!Secret::new("").matches(b""));
    }
}
