//! The names under which tools are sent to a provider, and the way back to the caller's (rules MR8
//! of reference/messages-inbound.md and B7 of reference/responses-inbound.md).
//!
//! A name that is too long always has the same short form, so that tools, history and choice agree,
//! and the provider's cache of prompts holds. Whoever sends a request keeps its [`Names`] with the
//! job and gives them to the reader or the writer of the answer.

use std::borrow::Cow;

use crate::base::map::Map;
use crate::dialect::compose::between_quotes;
use crate::dialect::digest;
use crate::wire::json;

/// The tools of a request that are sent under another name than the caller's, or in another form.
/// Most requests have none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    all: Vec<Known>,
    /// How a provider may name them.
    ways: Map<Box<str>, Way>,
}

/// A tool that is sent under another name, or in another form.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    namespace: Option<Box<str>>,
    name: Box<str>,
    kind: ToolKind,
}

/// How a name leads to a tool; the place is that of the tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// The tool is sent under it.
    Sent(usize),
    /// It is the tool's namespace and name, a dot between them.
    Dotted(usize),
    /// It is the name that the tool alone has in any namespace.
    Bare(usize),
    /// It is the name of several members of namespaces.
    Ambiguous,
}

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
        self.known(name).unwrap_or(Restored {
            namespace: None,
            name,
            kind: ToolKind::Function,
        })
    }

    /// The caller's name of the tool that the provider calls `name`.
    #[must_use]
    pub fn restored<'n>(&'n self, name: &'n str) -> &'n str {
        self.tool(name).name
    }

    /// Whether no name needs to be restored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The tool of this table that the provider calls `name`.
    pub(super) fn known(&self, name: &str) -> Option<Restored<'_>> {
        let place = match *self.ways.get(name)? {
            Way::Sent(place) | Way::Dotted(place) | Way::Bare(place) => place,
            Way::Ambiguous => return None,
        };
        let known = self.all.get(place)?;
        Some(Restored {
            namespace: known.namespace.as_deref(),
            name: &known.name,
            kind: known.kind,
        })
    }

    /// Notes that `tool` is sent as `sent`.
    pub(super) fn add(&mut self, sent: &str, tool: Restored<'_>) {
        if self.all.len() >= NAMES_MAX {
            return;
        }
        self.ways.insert(sent.into(), Way::Sent(self.all.len()));
        self.all.push(Known {
            namespace: tool.namespace.map(Into::into),
            name: tool.name.into(),
            kind: tool.kind,
        });
    }

    /// Notes that the tool of a namespace that was [added](Self::add) last is also called by these
    /// names, unless they mean another tool.
    pub(super) fn add_ways(&mut self, dotted: Option<&str>, bare: Option<&str>) {
        let Some(place) = self.all.len().checked_sub(1) else {
            return;
        };
        if let Some(dotted) = dotted {
            let way = self.ways.entry(dotted.into());
            let way = way.or_insert(Way::Dotted(place));
            if matches!(way, Way::Bare(_) | Way::Ambiguous) {
                *way = Way::Dotted(place);
            }
        }
        if let Some(bare) = bare {
            let way = self.ways.entry(bare.into());
            let is_known = |way: &mut Way| {
                if matches!(way, Way::Bare(_)) {
                    *way = Way::Ambiguous;
                }
            };
            way.and_modify(is_known).or_insert(Way::Bare(place));
        }
    }

    /// Notes that `name` is that of a tool which is sent as it is.
    pub(super) fn keep(&mut self, name: &str) {
        if !matches!(self.ways.get(name), None | Some(Way::Sent(_))) {
            self.ways.remove(name);
        }
    }

    /// The form to send of a tool's `name`, a string; both with their quotes.
    pub(super) fn shortened<'a>(&mut self, name: &'a [u8]) -> Cow<'a, [u8]> {
        let Some((long, short)) = short_form(name) else {
            return Cow::Borrowed(name);
        };
        let quoted = json::quoted(&short);
        if !self.ways.contains_key(&*short) {
            let tool = Restored {
                namespace: None,
                name: &long,
                kind: ToolKind::Function,
            };
            self.add(&short, tool);
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
    let kept = long.chars().take(CHARS_KEPT).collect();
    let short = with_digest(kept, &long);
    Some((long, short))
}

