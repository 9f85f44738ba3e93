//! How long the prompt of a Messages request is, as nobody has counted it (rule MC2 of
//! reference/messages-inbound.md).
//!
//! The estimate reads the body, not a prompt: it must also tell the length of requests that only
//! Anthropic can take.

use crate::base::tokens::Tokens;
use crate::dialect::length::{IMAGE_CHARS, PDF_CHARS, chars_of_compact, chars_of_string, elements};
use crate::wire::json::{self, Kind, Value};

/// How many tokens the prompt of the request in `body` is likely to have.
#[must_use]
pub fn tokens(body: &[u8]) -> Tokens {
    Tokens::estimated(prompt_chars(body))
}

/// The characters of the prompt of the request in `body`, of each of which a quarter of a token is
/// estimated; pictures and PDFs count as many as their tokens are worth. What is no valid JSON
/// counts up to the fault.
#[must_use]
pub fn prompt_chars(body: &[u8]) -> usize {
    let mut count = Count::default();
    let mut room = Vec::new();
    for member in json::members(body).map_while(Result::ok) {
        match member.name.read(&mut room) {
            b"system" => count.add_content(&member.value),
            b"messages" => {
                for message in elements(&member.value) {
                    if let Some(content) = json::member(message.text, b"content") {
                        count.add_content(&content.value);
                    }
                }
            }
            b"tools" => elements(&member.value).for_each(|tool| count.add_tool(&tool)),
            _ => {}
        }
    }
    count.chars
}

#[derive(Default)]
struct Count {
    chars: usize,
}

impl Count {
    /// Adds the content of a message or of a block: a string, or blocks. Results hold blocks, and
    /// documents too, so that no content stands deeper than in a document in a result.
    fn add_content(&mut self, content: &Value<'_>) {
        self.add_blocks(content, Self::add_message_block);
    }

