//! JSON texts that differ from those before them in their strings and numbers alone.
//!
//! Nearly all answers of one provider do. An *outline* keeps of one text what stays the same, with
//! gaps for what changes. Of a text that fits it, nothing else need be read.

pub use known::Outlines;

use std::ops::Range;

use crate::base::limits::{OUTLINE_BYTES_MAX, OUTLINE_GAPS_MAX};
use crate::wire::json::{check, string};
use crate::wire::scan::lanes::{self, LOOK, Reading};

mod known;

/// A JSON text with gaps. Each gap that says something to the reader has a role `R`.
#[derive(Clone, Debug)]
pub struct Outline<R> {
    /// The bytes that stay the same, and as many behind them as are compared in one look.
    known: Vec<u8>,
    gaps: Vec<Gap<R>>,
    /// How many bytes are known behind the last gap.
    behind: usize,
}

/// What changes from text to text, and what stands before it.
#[derive(Clone, Copy, Debug)]
struct Gap<R> {
    /// Bytes that stay the same before it.
    before: usize,
    kind: GapKind,
    role: Option<R>,
}

/// What stands in a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GapKind {
    /// The inside of a string.
    Inside,
    /// A number that has digits alone.
    Digits,
    /// Nothing: the place alone is told.
    Place,
}

/// What a text has in a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filling<'t> {
    /// The digits of a number, or the inside of a string.
    pub text: &'t [u8],
    /// Its place.
    pub at: usize,
    /// How long it is, an escape counted as one byte.
    pub text_bytes: usize,
}

impl<R: Copy> Outline<R> {
    /// The outline of `text`. `roles` are those of gaps, by the place of a number, or of a string's
    /// inside. What a name that `is_fixed` has for a value stays the same. A text that fits the
    /// outline is JSON, apart from bytes that are not UTF-8.
    ///
    /// `None`: the text is not JSON, or has a name with escapes, a role is that of something that
    /// is no gap, or there is too much of either.
    #[must_use]
    pub fn of(text: &[u8], roles: &[(usize, R)], is_fixed: fn(&[u8]) -> bool) -> Option<Self> {
        if !check::is_json(text) {
            return None;
        }
        let role = |place: usize| {
            let mut roles = roles.iter();
            roles.find(|(at, _)| *at == place).map(|(_, role)| *role)
        };
        let (mut places, mut taken) = (Vec::new(), 0);
        each_scalar(text, |name, kind, at| {
            let role = role(at.start);
            taken += usize::from(role.is_some());
            if role.is_some() || !is_fixed(name) {
                places.push((at, kind, role));
            }
            Some(())
        })?;
        if taken != roles.len() {
            return None;
        }
        Self::with_gaps(text, &places)
    }

    /// As [`Outline::of`], with roles for places in the text, where nothing changes, and with none
    /// for gaps. The places are in order, none of them is within a string or a number, and all
    /// strings and numbers change.
    #[must_use]
    pub fn with_places(text: &[u8], places: &[(usize, R)]) -> Option<Self> {
        if !check::is_json(text) {
            return None;
        }
        let mut all = Vec::new();
        let mut left = places.iter().peekable();
        let mut add_places = |all: &mut Vec<_>, end: usize| {
            while let Some((at, role)) = left.next_if(|(at, _)| *at <= end) {
                all.push((*at..*at, GapKind::Place, Some(*role)));
            }
        };
        each_scalar(text, |_, kind, at| {
            add_places(&mut all, at.start);
            all.push((at, kind, None));
            Some(())
        })?;
        add_places(&mut all, text.len());
        Self::with_gaps(text, &all)
    }

    fn with_gaps(text: &[u8], places: &[(Range<usize>, GapKind, Option<R>)]) -> Option<Self> {
        let (mut known, mut gaps, mut from) = (Vec::new(), Vec::new(), 0);
        for (at, kind, role) in places {
            let before = text.get(from..at.start)?;
            known.extend_from_slice(before);
            gaps.push(Gap {
                before: before.len(),
                kind: *kind,
                role: *role,
            });
            from = at.end;
        }
        let behind = text.get(from..)?;
        known.extend_from_slice(behind);
        let fits = known.len() <= OUTLINE_BYTES_MAX && gaps.len() <= OUTLINE_GAPS_MAX;
        if !fits {
            return None;
        }
        known.extend_from_slice(&[0; LOOK]);
        known.shrink_to_fit();
        Some(Self {
            known,
            gaps,
            behind: behind.len(),
        })
    }

    /// Whether `text` is like the one that this is the outline of. `take` is told what it has in
    /// each gap that has a role, until `take` returns `false`, or the text does not fit.
    #[inline]
    pub fn fits<'t>(&self, text: &'t [u8], take: impl FnMut(R, Filling<'t>) -> bool) -> bool {
        let filling = Fitting {
            outline: self,
            text,
            take,
        };
        lanes::read_in_looks(filling).is_some()
    }
}

