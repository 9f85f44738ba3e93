//! Tests of entries and their changes: each text is read again.

use super::*;
use crate::base::period::Per;
use crate::cli::key_flags::{KeysFileFlags, LimitFlags};
use crate::cli::keys_edit::read_entry;
use crate::config::scope::BudgetAction;

fn flags() -> NewKeyFlags {
    NewKeyFlags {
        name: "web".into(),
        team: None,
        caller: None,
        models: Vec::new(),
        expires: None,
        limits: LimitFlags::default(),
        budgets: Vec::new(),
        no_enforce: false,
        file: KeysFileFlags::default(),
    }
}

fn read(text: &str) -> Vec<CallerKey> {
    read_entry(text).unwrap_or_else(|why| panic!("{text}: {why}"))
}

fn old() -> Digest {
    Digest::of(b"old")
}

fn new() -> Digest {
    Digest::of(b"new")
}

/// A moment in 2027.
fn until() -> WallTime {
    WallTime::from_unix_millis(1_800_000_000_000)
}

const UNTIL: &str = "2027-01-15T08:00:00Z";

#[test]
fn an_entry_says_what_the_flags_do() {
    let budget = |usd: &str, per, action| BudgetFlag {
        usd: usd.into(),
        per,
        action,
    };
    let mut flags = NewKeyFlags {
        team: Some("a: b".into()),
        models: vec!["gpt-*".into(), "m".into()],
        expires: Some("2099-01-31".into()),
        limits: LimitFlags {
            requests_per_minute: Some(600),
            max_in_flight: Some(20),
            ..LimitFlags::default()
        },
        budgets: vec![
            budget("50", Per::Month, None),
            budget("0.5", Per::Day, Some("alert")),
        ],
        ..flags()
    };
    let entry = Entry::new(&flags, &new());
    let digest = new();
    assert_eq!(
        entry.block(0),
        format!(
            "- name: \"web\"\n  hash: \"sha256:{digest}\"\n  team: \"a: b\"\n  \
             expires: \"2099-01-31\"\n  models: [\"gpt-*\", \"m\"]\n  \
             limits: {{requests_per_minute: 600, max_in_flight: 20}}\n  \
             budgets: [{{usd: 50, per: month}}, {{usd: 0.5, per: day, action: alert}}]\n"
        )
    );
    flags.team = None;
    flags.no_enforce = true;
    let key = read(&Entry::new(&flags, &new()).block(3)).remove(0);
    let limits = key.allowance.limits.expect("limits");
    assert_eq!(
        (limits.max_in_flight, limits.enforce),
        (Some(20), Enforce::No)
    );
    let budgets = key.allowance.budgets.iter();
    let budgets: Vec<_> = budgets
        .map(|one| (one.per, one.action, one.enforce))
        .collect();
    assert_eq!(
        budgets,
        [
            (Per::Month, BudgetAction::HardStop, Enforce::No),
            (Per::Day, BudgetAction::Alert, Enforce::Yes),
        ]
    );
}

#[test]
fn an_entry_is_appended_to_a_list_of_any_form() {
    let entry = Entry::new(&flags(), &new());
    let first = format!("{{name: a, hash: 'sha256:{}'}}", old());
    for (text, count) in [
        (String::new(), 1),
        ("# none yet\n".into(), 1),
        ("---\n# none yet\n[]  # none\n".into(), 1),
        (format!("- {first} # one\n# the end\n\n"), 2),
        (format!("- {first}"), 2),
        (format!("  - {first}\r\n"), 2),
        (format!("[{first}]\n"), 2),
        (format!("[\n  {first}, # one\n]\n"), 2),
    ] {
        let appended = entry.appended(&text);
        let keys = read(&appended);
        assert_eq!(keys.len(), count, "{appended}");
        assert_eq!(&*keys[count - 1].name, "web", "{appended}");
        for line in text.lines().filter(|line| line.contains('#')) {
            let comment = line.rsplit('#').next().unwrap_or_default();
            assert!(appended.contains(comment), "{appended}");
        }
        assert_eq!(appended.contains("\r\n"), text.contains("\r\n"));
        assert!(!appended.replace("\r\n", "").contains('\r'));
    }
}