/// A name that every provider takes, for a tool that is called `name`.
pub(super) fn fitting(name: &str) -> String {
    let allowed = |letter: char| {
        let is_allowed = letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
        if is_allowed { letter } else { '_' }
    };
    let mut fitting: String = name.chars().map(allowed).collect();
    if fitting.len() <= CHARS_MAX {
        return fitting;
    }
    fitting.truncate(CHARS_KEPT);
    with_digest(fitting, name)
}

/// Whether every provider takes the name between the quotes of a string as it is written.
pub(super) fn fits(quoted: &[u8]) -> bool {
    let is_allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let name = between_quotes(quoted);
    name.len() <= CHARS_MAX && name.iter().all(is_allowed)
}

/// The `number`th name like `name`, which every provider takes.
pub(super) fn numbered(name: &str, number: usize) -> String {
    let number = number.to_string();
    let kept: String = name.chars().take(CHARS_MAX - 1 - number.len()).collect();
    format!("{kept}_{number}")
}

/// What is kept of a long name, and what tells it from others that begin alike.
fn with_digest(mut kept: String, long: &str) -> String {
    kept.push('_');
    kept.extend(digest::hex(long.as_bytes()).chars().take(8));
    kept
}

/// Longest name that chat completions take, in characters; Messages take 128.
const CHARS_MAX: usize = 64;
/// What a short form keeps of its name, in characters: the rest is `_` and eight digits.
const CHARS_KEPT: usize = CHARS_MAX - 9;
/// Most names that are restored. A request with more such names than any client has tools gets the
/// others back as they are sent.
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
        assert_eq!(names.all.len(), 1);
        assert_eq!(names.restored(short), long);
        assert_eq!(names.restored("Bash"), "Bash");
    }

    fn member<'n>(namespace: &'n str, name: &'n str) -> Restored<'n> {
        Restored {
            namespace: Some(namespace),
            name,
            kind: ToolKind::Custom,
        }
    }

    #[test]
    fn a_member_comes_back_by_each_of_its_names() {
        let mut names = Names::default();
        for (sent, namespace) in [("a__x", "a"), ("b__x", "b")] {
            names.add(sent, member(namespace, "x"));
            names.add_ways(Some(&format!("{namespace}.x")), Some("x"));
        }
        names.add("a__y", member("a", "y"));
        names.add_ways(Some("a.y"), Some("y"));
        names.add("a__z", member("a", "z"));
        names.add_ways(Some("a.z"), Some("z"));
        names.keep("z");
        for (said, namespace, name) in [
            ("a__x", "a", "x"),
            ("b.x", "b", "x"),
            ("y", "a", "y"),
            ("a.z", "a", "z"),
        ] {
            assert_eq!(names.tool(said), member(namespace, name), "{said}");
        }
        // Several members have the name, another tool has it, or nobody.
        for said in ["x", "z", "q"] {
            let tool = names.tool(said);
            assert_eq!((tool.namespace, tool.name), (None, said));
            assert_eq!(tool.kind, ToolKind::Function);
        }
    }

    #[test]
    fn every_name_is_made_to_fit() {
        for (name, expected) in [
            ("a-B_9", "a-B_9"),
            ("functions.exec", "functions_exec"),
            ("é", "_"),
        ] {
            assert_eq!(fitting(name), expected);
        }
        let long = "mcp__company_internal_documentation_server__search_documents_by_owner_and_date";
        let short = "mcp__company_internal_documentation_server__search_docu_396eefd5";
        assert_eq!(fitting(long), short);
        assert_eq!(fitting(&".".repeat(65)).len(), CHARS_MAX);
        assert_eq!(numbered("a", 2), "a_2");
        assert_eq!(numbered(short, 10).len(), CHARS_MAX);
        for (quoted, expected) in [
            (r#""a-B_9""#, true),
            (r#""a.b""#, false),
            (r#""\u0061""#, false),
        ] {
            assert_eq!(fits(quoted.as_bytes()), expected);
        }
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
