//! Takes elements out of the lists of a JSON text, or puts others in their place; every other byte
//! stays.

use std::ops::Range;

use crate::wire::json::{self, Kind, Value};

/// Changes of a text.
#[derive(Debug, Default)]
pub(super) struct Cuts<'c>(Vec<(Range<usize>, &'c [u8])>);

/// What happens to an element of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate<'c> {
    /// It stays.
    Stays,
    /// It goes, with one of its commas.
    Goes,
    /// This takes its place.
    Becomes(&'c [u8]),
}

impl<'c> Cuts<'c> {
    /// Whether nothing changes.
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts `with` in the place of what stands at `at`.
    pub(super) fn replace(&mut self, at: Range<usize>, with: &'c [u8]) {
        self.0.push((at, with));
    }

    /// Lets the elements of one list, which stand in these places, have their fates. The list, its
    /// commas included, is right afterwards.
    pub(super) fn decide(&mut self, elements: &[(Range<usize>, Fate<'c>)]) {
        let mut kept_until = None;
        for (index, (span, fate)) in elements.iter().enumerate() {
            match fate {
                Fate::Stays => kept_until = Some(span.end),
                Fate::Becomes(other) => {
                    self.replace(span.clone(), other);
                    kept_until = Some(span.end);
                }
                Fate::Goes => {
                    // With the comma in front, or where nothing is kept in front, with the one
                    // behind.
                    let cut = match (kept_until, elements.get(index + 1)) {
                        (Some(start), _) => start..span.end,
                        (None, Some((next, _))) => span.start..next.start,
                        (None, None) => span.clone(),
                    };
                    kept_until = kept_until.map(|_| span.end);
                    self.replace(cut, b"");
                }
            }
        }
    }

    /// Appends `body` with these changes.
    pub(super) fn write(mut self, body: &[u8], out: &mut Vec<u8>) {
        self.0.sort_by_key(|(at, _)| at.start);
        let mut from = 0;
        for (at, with) in &self.0 {
            out.extend_from_slice(body.get(from..at.start).unwrap_or_default());
            out.extend_from_slice(with);
            from = at.end;
        }
        out.extend_from_slice(body.get(from..).unwrap_or_default());
    }
}

/// The list called `name` in the object `text`, which stands at `base`.
pub(super) fn array<'a>(text: &'a [u8], base: usize, name: &[u8]) -> Option<Value<'a>> {
    let value = json::member(text, name)?.value;
    (value.kind == Kind::Array).then_some(Value {
        at: base + value.at,
        ..value
    })
}

/// The elements of a list, at their places in the whole text.
pub(super) fn elements<'a>(list: &Value<'a>) -> impl Iterator<Item = Value<'a>> + use<'a> {
    let base = list.at;
    let all = json::elements(list.text).map_while(Result::ok);
    all.map(move |value| Value {
        at: base + value.at,
        ..value
    })
}
