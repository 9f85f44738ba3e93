//! What differs between two lists of callers' keys, or of teams: by name and field, never a hash.

use std::collections::HashMap;

use crate::base::limits::KEY_CHANGES_TOLD_MAX;
use crate::config::faults::printable;
use crate::config::keyring::{CallerKey, Team};

/// What differs between two lists of keys, a sentence for each key that does.
#[must_use]
pub fn keys(before: &[CallerKey], after: &[CallerKey]) -> Vec<String> {
    let name = |key: &CallerKey| key.name.clone();
    between("key", [before, after], name, |one, other| {
        let (limits, other_limits) = (&one.allowance, &other.allowance);
        fields(&[
            ("hash", one.secrets == other.secrets),
            ("team", one.team == other.team),
            ("caller", one.caller == other.caller),
            ("callers", one.callers == other.callers),
            ("models", one.models == other.models),
            ("expires", one.expires == other.expires),
            ("disabled", one.is_disabled == other.is_disabled),
            ("stream_cost", one.stream_cost == other.stream_cost),
            ("limits", limits.limits == other_limits.limits),
            ("budgets", limits.budgets == other_limits.budgets),
            ("per_model", one.per_model == other.per_model),
        ])
    })
}

/// What differs between two lists of teams, likewise.
#[must_use]
pub fn teams(before: &[Team], after: &[Team]) -> Vec<String> {
    let name = |team: &Team| team.name.clone();
    between("team", [before, after], name, |one, other| {
        let (limits, other_limits) = (&one.allowance, &other.allowance);
        fields(&[
            ("models", one.models == other.models),
            ("limits", limits.limits == other_limits.limits),
            ("budgets", limits.budgets == other_limits.budgets),
        ])
    })
}

/// The names of those fields that are not the same.
fn fields(same: &[(&'static str, bool)]) -> Vec<&'static str> {
    let differ = same.iter().filter(|(_, same)| !same);
    differ.map(|(field, _)| *field).collect()
}

fn between<T>(
    kind: &str,
    [before, after]: [&[T]; 2],
    name: impl Fn(&T) -> Box<str>,
    fields: impl Fn(&T, &T) -> Vec<&'static str>,
) -> Vec<String> {
    let by_name = |list| {
        let list: &[T] = list;
        let named = list.iter().map(|one| (name(one), one));
        named.collect::<HashMap<Box<str>, &T>>()
    };
    let (former, latter) = (by_name(before), by_name(after));
    let told = |name: &str, what: &str| format!("{kind} {}: {what}", printable(name));
    let removed = before.iter().filter_map(|one| {
        let name = name(one);
        (!latter.contains_key(&name)).then(|| told(&name, "removed"))
    });
    let changed = after.iter().filter_map(|one| {
        let name = name(one);
        let Some(former) = former.get(&name) else {
            return Some(told(&name, "added"));
        };
        let fields = fields(former, one);
        (!fields.is_empty()).then(|| told(&name, &fields.join(", ")))
    });
    let mut all = removed.chain(changed);
    let mut changes: Vec<String> = all.by_ref().take(KEY_CHANGES_TOLD_MAX).collect();
    let more = all.count();
    if more > 0 {
        changes.push(format!("{kind}s: {more} more changes"));
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::check::keys::Known;
    use crate::config::{self, Environment, Options, Strictness};

    fn read(entries: &[String]) -> Vec<CallerKey> {
        let options = Options {
            environment: Environment::Unresolved,
            strict: Strictness::Strict,
        };
        let read = config::load_keys(&entries.concat(), &Known::default(), &options);
        read.unwrap_or_else(|why| panic!("{why:?}"))
    }

    fn entry(name: &str, digit: char, rest: &str) -> String {
        let hash: String = std::iter::repeat_n(digit, 64).collect();
        format!("- {{name: {name}, hash: 'sha256:{hash}'{rest}}}\n")
    }

    #[test]
    fn each_field_of_a_key_is_told_by_its_name_and_no_value_is() {
        let former = read(&[entry("a", '1', ""), entry("gone", '2', "")]);
        for (field, digit, rest) in [
            ("hash", '3', ""),
            ("team", '1', ", team: t"),
            ("caller", '1', ", caller: c"),
            ("callers", '1', ", callers: [c]"),
            ("models", '1', ", models: [m]"),
            ("expires", '1', ", expires: 2099-01-31"),
            ("disabled", '1', ", disabled: true"),
            ("stream_cost", '1', ", stream_cost: true"),
            ("limits", '1', ", limits: {max_in_flight: 1}"),
            ("budgets", '1', ", budgets: [{usd: 1, per: day}]"),
            (
                "per_model",
                '1',
                ", per_model: [{models: [m], limits: {max_in_flight: 1}}]",
            ),
        ] {
            let latter = read(&[entry("new", '4', ""), entry("a", digit, rest)]);
            let expected = [
                "key gone: removed",
                "key new: added",
                &format!("key a: {field}"),
            ];
            assert_eq!(keys(&former, &latter), expected);
        }
        assert!(keys(&former, &former).is_empty());
    }

    #[test]
    fn of_many_changes_the_first_are_told_and_the_others_counted() {
        let all: Vec<String> = (0..KEY_CHANGES_TOLD_MAX + 7)
            .map(|i| format!("- {{name: k{i}, hash: 'sha256:{i:064x}'}}\n"))
            .collect();
        let changes = keys(&[], &read(&all));
        assert_eq!(changes.len(), KEY_CHANGES_TOLD_MAX + 1);
        assert_eq!(
            changes.last().map(String::as_str),
            Some("keys: 7 more changes")
        );
    }
}
