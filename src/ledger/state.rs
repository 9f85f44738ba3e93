//! The state that survives a restart, to and from JSON.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::base::money::NanoUsd;
use crate::base::month::Month;
use crate::base::period::{Per, Period};
use crate::base::spent::Spent;
use crate::config::scope::Scope;
use crate::ledger::timeline::Timeline;
use crate::link::meters::Party;

/// The durable part of the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// By scope and period, what was spent; scopes that no longer have a budget included.
    spent: BTreeMap<Scope, BTreeMap<Period, NanoUsd>>,
    /// By day and scope, requests made and tokens used, where these are limited.
    days: BTreeMap<Period, BTreeMap<Scope, [u64; 2]>>,
    /// By month, what all callers together have spent.
    months: BTreeMap<Month, MonthState>,
    /// By minute since 1970, what was spent.
    minutes: Vec<(u64, Spent)>,
    /// By hour since 1970, what was spent.
    hours: Vec<(u64, Spent)>,
    /// The name under which other instances know this one, where it shares limits with any.
    instance: Option<Box<str>>,
}

/// What was spent in one month; its parts are known for the latest month only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MonthState {
    /// All together.
    pub all: Spent,
    /// By provider and model.
    pub series: Vec<(Box<str>, Box<str>, Spent)>,
    /// By place of the party.
    pub parties: [Vec<(Box<str>, Spent)>; Party::ALL.len()],
}

/// Why a text is no state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateFault {
    /// The text ends before the state is complete.
    #[error("it is cut off at line {line}, column {column}")]
    CutOff {
        /// Where it ends.
        line: usize,
        /// Where it ends.
        column: usize,
    },
    /// The text is no JSON, or no state.
    #[error("{0}")]
    Corrupt(String),
    /// Another version has written it.
    #[error("it has version {0}, and this infermux reads version {VERSION}")]
    Version(u64),
    /// A key is no month.
    #[error("`{0}` is not a month like `2026-03`")]
    Month(String),
    /// A key is no day.
    #[error("`{0}` is not a day like `2026-03-31`")]
    Day(String),
    /// A key is no period.
    #[error("`{0}` is not a month like `2026-03`, a day like `2026-03-31`, a week or `total`")]
    Period(String),
}

/// How many days, weeks and months the state keeps the spend of a scope that has no budget any
/// more.
const PERIODS_OF_FORMER_SCOPES: u32 = 12;

/// Whether a text can be an instance's name.
fn is_name(id: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=64).contains(&id.len()) && id.bytes().all(fits)
}

/// The version of the format.
const VERSION: u64 = 1;

/// Kind, name, models, and by period what was spent.
type ScopeRow = (Kind, Box<str>, Box<str>, Unique<u64>);

/// The text's structure, except values that have another type in Rust.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u64,
    callers: Unique<Unique<u64>>,
    /// What scopes that are no callers have spent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    scopes: Vec<ScopeRow>,
    /// By day, kind, name and models of scopes with limits per day, requests made and tokens used.
    #[serde(default, skip_serializing_if = "Unique::is_empty")]
    days: Unique<DayFile>,
    months: Unique<MonthFile>,
    /// By minute since 1970.
    #[serde(default)]
    minutes: Vec<(u64, Figures)>,
    /// By hour since 1970.
    #[serde(default)]
    hours: Vec<(u64, Figures)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    instance: Option<Box<str>>,
}

/// Of which kind a scope is.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Team,
    Key,
    KeyModels,
    Caller,
}

impl Kind {
    /// A scope's kind, its name, and its models, which only a [`Scope::KeyModels`] has.
    fn of(scope: &Scope) -> (Self, Box<str>, Box<str>) {
        let (kind, name, models) = match scope {
            Scope::Team(name) => (Self::Team, name, None),
            Scope::Key(name) => (Self::Key, name, None),
            Scope::KeyModels { key, models } => (Self::KeyModels, key, Some(models)),
            Scope::Caller(name) => (Self::Caller, name, None),
        };
        (kind, name.clone(), models.cloned().unwrap_or_default())
    }

