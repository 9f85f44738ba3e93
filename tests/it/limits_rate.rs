//! Limits of providers: requests and tokens in a rolling window, requests at once, and pauses that
//! providers ask for.

use std::time::{Duration, Instant, SystemTime};

use infermux::testing::base::time::WallTime;
use infermux_mock::Mock;
use serde_json::{Value, json};

use crate::support::client::{Answer, Client};
use crate::support::load::{ask, start, together};
use crate::support::operate::provider_report;
use crate::support::router::{Router, Start};
use crate::support::{
    chat, config_of, config_with, eventually, mock, provider, streamed_chat, wait_as_told,
    wait_for_requests,
};

/// The window of the limits in these tests.
const WINDOW: Duration = Duration::from_secs(2);
/// How much later than another request one may reach the mock that left the router together with
/// it: the mock takes the time of its arrival, and the machine has other work.
const ON_THE_WAY: Duration = Duration::from_millis(100);

fn alpha() -> Mock {
    mock(json!({"name": "alpha"}))
}

fn with_window(config: &str) -> Router {
    let seconds = WINDOW.as_secs().to_string();
    Start::with(config)
        .env("INFERMUX_TEST_WINDOW", &seconds)
        .go()
}

/// A router whose one provider has these fields.
fn router(alpha: &Mock, fields: &[&str]) -> Router {
    with_window(&config_with(alpha, fields))
}

/// A chat request with `max_tokens`.
fn chat_of(max_tokens: u64) -> String {
    let mut body: Value = serde_json::from_str(&chat("x")).expect("JSON");
    body["max_tokens"] = json!(max_tokens);
    body.to_string()
}

fn number(answer: &Answer, header: &str) -> u64 {
    let value = answer.header(header).expect("a header");
    value.parse().expect("a number")
}

fn is_rate_limit(answer: &Answer) -> bool {
    answer.status == 429 && answer.code() == "rate_limit"
}

/// The most requests that a mock has seen within any window.
fn most_in_a_window(mock: &Mock) -> usize {
    let mut times: Vec<u64> = mock
        .requests()
        .iter()
        .map(|one| one["arrived_ns"].as_u64().expect("a time"))
        .collect();
    times.sort_unstable();
    let window = u64::try_from((WINDOW - ON_THE_WAY).as_nanos()).expect("a short time");
    let in_window = |(place, first): (usize, &u64)| {
        let within = times[place..]
            .iter()
            .take_while(|time| *time - first < window);
        within.count()
    };
    times.iter().enumerate().map(in_window).max().unwrap_or(0)
}

// proves: limit.never-over
#[test]
fn no_window_ever_holds_more_requests_than_allowed() {
    let alpha = alpha();
    let router = router(&alpha, &["rate_limits: {requests_per_minute: 60}"]);
    let addr = router.addr();
    let began = Instant::now();
    let answers = together(3, move |_| {
        let mut client = Client::connect(addr);
        let mut answers = (0, 0);
        while began.elapsed() < 3 * WINDOW + WINDOW / 2 {
            let answer = client.chat(&chat("x"));
            if answer.status == 200 {
                answers.0 += 1;
            } else {
                assert!(is_rate_limit(&answer), "{}", answer.text());
                assert!((1..=3).contains(&number(&answer, "retry-after")));
                answers.1 += 1;
            }
        }
        answers
    });
    let served: u64 = answers.iter().map(|(served, _)| served).sum();
    assert_eq!(alpha.stats().requests, served);
    assert!(answers.iter().any(|(_, refused)| *refused > 0));
    assert_eq!(most_in_a_window(&alpha), 60, "all of it and no more");
    assert!((120..=240).contains(&served), "{served} in three windows");
}

#[test]
fn what_is_beyond_a_limit_goes_to_the_next_provider() {
    let (alpha, beta) = (alpha(), mock(json!({"name": "beta"})));
    let limited = provider(&alpha, &["rate_limits: {requests_per_minute: 10}"]);
    let rest = "routing: {strategy: priority}\n";
    let router = with_window(&config_of(&[limited, provider(&beta, &[])], rest));
    let addr = router.addr();
    let statuses = together(10, move |_| {
        (0..10)
            .map(|_| ask(addr, &chat("x")).status)
            .collect::<Vec<_>>()
    });
    assert_eq!(statuses.concat(), [200; 100]);
    assert!(most_in_a_window(&alpha) <= 10);
    assert!(alpha.stats().requests >= 10);
    assert_eq!(alpha.stats().requests + beta.stats().requests, 100);
}

