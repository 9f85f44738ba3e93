//! What a request for a response refers to belongs to the provider that has made it.

use serde_json::{Value, json};

use crate::support::client::{Answer, Client};
use crate::support::native::{Native, data_of};
use crate::support::operate::{circuit, metric, turn};
use crate::support::router::Router;

/// Two providers in the order of the file, which both serve `m`.
fn both(alpha: &Native, beta: &Native, shards: usize) -> Router {
    with(&[alpha.provider(&[]), beta.provider(&[])], shards)
}

fn with(providers: &[String], shards: usize) -> Router {
    let config = format!(
        "listen: \"127.0.0.1:0\"\nserver: {{shards: {shards}}}\n\
         routing: {{strategy: priority}}\nproviders:\n{}",
        providers.concat()
    );
    Router::start(&config)
}

fn ask(router: &Router, body: &Value) -> Answer {
    let mut client = Client::connect(router.addr());
    client.post("/v1/responses", &body.to_string());
    client.answer()
}

fn by(answer: &Answer) -> Option<&str> {
    answer.header("x-infermux-provider")
}

/// A response of the second provider, which it makes while the first one is out of service: what
/// the caller has of it.
fn made_by_beta(router: &Router, streamed: bool) -> Value {
    turn(router, "alpha", "open");
    let body = json!({"model": "m", "input": "x", "stream": streamed});
    let answer = ask(router, &body);
    turn(router, "alpha", "close");
    assert_eq!(
        (answer.status, by(&answer)),
        (200, Some("beta")),
        "{}",
        answer.text()
    );
    if !streamed {
        return answer.json();
    }
    let last = data_of(&answer).pop().expect("an event");
    last["response"].clone()
}

// proves: owner.alone
#[test]
fn whoever_has_made_a_response_continues_it() {
    for (shards, streamed) in [(1, false), (1, true), (2, false), (2, true)] {
        let (alpha, beta) = (Native::start("alpha"), Native::start("beta"));
        let router = both(&alpha, &beta, shards);
        let made = made_by_beta(&router, streamed);
        let asked = alpha.seen().len();
        let references = [
            json!({"model": "m", "input": "y", "previous_response_id": made["id"]}),
            json!({"model": "m", "input": [
                {"type": "item_reference", "id": made["output"][0]["id"]},
                {"type": "item_reference", "id": made["output"][1]["id"]},
                {"role": "user", "content": "y"},
            ]}),
        ];
        // Connections come to any shard.
        for _ in 0..4 {
            for body in &references {
                let answer = ask(&router, body);
                assert_eq!((answer.status, by(&answer)), (200, Some("beta")), "{body}");
            }
        }
        assert_eq!(alpha.seen().len(), asked, "nobody else is asked");

        turn(&router, "beta", "open");
        for body in &references {
            let answer = ask(&router, body);
            assert_eq!(
                (answer.status, &*answer.code()),
                (503, "no_healthy_providers")
            );
        }
        // Whatever refers to nothing goes to whoever is there.
        let answer = ask(&router, &json!({"model": "m", "input": "z"}));
        assert_eq!(by(&answer), Some("alpha"));
    }
}

#[test]
fn an_owner_that_does_not_serve_the_model_is_named() {
    let (alpha, beta) = (Native::start("alpha"), Native::start("beta"));
    let providers = [alpha.provider(&[]), beta.provider(&["models: [m, other]"])];
    let router = with(&providers, 1);
    let answer = ask(&router, &json!({"model": "other", "input": "x"}));
    let id = answer.json()["id"].clone();
    let only_alpha = with(
        &[alpha.provider(&["models: [m, third]"]), beta.provider(&[])],
        1,
    );
    turn(&only_alpha, "alpha", "open");
    let made = ask(&only_alpha, &json!({"model": "m", "input": "x"}));
    turn(&only_alpha, "alpha", "close");
    assert_eq!(by(&made), Some("beta"));
    let body = json!({"model": "third", "input": "y", "previous_response_id": made.json()["id"]});
    let answer = ask(&only_alpha, &body);
    assert_eq!((answer.status, &*answer.code()), (400, "invalid_request"));
    let message = answer.json()["error"]["message"]
        .as_str()
        .map(str::to_owned);
    let message = message.expect("a message");
    assert!(
        message.contains("previous_response_id") && message.contains("beta"),
        "{message}"
    );
    // Where it does serve the model, it is asked.
    let body = json!({"model": "m", "input": "y", "previous_response_id": id});
    assert_eq!(by(&ask(&router, &body)), Some("beta"));
}

