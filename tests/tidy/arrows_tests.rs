//! Which uses count as an arrow, shown on small crates.

use super::*;

/// The arrows of a crate with these files below `src/`, each as `from line to name`.
fn arrows(files: &[(&str, &str)]) -> Vec<String> {
    let sources: Vec<Source> = files
        .iter()
        .map(|(path, text)| Source::new(&format!("src/{path}"), text))
        .collect();
    let short = |path: &str| path.trim_start_matches("src/").to_owned();
    let shown = |arrow: &Arrow| {
        let (from, to) = (short(&arrow.from), short(&arrow.to));
        format!("{from} {} {to} {}", arrow.line, arrow.name)
    };
    all(&sources).iter().map(shown).collect()
}

/// The same for the text of `src/a/b.rs`, beside `a/mod.rs`, `a/b/c.rs`, `d.rs` and `e/f.rs`.
fn of(text: &str) -> Vec<String> {
    let mut arrows = arrows(&[
        ("lib.rs", "mod a; mod d; pub mod e; pub struct Root;"),
        (
            "a/mod.rs",
            "pub mod b; use crate::d::{D as Renamed, Local}; pub struct A;",
        ),
        ("a/b.rs", text),
        ("a/b/c.rs", "pub struct C;"),
        ("d.rs", "pub struct D; pub use crate::e::f::F as Handed;"),
        ("e/mod.rs", "mod f; pub use self::f::F;"),
        ("e/f.rs", "pub struct F;"),
    ]);
    arrows.retain(|arrow| arrow.starts_with("a/b.rs"));
    arrows
}

#[test]
fn a_name_counts_for_the_file_that_defines_it() {
    for (text, expected) in [
        ("use crate::d::D;", "a/b.rs 1 d.rs D"),
        ("\nuse crate::{d::D};", "a/b.rs 2 d.rs D"),
        ("use crate::d; fn f() -> d::D {}", "a/b.rs 1 d.rs D"),
        ("fn f(d: &crate::d::D) {}", "a/b.rs 1 d.rs D"),
        ("pub(in crate::d) fn f() {}", ""),
        ("use super::A;", "a/b.rs 1 a/mod.rs A"),
        ("impl super::super::Root {}", "a/b.rs 1 lib.rs Root"),
        ("use super::Renamed;", "a/b.rs 1 d.rs D"),
        ("use crate::e::F;", "a/b.rs 1 e/f.rs F"),
        ("use crate::d::Handed;", "a/b.rs 1 e/f.rs F"),
        ("use super::*;", "a/b.rs 1 a/mod.rs *"),
        (
            "use super::super::d as e; static X: e::D;",
            "a/b.rs 1 d.rs D",
        ),
        ("mod c; use c::C;", "a/b.rs 1 a/b/c.rs C"),
        (
            "mod c; use self::c::{self as x}; x::C",
            "a/b.rs 1 a/b/c.rs C",
        ),
        ("use crate::d::{self, D}; d::f()", "a/b.rs 1 d.rs D"),
    ] {
        let expected: Vec<&str> = Some(expected)
            .filter(|one| !one.is_empty())
            .into_iter()
            .collect();
        assert_eq!(of(text), expected, "{text}");
    }
}

#[test]
fn what_is_no_arrow() {
    for text in [
        "mod c;",
        "use crate::d;",
        "mod c; pub use c::C;",
        "mod c; pub(crate) use c::{C};",
        "use std::d::D; use f::F; fn d() -> e::D {}",
        "// crate::d::D\nconst X: &str = \"crate::d::D\";",
        "#[cfg(test)]\nmod tests {\n  use crate::d::D;\n}",
        "mod own { use super::X; } struct X;",
        "fn f(x: x::y::d) -> Self { x.d::<D>() }",
        "fn f() -> impl Y + use<'_> {}",
    ] {
        assert_eq!(of(text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn a_name_that_is_handed_on_and_used_is_an_arrow() {
    let text = "mod c; pub use c::C; fn f() -> C {}";
    assert_eq!(of(text), ["a/b.rs 1 a/b/c.rs C"]);
}

#[test]
fn each_root_is_a_crate_of_its_own() {
    let found = arrows(&[
        ("lib.rs", "mod a; pub struct Lib;"),
        ("a.rs", "use crate::Lib;"),
        ("main.rs", "mod b; struct Main;"),
        ("b.rs", "use crate::Main; use crate::Lib;"),
    ]);
    let expected = ["a.rs 1 lib.rs Lib", "b.rs 1 main.rs Main"];
    assert_eq!(found, expected);
}

#[test]
fn a_file_may_lie_where_an_attribute_says() {
    let sources = [
        Source::new(
            "tests/all.rs",
            "#[path = \"all/one.rs\"]\nmod one;\nmod two;\nuse one::X;",
        ),
        Source::new("tests/all/one.rs", "use crate::two::Y;"),
        Source::new("tests/two/mod.rs", "use crate::one::X;"),
    ];
    let found = all(&sources);
    let pairs: Vec<_> = found
        .iter()
        .map(|a| (a.from.as_str(), a.to.as_str()))
        .collect();
    let expected = [
        ("tests/all.rs", "tests/all/one.rs"),
        ("tests/all/one.rs", "tests/two/mod.rs"),
        ("tests/two/mod.rs", "tests/all/one.rs"),
    ];
    assert_eq!(pairs, expected);
}
