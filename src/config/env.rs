//! References in values: `${NAME}` to a variable, `${file:PATH}` to a file, both with a
//! `:-fallback` if wanted; `$$` is a dollar sign.
//!
//! Substitution happens in single values after parsing, so a variable or file cannot add structure.

use std::cell::Cell;

use crate::base::limits::CONFIG_BYTES_MAX;
use crate::config::faults::{Findings, below, printable};
use crate::config::options::{Environment, Lookup};
use crate::config::raw::{Node, Origin, Scalar};

/// Substitutes the references in every value.
///
/// Recursion is bounded: `raw::yaml` lets no tree be deeper than `CONFIG_DEPTH_MAX`.
pub fn resolve(entries: &mut [(String, Node)], environment: &Environment<'_>, found: &Findings) {
    let resolver = Resolver {
        environment,
        found,
        bytes: Cell::new(0),
    };
    for (key, value) in entries {
        resolver.node(value, &below("", key));
    }
}

struct Resolver<'a> {
    environment: &'a Environment<'a>,
    found: &'a Findings,
    /// Length of all substituted texts together.
    bytes: Cell<u64>,
}

impl Resolver<'_> {
    fn node(&self, node: &mut Node, path: &str) {
        match node {
            Node::Null => {}
            Node::Scalar(scalar) if scalar.text.contains('$') => self.scalar(scalar, path),
            Node::Scalar(_) => {}
            Node::List(items) => {
                for (i, item) in items.iter_mut().enumerate() {
                    self.node(item, &format!("{path}[{i}]"));
                }
            }
            Node::Map(entries) => {
                for (key, value) in entries {
                    self.node(value, &below(path, key));
                }
            }
        }
    }

    fn scalar(&self, scalar: &mut Scalar, path: &str) {
        let segments = match split(&scalar.text) {
            Ok(segments) => segments,
            Err(problem) => return self.found.fault(path, problem),
        };
        let refers = segments
            .iter()
            .any(|segment| matches!(segment, Segment::Reference { .. }));
        let lookup = match self.environment {
            Environment::Lookup(lookup) => Some(lookup),
            Environment::Unresolved if refers => {
                scalar.origin = Origin::Unresolved;
                return;
            }
            Environment::Unresolved => None,
        };
        let mut text = String::new();
        let mut empty = None;
        for segment in &segments {
            match (*segment, lookup) {
                (Segment::Text(part), _) => text.push_str(part),
                (Segment::Reference { to, fallback }, Some(lookup)) => {
                    let value = self.value(to, fallback, lookup, path);
                    if value.is_empty() {
                        empty = empty.or_else(|| Some(to.describe()));
                    }
                    text.push_str(&value);
                }
                (Segment::Reference { .. }, None) => {}
            }
            if self.bytes.get() + text.len() as u64 > CONFIG_BYTES_MAX {
                let problem = "what it refers to makes the file larger than a file may be";
                return self.found.fault(path, problem);
            }
        }
        self.bytes.set(self.bytes.get() + text.len() as u64);
        let written = std::mem::replace(&mut scalar.text, text);
        if refers {
            scalar.origin = Origin::References { written, empty };
        }
    }

    /// The text that a reference gives; as in a shell, `:-` also stands in for an empty value.
    fn value(
        &self,
        to: Referent<'_>,
        fallback: Option<&str>,
        lookup: &Lookup<'_>,
        path: &str,
    ) -> String {
        let found = match to {
            Referent::Variable(name) => (lookup.variable)(name),
            Referent::File(file) => match (lookup.file)(file) {
                Ok(content) => content.map(without_line_break),
                Err(problem) => {
                    let problem = format!("the file {} {problem}", printable(file));
                    self.found.fault(path, problem);
                    Some(String::new())
                }
            },
        };
        match (found, fallback) {
            (Some(value), Some(fallback)) if value.is_empty() => fallback.replace("$$", "$"),
            (Some(value), _) => value,
            (None, Some(fallback)) => fallback.replace("$$", "$"),
            (None, None) => {
                self.nothing(to, path);
                String::new()
            }
        }
    }

    /// An unset variable may be intended; a missing file of a secret never is.
    fn nothing(&self, to: Referent<'_>, path: &str) {
        match to {
            Referent::Variable(name) => {
                let problem = format!("the variable {} is not set", printable(name));
                self.found.doubt(path, problem);
            }
            Referent::File(file) => {
                let problem = format!("the file {} does not exist", printable(file));
                self.found.fault(path, problem);
            }
        }
    }
}

