//! Several instances with one store: limits and budgets hold over all of them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use infermux::testing::base::digest::Digest;
use infermux_mock::Mock;
use serde_json::{Value, json};

use crate::support::client::{Answer, Client, get};
use crate::support::load::{ask_as, together};
use crate::support::operate::metric;
use crate::support::router::{Router, Start};
use crate::support::store::Store;
use crate::support::{chat, config_of, eventually, mock, provider};

/// How long an instance that is not heard of keeps what it holds, in these tests.
const TTL: Duration = Duration::from_secs(5);

fn alpha() -> Mock {
    let mock = mock(json!({"name": "alpha"}));
    let script = json!({"prompt_tokens": 10, "completion_tokens": 10, "usage": "always"});
    mock.set_script(script).expect("a script");
    mock
}

/// `shared` with this store, and with further fields.
fn shared(store: &Store, more: &str) -> String {
    let addr = store.addr();
    format!(
        "shared: {{url: \"redis://{addr}/0\", namespace: t, member_ttl: 5s{more}}}\n\
         pricing:\n  alpha:\n    m: {{input_per_million: 500, output_per_million: 500}}\n"
    )
}

/// The configuration of an instance: fields of its one provider, and more.
fn config(mock: &Mock, fields: &[&str], rest: &str) -> String {
    config_of(&[provider(mock, fields)], rest)
}

/// So many instances with one configuration.
fn instances<const N: usize>(config: &str) -> [Router; N] {
    std::array::from_fn(|_| Router::start(config))
}

/// A request that costs a cent: 10 tokens of prompt and 10 of answer.
fn body() -> String {
    let mut body: Value = serde_json::from_str(&chat("10 bytes..")).expect("JSON");
    body["max_tokens"] = json!(10);
    body.to_string()
}

fn served(answers: &[Answer]) -> usize {
    answers.iter().filter(|one| one.status == 200).count()
}

/// What the answers of `count` callers are who ask the instances in turn, all at once.
fn at_once<const N: usize>(
    count: usize,
    routers: &[Router; N],
    caller: &'static str,
) -> Vec<Answer> {
    let addresses: Vec<SocketAddr> = routers.iter().map(Router::addr).collect();
    together(count, move |number| {
        ask_as(addresses[number % N], caller, &body())
    })
}

fn state(router: &Router) -> Value {
    get(router.addr(), "/_infermux/status").json()["shared"].clone()
}

fn wait_for_state(router: &Router, expected: &str) {
    eventually(&format!("the store is {expected}"), || {
        state(router)["state"] == expected
    });
}

#[test]
fn a_providers_limit_holds_over_three_instances() {
    let Some(store) = Store::start(&[]) else {
        return;
    };
    let mock = alpha();
    let limit = ["rate_limits: {requests_per_minute: 60}"];
    let routers = instances::<3>(&config(&mock, &limit, &shared(&store, "")));
    eventually("all of them are members", || {
        state(&routers[0])["members"] == 3
    });
    let answers = at_once(300, &routers, "c");
    assert!(answers.iter().all(|one| matches!(one.status, 200 | 429)));
    // What idle instances keep to go on with comes to whoever lacks it.
    let mut count = served(&answers);
    let began = Instant::now();
    while count < 60 && began.elapsed() < Duration::from_secs(20) {
        count += served(&at_once(6, &routers, "c"));
    }
    assert!((57..=60).contains(&count), "{count}");
    assert_eq!(mock.requests().len(), count);
    assert_eq!(
        served(&at_once(30, &routers, "c")) + count,
        mock.requests().len()
    );
    assert!(mock.requests().len() <= 60);
}

#[test]
fn an_instance_with_all_the_demand_gets_all_of_a_limit() {
    let Some(store) = Store::start(&[]) else {
        return;
    };
    let mock = alpha();
    let limit = [
        "max_in_flight: 40",
        "rate_limits: {tokens_per_minute: 2400}",
    ];
    let routers = instances::<3>(&config(&mock, &limit, &shared(&store, "")));
    eventually("all of them are members", || {
        state(&routers[0])["members"] == 3
    });
    let began = Instant::now();
    let addr = routers[1].addr();
    // 2,400 tokens are 120 requests of 20.
    let mut count = 0;
    while count < 120 && began.elapsed() < Duration::from_secs(20) {
        count += served(&together(20, move |_| ask_as(addr, "c", &body())));
    }
    assert_eq!((count, mock.requests().len()), (120, 120));
}

