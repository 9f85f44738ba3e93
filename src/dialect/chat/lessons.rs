//! Keys that infermux derives for a chat request and that a provider refuses: which they are, and
//! for which models they are left out (rule MR12 of reference/messages-inbound.md).
//!
//! The table of models goes by names, and a name may tell nothing (an Azure deployment) or be newer
//! than the table. So a refusal that names such a key is a lesson. The request is repeated once
//! without the key; where that has helped, a shard remembers it. In order:
//!
//! 1. The request is written without [`Lessons::left_out`]; the writer returns the keys it
//!    [sent](Keys).
//! 2. A 400 or 422 goes to [`refused`]. If that returns keys, and the request has not been repeated
//!    at this provider, it is written and sent again, without these keys too.
//! 3. Unless the answer is one more 400 or 422 that names the same keys ([`has_helped`]), they go
//!    to [`Lessons::learn`].

use memchr::memmem;

use crate::base::limits::LESSONS_MAX;
use crate::wire::json::{self, Kind};
use crate::wire::provider_error::{ProviderError, root_of};

/// A key that infermux derives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// `max_tokens`
    MaxTokens,
    /// `max_completion_tokens`
    MaxCompletionTokens,
    /// `reasoning_effort`
    ReasoningEffort,
    /// `temperature`
    Temperature,
    /// `top_p`
    TopP,
    /// `user`
    User,
    /// `parallel_tool_calls`
    ParallelToolCalls,
    /// `logprobs`, and `top_logprobs` with it
    Logprobs,
    /// `reasoning_content` of messages
    ReasoningContent,
    /// `reasoning` of messages
    Reasoning,
}

impl Key {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::MaxTokens,
        Self::MaxCompletionTokens,
        Self::ReasoningEffort,
        Self::Temperature,
        Self::TopP,
        Self::User,
        Self::ParallelToolCalls,
        Self::Logprobs,
        Self::ReasoningContent,
        Self::Reasoning,
    ];

    /// Its name in a request.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MaxTokens => "max_tokens",
            Self::MaxCompletionTokens => "max_completion_tokens",
            Self::ReasoningEffort => "reasoning_effort",
            Self::Temperature => "temperature",
            Self::TopP => "top_p",
            Self::User => "user",
            Self::ParallelToolCalls => "parallel_tool_calls",
            Self::Logprobs => "logprobs",
            Self::ReasoningContent => "reasoning_content",
            Self::Reasoning => "reasoning",
        }
    }

    const fn is_length(self) -> bool {
        match self {
            Self::MaxTokens | Self::MaxCompletionTokens => true,
            Self::ReasoningEffort
            | Self::Temperature
            | Self::TopP
            | Self::User
            | Self::ParallelToolCalls
            | Self::Logprobs
            | Self::ReasoningContent
            | Self::Reasoning => false,
        }
    }

    /// The name of another member that goes with it.
    const fn companion(self) -> Option<&'static str> {
        match self {
            Self::Logprobs => Some("top_logprobs"),
            Self::MaxTokens
            | Self::MaxCompletionTokens
            | Self::ReasoningEffort
            | Self::Temperature
            | Self::TopP
            | Self::User
            | Self::ParallelToolCalls
            | Self::ReasoningContent
            | Self::Reasoning => None,
        }
    }

    /// Whether `param`, the place of a fault in a request, is this key: members of messages stand
    /// behind the place of their message.
    fn is_at(self, param: &str) -> bool {
        let is_of_messages = match self {
            Self::ReasoningContent | Self::Reasoning => true,
            Self::MaxTokens
            | Self::MaxCompletionTokens
            | Self::ReasoningEffort
            | Self::Temperature
            | Self::TopP
            | Self::User
            | Self::ParallelToolCalls
            | Self::Logprobs => false,
        };
        let param = match param.rsplit_once('.') {
            Some((_, member)) if is_of_messages => member,
            Some(_) | None => param,
        };
        param == self.name() || Some(param) == self.companion()
    }
}

/// A set of keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keys(u16);

impl Keys {
    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `key` is one of them.
    #[must_use]
    pub const fn has(self, key: Key) -> bool {
        self.0 & 1 << key as u8 != 0
    }

    /// These and `key`.
    #[must_use]
    pub const fn with(self, key: Key) -> Self {
        Self(self.0 | 1 << key as u8)
    }

    /// The keys of both sets.
    #[must_use]
    pub const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }
}

