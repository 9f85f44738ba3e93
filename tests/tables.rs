//! The README's tables have one source each; a stale one is written anew, and the test fails.
//! Every configuration that users are shown is run through `validate --strict`.

#[path = "support/configurations.rs"]
mod configurations;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use infermux::cli::flags::Arguments;
use infermux::exchange::refusal::TABLE;
use infermux::report::metrics::ROWS;

#[test]
fn the_tables_of_the_readme_are_up_to_date() {
    let path = readme();
    let text = std::fs::read_to_string(&path).unwrap();
    let tables = [
        ("commands", commands()),
        ("errors", errors()),
        ("keys", keys()),
        ("metrics", metrics()),
    ];
    let fresh = tables.iter().fold(text.clone(), |text, (name, table)| {
        filled(&text, name, table)
    });
    if fresh != text {
        std::fs::write(&path, fresh).unwrap();
        panic!("README.md had a stale table; it has been written anew");
    }
}

#[test]
fn every_configuration_that_is_shown_is_valid() {
    let all = configurations::all();
    for page in ["README.md", "tools/deploy/examples", "tests/golden"] {
        let count = all.iter().filter(|(name, _)| name.contains(page)).count();
        assert!(count >= 3, "{count} configurations in {page}");
    }
    for (name, text) in all {
        if let Err(faults) = configurations::judged(&text) {
            panic!("{name}: {faults:?}");
        }
    }
}

fn commands() -> String {
    let mut table = String::from("| command | flags | |\n|---|---|---|\n");
    for command in Arguments::command().get_subcommands() {
        let flags: Vec<String> = command.get_arguments().map(flag).collect();
        let about = command.get_about().map(ToString::to_string);
        let _ = writeln!(
            table,
            "| `{}` | {} | {} |",
            command.get_name(),
            flags.join(" "),
            about.unwrap_or_default()
        );
    }
    table
}

/// A flag, or a word without one, as a command line has it.
fn flag(argument: &clap::Arg) -> String {
    let takes_value = argument.get_action().takes_values();
    let names = argument.get_value_names().unwrap_or_default().iter();
    let value: Vec<&str> = names.map(clap::builder::Str::as_str).collect();
    let value = if takes_value {
        value.join(" ")
    } else {
        String::new()
    };
    let is_optional = argument
        .get_num_args()
        .is_some_and(|range| range.min_values() == 0);
    match argument.get_long() {
        None => format!("`{value}`"),
        Some(long) if value.is_empty() => format!("`--{long}`"),
        Some(long) if is_optional => format!("`--{long}[={value}]`"),
        Some(long) => format!("`--{long} {value}`"),
    }
}

fn errors() -> String {
    let mut table = String::from(
        "| code | status | when | what the caller does | what the operator does |\n\
         |---|---|---|---|---|\n",
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

fn metrics() -> String {
    let mut table = String::from("| metric | type | labels | |\n|---|---|---|---|\n");
    for row in ROWS {
        let labels: Vec<String> = row.labels.iter().map(|name| format!("`{name}`")).collect();
        let _ = writeln!(
            table,
            "| `{}` | {} | {} | {} |",
            row.name,
            row.kind.name(),
            labels.join(" "),
            row.help
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