#[test]
fn a_restarted_router_asks_around_and_remembers_who_knew() {
    for field in ["previous_response_id", "item_reference"] {
        let (alpha, beta) = (Native::start("alpha"), Native::start("beta"));
        let router = both(&alpha, &beta, 1);
        let body = if field == "item_reference" {
            let reference = json!({"type": "item_reference", "id": "rs_beta_7"});
            json!({"model": "m", "input": [reference, {"role": "user", "content": "y"}]})
        } else {
            json!({"model": "m", "input": "y", "previous_response_id": "resp_beta_7"})
        };
        let answer = ask(&router, &body);
        assert_eq!((answer.status, by(&answer)), (200, Some("beta")), "{field}");
        assert_eq!(answer.header("x-infermux-attempts"), Some("2"));
        assert_eq!((alpha.seen().len(), beta.seen().len()), (1, 1));
        let answer = ask(&router, &body);
        assert_eq!((answer.status, by(&answer)), (200, Some("beta")), "{field}");
        assert_eq!((alpha.seen().len(), beta.seen().len()), (1, 2));
        assert_eq!(circuit(&router, "alpha"), "closed");
        let not_mine = metric(
            router.management(),
            "infermux_attempts_total",
            &["alpha", "not_mine"],
        );
        assert!((not_mine - 1.0).abs() < 0.1, "{not_mine}");
    }
}

#[test]
fn an_id_that_nobody_knows_is_refused_in_the_last_providers_words() {
    let (alpha, beta) = (Native::start("alpha"), Native::start("beta"));
    let router = both(&alpha, &beta, 1);
    let body = json!({"model": "m", "input": "y", "previous_response_id": "resp_gone"});
    let answer = ask(&router, &body);
    assert_eq!(
        (answer.status, &*answer.code()),
        (400, "previous_response_not_found")
    );
    assert_eq!((alpha.seen().len(), beta.seen().len()), (1, 1));
    assert_eq!(
        answer.header("x-infermux-error"),
        None,
        "it is the provider's error"
    );
}

#[test]
fn a_search_may_take_more_attempts_than_a_request_has() {
    let names = ["alpha", "bravo", "charlie", "delta", "echo", "foxtrot"];
    let natives = names.map(Native::start);
    let providers: Vec<String> = natives.iter().map(|one| one.provider(&[])).collect();
    let router = with(&providers, 1);
    let body = json!({"model": "m", "input": "y", "previous_response_id": "resp_foxtrot_1"});
    let answer = ask(&router, &body);
    assert_eq!(
        (answer.status, by(&answer)),
        (200, Some("foxtrot")),
        "{}",
        answer.text()
    );
}

#[test]
fn a_response_of_the_bridge_is_refused_at_once() {
    let alpha = Native::start("alpha");
    let router = with(&[alpha.provider(&[])], 1);
    let id = "resp_ifx_0123456789abcdef0123456789abcdef";
    let body = json!({"model": "m", "input": "x", "previous_response_id": id});
    let answer = ask(&router, &body);
    assert_eq!((answer.status, &*answer.code()), (400, "invalid_request"));
    assert!(
        answer.text().contains("previous_response_id"),
        "{}",
        answer.text()
    );
    assert_eq!(alpha.seen().len(), 0);
}

fn sealed(content: &str) -> Value {
    json!({"type": "reasoning", "id": "rs_x", "summary": [], "encrypted_content": content})
}

