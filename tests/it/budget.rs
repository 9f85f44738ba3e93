//! Budgets: what is refused, what is spent, and what survives a restart.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use infermux_mock::Mock;
use serde_json::{Value, json};

use crate::support::client::{Answer, Client};
use crate::support::command::{end, infermux, text};
use crate::support::load::{ask_as, start, together};
use crate::support::router::{Folder, Router, Start};
use crate::support::{
    chat, config_of, eventually, last_seen, mock, provider, streamed_chat, wait_for_requests,
};

/// One nano-dollar is the unit of all books.
const CENT: u64 = 10_000_000;
/// What a token costs in these tests, either way.
const TOKEN: u64 = CENT / 20;
/// Tokens of a prompt: its messages are 40 bytes of JSON.
const PROMPT: u64 = 10;

/// A provider whose answers to [`request`] cost a cent: 10 tokens of prompt and 10 of answer.
fn alpha() -> Mock {
    let mock = mock(json!({"name": "alpha"}));
    mock.set_script(cents(json!({}))).expect("a script");
    mock
}

/// The script with what a cent is paid for.
fn cents(mut script: Value) -> Value {
    script["prompt_tokens"] = json!(PROMPT);
    script["completion_tokens"] = json!(10);
    script["usage"] = json!("always");
    script
}

/// A request that costs a cent and says so: its estimate is what it will use.
fn request(body: &str) -> String {
    let mut body: Value = serde_json::from_str(body).expect("JSON");
    body["max_tokens"] = json!(10);
    body.to_string()
}

fn plain() -> String {
    request(&chat("10 bytes.."))
}

fn streamed() -> String {
    request(&streamed_chat("10 bytes.."))
}

/// The configuration with this budget for the caller `team`; `n` costs a tenth of `m`.
fn config(mock: &Mock, budget: &str, rest: &str) -> String {
    let prices = "pricing:\n  alpha:\n    \
                  m: {input_per_million: 500, output_per_million: 500}\n    \
                  n: {input_per_million: 50, output_per_million: 50}\n";
    let budget = format!("budgets:\n  - {{caller: team, {budget}}}\n");
    let rest = format!("{prices}{budget}log: {{format: json}}\n{rest}");
    config_of(&[provider(mock, &["models: [m, n]"])], &rest)
}

/// The same with a state file.
fn config_with_state(mock: &Mock, monthly: &str, state: &Path) -> String {
    let config = config(mock, &format!("monthly_usd: {monthly}"), "");
    let item = "budgets:\n";
    config.replace(item, &format!("{item}  state_file: {}\n", state.display()))
}

/// What the state file says the caller `team` has spent; zero where there is none yet.
fn in_state(path: &Path) -> u64 {
    let Ok(text) = std::fs::read_to_string(path) else {
        return 0;
    };
    let state: Value = serde_json::from_str(&text).expect("a state is JSON at any time");
    let months = state["callers"]["team"].as_object();
    let months = months.into_iter().flat_map(|months| months.values());
    months.map(|nano| nano.as_u64().expect("a number")).sum()
}

/// An amount like `0.01` in nano-dollars.
fn nano(amount: &str) -> u64 {
    let (whole, part) = amount.split_once('.').unwrap_or((amount, ""));
    let digits = format!("{whole}{part:0<9}");
    digits.parse().expect("an amount")
}

/// What an answer says it cost.
fn cost(answer: &Answer) -> u64 {
    let told = answer.header("x-infermux-cost");
    let told = told.or_else(|| answer.trailer("x-infermux-cost"));
    told.map_or(0, nano)
}

/// The lines about requests in the log.
fn lines(router: &Router) -> Vec<Value> {
    let log = router.log();
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    lines
        .filter(|line: &Value| line["message"] == "request")
        .collect()
}

fn ask(router: &Router, body: &str) -> Answer {
    ask_as(router.addr(), "team", body)
}

/// Whether an answer says that the budget is used up for this month.
fn is_final(answer: &Answer) -> bool {
    answer.header("x-should-retry") == Some("false")
}

