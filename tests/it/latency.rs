//! `least_latency`: who counts as fast; and what is told of how long providers take.

use infermux_mock::Mock;
use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::operate::{get, provider_report};
use crate::support::router::Router;
use crate::support::{chat, config_of, eventually, mock, provider, streamed_chat};

/// Two providers under `least_latency` with these figures.
struct Race {
    alpha: Mock,
    beta: Mock,
    router: Router,
    caller: Client,
}

impl Race {
    fn new(figures: &str, fields: &[&str]) -> Self {
        let [alpha, beta] = ["alpha", "beta"].map(|name| mock(json!({"name": name})));
        let providers = [&alpha, &beta].map(|mock| provider(mock, fields));
        let rest = format!(
            "routing: {{strategy: least_latency, least_latency: {{{figures}}}, \
             failover: {{retry_budget: 10}}}}\n"
        );
        let router = Router::start(&config_of(&providers, &rest));
        // One connection, so that one shard has all samples.
        let caller = Client::connect(router.addr());
        Self {
            alpha,
            beta,
            router,
            caller,
        }
    }

    fn script(&self, alpha: Value, beta: Value) {
        self.alpha.set_script(alpha).expect("a script");
        self.beta.set_script(beta).expect("a script");
    }

    /// How many of the next `count` requests each of them gets.
    fn ask(&mut self, count: usize) -> (u64, u64) {
        self.alpha.reset();
        self.beta.reset();
        for _ in 0..count {
            assert_eq!(self.caller.chat(&chat("x")).status, 200);
            // What has ended is known to all shards when this is answered.
            provider_report(&self.router, "alpha");
        }
        (self.alpha.stats().requests, self.beta.stats().requests)
    }
}

#[test]
fn the_faster_one_is_preferred_once_both_are_known() {
    for samples in [1, 3] {
        let mut race = Race::new(&format!("min_samples: {samples}"), &[]);
        race.script(json!({"latency_ms": 80}), json!({"latency_ms": 1}));
        let each = samples as u64;
        assert_eq!(race.ask(2 * samples), (each, each), "both are explored");
        assert_eq!(race.ask(10), (0, 10));
        // Other shards know what one has seen.
        for _ in 0..8 {
            let answer = Client::connect(race.router.addr()).chat(&chat("x"));
            assert_eq!(answer.header("x-infermux-provider"), Some("beta"));
            assert_eq!(answer.header("x-infermux-strategy"), Some("least_latency"));
        }
    }
}

#[test]
fn the_share_of_each_sample_decides_how_soon_a_change_is_noticed() {
    for (decay, patience) in [("1.0", 1..=1), ("0.1", 3..=8)] {
        let mut race = Race::new(&format!("min_samples: 1, ewma_decay: {decay}"), &[]);
        race.script(json!({"latency_ms": 150}), json!({"latency_ms": 1}));
        assert_eq!(race.ask(2), (1, 1));
        race.script(json!({"latency_ms": 150}), json!({"latency_ms": 450}));
        let slow = (1..=20).find(|_| race.ask(1).0 == 1);
        let slow = slow.expect("alpha is the faster one") - 1;
        assert!(patience.contains(&slow), "{decay}: {slow} slow answers");
    }
}

#[test]
fn a_provider_that_fails_at_once_does_not_look_fast() {
    let mut race = Race::new("min_samples: 1", &[]);
    let answers = json!([500, 500, {"latency_ms": 250}, 500]);
    race.script(json!({"latency_ms": 60}), json!({"answers": answers}));
    // Until it has answered once it counts as unknown, and is asked first.
    let (alpha, beta) = race.ask(6);
    assert_eq!(beta, 3);
    assert_eq!(alpha, 5, "all but the one that beta answered");
    assert_eq!(race.ask(6), (6, 0), "its failures were no samples");
}

