//! A long list in pieces. The YAML package holds all events of a text at once, twenty times the
//! text; of a file with tens of thousands of entries it need not see all of them together.

/// The pieces of a text whose top level is a list with an entry at the beginning of a line: each
/// has whole entries and comments, and together they say what the text says, if each of them is
/// read without a fault. `None`: the text is short, or is something else.
#[must_use]
pub fn of(text: &str) -> Option<Vec<&str>> {
    if text.len() < PIECE_BYTES {
        return None;
    }
    let (mut pieces, mut start, mut at) = (Vec::new(), 0, 0);
    let mut is_list = false;
    for line in text.split_inclusive('\n') {
        if begins_something_else(line, is_list) {
            return None;
        }
        if is_entry(line) {
            is_list = true;
            if at - start >= PIECE_BYTES {
                pieces.push(&text[start..at]);
                start = at;
            }
        }
        at += line.len();
    }
    pieces.push(&text[start..]);
    Some(pieces)
}

/// Whether the line begins an entry, if it is no part of a longer value. Where it is one, the piece
/// before it ends within a value and is no YAML.
fn is_entry(line: &str) -> bool {
    line.starts_with("- ") || line.trim_end() == "-"
}

/// Whether the line is outside of a list that has begun or not: a document of its own, a directive,
/// or something before the first entry. An alias that is in another piece than its anchor is known
/// by its fault.
fn begins_something_else(line: &str, is_list: bool) -> bool {
    let is_marker = ["---", "...", "%"].iter().any(|one| line.starts_with(one));
    let is_nothing = || line.trim_start().starts_with('#') || line.trim().is_empty();
    is_marker || (!is_list && !is_entry(line) && !is_nothing())
}

/// Bytes of a piece, at least.
const PIECE_BYTES: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &str = "- {name: a, models: [x]}\n  # said of it\n";

    #[test]
    fn a_long_list_is_cut_between_entries_alone() {
        let whole = format!("# keys\n\n{}", ENTRY.repeat(3 * PIECE_BYTES / ENTRY.len()));
        let pieces = of(&whole).expect("pieces");
        assert_eq!(pieces.concat(), whole);
        assert_eq!(pieces.len(), 3);
        assert!(pieces[1..].iter().all(|piece| piece.starts_with("- ")));
        let longest = pieces.iter().map(|piece| piece.len()).max();
        assert!(longest.is_some_and(|bytes| bytes < PIECE_BYTES + 2 * ENTRY.len()));
    }

    #[test]
    fn what_is_no_list_from_its_first_line_on_is_read_as_a_whole() {
        let list = ENTRY.repeat(2 * PIECE_BYTES / ENTRY.len());
        assert!(of(&list).is_some());
        assert_eq!(of(ENTRY), None);
        for (before, behind) in [
            ("keys:\n", ""),
            ("[a,\n", "]\n"),
            ("---\n", ""),
            ("%YAML 1.2\n", ""),
            ("", "...\n"),
            ("", "---\n- more\n"),
            ("  - {name: a}\n", ""),
        ] {
            assert_eq!(of(&format!("{before}{list}{behind}")), None, "{before}");
        }
    }
}
