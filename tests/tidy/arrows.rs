//! Which file uses which: an arrow for each pair of files of a crate.
//!
//! A use of a name counts for the file that defines it, not for the `mod` line that declares that
//! file, nor for a `use` that re-exports the name.

use std::collections::BTreeMap;

use crate::imports::{self, Imports, Path};
use crate::source::Source;

/// One file uses another.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Arrow {
    /// The file that uses.
    pub(crate) from: String,
    /// The line where it first names the other, from 1.
    pub(crate) line: usize,
    /// The file that defines it.
    pub(crate) to: String,
    /// The name.
    pub(crate) name: String,
}

/// The arrows between the `sources`, unit tests left out; by the files' paths.
pub(crate) fn all(sources: &[Source]) -> Vec<Arrow> {
    let files: BTreeMap<&str, Imports> = sources
        .iter()
        .map(|source| (source.path.as_str(), imports::read(source)))
        .collect();
    let roots = files.keys().filter(|path| is_root(path));
    let mut arrows: Vec<Arrow> = roots
        .flat_map(|root| Crate::new(root, &files).arrows())
        .collect();
    let place = |arrow: &Arrow| (arrow.from.clone(), arrow.to.clone(), arrow.line);
    arrows.sort_by_key(place);
    arrows.dedup_by(|a, b| (&a.from, &a.to) == (&b.from, &b.to));
    arrows
}

/// Whether a crate begins with the file.
fn is_root(path: &str) -> bool {
    let (folder, file) = path.rsplit_once('/').unwrap_or_default();
    let is_whole = |name: &str| folder == name || folder.ends_with(&format!("/{name}"));
    matches!(file, "lib.rs" | "main.rs") || is_whole("tests") || is_whole("benches")
}

/// The files that one root declares, and those that they declare.
struct Crate<'a> {
    files: &'a BTreeMap<&'a str, Imports>,
    /// Each file's place among the modules.
    modules: BTreeMap<Path, String>,
}

impl<'a> Crate<'a> {
    fn new(root: &str, files: &'a BTreeMap<&str, Imports>) -> Self {
        let mut modules = BTreeMap::new();
        let mut open = vec![(Path::new(), root.to_owned())];
        while let Some((module, file)) = open.pop() {
            let declared = files.get(file.as_str()).map(|imports| &imports.modules);
            for (name, given) in declared.into_iter().flatten() {
                let places = file_places(&file, name, given.as_deref());
                let found = places
                    .iter()
                    .find(|place| files.contains_key(place.as_str()));
                if let Some(found) = found {
                    let module = [module.as_slice(), std::slice::from_ref(name)].concat();
                    open.push((module, found.clone()));
                }
            }
            modules.insert(module, file);
        }
        Self { files, modules }
    }

    fn arrows(&self) -> Vec<Arrow> {
        let mut arrows = Vec::new();
        for (module, file) in &self.modules {
            let imports = &self.files[file.as_str()];
            for named in &imports.named {
                let scope = [module.as_slice(), &named.within].concat();
                let Some((to, name)) = self.definition(&scope, &named.path, HOPS_MAX) else {
                    continue;
                };
                if to != file {
                    let (from, line, to) = (file.clone(), named.line, to.to_owned());
                    arrows.push(Arrow {
                        from,
                        line,
                        to,
                        name,
                    });
                }
            }
        }
        arrows
    }

    /// The file that defines what `path` means in the module `scope`, and its name there; `None`
    /// where the path means a module, or comes from another crate.
    fn definition(&self, scope: &[String], path: &[String], hops: usize) -> Option<(&str, String)> {
        let (first, rest) = path.split_first()?;
        let hops = hops.checked_sub(1)?;
        match first.as_str() {
            "crate" => self.below(&[], rest, hops),
            "self" => self.below(scope, rest, hops),
            "super" => {
                let mut scope = scope;
                let climbs = path.iter().take_while(|name| *name == "super").count();
                for _ in 0..climbs {
                    scope = scope.split_last()?.1;
                }
                self.below(scope, &path[climbs..], hops)
            }
            _ => {
                let home = self.home(scope);
                let is_child = self
                    .modules
                    .contains_key(&[home, std::slice::from_ref(first)].concat());
                let is_bound = self.imports(home).bound.contains_key(first);
                (is_child || is_bound).then(|| self.below(home, path, hops))?
            }
        }
    }

    /// As above, for a path that begins in the module `scope`.
    fn below(&self, scope: &[String], path: &[String], hops: usize) -> Option<(&str, String)> {
        let (first, rest) = path.split_first()?;
        let child = [scope, std::slice::from_ref(first)].concat();
        if self.modules.contains_key(&child) {
            return self.below(&child, rest, hops);
        }
        let home = self.home(scope);
        match self.imports(home).bound.get(first) {
            Some(bound) => {
                let path = [bound.as_slice(), rest].concat();
                self.definition(home, &path, hops)
            }
            None => Some((&self.modules[home], first.clone())),
        }
    }

    /// The module with a file of its own that holds `scope`.
    fn home<'s>(&self, scope: &'s [String]) -> &'s [String] {
        let mut home = scope;
        while !self.modules.contains_key(home)
            && let Some((_, outer)) = home.split_last()
        {
            home = outer;
        }
        home
    }

    fn imports(&self, module: &[String]) -> &Imports {
        &self.files[self.modules[module].as_str()]
    }
}

/// The files where the module `name` may lie that `file` declares.
fn file_places(file: &str, name: &str, given: Option<&str>) -> Vec<String> {
    let (folder, own) = file.rsplit_once('/').unwrap_or(("", file));
    if let Some(given) = given {
        return vec![format!("{folder}/{given}")];
    }
    let stem = own.trim_end_matches(".rs");
    let folder = if is_root(file) || stem == "mod" {
        folder.to_owned()
    } else {
        format!("{folder}/{stem}")
    };
    vec![
        format!("{folder}/{name}.rs"),
        format!("{folder}/{name}/mod.rs"),
    ]
}

/// Most re-exports of a name in a row.
const HOPS_MAX: usize = 16;

#[cfg(test)]
#[path = "arrows_tests.rs"]
mod tests;
