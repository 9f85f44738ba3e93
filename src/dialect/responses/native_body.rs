//! Takes out of a request what a provider that has Responses would refuse: it knows no item but its
//! own (rules N3, I3 and I5 of reference/responses-inbound.md).
//!
//! Reasoning that infermux has made of another dialect's, and reasoning that another provider has
//! sealed, goes. A reference to an item that infermux has made becomes that item.

use std::ops::Range;

use crate::dialect::cuts::{self, Cuts, Fate};
use crate::dialect::responses::remembered::Remembered;
use crate::dialect::unsupported::Unsupported;
use crate::wire::json::{self, Kind, Member, Value};
use crate::wire::needle;

/// What a request becomes for one provider.
#[derive(Clone, Copy, Debug)]
pub struct Edit<'e, R> {
    /// The provider's name for the model, a JSON string with its quotes; `None`: the caller's.
    pub model: Option<&'e [u8]>,
    /// Places in `input` of items that are left out, in order.
    pub left_out: &'e [usize],
    /// The items that infermux has made.
    pub remembered: &'e R,
}

/// How many items of a request were taken out, or put in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Reasoning that the provider does not know.
    pub reasoning: usize,
    /// References to reasoning that infermux has made.
    pub references: usize,
    /// References that became the items that they named.
    pub replaced: usize,
}

/// For the log.
impl std::fmt::Display for Changed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let counts = [
            (self.reasoning, "reasoning"),
            (self.references, "item_reference"),
            (self.replaced, "item_reference (replaced)"),
        ];
        let told = counts.iter().filter(|(count, _)| *count > 0);
        for (place, (count, name)) in told.enumerate() {
            let mark = if place == 0 { "" } else { "," };
            write!(f, "{mark}{count} {name}")?;
        }
        Ok(())
    }
}

/// Whether `body` may hold something that [`write()`] would change, though nothing is left out of
/// it.
#[must_use]
pub fn may_change(body: &[u8]) -> bool {
    needle::is_in(body, OWN_MARK) || may_hold_reasoning(body)
}

/// Whether `body` may hold a reasoning item: the word stands in it as a value, and not only as the
/// name of the parameter.
fn may_hold_reasoning(body: &[u8]) -> bool {
    needle::places(body, REASONING).any(|at| {
        let behind = body.get(at + REASONING.len()..).unwrap_or_default();
        behind.trim_ascii_start().first() != Some(&b':')
    })
}

/// Appends `body`, which is JSON and has the model's name at `model_span`, as the provider is to
/// get it; `None`: no item changes, and nothing is appended.
///
/// # Errors
/// It refers to an item that nobody knows; nothing is appended.
pub fn write<R: Remembered>(
    body: &[u8],
    model_span: Range<usize>,
    edit: &Edit<'_, R>,
    out: &mut Vec<u8>,
) -> Result<Option<Changed>, Unsupported> {
    let Some(input) = cuts::array(body, 0, b"input") else {
        return Ok(None);
    };
    let mut changed = Changed::default();
    let mut left_out = edit.left_out.iter().peekable();
    let mut places = Vec::new();
    for (index, item) in cuts::elements(&input).enumerate() {
        let fate = if left_out.next_if(|place| **place == index).is_some() {
            changed.reasoning += 1;
            Fate::Goes
        } else {
            fate(&item, index, edit.remembered, &mut changed)?
        };
        places.push((item.span(), fate));
    }
    if changed == Changed::default() {
        return Ok(None);
    }
    let mut cuts = Cuts::default();
    cuts.decide(&places);
    if let Some(model) = edit.model {
        cuts.replace(model_span, model);
    }
    cuts.write(body, out);
    Ok(Some(changed))
}

/// What happens to the item at this place of `input`.
fn fate<'r, R: Remembered>(
    item: &Value<'_>,
    index: usize,
    remembered: &'r R,
    changed: &mut Changed,
) -> Result<Fate<'r>, Unsupported> {
    let read = Item::read(item);
    if read.is_reasoning && read.is_foreign() {
        changed.reasoning += 1;
        return Ok(Fate::Goes);
    }
    let id = read.id.filter(|id| read.is_reference && is_marked(id));
    let Some(id) = id.and_then(|id| id.string()) else {
        return Ok(Fate::Stays);
    };
    if id.starts_with(OWN_REASONING) {
        changed.references += 1;
        return Ok(Fate::Goes);
    }
    match remembered.item(&id) {
        Some(item) => {
            changed.replaced += 1;
            Ok(Fate::Becomes(item))
        }
        None => Err(Unsupported::new(
            &format!("input[{index}]"),
            "refers to an item that is not remembered any more: send the item itself, or `store: \
             false`",
        )),
    }
}

