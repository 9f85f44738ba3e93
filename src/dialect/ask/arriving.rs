//! A large request, read while its body arrives: when the last byte has come, nothing is left to
//! do that takes long.

use std::ops::Range;

use super::attachments::{Attachments, Beyond};
use super::keys::{Key, Keys};
use super::{Ask, AskFault, Content, ask_of};
use crate::base::endpoint::Dialect;
use crate::wire::json::check::pieces::{Member, Pieces};

/// What has been read of a body that is arriving.
#[derive(Debug)]
pub struct Arriving {
    dialect: Dialect,
    json: Pieces,
    members: Vec<Member>,
    /// Everything before this place is valid UTF-8.
    utf8: usize,
    attachments: Attachments,
    beyond: Vec<Beyond>,
    /// The body is not valid, or needs the slower reader.
    is_odd: bool,
}

impl Arriving {
    /// A reader of a body in this dialect, of which nothing has arrived.
    #[must_use]
    pub fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            json: Pieces::default(),
            members: Vec::new(),
            utf8: 0,
            attachments: Attachments::new(dialect),
            beyond: Vec::new(),
            is_odd: false,
        }
    }

    /// Reads on; `body` is everything that has arrived by now.
    pub fn take_in(&mut self, body: &[u8]) {
        if self.is_odd {
            return;
        }
        let end = characters_end(body);
        let fresh = body.get(self.utf8..end).unwrap_or_default();
        self.is_odd = simdutf8::basic::from_utf8(fresh).is_err();
        self.utf8 = end;
        let members = &mut self.members;
        let read = self.json.take_in(body, |member| members.push(member));
        self.is_odd |= read.is_err() || self.members.len() > MEMBERS_MAX;
        let beyond = &mut self.beyond;
        self.attachments.take_in(body, |one| beyond.push(one));
    }

    /// What the whole `body`, which has been taken in, asks for; `None`: it must be judged by
    /// [`read_ask`](super::read_ask), which takes longer.
    #[must_use]
    pub fn finish(&self, body: &[u8]) -> Option<Result<Ask<'static>, AskFault>> {
        if self.is_odd || self.utf8 != body.len() || !self.json.is_whole(body) {
            return None;
        }
        let mut keys = Keys::none(self.dialect);
        let mut content = Content {
            prompt_bytes: 0,
            messages: None,
        };
        for Member { name, value } in &self.members {
            let name = std::str::from_utf8(body.get(name.clone())?).ok()?;
            if name.contains('\\') {
                return None;
            }
            let key = Key::of(self.dialect, name);
            let text = match key {
                Key::Messages
                | Key::Prompt
                | Key::Input
                | Key::System
                | Key::Tools
                | Key::Instructions => {
                    content.prompt_bytes += value.len() - self.left_out(value);
                    if key == Key::Messages {
                        content.messages = body.get(value.clone());
                    }
                    ""
                }
                Key::Other => "",
                Key::Model
                | Key::Stream
                | Key::StreamOptions
                | Key::MaxTokens
                | Key::MaxCompletionTokens
                | Key::N
                | Key::User
                | Key::MaxOutputTokens
                | Key::SafetyIdentifier => {
                    let text = body.get(value.clone())?;
                    let is_short = text.len() <= VALUE_MAX;
                    std::str::from_utf8(text).ok().filter(|_| is_short)?
                }
            };
            keys.put(name, text);
        }
        Some(ask_of(body, &keys, &content).map(Ask::into_owned))
    }

    /// How many bytes of `value` do not count as prompt.
    fn left_out(&self, value: &Range<usize>) -> usize {
        let inside = self.beyond.iter().filter(|one| value.contains(&one.place));
        inside.map(|one| one.bytes).sum()
    }
}

/// Where the last character of `body` ends that has arrived whole.
fn characters_end(body: &[u8]) -> usize {
    let tail = body.len().saturating_sub(3);
    for at in (tail..body.len()).rev() {
        let length = match body.get(at) {
            Some(0xc0..=0xdf) => 2,
            Some(0xe0..=0xef) => 3,
            Some(0xf0..) => 4,
            Some(0x80..=0xbf) => continue,
            Some(..=0x7f) | None => break,
        };
        return if at + length > body.len() {
            at
        } else {
            body.len()
        };
    }
    body.len()
}

