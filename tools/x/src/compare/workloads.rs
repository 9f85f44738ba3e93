//! The workloads, and infermux's aims in each.

use super::figures::{Aim, Figure};

/// One way to put load on a system.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Workload {
    /// Its name on the command line.
    pub(crate) name: &'static str,
    /// Its description.
    pub(crate) title: &'static str,
    /// The words that choose lines of the systems' configurations.
    pub(crate) words: &'static [&'static str],
    /// The mock provider's script.
    pub(crate) script: &'static str,
    /// Flags of the load tool.
    pub(crate) load: &'static [&'static str],
    /// Content events of each answer, where events are counted instead of requests.
    pub(crate) events: Option<u32>,
    /// The shortest time it makes sense to measure, in seconds.
    pub(crate) seconds_min: f64,
    /// Which contenders are compared.
    pub(crate) contest: Contest,
    /// What is measured besides the load's own pass.
    pub(crate) beside: Beside,
    /// infermux's aims.
    pub(crate) aims: &'static [(Figure, Aim)],
}

/// Which contenders are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contest {
    /// Every peer with the base.
    Peers,
    /// Two shards of infermux with one, on the same core.
    Shards,
    /// infermux on any core with infermux on its own.
    Pinning,
}

/// What is measured besides the load's own pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beside {
    /// Nothing.
    Nothing,
    /// The provider's own latency, without a system between.
    Direct,
    /// System calls, in a pass of their own.
    Syscalls,
    /// Memory, instead of the load's pass.
    Memory,
}

const SMALL: &str = r#"{"canned":true,"record":false,"body_bytes":562}"#;
const FLAT: &str = r#"{"canned":true,"record":false,"events":200,"event_bytes":233}"#;
const PACED: &str = r#"{"record":false,"events":200,"event_bytes":233,"event_interval_ms":5,
    "stamp":"field","usage":"always"}"#;
const SLOW: &str = r#"{"record":false,"events":30,"event_bytes":233,"event_interval_ms":100,
    "stamp":"field","usage":"always"}"#;
const MIXED: &str = r#"{"record":false,"body_bytes":562,"rules":[{"when":{"stream":true},
    "events":60,"event_bytes":233,"event_interval_ms":100}]}"#;
const SMALL_MESSAGES: &str =
    r#"{"dialect":"anthropic","canned":true,"record":false,"body_bytes":562}"#;
const FLAT_MESSAGES: &str =
    r#"{"dialect":"anthropic","canned":true,"record":false,"events":200,"event_bytes":233}"#;

const CPU_080: &[(Figure, Aim)] = &[(Figure::Cpu, Aim::Ratio(0.80))];
const CPU_085: &[(Figure, Aim)] = &[(Figure::Cpu, Aim::Ratio(0.85))];
const CPU_100: &[(Figure, Aim)] = &[(Figure::Cpu, Aim::Ratio(1.00))];
const PACED_AIMS: &[(Figure, Aim)] = &[
    (Figure::Cpu, Aim::Ratio(0.85)),
    (Figure::Delay99, Aim::Ratio(1.00)),
];

/// A small request at 64 connections, which every other workload varies.
const BASIC: Workload = Workload {
    name: "small-64",
    title: "229-byte request, 562-byte answer, 64 connections",
    words: &[],
    script: SMALL,
    load: &["-c64"],
    events: None,
    seconds_min: 0.0,
    contest: Contest::Peers,
    beside: Beside::Syscalls,
    aims: &[
        (Figure::Cpu, Aim::Ratio(0.80)),
        (Figure::Syscalls, Aim::Ratio(0.50)),
    ],
};

/// A stream at full speed, which every other stream varies.
const STREAM: Workload = Workload {
    name: "stream-flat",
    title: "streams of 200 events of 233 bytes, 64 at a time; per event",
    words: &["stream"],
    script: FLAT,
    load: &["-c64", "--stream"],
    events: Some(200),
    beside: Beside::Nothing,
    aims: &[(Figure::Cpu, Aim::Ratio(0.90))],
    ..BASIC
};

