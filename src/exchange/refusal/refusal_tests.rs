//! Refusals: codes, statuses, bodies and the time to retry.

use proptest::prelude::{any, prop_assert, proptest};
use serde_json::json;

use super::*;
use crate::base::endpoint::Dialect;
use crate::base::limits::QUOTED_BYTES_MAX;
use crate::base::time::Instant;
use crate::decide::outcome::{ConnectFault, Failure, TlsFault, Waiting};
use crate::exchange::answer_head::HeadEnd;
use crate::exchange::headers::Totals;
use crate::exchange::refusal::write::CANDIDATES_TOLD_MAX;
use crate::exchange::version::Version;
use crate::report::escape::bounded;
use crate::wire::status;

const SECOND: Duration = Duration::from_secs(1);
const DIALECTS: [Dialect; 2] = [Dialect::Chat, Dialect::Messages];
const LIMIT: LimitOf<'_> = LimitOf {
    provider: "openai",
    limit: Limit::Requests,
};
const ENVELOPE: Envelope<'_> = Envelope {
    dialect: Dialect::Chat,
    request_id: "r-1",
    attempts: 1,
    totals: Totals {
        prompt: None,
        completion: None,
        cost: None,
    },
    body: AnswerBody::Sent,
    end: HeadEnd::new(Version::Http11, Connection::KeepAlive, b""),
};

fn scope() -> &'static Scope {
    Box::leak(Box::new(Scope::Caller("team-a".into())))
}

fn all() -> Vec<Refusal<'static>> {
    let (model, provider, retry) = ("gpt-4o", "openai", 2 * SECOND);
    let failed = Outcome::ConnectFailed(ConnectFault::Tls(TlsFault::Other));
    let budget = |wait| Refusal::BudgetExceeded {
        scope: scope(),
        per: Per::Month,
        budget: NanoUsd::new(10_000_000_000),
        spent: NanoUsd::new(9_990_000_000),
        wait,
    };
    vec![
        Refusal::Malformed("a header name is empty"),
        Refusal::InvalidRequest("the body has no model"),
        Refusal::InvalidApiKey(KeyFault::Missing),
        Refusal::InvalidApiKey(KeyFault::Wrong),
        Refusal::InvalidApiKey(KeyFault::Mistyped),
        Refusal::InvalidApiKey(KeyFault::Expired),
        Refusal::InvalidApiKey(KeyFault::Disabled),
        Refusal::InvalidApiKey(KeyFault::Ambiguous),
        Refusal::InvalidApiKey(KeyFault::NoToken),
        Refusal::InvalidApiKey(KeyFault::WrongToken),
        Refusal::UnknownUrl {
            path: "/v2",
            hint: PathHint::Near("/v1/models"),
        },
        Refusal::UnknownProvider { name: "nobody" },
        Refusal::UnknownKey { name: "nobody" },
        Refusal::ModelNotFound { model },
        Refusal::EndpointNotFound {
            path: "/v1/rerank",
            model,
        },
        Refusal::UnpricedEndpoint {
            path: "/v1/rerank",
            model,
        },
        Refusal::ResponseNotFound,
        Refusal::ModelNotAllowed {
            model,
            key: "web-app",
        },
        Refusal::MethodNotAllowed { allow: "POST" },
        Refusal::UpgradeRequired,
        Refusal::RequestTimeout,
        Refusal::RequestTooLarge { limit: 1024 },
        Refusal::UriTooLong { limit: 8192 },
        Refusal::UnsupportedEncoding,
        Refusal::UnsupportedMediaType,
        Refusal::InvalidConfiguration { faults: &[] },
        budget(BudgetWait::Period(Some(90 * SECOND))),
        budget(BudgetWait::InFlight),
        Refusal::LimitExceeded {
            scope: scope(),
            limit: ScopeLimit::RequestsPerMinute,
            retry,
        },
        Refusal::RateLimit {
            model,
            retry,
            limit: LIMIT,
        },
        Refusal::HeaderTooLarge,
        Refusal::Internal,
        Refusal::UpstreamError {
            provider,
            outcome: failed,
        },
        Refusal::NoHealthyProviders {
            model,
            retry,
            candidates: &[],
        },
        Refusal::Overloaded,
        Refusal::TooManyConnections,
        Refusal::BooksBusy,
        Refusal::SharedState {
            whose: Whose::Provider("p"),
        },
        Refusal::ShuttingDown,
        Refusal::UpstreamTimeout {
            provider,
            outcome: Outcome::TimedOut(Waiting::Head),
        },
        Refusal::HttpVersionNotSupported,
    ]
}

