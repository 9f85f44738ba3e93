//! A file as it is written: its YAML, the keys it may have, and the reading of single fields.
//!
//! `yaml` is the only place that knows the YAML package, `keys` is the list of all keys. `check`
//! finds out whether the fields make sense together.

pub mod document;
pub mod edit;
pub mod entries;
pub mod fields;
pub mod keys;
pub mod kinds;
pub mod lines;
pub mod merge;
pub mod mixed;
pub mod parameters;
mod pieces;
mod plain;
pub mod schema;
mod shared_keys;
mod shown;
mod telemetry_keys;
pub mod texts;
mod usage_keys;
pub mod values;
mod webhook_keys;
mod words;
pub mod yaml;

/// One value of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// An empty value, `null` or `~`: the same as an absent field.
    Null,
    /// Any single value; the type of its key decides how its text is read.
    Scalar(Scalar),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order of the file.
    Map(Vec<(String, Node)>),
}

/// A single value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scalar {
    /// Its text, variables substituted.
    pub text: String,
    /// Where the text comes from.
    pub origin: Origin,
    /// Whether YAML takes it for a text, and not for a number or a truth value.
    pub is_text: bool,
}

/// Where a value's text comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The file.
    File,
    /// Variables or other files, at least in part. Such a text may be a secret, and is never shown.
    References {
        /// The text in the file.
        written: String,
        /// The first reference that gave nothing, as `the variable NAME`.
        empty: Option<String>,
    },
    /// References that were not looked up: the text is that of the file.
    Unresolved,
}

impl Node {
    /// The kind of node, for a sentence.
    #[must_use]
    pub fn describe(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Scalar(_) => "a single value",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}
