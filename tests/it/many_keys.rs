//! Tens of thousands of callers' keys: they load, work, and are read again.

use std::fmt::Write as _;
use std::fs;

use infermux::testing::base::digest::Digest;
use serde_json::{Value, json};

use crate::support::client::{Client, get};
use crate::support::router::{Folder, Router};
use crate::support::{chat, config_for, eventually, mock};

const KEYS: usize = 20_000;

/// A file of keys whose names begin with `start`, each with a limit and two budgets.
fn file(start: &str, requests_per_day: u64) -> String {
    let mut text = String::new();
    for number in 0..KEYS {
        let name = format!("{start}-{number}");
        let digest = Digest::of(format!("k-{name}").as_bytes());
        let _ = writeln!(
            text,
            "- {{name: {name}, team: t, hash: 'sha256:{digest}', \
             limits: {{requests_per_day: {requests_per_day}}}, \
             budgets: [{{usd: 1, per: day}}, {{usd: 2.50, per: month}}]}}"
        );
    }
    text
}

fn status(client: &mut Client, key: &str) -> u16 {
    let headers = format!("Authorization: Bearer k-{key}\r\n");
    client.post_with("/v1/chat/completions", &headers, &chat("x"));
    client.answer().status
}

#[test]
fn twenty_thousand_keys_with_limits_and_budgets_work_and_are_replaced_under_way() {
    let alpha = mock(json!({"name": "alpha"}));
    let folder = Folder::new();
    let path = folder.write("keys.yml", file("a", 2));
    let rest = format!(
        "auth: {{mode: keys, keys_file: '{}'}}\nteams: [{{name: t}}]\nserver: {{shards: 2}}\n",
        path.display()
    );
    let router = Router::start(&config_for(&[&alpha], &rest));
    let mut client = Client::connect(router.addr());
    let last = KEYS - 1;
    for _ in 0..2 {
        for number in [0, 1, KEYS / 2, last] {
            assert_eq!(status(&mut client, &format!("a-{number}")), 200);
        }
    }
    assert_eq!(status(&mut client, &format!("a-{last}")), 429);
    assert_eq!(status(&mut client, &format!("a-{KEYS}")), 401);
    // Half of the keys stay, with another limit; the day's counts stay with them.
    let stay = file("a", 3);
    let kept: usize = stay.lines().take(KEYS / 2).map(|line| line.len() + 1).sum();
    let others = file("b", 1);
    let came: usize = others
        .lines()
        .take(KEYS / 2)
        .map(|line| line.len() + 1)
        .sum();
    let next = folder.write("next.yml", [&stay[..kept], &others[..came]].concat());
    fs::rename(&next, &path).expect("renamed");
    // Requests go on meanwhile, and none of them is refused.
    eventually("the new keys get in", || {
        assert_ne!(status(&mut client, "a-7"), 401);
        status(&mut client, "b-7") != 401
    });
    assert_eq!(status(&mut client, "b-8"), 200);
    assert_eq!(status(&mut client, "b-8"), 429);
    assert_eq!(status(&mut client, "a-0"), 200);
    assert_eq!(status(&mut client, "a-0"), 429);
    assert_eq!(status(&mut client, &format!("a-{last}")), 401);
    // The books have much to do with so many new keys.
    let mut used = Value::Null;
    eventually("the books answer", || {
        let answer = get(router.management(), "/_infermux/keys?most_used=3");
        assert!([200, 503].contains(&answer.status), "{}", answer.text());
        used = answer.json();
        answer.status == 200
    });
    assert_eq!(used["keys"].as_array().map(Vec::len), Some(3), "{used}");
}
