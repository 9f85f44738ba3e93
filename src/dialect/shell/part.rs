//! What the machine of a stream asks of a dialect: a reader and a writer, or a relay where both
//! sides speak the same.

use crate::base::endpoint::Dialect;
use crate::dialect::event::Event;
use crate::dialect::shell::books::Books;
use crate::dialect::shell::flow::{Arrived, Flow};
use crate::dialect::shell::plan::StreamPlan;
use crate::dialect::shell::sign::Sign;
use crate::wire::forms::Gap;
use crate::wire::stream_fault::StreamFault;

/// Reads the events of a provider's stream.
pub trait Reader {
    /// Begins a stream and forgets the former one; buffers are kept.
    fn reset(&mut self, plan: &StreamPlan<'_>);

    /// Tells `sink` what happens in the event with this `data`, which is neither blank nor
    /// `[DONE]`. A fault of `sink` is handed on at once.
    ///
    /// # Errors
    /// The event is not one of the dialect: the stream is over.
    fn read(
        &mut self,
        data: &[u8],
        sink: &mut impl FnMut(Event<'_>) -> Result<(), StreamFault>,
    ) -> Result<Said, StreamFault>;

    /// The provider says no more, and has given no reason why the model stops: tells `sink` what is
    /// still held. The machine itself tells of the end.
    ///
    /// # Errors
    /// Those of `sink`, or the answer must not end without a reason.
    fn flush(
        &mut self,
        sink: &mut impl FnMut(Event<'_>) -> Result<(), StreamFault>,
    ) -> Result<(), StreamFault>;

    /// Whether all content may have arrived.
    fn is_whole(&self) -> bool;

    /// What changes between events like the last one and is never read, by its place in the data
    /// (`written_at` is `None`), in order. At most [`GAPS_MAX`](crate::wire::forms::GAPS_MAX) less
    /// one count.
    fn unread(&self) -> &[Gap];
}

/// Writes the events of a caller's stream.
///
/// The stream is committed by the first byte that is written.
pub trait Writer {
    /// Begins a stream and forgets the former one; buffers are kept.
    fn reset(&mut self, plan: &StreamPlan<'_>);

    /// Appends what the caller gets for an event, as whole events of its stream: nothing for
    /// [`Event::Usage`], which stands in `books`, nor for [`Event::Error`], which is written by
    /// [`write_error`](Self::write_error). A [`Event::Done`] comes only behind a [`Event::Stop`],
    /// and text may come behind that too.
    fn write(&mut self, event: &Event<'_>, books: &Books, out: &mut Vec<u8>) -> Put;

    /// Another text was written in place of one that had been [`Put::At`] its place, and as that
    /// one was. Where that was [`Put::Upto`] a place, appends the rest of the event.
    fn note_alike(&mut self, text: &[u8], out: &mut Vec<u8>);

    /// How much of the answer waits to be written, in bytes.
    fn waiting(&self) -> usize;

    /// How much room it takes to write the rest of the answer, in bytes: what waits, and what will
    /// be repeated.
    fn kept(&self) -> usize;

    /// Appends the event that tells of an error: the data of the provider's event, in the
    /// `provider`'s dialect. Nothing follows.
    fn write_error(&mut self, error: &[u8], provider: Dialect, out: &mut Vec<u8>);

    /// The stream cannot be completed, for the reason that infermux itself gives: appends the
    /// event that says so, where the dialect has one.
    fn break_off(&mut self, reason: &str, out: &mut Vec<u8>) -> BrokenEnd;

    /// What the caller is sent while it has had content and nothing follows.
    fn sign(&self) -> Sign;

    /// The caller was sent signs of life: `next` would be the next one.
    fn note_signs(&mut self, next: Sign);
}

/// Passes the events of a stream on, where the caller speaks as the provider does.
pub trait Relay {
    /// Begins a stream and forgets the former one; buffers are kept.
    fn reset(&mut self, plan: &StreamPlan<'_>);

    /// Passes on an event whose data is neither blank nor `[DONE]`, and tells [`Flow`] of it.
    ///
    /// # Errors
    /// The stream is over.
    fn relay(
        &mut self,
        arrived: &Arrived<'_>,
        flow: &mut Flow,
        out: &mut Vec<u8>,
    ) -> Result<Said, StreamFault>;

    /// Events were passed on that differ from an earlier one in their text, and in these digits
    /// of the last of them.
    fn note_alike(&mut self, digits: &[u8]);

    /// Appends the end of a complete stream.
    ///
    /// # Errors
    /// The stream is not complete.
    fn write_end(&mut self, ending: Ending, out: &mut Vec<u8>) -> Result<(), StreamFault>;

    /// Whether every answer of the stream has its reason why the model stops.
    fn is_finished(&self) -> bool;

    /// Whether the usage that was told last is that of the whole answer.
    fn is_usage_final(&self) -> bool;

    /// Whether all content may have arrived.
    fn is_whole(&self) -> bool;

    /// See [`Writer::break_off`].
    fn break_off(&mut self, reason: &str, out: &mut Vec<u8>) -> BrokenEnd;

    /// See [`Writer::sign`].
    fn sign(&self) -> Sign;
}

/// Whether a caller is told by an event of its dialect that its stream cannot be completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokenEnd {
    /// It was: no event follows.
    Told,
    /// It was not: it gets a refusal of infermux as an event.
    Untold,
}

/// How a provider has ended a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With `[DONE]`.
    Said,
    /// With the end of its body alone.
    Left,
}

/// Whether an event has a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// It has, and the events behind it may be read in another way than those before it.
    Something,
    /// It has, and every event that came before would still be read as it was.
    More,
    /// It only shows that the provider is working.
    Nothing,
}

/// How a text was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// The text stands in the output from this place on, and another text in its place would be
    /// written alike.
    At(usize),
    /// As [`Self::At`], but only up to a place: what stands behind that changes with each event.
    Upto {
        /// The place of the text.
        at: usize,
        /// The place of what changes.
        end: usize,
    },
    /// In a way that is not to be repeated, while what came before would be written as it was.
    Aside,
    /// In a way that is not to be repeated, and what came before would now be written in another
    /// way, too.
    Anew,
}