#[test]
fn whoever_waits_as_long_as_asked_is_served() {
    let alpha = alpha();
    let router = router(&alpha, &["rate_limits: {requests_per_minute: 3}"]);
    let served = || {
        let mut answer = ask(router.addr(), &chat("x"));
        // The time is over, and a coordinator that gets no processor has not said so yet.
        while answer.status == 429 && number(&answer, "retry-after-ms") == 1 {
            answer = ask(router.addr(), &chat("x"));
        }
        assert_eq!(answer.status, 200, "{}", answer.text());
    };
    for _ in 0..2 {
        (0..3).for_each(|_| served());
        // Admissions are reported within 10 ms; the time to wait is known then.
        let headroom = &provider_report(&router, "alpha")["rate_limit_headroom_rpm"];
        assert_eq!(*headroom, 0);
        let answer = ask(router.addr(), &chat("x"));
        assert!(is_rate_limit(&answer));
        let seconds = number(&answer, "retry-after");
        assert!((1..=3).contains(&seconds), "{seconds}");
        assert_eq!(number(&answer, "retry-after-ms").div_ceil(1_000), seconds);
        wait_as_told(Duration::from_secs(seconds));
    }
    served();
    assert_eq!(most_in_a_window(&alpha), 3);
}

#[test]
fn no_window_ever_holds_more_tokens_than_allowed() {
    let alpha = mock(json!({"name": "alpha", "prompt_tokens": 7, "completion_tokens": 13}));
    let router = router(&alpha, &["rate_limits: {tokens_per_minute: 100}"]);
    let addr = router.addr();
    let began = Instant::now();
    let served: usize = together(3, move |_| {
        let mut client = Client::connect(addr);
        let mut served = 0;
        while began.elapsed() < 2 * WINDOW {
            let answer = client.chat(&chat_of(20));
            assert!(answer.status == 200 || is_rate_limit(&answer));
            served += usize::from(answer.status == 200);
        }
        served
    })
    .into_iter()
    .sum();
    assert!(served >= 5, "{served}");
    let most = most_in_a_window(&alpha);
    assert!((4..=5).contains(&most), "{most} times 20 tokens");
}

#[test]
fn tokens_that_were_reserved_and_not_used_are_given_back() {
    let alpha = alpha();
    let router = router(&alpha, &["rate_limits: {tokens_per_minute: 1000}"]);
    let headroom = || {
        let report = provider_report(&router, "alpha");
        report["rate_limit_headroom_tpm"].as_u64().expect("a limit")
    };
    let began = Instant::now();
    for _ in 0..8 {
        assert_eq!(ask(router.addr(), &chat_of(900)).status, 200);
        assert!(headroom() > 900, "{}", headroom());
    }
    assert!(began.elapsed() < WINDOW, "nothing waited for the window");
    // More than the whole window: when it is empty, and nobody else beside it.
    eventually("the window is empty", || headroom() == 1_000);
    alpha
        .set_script(json!({"do": "stall_before_head"}))
        .expect("a script");
    let mut large = Client::connect(router.addr());
    large.post("/v1/chat/completions", &chat_of(50_000));
    wait_for_requests(&alpha, 9);
    assert!(is_rate_limit(&ask(router.addr(), &chat_of(1))));
    drop(large);
    // The provider has seen the prompt, which is a few tokens long.
    eventually("a hang-up gives back its answer", || headroom() >= 990);
}

