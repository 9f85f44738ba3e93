//! Changes inputs: bytes, words, lines, and values of JSON wherever it stands.

use serde::de::IgnoredAny;

/// Random changes, from a seed.
pub struct Mutator<'s> {
    state: u64,
    others: &'s [Vec<u8>],
}

/// No input gets longer.
pub const INPUT_BYTES_MAX: usize = 64 << 10;

/// Bytes at which readers decide something.
const ODD: &[u8] = b"\r\n \t:,;\"\\{}[]()<>=&%/?#0129-+.eE\0\x0b\x1f\x7f\x80\xbf\xc3\xed\xf0\xff";

/// Values that readers may not expect.
const VALUES: &[&str] = &[
    "null",
    "true",
    "false",
    "0",
    "-0",
    "-1",
    "1",
    "1.5",
    "1e999",
    "1e-999",
    "4294967296",
    "9007199254740993",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775809",
    "\"\"",
    "\" \"",
    "\"a\"",
    "\"\\u0000\"",
    "\"\\ud83d\"",
    "\"\\ud83d\\ude00\"",
    "\"\\\"\\\\\"",
    "{}",
    "[]",
    "[null]",
    "[[]]",
    "{\"a\":1,\"a\":2}",
    "{\"\":null}",
    "\"\u{e9}\u{1f600}\"",
];

impl<'s> Mutator<'s> {
    /// Changes that may take parts of `others`.
    #[must_use]
    pub fn new(seed: u64, others: &'s [Vec<u8>]) -> Self {
        Self {
            state: seed ^ 0x9e37_79b9_7f4a_7c15,
            others,
        }
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        // splitmix64
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let bound = bound.max(1) as u64;
        usize::try_from(mixed % bound).unwrap_or_default()
    }

