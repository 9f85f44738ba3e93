//! The chunked transfer coding (RFC 9112 §7.1), decoded from reads split anywhere.

use std::ops::Range;

use crate::base::limits::{CHUNK_LINE_BYTES_MAX, TRAILER_BYTES_MAX};

/// A decoder for one chunked body.
#[derive(Clone, Debug, Default)]
pub struct Chunked {
    state: State,
    /// Payload bytes of the current chunk that are still to come.
    left: u64,
    /// Bytes of the current line, or of the whole trailer section.
    line: usize,
}

/// What the next bytes of a body are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Payload, as a range of the input.
    Payload(Range<usize>),
    /// The input is used up; more is needed.
    More,
    /// The body has ended; the next message starts at this place of the input.
    End(usize),
}

/// How far [`Chunked::compact`] has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More is needed.
    More,
    /// The body has ended.
    Ended,
}

/// Why a chunked body is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkFault {
    /// No hexadecimal number where the size of a chunk must stand.
    NoSize,
    /// A chunk of 2^60 bytes or more.
    SizeOverflow,
    /// A line that does not end in CR LF, or a chunk longer than its size.
    LineEnd,
    /// A size line or a trailer section over its limit.
    TooLong,
}

impl ChunkFault {
    /// What the sender is told.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::NoSize => "a chunk of the body has no size",
            Self::SizeOverflow => "the size of a chunk of the body is too large",
            Self::LineEnd => "a chunk of the body does not end in CR LF",
            Self::TooLong => "a chunk's size line or the trailer section is too long",
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Before the first digit of a size.
    #[default]
    Size,
    /// Within the digits.
    Digits,
    /// Within chunk extensions, which are dropped.
    Extension,
    /// The LF that ends the size line.
    SizeLf,
    /// Within the payload.
    Payload,
    /// The CR after the payload.
    PayloadCr,
    /// The LF after the payload.
    PayloadLf,
    /// At the start of a trailer line.
    TrailerStart,
    /// Within a trailer line, which is dropped.
    Trailer,
    /// The LF that ends a trailer line.
    TrailerLf,
    /// The LF that ends the body.
    LastLf,
    /// Nothing more belongs to this body.
    Ended,
}

impl Chunked {
    /// Whether the body has ended.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.state == State::Ended
    }

    /// The next piece in `input` from `*at` on; `*at` moves past the bytes that were used.
    ///
    /// # Errors
    ///
    /// Other parsers might read the body otherwise; the connection cannot go on.
    #[inline]
    pub fn next(&mut self, input: &[u8], at: &mut usize) -> Result<Piece, ChunkFault> {
        while *at < input.len() {
            if self.state == State::Payload {
                let there = (input.len() - *at) as u64;
                let take = there.min(self.left);
                self.left -= take;
                if self.left == 0 {
                    self.state = State::PayloadCr;
                }
                let from = *at;
                *at += usize::try_from(take).unwrap_or(input.len() - from);
                return Ok(Piece::Payload(from..*at));
            }
            if self.state == State::Ended {
                return Ok(Piece::End(*at));
            }
            if let Some(used) = self.stride(&input[*at..]) {
                *at += used;
            } else {
                self.step(input[*at])?;
                *at += 1;
            }
        }
        Ok(if self.state == State::Ended {
            Piece::End(*at)
        } else {
            Piece::More
        })
    }

    /// Decodes the bytes from `filled` on, in place: the payload moves up to `filled`, and `filled`
    /// moves behind it. When the body has ended, the bytes that came after it follow there.
    ///
    /// # Errors
    ///
    /// As [`Chunked::next`].
    pub fn compact(
        &mut self,
        bytes: &mut Vec<u8>,
        filled: &mut usize,
    ) -> Result<Progress, ChunkFault> {
        let mut at = *filled;
        loop {
            match self.next(bytes, &mut at)? {
                Piece::Payload(range) => {
                    let len = range.len();
                    bytes.copy_within(range, *filled);
                    *filled += len;
                }
                Piece::More => {
                    bytes.truncate(*filled);
                    return Ok(Progress::More);
                }
                Piece::End(end) => {
                    bytes.drain(*filled..end);
                    return Ok(Progress::Ended);
                }
            }
        }
    }

    /// Takes the bytes between two chunks in one stride, where all of them are there and plain.
    #[inline]
    fn stride(&mut self, input: &[u8]) -> Option<usize> {
        let (before, size) = match (self.state, input) {
            (State::PayloadCr, [b'\r', b'\n', size @ ..]) => (2, size),
            (State::Size, size) => (0, size),
            (_, _) => return None,
        };
        if let Some((size, len)) = plain_size(size) {
            self.left = size;
            self.state = State::Payload;
            return Some(before + len);
        }
        self.state = State::Size;
        (before > 0).then_some(before)
    }

    fn step(&mut self, byte: u8) -> Result<(), ChunkFault> {
        self.line += 1;
        self.state = match self.state {
            State::Size => {
                self.left = u64::from(hex(byte).ok_or(ChunkFault::NoSize)?);
                self.line = 1;
                State::Digits
            }
            State::Digits => match (hex(byte), byte) {
                (Some(digit), _) => {
                    if self.left >> 56 != 0 {
                        return Err(ChunkFault::SizeOverflow);
                    }
                    self.left = self.left << 4 | u64::from(digit);
                    self.bounded(CHUNK_LINE_BYTES_MAX, State::Digits)?
                }
                (None, b'\r') => State::SizeLf,
                // RFC 9112 §7.1.1 allows white space before an extension ("bad white space").
                (None, b';' | b' ' | b'\t') => State::Extension,
                (None, b'\n') => return Err(ChunkFault::LineEnd),
                (None, _) => return Err(ChunkFault::NoSize),
            },
            State::Extension => match byte {
                b'\r' => State::SizeLf,
                b'\n' | 0 => return Err(ChunkFault::LineEnd),
                _ => self.bounded(CHUNK_LINE_BYTES_MAX, State::Extension)?,
            },
            State::SizeLf => {
                line_feed(byte)?;
                if self.left == 0 {
                    self.line = 0;
                    State::TrailerStart
                } else {
                    State::Payload
                }
            }
            State::PayloadCr if byte == b'\r' => State::PayloadLf,
            State::PayloadCr => return Err(ChunkFault::LineEnd),
            State::PayloadLf => {
                line_feed(byte)?;
                State::Size
            }
            State::TrailerStart if byte == b'\r' => State::LastLf,
            State::TrailerStart | State::Trailer => match byte {
                b'\r' => State::TrailerLf,
                b'\n' | 0 => return Err(ChunkFault::LineEnd),
                _ => self.bounded(TRAILER_BYTES_MAX, State::Trailer)?,
            },
            State::TrailerLf => {
                line_feed(byte)?;
                State::TrailerStart
            }
            State::LastLf => {
                line_feed(byte)?;
                State::Ended
            }
            State::Payload | State::Ended => self.state,
        };
        Ok(())
    }

    fn bounded(&self, limit: usize, next: State) -> Result<State, ChunkFault> {
        if self.line > limit {
            Err(ChunkFault::TooLong)
        } else {
            Ok(next)
        }
    }
}

