//! Reads the `choices` of an answer or of a chunk of a stream.

use crate::base::endpoint::Endpoint;

use crate::wire::json::{self, Bracket, Kind, NotJson, Value, Walk};

/// What all `choices` together hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Choices {
    /// How many there are.
    pub count: usize,
    /// Whether one has the member that carries content: `delta`, `message`, `text`.
    pub has_carrier: bool,
    /// Whether there is content: text, reasoning, a tool call, a refusal, …
    pub has_content: bool,
    /// Length of the generated text, tool calls included.
    pub text_bytes: usize,
    /// The last string that counted as text and is not empty: the place of its inside.
    pub text: Option<Inside>,
    /// The indexes that occur, a bit each.
    pub seen: Indexes,
    /// The indexes that have a finish reason.
    pub finished: Indexes,
    /// The error that one of them ended with.
    pub error: Option<ChoiceError>,
}

/// The error that a choice ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChoiceError {
    /// Its finish reason says so, without a description.
    Untold,
    /// It has an object that describes the error.
    Told {
        /// Its place.
        at: usize,
        /// Its length.
        len: usize,
    },
}

impl ChoiceError {
    /// The JSON object that describes the error, in `data`, which the choice was read from.
    pub fn of(self, data: &[u8]) -> &[u8] {
        match self {
            Self::Untold => b"{}",
            Self::Told { at, len } => data.get(at..at + len).unwrap_or_default(),
        }
    }
}

/// Place of what stands between the quotes of a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inside {
    /// Its first byte.
    pub at: usize,
    /// Its length.
    pub len: usize,
}

/// A set of choice indexes. The API allows 128 choices; an index beyond shares the last bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Indexes(u128);

impl Indexes {
    /// None.
    pub const NONE: Self = Self(0);

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// These and those.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of the `other` are among them.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    const fn of(index: u32) -> Self {
        Self(1 << if index < 127 { index } else { 127 })
    }
}