// proves: budget.never-over
#[test]
fn many_at_once_spend_no_more_than_there_is() {
    let alpha = alpha();
    let script = cents(json!({"latency_ms": 3, "event_interval_ms": 2}));
    alpha.set_script(script).expect("a script");
    let folder = Folder::new();
    let state = folder.path().join("state.json");
    let router = Router::start(&config_with_state(&alpha, "1", &state));
    let addr = router.addr();
    let told: u64 = together(500, move |number| match number % 5 {
        0 | 1 => keep_asking(addr, &plain()),
        2 | 3 => keep_asking(addr, &streamed()),
        _ => hang_up(addr, number),
    })
    .into_iter()
    .sum();
    wait_until_idle(&router, &alpha);
    // Nothing is reserved for anybody any more: the last cent can be spent.
    let mut rest = 0;
    let last = loop {
        let answer = ask(&router, &plain());
        if is_final(&answer) {
            break answer.json()["error"].clone();
        }
        assert_eq!(answer.status, 200, "{}", answer.text());
        rest += cost(&answer);
    };
    // A caller who has left was charged for what it would have been told.
    let has_left = |line: &&Value| {
        let id = line["request_id"].as_str();
        id.is_some_and(|id| id.starts_with("left-"))
    };
    let lost: u64 = lines(&router)
        .iter()
        .filter(has_left)
        .filter_map(|line| line.get("cost_usd"))
        .map(|usd| nano(&usd.to_string()))
        .sum();
    let all = told + rest + lost;
    let spent = nano(&last["spent_usd"].to_string());
    assert_eq!(spent, all, "told {told}, later {rest}, lost {lost}");
    let limit = 100 * CENT;
    assert!(all > limit - PROMPT * TOKEN, "{all}: something was left");
    assert!(all <= limit + CENT, "{all}: more than one request too much");
    eventually("the state says the same", || in_state(&state) == all);
}

