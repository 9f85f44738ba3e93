//! A body with a few places replaced, written piece by piece so that a large one need not be
//! copied.

use std::ops::Range;

/// Most replacements in one body; the edits of a request need five.
pub const EDITS_MAX: usize = 8;

/// Bytes, and what replaces some ranges of them.
#[derive(Clone, Copy)]
pub struct Splice<'a> {
    body: &'a [u8],
    edits: [Edit<'a>; EDITS_MAX],
    count: usize,
    /// Length of the result.
    len: usize,
}

#[derive(Clone, Copy)]
struct Edit<'a> {
    start: usize,
    end: usize,
    with: &'a [u8],
}

impl<'a> Splice<'a> {
    /// `body` as it is.
    #[must_use]
    pub const fn new(body: &'a [u8]) -> Self {
        Self {
            body,
            edits: [Edit {
                start: 0,
                end: 0,
                with: &[],
            }; EDITS_MAX],
            count: 0,
            len: body.len(),
        }
    }

    /// Replaces `at` by `with`. Ranges lie within the body and do not overlap; of several
    /// insertions at one place, the first added comes first.
    pub fn replace(&mut self, at: Range<usize>, with: &'a [u8]) {
        debug_assert!(at.start <= at.end && at.end <= self.body.len() && self.count < EDITS_MAX);
        let later = self.edits[..self.count]
            .iter()
            .rev()
            .take_while(|e| e.start > at.start);
        let place = self.count - later.count();
        self.edits.copy_within(place..self.count, place + 1);
        self.edits[place] = Edit {
            start: at.start,
            end: at.end,
            with,
        };
        self.count += 1;
        self.len = self.len - (at.end - at.start) + with.len();
    }

    /// Inserts `with` at `at`.
    pub fn insert(&mut self, at: usize, with: &'a [u8]) {
        self.replace(at..at, with);
    }

    /// Where in the result the byte at `at` stands; that byte must not be replaced.
    #[must_use]
    pub fn place_of(&self, at: usize) -> usize {
        let before = self.edits[..self.count]
            .iter()
            .take_while(|edit| edit.end <= at);
        before.fold(at, |place, edit| {
            place + edit.with.len() - (edit.end - edit.start)
        })
    }

    /// Length of the result.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether the result has no byte.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the result is the body itself.
    #[must_use]
    pub const fn is_unchanged(&self) -> bool {
        self.count == 0
    }

    /// The result in order, in at most 17 pieces, none of them empty.
    pub fn pieces(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let (body, edits, count) = (self.body, self.edits, self.count);
        let mut from = 0;
        (0..=count)
            .flat_map(move |index| {
                let edit = edits.get(index).filter(|_| index < count);
                let until = edit.map_or(body.len(), |edit| edit.start);
                let kept = body.get(from..until).unwrap_or_default();
                from = edit.map_or(body.len(), |edit| edit.end);
                [kept, edit.map_or(&[][..], |edit| edit.with)]
            })
            .filter(|piece| !piece.is_empty())
    }

    /// Appends the result to `out`.
    pub fn write(&self, out: &mut Vec<u8>) {
        if self.is_unchanged() {
            out.extend_from_slice(self.body);
            return;
        }
        self.pieces().for_each(|piece| out.extend_from_slice(piece));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(edits: &[(Range<usize>, &str)], expected: &str) {
        let mut splice = Splice::new(b"0123456789");
        for (at, with) in edits {
            splice.replace(at.clone(), with.as_bytes());
        }
        let mut out = Vec::new();
        splice.write(&mut out);
        assert_eq!(String::from_utf8_lossy(&out), expected);
        assert_eq!(splice.len(), expected.len());
        assert_eq!(
            splice.pieces().collect::<Vec<_>>().concat(),
            expected.as_bytes()
        );
        assert!(splice.pieces().all(|piece| !piece.is_empty()));
        for (at, byte) in b"0123456789".iter().enumerate() {
            if !edits.iter().any(|(range, _)| range.contains(&at)) {
                assert_eq!(out.get(splice.place_of(at)), Some(byte));
            }
        }
    }

    #[test]
    fn edits_apply_in_the_order_of_their_places() {
        check(&[], "0123456789");
        check(&[(2..4, "ab")], "01ab456789");
        check(&[(5..6, "x"), (0..1, "yy")], "yy1234x6789");
        check(&[(1..1, "a"), (1..1, "b"), (9..10, "")], "0ab12345678");
        check(
            &[(3..5, ""), (1..1, "a"), (0..0, "z"), (10..10, "!")],
            "z0a1256789!",
        );
        check(&[(0..10, "")], "");
    }
}