fn answer(refusal: &Refusal<'_>, envelope: &Envelope<'_>) -> String {
    let mut out = Vec::new();
    refusal.write_answer(&mut out, envelope);
    String::from_utf8(out).unwrap()
}

/// The lines of the head that start with one of these words.
fn lines(refusal: &Refusal<'_>, starts: &[&str]) -> String {
    lines_in(Dialect::Chat, refusal, starts)
}

fn lines_in(dialect: Dialect, refusal: &Refusal<'_>, starts: &[&str]) -> String {
    let envelope = Envelope {
        dialect,
        ..ENVELOPE
    };
    let answer = answer(refusal, &envelope);
    let head = answer.split("\r\n\r\n").next().unwrap();
    let wanted = |line: &&str| starts.iter().any(|start| line.starts_with(start));
    head.lines().filter(wanted).collect::<Vec<_>>().join(", ")
}

fn error(refusal: &Refusal<'_>) -> serde_json::Value {
    body(Dialect::Chat, refusal)["error"].clone()
}

fn body(dialect: Dialect, refusal: &Refusal<'_>) -> serde_json::Value {
    let mut out = Vec::new();
    refusal.write_body(dialect, "r-1", &mut out);
    serde_json::from_slice(&out).unwrap()
}

#[test]
fn an_answer_is_complete_http() {
    let refusal = Refusal::ModelNotFound { model: "gpt-9" };
    let body = "{\"error\":{\"message\":\"no provider is configured to serve the model gpt-9\",\
                \"type\":\"infermux_error\",\"code\":\"model_not_found\",\"param\":null}}";
    let head = |length: usize, more: &str| {
        format!(
            "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\nX-Infermux-Error: model_not_found\r\n\
             X-Request-Id: r-1\r\n{more}\r\n"
        )
    };
    let no_retry = "x-should-retry: false\r\n";
    assert_eq!(
        answer(&refusal, &ENVELOPE),
        head(body.len(), no_retry) + body
    );
    let envelope = Envelope {
        body: AnswerBody::LengthOnly,
        attempts: 3,
        ..ENVELOPE
    };
    assert_eq!(
        answer(&refusal, &envelope),
        head(
            body.len(),
            "X-Infermux-Attempts: 3\r\nx-should-retry: false\r\n"
        )
    );
    let envelope = Envelope {
        end: HeadEnd::new(Version::Http11, Connection::Close, b"Vary: Origin\r\n"),
        ..ENVELOPE
    };
    assert_eq!(
        answer(&refusal, &envelope),
        head(
            body.len(),
            "x-should-retry: false\r\nConnection: close\r\nVary: Origin\r\n"
        ) + body
    );
}

#[test]
fn a_configuration_s_faults_are_all_told() {
    let faults = ["listen: \"x\" is no address", "is empty"].map(str::to_owned);
    let error = error(&Refusal::InvalidConfiguration { faults: &faults });
    let message = "the configuration cannot be used: listen: \"x\" is no address; 1 more";
    assert_eq!(error["message"], message);
    assert_eq!(error["faults"], serde_json::json!(faults));
}

#[test]
fn an_answer_leaves_what_stands_before_it() {
    let mut out = b"before".to_vec();
    Refusal::Internal.write_answer(&mut out, &ENVELOPE);
    assert!(out.starts_with(b"beforeHTTP/1.1 500 Internal Server Error\r\n"));
    assert!(out.ends_with(b"}}"));
}

#[test]
fn every_body_has_the_four_keys() {
    for refusal in all() {
        let error = error(&refusal);
        let object = error.as_object().unwrap();
        assert!(
            !object["message"].as_str().unwrap().is_empty(),
            "{refusal:?}"
        );
        assert_eq!(object["type"], "infermux_error");
        assert_eq!(object["code"], refusal.row().code);
        assert!(object["param"].is_null());
        assert_eq!(object["message"].as_str().unwrap(), refusal.to_string());
    }
}

