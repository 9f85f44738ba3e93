//! What a seed sets up: the configuration, the clocks, and how providers behave.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use infermux::testing::base::money::NanoUsd;
use infermux::testing::base::period::{Per, Period};
use infermux::testing::base::time::WallTime;
use infermux::testing::config::accounts::Accounts;
use infermux::testing::config::keyring::Keyring;
use infermux::testing::config::plan::{Auth, Plan};
use infermux::testing::config::{self, Environment, Options, Strictness};
use infermux::testing::decide::outcome::{ConnectFault, Failure, Outcome, Waiting};
use infermux::testing::ledger::state::State;

use crate::dice::Dice;

/// What a run begins with.
pub(crate) struct Scene {
    pub(crate) plan: Arc<Plan>,
    pub(crate) accounts: Arc<Accounts>,
    /// What the plan was made of.
    pub(crate) draft: Draft,
    pub(crate) shards: u16,
    /// Batches that wait for the coordinator at most, for each shard.
    pub(crate) room: usize,
    pub(crate) wall: WallTime,
    pub(crate) state: State,
    /// The mean pause between arrivals, in milliseconds.
    pub(crate) pace: u64,
    /// How long callers come and things go wrong.
    pub(crate) length: Duration,
}

/// How a provider behaves for a while.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mood {
    Well,
    Flaky,
    Dead,
    Silent,
    Busy,
    Slow,
}

/// What a provider does with one attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Script {
    /// When a stream's first content comes; from then on the attempt is committed.
    pub(crate) content: Option<Duration>,
    /// When it ends, from the first content on, or from the start.
    pub(crate) end: Duration,
    pub(crate) outcome: Outcome,
    /// What a 429 asks for.
    pub(crate) asked: Option<Duration>,
}

/// Nano-dollars for a token.
pub(crate) const PRICE: u64 = 1_000;

impl Scene {
    pub(crate) fn new(dice: &mut Dice) -> Self {
        let draft = Draft::new(dice);
        let plan = draft.plan();
        let length = dice.span(40_000, 150_000);
        let turn = Period::parse(dice.one_of(&TURNS)).expect("a day");
        let before = Duration::from_millis(dice.between(0, 200_000));
        let wall = turn.start().before(before);
        let accounts = accounts(&plan);
        Self {
            state: state(dice, &accounts, wall),
            accounts: Arc::new(accounts),
            plan: Arc::new(plan),
            draft,
            shards: u16::try_from(dice.between(1, 6)).unwrap_or(1),
            room: dice.one_of(&[1, 2, 4, 1_000]),
            wall,
            pace: dice.one_of(&[100, 200, 400]),
            length,
        }
    }
}

/// Days that begin within most runs: one of no week or month, one of a week, one of a month, and
/// one of both.
const TURNS: [&str; 4] = ["2026-11-18", "2026-11-30", "2026-12-01", "2027-02-01"];

/// The keys of a configuration.
pub(crate) fn ring(plan: &Plan) -> Keyring {
    match &plan.auth {
        Auth::Keys(listed) => Keyring::new(listed.keys.to_vec()).expect("no secret stands twice"),
        Auth::Passthrough | Auth::StaticKey(_) => Keyring::default(),
    }
}

/// The accounts of a configuration.
pub(crate) fn accounts(plan: &Plan) -> Accounts {
    Accounts::new(&ring(plan), &plan.teams, &plan.budgets)
}

/// What was spent and used before the start.
fn state(dice: &mut Dice, accounts: &Accounts, wall: WallTime) -> State {
    let mut state = State::default();
    for account in accounts.all() {
        for (_, budget) in &account.budgets {
            if dice.chance(300) {
                let spent = NanoUsd::new(dice.between(1, 20_000_000));
                let period = Period::of(budget.per, wall);
                state.add_spent_by(&account.scope, &[(period, spent)].into());
            }
        }
        if account.limits.is_some() && dice.chance(300) {
            let used = [dice.between(1, 50), dice.between(1, 30_000)];
            state.set_used_on(Period::of(Per::Day, wall), &account.scope, used);
        }
    }
    state
}

/// A configuration as its parts: some change, come and go with a reload.
#[derive(Clone)]
pub(crate) struct Draft {
    providers: Vec<(u64, String)>,
    teams: Vec<(u64, String)>,
    /// What stands behind the names and teams of the keys.
    keys: Vec<(u64, String)>,
    budgets: Vec<(u64, String)>,
    /// Number of the next of them.
    next: u64,
}

impl Draft {
    fn new(dice: &mut Dice) -> Self {
        let (providers, teams, keys) = (dice.between(1, 4), dice.between(0, 2), dice.between(0, 3));
        let budgets = dice.between(0, 2);
        Self {
            providers: (0..providers).map(|n| (n, provider(dice, n))).collect(),
            teams: (0..teams).map(|n| (n, team(dice, n))).collect(),
            keys: (0..keys).map(|n| (n, key(dice, n))).collect(),
            budgets: (0..budgets).map(|n| (n, budget(dice, n))).collect(),
            next: 4,
        }
    }

