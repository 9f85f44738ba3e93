//! The only list of all metrics: their names, meanings and labels.

pub use crate::report::family::{Family, Kind};

/// The description of a metric.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The metric.
    pub family: Family,
    /// Its name.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// Its meaning, in a sentence.
    pub help: &'static str,
}

/// All metrics, in the order in which they are shown: the only list of them.
pub const ROWS: [Row; 61] = [
    Row {
        family: Family::Requests,
        name: "infermux_requests_total",
        kind: Kind::Counter,
        labels: &["provider", "model", "status"],
        help: "Requests of callers that have ended, by the status of the answer; 499 stands for \
               a caller that hung up.",
    },
    Row {
        family: Family::Errors,
        name: "infermux_errors_total",
        kind: Kind::Counter,
        labels: &["code"],
        help: "Errors that infermux itself answered callers with.",
    },
    Row {
        family: Family::Latency,
        name: "infermux_latency_seconds",
        kind: Kind::Histogram,
        labels: &["provider", "model"],
        help: "Providers' response times: to the end of an answer, or to the first \
               content of a stream.",
    },
    Row {
        family: Family::FirstToken,
        name: "infermux_time_to_first_token_seconds",
        kind: Kind::Histogram,
        labels: &["provider", "model"],
        help: "Providers' times to the first content of a stream.",
    },
    Row {
        family: Family::Overhead,
        name: "infermux_overhead_seconds",
        kind: Kind::Histogram,
        labels: &[],
        help: "Time that infermux itself added to answers: all of it except waits for providers.",
    },
    Row {
        family: Family::Tokens,
        name: "infermux_tokens_total",
        kind: Kind::Counter,
        labels: &["provider", "model", "type"],
        help: "Tokens used, by kind: input, cache_read, cache_write, output.",
    },
    Row {
        family: Family::Cost,
        name: "infermux_cost_usd_total",
        kind: Kind::Counter,
        labels: &["provider", "model"],
        help: "Cost of requests, as stated to callers, in US dollars.",
    },
    Row {
        family: Family::FailedCost,
        name: "infermux_failed_attempt_cost_usd_total",
        kind: Kind::Counter,
        labels: &["provider", "model"],
        help: "Cost of attempts that failed after their provider had begun to answer, in US \
               dollars. It is not stated to callers, and no budget is charged.",
    },
    Row {
        family: Family::Estimated,
        name: "infermux_usage_estimated_total",
        kind: Kind::Counter,
        labels: &["provider", "model"],
        help: "Requests whose tokens were estimated, because the provider did not say.",
    },
    Row {
        family: Family::Unpriced,
        name: "infermux_unpriced_requests_total",
        kind: Kind::Counter,
        labels: &["provider", "model"],
        help: "Requests counted at no cost because the model's price is not known.",
    },
    Row {
        family: Family::Attempts,
        name: "infermux_attempts_total",
        kind: Kind::Counter,
        labels: &["provider", "outcome"],
        help: "Attempts at providers that have ended, by outcome; abandoned stands for attempts \
               that infermux itself has ended.",
    },
    Row {
        family: Family::ParametersChanged,
        name: "infermux_parameters_changed_total",
        kind: Kind::Counter,
        labels: &["provider", "kind"],
        help: "Parameters of requests that rules of the file have changed: renamed, removed, given \
               by default or set.",
    },
    Row {
        family: Family::Failovers,
        name: "infermux_failovers_total",
        kind: Kind::Counter,
        labels: &["reason"],
        help: "Requests that went on to another provider, by the outcome at the one before.",
    },
    Row {
        family: Family::RetriesDenied,
        name: "infermux_retries_denied_total",
        kind: Kind::Counter,
        labels: &[],
        help: "Failed requests that another provider could have taken, but the retry budget was \
               used up.",
    },
    Row {
        family: Family::Affinity,
        name: "infermux_affinity_total",
        kind: Kind::Counter,
        labels: &["result"],
        help: "Requests on routes that keep conversations together: kept at the provider of their \
               conversation, moved to another one, or none where nothing told the conversation.",
    },
    Row {
        family: Family::Disconnects,
        name: "infermux_caller_disconnects_total",
        kind: Kind::Counter,
        labels: &[],
        help: "Callers that hung up before their answer had ended.",
    },
    Row {
        family: Family::InFlight,
        name: "infermux_in_flight_requests",
        kind: Kind::Gauge,
        labels: &["provider"],
        help: "Attempts at the provider that are under way.",
    },
    Row {
        family: Family::Connections,
        name: "infermux_connections",
        kind: Kind::Gauge,
        labels: &["side", "state"],
        help: "Open connections to callers, operators and providers: active with a request under \
               way, or idle.",
    },
    Row {
        family: Family::ProviderHealthy,
        name: "infermux_provider_healthy",
        kind: Kind::Gauge,
        labels: &["provider"],
        help: "1 where the provider has passed its last health check, else 0.",
    },
    Row {
        family: Family::ProviderTakenOut,
        name: "infermux_provider_taken_out",
        kind: Kind::Gauge,
        labels: &["provider"],
        help: "1 where an operator has taken the provider out of rotation, else 0.",
    },
    Row {
        family: Family::CircuitState,
        name: "infermux_circuit_state",
        kind: Kind::Gauge,
        labels: &["provider"],
        help: "The circuit: 0 closed (in service), 1 half-open, 2 open (out of service).",
    },
    Row {
        family: Family::CircuitTransitions,
        name: "infermux_circuit_transitions_total",
        kind: Kind::Counter,
        labels: &["provider", "to", "reason"],
        help: "Changes of circuits, by the new state and the reason.",
    },
    Row {
        family: Family::Headroom,
        name: "infermux_rate_limit_headroom",
        kind: Kind::Gauge,
        labels: &["provider", "kind"],
        help: "Requests and tokens that may still be sent within the rate limit's window.",
    },
    Row {
        family: Family::RateLimit,
        name: "infermux_rate_limit",
        kind: Kind::Gauge,
        labels: &["provider", "kind"],
        help: "Requests and tokens that a provider may be sent in a minute.",
    },
    Row {
        family: Family::BudgetSpent,
        name: "infermux_budget_spent_usd",
        kind: Kind::Gauge,
        labels: &["caller"],
        help: "Spend of a caller with a budget in the running month, in US dollars: of all \
               instances, where they share it.",
    },
    Row {
        family: Family::BudgetLimit,
        name: "infermux_budget_limit_usd",
        kind: Kind::Gauge,
        labels: &["caller"],
        help: "Monthly budget of a caller, in US dollars.",
    },
    Row {
        family: Family::BudgetAlerts,
        name: "infermux_budget_alerts_total",
        kind: Kind::Counter,
        labels: &["caller", "percent"],
        help: "How often a caller's spend has reached 100 percent of its budget, or 80 percent of \
               one that refuses nothing; each time was logged.",
    },
    Row {
        family: Family::BudgetRefusals,
        name: "infermux_budget_refusals_total",
        kind: Kind::Counter,
        labels: &["caller"],
        help: "Requests that a budget has refused for good, or served only with another model.",
    },
    Row {
        family: Family::ScopeLimit,
        name: "infermux_scope_limit",
        kind: Kind::Gauge,
        labels: &["scope", "name", "models", "limit"],
        help: "What a limit of a team, of a key, or of a key's models allows.",
    },
    Row {
        family: Family::ScopeLimitLeft,
        name: "infermux_scope_limit_left",
        kind: Kind::Gauge,
        labels: &["scope", "name", "models", "limit"],
        help: "What is left of such a limit.",
    },
    Row {
        family: Family::ScopeLimitRefused,
        name: "infermux_scope_limit_refused_total",
        kind: Kind::Counter,
        labels: &["scope", "name", "models", "limit"],
        help: "Requests that such a limit has refused.",
    },
    Row {
        family: Family::ScopeLimitExceeded,
        name: "infermux_scope_limit_exceeded_total",
        kind: Kind::Counter,
        labels: &["scope", "name", "models", "limit"],
        help: "Requests that were served although they exceeded a limit, since it has \
               `enforce: false`.",
    },
    Row {
        family: Family::ScopeBudgetLimit,
        name: "infermux_scope_budget_limit_usd",
        kind: Kind::Gauge,
        labels: &["scope", "name", "models", "per", "budget", "enforce"],
        help: "A budget of a team, of a key, or of a key's models, in US dollars.",
    },
    Row {
        family: Family::ScopeBudgetSpent,
        name: "infermux_scope_budget_spent_usd",
        kind: Kind::Gauge,
        labels: &["scope", "name", "models", "per", "budget", "enforce"],
        help: "Spend in such a budget's running period, in US dollars: of all instances, where \
               they share it.",
    },
    Row {
        family: Family::ScopeBudgetAlerts,
        name: "infermux_scope_budget_alerts_total",
        kind: Kind::Counter,
        labels: &["scope", "name", "models", "per", "budget", "percent"],
        help: "How often spend has reached 100 percent of such a budget, or 80 percent of one that \
               refuses nothing; each time was logged.",
    },
    Row {
        family: Family::ScopeBudgetRefusals,
        name: "infermux_scope_budget_refusals_total",
        kind: Kind::Counter,
        labels: &["scope", "name", "models", "per", "budget"],
        help: "Requests that such a budget has refused for good, or served only with another \
               model.",
    },
    Row {
        family: Family::StateWriteFailures,
        name: "infermux_state_write_failures_total",
        kind: Kind::Counter,
        labels: &[],
        help: "How often the state file could not be written.",
    },
    Row {
        family: Family::WebhookNotices,
        name: "infermux_webhook_notices_total",
        kind: Kind::Counter,
        labels: &["event", "outcome"],
        help: "Notices for webhooks that were sent, given up (failed), or dropped without room.",
    },
    Row {
        family: Family::ConfigReloads,
        name: "infermux_config_reloads_total",
        kind: Kind::Counter,
        labels: &["result"],
        help: "Reloads of the configuration, by result: success or failure.",
    },
    Row {
        family: Family::UsageRecords,
        name: "infermux_usage_records_total",
        kind: Kind::Counter,
        labels: &["result"],
        help: "Requests whose usage records were written, or dropped since too many waited or the \
               file could not be written.",
    },
    Row {
        family: Family::UsageWriteFailures,
        name: "infermux_usage_write_failures_total",
        kind: Kind::Counter,
        labels: &[],
        help: "How often usage records could not be written.",
    },
    Row {
        family: Family::Spans,
        name: "infermux_spans_total",
        kind: Kind::Counter,
        labels: &["result"],
        help: "Spans of traces, by what became of them: sent, dropped since too many waited, or \
               failed since the collector refused them or was away for too long.",
    },
    Row {
        family: Family::SharedState,
        name: "infermux_shared_state",
        kind: Kind::Gauge,
        labels: &["state"],
        help: "How the instance stands with the store over which limits and budgets are shared: 1 \
               at ok, learning, away or lost, 0 at the others.",
    },
    Row {
        family: Family::SharedMembers,
        name: "infermux_shared_members",
        kind: Kind::Gauge,
        labels: &[],
        help: "Instances that share limits and budgets and were heard of, this one included.",
    },
    Row {
        family: Family::SharedLag,
        name: "infermux_shared_lag_seconds",
        kind: Kind::Gauge,
        labels: &[],
        help: "How long the shared store took for its last answer.",
    },
    Row {
        family: Family::SharedExchanges,
        name: "infermux_shared_exchanges_total",
        kind: Kind::Counter,
        labels: &["result"],
        help: "What was said to the shared store, by result: answered or lost.",
    },
    Row {
        family: Family::ResponsesDropped,
        name: "infermux_responses_dropped_total",
        kind: Kind::Counter,
        labels: &["what"],
        help: "What was left out of requests to `/v1/responses`: reasoning that the provider \
               cannot open, references to what infermux has made, and, where the request is \
               translated, parameters, tools and items that the provider has no place for.",
    },
    Row {
        family: Family::ResponsesRemembered,
        name: "infermux_responses_remembered_bytes",
        kind: Kind::Gauge,
        labels: &[],
        help: "Bytes of items of translated answers that are remembered for callers of \
               `/v1/responses`, which `server.responses_memory` bounds.",
    },
    Row {
        family: Family::Buffered,
        name: "infermux_buffered_bytes",
        kind: Kind::Gauge,
        labels: &[],
        help: "Bytes of bodies in memory, which `server.max_buffered_bytes` bounds.",
    },
    Row {
        family: Family::ShardRequests,
        name: "infermux_shard_requests_total",
        kind: Kind::Counter,
        labels: &["shard"],
        help: "Callers' requests that ended on an event loop.",
    },
    Row {
        family: Family::ShardConnections,
        name: "infermux_shard_connections",
        kind: Kind::Gauge,
        labels: &["shard"],
        help: "Connections of callers and operators that an event loop serves.",
    },
    Row {
        family: Family::ShardCpu,
        name: "infermux_shard_cpu_seconds_total",
        kind: Kind::Counter,
        labels: &["shard"],
        help: "Processor time of an event loop's thread.",
    },
    Row {
        family: Family::ShardDelay,
        name: "infermux_shard_loop_delay_seconds",
        kind: Kind::Histogram,
        labels: &["shard"],
        help: "Delay of an event loop's 10-ms tick, while it had facts to report.",
    },
    Row {
        family: Family::ShardStalls,
        name: "infermux_shard_stalls_total",
        kind: Kind::Counter,
        labels: &["shard"],
        help: "How often an event loop was stuck in one step for 100 ms.",
    },
    Row {
        family: Family::BuildInfo,
        name: "infermux_build_info",
        kind: Kind::Gauge,
        labels: &["version"],
        help: "Always 1; the label is the version of infermux.",
    },
    Row {
        family: Family::ProcessCpu,
        name: "process_cpu_seconds_total",
        kind: Kind::Counter,
        labels: &[],
        help: "Processor time of the process, user and system.",
    },
    Row {
        family: Family::ProcessResident,
        name: "process_resident_memory_bytes",
        kind: Kind::Gauge,
        labels: &[],
        help: "Memory of the process that is in RAM.",
    },
    Row {
        family: Family::ProcessVirtual,
        name: "process_virtual_memory_bytes",
        kind: Kind::Gauge,
        labels: &[],
        help: "Address space of the process.",
    },
    Row {
        family: Family::ProcessOpenFiles,
        name: "process_open_fds",
        kind: Kind::Gauge,
        labels: &[],
        help: "Open file descriptors.",
    },
    Row {
        family: Family::ProcessMaxFiles,
        name: "process_max_fds",
        kind: Kind::Gauge,
        labels: &[],
        help: "File descriptors that the process may open.",
    },
    Row {
        family: Family::ProcessStart,
        name: "process_start_time_seconds",
        kind: Kind::Gauge,
        labels: &[],
        help: "When the process started, in seconds since the Unix epoch.",
    },
];

const _: () = {
    let mut place = 0;
    while place < ROWS.len() {
        assert!(
            ROWS[place].family as usize == place,
            "in the order of the enum"
        );
        place += 1;
    }
};

impl Family {
    /// The metric's description.
    #[must_use]
    pub const fn row(self) -> Row {
        ROWS[self as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_conventions() {
        for row in ROWS {
            let is_total = row.name.ends_with("_total");
            assert_eq!(is_total, row.kind == Kind::Counter, "{}", row.name);
            assert!(row.help.ends_with('.'), "{}", row.name);
            let ours = row.name.starts_with("infermux_") || row.name.starts_with("process_");
            assert!(ours, "{}", row.name);
        }
    }
}
