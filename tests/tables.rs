//! The pages for users: each of their tables has one source, and a stale one is rewritten, which
//! fails the test. Every configuration that is shown is run through `validate --strict`, every
//! command is read by the command line's own parser, and every link leads somewhere.

#[path = "support/caches.rs"]
mod caches;
#[path = "support/configurations.rs"]
mod configurations;

use std::fmt::Write as _;
use std::path::Path;

use clap::{CommandFactory, Parser};
use infermux::testing::cli::flags::Arguments;
use infermux::testing::exchange::refusal::TABLE;
use infermux::testing::report::metrics::ROWS;
use infermux::testing::report::usage_record;

#[test]
fn the_tables_are_up_to_date() {
    for (page, name, table) in [
        ("docs/operations.md", "commands", commands()),
        ("docs/troubleshooting.md", "errors", errors()),
        ("docs/configuration.md", "keys", keys()),
        ("docs/operations.md", "metrics", metrics()),
        ("docs/usage-records.md", "usage", usage()),
    ] {
        let path = root().join(page);
        let text = std::fs::read_to_string(&path).unwrap();
        let fresh = filled(&text, name, &table);
        if fresh != text {
            std::fs::write(&path, fresh).unwrap();
            panic!("{page} had a stale table; it has been written anew");
        }
    }
}

/// The figures of conversations that stay are those of the choice as it is.
#[test]
fn the_figures_of_caches_are_up_to_date() {
    let all = caches::simulate();
    let (page, picture) = (
        root().join("docs/routing.md"),
        root().join("docs/caches.svg"),
    );
    let text = std::fs::read_to_string(&page).unwrap();
    let (fresh, plot) = (
        filled(&text, "caches", &caches::table(&all)),
        caches::plot(&all),
    );
    let former = std::fs::read_to_string(&picture).unwrap_or_default();
    if (&fresh, &plot) != (&text, &former) {
        std::fs::write(&page, fresh).unwrap();
        std::fs::write(&picture, plot).unwrap();
        panic!("the figures of caches were stale; they have been written anew");
    }
}

/// The README can be read in one sitting; details stand in `docs`.
#[test]
fn the_readme_is_short() {
    let text = std::fs::read_to_string(root().join("README.md")).unwrap();
    let lines = text.lines().count();
    assert!(lines <= 200, "README.md has {lines} lines");
}

#[test]
fn every_link_leads_somewhere() {
    let mut count = 0;
    for page in configurations::pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for link in links(&text) {
            if link.contains("://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() {
                page.clone()
            } else {
                page.parent().expect("a folder").join(file)
            };
            assert!(target.exists(), "{}: {link} leads nowhere", page.display());
            let has_anchor = anchor.is_empty() || anchors(&target).iter().any(|one| one == anchor);
            assert!(has_anchor, "{}: {link} has no heading", page.display());
            count += 1;
        }
    }
    assert!(count >= 20, "{count} links");
}

#[test]
fn every_command_that_is_shown_can_be_read() {
    let mut count = 0;
    for page in configurations::pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for line in commands_in(&text) {
            // The name that stands for any command.
            let words = line.split_whitespace().map(|word| match word {
                "COMMAND" => "serve",
                word => word,
            });
            let read = Arguments::try_parse_from(words);
            let fault = read.err().filter(clap::Error::use_stderr);
            assert!(fault.is_none(), "{}: `{line}`: {fault:?}", page.display());
            count += 1;
        }
    }
    assert!(count >= 30, "{count} commands");
}

#[test]
fn every_configuration_that_is_shown_is_valid() {
    let all = configurations::all();
    for (page, least) in [
        ("README.md", 1),
        ("docs/", 4),
        ("tools/deploy/examples", 3),
        ("tests/golden", 3),
    ] {
        let count = all.iter().filter(|(name, _)| name.contains(page)).count();
        assert!(count >= least, "{count} configurations in {page}");
    }
    for (name, text) in all {
        if let Err(faults) = configurations::judged(&text) {
            panic!("{name}: {faults:?}");
        }
    }
}

fn commands() -> String {
    let mut table = String::from("| command | flags | |\n|---|---|---|\n");
    let all = Arguments::command();
    commands_below("", &all, &mut table);
    table
}

/// A line for each of the commands of `above`, whose name begins with `begin`, and for theirs. One
/// that does nothing by itself has none.
fn commands_below(begin: &str, above: &clap::Command, table: &mut String) {
    for command in above.get_subcommands() {
        let name = format!("{begin}{}", command.get_name());
        if !command.is_subcommand_required_set() {
            let flags: Vec<String> = command.get_arguments().map(flag).collect();
            let about = command.get_about().map(ToString::to_string);
            let _ = writeln!(
                table,
                "| `{name}` | {} | {} |",
                flags.join(" "),
                about.unwrap_or_default()
            );
        }
        commands_below(&format!("{name} "), command, table);
    }
}

/// A flag, or a word without one, in the form of a command line.
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
        "| code | status | in Messages | when | what the caller does | what the operator does |\n\
         |---|---|---|---|---|---|\n",
    );
    for row in TABLE {
        let _ = writeln!(
            table,
            "| `{}` | {} | {} `{}` | {} | {} | {} |",
            row.code,
            row.status,
            row.in_messages.status,
            row.in_messages.kind,
            row.when,
            row.caller,
            row.operator
        );
    }
    table
}

fn keys() -> String {
    let mut table = String::from("| key | type | default | meaning |\n|---|---|---|---|\n");
    for key in infermux::testing::config::raw::keys::all() {
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

fn usage() -> String {
    let mut table = String::from("| field | of | type | meaning |\n|---|---|---|---|\n");
    for row in usage_record::ROWS {
        let kind = row.kind.told();
        let _ = writeln!(
            table,
            "| `{}` | {} | {kind} | {} |",
            row.name, row.of, row.help
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

/// The targets of a page's links: `](target)`, and `src="target"` of pictures.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let after = |start: &'static str, end: char| {
        let parts = text.split(start).skip(1);
        parts.filter_map(move |part| part.split_once(end).map(|(link, _)| link))
    };
    after("](", ')').chain(after("src=\"", '"'))
}

/// The headings of a page, as links name them.
fn anchors(page: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(page).expect("a page");
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |line: &str| {
        let words = line.trim_start_matches('#').trim().to_lowercase();
        let kept = words
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.collect::<String>().replace(' ', "-")
    };
    headings.map(anchor).collect()
}

/// Each command line of infermux in the shell blocks of a page, up to a comment, a pipe or `&&`,
/// and each one within a sentence.
fn commands_in(text: &str) -> Vec<&str> {
    let blocks = text.split("```sh\n").skip(1);
    let lines = blocks.flat_map(|block| block.split("```").next().unwrap_or_default().lines());
    let parts = lines.flat_map(|line| line.split("&&"));
    let parts = parts.filter(|part| part.trim().starts_with("infermux "));
    let inline = text
        .split('`')
        .filter(|part| part.starts_with("infermux ") && !part.contains('\n'));
    parts
        .chain(inline)
        .map(|part| {
            let end = part.find(['#', '|', '>']).unwrap_or(part.len());
            part[..end].trim()
        })
        .collect()
}

fn root() -> &'static Path {
    configurations::root()
}
