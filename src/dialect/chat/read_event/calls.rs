//! The calls of tools in a stream: their pieces are told apart (rule MS2).

use std::ops::Range;

use crate::base::limits::{HELD_BACK_BYTES_MAX, KEPT_BUFFER_BYTES_MAX, OPEN_BLOCKS_MAX};
use crate::dialect::chat::chunk;
use crate::dialect::compose::between_quotes;
use crate::dialect::event::{Event, Piece};
use crate::dialect::names::Names;
use crate::dialect::verbatim;
use crate::wire::json::Kind;
use crate::wire::stream_fault::StreamFault;

/// What is done with what happens.
pub(super) type Sink<'s> = dyn FnMut(Event<'_>) -> Result<(), StreamFault> + 's;

/// The calls that have occurred.
#[derive(Debug, Default)]
pub(super) struct Calls {
    names: Names,
    calls: Vec<Call>,
    /// The ids of all calls, as their provider writes them.
    ids: Vec<u8>,
    /// How many calls had occurred before the chunk that is being read.
    earlier: usize,
    /// How many calls have begun: those whose name is known.
    begun: u32,
    /// Length of the arguments that wait for a name.
    held: usize,
    /// Arguments that did not come as a string, written as one.
    written: Vec<u8>,
}

#[derive(Debug, Default)]
struct Call {
    index: Option<u64>,
    /// Its place in `ids`; empty where it is not known.
    id: Range<usize>,
    /// Its number among those that have begun.
    number: Option<u32>,
    /// Arguments that have come before its name: the inside of a JSON string.
    held: Vec<u8>,
}

impl Calls {
    pub(super) fn reset(&mut self, names: Option<&Names>) {
        let mut old = std::mem::take(self);
        old.calls.clear();
        for buffer in [&mut old.ids, &mut old.written] {
            buffer.clear();
            buffer.shrink_to(KEPT_BUFFER_BYTES_MAX);
        }
        *self = Self {
            names: names.cloned().unwrap_or_default(),
            calls: old.calls,
            ids: old.ids,
            written: old.written,
            ..Self::default()
        };
    }

    /// How many have occurred.
    pub(super) const fn len(&self) -> usize {
        self.calls.len()
    }

    /// A chunk is about to be read.
    pub(super) const fn begin_chunk(&mut self) {
        self.earlier = self.calls.len();
    }

    /// Takes in a piece of a call.
    pub(super) fn read(
        &mut self,
        piece: &chunk::Call<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<(), StreamFault> {
        let id = piece.id.as_ref().map(verbatim::string).transpose()?;
        let place = self.place(piece, id.unwrap_or_default())?;
        if piece.name.is_some() && self.calls[place].number.is_none() {
            self.begin(place, piece, sink)?;
        }
        let Some(arguments) = &piece.arguments else {
            return Ok(());
        };
        let text = match arguments.kind {
            Kind::String => Piece {
                text: verbatim::string(arguments)?,
                at: Some(arguments.at + 1),
            },
            Kind::Object | Kind::Array | Kind::Number | Kind::True | Kind::False | Kind::Null => {
                self.written.clear();
                verbatim::write_compact(arguments, &mut self.written)?;
                Piece {
                    text: &self.written,
                    at: None,
                }
            }
        };
        if text.text.is_empty() {
            return Ok(());
        }
        let call = &mut self.calls[place];
        if let Some(call) = call.number {
            return sink(Event::ToolArguments { call, text });
        }
        call.held.extend_from_slice(text.text);
        self.held += text.text.len();
        within_bounds(self.held <= HELD_BACK_BYTES_MAX)
    }

    /// The place of the call that a piece with this id, which may be empty, belongs to.
    fn place(&mut self, piece: &chunk::Call<'_>, id: &[u8]) -> Result<usize, StreamFault> {
        let ids = &self.ids;
        let own = |call: &Call| ids.get(call.id.clone()).unwrap_or_default();
        let found = match (piece.index, id) {
            (Some(index), id) => {
                let found = self
                    .calls
                    .iter()
                    .rposition(|call| call.index == Some(index));
                found.filter(|place| {
                    let own = own(&self.calls[*place]);
                    own.is_empty() || id.is_empty() || own == id
                })
            }
            // Two names in one chunk are two calls.
            (None, []) => {
                let last = self.calls.len().checked_sub(1);
                last.filter(|last| *last < self.earlier || piece.name.is_none())
            }
            (None, id) => self.calls.iter().rposition(|call| own(call) == id),
        };
        let place = found.unwrap_or(self.calls.len());
        if found.is_none() {
            within_bounds(place < OPEN_BLOCKS_MAX)?;
            self.calls.push(Call {
                index: piece.index,
                ..Call::default()
            });
        }
        let call = &mut self.calls[place];
        if call.id.is_empty() && !id.is_empty() {
            let start = self.ids.len();
            within_bounds(start + id.len() <= HELD_BACK_BYTES_MAX)?;
            self.ids.extend_from_slice(id);
            call.id = start..self.ids.len();
        }
        Ok(place)
    }

    /// A call begins with its name; what has waited for that follows.
    fn begin(
        &mut self,
        place: usize,
        piece: &chunk::Call<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<(), StreamFault> {
        let number = self.begun;
        self.begun += 1;
        let call = &mut self.calls[place];
        call.number = Some(number);
        let id = self.ids.get(call.id.clone()).unwrap_or_default();
        piece.name.as_ref().map(verbatim::string).transpose()?;
        let name = piece.restored_name(&self.names).unwrap_or_default();
        sink(Event::ToolStart {
            call: number,
            id: Some(id).filter(|id| !id.is_empty()),
            name: between_quotes(&name),
            signature: piece.signature.as_ref().map(verbatim::string).transpose()?,
        })?;
        let held = std::mem::take(&mut call.held);
        self.held -= held.len();
        if !held.is_empty() {
            let text = Piece {
                text: &held,
                at: None,
            };
            sink(Event::ToolArguments { call: number, text })?;
        }
        Ok(())
    }
}

/// A stream beyond a bound is one that cannot be read.
const fn within_bounds(is_within: bool) -> Result<(), StreamFault> {
    if is_within {
        Ok(())
    } else {
        Err(StreamFault::Malformed)
    }
}
