//! Tests of `webhooks`: what is read, and every fault with its line.

use crate::base::notice::Event;
use crate::base::secret::Secret;
use crate::config::webhook::Format;
use crate::config::{self, Environment, Loaded, Lookup, Options, Strictness};

fn load(webhooks: &str, variables: fn(&str) -> Option<String>) -> Result<Loaded, String> {
    let lookup = Lookup {
        variable: &variables,
        file: &|_| Err(String::from("no file")),
    };
    let options = Options {
        environment: Environment::Lookup(lookup),
        strict: Strictness::Lenient,
    };
    let text = format!("providers: [{{name: a, type: ollama}}]\nwebhooks:\n{webhooks}\n");
    config::load(&text, &options).map_err(|rejected| {
        let faults = rejected.faults().iter().map(ToString::to_string);
        faults.collect::<Vec<_>>().join("\n")
    })
}

#[test]
fn a_webhook_is_told_everything_as_json_unless_the_file_says_otherwise() {
    let loaded = load(
        "  - {url: 'https://a.example/x', secret: s}\n  \
           - {url: 'https://b.example/y', format: slack, events: [unpriced, budget, unpriced]}",
        |_| None,
    );
    let loaded = loaded.expect("a good file");
    assert!(loaded.warnings.is_empty());
    let [first, second] = &*loaded.plan.webhooks else {
        panic!("two webhooks");
    };
    assert_eq!((first.format, first.events.len()), (Format::Json, 6));
    assert_eq!(first.secret.as_ref().map(Secret::expose), Some("s"));
    assert_eq!(second.format, Format::Slack);
    assert_eq!(*second.events, [Event::Unpriced, Event::Budget]);
    assert!(second.secret.is_none() && second.proxy.is_none());
}

#[test]
fn a_proxy_of_the_environment_leads_to_a_webhook() {
    let proxied = load("  - {url: 'https://a.example/x', secret: s}", |name| {
        (name == "HTTPS_PROXY").then(|| "http://proxy.example:3128".to_owned())
    });
    let plan = proxied.expect("a good file").plan;
    assert_eq!(plan.webhooks[0].first_stop(), ("proxy.example", 3_128));
}

#[test]
fn every_fault_has_its_line_and_no_url_is_told() {
    for (webhooks, expected) in [
        (
            "  - {format: slack}",
            "line 3: webhooks[0].url: is required",
        ),
        (
            "  - url: 'https://a.example/hunter2'",
            "line 3: webhooks[0].secret: is required where `format` is `json`",
        ),
        (
            "  - url: 'https://me:hunter2@a.example/'\n    format: slack",
            "line 3: webhooks[0].url: the value has a user name or password, which webhooks do \
             not have",
        ),
        (
            "  - {url: 'https://a.example/', format: slack, events: [budgets]}",
            "line 3: webhooks[0].events[0]: `budgets` is not one of budget, circuit, \
             provider_down, state_not_written, unpriced, shared_state, did you mean `budget`?",
        ),
        (
            "  - {url: 'https://a.example/', format: slack, events: []}",
            "line 3: webhooks[0].events: is empty: leave it out for all of them",
        ),
        (
            "  - {url: 'https://a.example/hunter2', format: slack}\n  \
               - {url: 'https://A.example:443/hunter2', secret: s}",
            "line 4: webhooks[1].url: another webhook has the same URL",
        ),
    ] {
        let found = load(webhooks, |_| None).err().expect("a fault");
        assert_eq!(found, expected);
        assert!(!found.contains("hunter2"));
    }
    let many = "  - {url: 'https://a.example/', format: slack}\n".repeat(17);
    let found = load(&many, |_| None).err().expect("a fault");
    assert_eq!(found, "line 2: webhooks: there are more than 16 webhooks");
}

#[test]
fn what_leaves_the_own_network_should_be_encrypted() {
    let loaded = load(
        "  - {url: 'http://pager/x', secret: s}\n  - {url: 'http://a.example/x', secret: s}",
        |_| None,
    );
    let warnings = loaded.expect("a good file").warnings;
    let told: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    let expected = "line 4: webhooks[1].url: is not encrypted, and leads out of the own network";
    assert_eq!(told, [expected]);
}
