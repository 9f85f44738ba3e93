//! Writes a file of infermux.

use std::fmt::Write as _;

use crate::base::money::NanoUsd;
use crate::config::convert::layout::{Known, Layout, Seat};
use crate::config::convert::settings::Settings;

/// The text of the file.
pub(super) fn text(layout: &Layout, settings: &Settings) -> String {
    let mut out = String::from(HEAD);
    if let Some(key) = &settings.key {
        line(
            &mut out,
            0,
            format_args!("auth: {{mode: static_key, key: {}}}", quoted(key)),
        );
    }
    if settings.log_json || settings.log_debug {
        let level = settings.log_debug.then_some("level: debug");
        let format = settings.log_json.then_some("format: json");
        let both: Vec<&str> = level.into_iter().chain(format).collect();
        line(&mut out, 0, format_args!("log: {{{}}}", both.join(", ")));
    }
    out.push_str("\nproviders:\n");
    for seat in &layout.providers {
        provider(&mut out, seat, settings);
    }
    routing(&mut out, layout, settings);
    let failures = settings.consecutive_failures;
    let failures = failures.map(|count| format!("consecutive_failures: {count}"));
    let window = settings.recovery_window.as_ref();
    let window = window.map(|window| format!("recovery_window: {window}"));
    let breaker: Vec<String> = failures.into_iter().chain(window).collect();
    if !breaker.is_empty() {
        line(
            &mut out,
            0,
            format_args!("\ncircuit_breaker: {{{}}}", breaker.join(", ")),
        );
    }
    pricing(&mut out, layout);
    out
}

fn provider(out: &mut String, seat: &Seat, settings: &Settings) {
    let at = &seat.at;
    line(out, 1, format_args!("- name: {}", quoted(&seat.name)));
    let mut field = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            line(out, 2, format_args!("{key}: {value}"));
        }
    };
    let text = |text: &Option<String>| text.as_deref().map(quoted);
    field("type", Some(at.host.kind.to_owned()));
    field("base_url", text(&at.base_url));
    field("api_key", text(&key(seat, settings)));
    field("azure_deployment", text(&at.deployment));
    field("azure_api_version", text(&at.api_version));
    let limits = [
        ("requests_per_minute", at.requests),
        ("tokens_per_minute", at.tokens),
    ];
    let limits = limits
        .into_iter()
        .filter_map(|(key, most)| Some(format!("{key}: {}", most?)));
    let limits: Vec<String> = limits.collect();
    field(
        "rate_limits",
        (!limits.is_empty()).then(|| format!("{{{}}}", limits.join(", "))),
    );
    field("max_in_flight", at.in_flight.map(|most| most.to_string()));
    field("weight", at.weight.map(|weight| weight.to_string()));
    let timeout = at.timeout.as_ref().or(settings.timeout.as_ref());
    field("timeout", timeout.cloned());
    field("first_token_timeout", at.first_token_timeout.clone());
    field("headers", pairs("set", &at.headers, quoted));
    field("request", pairs("default", &at.defaults, ToOwned::to_owned));
    if !seat.is_open {
        models(out, seat);
    }
}

/// Its key; one that stands for none, where infermux insists on one.
fn key(seat: &Seat, settings: &Settings) -> Option<String> {
    let insists = settings.key.is_some() && seat.at.host.kind == "openai";
    let none = insists.then(|| String::from("none"));
    seat.at.api_key.clone().or(none)
}

fn models(out: &mut String, seat: &Seat) {
    let mut names: Vec<&str> = Vec::new();
    for (_, target) in &seat.models {
        if !names.contains(&target.as_str()) {
            names.push(target);
        }
    }
    let details = |name: &&str| {
        let known = seat.known.iter().find(|known| known.model == **name)?;
        let Known {
            window, max_output, ..
        } = known;
        let window = window.map(|window| format!(", context_window: {window}"));
        let output = max_output.map(|output| format!(", max_output_tokens: {output}"));
        let both: String = window.into_iter().chain(output).collect();
        (!both.is_empty()).then(|| format!("{{name: {}{both}}}", quoted(name)))
    };
    if names.iter().any(|name| details(name).is_some()) {
        line(out, 2, format_args!("models:"));
        for name in &names {
            let entry = details(name).unwrap_or_else(|| quoted(name));
            line(out, 3, format_args!("- {entry}"));
        }
    } else {
        let names: Vec<String> = names.iter().map(|name| quoted(name)).collect();
        line(out, 2, format_args!("models: [{}]", names.join(", ")));
    }
    let aliases = seat.models.iter().filter(|(name, target)| name != target);
    let aliases: Vec<String> = aliases
        .map(|(name, target)| format!("{}: {}", quoted(name), quoted(target)))
        .collect();
    if !aliases.is_empty() {
        line(
            out,
            2,
            format_args!("model_aliases: {{{}}}", aliases.join(", ")),
        );
    }
}