    /// The draft of another file.
    pub(crate) fn changed(&self, dice: &mut Dice) -> Self {
        let mut next = self.clone();
        change(dice, &mut next.providers, &mut next.next, provider);
        change(dice, &mut next.teams, &mut next.next, team);
        change(dice, &mut next.keys, &mut next.next, key);
        change(dice, &mut next.budgets, &mut next.next, budget);
        if next.providers.is_empty() {
            next.providers.clone_from(&self.providers);
        }
        next
    }

    pub(crate) fn plan(&self) -> Plan {
        let mut file = String::from("routing: {failover: {max_attempts: 3, deadline: 60s}}\n");
        file.push_str("providers:\n");
        file.extend(self.providers.iter().map(|(_, line)| line.as_str()));
        for (list, head) in [(&self.teams, "teams:\n"), (&self.budgets, "budgets:\n")] {
            file.push_str(if list.is_empty() { "" } else { head });
            file.extend(list.iter().map(|(_, line)| line.as_str()));
        }
        if !self.keys.is_empty() {
            file.push_str("auth:\n  mode: keys\n  keys:\n");
        }
        for (number, rest) in &self.keys {
            let hash = format!("{number:08x}").repeat(8);
            let _ = write!(file, "  - {{name: k{number}, hash: 'sha256:{hash}'");
            // The last of these places is that of no team.
            let teams = self.teams.len() + 1;
            let team = usize::try_from(*number).map_or(0, |number| number % teams);
            if let Some((team, _)) = self.teams.get(team) {
                let _ = write!(file, ", team: t{team}");
            }
            file.push_str(rest);
        }
        let options = Options {
            environment: Environment::Unresolved,
            strict: Strictness::Lenient,
        };
        let loaded = config::load(&file, &options);
        loaded.expect("a configuration without faults").plan
    }
}

/// Drops some of `all`, writes some anew, moves some elsewhere, and sometimes adds one.
fn change(
    dice: &mut Dice,
    all: &mut Vec<(u64, String)>,
    next: &mut u64,
    write: fn(&mut Dice, u64) -> String,
) {
    all.retain(|_| dice.chance(850));
    for (number, line) in all.iter_mut() {
        if dice.chance(500) {
            *line = write(dice, *number);
        }
        if dice.chance(100) {
            *line = line.replace(
                "type: ollama",
                "type: openai, base_url: 'http://127.0.0.1:1'",
            );
        }
    }
    if dice.chance(300) && all.len() < 6 {
        all.push((*next, write(dice, *next)));
        *next += 1;
    }
}

/// What a request may ask for, and what budgets put in its place.
pub(crate) const MODELS: [&str; 3] = ["a", "ab", "c"];

fn budget(dice: &mut Dice, number: u64) -> String {
    let (monthly, action) = (dice.between(500, 90_000), action(dice));
    format!("  - {{caller: c{number}, monthly_usd: 0.{monthly:06}, action: {action}}}\n")
}

fn action(dice: &mut Dice) -> &'static str {
    dice.one_of(&[
        "hard_stop",
        "hard_stop",
        "hard_stop, model_override: a",
        "model_override, model_override: ab",
        "model_override, model_override: c",
        "alert",
    ])
}

fn team(dice: &mut Dice, number: u64) -> String {
    format!("  - {{name: t{number}{}}}\n", allowance(dice, 800))
}

fn key(dice: &mut Dice, _: u64) -> String {
    let own = allowance(dice, 700);
    let mut models = Vec::new();
    for pattern in ["[a]", "['a*', c]"] {
        if dice.chance(400) {
            models.push(format!("{{models: {pattern}{}}}", allowance(dice, 1_000)));
        }
    }
    if models.is_empty() {
        return format!("{own}}}\n");
    }
    format!("{own}, per_model: [{}]}}\n", models.join(", "))
}

/// Limits, budgets or both, so many times in a thousand.
fn allowance(dice: &mut Dice, permille: u64) -> String {
    if !dice.chance(permille) {
        return String::new();
    }
    let which = dice.between(0, 3);
    let limits = if which == 0 {
        String::new()
    } else {
        limits(dice)
    };
    let budgets = if which == 1 {
        String::new()
    } else {
        budgets(dice)
    };
    limits + &budgets
}

fn limits(dice: &mut Dice) -> String {
    let mut all = String::new();
    for (name, (least, most)) in LIMITS {
        if dice.chance(300) {
            let _ = write!(all, "{name}: {}, ", dice.between(least, most));
        }
    }
    if all.is_empty() {
        let _ = write!(all, "max_in_flight: {}, ", dice.between(1, 6));
    }
    format!(", limits: {{{all}enforce: {}}}", !dice.chance(150))
}

