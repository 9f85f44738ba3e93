//! What each answer of a provider means: for the next provider, the breaker and the caller; and for
//! how long a provider that says so is left alone.

use std::time::Duration;

use infermux_mock::Mock;
use serde_json::{Value, json};

use crate::failover::assert_openai_shape;
use crate::support::client::{Answer, Client};
use crate::support::operate;
use crate::support::router::Router;
use crate::support::{chat, config_of, config_with, eventually, mock, provider, streamed_chat};

/// In order, and however many requests fail.
const ROUTING: &str = "routing: {strategy: priority, failover: {retry_budget: 10}}\n";

/// What an answer of a provider means: key, status, the error's fields; whether the next provider
/// is asked; what the breaker is told; what the caller gets where nobody is left: `=` with what the
/// provider said, `!` with `upstream_error`.
const OUTCOMES: &str = r#"
    own 400 {"message":"m"} | no | - | 400 =
    own 404 {"message":"m"} | no | - | 404 =
    own 409 {"message":"m"} | no | - | 409 =
    own 413 {"message":"m"} | no | - | 413 =
    own 422 {"message":"m"} | no | - | 422 =
    own 451 {"message":"m"} | no | - | 451 =
    own 401 {"message":"m"} | yes | fail | 502 !
    own 401 {"message":"m","type":"invalid_request_error"} | yes | fail | 502 !
    own 402 {"message":"m"} | yes | fail | 502 !
    own 403 {"message":"m"} | yes | - | 403 =
    own 403 {"message":"no access to model","code":"model_not_found"} | yes | - | 403 =
    own 403 {"message":"Content violates usage guidelines."} | no | - | 403 =
    own 403 {"message":"m","code":"content_policy_violation"} | no | - | 403 =
    own 403 {"message":"your input was flagged"} | no | - | 403 =
    own 400 {"message":"m","code":"content_filter"} | no | - | 400 =
    own 400 {"message":"m","code":"invalid_api_key"} | yes | fail | 502 !
    own 400 {"message":"API key not valid. Please pass one."} | yes | fail | 502 !
    own 400 {"message":"Incorrect API key provided: sk-***."} | yes | fail | 502 !
    own 400 {"message":"Your credit balance is too low"} | yes | fail | 502 !
    own 400 {"message":"You have reached your specified API usage limits."} | yes | fail | 502 !
    own 400 {"message":"m","type":"insufficient_quota"} | yes | fail | 502 !
    own 400 {"message":"no such model: credit balance is too low"} | no | - | 400 =
    own 429 {"message":"m","code":"insufficient_quota"} | yes | fail | 502 !
    own 429 {"message":"You exceeded your current quota"} | yes | - | 429 rate_limit
    own 429 {"message":"m"} | yes | - | 429 rate_limit
    own 400 {"message":"prompt is too long: 3 > 2"} | no | - | 400 context_length_exceeded
    own 413 {"message":"m","code":"context_length_exceeded"} | no | - | 400 context_length_exceeded
    own 403 {"message":"a maximum context length of 2"} | no | - | 400 context_length_exceeded
    own 408 {"message":"m"} | yes | fail | 502 !
    own 500 {"message":"m"} | yes | fail | 502 !
    own 500 {"message":"m","type":"invalid_request_error"} | yes | fail | 502 !
    own 503 {"message":"m"} | yes | fail | 502 !
    own 529 {"message":"m"} | yes | fail | 502 !
    callers 401 {"message":"m"} | no | - | 401 =
    callers 403 {"message":"m"} | no | - | 403 =
    callers 400 {"message":"m"} | no | - | 400 =
    callers 429 {"message":"m"} | yes | - | 429 rate_limit
    callers 429 {"message":"m","code":"insufficient_quota"} | no | - | 429 =
    callers 400 {"message":"m","code":"content_filter"} | no | - | 400 =
    callers 500 {"message":"m"} | yes | fail | 502 !
"#;

#[test]
fn each_outcome_means_what_the_contract_says() {
    for kind in ["openai", "anthropic"] {
        for owner in ["own", "callers"] {
            let court = Court::of(kind, owner);
            let rows = OUTCOMES
                .lines()
                .filter_map(|row| row.trim().split_once(' '));
            for (_, row) in rows.filter(|(of, _)| *of == owner) {
                for body in [chat("hello"), streamed_chat("hello")] {
                    court.judge(row.trim(), &body);
                }
            }
        }
    }
}

/// Two providers that both serve `m`, of which the first alone serves `alone`; one failure opens a
/// circuit.
struct Court {
    kind: &'static str,
    alpha: Mock,
    _beta: Mock,
    router: Router,
}

