//! What is said of single models, and what a provider is sent in place of what the caller wrote.

use infermux_mock::Mock;
use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::command::{end, infermux};
use crate::support::operate::metric;
use crate::support::router::{Folder, Router};
use crate::support::{chat, config_of, config_with, last_seen, mock, provider};

#[test]
fn a_model_has_settings_of_its_own() {
    let alpha = mock(json!({"name": "alpha"}));
    let models = "models: [plain, {name: long, max_output_tokens: 50, context_window: 4096}, \
                  {name: 'x-*', max_output_tokens: 40}, {name: brief, max_output_tokens: 7}]";
    let aliases = "model_aliases: {brief: long, other: long}";
    let router = Router::start(&config_with(&alpha, &[models, aliases]));
    let mut client = Client::connect(router.addr());
    for (asked, served, most) in [
        ("plain", "plain", 64),
        ("long", "long", 50),
        ("other", "long", 50),
        ("brief", "long", 7),
        ("x-1", "x-1", 40),
    ] {
        let body = json!({"model": asked, "max_tokens": 64, "messages": [
            {"role": "user", "content": "hello"},
        ]});
        client.post("/v1/messages", &body.to_string());
        let answer = client.answer();
        assert_eq!(answer.status, 200, "{}", answer.text());
        let seen = &last_seen(&alpha)["body"];
        assert_eq!(
            (&seen["model"], &seen["max_tokens"]),
            (&json!(served), &json!(most)),
            "{asked}"
        );
    }
}

/// A provider of type `kind` with this mock, these rules, and `m` as another name for its model.
fn of_kind(mock: &Mock, kind: &str, fields: &[&str]) -> String {
    let address = mock.address();
    let suffix = if kind == "openai" { "/v1" } else { "" };
    let base = format!("base_url: \"http://{address}{suffix}\"");
    let kind = format!("type: {kind}");
    provider(mock, &[&[&*kind, &base][..], fields].concat())
}

#[test]
fn rules_change_what_a_provider_is_sent_and_nothing_else() {
    let alpha = mock(json!({"name": "alpha"}));
    let rules = "request: {rename: {top_k: extra.top_k, max_tokens: max_completion_tokens}, \
                 remove: [user, extra.bad], default: {seed: 1, stop: [x]}, \
                 set: {temperature: 0.50}}";
    let models = "models: [plain, {name: quick, request: {set: {effort: low}, remove: [seed]}}]";
    let aliases = "model_aliases: {quick: plain, other: plain}";
    let router = Router::start(&config_with(&alpha, &[rules, models, aliases]));
    let mut client = Client::connect(router.addr());
    let messages = "\"messages\":[{\"role\":\"user\",\"content\":\"caf\\u00e9 \\/ max_tokens\"}]";
    for (asked, more, expected) in [
        (
            "plain",
            ", \"temperature\": 1 , \"user\":\"u\",\"x\" : 1.50e1",
            "{\"seed\":1,\"stop\":[\"x\"], \"model\" : \"plain\", MESSAGES, \"temperature\": 0.50,\
             \"x\" : 1.50e1}\n",
        ),
        (
            "other",
            ",\"max_tokens\":5,\"seed\":null,\"stop\":\"y\",\"temperature\":0.50",
            "{ \"model\" : \"plain\", MESSAGES,\"max_completion_tokens\":5,\"seed\":1,\
             \"stop\":\"y\",\"temperature\":0.50}\n",
        ),
        (
            "quick",
            ",\"to\\u0070_k\":7,\"extra\":{\"bad\":1,\"b\":[2]}",
            "{\"stop\":[\"x\"],\"temperature\":0.50,\"effort\":\"low\", \"model\" : \"plain\", \
             MESSAGES,\"extra\":{\"top_k\":7,\"b\":[2]}}\n",
        ),
    ] {
        let body = format!("{{ \"model\" : \"{asked}\", {messages}{more}}}\n");
        let answer = client.chat(&body);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let expected = expected.replace("MESSAGES", messages);
        assert_eq!(last_seen(&alpha)["body_text"], expected, "{asked}");
        assert_eq!(answer.json()["model"], asked);
    }
    // Beside the edits that a stream needs.
    let body = format!("{{\"model\":\"quick\",\"stream\":true,{messages}}}");
    assert_eq!(client.chat(&body).status, 200);
    let seen = &last_seen(&alpha)["body"];
    assert_eq!(seen["stream_options"], json!({"include_usage": true}));
    assert_eq!(
        (&seen["model"], &seen["effort"], &seen["seed"]),
        (&json!("plain"), &json!("low"), &Value::Null)
    );
}

