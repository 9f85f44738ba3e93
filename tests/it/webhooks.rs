//! Webhooks: what happens is told to them, once, signed, and again until they have taken it.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use infermux_mock::Mock;
use serde_json::{Value, json};

use crate::support::client::{Answer, get};
use crate::support::command::{Ended, end, infermux, text};
use crate::support::load::{ask, ask_as};
use crate::support::operate::{metric, turn, wait_for_circuit};
use crate::support::proxy::{Manner, Proxy};
use crate::support::receiver::{Receiver, SECRET, field, status};
use crate::support::router::{Folder, Router, Start};
use crate::support::store::Store;
use crate::support::tls::{Forwarder, Papers, Tls};
use crate::support::{config_of, eventually, mock, provider};

fn alpha() -> Mock {
    mock(
        json!({"name": "alpha", "usage": "always", "prompt_tokens": 1000,
        "completion_tokens": 0}),
    )
}

/// A provider `alpha`, and these webhooks.
fn config(alpha: &Mock, webhooks: &str) -> String {
    let fields = ["circuit_breaker: {recovery_window: 1h}"];
    let webhooks = format!("webhooks:\n{webhooks}");
    config_of(&[provider(alpha, &fields)], &webhooks)
}

fn ask_for(router: &Router, model: &str) -> Answer {
    let body = json!({"model": model, "messages": [{"role": "user", "content": "x"}]});
    ask(router.addr(), &body.to_string())
}

/// The events that a webhook was told, with their statuses and subjects.
fn told(receiver: &Receiver) -> Vec<String> {
    let told = receiver.told().into_iter().map(|one| {
        let word = |name: &str| one[name].as_str().expect("text").to_owned();
        format!("{} {} {}", word("event"), word("status"), word("subject"))
    });
    told.collect()
}

/// Nothing that the router says has a part of the webhook's URL or its secret.
fn assert_secrets_stay(router: &Router) {
    assert!(!router.log().contains("hunter2"), "{}", router.log());
    for path in ["metrics", "status", "providers"] {
        let answer = get(router.management(), &format!("/_infermux/{path}"));
        assert!(!answer.text().contains("hunter2"), "{path}");
    }
}

fn sent(router: &Router, event: &str, outcome: &str) -> f64 {
    let labels = [
        format!("event=\"{event}\""),
        format!("outcome=\"{outcome}\""),
    ];
    let labels = labels.each_ref().map(String::as_str);
    metric(
        router.management(),
        "infermux_webhook_notices_total",
        &labels,
    )
}

#[test]
fn budgets_and_unpriced_models_are_told_once() {
    let (alpha, receiver) = (alpha(), Receiver::start());
    let rest = format!(
        "pricing: {{alpha: {{m: {{input_per_million: 850, output_per_million: 0}}}}}}\n\
         budgets: [{{caller: c, monthly_usd: 1}}]\nwebhooks:\n{}",
        receiver.entry("")
    );
    let fields = ["models: [m, free]"];
    let router = Router::start(&config_of(&[provider(&alpha, &fields)], &rest));
    let body = json!({"model": "m", "max_tokens": 1,
        "messages": [{"role": "user", "content": "x"}]});
    assert_eq!(ask_as(router.addr(), "c", &body.to_string()).status, 200);
    let most = receiver.wait_for("budget", "firing", "80 %");
    assert_eq!(most["severity"], "warning");
    assert_eq!(most["version"], 1);
    let details = most["details"].to_string();
    for part in [
        "\"spent_usd\":0.85",
        "\"limit_usd\":1",
        "\"percent\":80",
        "\"name\":\"c\"",
    ] {
        assert!(details.contains(part), "{details}");
    }
    assert_eq!(ask_as(router.addr(), "c", &body.to_string()).status, 200);
    let all = receiver.wait_for("budget", "firing", "100 %");
    assert_eq!(all["severity"], "critical");
    let subject = all["subject"].as_str().expect("text");
    assert!(
        subject.starts_with("caller c: 100 % of 1 USD per month (20"),
        "{subject}"
    );
    for _ in 0..2 {
        assert_eq!(ask_for(&router, "free").status, 200);
    }
    let unpriced = receiver.wait_for("unpriced", "firing", "alpha/free");
    assert_eq!(
        unpriced["details"],
        json!({"provider": "alpha", "model": "free"})
    );
    assert_eq!(receiver.told().len(), 3);
    let mut ids: Vec<Value> = receiver
        .told()
        .iter()
        .map(|one| one["id"].clone())
        .collect();
    ids.dedup();
    assert_eq!(ids.len(), 3);
    eventually("they are counted", || {
        (
            sent(&router, "budget", "sent"),
            sent(&router, "unpriced", "sent"),
        ) == (2.0, 1.0)
    });
    // The log has the alert that it had without webhooks: a budget that stops is told of then.
    assert_eq!(router.log().matches("a budget is used up").count(), 1);
    assert_secrets_stay(&router);
}

