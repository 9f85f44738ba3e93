//! Files that operators write, and that infermux itself writes.

use infermux::testing::readers::base::digest::Digest;
use infermux::testing::readers::base::month::Month;
use infermux::testing::readers::base::period::Period;
use infermux::testing::readers::config::check::Known;
use infermux::testing::readers::config::convert::litellm;
use infermux::testing::readers::config::raw::{edit, yaml};
use infermux::testing::readers::config::{
    Environment, Lookup, Options, Strictness, cores, decimal, duration, listen, load, load_keys,
    moment, patterns, proxy, url,
};
use infermux::testing::readers::ledger::state::State;

use super::splits;
use crate::target::Target;

/// The configuration.
pub(super) const CONFIG: Target = Target {
    name: "config",
    run: config,
    // A value of one byte is a node with its place, and faults repeat what they are about.
    times: 4_096,
    folders: &["config"],
    fronts: &["0", "1"],
};

fn options(strict: Strictness) -> Options<'static> {
    Options {
        environment: Environment::Lookup(Lookup {
            variable: &|name| (name.len() % 2 == 0).then(|| name.to_owned()),
            file: &|path| Ok((path.len() % 2 == 0).then(|| path.to_owned())),
        }),
        strict,
    }
}

fn config(bytes: &[u8]) {
    let (choice, text) = splits::front(bytes);
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    let strict = [Strictness::Strict, Strictness::Lenient][choice % 2];
    let read = load(text, &options(strict));
    if let Err(rejected) = &read {
        assert!(!rejected.faults().is_empty());
        for fault in rejected.faults() {
            let told = fault.to_string();
            assert!(!told.is_empty());
        }
    }
    let unresolved = Options {
        environment: Environment::Unresolved,
        strict,
    };
    let _ = load(text, &unresolved);
}

/// A file of keys, and the changes of its text.
pub(super) const KEYS: Target = Target {
    name: "keys",
    run: keys,
    times: 4_096,
    folders: &[],
    fronts: &[],
};

fn keys(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let read = load_keys(text, &Known::default(), &options(Strictness::Strict));
    let _ = read.map_err(|faults| faults.iter().map(ToString::to_string).collect::<String>());
    let size = yaml::Size {
        bytes: 1 << 20,
        values: 10_000,
    };
    if yaml::parse_list(text, size).is_err() {
        return;
    }
    // The text as commands change it, which have read it before.
    let list = edit::document(text);
    let mut changed = edit::push(text, &list, "name: added");
    for span in edit::items(text, &list).into_iter().take(8) {
        assert!(text.get(span.clone()).is_some());
        if let Some(field) = edit::field(text, &span, "name") {
            assert!(text.get(field.whole.clone()).is_some() && text.get(field.value).is_some());
        }
        changed = edit::set(text, &span, "disabled", "true");
        let _ = edit::inserted_below(text, span.end, "more: 1");
    }
    let _ = yaml::parse_list(&changed, size);
}

/// The state file: what is read is written so that it is read alike.
pub(super) const STATE: Target = Target {
    name: "state",
    run: state,
    times: 1_024,
    folders: &[],
    fronts: &[],
};

fn state(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match State::parse(text) {
        Err(fault) => assert!(!fault.to_string().is_empty()),
        Ok(state) => {
            let written = state.to_json().expect("a state can be written");
            let again = State::parse(&written).expect("what is written can be read");
            assert_eq!(again.to_json().expect("as above"), written);
        }
    }
}

/// Another router's file.
pub(super) const CONVERT: Target = Target {
    name: "convert",
    run: convert,
    times: 4_096,
    folders: &[],
    fronts: &[],
};

fn convert(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(converted) = litellm::convert(text) {
        let unresolved = Options {
            environment: Environment::Unresolved,
            strict: Strictness::Lenient,
        };
        let _ = load(&converted.text, &unresolved);
        // Whatever it says, it is YAML, which has no names of more than 1,024 characters.
        let is_short = converted.text.lines().all(|line| line.len() <= 1_024);
        assert!(
            !is_short || yaml::parse(&converted.text).is_ok(),
            "{}",
            converted.text
        );
    }
}

/// Single values as people write them.
pub(super) const WORDS: Target = Target {
    name: "words",
    run: words,
    times: 1_024,
    folders: &[],
    fronts: &[],
};

fn words(bytes: &[u8]) {
    // A value of a file is a line.
    let bytes = &bytes[..bytes.len().min(1_024)];
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(span) = duration::parse(text) {
        assert_eq!(duration::parse(&duration::text(span)), Ok(span));
    }
    if let Ok(number) = decimal::Decimal::parse(text) {
        let _ = (
            number.exactly(9),
            number.nearest(9),
            number.times(1_000),
            number.is_zero(),
        );
    }
    if let Some(month) = Month::parse(text) {
        assert_eq!(Month::parse(&month.to_string()), Some(month));
        let _ = (month.start(), month.next(), month.days());
    }
    if let Some(period) = Period::parse(text) {
        assert_eq!(Period::parse(&period.to_string()), Some(period));
        let _ = (period.start(), period.end(), period.minus(3), period.tag());
    }
    if patterns::is_pattern(text)
        && let Ok(pattern) = patterns::Pattern::parse(text)
    {
        assert_eq!(pattern.text(), text);
        let _ = pattern.matches("gpt-4o-mini");
        let _ = patterns::specimens(&[pattern]);
    }
    let _ = (
        url::parse(text),
        url::below(text),
        listen::parse(text),
        cores::parse(text),
    );
    let _ = (
        moment::parse_end(text),
        proxy::parse(text),
        Digest::parse(text),
    );
}
