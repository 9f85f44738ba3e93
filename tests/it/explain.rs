//! `infermux explain`: what it says comes true, and it changes nothing.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::caller_keys::entry;
use crate::support::canned::{Recorder, whole};
use crate::support::client::{Answer, Client, get};
use crate::support::command::{Ended, end, infermux, text};
use crate::support::operate::{metric, turn};
use crate::support::router::{Folder, Router, Start};
use crate::support::{chat, config_for, config_of, last_seen, mock, provider};

const TOKEN: &str = "INFERMUX_MANAGEMENT_TOKEN";

/// Runs the command about this router.
fn explain(router: &Router, arguments: &[&str]) -> Ended {
    let url = format!("http://{}", router.management());
    let mut all = vec!["explain", "--server", &url];
    all.extend(arguments);
    end(&mut infermux(&all))
}

/// The report about this router.
fn report(router: &Router, arguments: &[&str]) -> (Option<i32>, Value) {
    let ended = explain(router, &[arguments, &["--json"]].concat());
    assert_eq!(ended.stderr, "");
    let report = serde_json::from_str(&ended.stdout).expect("JSON");
    (ended.code, report)
}

/// What is reported of a candidate.
fn candidate<'a>(report: &'a Value, name: &str) -> &'a Value {
    let mut all = report["candidates"].as_array().expect("a list").iter();
    let found = all.find(|one| one["provider"] == name);
    found.unwrap_or_else(|| panic!("{name} in {report}"))
}

fn ask(router: &Router, headers: &str) -> Answer {
    let mut client = Client::connect(router.addr());
    client.post_with("/v1/chat/completions", headers, &chat("x"));
    client.answer()
}

#[test]
fn the_provider_that_is_named_gets_the_next_request() {
    let mocks = ["a", "b", "c"].map(|name| mock(json!({"name": name})));
    for strategy in ["round_robin", "priority", "cost_weighted", "least_latency"] {
        let routing = format!(
            "server: {{shards: 1}}\nrouting: {{strategy: {strategy}}}\n\
             pricing: {{a: {{m: {{input_per_million: 3, output_per_million: 6}}}},\n\
             \x20 b: {{m: {{input_per_million: 1, output_per_million: 2}}}},\n\
             \x20 c: {{m: {{input_per_million: 2, output_per_million: 4}}}}}}\n"
        );
        let config = config_for(&[&mocks[0], &mocks[1], &mocks[2]], &routing);
        let router = Router::start(&config);
        for _ in 0..5 {
            let mut told = Vec::new();
            for _ in 0..3 {
                let (code, report) = report(&router, &["--model", "m"]);
                assert_eq!(code, Some(0));
                assert_eq!(report["order"].as_array().map(Vec::len), Some(3));
                assert_eq!(report["strategy"], strategy);
                told.push(report["chosen"].clone());
            }
            let answer = ask(&router, "");
            let served = answer.header("x-infermux-provider").expect("a provider");
            assert_eq!(told, [served, served, served], "{strategy}");
        }
        assert_eq!(metric(router.addr(), "infermux_requests_total", &[]), 5.0);
    }
}

#[test]
fn the_cost_is_that_of_the_tokens_by_the_prices_of_each_candidate() {
    let (a, b) = (mock(json!({"name": "a"})), mock(json!({"name": "b"})));
    let prices = "pricing: {a: {m: {input_per_million: 3, output_per_million: 6}}}\n";
    let router = Router::start(&config_for(&[&a, &b], prices));
    let folder = Folder::new();
    let body = json!({"model": "m", "max_tokens": 1_000,
        "messages": [{"role": "user", "content": "x".repeat(3_972)}]});
    let file = folder.write("request.json", body.to_string());
    let (_, report) = report(&router, &["--file", text(&file)]);
    let prompt = report["prompt_tokens"].as_u64().expect("a number");
    assert!((990..1_010).contains(&prompt), "{prompt}");
    assert_eq!(report["answer_tokens"], 1_000);
    let told = candidate(&report, "a");
    let cost = told["cost_usd"].as_f64().expect("a number");
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let expected = (3.0 * prompt as f64 + 6.0 * 1_000.0) / 1e6;
    assert!((cost - expected).abs() < 1e-9, "{cost} is not {expected}");
    assert_eq!(told["price"]["output_per_million"], 6);
    assert_eq!(candidate(&report, "b")["cost_usd"], Value::Null);
}

