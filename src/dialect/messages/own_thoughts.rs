//! Cuts out of a request what infermux itself has signed: the API takes thoughts with its own
//! signatures alone (rule MP1 of reference/messages-inbound.md).
//!
//! Such thoughts come back from a caller whose earlier answers were made of those of another
//! dialect (rule MA2).

use std::ops::Range;

use crate::dialect::cuts::{self, Cuts, Fate};
use crate::dialect::signature;
use crate::wire::json::{self, Kind, Value};
use crate::wire::needle;

/// Whether `body` may hold such a thought.
#[must_use]
pub fn may_hold(body: &[u8]) -> bool {
    needle::is_in(body, signature::OWN.as_bytes())
}

/// Appends `body`, which is JSON, without such thoughts, and without messages that held nothing
/// else; returns whether there were any: else nothing is appended. `model`, a JSON string with its
/// quotes, takes the place of what stands at `model_span`.
pub fn write_without(
    body: &[u8],
    model_span: Range<usize>,
    model: Option<&[u8]>,
    out: &mut Vec<u8>,
) -> bool {
    let mut cuts = cuts(body);
    if cuts.is_empty() {
        return false;
    }
    if let Some(model) = model {
        cuts.replace(model_span, model);
    }
    cuts.write(body, out);
    true
}

/// What must go.
fn cuts(body: &[u8]) -> Cuts<'static> {
    let mut cuts = Cuts::default();
    if !may_hold(body) {
        return cuts;
    }
    let Some(messages) = cuts::array(body, 0, b"messages") else {
        return cuts;
    };
    let mut places = Vec::new();
    for message in cuts::elements(&messages) {
        let content = cuts::array(message.text, message.at, b"content");
        let blocks = content.iter().flat_map(cuts::elements);
        let fate = |goes| if goes { Fate::Goes } else { Fate::Stays };
        let blocks: Vec<_> = blocks
            .map(|block| (block.span(), fate(is_own(&block))))
            .collect();
        let goes = !blocks.is_empty() && blocks.iter().all(|(_, fate)| *fate == Fate::Goes);
        if !goes {
            cuts.decide(&blocks);
        }
        places.push((message.span(), fate(goes)));
    }
    cuts.decide(&places);
    cuts
}

fn is_own(block: &Value<'_>) -> bool {
    if block.kind != Kind::Object || !may_hold(block.text) {
        return false;
    }
    let member = |name| json::member(block.text, name).map(|member| member.value);
    let is_thought = member(b"type").is_some_and(|kind| kind.says("thinking"));
    let signature = member(b"signature").filter(|_| is_thought);
    let signature = signature.and_then(|signature| signature.string());
    signature.is_some_and(|signature| signature::is_own(&signature))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = r#"{"type":"thinking","thinking":"t","signature":"infermux.reasoning"}"#;

    /// `~` stands for a thought that infermux has signed.
    fn check(messages: &str, expected: Option<&str>) {
        let body = |messages: &str, model| {
            format!(r#"{{"messages" : {messages}, "model": {model},"x":1.50}}"#).replace('~', OWN)
        };
        let text = body(messages, r#""m""#);
        let at = text.rfind(r#""m""#).unwrap();
        let mut out = Vec::new();
        let model = br#""there""#;
        let cut = write_without(text.as_bytes(), at..at + 3, Some(model), &mut out);
        assert_eq!(cut, expected.is_some(), "{messages}");
        let expected = expected.map(|messages| body(messages, r#""there""#));
        assert_eq!(
            String::from_utf8(out).unwrap(),
            expected.unwrap_or_default()
        );
    }

    #[test]
    fn own_thoughts_and_what_is_empty_without_them_go() {
        let text = r#"{"type":"text","text":"infermux."}"#;
        let theirs = r#"{"type":"thinking","thinking":"infermux.","signature":"Eq"}"#;
        let kept = format!(r#"[{{"content":[{theirs} , {text}]}},{{"content":"infermux."}}]"#);
        check(&kept, None);
        check(r#"[{"content":[]}]"#, None);
        for (content, expected) in [
            ("[~, TEXT]", "[TEXT]"),
            ("[TEXT , ~]", "[TEXT]"),
            ("[~,~, TEXT ,~ , ~]", "[TEXT ]"),
            ("[ TEXT,~,TEXT ]", "[ TEXT,TEXT ]"),
            ("[~ , TEXT , ~,TEXT]", "[TEXT,TEXT]"),
        ] {
            let expected = expected.replace("[TEXT ]", "[TEXT]");
            let messages =
                |content: &str| format!(r#"[{{"content":{content}}}]"#).replace("TEXT", text);
            check(&messages(content), Some(&messages(&expected)));
        }
        check(
            r#"[{"content":[~]}, {"content":"a"} ,{"content":[~,~]}, {"content":"b"}]"#,
            Some(r#"[{"content":"a"}, {"content":"b"}]"#),
        );
        check(r#"[ {"content":[~]} ]"#, Some("[  ]"));
    }

    #[test]
    fn a_signature_is_read_as_json_reads_it() {
        let mut out = Vec::new();
        let body = r#"{"model":"m","messages":[{"content":[{"typ\u0065":"thinking",
            "signature":"infermux.x\u0021"},{"type":"text","text":""}]}]}"#;
        assert!(write_without(body.as_bytes(), 9..12, None, &mut out));
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"{"model":"m","messages":[{"content":[{"type":"text","text":""}]}]}"#
        );
    }
}