/// Tells `each` of the strings that are no names, and the numbers of digits alone, in `text`, which
/// is JSON: of the last name before it, what it is, and its place. `None`: `each` returned that, or
/// a name has escapes.
fn each_scalar<'t>(
    text: &'t [u8],
    mut each: impl FnMut(&'t [u8], GapKind, Range<usize>) -> Option<()>,
) -> Option<()> {
    let (mut at, mut name) = (0, &b""[..]);
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => {
                let end = string::checked_end(text, at + 1)?;
                let inside = at + 1..end - 1;
                at = end;
                if text.get(check::space_end(text, end)) == Some(&b':') {
                    name = text.get(inside)?;
                    if name.contains(&b'\\') {
                        return None;
                    }
                } else {
                    each(name, GapKind::Inside, inside)?;
                }
            }
            b'-' | b'0'..=b'9' => {
                let rest = text.get(at..)?;
                let is_of_number =
                    |byte: &&u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
                let number = rest.get(..rest.iter().take_while(is_of_number).count())?;
                let place = at..at + number.len();
                at = place.end;
                if number.iter().all(u8::is_ascii_digit) {
                    each(name, GapKind::Digits, place)?;
                }
            }
            _ => at += 1,
        }
    }
    Some(())
}

/// The look whether a text fits an outline.
struct Fitting<'o, 't, R, T> {
    outline: &'o Outline<R>,
    text: &'t [u8],
    take: T,
}

impl<'t, R: Copy, T: FnMut(R, Filling<'t>) -> bool> Reading for Fitting<'_, 't, R, T> {
    type End = Option<()>;

    #[expect(
        clippy::inline_always,
        reason = "its instructions are those of what calls it"
    )]
    #[inline(always)]
    fn read(
        mut self,
        goes_on: impl Fn(&[u8], usize, &[u8], Range<usize>) -> bool,
        mark: impl Fn(&[u8], usize) -> usize,
    ) -> Self::End {
        let (outline, text) = (self.outline, self.text);
        // As far as the text, and the bytes that stay the same, have been read.
        let (mut at, mut same) = (0, 0);
        for gap in &outline.gaps {
            if !goes_on(text, at, &outline.known, same..same + gap.before) {
                return None;
            }
            let start = at + gap.before;
            same += gap.before;
            let (end, text_bytes) = match gap.kind {
                GapKind::Inside => string::inside_end(text, start, &mark)?,
                GapKind::Digits => digits_end(text, start)?,
                GapKind::Place => (start, 0),
            };
            if let Some(role) = gap.role {
                let filling = Filling {
                    text: text.get(start..end)?,
                    at: start,
                    text_bytes,
                };
                if !(self.take)(role, filling) {
                    return None;
                }
            }
            at = end;
        }
        let fits = goes_on(text, at, &outline.known, same..same + outline.behind);
        (fits && at + outline.behind == text.len()).then_some(())
    }
}

