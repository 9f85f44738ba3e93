//! What operators want explained, and the words for what is found out: nothing is decided here.

use std::time::Duration;

use crate::base::endpoint::Endpoint;
use crate::base::time::Instant;
use crate::base::tokens::Tokens;
use crate::config::plan::{Plan, Provider};
use crate::decide::pricing::Row;
use crate::decide::units::{KindPrices, UnitPrice};
use crate::exchange::query::percent_decode;
use crate::exchange::refusal::Refusal;
use crate::exchange::route::Routed;
use crate::link::provider_gate::{Limit, Standing};
use crate::report::explained::{PriceExplained, RefusalExplained, dollars};

/// Which request is to be explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// The model, in place of the one in the body.
    pub model: Option<String>,
    /// The caller that it is counted for.
    pub caller: Option<String>,
    /// The name of its key.
    pub key: Option<String>,
    /// The session that it names.
    pub session: Option<String>,
}

impl Asked {
    /// Reads the parameters of the `query`.
    ///
    /// # Errors
    ///
    /// A parameter is not known, or cannot be read; a sentence that says so.
    pub(super) fn read(query: &str) -> Result<Self, &'static str> {
        let mut asked = Self {
            endpoint: Endpoint::ChatCompletions,
            model: None,
            caller: None,
            key: None,
            session: None,
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = percent_decode(value).ok_or(UNREADABLE)?;
            match name {
                "endpoint" => {
                    let mut all = EXPLAINED.into_iter();
                    let named = all.find(|endpoint| endpoint.name() == value);
                    asked.endpoint = named.ok_or(WRONG_ENDPOINT)?;
                }
                "model" => asked.model = Some(value),
                "caller" => asked.caller = Some(value),
                "key" => asked.key = Some(value),
                "session" => asked.session = Some(value),
                _ => return Err(UNKNOWN),
            }
        }
        Ok(asked)
    }

    /// The body of a short request for `model`.
    #[must_use]
    pub fn body_for(&self, model: &str) -> Vec<u8> {
        let body = match self.endpoint {
            Endpoint::Completions => serde_json::json!({"model": model, "prompt": SHORT}),
            Endpoint::Embeddings
            | Endpoint::Responses
            | Endpoint::InputTokens
            | Endpoint::Compact
            | Endpoint::Moderations
            | Endpoint::Speech => serde_json::json!({"model": model, "input": SHORT}),
            Endpoint::ImageGenerations | Endpoint::ImageEdits | Endpoint::Tokenize => {
                serde_json::json!({"model": model, "prompt": SHORT})
            }
            Endpoint::Rerank | Endpoint::RerankV2 => {
                serde_json::json!({"model": model, "query": SHORT, "documents": [SHORT]})
            }
            Endpoint::Score => {
                serde_json::json!({"model": model, "text_1": SHORT, "text_2": SHORT})
            }
            Endpoint::Detokenize => serde_json::json!({"model": model, "tokens": [1]}),
            Endpoint::Transcriptions | Endpoint::Translations => return short_form(model),
            Endpoint::ChatCompletions | Endpoint::Messages | Endpoint::CountTokens => {
                let message = serde_json::json!({"role": "user", "content": SHORT});
                serde_json::json!({"model": model, "messages": [message]})
            }
            Endpoint::Files | Endpoint::Batches | Endpoint::FineTuning | Endpoint::VectorStores => {
                return Vec::new();
            }
        };
        body.to_string().into_bytes()
    }
}

/// A form with a second of sound for `model`.
fn short_form(model: &str) -> Vec<u8> {
    // A name cannot end its part: the boundary would need a line end before it.
    let model = model.replace(['\r', '\n'], " ");
    let mut form = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n{model}\r\n\
         --{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\n"
    )
    .into_bytes();
    form.resize(form.len() + SOUND_BYTES, 0);
    form.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
    form
}

/// The `Content-Type` of a `body` that is a form, by its first line; `None`: it is none.
#[must_use]
pub fn form_label(endpoint: Endpoint, body: &[u8]) -> Option<Vec<u8>> {
    let rest = body
        .strip_prefix(b"--")
        .filter(|_| endpoint.takes_forms())?;
    let line = rest.split(|byte| *byte == b'\r').next()?;
    Some([b"multipart/form-data; boundary=", line].concat())
}

/// The endpoints that can be explained.
pub const EXPLAINED: [Endpoint; 20] = [
    Endpoint::ChatCompletions,
    Endpoint::Completions,
    Endpoint::Embeddings,
    Endpoint::Messages,
    Endpoint::Responses,
    Endpoint::Moderations,
    Endpoint::Transcriptions,
    Endpoint::Translations,
    Endpoint::Speech,
    Endpoint::ImageGenerations,
    Endpoint::ImageEdits,
    Endpoint::Rerank,
    Endpoint::RerankV2,
    Endpoint::Score,
    Endpoint::Tokenize,
    Endpoint::Detokenize,
    Endpoint::Files,
    Endpoint::Batches,
    Endpoint::FineTuning,
    Endpoint::VectorStores,
];

