//! One event with gaps for what changes: whether another one fits, and how that is written.

use std::ops::Range;

use crate::wire::json::string;
use crate::wire::scan::lanes::{self, Reading};

/// Most gaps of a form.
pub const GAPS_MAX: usize = 3;

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

/// An event and what was written for it.
#[derive(Clone, Copy)]
pub(super) struct Sample<'a> {
    /// The event as it came, up to its blank line.
    pub(super) read: &'a [u8],
    /// What was written.
    pub(super) written: &'a [u8],
    /// What changes, in the order of both.
    pub(super) gaps: &'a [Gap],
    /// Bytes of its text beside that in the gaps.
    pub(super) text: usize,
}

/// One event with its gaps left open.
#[derive(Clone, Debug, Default)]
pub(super) struct Form {
    /// The bytes that stay the same as they came, and behind them those that are written and are
    /// not copied from the event.
    bytes: Vec<u8>,
    /// Where in `bytes` those that are written begin.
    known_at: usize,
    /// The gaps, and what stands before each.
    parts: [Part; GAPS_MAX],
    /// How many gaps there are.
    gaps: usize,
    /// What is written before the last known bytes.
    steps: [Step; GAPS_MAX],
    /// How many steps there are.
    count: usize,
    /// Length of the text that stays the same.
    text: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Part {
    /// Bytes before the gap, as they came.
    before: usize,
    gap: GapKind,
}

/// Known bytes that are written, and behind them a part of the event.
#[derive(Clone, Copy, Debug, Default)]
struct Step {
    /// How many bytes are known.
    known: usize,
    /// Where the part begins.
    from: Place,
    /// Where it ends.
    to: Place,
}

/// A place in an event as it came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Place {
    /// How many gaps stand before it.
    gaps: usize,
    /// Bytes between the last of these, or the event's beginning, and the place.
    behind: usize,
}

/// An event that fits.
struct Fit<'i> {
    /// The event's beginning, and the ends of its gaps.
    starts: [usize; GAPS_MAX + 1],
    passed: Passed<'i>,
}

impl Form {
    /// Becomes the form of this event.
    pub(super) fn set(&mut self, sample: &Sample<'_>) {
        let Sample {
            read, gaps, text, ..
        } = *sample;
        debug_assert!(gaps.len() <= GAPS_MAX);
        self.bytes.clear();
        self.text = text;
        self.gaps = gaps.len();
        let mut from = 0;
        for (part, gap) in self.parts.iter_mut().zip(gaps) {
            let before = &read[from..gap.read_at];
            self.bytes.extend_from_slice(before);
            *part = Part {
                before: before.len(),
                gap: gap.kind,
            };
            from = gap.read_at + gap.len;
        }
        self.bytes.extend_from_slice(&read[from..]);
        self.known_at = self.bytes.len();
        self.set_steps(sample);
    }

    /// Finds out how the event is written. Where it is written as it came, one step copies it,
    /// however many gaps are in it.
    fn set_steps(&mut self, sample: &Sample<'_>) {
        let Sample {
            read,
            written,
            gaps,
            ..
        } = *sample;
        let (mut read_from, mut written_from) = (0, 0);
        (self.steps, self.count) = ([Step::default(); GAPS_MAX], 1);
        for (number, gap) in gaps.iter().enumerate() {
            let before = &read[read_from..gap.read_at];
            let begins = Place {
                gaps: number,
                behind: 0,
            };
            let to = Place {
                gaps: number + 1,
                behind: 0,
            };
            read_from = gap.read_at + gap.len;
            let Some(written_at) = gap.written_at else {
                continue;
            };
            let known = &written[written_from..written_at];
            written_from = written_at + gap.len;
            debug_assert_eq!(
                read[gap.read_at..read_from],
                written[written_at..written_from]
            );
            let last = &mut self.steps[self.count - 1];
            if last.to == begins && known == before {
                last.to = to;
                continue;
            }
            if last.from != last.to {
                self.count += 1;
            }
            self.bytes.extend_from_slice(known);
            self.steps[self.count - 1] = Step {
                known: known.len(),
                from: Place {
                    behind: before.len(),
                    ..begins
                },
                to,
            };
        }
        let (rest, known) = (&read[read_from..], &written[written_from..]);
        let last = &mut self.steps[self.count - 1];
        if last.to.gaps == gaps.len() && known == rest {
            last.to.behind = rest.len();
        } else {
            self.bytes.extend_from_slice(known);
        }
    }