/// Providers of both dialects with this limit, whose answers are said to be 300 tokens long and
/// their prompts 100; on one shard and on two.
fn wordy(limit: &str) -> Vec<(Mock, Router)> {
    let both = [("openai", "/v1"), ("anthropic", "")];
    let kinds = both.into_iter().flat_map(|kind| [(kind, 1), (kind, 2)]);
    let wordy = |((dialect, base), shards)| {
        let usage = json!({
            "name": "alpha", "dialect": dialect, "usage": "always",
            "prompt_tokens": 100, "completion_tokens": 300,
        });
        let mock = mock(usage);
        let kind = format!("type: {dialect}");
        let base = format!("base_url: \"http://{}{base}\"", mock.address());
        let limit = format!("rate_limits: {{{limit}}}");
        let provider = provider(&mock, &[&kind, &base, &limit]);
        let rest = format!("server: {{shards: {shards}}}\n");
        (mock, Router::start(&config_of(&[provider], &rest)))
    };
    kinds.map(wordy).collect()
}

// proves: limit.never-over
#[test]
fn what_a_request_has_used_is_in_force_when_its_answer_has_ended() {
    for (mock, router) in wordy("tokens_per_minute: 1000") {
        let mut answers = Vec::new();
        for turn in 0..10 {
            let mut body: Value = serde_json::from_str(&chat("x")).expect("JSON");
            body["max_tokens"] = json!(1);
            body["stream"] = json!(turn % 2 == 0);
            answers.push(ask(router.addr(), &body.to_string()));
        }
        // 400, 800, and a third that fits into the 200 that are left by its estimate.
        let (served, refused) = answers.split_at(3);
        assert!(served.iter().all(|answer| answer.status == 200));
        assert!(refused.iter().all(is_rate_limit));
        assert_eq!(mock.stats().requests, 3);
        let headroom = &provider_report(&router, "alpha")["rate_limit_headroom_tpm"];
        assert_eq!(*headroom, 0);
    }
}

#[test]
fn without_max_tokens_a_limit_reserves_an_answer_of_the_usual_length() {
    for (mock, router) in wordy("tokens_per_minute: 100000") {
        let headroom = || {
            let report = provider_report(&router, "alpha");
            report["rate_limit_headroom_tpm"].as_u64().expect("a limit")
        };
        mock.set_script(json!({"do": "stall_before_head"}))
            .expect("a script");
        let mut waiting = Vec::new();
        let mut reserved = |more: Value| {
            let before = headroom();
            let mut body: Value = serde_json::from_str(&chat("x")).expect("JSON");
            for (key, value) in more.as_object().expect("an object") {
                body[key] = value.clone();
            }
            let mut client = Client::connect(router.addr());
            let seen = mock.stats().requests;
            client.post("/v1/chat/completions", &body.to_string());
            wait_for_requests(&mock, seen + 1);
            waiting.push(client);
            before - headroom()
        };
        // Nothing is known of this model's answers yet.
        let prompt = reserved(json!({"max_tokens": 1})) - 1;
        assert!((1..100).contains(&prompt), "{prompt}");
        for (more, answers) in [
            (json!({}), 512),
            (json!({"n": 3}), 3 * 512),
            (json!({"n": 3, "max_tokens": 7}), 3 * 7),
            (json!({"max_completion_tokens": 9}), 9),
        ] {
            assert_eq!(reserved(more.clone()), prompt + answers, "{more}");
        }
    }
}

// proves: limit.in-flight
#[test]
fn no_more_than_allowed_are_in_flight_at_once() {
    let alpha = mock(json!({"name": "alpha", "latency_ms": 20}));
    let router = router(&alpha, &["max_in_flight: 3"]);
    let addr = router.addr();
    let refused: usize = together(50, move |_| {
        let mut refused = 0;
        loop {
            let answer = ask(addr, &chat("x"));
            if answer.status == 200 {
                return refused;
            }
            assert!(is_rate_limit(&answer), "{}", answer.text());
            assert_eq!(answer.header("retry-after"), Some("1"));
            refused += 1;
            std::thread::park_timeout(Duration::from_millis(5));
        }
    })
    .into_iter()
    .sum();
    assert!(refused > 0);
    // The mock notes an end after it has sent it.
    eventually("nothing is in flight", || alpha.stats().in_flight == 0);
    let requests = alpha.requests();
    assert_eq!(requests.len(), 50);
    let number = |one: &Value, key: &str| one[key].as_u64().expect("a number");
    let spans: Vec<(u64, u64)> = requests
        .iter()
        .map(|one| {
            let arrived = number(one, "arrived_ns");
            (arrived, arrived + number(one, "ended_after_ns"))
        })
        .collect();
    let at_once = |at: u64| {
        spans
            .iter()
            .filter(|(from, to)| (*from..*to).contains(&at))
            .count()
    };
    let most = spans.iter().map(|(from, _)| at_once(*from)).max();
    assert_eq!(most, Some(3));
}