    fn scope(self, name: Box<str>, models: Box<str>) -> Scope {
        match self {
            Self::Team => Scope::Team(name),
            Self::Key => Scope::Key(name),
            Self::KeyModels => Scope::KeyModels { key: name, models },
            Self::Caller => Scope::Caller(name),
        }
    }
}

/// One month.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MonthFile {
    all: Figures,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    models: Vec<(Box<str>, Box<str>, Figures)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    callers: Vec<(Box<str>, Figures)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    projects: Vec<(Box<str>, Figures)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    envs: Vec<(Box<str>, Figures)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    keys: Vec<(Box<str>, Figures)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    teams: Vec<(Box<str>, Figures)>,
}

/// Nano-dollars, requests, prompt tokens and completion tokens: four numbers in a row, since there
/// may be ten thousand such rows.
#[derive(Serialize, Deserialize)]
struct Figures(u64, u64, u64, u64);

impl From<Spent> for Figures {
    fn from(spent: Spent) -> Self {
        Self(
            spent.cost.get(),
            spent.requests,
            spent.prompt_tokens,
            spent.completion_tokens,
        )
    }
}

impl From<Figures> for Spent {
    fn from(Figures(cost, requests, prompt_tokens, completion_tokens): Figures) -> Self {
        Self {
            cost: NanoUsd::new(cost),
            requests,
            prompt_tokens,
            completion_tokens,
        }
    }
}

/// The member that every version has.
#[derive(Deserialize)]
struct Versioned {
    version: u64,
}

impl State {
    /// Reads a text.
    ///
    /// # Errors
    ///
    /// The text was not written by [`Self::to_json`].
    pub fn parse(text: &str) -> Result<Self, StateFault> {
        // The version comes first: the members of a later version are not to be judged here.
        let Versioned { version } = serde_json::from_str(text).map_err(fault)?;
        if version != VERSION {
            return Err(StateFault::Version(version));
        }
        let file: File = serde_json::from_str(text).map_err(fault)?;
        let mut state = Self::default();
        for (caller, spent) in file.callers.0 {
            state
                .spent
                .insert(Scope::Caller(caller.into()), periods(spent)?);
        }
        for (kind, name, models, spent) in file.scopes {
            state
                .spent
                .insert(kind.scope(name, models), periods(spent)?);
        }
        for (name, scopes) in file.days.0 {
            let used = scopes.into_iter();
            let used = used.map(|(kind, name, models, requests, tokens)| {
                (kind.scope(name, models), [requests, tokens])
            });
            state.days.insert(day(name)?, used.collect());
        }
        for (name, kept) in file.months.0 {
            state.months.insert(month(&name)?, kept.into());
        }
        let span = |(number, figures): (u64, Figures)| (number, figures.into());
        state.minutes = file.minutes.into_iter().map(span).collect();
        state.hours = file.hours.into_iter().map(span).collect();
        state.instance = file.instance.filter(|id| is_name(id));
        Ok(state)
    }

    /// The state as text: the same state gives the same bytes.
    ///
    /// # Errors
    ///
    /// None that this type can cause.
    pub fn to_json(&self) -> serde_json::Result<String> {
        let (mut callers, mut scopes) = (BTreeMap::new(), Vec::new());
        for (scope, spent) in &self.spent {
            let spent = spent.iter();
            let spent = spent.map(|(period, nano)| (period.to_string(), nano.get()));
            let spent = Unique(spent.collect());
            let (kind, name, models) = Kind::of(scope);
            match kind {
                Kind::Caller => {
                    callers.insert(name.into(), spent);
                }
                Kind::Team | Kind::Key | Kind::KeyModels => {
                    scopes.push((kind, name, models, spent));
                }
            }
        }
        let kept = self.months.iter();
        let kept = kept.map(|(month, kept)| (month.to_string(), kept.into()));
        let span = |(number, spent): &(u64, Spent)| (*number, Figures::from(*spent));
        let file = File {
            version: VERSION,
            callers: Unique(callers),
            scopes,
            days: Unique(self.days.iter().map(day_file).collect()),
            months: Unique(kept.collect()),
            minutes: self.minutes.iter().map(span).collect(),
            hours: self.hours.iter().map(span).collect(),
            instance: self.instance.clone(),
        };
        let mut text = serde_json::to_string(&file)?;
        text.push('\n');
        Ok(text)
    }

