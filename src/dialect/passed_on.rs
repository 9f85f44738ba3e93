//! What the router reads of requests and answers that are passed on as they are: sound, pictures,
//! moderation, rankings, lists of tokens.

use std::borrow::Cow;
use std::time::Duration;

use crate::base::endpoint::Endpoint;
use crate::decide::units::{Quality, TokenKinds, Units};
use crate::dialect::answer::AnswerFault;
use crate::dialect::view::View;
use crate::wire::json::check::is_json;
use crate::wire::json::{self, Bracket, Kind, NotJson, Value, Walk};
use crate::wire::usage::{self, Usage};

/// Reads the JSON body of an answer of status 2xx.
///
/// # Errors
/// The body is no JSON, or an error, and another provider may be tried.
pub fn inspect(body: &[u8]) -> Result<View, AnswerFault> {
    // Some servers answer with a bare list of scores.
    if body.trim_ascii_start().starts_with(b"[") {
        return if is_json(body) {
            Ok(View::default())
        } else {
            Err(AnswerFault::Malformed)
        };
    }
    let mut found = Found::default();
    found
        .read(body)
        .map_err(|NotJson { .. }| AnswerFault::Malformed)?;
    if found.is_error {
        return Err(AnswerFault::Error);
    }
    found.view.units = Some(Box::new(found.units));
    Ok(found.view)
}

#[derive(Default)]
struct Found {
    view: View,
    units: Units,
    is_error: bool,
}

impl Found {
    fn read(&mut self, body: &[u8]) -> Result<(), NotJson> {
        let mut walk = Walk::new(body);
        if !walk.enter(Bracket::Object)? {
            return Err(NotJson { at: 0 });
        }
        let mut room = Vec::new();
        while let Some(name) = walk.name()? {
            match name.read(&mut room) {
                b"model" => {
                    let model = walk.value()?;
                    self.view.model = (model.kind == Kind::String).then(|| model.span());
                }
                b"usage" => self.take_usage(&walk.value()?),
                b"meta" => self.take_meta(&walk.value()?),
                b"error" => self.is_error = !walk.value()?.is_blank(),
                b"duration" => self.units.millis = millis(&walk.value()?).or(self.units.millis),
                b"text" => self.view.text_bytes = walk.value()?.string_len(),
                b"data" => self.units.images = count_elements(&mut walk)?,
                _ => drop(walk.value()?),
            }
        }
        walk.end()
    }

    fn take_usage(&mut self, usage: &Value<'_>) {
        self.view.usage = told(usage).or(self.view.usage);
        let seconds = json::member(usage.text, b"seconds");
        let told = seconds.and_then(|seconds| millis(&seconds.value));
        self.units.millis = told.or(self.units.millis);
        self.units.tokens = kinds(usage).or(self.units.tokens);
    }

    /// What Cohere tells of tokens.
    fn take_meta(&mut self, meta: &Value<'_>) {
        let tokens = json::member(meta.text, b"tokens");
        let usage = tokens.and_then(|tokens| Usage::of_response(&tokens.value));
        self.view.usage = self.view.usage.or(usage);
    }
}

/// The tokens that a `usage` tells, by whichever names.
#[must_use]
pub fn told(usage: &Value<'_>) -> Option<Usage> {
    let by_names = Usage::read(usage).or_else(|| Usage::of_response(usage));
    by_names.or_else(|| {
        let total = json::member(usage.text, b"total_tokens")?;
        let prompt = usage::count(&total.value);
        (prompt.get() > 0).then(|| Usage {
            prompt,
            ..Usage::default()
        })
    })
}