#[test]
fn a_budget_is_overspent_by_one_request_at_most_over_all_instances() {
    let Some(store) = Store::start(&[]) else {
        return;
    };
    let mock = alpha();
    let rest = shared(&store, "") + "budgets: [{caller: c, monthly_usd: 0.5}]\n";
    let routers = instances::<3>(&config(&mock, &[], &rest));
    let mut count = 0;
    for _ in 0..12 {
        count += served(&at_once(30, &routers, "c"));
    }
    // A request costs a cent. The last ones may be held up by parts too small for one.
    eventually("one instance alone spends the rest", || {
        count += usize::from(ask_as(routers[0].addr(), "c", &body()).status == 200);
        count >= 49
    });
    eventually("nothing is left for anybody", || {
        let answers = routers
            .each_ref()
            .map(|one| ask_as(one.addr(), "c", &body()));
        count += served(&answers);
        let is_over = |answer: &Answer| answer.code() == "budget_exceeded";
        answers.iter().all(is_over)
    });
    assert!((49..=51).contains(&count), "{count}");
    let report = get(routers[2].addr(), "/_infermux/metrics").text();
    assert!(report.contains("infermux_shared_members 3"), "{report}");
}

#[test]
fn what_is_local_holds_for_each_instance() {
    let Some(store) = Store::start(&[]) else {
        return;
    };
    let mock = alpha();
    let digest = Digest::of(b"k-one");
    let fields = ["rate_limits: {requests_per_minute: 4, local: true}"];
    let rest = shared(&store, "")
        + &format!(
            "auth:\n  mode: keys\n  keys:\n    - name: one\n      hash: 'sha256:{digest}'\n      \
             caller: c\n      limits: {{requests_per_minute: 3, local: true}}\n      \
             budgets: [{{usd: 0.02, per: day, local: true}}]\n\
             budgets: [{{caller: c, monthly_usd: 0.5, local: true}}]\n"
        );
    let routers = instances::<2>(&config(&mock, &fields, &rest));
    for router in &routers {
        let ask = || {
            let mut client = Client::connect(router.addr());
            let headers = "Authorization: Bearer k-one\r\n";
            client.post_with("/v1/chat/completions", headers, &body());
            client.answer().status
        };
        // The key's budget of two cents is the least of all, and each instance has all of it.
        assert_eq!([ask(), ask(), ask()], [200, 200, 429]);
    }
    assert_eq!(state(&routers[0])["state"], "ok");
    assert_eq!(store.say("DBSIZE").trim(), ":1", "nobody speaks of a quota");
}

#[test]
fn what_a_killed_instance_held_comes_back() {
    let Some(store) = Store::start(&[]) else {
        return;
    };
    let mock = alpha();
    let limit = ["rate_limits: {requests_per_minute: 20}"];
    let config = config(&mock, &limit, &shared(&store, ""));
    let window = Duration::from_secs(2);
    let start = || Start::with(&config).env("INFERMUX_TEST_WINDOW", "2").go();
    let [mut first, second] = [start(), start()];
    let mut count = 0;
    eventually("the first one has nearly all of it", || {
        count += usize::from(ask_as(first.addr(), "c", &body()).status == 200);
        count >= 15
    });
    first.signal("KILL");
    first.wait();
    let died = Instant::now();
    let addr = second.addr();
    // What it had is waited for, however much the other one asks.
    let mut times = Vec::new();
    eventually("the other one has a whole window of its own", || {
        if ask_as(addr, "c", &body()).status == 200 {
            times.push(Instant::now());
        }
        let last = times.len().checked_sub(20).map(|at| times[at]);
        // What was taken at different moments comes back at different ones; a quarter of the limit
        // would be half as much in this time.
        last.is_some_and(|first| first.elapsed() < 2 * window)
    });
    let after = died.elapsed();
    assert!(after >= TTL - Duration::from_secs(1), "{after:?}");
}