/// Why a candidate cannot take the request now, and when it may; `None`: it can. `unwell` is the
/// reason why it is out of service, where it is.
#[must_use]
pub fn not_eligible(
    standing: Standing,
    unwell: Option<&str>,
    now: Instant,
) -> Option<(String, Duration)> {
    match standing {
        Standing::Ready => None,
        Standing::Limited { until, limit } => {
            let reason = match limit {
                Limit::Provider => String::from("it has asked to be left alone (429)"),
                Limit::InFlight | Limit::Requests | Limit::Tokens => {
                    format!("it is at its {}", limit.name())
                }
                Limit::Store => String::from(
                    "its limits are shared with other instances, and their store is out of reach",
                ),
            };
            Some((reason, until.since(now)))
        }
        Standing::Out { until, .. } => {
            let reason = unwell.unwrap_or("it is out of service").to_owned();
            Some((reason, until.since(now)))
        }
    }
}

/// Why a prompt of `prompt` tokens makes a candidate the last choice.
#[must_use]
pub fn comes_last(window: Option<Tokens>, prompt: Tokens) -> String {
    let window = window.unwrap_or_default();
    format!("it comes last: its window of {window} tokens is too small for about {prompt}")
}

/// Why `provider` is no candidate for `model`, whose route is `routed`; `None`: it has no route.
#[must_use]
pub fn no_candidate(
    plan: &Plan,
    provider: &Provider,
    (endpoint, model): (Endpoint, &str),
    routed: Option<&Routed<'_>>,
) -> String {
    let candidates = || {
        routed
            .into_iter()
            .flat_map(|routed| &routed.route.candidates)
    };
    let group = routed.and_then(|routed| routed.group);
    let leaves_it_out = |group: &str| format!("the group {group} leaves it out");
    if !provider.vendor.serves(endpoint) {
        return format!("its type has no {}", endpoint.name());
    }
    if !endpoint.has_model() {
        return String::from("`passthrough.provider` is another one");
    }
    if candidates().any(|candidate| candidate.provider == provider.id) {
        let is_unclaimed = routed.is_some_and(|routed| routed.route.is_unclaimed);
        return String::from(if is_unclaimed {
            "its last list of models does not have it, and another's does"
        } else {
            "what the request refers to belongs to another provider"
        });
    }
    if names(provider, model) {
        return group.map_or_else(|| String::from("it is left out"), leaves_it_out);
    }
    if !provider.may_serve_unnamed(model) {
        return String::from("it does not name the model");
    }
    if provider.is_open() && !model.starts_with(provider.vendor.own_models) {
        return format!("it takes {}… only", provider.vendor.own_models);
    }
    let mut others = candidates().map(|candidate| plan.provider(candidate.provider));
    match group {
        Some(group) if !others.any(|one| names(one, model)) => leaves_it_out(group),
        Some(_) | None => String::from("others name the model, and it does not"),
    }
}

/// Whether the provider has the model among its names, or as an alias or an alias' target.
fn names(provider: &Provider, model: &str) -> bool {
    let aliases = provider.model_aliases.iter();
    let mut aliased = aliases.flat_map(|(from, to)| [&**from, &**to]);
    provider.names().any(|name| name == model) || aliased.any(|name| name == model)
}

/// The error as it is explained.
#[must_use]
pub fn refusal(refusal: &Refusal<'_>, endpoint: Endpoint) -> RefusalExplained {
    let row = refusal.row();
    RefusalExplained {
        status: row.status_in(endpoint.dialect()),
        code: row.code.to_owned(),
        message: refusal.to_string(),
    }
}

/// The prices of `row` for a prompt of this length.
#[must_use]
pub fn price(row: &Row, prompt: Tokens) -> PriceExplained {
    let rates = row.rates(prompt);
    let million = Tokens::new(1_000_000);
    PriceExplained {
        input_per_million: dollars(rates.input.of(million)),
        cache_read_per_million: dollars(rates.cache_read.of(million)),
        cache_write_per_million: dollars(rates.cache_write.of(million)),
        output_per_million: dollars(rates.output.of(million)),
    }
}