#[test]
fn rows_are_in_the_order_of_turns() {
    let mocks = ["dear", "fair", "out", "cheap"].map(|name| mock(json!({"name": name})));
    let prices = "pricing:\n  dear: {m: {input_per_million: 3, output_per_million: 6}}\n  \
                  fair: {m: {input_per_million: 2, output_per_million: 6}}\n  \
                  cheap: {m: {input_per_million: 1, output_per_million: 6}}\n\
                  routing: {strategy: cost_weighted}\n";
    let [dear, fair, out, cheap] = &mocks;
    let router = Router::start(&config_for(&[dear, fair, out, cheap], prices));
    turn(&router, "out", "open");
    let shown = explain(&router, &["--model", "m"]).stdout;
    let rows = shown.lines().skip_while(|line| !line.starts_with("TURN"));
    let rows = rows.skip(1).take_while(|row| !row.is_empty());
    let rows: Vec<_> = rows
        .map(|row| row.split_whitespace().take(2).collect::<Vec<_>>())
        .collect();
    let expected = [["1", "cheap"], ["2", "fair"], ["3", "dear"], ["-", "out"]];
    assert_eq!(rows, expected, "{shown}");
}

#[test]
fn limits_of_a_key_and_its_models_are_looked_at_and_not_used() {
    let provider = mock(json!({"name": "p"}));
    let keys = [
        entry(
            "web",
            "k-web",
            ", team: t, limits: {requests_per_minute: 2}",
        ),
        entry("other", "k-other", ", models: [x]"),
        entry("old", "k-old", ", expires: '2020-01-01'"),
    ];
    let keys: String = keys.iter().map(|key| format!("    {key}")).collect();
    let auth = format!("teams: [{{name: t}}]\nauth:\n  mode: keys\n  keys:\n{keys}");
    let router = Router::start(&config_for(&[&provider], &auth));
    for served in 0..2 {
        for _ in 0..5 {
            let (code, report) = report(&router, &["--model", "m", "--key", "web"]);
            assert_eq!((code, &report["team"]), (Some(0), &json!("t")));
            assert_eq!(report["scopes"][0]["verdict"], "passes");
        }
        let answer = ask(&router, "Authorization: Bearer k-web\r\n");
        assert_eq!(answer.status, 200, "request {served}: {}", answer.text());
    }
    let (code, report_of_web) = report(&router, &["--model", "m", "--key", "web"]);
    assert_eq!(code, Some(1));
    let refused = ask(&router, "Authorization: Bearer k-web\r\n");
    assert_eq!(refused.status, 429);
    assert_eq!(report_of_web["scopes"][0]["verdict"], "refuses");
    assert_eq!(report_of_web["refusal"]["code"], refused.code());
    // The reset is told in whole seconds, which may have gone on by one.
    let message = refused.json()["error"]["message"].clone();
    let start = |text: &Value| text.as_str().map(|text| text[..40].to_owned());
    assert_eq!(start(&report_of_web["refusal"]["message"]), start(&message));
    for (key, code) in [("other", "model_not_allowed"), ("old", "expired_api_key")] {
        let (exit, report) = report(&router, &["--model", "m", "--key", key]);
        assert_eq!((exit, &report["refusal"]["code"]), (Some(1), &json!(code)));
        assert_eq!(report["chosen"], "p", "who could serve it is told anyway");
    }
    let ended = explain(&router, &["--model", "m", "--key", "nobody"]);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains("no key is called nobody"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_budget_leads_to_another_model_or_refuses() {
    let provider_of = |name| mock(json!({"name": name}));
    let (dear, cheap) = (provider_of("dear"), provider_of("cheap"));
    let providers = [provider(&dear, &[]), provider(&cheap, &["models: [small]"])];
    let rest = "pricing: {dear: {m: {input_per_million: 1000000, output_per_million: 1}}}\n\
                budgets:\n\
                \x20 - caller: down\n\
                \x20   monthly_usd: 1\n\
                \x20   action: model_override\n\
                \x20   model_override: small\n\
                \x20 - {caller: stop, monthly_usd: 1, action: hard_stop}\n\
                \x20 - {caller: told, monthly_usd: 1, action: alert}\n";
    let router = Router::start(&config_of(&providers, rest));
    for (caller, exit, chosen, instead, verdict) in [
        ("down", 0, json!("cheap"), json!("small"), "served_instead"),
        ("stop", 1, json!("dear"), Value::Null, "refuses"),
        ("told", 0, json!("dear"), Value::Null, "passes"),
    ] {
        let (code, report) = report(&router, &["--model", "m", "--caller", caller]);
        assert_eq!(code, Some(exit), "{report}");
        assert_eq!(report["chosen"], chosen, "{caller}");
        assert_eq!(report["model_override"], instead, "{caller}");
        assert_eq!(report["scopes"][0]["verdict"], verdict, "{caller}");
        let answer = ask(&router, &format!("X-Infermux-Caller: {caller}\r\n"));
        let served = answer.header("x-infermux-provider");
        assert_eq!(
            served,
            (exit == 0).then(|| chosen.as_str()).flatten(),
            "{caller}"
        );
    }
}

#[test]
fn it_says_why_candidates_are_left_out_and_who_is_none() {
    let mocks = ["open", "full", "ill", "asks", "other"];
    let mocks = mocks.map(|name| mock(json!({"name": name})));
    let [open, full, ill, asks, other] = &mocks;
    let providers = [
        provider(open, &[]),
        provider(full, &["rate_limits: {tokens_per_minute: 4}"]),
        provider(
            ill,
            &["-health_check", "base_url: \"http://127.0.0.1:1/v1\""],
        ),
        provider(asks, &["-models", "models: ['m*']"]),
        provider(other, &["models: [else]"]),
    ];
    let rest = "routing: {groups: [{name: g, models: [m], strategy: priority, \
                providers: [open, full, ill]}]}\n";
    let router = Router::start(&config_of(&providers, rest));
    // The first is the only one that is ready, until its circuit is open.
    assert_eq!(ask(&router, "").status, 200);
    turn(&router, "open", "open");
    // A request larger than the limit takes all of it.
    assert_eq!(ask(&router, "").header("x-infermux-provider"), Some("full"));
    let (code, told) = report(&router, &["--model", "m"]);
    assert_eq!((code, &told["group"]), (Some(1), &json!("g")));
    assert_eq!(told["order"], json!([]));
    for (name, reason) in [
        ("open", "its circuit is open"),
        ("full", "it is at its tokens_per_minute"),
        ("ill", "its health check fails: "),
    ] {
        let one = candidate(&told, name);
        assert_eq!(one["eligible"], false);
        let found = one["reason"].as_str().expect("a reason");
        assert!(found.starts_with(reason), "{name}: {found}");
        assert!(one["back_in_ms"].as_u64().is_some());
    }
    let others = json!([
        {"provider": "asks", "reason": "others name the model, and it does not"},
        {"provider": "other", "reason": "it does not name the model"},
    ]);
    assert_eq!(told["others"], others);
    let refused = ask(&router, "");
    assert_eq!(told["refusal"]["status"], refused.status);
    assert_eq!(told["refusal"]["code"], refused.code());
    let shown = explain(&router, &["--model", "m"]);
    assert_eq!(shown.code, Some(1));
    for line in [
        "answer    429 rate_limit: ",
        "No candidates:",
        "its circuit is open",
    ] {
        assert!(shown.stdout.contains(line), "{line}\n{}", shown.stdout);
    }
    let (code, unknown) = report(&router, &["--model", "nobody-has-it"]);
    assert_eq!(
        (code, &unknown["refusal"]["status"]),
        (Some(1), &json!(404))
    );
}

#[test]
fn the_changes_of_parameters_are_those_that_the_provider_gets() {
    let (chat, claude) = (mock(json!({"name": "p"})), mock(json!({"name": "c"})));
    let rules = "request: {rename: {max_tokens: max_completion_tokens}, remove: [logprobs], \
                 default: {seed: 7}, set: {user: 'it'}}";
    let base = format!("base_url: \"http://{}\"", claude.address());
    let providers = [
        provider(&chat, &[rules]),
        provider(&claude, &["type: anthropic", &base]),
    ];
    let router = Router::start(&config_of(&providers, "routing: {strategy: priority}\n"));
    let folder = Folder::new();
    let body = json!({"model": "m", "max_tokens": 9, "logprobs": true, "seed": 1,
        "messages": [{"role": "user", "content": "x"}]})
    .to_string();
    let file = folder.write("request.json", &body);
    let (code, told) = report(&router, &["--file", text(&file)]);
    assert_eq!(code, Some(0));
    let changed = "rename max_tokens to max_completion_tokens, remove logprobs, set user";
    assert_eq!(candidate(&told, "p")["changed"], changed);
    assert_eq!(candidate(&told, "p")["translated"], false);
    let translated = candidate(&told, "c");
    assert_eq!(
        (&translated["translated"], &translated["dialect"]),
        (&json!(true), &json!("messages"))
    );
    assert_eq!(translated["dropped"], "logprobs,seed");
    assert_eq!(chat.requests().len(), 0, "nothing is sent");
    let metrics = || metric(router.addr(), "infermux_parameters_changed_total", &[]);
    assert_eq!(metrics(), 0.0);
    let mut client = Client::connect(router.addr());
    client.post("/v1/chat/completions", &body);
    assert_eq!(client.answer().status, 200);
    let sent = last_seen(&chat)["body"].clone();
    assert_eq!(sent["max_completion_tokens"], 9);
    assert!(sent.get("logprobs").is_none() && sent["user"] == "it");
}

#[test]
fn a_long_prompt_puts_small_windows_last() {
    let mocks = ["small", "large"].map(|name| mock(json!({"name": name})));
    let of = |place: usize, window| {
        let models = format!("models: [{{name: m, context_window: {window}}}]");
        provider(&mocks[place], &[&models])
    };
    let providers = [of(0, 1_000), of(1, 100_000)];
    let router = Router::start(&config_of(&providers, "routing: {strategy: priority}\n"));
    let folder = Folder::new();
    let file = |words: usize| {
        let body = chat(&"word ".repeat(words));
        folder.write(&format!("{words}.json"), body)
    };
    let (short, long) = (file(10), file(200_000));
    let (_, told) = report(&router, &["--file", text(&short)]);
    assert_eq!(told["order"], json!(["small", "large"]));
    let (code, told) = report(&router, &["--file", text(&long)]);
    // Nobody has room: then all of them come in their order.
    assert_eq!(
        (code, &told["order"]),
        (Some(0), &json!(["small", "large"]))
    );
    let (_, told) = report(&router, &["--file", text(&file(4_000))]);
    assert_eq!(told["order"], json!(["large", "small"]));
    let reason = candidate(&told, "small")["reason"]
        .as_str()
        .expect("a reason");
    assert!(
        reason.starts_with("it comes last: its window of 1000"),
        "{reason}"
    );
}

#[test]
fn operators_alone_may_ask_and_faults_are_told() {
    let provider = mock(json!({"name": "p"}));
    let config = config_for(&[&provider], "management_listen: \"127.0.0.1:0\"\n");
    let router = Start::with(&config).env(TOKEN, "sesame").go();
    let path = "/_infermux/explain?model=m";
    assert_eq!(get(router.management(), path).status, 401);
    assert_eq!(get(router.addr(), path).status, 404, "not for callers");
    let ended = explain(&router, &["--model", "m"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("wants a token"), "{}", ended.stderr);
    let url = format!("http://{}", router.management());
    let with_token = |arguments: &[&str]| {
        let all = [&["explain", "--server", &url], arguments].concat();
        end(infermux(&all).env(TOKEN, "sesame"))
    };
    let ended = with_token(&["--model", "m"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains("p is asked"), "{}", ended.stdout);
    let folder = Folder::new();
    for (content, problem) in [
        ("", "is empty"),
        (
            "{",
            "400 invalid_request: the body ends before its JSON is complete",
        ),
        ("[]", "400 invalid_request: the body is not a JSON object"),
        (
            r#"{"messages":[]}"#,
            "400 invalid_request: `model` is missing",
        ),
    ] {
        let file = folder.write("request.json", content);
        let ended = with_token(&["--file", text(&file)]);
        assert_eq!(ended.code, Some(1), "{content:?}");
        let told = format!("{}{}", ended.stdout, ended.stderr);
        assert!(told.contains(problem), "{content:?}: {told}");
    }
    let large = folder.write("large.json", chat(&"x".repeat(4 << 20)));
    let ended = with_token(&["--file", text(&large)]);
    assert!(
        ended.stderr.contains("is larger than 4194304 bytes"),
        "{}",
        ended.stderr
    );
    for (arguments, problem) in [
        (&["--file", "/nowhere/x.json"][..], "/nowhere/x.json: "),
        (&[], "--model <MODEL>"),
        (
            &["--model", "m", "--endpoint", "compact"],
            "chat_completions",
        ),
    ] {
        let ended = with_token(arguments);
        assert_eq!(ended.code, Some(1), "{arguments:?}");
        assert!(ended.stderr.contains(problem), "{}", ended.stderr);
    }
    let ended = end(&mut infermux(&[
        "explain",
        "--model",
        "m",
        "--server",
        "http://127.0.0.1:1",
    ]));
    assert_eq!(ended.code, Some(2));
}

/// A provider at `addr` with these fields, whose health nobody checks.
fn plain(name: &str, kind: &str, addr: SocketAddr, models: &str) -> String {
    format!(
        "  - name: {name}\n    type: {kind}\n    api_key: sk-{name}\n    \
         base_url: \"http://{addr}\"\n    models: [{models}]\n    \
         health_check: {{disabled: true}}\n"
    )
}

#[test]
fn other_endpoints_are_explained_with_their_prices_as_they_are_billed() {
    let told = br#"{"data":[{"url":"u"}],"text":"x","results":[],"tokens":[]}"#;
    let alpha = Recorder::start(whole(JSON, told));
    let rest = "pricing:\n  alpha:\n    voice: {per_million_characters: 15}\n    \
                pictures: {per_image: 0.25}\n    sound: {per_second: 0.5}\n    \
                texts: {input_per_million: 4, output_per_million: 4}\n\
                server: {shards: 1}\n\
                budgets: [{caller: team, monthly_usd: 1, action: hard_stop}]\n";
    let config = config_of(
        &[
            plain(
                "alpha",
                "openai",
                alpha.addr(),
                "voice, pictures, sound, texts, dear",
            ),
            plain("claude", "anthropic", alpha.addr(), "voice, dear"),
        ],
        rest,
    );
    let router = Router::start(&config);
    let folder = Folder::new();
    let post = |path: &str, body: &str| {
        let mut client = Client::connect(router.addr());
        client.post_with(path, "x-infermux-caller: team\r\n", body);
        client.answer()
    };
    for (endpoint, path, body, price, cost) in [
        (
            "audio_speech",
            "/v1/audio/speech",
            json!({"model": "voice", "input": "twelve chars"}),
            "15 USD for a million characters",
            0.00018,
        ),
        (
            "image_generations",
            "/v1/images/generations",
            json!({"model": "pictures", "prompt": "x"}),
            "0.25 USD for a picture",
            0.25,
        ),
        (
            "tokenize",
            "/tokenize",
            json!({"model": "dear", "prompt": "x"}),
            "",
            0.0,
        ),
    ] {
        let file = folder.write("request.json", body.to_string());
        let asked = [
            "--endpoint",
            endpoint,
            "--caller",
            "team",
            "--file",
            text(&file),
        ];
        let before = alpha.seen().len();
        let (code, found) = report(&router, &asked);
        assert_eq!(code, Some(0), "{found}");
        assert_eq!(alpha.seen().len(), before, "nobody is asked");
        assert_eq!(found["chosen"], "alpha");
        let one = candidate(&found, "alpha");
        assert_eq!(one["unit_price"].as_str().unwrap_or_default(), price);
        assert_eq!(one["cost_usd"].as_f64(), Some(cost), "{one}");
        let answer = post(path, &body.to_string());
        assert_eq!(answer.status, 200, "{}", answer.text());
        let billed = answer.header("x-infermux-cost").expect("a cost");
        assert_eq!(billed.parse::<f64>().ok(), Some(cost), "{endpoint}");
        let others = found["others"].as_array().expect("a list");
        let reason = format!("its type has no {endpoint}");
        let told = |one: &Value| one["provider"] == "claude" && one["reason"] == reason;
        // Of a model that it does not have, another reason may come first.
        assert!(others.iter().any(told), "{found}");
    }
    // A second of sound, where there is no file; a form's own bytes, where there is one.
    let (_, found) = report(
        &router,
        &["--endpoint", "audio_transcriptions", "--model", "sound"],
    );
    assert_eq!(candidate(&found, "alpha")["cost_usd"].as_f64(), Some(0.5));
    let form = "--a b\r\nContent-Disposition: form-data; name=model\r\n\r\nsound\r\n--a b--\r\n";
    for (form, cost) in [
        (form.replace("a b", "ab"), Some(0.0)),
        (form.to_owned(), None),
    ] {
        let file = folder.write("form", form);
        let asked = ["--endpoint", "audio_transcriptions", "--file", text(&file)];
        let (code, found) = report(&router, &asked);
        assert_eq!(code, Some(i32::from(cost.is_none())), "{found}");
        match cost {
            Some(_) => assert_eq!(candidate(&found, "alpha")["cost_usd"].as_f64(), cost),
            None => assert_eq!(found["refusal"]["code"], "invalid_request"),
        }
    }
}

#[test]
fn what_has_no_price_is_refused_as_it_is_explained() {
    let alpha = Recorder::start(whole(JSON, b"{}"));
    let hard = "budgets: [{caller: team, monthly_usd: 1, action: hard_stop}]\n";
    let passed = format!("{hard}passthrough: {{provider: alpha}}\n");
    let images = (
        "image_generations",
        "/v1/images/generations",
        r#"{"model":"dear","prompt":"x"}"#,
    );
    for (rest, (endpoint, path, body), told) in [
        (hard, images, Some((403, "unpriced_endpoint"))),
        (
            hard,
            ("files", "/v1/files", "{}"),
            Some((404, "unknown_url")),
        ),
        (&passed, ("files", "/v1/files", "{}"), None),
        (
            &passed,
            ("batches", "/v1/batches", "{}"),
            Some((403, "unpriced_endpoint")),
        ),
    ] {
        let providers = [
            plain("alpha", "openai", alpha.addr(), "dear"),
            plain("beta", "openai", alpha.addr(), "dear"),
        ];
        let router = Router::start(&config_of(&providers, rest));
        let mut asked = vec!["--endpoint", endpoint, "--caller", "team"];
        if endpoint == "image_generations" {
            asked.extend(["--model", "dear"]);
        }
        let (code, found) = report(&router, &asked);
        let mut client = Client::connect(router.addr());
        client.post_with(path, "x-infermux-caller: team\r\n", body);
        let answer = client.answer();
        match told {
            Some((status, error)) => {
                assert_eq!(code, Some(1));
                let refusal = &found["refusal"];
                assert_eq!(refusal["status"], status, "{found}");
                assert_eq!(refusal["code"], error);
                assert_eq!(answer.status, status);
                assert_eq!(answer.json()["error"]["message"], refusal["message"]);
            }
            None => {
                assert_eq!((code, &found["chosen"]), (Some(0), &json!("alpha")));
                let others = json!([
                    {"provider": "beta", "reason": "`passthrough.provider` is another one"},
                ]);
                assert_eq!(found["others"], others);
                assert_eq!(answer.header("x-infermux-provider"), Some("alpha"));
            }
        }
    }
}

const JSON: &str = "Content-Type: application/json\r\n";