/// Most digits of a size that is read in one stride.
const STRIDE_DIGITS_MAX: usize = 8;

/// The size that the line at the front of `input` gives, and the line's length, where the size is
/// not zero and nothing stands behind it.
#[inline]
fn plain_size(input: &[u8]) -> Option<(u64, usize)> {
    let mut size = 0;
    for (digits, byte) in input.iter().take(STRIDE_DIGITS_MAX + 1).enumerate() {
        let Some(digit) = hex(*byte) else {
            let is_plain = size > 0 && input.get(digits..digits + 2) == Some(b"\r\n");
            return is_plain.then_some((size, digits + 2));
        };
        size = size << 4 | u64::from(digit);
    }
    None
}

fn line_feed(byte: u8) -> Result<(), ChunkFault> {
    if byte == b'\n' {
        Ok(())
    } else {
        Err(ChunkFault::LineEnd)
    }
}

#[inline]
fn hex(byte: u8) -> Option<u8> {
    let digit = DIGITS[usize::from(byte)];
    (digit < 16).then_some(digit)
}

/// What each byte is as a hexadecimal digit; 16: it is none.
static DIGITS: [u8; 256] = {
    let (mut all, mut digit) = ([16; 256], 0);
    while digit < 16 {
        all[b"0123456789abcdef"[digit as usize] as usize] = digit;
        all[b"0123456789ABCDEF"[digit as usize] as usize] = digit;
        digit += 1;
    }
    all
};

/// Writes the head of a chunk of `len` bytes, `len` in hexadecimal and CR LF.
pub fn write_chunk_head(len: usize, out: &mut Vec<u8>) {
    let digits = (usize::BITS - len.leading_zeros()).div_ceil(4).max(1);
    for place in (0..digits).rev() {
        out.push(b"0123456789abcdef"[len >> (place * 4) & 0xf]);
    }
    out.extend_from_slice(b"\r\n");
}

