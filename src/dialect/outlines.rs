//! Answers of one provider that are like those before them.
//!
//! A provider writes nearly all its answers in the same way: with the same members in the same
//! order, and other strings and numbers. Their [outlines](crate::wire::outline) are learned from
//! the answers themselves. What the router must know of an answer that fits one stands in the gaps.

use crate::base::endpoint::Endpoint;
use crate::base::limits::OUTLINED_BYTES_MAX;
use crate::base::tokens::Tokens;
use crate::dialect::messages::{self, usage::Counters};
use crate::dialect::view::View;
use crate::wire::json::{self, Kind, Value};
use crate::wire::outline::{Filling, Outline, Outlines};
use crate::wire::usage::{self, Count, Spelling, Stated};

/// The outlines of one provider's answers, by what was asked for.
#[derive(Clone, Debug, Default)]
pub struct AnswerOutlines(Outlines<Endpoint, Role>);

/// What stands in a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// The model's name.
    Model,
    /// Text that was generated.
    Text,
    /// A count of tokens.
    Count(Count),
    /// A count of tokens of a message.
    CountOfMessage(messages::usage::Count),
}

/// How the usage of an answer is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum UsageForm {
    /// With these names; see [`usage`].
    Spelt(Spelling),
    /// As a message tells it; see [`Counters`].
    OfMessage,
}

impl AnswerOutlines {
    /// What a reader of the whole `body` of such an endpoint's answer would find; `None`: it fits
    /// no outline.
    #[inline]
    #[must_use]
    pub fn view(&mut self, endpoint: Endpoint, body: &[u8]) -> Option<View> {
        self.0
            .find(endpoint, |outline| view(outline, endpoint, body))
    }

    /// Keeps the outline of an answer that has fitted none, and of which a reader has found this,
    /// unless answers that are like others have become rare.
    #[cold]
    pub fn learn(&mut self, endpoint: Endpoint, body: &[u8], found: &View) {
        let is_read_so = usage_form(endpoint).is_some() && body.len() <= OUTLINED_BYTES_MAX;
        if is_read_so
            && self.0.wants_another()
            && let Some(outline) = outline(endpoint, body, found)
            // Two roles that are mixed up would show, unless what has them is the same.
            && view(&outline, endpoint, body).as_ref() == Some(found)
        {
            self.0.add(endpoint, outline);
        }
    }
}

/// What stands in the gaps of an answer that fits.
#[inline]
fn view(outline: &Outline<Role>, endpoint: Endpoint, body: &[u8]) -> Option<View> {
    let form = usage_form(endpoint);
    if form == Some(UsageForm::OfMessage) {
        return view_of_message(outline, body);
    }
    let mut stated = Stated::default();
    let mut view = fill(outline, body, |role, text| {
        if let Role::Count(what) = role {
            stated.take(what, usage::number(text));
        }
    })?;
    view.usage = stated.told().usage;
    // The text is measured where no usage is told, which other readers do.
    let is_told = view.usage.is_some() || form == Some(UsageForm::Spelt(Spelling::Chat));
    is_told.then_some(view)
}

/// As [`view`], of a message. Its text is measured by its reader where no usage is told.
#[inline(never)]
fn view_of_message(outline: &Outline<Role>, body: &[u8]) -> Option<View> {
    let mut counters = Counters::default();
    let mut view = fill(outline, body, |role, text| {
        if let Role::CountOfMessage(what) = role {
            counters.take(what, text);
        }
    })?;
    view.usage = Some(counters.usage(Tokens::ZERO)?);
    Some(view)
}

/// Model and text of an answer that fits; `take` is told of its counts.
#[inline]
fn fill(outline: &Outline<Role>, body: &[u8], mut take: impl FnMut(Role, &[u8])) -> Option<View> {
    let mut view = View::default();
    let fits = outline.fits(
        body,
        |role,
         Filling {
             text,
             at,
             text_bytes,
         }| {
            match role {
                Role::Model => view.model = Some(at - 1..at + text.len() + 1),
                Role::Text => view.text_bytes += text_bytes,
                Role::Count(_) | Role::CountOfMessage(_) => take(role, text),
            }
            true
        },
    );
    fits.then_some(view)
}

/// The outline of an answer; `None`: it has none.
fn outline(endpoint: Endpoint, body: &[u8], found: &View) -> Option<Outline<Role>> {
    let form = usage_form(endpoint)?;
    if found.is_overflow || found.units.is_some() {
        return None;
    }
    let (mut roles, mut seen) = (Vec::new(), Vec::new());
    for member in json::members(body) {
        let member = member.ok()?;
        let (name, value) = (member.name, member.value);
        for known in [&b"model"[..], b"usage", b"choices", b"content"] {
            if name.is(known) {
                // Readers of the whole body take the last one of several.
                if seen.contains(&known) {
                    return None;
                }
                seen.push(known);
            }
        }
        if name.is(b"error") && !value.is_blank() {
            // What it says decides whether another provider may do better.
            return None;
        }
        if name.is(b"model") {
            roles.push((inside_of(&value, body)?, Role::Model));
        } else if name.is(b"usage") {
            match form {
                UsageForm::Spelt(spelling) => add_counts(&mut roles, &value, (body, spelling))?,
                UsageForm::OfMessage => add_counts_of_message(&mut roles, &value, body)?,
            }
        } else if name.is(b"choices") && form == UsageForm::Spelt(Spelling::Chat) {
            add_texts(&mut roles, &value, (body, endpoint))?;
        }
    }
    Outline::of(body, &roles, is_fixed)
}