#[test]
fn rules_hold_for_every_type_endpoint_and_dialect() {
    for (dialect, kind, responses) in [
        ("openai", "openai", "native"),
        ("openai", "openai", "bridge"),
        ("ollama", "ollama", "bridge"),
        ("azure", "azure_openai", "bridge"),
        ("anthropic", "anthropic", "bridge"),
    ] {
        let alpha = mock(json!({"name": "alpha", "dialect": dialect}));
        let responses = format!("responses: {responses}");
        let fields = [
            &*responses,
            "request: {set: {temperature: 0.25, metadata.user_id: x}, default: {top_p: 0.25}, \
             remove: [user]}",
            "models: [{name: m, request: {set: {temperature: 0.5}, default: {top_p: 0.75}}}]",
            "model_aliases: {n: m}",
        ];
        let provider = of_kind(&alpha, kind, &fields);
        let router = Router::start(&config_of(&[provider], "server: {shards: 2}\n"));
        let content = json!([{"role": "user", "content": "hello"}]);
        for (path, more) in [
            ("/v1/chat/completions", json!({"messages": content})),
            (
                "/v1/chat/completions",
                json!({"messages": content, "stream": true}),
            ),
            (
                "/v1/messages",
                json!({"messages": content, "max_tokens": 9}),
            ),
            (
                "/v1/messages",
                json!({"messages": content, "max_tokens": 9, "stream": true}),
            ),
            ("/v1/responses", json!({"input": "hello"})),
            ("/v1/responses", json!({"input": "hello", "stream": true})),
            ("/v1/embeddings", json!({"input": "hello"})),
            ("/v1/completions", json!({"prompt": "hello"})),
        ] {
            let is_conversation = !matches!(path, "/v1/embeddings" | "/v1/completions");
            if kind == "anthropic" && !is_conversation {
                continue;
            }
            for asked in ["m", "n"] {
                let mut body = more.clone();
                body["model"] = json!(asked);
                body["user"] = json!("u");
                let before = alpha.stats().requests;
                let mut client = Client::connect(router.addr());
                client.post(path, &body.to_string());
                let answer = client.answer();
                // What is sent is looked at here, whatever is made of the answer.
                let is_sent = alpha.stats().requests == before + 1;
                assert!(is_sent, "{kind} {path} {body}: {}", answer.text());
                let seen = &last_seen(&alpha)["body"];
                assert_eq!(
                    (&seen["temperature"], &seen["metadata"], &seen["top_p"]),
                    (&json!(0.5), &json!({"user_id": "x"}), &json!(0.75)),
                    "{kind} {path} {body}"
                );
                assert!(seen["user"].is_null(), "{kind} {path} {seen}");
                assert_eq!(seen["model"], "m", "{kind} {path}");
            }
        }
    }
}

#[test]
fn a_request_that_counts_tokens_gets_no_more_parameters() {
    let alpha = mock(json!({"name": "alpha", "dialect": "anthropic"}));
    let rules = "request: {set: {temperature: 1}, default: {top_k: 3}, remove: [betas]}";
    let provider = of_kind(&alpha, "anthropic", &[rules]);
    let router = Router::start(&config_of(&[provider], ""));
    let mut client = Client::connect(router.addr());
    let content = json!([{"role": "user", "content": "hello"}]);
    let body = json!({"model": "m", "messages": content, "betas": ["x"]});
    client.post("/v1/messages/count_tokens", &body.to_string());
    let answer = client.answer();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("x-infermux-token-count"), Some("native"));
    let seen = last_seen(&alpha);
    assert_eq!(seen["path"], "/v1/messages/count_tokens");
    assert_eq!(seen["body"], json!({"model": "m", "messages": content}));
}

#[test]
fn a_long_body_is_changed_as_a_short_one() {
    for (dialect, kind) in [("openai", "openai"), ("anthropic", "anthropic")] {
        let alpha = mock(json!({"name": "alpha", "dialect": dialect,
            "record_body_bytes": 8 << 20}));
        let rules = "request: {set: {temperature: 0.5, top_k: 2}, remove: [user]}";
        let provider = of_kind(&alpha, kind, &[rules]);
        let router = Router::start(&config_of(&[provider], "server: {shards: 1}\n"));
        let text = "temperature \" ".repeat(150_000);
        let body = json!({"model": "m", "user": "u",
            "messages": [{"role": "user", "content": text}]});
        let answer = Client::connect(router.addr()).chat(&body.to_string());
        assert_eq!(answer.status, 200, "{}", answer.text());
        let seen = &last_seen(&alpha)["body"];
        assert_eq!(
            (&seen["temperature"], &seen["top_k"]),
            (&json!(0.5), &json!(2))
        );
        assert!(seen["user"].is_null());
        assert!(seen["messages"].to_string().len() > 2_000_000, "{kind}");
    }
}

#[test]
fn a_body_that_repeats_a_name_without_end_is_refused() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_with(&alpha, &["request: {remove: [a]}"]));
    let mut client = Client::connect(router.addr());
    let body = |count| chat("x").replacen('{', &format!("{{{}", "\"a\":1,".repeat(count)), 1);
    assert_eq!(client.chat(&body(1_000)).status, 200);
    assert_eq!(last_seen(&alpha)["body_text"], chat("x"));
    let answer = client.chat(&body(5_000));
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert!(
        answer
            .text()
            .contains("repeats names of parameters too often")
    );
    assert_eq!(alpha.stats().requests, 1);
}

