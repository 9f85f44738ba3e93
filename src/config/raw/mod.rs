//! A file as it is written: its YAML, the keys it may have, and the reading of single fields.
//!
//! `yaml` is the only place that knows the YAML package, `keys` is the list of all keys. What the
//! fields mean together is the business of `check`.

pub mod document;
pub mod fields;
pub mod keys;
pub mod lines;
pub mod merge;
pub mod mixed;
pub mod schema;
mod shown;
pub mod texts;
pub mod values;
pub mod yaml;

/// One value of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// Nothing, `null` or `~`: as if the field were absent.
    Null,
    /// Any single value; which type is wanted decides how its text is read.
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
}

/// Where a value's text comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The file.
    File,
    /// Variables or other files, at least in part. Such a text may be a secret, and is never shown.
    References {
        /// What the file has.
        written: String,
        /// The first of what it refers to that gave nothing, as `the variable NAME`.
        empty: Option<String>,
    },
    /// References that were not looked up: the text is what the file has.
    Unresolved,
}

impl Node {
    /// What it is, for a sentence.
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