#[test]
fn every_row_is_used_and_every_429_503_and_529_says_when_to_return() {
    let refusals = all();
    for row in TABLE {
        assert!(
            refusals
                .iter()
                .any(|refusal| refusal.row().code == row.code),
            "{}",
            row.code
        );
        assert_eq!(
            TABLE.iter().filter(|other| other.code == row.code).count(),
            1
        );
        assert_ne!(status::reason(row.status), "", "{}", row.code);
    }
    assert!(TABLE.is_sorted_by_key(|row| row.status));
    for dialect in DIALECTS {
        for refusal in &refusals {
            let says = lines_in(dialect, refusal, &["Retry-After", "retry-after-ms"]);
            let status = refusal.row().status_in(dialect);
            assert_eq!(
                says.split(", ").count() == 2,
                matches!(status, 429 | 503 | 529),
                "{refusal:?}"
            );
            assert_ne!(status::reason(status), "", "{refusal:?}");
        }
    }
}

#[test]
fn what_would_be_refused_again_is_not_to_be_repeated() {
    for refusal in all() {
        let refused_again = matches!(refusal.row().status, 400 | 401 | 403 | 404 | 413 | 415);
        let waits_long = matches!(
            refusal,
            Refusal::BudgetExceeded {
                wait: BudgetWait::Period(_),
                ..
            }
        );
        let expected = if refused_again || waits_long {
            "x-should-retry: false"
        } else {
            ""
        };
        for dialect in DIALECTS {
            let line = lines_in(dialect, &refusal, &["x-should-retry"]);
            assert_eq!(line, expected, "{refusal:?}");
        }
    }
}

#[test]
fn statuses_bring_their_headers() {
    let starts = ["HTTP/1.1", "Allow", "WWW", "Connection", "Upgrade"];
    for (refusal, expected) in [
        (
            Refusal::Malformed("x"),
            "HTTP/1.1 400 Bad Request, Connection: close",
        ),
        (Refusal::InvalidRequest("x"), "HTTP/1.1 400 Bad Request"),
        (
            Refusal::InvalidApiKey(KeyFault::Wrong),
            "HTTP/1.1 401 Unauthorized, WWW-Authenticate: Bearer",
        ),
        (
            Refusal::MethodNotAllowed { allow: "GET, HEAD" },
            "HTTP/1.1 405 Method Not Allowed, Allow: GET, HEAD",
        ),
        (
            Refusal::UpgradeRequired,
            "HTTP/1.1 426 Upgrade Required, Upgrade: HTTP/1.1, Connection: close",
        ),
        (
            Refusal::RequestTooLarge { limit: 1 },
            "HTTP/1.1 413 Content Too Large, Connection: close",
        ),
    ] {
        assert_eq!(lines(&refusal, &starts), expected);
    }
}

#[test]
fn waits_are_stated_as_client_libraries_understand_them() {
    let never = Instant::NEVER.since(Instant::ZERO);
    let starts = ["Retry-After", "retry-after-ms", "x-should-retry"];
    for (retry, expected, true_ms) in [
        (Duration::ZERO, "Retry-After: 1, retry-after-ms: 1", 1),
        (
            Duration::from_micros(10_001),
            "Retry-After: 1, retry-after-ms: 11",
            11,
        ),
        (
            Duration::from_millis(1_001),
            "Retry-After: 2, retry-after-ms: 1001",
            1_001,
        ),
        (
            60 * SECOND,
            "Retry-After: 60, retry-after-ms: 60000",
            60_000,
        ),
        (
            61 * SECOND,
            "Retry-After: 60, retry-after-ms: 60000, x-should-retry: false",
            61_000,
        ),
        (
            never,
            "Retry-After: 60, retry-after-ms: 60000, x-should-retry: false",
            2_678_400_000_u64,
        ),
    ] {
        for refusal in [
            Refusal::RateLimit {
                model: "m",
                retry,
                limit: LIMIT,
            },
            Refusal::NoHealthyProviders {
                model: "m",
                retry,
                candidates: &[],
            },
        ] {
            assert_eq!(lines(&refusal, &starts), expected, "{retry:?}");
            assert_eq!(error(&refusal)["retry_after_ms"], true_ms, "{retry:?}");
        }
    }
}

#[test]
fn a_limit_says_whose_it_is_and_when_it_resets() {
    let refusal = Refusal::RateLimit {
        model: "m",
        retry: Duration::from_millis(1_200),
        limit: LIMIT,
    };
    let error = error(&refusal);
    let message =
        "every provider of m is at its limit; requests_per_minute of openai resets in 2 s";
    assert_eq!(error["message"], message);
    assert_eq!(error["scope"], "provider openai");
    assert_eq!(error["limit"], "requests_per_minute");
    assert_eq!(error["retry_after_ms"], 1_200);
}