/// The sealed contents in the last request that a provider has seen.
fn contents(native: &Native) -> Vec<String> {
    let (_, body) = native.seen().pop().expect("a request");
    let items = body["input"].as_array().cloned().unwrap_or_default();
    let contents = items
        .iter()
        .filter_map(|item| item["encrypted_content"].as_str());
    contents.map(str::to_owned).collect()
}

#[test]
fn sealed_reasoning_goes_to_its_maker_and_is_left_out_elsewhere() {
    let (alpha, beta) = (Native::start("alpha"), Native::start("beta"));
    let router = both(&alpha, &beta, 1);
    let of_beta = made_by_beta(&router, false)["output"][0]["encrypted_content"].clone();
    let of_alpha = ask(&router, &json!({"model": "m", "input": "x"}));
    let of_alpha = of_alpha.json()["output"][0]["encrypted_content"].clone();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (of_alpha, of_beta) = (text(&of_alpha), text(&of_beta));

    // The last one decides, and what another one has made is left out.
    let body = json!({"model": "m", "store": false, "input": [
        {"role": "user", "content": "a"}, sealed(&of_alpha),
        {"role": "user", "content": "b"}, sealed(&of_beta),
        {"role": "user", "content": "c"},
    ]});
    let answer = ask(&router, &body);
    assert_eq!(
        (answer.status, by(&answer)),
        (200, Some("beta")),
        "{}",
        answer.text()
    );
    assert_eq!(contents(&beta), [&*of_beta]);

    // Without its maker, the request goes on without the reasoning.
    turn(&router, "beta", "open");
    let answer = ask(&router, &body);
    assert_eq!(
        (answer.status, by(&answer)),
        (200, Some("alpha")),
        "{}",
        answer.text()
    );
    assert_eq!(contents(&alpha), [&*of_alpha]);

    // What was compacted stands for all that was said before: nobody else can have it.
    let compacted = json!({"model": "m", "input": [
        {"type": "compaction", "id": "cmp_1", "encrypted_content": of_beta},
        {"role": "user", "content": "c"},
    ]});
    let answer = ask(&router, &compacted);
    assert_eq!(
        (answer.status, &*answer.code()),
        (400, "invalid_request"),
        "{}",
        answer.text()
    );
    assert!(answer.text().contains("input[0]"), "{}", answer.text());
    turn(&router, "beta", "close");
    assert_eq!(by(&ask(&router, &compacted)), Some("beta"));
}

#[test]
fn reasoning_that_nobody_can_open_is_left_out_once() {
    let (alpha, beta) = (Native::start("alpha"), Native::start("beta"));
    let body = json!({"model": "m", "store": false, "input": [
        {"role": "user", "content": "a"}, sealed("enc_gone"), {"role": "user", "content": "b"},
    ]});
    let router = both(&alpha, &beta, 1);
    let answer = ask(&router, &body);
    assert_eq!(
        (answer.status, by(&answer)),
        (200, Some("beta")),
        "{}",
        answer.text()
    );
    let seen: Vec<usize> = [&alpha, &beta].iter().map(|one| one.seen().len()).collect();
    assert_eq!(seen, [1, 2], "each is asked, and the last one again");
    assert!(contents(&beta).is_empty());

    // One that knows it serves it whole, and is asked first from then on.
    let known = json!({"model": "m", "store": false, "input": [
        {"role": "user", "content": "a"}, sealed("enc_beta_9"), {"role": "user", "content": "b"},
    ]});
    for asked in [2, 2] {
        assert_eq!(by(&ask(&router, &known)), Some("beta"));
        assert_eq!(contents(&beta), ["enc_beta_9"]);
        assert_eq!(alpha.seen().len(), asked);
    }

    // A single provider is asked again, too, also where a helper thread looks for the reasoning.
    let alone = Native::start("alone");
    let router = with(&[alone.provider(&[])], 1);
    let mut large = body.clone();
    large["input"][0]["content"] = json!("x".repeat(2 << 20));
    for (body, asked) in [(&body, 2), (&large, 4)] {
        let answer = ask(&router, body);
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(alone.seen().len(), asked);
        assert!(contents(&alone).is_empty());
    }
}
