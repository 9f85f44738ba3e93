//! How far a stream has come: what its machine and a relay share.

use memchr::memchr2;

use crate::base::limits::{
    HELD_BACK_BYTES_MAX, KEPT_BUFFER_BYTES_MAX, MODEL_NAME_BYTES_MAX, REQUEST_ID_BYTES_MAX,
};
use crate::dialect::shell::books::Books;
use crate::dialect::shell::plan::StreamPlan;
use crate::wire::forms::{Forms, Gap};
use crate::wire::json;
use crate::wire::stream_fault::StreamFault;

/// An event that has arrived.
#[derive(Clone, Copy, Debug)]
pub struct Arrived<'a> {
    /// Its data.
    pub data: &'a [u8],
    /// What its `event` line says, where it has one.
    pub name: Option<&'a [u8]>,
    /// All of it as it came, up to its blank line, if it is at hand in one piece.
    pub event: Option<&'a [u8]>,
}

/// An event that can become a form: it has one line of data, and no line behind it.
#[derive(Clone, Copy, Debug)]
pub struct Alone<'a> {
    /// All of it, up to its blank line.
    pub text: &'a [u8],
    /// Where its data begins.
    pub data_at: usize,
}

impl<'a> Arrived<'a> {
    /// The event, if it can become a form.
    #[must_use]
    pub fn alone(&self) -> Option<Alone<'a>> {
        let text = self.event?;
        let before = text.strip_suffix(b"\n\n")?.strip_suffix(self.data)?;
        memchr2(b'\n', b'\r', self.data).is_none().then_some(Alone {
            text,
            data_at: before.len(),
        })
    }
}

/// How far a stream has come.
#[derive(Debug, Default)]
pub struct Flow {
    /// What it has used.
    pub books: Books,
    /// Forms of the most frequent events.
    pub(super) forms: Forms,
    /// Events before the first content, as the caller will get them.
    held: Vec<u8>,
    pub(super) is_committed: bool,
    /// Whether the model has said something of late that the caller is not shown.
    pub(super) has_unseen: bool,
    /// Whether a reader has told why the model stops.
    pub(super) has_stopped: bool,
    pub(super) is_done: bool,
    pub(super) fault: Option<StreamFault>,
    upstream_model: Vec<u8>,
    /// Whether the answer's id is wanted.
    wants_id: bool,
    answer_id: Vec<u8>,
    error: Vec<u8>,
}

impl Flow {
    pub(super) fn reset(&mut self, plan: &StreamPlan<'_>) {
        let old = std::mem::take(self);
        let [held, upstream_model, error] = [old.held, old.upstream_model, old.error].map(emptied);
        let answer_id = emptied(old.answer_id);
        let mut forms = old.forms;
        forms.reset();
        *self = Self {
            books: Books {
                tariff: plan.tariff,
                ..Books::default()
            },
            forms,
            held,
            upstream_model,
            answer_id,
            error,
            ..Self::default()
        };
    }

    /// Whether the caller is sent what is written, so that no other provider can take over.
    #[must_use]
    pub const fn is_committed(&self) -> bool {
        self.is_committed
    }