/// A price that is not for tokens, in words.
#[must_use]
pub fn unit_price(price: &UnitPrice) -> String {
    match price {
        UnitPrice::Hour(price) => format!("{price} USD for an hour of sound"),
        UnitPrice::Characters(price) => format!("{price} USD for a million characters"),
        UnitPrice::Request(price) => format!("{price} USD for each request"),
        UnitPrice::Tokens(prices) => {
            let KindPrices {
                text_in, media_in, ..
            } = &**prices;
            let (text_out, media_out) = (prices.text_out, prices.media_out);
            let otherwise = prices.otherwise.as_ref().map(unit_price);
            let otherwise = otherwise.map_or(String::new(), |other| {
                format!("; where they are not told: {other}")
            });
            format!(
                "for a million tokens of the request {text_in} USD of text and {media_in} USD of \
                 media, of the answer {text_out} USD and {media_out} USD{otherwise}"
            )
        }
        UnitPrice::Images(prices) => match &**prices {
            [only] => format!("{} USD for a picture", only.price),
            all => {
                let prices = || all.iter().map(|one| one.price);
                let (least, most) = (prices().min(), prices().max());
                let [least, most] = [least, most].map(Option::unwrap_or_default);
                format!("{least} to {most} USD for a picture, by quality and size")
            }
        },
    }
}

/// The text of a request that is made up.
const SHORT: &str = "Hello!";
/// The boundary of a form that is made up.
const BOUNDARY: &str = "infermux-form-that-is-made-up";
/// A second of sound, where nothing but its bytes are known.
const SOUND_BYTES: usize = 16_000;
const UNREADABLE: &str = "a parameter is not UTF-8, or has a `%` without two digits behind it";
const UNKNOWN: &str = "the parameters are `model`, `caller`, `key`, `session` and `endpoint`";
const WRONG_ENDPOINT: &str = "`endpoint` is one of chat_completions, completions, embeddings, \
                              messages, responses, moderations, audio_transcriptions, \
                              audio_translations, audio_speech, image_generations, image_edits, \
                              rerank, rerank_v2, score, tokenize, detokenize, files, batches, \
                              fine_tuning, vector_stores";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_others_refused() {
        let asked = Asked::read("model=a%2Fb&caller=c&key=k&session=s&endpoint=messages").unwrap();
        assert_eq!(asked.model.as_deref(), Some("a/b"));
        assert_eq!(asked.caller.as_deref(), Some("c"));
        assert_eq!(asked.key.as_deref(), Some("k"));
        assert_eq!(asked.session.as_deref(), Some("s"));
        assert_eq!(asked.endpoint, Endpoint::Messages);
        for (query, problem) in [
            ("modle=a", UNKNOWN),
            ("model=%f", UNREADABLE),
            ("model=%ff", UNREADABLE),
            ("endpoint=compact", WRONG_ENDPOINT),
        ] {
            assert_eq!(Asked::read(query), Err(problem), "{query}");
        }
        assert!(Asked::read("").unwrap().model.is_none());
    }

    #[test]
    fn each_endpoint_has_a_short_request() {
        for endpoint in EXPLAINED {
            let asked = Asked::read(&format!("endpoint={}", endpoint.name())).unwrap();
            assert!(
                endpoint == Endpoint::ChatCompletions || WRONG_ENDPOINT.contains(endpoint.name())
            );
            let body = asked.body_for("m\"n");
            if !endpoint.has_model() {
                assert!(body.is_empty());
                continue;
            }
            if let Some(label) = form_label(endpoint, &body) {
                let mut form = crate::dialect::form::Reading::new(&label).unwrap();
                form.push(&body).unwrap();
                form.finish().unwrap();
                assert_eq!(form.asks(None).unwrap().0.model, "m\"n");
                assert_eq!(form.units(form.file_bytes()).millis, Some(1_000));
                continue;
            }
            let ask = crate::dialect::ask::read_ask(endpoint.dialect(), &body).unwrap();
            assert_eq!(ask.model, "m\"n");
            let is_prompt = ask.prompt_bytes > 0;
            assert!(is_prompt || endpoint.is_passed_on(), "{}", endpoint.name());
        }
    }

    #[test]
    fn limits_and_outages_are_told_with_their_time() {
        let now = Instant::from_millis(1_000);
        let until = now + Duration::from_secs(7);
        let limited = |limit| Standing::Limited { until, limit };
        let seconds = Duration::from_secs(7);
        assert_eq!(not_eligible(Standing::Ready, None, now), None);
        for (standing, unwell, reason) in [
            (
                limited(Limit::Tokens),
                None,
                "it is at its tokens_per_minute",
            ),
            (
                limited(Limit::Provider),
                None,
                "it has asked to be left alone (429)",
            ),
            (
                Standing::Out {
                    until,
                    cause: crate::link::provider_gate::Cause::Circuit,
                },
                Some("its circuit is open"),
                "its circuit is open",
            ),
        ] {
            let told = not_eligible(standing, unwell, now);
            assert_eq!(told, Some((reason.to_owned(), seconds)));
        }
    }
}
