//! The events of a stream of Responses, as they are sent (rules V1, V3 of
//! reference/responses-inbound.md).

use crate::dialect::compose::Composer;
use crate::dialect::responses::item::{PartKind, write_part};

/// Writes events with their numbers.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// The number of the next one.
    pub(super) number: u64,
}

/// Where a part of an item stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// The item's id, the inside of a string.
    pub(super) id: &'a [u8],
    /// The item's place in the output.
    pub(super) item: u32,
    /// The part's place in the item.
    pub(super) part: usize,
}

/// Where a delta was written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    /// The place of its text.
    pub(super) text: usize,
    /// The place of its number.
    pub(super) number: usize,
}

impl Frames {
    /// Appends the event `response.` and `name`, whose members `write` adds.
    pub(super) fn write(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut Composer<'_>),
        out: &mut Vec<u8>,
    ) {
        begin(name, out);
        let mut members = Composer::within(out);
        write(&mut members);
        out.extend_from_slice(NUMBER);
        self.end(out);
    }

    /// Appends the number of an event, and its end.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(itoa::Buffer::new().format(self.number).as_bytes());
        out.extend_from_slice(b"}\n\n");
        self.number = self.number.saturating_add(1);
    }

    /// Appends the beginning or the end of the item at `index`, which stands in `item` as it is
    /// then.
    pub(super) fn item(&mut self, name: &str, index: u32, item: &[u8], out: &mut Vec<u8>) {
        let write = |event: &mut Composer<'_>| {
            event.number("output_index", index.into());
            event.raw("item", item);
        };
        self.write(name, write, out);
    }

    /// Appends the beginning of a part, where its kind has one.
    pub(super) fn begin_part(&mut self, place: Place<'_>, kind: PartKind, out: &mut Vec<u8>) {
        let words = kind.words();
        if let Some((added, _)) = words.frame {
            let write = |event: &mut Composer<'_>| {
                place.write(words, event);
                write_part(kind, b"", b"", event.member("part"));
            };
            self.write(added, write, out);
        }
    }

    /// Appends more of a part: `text` is the inside of a string, `logprobs` that of a list.
    pub(super) fn delta(
        &mut self,
        place: Place<'_>,
        kind: PartKind,
        [text, logprobs]: [&[u8]; 2],
        out: &mut Vec<u8>,
    ) -> Written {
        let words = kind.words();
        begin(words.delta, out);
        place.write(words, &mut Composer::within(out));
        out.extend_from_slice(b",\"delta\":\"");
        let at = out.len();
        out.extend_from_slice(text);
        out.push(b'"');
        if kind == PartKind::Text {
            out.extend_from_slice(b",\"logprobs\":[");
            out.extend_from_slice(logprobs);
            out.push(b']');
        }
        out.extend_from_slice(NUMBER);
        let number = out.len();
        self.end(out);
        Written { text: at, number }
    }

    /// Appends the end of a part with this text and these logprobs; `name` is that of the tool that
    /// is called, a string.
    pub(super) fn end_part(
        &mut self,
        place: Place<'_>,
        (kind, name): (PartKind, &[u8]),
        [text, logprobs]: [&[u8]; 2],
        out: &mut Vec<u8>,
    ) {
        let words = kind.words();
        let write = |event: &mut Composer<'_>| {
            place.write(words, event);
            if kind == PartKind::Arguments {
                event.raw("name", name);
            }
            let told = event.member(words.text);
            told.push(b'"');
            told.extend_from_slice(text);
            told.push(b'"');
            if kind == PartKind::Text {
                let told = event.member("logprobs");
                told.push(b'[');
                told.extend_from_slice(logprobs);
                told.push(b']');
            }
        };
        self.write(words.done, write, out);
        if let Some((_, done)) = words.frame {
            let write = |event: &mut Composer<'_>| {
                place.write(words, event);
                write_part(kind, text, logprobs, event.member("part"));
            };
            self.write(done, write, out);
        }
    }
}

impl Place<'_> {
    fn write(self, words: &Words, event: &mut Composer<'_>) {
        let id = event.member("item_id");
        id.push(b'"');
        id.extend_from_slice(self.id);
        id.push(b'"');
        event.number("output_index", self.item.into());
        if let Some(index) = words.index {
            event.number(index, u64::try_from(self.part).unwrap_or_default());
        }
    }
}

/// The names of the events of a part, and of their members.
struct Words {
    delta: &'static str,
    done: &'static str,
    /// The member that has the whole text.
    text: &'static str,
    /// The member that has the part's place in its item.
    index: Option<&'static str>,
    /// The events in which the part itself begins and ends.
    frame: Option<(&'static str, &'static str)>,
}

impl PartKind {
    const fn words(self) -> &'static Words {
        const IN_CONTENT: Option<(&str, &str)> = Some(("content_part.added", "content_part.done"));
        match self {
            Self::Summary => &Words {
                delta: "reasoning_summary_text.delta",
                done: "reasoning_summary_text.done",
                text: "text",
                index: Some("summary_index"),
                frame: Some((
                    "reasoning_summary_part.added",
                    "reasoning_summary_part.done",
                )),
            },
            Self::Text => &Words {
                delta: "output_text.delta",
                done: "output_text.done",
                text: "text",
                index: Some("content_index"),
                frame: IN_CONTENT,
            },
            Self::Refusal => &Words {
                delta: "refusal.delta",
                done: "refusal.done",
                text: "refusal",
                index: Some("content_index"),
                frame: IN_CONTENT,
            },
            Self::Arguments => &Words {
                delta: "function_call_arguments.delta",
                done: "function_call_arguments.done",
                text: "arguments",
                index: None,
                frame: None,
            },
            Self::Input => &Words {
                delta: "custom_tool_call_input.delta",
                done: "custom_tool_call_input.done",
                text: "input",
                index: None,
                frame: None,
            },
        }
    }
}

/// Appends an event up to its first member behind the type.
fn begin(name: &str, out: &mut Vec<u8>) {
    for part in [
        &b"event: response."[..],
        name.as_bytes(),
        b"\ndata: {\"type\":\"response.",
        name.as_bytes(),
        b"\"",
    ] {
        out.extend_from_slice(part);
    }
}

/// What stands before the number of an event.
const NUMBER: &[u8] = b",\"sequence_number\":";
