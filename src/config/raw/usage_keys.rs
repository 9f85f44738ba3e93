//! The keys of usage records.

use crate::config::raw::kinds::{Fallback, Key, Kind, TextKind, key};

use Fallback::{Required, Value};
use Kind::{Text, Whole};
use TextKind::{Name, Path};

#[rustfmt::skip]
pub(super) const KEYS: &[Key] = &[
    key("usage", "file", Text(Path), Required,
        "The file that usage records are appended to, one JSON object a line. Each instance has \
            its own."),
    key("usage", "rotate", Text(Name), Value("1d"),
        "When the file is put aside and another one begun: after a time such as `1h` or `1d`, \
            counted from midnight, UTC; at a size such as `100MB` or `1GiB`; or `never`."),
    key("usage", "keep", Whole(1, 100_000), Value("30"),
        "How many files that were put aside are kept; the oldest are deleted."),
];
