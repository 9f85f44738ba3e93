//! Promises: listed in ARCHITECTURE.md, named in code, proven by tests.

use std::collections::BTreeSet;

use crate::source::Source;

/// The mark before a promise that a test proves.
const PROVES: &str = concat!("// proves", ": ");
/// The mark before a promise that code keeps.
const NAMES: &str = concat!("(prom", "ise ");

/// The faults between the `page` and the `sources`.
pub(crate) fn check(page: &str, sources: &[Source]) -> Vec<String> {
    let mut listed = BTreeSet::new();
    let mut faults = Vec::new();
    for id in page.lines().filter_map(row) {
        if !listed.insert(id) {
            faults.push(format!("ARCHITECTURE.md: {id} stands twice"));
        }
    }
    let mut proven = BTreeSet::new();
    for source in sources {
        for line in &source.lines {
            let place = format!("{}:{}", source.path, line.number);
            for id in ids(&line.text, PROVES) {
                if !line.is_test {
                    faults.push(format!("{place}: {id} is proven outside a test"));
                }
                if !listed.contains(id) {
                    faults.push(format!(
                        "{place}: {id} is proven but not in ARCHITECTURE.md"
                    ));
                }
                proven.insert(id);
            }
            for id in ids(&line.text, NAMES).filter(|id| !listed.contains(id)) {
                faults.push(format!("{place}: {id} is not in ARCHITECTURE.md"));
            }
        }
    }
    let open = listed.difference(&proven);
    faults.extend(open.map(|id| format!("ARCHITECTURE.md: no test proves {id}")));
    faults
}

/// The promise that a table row begins with: "| `room.name` | …".
fn row(line: &str) -> Option<&str> {
    let (id, _) = line.strip_prefix("| `")?.split_once("` |")?;
    is_id(id).then_some(id)
}

/// The promises that follow `mark` in `text`.
fn ids<'a>(text: &'a str, mark: &'a str) -> impl Iterator<Item = &'a str> {
    text.match_indices(mark).filter_map(move |(at, mark)| {
        let rest = text.get(at + mark.len()..)?;
        let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        rest.get(..end).filter(|id| is_id(id))
    })
}

fn is_id(text: &str) -> bool {
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_lowercase())
            && part
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    text.split_once('.')
        .is_some_and(|(room, name)| part(room) && part(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "| id | what |\n|---|---|\n| `breaker.one-probe` | one at a time |\n";

    fn faults(page: &str, path: &str, text: &str) -> Vec<String> {
        check(page, &[Source::new(path, text)])
    }

    fn proof(id: &str) -> String {
        format!("{PROVES}{id}\n")
    }

    #[test]
    fn a_promise_without_a_test_is_found() {
        assert_eq!(faults(PAGE, "tests/it/a.rs", "").len(), 1);
        assert_eq!(
            faults(PAGE, "tests/it/a.rs", &proof("breaker.one-probe")),
            [""; 0]
        );
    }

    #[test]
    fn a_promise_that_is_not_listed_is_found() {
        let text = format!("/// Holds {NAMES}budget.never-over).\n");
        assert_eq!(faults("", "src/decide/a.rs", &text).len(), 1);
        assert_eq!(
            faults("", "tests/it/a.rs", &proof("budget.never-over")).len(),
            1
        );
    }

    #[test]
    fn a_proof_outside_a_test_is_found() {
        assert_eq!(
            faults(PAGE, "src/decide/a.rs", &proof("breaker.one-probe")).len(),
            1
        );
    }

    #[test]
    fn other_tables_are_not_promises() {
        for line in [
            "| `listen` | addr |",
            "| `a.b` and c |",
            "| `Room.x` | y |",
            "`a.b` | c",
        ] {
            assert_eq!(row(line), None, "{line}");
        }
    }
}
