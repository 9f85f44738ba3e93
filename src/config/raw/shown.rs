//! Keys as documentation shows them.

use std::fmt::{Display, Formatter, Result};

use crate::config::duration;
use crate::config::raw::keys::{Fallback, Kind, TextKind};

impl Display for Kind {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Text(kind) => write!(f, "{kind}"),
            Self::Texts(kind) => write!(f, "list of {kind}s"),
            Self::Entries(kind, _) => write!(f, "list of {kind}s or mappings"),
            Self::Names => f.write_str("name: name"),
            Self::Headers => f.write_str("name: value"),
            Self::Values => f.write_str("path: value"),
            Self::Address => f.write_str("address"),
            Self::Url => f.write_str("URL"),
            Self::Cores => f.write_str("list, as `2-5,8`"),
            Self::Flag => f.write_str("`true`, `false`"),
            Self::Whole(least, most) => write!(f, "{least} to {most}"),
            Self::Ratio(least, most) => {
                write!(f, "{} to {}", Thousandths(*least), Thousandths(*most))
            }
            Self::Share => f.write_str("above 0, to 1"),
            Self::Usd(most) => write!(f, "US dollars, to {most}"),
            Self::Span(least, most) => {
                write!(f, "{} to {}", duration::text(*least), duration::text(*most))
            }
            Self::Word(words) => f.write_str(&quoted(words)),
            Self::Words(words) => write!(f, "list of {}", quoted(words)),
            Self::Block(_) => f.write_str("mapping"),
            Self::Blocks(_) => f.write_str("list of mappings"),
            Self::Named(_) => f.write_str("pattern: mapping"),
            Self::Table => f.write_str("provider: model: prices"),
        }
    }
}

fn quoted(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}

impl Display for TextKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Self::Name => "name",
            Self::Label => "text",
            Self::Model => "model",
            Self::Path => "path",
            Self::Origin => "origin",
            Self::Secret => "secret",
            Self::Parameter => "parameter",
            Self::Header => "header name",
            Self::HeaderValue => "header value",
        })
    }
}

impl Display for Fallback {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Nothing => Ok(()),
            Self::Required => f.write_str("required"),
            Self::Value(value) => write!(f, "`{value}`"),
            Self::Rule(rule) => f.write_str(rule),
        }
    }
}

/// A number in thousandths, in decimal notation.
struct Thousandths(u32);

impl Display for Thousandths {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let digits = format!("{}.{:03}", self.0 / 1_000, self.0 % 1_000);
        f.write_str(digits.trim_end_matches('0').trim_end_matches('.'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_read_as_a_file_would_have_them() {
        assert_eq!(Kind::Ratio(1_000, 2_500).to_string(), "1 to 2.5");
        assert_eq!(Kind::Word(&["a", "b"]).to_string(), "`a`, `b`");
        assert_eq!(Fallback::Value("x").to_string(), "`x`");
    }
}