#[test]
fn a_key_is_switched_and_no_other() {
    let (one, two) = (old(), new());
    let text = format!(
        "# ours\n- name: a   # of a\n  hash: 'sha256:{one}'  # made in May\n\n\
         # of b\n- {{name: b, disabled: false, hash: 'sha256:{two}'}}\n"
    );
    let former = read(&text);
    for place in 0..2 {
        let off = switched(&text, place, Use::Disabled).expect("a place");
        let mut expected = former.clone();
        expected[place].is_disabled = true;
        assert_eq!(read(&off), expected, "{off}");
        let on = switched(&off, place, Use::Enabled).expect("a place");
        assert_eq!(read(&on), former, "{on}");
        for comment in [
            "# ours",
            "a   # of a",
            "# made in May",
            "# of b\n- {name: b",
        ] {
            assert!(off.contains(comment) && on.contains(comment), "{off}{on}");
        }
    }
    assert_eq!(switched(&text, 2, Use::Disabled), None);
}

#[test]
fn a_rotated_key_has_both_secrets_for_a_while() {
    let (old, new) = (old(), new());
    let soon = "2027-01-01T00:00:00Z";
    for (text, expected) in [
        (
            format!("- name: a\n  hash: 'sha256:{old}'  # made in May\n  team: t\n"),
            format!(
                "- name: a\n  hashes:  # made in May\n    - {{hash: \"sha256:{old}\", until: \
                 \"{UNTIL}\"}}\n    - {{hash: \"sha256:{new}\"}}\n  team: t\n"
            ),
        ),
        (
            format!("- hash: sha256:{old}\r\n  name: a\r\n"),
            format!(
                "- hashes:\r\n    - {{hash: \"sha256:{old}\", until: \"{UNTIL}\"}}\r\n    - \
                 {{hash: \"sha256:{new}\"}}\r\n  name: a\r\n"
            ),
        ),
        (
            format!("- {{name: a, hash: 'sha256:{old}', team: t}} # a\n"),
            format!(
                "- {{name: a, hashes: [{{hash: \"sha256:{old}\", until: \"{UNTIL}\"}}, \
                 {{hash: \"sha256:{new}\"}}], team: t}} # a\n"
            ),
        ),
        (
            format!("- name: a\n  hashes:\n  - hash: 'sha256:{old}'  # made in May\n  team: t\n"),
            format!(
                "- name: a\n  hashes:\n  - hash: 'sha256:{old}'  # made in May\n    until: \
                 \"{UNTIL}\"\n  - {{hash: \"sha256:{new}\"}}\n  team: t\n"
            ),
        ),
        // One that ends before stays as it is, and one that ends later ends with the overlap.
        (
            format!("- {{name: a, hashes: [{{hash: 'sha256:{old}', until: '{soon}'}}]}}\n"),
            format!(
                "- {{name: a, hashes: [{{hash: 'sha256:{old}', until: '{soon}'}}, {{hash: \
                 \"sha256:{new}\"}}]}}\n"
            ),
        ),
        (
            format!("- {{name: a, hashes: [{{hash: 'sha256:{old}', until: 2099-01-01}}]}}\n"),
            format!(
                "- {{name: a, hashes: [{{hash: 'sha256:{old}', until: \"{UNTIL}\"}}, {{hash: \
                 \"sha256:{new}\"}}]}}\n"
            ),
        ),
    ] {
        let mut key = read(&text).remove(0);
        let secrets = rotated_secrets(&key, new.clone(), until());
        let changed = rotated(&text, 0, &key, &secrets).expect("a place");
        assert_eq!(changed, expected);
        key.secrets = secrets.into();
        assert_eq!(read(&changed), [key]);
    }
}

#[test]
fn a_second_rotation_keeps_both_former_secrets() {
    let text = format!("- name: a\n  hash: 'sha256:{}'\n", old());
    let key = read(&text).remove(0);
    let secrets = rotated_secrets(&key, new(), until());
    let once = rotated(&text, 0, &key, &secrets).expect("a place");
    let key = read(&once).remove(0);
    let later = until().after(std::time::Duration::from_secs(60));
    let secrets = rotated_secrets(&key, Digest::of(b"third"), later);
    let twice = rotated(&once, 0, &key, &secrets).expect("a place");
    let ends: Vec<_> = read(&twice)
        .remove(0)
        .secrets
        .iter()
        .map(|one| one.until)
        .collect();
    assert_eq!(ends, [Some(until()), Some(later), None], "{twice}");
}