fn routing(out: &mut String, layout: &Layout, settings: &Settings) {
    let strategy = settings.strategy.unwrap_or("random");
    line(out, 0, format_args!("\nrouting:"));
    line(out, 1, format_args!("strategy: {strategy}"));
    if let Some(most) = settings.max_attempts {
        line(out, 1, format_args!("failover: {{max_attempts: {most}}}"));
    }
    let groups = layout.groups();
    if groups.is_empty() {
        return;
    }
    line(out, 1, format_args!("groups:"));
    for group in groups {
        let providers = group
            .to
            .iter()
            .filter_map(|place| layout.providers.get(*place));
        let providers: Vec<String> = providers.map(|seat| quoted(&seat.name)).collect();
        let strategy = if group.is_ordered() {
            "priority"
        } else {
            strategy
        };
        line(out, 2, format_args!("- name: {}", quoted(&group.name)));
        line(out, 3, format_args!("models: [{}]", quoted(&group.name)));
        line(out, 3, format_args!("strategy: {strategy}"));
        line(
            out,
            3,
            format_args!("providers: [{}]", providers.join(", ")),
        );
    }
}

fn pricing(out: &mut String, layout: &Layout) {
    let mut is_first = true;
    for seat in &layout.providers {
        let priced = seat
            .known
            .iter()
            .filter_map(|known| Some((known, known.prices?)));
        for (place, (known, (input, output))) in priced.enumerate() {
            if std::mem::take(&mut is_first) {
                line(out, 0, format_args!("\npricing:"));
            }
            if place == 0 {
                line(out, 1, format_args!("{}:", quoted(&seat.name)));
            }
            let (input, output) = (NanoUsd::new(input), NanoUsd::new(output));
            let prices = format_args!("input_per_million: {input}, output_per_million: {output}")
                .to_string();
            line(
                out,
                2,
                format_args!("{}: {{{prices}}}", quoted(&known.model)),
            );
        }
    }
}

/// `{word: {name: value, …}}`, where there are any.
fn pairs(word: &str, pairs: &[(String, String)], value: impl Fn(&str) -> String) -> Option<String> {
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, text)| format!("{}: {}", quoted(name), value(text)))
        .collect();
    (!pairs.is_empty()).then(|| format!("{{{word}: {{{}}}}}", pairs.join(", ")))
}

fn line(out: &mut String, depth: usize, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{:width$}{text}", "", width = depth * 2);
}

/// A text as YAML: as it is where it can only be that text, else in JSON's quotes, which YAML reads
/// alike.
pub(super) fn quoted(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    let begins = text
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_alphabetic());
    let means_more = [
        "true", "false", "null", "yes", "no", "on", "off", "y", "n", "inf", "nan",
    ];
    let lower = text.to_ascii_lowercase();
    if begins && text.bytes().all(is_plain) && !means_more.contains(&lower.as_str()) {
        text.to_owned()
    } else {
        serde_json::Value::String(text.to_owned()).to_string()
    }
}

const HEAD: &str = "\
# Made from a configuration of LiteLLM's proxy. `infermux validate` checks it, and
# `infermux check` asks every provider.
listen: \":4000\"
";

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert_eq, proptest};

    use super::*;
    use crate::config::raw::{Node, yaml};

    fn read_back(text: &str) -> (String, bool) {
        let entries = yaml::parse(&format!("k: {{v: {}}}", quoted(text))).expect("YAML");
        let (_, Node::Map(inner)) = &entries[0] else {
            panic!("no mapping: {entries:?}");
        };
        match &inner[0].1 {
            Node::Scalar(scalar) => (scalar.text.clone(), scalar.is_text),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn words_that_mean_more_are_quoted() {
        for text in [
            "yes", "No", "null", "~", "1e3", ".5", "", "- a", "a: b", "#", "*", "&a", "!t",
        ] {
            assert_eq!(read_back(text), (text.to_owned(), true), "{text}");
        }
        for text in ["gpt-4o", "Qwen/Qwen2.5", "a_b.c", "nano"] {
            assert_eq!(quoted(text), text);
        }
    }

    proptest! {
        #[test]
        fn every_text_is_read_back(text in "\\PC*") {
            prop_assert_eq!(read_back(&text), (text, true));
        }
    }
}