impl Court {
    fn of(kind: &'static str, owner: &str) -> Self {
        let mocks = ["alpha", "beta"].map(|name| mock(json!({"name": name, "dialect": kind})));
        let suffix = if kind == "openai" { "/v1" } else { "" };
        let key = if owner == "own" {
            "weight: 1"
        } else {
            "-api_key"
        };
        let models = ["models: [m, alone]", "models: [m]"];
        let described = [0, 1].map(|place| {
            let base = format!("base_url: \"http://{}{suffix}\"", mocks[place].address());
            let kind = format!("type: {kind}");
            let breaker = "circuit_breaker: {consecutive_failures: 1}";
            provider(&mocks[place], &[&kind, &base, key, models[place], breaker])
        });
        let [alpha, beta] = mocks;
        Self {
            kind,
            alpha,
            _beta: beta,
            router: Router::start(&config_of(&described, ROUTING)),
        }
    }

    fn ask(&self, body: &str) -> Answer {
        operate::turn(&self.router, "alpha", "reset");
        let mut client = Client::connect(self.router.addr());
        let headers = "Authorization: Bearer sk-of-the-caller\r\n";
        client.post_with("/v1/chat/completions", headers, body);
        client.answer()
    }

    /// Lets the first provider answer as the row says, and looks whether it has the row's meaning.
    fn judge(&self, row: &str, body: &str) {
        let mut columns = row.split(" | ").map(str::trim);
        let mut column = || columns.next().expect("four columns");
        let (answer, goes_on, breaker, told) = (column(), column(), column(), column());
        let (status, fields) = answer.split_once(' ').expect("a status");
        let status: u16 = status.parse().expect("a number");
        let mut error: Value = serde_json::from_str(fields).expect("JSON");
        if self.kind == "anthropic" && error["code"].is_string() {
            // Its errors have a type and no code.
            error["type"] = error["code"].take();
        }
        let script = json!({"status": status, "body": {"type": "error", "error": error},
            "headers": {"retry-after-ms": "1"}});
        self.alpha.set_script(script).expect("a script");
        let row = format!("{}, {row}, {body}", self.kind);

        let answer = self.ask(body);
        let served = answer.header("x-infermux-provider") == Some("beta");
        assert_eq!(served, goes_on == "yes", "{row}: {}", answer.text());
        let answer = self.ask(&body.replace("\"m\"", "\"alone\""));
        let (expected, code) = told.split_once(' ').expect("status and code");
        let code = if code == "!" { "upstream_error" } else { code };
        assert_eq!(
            answer.status.to_string(),
            expected,
            "{row}: {}",
            answer.text()
        );
        if code != "=" {
            assert_eq!(answer.code(), code, "{row}: {}", answer.text());
        }
        let is_own = matches!(code, "upstream_error" | "rate_limit");
        assert_eq!(answer.header("x-infermux-error").is_some(), is_own, "{row}");
        assert_openai_shape(&answer);
        let expected = if breaker == "fail" { "open" } else { "closed" };
        assert_eq!(operate::circuit(&self.router, "alpha"), expected, "{row}");
    }
}

