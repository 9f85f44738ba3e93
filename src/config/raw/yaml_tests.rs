//! Tests of the YAML reader.

use super::*;

/// The tree on one line.
fn show(node: &Node) -> String {
    match node {
        Node::Null => String::from("null"),
        Node::Scalar(scalar) => format!("<{}>", scalar.text),
        Node::List(items) => {
            format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(" "))
        }
        Node::Map(entries) => show_map(entries),
    }
}

fn show_map(entries: &[(String, Node)]) -> String {
    let fields: Vec<_> = entries
        .iter()
        .map(|(key, value)| format!("{key}={}", show(value)))
        .collect();
    format!("{{{}}}", fields.join(" "))
}

fn tree(text: &str) -> String {
    show_map(&parse(text).unwrap())
}

fn problem(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

#[test]
fn every_single_value_keeps_its_text() {
    for (text, expected) in [
        ("a: 1e3", "{a=<1e3>}"),
        ("a: 007", "{a=<007>}"),
        ("a: 0x1F", "{a=<0x1F>}"),
        ("a: 0.10000000000000000001", "{a=<0.10000000000000000001>}"),
        ("a: true", "{a=<true>}"),
        ("a: 'true'", "{a=<true>}"),
        ("a: \"3500\"", "{a=<3500>}"),
        ("a: .nan", "{a=<.nan>}"),
        ("a: 12:30", "{a=<12:30>}"),
        ("a: 2024-01-01", "{a=<2024-01-01>}"),
        ("a: ''", "{a=<>}"),
        ("a: 'null'", "{a=<null>}"),
        ("a: |\n  x\n  y\n", "{a=<x\ny\n>}"),
        ("1: x\ntrue: y", "{1=<x> true=<y>}"),
        (
            "a: 340282366920938463463374607431768211456",
            "{a=<340282366920938463463374607431768211456>}",
        ),
    ] {
        assert_eq!(tree(text), expected);
    }
}

#[test]
fn what_is_read_in_one_pass_is_what_two_passes_read() {
    let text = "
        limits: {requests_per_minute: 600, \"tokens_per_day\":20000000, x: [0,-3,0.25]}
        until: 2027-01-31 # true, too
        name: \"7\"
        base: &base {enforce: false, usd: 12.5}
        again: *base
        ? 7
        : true
    ";
    assert!(plain::is_plain(text));
    let (once, words, _) = shape(text, Texts::OfValues, 100).unwrap();
    assert!(words == Words::None);
    let (mut twice, words, _) = shape(text, Texts::AsWritten, 100).unwrap();
    assert!(words == Words::Some);
    fill(text, &mut twice).unwrap();
    assert_eq!(show(&once), show(&twice));
    assert_eq!(once, twice);
}

#[test]
fn nothing_is_absent() {
    assert_eq!(
        tree("a:\nb: ~\nc: null\nd: [~, x]"),
        "{a=null b=null c=null d=[null <x>]}"
    );
    for empty in [
        "",
        "\n\n",
        "# only a comment\n",
        "---\n",
        "\u{feff}",
        "~",
        "--- # x\n...",
    ] {
        assert_eq!(tree(empty), "{}", "{empty:?}");
    }
}

#[test]
fn anchors_are_expanded() {
    assert_eq!(
        tree("a: &x {b: 1e1}\nc: *x\nd: [*x]"),
        "{a={b=<1e1>} c={b=<1e1>} d=[{b=<1e1>}]}"
    );
}

#[test]
fn says_where_the_syntax_breaks() {
    for (text, expected) in [
        ("a: [1,\nb: 2", "line 3"),
        ("a: 1\n b: 2\n", "line 2"),
        ("a: 'x", "line"),
        ("\tb: 1", "line 1"),
        ("a: *nope", "unknown anchor at line 1 column 4"),
        (
            "p:\n  - x: 1\n    y: 2\n    x: 3\n",
            "p[0]: the mapping has the key `x` twice at line 4 column 5",
        ),
        (
            "a: !secret x",
            "a: tags such as `!name` are not understood at line 1",
        ),
        (
            "a: !map {x: 1}",
            "a: tags such as `!name` are not understood at line 1",
        ),
        ("[a]: 1", "line 1"),
        (
            "a: 1\n---\nb: 2\n",
            "more than one document is not supported at line 2",
        ),
        (
            "---\na: 1\n\n--- # two\nb: 2\n",
            "more than one document is not supported at line 4",
        ),
        (
            "listen: x\nlog: y\nlisten: z\n",
            "`listen` twice at line 3 column 1",
        ),
        (
            "# what\n\n- a",
            "the file is a list, a mapping of fields is wanted at line 3",
        ),
        (
            "hello",
            "the file is a single value, a mapping of fields is wanted at line 1",
        ),
        ("a: \u{0}", "control characters"),
        (
            &format!("a: 1\nb: {}", "[".repeat(129)),
            "more than 128 brackets are open at once at line 2",
        ),
    ] {
        let found = problem(text);
        assert!(found.contains(expected), "{text:?}: {found}");
    }
}

#[test]
fn lines_stay_true_behind_mixed_budgets() {
    let text = "budgets:\n  state_file: x\n  - caller: a\nlog: {\n";
    assert!(problem(text).contains("line 5"), "{}", problem(text));
    let twice = "budgets:\n  state_file: x\n  state_file: y\n  - caller: a\n";
    assert_eq!(
        problem(twice),
        "budgets: the mapping has the key `state_file` twice"
    );
}

#[test]
fn mixed_budgets_become_a_mapping() {
    let text = "budgets:\n  state_file: x\n  - caller: a\n    monthly_usd: 1\n  - caller: b\n";
    let expected = "{budgets={state_file=<x> callers=[{caller=<a> monthly_usd=<1>} {caller=<b>}]}}";
    assert_eq!(tree(text), expected);
}

#[test]
fn hostile_texts_end_soon() {
    let nested = format!("a: {}", "[".repeat(120));
    let deep = format!("a: {}{}", "[".repeat(40), "]".repeat(40));
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n\
        c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n\
        e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\n";
    let wide = format!(
        "a: &a [{}]\nb: [{}]\n",
        "x,".repeat(2_000),
        "*a,".repeat(2_000)
    );
    let endless = "a: &a [*a]\n";
    for (text, expected) in [
        (nested.as_str(), ""),
        (deep.as_str(), "nested deeper than 32 levels"),
        (bomb, "limit exceeded"),
        (wide.as_str(), "more than 1000000 values"),
        (endless, ""),
        (&"[".repeat(4 << 20), "brackets"),
        (&"%TAG ! x\n".repeat(1_000), "directives"),
        (&" ".repeat((4 << 20) + 1), "larger than"),
    ] {
        let found = problem(text);
        assert!(found.contains(expected), "{expected}: {found}");
    }
}

fn list(text: &str) -> Result<Vec<Node>, String> {
    let size = Size {
        bytes: 16 << 20,
        values: 1_000_000,
    };
    parse_list(text, size).map_err(|fault| fault.to_string())
}

#[test]
fn a_long_list_says_the_same_in_pieces_and_as_a_whole() {
    let entries: String = (0..20_000)
        .map(|number| match number % 3 {
            0 => format!("- {{name: a{number}, price: 1e{number}, on: yes}} # one\n"),
            1 => format!("- name: 'b\n    - {number}'\n  # two\n  list:\n  - 2.50\n\n"),
            _ => format!("-\n  text: |\n    - {number}\n  none:\n"),
        })
        .collect();
    let text = format!("# keys\n{entries}");
    assert!(pieces::of(&text).is_some_and(|pieces| pieces.len() > 2));
    let found = list(&text).expect("a list");
    let Node::List(whole) = document(&text, 1_000_000).expect("a document") else {
        panic!("a list");
    };
    assert_eq!(found.len(), 20_000);
    assert!(found == whole);
    // An alias leads out of its piece; a text goes on at the beginning of a line.
    let anchor = format!("- &a {{x: 1}}\n{entries}- *a\n");
    let found = list(&anchor).expect("a list");
    assert_eq!(found.first(), found.last());
    let strange = format!("- \"one\n{entries}\"\n");
    assert_eq!(list(&strange).map(|items| items.len()), Ok(1));
    // Faults have the place that they have in the file.
    let lines = text.lines().count();
    let fault = list(&format!("{text}- {{\n")).expect_err("a fault");
    assert!(fault.contains(&format!("line {}", lines + 2)), "{fault}");
    assert!(list(&format!("{text}---\n- x\n")).is_err());
    let size = Size {
        bytes: 16 << 20,
        values: 30_000,
    };
    assert!(parse_list(&text, size).is_err());
}