#[test]
fn an_outage_lists_who_is_out_and_why() {
    let down = |provider| Down {
        provider,
        reason: "its circuit is open".into(),
    };
    let many = vec![down("a\"b"); 2_000];
    for (count, told) in [(0, 0), (2, 2), (2_000, CANDIDATES_TOLD_MAX)] {
        let refusal = Refusal::NoHealthyProviders {
            model: "m",
            retry: SECOND,
            candidates: &many[..count],
        };
        let candidates = error(&refusal)["candidates"].clone();
        let candidates = candidates.as_array().unwrap();
        assert_eq!(candidates.len(), told);
        let expected = serde_json::json!({"provider": "a\"b", "reason": "its circuit is open"});
        assert!(candidates.iter().all(|candidate| *candidate == expected));
    }
}

#[test]
fn a_budget_says_its_numbers_and_what_to_wait_for() {
    let month = BudgetWait::Period(Some(5 * SECOND));
    for (wait, cents, state, headers) in [
        (
            month,
            1_000_u32,
            "is used up",
            "Retry-After: 5, x-should-retry: false",
        ),
        (
            month,
            999,
            "has too little left for this prompt",
            "Retry-After: 5, x-should-retry: false",
        ),
        (
            BudgetWait::InFlight,
            999,
            "is reserved by requests in flight",
            "Retry-After: 1",
        ),
    ] {
        let refusal = Refusal::BudgetExceeded {
            scope: scope(),
            per: Per::Month,
            budget: NanoUsd::new(10_000_000_000),
            spent: NanoUsd::new(u64::from(cents) * 10_000_000),
            wait,
        };
        let error = error(&refusal);
        let spent = f64::from(cents) / 100.0;
        let message = format!("team-a's budget of 10 USD a month {state}: {spent} spent");
        assert_eq!(error["message"], message);
        assert_eq!(error["budget_usd"].as_f64(), Some(10.0));
        assert_eq!(
            (&error["scope"], &error["per"]),
            (&json!("caller team-a"), &json!("month"))
        );
        assert_eq!(error["spent_usd"].as_f64(), Some(spent));
        assert_eq!(lines(&refusal, &["Retry-After", "x-should-retry"]), headers);
        // Codex stops at this type, and only where waiting does not help.
        let response = body(Dialect::Responses, &refusal);
        let kind = if wait == month {
            "insufficient_quota"
        } else {
            "infermux_error"
        };
        assert_eq!(error["type"], "infermux_error");
        assert_eq!(response["error"]["type"], kind);
        assert_eq!(response["error"]["code"], "budget_exceeded");
    }
}

#[test]
fn a_limit_says_whose_it_is_in_every_dialect() {
    let scope = Scope::KeyModels {
        key: "web-app".into(),
        models: "gpt-4o, \"x\"".into(),
    };
    for (limit, retry, headers) in [
        (ScopeLimit::InFlight, SECOND, "Retry-After: 1"),
        (ScopeLimit::TokensPerMinute, 59 * SECOND, "Retry-After: 59"),
        (
            ScopeLimit::RequestsPerDay,
            7_200 * SECOND,
            "Retry-After: 60, x-should-retry: false",
        ),
    ] {
        let refusal = Refusal::LimitExceeded {
            scope: &scope,
            limit,
            retry,
        };
        let seconds = retry.as_secs();
        for dialect in [Dialect::Chat, Dialect::Responses, Dialect::Messages] {
            let error = &body(dialect, &refusal)["error"];
            let details = match dialect {
                Dialect::Chat | Dialect::Responses => error,
                Dialect::Messages => &error["details"],
            };
            let expected = json!({
                "scope": "key web-app, model gpt-4o, \"x\"",
                "limit": limit.name(),
                "retry_after_ms": seconds * 1_000,
            });
            for (name, value) in expected.as_object().expect("an object") {
                assert_eq!(&details[name], value, "{dialect:?} {name}");
            }
            let message = format!(
                "{} of key web-app, model gpt-4o, \"x\" is reached: try again in {seconds} s",
                limit.name()
            );
            assert_eq!(error["message"], message);
        }
        assert_eq!(lines(&refusal, &["Retry-After", "x-should-retry"]), headers);
    }
}

