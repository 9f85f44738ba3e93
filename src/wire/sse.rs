//! Server-sent events, from bytes that were split anywhere.

use memchr::{memchr, memchr2};

use crate::base::limits::KEPT_BUFFER_BYTES_MAX;
use crate::wire::splice::Splice;

/// Appends one event of one `data` line. A line break in `data` becomes a space: in JSON it stands
/// between tokens, where both mean the same.
pub fn write_event(data: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"data: ");
    let start = out.len();
    out.extend_from_slice(data);
    end_event(start, out);
}

/// Appends one event with this name, if it has one. Each line of its data stays a line.
pub fn write_named(name: Option<&[u8]>, data: &Splice<'_>, out: &mut Vec<u8>) {
    if let Some(name) = name {
        out.extend_from_slice(b"event: ");
        out.extend(name.iter().filter(|byte| !byte.is_ascii_control()));
        out.push(b'\n');
    }
    out.extend_from_slice(b"data: ");
    let start = out.len();
    data.write(out);
    if memchr(b'\n', out.get(start..).unwrap_or_default()).is_some() {
        let whole = out.split_off(start);
        for (number, line) in whole.split(|byte| *byte == b'\n').enumerate() {
            out.extend_from_slice(if number == 0 { b"" } else { b"\ndata: " });
            out.extend_from_slice(line);
        }
    }
    out.extend_from_slice(b"\n\n");
}

/// Ends an event; its data stands in `out` from `start` on.
pub fn end_event(start: usize, out: &mut Vec<u8>) {
    let data = out.get_mut(start..).unwrap_or_default();
    let mut from = 0;
    while let Some(step) = data
        .get(from..)
        .and_then(|rest| memchr2(b'\n', b'\r', rest))
    {
        data[from + step] = b' ';
        from += step + 1;
    }
    out.extend_from_slice(b"\n\n");
}

/// The parts of a stream that a reader may act upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// An event. One without a `data` line is left out.
    Event(Event<'a>),
    /// A comment; its text means nothing, but the sender is alive.
    Comment,
}

/// An event of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// Its data; several lines are joined by LF.
    pub data: &'a [u8],
    /// What its `event` line says, where it has one.
    pub name: Option<&'a [u8]>,
}

/// An event or line is longer than the splitter may keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is too long")]
pub struct EventTooLong;

/// Cuts a byte stream into events.
///
/// An event of one line that lies whole in the input is handed out from there; only an event that
/// is cut by the end of a read, or has several lines, is copied.
#[derive(Debug, Default)]
pub struct Splitter {
    /// Longest event, in bytes.
    event_bytes_max: usize,
    /// The beginning of a line whose end has not arrived.
    line: Vec<u8>,
    /// Data of the complete lines of an event whose end has not arrived; the first line stands in
    /// it with its field name, if that line was taken as it is.
    data: Vec<u8>,
    /// Where the data begins in `data`.
    data_at: usize,
    /// Whether the event has a `data` line, which may be empty.
    has_data: bool,
    /// What the event's `event` line says.
    name: Vec<u8>,
    /// Whether the event has an `event` line, which may be empty.
    has_name: bool,
    /// Whether the event was handed out and must be cleared before anything is added.
    handed_out: bool,
    /// Whether the last byte was a CR: an LF that follows belongs to it.
    after_cr: bool,
    /// Whether a line has ended: a byte order mark may stand only before the first line.
    begun: bool,
}

impl Splitter {
    /// Forgets everything, and keeps its buffers except for the room that one long event took; from
    /// here on events may have `event_bytes_max` bytes.
    pub fn reset(&mut self, event_bytes_max: usize) {
        self.event_bytes_max = event_bytes_max;
        self.line.clear();
        self.clear_event();
        self.line.shrink_to(KEPT_BUFFER_BYTES_MAX);
        self.data.shrink_to(KEPT_BUFFER_BYTES_MAX);
        self.name.shrink_to(KEPT_BUFFER_BYTES_MAX);
        self.after_cr = false;
        self.begun = false;
    }