/// Where the digits from `start` on end, and how many they are; `None`: there are none, or a zero
/// stands before others.
#[inline]
fn digits_end(text: &[u8], start: usize) -> Option<(usize, usize)> {
    let rest = text.get(start..)?;
    let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let is_number = count > 0 && (count == 1 || rest.first() != Some(&b'0'));
    is_number.then_some((start + count, count))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = r#"{"id": "a", "kind":"k", "n":12,"x":[1.5,"b",null, 3], "o" : {"n":7}}"#;

    fn is_kind(name: &[u8]) -> bool {
        name == b"kind"
    }

    /// What stands in the gaps that have a role; `None`: the text does not fit.
    fn taken<'t>(outline: &Outline<char>, text: &'t str) -> Option<Vec<(char, &'t str, usize)>> {
        let mut all = Vec::new();
        let fits = outline.fits(text.as_bytes(), |role, filling| {
            assert!(text.as_bytes()[filling.at..].starts_with(filling.text));
            let inside = std::str::from_utf8(filling.text).unwrap();
            all.push((role, inside, filling.text_bytes));
            inside != "no"
        });
        fits.then_some(all)
    }

    fn outline() -> Outline<char> {
        let place = |part: &str| TEXT.find(part).unwrap();
        let roles = [(place("a\""), 'i'), (place("12"), 'n'), (place("7}"), 'o')];
        Outline::of(TEXT.as_bytes(), &roles, is_kind).unwrap()
    }

    #[test]
    fn what_changes_is_told_and_what_stays_is_compared() {
        let outline = outline();
        let same = taken(&outline, TEXT).unwrap();
        assert_eq!(same, [('i', "a", 1), ('n', "12", 2), ('o', "7", 1)]);
        let other =
            r#"{"id": "\u00e9\n\"", "kind":"k", "n":0,"x":[1.5,"",null, 30], "o" : {"n":99}}"#;
        let found = taken(&outline, other).unwrap();
        assert_eq!(
            found,
            [('i', r#"\u00e9\n\""#, 3), ('n', "0", 1), ('o', "99", 2)]
        );
        for (from, to) in [
            ("\"a\"", "\"no\""),
            ("\"a\"", "null"),
            ("\"a\"", "\"\\u00x\""),
            ("\"a\"", "\"\n\""),
            ("\"k\"", "\"l\""),
            ("12", "-12"),
            ("12", "1.2"),
            ("12", "12e1"),
            ("12", ""),
            ("12", "012"),
            ("\"a\"", "\"\\x\""),
            ("1.5", "1.6"),
            ("null", "true"),
            ("\"b\"", "4"),
            ("}}", "}"),
            ("}}", "}} "),
            (", \"o\"", ",\"o\""),
        ] {
            let other = TEXT.replacen(from, to, 1);
            assert_eq!(taken(&outline, &other), None, "{other}");
        }
        for cut in 0..TEXT.len() {
            assert_eq!(taken(&outline, &TEXT[..cut]), None, "{cut}");
        }
    }

    #[test]
    fn places_are_told_wherever_they_have_moved() {
        let place = |text: &str, part: &str| text.find(part).unwrap();
        let marks = [
            ("{", 'b'),
            ("[", 'f'),
            (", \"o\"", 't'),
            ("7}", 'n'),
            ("}", 'e'),
        ];
        let places = marks.map(|(part, role)| (place(TEXT, part), role));
        let outline = Outline::with_places(TEXT.as_bytes(), &places).unwrap();
        let other = TEXT
            .replace("\"a\"", "\"\\\"longer\"")
            .replace("\"b\"", "\"\"");
        let other = other.replace("12", "1");
        let mut found = Vec::new();
        assert!(outline.fits(other.as_bytes(), |role, filling| {
            found.push((filling.at, role));
            filling.text.is_empty()
        }));
        assert_eq!(found, marks.map(|(part, role)| (place(&other, part), role)));
        assert!(!outline.fits(other.replace("[1.5", "[1.6").as_bytes(), |_, _| true));
    }

    #[test]
    fn not_all_texts_have_an_outline() {
        let of = |text: &str, roles: &[(usize, char)]| {
            Outline::of(text.as_bytes(), roles, is_kind).is_some()
        };
        assert!(of("{}", &[]) && of(r#"{"a":"b"}"#, &[(6, 'b')]));
        assert!(of(r#"{"kind":"b"}"#, &[(9, 'b')]));
        for (text, roles) in [
            ("{", &[][..]),
            (r#"{"a":01}"#, &[]),
            (r#"{"\u0061":1}"#, &[]),
            (r#"{"a":"b"}"#, &[(5, 'b')]),
            (r#"{"a":1.5}"#, &[(5, 'b')]),
            (r#"{"a":null}"#, &[(5, 'b')]),
        ] {
            assert!(!of(text, roles), "{text}");
        }
        let long = |count| format!("[{}]", vec!["true"; count].join(","));
        assert!(of(&long(OUTLINE_BYTES_MAX / 5), &[]) && !of(&long(OUTLINE_BYTES_MAX / 4), &[]));
        let many = |count| format!("[{}]", vec!["1"; count].join(","));
        assert!(of(&many(OUTLINE_GAPS_MAX), &[]) && !of(&many(OUTLINE_GAPS_MAX + 1), &[]));
    }

    proptest! {
        #[test]
        fn what_fits_differs_in_strings_and_numbers_alone(
            text in r#"\[("a{0,40}",|"\\\\n|é"|\\"|12,|\{"n":5\}|null|x|\]|,){0,8}\]"#,
            at in any::<prop::sample::Index>(), extra in prop::option::of("[a\"\\\\1,é\\]]"),
        ) {
            let outline = outline();
            prop_assert_eq!(taken(&outline, &text), None);
            let mut changed = TEXT.to_owned();
            let at = at.index(TEXT.len());
            match extra {
                Some(extra) => changed.insert_str(at, &extra),
                None => drop(changed.remove(at)),
            }
            let shape = |text: &str| -> Option<String> {
                let value: serde_json::Value = serde_json::from_str(text).ok()?;
                let value = value.as_object()?;
                let (n, o, x) = (value.get("n")?, value.get("o")?, value.get("x")?.as_array()?);
                Some(format!(
                    "{} {} {} {} {} {}", value.len(), value.get("id")?.is_string(),
                    n.is_u64(), o.get("n")?.is_u64(), value.get("kind")?, x.len(),
                ))
            };
            if taken(&outline, &changed).is_some() {
                prop_assert_eq!(shape(&changed), shape(TEXT), "{}", changed);
            }
        }
    }
}