/// The members of an item that matter; texts are not empty.
#[derive(Clone, Copy, Debug, Default)]
struct Item<'a> {
    is_reasoning: bool,
    is_reference: bool,
    id: Option<Value<'a>>,
    sealed: Option<Value<'a>>,
}

impl<'a> Item<'a> {
    fn read(item: &Value<'a>) -> Self {
        let (mut read, mut room) = (Self::default(), Vec::new());
        for member in json::members(item.text).map_while(Result::ok) {
            let Member { name, value } = member;
            let text = || Some(value).filter(|text| text.kind == Kind::String && !text.is_blank());
            match name.read(&mut room) {
                b"type" => {
                    read.is_reasoning = value.says("reasoning");
                    read.is_reference = value.says("item_reference");
                }
                b"id" => read.id = text(),
                b"encrypted_content" => read.sealed = text(),
                _ => {}
            }
        }
        read
    }

    /// Whether no provider can know it: infermux has made it, or it has neither an id nor a sealed
    /// content.
    fn is_foreign(&self) -> bool {
        let is_own_seal = |sealed: Value<'_>| sealed.word().starts_with(OWN_SEAL);
        match (self.id, self.sealed) {
            (None, None) => true,
            (id, sealed) => id.is_some_and(|id| is_marked(&id)) || sealed.is_some_and(is_own_seal),
        }
    }
}

/// Whether infermux has made this id.
fn is_marked(id: &Value<'_>) -> bool {
    needle::is_in(&id.word(), OWN_MARK)
}

