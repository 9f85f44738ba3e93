//! ARCHITECTURE.md names rooms, files and what is in them: each of these must be there.

use crate::source::{Source, has_word};

/// The paths of the `page` that lead nowhere. Text in backticks is a path where names stand around
/// `::`, and a file where it ends as one.
pub(crate) fn check(page: &str, sources: &[Source], exists: impl Fn(&str) -> bool) -> Vec<String> {
    let mut faults = Vec::new();
    for (index, line) in page.lines().enumerate() {
        for span in line.split('`').skip(1).step_by(2) {
            let found = if is_file(span) {
                exists(span)
            } else if is_path(span) {
                leads_somewhere(span, sources)
            } else {
                continue;
            };
            if !found {
                let number = index + 1;
                faults.push(format!("ARCHITECTURE.md:{number}: there is no `{span}`"));
            }
        }
    }
    faults
}

fn is_file(span: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    let is_known = [".rs", ".md", ".json", ".toml"]
        .iter()
        .any(|end| span.ends_with(end));
    span.contains('/') && is_known && span.chars().all(is_part)
}

fn is_path(span: &str) -> bool {
    let is_name = |name: &str| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    span.contains("::") && span.split("::").all(is_name)
}

/// Whether the path's names are modules as far as they go, and words of the last one's files after
/// that. A path may begin with the last modules of its way, or with a type.
fn leads_somewhere(span: &str, sources: &[Source]) -> bool {
    let names: Vec<&str> = span.split("::").collect();
    let inside = sources
        .iter()
        .filter(|source| source.path.starts_with("src/"));
    let mut modules = inside.map(|source| (module_of(&source.path), source));
    let begins_anywhere = !sources
        .iter()
        .any(|source| source.room() == names.first().copied());
    modules.any(|(module, source)| {
        let starts = if begins_anywhere {
            0..module.len() + 1
        } else {
            0..1
        };
        starts.into_iter().any(|start| {
            let way = module.get(start..).unwrap_or_default();
            let shared = way.iter().zip(&names).take_while(|(a, b)| a == b).count();
            let is_inside = shared == way.len();
            let words = names.get(shared..).unwrap_or_default();
            is_inside && words.iter().all(|word| defines(source, word))
        })
    })
}

/// The modules that lead to a file.
fn module_of(path: &str) -> Vec<&str> {
    let inside = path.strip_prefix("src/").unwrap_or(path);
    let inside = inside.strip_suffix(".rs").unwrap_or(inside);
    let inside = inside.strip_suffix("/mod").unwrap_or(inside);
    inside.split('/').collect()
}

/// Whether a line of the file defines a thing of this name, hands it on, or begins a variant or a
/// field.
fn defines(source: &Source, name: &str) -> bool {
    const KINDS: [&str; 7] = ["fn", "struct", "enum", "trait", "const", "type", "mod"];
    source.shipped().any(|line| {
        let code = line.code.trim_start();
        let is_item = KINDS
            .iter()
            .any(|kind| has_word(code, &format!("{kind} {name}")));
        let is_member = code
            .strip_prefix(name)
            .is_some_and(|behind| behind.starts_with([',', '(', ':']) || behind.starts_with(" {"));
        let is_handed_on = code.starts_with("pub use ") && has_word(code, name);
        is_item || is_member || is_handed_on
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_leads_nowhere_is_found() {
        let sources = [
            Source::new("src/wire/mod.rs", "pub mod head;\npub use head::Head;\n"),
            Source::new(
                "src/wire/head.rs",
                "pub struct Head;\nimpl Head {\n    pub fn parse() {}\n}\nenum E {\n    One,\n}\n",
            ),
            Source::new("src/wire/json/check.rs", "fn is_json() {}\n"),
            Source::new("src/base/time.rs", "// fn gone() {}\n"),
        ];
        let faults = |text: &str| check(text, &sources, |path| path == "docs/a.md");
        for good in [
            "`wire::head` `wire::Head`",
            "`wire::head::Head::parse` and `wire::head::E::One`",
            "`Head::parse` `head::Head` `json::check` `wire::json::check::is_json`",
            "`docs/a.md` `a <b>` `x` `{a,b}::c` `std` wire::nothing",
        ] {
            assert_eq!(faults(good), Vec::<String>::new(), "{good}");
        }
        for bad in [
            "wire::nothing",
            "wire::head::Body",
            "wire::check",
            "Head::write",
            "head::parts",
            "base::time::gone",
            "nowhere::at_all",
            "docs/b.md",
        ] {
            let expected = format!("ARCHITECTURE.md:2: there is no `{bad}`");
            assert_eq!(faults(&format!("x\nsee `{bad}`.")), [expected]);
        }
    }
}
