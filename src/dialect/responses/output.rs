//! The output of a streamed response: its items, one after another (rule V3 of
//! reference/responses-inbound.md).

use super::frames::{Frames, Place, Written};
use super::ids::Ids;
use super::item::{Item, Kind, Part, PartKind, Standing};
use crate::base::limits::KEPT_BUFFER_BYTES_MAX;
use crate::dialect::compose::Composer;
use crate::dialect::event::Piece;
use crate::dialect::queue::Queue;
use crate::dialect::shell::part::Put;

/// The output, as far as it has come.
#[derive(Debug, Default)]
pub(super) struct Output {
    ids: Ids,
    pub(super) frames: Frames,
    /// The items that have begun and not ended; the first one is open.
    pub(super) queue: Queue<Item>,
    /// The place of the first one in the output, and its id.
    index: u32,
    id: Vec<u8>,
    /// The items that have ended, as the inside of a list.
    done: Vec<u8>,
    /// What the caller sends back with reasoning.
    pub(super) mark: Option<&'static str>,
    /// The logprobs of the text that comes next, the inside of a list.
    pub(super) logprobs: Vec<u8>,
}

impl Output {
    /// Begins another output, and forgets the former one; buffers are kept.
    pub(super) fn reset(&mut self, ids: Ids, mark: Option<&'static str>) {
        let mut old = std::mem::take(self);
        old.queue.clear();
        for buffer in [&mut old.id, &mut old.done, &mut old.logprobs] {
            buffer.clear();
            buffer.shrink_to(KEPT_BUFFER_BYTES_MAX);
        }
        *self = Self {
            ids,
            queue: old.queue,
            id: old.id,
            done: old.done,
            mark,
            logprobs: old.logprobs,
            ..Self::default()
        };
    }

