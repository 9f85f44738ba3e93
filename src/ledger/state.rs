//! What survives a restart, to and from JSON.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::base::money::NanoUsd;
use crate::base::month::Month;

/// The durable part of the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// By caller and month, what was spent; callers that have no budget any more included.
    callers: BTreeMap<Box<str>, BTreeMap<Month, NanoUsd>>,
    /// By month, what all callers together have spent.
    totals: BTreeMap<Month, NanoUsd>,
}

/// What is wrong with a text that should be a state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateFault {
    /// It ends before it is complete.
    #[error("it is cut off at line {line}, column {column}")]
    CutOff {
        /// Where it ends.
        line: usize,
        /// Where it ends.
        column: usize,
    },
    /// It is no JSON, or says something else than a state does.
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

/// The text's shape, but for what has another type in Rust.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u64,
    callers: Unique<Unique<u64>>,
    months: Unique<Totals>,
}

/// One month, all callers together.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Totals {
    cost_nano_usd: u64,
}

/// What every version has.
#[derive(Deserialize)]
struct Versioned {
    version: u64,
}

impl State {
    /// Reads a text.
    ///
    /// # Errors
    ///
    /// It is not what [`Self::to_json`] writes.
    pub fn parse(text: &str) -> Result<Self, StateFault> {
        // The version first: what else a later one has is not for this one to judge.
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
        for (name, totals) in file.months.0 {
            let cost = NanoUsd::new(totals.cost_nano_usd);
            state.totals.insert(month(&name)?, cost);
        }
        Ok(state)
    }

    /// The text: the same state gives the same bytes.
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
        let totals = self.totals.iter().map(|(month, cost)| {
            let cost_nano_usd = cost.get();
            (month.to_string(), Totals { cost_nano_usd })
        });
        let file = File {
            version: VERSION,
            callers: Unique(callers.collect()),
            months: Unique(totals.collect()),
        };
        let mut text = serde_json::to_string_pretty(&file)?;
        text.push('\n');
        Ok(text)
    }

    /// By month, what this caller has spent.
    #[must_use]
    pub fn spent_by(&self, caller: &str) -> BTreeMap<Month, NanoUsd> {
        self.callers.get(caller).cloned().unwrap_or_default()
    }

    /// Sets what this caller has spent; nothing at all leaves no trace.
    pub fn set_spent_by(&mut self, caller: &str, spent: &BTreeMap<Month, NanoUsd>) {
        if spent.is_empty() {
            self.callers.remove(caller);
        } else if let Some(kept) = self.callers.get_mut(caller) {
            kept.clone_from(spent);
        } else {
            self.callers.insert(caller.into(), spent.clone());
        }
    }

    /// What all callers together have spent in `month`.
    #[must_use]
    pub fn total(&self, month: Month) -> NanoUsd {
        self.totals.get(&month).copied().unwrap_or_default()
    }

    /// Sets what all callers together have spent in `month`.
    pub fn set_total(&mut self, month: Month, cost: NanoUsd) {
        self.totals.insert(month, cost);
    }

    /// Drops what is older than `month`.
    pub fn forget_before(&mut self, month: Month) {
        self.totals.retain(|one, _| *one >= month);
        self.callers.retain(|_, spent| {
            spent.retain(|one, _| *one >= month);
            !spent.is_empty()
        });
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

/// A map from which nothing gets lost because its key stands twice.
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

    const TEXT: &str = r#"{
  "version": 1,
  "callers": {
    "a \"b\"": {
      "2026-10": 5,
      "2026-11": 18446744073709551615
    },
    "former": {
      "2026-11": 7
    }
  },
  "months": {
    "2026-11": {
      "cost_nano_usd": 12
    }
  }
}
"#;

    #[test]
    fn is_written_as_it_was_read() {
        let state = State::parse(TEXT).unwrap();
        assert_eq!(state.to_json().unwrap(), TEXT);
        let november = Month::new(2026, 11).unwrap();
        assert_eq!(state.spent_by("former")[&november], NanoUsd::new(7));
        assert_eq!(state.total(november), NanoUsd::new(12));
        assert!(state.spent_by("nobody").is_empty());
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
        state.forget_before(Month::new(2026, 12).unwrap());
        assert_eq!(state, State::default());
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
        (callers.prop_map(boxed), months()).prop_map(|(callers, totals)| State { callers, totals })
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
