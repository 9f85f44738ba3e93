//! Where brackets of one kind pair up, found by masks of sixty-four bytes.

/// The place behind the bracket that closes the one at `at`, brackets in strings aside. `pair` is
/// the opening and the closing bracket. `otherwise` finds it on processors without the
/// instructions.
pub fn end(
    text: &[u8],
    at: usize,
    pair: [u8; 2],
    otherwise: impl FnOnce(&[u8], usize, [u8; 2]) -> Option<usize>,
) -> Option<usize> {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("popcnt")
    {
        #[expect(
            unsafe_code,
            reason = "the instructions are there, as has just been asked"
        )]
        // SAFETY: this processor has AVX2, and counts bits.
        return unsafe { wide::wide_end(text, at, pair) };
    }
    otherwise(text, at, pair)
}

#[cfg(target_arch = "x86_64")]
mod wide {
    use core::arch::x86_64::{
        _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_movemask_epi8, _mm256_set1_epi8,
    };

    /// Bytes that are looked at together.
    const WIDE: usize = 64;

    /// Where quotes, backslashes and brackets are among sixty-four bytes, a bit each.
    #[derive(Clone, Copy)]
    struct Marks {
        quotes: u64,
        backslashes: u64,
        opens: u64,
        closes: u64,
    }

    /// How far a container has been read.
    struct Reading {
        /// How many containers of its kind are open.
        depth: u32,
        /// All bits, if the last byte was in a string; else none.
        inside: u64,
        /// One, if the next byte is escaped.
        escaped: u64,
    }

    #[target_feature(enable = "avx2,popcnt")]
    pub(super) fn wide_end(text: &[u8], mut at: usize, pair: [u8; 2]) -> Option<usize> {
        let mut reading = Reading {
            depth: 0,
            inside: 0,
            escaped: 0,
        };
        loop {
            let rest = text.get(at..)?;
            let found = match rest.first_chunk() {
                Some(bytes) => reading.read(marks(bytes, pair)),
                None => {
                    let mut bytes = [0; WIDE];
                    bytes[..rest.len()].copy_from_slice(rest);
                    let found = reading.read(marks(&bytes, pair));
                    return found.map(|place| at + place as usize + 1);
                }
            };
            if let Some(place) = found {
                return Some(at + place as usize + 1);
            }
            at += WIDE;
        }
    }

    #[target_feature(enable = "avx2,popcnt")]
    fn marks(bytes: &[u8; WIDE], pair: [u8; 2]) -> Marks {
        let [low, high] = [0, WIDE / 2].map(|from| {
            #[expect(unsafe_code, reason = "a load has no safe form")]
            // SAFETY: thirty-two bytes from here on are within the sixty-four.
            unsafe {
                _mm256_loadu_si256(bytes.as_ptr().add(from).cast())
            }
        });
        let places = |byte: u8| {
            let wanted = _mm256_set1_epi8(byte.cast_signed());
            let [low, high] = [low, high]
                .map(|half| _mm256_movemask_epi8(_mm256_cmpeq_epi8(half, wanted)).cast_unsigned());
            u64::from(low) | u64::from(high) << (WIDE / 2)
        };
        Marks {
            quotes: places(b'"'),
            backslashes: places(b'\\'),
            opens: places(pair[0]),
            closes: places(pair[1]),
        }
    }

    impl Reading {
        /// Reads sixty-four bytes; returns the place of the container's end.
        #[target_feature(enable = "avx2,popcnt")]
        fn read(&mut self, marks: Marks) -> Option<u32> {
            if marks.backslashes | self.escaped != 0 {
                return self.read_escapes(marks);
            }
            let inside = between(marks.quotes) ^ self.inside;
            self.inside = (inside.cast_signed() >> (u64::BITS - 1)).cast_unsigned();
            let (opens, mut closes) = (marks.opens & !inside, marks.closes & !inside);
            if self.depth > closes.count_ones() {
                self.depth = self.depth + opens.count_ones() - closes.count_ones();
                return None;
            }
            let mut closed = 0;
            while closes != 0 {
                let place = closes.trailing_zeros();
                let before = opens & ((1 << place) - 1);
                closed += 1;
                // An end without a beginning ends nothing; the text is no JSON.
                if self.depth + before.count_ones() <= closed {
                    return Some(place);
                }
                closes &= closes - 1;
            }
            self.depth = self.depth + opens.count_ones() - closed;
            None
        }

        /// As [`Self::read`], mark by mark: a backslash escapes nothing outside of strings.
        fn read_escapes(&mut self, marks: Marks) -> Option<u32> {
            let mut all = marks.quotes | marks.backslashes | marks.opens | marks.closes;
            all &= !std::mem::take(&mut self.escaped);
            while all != 0 {
                let place = all.trailing_zeros();
                let mark = 1_u64 << place;
                all &= !mark;
                if marks.quotes & mark != 0 {
                    self.inside = !self.inside;
                } else if self.inside != 0 {
                    if marks.backslashes & mark != 0 {
                        all &= !(mark << 1);
                        self.escaped = mark >> (u64::BITS - 1);
                    }
                } else if marks.opens & mark != 0 {
                    self.depth += 1;
                } else if marks.closes & mark != 0 {
                    if self.depth <= 1 {
                        return Some(place);
                    }
                    self.depth -= 1;
                }
            }
            None
        }
    }

    /// The bits from each odd one of `marks` on, up to the next.
    fn between(marks: u64) -> u64 {
        let mut bits = marks;
        for step in [1, 2, 4, 8, 16, 32] {
            bits ^= bits << step;
        }
        bits
    }
}
