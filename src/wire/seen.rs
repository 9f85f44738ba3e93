//! What can be said of an answer that no caller gets, because it is no valid answer or only a part
//! of it has arrived.

use memchr::memmem;

use crate::wire::json::{Bracket, Value, Walk};
use crate::wire::usage::Usage;

/// What is known of the tokens that an attempt has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// What the provider says; `None`: it must be estimated.
    pub usage: Option<Usage>,
    /// Length of the text that was generated, for an estimate.
    pub text_bytes: usize,
}

/// Usage and text in a body of status 2xx, as far as the body goes. The generated text stands in
/// the member called `text`, brackets and names included; `usage_of` reads the dialect's `usage`.
/// `None`: the body is an error in place of an answer, and says nothing about tokens.
#[must_use]
pub fn seen(
    body: &[u8],
    text: Option<&[u8]>,
    usage_of: impl Fn(&Value<'_>) -> Option<Usage>,
) -> Option<Seen> {
    let mut seen = Seen::default();
    let mut is_error = false;
    let mut walk = Walk::new(body);
    let mut room = Vec::new();
    let is_object = matches!(walk.enter(Bracket::Object), Ok(true));
    while is_object && let Ok(Some(name)) = walk.name() {
        let known = name.read(&mut room);
        let is_text = text == Some(known);
        let Ok(value) = walk.value() else {
            // The body was cut here.
            if is_text {
                seen.text_bytes = body.len().saturating_sub(name.at);
            }
            break;
        };
        match known {
            _ if is_text && !value.is_blank() => seen.text_bytes = value.text.len(),
            b"usage" => seen.usage = usage_of(&value),
            b"error" => is_error = !value.is_blank(),
            _ => {}
        }
    }
    seen.usage = seen.usage.or_else(|| usage_of(&last_usage(body)?));
    let is_refusal = is_error && seen == Seen::default();
    (!is_refusal).then_some(seen)
}

/// The value of the last member called `usage`, wherever it stands: a walk does not find members
/// behind a fault. Within a string the quotes of the name would be escaped.
fn last_usage(body: &[u8]) -> Option<Value<'_>> {
    let at = memmem::rfind(body, USAGE)?;
    let behind = body.get(at + USAGE.len()..)?.trim_ascii_start();
    Walk::new(behind.strip_prefix(b":")?).value().ok()
}

const USAGE: &[u8] = b"\"usage\"";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::tokens::Tokens;

    /// Prompt tokens as told, and the length of the text; `None`: it is a refusal.
    fn check(body: &str, expected: Option<(Option<u64>, usize)>) {
        let seen = seen(body.as_bytes(), Some(b"choices"), Usage::read);
        let found = seen.map(|seen| {
            let prompt = seen.usage.map(|usage| usage.prompt.get());
            (prompt, seen.text_bytes)
        });
        assert_eq!(found, expected, "{body}");
    }

    #[test]
    fn a_part_of_an_answer_tells_what_it_can() {
        check("", Some((None, 0)));
        check("<html>", Some((None, 0)));
        check(r#"{"id":"x"#, Some((None, 0)));
        check(
            r#"{"choices":[{"message":{"content":"abc"#,
            Some((None, 37)),
        );
        check(
            r#"{"usage":{"prompt_tokens":9},"choices":[{"x"#,
            Some((Some(9), 14)),
        );
        check(r#"{"choices":[{}]"#, Some((None, 4)));
    }

    #[test]
    fn usage_is_found_behind_a_fault() {
        check(
            r#"{"choices":[{]},"usage":{"prompt_tokens":9}}"#,
            Some((Some(9), 3)),
        );
        check(
            r#"{"choices":[{}],nonsense,"usage" : {"prompt_tokens":9}}"#,
            Some((Some(9), 4)),
        );
        check(r#"{"choices":[{}],"usage":{"prompt_tok"#, Some((None, 4)));
        // A model wrote it: it is text.
        check(
            r#"{"choices":["\"usage\":{\"prompt_tokens\":9}"],x"#,
            Some((None, 35)),
        );
    }

    #[test]
    fn an_error_that_tells_no_use_is_a_refusal() {
        check(r#"{"error":{"message":"x"}}"#, None);
        check(r#"{"error":{},"choices":[]}"#, Some((None, 0)));
        check(r#"{"error":"x","choices":[]}"#, None);
        check(r#"{"error":"x","choices":[1]}"#, Some((None, 3)));
        check(
            r#"{"error":"x","usage":{"prompt_tokens":9}}"#,
            Some((Some(9), 0)),
        );
    }

    #[test]
    fn vectors_are_no_text() {
        let body = br#"{"data":[{"embedding":[0.1]}],"usage":{"prompt_tokens":4,"#;
        let found = seen(body, None, Usage::read).unwrap();
        assert_eq!(found, Seen::default());
        let body = br#"{"data":[{}],"usage":{"prompt_tokens":4}}"#;
        let usage = seen(body, None, Usage::read).unwrap().usage.unwrap();
        assert_eq!(usage.prompt, Tokens::new(4));
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_bodies_never_panic(
            body in r#"(\{|\}|"choices"|"usage"|"error"|:|"m"|,|null|\[|\]| |"|7|é){0,24}"#
        ) {
            let found = seen(body.as_bytes(), Some(b"choices"), Usage::read);
            proptest::prop_assert!(found.unwrap_or_default().text_bytes <= body.len());
        }
    }
}
