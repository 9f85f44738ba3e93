//! Encrypted reasoning: a text that only the instance takes back that made it.

/// What the instance of that name makes for one answer.
pub(crate) fn of(name: &str, number: u64) -> String {
    format!("{START}{name}_{number}")
}

/// Whether the instance of that name made it.
pub(crate) fn is_of(name: &str, sealed: &str) -> bool {
    let number = sealed
        .strip_prefix(START)
        .and_then(|rest| rest.strip_prefix(name))
        .and_then(|rest| rest.strip_prefix('_'));
    number.is_some_and(|number| number.parse::<u64>().is_ok())
}

const START: &str = "gAAAAAB_";
