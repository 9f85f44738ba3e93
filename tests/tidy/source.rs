//! One file's text, in which code, comments, strings and tests are told apart.

/// A file of the house.
pub(crate) struct Source {
    /// Its path from the root, with `/`.
    pub(crate) path: String,
    /// Its lines.
    pub(crate) lines: Vec<Line>,
}

/// One line, in three forms.
pub(crate) struct Line {
    /// Its number, from 1.
    pub(crate) number: usize,
    /// As it stands in the file.
    pub(crate) text: String,
    /// With comments and the insides of strings blanked out.
    pub(crate) code: String,
    /// Whether only tests are built from it.
    pub(crate) is_test: bool,
    /// Whether it belongs to the unit tests of its file.
    pub(crate) is_unit_test: bool,
}

impl Source {
    /// Reads `text` as the file `path`.
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let code = blank(text);
        let is_test_file = path.ends_with("_tests.rs")
            || path
                .split('/')
                .any(|part| part == "tests" || part == "benches");
        let in_tests = test_lines(&code);
        let lines = text
            .lines()
            .zip(code.lines())
            .enumerate()
            .map(|(index, (text, code))| {
                let is_unit_test = in_tests.iter().any(|range| range.contains(&index));
                Line {
                    number: index + 1,
                    text: text.to_owned(),
                    code: code.to_owned(),
                    is_test: is_test_file || is_unit_test,
                    is_unit_test,
                }
            })
            .collect();
        Self {
            path: path.to_owned(),
            lines,
        }
    }

    /// The room of the crate that the file belongs to; none for `lib.rs`, `main.rs`,
    /// `testing.rs`, tests, tools.
    pub(crate) fn room(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/")?;
        let room = inside.split('/').next()?.trim_end_matches(".rs");
        (!matches!(room, "lib" | "main" | "testing")).then_some(room)
    }

    /// The lines that are not test code.
    pub(crate) fn shipped(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|line| !line.is_test)
    }
}

/// Whether `code` has `wanted` as a whole name.
pub(crate) fn has_word(code: &str, wanted: &str) -> bool {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let begins_as_name = wanted.starts_with(is_name);
    let ends_as_name = wanted.ends_with(is_name);
    code.match_indices(wanted).any(|(at, _)| {
        let before = code.get(..at).and_then(|s| s.chars().next_back());
        let after = code.get(at + wanted.len()..).and_then(|s| s.chars().next());
        let goes_on_before = begins_as_name && before.is_some_and(is_name);
        let goes_on_after = ends_as_name && after.is_some_and(is_name);
        !goes_on_before && !goes_on_after
    })
}

/// The ranges of lines, from 0, that stand under `#[cfg(test)]`.
fn test_lines(code: &str) -> Vec<std::ops::Range<usize>> {
    const MARK: &str = "#[cfg(test)]";
    let mut ranges = Vec::new();
    for (at, _) in code.match_indices(MARK) {
        let rest = code.get(at + MARK.len()..).unwrap_or_default();
        let end = at + MARK.len() + item_len(rest);
        let line = |at: usize| code.get(..at).unwrap_or(code).matches('\n').count();
        ranges.push(line(at)..line(end) + 1);
    }
    ranges
}

/// The length of the item that `code` begins with: to its `;`, or to the end of its braces.
fn item_len(code: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in code.char_indices() {
        match c {
            '{' | '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            '}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at;
                }
            }
            ';' if depth == 0 => return at,
            _ => {}
        }
    }
    code.len()
}

/// `text` with comments and the insides of strings and characters replaced by blanks.
fn blank(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let Some(len) = foreign_len(&chars, at) else {
            out.push(chars[at]);
            at += 1;
            continue;
        };
        for c in &chars[at..(at + len).min(chars.len())] {
            out.push(if *c == '\n' { '\n' } else { ' ' });
        }
        at += len;
    }
    out
}

