//! What benches, tests and the simulation use of the rooms.
//!
//! It is no interface: it changes with them, and nothing else may use it. Each name stands below
//! the modules that it has in its room.

pub mod readers;

pub mod base {
    pub mod digest {
        pub use crate::base::digest::Digest;
    }
    pub mod endpoint {
        pub use crate::base::endpoint::{Dialect, Endpoint};
    }
    pub mod fingerprint {
        pub use crate::base::fingerprint::Fingerprint;
    }
    pub mod ids {
        pub use crate::base::ids::{BudgetId, ProviderId, RouteId, ScopeId, ShardId, Subject};
    }
    pub mod limits {
        pub use crate::base::limits::ROWS_KEPT_MAX;
    }
    pub mod money {
        pub use crate::base::money::{NanoUsd, Price};
    }
    pub mod month {
        pub use crate::base::month::Month;
    }
    pub mod period {
        pub use crate::base::period::{Per, Period, PeriodTag};
    }
    pub mod random {
        pub use crate::base::random::Random;
    }
    pub mod secret {
        pub use crate::base::secret::Secret;
    }
    pub mod spent {
        pub use crate::base::spent::Spent;
    }
    pub mod time {
        pub use crate::base::time::{Instant, WallTime};
    }
    pub mod tokens {
        pub use crate::base::tokens::{Counts, Tokens};
    }
}
pub mod cli {
    pub mod flags {
        pub use crate::cli::flags::Arguments;
    }
}
pub mod config {
    pub use crate::config::{Environment, Lookup, Options, Strictness, load};
    pub mod plan {
        pub use crate::config::plan::{Auth, Plan, Provider};
    }
    pub mod account_seats {
        pub use crate::config::account_seats::{AccountSeats, FreshAccounts, SeatedAccounts};
    }
    pub mod accounts {
        pub use crate::config::accounts::{Account, Accounts};
    }
    pub mod keyring {
        pub use crate::config::keyring::{CallerKey, Keyring, Team};
    }
    pub mod scope {
        pub use crate::config::scope::{Allowance, Budget, BudgetAction, Limits, Scope};
    }
    pub mod prices {
        pub use crate::config::prices::PriceTable;
    }
    pub mod raw {
        pub use crate::config::raw::Node;
        pub mod keys {
            pub use crate::config::raw::keys::{Kind, all};
        }
        pub mod schema {
            pub use crate::config::raw::schema::schema;
        }
        pub mod yaml {
            pub use crate::config::raw::yaml::parse;
        }
    }
    pub mod seats {
        pub use crate::config::seats::Seats;
    }
}
pub mod coordinator {
    pub mod opening {
        pub use crate::coordinator::opening::Opening;
    }
    pub mod run {
        pub use crate::coordinator::run::Coordinator;
    }
    pub mod time {
        pub use crate::coordinator::time::Time;
    }
}
pub mod decide {
    pub mod affinity {
        pub use crate::decide::affinity::{Key, Seats};
    }
    pub mod breaker {
        pub use crate::decide::breaker::Breaker;
    }
    pub mod budget {
        pub use crate::decide::budget::{
            Admission, Ask, Capped, Share, Standing, admit, share_of_unstoppable,
        };
    }
    pub mod circuit {
        pub use crate::decide::circuit::{End, Permit, Reason, ResponseTime, State, Transition};
    }
    pub mod eligible {
        pub use crate::decide::eligible::Eligible;
    }
    pub mod failover {
        pub use crate::decide::failover::Grant;
    }
    pub mod limiter {
        pub use crate::decide::limiter::Window60;
    }
    pub mod outcome {
        pub use crate::decide::outcome::{
            ConnectFault, Failure, KeyOwner, Next, Outcome, Sample, Signal, Verdict, Waiting,
        };
    }
    pub mod policy {
        pub use crate::decide::policy::BreakerPolicy;
    }
    pub mod pricing {
        pub use crate::decide::pricing::{Row, cost};
    }
    pub mod room {
        pub use crate::decide::room::too_small;
    }
    pub mod rotation {
        pub use crate::decide::rotation::Rotation;
    }
    pub mod strategy {
        pub use crate::decide::strategy::{Choice, Strategy, choose};
    }
}
pub mod dialect {
    pub mod answers {
        pub use crate::dialect::answers::{AnswerPlan, write};
    }
    pub mod chat {
        pub use crate::dialect::chat::inspect::inspect;
    }
    pub mod ask {
        pub use crate::dialect::ask::{RequestEdits, edit_request, read_ask};
    }
    pub mod request {
        pub use crate::dialect::chat::lessons::Keys;
        pub use crate::dialect::chat::write_prompt::{Host, Stream};
        pub use crate::dialect::request::{Destination, Received, write};
        pub use crate::dialect::responses::remembered::Nothing;
    }
    pub mod shell {
        pub use crate::dialect::shell::Shell;
        pub use crate::dialect::shell::plan::{IncludeUsage, StreamPlan, UsageChunk, Wanted};
    }
}
pub mod exchange {
    pub mod auth {
        pub use crate::exchange::auth::Credential;
    }
    pub mod answer_head {
        pub use crate::exchange::answer_head::{AnswerHead, HeadEnd, JSON, PassedOn, length};
    }
    pub mod attribution {
        pub use crate::exchange::attribution::{Attribution, Label};
    }
    pub mod callers {
        pub use crate::exchange::callers::{Callers, SharedCallers};
    }
    pub mod course {
        pub use crate::exchange::course::{Action, Course, Injection, Later, Part, Release, Try};
    }
    pub mod overrides {
        pub use crate::exchange::overrides::Overrides;
    }
    pub mod recent_keys {
        pub use crate::exchange::recent_keys::RecentKeys;
    }
    pub mod scopes {
        pub use crate::exchange::scopes::Scopes;
    }
    pub mod headers {
        pub use crate::exchange::headers::{Added, Totals, add};
    }
    pub mod inbound {
        pub use crate::exchange::inbound::Crossing;
    }
    pub mod masks {
        pub use crate::exchange::masks::OwnMasks;
    }
    pub mod outbound {
        pub use crate::exchange::outbound::{Outbound, Prefixes};
    }
    pub mod refusal {
        pub use crate::exchange::refusal::{Connection, TABLE};
    }
    pub mod request {
        pub use crate::exchange::request::Request;
    }
    pub mod route {
        pub use crate::exchange::route::{route, survey};
    }
    pub mod version {
        pub use crate::exchange::version::Version;
    }
}
pub mod ledger {
    pub mod books {
        pub use crate::ledger::books::Books;
    }
    pub mod shares {
        pub use crate::ledger::shares::Shares;
        pub use crate::ledger::shares::message::{
            Ask, AskAnswer, Batch, COUNT_MAX, Granted, Hello, HelloAnswer, Member, Reply, Welcome,
            namespace_key, quota_key,
        };
        pub use crate::ledger::shares::quota::{
            Identity, Kept, Kind, Measure, News, OnLoss, Pace, Quota, ShareId, Short, Standing,
            State, Words,
        };
        pub use crate::ledger::shares::scripts;
    }
    pub mod state {
        pub use crate::ledger::state::State;
    }
    pub mod terms {
        pub use crate::ledger::terms::Terms;
    }
    pub mod totals {
        pub use crate::ledger::totals::Totals;
    }
}
pub mod link {
    pub mod lease {
        pub use crate::link::lease::Lease;
    }
    pub mod pause {
        pub use crate::link::pause::Pause;
    }
    pub mod budget_gate {
        pub use crate::link::budget_gate::{BudgetGate, Reserved};
    }
    pub mod scope_gate {
        pub use crate::link::scope_gate::{
            DayEnd, LimitMode, ScopeGate, ScopeLeft, ScopeLimit, ScopeLimits, ScopeTaken,
        };
    }
    pub mod caller_gates {
        pub use crate::link::caller_gates::CallerGates;
    }
    pub mod buffered {
        pub use crate::link::buffered::{Held, Lease, Pool};
    }
    pub mod facts {
        pub use crate::link::facts::{
            Admitted, Ended, Fact, Left, MonthTag, SUCCESSES_WITHIN, Sample, SampleKind, Success,
            Successes,
        };
    }
    pub mod gathered {
        pub use crate::link::gathered::Gathered;
    }
    pub mod gate {
        pub use crate::link::gate::{Audience, ConnectionsMax, Gates};
    }
    pub mod held {
        pub use crate::link::held::{HeldBudget, HeldLimits};
    }
    pub mod latest {
        pub use crate::link::latest::Latest;
    }
    pub mod meters {
        pub use crate::link::meters::{Kept, LoopMeter, Priced, channel};
    }
    pub mod orders {
        pub use crate::link::orders::{Circuit, Health};
    }
    pub mod progress {
        pub use crate::link::progress::Progress;
    }
    pub mod provider_gate {
        pub use crate::link::provider_gate::{Limits, ProviderGate, Standing, Taken};
    }
    pub mod queue {
        pub use crate::link::queue::queue;
    }
    pub mod reports {
        pub use crate::link::reports::{
            Ask, Batch, ByHand, Inbox, Lacking, Message, Question, Reply, channel_of,
        };
    }
    pub mod states {
        pub use crate::link::states::{Received, StateReceiver, channel};
    }
}
pub mod report {
    pub mod access_line {
        pub use crate::report::access_line::{Access, Counted, access_line};
    }
    pub mod escape {
        pub use crate::report::escape::acts;
    }
    pub mod line {
        pub use crate::report::line::{Format, Level, Lines, Timestamps};
    }
    pub mod metrics {
        pub use crate::report::metrics::{Kind, ROWS, Row};
    }
    pub mod usage_record {
        pub use crate::report::usage_record::{ROWS, Row};
    }
}
pub mod shard {
    pub mod request {
        pub mod pass {
            pub use crate::shard::request::pass::{Bill, By, Pass, Stopped, Wanted};
        }
        pub mod permit {
            pub use crate::shard::request::permit::Permit;
        }
    }
    pub mod state {
        pub mod desk {
            pub use crate::shard::state::desk::{Desk, Report};
        }
        pub mod meters {
            pub use crate::shard::state::meters::{Meters, SeriesKey};
        }
        pub mod reports {
            pub use crate::shard::state::reports::{ENFORCE_POLLS, Reports};
        }
    }
}
pub mod wire {
    pub mod body {
        pub use crate::wire::body::BodyDecoder;
    }
    pub mod chunked {
        pub use crate::wire::chunked::{Piece, write_chunk_head};
    }
    pub mod head {
        pub use crate::wire::head::{Asked, Framing, Head};
    }
    pub mod retry_after {
        pub use crate::wire::retry_after::used_up;
    }
}
