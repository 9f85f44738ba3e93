//! Cuts out of a request what infermux itself has signed: the API takes thoughts with its own
//! signatures alone (rule MP1 of reference/messages-inbound.md).
//!
//! Such thoughts come back from a caller whose earlier answers were made of those of another
//! dialect (rule MA2).

use std::ops::Range;

use memchr::memmem;

use crate::dialect::signature;
use crate::wire::json::{self, Kind, Value};

/// Whether `body` may hold such a thought.
#[must_use]
pub fn may_hold(body: &[u8]) -> bool {
    memmem::find(body, signature::OWN.as_bytes()).is_some()
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
    let model = model.map(|model| (model_span, model));
    let at = |model: &(Range<usize>, &[u8])| cuts.partition_point(|cut| cut.start < model.0.start);
    let place = model.as_ref().map(at);
    if let (Some(place), Some((span, _))) = (place, &model) {
        cuts.insert(place, span.clone());
    }
    let mut from = 0;
    for (index, cut) in cuts.iter().enumerate() {
        out.extend_from_slice(body.get(from..cut.start).unwrap_or_default());
        if let (true, Some((_, model))) = (place == Some(index), &model) {
            out.extend_from_slice(model);
        }
        from = cut.end;
    }
    out.extend_from_slice(body.get(from..).unwrap_or_default());
    true
}

/// What must go, in order.
fn cuts(body: &[u8]) -> Vec<Range<usize>> {
    let mut cuts = Vec::new();
    if !may_hold(body) {
        return cuts;
    }
    let Some(messages) = array(body, 0, b"messages") else {
        return cuts;
    };
    let mut places = Vec::new();
    for message in elements(&messages) {
        let content = array(message.text, message.at, b"content");
        let blocks = content.iter().flat_map(elements);
        let places_of_blocks: Vec<Place> = blocks
            .map(|block| Place {
                span: block.span(),
                goes: is_own(&block),
            })
            .collect();
        let goes = !places_of_blocks.is_empty() && places_of_blocks.iter().all(|one| one.goes);
        if !goes {
            add_cuts(&places_of_blocks, &mut cuts);
        }
        places.push(Place {
            span: message.span(),
            goes,
        });
    }
    add_cuts(&places, &mut cuts);
    cuts.sort_unstable_by_key(|cut| cut.start);
    cuts
}

/// An element of a list, and whether it goes.
struct Place {
    span: Range<usize>,
    goes: bool,
}

/// Adds what must go so that the list, its commas included, is right without the elements that go.
fn add_cuts(places: &[Place], cuts: &mut Vec<Range<usize>>) {
    let mut kept_until = None;
    for (index, place) in places.iter().enumerate() {
        if !place.goes {
            kept_until = Some(place.span.end);
            continue;
        }
        // With the comma in front, or where nothing is kept in front, with the one behind.
        let cut = match (kept_until, places.get(index + 1)) {
            (Some(start), _) => start..place.span.end,
            (None, Some(next)) => place.span.start..next.span.start,
            (None, None) => place.span.clone(),
        };
        kept_until = kept_until.map(|_| place.span.end);
        cuts.push(cut);
    }
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

/// The list called `name` in the object `text`, which stands at `base`.
fn array<'a>(text: &'a [u8], base: usize, name: &[u8]) -> Option<Value<'a>> {
    let value = json::member(text, name)?.value;
    (value.kind == Kind::Array).then_some(Value {
        at: base + value.at,
        ..value
    })
}

/// The elements of a list, at their places in the whole text.
fn elements<'a>(list: &Value<'a>) -> impl Iterator<Item = Value<'a>> {
    let base = list.at;
    let all = json::elements(list.text).map_while(Result::ok);
    all.map(move |value| Value {
        at: base + value.at,
        ..value
    })
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