    fn add_blocks(&mut self, content: &Value<'_>, add: fn(&mut Self, &Value<'_>)) {
        match content.kind {
            Kind::String => self.chars += chars_of_string(content),
            Kind::Array => elements(content).for_each(|block| add(self, &block)),
            Kind::Number | Kind::Object | Kind::True | Kind::False | Kind::Null => {}
        }
    }

    fn add_message_block(&mut self, block: &Value<'_>) {
        let is_result =
            json::member(block.text, b"type").is_some_and(|kind| kind.value.says("tool_result"));
        if !is_result {
            return self.add_inner_block(block);
        }
        if let Some(content) = json::member(block.text, b"content") {
            self.add_blocks(&content.value, Self::add_inner_block);
        }
    }

    /// Adds a block that is no result.
    fn add_inner_block(&mut self, block: &Value<'_>) {
        let kind = json::member(block.text, b"type").map(|kind| kind.value.word());
        let mut room = Vec::new();
        match kind.as_deref() {
            Some(b"image") => self.chars += IMAGE_CHARS,
            Some(b"document") => self.add_document(block),
            _ => {
                for member in json::members(block.text).map_while(Result::ok) {
                    let value = &member.value;
                    match member.name.read(&mut room) {
                        b"text" | b"thinking" | b"name" | b"title" | b"source" | b"tool_name" => {
                            self.chars += chars_of_string(value);
                        }
                        b"input" => self.chars += chars_of_compact(value.text),
                        b"content" => self.add_blocks(value, Self::add_text_block),
                        _ => {}
                    }
                }
            }
        }
    }

    /// Adds a block that holds no other blocks.
    fn add_text_block(&mut self, block: &Value<'_>) {
        let member = |name: &[u8]| json::member(block.text, name).map(|member| member.value);
        if member(b"type").is_some_and(|kind| kind.says("image")) {
            self.chars += IMAGE_CHARS;
        }
        self.chars += member(b"text").map_or(0, |text| chars_of_string(&text));
    }

    fn add_document(&mut self, block: &Value<'_>) {
        let member = |name: &[u8]| json::member(block.text, name).map(|member| member.value);
        for name in [&b"title"[..], b"context"] {
            self.chars += member(name).map_or(0, |text| chars_of_string(&text));
        }
        let Some(source) = member(b"source") else {
            return;
        };
        let inner = |name: &[u8]| json::member(source.text, name).map(|member| member.value);
        match inner(b"type").map(|kind| kind.word()).as_deref() {
            Some(b"text") => {
                self.chars += inner(b"data").map_or(0, |data| chars_of_string(&data));
            }
            Some(b"content") => {
                if let Some(content) = inner(b"content") {
                    self.add_blocks(&content, Self::add_text_block);
                }
            }
            _ => self.chars += PDF_CHARS,
        }
    }

    fn add_tool(&mut self, tool: &Value<'_>) {
        let mut room = Vec::new();
        for member in json::members(tool.text).map_while(Result::ok) {
            match member.name.read(&mut room) {
                b"name" | b"description" => self.chars += chars_of_string(&member.value),
                b"input_schema" => self.chars += chars_of_compact(member.value.text),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(body: &str, expected: usize) {
        assert_eq!(prompt_chars(body.as_bytes()), expected, "{body}");
    }

    fn check_content(content: &str, expected: usize) {
        check(
            &format!(r#"{{"messages":[{{"role":"user","content":{content}}}]}}"#),
            expected,
        );
    }

    #[test]
    fn text_counts_by_characters() {
        check(r#"{"system":"abc","messages":[{"content":"de"}]}"#, 5);
        check(r#"{"system":[{"type":"text","text":"é\u00e9\n"}]}"#, 3);
        check_content(
            r#"[{"type":"thinking","thinking":"abc","signature":"xxxx"}]"#,
            3,
        );
        check_content(
            r#"[{"type":"tool_use","id":"x","name":"ab","input":{ "c": "d e" }}]"#,
            13,
        );
        check_content(
            r#"[{"type":"tool_result","tool_use_id":"x","content":"ab"}]"#,
            2,
        );
        check_content(
            r#"[{"type":"tool_result","content":[{"type":"text","text":"abc"}]}]"#,
            3,
        );
        check_content(r#"[{"type":"compaction","content":"abc"}]"#, 3);
        check_content(
            concat!(
                r#"[{"type":"search_result","title":"a","source":"b","#,
                r#""content":[{"type":"text","text":"c"}]}]"#,
            ),
            3,
        );
    }

    #[test]
    fn tools_count_with_their_schemas() {
        check(
            r#"{"tools":[{"name":"ab","description":"cd","input_schema":{"type": "object"}}]}"#,
            4 + 17,
        );
        check(
            r#"{"tools":[{"type":"web_search_20250305","name":"ab"}]}"#,
            2,
        );
    }

    #[test]
    fn files_count_by_their_kind() {
        let image = r#"{"type":"image","source":{"type":"base64","data":"AAAA"}}"#;
        check_content(&format!("[{image}]"), IMAGE_CHARS);
        check_content(
            &format!(r#"[{{"type":"tool_result","content":[{image},{image}]}}]"#),
            2 * IMAGE_CHARS,
        );
        let document =
            |source: &str| format!(r#"[{{"type":"document","title":"ab","source":{source}}}]"#);
        check_content(
            &document(r#"{"type":"base64","data":"AAAA"}"#),
            2 + PDF_CHARS,
        );
        check_content(&document(r#"{"type":"url","url":"x"}"#), 2 + PDF_CHARS);
        check_content(&document(r#"{"type":"text","data":"abc"}"#), 5);
        let content =
            format!(r#"{{"type":"content","content":[{{"type":"text","text":"abc"}},{image}]}}"#);
        check_content(&document(&content), 5 + IMAGE_CHARS);
        assert_eq!(tokens(br#"{"system":"abcde"}"#), Tokens::new(2));
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