/// Fills `head` with the head of a chunk of `len` bytes, its size with leading zeros; `len` must
/// not have more digits than `head` has room for.
pub fn fill_chunk_head<const N: usize>(len: usize, head: &mut [u8; N]) {
    let (size, end) = head.split_at_mut(N - 2);
    end.copy_from_slice(b"\r\n");
    let mut rest = len;
    for place in size.iter_mut().rev() {
        *place = b"0123456789abcdef"[rest & 0xf];
        rest >>= 4;
    }
    debug_assert_eq!(rest, 0, "a chunk that is too large for its head");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_in_place_says_what_a_head_behind_says() {
        for len in [1, 0x0f, 0x1000, 0xf_ffff] {
            let (mut plain, mut filled) = (Vec::new(), [0; 7]);
            write_chunk_head(len, &mut plain);
            fill_chunk_head(len, &mut filled);
            let without_zeros = filled.iter().skip_while(|digit| **digit == b'0');
            assert!(without_zeros.eq(&plain), "{len}");
            assert!(filled.ends_with(b"\r\n"));
        }
    }

    /// Decodes `input` in reads of `step` bytes: the payload and where the body ended.
    fn decode(input: &[u8], step: usize) -> Result<(Vec<u8>, Option<usize>), ChunkFault> {
        let (mut decoder, mut payload) = (Chunked::default(), Vec::new());
        for (read, part) in input.chunks(step).enumerate() {
            let mut at = 0;
            loop {
                match decoder.next(part, &mut at)? {
                    Piece::Payload(range) => payload.extend_from_slice(&part[range]),
                    Piece::More => break,
                    Piece::End(end) => return Ok((payload, Some(read * step + end))),
                }
            }
        }
        Ok((payload, None))
    }

    #[test]
    fn any_split_gives_the_same_body() {
        let input = b"5\r\nhello\r\n1;a=\"b\"\r\n \r\n00A\r\n0123456789\r\n0\r\nX: y\r\n\r\nNEXT";
        for step in 1..=input.len() {
            let (payload, end) = decode(input, step).unwrap();
            assert_eq!(payload, b"hello 0123456789", "step {step}");
            assert_eq!(end, Some(input.len() - 4), "step {step}");
        }
    }

    #[test]
    fn what_others_might_read_differently_is_refused() {
        for (input, fault) in [
            (&b"\r\n"[..], ChunkFault::NoSize),
            (b";x\r\n", ChunkFault::NoSize),
            (b"-1\r\n", ChunkFault::NoSize),
            (b"0x5\r\n", ChunkFault::NoSize),
            (b"5\nhello", ChunkFault::LineEnd),
            (b"5;x\nhello", ChunkFault::LineEnd),
            (b"5\r\nhelloX", ChunkFault::LineEnd),
            (b"5\r\nhello\rX", ChunkFault::LineEnd),
            (b"10000000000000000\r\n", ChunkFault::SizeOverflow),
            (b"ffffffffffffffffff\r\n", ChunkFault::SizeOverflow),
            (b"0\r\nX: y\n\r\n", ChunkFault::LineEnd),
        ] {
            for step in 1..=input.len() {
                let text = String::from_utf8_lossy(input);
                assert_eq!(decode(input, step), Err(fault), "{text:?} step {step}");
            }
        }
    }

    #[test]
    fn lines_and_trailers_are_bounded() {
        let line = [b"1;".to_vec(), vec![b'x'; CHUNK_LINE_BYTES_MAX]].concat();
        assert_eq!(decode(&line, 100), Err(ChunkFault::TooLong));
        let zeros = vec![b'0'; CHUNK_LINE_BYTES_MAX + 1];
        assert_eq!(decode(&zeros, 100), Err(ChunkFault::TooLong));
        let trailer = [b"0\r\n".to_vec(), b"a: b\r\n".repeat(TRAILER_BYTES_MAX)].concat();
        assert_eq!(decode(&trailer, 100), Err(ChunkFault::TooLong));
    }

    #[test]
    fn writes_sizes_in_hexadecimal() {
        for (len, head) in [
            (0, "0\r\n"),
            (1, "1\r\n"),
            (16, "10\r\n"),
            (0xabcde, "abcde\r\n"),
        ] {
            let mut out = Vec::new();
            write_chunk_head(len, &mut out);
            assert_eq!(out, head.as_bytes());
        }
    }

    #[test]
    fn a_body_is_compacted_in_place() {
        let input = b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nNEXT";
        for split in 0..input.len() {
            let (mut decoder, mut filled) = (Chunked::default(), 2);
            let mut bytes = [b"HH", &input[..split]].concat();
            let mut progress = decoder.compact(&mut bytes, &mut filled).unwrap();
            bytes.extend_from_slice(&input[split..]);
            if progress == Progress::More {
                progress = decoder.compact(&mut bytes, &mut filled).unwrap();
            }
            assert_eq!(progress, Progress::Ended);
            assert_eq!(
                (&bytes[..filled], &bytes[filled..]),
                (&b"HHabcde"[..], &b"NEXT"[..])
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_differ_by_split(
            input in proptest::collection::vec(
                proptest::sample::select(b"0159aF\r\n; xZ".to_vec()), 0..80),
            step in 1_usize..9,
        ) {
            proptest::prop_assert_eq!(decode(&input, step), decode(&input, 1000));
        }

        #[test]
        fn any_chunks_come_out_whole(
            chunks in proptest::collection::vec(("0{0,9}", "[a-z]{1,40}", "(;x)?"), 0..8),
            step in 1_usize..90,
        ) {
            let mut input = Vec::new();
            for (zeros, payload, extension) in &chunks {
                let head = format!("{zeros}{:x}{extension}\r\n{payload}\r\n", payload.len());
                input.extend_from_slice(head.as_bytes());
            }
            input.extend_from_slice(b"0\r\n\r\n");
            let payload: String = chunks.iter().map(|(_, payload, _)| payload.as_str()).collect();
            let expected = Ok((payload.into_bytes(), Some(input.len())));
            proptest::prop_assert_eq!(decode(&input, step), expected.clone());
            proptest::prop_assert_eq!(decode(&input, 1000), expected);
        }
    }
}