/// Each code with its status in chat, and its status and type in Messages.
const IN_BOTH: [(&str, u16, u16, &str); 30] = [
    ("invalid_request", 400, 400, "invalid_request_error"),
    ("invalid_api_key", 401, 401, "authentication_error"),
    ("expired_api_key", 401, 401, "authentication_error"),
    ("disabled_api_key", 401, 401, "authentication_error"),
    ("model_not_allowed", 403, 403, "permission_error"),
    ("unpriced_endpoint", 403, 403, "permission_error"),
    ("unknown_url", 404, 404, "not_found_error"),
    ("unknown_provider", 404, 404, "not_found_error"),
    ("unknown_key", 404, 404, "not_found_error"),
    ("model_not_found", 404, 404, "not_found_error"),
    ("response_not_found", 404, 404, "not_found_error"),
    ("method_not_allowed", 405, 405, "invalid_request_error"),
    ("request_timeout", 408, 408, "timeout_error"),
    ("request_too_large", 413, 413, "request_too_large"),
    ("uri_too_long", 414, 414, "invalid_request_error"),
    ("unsupported_encoding", 415, 415, "invalid_request_error"),
    ("unsupported_media_type", 415, 415, "invalid_request_error"),
    ("invalid_configuration", 422, 422, "invalid_request_error"),
    ("upgrade_required", 426, 426, "invalid_request_error"),
    ("budget_exceeded", 429, 429, "rate_limit_error"),
    ("rate_limit", 429, 429, "rate_limit_error"),
    ("header_too_large", 431, 431, "invalid_request_error"),
    ("internal_error", 500, 500, "api_error"),
    ("upstream_error", 502, 502, "api_error"),
    ("no_healthy_providers", 503, 503, "api_error"),
    ("overloaded", 503, 529, "overloaded_error"),
    ("shared_state_unavailable", 503, 503, "api_error"),
    ("shutting_down", 503, 503, "api_error"),
    ("upstream_timeout", 504, 504, "timeout_error"),
    (
        "http_version_not_supported",
        505,
        505,
        "invalid_request_error",
    ),
];

#[test]
fn every_code_has_its_status_and_type_in_both_dialects() {
    let codes = TABLE.iter().map(|row| row.code);
    assert!(codes.eq(IN_BOTH.iter().map(|row| row.0)));
    for refusal in all() {
        let code = refusal.row().code;
        let expected = IN_BOTH.iter().find(|row| row.0 == code);
        let (_, chat, messages, kind) = *expected.expect("a row");
        let status = |dialect| lines_in(dialect, &refusal, &["HTTP/1.1"])[9..12].to_owned();
        assert_eq!(status(Dialect::Chat), chat.to_string(), "{code}");
        assert_eq!(status(Dialect::Messages), messages.to_string(), "{code}");
        for dialect in DIALECTS {
            let line = lines_in(dialect, &refusal, &["X-Infermux-Error"]);
            assert_eq!(line, format!("X-Infermux-Error: {code}"));
        }
        // The same message, and the same figures for programs, in either shape.
        let (mut chat, messages) = (error(&refusal), body(Dialect::Messages, &refusal));
        assert_eq!(messages["type"], "error");
        assert_eq!(messages["request_id"], "r-1");
        assert_eq!(messages["error"]["type"], kind, "{code}");
        assert_eq!(messages["error"]["message"], chat["message"], "{code}");
        let mut details = messages["error"]["details"].clone();
        let details = details.as_object_mut().unwrap();
        assert_eq!(details.remove("error_code"), Some(code.into()));
        let figures = chat.as_object_mut().unwrap();
        for key in ["message", "type", "code", "param"] {
            figures.remove(key);
        }
        assert_eq!(details, figures, "{code}");
    }
}

#[test]
fn an_answer_to_a_caller_of_messages_is_complete_http() {
    let refusal = Refusal::Overloaded;
    let end = HeadEnd::new(Version::Http11, Connection::KeepAlive, b"");
    let envelope = Envelope {
        dialect: Dialect::Messages,
        end: end.in_dialect(Dialect::Messages, b"r-1"),
        ..ENVELOPE
    };
    let body = "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\
                \"infermux has no memory left for this request (server.max_buffered_bytes)\",\
                \"details\":{\"error_code\":\"overloaded\",\"retry_after_ms\":1000}},\
                \"request_id\":\"r-1\"}";
    let head = format!(
        "HTTP/1.1 529 Overloaded\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nX-Infermux-Error: overloaded\r\nX-Request-Id: r-1\r\n\
         Retry-After: 1\r\nretry-after-ms: 1000\r\nConnection: close\r\n\
         request-id: r-1\r\n\r\n",
        body.len()
    );
    assert_eq!(answer(&refusal, &envelope), head + body);
}

