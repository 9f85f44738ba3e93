//! Ids of tool calls: the API allows certain characters only, and each id once in a request.
//!
//! In a history with answers of other providers, calls may lack ids or repeat them. A result
//! belongs to the first call with its id that still lacks one.

use std::collections::{HashMap, VecDeque};

/// The ids of one request.
#[derive(Default)]
pub(super) struct Ids {
    /// The ids that are used, and how many ids were derived from each.
    taken: HashMap<String, usize>,
    /// The calls, by the caller's id.
    calls: HashMap<String, Calls>,
}

#[derive(Default)]
struct Calls {
    /// New ids of the calls without a result.
    open: VecDeque<String>,
    /// The new id of the call whose result came last.
    answered: Option<String>,
}

impl Ids {
    /// The new id of a call that the caller calls `id`.
    pub(super) fn call(&mut self, id: &str) -> String {
        let own = self.fresh(cleaned(id));
        let calls = self.calls.entry(id.to_owned()).or_default();
        calls.open.push_back(own.clone());
        own
    }

    /// The new id of the call that the next result for `id` belongs to.
    pub(super) fn result(&mut self, id: &str) -> String {
        let Some(calls) = self.calls.get_mut(id) else {
            // The API must refuse the result for having no call, and must not take it for another
            // call's.
            return self.fresh(cleaned(id));
        };
        calls.answered = calls.open.pop_front().or(calls.answered.take());
        calls.answered.clone().unwrap_or_default()
    }

    fn fresh(&mut self, wanted: String) -> String {
        let mut number = match self.taken.get(&wanted) {
            None => {
                self.taken.insert(wanted.clone(), 1);
                return wanted;
            }
            Some(number) => *number,
        };
        loop {
            number += 1;
            let own = format!("{wanted}_{number}");
            if !self.taken.contains_key(&own) {
                self.taken.insert(wanted, number);
                self.taken.insert(own.clone(), 1);
                return own;
            }
        }
    }
}

fn cleaned(id: &str) -> String {
    if id.is_empty() {
        return NAMELESS.to_owned();
    }
    let letters = id.chars().map(|letter| match letter {
        'A'..='Z' | 'a'..='z' | '0'..='9' | '_' | '-' => letter,
        _ => '_',
    });
    letters.collect()
}

/// The id that is derived for a call without an id.
const NAMELESS: &str = "call";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_id_that_may_stay_stays() {
        let mut ids = Ids::default();
        assert_eq!(ids.call("toolu_01-A"), "toolu_01-A");
        assert_eq!(ids.result("toolu_01-A"), "toolu_01-A");
        assert_eq!(ids.call("functions.f:0"), "functions_f_0");
        assert_eq!(ids.result("functions.f:0"), "functions_f_0");
    }

    #[test]
    fn each_result_finds_its_call() {
        let mut ids = Ids::default();
        assert_eq!([ids.call("a.b"), ids.call("a_b")], ["a_b", "a_b_2"]);
        assert_eq!([ids.result("a_b"), ids.result("a.b")], ["a_b_2", "a_b"]);
        assert_eq!([ids.call(""), ids.call("")], ["call", "call_2"]);
        assert_eq!([ids.result(""), ids.result("")], ["call", "call_2"]);
        // A second result for one call, and one for none.
        assert_eq!(ids.result("a.b"), "a_b");
        assert_eq!(ids.result("a:b"), "a_b_3");
        // The same id in a later turn.
        assert_eq!([ids.call("a_b"), ids.result("a_b")], ["a_b_4", "a_b_4"]);
    }

    proptest! {
        #[test]
        fn every_call_has_an_id_of_its_own(wanted in prop::collection::vec("[a_.2]{0,4}", 0..20)) {
            let mut ids = Ids::default();
            let calls: Vec<String> = wanted.iter().map(|id| ids.call(id)).collect();
            let own: std::collections::HashSet<_> = calls.iter().collect();
            prop_assert_eq!(own.len(), wanted.len());
            let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
            prop_assert!(calls.iter().all(|id| !id.is_empty() && id.chars().all(is_legal)));
            let results: Vec<String> = wanted.iter().map(|id| ids.result(id)).collect();
            prop_assert_eq!(results, calls);
        }
    }
}
