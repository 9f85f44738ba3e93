//! Lists of models, as Anthropic's clients read them.

use std::io::Write as _;

use crate::base::time::WallTime;
use crate::dialect::compose::Composer;
use crate::wire::json;

/// What stands before the entries of a list.
pub const START: &[u8] = b"{\"data\":[";

/// Appends the entry of the model `id`, which was made at this Unix time, in seconds; zero: it is
/// not known when.
pub fn write_entry(id: &str, created: u64, out: &mut Vec<u8>) {
    let mut entry = Composer::object(out);
    entry.string("type", "model");
    entry.string("id", id);
    entry.string("display_name", id);
    write_time(created, entry.member("created_at"));
    entry.string("lifecycle", "active");
    entry.end();
}

/// Appends what stands behind the entries of a list: whether there are `more`, and the ids of the
/// first and the last entry, if there are any.
pub fn write_end(more: More, ends: Option<[&[u8]; 2]>, out: &mut Vec<u8>) {
    let more: &[u8] = match more {
        More::Follow => b"true",
        More::None => b"false",
    };
    out.extend_from_slice(b"],\"has_more\":");
    out.extend_from_slice(more);
    let [first, last] = ends.map_or([&b"null"[..]; 2], |ends| ends.map(id_of));
    out.extend_from_slice(b",\"first_id\":");
    out.extend_from_slice(first);
    out.extend_from_slice(b",\"last_id\":");
    out.extend_from_slice(last);
    out.push(b'}');
}

/// Whether models follow those of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum More {
    /// There are more in the direction in which the caller reads.
    Follow,
    /// There are none.
    None,
}

/// The id of an entry, a JSON string.
fn id_of(entry: &[u8]) -> &[u8] {
    json::member(entry, b"id").map_or(b"null", |id| id.value.text)
}

fn write_time(unix_seconds: u64, out: &mut Vec<u8>) {
    let time = WallTime::from_unix_millis(unix_seconds.min(LAST_SECOND) * 1_000);
    // Writing to memory cannot fail.
    let _ = write!(out, "\"{}Z\"", time.civil());
}

/// The last second of the year 9999, behind which RFC 3339 has no time.
const LAST_SECOND: u64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_says_when_its_model_was_made() {
        for (created, at) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_763_942_400, "2025-11-24T00:00:00Z"),
            (u64::MAX, "9999-12-31T23:59:59Z"),
        ] {
            let mut out = Vec::new();
            write_entry("a\"b", created, &mut out);
            let expected = format!(
                concat!(
                    r#"{{"type":"model","id":"a\"b","display_name":"a\"b","#,
                    r#""created_at":"{at}","lifecycle":"active"}}"#,
                ),
                at = at
            );
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn a_list_names_its_first_and_last_model() {
        let mut entry = Vec::new();
        write_entry("a\"b", 0, &mut entry);
        for (more, ends, expected) in [
            (
                More::None,
                None,
                r#"],"has_more":false,"first_id":null,"last_id":null}"#,
            ),
            (
                More::Follow,
                Some([&entry[..], &entry]),
                r#"],"has_more":true,"first_id":"a\"b","last_id":"a\"b"}"#,
            ),
        ] {
            let mut out = Vec::new();
            write_end(more, ends, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
