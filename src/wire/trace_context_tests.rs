//! The rows of the W3C test cases, and properties.

use proptest::prelude::*;

use super::*;

const TRACE: &str = "12345678901234567890123456789012";
const SPAN: &str = "1234567890123456";

fn context(parents: &[&str], states: &[&str]) -> Option<Context> {
    read(
        parents.iter().map(|text| text.as_bytes()),
        states.iter().map(|text| text.as_bytes()),
    )
}

/// What is read of one `traceparent`: flags, or nothing.
fn parent(text: &str) -> Option<u8> {
    let found = context(&[text], &[])?;
    assert_eq!(found.trace.text(), TRACE.as_bytes());
    assert_eq!(found.span.text(), SPAN.as_bytes());
    Some(found.flags.bits())
}

/// What is passed on of `tracestate` beside a good parent.
fn state(states: &[&str]) -> String {
    let parent = format!("00-{TRACE}-{SPAN}-01");
    context(&[&parent], states).unwrap().state.into()
}

#[test]
fn parents_are_read_as_the_recommendation_has_them() {
    let (t, s) = (TRACE, SPAN);
    for (text, flags) in [
        (format!("00-{t}-{s}-01"), Some(1)),
        (format!("00-{t}-{s}-00"), Some(0)),
        (format!("00-{t}-{s}-03"), Some(3)),
        // Flags that nobody knows are not passed on.
        (format!("00-{t}-{s}-ff"), Some(3)),
        (format!("00-{t}-{s}-fc"), Some(0)),
        // Versions to come: what is known of them counts.
        (format!("cc-{t}-{s}-01"), Some(1)),
        (
            format!("cc-{t}-{s}-01-what-the-future-will-be-like"),
            Some(1),
        ),
        (format!("cc-{t}-{s}-01-"), Some(1)),
        (
            format!("cc-{t}-{s}-01.what-the-future-will-not-be-like"),
            None,
        ),
        (format!("01-{t}-{s}-01"), Some(1)),
        (format!("fe-{t}-{s}-01-x"), Some(1)),
        (format!("ff-{t}-{s}-01"), None),
        // Version 00 has four fields and no more.
        (format!("00-{t}-{s}-01-what-the-future-will-be-like"), None),
        (format!("00-{t}-{s}-01-"), None),
        (format!("00-{t}-{s}-01."), None),
        (format!("00-{t}-{s}-01,"), None),
        // Lengths.
        (format!("0-{t}-{s}-01"), None),
        (format!("000-{t}-{s}-01"), None),
        (format!("00-{}-{s}-01", &t[1..]), None),
        (format!("00-{t}1-{s}-01"), None),
        (format!("00-{t}-{}-01", &s[1..]), None),
        (format!("00-{t}-{s}1-01"), None),
        (format!("00-{t}-{s}-1"), None),
        (format!("00-{t}-{s}-001"), None),
        (format!("00-{t}-{s}"), None),
        (format!("00-{t}-{s}-"), None),
        // Characters.
        (format!(".0-{t}-{s}-01"), None),
        (format!("0.-{t}-{s}-01"), None),
        (format!("00-.{}-{s}-01", &t[1..]), None),
        (format!("00-{}.-{s}-01", &t[1..]), None),
        (format!("00-{t}-.{}-01", &s[1..]), None),
        (format!("00-{t}-{s}-.0"), None),
        (format!("00-{t}-{s}-0."), None),
        (format!("00-{}A-{s}-01", &t[1..]), None),
        (format!("00-{t}-{}A-01", &s[1..]), None),
        (format!("00-{t}-{s}-0A"), None),
        (format!("0A-{t}-{s}-01"), None),
        // Zeros.
        (format!("00-{}-{s}-01", "0".repeat(32)), None),
        (format!("00-{t}-{}-01", "0".repeat(16)), None),
        // Dashes.
        (format!("00_{t}-{s}-01"), None),
        (format!("00-{t}_{s}-01"), None),
        (format!("00-{t}-{s}_01"), None),
        (format!("00{t}{s}01"), None),
        (String::new(), None),
    ] {
        assert_eq!(parent(&text), flags, "{text}");
    }
}

#[test]
fn two_parents_are_none() {
    let one = format!("00-{TRACE}-{SPAN}-01");
    assert_eq!(context(&[&one, &one], &[]), None);
    assert_eq!(context(&[&one, "x"], &[]), None);
    assert_eq!(context(&[], &["a=1"]), None);
    assert!(context(&["bad"], &["a=1"]).is_none());
}

#[test]
fn states_are_one_list_in_their_order() {
    for (states, expected) in [
        (&["foo=1"][..], "foo=1"),
        (&["foo=1,bar=2"], "foo=1,bar=2"),
        (&["foo=1", "bar=2"], "foo=1,bar=2"),
        (&["foo=1,", ",bar=2"], "foo=1,bar=2"),
        (&["foo=1 \t , \t bar=2, \t baz=3"], "foo=1,bar=2,baz=3"),
        (&["foo=1\t ", "\t", "bar=2"], "foo=1,bar=2"),
        (&["", "foo=1", ""], "foo=1"),
        (&[""], ""),
        (&["foo= 1"], "foo= 1"),
        (&["foo=1 2"], "foo=1 2"),
        (&["foo-_*/bar=bar4"], "foo-_*/bar=bar4"),
        (&["1foo=1"], "1foo=1"),
        (&["fw529a3039@dt=FfFfFfFf"], "fw529a3039@dt=FfFfFfFf"),
        (&["a-_*/@b-_*/=1"], "a-_*/@b-_*/=1"),
        (
            &["foo=!\"#$%&'()*+-./:;<>?@[\\]^_`{|}~"],
            "foo=!\"#$%&'()*+-./:;<>?@[\\]^_`{|}~",
        ),
    ] {
        assert_eq!(state(states), expected, "{states:?}");
    }
}