    /// One of the inputs that there are.
    pub fn other(&mut self) -> &'s [u8] {
        let place = self.below(self.others.len());
        self.others.get(place).map_or(&[], Vec::as_slice)
    }

    /// Changes `bytes` in one to four ways.
    pub fn change(&mut self, bytes: &mut Vec<u8>) {
        let changes = 1 + self.below(4).min(self.below(4));
        for _ in 0..changes {
            match self.below(16) {
                0..=2 => self.change_byte(bytes),
                3 => self.change_range(bytes),
                4 => self.repeat(bytes),
                5 => self.cross(bytes),
                6..=8 => self.change_lines(bytes),
                9 => {
                    let end = self.below(bytes.len() + 1);
                    bytes.truncate(end);
                }
                _ => self.change_json(bytes),
            }
        }
        bytes.truncate(INPUT_BYTES_MAX);
    }

    fn change_byte(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len() + 1);
        let odd = ODD[self.below(ODD.len())];
        match (self.below(4), bytes.get_mut(at)) {
            (0, Some(byte)) => *byte ^= 1 << self.below(8),
            (1, Some(byte)) => *byte = odd,
            (2, Some(_)) => drop(bytes.remove(at)),
            (_, _) => bytes.insert(at, odd),
        }
    }

    /// Takes a piece out, or copies it to another place.
    fn change_range(&mut self, bytes: &mut Vec<u8>) {
        let (from, to) = self.range(bytes.len());
        if self.below(2) == 0 {
            bytes.drain(from..to);
            return;
        }
        let piece = bytes[from..to].to_vec();
        let at = self.below(bytes.len() + 1);
        splice(bytes, at, at, &piece);
    }

    /// Repeats a piece so often that what grows with it shows.
    fn repeat(&mut self, bytes: &mut Vec<u8>) {
        let (from, to) = self.range(bytes.len().min(256));
        let times = [2, 3, 9, 65, 257, 4_000][self.below(6)];
        let piece = bytes[from..to].repeat(times);
        if bytes.len() + piece.len() <= INPUT_BYTES_MAX {
            splice(bytes, to, to, &piece);
        }
    }

    /// Goes on with another input, or takes in a piece of it.
    fn cross(&mut self, bytes: &mut Vec<u8>) {
        let other = self.other();
        let (from, to) = self.range(other.len());
        let at = self.below(bytes.len() + 1);
        if self.below(2) == 0 {
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from..]);
        } else {
            splice(bytes, at, at, &other[from..to]);
        }
    }

    /// Takes a line out, doubles it, or puts one of another input in its place.
    fn change_lines(&mut self, bytes: &mut Vec<u8>) {
        let (from, to) = self.line_of(bytes);
        let other = self.other();
        let theirs = self.line_of(other);
        match self.below(4) {
            0 => drop(bytes.drain(from..to)),
            1 => {
                let line = bytes[from..to].to_vec();
                let (at, _) = self.line_of(bytes);
                splice(bytes, at, at, &line);
            }
            2 => splice(bytes, from, from, &other[theirs.0..theirs.1]),
            _ => splice(bytes, from, to, &other[theirs.0..theirs.1]),
        }
    }

    fn change_json(&mut self, bytes: &mut Vec<u8>) {
        let Some((from, to)) = self.value_in(bytes) else {
            return self.change_byte(bytes);
        };
        match self.below(8) {
            0 => splice(bytes, from, to, VALUES[self.below(VALUES.len())].as_bytes()),
            1 | 2 => {
                let other = self.other();
                if let Some(theirs) = self.value_in(other) {
                    splice(bytes, from, to, &other[theirs.0..theirs.1]);
                }
            }
            3 => {
                let own = bytes.clone();
                if let Some(theirs) = self.value_in(&own) {
                    splice(bytes, from, to, &own[theirs.0..theirs.1]);
                }
            }
            4 => {
                // An element more, or a value in a list of its own.
                let value = bytes[from..to].to_vec();
                let whole = match self.below(3) {
                    0 => [b"[", &*value, b"]"].concat(),
                    1 => [b"{\"a\":", &*value, b"}"].concat(),
                    _ => [&*value, b",", &*value].concat(),
                };
                splice(bytes, from, to, &whole);
            }
            5 => self.add_member(bytes, from),
            6 => {
                // Without the value and the comma behind it.
                let comma = usize::from(bytes.get(to) == Some(&b','));
                bytes.drain(from..to + comma);
            }
            _ => {
                if bytes.get(from) == Some(&b'"') {
                    let at = from + 1 + self.below(to - from - 1);
                    let piece = VALUES[self.below(VALUES.len())].trim_matches('"');
                    splice(bytes, at, at, piece.as_bytes());
                } else {
                    self.change_byte(bytes);
                }
            }
        }
    }

    /// Gives the object that begins at `at` another member, with a name that some input has.
    fn add_member(&mut self, bytes: &mut Vec<u8>, at: usize) {
        if bytes.get(at) != Some(&b'{') {
            return;
        }
        let other = self.other();
        let theirs = self.value_in(other).map(|(from, to)| &other[from..to]);
        let name = self.name_in(other).unwrap_or(b"\"model\"");
        let value = theirs.unwrap_or(b"null");
        let comma: &[u8] = match bytes.get(at + 1) {
            Some(b'}') => b"",
            _ => b",",
        };
        let member = [name, b":", value, comma].concat();
        splice(bytes, at + 1, at + 1, &member);
    }

    /// Where a value of JSON stands in `bytes`.
    fn value_in(&mut self, bytes: &[u8]) -> Option<(usize, usize)> {
        let starts = |byte: &u8| matches!(byte, b':' | b',' | b'[' | b'{');
        for _ in 0..4 {
            let from = self.below(bytes.len());
            let Some(step) = bytes.get(from..)?.iter().position(starts) else {
                continue;
            };
            let at = from + step;
            let begin = if bytes[at] == b'{' { at } else { at + 1 };
            let rest = &bytes[begin..];
            let begin = begin + rest.len() - rest.trim_ascii_start().len();
            let mut values =
                serde_json::Deserializer::from_slice(&bytes[begin..]).into_iter::<IgnoredAny>();
            if let Some(Ok(_)) = values.next() {
                return Some((begin, begin + values.byte_offset()));
            }
        }
        None
    }

    /// A name of a member in `bytes`, with its quotes.
    fn name_in<'b>(&mut self, bytes: &'b [u8]) -> Option<&'b [u8]> {
        let from = self.below(bytes.len());
        let colon = from
            + bytes
                .get(from..)?
                .windows(2)
                .position(|pair| pair == b"\":")?;
        let start = bytes[..colon].iter().rposition(|byte| *byte == b'"')?;
        bytes.get(start..=colon)
    }

    fn range(&mut self, len: usize) -> (usize, usize) {
        let from = self.below(len + 1);
        let most = (len - from).min([4, 32, len][self.below(3)]);
        (from, from + self.below(most + 1))
    }

    /// The line, its end included, at a random place.
    fn line_of(&mut self, bytes: &[u8]) -> (usize, usize) {
        let at = self.below(bytes.len());
        let is_end = |byte: &u8| *byte == b'\n';
        let start = bytes[..at]
            .iter()
            .rposition(is_end)
            .map_or(0, |end| end + 1);
        let end = bytes[at..].iter().position(is_end);
        (start, end.map_or(bytes.len(), |end| at + end + 1))
    }
}

fn splice(bytes: &mut Vec<u8>, from: usize, to: usize, with: &[u8]) {
    if bytes.len() + with.len() <= 2 * INPUT_BYTES_MAX {
        bytes.splice(from..to, with.iter().copied());
    }
}
