//! The configuration that steps work with.

use infermux::testing::config::plan::Plan;
use infermux::testing::config::{self, Environment, Options, Strictness};

/// A Plan of `providers` that serve the same models and have limits, and of this many budgets.
pub(crate) fn of(providers: u16, budgets: u32) -> Plan {
    let mut text = "listen: \"127.0.0.1:0\"\nproviders:\n".to_owned();
    for number in 0..providers {
        text += &format!(
            "  - {{name: p{number}, type: openai, base_url: \"http://127.0.0.1:9\", \
             models: [gpt-4o-mini, gpt-4o], max_in_flight: 100000, \
             rate_limits: {{requests_per_minute: 1000000000, \
             tokens_per_minute: 1000000000000}}}}\n"
        );
    }
    text += "circuit_breaker: {consecutive_failures: 1000000000, min_requests: 1000000000}\n";
    text += "budgets:\n";
    for number in 0..budgets {
        text += &format!("  - {{caller: team-{number}, monthly_usd: 1000000}}\n");
    }
    let options = Options {
        environment: Environment::Unresolved,
        strict: Strictness::Strict,
    };
    let loaded = config::load(&text, &options);
    loaded
        .map_err(|rejected| format!("{:?}", rejected.faults()))
        .expect("a good file")
        .plan
}
