//! Events that differ from those before them in a piece of text alone.
//!
//! Nearly all events of a stream do. A *form* keeps what a reader has made of one of them: the
//! bytes that stay the same, both as they came and as they were written, with gaps for what
//! changes. An event that fits a form need not be read again.

use crate::base::limits::FORM_BYTES_MAX;
use crate::wire::json::string;

/// Most forms of one stream; an answer with several choices needs one for each.
const FORMS_MAX: usize = 4;
/// Most gaps of a form.
pub const GAPS_MAX: usize = 3;
/// How many events may bring a new form before one has fitted.
const CREDIT: u8 = 8;

/// What changes from event to event, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Its place in the event as it came: of a string, behind the opening quote.
    pub read_at: usize,
    /// Its place in the event as it was written; `None`: it was not.
    pub written_at: Option<usize>,
    /// Its length, the same in both.
    pub len: usize,
    /// What it is.
    pub kind: GapKind,
}

impl Gap {
    /// None.
    pub const NONE: Self = Self {
        read_at: 0,
        written_at: None,
        len: 0,
        kind: GapKind::Text,
    };
}

/// What stands in a gap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GapKind {
    /// The inside of a string that counts as text.
    #[default]
    Text,
    /// The inside of a string that does not count.
    Silent,
    /// Digits, which do not count.
    Digits,
}

/// The forms of one stream.
#[derive(Debug)]
pub struct Forms {
    forms: [Form; FORMS_MAX],
    /// How many there are.
    count: usize,
    /// The one that fitted last.
    recent: usize,
    /// How many more forms may come. An event that fits gives back what a new form costs, so that a
    /// stream whose events are all different does not pay for each of them.
    credit: u8,
}

impl Default for Forms {
    fn default() -> Self {
        Self {
            forms: std::array::from_fn(|_| Form::default()),
            count: 0,
            recent: 0,
            credit: CREDIT,
        }
    }
}

/// An event that fitted a form and was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed<'i> {
    /// Its length.
    pub len: usize,
    /// How much text it has, as [`string_len`](crate::wire::json::Value::string_len) counts it.
    pub text_bytes: usize,
    /// The digits in its last gap of such; empty: it has none.
    pub digits: &'i [u8],
}

impl Forms {
    /// Prepares for a new stream.
    pub const fn reset(&mut self) {
        self.forget();
        self.credit = CREDIT;
    }

    /// Forgets all forms, because what they were written for has changed.
    pub const fn forget(&mut self) {
        self.count = 0;
    }

    /// Whether another form may be [learned](Self::learn).
    #[must_use]
    pub const fn wants_more(&self) -> bool {
        self.credit > 0
    }

    /// Keeps the form of an event that came as `read`, up to its blank line, and was written as
    /// `written`. `gaps` are in order, on both sides; beside the text in them, the event had `text`
    /// bytes of text.
    pub fn learn(&mut self, read: &[u8], written: &[u8], gaps: &[Gap], text: usize) {
        if !self.wants_more() || read.len() + written.len() > FORM_BYTES_MAX {
            return;
        }
        self.credit -= 1;
        let place = if self.count < FORMS_MAX {
            self.count += 1;
            self.count - 1
        } else {
            (self.recent + 1) % FORMS_MAX
        };
        self.recent = place;
        self.forms[place].set(read, written, gaps, text);
    }

    /// If the first event of `input` fits a form, and `accept` has no objection to its texts:
    /// appends to `out` what a reader of the event would write.
    #[inline]
    pub fn pass<'i>(
        &mut self,
        input: &'i [u8],
        accept: impl Fn(&'i [u8]) -> bool,
        out: &mut Vec<u8>,
    ) -> Option<Passed<'i>> {
        let forms = self.forms.get(..self.count)?;
        let recent = forms.get(self.recent)?;
        let passed = recent.pass(input, &accept, out).or_else(|| {
            let mut forms = forms.iter().enumerate();
            forms.find_map(|(place, form)| {
                let passed = form.pass(input, &accept, out)?;
                self.recent = place;
                Some(passed)
            })
        })?;
        self.credit = CREDIT.min(self.credit + 1);
        Some(passed)
    }
}