#[test]
fn content_that_one_caller_may_not_send_takes_no_provider_from_the_others() {
    let said = json!({"code": "The caller does not have permission to execute the operation",
        "error": "Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE_X"});
    for shards in [1, 2] {
        let alpha = mock(json!({"name": "alpha", "rules": [
            {"when": {"headers": {"user-agent": "rude"}}, "status": 403, "body": said},
        ]}));
        let breaker = "circuit_breaker: {consecutive_failures: 2}";
        let rest = format!("server: {{shards: {shards}}}\n");
        let router = Router::start(&config_of(&[provider(&alpha, &[breaker])], &rest));
        for body in [chat("x"), streamed_chat("x")] {
            for _ in 0..6 {
                let mut client = Client::connect(router.addr());
                client.post_with("/v1/chat/completions", "User-Agent: rude\r\n", &body);
                assert_eq!(client.answer().status, 403);
            }
            let answer = Client::connect(router.addr()).chat(&body);
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
    }
}

#[test]
fn a_provider_is_left_alone_for_as_long_as_it_says_wherever_it_says_it() {
    let delay = |seconds: &str| {
        json!({"code": 429, "message": "Resource exhausted.", "details": [
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": seconds}]})
    };
    let in_20_s = std::time::SystemTime::now() + Duration::from_secs(20);
    let since = in_20_s
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970");
    let seconds = json!({"x-ratelimit-reset-tokens": since.as_secs().to_string()});
    let millis = json!({"x-ratelimit-reset": since.as_millis().to_string()});
    let nothing = json!({});
    for (status, headers, body, least, most) in [
        (429, &nothing, json!({"error": delay("9.5s")}), 9, 10),
        (429, &nothing, json!([{"error": delay("9.5s")}]), 9, 10),
        (
            429,
            &nothing,
            json!({"error": {"message": "Please try again in 20s."}}),
            19,
            20,
        ),
        (
            429,
            &json!({"retry-after": "5"}),
            json!({"error": delay("9.5s")}),
            4,
            5,
        ),
        (429, &seconds, json!({"error": {"message": "m"}}), 10, 20),
        (429, &millis, json!({"error": {"message": "m"}}), 10, 20),
        (
            503,
            &json!({"retry-after": "9"}),
            json!({"error": {"message": "m"}}),
            8,
            9,
        ),
        (
            529,
            &json!({"retry-after": "9"}),
            json!({"error": {"message": "m"}}),
            8,
            9,
        ),
        (
            503,
            &json!({"retry-after": "900"}),
            json!({"error": {"message": "m"}}),
            59,
            60,
        ),
    ] {
        let alpha = mock(json!({
            "name": "alpha", "status": status, "headers": headers, "body": body,
        }));
        let router = Router::start(&config_with(&alpha, &[]));
        let mut client = Client::connect(router.addr());
        let first = client.chat(&chat("x"));
        assert_eq!(
            first.status,
            if status == 429 { 429 } else { 502 },
            "{body}"
        );
        // On a busy machine a verdict may be told before it is in force.
        eventually("it is left alone", || {
            let before = alpha.stats().requests;
            let refused = client.chat(&chat("x")).status == 429;
            refused && alpha.stats().requests == before
        });
        let before = alpha.stats().requests;
        let again = client.chat(&chat("x"));
        let refused = (again.status, &*again.code());
        assert_eq!(refused, (429, "rate_limit"), "{body}");
        assert_eq!(alpha.stats().requests, before, "{status} {headers} {body}");
        let told = [first, again].map(|answer| {
            let seconds = answer.header("retry-after").map(str::parse::<u64>);
            seconds.map(|seconds| seconds.expect("a number"))
        });
        assert!(told[1].is_some());
        for seconds in told.into_iter().flatten() {
            assert!(
                (least..=most).contains(&seconds),
                "{seconds}: {headers} {body}"
            );
        }
    }
    // Whoever fails without a word is asked again, whatever its limits are.
    let limits = json!({"x-ratelimit-reset-tokens": "6m0s"});
    let alpha = mock(json!({"name": "alpha", "status": 503, "headers": limits}));
    let router = Router::start(&config_with(&alpha, &[]));
    let mut client = Client::connect(router.addr());
    for _ in 0..2 {
        assert_eq!(client.chat(&chat("x")).status, 502);
    }
    assert_eq!(alpha.stats().requests, 2);
}

#[test]
fn a_refusal_says_which_limit_it_was_or_who_is_out_of_service_and_why() {
    for (limits, tokens, limit) in [
        ("requests_per_minute: 1", 1, "requests_per_minute"),
        ("tokens_per_minute: 50", 50, "tokens_per_minute"),
    ] {
        let alpha = mock(json!({"name": "alpha", "prompt_tokens": tokens}));
        let limits = format!("rate_limits: {{{limits}}}");
        let router = Router::start(&config_with(&alpha, &[&limits]));
        let mut client = Client::connect(router.addr());
        assert_eq!(client.chat(&chat("x")).status, 200);
        // When the window frees up is known a few milliseconds later.
        let mut answer = client.chat(&chat("x"));
        eventually("the reset is known", || {
            answer = client.chat(&chat("x"));
            let pause = answer.json()["error"]["retry_after_ms"].as_u64();
            pause.is_some_and(|pause| (30_000..=60_000).contains(&pause))
        });
        assert_eq!(answer.status, 429, "{}", answer.text());
        let error = &answer.json()["error"];
        assert_eq!(error["scope"], "provider alpha");
        assert_eq!(error["limit"], limit);
        let message = error["message"].as_str().expect("a text");
        let says = format!("{limit} of alpha resets in ");
        assert!(message.contains(&says), "{message}");
    }
    let (alpha, beta) = (
        mock(json!({"name": "alpha"})),
        mock(json!({"name": "beta", "key": "other"})),
    );
    let checked = "health_check: {interval: 60s}";
    let providers = [provider(&alpha, &[]), provider(&beta, &[checked])];
    let router = Router::start(&config_of(&providers, ""));
    operate::turn(&router, "alpha", "open");
    let answer = Client::connect(router.addr()).chat(&chat("x"));
    assert_eq!(
        (answer.status, &*answer.code()),
        (503, "no_healthy_providers")
    );
    assert!(answer.header("retry-after").is_some() && answer.header("retry-after-ms").is_some());
    let candidates = answer.json()["error"]["candidates"].clone();
    let told = |place: usize| {
        let text = |name: &str| candidates[place][name].as_str().expect("a text").to_owned();
        (text("provider"), text("reason"))
    };
    assert_eq!(told(0), ("alpha".into(), "its circuit is open".into()));
    let (name, reason) = told(1);
    assert_eq!(name, "beta");
    assert!(reason.starts_with("its health check fails"), "{reason}");
    assert_eq!(candidates.as_array().map(Vec::len), Some(2));
}