impl Choices {
    /// Reads the value of `choices` that `walk` stands before into `self`; a value that is no array
    /// holds nothing.
    pub fn read(&mut self, walk: &mut Walk<'_>, endpoint: Endpoint) -> Result<(), NotJson> {
        *self = Self::default();
        if walk.enter(Bracket::Array)? {
            while walk.element()? {
                self.add(walk, endpoint)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, walk: &mut Walk<'_>, endpoint: Endpoint) -> Result<(), NotJson> {
        self.count += 1;
        if !walk.enter(Bracket::Object)? {
            return Ok(());
        }
        let mut index = Indexes::of(0);
        let mut is_finished = false;
        let mut room = Vec::new();
        while let Some(name) = walk.name()? {
            match (name.read(&mut room), endpoint) {
                (b"index", _) => index = index_of(&walk.value()?),
                (b"finish_reason", _) => {
                    let reason = walk.value()?;
                    is_finished = !reason.is_blank();
                    if reason.says("error") {
                        self.error = self.error.or(Some(ChoiceError::Untold));
                    }
                }
                (b"error", _) => {
                    let error = walk.value()?;
                    if error.kind == Kind::Object && !error.is_blank() {
                        let (at, len) = (error.at, error.text.len());
                        self.error = Some(ChoiceError::Told { at, len });
                    }
                }
                (b"delta" | b"message", Endpoint::ChatCompletions) => self.add_message(walk)?,
                (b"text", Endpoint::Completions) => {
                    self.has_carrier = true;
                    self.add_content(&walk.value()?);
                }
                _ => drop(walk.value()?),
            }
        }
        self.seen = self.seen.with(index);
        if is_finished {
            self.finished = self.finished.with(index);
        }
        Ok(())
    }

    /// Any member of a message is content, except the role and empty values: new kinds of content
    /// must not be held back until the stream ends.
    fn add_message(&mut self, walk: &mut Walk<'_>) -> Result<(), NotJson> {
        if !walk.enter(Bracket::Object)? {
            return Ok(());
        }
        self.has_carrier = true;
        let mut room = Vec::new();
        while let Some(name) = walk.name()? {
            let value = walk.value()?;
            match name.read(&mut room) {
                b"role" => {}
                b"tool_calls" | b"function_call" => self.add_call(&value),
                _ => self.add_content(&value),
            }
        }
        Ok(())
    }

    fn add_content(&mut self, value: &Value<'_>) {
        match value.kind {
            Kind::String => {
                self.has_content |= !value.is_blank();
                self.add_text(value, 0);
            }
            Kind::Array | Kind::Object => self.has_content |= !value.is_blank(),
            // `token_id` and the like stand beside content and are none.
            Kind::Number | Kind::True | Kind::False | Kind::Null => {}
        }
    }

    fn add_call(&mut self, value: &Value<'_>) {
        self.has_content |= !value.is_blank();
        if value.kind == Kind::Object {
            self.add_function(value, 0);
            return;
        }
        for call in json::elements(value.text).map_while(Result::ok) {
            if let Some(function) = json::member(call.text, b"function") {
                self.add_function(&function.value, value.at + call.at);
            }
        }
    }

    /// Adds the name and arguments of a call, which are generated text. `base` is the place of the
    /// text that `function` was read from.
    fn add_function(&mut self, function: &Value<'_>, base: usize) {
        for member in json::members(function.text).map_while(Result::ok) {
            self.add_text(&member.value, base + function.at);
        }
    }

    fn add_text(&mut self, value: &Value<'_>, base: usize) {
        self.text_bytes += value.string_len();
        if value.kind == Kind::String && !value.is_blank() {
            self.text = Some(Inside {
                at: base + value.at + 1,
                len: value.text.len() - 2,
            });
        }
    }
}

fn index_of(value: &Value<'_>) -> Indexes {
    if let [digit @ b'0'..=b'9'] = value.text {
        return Indexes::of(u32::from(digit - b'0'));
    }
    let index = std::str::from_utf8(value.text)
        .ok()
        .and_then(|text| text.parse().ok());
    Indexes::of(index.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, endpoint: Endpoint) -> Choices {
        let mut walk = Walk::new(text.as_bytes());
        let mut choices = Choices::default();
        choices.read(&mut walk, endpoint).unwrap();
        walk.end().unwrap();
        choices
    }

    #[test]
    fn content_is_whatever_a_message_says_but_its_role() {
        for (delta, has_content, text_bytes) in [
            (r#"{}"#, false, 0),
            (r#"{"role":"assistant"}"#, false, 0),
            (
                r#"{"role":"assistant","content":"","refusal":null,"tool_calls":[]}"#,
                false,
                0,
            ),
            (r#"{"content":null,"token_id":7,"audio":{}}"#, false, 0),
            (r#"{"content":"Hi\n"}"#, true, 3),
            (r#"{"content":[{"type":"text","text":"x"}]}"#, true, 0),
            (r#"{"reasoning":"ab"}"#, true, 2),
            (r#"{"reasoning_content":"abc"}"#, true, 3),
            (r#"{"refusal":"no"}"#, true, 2),
            (r#"{"audio":{"id":"a"}}"#, true, 0),
            (
                concat!(
                    r#"{"tool_calls":[{"index":0,"id":"call_1","#,
                    r#""function":{"name":"f","arguments":""}}]}"#,
                ),
                true,
                1,
            ),
            (
                r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":1}"}}]}"#,
                true,
                7,
            ),
            (
                r#"{"function_call":{"name":"f","arguments":"{}"}}"#,
                true,
                3,
            ),
        ] {
            let found = read(
                &format!(r#"[{{"delta":{delta}}}]"#),
                Endpoint::ChatCompletions,
            );
            assert!(found.has_carrier && found.count == 1);
            assert_eq!(
                (found.has_content, found.text_bytes),
                (has_content, text_bytes),
                "{delta}"
            );
        }
    }

    #[test]
    fn legacy_completions_carry_text() {
        let text = r#"[{"text":"abc","index":0,"finish_reason":null}]"#;
        let found = read(text, Endpoint::Completions);
        assert!(found.has_carrier && found.has_content && found.finished.is_empty());
        assert_eq!(found.text_bytes, 3);
        let beside = r#"[{"text":"abc","index":0,"delta":{"content":"abc"}}]"#;
        assert_eq!(read(beside, Endpoint::ChatCompletions).text_bytes, 3);
        assert!(!read(text, Endpoint::ChatCompletions).has_carrier);
    }

    #[test]
    fn finish_reasons_are_kept_by_index() {
        let some = read(
            concat!(
                r#"[{"index":1,"finish_reason":"stop"},{"index":300,"#,
                r#""finish_reason":""},{"finish_reason":null}]"#,
            ),
            Endpoint::ChatCompletions,
        );
        assert_eq!(some.count, 3);
        assert_eq!(some.finished, Indexes::of(1));
        assert_eq!(
            some.seen,
            Indexes::of(0).with(Indexes::of(1)).with(Indexes::of(127))
        );
        assert!(some.seen.contains(some.finished) && !some.finished.contains(some.seen));
    }

    #[test]
    fn other_shapes_hold_nothing() {
        for text in ["null", "{}", "[]", "7"] {
            assert_eq!(
                read(text, Endpoint::ChatCompletions),
                Choices::default(),
                "{text}"
            );
        }
        assert_eq!(read("[null,7]", Endpoint::ChatCompletions).count, 2);
    }
}
