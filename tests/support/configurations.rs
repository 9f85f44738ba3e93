//! Every configuration that infermux shows to its users.

use std::path::{Path, PathBuf};

use infermux::testing::config::{Environment, Lookup, Options, Strictness};

/// The pages for users.
pub(crate) fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<PathBuf> = files("docs");
    pages.retain(|page| page.extension().is_some_and(|kind| kind == "md"));
    pages.extend(["README.md", "tools/deploy/README.md"].map(|page| root().join(page)));
    pages
}

/// Each with its place: those of the pages, those that were published, those to deploy.
pub(crate) fn all() -> Vec<(String, String)> {
    let mut all = Vec::new();
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap_or_default();
        let blocks = blocks(&text).into_iter().enumerate();
        all.extend(blocks.map(|(i, block)| (format!("{}, block {i}", page.display()), block)));
    }
    for folder in ["tests/golden/config", "tools/deploy/examples"] {
        all.extend(files(folder).iter().map(|file| {
            let text = std::fs::read_to_string(file).expect("text");
            (file.display().to_string(), text)
        }));
    }
    all
}

/// What infermux says of `text` when every variable is set; the faults, where it is strict.
pub(crate) fn judged(text: &str) -> Result<(), Vec<String>> {
    let options = Options {
        environment: Environment::Lookup(Lookup {
            variable: &|name| Some(value(name).to_owned()),
            file: &|_| Ok(Some("from-a-file\n".to_owned())),
        }),
        strict: Strictness::Strict,
    };
    let loaded = infermux::testing::config::load(text, &options);
    loaded
        .map(|_| ())
        .map_err(|rejected| rejected.faults().iter().map(ToString::to_string).collect())
}

/// A value that does for a variable with this name.
fn value(name: &str) -> &str {
    match name {
        "MOST" => "10",
        "TIME" => "1s",
        "CORES" => "1",
        "USD" => "1.5",
        "MODE" => "static_key",
        name if name.ends_with("_URL") => "http://set",
        name if name.ends_with("_LISTEN") => ":8081",
        _ => "set",
    }
}

/// The text of each YAML block, and of each here-document that ends with `YML`.
fn blocks(text: &str) -> Vec<String> {
    let between = |start: &str, end: &str| -> Vec<String> {
        let parts = text.split(start).skip(1);
        parts
            .filter_map(|part| part.split_once(end))
            .map(|(block, _)| block.to_owned())
            .collect()
    };
    [between("```yaml\n", "\n```"), between("<<'YML'\n", "\nYML")].concat()
}

/// The files of a folder, in the order of their names.
fn files(folder: &str) -> Vec<PathBuf> {
    let files = std::fs::read_dir(root().join(folder)).expect("a folder");
    let mut files: Vec<PathBuf> = files.map(|file| file.expect("a file").path()).collect();
    files.sort();
    files
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
