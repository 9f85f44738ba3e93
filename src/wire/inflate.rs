//! Bodies that are coded with gzip or deflate (RFC 9110, section 8.4.1), decoded piece by piece.
//!
//! A step takes and gives little, so that the reader of a large body can do other things between
//! two steps, and can stop when more comes out than it may hold.

use std::io::{self, Write};

use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

/// How a body is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// Not at all.
    Identity,
    /// `gzip`
    Gzip,
    /// `deflate`: in zlib's format, and by some senders without it.
    Deflate,
}

impl Coding {
    /// The coding that a value of `Content-Encoding` names; `None`: another one, or several.
    #[must_use]
    pub fn of(value: Option<&[u8]>) -> Option<Self> {
        let value = value.unwrap_or_default().trim_ascii();
        let is = |name: &[u8]| value.eq_ignore_ascii_case(name);
        if is(b"") || is(b"identity") {
            Some(Self::Identity)
        } else if is(b"gzip") || is(b"x-gzip") {
            Some(Self::Gzip)
        } else if is(b"deflate") {
            Some(Self::Deflate)
        } else {
            None
        }
    }
}

/// The bytes do not fit their coding, or far more comes out than is sensible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body is not what its Content-Encoding says")]
pub struct Corrupt;

/// Decodes one body.
pub struct Inflate {
    decoder: Decoder,
    taken: usize,
    given: usize,
}

enum Decoder {
    /// `deflate`: the body's first byte will tell which of the two formats it has.
    Undecided(Vec<u8>),
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    Zlib(Box<ZlibDecoder<Vec<u8>>>),
    Raw(Box<DeflateDecoder<Vec<u8>>>),
}

impl Inflate {
    /// Begins a body; `None`: the body is not coded.
    #[must_use]
    pub fn new(coding: Coding) -> Option<Self> {
        let decoder = match coding {
            Coding::Identity => return None,
            Coding::Gzip => Decoder::Gzip(Box::new(MultiGzDecoder::new(Vec::new()))),
            Coding::Deflate => Decoder::Undecided(Vec::new()),
        };
        Some(Self {
            decoder,
            taken: 0,
            given: 0,
        })
    }

    /// Decodes a little from the front of `input` and appends it to `out`; returns how much of
    /// `input` was taken, which is all of it only in the last step.
    ///
    /// # Errors
    /// The body cannot be read on.
    pub fn step(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, Corrupt> {
        let Some(first) = input.first() else {
            return Ok(0);
        };
        self.decoder.decide(*first);
        let piece = input.get(..STEP_BYTES).unwrap_or(input);
        // Where one part of the body ends and the next begins, the decoder may take nothing at
        // first.
        let mut taken = self.decoder.write(piece).map_err(|_| Corrupt)?;
        if taken == 0 {
            taken = self.decoder.write(piece).map_err(|_| Corrupt)?;
        }
        if taken == 0 {
            return Err(Corrupt);
        }
        self.taken += taken;
        self.hand_out(out)?;
        Ok(taken)
    }

    /// Appends what the bytes taken so far still hold.
    ///
    /// # Errors
    /// As of [`step`](Self::step).
    pub fn flush(&mut self, out: &mut Vec<u8>) -> Result<(), Corrupt> {
        self.decoder.flush().map_err(|_| Corrupt)?;
        self.hand_out(out)
    }

    /// Called when the body has ended: appends its last bytes.
    ///
    /// # Errors
    /// It is not complete.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Corrupt> {
        if self.taken > 0 {
            self.decoder.finish().map_err(|_| Corrupt)?;
        }
        self.hand_out(out)
    }

    fn hand_out(&mut self, out: &mut Vec<u8>) -> Result<(), Corrupt> {
        let given = self.decoder.given();
        self.given += given.len();
        out.append(given);
        if self.given > FREE_BYTES && self.given / RATIO_MAX > self.taken {
            return Err(Corrupt);
        }
        Ok(())
    }
}

impl Decoder {
    fn decide(&mut self, first: u8) {
        if !matches!(self, Self::Undecided(_)) {
            return;
        }
        *self = if first & 0x0f == ZLIB_METHOD {
            Self::Zlib(Box::new(ZlibDecoder::new(Vec::new())))
        } else {
            Self::Raw(Box::new(DeflateDecoder::new(Vec::new())))
        };
    }

    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        match self {
            Self::Undecided(_) => Ok(0),
            Self::Gzip(gzip) => gzip.write(piece),
            Self::Zlib(zlib) => zlib.write(piece),
            Self::Raw(raw) => raw.write(piece),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Undecided(_) => Ok(()),
            Self::Gzip(gzip) => gzip.flush(),
            Self::Zlib(zlib) => zlib.flush(),
            Self::Raw(raw) => raw.flush(),
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        match self {
            Self::Undecided(_) => Ok(()),
            Self::Gzip(gzip) => gzip.try_finish(),
            Self::Zlib(zlib) => zlib.try_finish(),
            Self::Raw(raw) => raw.try_finish(),
        }
    }

    fn given(&mut self) -> &mut Vec<u8> {
        match self {
            Self::Undecided(given) => given,
            Self::Gzip(gzip) => gzip.get_mut(),
            Self::Zlib(zlib) => zlib.get_mut(),
            Self::Raw(raw) => raw.get_mut(),
        }
    }
}