/// Most members of a request that is read while it arrives.
const MEMBERS_MAX: usize = 256;
/// Longest value that is read for its content, in bytes.
const VALUE_MAX: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dialect::ask::read_ask;

    /// What is read in pieces of these lengths.
    fn read(
        dialect: Dialect,
        body: &[u8],
        lengths: &[usize],
    ) -> Option<Result<Ask<'static>, AskFault>> {
        let mut arriving = Arriving::new(dialect);
        let mut end = 0;
        for length in lengths.iter().copied().chain([body.len()]) {
            end = body.len().min(end + length);
            arriving.take_in(&body[..end]);
        }
        arriving.finish(body)
    }

    fn assert_same(dialect: Dialect, body: &[u8], lengths: &[usize]) {
        let whole = read_ask(dialect, body).map(Ask::into_owned);
        let pieces = read(dialect, body, lengths);
        // A body with a fault is left to the other reader; a right one is read alike by both.
        let is_left = pieces.is_none();
        assert_eq!(pieces.unwrap_or_else(|| whole.clone()), whole);
        assert!(
            !is_left || whole.is_err() || body.contains(&b'\\'),
            "{whole:?}"
        );
    }

    #[test]
    fn a_request_is_read_alike_wherever_it_is_split() {
        let attachment = format!("data:image/png;base64,{}", "A".repeat(6_000));
        let body = format!(
            r#"{{"model":"é€😀","stream":true,"stream_options":{{"include_usage":false}},
               "n":2,"max_tokens":7,"user":"u\n","messages":[{{"content":"{attachment}"}},
               {{"content":";base64,"}},"{attachment}"],"x":"{attachment}"}}"#
        );
        let whole = read_ask(Dialect::Chat, body.as_bytes()).unwrap();
        assert!(whole.prompt_bytes < 9_000, "{}", whole.prompt_bytes);
        for split in (0..100)
            .chain(body.len() - 100..body.len())
            .chain([200, 5_000])
        {
            assert_same(Dialect::Chat, body.as_bytes(), &[split]);
        }
        assert_same(Dialect::Chat, body.as_bytes(), &vec![1; body.len()]);
        assert_same(Dialect::Chat, body.as_bytes(), &[3; 4_000]);
    }

    #[test]
    fn what_is_wrong_or_odd_is_left_to_who_has_time() {
        let long = "x".repeat(VALUE_MAX);
        for body in [
            &b"{\"model\":\"m\xff\"}"[..],
            b"{\"model\":\"m\"",
            b"{\"model\":\"m\"}}",
            b"{\"\\u006dodel\":\"m\"}",
            b"{\"model\":\"m\",\"a\":\"\xe2\x82\"}",
            format!("{{\"model\":\"m\",\"user\":\"{long}\"}}").as_bytes(),
        ] {
            assert!(
                read(Dialect::Chat, body, &[9]).is_none(),
                "{}",
                String::from_utf8_lossy(body)
            );
        }
        // What is JSON and yet no request is told at once.
        for body in [
            r#"{"a":1}"#,
            r#"{"model":1}"#,
            r#"{"model":"m","model":"m"}"#,
        ] {
            assert_eq!(
                read(Dialect::Chat, body.as_bytes(), &[3]).unwrap(),
                read_ask(Dialect::Chat, body.as_bytes())
            );
        }
    }

    #[test]
    fn a_request_of_messages_is_read_alike_wherever_it_is_split() {
        let picture = "A".repeat(16_000);
        let plain = "a text ".repeat(1_000);
        let body = format!(
            r#"{{"model":"é€😀","stream":true,"max_tokens":7,"system":[{{"text":"é"}}],
               "messages":[{{"content":[{{"source":{{"type":"base64","data" : "{picture}"}}}},
               {{"source":{{"type":"text","data":"{plain}"}}}},{{"text":"data"}}]}}],
               "tools":[{{"name":"data","input_schema":{{"data":"x","data": {{}}}}}}],
               "data":"{picture}"}}"#
        );
        let whole = read_ask(Dialect::Messages, body.as_bytes()).unwrap();
        assert!(whole.prompt_bytes > 12_000 + plain.len());
        assert!(whole.prompt_bytes < 12_000 + plain.len() + 400);
        for split in (0..260)
            .chain(body.len() - 100..body.len())
            .chain([5_000, 12_300, 16_300, 26_000])
        {
            assert_same(Dialect::Messages, body.as_bytes(), &[split]);
        }
        assert_same(Dialect::Messages, body.as_bytes(), &vec![1; body.len()]);
        assert_same(Dialect::Messages, body.as_bytes(), &[3; 4_000]);
    }

    #[test]
    fn a_request_for_a_response_is_read_alike_wherever_it_is_split() {
        let file = format!("data:application/pdf;base64,{}", "A".repeat(9_000));
        let body = format!(
            r#"{{"instructions":"é","model":"é€😀","stream":true,"max_output_tokens":7,
               "stream_options":{{"include_obfuscation":false}},"n":2,
               "input":[{{"content":[{{"type":"input_file","file_data":"{file}"}}]}}],
               "tools":[{{"type":"web_search"}}],"safety_identifier":"s","user":"u",
               "prompt":{{"id":"{file}"}}}}"#
        );
        let whole = read_ask(Dialect::Responses, body.as_bytes()).unwrap();
        assert!((4_096..4_300).contains(&whole.prompt_bytes), "{whole:?}");
        for split in (0..260).chain(body.len() - 100..body.len()).chain([4_500]) {
            assert_same(Dialect::Responses, body.as_bytes(), &[split]);
        }
        assert_same(Dialect::Responses, body.as_bytes(), &vec![1; body.len()]);
        assert_same(Dialect::Responses, body.as_bytes(), &[3; 8_000]);
    }

    proptest! {
        #[test]
        fn any_request_is_read_alike_in_any_pieces(
            body in concat!(
                r#"\{"model":"(m|é|\\n)?"(,"(n|stream|user|messages|input|system|x|Stream|"#,
                r#"instructions|max_output_tokens|safety_identifier|tools)":"#,
                r#"(1|true|\[ ?\]|"[aé€;]{0,9}(;base64,A{0,9})?"|nul|"#,
                r#"\[\{"(a|data)":"\\u00e9"\}\])){0,5}\}"#,
            ),
            dialect in prop::sample::select(vec![
                Dialect::Chat,
                Dialect::Messages,
                Dialect::Responses,
            ]),
            lengths in prop::collection::vec(0..9_usize, 0..40),
        ) {
            let whole = read_ask(dialect, body.as_bytes()).map(Ask::into_owned);
            if let Some(read) = read(dialect, body.as_bytes(), &lengths) {
                prop_assert_eq!(read, whole);
            } else {
                prop_assert!(whole.is_err(), "{:?}", whole);
            }
        }
    }
}