/// One event with its gaps left open.
#[derive(Clone, Debug, Default)]
struct Form {
    /// The bytes that stay the same: first as they came, then as they were written.
    bytes: Vec<u8>,
    /// Where in `bytes` those that were written begin.
    written_at: usize,
    /// A gap and what stands before it.
    parts: [Part; GAPS_MAX],
    /// How many gaps there are.
    gaps: usize,
    /// Length of the text that stays the same.
    text: usize,
    /// Whether the event was written as it came.
    is_unchanged: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Part {
    /// Bytes before the gap, as they came; the next field has them as they were written.
    read: usize,
    written: usize,
    gap: GapKind,
    /// Whether the gap is only read.
    is_unwritten: bool,
}

impl Form {
    fn set(&mut self, read: &[u8], written: &[u8], gaps: &[Gap], text: usize) {
        debug_assert!(gaps.len() <= GAPS_MAX);
        self.bytes.clear();
        self.text = text;
        self.gaps = gaps.len();
        let is_in_place = |gap: &Gap| gap.written_at == Some(gap.read_at);
        self.is_unchanged = read == written && gaps.iter().all(is_in_place);
        let (mut read_from, mut written_from) = (0, 0);
        for (part, gap) in self.parts.iter_mut().zip(gaps) {
            let inside = &read[gap.read_at..][..gap.len];
            debug_assert!(
                gap.written_at
                    .is_none_or(|at| written[at..][..gap.len] == *inside)
            );
            *part = Part {
                read: gap.read_at - read_from,
                written: gap.written_at.map_or(0, |at| at - written_from),
                gap: gap.kind,
                is_unwritten: gap.written_at.is_none(),
            };
            self.bytes.extend_from_slice(&read[read_from..gap.read_at]);
            read_from = gap.read_at + gap.len;
            written_from = gap.written_at.map_or(written_from, |at| at + gap.len);
        }
        self.bytes.extend_from_slice(&read[read_from..]);
        self.written_at = self.bytes.len();
        written_from = 0;
        for (at, len) in gaps
            .iter()
            .filter_map(|gap| Some((gap.written_at?, gap.len)))
        {
            self.bytes.extend_from_slice(&written[written_from..at]);
            written_from = at + len;
        }
        self.bytes.extend_from_slice(&written[written_from..]);
    }

    #[inline]
    fn pass<'i>(
        &self,
        input: &'i [u8],
        accept: impl Fn(&'i [u8]) -> bool,
        out: &mut Vec<u8>,
    ) -> Option<Passed<'i>> {
        let parts = self.parts.get(..self.gaps)?;
        let mut fixed = self.bytes.split_at(self.written_at).0;
        let mut ends = [0; GAPS_MAX];
        let mut text_bytes = self.text;
        let mut digits: &[u8] = &[];
        let mut at = 0;
        for (part, end) in parts.iter().zip(&mut ends) {
            let (before, after) = fixed.split_at(part.read);
            let inside = at + before.len();
            if input.get(at..inside)? != before {
                return None;
            }
            at = match part.gap {
                GapKind::Text => {
                    let (end, text) = string::text_end(input, inside)?;
                    text_bytes = text_bytes.saturating_add(text);
                    if !accept(input.get(inside..end)?) {
                        return None;
                    }
                    end
                }
                GapKind::Silent => string::text_end(input, inside)?.0,
                GapKind::Digits => {
                    let end = digits_end(input, inside)?;
                    digits = input.get(inside..end)?;
                    end
                }
            };
            *end = at;
            fixed = after;
        }
        let len = at + fixed.len();
        if input.get(at..len)? != fixed {
            return None;
        }
        if self.is_unchanged {
            out.extend_from_slice(input.get(..len)?);
        } else {
            self.write(input, ends, out);
        }
        Some(Passed {
            len,
            text_bytes,
            digits,
        })
    }

    /// Appends the event at the front of `input`, whose gaps end at `ends`, as it is to be written.
    #[inline]
    fn write(&self, input: &[u8], ends: [usize; GAPS_MAX], out: &mut Vec<u8>) {
        let mut written = self.bytes.split_at(self.written_at).1;
        let mut at = 0;
        out.reserve(written.len() + ends.into_iter().max().unwrap_or_default());
        for (part, end) in self.parts.iter().take(self.gaps).zip(ends) {
            if !part.is_unwritten {
                let (before, after) = written.split_at(part.written);
                out.extend_from_slice(before);
                out.extend_from_slice(input.get(at + part.read..end).unwrap_or_default());
                written = after;
            }
            at = end;
        }
        out.extend_from_slice(written);
    }
}

