//! Names of tools that are too long for a dialect: a short form for the request, and back in the
//! answer (rule MR8 of reference/messages-inbound.md).
//!
//! A long name always has the same short form, so that tools, history and choice agree, and the
//! provider's cache of prompts holds. Whoever sends a request keeps its [`Names`] with the job and
//! gives them to the reader of the answer.

use std::borrow::Cow;

use crate::base::map::Map;
use crate::dialect::compose::between_quotes;
use crate::dialect::digest;
use crate::wire::json;

/// The short forms that a request uses, and the names that they stand for. Most requests have none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names(Map<Box<str>, Box<str>>);

/// A tool as the caller knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restored<'n> {
    /// The group of tools that it is a member of.
    pub namespace: Option<&'n str>,
    /// Its name, in that group.
    pub name: &'n str,
    /// How it is called.
    pub kind: ToolKind,
}

/// How a tool is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToolKind {
    /// With a JSON object.
    Function,
    /// With a text.
    Custom,
}

impl Names {
    /// The tool that the provider calls `name`.
    #[must_use]
    pub fn tool<'n>(&'n self, name: &'n str) -> Restored<'n> {
        Restored {
            namespace: None,
            name: self.restored(name),
            kind: ToolKind::Function,
        }
    }

    /// The caller's name of the tool that the provider calls `name`.
    #[must_use]
    pub fn restored<'n>(&'n self, name: &'n str) -> &'n str {
        self.0.get(name).map_or(name, |long| long)
    }

    /// Whether no name needs to be restored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The form to send of a tool's `name`, a string; both with their quotes.
    pub(super) fn shortened<'a>(&mut self, name: &'a [u8]) -> Cow<'a, [u8]> {
        let Some((long, short)) = short_form(name) else {
            return Cow::Borrowed(name);
        };
        let quoted = json::quoted(&short);
        if self.0.len() < NAMES_MAX {
            self.0.insert(short.into(), long.into());
        }
        Cow::Owned(quoted)
    }
}

/// A string's text and its short form; `None`: it may stay.
fn short_form(quoted: &[u8]) -> Option<(String, String)> {
    // No character takes less than a byte.
    if between_quotes(quoted).len() <= CHARS_MAX {
        return None;
    }
    let long: String = serde_json::from_slice(quoted).ok()?;
    if long.chars().count() <= CHARS_MAX {
        return None;
    }
    let mut short: String = long.chars().take(CHARS_KEPT).collect();
    short.push('_');
    short.extend(digest::hex(long.as_bytes()).chars().take(8));
    Some((long, short))
}

/// Longest name that chat completions take, in characters; Messages take 128.
const CHARS_MAX: usize = 64;
/// What a short form keeps of its name, in characters: the rest is `_` and eight digits.
const CHARS_KEPT: usize = CHARS_MAX - 9;
/// Most names that are restored. A request with more long names than any client has tools gets the
/// others back in their short form.
const NAMES_MAX: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_has_one_short_form_and_comes_back() {
        let long = "mcp__plugin_enterprise-database-management__synchronize_all_customer_data_now";
        let short = "mcp__plugin_enterprise-database-management__synchronize_f48d0990";
        let mut names = Names::default();
        for _ in 0..2 {
            assert_eq!(*names.shortened(&json::quoted(long)), *json::quoted(short));
        }
        assert_eq!(names.0.len(), 1);
        assert_eq!(names.restored(short), long);
        assert_eq!(names.restored("Bash"), "Bash");
    }

    #[test]
    fn characters_count_not_bytes_nor_escapes() {
        let mut names = Names::default();
        for text in ["é".repeat(64), "\\u0061".repeat(64), "a".repeat(64)] {
            let quoted = format!("\"{text}\"");
            assert_eq!(*names.shortened(quoted.as_bytes()), *quoted.as_bytes());
        }
        assert!(names.is_empty());
        let quoted = format!("\"{}\"", "\\u0061".repeat(65));
        let short = names.shortened(quoted.as_bytes()).into_owned();
        let plain = names.shortened(&json::quoted(&"a".repeat(65))).into_owned();
        assert_eq!(short, plain);
        assert_eq!(short.len(), CHARS_MAX + 2);
    }
}