/// The length of the comment, string or character that begins at `at`, if one does.
fn foreign_len(chars: &[char], at: usize) -> Option<usize> {
    let here = &chars[at..];
    let after_name = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
    match here {
        ['/', '/', ..] => Some(here.iter().position(|c| *c == '\n').unwrap_or(here.len())),
        ['/', '*', ..] => Some(block_comment_len(here)),
        ['"', ..] => Some(string_len(here)),
        ['\'', '\\', ..] => {
            // The escaped character may be a quote itself.
            let close = here.iter().skip(3).position(|c| *c == '\'')?;
            Some(close + 4)
        }
        ['\'', _, '\'', ..] => Some(3),
        ['r', ..] if !after_name => raw_string_len(here, 1),
        ['b' | 'c', 'r', ..] if !after_name => raw_string_len(here, 2),
        _ => None,
    }
}

fn block_comment_len(here: &[char]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < here.len() {
        match here.get(at..at + 2) {
            Some(['/', '*']) => {
                depth += 1;
                at += 2;
            }
            Some(['*', '/']) => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    here.len()
}

fn string_len(here: &[char]) -> usize {
    let mut at = 1;
    while at < here.len() {
        match here[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    here.len()
}

fn raw_string_len(here: &[char], prefix: usize) -> Option<usize> {
    let hashes = here[prefix..].iter().take_while(|c| **c == '#').count();
    if here.get(prefix + hashes) != Some(&'"') {
        return None;
    }
    let body = prefix + hashes + 1;
    let end: Vec<char> = std::iter::once('"')
        .chain(std::iter::repeat_n('#', hashes))
        .collect();
    let close = here[body..]
        .windows(end.len())
        .position(|window| window == end);
    Some(close.map_or(here.len(), |close| body + close + end.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_are_no_code() {
        for (text, code) in [
            ("a // b", "a"),
            ("a /* b /* c */ d */ e", "a                   e"),
            ("f(\"x // y\") // z", "f(        )"),
            ("r#\"a \" b\"# + br\"c\\\" + d", "           +        + d"),
            (
                "'\"' + '\\'' + '\\u{1f600}' + 'x",
                "    +      +             + 'x",
            ),
            ("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}"),
            ("r#type", "r#type"),
        ] {
            assert_eq!(blank(text).trim_end(), code, "{text}");
        }
        assert_eq!(blank("\"a\nb\" c"), "  \n   c");
    }

    #[test]
    fn knows_which_lines_are_tests() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n  fn b() { if x {} }\n}\nfn c() {}\n";
        let source = Source::new("src/base/a.rs", text);
        let shipped: Vec<usize> = source.shipped().map(|line| line.number).collect();
        assert_eq!(shipped, [1, 6]);
        let text = "#[cfg(test)]\n#[path = \"a_tests.rs\"]\nmod tests;\nfn c() {}\n";
        let source = Source::new("src/base/a.rs", text);
        assert_eq!(
            source.shipped().map(|line| line.number).collect::<Vec<_>>(),
            [4]
        );
        for path in [
            "src/base/a_tests.rs",
            "tests/it/a.rs",
            "tools/load/tests/a.rs",
        ] {
            assert_eq!(
                Source::new(path, "fn a() {}").shipped().count(),
                0,
                "{path}"
            );
        }
    }

    #[test]
    fn finds_whole_words() {
        assert!(has_word("unsafe {", "unsafe") && has_word("a(unsafe)", "unsafe"));
        assert!(!has_word("unsafe_code", "unsafe") && !has_word("not_unsafe", "unsafe"));
        assert!(has_word("std::env::var(", "env::var") && !has_word("env::vars(", "env::var"));
        assert!(has_word("x.unwrap()", ".unwrap()"));
    }

    #[test]
    fn knows_its_room() {
        for (path, room) in [
            ("src/wire/sse.rs", Some("wire")),
            ("src/wire.rs", Some("wire")),
            ("src/lib.rs", None),
            ("src/testing.rs", None),
            ("tools/load/src/main.rs", None),
        ] {
            assert_eq!(Source::new(path, "").room(), room);
        }
    }
}
