//! Each rule shown failing on a snippet that breaks it, and passing on its neighbor.

use super::*;

/// Asserts that `rule` finds a fault in each of `bad` and none in `good`: paths with their texts.
fn check(rule: Rule, bad: &[(&str, &str)], good: &[(&str, &str)]) {
    for (path, text) in bad {
        assert_ne!(
            rule(&Source::new(path, text)),
            Vec::<String>::new(),
            "{path}: {text}"
        );
    }
    for (path, text) in good {
        assert_eq!(
            rule(&Source::new(path, text)),
            Vec::<String>::new(),
            "{path}: {text}"
        );
    }
}

#[test]
fn a_file_starts_with_its_purpose() {
    let good = ("src/base/a.rs", "//! Says it.\n");
    check(
        starts_with_its_purpose,
        &[("a.rs", "use x;\n"), ("a.rs", ""), ("a.rs", "//!\n")],
        &[good],
    );
}

#[test]
fn a_public_item_without_a_sentence_is_found() {
    let attribute = "#[expect(\n    x,\n    reason = \"y\"\n)]";
    let explained = format!("/// Says it.\n#[must_use]\n{attribute}\npub fn f() {{}}");
    let bare = format!("}}\n{attribute}\npub fn f() {{}}");
    check(
        public_items_have_a_sentence,
        &[
            ("src/base/a.rs", "pub fn f() {}"),
            ("src/base/a.rs", "/// Says it.\n\npub struct A;"),
            (
                "src/base/a.rs",
                "/// Says it.\npub struct A {\n    pub b: B,\n}",
            ),
            ("src/base/a.rs", &bare),
        ],
        &[
            ("src/base/a.rs", &explained),
            (
                "src/base/a.rs",
                "pub mod b;\npub use c::d;\npub(crate) fn f() {}",
            ),
            (
                "src/base/a.rs",
                "#[cfg(test)]\nmod tests {\n    pub fn f() {}\n}",
            ),
            ("src/testing.rs", "pub fn f() {}"),
            ("tools/x/src/a.rs", "pub fn f() {}"),
        ],
    );
}

#[test]
fn a_long_line_is_found() {
    let (long, fits) = ("é".repeat(101), "é".repeat(100));
    check(lines_fit, &[("a.rs", &long)], &[("a.rs", &fits)]);
}

#[test]
fn a_long_file_is_found_and_tests_do_not_count() {
    let long = "x\n".repeat(501);
    let tested = format!("x\n#[cfg(test)]\nmod tests {{\n{long}}}\n");
    check(
        files_are_short,
        &[("src/base/a.rs", &long)],
        &[("src/base/a.rs", &tested), ("src/base/a_tests.rs", &long)],
    );
}

#[test]
fn a_long_function_is_found_and_tests_do_not_count() {
    let function = |lines: usize| format!("fn f() {{\n{}}}\n", "x();\n".repeat(lines - 2));
    let (long, fits) = (function(61), function(60));
    let tested = format!("#[cfg(test)]\nmod tests {{\n{long}}}\n");
    let inner = format!("impl A {{\n{fits}{fits}}}\n");
    check(
        functions_are_small,
        &[("src/base/a.rs", &long), ("tools/x/src/a.rs", &long)],
        &[
            ("src/base/a.rs", &fits),
            ("src/base/a.rs", &inner),
            ("src/base/a.rs", &tested),
            ("tests/it/a.rs", &long),
        ],
    );
}

#[test]
fn a_function_that_asks_for_much_is_found() {
    let six = "fn f(a: A, b: B, c: C, d: D, e: E, f: F) {}";
    let packed = "fn f(a: A, b: B, c: C, (d, e): (D, E), f: F) {}";
    let five = "fn f(&self, a: A, b: B, c: C, d: D, e: E<F, G>) {}";
    check(
        functions_are_small,
        &[("src/base/a.rs", six), ("src/base/a.rs", packed)],
        &[("src/base/a.rs", five)],
    );
}

#[test]
fn monoio_is_found_outside_the_net() {
    let text = "use monoio::time::sleep;";
    check(
        monoio_stays_in_the_net,
        &[
            ("src/sys/a.rs", text),
            ("src/shard/request/a.rs", text),
            ("src/shard/http/a.rs", text),
        ],
        &[
            ("src/shard/net/a.rs", text),
            ("src/sys/a.rs", "// monoio does"),
            ("tests/it/a.rs", text),
        ],
    );
}

#[test]
fn notes_to_self_are_found() {
    for word in NOTES {
        check(no_notes_to_self, &[("a.rs", &format!("{word} x"))], &[]);
    }
    let inner = concat!("#![", "allow(x)]");
    let name = concat!("TO", "DOS");
    check(
        no_notes_to_self,
        &[("a.rs", inner)],
        &[("a.rs", "#[expect(x)]"), ("a.rs", name)],
    );
}