#[test]
fn sync_and_wait_decide_how_often_and_how_long() {
    let Some(store) = Store::start(&[]) else {
        return;
    };
    let mock = alpha();
    let limit = ["rate_limits: {requests_per_minute: 3}"];
    let calls = |sync: &str| {
        let more = format!(", sync: {sync}, wait: 0s");
        let rest = shared(&store, &more).replace("namespace: t", &format!("namespace: {sync}"));
        let router = Router::start(&config(&mock, &limit, &rest));
        wait_for_state(&router, "ok");
        eventually("the limit is reached", || {
            ask_as(router.addr(), "c", &body()).status == 429
        });
        // Whoever lacks some asks the store, but not for each request.
        let (before, began) = (store.calls(), Instant::now());
        let mut count = 0_u64;
        while began.elapsed() < Duration::from_secs(3) {
            ask_as(router.addr(), "c", &body());
            count += 1;
        }
        let calls = store.calls() - before;
        assert!(calls < count, "{calls} calls for {count} requests");
        calls
    };
    let (often, seldom) = (calls("10ms"), calls("1s"));
    assert!(2 * seldom < often, "{often} {seldom}");
    // Without a wait, whoever comes first is refused.
    let rest = shared(&store, ", wait: 0s") + "budgets: [{caller: c, monthly_usd: 5}]\n";
    let router = Router::start(&config(
        &mock,
        &[],
        &rest.replace("namespace: t", "namespace: w"),
    ));
    let first = ask_as(router.addr(), "c", &body());
    assert_eq!(first.header("retry-after"), Some("1"), "{}", first.text());
    eventually("then there is some", || {
        ask_as(router.addr(), "c", &body()).status == 200
    });
}

#[test]
fn a_reload_changes_limits_and_makes_them_local() {
    let Some(store) = Store::start(&[]) else {
        return;
    };
    let mock = alpha();
    let of = |fields: &str| config(&mock, &[fields], &shared(&store, ""));
    let routers = instances::<2>(&of("rate_limits: {requests_per_minute: 5}"));
    eventually("all of them are members", || {
        state(&routers[0])["members"] == 2
    });
    let mut count = 0;
    let mut take = |most: usize| {
        eventually("so many are served", || {
            count += served(&at_once(4, &routers, "c"));
            count >= most
        });
        assert_eq!(count, most);
        assert_eq!(served(&at_once(20, &routers, "c")), 0);
    };
    take(5);
    for router in &routers {
        let reloaded = router.reload(&of("rate_limits: {requests_per_minute: 9}"));
        assert_eq!(reloaded.status, 200, "{}", reloaded.text());
    }
    take(9);
    let local = of("rate_limits: {requests_per_minute: 30, local: true}");
    for router in &routers {
        assert_eq!(router.reload(&local).status, 200);
    }
    // Each has 30 of its own, less what it was sent itself.
    assert_eq!(served(&at_once(100, &routers, "c")), 60 - 9);
    let other = shared(&store, ", sync: 50ms");
    let reloaded = routers[0].reload(&config(&mock, &[], &other)).json();
    assert_eq!(reloaded["needs_restart"], json!(["shared"]));
}

/// What the metrics of an instance say once it has heard of another one: name, label, and at least
/// this value.
pub const SEEN: [(&str, &[&str], f64); 4] = [
    ("infermux_shared_state", &["state=\"ok\""], 1.0),
    ("infermux_shared_members", &[], 2.0),
    ("infermux_shared_lag_seconds", &[], f64::MIN_POSITIVE),
    (
        "infermux_shared_exchanges_total",
        &["result=\"answered\""],
        2.0,
    ),
];

#[test]
fn a_pause_that_a_provider_asks_for_is_told_to_all() {
    let Some(store) = Store::start(&[]) else {
        return;
    };
    let mock = alpha();
    let routers = instances::<2>(&config(&mock, &[], &shared(&store, "")));
    mock.set_script(json!({"status": 429, "headers": {"retry-after": "30"}}))
        .expect("a script");
    assert_eq!(ask_as(routers[0].addr(), "c", &body()).status, 429);
    let seen = mock.requests().len();
    eventually("the other one leaves it alone, too", || {
        let answer = ask_as(routers[1].addr(), "c", &body());
        assert_eq!(answer.status, 429);
        answer.json()["error"]["limit"] == "provider_rate_limit"
            && answer
                .header("x-infermux-attempts")
                .is_none_or(|count| count == "0")
    });
    assert!(mock.requests().len() <= seen + 20);
    for (name, labels, least) in SEEN {
        eventually(&format!("{name} {labels:?}"), || {
            metric(routers[1].addr(), name, labels) >= least
        });
    }
}
