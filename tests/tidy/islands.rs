//! The list of `unsafe` lines in docs/testing.md is that of the source.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{Source, has_word};

/// Where the list begins and ends.
const BEGIN: &str = "<!-- unsafe -->";
const END: &str = "<!-- end -->";

/// Compares the rows with the functions that hold an `unsafe`, and looks whether the tests that a
/// row names are there. `exists` says which paths there are.
pub(crate) fn check(page: &str, sources: &[Source], exists: impl Fn(&str) -> bool) -> Vec<String> {
    let listed = listed(page);
    let found = found(sources);
    let mut faults = Vec::new();
    for (file, items) in &found {
        let named = listed.get(file).map(|row| &row.items);
        for item in items
            .iter()
            .filter(|item| named.is_none_or(|named| !named.contains(*item)))
        {
            faults.push(format!(
                "{file}: unsafe in `{item}` is not in docs/testing.md"
            ));
        }
    }
    for (file, row) in &listed {
        let there = found.get(file);
        for item in &row.items {
            if there.is_none_or(|there| !there.contains(item)) {
                faults.push(format!("docs/testing.md: {file} has no unsafe in `{item}`"));
            }
        }
        for test in row
            .tests
            .iter()
            .filter(|test| !is_there(test, sources, &exists))
        {
            faults.push(format!("docs/testing.md: {file}: there is no `{test}`"));
        }
        if row.tests.is_empty() {
            faults.push(format!("docs/testing.md: {file}: no test is named"));
        }
    }
    faults
}

/// A row of the list.
struct Row {
    items: BTreeSet<String>,
    tests: Vec<String>,
}

fn listed(page: &str) -> BTreeMap<String, Row> {
    let (_, list) = page.split_once(BEGIN).unwrap_or_default();
    let list = list.split(END).next().unwrap_or_default();
    let rows = list.lines().filter_map(|line| {
        let cells: Vec<&str> = line.split('|').collect();
        let [_, file, items, _, tests, _] = cells.as_slice() else {
            return None;
        };
        let file = quoted(file).next()?.to_owned();
        let row = Row {
            items: quoted(items).map(str::to_owned).collect(),
            tests: quoted(tests).map(str::to_owned).collect(),
        };
        Some((file, row))
    });
    rows.collect()
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The functions and types of each file in which an `unsafe` stands.
fn found(sources: &[Source]) -> BTreeMap<String, BTreeSet<String>> {
    let mut found = BTreeMap::<String, BTreeSet<String>>::new();
    for source in sources {
        let mut function = String::new();
        for line in &source.lines {
            if let Some(name) = name_behind(&line.code, "fn ") {
                function = name;
            }
            if has_word(&line.code, "unsafe") {
                let implemented = line.code.contains("unsafe impl");
                let owner = implemented
                    .then(|| name_behind(&line.code, " for "))
                    .flatten();
                let item = owner.unwrap_or_else(|| function.clone());
                found.entry(source.path.clone()).or_default().insert(item);
            }
        }
    }
    found
}

/// The name that stands behind `word`.
fn name_behind(code: &str, word: &str) -> Option<String> {
    let at = code.find(word)?;
    let is_whole = code[..at]
        .chars()
        .next_back()
        .is_none_or(|before| before == ' ');
    let is_of_name = |c: &char| c.is_alphanumeric() || *c == '_';
    let name: String = code[at + word.len()..]
        .chars()
        .take_while(is_of_name)
        .collect();
    (!name.is_empty() && (is_whole || word.starts_with(' '))).then_some(name)
}

/// Whether `test` is a path, a target of the fuzzer, or a test.
fn is_there(test: &str, sources: &[Source], exists: &impl Fn(&str) -> bool) -> bool {
    let target = format!("name: \"{test}\"");
    let function = format!("fn {test}(");
    exists(test)
        || sources.iter().any(|source| {
            let is_fuzz = source.path.starts_with("fuzz/src/targets/");
            let has = |line: &crate::source::Line| {
                line.is_test && line.code.contains(&function)
                    || is_fuzz && line.text.contains(&target)
            };
            source.lines.iter().any(has)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(row: &str) -> String {
        format!("{BEGIN}\n| file | where | why | tests |\n|---|---|---|---|\n{row}\n{END}\n")
    }

    #[test]
    fn an_island_that_is_not_listed_and_one_that_is_not_there_are_found() {
        let text = "fn a() {\n    unsafe { f() }\n}\nunsafe impl T for Held {}\n\
                    #[cfg(test)]\nmod tests {\n    #[test]\n    fn it_works() {}\n}\n";
        let sources = [Source::new("src/a.rs", text)];
        let check = |row: &str| check(&page(row), &sources, |path| path == "tests/it");
        let none = Vec::<String>::new();
        assert_eq!(
            check("| `src/a.rs` | `a`, `Held` | is so | `it_works`, `tests/it` |"),
            none
        );
        assert_eq!(check("").len(), 2);
        assert_eq!(check("| `src/a.rs` | `a` | is so | `it_works` |").len(), 1);
        assert_eq!(
            check("| `src/a.rs` | `a`, `b`, `Held` | is so | `it_works` |").len(),
            1
        );
        assert_eq!(
            check("| `src/a.rs` | `a`, `Held` | is so | `it_fails` |").len(),
            1
        );
        assert_eq!(check("| `src/a.rs` | `a`, `Held` | is so | |").len(), 1);
    }
}
