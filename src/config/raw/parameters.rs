//! Reads values of any shape, which become JSON.

use crate::config::faults::below;
use crate::config::raw::fields::Block;
use crate::config::raw::{Node, Origin, Scalar};
use crate::wire::json;

impl<'a> Block<'a> {
    /// A mapping of names to values of any shape, as JSON.
    pub fn values(&self, name: &str) -> Vec<(&'a str, Vec<u8>)> {
        let mut values = Vec::new();
        for (key, node) in self.fields(name) {
            let mut value = Vec::new();
            match write(node, &mut value) {
                Ok(()) => values.push((key.as_str(), value)),
                Err(problem) => self.fault(&below(name, key), problem),
            }
        }
        values
    }
}

/// Appends the JSON for `node`.
///
/// Recursion is bounded: `raw::yaml` lets no tree be deeper than `CONFIG_DEPTH_MAX`.
fn write(node: &Node, out: &mut Vec<u8>) -> Result<(), String> {
    match node {
        Node::Null => out.extend_from_slice(b"null"),
        Node::Scalar(scalar) => write_scalar(scalar, out)?,
        Node::List(items) => {
            out.push(b'[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                write(item, out)?;
            }
            out.push(b']');
        }
        Node::Map(entries) => {
            out.push(b'{');
            for (place, (key, value)) in entries.iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                json::write_string(key, out);
                out.push(b':');
                write(value, out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

/// What comes from a variable or a file is a text: YAML has read only the reference.
fn write_scalar(scalar: &Scalar, out: &mut Vec<u8>) -> Result<(), String> {
    let text = &*scalar.text;
    if scalar.is_text || scalar.origin != Origin::File {
        json::write_string(text, out);
        return Ok(());
    }
    let word = match text {
        "true" | "True" | "TRUE" => "true",
        "false" | "False" | "FALSE" => "false",
        number => return write_number(number, out),
    };
    out.extend_from_slice(word.as_bytes());
    Ok(())
}

/// A number keeps its digits where JSON writes numbers in the same way.
fn write_number(text: &str, out: &mut Vec<u8>) -> Result<(), String> {
    if serde_json::from_str::<serde_json::Number>(text).is_ok() {
        out.extend_from_slice(text.as_bytes());
        return Ok(());
    }
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let based = [("0x", 16), ("0o", 8), ("0b", 2)];
    let based = based
        .iter()
        .find_map(|(prefix, base)| u64::from_str_radix(digits.strip_prefix(prefix)?, *base).ok());
    let number = match based {
        Some(whole) => whole.to_string(),
        None => match digits.parse::<f64>() {
            Ok(number) if number.is_finite() => number.to_string(),
            Ok(_) | Err(_) => return Err(format!("`{text}` is no number that JSON has")),
        },
    };
    out.extend_from_slice(sign.as_bytes());
    out.extend_from_slice(number.as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::raw::yaml;

    fn check(yaml: &str, expected: Result<&str, &str>) {
        let root = yaml::parse(&format!("a: {yaml}\n")).unwrap();
        let mut out = Vec::new();
        let found = write(&root[0].1, &mut out).map(|()| String::from_utf8(out).unwrap());
        assert_eq!(
            found.as_deref().map_err(|problem| &**problem),
            expected,
            "{yaml}"
        );
        if let Ok(text) = found {
            serde_json::from_str::<serde_json::Value>(&text).unwrap();
        }
    }

    #[test]
    fn values_keep_their_types_and_digits() {
        for (yaml, expected) in [
            ("5", "5"),
            ("-0.10", "-0.10"),
            ("1e3", "1e3"),
            ("12345678901234567890123", "12345678901234567890123"),
            (".5", "0.5"),
            ("+1", "1"),
            ("-0x1F", "-31"),
            ("0o17", "15"),
            ("'5'", "\"5\""),
            ("\"true\"", "\"true\""),
            ("true", "true"),
            ("False", "false"),
            ("yes", "\"yes\""),
            ("~", "null"),
            ("", "null"),
            ("''", "\"\""),
            ("low", "\"low\""),
            ("\"a\\nb\\\"é\"", "\"a\\nb\\\"é\""),
            ("2024-01-01", "\"2024-01-01\""),
            ("[1, [], {}, {b.c: [x]}]", "[1,[],{},{\"b.c\":[\"x\"]}]"),
            ("{1: 2, true: null}", "{\"1\":2,\"true\":null}"),
            ("&x {b: 1}", "{\"b\":1}"),
        ] {
            check(yaml, Ok(expected));
        }
        check(".nan", Err("`.nan` is no number that JSON has"));
        check("[-.inf]", Err("`-.inf` is no number that JSON has"));
    }
}