/// The keys of a request to be left out when it is repeated, for an error of the provider with this
/// `status` and `body`; `sent` are those that the request had. None: a repetition is of no use.
#[must_use]
pub fn refused(status: u16, body: &[u8], sent: Keys) -> Keys {
    if sent.is_empty() || !matches!(status, 400 | 422) {
        return Keys::default();
    }
    let error = ProviderError::read(body);
    let message = error.message.as_deref().unwrap_or_default();
    let is_about_value = error.names().any(is_value_code)
        || VALUE_WORDS
            .iter()
            .any(|words| memmem::find(message.as_bytes(), words.as_bytes()).is_some());
    let may_go = |key: &Key| sent.has(*key) && !(key.is_length() && is_about_value);
    let param = param_of(body);
    let keys = Key::ALL.into_iter().filter(may_go);
    if let Some(key) = keys
        .clone()
        .find(|key| param.as_deref().is_some_and(|param| key.is_at(param)))
    {
        return Keys::default().with(key);
    }
    let named = keys.filter(|key| {
        let mut names = [Some(key.name()), key.companion()].into_iter().flatten();
        names.any(|name| is_quoted(message, name))
    });
    named.fold(Keys::default(), Keys::with)
}

/// Whether the repetition without `left_out` was not refused for the same reason; it was answered
/// with this `status`, and with this `body` if that is an error. `sent` are the keys that the
/// repetition had.
#[must_use]
pub fn has_helped(status: u16, body: &[u8], sent: Keys, left_out: Keys) -> bool {
    let named = refused(status, body, sent.and(left_out));
    let is_same = |key: &Key| {
        // The length stays, in the other field: if that one is refused too, nothing was gained.
        let is_swapped = key.is_length()
            && Key::ALL
                .iter()
                .any(|other| other.is_length() && left_out.has(*other));
        named.has(*key) && (left_out.has(*key) || is_swapped)
    };
    !Key::ALL.iter().any(is_same)
}

/// `error.param`, or where there is no `error` the `param` of the body.
fn param_of(body: &[u8]) -> Option<std::borrow::Cow<'_, str>> {
    let root = root_of(body);
    let error = json::member(root, b"error").map(|member| member.value);
    let object = error
        .filter(|error| error.kind == Kind::Object)
        .map_or(root, |error| error.text);
    json::member(object, b"param")?.value.string()
}

/// Whether `message` has `name` in quotes.
fn is_quoted(message: &str, name: &str) -> bool {
    let message = message.as_bytes();
    memmem::find_iter(message, name.as_bytes()).any(|at| {
        let before = at.checked_sub(1).and_then(|at| message.get(at));
        let behind = message.get(at + name.len());
        let is_quote = |byte: &u8| matches!(byte, b'\'' | b'"' | b'`');
        before.is_some_and(is_quote) && before == behind
    })
}

/// Whether a code says that the value of a key is bad, not the key.
fn is_value_code(code: &str) -> bool {
    matches!(
        code,
        "invalid_value" | "integer_above_max_value" | "integer_below_min_value"
    )
}

/// Words that say that a length is out of bounds, in whichever field.
const VALUE_WORDS: [&str; 5] = [
    "too large",
    "maximum context length",
    "less than or equal to",
    "at most",
    "at least",
];

/// What one event loop has learned of one provider.
#[derive(Clone, Debug, Default)]
pub struct Lessons {
    /// By upstream model, the latest lesson at the end.
    learned: Vec<(Box<str>, Keys)>,
}

impl Lessons {
    /// The keys to leave out for `model`.
    #[must_use]
    pub fn left_out(&self, model: &str) -> Keys {
        let lesson = self.learned.iter().find(|(own, _)| **own == *model);
        lesson.map_or_else(Keys::default, |(_, keys)| *keys)
    }

