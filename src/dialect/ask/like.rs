//! Requests that are like those before them: with the same members in the same order, and other
//! strings and numbers.

use super::keys::{Key, Keys};
use super::{Ask, AskFault, ask_within, read_keys, span_in, text_of};
use crate::base::endpoint::Dialect;
use crate::base::limits::OUTLINED_BYTES_MAX;
use crate::wire::outline::{Outline, Outlines};

/// The outlines of the latest requests.
#[derive(Clone, Debug, Default)]
pub struct AskOutlines(Outlines<Dialect, Edge>);

/// A place in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Edge {
    /// The value of a key begins.
    Start(Key),
    /// It has ended.
    End(Key),
}

impl AskOutlines {
    /// As [`read_ask`](super::read_ask), which takes longer.
    ///
    /// # Errors
    /// As there.
    pub fn read_ask<'b>(&mut self, dialect: Dialect, body: &'b [u8]) -> Result<Ask<'b>, AskFault> {
        let text = text_of(body)?;
        if let Some(keys) = self.0.find(dialect, |outline| keys(outline, dialect, text)) {
            return ask_within(body, &keys);
        }
        let keys = read_keys(dialect, text)?;
        self.learn(dialect, text, &keys);
        ask_within(body, &keys)
    }

    #[cold]
    fn learn(&mut self, dialect: Dialect, text: &str, found: &Keys<'_>) {
        let is_plain = found.twice.is_none() && found.mistaken.is_none();
        if !is_plain || text.len() > OUTLINED_BYTES_MAX || !self.0.wants_another() {
            return;
        }
        let mut places = Vec::new();
        for key in Key::ALL {
            if let Some(raw) = found.raw(key) {
                let span = span_in(text.as_bytes(), raw);
                places.push((span.start, Edge::Start(key)));
                places.push((span.end, Edge::End(key)));
            }
        }
        places.sort_unstable_by_key(|(place, _)| *place);
        if let Some(outline) = Outline::with_places(text.as_bytes(), &places) {
            self.0.add(dialect, outline);
        }
    }
}

/// The keys of a request that fits the outline.
#[inline]
fn keys<'t>(outline: &Outline<Edge>, dialect: Dialect, text: &'t str) -> Option<Keys<'t>> {
    let (mut keys, mut start) = (Keys::none(dialect), 0);
    let fits = outline.fits(text.as_bytes(), |edge, filling| {
        match edge {
            Edge::Start(_) => start = filling.at,
            Edge::End(key) => keys.set(key, text.get(start..filling.at)),
        }
        true
    });
    fits.then_some(keys)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dialect::ask::read_ask;

    const CHAT: &str = r#"{"model": "m", "messages": [{"role":"system","content":"x"},
        {"role":"user","content":"hi\n\u00e9"}], "max_tokens":64,"temperature":0.5,"stream":false,
        "stream_options":null,"n":1 , "user":"me"} "#;
    const MESSAGES: &str = r#"{"max_tokens":5,"system":[{"text":"x"}],"tools":[],
        "messages":[{"content":[7]}],"model":"m","metadata":{"user_id":"u","model":"no"}}"#;
    const RESPONSES: &str = r#"{"input":"x","instructions":null,"model":"m","stream":true,
        "max_output_tokens":7,"safety_identifier":"s","tools":[{"type":"function"}]}"#;
    const ALL: [(Dialect, &str); 3] = [
        (Dialect::Chat, CHAT),
        (Dialect::Messages, MESSAGES),
        (Dialect::Responses, RESPONSES),
    ];

    /// Outlines that have learned this request.
    fn learned(dialect: Dialect, body: &str) -> AskOutlines {
        let mut outlines = AskOutlines::default();
        let read = outlines.read_ask(dialect, body.as_bytes());
        assert_eq!(read, read_ask(dialect, body.as_bytes()));
        outlines
    }

    /// Whether a request fits an outline; in any case what is read is the same.
    fn is_like(outlines: &mut AskOutlines, dialect: Dialect, body: &str) -> bool {
        let found = outlines
            .0
            .find(dialect, |outline| keys(outline, dialect, body).map(|_| ()));
        let read = outlines.read_ask(dialect, body.as_bytes());
        assert_eq!(read, read_ask(dialect, body.as_bytes()), "{body}");
        found.is_some()
    }

    #[test]
    fn a_request_that_is_like_another_is_read_by_its_outline() {
        for (dialect, body) in ALL {
            let changes = [
                ("\"m\"", "\"another \\\"model\\\"\""),
                ("\"m\"", "\"\""),
                (":\"x\"", ":\"\""),
                (":5", ":500"),
                (":64", ":6"),
                ("[7]", "[70]"),
                ("\"user\"", "\"assistant\""),
            ];
            for (from, to) in changes.iter().filter(|(from, _)| body.contains(from)) {
                let mut outlines = learned(dialect, body);
                let other = body.replacen(from, to, 1);
                assert!(is_like(&mut outlines, dialect, &other), "{other}");
            }
            for other in [
                body.replace("\"m\"", "7"),
                body.replace(":5", ":05"),
                body.replace(":64", ":6.4"),
                body.replace("\"x\"", "\"\\x\""),
                body.replace("}", "} "),
                body.replace(",", ",\"seed\":1,"),
                body.replace("model", "Model"),
            ] {
                let mut outlines = learned(dialect, body);
                let is_other = other != body;
                assert!(
                    !is_other || !is_like(&mut outlines, dialect, &other),
                    "{other}"
                );
            }
            let mut outlines = learned(dialect, body);
            let (other, _) =
                ALL[(ALL.iter().position(|(own, _)| *own == dialect).unwrap() + 1) % 3];
            assert!(!is_like(&mut outlines, other, body));
        }
    }

    #[test]
    fn what_a_place_does_not_tell_is_not_learned() {
        for body in [
            r#"{"model":"m","n":1,"n":2}"#,
            r#"{"model":"m","Model":"x"}"#,
            r#"{"model":"m""#,
            r#"["model"]"#,
        ] {
            let mut outlines = learned(Dialect::Chat, body);
            assert!(!is_like(&mut outlines, Dialect::Chat, body), "{body}");
        }
    }

    proptest! {
        #[test]
        fn a_request_is_read_as_if_none_had_come_before(
            which in 0..ALL.len(), at in any::<prop::sample::Index>(), removed in 0..3_usize,
            put in r#"(|"|\\|\\n|,|:|1|0|null|true|\{|\}|\[|\]| |x|"n":1,|é){0,3}"#,
        ) {
            let (dialect, body) = ALL[which];
            let mut outlines = learned(dialect, body);
            let mut other = body.to_owned();
            let from = at.index(other.len());
            let to = other.len().min(from + removed);
            other.replace_range(from..to, &put);
            is_like(&mut outlines, dialect, &other);
        }
    }
}