/// The tokens that a `usage` tells, by kind. What it does not tell apart is sound or pictures: they
/// are never cheaper than text.
fn kinds(usage: &Value<'_>) -> Option<TokenKinds> {
    let tokens = |of: &[u8], name: &[u8]| {
        let member = json::member(of, name)?;
        (member.value.kind == Kind::Number).then(|| usage::count(&member.value).get())
    };
    let text_of = |details: [&[u8]; 2], all: u64| {
        let mut details = details.into_iter();
        let details = details.find_map(|name| json::member(usage.text, name));
        let text = details.and_then(|details| tokens(details.value.text, b"text_tokens"));
        text.unwrap_or_default().min(all)
    };
    let (input, output) = (
        tokens(usage.text, b"input_tokens")?,
        tokens(usage.text, b"output_tokens")?,
    );
    let text_in = text_of([b"input_tokens_details", b"input_token_details"], input);
    let text_out = text_of([b"output_tokens_details", b"output_token_details"], output);
    Some(TokenKinds {
        text_in,
        media_in: input - text_in,
        text_out,
        media_out: output - text_out,
    })
}

/// The number of an array's elements; `None`: it is no array.
fn count_elements(walk: &mut Walk<'_>) -> Result<Option<u64>, NotJson> {
    if !walk.enter(Bracket::Array)? {
        return Ok(None);
    }
    let mut count = 0;
    while walk.element()? {
        walk.value()?;
        count += 1;
    }
    Ok(Some(count))
}

/// Milliseconds of a number of seconds, which some servers write as a string. More than a day is
/// nonsense, and counts as a day.
fn millis(seconds: &Value<'_>) -> Option<u64> {
    let text = words(seconds);
    let seconds: f64 = std::str::from_utf8(&text).ok()?.parse().ok()?;
    if !seconds.is_finite() {
        return None;
    }
    let span = Duration::try_from_secs_f64(seconds.min(DAY_SECONDS)).ok()?;
    u64::try_from(span.as_millis()).ok()
}

/// What a string says, and any other value as it is written.
fn words<'a>(value: &Value<'a>) -> Cow<'a, [u8]> {
    match value.kind {
        Kind::String => value.word(),
        Kind::Number | Kind::Object | Kind::Array | Kind::True | Kind::False | Kind::Null => {
            Cow::Borrowed(value.text)
        }
    }
}

/// What the JSON `body` of a request asks for.
#[must_use]
pub fn asked(endpoint: Endpoint, body: &[u8]) -> Units {
    match endpoint {
        Endpoint::Speech => {
            let input = json::member(body, b"input");
            let text = input.and_then(|input| input.value.string());
            Units {
                characters: text.map(|text| text.chars().count() as u64),
                ..Units::default()
            }
        }
        Endpoint::ImageGenerations | Endpoint::ImageEdits => {
            let text = |name| {
                let member = json::member(body, name);
                member.map(|member| words(&member.value).into_owned())
            };
            let told = |name| text(name).unwrap_or_default();
            images(&told(b"n"), &told(b"size"), &told(b"quality"))
        }
        _ => Units::default(),
    }
}

/// The pictures that a request asks for, in the words of its fields.
#[must_use]
pub fn images(n: &[u8], size: &[u8], quality: &[u8]) -> Units {
    fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).unwrap_or_default()
    }
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let size = text(size).split_once('x');
    let pixels = size.and_then(|(width, height)| number(width)?.checked_mul(number(height)?));
    Units {
        images: number(text(n)).or(Some(1)),
        pixels,
        quality: Quality::named(quality).unwrap_or_default(),
        ..Units::default()
    }
}

/// The usage in the last bytes of a stream of events, where one of them tells it, and its tokens by
/// kind.
#[must_use]
pub fn usage_in(tail: &[u8]) -> Option<(Usage, Option<TokenKinds>)> {
    let mut names = memchr::memmem::rfind_iter(tail, USAGE);
    names.find_map(|at| {
        // In the text of a string its quote would have a backslash before it.
        let is_name = tail.get(..at)?.last() != Some(&b'\\');
        let rest = tail.get(at + USAGE.len()..)?.trim_ascii_start();
        let value = Walk::new(rest.strip_prefix(b":")?).value().ok()?;
        let usage = told(&value).filter(|_| is_name)?;
        Some((usage, kinds(&value)))
    })
}

const USAGE: &[u8] = b"\"usage\"";
const DAY_SECONDS: f64 = 86_400.0;

#[cfg(test)]
#[path = "passed_on_tests.rs"]
mod tests;
