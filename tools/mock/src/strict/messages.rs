//! The parameters of Anthropic's Messages.

use serde_json::{Map, Value};

use super::body::{Setting, entries, given, messages_of, text};
use super::{blocks, tools, turns};
use crate::ask::Objection;
use crate::endpoint::Endpoint;

/// Objects to what the Messages API answers 400 to.
pub(super) fn check(setting: Setting<'_>, body: &Map<String, Value>) -> Result<(), Objection> {
    check_keys(setting, body)?;
    if *setting.endpoint == Endpoint::Messages {
        check_plain(body)?;
    }
    check_sampling(setting, body)?;
    check_thinking(body)?;
    check_system(body)?;
    tools::check(body)?;
    turns::check(setting, messages_of(body)?)?;
    check_marks(body)
}

fn check_keys(setting: Setting<'_>, body: &Map<String, Value>) -> Result<(), Objection> {
    let counts = *setting.endpoint == Endpoint::CountTokens;
    for key in body.keys().map(String::as_str) {
        let known = if counts {
            COUNTED.contains(&key)
        } else {
            COUNTED.contains(&key) || ANSWERED.contains(&key)
        };
        // A key of a beta belongs to a header, and is as good as unknown without it.
        let in_beta =
            setting.beta && (BETA.contains(&key) || (!counts && BETA_ANSWERED.contains(&key)));
        if !known && !in_beta {
            let message = format!("{key}: Extra inputs are not permitted");
            return Err(Objection::bad(message));
        }
    }
    Ok(())
}

fn check_plain(body: &Map<String, Value>) -> Result<(), Objection> {
    if body
        .get("max_tokens")
        .and_then(Value::as_u64)
        .is_none_or(|count| count == 0)
    {
        return Err(Objection::bad(
            "max_tokens: a whole number above zero is required",
        ));
    }
    if given(body, "stream").is_some_and(|stream| !stream.is_boolean()) {
        return Err(Objection::bad("stream: Input should be a valid boolean"));
    }
    for (index, sequence) in entries(body.get("stop_sequences")).iter().enumerate() {
        if sequence.as_str().is_none_or(|text| text.trim().is_empty()) {
            return Err(Objection::bad(format!(
                "stop_sequences.{index}: each stop sequence must contain non-whitespace"
            )));
        }
    }
    let Some(metadata) = given(body, "metadata") else {
        return Ok(());
    };
    let extra = metadata.as_object().is_none_or(|map| {
        map.iter()
            .any(|(key, value)| key != "user_id" || !(value.is_string() || value.is_null()))
    });
    if extra || text(metadata, "user_id").chars().count() > USER_ID_MAX {
        return Err(Objection::bad(format!(
            "metadata: nothing but a user_id of at most {USER_ID_MAX} characters"
        )));
    }
    Ok(())
}

/// Sampling parameters: their ranges, and what they may not stand beside.
fn check_sampling(setting: Setting<'_>, body: &Map<String, Value>) -> Result<(), Objection> {
    let number = |key| given(body, key).map(|value| value.as_f64().unwrap_or(f64::NAN));
    let (warmth, top_p, top_k) = (number("temperature"), number("top_p"), number("top_k"));
    let sampled = [("temperature", warmth), ("top_p", top_p), ("top_k", top_k)];
    if setting.version != FIRST_VERSION
        && let Some((key, _)) = sampled.iter().find(|(_, value)| value.is_some())
    {
        let message = format!("{key}: Extra inputs are not permitted");
        return Err(Objection::bad(message));
    }
    for (key, value) in sampled.iter().take(2) {
        if value.is_some_and(|value| !(0.0..=1.0).contains(&value)) {
            return Err(Objection::bad(format!("{key}: range: 0..1")));
        }
    }
    // Every model of that name that is still served takes only one of the two.
    let claude = body.get("model").and_then(Value::as_str);
    if warmth.is_some() && top_p.is_some() && claude.is_some_and(|id| id.starts_with("claude-")) {
        return Err(Objection::bad(
            "`temperature` and `top_p` cannot both be specified for this model",
        ));
    }
    if !thinks(body) {
        return Ok(());
    }
    if warmth.is_some_and(|warmth| warmth < 1.0) {
        return Err(Objection::bad(
            "`temperature` may only be set to 1 when thinking is enabled",
        ));
    }
    if top_p.is_some_and(|top_p| top_p < TOP_P_MIN) || top_k.is_some() {
        return Err(Objection::bad(
            "`top_p` must be at least 0.95 and `top_k` unset when thinking is enabled",
        ));
    }
    Ok(())
}

