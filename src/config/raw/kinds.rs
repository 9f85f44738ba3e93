//! What the list of keys says of a key: the type of its value, and its default.

use std::time::Duration;

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// The block it belongs to, as `providers[]`; empty for the top level.
    pub section: &'static str,
    /// Its name within the block.
    pub name: &'static str,
    /// The type of its value.
    pub kind: Kind,
    /// The value where it is absent.
    pub default: Fallback,
    /// What it means, in a sentence.
    pub meaning: &'static str,
}

/// The type of a key's value.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A text.
    Text(TextKind),
    /// A list of texts.
    Texts(TextKind),
    /// A list of texts, and of mappings whose keys are those of this section, `name` among them.
    Entries(TextKind, &'static str),
    /// A mapping of names to names.
    Names,
    /// A mapping of paths to values of any shape, which are never shown.
    Values,
    /// A mapping of header names to values, which are never shown.
    Headers,
    /// An address to listen on.
    Address,
    /// An `http` or `https` URL.
    Url,
    /// A list of cores, as `2-5,8`.
    Cores,
    /// `true` or `false`.
    Flag,
    /// A whole number within these bounds.
    Whole(u64, u64),
    /// A number within these thousandths.
    Ratio(u32, u32),
    /// A number above 0, at most 1.
    Share,
    /// US dollars, at most this many.
    Usd(u32),
    /// A duration within these bounds.
    Span(Duration, Duration),
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list of some of these words.
    Words(&'static [&'static str]),
    /// A mapping whose keys are those of this section.
    Block(&'static str),
    /// A list of mappings whose keys are those of this section.
    Blocks(&'static str),
    /// A mapping from names to mappings whose keys are those of this section.
    Named(&'static str),
    /// A mapping from names to mappings from names to values.
    Table,
}

/// What a text may consist of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextKind {
    /// A name that travels in headers: visible ASCII.
    Name,
    /// A header's text, blanks within included: anything without control characters.
    Label,
    /// A model's name: anything without control characters.
    Model,
    /// The path of a file.
    Path,
    /// The origin of web pages: scheme, host and at most a port; or `*`.
    Origin,
    /// A credential: visible ASCII, never shown. Blanks around it are dropped.
    Secret,
    /// The path of a parameter: names with dots between them.
    Parameter,
    /// The name of a header.
    Header,
    /// A header's value, which may be a credential: visible ASCII and blanks, never shown. Blanks
    /// around it are dropped.
    HeaderValue,
}

/// The value of an absent key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// No value.
    Nothing,
    /// The key must be there.
    Required,
    /// This value, as a file would state it.
    Value(&'static str),
    /// The value that this rule describes.
    Rule(&'static str),
}

impl Key {
    /// The whole path, as `providers[].timeout`.
    #[must_use]
    pub fn path(&self) -> String {
        if self.section.is_empty() {
            return self.name.to_owned();
        }
        format!("{}.{}", self.section, self.name)
    }
}

/// The key of these parts.
pub(super) const fn key(
    section: &'static str,
    name: &'static str,
    kind: Kind,
    default: Fallback,
    meaning: &'static str,
) -> Key {
    Key {
        section,
        name,
        kind,
        default,
        meaning,
    }
}