#[test]
fn a_budget_that_refuses_before_it_is_used_up_is_told() {
    let (alpha, receiver) = (alpha(), Receiver::start());
    let config = |usd: f64| {
        let rest = format!(
            "pricing: {{alpha: {{m: {{input_per_million: 850, output_per_million: 0}}}}}}\n\
             budgets: [{{caller: c, monthly_usd: {usd}}}]\nwebhooks:\n{}",
            receiver.entry(", events: [budget]")
        );
        config_of(&[provider(&alpha, &[])], &rest)
    };
    let router = Router::start(&config(2.0));
    let body = |text: &str| {
        let message = json!({"role": "user", "content": text});
        json!({"model": "m", "max_tokens": 1, "messages": [message]}).to_string()
    };
    let ask = |text: &str| ask_as(router.addr(), "c", &body(text)).status;
    assert_eq!(ask("x"), 200);
    // It may cost 1.275 USD, and 1.15 are left: 42 % are spent.
    let long = "x".repeat(6_000);
    for _ in 0..2 {
        assert_eq!(ask(&long), 429);
    }
    let refuses = receiver.wait_for("budget", "firing", "less left of 2 USD");
    assert_eq!(refuses["severity"], "critical");
    let message = refuses["message"].as_str().expect("text");
    assert!(
        message.ends_with("may cost: requests are refused"),
        "{message}"
    );
    assert!(refuses["details"]["percent"].is_null(), "{refuses}");
    router.wait_for_log("a budget refuses requests that may cost more than is left");
    // What a reload leaves is less than is spent, and nothing more will be.
    assert_eq!(router.reload(&config(0.5)).status, 200);
    assert_eq!(ask("x"), 429);
    let all = receiver.wait_for("budget", "firing", "100 % of 0.5 USD");
    assert_eq!(all["severity"], "critical");
    assert_eq!(receiver.told().len(), 2);
}

#[test]
fn a_circuit_that_opens_again_and_again_is_told_once_an_hour() {
    let (alpha, receiver) = (alpha(), Receiver::start());
    let other = Receiver::start();
    let entries =
        receiver.entry(", events: [circuit, unpriced]") + &other.entry(", events: [budget]");
    let router = Router::start(&config(&alpha, &entries));
    for act in ["open", "close", "open", "close", "open"] {
        assert_eq!(turn(&router, "alpha", act).status, 200);
    }
    let opened = receiver.wait_for("circuit", "firing", "alpha");
    assert_eq!(
        (&opened["severity"], &opened["details"]["to"]),
        (&json!("warning"), &json!("open"))
    );
    receiver.wait_for("circuit", "resolved", "alpha");
    assert_eq!(turn(&router, "alpha", "close").status, 200);
    // What comes after shows that nothing else came before.
    ask_for(&router, "m");
    receiver.wait_for("unpriced", "firing", "alpha/m");
    let expected = [
        "circuit firing alpha",
        "circuit resolved alpha",
        "unpriced firing alpha/m",
    ];
    assert_eq!(told(&receiver), expected);
    assert!(other.seen().is_empty());
}