/// Every workload, in the order in which they are measured and shown.
pub(crate) const ALL: [Workload; 20] = [
    Workload {
        name: "small-16",
        title: "229-byte request, 562-byte answer, 16 connections",
        load: &["-c16"],
        beside: Beside::Nothing,
        aims: CPU_080,
        ..BASIC
    },
    BASIC,
    Workload {
        name: "small-256",
        title: "229-byte request, 562-byte answer, 256 connections",
        load: &["-c256"],
        beside: Beside::Nothing,
        aims: CPU_080,
        ..BASIC
    },
    Workload {
        name: "logs-16",
        title: "the same with access logs, 16 connections",
        words: &["logs"],
        load: &["-c16"],
        beside: Beside::Nothing,
        aims: CPU_085,
        ..BASIC
    },
    Workload {
        name: "logs-64",
        title: "the same with access logs, 64 connections",
        words: &["logs"],
        beside: Beside::Nothing,
        aims: CPU_085,
        ..BASIC
    },
    Workload {
        name: "logs-256",
        title: "the same with access logs, 256 connections",
        words: &["logs"],
        load: &["-c256"],
        beside: Beside::Nothing,
        aims: CPU_085,
        ..BASIC
    },
    Workload {
        name: "one",
        title: "small request, 1 connection",
        load: &["-c1"],
        beside: Beside::Direct,
        aims: &[
            (Figure::Cpu, Aim::Ratio(0.90)),
            (Figure::AddedP50, Aim::Ratio(0.90)),
        ],
        ..BASIC
    },
    Workload {
        name: "prompt",
        title: "prompt of 106 KB (with escapes and UTF-8), 64 connections",
        load: &["-c64", "--body", "@folder@/prompt.json"],
        beside: Beside::Nothing,
        aims: CPU_100,
        ..BASIC
    },
    STREAM,
    Workload {
        name: "stream-paced",
        title: "streams of an event each 5 ms, 64 at a time; per event",
        words: &["stream", "paced"],
        script: PACED,
        load: &["-c64", "--stream", "--delays"],
        seconds_min: 3.0,
        aims: PACED_AIMS,
        ..STREAM
    },
    Workload {
        name: "stream-1000",
        title: "streams of an event each 100 ms, 1,000 at a time; per event",
        words: &["stream", "paced"],
        script: SLOW,
        load: &["-c1000", "--stream", "--delays"],
        events: Some(30),
        seconds_min: 5.0,
        aims: PACED_AIMS,
        ..STREAM
    },
    Workload {
        name: "alias-flat",
        title: "streams at full speed under an alias (model rewritten in each); per event",
        words: &["stream", "alias"],
        load: &["-c64", "--stream", "--model", "renamed"],
        aims: CPU_100,
        ..STREAM
    },
    Workload {
        name: "alias-paced",
        title: "streams of an event each 5 ms under an alias; per event",
        words: &["stream", "paced", "alias"],
        script: PACED,
        load: &["-c64", "--stream", "--delays", "--model", "renamed"],
        seconds_min: 3.0,
        aims: CPU_100,
        ..STREAM
    },
    Workload {
        name: "anthropic",
        title: "small request to an Anthropic provider, 64 connections",
        words: &["anthropic"],
        script: SMALL_MESSAGES,
        beside: Beside::Nothing,
        aims: &[(Figure::Cpu, Aim::Ratio(1.30))],
        ..BASIC
    },
    Workload {
        name: "anthropic-stream",
        title: "its streams, translated event by event; per event",
        words: &["stream", "anthropic"],
        script: FLAT_MESSAGES,
        aims: &[(Figure::Cpu, Aim::Ratio(1.20))],
        ..STREAM
    },
    Workload {
        name: "tls",
        title: "small request, TLS towards callers, 64 connections",
        words: &["tls"],
        load: &["-c64", "--insecure"],
        beside: Beside::Nothing,
        aims: CPU_100,
        ..BASIC
    },
    Workload {
        name: "rate",
        title: "small request at 5,000/s, 64 connections",
        load: &["-c64", "--rate", "5000"],
        beside: Beside::Nothing,
        aims: &[],
        ..BASIC
    },
    Workload {
        name: "memory",
        title: "memory",
        script: MIXED,
        beside: Beside::Memory,
        aims: &[
            (Figure::RssStart, Aim::Value(15.0)),
            (Figure::RssIdle, Aim::Value(1.5)),
            (Figure::RssStream, Aim::Value(20.0)),
        ],
        ..BASIC
    },
    Workload {
        name: "shards",
        title: "two shards beside one, small request, 64 connections for each shard",
        contest: Contest::Shards,
        beside: Beside::Nothing,
        aims: &[(Figure::Cpu, Aim::Ratio(1.05))],
        ..BASIC
    },
    Workload {
        name: "pinning",
        title: "not pinned beside pinned, small request at 5,000/s",
        load: &["-c64", "--rate", "5000"],
        contest: Contest::Pinning,
        beside: Beside::Nothing,
        aims: &[],
        ..BASIC
    },
];

/// The workloads whose names are in `names` or start with one of them and a dash; all if `names` is
/// empty.
///
/// # Errors
///
/// A name that no workload has.
pub(crate) fn chosen(names: &[String]) -> Result<Vec<Workload>, String> {
    let fits = |workload: &Workload, name: &String| {
        let rest = workload.name.strip_prefix(name.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    if let Some(name) = names
        .iter()
        .find(|name| !ALL.iter().any(|workload| fits(workload, name)))
    {
        let all: Vec<_> = ALL.iter().map(|workload| workload.name).collect();
        return Err(format!("no workload {name}; there are {}", all.join(", ")));
    }
    let is_chosen =
        |workload: &Workload| names.is_empty() || names.iter().any(|name| fits(workload, name));
    Ok(ALL.into_iter().filter(is_chosen).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_chooses_its_workload_or_its_family() {
        let names = |names: &[&str]| {
            let owned: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            chosen(&owned).map(|all| all.iter().map(|w| w.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&["one"]), Ok(vec!["one"]));
        assert_eq!(
            names(&["small"]),
            Ok(vec!["small-16", "small-64", "small-256"])
        );
        assert_eq!(names(&[]).map(|all| all.len()), Ok(ALL.len()));
        assert!(names(&["smal"]).is_err());
    }

    #[test]
    fn every_script_is_json() {
        for workload in ALL {
            let script: Result<serde_json::Value, _> = serde_json::from_str(workload.script);
            assert!(script.is_ok(), "{}", workload.name);
        }
    }
}
