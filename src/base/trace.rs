//! The ids of traces and spans, as W3C Trace Context has them.

/// The id of a trace; never all zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceId([u8; 16]);

/// The id of a span; never all zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SpanId([u8; 8]);

impl TraceId {
    /// Length of its text.
    pub const TEXT_LEN: usize = 32;

    /// The id of these `random` bits.
    #[must_use]
    pub const fn fresh(random: [u64; 2]) -> Self {
        // All zeros stand for no id.
        let low = if random[0] | random[1] == 0 {
            1
        } else {
            random[1]
        };
        Self((((random[0] as u128) << 64) | low as u128).to_be_bytes())
    }

    /// Reads the id from 32 hexadecimal digits in lower case; `None`: it is something else, or all
    /// zeros.
    #[must_use]
    pub fn read(text: &[u8]) -> Option<Self> {
        bytes(text).map(Self)
    }

    /// The half that chance decides even where a tracer fills the other one with the time.
    #[must_use]
    pub fn low(self) -> u64 {
        let [.., a, b, c, d, e, f, g, h] = self.0;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }

    /// Its text.
    #[must_use]
    pub fn text(self) -> [u8; Self::TEXT_LEN] {
        digits(self.0)
    }
}

impl SpanId {
    /// Length of its text.
    pub const TEXT_LEN: usize = 16;

    /// The id of these `random` bits.
    #[must_use]
    pub const fn fresh(random: u64) -> Self {
        let random = if random == 0 { 1 } else { random };
        Self(random.to_be_bytes())
    }

    /// Reads the id from 16 hexadecimal digits in lower case; `None`: it is something else, or all
    /// zeros.
    #[must_use]
    pub fn read(text: &[u8]) -> Option<Self> {
        bytes(text).map(Self)
    }

    /// Its text.
    #[must_use]
    pub fn text(self) -> [u8; Self::TEXT_LEN] {
        digits(self.0)
    }
}

/// The bytes of an id's text.
fn bytes<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let (pairs, rest) = text.as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        *byte = pair_value(*pair)?;
    }
    (bytes != [0; N]).then_some(bytes)
}

/// The number of two hexadecimal digits in lower case.
#[must_use]
pub fn pair_value([high, low]: [u8; 2]) -> Option<u8> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    Some(digit(high)? << 4 | digit(low)?)
}

/// The hexadecimal digits of `bytes`, two for each.
fn digits<const N: usize, const DIGITS: usize>(bytes: [u8; N]) -> [u8; DIGITS] {
    const { assert!(N * 2 == DIGITS) };
    let mut text = [0; DIGITS];
    let (pairs, _) = text.as_chunks_mut::<2>();
    for (pair, byte) in pairs.iter_mut().zip(bytes) {
        *pair = [digit(byte >> 4), digit(byte & 0xf)];
    }
    text
}

const fn digit(value: u8) -> u8 {
    match value {
        0..=9 => b'0' + value,
        _ => b'a' + value - 10,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ids_come_back_from_their_text(random: [u64; 2]) {
            let (trace, span) = (TraceId::fresh(random), SpanId::fresh(random[0]));
            prop_assert_eq!(TraceId::read(&trace.text()), Some(trace));
            prop_assert_eq!(SpanId::read(&span.text()), Some(span));
            prop_assert_eq!(trace.text().to_vec(), format!("{:016x}{:016x}", random[0], random[1])
                .into_bytes());
            prop_assert_eq!(trace.low(), random[1]);
        }

        #[test]
        fn whatever_else_is_no_id(text: Vec<u8>) {
            let is_hex = |n: usize| {
                text.len() == n
                    && text.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
                    && text.iter().any(|b| *b != b'0')
            };
            prop_assert_eq!(TraceId::read(&text).is_some(), is_hex(32));
            prop_assert_eq!(SpanId::read(&text).is_some(), is_hex(16));
        }
    }

    #[test]
    fn zeros_are_no_id() {
        assert_eq!(TraceId::read(&[b'0'; 32]), None);
        assert_eq!(SpanId::read(&[b'0'; 16]), None);
        assert_eq!(SpanId::read(b"00F067AA0BA902B7"), None);
        assert_eq!(TraceId::fresh([0, 0]).low(), 1);
        assert_eq!(TraceId::fresh([7, 0]).low(), 0);
        assert_eq!(&SpanId::fresh(0).text(), b"0000000000000001");
    }
}