const LIMITS: [(&str, (u64, u64)); 5] = [
    ("max_in_flight", (1, 6)),
    ("requests_per_minute", (3, 60)),
    ("tokens_per_minute", (500, 60_000)),
    ("requests_per_day", (10, 300)),
    ("tokens_per_day", (2_000, 200_000)),
];

fn budgets(dice: &mut Dice) -> String {
    let mut all = Vec::new();
    for _ in 0..dice.between(1, 3) {
        let (per, action) = (dice.one_of(&Per::ALL).name(), action(dice));
        let (usd, enforce) = (dice.between(500, 200_000), !dice.chance(150));
        all.push(format!(
            "{{usd: 0.{usd:06}, per: {per}, action: {action}, enforce: {enforce}}}"
        ));
    }
    format!(", budgets: [{}]", all.join(", "))
}

fn provider(dice: &mut Dice, number: u64) -> String {
    let mut file = String::new();
    let _ = write!(
        file,
        "  - {{name: p{number}, type: ollama, models: [a, ab, c]"
    );
    let _ = write!(file, ", timeout: {}ms", dice.between(2_000, 20_000));
    let (requests, tokens) = (dice.chance(600), dice.chance(600));
    if requests || tokens {
        file.push_str(", rate_limits: {");
        if requests {
            let limit = dice.between(8, 150);
            let _ = write!(file, "requests_per_minute: {limit}, ");
        }
        if tokens {
            let limit = dice.between(500, 60_000);
            let _ = write!(file, "tokens_per_minute: {limit}");
        }
        file.push('}');
    }
    if dice.chance(400) {
        let _ = write!(file, ", max_in_flight: {}", dice.between(1, 8));
    }
    let _ = write!(
        file,
        ", circuit_breaker: {{consecutive_failures: {}, min_requests: {}, recovery_window: {}ms, \
         probe_timeout: {}ms, recovery_backoff_multiplier: {}, recovery_backoff_max: 30s, \
         treat_rate_limit_as_error: {}}}}}",
        dice.between(1, 8),
        dice.between(5, 20),
        dice.between(200, 8_000),
        dice.between(200, 5_000),
        dice.one_of(&["1.0", "1.5", "2.0"]),
        dice.chance(200),
    );
    file.push('\n');
    file
}

impl Mood {
    pub(crate) fn any(dice: &mut Dice) -> Self {
        let moods = [
            Self::Well,
            Self::Well,
            Self::Well,
            Self::Well,
            Self::Flaky,
            Self::Dead,
            Self::Silent,
            Self::Busy,
            Self::Slow,
        ];
        dice.one_of(&moods)
    }

    /// What a provider in this mood does with an attempt; `timeout` is how long it is waited for.
    pub(crate) fn script(self, dice: &mut Dice, timeout: Duration) -> Script {
        let outcome = match self {
            Self::Well | Self::Slow => good_end(dice),
            Self::Flaky if dice.chance(500) => good_end(dice),
            Self::Flaky | Self::Dead => bad_end(dice),
            Self::Silent => Outcome::TimedOut(Waiting::Head),
            Self::Busy => Outcome::RateLimited,
        };
        let slow = matches!(self, Self::Slow);
        let end = match outcome {
            Outcome::TimedOut(_) => timeout,
            Outcome::Answered if slow => dice.span(500, 15_000).min(timeout),
            Outcome::StreamCut | Outcome::StreamStalled => dice.span(10, 60_000),
            _ => dice.span(1, 800),
        };
        let is_stream = matches!(outcome, Outcome::StreamCut | Outcome::StreamStalled)
            || outcome == Outcome::Answered && dice.chance(400);
        let content = is_stream.then(|| dice.span(5, if slow { 8_000 } else { 500 }));
        // Most streams are short; some outlive every window.
        let end = if is_stream && dice.chance(150) {
            dice.span(5_000, 150_000)
        } else {
            end
        };
        let asked = dice.chance(500).then(|| dice.span(100, 20_000));
        Script {
            content,
            end,
            outcome,
            asked,
        }
    }
}

fn good_end(dice: &mut Dice) -> Outcome {
    match dice.between(0, 99) {
        0 => Outcome::StaleConnection,
        1..3 => Outcome::RequestRefused(400),
        3 => Outcome::RateLimited,
        4 => bad_end(dice),
        5 => Outcome::Overflowed,
        _ => Outcome::Answered,
    }
}

fn bad_end(dice: &mut Dice) -> Outcome {
    dice.one_of(&[
        Outcome::ConnectFailed(ConnectFault::Refused),
        Outcome::ConnectFailed(ConnectFault::NoSocket),
        Outcome::Failed(Failure::Status(503)),
        Outcome::TimedOut(Waiting::Content),
        Outcome::StreamCut,
        Outcome::StreamStalled,
        Outcome::StaleConnection,
    ])
}