    /// The name under which other instances know this one.
    #[must_use]
    pub fn instance(&self) -> Option<&str> {
        self.instance.as_deref()
    }

    /// Gives the instance its name.
    pub fn set_instance(&mut self, id: &str) {
        self.instance = Some(id.into());
    }

    /// What this scope has spent in each of these periods.
    #[must_use]
    pub fn spent_by(&self, scope: &Scope, per: Per) -> BTreeMap<Period, NanoUsd> {
        let spent = self.spent.get(scope).into_iter().flatten();
        let spent = spent.filter(|(period, _)| period.per() == per);
        spent.map(|(period, nano)| (*period, *nano)).collect()
    }

    /// Takes in what this scope has spent in each of these periods. Of several budgets for the same
    /// periods, one that the configuration did not have for a while knows of less.
    pub fn add_spent_by(&mut self, scope: &Scope, spent: &BTreeMap<Period, NanoUsd>) {
        let Some(kept) = self.spent.get_mut(scope) else {
            if !spent.is_empty() {
                self.spent.insert(scope.clone(), spent.clone());
            }
            return;
        };
        for (period, nano) in spent {
            let known = kept.entry(*period).or_default();
            *known = (*known).max(*nano);
        }
    }

    /// Requests that this scope made on `day`, and tokens that it used.
    #[must_use]
    pub fn used_on(&self, day: Period, scope: &Scope) -> [u64; 2] {
        let scopes = self.days.get(&day);
        let used = scopes.and_then(|scopes| scopes.get(scope));
        used.copied().unwrap_or_default()
    }

    /// Sets what this scope used on `day`.
    pub fn set_used_on(&mut self, day: Period, scope: &Scope, used: [u64; 2]) {
        let scopes = self.days.entry(day).or_default();
        scopes.insert(scope.clone(), used);
    }

    /// Drops the days before the one before `today`, which is kept in case the clock is set back.
    pub fn forget_days(&mut self, today: Period) {
        self.days = self.days.split_off(&today.minus(1));
    }

    /// What is known of `month`.
    #[must_use]
    pub fn month(&self, month: Month) -> Option<&MonthState> {
        self.months.get(&month)
    }

    /// Sets what is known of `month`.
    pub fn set_month(&mut self, month: Month, kept: MonthState) {
        self.months.insert(month, kept);
    }

    /// What was spent over time.
    #[must_use]
    pub fn timeline(&self) -> Timeline {
        Timeline::restored(&self.minutes, &self.hours)
    }

    /// Sets what was spent over time.
    pub fn set_timeline(&mut self, timeline: &Timeline) {
        [self.minutes, self.hours] = timeline.kept();
    }

    /// Drops what is long over where these are the running periods.
    pub fn forget(&mut self, now: &[Period; Per::ALL.len()]) {
        let since = now.map(|period| period.minus(PERIODS_OF_FORMER_SCOPES));
        let first = Month::of(since[Per::Month as usize].start());
        self.months.retain(|month, _| *month >= first);
        self.spent.retain(|_, spent| {
            spent.retain(|period, _| *period >= since[period.per() as usize]);
            !spent.is_empty()
        });
    }
}

impl From<MonthFile> for MonthState {
    fn from(file: MonthFile) -> Self {
        let party = |all: Vec<(Box<str>, Figures)>| {
            let all = all.into_iter();
            all.map(|(name, figures)| (name, figures.into())).collect()
        };
        let series = file.models.into_iter();
        Self {
            all: file.all.into(),
            series: series
                .map(|(provider, model, figures)| (provider, model, figures.into()))
                .collect(),
            parties: [
                file.callers,
                file.projects,
                file.envs,
                file.keys,
                file.teams,
            ]
            .map(party),
        }
    }
}