    /// If `input` begins with an event that fits, and `accept` has no objection to its texts:
    /// appends to `out` what is written for it.
    #[inline]
    pub(super) fn pass<'i>(
        &self,
        input: &'i [u8],
        accept: impl Fn(&'i [u8]) -> bool,
        out: &mut Vec<u8>,
    ) -> Option<Passed<'i>> {
        let fit = lanes::read(Fitting {
            form: self,
            input,
            accept,
        })?;
        self.write(input, &fit, out)?;
        Some(fit.passed)
    }

    /// Appends the event at the front of `input` as it is to be written.
    #[inline]
    fn write(&self, input: &[u8], fit: &Fit<'_>, out: &mut Vec<u8>) -> Option<()> {
        let mut known = self.bytes.split_at(self.known_at).1;
        for step in self.steps.get(..self.count)? {
            if step.known > 0 {
                let (own, behind) = known.split_at(step.known);
                out.extend_from_slice(own);
                known = behind;
            }
            let part = fit.place(step.from)?..fit.place(step.to)?;
            out.extend_from_slice(input.get(part)?);
        }
        if !known.is_empty() {
            out.extend_from_slice(known);
        }
        Some(())
    }
}

impl Fit<'_> {
    #[inline]
    fn place(&self, place: Place) -> Option<usize> {
        self.starts
            .get(place.gaps)
            .map(|start| start + place.behind)
    }
}

/// The look whether an event fits a form.
struct Fitting<'f, 'i, A> {
    form: &'f Form,
    input: &'i [u8],
    accept: A,
}

impl<'i, A: Fn(&'i [u8]) -> bool> Reading for Fitting<'_, 'i, A> {
    type End = Option<Fit<'i>>;

    #[expect(
        clippy::inline_always,
        reason = "its instructions are those of what calls it"
    )]
    #[inline(always)]
    fn read(
        self,
        goes_on: impl Fn(&[u8], usize, &[u8], Range<usize>) -> bool,
        mark: impl Fn(&[u8], usize) -> usize,
    ) -> Self::End {
        let (form, input) = (self.form, self.input);
        let mut starts = [0; GAPS_MAX + 1];
        let mut text_bytes = form.text;
        let mut digits: &[u8] = &[];
        // As far as the event, and the bytes that stay the same, have been read.
        let (mut at, mut same) = (0, 0);
        for (number, part) in form.parts.get(..form.gaps)?.iter().enumerate() {
            if !goes_on(input, at, &form.bytes, same..same + part.before) {
                return None;
            }
            let inside = at + part.before;
            same += part.before;
            at = match part.gap {
                GapKind::Text => {
                    let (end, text) = string::text_end(input, inside, &mark)?;
                    text_bytes = text_bytes.saturating_add(text);
                    if !(self.accept)(input.get(inside..end)?) {
                        return None;
                    }
                    end
                }
                GapKind::Silent => string::text_end(input, inside, &mark)?.0,
                GapKind::Digits => {
                    let end = digits_end(input, inside)?;
                    digits = input.get(inside..end)?;
                    end
                }
            };
            *starts.get_mut(number + 1)? = at;
        }
        if !goes_on(input, at, &form.bytes, same..form.known_at) {
            return None;
        }
        let passed = Passed {
            len: at + form.known_at - same,
            text_bytes,
            digits,
        };
        Some(Fit { starts, passed })
    }
}

#[inline]
fn digits_end(input: &[u8], start: usize) -> Option<usize> {
    let rest = input.get(start..)?;
    let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (count > 0).then_some(start + count)
}