#[test]
fn circuits_and_health_are_told_when_requests_and_checks_fail() {
    let alpha = mock(json!({"name": "alpha", "rules": [
        {"when": {"path": "/v1/models"}, "status": 500}]}));
    let beta = mock(json!({"name": "beta", "status": 500}));
    let receiver = Receiver::start();
    let checked = ["models: [a]", "health_check: {interval: 50ms, timeout: 5s}"];
    let breaking = [
        "models: [b]",
        "circuit_breaker: {consecutive_failures: 1, recovery_window: 50ms}",
    ];
    let providers = [provider(&alpha, &checked), provider(&beta, &breaking)];
    let rest = format!("webhooks:\n{}", receiver.entry(""));
    let router = Router::start(&config_of(&providers, &rest));
    let down = receiver.wait_for("provider_down", "firing", "alpha");
    assert_eq!(down["details"], json!({"provider": "alpha"}));
    alpha
        .set_script(json!({"name": "alpha"}))
        .expect("a script");
    receiver.wait_for("provider_down", "resolved", "alpha");
    assert_eq!(ask_for(&router, "b").status, 502);
    let opened = receiver.wait_for("circuit", "firing", "beta");
    assert_eq!(opened["details"]["reason"], "consecutive_failures");
    beta.set_script(json!({"name": "beta"})).expect("a script");
    wait_for_circuit(&router, "beta", "half-open");
    assert_eq!(ask_for(&router, "b").status, 200);
    let closed = receiver.wait_for("circuit", "resolved", "beta");
    assert_eq!(closed["details"]["reason"], "probe_succeeded");
}

#[test]
fn a_state_file_that_cannot_be_written_is_told_and_that_it_is_again() {
    let (alpha, receiver, folder) = (alpha(), Receiver::start(), Folder::new());
    let state = folder.path().join("state.json");
    let rest = format!(
        "budgets: {{state_file: {}, callers: []}}\nwebhooks:\n{}",
        state.display(),
        receiver.entry(", events: [state_not_written]")
    );
    let router = Router::start(&config_of(&[provider(&alpha, &[])], &rest));
    // What is written beside the state goes to a device that is full.
    let beside = state.with_extension("json.tmp");
    std::os::unix::fs::symlink("/dev/full", &beside).expect("a link");
    assert_eq!(ask_for(&router, "m").status, 200);
    let lost = receiver.wait_for("state_not_written", "firing", "state file");
    assert_eq!(lost["severity"], "critical");
    // The link is gone after the first failure; the next try succeeds.
    receiver.wait_for("state_not_written", "resolved", "state file");
}

#[test]
fn a_store_that_is_gone_is_told_and_that_it_is_back() {
    let Some(mut store) = Store::start(&[]) else {
        return;
    };
    let (alpha, receiver) = (alpha(), Receiver::start());
    let rest = format!(
        "shared: {{url: \"redis://{}/0\", namespace: fleet, member_ttl: 5s}}\nwebhooks:\n{}",
        store.addr(),
        receiver.entry(", events: [shared_state]")
    );
    let router = Router::start(&config_of(&[provider(&alpha, &[])], &rest));
    store.kill();
    let away = receiver.wait_for("shared_state", "firing", "fleet");
    assert_eq!(away["severity"], "warning");
    store.start_again();
    let back = receiver.wait_for("shared_state", "resolved", "fleet");
    assert_eq!(
        back["details"],
        json!({"namespace": "fleet", "state": "ok"})
    );
    assert_eq!(told(&receiver)[0], "shared_state firing fleet");
    drop(router);
}

