//! Events that differ from those before them in a piece of text alone.
//!
//! Nearly all events of a stream do. A *form* keeps what a reader has made of one of them: the
//! bytes that stay the same, both as they came and as they were written, with gaps for what
//! changes. An event that fits a form need not be read again.

use crate::base::limits::FORM_BYTES_MAX;

use form::{Form, Sample};

pub use form::{GAPS_MAX, Gap, GapKind, Passed};

mod form;

/// Most forms of one stream; an answer with several choices needs one for each.
const FORMS_MAX: usize = 4;
/// How many events may bring a new form before one has fitted.
const CREDIT: u8 = 8;

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
        self.forms[place].set(&Sample {
            read,
            written,
            gaps,
            text,
        });
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
        if input.is_empty() {
            return None;
        }
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
        if text_bytes > 3 {
            assert_eq!(forms.pass(input.as_bytes(), |_| false, &mut out), None);
        }
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
    fn what_is_written_as_it_came_is_copied() {
        for (read, written) in [
            (
                "{\"a\":\"<text>\",\"n\":<1>,\"u\":null}\n\n",
                "{\"a\":\"<text>\",\"n\":<1>,\"u\":null}\n\n",
            ),
            (
                "{\"a\":\"<text>\",\"n\":<1>,\"u\":null}\n\n",
                "{\"a\":\"<text>\",\"n\":<1>}\n\n",
            ),
            (
                "{\"m\":\"theirs\",\"a\":\"<text>\",\"n\":<1>}\n\n",
                "{\"m\":\"own\",\"a\":\"<text>\",\"n\":<1>}\n\n",
            ),
            (
                "{\"a\":\"<text>\",\"b\":true,\"n\":<1>}\n\n",
                "{\"a\":\"<text>\",\"n\":<1>}\n\n",
            ),
            ("{}\n\n", "{}\n\n"),
            ("{}\n\n", "{ }\n\n"),
        ] {
            let mut forms = Forms::default();
            learn(&mut forms, read, written);
            let filled = |text: &str| text.replace("<text>", "a\\nb").replace("<1>", "27");
            let event = filled(read);
            let (out, len, text) = apply(&mut forms, &event).unwrap();
            assert_eq!((out, len), (filled(written), event.len()));
            assert_eq!(text, if read.contains('<') { 3 + 3 } else { 3 });
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