fn digits_end(input: &[u8], start: usize) -> Option<usize> {
    let rest = input.get(start..)?;
    let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (count > 0).then_some(start + count)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The event `read` and what was written for it; a gap stands for each `<`…`>`, whose first
    /// character tells its kind; one that begins with `-` was not written.
    fn learn(forms: &mut Forms, read: &str, written: &str) {
        let plain = |text: &str| text.replace(['<', '>'], "");
        let (mut gaps, mut read_from, mut written_from) = (Vec::new(), 0, 0);
        let mut written_gaps = 0;
        while let Some(open) = read[read_from..].find('<') {
            let inside = read_from + open + 1;
            let len = read[inside..].find('>').unwrap();
            let is_written = read.as_bytes()[inside] != b'-';
            let there =
                is_written.then(|| written_from + written[written_from..].find('<').unwrap());
            gaps.push(Gap {
                read_at: inside - 2 * gaps.len() - 1,
                written_at: there.map(|at| at - 2 * written_gaps),
                len,
                kind: match read.as_bytes()[inside] {
                    b'0'..=b'9' => GapKind::Digits,
                    b's' | b'-' => GapKind::Silent,
                    _ => GapKind::Text,
                },
            });
            read_from = inside + len + 1;
            if let Some(there) = there {
                written_from = there + len + 2;
                written_gaps += 1;
            }
        }
        forms.learn(plain(read).as_bytes(), plain(written).as_bytes(), &gaps, 3);
    }

    fn apply(forms: &mut Forms, input: &str) -> Option<(String, usize, usize)> {
        let mut out = b"before".to_vec();
        let passed = forms.pass(input.as_bytes(), |_| true, &mut out);
        let written = String::from_utf8(out.split_off(6)).unwrap();
        let Some(Passed {
            len,
            text_bytes,
            digits,
        }) = passed
        else {
            assert_eq!(written, "");
            return None;
        };
        assert!(digits.iter().all(u8::is_ascii_digit));
        assert_eq!(forms.pass(input.as_bytes(), |_| false, &mut out), None);
        Some((written, len, text_bytes))
    }

    #[test]
    fn what_fits_is_written_like_the_first() {
        let mut forms = Forms::default();
        assert!(apply(&mut forms, "anything").is_none());
        learn(
            &mut forms,
            "{\"a\":\"<text>\",\"s\":\"<s>\",\"n\":<1>,\"u\":null}\n\n",
            "[\"<text>\",\"<s>\",<1>]\n\n",
        );
        let event = "{\"a\":\"\\u00e9 é\\\"\",\"s\":\"xyz\",\"n\":20,\"u\":null}\n\n";
        let (out, len, text) = apply(&mut forms, &format!("{event}more")).unwrap();
        assert_eq!(out, "[\"\\u00e9 é\\\"\",\"xyz\",20]\n\n");
        assert_eq!((len, text), (event.len(), 3 + 1 + 1 + 2 + 1));
        for (cut, _) in event.char_indices() {
            assert!(apply(&mut forms, &event[..cut]).is_none(), "{cut}");
        }
        for other in [
            "{\"a\":\"\",\"s\":\"xyz\",\"n\":20,\"u\":null}\n\n",
            "{\"a\":\"x\ny\",\"s\":\"xyz\",\"n\":20,\"u\":null}\n\n",
            "{\"a\":\"x\\\ny\",\"s\":\"xyz\",\"n\":20,\"u\":null}\n\n",
            "{\"a\":\"x\",\"s\":\"xyz\",\"n\":-20,\"u\":null}\n\n",
            "{\"a\":\"x\",\"s\":\"xyz\",\"n\":2.5,\"u\":null}\n\n",
            "{\"a\":\"x\",\"s\":null,\"n\":20,\"u\":null}\n\n",
            "{\"a\":\"x\",\"s\":\"xyz\",\"n\":20,\"u\":{}}\n\n",
            "{\"a\":\"x\",\"s\":\"xyz\",\"n\":20,\"u\":null}\n\r",
            "{\"a\":\"\\u00é\",\"s\":\"xyz\",\"n\":20,\"u\":null}\n\n",
            "{\"b\":\"x\",\"s\":\"xyz\",\"n\":20,\"u\":null}\n\n",
        ] {
            assert!(apply(&mut forms, other).is_none(), "{other:?}");
        }
    }

    #[test]
    fn what_changes_and_is_not_written_is_skipped() {
        for (read, written) in [
            ("[\"<-x>\",\"<text>\",\"<-y>\"]\n\n", "(\"<text>\")\n\n"),
            ("[\"<-x>\",\"<-y>\",\"<text>\"]\n\n", "(\"<text>\")\n\n"),
            ("[\"<text>\",\"<-x>\",\"<-y>\"]\n\n", "(\"<text>\")\n\n"),
        ] {
            let mut forms = Forms::default();
            learn(&mut forms, read, written);
            let event = read
                .replace("<-x>", "")
                .replace("<-y>", "other")
                .replace("<text>", "abc");
            let empty = apply(&mut forms, &event.replace("\"\"", "\"longer than before\""));
            let (out, len, text) = empty.unwrap();
            assert_eq!(out, "(\"abc\")\n\n");
            assert_eq!((len, text), (event.len() + 18, 3 + 3));
        }
    }

    #[test]
    fn several_forms_are_known_at_a_time() {
        let mut forms = Forms::default();
        for letter in ["p", "q", "r", "t", "u"] {
            learn(
                &mut forms,
                &format!("{letter}\"<x>\""),
                &format!("{letter}<x>"),
            );
        }
        for (letter, is_known) in [("p", false), ("q", true), ("r", true), ("u", true)] {
            let found = apply(&mut forms, &format!("{letter}\"abc\""));
            assert_eq!(found, is_known.then(|| (format!("{letter}abc"), 6, 6)));
        }
        forms.forget();
        assert!(apply(&mut forms, "q\"abc\"").is_none());
    }

    #[test]
    fn a_stream_without_likeness_is_given_up() {
        let mut forms = Forms::default();
        let mut learned = 0;
        while forms.wants_more() {
            learn(&mut forms, "a\"<x>\"", "<x>");
            learned += 1;
        }
        assert_eq!(learned, CREDIT);
        learn(&mut forms, "b\"<x>\"", "<x>");
        assert!(apply(&mut forms, "b\"y\"").is_none() && apply(&mut forms, "a\"y\"").is_some());
        assert!(forms.wants_more());
        let long = format!("c{}\"<x>\"", "c".repeat(FORM_BYTES_MAX));
        learn(&mut forms, &long, "<x>");
        assert!(forms.wants_more());
    }
}