#[test]
fn what_is_not_taken_is_tried_again_under_the_same_id() {
    let (alpha, receiver) = (alpha(), Receiver::answering(&[500, 204]));
    let router = Router::start(&config(&alpha, &receiver.entry("")));
    turn(&router, "alpha", "open");
    turn(&router, "alpha", "close");
    receiver.wait_for("circuit", "resolved", "alpha");
    let expected = ["firing", "firing", "resolved"].map(|status| format!("circuit {status} alpha"));
    assert_eq!(told(&receiver), expected);
    let all = receiver.told();
    assert_eq!(all[0], all[1]);
    router.wait_for_log("the webhook takes notices again");
    let log = router.log();
    assert!(log.contains("does not take a notice"), "{log}");
    assert!(log.contains("it answers 500"), "{log}");
    // The receiver has a notice before it is known to have taken it.
    eventually("both are counted", || {
        sent(&router, "circuit", "sent") == 2.0
    });
    assert_secrets_stay(&router);
}

#[test]
fn one_that_hangs_holds_up_no_other_and_gets_a_last_attempt_at_the_end() {
    // It takes connections, and says nothing.
    let hangs = TcpListener::bind("127.0.0.1:0").expect("a port");
    let place = hangs.local_addr().expect("an address");
    let (alpha, receiver) = (alpha(), Receiver::answering(&[503, 503, 204]));
    let silent = format!("  - {{url: \"http://{place}/hunter2\", secret: s}}\n");
    let mut router = Router::start(&config(&alpha, &(silent + &receiver.entry(""))));
    turn(&router, "alpha", "open");
    // The next attempt would come a second later, and the one after that two.
    eventually("the second attempt", || receiver.seen().len() == 2);
    router.signal("TERM");
    assert!(router.wait().success());
    assert_eq!(told(&receiver), vec!["circuit firing alpha"; 3]);
    let log = router.log();
    assert!(
        log.contains("webhooks have not taken all notices in time"),
        "{log}"
    );
    assert!(!log.contains("hunter2"), "{log}");
}

#[test]
fn no_name_and_no_redirection_leads_inside() {
    let (alpha, inside) = (alpha(), Receiver::start());
    let port = inside.addr().port();
    let url = format!("http://hooks.example:{port}/hunter2");
    let named = format!("  - {{url: \"{url}\", secret: {SECRET}}}\n");
    let location = format!("Location: http://{}/\r\n", inside.addr());
    let redirecting = Receiver::giving(vec![status(302, &location)]);
    let start = Start::with(&config(&alpha, &(named + &redirecting.entry(""))));
    let router = start
        .env("INFERMUX_TEST_HOST", "hooks.example=127.0.0.1")
        .go();
    turn(&router, "alpha", "open");
    router.wait_for_log("the name hooks.example leads to a private address");
    router.wait_for_log("it answers 302, and redirections are not followed");
    assert!(inside.seen().is_empty());
    assert_secrets_stay(&router);
}

#[test]
fn slack_gets_a_message_for_people() {
    let receiver = Receiver::start();
    let config = format!(
        "listen: \"127.0.0.1:0\"\n\
         providers: [{{name: \"a&<b>\", type: ollama, health_check: {{disabled: true}}}}]\n\
         webhooks: [{{url: \"http://{}/services/hunter2\", format: slack}}]\n",
        receiver.addr()
    );
    let router = Router::start(&config);
    turn(&router, "a%26%3Cb%3E", "open");
    eventually("it is told", || receiver.seen().len() == 1);
    let (head, body) = receiver.seen().remove(0);
    assert!(
        head.starts_with("POST /services/hunter2 HTTP/1.1\r\n"),
        "{head}"
    );
    assert!(!head.contains("X-Infermux-Signature"), "{head}");
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    let text = body["text"].as_str().expect("text");
    let expected = ":warning: the circuit of provider a&amp;&lt;b&gt; is open (manual): it gets no \
                    requests";
    assert_eq!(text, expected);
    assert_eq!(body["blocks"][0]["text"]["text"], text);
}