/// A content without its last line break, which editors add and no secret has.
fn without_line_break(mut content: String) -> String {
    let kept = content.strip_suffix('\n').unwrap_or(&content);
    let kept = kept.strip_suffix('\r').unwrap_or(kept).len();
    content.truncate(kept);
    content
}

/// A part of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Segment<'a> {
    Text(&'a str),
    Reference {
        to: Referent<'a>,
        fallback: Option<&'a str>,
    },
}

/// What a value refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Referent<'a> {
    /// The variable with this name.
    Variable(&'a str),
    /// The file at this path.
    File(&'a str),
}

impl Referent<'_> {
    /// The referent in words, for a sentence.
    fn describe(self) -> String {
        match self {
            Self::Variable(name) => format!("the variable {}", printable(name)),
            Self::File(file) => format!("the file {}", printable(file)),
        }
    }
}

/// Splits a value into texts and references. A dollar sign that starts no reference stands for
/// itself.
fn split(text: &str) -> Result<Vec<Segment<'_>>, String> {
    let mut segments = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, dollar) = rest.split_at(at);
        segments.push(Segment::Text(before));
        if let Some(after) = dollar.strip_prefix("$$") {
            segments.push(Segment::Text("$"));
            rest = after;
        } else if let Some(after) = dollar.strip_prefix("${") {
            let (inner, after) = after
                .split_once('}')
                .ok_or("a `${` is not closed; write `$$` for a dollar sign")?;
            segments.push(reference(inner)?);
            rest = after;
        } else {
            segments.push(Segment::Text("$"));
            rest = dollar.get(1..).unwrap_or("");
        }
    }
    segments.push(Segment::Text(rest));
    Ok(segments)
}