    /// Whether the next byte is the first of an event.
    #[must_use]
    pub const fn is_between_events(&self) -> bool {
        let is_ended = self.handed_out || !(self.has_data || self.has_name);
        self.begun && is_ended && self.line.is_empty() && !self.after_cr
    }

    /// Whether the beginning of an event has arrived, comments aside, and its end has not.
    #[must_use]
    pub fn is_within_event(&self) -> bool {
        (self.has_data && !self.handed_out) || !matches!(self.line.as_slice(), [] | [b':', ..])
    }

    /// How much of an event the splitter keeps, in bytes.
    #[must_use]
    pub const fn kept(&self) -> usize {
        self.line.len() + self.data.len() + self.name.len()
    }

    /// Gives back the room that a long event took, once that event has been handed out.
    #[inline]
    pub fn shrink(&mut self) {
        let room = self.line.capacity().max(self.data.capacity());
        if self.handed_out || room > KEPT_BUFFER_BYTES_MAX {
            self.give_back();
        }
    }

    fn give_back(&mut self) {
        if self.handed_out {
            self.clear_event();
        }
        if self.kept() == 0 {
            self.line.shrink_to(KEPT_BUFFER_BYTES_MAX);
            self.data.shrink_to(KEPT_BUFFER_BYTES_MAX);
            self.name.shrink_to(KEPT_BUFFER_BYTES_MAX);
        }
    }

    /// Takes bytes from the front of `input` up to the end of the next item. `None`: all bytes are
    /// taken.
    ///
    /// # Errors
    /// The event is too long. The stream cannot be read on.
    pub fn next<'a, 'i: 'a>(
        &'a mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<Item<'a>>, EventTooLong> {
        if self.handed_out {
            self.clear_event();
        }
        loop {
            let Some(line) = self.line_of(input)? else {
                return Ok(None);
            };
            let found = match line {
                Line::Whole(line) => self.whole_line(line, input)?,
                Line::Carried => self.carried_line()?,
            };
            match found {
                Found::Nothing => {}
                Found::Comment => return Ok(Some(Item::Comment)),
                Found::InInput(data) => {
                    self.handed_out = self.has_name;
                    let name = self.own_name();
                    return Ok(Some(Item::Event(Event { data, name })));
                }
                Found::Collected => return Ok(Some(Item::Event(self.hand_out()))),
            }
        }
    }

