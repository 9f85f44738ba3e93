//! The state that survives a restart, to and from JSON.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::base::money::NanoUsd;
use crate::base::month::Month;
use crate::base::spent::Spent;
use crate::ledger::timeline::Timeline;
use crate::link::meters::Party;

/// The durable part of the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// By caller and month, what was spent; callers that no longer have a budget included.
    callers: BTreeMap<Box<str>, BTreeMap<Month, NanoUsd>>,
    /// By month, what all callers together have spent.
    months: BTreeMap<Month, MonthState>,
    /// By minute since 1970, what was spent.
    minutes: Vec<(u64, Spent)>,
    /// By hour since 1970, what was spent.
    hours: Vec<(u64, Spent)>,
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
}

/// The version of the format.
const VERSION: u64 = 1;

/// The text's structure, except values that have another type in Rust.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u64,
    callers: Unique<Unique<u64>>,
    months: Unique<MonthFile>,
    /// By minute since 1970.
    #[serde(default)]
    minutes: Vec<(u64, Figures)>,
    /// By hour since 1970.
    #[serde(default)]
    hours: Vec<(u64, Figures)>,
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
        for (caller, months) in file.callers.0 {
            let months = months.0.into_iter();
            let months = months.map(|(name, nano)| Ok((month(&name)?, NanoUsd::new(nano))));
            let months = months.collect::<Result<_, StateFault>>()?;
            state.callers.insert(caller.into(), months);
        }
        for (name, kept) in file.months.0 {
            state.months.insert(month(&name)?, kept.into());
        }
        let span = |(number, figures): (u64, Figures)| (number, figures.into());
        state.minutes = file.minutes.into_iter().map(span).collect();
        state.hours = file.hours.into_iter().map(span).collect();
        Ok(state)
    }

    /// The state as text: the same state gives the same bytes.
    ///
    /// # Errors
    ///
    /// None that this type can cause.
    pub fn to_json(&self) -> serde_json::Result<String> {
        let months = |months: &BTreeMap<Month, NanoUsd>| {
            let months = months
                .iter()
                .map(|(month, nano)| (month.to_string(), nano.get()));
            Unique(months.collect())
        };
        let callers = self.callers.iter();
        let callers = callers.map(|(caller, spent)| (caller.to_string(), months(spent)));
        let kept = self.months.iter();
        let kept = kept.map(|(month, kept)| (month.to_string(), kept.into()));
        let span = |(number, spent): &(u64, Spent)| (*number, Figures::from(*spent));
        let file = File {
            version: VERSION,
            callers: Unique(callers.collect()),
            months: Unique(kept.collect()),
            minutes: self.minutes.iter().map(span).collect(),
            hours: self.hours.iter().map(span).collect(),
        };
        let mut text = serde_json::to_string(&file)?;
        text.push('\n');
        Ok(text)
    }

    /// By month, what this caller has spent.
    #[must_use]
    pub fn spent_by(&self, caller: &str) -> BTreeMap<Month, NanoUsd> {
        self.callers.get(caller).cloned().unwrap_or_default()
    }

    /// Sets what this caller has spent; a caller without any spend is removed.
    pub fn set_spent_by(&mut self, caller: &str, spent: &BTreeMap<Month, NanoUsd>) {
        if spent.is_empty() {
            self.callers.remove(caller);
        } else if let Some(kept) = self.callers.get_mut(caller) {
            kept.clone_from(spent);
        } else {
            self.callers.insert(caller.into(), spent.clone());
        }
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

    /// Drops months before `month`.
    pub fn forget_before(&mut self, month: Month) {
        self.months.retain(|one, _| *one >= month);
        self.callers.retain(|_, spent| {
            spent.retain(|one, _| *one >= month);
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

    const TEXT: &str = concat!(
        r#"{"version":1,"#,
        r#""callers":{"a \"b\"":{"2026-10":5,"2026-11":18446744073709551615},"#,
        r#""former":{"2026-11":7}},"#,
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
        assert_eq!(state.spent_by("former")[&november], NanoUsd::new(7));
        let spent = Spent::from(Figures(9, 1, 1, 1));
        let kept = state.month(november).unwrap();
        assert_eq!(kept.all, spent);
        assert_eq!(kept.series, [("p".into(), "m".into(), spent)]);
        let [callers, _, _, keys, teams] = &kept.parties;
        for (party, name) in [(callers, "a"), (keys, "web"), (teams, "t")] {
            assert_eq!(*party, [(name.into(), spent)]);
        }
        assert!(state.spent_by("nobody").is_empty());
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
                "`2026-13` is not a month like `2026-03`",
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
    fn forgets_what_is_old_and_callers_that_spent_nothing_since() {
        let mut state = State::parse(TEXT).unwrap();
        state.forget_before(Month::new(2026, 11).unwrap());
        assert_eq!(state.spent_by("a \"b\"").len(), 1);
        assert_eq!(state.months.len(), 1);
        state.forget_before(Month::new(2026, 12).unwrap());
        assert!(state.callers.is_empty() && state.months.is_empty());
    }

    fn months() -> impl Strategy<Value = BTreeMap<Month, NanoUsd>> {
        let one = ((1970..=9999_u64, 1..=12_u64), any::<u64>());
        let one = one.prop_map(|((year, number), nano)| {
            (Month::new(year, number).unwrap(), NanoUsd::new(nano))
        });
        prop::collection::vec(one, 0..5).prop_map(|all| all.into_iter().collect())
    }

    fn states() -> impl Strategy<Value = State> {
        let callers = prop::collection::btree_map("\\PC{0,8}", months(), 0..6);
        let boxed = |callers: BTreeMap<String, _>| {
            callers
                .into_iter()
                .map(|(name, spent)| (name.into(), spent))
                .collect()
        };
        let kept = prop::collection::btree_map((1970..=9999_u64, 1..=12_u64), month_states(), 0..4);
        let kept = kept.prop_map(|kept| {
            let kept = kept.into_iter();
            kept.map(|((year, number), state)| (Month::new(year, number).unwrap(), state))
                .collect()
        });
        let spans = || prop::collection::vec((any::<u64>(), spent()), 0..4);
        let all = (callers.prop_map(boxed), kept, spans(), spans());
        all.prop_map(|(callers, months, minutes, hours)| State {
            callers,
            months,
            minutes,
            hours,
        })
    }

    fn spent() -> impl Strategy<Value = Spent> {
        any::<(u64, u64, u64, u64)>().prop_map(|(a, b, c, d)| Spent::from(Figures(a, b, c, d)))
    }

    fn month_states() -> impl Strategy<Value = MonthState> {
        let name = || "\\PC{0,8}".prop_map(Box::<str>::from);
        let party = || prop::collection::vec((name(), spent()), 0..3);
        let series = prop::collection::vec((name(), name(), spent()), 0..3);
        let all = (
            spent(),
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