#[test]
fn a_stream_ends_with_one_frame() {
    let refusal = Refusal::UpstreamError {
        provider: "a\n\nb",
        outcome: Outcome::StreamCut,
    };
    let mut out = Vec::new();
    refusal.write_frame(Dialect::Chat, "r-1", &mut out);
    assert_eq!(
        std::str::from_utf8(&out).unwrap(),
        "data: {\"error\":{\"message\":\"the provider a\\n\\nb cut its stream\",\
         \"type\":\"infermux_error\",\"code\":\"upstream_error\",\"param\":null}}\n\n"
    );
    out.clear();
    refusal.write_frame(Dialect::Messages, "r-1", &mut out);
    assert_eq!(
        std::str::from_utf8(&out).unwrap(),
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\
         \"the provider a\\n\\nb cut its stream\",\"details\":{\"error_code\":\
         \"upstream_error\"}},\"request_id\":\"r-1\"}\n\n"
    );
}

#[test]
fn verdicts_become_refusals() {
    for (verdict, outcome, expected) in [
        (Verdict::Answer, Outcome::Answered, None),
        (Verdict::PassThrough, Outcome::RequestRefused(404), None),
        (Verdict::Nothing, Outcome::CallerGone, None),
        (
            Verdict::UpstreamError,
            Outcome::Failed(Failure::Status(500)),
            Some("upstream_error: the provider p answered 500"),
        ),
        (
            Verdict::UpstreamTimeout,
            Outcome::TimedOut(Waiting::Content),
            Some("upstream_timeout: the provider p sent no content in time"),
        ),
        (
            Verdict::RateLimit,
            Outcome::RateLimited,
            Some(
                "rate_limit: every provider of m is at its limit; provider_rate_limit of p resets \
                 in 1 s",
            ),
        ),
        (
            Verdict::InvalidRequest,
            Outcome::Untranslatable,
            Some(
                "invalid_request: no available provider of this model can express the content \
                 of the request",
            ),
        ),
        (
            Verdict::StreamCut,
            Outcome::StreamCut,
            Some("upstream_error: the provider p cut its stream"),
        ),
        (
            Verdict::StreamStalled,
            Outcome::StreamStalled,
            Some("upstream_timeout: the provider p stalled in its stream"),
        ),
    ] {
        let last = LastWord {
            provider: "p",
            model: "m",
            outcome,
            retry: SECOND,
        };
        let got = Refusal::of_verdict(verdict, &last);
        let got = got.map(|refusal| format!("{}: {refusal}", refusal.row().code));
        assert_eq!(got.as_deref(), expected);
    }
}

#[test]
fn a_query_is_not_repeated() {
    let message = |hint| {
        let path = "/v2/models?key=sk-1";
        Refusal::UnknownUrl { path, hint }.to_string()
    };
    for (hint, expected) in [
        (
            PathHint::None,
            "unknown path /v2/models; GET / says what is served",
        ),
        (
            PathHint::Near("/v1/models"),
            "unknown path /v2/models, did you mean /v1/models?",
        ),
        (
            PathHint::Operators,
            "/v2/models is served on `management_listen` only",
        ),
        (
            PathHint::Passthrough,
            "/v2/models is served only where `passthrough.provider` names a provider for it",
        ),
    ] {
        assert_eq!(message(hint), expected);
    }
}

#[test]
fn names_from_outside_are_cut() {
    let model = "x".repeat(100_000);
    assert!(answer(&Refusal::ModelNotFound { model: &model }, &ENVELOPE).len() < 600);
}

proptest! {
    #[test]
    fn any_name_makes_a_well_framed_answer(model in any::<String>()) {
        let text = answer(&Refusal::ModelNotFound { model: &model }, &ENVELOPE);
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let length = format!("Content-Length: {}\r\n", body.len());
        prop_assert!(head.contains(&length));
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        let message = body["error"]["message"].as_str().unwrap();
        prop_assert!(message.ends_with(bounded(&model, QUOTED_BYTES_MAX)));
    }
}
