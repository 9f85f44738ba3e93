//! The names that one file uses of others: its `use` lines, its paths, and the modules that it
//! declares.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::Source;
use crate::tokens::{self, Token};

/// A path, `crate::wire::json` say, name by name.
pub(crate) type Path = Vec<String>;

/// The names that one file uses.
#[derive(Default)]
pub(crate) struct Imports {
    /// The modules it declares that are files of their own; where a file is given, which.
    pub(crate) modules: Vec<(String, Option<String>)>,
    /// The paths of its `use` lines, by the name that each has in the file.
    pub(crate) bound: BTreeMap<String, Path>,
    /// Every path in its code.
    pub(crate) named: Vec<Named>,
}

/// A path, and where it stands.
pub(crate) struct Named {
    /// Its line, from 1.
    pub(crate) line: usize,
    /// The modules, written out in the file itself, that it stands in.
    pub(crate) within: Path,
    /// The path as it is written; of a group or a glob, one member.
    pub(crate) path: Path,
}

/// Reads the code of `source`, without its unit tests.
pub(crate) fn read(source: &Source) -> Imports {
    let lines = source.lines.iter().filter(|line| !line.is_unit_test);
    let tokens = tokens::read(lines);
    let mut reader = Reader {
        source,
        tokens: &tokens,
        imports: Imports::default(),
        handed_on: Vec::new(),
        spoken: BTreeSet::new(),
        depth: 0,
        within: Vec::new(),
    };
    let mut at = 0;
    while at < tokens.len() {
        at += reader.step(at);
    }
    let Reader {
        mut imports,
        handed_on,
        spoken,
        ..
    } = reader;
    let used = handed_on
        .into_iter()
        .filter(|(name, _)| spoken.contains(name));
    imports.named.extend(used.map(|(_, named)| named));
    imports
}

/// A file that is being read.
struct Reader<'a> {
    source: &'a Source,
    tokens: &'a [Token<'a>],
    imports: Imports,
    /// The names that a `pub use` re-exports; they count only where the file itself uses them.
    handed_on: Vec<(String, Named)>,
    /// The first name of every path outside of `use` lines.
    spoken: BTreeSet<String>,
    /// Braces that are open.
    depth: usize,
    /// The open modules, with the depth at which each begins.
    within: Vec<(String, usize)>,
}

impl Reader<'_> {
    /// Reads the item that begins at token `at`; returns its number of tokens.
    fn step(&mut self, at: usize) -> usize {
        let rest = &self.tokens[at..];
        match (rest[0].text, rest) {
            ("{", _) => self.depth += 1,
            ("}", _) => {
                self.depth -= 1;
                self.within.retain(|(_, outer)| *outer < self.depth);
            }
            ("mod", [word, name, mark, ..]) if name.is_name() && mark.text == ";" => {
                let file = file_of_module(self.source, word.line);
                self.imports.modules.push((name.text.to_owned(), file));
                return 2;
            }
            ("mod", [_, name, mark, ..]) if name.is_name() && mark.text == "{" => {
                self.within.push((name.text.to_owned(), self.depth));
                return 2;
            }
            ("use", [_, next, ..]) if next.text != "<" => return self.use_line(at),
            _ if begins_path(self.tokens, at) => {
                let path = path(rest);
                let tokens = 2 * path.len() - 1;
                self.spoken.insert(path[0].clone());
                if path.len() > 1 {
                    let named = self.named(rest[0].line, path);
                    self.imports.named.push(named);
                }
                return tokens;
            }
            _ => {}
        }
        1
    }

    /// Reads a `use` that begins at token `at`.
    fn use_line(&mut self, at: usize) -> usize {
        let rest = &self.tokens[at..];
        let end = rest.iter().position(|token| token.text == ";");
        let end = end.unwrap_or(rest.len());
        let is_public = is_public(&self.tokens[..at]);
        for (path, name) in leaves(&rest[1..end]) {
            let named = self.named(rest[0].line, path.clone());
            match &name {
                Some(name) if is_public => self.handed_on.push((name.clone(), named)),
                Some(_) | None => self.imports.named.push(named),
            }
            if let Some(name) = name.filter(|_| self.within.is_empty()) {
                self.imports.bound.insert(name, path);
            }
        }
        end
    }

    fn named(&self, line: usize, path: Path) -> Named {
        let within = self.within.iter().map(|(name, _)| name.clone()).collect();
        Named { line, within, path }
    }
}

/// Whether the item behind `tokens` is public.
fn is_public(tokens: &[Token<'_>]) -> bool {
    match tokens {
        [.., word] if word.text == "pub" => true,
        [.., word, open, _, close] => (word.text, open.text, close.text) == ("pub", "(", ")"),
        _ => false,
    }
}

/// The file that a `#[path]` above `line` gives to the module there.
fn file_of_module(source: &Source, line: usize) -> Option<String> {
    let above = source.lines.get(line.checked_sub(2)?)?;
    let (_, rest) = above.text.split_once("#[path = \"")?;
    rest.split_once('"').map(|(file, _)| file.to_owned())
}

fn begins_path(tokens: &[Token<'_>], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|at| tokens.get(at));
    let goes_on = before.is_some_and(|token| matches!(token.text, "::" | "."));
    tokens[at].is_name() && !goes_on
}

/// The names at the beginning of `tokens`, as far as `::` joins them.
fn path(tokens: &[Token<'_>]) -> Path {
    let mut path = Path::new();
    for pair in tokens.chunks(2) {
        match pair {
            [name, mark] if name.is_name() && mark.text == "::" => path.push(name.text.to_owned()),
            [name, ..] if name.is_name() => {
                path.push(name.text.to_owned());
                break;
            }
            _ => break,
        }
    }
    path
}

/// Every path that the tree of a `use` names, with its new name; a glob has none.
fn leaves(tree: &[Token<'_>]) -> Vec<(Path, Option<String>)> {
    let mut stem = path(tree);
    let rest = tree.get(2 * stem.len()..).unwrap_or_default();
    match rest {
        [open, members @ ..] if open.text == "{" => {
            let members = &members[..tokens::inside(members)];
            let members = tokens::parts(members).into_iter().flat_map(leaves);
            let joined = members.map(|(path, name)| match path.as_slice() {
                [one] if one == "self" => (
                    stem.clone(),
                    name.filter(|name| name != "self").or(stem.last().cloned()),
                ),
                _ => ([stem.as_slice(), &path].concat(), name),
            });
            joined.collect()
        }
        [glob, ..] if glob.text == "*" => {
            stem.push("*".to_owned());
            vec![(stem, None)]
        }
        _ => {
            let renamed = tree
                .get((2 * stem.len()).saturating_sub(1)..)
                .unwrap_or_default();
            let name = match renamed {
                [word, name, ..] if word.text == "as" => Some(name.text.to_owned()),
                _ => stem.last().cloned(),
            };
            vec![(stem, name)]
        }
    }
}