impl From<&MonthState> for MonthFile {
    fn from(state: &MonthState) -> Self {
        let party = |all: &Vec<(Box<str>, Spent)>| {
            let all = all.iter();
            all.map(|(name, spent)| (name.clone(), (*spent).into()))
                .collect()
        };
        let series = state.series.iter();
        let [callers, projects, envs, keys, teams] = state.parties.each_ref().map(party);
        Self {
            all: state.all.into(),
            models: series
                .map(|(provider, model, spent)| (provider.clone(), model.clone(), (*spent).into()))
                .collect(),
            callers,
            projects,
            envs,
            keys,
            teams,
        }
    }
}

fn periods(spent: Unique<u64>) -> Result<BTreeMap<Period, NanoUsd>, StateFault> {
    let spent = spent.0.into_iter().map(|(name, nano)| {
        let period = Period::parse(&name).ok_or(StateFault::Period(name))?;
        Ok((period, NanoUsd::new(nano)))
    });
    spent.collect()
}

fn day(name: String) -> Result<Period, StateFault> {
    let period = Period::parse(&name).filter(|period| period.per() == Per::Day);
    period.ok_or(StateFault::Day(name))
}

type DayFile = Vec<(Kind, Box<str>, Box<str>, u64, u64)>;

fn day_file((day, scopes): (&Period, &BTreeMap<Scope, [u64; 2]>)) -> (String, DayFile) {
    let rows = scopes.iter().map(|(scope, [requests, tokens])| {
        let (kind, name, models) = Kind::of(scope);
        (kind, name, models, *requests, *tokens)
    });
    (day.to_string(), rows.collect())
}

fn month(name: &str) -> Result<Month, StateFault> {
    Month::parse(name).ok_or_else(|| StateFault::Month(name.to_owned()))
}

#[expect(clippy::needless_pass_by_value, reason = "map_err hands it over")]
fn fault(error: serde_json::Error) -> StateFault {
    if error.is_eof() {
        let (line, column) = (error.line(), error.column());
        return StateFault::CutOff { line, column };
    }
    StateFault::Corrupt(error.to_string())
}

/// A map that refuses a key that stands twice, so that no value gets lost.
#[derive(Serialize)]
#[serde(transparent)]
struct Unique<V>(BTreeMap<String, V>);

impl<V> Unique<V> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<V> Default for Unique<V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Unique<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(UniqueVisitor(PhantomData))
    }
}

struct UniqueVisitor<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for UniqueVisitor<V> {
    type Value = Unique<V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut map = BTreeMap::new();
        while let Some((key, value)) = access.next_entry::<String, V>()? {
            if map.contains_key(&key) {
                return Err(A::Error::custom(format_args!("`{key}` stands there twice")));
            }
            map.insert(key, value);
        }
        Ok(Unique(map))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::time::WallTime;

    const TEXT: &str = concat!(
        r#"{"version":1,"#,
        r#""callers":{"a \"b\"":{"2026-10":5,"2026-11":18446744073709551615},"#,
        r#""former":{"2026-11":7}},"#,
        r#""scopes":[["team","t","",{"2026-11-29":1,"2026-11-30":2,"total":9}],"#,
        r#"["key","k","",{"week-2026-11-30":3}],["key_models","k","m, n*",{"2026-11":4}]],"#,
        r#""days":{"2026-11-29":[["team","t","",1,2]],"2026-11-30":[["team","t","",3,4],"#,
        r#"["key_models","k","m",5,6],["caller","c","",7,8]]},"#,
        r#""months":{"2026-10":{"all":[12,3,2,1]},"#,
        r#""2026-11":{"all":[9,1,1,1],"models":[["p","m",[9,1,1,1]]],"#,
        r#""callers":[["a",[9,1,1,1]]],"envs":[["(none)",[9,1,1,1]]],"#,
        r#""keys":[["web",[9,1,1,1]]],"teams":[["t",[9,1,1,1]]]}},"#,
        r#""minutes":[[29000000,[9,1,1,1]]],"hours":[[483333,[9,1,1,1]]]}"#,
        "\n",
    );