// proves: limit.released
#[test]
fn every_way_a_request_can_end_gives_its_place_and_its_tokens_back() {
    let alpha = alpha();
    let fields = [
        "max_in_flight: 1",
        "timeout: 200ms",
        "rate_limits: {tokens_per_minute: 1000}",
    ];
    let mut router = Router::start(&config_with(&alpha, &fields));
    router.expect_panics();
    let soon = json!({"retry-after-ms": "1"});
    let scripts = [
        json!({"status": 500}),
        json!({"status": 400}),
        json!({"status": 401}),
        json!({"status": 429, "headers": soon}),
        json!({"do": "cut_before_head"}),
        json!({"do": "cut_mid_stream", "events": 5}),
        json!({"do": "stall_before_head"}),
        json!({"do": "stall_before_content"}),
        json!({"do": "stall_mid_stream", "events": 5}),
        json!({"do": "garbage"}),
        json!({"do": "error_event_mid_stream", "events": 5}),
        json!({"refuse": true}),
    ];
    let is_free = |what: &str| {
        alpha.set_script(json!({})).expect("a script");
        eventually(what, || ask(router.addr(), &chat("x")).status == 200);
    };
    for script in &scripts {
        for body in [chat("x"), streamed_chat("x")] {
            alpha.set_script(script.clone()).expect("a script");
            let answer = ask(router.addr(), &body);
            assert_ne!((answer.status, answer.complete), (200, true), "{script}");
            is_free(&format!("{script} {body}"));
        }
    }
    for script in [
        "stall_before_head",
        "stall_before_content",
        "stall_mid_stream",
    ] {
        alpha
            .set_script(json!({"do": script, "events": 5}))
            .expect("a script");
        alpha.reset();
        // Until the coordinator gives back what the one before had reserved, it is refused.
        let mut clients = Vec::new();
        eventually("the provider has it", || {
            let mut client = Client::connect(router.addr());
            client.post("/v1/chat/completions", &streamed_chat("x"));
            clients.push(client);
            alpha.wait_for_requests(1, Duration::from_millis(200))
        });
        drop(clients);
        is_free(script);
    }
    let mut client = Client::connect(router.addr());
    let header = "X-Infermux-Test-Panic: 1\r\n";
    client.post_with("/v1/chat/completions", header, &chat("x"));
    client.rest();
    is_free("a panic");
    // Only what was served, or had begun to arrive, has used any.
    let report = provider_report(&router, "alpha");
    let headroom = report["rate_limit_headroom_tpm"].as_u64().expect("a limit");
    assert!(headroom > 700, "{headroom}");
}

/// The pause, in milliseconds, after a first answer by this script.
fn pause_after(script: Value) -> (Answer, u64) {
    let alpha = alpha();
    alpha.set_script(script).expect("a script");
    let router = Router::start(&config_with(&alpha, &[]));
    let first = ask(router.addr(), &chat("x"));
    let answer = ask(router.addr(), &chat("x"));
    assert!(is_rate_limit(&answer), "{}", answer.text());
    assert_eq!(alpha.stats().requests, 1, "it is left alone");
    let pause = answer.json()["error"]["retry_after_ms"].as_u64();
    let pause = pause.expect("a time");
    assert_eq!(number(&answer, "retry-after-ms"), pause.min(60_000));
    (first, pause)
}

