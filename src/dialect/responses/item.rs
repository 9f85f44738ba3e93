//! The items of a response's output (rule A2 of reference/responses-inbound.md).

use std::ops::Range;

use crate::dialect::arguments::Arguments;
use crate::dialect::compose::{Composer, between_quotes};
use crate::dialect::names::{Restored, ToolKind};
use crate::dialect::queue;
use crate::wire::json::check::is_json;
use crate::wire::json::{self, Kind as Json};

/// An item, as far as it has come.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) kind: Kind,
    /// Of a call: its members that do not change, with commas between them.
    call: Vec<u8>,
    /// Of a call: the tool's name, a string.
    pub(super) name: Vec<u8>,
    /// What it holds, in order.
    pub(super) parts: Vec<Part>,
    /// How far the arguments of a call have come.
    pub(super) arguments: Arguments,
    /// Whether its provider has said that nothing follows.
    pub(super) has_ended: bool,
}

/// What an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Reasoning,
    Message,
    /// The call with this number, of a function.
    Function(u32),
    /// The call with this number, of a custom tool.
    Custom(u32),
}

/// A part of an item.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) kind: PartKind,
    /// Its text, the inside of a JSON string.
    pub(super) text: Vec<u8>,
    /// How much of it the caller has been told.
    pub(super) told: usize,
    /// The logprobs of its text, the inside of a JSON list.
    pub(super) logprobs: Vec<u8>,
}

/// What a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PartKind {
    /// Of what the model has thought.
    Summary,
    Text,
    Refusal,
    /// The arguments of a function.
    Arguments,
    /// The input of a custom tool.
    Input,
}

/// How an item stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It begins, and has nothing yet.
    Begun,
    Completed,
    /// The answer has ended before it.
    Incomplete,
}

impl Kind {
    /// How the id of such an item begins.
    pub(super) const fn prefix(self) -> &'static [u8] {
        match self {
            Self::Reasoning => b"rs_ifx_",
            Self::Message => b"msg_ifx_",
            Self::Function(_) => b"fc_ifx_",
            Self::Custom(_) => b"ctc_ifx_",
        }
    }
}

impl Part {
    pub(super) const fn new(kind: PartKind) -> Self {
        Self {
            kind,
            text: Vec::new(),
            told: 0,
            logprobs: Vec::new(),
        }
    }

    /// Takes in more of its text, the inside of a JSON string, with its logprobs, the inside of a
    /// JSON list; returns how much longer it has become.
    pub(super) fn add(&mut self, text: &[u8], logprobs: &[u8]) -> usize {
        self.text.extend_from_slice(text);
        if logprobs.is_empty() {
            return text.len();
        }
        if !self.logprobs.is_empty() {
            self.logprobs.push(b',');
        }
        self.logprobs.extend_from_slice(logprobs);
        text.len() + logprobs.len()
    }
}

impl Item {
    /// An item without parts.
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            kind,
            call: Vec::new(),
            name: Vec::new(),
            parts: Vec::new(),
            arguments: Arguments::default(),
            has_ended: false,
        }
    }

    /// An item with one part, which is empty.
    pub(super) fn with(kind: Kind, part: PartKind) -> Self {
        Self {
            parts: vec![Part::new(part)],
            ..Self::new(kind)
        }
    }

    /// The call with this number and this id.
    pub(super) fn call(number: u32, id: &str, tool: Restored<'_>) -> Self {
        let (kind, part) = match tool.kind {
            ToolKind::Function => (Kind::Function(number), PartKind::Arguments),
            ToolKind::Custom => (Kind::Custom(number), PartKind::Input),
        };
        let (mut call, name) = (Vec::new(), json::quoted(tool.name));
        let mut members = Composer::object(&mut call);
        members.string("call_id", id);
        members.raw("name", &name);
        if let Some(namespace) = tool.namespace {
            members.string("namespace", namespace);
        }
        // Without its brackets.
        call.remove(0);
        Self {
            call,
            name,
            ..Self::with(kind, part)
        }
    }

    /// Puts the input of a call in its final form: arguments that are blank are an empty object,
    /// and a custom tool gets its text out of them.
    pub(super) fn finish(&mut self) {
        let Some(part) = self.parts.last_mut() else {
            return;
        };
        match self.kind {
            Kind::Reasoning | Kind::Message => {}
            Kind::Function(_) if !self.arguments.is_some => part.text = b"{}".to_vec(),
            Kind::Function(_) => {}
            Kind::Custom(_) if !self.arguments.is_some => part.text.clear(),
            Kind::Custom(_) => part.text = input_of(&part.text),
        }
    }

    /// Appends the item; returns the place of its id. `mark` is what the caller sends back with
    /// reasoning, a string.
    pub(super) fn write(
        &self,
        id: &[u8],
        standing: Standing,
        mark: Option<&str>,
        out: &mut Vec<u8>,
    ) -> Range<usize> {
        let id_at = begin(self.kind, standing, out, |out| out.extend_from_slice(id));
        let mut told = Composer::within(out);
        let parts = match standing {
            Standing::Begun => &[],
            Standing::Completed | Standing::Incomplete => &*self.parts,
        };
        match self.kind {
            Kind::Function(_) | Kind::Custom(_) => {
                told.element().extend_from_slice(&self.call);
                let text = told.member(match self.kind {
                    Kind::Custom(_) => "input",
                    Kind::Function(_) | Kind::Reasoning | Kind::Message => "arguments",
                });
                text.push(b'"');
                for part in parts {
                    text.extend_from_slice(&part.text);
                }
                text.push(b'"');
            }
            Kind::Reasoning | Kind::Message => {
                let mut elements = Composer::array(told.rest());
                for part in parts {
                    write_part(part.kind, &part.text, &part.logprobs, elements.element());
                }
                elements.end();
            }
        }
        if let Some(mark) = mark.filter(|_| self.kind == Kind::Reasoning && !parts.is_empty()) {
            told.string("encrypted_content", mark);
        }
        told.end();
        id_at
    }
}