    #[test]
    fn is_written_as_it_was_read() {
        let state = State::parse(TEXT).unwrap();
        assert_eq!(state.to_json().unwrap(), TEXT);
        let november = Month::new(2026, 11).unwrap();
        let spent_by = |caller: &str| state.spent_by(&Scope::Caller(caller.into()), Per::Month);
        let month = Period::of(Per::Month, november.start());
        assert_eq!(spent_by("former")[&month], NanoUsd::new(7));
        let team = Scope::Team("t".into());
        assert_eq!(state.spent_by(&team, Per::Day).len(), 2);
        assert_eq!(state.spent_by(&team, Per::Total).len(), 1);
        let days = ["2026-11-28", "2026-11-29", "2026-11-30"];
        let days = days.map(|day| state.used_on(Period::parse(day).unwrap(), &team));
        assert_eq!(days, [[0, 0], [1, 2], [3, 4]]);
        let spent = Spent::from(Figures(9, 1, 1, 1));
        let kept = state.month(november).unwrap();
        assert_eq!(kept.all, spent);
        assert_eq!(kept.series, [("p".into(), "m".into(), spent)]);
        let [callers, _, _, keys, teams] = &kept.parties;
        for (party, name) in [(callers, "a"), (keys, "web"), (teams, "t")] {
            assert_eq!(*party, [(name.into(), spent)]);
        }
        assert!(spent_by("nobody").is_empty());
    }

