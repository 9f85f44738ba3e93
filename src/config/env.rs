//! Variables in values: `${NAME}`, `${NAME:-fallback}`, and `$$` for a dollar sign.
//!
//! Substitution happens in single values after parsing, so a variable cannot add structure.

use std::cell::Cell;

use crate::base::limits::CONFIG_BYTES_MAX;
use crate::config::Environment;
use crate::config::faults::{Findings, below, printable};
use crate::config::raw::{Node, Origin, Scalar};

/// Substitutes the variables in every value below `path`.
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
    /// What all substituted texts hold together.
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
        let pieces = match split(&scalar.text) {
            Ok(pieces) => pieces,
            Err(problem) => return self.found.fault(path, problem),
        };
        let has_variables = pieces
            .iter()
            .any(|piece| matches!(piece, Piece::Variable { .. }));
        let look_up = match self.environment {
            Environment::Lookup(look_up) => *look_up,
            Environment::Unresolved if has_variables => {
                scalar.origin = Origin::Unresolved;
                return;
            }
            Environment::Unresolved => &|_: &str| None,
        };
        let mut text = String::new();
        let mut empty = None;
        for piece in &pieces {
            match *piece {
                Piece::Text(part) => text.push_str(part),
                Piece::Variable { name, fallback } => {
                    let value = self.variable(name, fallback, look_up, path);
                    if value.is_empty() {
                        empty = empty.or_else(|| Some(name.to_owned()));
                    }
                    text.push_str(&value);
                }
            }
            if self.bytes.get() + text.len() as u64 > CONFIG_BYTES_MAX {
                let problem = "the variables make the file larger than a file may be";
                return self.found.fault(path, problem);
            }
        }
        self.bytes.set(self.bytes.get() + text.len() as u64);
        let written = std::mem::replace(&mut scalar.text, text);
        if has_variables {
            scalar.origin = Origin::Variables { written, empty };
        }
    }

    fn variable(
        &self,
        name: &str,
        fallback: Option<&str>,
        look_up: &dyn Fn(&str) -> Option<String>,
        path: &str,
    ) -> String {
        match (look_up(name), fallback) {
            // As in a shell, `:-` stands in for an empty variable too.
            (Some(value), Some(fallback)) if value.is_empty() => fallback.to_owned(),
            (Some(value), _) => value,
            (None, Some(fallback)) => fallback.to_owned(),
            (None, None) => {
                self.found
                    .doubt(path, format!("the variable {} is not set", printable(name)));
                String::new()
            }
        }
    }
}

/// A part of a value.
#[derive(Debug, PartialEq, Eq)]
enum Piece<'a> {
    Text(&'a str),
    Variable {
        name: &'a str,
        fallback: Option<&'a str>,
    },
}

/// Takes a value apart. A dollar sign that starts nothing stands for itself.
fn split(text: &str) -> Result<Vec<Piece<'_>>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, dollar) = rest.split_at(at);
        pieces.push(Piece::Text(before));
        if let Some(after) = dollar.strip_prefix("$$") {
            pieces.push(Piece::Text("$"));
            rest = after;
        } else if let Some(after) = dollar.strip_prefix("${") {
            let (inner, after) = after
                .split_once('}')
                .ok_or("a `${` is not closed; write `$$` for a dollar sign")?;
            pieces.push(variable(inner)?);
            rest = after;
        } else {
            pieces.push(Piece::Text("$"));
            rest = dollar.get(1..).unwrap_or("");
        }
    }
    pieces.push(Piece::Text(rest));
    Ok(pieces)
}

fn variable(inner: &str) -> Result<Piece<'_>, String> {
    let (name, fallback) = match inner.split_once(":-") {
        Some((name, fallback)) => (name, Some(fallback)),
        None => (inner, None),
    };
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !starts_well
        || !name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    {
        let written = printable(inner);
        return Err(format!(
            "`${{{written}}}` is not `${{NAME}}` or `${{NAME:-fallback}}`"
        ));
    }
    Ok(Piece::Variable { name, fallback })
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

    /// The value after substitution, then faults and warnings.
    fn substituted(text: &str, environment: &Environment<'_>) -> String {
        let scalar = Scalar {
            text: text.to_owned(),
            origin: Origin::File,
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
                "${} | a[0]: `${}` is not `${NAME}` or `${NAME:-fallback}`",
            ),
            (
                "${1A}",
                "${1A} | a[0]: `${1A}` is not `${NAME}` or `${NAME:-fallback}`",
            ),
            (
                "${A-b}",
                "${A-b} | a[0]: `${A-b}` is not `${NAME}` or `${NAME:-fallback}`",
            ),
        ] {
            assert_eq!(substituted(text, &Environment::Lookup(&look_up)), expected);
        }
    }

    #[test]
    fn without_an_environment_variables_stay() {
        for (text, expected) in [
            ("${KEY}", "${KEY} |"),
            ("a$$b", "a$b |"),
            ("$$${X}", "$$${X} |"),
        ] {
            assert_eq!(substituted(text, &Environment::Unresolved), expected);
        }
    }

    #[test]
    fn variables_cannot_fill_the_memory() {
        let large = |_: &str| Some("x".repeat(100_000));
        let found = substituted(&"${A}".repeat(1_000), &Environment::Lookup(&large));
        assert!(found.ends_with("larger than a file may be"));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "[${}A:\\-é]{0,30}") {
            substituted(&text, &Environment::Lookup(&look_up));
        }
    }
}