#[test]
fn a_faulty_member_makes_the_whole_list_void() {
    let (long_key, long_tenant) = ("z".repeat(257), format!("{}@v", "t".repeat(242)));
    let (long_system, long_value) = (format!("t@{}", "v".repeat(15)), "v".repeat(257));
    for text in [
        "foo=1,foo=1",
        "foo=1,bar=2,foo=3",
        "foo =1",
        "FOO=1",
        "foo.bar=1",
        "foo@=1,bar=2",
        "@foo=1,bar=2",
        "foo@@bar=1,bar=2",
        "foo@bar@baz=1,bar=2",
        "foo",
        "foo=",
        "=1",
        "=",
        "foo=1,bar",
        "foo=bar=baz",
        "foo=,bar=3",
        "foo=\u{e4}",
        "foo=a\u{7f}",
        "foo=a\tb",
        "-foo=1",
        &format!("{long_key}=1"),
        &format!("{long_tenant}=1"),
        &format!("{long_system}=1"),
        &format!("foo={long_value}"),
    ] {
        assert_eq!(state(&["ok=1", text]), "", "{text}");
    }
    assert_eq!(state(&["foo=1", "foo=2"]), "");
}

#[test]
fn the_longest_of_each_part_are_taken() {
    for text in [
        format!("{}=1", "z".repeat(256)),
        format!("{}@{}=1", "t".repeat(241), "v".repeat(14)),
        format!("foo={}", "v".repeat(256)),
    ] {
        assert_eq!(state(&[&text]), text);
    }
}

#[test]
fn thirty_two_members_are_the_most() {
    let list = |count: usize| {
        let members: Vec<String> = (0..count).map(|n| format!("bar{n:02}={n:02}")).collect();
        members.join(",")
    };
    assert_eq!(state(&[&list(32)]), list(32));
    assert_eq!(state(&[&list(33)]), "");
    assert_eq!(state(&[&list(32), ",,"]), list(32));
    assert_eq!(state(&[&list(32), "one=more"]), "");
}

#[test]
fn a_list_that_is_too_long_loses_whole_members() {
    let long = format!("long={}", "x".repeat(200));
    let short = |n: usize| format!("k{n:02}={}", "y".repeat(60));
    let shorts: Vec<String> = (0..6).map(short).collect();
    let all = format!("{},{long},{}", shorts[..3].join(","), shorts[3..].join(","));
    assert!(all.len() > 512);
    assert_eq!(state(&[&all]), shorts.join(","));
    let many: Vec<String> = (0..12).map(short).collect();
    assert_eq!(state(&[&many.join(",")]), many[..7].join(","));
}

#[test]
fn a_parent_is_written_as_it_is_read() {
    let (trace, span) = (TraceId::fresh([1, 2]), SpanId::fresh(3));
    let mut out = Vec::new();
    write_parent(trace, span, Flags::of_random(true), &mut out);
    let text = String::from_utf8(out).unwrap();
    assert_eq!(
        text,
        "00-00000000000000010000000000000002-0000000000000003-03"
    );
    let found = context(&[&text], &[]).unwrap();
    assert_eq!((found.trace, found.span), (trace, span));
    assert!(found.flags.is_sampled() && !found.flags.sampled(false).is_sampled());
    assert_eq!(Flags::default().sampled(true).bits(), 1);
}

/// Values of `traceparent`, every other one of which is none.
const PARENTS: &str = "[0-9a-fA-F.-]{0,60}|00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]";
/// Values of `tracestate`, likewise.
const STATES: &str = "[a-z0-9@=, \t\u{e4}A]{0,700}|([a-c]{1,2}=[x-z]{1,99},?){0,40}";

proptest! {
    #[test]
    fn there_and_back(random: [u64; 3], flags in 0_u8..4) {
        let (trace, span) = (TraceId::fresh([random[0], random[1]]), SpanId::fresh(random[2]));
        let mut out = Vec::new();
        write_parent(trace, span, Flags::of_bits(flags), &mut out);
        let found = read(std::iter::once(&*out), std::iter::empty()).unwrap();
        prop_assert_eq!((found.trace, found.span, found.flags.bits()), (trace, span, flags));
    }

    #[test]
    fn what_is_passed_on_follows_the_recommendation(
        parents in prop::collection::vec(PARENTS, 0..3),
        states in prop::collection::vec(STATES, 0..4),
    ) {
        let parents: Vec<&[u8]> = parents.iter().map(String::as_bytes).collect();
        let states: Vec<&[u8]> = states.iter().map(String::as_bytes).collect();
        let found = read(parents.iter().copied(), states.iter().copied());
        if let Some(found) = found {
            prop_assert!(found.state.len() <= 512);
            prop_assert!(found.state.split(',').count() <= 32);
            // Read again, it is the same.
            let again = read(parents.iter().copied(), std::iter::once(found.state.as_bytes()));
            prop_assert_eq!(again.unwrap().state, found.state);
        } else {
            prop_assert!(parents.len() != 1 || parent_of(parents[0]).is_none());
        }
    }

    #[test]
    fn any_bytes_are_survived(parent: Vec<u8>, state: Vec<u8>) {
        let _ = read(std::iter::once(&*parent), std::iter::once(&*state));
    }
}