#[test]
fn a_provider_is_left_alone_for_as_long_as_it_asks() {
    let in_9_s = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(9));
    for (headers, expected) in [
        (
            json!({"retry-after-ms": "7000", "Retry-After": "30"}),
            7_000,
        ),
        (json!({"Retry-After": "8"}), 8_000),
        (json!({"Retry-After": in_9_s}), 9_000),
        (
            json!({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6.5s"}),
            6_500,
        ),
        (json!({}), 1_000),
        (json!({"Retry-After": "9999999"}), 1_800_000),
    ] {
        let (first, pause) = pause_after(json!({"status": 429, "headers": headers}));
        assert!(is_rate_limit(&first));
        let least = expected - 3_000.min(expected);
        assert!((least..=expected).contains(&pause), "{headers}: {pause}");
        let far = first.header("x-should-retry") == Some("false");
        assert_eq!(far, expected > 60_000, "{headers}");
        let seconds = number(&first, "retry-after");
        assert!((1..=60).contains(&seconds), "{headers}: {seconds}");
    }
}

#[test]
fn a_provider_that_has_nothing_left_is_left_alone_from_the_next_request_on() {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = u64::try_from(since_1970.expect("after 1970").as_millis())
        .expect("before the year 584556019");
    let in_6_s = WallTime::from_unix_millis(now + 6_000).to_string();
    for headers in [
        json!({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6s"}),
        json!({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6s"}),
        json!({"anthropic-ratelimit-requests-remaining": "0",
            "anthropic-ratelimit-requests-reset": in_6_s}),
    ] {
        let left = json!({"name": "alpha", "headers": headers});
        for body in [chat("x"), streamed_chat("x")] {
            let alpha = mock(left.clone());
            let router = Router::start(&config_with(&alpha, &[]));
            // One after the other, as fast as they can.
            assert_eq!(ask(router.addr(), &body).status, 200);
            let answer = ask(router.addr(), &body);
            assert!(is_rate_limit(&answer), "{headers}: {}", answer.text());
            assert_eq!(alpha.stats().requests, 1, "it is left alone");
            let pause = number(&answer, "retry-after-ms");
            assert!((2_000..=6_000).contains(&pause), "{headers}: {pause}");
        }
    }
}

#[test]
fn a_pause_nobody_gave_a_length_doubles() {
    let alpha = mock(json!({"name": "alpha", "status": 429}));
    let router = Router::start(&config_with(&alpha, &[]));
    for (requests, expected) in [(1, 1_000), (2, 2_000)] {
        let answer = ask(router.addr(), &chat("x"));
        assert_eq!(alpha.stats().requests, requests);
        let pause = number(&answer, "retry-after-ms");
        let least = expected / 2;
        assert!((least..=expected).contains(&pause), "{pause}");
        // The next attempt is the first one after the pause.
        wait_as_told(Duration::from_millis(pause + 5));
    }
}

#[test]
fn a_later_refusal_extends_a_pause_and_never_shortens_it() {
    for [first, second] in [["3", "20"], ["20", "3"]] {
        let answers = json!([
            {"status": 429, "latency_ms": 300, "retry_after": first},
            {"status": 429, "latency_ms": 500, "retry_after": second},
        ]);
        let alpha = mock(json!({"name": "alpha", "answers": answers}));
        let router = Router::start(&config_with(&alpha, &[]));
        let addr = router.addr();
        let callers = start(2, move |_| ask(addr, &chat("x")).status);
        wait_for_requests(&alpha, 2);
        for caller in callers {
            assert_eq!(caller.join().expect("a caller"), 429);
        }
        let pause = number(&ask(addr, &chat("x")), "retry-after-ms");
        assert!((15_000..=20_000).contains(&pause), "{pause}");
        assert_eq!(alpha.stats().requests, 2);
    }
}

#[test]
fn a_refusal_sends_everybody_to_the_next_provider() {
    let alpha = mock(json!({"name": "alpha", "status": 429, "retry_after": 30}));
    let beta = mock(json!({"name": "beta"}));
    let providers = [provider(&alpha, &[]), provider(&beta, &[])];
    let router = Router::start(&config_of(&providers, "routing: {strategy: priority}\n"));
    for _ in 0..30 {
        assert_eq!(ask(router.addr(), &chat("x")).status, 200);
    }
    assert_eq!(alpha.stats().requests, 1);
}
