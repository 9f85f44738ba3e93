//! Entries of a list of keys as text: new ones, and changes of those that are there.

use crate::base::digest::Digest;
use crate::base::time::WallTime;
use crate::cli::key_flags::{BudgetFlag, NewKeyFlags};
use crate::config::keyring::{CallerKey, KeySecret};
use crate::config::raw::edit::{self, Form, Span};
use crate::config::scope::Enforce;

/// A new entry: its fields, and their values in YAML on one line each.
pub struct Entry(Vec<(&'static str, String)>);

/// Whether a key is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// It is.
    Enabled,
    /// It is not.
    Disabled,
}

impl Entry {
    /// The entry of the key that `flags` describe.
    #[must_use]
    pub fn new(flags: &NewKeyFlags, digest: &Digest) -> Self {
        let mut fields = vec![("name", quoted(&flags.name)), ("hash", hash(digest))];
        let texts = [
            ("team", &flags.team),
            ("caller", &flags.caller),
            ("expires", &flags.expires),
        ];
        for (field, value) in texts {
            fields.extend(value.as_deref().map(|value| (field, quoted(value))));
        }
        if !flags.models.is_empty() {
            let models: Vec<String> = flags.models.iter().map(|model| quoted(model)).collect();
            fields.push(("models", format!("[{}]", models.join(", "))));
        }
        fields.extend(limits(flags).map(|limits| ("limits", limits)));
        if !flags.budgets.is_empty() {
            let enforce = if flags.no_enforce {
                Enforce::No
            } else {
                Enforce::Yes
            };
            let budget = |one: &BudgetFlag| budget(one, enforce);
            let budgets: Vec<String> = flags.budgets.iter().map(budget).collect();
            fields.push(("budgets", format!("[{}]", budgets.join(", "))));
        }
        Self(fields)
    }

    /// As an item of a list in lines, which begin with this many blanks.
    #[must_use]
    pub fn block(&self, indent: usize) -> String {
        let indent = " ".repeat(indent);
        let mut text = String::new();
        for (i, (name, value)) in self.0.iter().enumerate() {
            let mark = if i == 0 { "- " } else { "  " };
            text.push_str(&format!("{indent}{mark}{name}: {value}\n"));
        }
        text
    }

    /// The list of keys `text` with this entry behind the others.
    #[must_use]
    pub fn appended(&self, text: &str) -> String {
        let list = edit::document(text);
        let lines = |indent| self.block(indent).replace('\n', edit::line_end(text));
        match edit::form(text, &list) {
            Form::Flow if edit::items(text, &list).is_empty() => {
                edit::replaced(text, &list, lines(0).trim_end())
            }
            Form::Flow => {
                let fields = self
                    .0
                    .iter()
                    .map(|(name, value)| format!("{name}: {value}"));
                let fields: Vec<String> = fields.collect();
                edit::push(text, &list, &format!("{{{}}}", fields.join(", ")))
            }
            Form::Block(column) => {
                let indent = if list.is_empty() { 0 } else { column };
                let former = text.trim_end();
                let end = if former.is_empty() {
                    ""
                } else {
                    edit::line_end(text)
                };
                format!("{former}{end}{}", lines(indent))
            }
        }
    }
}

fn limits(flags: &NewKeyFlags) -> Option<String> {
    let limits = &flags.limits;
    let numbers = [
        ("requests_per_minute", limits.requests_per_minute),
        ("tokens_per_minute", limits.tokens_per_minute),
        ("requests_per_day", limits.requests_per_day),
        ("tokens_per_day", limits.tokens_per_day),
        ("max_in_flight", limits.max_in_flight),
    ];
    let set = numbers
        .iter()
        .filter_map(|(name, number)| Some((name, (*number)?)));
    let mut set: Vec<String> = set
        .map(|(name, number)| format!("{name}: {number}"))
        .collect();
    if set.is_empty() {
        return None;
    }
    if flags.no_enforce {
        set.push(NOT_ENFORCED.to_owned());
    }
    Some(format!("{{{}}}", set.join(", ")))
}

fn budget(flag: &BudgetFlag, enforce: Enforce) -> String {
    let mut text = format!("{{usd: {}, per: {}", flag.usd, flag.per.name());
    if let Some(action) = flag.action {
        text.push_str(&format!(", action: {action}"));
    }
    // An alert refuses nothing anyway.
    if enforce == Enforce::No && flag.action != Some("alert") {
        text.push_str(&format!(", {NOT_ENFORCED}"));
    }
    text.push('}');
    text
}

const NOT_ENFORCED: &str = "enforce: false";

/// `text` with the key at `place` of the list in or out of use; `None`: there is no such place.
#[must_use]
pub fn switched(text: &str, place: usize, to: Use) -> Option<String> {
    let item = item(text, place)?;
    let value = match to {
        Use::Enabled => "false",
        Use::Disabled => "true",
    };
    Some(edit::set(text, &item, "disabled", value))
}

/// The key's secrets once `new` is among them: the others end at `until`, if not before.
#[must_use]
pub fn rotated_secrets(key: &CallerKey, new: Digest, until: WallTime) -> Vec<KeySecret> {
    let end = |one: &KeySecret| one.until.filter(|own| *own <= until).unwrap_or(until);
    let former = key.secrets.iter().map(|one| KeySecret {
        digest: one.digest,
        until: Some(end(one)),
    });
    let new = KeySecret {
        digest: new,
        until: None,
    };
    former.chain([new]).collect()
}

/// `secrets` as a value of `hashes`, in lines that begin with this many blanks.
#[must_use]
pub fn hashes(secrets: &[KeySecret], indent: usize) -> String {
    let indent = " ".repeat(indent);
    let lines = secrets
        .iter()
        .map(|secret| format!("{indent}- {}\n", shown(secret)));
    lines.collect()
}

/// `text` with these secrets for `key`, which is at `place` of the list; `None`: it has no such
/// place, or `key` has other hashes there.
#[must_use]
pub fn rotated(text: &str, place: usize, key: &CallerKey, secrets: &[KeySecret]) -> Option<String> {
    let item = item(text, place)?;
    if let Some(single) = edit::field(text, &item, "hash") {
        return Some(match edit::form(text, &item) {
            Form::Flow => {
                let flow: Vec<String> = secrets.iter().map(shown).collect();
                let field = format!("hashes: [{}]", flow.join(", "));
                edit::replaced(text, &single.whole, &field)
            }
            Form::Block(column) => {
                let text = edit::replaced(text, &single.whole, "hashes:");
                let at = single.whole.start + "hashes:".len();
                edit::inserted_below(&text, at, hashes(secrets, column + 2).trim_end())
            }
        });
    }
    let list = edit::field(text, &item, "hashes")?.value;
    let (items, (new, former)) = (edit::items(text, &list), secrets.split_last()?);
    if items.len() != former.len() {
        return None;
    }
    // From the end, so that places before stay right.
    let mut changed = edit::push(text, &list, &shown(new));
    for ((item, secret), before) in items.iter().zip(former).zip(&key.secrets).rev() {
        if secret.until != before.until
            && let Some(until) = secret.until
        {
            changed = edit::set(&changed, item, "until", &moment(until));
        }
    }
    Some(changed)
}

fn item(text: &str, place: usize) -> Option<Span> {
    let items = edit::items(text, &edit::document(text));
    items.into_iter().nth(place)
}

fn shown(secret: &KeySecret) -> String {
    let until = secret
        .until
        .map(|until| format!(", until: {}", moment(until)));
    format!(
        "{{hash: {}{}}}",
        hash(&secret.digest),
        until.unwrap_or_default()
    )
}

fn hash(digest: &Digest) -> String {
    format!("\"sha256:{digest}\"")
}

/// A moment as the file has it, in whole seconds.
fn moment(at: WallTime) -> String {
    quoted(&at.to_string().replace(".000Z", "Z"))
}

/// A text in YAML, whatever it consists of: JSON's texts are texts of YAML, too.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
#[path = "key_entry_tests.rs"]
mod tests;