    /// Notes that requests for `model` must leave out `keys` too. Of more than [`LESSONS_MAX`]
    /// models, the one with the oldest lesson is forgotten.
    pub fn learn(&mut self, model: &str, keys: Keys) {
        let known = self.learned.iter().position(|(own, _)| **own == *model);
        let (model, former) = match known {
            Some(at) => self.learned.remove(at),
            None => (model.into(), Keys::default()),
        };
        if self.learned.len() >= LESSONS_MAX {
            self.learned.remove(0);
        }
        self.learned.push((model, former.and(keys)));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(names: &str) -> Keys {
        let keys = Key::ALL.into_iter();
        let named = keys.filter(|key| names.split(' ').any(|name| name == key.name()));
        named.fold(Keys::default(), Keys::with)
    }

    fn check(status: u16, body: &str, sent: &str, left_out: &str) {
        let found = refused(status, body.as_bytes(), set(sent));
        assert_eq!(found, set(left_out), "{body}");
    }

    #[test]
    fn a_refusal_names_the_key_to_leave_out() {
        let unsupported = concat!(
            r#"{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with "#,
            r#"this model. Use 'max_completion_tokens' instead.","#,
            r#""param":"max_tokens","code":"unsupported_parameter"}}"#,
        );
        check(400, unsupported, "max_tokens", "max_tokens");
        check(
            400,
            unsupported,
            "max_completion_tokens",
            "max_completion_tokens",
        );
        check(400, unsupported, "temperature user", "");
        check(401, unsupported, "max_tokens", "");
        check(500, unsupported, "max_tokens", "");
        let all = "reasoning_effort user max_tokens";
        for (body, left_out) in [
            (
                r#"{"error":{"message":"no `user`, please","param":null}}"#,
                "user",
            ),
            (r#"{"error":{"message":"no user, please"}}"#, ""),
            (r#"{"error":{"message":"bad","param":"user"}}"#, "user"),
            (r#"{"message":"bad","param":"user"}"#, "user"),
            (
                r#"{"detail":[{"loc":["body","reasoning_effort"],"msg":"extra"}]}"#,
                "reasoning_effort",
            ),
            (
                concat!(
                    r#"{"message":"[{'loc': ('body', 'reasoning_effort')}, "#,
                    r#"{'loc': ('body', 'user')}]"}"#,
                ),
                "reasoning_effort user",
            ),
            (r#"{"error":"'xuser' 'user\""}"#, ""),
            ("<html>'user'</html>", ""),
            (r#"{"error":{"message":"no","param":"a.user"}}"#, ""),
            ("", ""),
        ] {
            check(422, body, all, left_out);
        }
    }

    #[test]
    fn members_of_messages_and_companions_are_named_in_their_ways() {
        let all = "reasoning_content reasoning logprobs user";
        for (body, left_out) in [
            (
                r#"{"error":{"message":"no","param":"messages[1].reasoning_content"}}"#,
                "reasoning_content",
            ),
            (
                r#"{"detail":[{"loc":["body","messages",1,"reasoning"],"msg":"extra"}]}"#,
                "reasoning",
            ),
            (r#"{"error":{"param":"top_logprobs"}}"#, "logprobs"),
            (r#"{"error":"no 'top_logprobs' here"}"#, "logprobs"),
            (r#"{"error":"no 'logprobs' here"}"#, "logprobs"),
            (r#"{"error":{"param":"messages[1].logprobs"}}"#, ""),
        ] {
            check(400, body, all, left_out);
        }
    }

    #[test]
    fn a_length_that_is_too_large_is_so_in_either_field() {
        for body in [
            r#"{"error":{"message":"max_tokens is too large: 64000","param":"max_tokens"}}"#,
            r#"{"error":{"message":"no","param":"max_tokens","code":"invalid_value"}}"#,
            r#"{"error":{"message":"'max_tokens': This model's maximum context length is 9"}}"#,
            r#"{"error":{"message":"`max_tokens` must be less than or equal to `8192`"}}"#,
            r#"{"error":{"message":"'max_tokens' must be at least 1"}}"#,
        ] {
            check(400, body, "max_tokens user", "");
        }
        check(
            400,
            r#"{"error":{"message":"no","param":"temperature","code":"invalid_value"}}"#,
            "max_tokens temperature",
            "temperature",
        );
    }

    #[test]
    fn what_has_not_helped_is_not_learned() {
        let says = |param: &str| format!(r#"{{"error":{{"param":"{param}"}}}}"#);
        for (status, param, sent, left_out, helped) in [
            (
                200,
                "max_tokens",
                "max_completion_tokens",
                "max_tokens",
                true,
            ),
            (
                400,
                "user",
                "max_completion_tokens user",
                "max_tokens",
                true,
            ),
            (
                400,
                "max_completion_tokens",
                "max_completion_tokens",
                "max_tokens",
                false,
            ),
            (400, "temperature", "max_tokens", "temperature", false),
            (500, "temperature", "max_tokens", "temperature", true),
        ] {
            let found = has_helped(status, says(param).as_bytes(), set(sent), set(left_out));
            assert_eq!(found, helped, "{status} {param}");
        }
    }

    #[test]
    fn lessons_are_remembered_by_model() {
        let mut lessons = Lessons::default();
        lessons.learn("a", set("user"));
        lessons.learn("b", set("top_p"));
        lessons.learn("a", set("temperature"));
        assert_eq!(lessons.left_out("a"), set("user temperature"));
        assert_eq!(lessons.left_out("c"), Keys::default());
        for index in 0..LESSONS_MAX - 1 {
            lessons.learn(&index.to_string(), set("user"));
        }
        assert_eq!(lessons.left_out("b"), Keys::default(), "it is the oldest");
        assert_eq!(lessons.left_out("a"), set("user temperature"));
        assert_eq!(lessons.learned.len(), LESSONS_MAX);
    }

    proptest! {
        #[test]
        fn any_error_is_read(body in any::<Vec<u8>>(), sent in 0..1_024_u16) {
            let left_out = refused(400, &body, Keys(sent));
            prop_assert_eq!(left_out.0 & !sent, 0);
        }
    }
}
