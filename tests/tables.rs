//! The README's tables have one source each; a stale one is written anew, and the test fails.
//! Every configuration in the README is run through `validate`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use infermux::config::{Environment, Options, Strictness};
use infermux::exchange::refusal::TABLE;

#[test]
fn the_tables_of_the_readme_are_up_to_date() {
    let path = readme();
    let text = std::fs::read_to_string(&path).unwrap();
    let fresh = filled(&filled(&text, "errors", &errors()), "keys", &keys());
    if fresh != text {
        std::fs::write(&path, fresh).unwrap();
        panic!("README.md had a stale table; it has been written anew");
    }
}

#[test]
fn every_configuration_in_the_readme_is_valid() {
    let text = std::fs::read_to_string(readme()).unwrap();
    let blocks = configurations(&text);
    assert!(blocks.len() >= 3, "{} configurations found", blocks.len());
    for block in blocks {
        let options = Options {
            environment: Environment::Lookup(&|_| Some("set".to_owned())),
            strict: Strictness::Strict,
        };
        if let Err(rejected) = infermux::config::load(&block, &options) {
            let faults: Vec<String> = rejected.faults().iter().map(ToString::to_string).collect();
            panic!("{faults:?} in\n{block}");
        }
    }
}

/// The text of each YAML block, and of each here-document that ends with `YML`.
fn configurations(text: &str) -> Vec<String> {
    let between = |start: &str, end: &str| -> Vec<String> {
        let parts = text.split(start).skip(1);
        parts
            .filter_map(|part| part.split_once(end))
            .map(|(block, _)| block.to_owned())
            .collect()
    };
    [between("```yaml\n", "\n```"), between("<<'YML'\n", "\nYML")].concat()
}

fn errors() -> String {
    let mut table = String::from(
        "| code | status | when | what the caller does | what the operator does |\n|---|---|---|---|---|\n",
    );
    for row in TABLE {
        let _ = writeln!(
            table,
            "| `{}` | {} | {} | {} | {} |",
            row.code, row.status, row.when, row.caller, row.operator
        );
    }
    table
}

fn keys() -> String {
    let mut table = String::from("| key | type | default | meaning |\n|---|---|---|---|\n");
    for key in infermux::config::raw::keys::all() {
        let _ = writeln!(
            table,
            "| `{}` | {} | {} | {} |",
            key.path(),
            key.kind,
            key.default,
            key.meaning
        );
    }
    table
}

/// `text` with the table called `name` replaced.
fn filled(text: &str, name: &str, table: &str) -> String {
    let start = format!("<!-- table: {name} -->\n");
    let (before, rest) = text.split_once(&start).expect("the table's start");
    let (_, after) = rest.split_once("<!-- end -->").expect("the table's end");
    format!("{before}{start}{table}<!-- end -->{after}")
}

fn readme() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")
}