fn check_thinking(body: &Map<String, Value>) -> Result<(), Objection> {
    let Some(thinking) = given(body, "thinking") else {
        return Ok(());
    };
    let budget = thinking.get("budget_tokens").and_then(Value::as_u64);
    match (text(thinking, "type"), budget) {
        ("adaptive" | "between_tools" | "disabled", None) => {}
        ("enabled", Some(budget)) if budget >= BUDGET_MIN => {
            let most = body.get("max_tokens").and_then(Value::as_u64);
            if most.is_some_and(|most| most <= budget) {
                return Err(Objection::bad(
                    "`max_tokens` must be greater than `thinking.budget_tokens`",
                ));
            }
        }
        ("enabled", _) => {
            return Err(Objection::bad(format!(
                "thinking.enabled.budget_tokens: at least {BUDGET_MIN}"
            )));
        }
        (kind, _) => {
            return Err(Objection::bad(format!(
                "thinking.{kind}: no such type, or a budget that is not its"
            )));
        }
    }
    let forced = body.get("tool_choice").map(|choice| text(choice, "type"));
    if thinks(body) && matches!(forced, Some("any" | "tool")) {
        return Err(Objection::bad(
            "Thinking may not be enabled when tool_choice forces tool use.",
        ));
    }
    Ok(())
}

/// Whether the request turns thinking on.
fn thinks(body: &Map<String, Value>) -> bool {
    given(body, "thinking").is_some_and(|thinking| text(thinking, "type") != "disabled")
}

fn check_system(body: &Map<String, Value>) -> Result<(), Objection> {
    match given(body, "system") {
        None | Some(Value::String(_)) => Ok(()),
        Some(Value::Array(list)) => {
            for (index, block) in list.iter().enumerate() {
                if text(block, "type") != "text" {
                    return Err(Objection::bad(format!(
                        "system.{index}: Input should be a text block"
                    )));
                }
                blocks::check_text(block, &format!("system.{index}"))?;
            }
            Ok(())
        }
        Some(_) => Err(Objection::bad("system: Input should be a valid list")),
    }
}

/// Counts the marks that ask for caching, which are few.
fn check_marks(body: &Map<String, Value>) -> Result<(), Objection> {
    let marked =
        |value: &Value| usize::from(value.get("cache_control").is_some_and(Value::is_object));
    let mut count: usize = entries(body.get("tools")).iter().map(marked).sum();
    count += entries(body.get("system"))
        .iter()
        .map(marked)
        .sum::<usize>();
    count += usize::from(given(body, "cache_control").is_some());
    for message in entries(body.get("messages")) {
        for block in entries(message.get("content")) {
            count += marked(block);
            count += entries(block.get("content"))
                .iter()
                .map(marked)
                .sum::<usize>();
        }
    }
    if count > MARKS_MAX {
        return Err(Objection::bad(format!(
            "A maximum of {MARKS_MAX} blocks with cache_control may be provided. Found {count}."
        )));
    }
    Ok(())
}

/// The version under which sampling parameters exist.
const FIRST_VERSION: &str = "2023-06-01";
const USER_ID_MAX: usize = 256;
const TOP_P_MIN: f64 = 0.95;
const BUDGET_MIN: u64 = 1_024;
const MARKS_MAX: usize = 4;

/// The keys of a question that is only counted.
const COUNTED: &[&str] = &[
    "model",
    "messages",
    "system",
    "thinking",
    "tool_choice",
    "tools",
    "cache_control",
    "output_config",
];
/// The keys that only a question has that is answered.
const ANSWERED: &[&str] = &[
    "max_tokens",
    "stream",
    "stop_sequences",
    "temperature",
    "top_k",
    "top_p",
    "metadata",
    "service_tier",
    "container",
    "inference_geo",
    "diagnostics",
    "speed",
];
/// The keys that exist in a beta alone.
const BETA: &[&str] = &[
    "context_management",
    "mcp_servers",
    "compaction",
    "speed",
    "billing_policy",
    "output_format",
];
/// The keys that exist in a beta alone, and only where the question is answered.
const BETA_ANSWERED: &[&str] = &["fallbacks", "fallback_credit_token", "thread"];