    /// Appends an event of this name; `write` gets the items that have ended, as the inside of a
    /// list, and adds the event's members.
    pub(super) fn write(
        &mut self,
        name: &str,
        write: impl FnOnce(&[u8], &mut Composer<'_>),
        out: &mut Vec<u8>,
    ) {
        let done = self.done.strip_suffix(b",").unwrap_or_default();
        self.frames.write(name, |event| write(done, event), out);
    }

    /// How much room it takes, in bytes.
    pub(super) fn room(&self) -> usize {
        self.queue.room() + self.done.len()
    }

    /// Another text was written in place of one before, up to the number of its event.
    pub(super) fn note_alike(&mut self, text: &[u8], out: &mut Vec<u8>) {
        if let Some(head) = self.queue.head() {
            if let Kind::Function(_) = head.kind {
                head.arguments.take(text);
            }
            if let Some(part) = head.parts.last_mut() {
                part.add(text, b"");
                part.told = part.text.len();
            }
        }
        self.frames.end(out);
    }

    /// Text goes to the last item, if that is of its kind, and there to the last part, if that is.
    pub(super) fn write_text(
        &mut self,
        kind: Kind,
        part: PartKind,
        piece: Piece<'_>,
        out: &mut Vec<u8>,
    ) -> Put {
        let is_of_last = self.queue.last().is_some_and(|last| last.kind == kind);
        if !is_of_last {
            self.append(Item::new(kind), out);
        }
        let is_head = self.queue.is_one();
        let Some(last) = self.queue.last() else {
            return Put::Anew;
        };
        let is_same = last.parts.last().is_some_and(|last| last.kind == part);
        if !is_same {
            if is_head {
                self.end_part(out);
            }
            self.add_part(part, out);
        }
        let is_plain = self.logprobs.is_empty();
        let Some(last) = self.queue.last().and_then(|last| last.parts.last_mut()) else {
            return Put::Anew;
        };
        let grown = last.add(piece.text, &self.logprobs);
        if !is_head {
            self.queue.grow(grown);
            self.logprobs.clear();
            return if is_of_last { Put::Aside } else { Put::Anew };
        }
        last.told = last.text.len();
        let place = Place {
            id: &self.id,
            item: self.index,
            part: 0,
        };
        let place = self.queue.head().map_or(place, |head| Place {
            part: head.parts.len().saturating_sub(1),
            ..place
        });
        let text = [piece.text, &self.logprobs];
        let written = self.frames.delta(place, part, text, out);
        self.logprobs.clear();
        match (is_of_last && is_same, is_plain) {
            (true, true) => alike(written),
            (true, false) => Put::Aside,
            (false, _) => Put::Anew,
        }
    }

    /// Adds a part to the last item, and begins it if that is open.
    fn add_part(&mut self, kind: PartKind, out: &mut Vec<u8>) {
        let is_head = self.queue.is_one();
        let Some(last) = self.queue.last() else {
            return;
        };
        let part = last.parts.len();
        last.parts.push(Part::new(kind));
        if is_head {
            let place = Place {
                id: &self.id,
                item: self.index,
                part,
            };
            self.frames.begin_part(place, kind, out);
        } else {
            self.queue.grow(size_of::<Part>());
        }
    }

    /// Adds to the arguments of a call.
    pub(super) fn write_arguments(&mut self, call: u32, text: Piece<'_>, out: &mut Vec<u8>) -> Put {
        let (is_head, is_alone) = (self.queue.is_head(call), self.queue.is_one());
        // What comes for an item that was closed as whole has no place any more.
        let Some(item) = self.queue.call(call) else {
            return Put::Aside;
        };
        item.arguments.take(text.text);
        let is_told = matches!(item.kind, Kind::Function(_)) && item.arguments.is_some;
        let Some(part) = item.parts.last_mut() else {
            return Put::Aside;
        };
        let is_next = part.told == part.text.len();
        let grown = part.add(text.text, b"");
        if !is_head {
            self.queue.grow(grown);
            return Put::Aside;
        }
        // Readers parse what has come so far, and fail on white space alone.
        let written = is_told.then(|| self.tell_arguments(out)).flatten();
        if !is_alone {
            self.settle(out);
            return Put::Anew;
        }
        match written {
            Some(written) if is_next => alike(written),
            Some(_) | None => Put::Aside,
        }
    }

    /// Tells what has not been told of the first item's arguments, if there is anything.
    fn tell_arguments(&mut self, out: &mut Vec<u8>) -> Option<Written> {
        let part = self.queue.head()?.parts.last_mut()?;
        let text = part.text.get(part.told..).filter(|text| !text.is_empty())?;
        let place = Place {
            id: &self.id,
            item: self.index,
            part: 0,
        };
        let written = self.frames.delta(place, part.kind, [text, b""], out);
        part.told = part.text.len();
        Some(written)
    }

    /// Adds an item behind the others; the first one is open at once.
    pub(super) fn append(&mut self, item: Item, out: &mut Vec<u8>) {
        self.queue.push(item);
        if self.queue.is_one() {
            self.open(out);
        }
        self.settle(out);
    }

    /// Closes the first item as long as it is finished and another one waits.
    pub(super) fn settle(&mut self, out: &mut Vec<u8>) {
        while self.queue.is_head_due() {
            self.close(Standing::Completed, out);
            self.open(out);
        }
    }

    /// Starts the first item, with what it has so far.
    pub(super) fn open(&mut self, out: &mut Vec<u8>) {
        let Some(head) = self.queue.head() else {
            return;
        };
        self.id.clear();
        let prefix = head.kind.prefix();
        self.ids.write_item(prefix, self.index, &mut self.id);
        let mut item = Vec::new();
        head.write(&self.id, Standing::Begun, None, &mut item);
        self.frames
            .item("output_item.added", self.index, &item, out);
        match head.kind {
            Kind::Function(_) if head.arguments.is_some => {
                self.tell_arguments(out);
            }
            Kind::Function(_) | Kind::Custom(_) => {}
            Kind::Reasoning | Kind::Message => {
                let last = head.parts.len().saturating_sub(1);
                for (number, part) in head.parts.iter_mut().enumerate() {
                    let place = Place {
                        id: &self.id,
                        item: self.index,
                        part: number,
                    };
                    let text = [&*part.text, &*part.logprobs];
                    self.frames.begin_part(place, part.kind, out);
                    if !part.text.is_empty() {
                        self.frames.delta(place, part.kind, text, out);
                    }
                    if number < last {
                        self.frames.end_part(place, (part.kind, b""), text, out);
                    }
                    part.told = part.text.len();
                }
            }
        }
    }

    /// Ends the open part of the first item, if it has one.
    fn end_part(&mut self, out: &mut Vec<u8>) {
        let Some(head) = self.queue.head() else {
            return;
        };
        if let Some(part) = head.parts.last() {
            let place = Place {
                id: &self.id,
                item: self.index,
                part: head.parts.len() - 1,
            };
            let (kind, text) = ((part.kind, &*head.name), [&*part.text, &*part.logprobs]);
            self.frames.end_part(place, kind, text, out);
        }
    }

    /// Ends the first item.
    pub(super) fn close(&mut self, standing: Standing, out: &mut Vec<u8>) {
        if let Some(head) = self.queue.head()
            && let Kind::Function(_) | Kind::Custom(_) = head.kind
        {
            head.finish();
            self.tell_arguments(out);
        }
        self.end_part(out);
        let Some(head) = self.queue.pop() else {
            return;
        };
        let start = self.done.len();
        head.write(&self.id, standing, self.mark, &mut self.done);
        let item = self.done.get(start..).unwrap_or_default();
        self.frames.item("output_item.done", self.index, item, out);
        self.done.push(b',');
        self.index = self.index.saturating_add(1);
    }
}

/// A delta that would be written alike with another text, up to its number.
const fn alike(written: Written) -> Put {
    Put::Upto {
        at: written.text,
        end: written.number,
    }
}
