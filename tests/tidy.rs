//! The rules of the house, checked on the source text.
//!
//! `source` tells code from comments, strings and tests, `tokens` and `imports` find the names in
//! it, `arrows` the files that define them; `rules` holds one small function per rule about one
//! file, `circles` and `storeys` the rules about all files, each with a snippet that breaks it;
//! `promises` compares ARCHITECTURE.md with the tests, `paths` with the source, and `islands` the
//! list of `unsafe` lines in docs/testing.md with the source.

#[path = "tidy/arrows.rs"]
mod arrows;
#[path = "tidy/circles.rs"]
mod circles;
#[path = "tidy/functions.rs"]
mod functions;
#[path = "tidy/imports.rs"]
mod imports;
#[path = "tidy/islands.rs"]
mod islands;
#[path = "tidy/paths.rs"]
mod paths;
#[path = "tidy/promises.rs"]
mod promises;
#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/storeys.rs"]
mod storeys;
#[path = "tidy/tokens.rs"]
mod tokens;

use std::path::Path;

use source::Source;

/// The folders that hold the house's own code.
const FOLDERS: [&str; 5] = ["src", "tests", "tools", "benches", "fuzz"];

#[test]
fn the_source_keeps_the_rules() {
    let sources = sources();
    assert!(sources.len() > 20, "only {} files found", sources.len());
    let mut faults = Vec::new();
    for source in &sources {
        for rule in rules::ALL {
            faults.extend(rule(source));
        }
    }
    report(&faults);
}

#[test]
fn every_promise_is_listed_and_proven() {
    // Without the page there is no list, and every promise named in code is a fault.
    let page = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap_or_default();
    report(&promises::check(&page, &sources()));
}

#[test]
fn what_the_page_about_the_house_names_is_there() {
    let page = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap_or_default();
    let exists = |path: &str| root().join(path).exists();
    report(&paths::check(&page, &sources(), exists));
}

#[test]
fn the_list_of_unsafe_lines_is_that_of_the_source() {
    let page = std::fs::read_to_string(root().join("docs/testing.md")).unwrap_or_default();
    let exists = |path: &str| root().join(path).exists();
    report(&islands::check(&page, &sources(), exists));
}

#[test]
fn files_take_from_each_other_in_one_direction() {
    let sources = sources();
    let arrows = arrows::all(&sources);
    assert!(arrows.len() > 500, "only {} arrows found", arrows.len());
    let mut faults = circles::check(&arrows);
    faults.extend(storeys::check(&sources, &arrows));
    report(&faults);
}

fn report(faults: &[String]) {
    assert!(
        faults.is_empty(),
        "{} faults:\n{}",
        faults.len(),
        faults.join("\n")
    );
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file of the house, by path.
fn sources() -> Vec<Source> {
    let mut folders: Vec<_> = FOLDERS.iter().map(|name| root().join(name)).collect();
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        // A folder of the list may not exist yet.
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for path in entries.map(|entry| entry.expect("a readable folder").path()) {
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                let text = std::fs::read_to_string(&path).expect("a readable file");
                let path = path.strip_prefix(root()).expect("a file below the root");
                sources.push(Source::new(&path.to_string_lossy(), &text));
            }
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    sources
}