    /// The event that the stream's end cut off before its blank line.
    pub fn finish(&mut self) -> Option<Event<'_>> {
        if self.handed_out {
            self.clear_event();
        }
        if !self.line.is_empty() && self.carried_line().is_err() {
            return None;
        }
        if !self.has_data {
            self.clear_event();
            return None;
        }
        Some(self.hand_out())
    }

    /// Takes one line from `input`, or all bytes when the line's end has not arrived.
    fn line_of<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<Line<'i>>, EventTooLong> {
        if self.after_cr && !input.is_empty() {
            *input = input.strip_prefix(b"\n").unwrap_or(input);
            self.after_cr = false;
        }
        let end = memchr2(b'\n', b'\r', input);
        let (head, rest) = input.split_at(end.unwrap_or(input.len()));
        if self.line.len() + head.len() > self.event_bytes_max {
            return Err(EventTooLong);
        }
        let Some((terminator, rest)) = rest.split_first() else {
            self.line.extend_from_slice(head);
            *input = rest;
            return Ok(None);
        };
        *input = rest;
        self.after_cr = *terminator == b'\r';
        if self.line.is_empty() {
            return Ok(Some(Line::Whole(head)));
        }
        self.line.extend_from_slice(head);
        Ok(Some(Line::Carried))
    }

    /// Handles a line that lies in the input: if it is a whole event, it is not copied.
    fn whole_line<'i>(
        &mut self,
        line: &'i [u8],
        input: &mut &'i [u8],
    ) -> Result<Found<'i>, EventTooLong> {
        let field = self.field(line);
        let Field::Data(data) = field else {
            return self.take(field);
        };
        let rest = match *input {
            [b'\n', rest @ ..] if self.after_cr => rest,
            rest => rest,
        };
        match rest.split_first() {
            Some((end @ (b'\n' | b'\r'), rest)) if !self.has_data => {
                self.after_cr = *end == b'\r';
                *input = rest;
                Ok(Found::InInput(data))
            }
            Some(_) | None => self.take(field),
        }
    }

    /// Handles the line that was carried over from earlier bytes and is complete now.
    fn carried_line(&mut self) -> Result<Found<'static>, EventTooLong> {
        let mut line = std::mem::take(&mut self.line);
        let field = self.field(&line);
        let found = match field {
            // A long line is not copied.
            Field::Data(data) if !self.has_data => {
                self.data_at = line.len() - data.len();
                self.has_data = true;
                std::mem::swap(&mut self.data, &mut line);
                Ok(Found::Nothing)
            }
            Field::Data(_) | Field::Event(_) | Field::Blank | Field::Comment | Field::Other => {
                self.take(field)
            }
        };
        self.line = line;
        self.line.clear();
        found
    }

    /// The event that was collected.
    fn hand_out(&mut self) -> Event<'_> {
        self.handed_out = true;
        Event {
            data: self.data.get(self.data_at..).unwrap_or_default(),
            name: self.own_name(),
        }
    }

    fn own_name(&self) -> Option<&[u8]> {
        self.has_name.then_some(&self.name)
    }

    fn field<'l>(&mut self, line: &'l [u8]) -> Field<'l> {
        let begun = std::mem::replace(&mut self.begun, true);
        let line = if begun {
            line
        } else {
            line.strip_prefix(BOM).unwrap_or(line)
        };
        match line {
            [] => Field::Blank,
            [b':', ..] => Field::Comment,
            [b'd', b'a', b't', b'a', b':', b' ', data @ ..]
            | [b'd', b'a', b't', b'a', b':', data @ ..] => Field::Data(data),
            b"data" => Field::Data(&[]),
            [b'e', b'v', b'e', b'n', b't', b':', b' ', name @ ..]
            | [b'e', b'v', b'e', b'n', b't', b':', name @ ..] => Field::Event(name),
            b"event" => Field::Event(&[]),
            _ => Field::Other,
        }
    }

    fn take(&mut self, field: Field<'_>) -> Result<Found<'static>, EventTooLong> {
        match field {
            Field::Other => Ok(Found::Nothing),
            Field::Comment => Ok(Found::Comment),
            Field::Blank if self.has_data => Ok(Found::Collected),
            // An event without data is dropped.
            Field::Blank => {
                self.has_name = false;
                self.name.clear();
                Ok(Found::Nothing)
            }
            // Of several names the last one counts.
            Field::Event(name) => {
                self.has_name = true;
                self.name.clear();
                self.name.extend_from_slice(name);
                Ok(Found::Nothing)
            }
            Field::Data(data) => {
                if self.data.len() - self.data_at + data.len() >= self.event_bytes_max {
                    return Err(EventTooLong);
                }
                if self.has_data {
                    self.data.push(b'\n');
                }
                self.has_data = true;
                self.data.extend_from_slice(data);
                Ok(Found::Nothing)
            }
        }
    }

    fn clear_event(&mut self) {
        self.data.clear();
        self.data_at = 0;
        self.has_data = false;
        self.name.clear();
        self.has_name = false;
        self.handed_out = false;
    }
}

/// The byte order mark, in UTF-8.
const BOM: &[u8] = b"\xEF\xBB\xBF";

enum Line<'i> {
    /// In the input.
    Whole(&'i [u8]),
    /// In the splitter's own buffer.
    Carried,
}

enum Found<'i> {
    Nothing,
    Comment,
    InInput(&'i [u8]),
    Collected,
}

#[derive(Clone, Copy)]
enum Field<'l> {
    Blank,
    Comment,
    Data(&'l [u8]),
    Event(&'l [u8]),
    /// `id`, `retry` and unknown fields: nothing here needs them.
    Other,
}

#[cfg(test)]
#[path = "sse_tests.rs"]
mod tests;