#[test]
fn webhooks_come_and_go_with_a_reload_and_what_waits_stays() {
    let (alpha, receiver) = (alpha(), Receiver::answering(&[500, 500, 204]));
    let router = Router::start(&config(&alpha, "  []\n"));
    turn(&router, "alpha", "open");
    turn(&router, "alpha", "close");
    let first = config(&alpha, &receiver.entry(""));
    let answer = router.reload(&first);
    assert_eq!(answer.status, 200);
    assert!(answer.text().contains("webhooks"), "{}", answer.text());
    turn(&router, "alpha", "open");
    eventually("the first attempt", || receiver.seen().len() == 1);
    let second = Receiver::start();
    let both = config(
        &alpha,
        &(second.entry("") + &receiver.entry(", events: [unpriced]")),
    );
    assert_eq!(router.reload(&both).status, 200);
    turn(&router, "alpha", "close");
    ask_for(&router, "m");
    receiver.wait_for("unpriced", "firing", "alpha/m");
    let expected = [
        vec!["circuit firing alpha"; 3],
        vec!["unpriced firing alpha/m"],
    ]
    .concat();
    assert_eq!(told(&receiver), expected);
    // The second one was never told that the circuit was open.
    second.wait_for("unpriced", "firing", "alpha/m");
    assert_eq!(told(&second), ["unpriced firing alpha/m"]);
}

#[test]
fn a_proxy_leads_to_a_webhook_and_its_certificate_is_verified() {
    let receiver = Receiver::start();
    let papers = Papers::for_names(&["hooks.example"]);
    let front = Forwarder::start(receiver.addr(), Tls::Inside(papers.server()));
    let through = Proxy::start(front.addr(), Manner::Leads);
    let entry = format!(
        "  - {{url: \"https://hooks.example/T0/hunter2-path?k=hunter2\", secret: {SECRET}}}\n"
    );
    let alpha = alpha();
    for (roots, works) in [(&papers, true), (&Papers::for_names(&["other"]), false)] {
        let start = Start::with(&config(&alpha, &entry));
        let roots = start.folder().write("roots.pem", &roots.ca_pem);
        let proxy = format!("http://user:secret-word@{}", through.addr());
        let start = start.env("HTTPS_PROXY", &proxy);
        let router = start.env("SSL_CERT_FILE", text(&roots)).go();
        turn(&router, "alpha", "open");
        if works {
            receiver.wait_for("circuit", "firing", "alpha");
        } else {
            router.wait_for_log("UnknownIssuer");
        }
        assert_secrets_stay(&router);
    }
    assert_eq!(receiver.seen().len(), 1);
    for head in through.heads() {
        assert!(
            head.starts_with("CONNECT hooks.example:443 HTTP/1.1\r\n"),
            "{head}"
        );
        assert!(!head.contains("hunter2"), "{head}");
    }
    let plain = Receiver::start();
    let entry = format!("  - {{url: \"http://hooks.example/x\", secret: {SECRET}}}\n");
    let start = Start::with(&config(&alpha, &entry));
    let router = start.env("HTTP_PROXY", &plain.addr().to_string()).go();
    turn(&router, "alpha", "open");
    eventually("it is told", || plain.seen().len() == 1);
    let (head, _) = plain.seen().remove(0);
    assert!(
        head.starts_with("POST http://hooks.example/x HTTP/1.1\r\n"),
        "{head}"
    );
    assert_eq!(field(&head, "host"), "hooks.example");
}

fn check(webhooks: &str, more: &[&str]) -> Ended {
    let folder = Folder::new();
    let config = format!("providers: [{{name: a, type: ollama}}]\n{webhooks}");
    let file = folder.write("infermux.yml", config);
    let mut command = infermux(&["check", "--webhooks", "--config", text(&file)]);
    end(command.args(more))
}