/// What stands behind the prefix of each id that infermux has made.
const OWN_MARK: &[u8] = b"_ifx_";
/// How the ids begin of reasoning that infermux has made.
const OWN_REASONING: &str = "rs_ifx_";
/// How a content begins that infermux has put in the place of a sealed one.
const OWN_SEAL: &[u8] = b"infermux.";
/// The type of a reasoning item.
const REASONING: &[u8] = b"\"reasoning\"";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value as Json;

    use super::*;

    struct One;

    impl Remembered for One {
        fn item(&self, id: &str) -> Option<&[u8]> {
            (id == "msg_ifx_1").then_some(br#"{"type":"message","id":"msg_ifx_1"}"#)
        }
    }

    fn written(body: &str, left_out: &[usize]) -> Result<Option<(String, Changed)>, Unsupported> {
        let at = body.rfind(r#""m""#).unwrap();
        let edit = Edit {
            model: Some(br#""there""#),
            left_out,
            remembered: &One,
        };
        let mut out = Vec::new();
        let changed = write(body.as_bytes(), at..at + 3, &edit, &mut out)?;
        // What is changed is found by its marks.
        assert!(changed.is_none() || may_change(body.as_bytes()) || !left_out.is_empty());
        assert_eq!(changed.is_none(), out.is_empty());
        Ok(changed.map(|changed| (String::from_utf8(out).unwrap(), changed)))
    }

    /// What becomes of this `input`; `None`: nothing changes.
    fn check(input: &str, left_out: &[usize], expected: Option<(&str, [usize; 3])>) {
        let body = |input: &str, model| {
            format!(r#"{{"input" : {input}, "n":1.50, "reasoning":{{}}, "model": {model}}}"#)
        };
        let found = written(&body(input, r#""m""#), left_out).unwrap();
        let expected = expected.map(|(input, [reasoning, references, replaced])| {
            let changed = Changed {
                reasoning,
                references,
                replaced,
            };
            (body(input, r#""there""#), changed)
        });
        assert_eq!(found, expected, "{input}");
    }

    const USER: &str = r#"{"role":"user","content":"infermux.reasoning rs_ifx_0"}"#;

    #[test]
    fn the_published_vector_holds() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/golden/responses/passthrough/11-bridged-leftovers-removed.json"
        );
        let vector: Json = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let body = vector["request_text"].as_str().unwrap();
        let at = body.find(r#""m""#).unwrap();
        let edit = Edit {
            model: Some(br#""kit-native""#),
            left_out: &[],
            remembered: &One,
        };
        let mut out = Vec::new();
        let changed = write(body.as_bytes(), at..at + 3, &edit, &mut out).unwrap();
        assert_eq!(changed.unwrap().reasoning, 1);
        assert_eq!(vector["upstream_text"], String::from_utf8(out).unwrap());
    }

    #[test]
    fn reasoning_that_no_provider_knows_goes() {
        for (item, goes) in [
            (
                r#"{"type":"reasoning","id":"rs_ifx_0a","summary":[]}"#,
                true,
            ),
            (
                r#"{"type":"reasoning","encrypted_content":"infermux.reasoning"}"#,
                true,
            ),
            (
                r#"{"typ\u0065":"reas\u006fning","encrypted_content":"inferm\u0075x.reasoning",
                    "id":"rs_1_ifx_"}"#,
                true,
            ),
            (r#"{"type":"reasoning","summary":[]}"#, true),
            (
                r#"{"type" : "reasoning","id":null,"encrypted_content":""}"#,
                true,
            ),
            (r#"{"type":"reasoning","id":"rs_1","summary":[]}"#, false),
            (r#"{"type":"reasoning","encrypted_content":"gAAA"}"#, false),
            (r#"{"type":"message","id":"msg_ifx_0"}"#, false),
            (r#"{"type":"function_call","id":"fc_ifx_0"}"#, false),
            (r#"{"type":"item_reference","id":"rs_1"}"#, false),
        ] {
            let input = format!("[{USER} , {item} , {USER}]");
            let without = format!("[{USER} , {USER}]");
            check(&input, &[], goes.then_some((&*without, [1, 0, 0])));
            let alone = format!("[ {item} ]");
            check(&alone, &[], goes.then_some(("[  ]", [1, 0, 0])));
        }
        check(r#""rs_ifx_0 \"reasoning\"""#, &[], None);
    }

    #[test]
    fn references_to_what_infermux_has_made_are_resolved() {
        let to = |id: &str| format!(r#"{{"type":"item_reference","id":"{id}"}}"#);
        let item = r#"{"type":"message","id":"msg_ifx_1"}"#;
        let input = format!(
            "[{}, {} ,{USER},{}]",
            to("rs_ifx_9"),
            to("msg_ifx_1"),
            to("fc_1")
        );
        let expected = format!("[{item} ,{USER},{}]", to("fc_1"));
        check(&input, &[], Some((&expected, [0, 1, 1])));
        let body = format!(r#"{{"input":[{USER},{}],"model":"m"}}"#, to("msg_ifx_2"));
        let fault = written(&body, &[]).unwrap_err();
        assert_eq!(fault.place, "input[1]");
        assert!(fault.to_string().contains("`store: false`"), "{fault}");
    }

    #[test]
    fn what_another_provider_has_sealed_is_left_out() {
        let sealed = r#"{"type":"reasoning","id":"rs_1","encrypted_content":"gAAA"}"#;
        let input = format!("[{sealed},{USER},{sealed},{sealed}]");
        check(&input, &[], None);
        let expected = format!("[{USER},{sealed}]");
        check(&input, &[0, 2], Some((&expected, [2, 0, 0])));
        check(&input, &[0, 1, 2, 3], Some(("[]", [4, 0, 0])));
    }

    #[test]
    fn a_plain_request_is_known_at_once() {
        for (body, may) in [
            (r#"{"input":"x","reasoning":{"effort":"low"}}"#, false),
            (r#"{"input":"x","reasoning" : null}"#, false),
            (r#"{"input":[{"type":"reasoning"}]}"#, true),
            (r#"{"input":[{"type": "reasoning" , "id":"x"}]}"#, true),
            (r#"{"input":[{"id":"rs_ifx_0"}]}"#, true),
        ] {
            assert_eq!(may_change(body.as_bytes()), may, "{body}");
        }
        let changed = Changed {
            reasoning: 2,
            references: 0,
            replaced: 1,
        };
        assert_eq!(
            changed.to_string(),
            "2 reasoning,1 item_reference (replaced)"
        );
    }

    proptest! {
        /// The items that stay are those of a plain program, in order.
        #[test]
        fn the_rest_stays(
            kinds in prop::collection::vec(0..5_usize, 0..8),
            space in "[ \n]{0,2}",
        ) {
            let items = [
                USER,
                r#"{"type":"reasoning","id":"rs_ifx_1"}"#,
                r#"{"type":"reasoning","id":"rs_1"}"#,
                r#"{"type":"item_reference","id":"msg_ifx_1"}"#,
                r#"{"type":"item_reference","id":"rs_ifx_1"}"#,
            ];
            let list: Vec<&str> = kinds.iter().map(|kind| items[*kind]).collect();
            let input = list.join(&format!("{space},{space}"));
            let body = format!(r#"{{"input":[{space}{input}{space}],"model":"m"}}"#);
            let expected: Vec<Json> = kinds
                .iter()
                .filter_map(|kind| match kind {
                    1 | 4 => None,
                    3 => Some(r#"{"type":"message","id":"msg_ifx_1"}"#),
                    kind => Some(items[*kind]),
                })
                .map(|item| serde_json::from_str(item).unwrap())
                .collect();
            let found = written(&body, &[]).unwrap();
            let changes = kinds.iter().any(|kind| matches!(kind, 1 | 3 | 4));
            prop_assert_eq!(found.is_some(), changes);
            if let Some((found, _)) = found {
                let found: Json = serde_json::from_str(&found).unwrap();
                prop_assert_eq!(&found["input"], &Json::Array(expected));
                prop_assert_eq!(&found["model"], "there");
            }
        }
    }
}
