//! Several instances with one store: what they show of each other, and how little they ask.

use std::time::{Duration, Instant};

use infermux::testing::base::digest::Digest;
use infermux_mock::Mock;
use serde_json::{Value, json};

use crate::support::client::{Answer, Client, get};
use crate::support::command::{end, infermux};
use crate::support::load::{ask_as, together};
use crate::support::operate::metric;
use crate::support::router::Router;
use crate::support::store::Store;
use crate::support::{chat, config_of, eventually, mock, provider};

fn alpha() -> Mock {
    let mock = mock(json!({"name": "alpha"}));
    let script = json!({"prompt_tokens": 10, "completion_tokens": 10, "usage": "always"});
    mock.set_script(script).expect("a script");
    mock
}

/// An instance's configuration: `shared` with this store and further fields, and more.
fn config(mock: &Mock, (store, fields): (&Store, &str), rest: &str) -> String {
    let addr = store.addr();
    let limits = "rate_limits: {requests_per_minute: 600000, tokens_per_minute: 600000000}";
    let rest = format!(
        "shared: {{url: \"redis://{addr}/0\", namespace: t, member_ttl: 5s{fields}}}\n\
         pricing:\n  alpha:\n    m: {{input_per_million: 500, output_per_million: 500}}\n{rest}"
    );
    config_of(&[provider(mock, &[limits])], &rest)
}

/// A request that costs a cent: 10 tokens of prompt and 10 of answer.
fn body() -> String {
    let mut body: Value = serde_json::from_str(&chat("10 bytes..")).expect("JSON");
    body["max_tokens"] = json!(10);
    body.to_string()
}

fn ask(router: &Router) -> usize {
    usize::from(ask_as(router.addr(), "c", &body()).status == 200)
}

#[test]
fn no_command_is_sent_to_the_store_for_a_request() {
    let Some(store) = Store::start(&[]) else {
        return;
    };
    let mock = alpha();
    let rest = "budgets: [{caller: c, monthly_usd: 100000}]\n";
    let router = Router::start(&config(&mock, (&store, ", sync: 1s"), rest));
    eventually("something is leased", || ask(&router) == 1);
    let (before, began) = (store.calls(), Instant::now());
    let addr = router.addr();
    let mut count = 0;
    while count < 800 || began.elapsed() < Duration::from_secs(2) {
        let answers = together(8, move |_| {
            let mut client = Client::connect(addr);
            let mut ask = || {
                let caller = "X-Infermux-Caller: c\r\n";
                client.post_with("/v1/chat/completions", caller, &body());
                client.answer().status == 200
            };
            (0..10).filter(|_| ask()).count()
        });
        count += answers.into_iter().sum::<usize>();
    }
    // Each second a word about each of the three quotas, twice about the provider's, and one about
    // itself; and what requests lacked while demand rose.
    let (calls, span) = (store.calls() - before, began.elapsed().as_secs());
    let most = 12 * (span + 2);
    println!("{calls} calls in {span} s for {count} requests");
    assert!(
        calls <= most,
        "{calls} calls in {span} s for {count} requests"
    );
    assert!(
        usize::try_from(calls).expect("few") * 4 < count,
        "{calls} for {count}"
    );
}

#[test]
fn each_instance_shows_and_tells_what_all_have_spent() {
    let Some(store) = Store::start(&[]) else {
        return;
    };
    let mock = alpha();
    let rest = "budgets: [{caller: c, monthly_usd: 0.2, action: alert}]\n";
    let config = config(&mock, (&store, ""), rest);
    let routers: [Router; 2] = std::array::from_fn(|_| Router::start(&config));
    eventually("both are members", || {
        metric(routers[0].addr(), "infermux_shared_members", &[]) > 1.5
    });
    let mut count = 0;
    for router in &routers {
        let once = ask(router);
        assert_eq!(once, 1);
        count += once;
    }
    // Neither of them alone spends 80 % of it.
    for router in routers.iter().chain(&routers) {
        count += (0..4).map(|_| ask(router)).sum::<usize>();
        eventually("it shows what all have spent", || {
            count += ask(router);
            let spent = metric(router.addr(), "infermux_budget_spent_usd", &["\"c\""]);
            (spent * 100.0 - count as f64).abs() < 0.1
        });
    }
    for router in &routers {
        router.wait_for_log("a budget is used up");
        let told = metric(router.addr(), "infermux_budget_alerts_total", &["\"c\""]);
        assert!(told >= 1.0, "{}", router.log());
        let costs = get(router.addr(), "/_infermux/costs/caller/c").json();
        assert!(costs["budget_remaining_usd"].as_f64() < Some(0.2 - 0.01 * 16.0));
        // What it was asked itself is less.
        let own = costs["total_usd"].as_f64().expect("a number");
        assert!(own < count as f64 * 0.01 - 0.04, "{own} of {count}");
    }
}

#[test]
fn what_a_dead_instance_had_leased_of_a_budget_is_shown_as_lost() {
    let Some(store) = Store::start(&[]) else {
        return;
    };
    let mock = alpha();
    let digest = Digest::of(b"k-one");
    let rest = format!(
        "auth:\n  mode: keys\n  keys:\n    - name: one\n      hash: 'sha256:{digest}'\n      \
         budgets: [{{usd: 1000, per: month}}]\n"
    );
    let config = config(&mock, (&store, ", wait: 1s"), &rest);
    let [mut first, second]: [Router; 2] = std::array::from_fn(|_| Router::start(&config));
    let ask = |router: &Router| -> Answer {
        let mut client = Client::connect(router.addr());
        let headers = "Authorization: Bearer k-one\r\n";
        client.post_with("/v1/chat/completions", headers, &body());
        client.answer()
    };
    // It leases ten seconds of what it spends.
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(3) {
        assert_eq!(ask(&first).status, 200);
    }
    first.signal("KILL");
    first.wait();
    let budget = |router: &Router| {
        let keys = get(router.management(), "/_infermux/keys").json();
        keys["keys"][0]["budgets"][0].clone()
    };
    eventually("what it had leased is told", || {
        assert_eq!(ask(&second).status, 200);
        budget(&second)["lost_usd"].as_f64() > Some(0.0)
    });
    let shown = budget(&second);
    let [spent, lost] = ["spent_usd", "lost_usd"].map(|name| shown[name].as_f64());
    let served = mock.stats().requests as f64 * 0.01;
    let (spent, lost) = (spent.expect("a number"), lost.expect("a number"));
    // A hundredth at most, and what it had spent since it last spoke.
    assert!(lost <= 1_000.0 / 100.0 + 1.0, "{lost}");
    // What it had not told yet counts as lost, so that the sum is what was served at least.
    assert!(
        spent >= served - 0.001 && spent <= served + lost + 0.001,
        "{shown} {served}"
    );
    let server = format!("http://{}", second.management());
    let listed = end(&mut infermux(&["key", "list", "--server", &server]));
    assert_eq!(listed.code, Some(0), "{}", listed.stderr);
    assert!(listed.stdout.contains("(lost)"), "{}", listed.stdout);
}