/// How answers of this endpoint tell their usage; `None`: they are read whole.
const fn usage_form(endpoint: Endpoint) -> Option<UsageForm> {
    match endpoint {
        Endpoint::ChatCompletions | Endpoint::Completions => Some(UsageForm::Spelt(Spelling::Chat)),
        Endpoint::Responses => Some(UsageForm::Spelt(Spelling::Responses)),
        Endpoint::Messages => Some(UsageForm::OfMessage),
        _ => None,
    }
}

/// Whether a member of this name has one of a few values, or one that may make an answer a failure.
fn is_fixed(name: &[u8]) -> bool {
    matches!(
        name,
        b"object"
            | b"type"
            | b"role"
            | b"index"
            | b"status"
            | b"finish_reason"
            | b"stop_reason"
            | b"service_tier"
            | b"error"
    )
}

/// Adds the places of the counts in `usage`.
fn add_counts(
    roles: &mut Vec<(usize, Role)>,
    usage: &Value<'_>,
    (body, spelling): (&[u8], Spelling),
) -> Option<()> {
    let mut are_clear = true;
    usage::each_stated(usage, spelling, |what, value| {
        let role = Role::Count(what);
        // Of two the last one counts, or the larger one, which no place tells.
        are_clear &= roles.iter().all(|(_, own)| *own != role) || what == Count::CacheRead;
        match value.kind {
            Kind::Number => roles.push((place_of(value.text, body), role)),
            Kind::Null => {}
            _ => are_clear = false,
        }
    })
    .ok()?;
    are_clear.then_some(())
}

/// Adds the places of the counts in the `usage` of a message.
fn add_counts_of_message(
    roles: &mut Vec<(usize, Role)>,
    usage: &Value<'_>,
    body: &[u8],
) -> Option<()> {
    let are_all = messages::usage::each_count(usage, |what, value| {
        roles.push((place_of(value.text, body), Role::CountOfMessage(what)));
    });
    are_all.then_some(())
}

/// Adds the places of the generated texts in `choices`.
fn add_texts(
    roles: &mut Vec<(usize, Role)>,
    choices: &Value<'_>,
    (body, endpoint): (&[u8], Endpoint),
) -> Option<()> {
    let mut add = |value: &Value<'_>| {
        if value.kind == Kind::String {
            roles.push((place_of(value.text, body) + 1, Role::Text));
        }
    };
    for choice in json::elements(choices.text) {
        let choice = choice.ok()?;
        if choice.kind != Kind::Object {
            return None;
        }
        for member in json::members(choice.text) {
            let member = member.ok()?;
            let name = member.name;
            if name.is(b"text") && endpoint == Endpoint::Completions {
                add(&member.value);
            }
            let is_message = name.is(b"message") || name.is(b"delta");
            if is_message && endpoint == Endpoint::ChatCompletions {
                each_text(&member.value, &mut add)?;
            }
        }
    }
    Some(())
}

/// Tells `add` of each text in a message, those of its calls included.
fn each_text<'a>(message: &Value<'a>, add: &mut impl FnMut(&Value<'a>)) -> Option<()> {
    if message.kind != Kind::Object {
        return Some(());
    }
    for member in json::members(message.text) {
        let member = member.ok()?;
        let (name, value) = (member.name, member.value);
        if name.is(b"tool_calls") && value.kind == Kind::Array {
            for call in json::elements(value.text) {
                if let Some(function) = json::member(call.ok()?.text, b"function") {
                    each_function_text(&function.value, add)?;
                }
            }
        } else if name.is(b"tool_calls") || name.is(b"function_call") {
            // One that stands by itself is rare.
            return matches!(value.kind, Kind::Null).then_some(());
        } else if !name.is(b"role") {
            add(&value);
        }
    }
    Some(())
}

/// Tells `add` of the name and the arguments of a call.
fn each_function_text<'a>(function: &Value<'a>, add: &mut impl FnMut(&Value<'a>)) -> Option<()> {
    if function.kind != Kind::Object {
        return None;
    }
    for member in json::members(function.text) {
        add(&member.ok()?.value);
    }
    Some(())
}

/// The place in `body` of the inside of a string in it; `None`: it is none.
fn inside_of(value: &Value<'_>, body: &[u8]) -> Option<usize> {
    (value.kind == Kind::String).then(|| place_of(value.text, body) + 1)
}

/// The place of a `part` of `body` in it.
fn place_of(part: &[u8], body: &[u8]) -> usize {
    part.as_ptr().addr().saturating_sub(body.as_ptr().addr())
}

#[cfg(test)]
#[path = "outlines_tests.rs"]
mod tests;
