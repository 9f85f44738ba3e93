//! A message's body, whichever way it is delimited, from reads split anywhere.

use crate::wire::chunked::{ChunkFault, Chunked, Piece};
use crate::wire::head::Framing;

/// Tells a body's bytes from what comes after them.
#[derive(Clone, Debug)]
pub enum BodyDecoder {
    /// This many bytes are still to come.
    Length(u64),
    /// Chunks.
    Chunked(Chunked),
    /// Everything until the connection ends.
    Close,
}

impl BodyDecoder {
    /// The body of a message with this framing.
    #[must_use]
    pub fn new(framing: Framing) -> Self {
        match framing {
            Framing::None => Self::Length(0),
            Framing::Length(length) => Self::Length(length),
            Framing::Chunked => Self::Chunked(Chunked::default()),
            Framing::Close => Self::Close,
        }
    }

    /// The next piece of the body in `input` from `*at` on; `*at` moves past the bytes that were
    /// used.
    ///
    /// # Errors
    ///
    /// As `Chunked::next`.
    #[inline]
    pub fn next(&mut self, input: &[u8], at: &mut usize) -> Result<Piece, ChunkFault> {
        let there = input.len().saturating_sub(*at);
        let take = match self {
            Self::Length(0) => return Ok(Piece::End(*at)),
            Self::Length(left) => usize::try_from(*left).map_or(there, |left| left.min(there)),
            Self::Chunked(chunked) => return chunked.next(input, at),
            Self::Close => there,
        };
        if take == 0 {
            return Ok(Piece::More);
        }
        if let Self::Length(left) = self {
            *left -= take as u64;
        }
        let from = *at;
        *at += take;
        Ok(Piece::Payload(from..*at))
    }

    /// Whether `bytes` hold the end of the body, or something that cannot belong to it.
    pub fn is_over(&mut self, bytes: &[u8]) -> bool {
        let mut at = 0;
        loop {
            match self.next(bytes, &mut at) {
                Ok(Piece::Payload(_)) => {}
                Ok(Piece::More) => return false,
                Ok(Piece::End(_)) | Err(_) => return true,
            }
        }
    }

    /// Whether the body is complete if the connection ends now.
    #[must_use]
    pub fn may_end(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(chunked) => chunked.is_ended(),
            Self::Close => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(framing: Framing, input: &[u8], payload: &[u8], end: Option<usize>) {
        for step in 1..=input.len() {
            let (mut body, mut found, mut ended) = (BodyDecoder::new(framing), Vec::new(), None);
            for (read, part) in input.chunks(step).enumerate() {
                let mut at = 0;
                while ended.is_none() {
                    match body.next(part, &mut at).unwrap() {
                        Piece::Payload(range) => found.extend_from_slice(&part[range]),
                        Piece::More => break,
                        Piece::End(end) => ended = Some(read * step + end),
                    }
                }
            }
            assert_eq!((&*found, ended), (payload, end), "{framing:?} step {step}");
        }
    }

    #[test]
    fn each_framing_ends_where_it_says() {
        check(Framing::None, b"x", b"", Some(0));
        check(Framing::Length(3), b"abcdef", b"abc", Some(3));
        check(Framing::Length(9), b"abc", b"abc", None);
        check(Framing::Chunked, b"1\r\na\r\n0\r\n\r\nX", b"a", Some(11));
        check(Framing::Close, b"abc", b"abc", None);
        assert!(
            BodyDecoder::new(Framing::Close).may_end() && BodyDecoder::new(Framing::None).may_end()
        );
        assert!(!BodyDecoder::new(Framing::Length(1)).may_end());
        assert!(!BodyDecoder::new(Framing::Chunked).may_end());
    }
}