#[test]
fn a_command_tries_them() {
    let (takes, refuses) = (Receiver::start(), Receiver::answering(&[410]));
    let good = format!("webhooks:\n{}", takes.entry(""));
    let ended = check(&good, &[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended.stdout.contains("webhooks[0]  taken"),
        "{}",
        ended.stdout
    );
    let told = &takes.told()[0];
    assert_eq!(
        (&told["event"], &told["severity"]),
        (&json!("test"), &json!("info"))
    );
    let both = good + &refuses.entry("");
    let ended = check(&both, &["--json"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(!ended.stdout.contains("hunter2"), "{}", ended.stdout);
    let found: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    let found = &found["webhooks"];
    assert_eq!(
        (&found[0]["taken"], &found[1]["taken"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(found[1]["why"], "it answers 410");
    let ended = check("", &[]);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains("the file has no webhooks"),
        "{}",
        ended.stderr
    );
}

/// The block of docs/operations.md that begins with this line, and is of this language.
fn documented(language: &str, first: &str) -> String {
    let place = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md");
    let docs = std::fs::read_to_string(place).expect("a file");
    let begin = format!("```{language}\n{first}");
    let at = docs.find(&begin).unwrap_or_else(|| panic!("no {begin}"));
    let block = &docs[at + language.len() + 4..];
    block[..block.find("```").expect("its end")].to_owned()
}

#[test]
fn the_documented_ways_to_verify_a_signature_work() {
    let (alpha, receiver) = (alpha(), Receiver::start());
    let router = Router::start(&config(&alpha, &receiver.entry("")));
    turn(&router, "alpha", "open");
    receiver.wait_for("circuit", "firing", "alpha");
    let (head, body) = receiver.seen().remove(0);
    let (time, signature) = (
        field(&head, "x-infermux-timestamp"),
        field(&head, "x-infermux-signature"),
    );
    let folder = Folder::new();
    let python = documented("python", "import hashlib") + PYTHON;
    let node = documented("js", "import {") + NODE;
    for (program, file, source) in [
        ("python3", "verify.py", python),
        ("node", "verify.mjs", node),
    ] {
        let path = folder.write(file, source);
        let verify = |body: &[u8], time: &str| {
            let body = folder.write("body", body);
            let mut command = Command::new(program);
            command.arg(&path).args([SECRET, time, signature]).arg(body);
            command.stdin(Stdio::null()).output().ok().map(|output| {
                assert!(output.stderr.is_empty(), "{output:?}");
                String::from_utf8(output.stdout).expect("text")
            })
        };
        let Some(genuine) = verify(&body, time) else {
            let is_ci = std::env::var("CI").is_ok_and(|value| value == "true");
            assert!(!is_ci, "{program} is not installed");
            eprintln!("not tested: {program} is not installed");
            continue;
        };
        assert_eq!(genuine.trim(), "genuine", "{program}");
        let changed = [&body[..], b" "].concat();
        assert_eq!(
            verify(&changed, time).expect("it runs").trim(),
            "forged",
            "{program}"
        );
        let old = (time.parse::<u64>().expect("seconds") - 3_600).to_string();
        assert_eq!(
            verify(&body, &old).expect("it runs").trim(),
            "forged",
            "{program}"
        );
    }
}

const PYTHON: &str = "
import sys
secret, timestamp, signature, path = sys.argv[1:]
with open(path, 'rb') as file:
    headers = {'X-Infermux-Timestamp': timestamp, 'X-Infermux-Signature': signature}
    print('genuine' if is_genuine(secret, headers, file.read()) else 'forged')
";
const NODE: &str = "
import { readFileSync } from 'node:fs';
const [secret, timestamp, signature, path] = process.argv.slice(2);
const headers = { 'x-infermux-timestamp': timestamp, 'x-infermux-signature': signature };
console.log(isGenuine(secret, headers, readFileSync(path)) ? 'genuine' : 'forged');
";