    /// The first content is there: what was held back goes before it.
    pub fn commit(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.is_committed, true) {
            out.append(&mut self.held);
        }
    }

    /// Where the next event is to be written: to the caller, or to what is held back.
    pub const fn place<'o>(&'o mut self, out: &'o mut Vec<u8>) -> &'o mut Vec<u8> {
        if self.is_committed {
            out
        } else {
            &mut self.held
        }
    }

    /// Checks how much is held back.
    ///
    /// # Errors
    /// It is too much.
    pub const fn check_held(&self) -> Result<(), StreamFault> {
        if self.held.len() > HELD_BACK_BYTES_MAX {
            return Err(StreamFault::HeldBackTooLong);
        }
        Ok(())
    }

    /// Whether a [form](Self::learn) would be kept: look before the gaps are put together.
    #[must_use]
    pub const fn wants_form(&self) -> bool {
        self.is_committed && self.forms.wants_more()
    }

    /// Keeps the form of an event; see [`Forms::learn`].
    pub fn learn(&mut self, read: &[u8], written: &[u8], gaps: &[Gap], text: usize) {
        self.forms.learn(read, written, gaps, text);
    }

    /// Remembers the model's name as the provider gives it, the inside of a JSON string; the first
    /// one counts.
    pub fn note_model(&mut self, name: &[u8]) {
        if self.upstream_model.is_empty() && name.len() <= MODEL_NAME_BYTES_MAX {
            self.upstream_model.extend_from_slice(name);
        }
    }

    /// Remembers the answer's id, where that is wanted: the inside of a JSON string, from the
    /// `object` that has it. The first one counts.
    #[inline]
    pub fn note_id_in(&mut self, object: &[u8]) {
        if self.wants_id
            && self.answer_id.is_empty()
            && let Some(id) = json::member(object, b"id")
        {
            self.note_id(&id.value.word());
        }
    }

    pub(super) fn note_id(&mut self, id: &[u8]) {
        if self.wants_id && self.answer_id.is_empty() && id.len() <= REQUEST_ID_BYTES_MAX {
            self.answer_id.extend_from_slice(id);
        }
    }

    pub(super) const fn want_id(&mut self) {
        self.wants_id = true;
    }

    pub(super) fn answer_id(&self) -> Option<&[u8]> {
        (!self.answer_id.is_empty()).then_some(&self.answer_id)
    }

    /// The provider has sent an error, whose data is `error`: `write` tells a caller who has had
    /// content.
    #[must_use]
    pub fn on_error(
        &mut self,
        error: &[u8],
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> StreamFault {
        self.note_error(error);
        if !self.is_committed {
            return StreamFault::Error;
        }
        write(out);
        StreamFault::ErrorRelayed
    }

    /// Remembers an error that the provider has sent, for the case that the stream ends with it.
    pub fn note_error(&mut self, error: &[u8]) {
        self.error.clear();
        self.error.extend_from_slice(error);
    }

    /// The provider says that the answer is complete, and the caller has been told so.
    pub const fn done(&mut self) {
        self.is_done = true;
    }

    /// Writes the events at the front of `bytes` that fit a form and whose text is accepted, and
    /// calls `note` for each with the digits that it does not share with the others, and with
    /// `out`; returns the bytes behind them. Only their text counts.
    #[inline]
    pub(super) fn pass_alike<'i>(
        &mut self,
        mut bytes: &'i [u8],
        accept: impl Fn(&'i [u8]) -> bool,
        mut note: impl FnMut(&'i [u8], &mut Vec<u8>),
        out: &mut Vec<u8>,
    ) -> &'i [u8] {
        while let Some(passed) = self.forms.pass(bytes, &accept, out) {
            debug_assert!(self.is_committed);
            self.books.count_text(passed.text_bytes);
            note(passed.digits, out);
            bytes = bytes.split_at(passed.len).1;
        }
        bytes
    }

    pub(super) const fn is_over(&self) -> bool {
        self.is_done || self.fault.is_some()
    }

    pub(super) const fn fail(&mut self, fault: StreamFault) -> StreamFault {
        self.fault = Some(fault);
        fault
    }

    pub(super) fn upstream_model(&self) -> &[u8] {
        &self.upstream_model
    }

    pub(super) const fn has_error(&self) -> bool {
        !self.error.is_empty()
    }

    /// The error with which the stream has ended.
    pub(super) fn error(&self) -> Option<&[u8]> {
        let is_end = self.fault.is_some() && self.has_error();
        is_end.then_some(&self.error)
    }

    /// What is held back.
    pub(super) fn held(&self) -> &[u8] {
        &self.held
    }

    pub(super) fn check(&self) {
        debug_assert!(!self.is_committed || self.held.is_empty());
        debug_assert!(!self.is_done || (self.is_committed && self.fault.is_none()));
        debug_assert!(self.held.len() <= HELD_BACK_BYTES_MAX || self.is_over());
    }
}

/// An emptied buffer for the next stream; the room that one long event took is given back.
fn emptied(mut buffer: Vec<u8>) -> Vec<u8> {
    buffer.clear();
    buffer.shrink_to(KEPT_BUFFER_BYTES_MAX);
    buffer
}
