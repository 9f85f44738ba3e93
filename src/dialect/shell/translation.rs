//! A stream whose sides speak different dialects: what the reader tells, the writer writes.

use crate::base::endpoint::Dialect;
use crate::base::limits::WAITING_BLOCKS_BYTES_MAX;
use crate::dialect::event::{Event, Stop};
use crate::dialect::shell::flow::{Alone, Arrived, Flow};
use crate::dialect::shell::part::{Put, Reader, Said, Writer};
use crate::wire::forms::{GAPS_MAX, Gap, GapKind};
use crate::wire::json;
use crate::wire::stream_fault::StreamFault;

/// What an event of the provider goes through.
pub(super) struct Translation<'t, R, W> {
    pub(super) reader: &'t mut R,
    pub(super) teller: Teller<'t, W>,
}

/// Tells the caller.
pub(super) struct Teller<'t, W> {
    pub(super) writer: &'t mut W,
    /// The dialect of errors.
    pub(super) provider: Dialect,
    pub(super) flow: &'t mut Flow,
    pub(super) out: &'t mut Vec<u8>,
}

/// What the reader has told of one event.
#[derive(Default)]
struct Heard {
    events: usize,
    /// The text of the first of them, where it was written as others would be.
    copied: Option<Copied>,
    /// Whether events like the former ones would now be written in another way.
    is_anew: bool,
    is_done: bool,
}

/// A text that was copied from an event's data to the output.
struct Copied {
    read_at: usize,
    written_at: usize,
    len: usize,
    /// Where what was written, and would be written alike, ends.
    end: usize,
}

impl<R: Reader, W: Writer> Translation<'_, R, W> {
    /// Takes in an event whose data is neither blank nor `[DONE]`.
    pub(super) fn take(&mut self, arrived: &Arrived<'_>) -> Result<Said, StreamFault> {
        let start = self.teller.out.len();
        let mut heard = Heard::default();
        let said = self.reader.read(arrived.data, &mut |event| {
            self.teller.tell(&event, &mut heard)
        })?;
        if said == Said::Something || heard.is_anew {
            self.teller.flow.forms.forget();
        } else if let Some(copied) = heard.copied.filter(|_| heard.events == 1)
            && self.teller.flow.wants_form()
            && let Some(event) = arrived.alone()
        {
            self.learn(&copied, event, start);
        }
        if self.teller.writer.waiting() > WAITING_BLOCKS_BYTES_MAX {
            return Err(StreamFault::EventTooLong);
        }
        if heard.is_done {
            self.end()?;
        }
        Ok(said)
    }

    /// The answer is complete, as the provider says or as its reason for stopping shows.
    pub(super) fn end(&mut self) -> Result<(), StreamFault> {
        let teller = &mut self.teller;
        if !teller.flow.is_committed {
            return Err(StreamFault::NoContent);
        }
        if !teller.flow.has_stopped {
            let mut sink = |event: Event<'_>| teller.tell(&event, &mut Heard::default());
            self.reader.flush(&mut sink)?;
            sink(Event::Stop {
                reason: Stop::End,
                sequence: None,
                explanation: None,
            })?;
        }
        let Teller {
            writer, flow, out, ..
        } = teller;
        writer.write(&Event::Done, &flow.books, out);
        flow.is_done = true;
        Ok(())
    }

    /// Learns the form of an event that told one text and was written from `start` on.
    fn learn(&mut self, copied: &Copied, event: Alone<'_>, start: usize) {
        let text = Gap {
            read_at: event.data_at + copied.read_at,
            written_at: Some(copied.written_at - start),
            len: copied.len,
            kind: GapKind::Text,
        };
        let mut gaps = [Gap::NONE; GAPS_MAX];
        let unread = self.reader.unread().iter().map(|gap| Gap {
            read_at: event.data_at + gap.read_at,
            ..*gap
        });
        let mut count = 0;
        for (place, gap) in gaps.iter_mut().zip(std::iter::once(text).chain(unread)) {
            *place = gap;
            count += 1;
        }
        let gaps = &mut gaps[..count];
        gaps.sort_unstable_by_key(|gap| gap.read_at);
        let Teller { flow, out, .. } = &mut self.teller;
        let written = out.get(start..copied.end).unwrap_or_default();
        flow.forms.learn(event.text, written, gaps, 0);
    }
}

impl<W: Writer> Teller<'_, W> {
    #[inline]
    fn tell(&mut self, event: &Event<'_>, heard: &mut Heard) -> Result<(), StreamFault> {
        heard.events += 1;
        let flow = &mut *self.flow;
        let mut piece = None;
        match *event {
            Event::Text(text)
            | Event::Thought(text)
            | Event::Refusal(text)
            | Event::ToolArguments { text, .. } => {
                flow.books.count_text(json::text_len(text.text));
                piece = Some(text);
            }
            Event::ToolStart { name, .. } => flow.books.count_text(json::text_len(name)),
            Event::Start { model, id } => {
                flow.note_model(model.unwrap_or_default());
                flow.note_id(id.unwrap_or_default());
            }
            Event::Stop { .. } => flow.has_stopped = true,
            Event::Usage {
                usage,
                thinking,
                is_total,
            } => flow.books.take(usage, thinking, is_total),
            Event::Done => {
                heard.is_done = true;
                return Ok(());
            }
            Event::Error(data) => {
                let (writer, provider) = (&mut *self.writer, self.provider);
                let write = |out: &mut Vec<u8>| writer.write_error(data, provider, out);
                return Err(flow.on_error(data, self.out, write));
            }
            Event::Signature(_) | Event::Logprobs(_) | Event::Tier(_) | Event::ToolEnd { .. } => {}
        }
        let before = self.out.len();
        let put = self.writer.write(event, &flow.books, self.out);
        let copied = match put {
            Put::At(at) => Some((at, self.out.len())),
            Put::Upto { at, end } => Some((at, end)),
            Put::Aside | Put::Anew => None,
        };
        if let (Some((written_at, end)), Some(piece)) = (copied, piece)
            && let Some(read_at) = piece.at
        {
            heard.copied = Some(Copied {
                read_at,
                written_at,
                len: piece.text.len(),
                end,
            });
        }
        heard.is_anew |= put == Put::Anew;
        flow.is_committed |= self.out.len() > before;
        flow.has_unseen |= piece.is_some() && !flow.is_committed;
        Ok(())
    }
}
