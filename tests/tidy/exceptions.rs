//! What need not keep a rule, each with the reason; `tests/tidy.rs` finds those that are not needed
//! any more.

/// Folders whose own files, but not those of folders in them, may stand in circles, need no storey,
/// and may name monoio.
pub(crate) const UNSORTED: [(&str, &str); 0] = [];

/// Whether the file `path` is in one of those folders.
pub(crate) fn is_unsorted(path: &str) -> bool {
    let folder = path.rsplit_once('/').map(|(folder, _)| folder);
    UNSORTED.iter().any(|(one, _)| folder == Some(*one))
}

/// Files that may be longer.
pub(crate) const LONG_FILES: [(&str, &str); 0] = [];

/// Functions that may be longer or ask for more: the file, the name, the reason.
pub(crate) const LARGE_FUNCTIONS: [(&str, &str, &str); 5] = [
    ("src/shard/request/connection.rs", "read_head", GROWN),
    ("src/shard/request/connection.rs", "serve_one", GROWN),
    ("src/shard/request/retold.rs", "relay", GROWN),
    ("src/shard/request/stream.rs", "relay", GROWN),
    ("src/shard/request/stream.rs", "run", GROWN),
];

/// Why those functions are large.
const GROWN: &str = "it holds steps of a request that are to stand apart";
