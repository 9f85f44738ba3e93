//! Tools, and which of them is to be called.

use crate::dialect::compose::Composer;
use crate::dialect::names::Names;
use crate::dialect::prompt::{Choice, Tool};
use crate::wire::json::{self, Value};

/// Appends the list of tools.
pub(super) fn write(tools: &[Tool<'_>], names: &mut Names, out: &mut Vec<u8>) {
    let mut list = Composer::array(out);
    for tool in tools {
        let mut outer = Composer::object(list.element());
        outer.raw("type", br#""function""#);
        let mut function = Composer::object(outer.member("function"));
        function.raw("name", &names.shortened(&tool.name));
        function.raw_if("description", tool.description.as_deref());
        write_schema(tool.parameters, function.member("parameters"));
        function.raw_if("strict", tool.is_strict.then_some(b"true"));
        function.end();
        outer.end();
    }
    list.end();
}

/// Appends the choice of a tool.
pub(super) fn write_choice(choice: &Choice<'_>, names: &mut Names, out: &mut Vec<u8>) {
    match choice {
        Choice::Auto => out.extend_from_slice(br#""auto""#),
        Choice::Any => out.extend_from_slice(br#""required""#),
        Choice::None => out.extend_from_slice(br#""none""#),
        Choice::Tool(name) => {
            out.extend_from_slice(br#"{"type":"function","function":{"name":"#);
            out.extend_from_slice(&names.shortened(name));
            out.extend_from_slice(b"}}");
        }
    }
}

/// The whole schema but for `$schema`, which Gemini refuses, with the keywords that OpenAI wants.
fn write_schema(parameters: Option<Value<'_>>, out: &mut Vec<u8>) {
    let text = parameters.map_or(&b"{}"[..], |parameters| parameters.text);
    let (mut has_type, mut is_object, mut has_properties) = (false, false, false);
    let mut room = Vec::new();
    let mut schema = Composer::object(out);
    for member in json::members(text).map_while(Result::ok) {
        match member.name.read(&mut room) {
            b"$schema" => continue,
            b"type" => {
                has_type = true;
                is_object = member.value.says("object");
            }
            b"properties" => has_properties = true,
            _ => {}
        }
        let out = schema.element();
        out.extend_from_slice(member.name.quoted);
        out.push(b':');
        out.extend_from_slice(member.value.text);
    }
    if !has_type {
        schema.raw("type", br#""object""#);
    }
    if !has_properties && (is_object || !has_type) {
        schema.raw("properties", b"{}");
    }
    schema.end();
}