/// Appends the beginning of an item, with its id as `write_id` appends it, up to its list of parts
/// or what else it holds; returns the place of the id.
pub(super) fn begin(
    kind: Kind,
    standing: Standing,
    out: &mut Vec<u8>,
    write_id: impl FnOnce(&mut Vec<u8>),
) -> Range<usize> {
    out.extend_from_slice(match kind {
        Kind::Reasoning => br#"{"type":"reasoning","id":""#,
        Kind::Message => br#"{"type":"message","id":""#,
        Kind::Function(_) => br#"{"type":"function_call","id":""#,
        Kind::Custom(_) => br#"{"type":"custom_tool_call","id":""#,
    });
    let id_at = out.len();
    write_id(out);
    let id = id_at..out.len();
    out.extend_from_slice(match standing {
        Standing::Begun => br#"","status":"in_progress""#,
        Standing::Completed => br#"","status":"completed""#,
        Standing::Incomplete => br#"","status":"incomplete""#,
    });
    match kind {
        Kind::Reasoning => out.extend_from_slice(br#","summary":"#),
        Kind::Message => out.extend_from_slice(br#","role":"assistant","content":"#),
        Kind::Function(_) | Kind::Custom(_) => {}
    }
    id
}

impl queue::Block for Item {
    fn room(&self) -> usize {
        let parts = self.parts.iter();
        let parts: usize = parts
            .map(|part| size_of::<Part>() + part.text.len() + part.logprobs.len())
            .sum();
        size_of::<Self>() + self.call.len() + self.name.len() + parts
    }

    fn is_finished(&self) -> bool {
        match self.kind {
            Kind::Reasoning | Kind::Message => true,
            Kind::Function(_) | Kind::Custom(_) => self.has_ended || self.arguments.are_whole(),
        }
    }

    fn call(&self) -> Option<u32> {
        match self.kind {
            Kind::Reasoning | Kind::Message => None,
            Kind::Function(call) | Kind::Custom(call) => Some(call),
        }
    }
}

/// Appends a part of a list with this text, the inside of a string, and these logprobs, the inside
/// of a list.
pub(super) fn write_part(kind: PartKind, text: &[u8], logprobs: &[u8], out: &mut Vec<u8>) {
    write_joined(kind, std::iter::once(text), logprobs, out);
}

/// As [`write_part`], with a text that is put together of several.
pub(super) fn write_joined<'t>(
    kind: PartKind,
    texts: impl Iterator<Item = &'t [u8]>,
    logprobs: &[u8],
    out: &mut Vec<u8>,
) {
    let (begin, end): (&[u8], &[u8]) = match kind {
        PartKind::Summary => (br#"{"type":"summary_text","text":""#, br#""}"#),
        PartKind::Refusal => (br#"{"type":"refusal","refusal":""#, br#""}"#),
        PartKind::Text | PartKind::Arguments | PartKind::Input => (
            br#"{"type":"output_text","text":""#,
            br#"","annotations":[],"logprobs":["#,
        ),
    };
    out.extend_from_slice(begin);
    texts.for_each(|text| out.extend_from_slice(text));
    out.extend_from_slice(end);
    if kind == PartKind::Text {
        out.extend_from_slice(logprobs);
        out.extend_from_slice(b"]}");
    }
}

/// The input of a custom tool out of the arguments of its call, both the inside of a string: the
/// text called `input`, else the only text that there is, else the arguments as they are.
fn input_of(arguments: &[u8]) -> Vec<u8> {
    let text = json::text_inside(arguments);
    let own = || arguments.to_vec();
    if !is_json(text.as_bytes()) {
        return own();
    }
    let (mut named, mut only, mut count) = (None, None, 0);
    for member in json::members(text.as_bytes()).map_while(Result::ok) {
        if member.value.kind == Json::String {
            if member.name.is(b"input") {
                named = Some(member.value.text);
            }
            only = Some(member.value.text);
            count += 1;
        }
    }
    let only = only.filter(|_| count == 1);
    named
        .or(only)
        .map_or_else(own, |text| between_quotes(text).to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_input_of_a_custom_tool_is_found_in_its_arguments() {
        for (arguments, input) in [
            (r#"{"input":"a\nb"}"#, "a\nb"),
            (r#"{"x":"y","input":"a"}"#, "a"),
            (r#" { "in\u0070ut" : "\u00e9\"" } "#, "é\""),
            (r#"{"patch":"p","n":1}"#, "p"),
            (r#"{"a":"x","b":"y"}"#, r#"{"a":"x","b":"y"}"#),
            (r#"{"input":{"a":"b"}}"#, r#"{"input":{"a":"b"}}"#),
            (r#"{"input":"a"#, r#"{"input":"a"#),
            ("*** Begin", "*** Begin"),
            ("[\"a\"]", "[\"a\"]"),
            ("{}", "{}"),
        ] {
            let quoted = json::quoted(arguments);
            let found = input_of(between_quotes(&quoted));
            assert_eq!(json::text_inside(&found), input, "{arguments}");
        }
    }
}