    #[test]
    fn a_state_without_keys_and_teams_is_read_and_written_without_them() {
        let with = r#","keys":[["web",[9,1,1,1]]],"teams":[["t",[9,1,1,1]]]"#;
        let text = TEXT.replace(with, "");
        assert_ne!(text, TEXT);
        let state = State::parse(&text).unwrap();
        assert_eq!(state.to_json().unwrap(), text);
        let kept = state.month(Month::new(2026, 11).unwrap()).unwrap();
        let of = |party: Party| kept.parties[party.place()].len();
        assert_eq!(Party::ALL.map(of), [1, 0, 1, 0, 0]);
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, expected) in [
            ("", "it is cut off at line 1, column 0"),
            (
                "{\"version\": 1,\n \"callers\": {",
                "it is cut off at line 2, column 13",
            ),
            ("\0\0\0", "expected value at line 1 column 1"),
            ("{}", "missing field `version` at line 1 column 2"),
            (
                r#"{"version":2,"x":[]}"#,
                "it has version 2, and this infermux reads version 1",
            ),
            (
                r#"{"version":1}"#,
                "missing field `callers` at line 1 column 13",
            ),
            (
                r#"{"version":1,"callers":{"a":{"2026-13":1}},"months":{}}"#,
                "`2026-13` is not a month like `2026-03`, a day like `2026-03-31`, a week or \
                 `total`",
            ),
            (
                r#"{"version":1,"callers":{},"days":{"2026-11":[]},"months":{}}"#,
                "`2026-11` is not a day like `2026-03-31`",
            ),
            (
                r#"{"version":1,"callers":{"a":{"2026-11":-1}},"months":{}}"#,
                "invalid value: integer `-1`, expected u64 at line 1 column 41",
            ),
            (
                r#"{"version":1,"callers":{"a":{"2026-11":1.5}},"months":{}}"#,
                "invalid type: floating point `1.5`, expected u64 at line 1 column 42",
            ),
            (
                r#"{"version":1,"callers":{"a":{},"a":{}},"months":{}}"#,
                "`a` stands there twice at line 1 column 38",
            ),
            (
                r#"{"version":1,"callers":{},"months":{}} x"#,
                "trailing characters at line 1 column 40",
            ),
        ] {
            let found = State::parse(text).unwrap_err().to_string();
            assert_eq!(found, expected, "{text}");
        }
        let unknown = r#"{"version":1,"callers":{},"months":{},"more":1}"#;
        assert!(State::parse(unknown).is_err());
    }

    #[test]
    fn forgets_what_is_old_and_scopes_that_spent_nothing_since() {
        let mut state = State::parse(TEXT).unwrap();
        let at = |text: &str| {
            let day = Period::parse(text).expect("a day").start();
            Per::ALL.map(|per| Period::of(per, day))
        };
        state.forget(&at("2027-11-30"));
        assert_eq!(state.months.len(), 1);
        let quoted = Scope::Caller("a \"b\"".into());
        assert_eq!(state.spent_by(&quoted, Per::Month).len(), 1);
        let (team, key) = (Scope::Team("t".into()), Scope::Key("k".into()));
        assert!(state.spent_by(&team, Per::Day).is_empty());
        assert!(!state.spent.contains_key(&key));
        state.forget(&at("2027-12-01"));
        assert!(state.months.is_empty());
        // What counts for all time is kept for all time.
        assert_eq!(state.spent.keys().collect::<Vec<_>>(), [&team]);
    }

    fn periods() -> impl Strategy<Value = BTreeMap<Period, NanoUsd>> {
        let last = Month::new(9999, 12).unwrap().start().unix_millis();
        let one = (prop::sample::select(&Per::ALL[..]), 0..last, any::<u64>());
        let one = one.prop_map(|(per, millis, nano)| {
            let period = Period::of(per, WallTime::from_unix_millis(millis));
            (period, NanoUsd::new(nano))
        });
        prop::collection::vec(one, 0..5).prop_map(|all| all.into_iter().collect())
    }

    fn scope() -> impl Strategy<Value = Scope> {
        let name = || "\\PC{0,8}".prop_map(Box::<str>::from);
        prop_oneof![
            name().prop_map(Scope::Caller),
            name().prop_map(Scope::Team),
            name().prop_map(Scope::Key),
            (name(), name()).prop_map(|(key, models)| Scope::KeyModels { key, models }),
        ]
    }

    fn states() -> impl Strategy<Value = State> {
        let spent = prop::collection::btree_map(scope(), periods(), 0..6);
        let kept = prop::collection::btree_map((1970..=9999_u64, 1..=12_u64), month_states(), 0..4);
        let kept = kept.prop_map(|kept| {
            let kept = kept.into_iter();
            kept.map(|((year, number), state)| (Month::new(year, number).unwrap(), state))
                .collect()
        });
        let spans = || prop::collection::vec((any::<u64>(), spent_once()), 0..4);
        let used = prop::collection::btree_map(scope(), any::<[u64; 2]>(), 0..4);
        let days = prop::collection::btree_map(0..99_999_u64, used, 0..3);
        let days = days.prop_map(|days| {
            let day = |days: u64| WallTime::from_unix_millis(86_400_000 * days);
            let days = days.into_iter();
            days.map(|(number, used)| (Period::of(Per::Day, day(number)), used))
                .collect()
        });
        let instance = prop::option::of("[a-z0-9-]{1,9}".prop_map(Box::<str>::from));
        let all = (spent, days, kept, spans(), spans(), instance);
        all.prop_map(|(spent, days, months, minutes, hours, instance)| State {
            instance,
            spent,
            days,
            months,
            minutes,
            hours,
        })
    }

    fn spent_once() -> impl Strategy<Value = Spent> {
        any::<(u64, u64, u64, u64)>().prop_map(|(a, b, c, d)| Spent::from(Figures(a, b, c, d)))
    }

    fn month_states() -> impl Strategy<Value = MonthState> {
        let name = || "\\PC{0,8}".prop_map(Box::<str>::from);
        let party = || prop::collection::vec((name(), spent_once()), 0..3);
        let series = prop::collection::vec((name(), name(), spent_once()), 0..3);
        let all = (
            spent_once(),
            series,
            [party(), party(), party(), party(), party()],
        );
        all.prop_map(|(all, series, parties)| MonthState {
            all,
            series,
            parties,
        })
    }

    proptest! {
        #[test]
        fn there_and_back(state in states()) {
            let text = state.to_json().unwrap();
            let read = State::parse(&text);
            prop_assert_eq!(read.as_ref(), Ok(&state));
            prop_assert_eq!(read.unwrap().to_json().unwrap(), text);
        }

        #[test]
        fn no_beginning_of_a_state_is_a_state(
            state in states(),
            end in any::<prop::sample::Index>(),
        ) {
            let text = state.to_json().unwrap();
            let text = text.trim_end();
            let mut end = end.index(text.len());
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            prop_assert!(State::parse(&text[..end]).is_err());
        }

        #[test]
        fn never_panics(text in "\\PC{0,60}") {
            let _ = State::parse(&text);
        }
    }
}