/// Most bytes that one step takes: at most a thousand times as many come out, in less than a
/// millisecond.
const STEP_BYTES: usize = 256;
/// Bytes that may come out of any input, however small.
const FREE_BYTES: usize = 16 << 20;
/// How many times the input's length may come out beyond that: text shrinks to a tenth, a bomb to a
/// thousandth.
const RATIO_MAX: usize = 500;
/// The low half of the first byte in zlib's format (RFC 1950, section 2.2).
const ZLIB_METHOD: u8 = 8;

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use proptest::prelude::*;

    use super::*;

    fn coded(text: &[u8], how: u8) -> (Coding, Vec<u8>) {
        let level = Compression::fast();
        let (mut gzip, mut zlib, mut raw) = (
            GzEncoder::new(Vec::new(), level),
            ZlibEncoder::new(Vec::new(), level),
            DeflateEncoder::new(Vec::new(), level),
        );
        match how % 4 {
            1 => zlib.write_all(text).unwrap(),
            2 => raw.write_all(text).unwrap(),
            _ => gzip.write_all(text).unwrap(),
        }
        match how % 4 {
            0 => (Coding::Gzip, gzip.finish().unwrap()),
            1 => (Coding::Deflate, zlib.finish().unwrap()),
            2 => (Coding::Deflate, raw.finish().unwrap()),
            // Two members one after the other are one body (RFC 1952, section 2.2).
            _ => {
                let whole = gzip.finish().unwrap();
                (Coding::Gzip, [whole.clone(), whole].concat())
            }
        }
    }

    fn decoded(coding: Coding, reads: &[&[u8]]) -> Result<Vec<u8>, Corrupt> {
        let mut inflate = Inflate::new(coding).unwrap();
        let mut out = Vec::new();
        for read in reads {
            let mut at = 0;
            while at < read.len() {
                let before = out.len();
                at += inflate.step(&read[at..], &mut out)?;
                assert!(out.len() - before <= 1 << 20);
            }
            inflate.flush(&mut out)?;
        }
        inflate.finish(&mut out).map(|()| out)
    }

    #[test]
    fn codings_are_known_by_their_names() {
        for (value, coding) in [
            ("", Some(Coding::Identity)),
            ("identity", Some(Coding::Identity)),
            (" GZIP ", Some(Coding::Gzip)),
            ("x-gzip", Some(Coding::Gzip)),
            ("deflate", Some(Coding::Deflate)),
            ("br", None),
            ("zstd", None),
            ("gzip, gzip", None),
        ] {
            assert_eq!(Coding::of(Some(value.as_bytes())), coding, "{value}");
        }
        assert_eq!(Coding::of(None), Some(Coding::Identity));
        assert!(Inflate::new(Coding::Identity).is_none());
    }

    #[test]
    fn a_part_of_a_stream_comes_out_as_soon_as_it_is_there() {
        for how in [0, 1, 2] {
            let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
            let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
            let mut raw = DeflateEncoder::new(Vec::new(), Compression::default());
            let event = b"data: {\"a\":1}\n\n";
            for writer in [&mut gzip as &mut dyn Write, &mut zlib, &mut raw] {
                writer.write_all(event).unwrap();
                writer.flush().unwrap();
            }
            let (coding, bytes) = match how {
                0 => (Coding::Gzip, gzip.get_ref()),
                1 => (Coding::Deflate, zlib.get_ref()),
                _ => (Coding::Deflate, raw.get_ref()),
            };
            let mut inflate = Inflate::new(coding).unwrap();
            let (mut out, mut at) = (Vec::new(), 0);
            while at < bytes.len() {
                at += inflate.step(&bytes[at..], &mut out).unwrap();
            }
            inflate.flush(&mut out).unwrap();
            assert_eq!(out, event, "{how}");
        }
    }

    #[test]
    fn what_is_cut_changed_or_a_bomb_is_refused() {
        for how in 0..3 {
            let (coding, bytes) = coded("some text".repeat(50).as_bytes(), how);
            for cut in 1..bytes.len() {
                assert!(decoded(coding, &[&bytes[..cut]]).is_err(), "{how} {cut}");
            }
        }
        let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
        bomb.write_all(&vec![0; FREE_BYTES + (1 << 20)]).unwrap();
        let bomb = bomb.finish().unwrap();
        assert!(bomb.len() < FREE_BYTES / RATIO_MAX, "{} bytes", bomb.len());
        let found = decoded(Coding::Gzip, &[&bomb]).map(|text| text.len());
        assert_eq!(found, Err(Corrupt));
        let (coding, mut bytes) = coded(b"some text", 0);
        let checksum = bytes.len() - 8;
        bytes[checksum] ^= 1;
        assert_eq!(decoded(coding, &[&bytes]), Err(Corrupt));
        assert_eq!(decoded(Coding::Gzip, &[b"{\"no\":\"gzip\"}"]), Err(Corrupt));
        assert_eq!(decoded(Coding::Gzip, &[]), Ok(Vec::new()));
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_text(
            text in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'a')], 0..2_000),
            how: u8,
            size in 1..100_usize,
        ) {
            let (coding, bytes) = coded(&text, how);
            let expected = if how % 4 == 3 { text.repeat(2) } else { text };
            let reads: Vec<&[u8]> = bytes.chunks(size).collect();
            prop_assert_eq!(decoded(coding, &reads), Ok(expected.clone()));
            prop_assert_eq!(decoded(coding, &[&bytes]), Ok(expected));
        }

        #[test]
        fn arbitrary_bytes_never_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..300), is_gzip: bool,
        ) {
            let coding = if is_gzip { Coding::Gzip } else { Coding::Deflate };
            let _ = decoded(coding, &[&bytes]);
            let _ = decoded(coding, &[b"\x1f\x8b\x08\0\0\0\0\0\0\x03", &bytes]);
        }
    }
}