#[test]
fn looking_up_or_sideways_is_found() {
    check(
        rooms_stay_on_their_floor,
        &[
            ("src/wire/a.rs", "use crate::decide::x;"),
            ("src/wire/a.rs", "use crate::config::x;"),
            ("src/config/a.rs", "let x = crate::report::y();"),
            ("src/base/a.rs", "pub(in crate::cli) fn f() {}"),
            ("src/shard/a.rs", "use crate::control::x;"),
            ("src/shard/a.rs", "use crate::{base, wire};"),
            ("src/shard/a.rs", "use crate::helpers::x;"),
            ("src/helpers/a.rs", ""),
            ("src/helpers.rs", ""),
        ],
        &[
            ("src/wire/a.rs", "use crate::base::x; use crate::wire::y;"),
            ("src/wire/a.rs", "// as crate::cli does"),
            ("src/wire/a.rs", "let x = \"crate::cli\";"),
            ("src/cli/a.rs", "use crate::shard::x;"),
            ("src/lib.rs", "use crate::cli;"),
            ("src/base/a.rs", "pub(crate) fn f() {}"),
            ("src/base/a.rs", "$crate::cli::f()"),
            ("tools/load/src/a.rs", "use crate::args::x;"),
        ],
    );
}

#[test]
fn climbing_out_of_a_room_is_found() {
    check(
        nothing_climbs_out_of_its_room,
        &[
            ("src/wire/a.rs", "use super::super::config::x;"),
            ("src/wire/mod.rs", "use super::config::x;"),
        ],
        &[
            ("src/wire/a.rs", "use super::b;"),
            ("src/wire/deep/mod.rs", "use super::b;"),
            (
                "src/wire/mod.rs",
                "#[cfg(test)]\nmod tests {\nuse super::*;\n}",
            ),
        ],
    );
}

#[test]
fn each_banned_word_is_found_outside_its_place() {
    for (words, places, _) in BANS {
        for word in words {
            let text = format!("fn f() {{ {word}(); }}");
            check(
                bans_hold,
                &[("src/exchange/a.rs", &text)],
                &[("tools/x/src/a.rs", &text)],
            );
            for place in places {
                let path = if place.ends_with('/') {
                    format!("{place}a.rs")
                } else {
                    (*place).into()
                };
                check(bans_hold, &[], &[(&path, &text)]);
            }
        }
    }
    let mentioned = "// Mutex\n#[cfg(test)]\nmod tests { fn f() { Instant::now(); } }";
    check(
        bans_hold,
        &[],
        &[
            ("src/base/a.rs", mentioned),
            ("src/config/env.rs", "env::read()"),
        ],
    );
}

#[test]
fn the_world_is_found_on_a_pure_floor() {
    for word in IMPURE {
        let text = format!("use {word};");
        check(
            pure_floors_stay_pure,
            &[("src/ledger/a.rs", &text), ("src/base/a.rs", &text)],
            &[("src/sys/a.rs", &text), ("src/shard/a.rs", &text)],
        );
    }
}

#[test]
fn a_panic_is_found_on_a_pure_floor() {
    let (unwrap, expect) = ("let a = b.unwrap();", "let a = b.expect(\"c\");");
    let test = "#[cfg(test)]\nmod tests { fn f() { a.unwrap(); } }";
    check(
        pure_floors_do_not_panic,
        &[("src/wire/a.rs", unwrap), ("src/link/a.rs", expect)],
        &[
            ("src/sys/a.rs", expect),
            ("src/wire/a.rs", test),
            ("src/wire/a.rs", "#[expect(dead_code)]"),
            ("src/wire/a.rs", "self.expect(b':')?;"),
            ("src/wire/a.rs", "a.unwrap_or(b)"),
        ],
    );
}

#[test]
fn unexplained_or_misplaced_unsafe_is_found() {
    let bare = "unsafe { f() }";
    let explained = "// SAFETY: f asks for nothing.\nunsafe { f() }";
    check(
        unsafe_is_rare_and_explained,
        &[
            ("src/sys/a.rs", bare),
            ("src/base/a.rs", explained),
            ("tools/load/src/a.rs", explained),
        ],
        &[("src/sys/a.rs", explained), ("src/shard/a.rs", explained)],
    );
    check(
        unsafe_is_rare_and_explained,
        &[],
        &[("src/sys/a.rs", "#![expect(unsafe_code)]")],
    );
}

#[test]
fn a_sleeping_test_is_found() {
    let text = "fn f() { std::thread::sleep(x); }";
    check(
        tests_do_not_sleep,
        &[
            ("tests/it/a.rs", text),
            ("src/base/a_tests.rs", text),
            ("tools/x/tests/a.rs", text),
        ],
        &[
            ("src/shard/a.rs", "sleep(x).await;"),
            ("tests/it/a.rs", "fn f() { asleep(x); }"),
        ],
    );
}

#[test]
fn a_tool_that_uses_the_crate_is_found() {
    let text = "use infermux::wire;";
    check(
        tools_share_no_code,
        &[("tools/load/src/a.rs", text)],
        &[("tests/it/a.rs", text)],
    );
}

#[test]
fn a_large_main_is_found() {
    let text = "x\n".repeat(41);
    check(
        main_is_small,
        &[("src/main.rs", &text)],
        &[("src/lib.rs", &text)],
    );
}