#[test]
fn a_provider_that_hangs_counts_as_slow_as_its_timeout() {
    let mut race = Race::new("min_samples: 1", &["timeout: 250ms"]);
    race.script(
        json!({"latency_ms": 60}),
        json!({"answers": ["stall_before_head", "ok"]}),
    );
    let (_, beta) = race.ask(3);
    assert_eq!(beta, 1);
    assert_eq!(race.ask(6), (6, 0));
}

/// The percentile by nearest rank.
fn exact(sorted: &[f64], percent: usize) -> f64 {
    sorted[(sorted.len() * percent).div_ceil(100) - 1]
}

#[test]
fn percentiles_are_right_to_two_percent() {
    for stream in [false, true] {
        let script = |millis: u64| json!({"latency_ms": millis, "ttft_ms": millis});
        let alpha = mock(script(50));
        let router = Router::start(&config_of(&[provider(&alpha, &[])], ""));
        let mut caller = Client::connect(router.addr());
        let body = if stream {
            streamed_chat("x")
        } else {
            chat("x")
        };
        // Of a hundred answers, 90 take 50 ms and a little, and the others twice as long. Each
        // tells how long its provider took, without the rest of its last millisecond.
        let mut millis: Vec<f64> = Vec::new();
        for number in 0..100 {
            if number == 90 {
                alpha.set_script(script(100)).expect("a script");
            }
            let answer = caller.chat(&body);
            assert_eq!(answer.status, 200);
            let told = answer.header("x-infermux-latency-ms").expect("a latency");
            millis.push(told.parse().expect("milliseconds"));
        }
        millis.sort_by(f64::total_cmp);
        let is_right = |found: f64, percent: usize| {
            let least = exact(&millis, percent);
            found > 0.98 * least && found < 1.02 * (least + 1.0)
        };
        let mut told = Value::Null;
        eventually("all are counted", || {
            told = get(router.management(), "/_infermux/latency").json();
            told["latency"]["count"] == 100
        });
        let series = &told["series"][0];
        assert_eq!(series["model"], "m");
        let kinds: &[&Value] = if stream {
            &[&told["latency"], &series["latency"], &series["first_token"]]
        } else {
            &[&told["latency"], &series["latency"]]
        };
        for kind in kinds {
            assert_eq!(kind["count"], 100);
            for (name, percent) in [("p50_ms", 50), ("p95_ms", 95), ("p99_ms", 99)] {
                let found = kind[name].as_f64().expect("ms");
                assert!(is_right(found, percent), "{name}: {found}, {millis:?}");
            }
        }
        let own = get(router.management(), "/_infermux/providers").json();
        let p95 = own[0]["p95_latency_ms"].as_f64().expect("ms");
        assert!(is_right(p95, 95), "{p95}, {millis:?}");
        assert_eq!(told["overhead"]["count"], 100);
        let none = &series["first_token"];
        assert_eq!(none["p50_ms"].is_null(), !stream, "{none}");
    }
}

#[test]
fn prometheus_gets_buckets_of_the_root_of_two() {
    let alpha = mock(json!({"latency_ms": 20}));
    let router = Router::start(&config_of(&[provider(&alpha, &[])], ""));
    assert_eq!(Client::connect(router.addr()).chat(&chat("x")).status, 200);
    let text = get(router.management(), "/_infermux/metrics").text();
    for (family, least) in [
        ("infermux_latency_seconds", 0.004),
        ("infermux_overhead_seconds", 0.000_003_906),
    ] {
        let name = format!("{family}_bucket{{");
        let bounds: Vec<f64> = text
            .lines()
            .filter(|line| line.starts_with(&name))
            .filter_map(|line| line.split("le=\"").nth(1)?.split('"').next()?.parse().ok())
            .filter(|bound: &f64| bound.is_finite())
            .collect();
        assert_eq!((bounds.len(), bounds[0]), (33, least), "{bounds:?}");
        for pair in bounds.windows(2) {
            let ratio = pair[1] / pair[0];
            assert!((ratio - 2.0_f64.sqrt()).abs() < 0.001, "{pair:?}");
        }
    }
}
