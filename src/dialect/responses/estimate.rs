//! How long the prompt of a request for a response is, as nobody has counted it (rule M2 of
//! reference/responses-inbound.md).
//!
//! The estimate reads the body, not a prompt: it must also tell the length of requests that only a
//! provider with Responses can take.

use crate::base::tokens::Tokens;
use crate::dialect::length::{IMAGE_CHARS, PDF_CHARS, chars_of_compact, chars_of_string, elements};
use crate::wire::json::{self, Kind, Value};

/// How many tokens the prompt of the request in `body` is likely to have.
#[must_use]
pub fn tokens(body: &[u8]) -> Tokens {
    Tokens::estimated(prompt_chars(body))
}

/// The characters of the prompt of the request in `body`; pictures and files count as many as their
/// tokens are worth. What is no valid JSON counts up to the fault.
#[must_use]
pub fn prompt_chars(body: &[u8]) -> usize {
    let (mut chars, mut room) = (0, Vec::new());
    for member in json::members(body).map_while(Result::ok) {
        let value = &member.value;
        chars += match (member.name.read(&mut room), value.kind) {
            (b"instructions", _) | (b"input", Kind::String) => chars_of_string(value),
            (b"input", Kind::Array) => elements(value).map(|item| of_item(&item)).sum(),
            (b"tools", _) => of_tools(value),
            (_, _) => 0,
        };
    }
    chars
}

fn of_item(item: &Value<'_>) -> usize {
    let (mut chars, mut room) = (0, Vec::new());
    for member in json::members(item.text).map_while(Result::ok) {
        let value = &member.value;
        chars += match member.name.read(&mut room) {
            b"name" | b"namespace" | b"arguments" | b"input" => chars_of_string(value),
            b"content" | b"output" | b"summary" => of_parts(value),
            b"tools" => of_tools(value),
            _ => 0,
        };
    }
    chars
}

/// A text, or parts; of other JSON its text counts.
fn of_parts(value: &Value<'_>) -> usize {
    match value.kind {
        Kind::String => chars_of_string(value),
        Kind::Array => elements(value).map(|part| of_part(&part)).sum(),
        Kind::Object => chars_of_compact(value.text),
        Kind::Number | Kind::True | Kind::False | Kind::Null => 0,
    }
}

fn of_part(part: &Value<'_>) -> usize {
    let member = |name: &[u8]| json::member(part.text, name).map(|member| member.value);
    let told = [&b"text"[..], b"refusal"].into_iter().filter_map(member);
    let told: usize = told.map(|text| chars_of_string(&text)).sum();
    let file = match member(b"type").map(|kind| kind.word()).as_deref() {
        Some(b"input_image") => IMAGE_CHARS,
        Some(b"input_file") => PDF_CHARS,
        _ => 0,
    };
    told + file
}

/// Tools, and those in their namespaces.
fn of_tools(tools: &Value<'_>) -> usize {
    let of_inner = |tools: &Value<'_>| elements(tools).map(|tool| of_tool(&tool, |_| 0)).sum();
    if tools.kind == Kind::Array {
        elements(tools).map(|tool| of_tool(&tool, of_inner)).sum()
    } else {
        0
    }
}

/// A tool; `of_inner` counts the tools within it, of which none has tools in turn.
fn of_tool(tool: &Value<'_>, of_inner: impl Fn(&Value<'_>) -> usize) -> usize {
    let (mut chars, mut room) = (0, Vec::new());
    for member in json::members(tool.text).map_while(Result::ok) {
        let value = &member.value;
        chars += match member.name.read(&mut room) {
            b"name" | b"description" => chars_of_string(value),
            b"parameters" | b"format" => chars_of_compact(value.text),
            b"tools" => of_inner(value),
            _ => 0,
        };
    }
    chars
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(body: &str, expected: usize) {
        assert_eq!(prompt_chars(body.as_bytes()), expected, "{body}");
    }

    #[test]
    fn every_kind_of_text_counts_by_its_characters() {
        check(r#"{"model":"xxxx","input":"ab\u00e9"}"#, 3);
        check(
            r#"{"instructions":"abc","input":[{"role":"user","content":"de"}]}"#,
            5,
        );
        for (item, expected) in [
            (r#"{"content":[{"type":"input_text","text":"abc"}]}"#, 3),
            (r#"{"content":[{"type":"refusal","refusal":"abc"}]}"#, 3),
            (
                r#"{"type":"function_call","name":"ab","arguments":"{}","call_id":"x"}"#,
                4,
            ),
            (r#"{"type":"custom_tool_call","name":"ab","input":"cd"}"#, 4),
            (
                r#"{"type":"function_call_output","call_id":"x","output":"ab"}"#,
                2,
            ),
            (r#"{"output":[{"type":"input_text","text":"ab"}]}"#, 2),
            (r#"{"output":{"a": 1}}"#, 7),
            (
                r#"{"type":"reasoning","summary":[{"text":"ab"}],"encrypted_content":"xxxx"}"#,
                2,
            ),
            (r#"{"type":"additional_tools","tools":[{"name":"ab"}]}"#, 2),
            (r#""abc""#, 0),
            ("7", 0),
        ] {
            check(&format!(r#"{{"input":[{item}]}}"#), expected);
        }
    }

    #[test]
    fn tools_count_with_their_schemas_and_those_of_namespaces() {
        let tool = r#"{"type":"function","name":"ab","description":"cd","parameters":{"a": 1}}"#;
        check(&format!(r#"{{"tools":[{tool}]}}"#), 4 + 7);
        let space = format!(r#"{{"type":"namespace","name":"n","tools":[{tool},{tool}]}}"#);
        check(&format!(r#"{{"tools":[{space}]}}"#), 1 + 2 * (4 + 7));
        // A namespace has no namespaces.
        let deep = format!(r#"{{"tools":[{{"name":"n","tools":[{space}]}}]}}"#);
        check(&deep, 2);
        check(
            r#"{"tools":[{"type":"custom","name":"p","format":{"a": "b"}}]}"#,
            1 + 9,
        );
        check(r#"{"tools":"ab"}"#, 0);
    }

    #[test]
    fn files_count_by_their_kind() {
        let image = r#"{"type":"input_image","image_url":"data:AAAA"}"#;
        check(
            &format!(r#"{{"input":[{{"content":[{image}]}},{{"output":[{image}]}}]}}"#),
            2 * IMAGE_CHARS,
        );
        let file = r#"{"type":"input_file","file_data":"AAAA"}"#;
        check(
            &format!(r#"{{"input":[{{"content":[{file}]}}]}}"#),
            PDF_CHARS,
        );
        assert_eq!(tokens(br#"{"input":"abcde"}"#), Tokens::new(2));
    }

    proptest! {
        #[test]
        fn any_bytes_are_counted(body in any::<Vec<u8>>(), text in "[\\[\\]{}\":,a ]{0,60}") {
            for text in [&*body, text.as_bytes()] {
                prop_assert!(prompt_chars(text) <= text.len() * PDF_CHARS);
            }
        }
    }
}