/// Asks until it is answered or refused for good; what it cost.
fn keep_asking(addr: SocketAddr, body: &str) -> u64 {
    loop {
        let answer = ask_as(addr, "team", body);
        if answer.status == 200 {
            assert!(answer.complete);
            return cost(&answer);
        }
        let told = (answer.status, answer.code());
        assert_eq!(told, (429, "budget_exceeded".into()));
        if is_final(&answer) {
            return 0;
        }
        assert_eq!(answer.header("retry-after"), Some("1"));
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// Asks and leaves, at once or with the first content.
fn hang_up(addr: SocketAddr, number: usize) -> u64 {
    let mut client = Client::connect(addr);
    let headers = format!("X-Infermux-Caller: team\r\nX-Request-Id: left-{number}\r\n");
    client.post_with("/v1/chat/completions", &headers, &streamed());
    if number.is_multiple_of(2) {
        let mut answer = client.head();
        if answer.status == 200 {
            client.chunk(&mut answer);
        }
    }
    0
}

/// Waits until every request that has begun has its line in the log.
fn wait_until_idle(router: &Router, mock: &Mock) {
    eventually("nothing is in flight", || mock.stats().in_flight == 0);
    let mut before = usize::MAX;
    eventually("no line is added", || {
        let count = lines(router).len();
        let is_same = count == before;
        before = count;
        std::thread::park_timeout(Duration::from_millis(50));
        is_same
    });
}

#[test]
fn a_budget_that_is_used_up_is_told_with_its_figures() {
    let alpha = alpha();
    let router = Router::start(&config(&alpha, "monthly_usd: 0.05", ""));
    for _ in 0..5 {
        let answer = ask(&router, &plain());
        assert_eq!((answer.status, cost(&answer)), (200, CENT));
    }
    let answer = ask(&router, &plain());
    assert!(is_final(&answer), "{}", answer.text());
    assert_eq!(answer.code(), "budget_exceeded");
    assert_eq!(answer.header("x-infermux-error"), Some("budget_exceeded"));
    let seconds: u64 = answer
        .header("retry-after")
        .and_then(|seconds| seconds.parse().ok())
        .expect("whole seconds");
    assert!((1..=60).contains(&seconds), "{seconds}");
    let error = answer.json()["error"].clone();
    assert_eq!(error["budget_usd"], 0.05);
    assert_eq!(error["spent_usd"], 0.05);
    assert!(error["message"].as_str().expect("text").contains("team"));
    assert_eq!(alpha.stats().requests, 5, "nothing goes upstream");
    // Others are not concerned.
    assert_eq!(ask_as(router.addr(), "other", &plain()).status, 200);
}

/// A provider of the model `m` whose requests cost a dollar for a thousand tokens.
struct Dear {
    mock: Mock,
    config: String,
}

/// Dear providers of both dialects, with this budget for the caller `team`, on one shard and two.
fn dear(budget: &str) -> Vec<Dear> {
    let both = [("openai", "/v1"), ("anthropic", "")];
    let kinds = both.into_iter().flat_map(|kind| [(kind, 1), (kind, 2)]);
    let dear = |((dialect, base), shards)| {
        let mock = mock(json!({"name": "alpha", "dialect": dialect}));
        let kind = format!("type: {dialect}");
        let base = format!("base_url: \"http://{}{base}\"", mock.address());
        let provider = provider(&mock, &[&kind, &base, "models: [m, n]"]);
        let rest = format!(
            "pricing:\n  alpha:\n    m: {{input_per_million: 1000, output_per_million: 1000}}\n    \
             n: {{input_per_million: 10, output_per_million: 10}}\n\
             budgets: [{{caller: team, {budget}}}]\nserver: {{shards: {shards}}}\n"
        );
        let config = config_of(&[provider], &rest);
        Dear { mock, config }
    };
    kinds.map(dear).collect()
}

/// A script for answers that are said to be this many tokens long, and their prompts 10.
fn answers_of(tokens: u64) -> Value {
    json!({"prompt_tokens": 10, "completion_tokens": tokens, "usage": "always"})
}

// proves: reservation.settled-once
#[test]
fn a_caller_who_waits_for_each_answer_is_refused_by_nothing_but_what_it_has_spent() {
    for Dear { mock, config } in dear("monthly_usd: 0.1") {
        let router = Router::start(&config);
        let mut told = 0;
        // What fails or is refused leaves nothing reserved, either. Each estimate is above it all.
        let scripts = [
            json!({"status": 500}),
            json!({"status": 400}),
            answers_of(5),
        ];
        let mut turns = 0..;
        let last = loop {
            let turn: usize = turns.next().expect("a number");
            let script = scripts[turn % scripts.len()].clone();
            mock.set_script(script).expect("a script");
            let body = [chat, streamed_chat][turn / 3 % 2]("hi");
            let answer = ask(&router, &body);
            if answer.status == 429 {
                break answer;
            }
            let expected = [502, 400, 200][turn % scripts.len()];
            assert_eq!(answer.status, expected, "{turn}: {}", answer.text());
            told += cost(&answer);
        };
        // The seventh answer of 15 tokens began with a cent left, which its prompt costs.
        assert_eq!(told, 7 * 15 * CENT / 10);
        assert!(is_final(&last), "{}", last.text());
        assert_eq!(nano(&last.json()["error"]["spent_usd"].to_string()), told);
    }
}

// proves: budget.never-over
#[test]
fn one_request_at_a_time_may_cost_more_than_is_left() {
    for Dear { mock, config } in dear("monthly_usd: 0.1") {
        for body in [chat("hi"), streamed_chat("hi")] {
            mock.reset();
            let router = Router::start(&config);
            let most = |tokens: u64| {
                let mut body: Value = serde_json::from_str(&body).expect("JSON");
                body["max_tokens"] = json!(tokens);
                body.to_string()
            };
            // The first leaves two cents, on which the second is let through, whatever it costs.
            let mut first = answers_of(5);
            first["latency_ms"] = json!(300);
            let stalls = json!({"do": "stall_before_head"});
            let answers = json!({"answers": [first, stalls, answers_of(100)]});
            mock.set_script(answers).expect("a script");
            let begin = |tokens: u64, count: u64| {
                let mut client = Client::connect(router.addr());
                let name = "X-Infermux-Caller: team\r\n";
                client.post_with("/v1/chat/completions", name, &most(tokens));
                wait_for_requests(&mock, count);
                client
            };
            let mut first = begin(70, 1);
            let second = begin(200, 2);
            assert_eq!(cost(&first.answer()), 15 * CENT / 10);
            // What the first did not use is there, but what this one costs beyond it would come to
            // what the second does.
            let third = ask(&router, &most(200));
            let told = (third.status, third.code());
            assert_eq!(told, (429, "budget_exceeded".into()));
            assert_eq!(third.header("retry-after"), Some("1"));
            assert_eq!(third.header("x-should-retry"), None);
            assert_eq!(mock.stats().requests, 2);
            drop(second);
            let mut last = None;
            eventually("its turn", || {
                let answer = ask(&router, &most(200));
                let is_served = answer.status == 200;
                last = Some(answer);
                is_served
            });
            assert_eq!(cost(&last.expect("an answer")), 11 * CENT);
            assert!(is_final(&ask(&router, &most(1))));
        }
    }
}

#[test]
fn whoever_has_another_model_gets_that_also_while_requests_in_flight_are_in_the_way() {
    for action in ["model_override", "hard_stop"] {
        let budget = format!("monthly_usd: 0.1, action: {action}, model_override: n");
        for Dear { mock, config } in dear(&budget) {
            let router = Router::start(&config);
            let stall = json!({"when": {"model": "m"}, "do": "stall_before_head"});
            mock.set_script(json!({"rules": [stall]}))
                .expect("a script");
            let mut waiting = Client::connect(router.addr());
            let name = "X-Infermux-Caller: team\r\n";
            waiting.post_with("/v1/chat/completions", name, &chat("hi"));
            wait_for_requests(&mock, 1);
            for body in [chat("hi"), streamed_chat("hi")] {
                let answer = ask(&router, &body);
                assert_eq!(answer.status, 200, "{action}: {}", answer.text());
                assert_eq!(answer.header("x-infermux-model-override"), Some("n"));
            }
        }
    }
}

#[test]
fn whom_only_requests_in_flight_stand_in_the_way_of_may_come_back() {
    let alpha = alpha();
    alpha
        .set_script(json!({"do": "stall_before_head"}))
        .expect("a script");
    let router = Router::start(&config(&alpha, "monthly_usd: 0.02", ""));
    let addr = router.addr();
    let mut callers: Vec<_> = (0..2).map(|_| Client::connect(addr)).collect();
    for caller in &mut callers {
        let name = "X-Infermux-Caller: team\r\n";
        caller.post_with("/v1/chat/completions", name, &plain());
    }
    wait_for_requests(&alpha, 2);
    let answer = ask(&router, &plain());
    let told = (answer.status, answer.code());
    assert_eq!(told, (429, "budget_exceeded".into()));
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(answer.header("x-should-retry"), None);
    assert_eq!(alpha.stats().requests, 2);
    alpha.set_script(cents(json!({}))).expect("a script");
    drop(callers);
    let mut last = None;
    eventually("a place", || {
        let answer = ask(&router, &plain());
        let is_served = answer.status == 200;
        last = Some(answer);
        is_served
    });
    let last = last.expect("an answer");
    assert_eq!(
        cost(&last),
        CENT,
        "each of the two paid for its prompt, half a cent"
    );
    assert!(is_final(&ask(&router, &plain())));
}

#[test]
fn a_failed_request_costs_nothing() {
    let alpha = alpha();
    let router = Router::start(&config(&alpha, "monthly_usd: 0.01", ""));
    for script in [
        json!({"status": 500}),
        json!({"status": 400}),
        json!({"do": "cut_before_head"}),
    ] {
        alpha.set_script(script).expect("a script");
        assert_ne!(ask(&router, &plain()).status, 429);
    }
    alpha.set_script(cents(json!({}))).expect("a script");
    assert_eq!(ask(&router, &plain()).status, 200);
    assert!(is_final(&ask(&router, &plain())));
}

#[test]
fn an_alert_tells_once_of_each_level_and_refuses_nobody() {
    let alpha = alpha();
    let budget = "monthly_usd: 0.1, action: alert";
    let router = Router::start(&config(&alpha, budget, ""));
    let told = |percent: u64, words: &str| {
        let log = router.log();
        let lines = log.lines().filter(|line| line.contains(words));
        let level = format!("\"percent\":{percent}");
        lines.filter(|line| line.contains(&level)).count()
    };
    for (requests, most, all) in [(7, 0, 0), (1, 1, 0), (1, 1, 0), (1, 1, 1), (10, 1, 1)] {
        for _ in 0..requests {
            assert_eq!(ask(&router, &plain()).status, 200);
        }
        eventually("its alerts", || {
            (told(80, "nearly used up"), told(100, "is used up")) == (most, all)
        });
    }
    let line = router.log();
    let line = line.lines().find(|line| line.contains("\"percent\":100"));
    let line: Value = serde_json::from_str(line.expect("a line")).expect("JSON");
    assert_eq!(line["scope"], "caller team");
    assert_eq!(
        line["level"].as_str().map(str::to_lowercase),
        Some("warn".into())
    );
}

#[test]
fn from_the_limit_on_another_model_serves_under_the_callers_name_for_it() {
    for action in ["model_override", "hard_stop"] {
        let alpha = alpha();
        let budget = format!("monthly_usd: 0.02, action: {action}, model_override: n");
        let router = Router::start(&config(&alpha, &budget, ""));
        for _ in 0..2 {
            let answer = ask(&router, &plain());
            assert_eq!((answer.status, cost(&answer)), (200, CENT));
            assert_eq!(answer.header("x-infermux-model-override"), None);
            assert_eq!(answer.header("x-infermux-model"), Some("m"));
        }
        for body in [plain(), streamed()] {
            let answer = ask(&router, &body);
            assert_eq!(answer.status, 200, "{action}: {}", answer.text());
            assert_eq!(answer.header("x-infermux-model-override"), Some("n"));
            assert_eq!(answer.header("x-infermux-model"), Some("n"));
            assert_eq!(last_seen(&alpha)["body"]["model"], "n");
            assert_eq!(cost(&answer), CENT / 10, "the other model's price");
            assert!(
                !answer.text().contains("\"model\":\"n\""),
                "{}",
                answer.text()
            );
            assert!(
                answer.text().contains("\"model\":\"m\""),
                "{}",
                answer.text()
            );
        }
        eventually("a line that says so", || {
            lines(&router).iter().any(|line| line["override"] == "n")
        });
        let answer = ask_as(router.addr(), "other", &plain());
        assert_eq!(answer.header("x-infermux-model-override"), None);
    }
}

/// A state file in a folder of its own, and its router's configuration with a large budget.
fn with_state(mock: &Mock) -> (Folder, PathBuf, String) {
    let folder = Folder::new();
    let state = folder.path().join("books").join("state.json");
    let config = config_with_state(mock, "1000", &state);
    (folder, state, config)
}

// proves: state.survives
#[test]
fn after_a_kill_what_was_spent_until_shortly_before_is_known() {
    let alpha = alpha();
    let (_folder, state, config) = with_state(&alpha);
    let mut router = Router::start(&config);
    let addr = router.addr();
    let callers = start(4, move |_| {
        let mut served = Vec::new();
        while is_served(addr) {
            served.push(Instant::now());
        }
        served
    });
    let began = Instant::now();
    eventually("enough has been served before the last moments", || {
        began.elapsed() > 2 * LAST_MOMENTS && in_state(&state) > 100 * CENT
    });
    let killed = Instant::now();
    router.signal("KILL");
    router.wait();
    let served = callers.into_iter().map(|one| one.join().expect("a caller"));
    let served: Vec<Instant> = served.flatten().collect();
    let long_ago = served
        .iter()
        .filter(|at| killed.saturating_duration_since(**at) > LAST_MOMENTS);
    let least = long_ago.count() as u64 * CENT;
    // Each caller may have had one more request that was served and not told of.
    let most = (served.len() as u64 + 4) * CENT;
    assert!(least > 0);
    let kept = in_state(&state);
    assert!(
        (least..=most).contains(&kept),
        "{least} <= {kept} <= {most}"
    );
    let mut router = Router::start(&config);
    assert_eq!(ask(&router, &plain()).status, 200);
    router.signal("TERM");
    assert_eq!(router.wait().code(), Some(0));
    assert_eq!(in_state(&state), kept + CENT);
}

/// Before a kill, as long as the state file may be behind: it is written ten times a second, and on
/// a busy machine a write takes its time.
const LAST_MOMENTS: Duration = Duration::from_millis(600);

/// Whether one more request is served; false once the router is gone.
fn is_served(addr: SocketAddr) -> bool {
    let body = plain();
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\
         X-Infermux-Caller: team\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut answer = String::new();
    let asked = TcpStream::connect(addr).and_then(|mut stream| {
        stream.write_all(request.as_bytes())?;
        stream.read_to_string(&mut answer)
    });
    asked.is_ok() && answer.starts_with("HTTP/1.1 200") && answer.ends_with('}')
}

#[test]
fn an_orderly_end_writes_all_that_was_spent() {
    let alpha = alpha();
    let (_folder, state, config) = with_state(&alpha);
    for round in 1..=3 {
        let mut router = Router::start(&config);
        for _ in 0..7 {
            assert_eq!(ask(&router, &plain()).status, 200);
        }
        router.signal("TERM");
        assert_eq!(router.wait().code(), Some(0));
        assert_eq!(in_state(&state), round * 7 * CENT);
    }
}

/// Starts a router that must not start, and what it complains of.
fn complaint(config: &Path) -> String {
    let ended = end(&mut infermux(&["serve", "--config", text(config)]));
    assert_eq!(ended.code, Some(3), "{ended:?}");
    ended.stderr
}

#[test]
fn a_damaged_state_is_named_and_left_as_it_is() {
    let alpha = alpha();
    let (folder, state, config) = with_state(&alpha);
    let mut router = Router::start(&config);
    for expected in 1..=2 {
        assert_eq!(ask(&router, &plain()).status, 200);
        eventually("a state", || in_state(&state) == expected * CENT);
    }
    router.signal("TERM");
    router.wait();
    let path = folder.write("again.yml", &config);
    let whole = std::fs::read(&state).expect("a state");
    let previous = state.with_extension("json.prev");
    let before = std::fs::read(&previous).expect("the one before");
    for damaged in [&b""[..], b"{", b"nonsense", &whole[..whole.len() / 2]] {
        std::fs::write(&state, damaged).expect("a file");
        let told = complaint(&path);
        assert!(told.contains(text(&state)), "{told}");
        assert!(told.contains(text(&previous)), "{told}");
        assert_eq!(std::fs::read(&state).expect("a file"), damaged);
        assert_eq!(std::fs::read(&previous).expect("a file"), before);
    }
    std::fs::copy(&previous, &state).expect("as was advised");
    let router = Router::start(&config);
    assert_eq!(ask(&router, &plain()).status, 200);
    eventually("it goes on from there", || in_state(&state) >= 2 * CENT);
}

#[test]
fn two_routers_do_not_share_a_state() {
    let alpha = alpha();
    let (folder, state, config) = with_state(&alpha);
    let router = Router::start(&config);
    let path = folder.write("again.yml", &config);
    let told = complaint(&path);
    assert!(told.contains(text(&state)), "{told}");
    assert!(told.contains("another infermux"), "{told}");
    assert_eq!(ask(&router, &plain()).status, 200);
    drop(router);
    Router::start(&config);
}

#[test]
fn a_disk_that_fails_stops_nobody_and_is_told_of_once() {
    let alpha = alpha();
    let (folder, state, config) = with_state(&alpha);
    let router = Start::with(&config).go();
    let count = |text: &str| router.log().matches(text).count();
    let (fails, recovers) = ("cannot be written", "is written again");
    // A full disk: whatever is written beside the state goes to a device that is full.
    let beside = state.with_extension("json.tmp");
    std::os::unix::fs::symlink("/dev/full", &beside).expect("a link");
    assert_eq!(ask(&router, &plain()).status, 200);
    eventually("an error", || count(fails) == 1);
    assert!(router.log().contains("No space left"), "{}", router.log());
    eventually("it recovers", || count(recovers) == 1);
    assert_eq!(in_state(&state), CENT);
    // A folder that is gone for a while: some attempts fail.
    let away = folder.path().join("away");
    let books = state.parent().expect("a folder");
    std::fs::rename(books, &away).expect("a rename");
    let began = Instant::now();
    let mut spent = CENT;
    while began.elapsed() < Duration::from_millis(2_500) {
        assert_eq!(ask(&router, &plain()).status, 200);
        spent += CENT;
        std::thread::park_timeout(Duration::from_millis(20));
    }
    eventually("one more error", || count(fails) == 2);
    std::fs::rename(&away, books).expect("a rename");
    eventually("it recovers", || count(recovers) == 2);
    eventually("all of it is written", || in_state(&state) == spent);
    assert_eq!((count(fails), count(recovers)), (2, 2));
}

/// Sets the size beyond which no file of the router may grow.
fn limit_files(router: &Router, bytes: &str) {
    let limit = Command::new("prlimit")
        .arg(format!("--pid={}", router.pid()))
        .arg(format!("--fsize={bytes}:unlimited"))
        .status();
    assert!(limit.expect("prlimit runs").success());
}

#[test]
fn a_limit_on_the_size_of_files_stops_nobody() {
    let alpha = alpha();
    let (_folder, state, config) = with_state(&alpha);
    let router = Router::start(&config);
    assert_eq!(ask(&router, &plain()).status, 200);
    eventually("a state", || in_state(&state) == CENT);
    limit_files(&router, "10");
    assert_eq!(ask(&router, &plain()).status, 200);
    router.wait_for_log("cannot be written");
    assert_eq!(ask(&router, &plain()).status, 200);
    assert_eq!(in_state(&state), CENT, "the one before is there");
    limit_files(&router, "unlimited");
    router.wait_for_log("is written again");
    eventually("all of it is written", || in_state(&state) == 3 * CENT);
}