fn reference(inner: &str) -> Result<Segment<'_>, String> {
    let (name, fallback) = match inner.split_once(":-") {
        Some((name, fallback)) => (name, Some(fallback)),
        None => (inner, None),
    };
    if fallback.is_some_and(|fallback| fallback.replace("$$", "").contains("${")) {
        return Err(format!(
            "the fallback of `{}` holds another `${{`, and references do not nest; write `$$` for \
             a dollar sign",
            printable(name)
        ));
    }
    let to = match name.strip_prefix("file:") {
        Some(file) => Referent::File(file.trim()),
        None => Referent::Variable(name),
    };
    let is_sound = match to {
        Referent::File(file) => !file.is_empty() && !file.contains(char::is_control),
        Referent::Variable(name) => {
            name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        }
    };
    if !is_sound {
        let written = printable(inner);
        return Err(format!(
            "`${{{written}}}` is not `${{NAME}}`, `${{NAME:-fallback}}` or `${{file:PATH}}`"
        ));
    }
    Ok(Segment::Reference { to, fallback })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Strictness;

    fn look_up(name: &str) -> Option<String> {
        match name {
            "KEY" => Some(String::from("sk-1")),
            "EMPTY" => Some(String::new()),
            "TRICKY" => Some(String::from("x\n- y: ${KEY}")),
            _ => None,
        }
    }

    fn file(path: &str) -> Result<Option<String>, String> {
        match path {
            "/run/key" => Ok(Some(String::from("sk-2\n"))),
            "/run/windows" => Ok(Some(String::from("sk-3\r\n"))),
            "/run/two lines" => Ok(Some(String::from("a\nb\n\n"))),
            "/run/bare" => Ok(Some(String::from("sk-4"))),
            "/run/empty" => Ok(Some(String::from("\n"))),
            "/run/secret" => Err(String::from("may not be read")),
            _ => Ok(None),
        }
    }

    fn outside<'a>(variable: &'a dyn Fn(&str) -> Option<String>) -> Environment<'a> {
        Environment::Lookup(Lookup {
            variable,
            file: &file,
        })
    }

    /// The value after substitution, then faults and warnings.
    fn substituted(text: &str, environment: &Environment<'_>) -> String {
        let scalar = Scalar {
            text: text.to_owned(),
            origin: Origin::File,
            is_text: true,
        };
        let mut root = [(String::from("a"), Node::List(vec![Node::Scalar(scalar)]))];
        let findings = Findings::new(Strictness::Lenient);
        resolve(&mut root, environment, &findings);
        let (faults, warnings) = findings.into_parts();
        let Node::List(items) = &root[0].1 else {
            unreachable!()
        };
        let Node::Scalar(scalar) = &items[0] else {
            unreachable!()
        };
        let told: Vec<_> = faults
            .iter()
            .chain(&warnings)
            .map(ToString::to_string)
            .collect();
        format!("{} | {}", scalar.text, told.join("; "))
            .trim_end()
            .to_owned()
    }

    #[test]
    fn variables_become_text() {
        for (text, expected) in [
            ("${KEY}", "sk-1 |"),
            ("a-${KEY}-b-${KEY}", "a-sk-1-b-sk-1 |"),
            ("${NO}", " | a[0]: the variable NO is not set"),
            ("${NO:-5s}", "5s |"),
            ("${NO:-}", " |"),
            ("${EMPTY:-5s}", "5s |"),
            ("${EMPTY}", " |"),
            ("${KEY:-5s}", "sk-1 |"),
            ("${NO:-a:-b}", "a:-b |"),
            ("${NO:-a$$b$c}", "a$b$c |"),
            ("${EMPTY:-$${x}", "${x |"),
            (
                "${NO:-${KEY}}",
                "${NO:-${KEY}} | a[0]: the fallback of `NO` holds another `${`, and references \
                 do not nest; write `$$` for a dollar sign",
            ),
            ("$$", "$ |"),
            ("$${KEY}", "${KEY} |"),
            ("$$$${KEY}", "$${KEY} |"),
            ("$KEY costs 5$", "$KEY costs 5$ |"),
            ("${TRICKY}", "x\n- y: ${KEY} |"),
            (
                "${KEY",
                "${KEY | a[0]: a `${` is not closed; write `$$` for a dollar sign",
            ),
            (
                "${}",
                "${} | a[0]: `${}` is not `${NAME}`, `${NAME:-fallback}` or `${file:PATH}`",
            ),
            (
                "${1A}",
                "${1A} | a[0]: `${1A}` is not `${NAME}`, `${NAME:-fallback}` or `${file:PATH}`",
            ),
            (
                "${A-b}",
                "${A-b} | a[0]: `${A-b}` is not `${NAME}`, `${NAME:-fallback}` or `${file:PATH}`",
            ),
        ] {
            assert_eq!(substituted(text, &outside(&look_up)), expected);
        }
    }

    #[test]
    fn contents_of_files_become_text_without_their_last_line_break() {
        for (text, expected) in [
            ("${file:/run/key}", "sk-2 |"),
            ("Bearer ${file: /run/key }!", "Bearer sk-2! |"),
            ("${file:/run/windows}", "sk-3 |"),
            ("${file:/run/two lines}", "a\nb\n |"),
            ("${file:/run/bare}", "sk-4 |"),
            ("${file:/run/empty}", " |"),
            ("${file:/run/empty:-x}", "x |"),
            ("${file:/nowhere:-x}", "x |"),
            (
                "${file:/nowhere}",
                " | a[0]: the file /nowhere does not exist",
            ),
            (
                "${file:/run/secret:-x}",
                "x | a[0]: the file /run/secret may not be read",
            ),
            (
                "${file:}",
                "${file:} | a[0]: `${file:}` is not `${NAME}`, `${NAME:-fallback}` or \
                 `${file:PATH}`",
            ),
        ] {
            assert_eq!(substituted(text, &outside(&look_up)), expected);
        }
    }

    #[test]
    fn without_an_environment_references_stay() {
        for (text, expected) in [
            ("${KEY}", "${KEY} |"),
            ("${file:/run/key}", "${file:/run/key} |"),
            ("a$$b", "a$b |"),
            ("$$${X}", "$$${X} |"),
        ] {
            assert_eq!(substituted(text, &Environment::Unresolved), expected);
        }
    }

    #[test]
    fn variables_cannot_fill_the_memory() {
        let large = |_: &str| Some("x".repeat(100_000));
        let found = substituted(&"${A}".repeat(1_000), &outside(&large));
        assert!(found.ends_with("larger than a file may be"));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "[${}A:\\-é]{0,30}") {
            substituted(&text, &outside(&look_up));
        }
    }
}