#[test]
fn each_provider_has_its_own_rules_and_a_reload_changes_them() {
    let alpha = mock(json!({"name": "alpha", "answers": [500], "then": "repeat"}));
    let beta = mock(json!({"name": "beta"}));
    let config = |rules: &str| {
        let providers = [provider(&alpha, &[rules]), provider(&beta, &[])];
        config_of(
            &providers,
            "routing: {strategy: priority}\nlog: {level: debug}\n",
        )
    };
    let router = Router::start(&config("request: {set: {top_k: 5}, default: {seed: 1}}"));
    let mut client = Client::connect(router.addr());
    assert_eq!(client.chat(&chat("hello")).status, 200);
    let seen = &last_seen(&alpha)["body"];
    assert_eq!((&seen["top_k"], &seen["seed"]), (&json!(5), &json!(1)));
    assert_eq!(last_seen(&beta)["body_text"], chat("hello"));
    let count = |kind: &str| {
        let labels = ["provider=\"alpha\"", &format!("kind=\"{kind}\"")];
        metric(router.addr(), "infermux_parameters_changed_total", &labels)
    };
    assert_eq!(
        (count("set"), count("default"), count("remove")),
        (1.0, 1.0, 0.0)
    );
    let answer = router.reload(&config("request: {set: {top_k: 6}}"));
    assert_eq!(answer.json()["changed"], json!(["provider alpha: request"]));
    assert_eq!(client.chat(&chat("hello")).status, 200);
    let seen = &last_seen(&alpha)["body"];
    assert_eq!((&seen["top_k"], &seen["seed"]), (&json!(6), &Value::Null));
    let answer = router.reload(&config("weight: 1"));
    assert_eq!(answer.status, 200);
    assert_eq!(client.chat(&chat("hello")).status, 200);
    assert_eq!(last_seen(&alpha)["body_text"], chat("hello"));
    assert_eq!((count("set"), count("default")), (2.0, 1.0));
}

#[test]
fn the_debug_line_tells_what_was_changed_and_no_value() {
    let alpha = mock(json!({"name": "alpha"}));
    let rules = "request: {set: {metadata.key: geheim}, rename: {user: end_user}, remove: [n]}";
    let config = config_with(&alpha, &[rules]) + "log: {level: debug}\n";
    let mut router = Router::start(&config);
    let body = chat("x").replacen('{', "{\"user\":\"u\",", 1);
    assert_eq!(Client::connect(router.addr()).chat(&body).status, 200);
    router.signal("TERM");
    router.wait();
    let log = router.log();
    let told = "changed=\"rename user to end_user, set metadata.key\"";
    assert!(log.contains(told), "{log}");
    assert!(!log.contains("geheim"), "{log}");
}

#[test]
fn validate_tells_how_many_rules_there_are() {
    let folder = Folder::new();
    let text = "providers:\n  - name: a\n    type: ollama\n    request: {remove: [x, y]}\n    \
                models: [{name: m, request: {set: {z: 1}}}]\n";
    let path = folder.write("infermux.yml", text);
    let path = path.to_str().expect("a path");
    let ended = end(&mut infermux(&["validate", "--config", path]));
    let told = "ok: config is valid (1 provider, 0 route groups, 3 request rules)\n";
    assert_eq!(ended.stdout, told, "{}", ended.stderr);
}

#[test]
fn what_a_reasoning_model_refuses_is_left_out_at_its_vendors_own_host() {
    let azure = mock(json!({"name": "azure", "dialect": "azure"}));
    let other = mock(json!({"name": "other"}));
    let models = "models: [o3, gpt-5.2, gpt-4o, o1-own]";
    let providers = [
        of_kind(&azure, "azure_openai", &[models]),
        of_kind(&other, "openai", &["models: [o4-mini]"]),
    ];
    let own = "model_families: {'o1*': {remove: [top_p], rename: {max_tokens: most}}}\n";
    let router = Router::start(&config_of(&providers, own));
    let sent = |path: &str, model: &str, mock: &Mock| {
        let body = json!({"model": model, "max_tokens": 9, "temperature": 0.5, "top_p": 0.5,
            "messages": [{"role": "user", "content": "hello"}]});
        let mut client = Client::connect(router.addr());
        client.post(path, &body.to_string());
        let answer = client.answer();
        assert_eq!(answer.status, 200, "{}", answer.text());
        let seen = &last_seen(mock)["body"];
        let names = seen.as_object().expect("an object").keys().cloned();
        names
            .filter(|name| name != "messages" && name != "model")
            .collect::<Vec<_>>()
    };
    let chat = "/v1/chat/completions";
    let all = ["max_tokens", "temperature", "top_p"];
    assert_eq!(sent(chat, "o3", &azure), ["max_completion_tokens"]);
    assert_eq!(
        sent(chat, "gpt-5.2", &azure),
        ["max_completion_tokens", "temperature", "top_p"]
    );
    assert_eq!(sent(chat, "gpt-4o", &azure), all);
    assert_eq!(sent(chat, "o1-own", &azure), ["most", "temperature"]);
    assert_eq!(sent(chat, "o4-mini", &other), all);
    // The writer of translated requests leaves out what models refuse by itself.
    assert_eq!(
        sent("/v1/messages", "o3", &azure),
        ["max_completion_tokens"]
    );
}
