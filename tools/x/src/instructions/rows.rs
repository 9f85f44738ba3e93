//! What is counted: the requests and the streams, each a row of the table.

/// One row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// Its name on the command line and in the baseline.
    pub(crate) name: &'static str,
    /// Its description.
    pub(crate) title: &'static str,
    /// The words that choose lines of the router's configuration.
    pub(crate) words: &'static [&'static str],
    /// Where callers send it.
    pub(crate) path: &'static str,
    /// What the provider speaks.
    pub(crate) dialect: &'static str,
    /// Further flags of the load tool.
    pub(crate) load: &'static [&'static str],
    /// The status that callers are told, for all requests but perhaps the first.
    pub(crate) status: u16,
    /// What one unit is, and how many of them are counted.
    pub(crate) unit: Unit,
    /// The row that its ratio refers to.
    pub(crate) base: &'static str,
    /// The largest ratio that infermux aims at.
    pub(crate) aim: Option<f64>,
}

/// What one unit of a row is. It costs the difference between the two runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// A request; the runs have so many.
    Request([u32; 2]),
    /// An event in streams at full speed, 64 at a time; each has so many.
    Flow([u32; 2]),
    /// An event of a single stream that has so many, one each 2 ms.
    Paced([u32; 2]),
}

const CHAT: &str = "/v1/chat/completions";
const MESSAGES: &str = "/v1/messages";
const RESPONSES: &str = "/v1/responses";

/// The word with which the router shares its limits and budgets through a store.
pub(crate) const SHARED: &str = "shared";

/// What a refusal may cost, as a part of what an answer costs.
const REFUSAL: f64 = 0.75;
/// The status of who shows no key.
const UNKNOWN_CALLER: u16 = 401;

/// The flag with the caller that has a budget.
const CALLER: [&str; 2] = ["-H", "X-Infermux-Caller: load"];
/// The words with which the router has callers' keys.
const KEYED: [&str; 2] = ["keys", "scopes"];
/// The secret of the caller's key, where there are keys.
pub(crate) const KEY: &str = "sk-load-0123456789abcdef0123456789abcdef0123456789";

/// The head of the official Python client's request, with a key.
const PYTHON: &[&str] = &[
    "-H",
    "Accept-Encoding: gzip, deflate",
    "-H",
    "Connection: keep-alive",
    "-H",
    "Accept: application/json",
    "-H",
    "User-Agent: OpenAI/Python 1.54.0",
    "-H",
    "X-Stainless-Lang: python",
    "-H",
    "X-Stainless-Package-Version: 1.54.0",
    "-H",
    "X-Stainless-OS: Linux",
    "-H",
    "X-Stainless-Arch: x64",
    "-H",
    "X-Stainless-Runtime: CPython",
    "-H",
    "X-Stainless-Runtime-Version: 3.12.3",
    "-H",
    "Authorization: Bearer sk-load-0123456789abcdef0123456789abcdef0123456789",
    "-H",
    "X-Stainless-Async: false",
    "-H",
    "x-stainless-retry-count: 0",
    "-H",
    "x-stainless-read-timeout: 600",
];

/// A small request, which every other one varies.
const SMALL: Row = Row {
    name: "small",
    title: "request of 229 bytes, answer of 562, bare head",
    words: &[],
    path: CHAT,
    dialect: "openai",
    load: &[],
    status: 200,
    unit: Unit::Request([1_000, 5_000]),
    base: "small",
    aim: None,
};

/// An event at full speed, which every other one varies.
const FLOW: Row = Row {
    name: "stream",
    title: "event of 233 bytes at full speed",
    load: &["--stream"],
    unit: Unit::Flow([200, 2_000]),
    base: "stream",
    ..SMALL
};

/// An event at a fixed pace, which every other one varies.
const PACED: Row = Row {
    name: "paced",
    title: "event of 233 bytes by itself",
    unit: Unit::Paced([100, 1_600]),
    base: "paced",
    ..FLOW
};

/// Every row, in the order in which they are counted and shown.
pub(crate) const ALL: [Row; 34] = [
    SMALL,
    Row {
        name: "small-python",
        title: "the same with the head of the official Python client",
        load: PYTHON,
        ..SMALL
    },
    Row {
        name: "small-logs",
        title: "bare head, with access logs",
        words: &["logs"],
        ..SMALL
    },
    Row {
        name: "small-alias",
        title: "bare head, under an alias",
        words: &["alias"],
        load: &["--model", "renamed"],
        ..SMALL
    },
    Row {
        name: "small-keys",
        title: "bare head, with callers' keys",
        words: &["keys"],
        ..SMALL
    },
    Row {
        name: "small-scopes",
        title: "bare head, and team, key and model have a limit and a budget each",
        words: &["scopes"],
        base: "small-keys",
        aim: Some(1.06),
        ..SMALL
    },
    Row {
        name: "small-shared",
        title: "bare head, and limits and budget are shared with other instances",
        words: &[SHARED],
        unit: Unit::Request([2_000, 22_000]),
        aim: Some(1.02),
        ..SMALL
    },
    Row {
        name: "small-python-keys",
        title: "the Python client's head, with callers' keys",
        words: &["keys"],
        load: PYTHON,
        ..SMALL
    },
    Row {
        name: "anthropic",
        title: "chat completions from an Anthropic provider",
        words: &["anthropic"],
        dialect: "anthropic",
        aim: Some(1.4),
        ..SMALL
    },
    Row {
        name: "messages",
        title: "Messages from an Anthropic provider",
        words: &["anthropic"],
        path: MESSAGES,
        dialect: "anthropic",
        aim: Some(1.1),
        ..SMALL
    },
    Row {
        name: "messages-openai",
        title: "Messages from an OpenAI provider",
        path: MESSAGES,
        aim: Some(1.6),
        ..SMALL
    },
    Row {
        name: "messages-keys",
        title: "Messages from an Anthropic provider, with callers' keys",
        words: &["anthropic", "keys"],
        path: MESSAGES,
        dialect: "anthropic",
        ..SMALL
    },
    Row {
        name: "responses",
        title: "Responses from an OpenAI provider",
        path: RESPONSES,
        aim: Some(1.1),
        ..SMALL
    },
    Row {
        name: "responses-bridge",
        title: "Responses from a provider of chat completions",
        words: &["bridge"],
        path: RESPONSES,
        aim: Some(1.8),
        ..SMALL
    },
    Row {
        name: "responses-anthropic",
        title: "Responses from an Anthropic provider",
        words: &["anthropic"],
        path: RESPONSES,
        dialect: "anthropic",
        aim: Some(1.8),
        ..SMALL
    },
    Row {
        name: "responses-keys",
        title: "Responses from an OpenAI provider, with callers' keys",
        words: &["keys"],
        path: RESPONSES,
        ..SMALL
    },
    Row {
        name: "refused-limit",
        title: "a provider's limit refuses it",
        words: &["full"],
        status: 429,
        aim: Some(REFUSAL),
        ..SMALL
    },
    Row {
        name: "refused-model",
        title: "it asks for a model that nobody has",
        load: &["--model", "unknown"],
        status: 404,
        aim: Some(REFUSAL),
        ..SMALL
    },
    Row {
        name: "refused-key",
        title: "it shows no key, where callers have keys",
        words: &["keys"],
        status: UNKNOWN_CALLER,
        aim: Some(REFUSAL),
        ..SMALL
    },
    Row {
        name: "prompt",
        title: "request of 100,000 bytes",
        load: &["--body-bytes", "100000"],
        unit: Unit::Request([200, 800]),
        ..SMALL
    },
    FLOW,
    Row {
        name: "stream-alias",
        title: "the same under an alias",
        words: &["alias"],
        load: &["--stream", "--model", "renamed"],
        ..FLOW
    },
    Row {
        name: "stream-keys",
        title: "the same with callers' keys",
        words: &["keys"],
        ..FLOW
    },
    Row {
        name: "stream-anthropic",
        title: "of chat completions from an Anthropic provider",
        words: &["anthropic"],
        dialect: "anthropic",
        ..FLOW
    },
    Row {
        name: "stream-messages",
        title: "of Messages from an Anthropic provider",
        words: &["anthropic"],
        path: MESSAGES,
        dialect: "anthropic",
        ..FLOW
    },
    Row {
        name: "stream-messages-openai",
        title: "of Messages from an OpenAI provider",
        path: MESSAGES,
        aim: Some(1.5),
        ..FLOW
    },
    Row {
        name: "stream-responses",
        title: "of Responses from an OpenAI provider",
        path: RESPONSES,
        aim: Some(1.1),
        ..FLOW
    },
    Row {
        name: "stream-responses-bridge",
        title: "of Responses from a provider of chat completions",
        words: &["bridge"],
        path: RESPONSES,
        aim: Some(1.6),
        ..FLOW
    },
    PACED,
    Row {
        name: "paced-keys",
        title: "the same with callers' keys",
        words: &["keys"],
        ..PACED
    },
    Row {
        name: "paced-anthropic",
        title: "of chat completions from an Anthropic provider",
        words: &["anthropic"],
        dialect: "anthropic",
        ..PACED
    },
    Row {
        name: "paced-messages-openai",
        title: "of Messages from an OpenAI provider",
        path: MESSAGES,
        aim: Some(1.5),
        ..PACED
    },
    Row {
        name: "paced-responses",
        title: "of Responses from an OpenAI provider",
        path: RESPONSES,
        aim: Some(1.1),
        ..PACED
    },
    Row {
        name: "paced-responses-bridge",
        title: "of Responses from a provider of chat completions",
        words: &["bridge"],
        path: RESPONSES,
        aim: Some(1.6),
        ..PACED
    },
];

/// The rows that `names` name: each by its whole name, or all that begin with what stands before a
/// `*`; every row if there is no name.
///
/// # Errors
///
/// A name that no row has.
pub(crate) fn chosen(names: &[String]) -> Result<Vec<Row>, String> {
    let fits = |row: &Row, name: &String| match name.strip_suffix('*') {
        Some(start) => row.name.starts_with(start),
        None => row.name == name,
    };
    if let Some(name) = names
        .iter()
        .find(|name| !ALL.iter().any(|row| fits(row, name)))
    {
        let all: Vec<_> = ALL.iter().map(|row| row.name).collect();
        return Err(format!("no row {name}; there are {}", all.join(", ")));
    }
    let is_chosen = |row: &Row| names.is_empty() || names.iter().any(|name| fits(row, name));
    Ok(ALL.into_iter().filter(is_chosen).collect())
}

impl Row {
    /// The provider's script for run `index`, the short one (0) or the long one (1).
    pub(crate) fn script(&self, index: usize) -> String {
        let own = match self.unit {
            Unit::Request(_) => r#""canned":true,"body_bytes":562"#.to_owned(),
            Unit::Flow(events) => {
                let count = events[index];
                format!(r#""canned":true,"event_bytes":233,"events":{count}"#)
            }
            Unit::Paced(events) => {
                let count = events[index];
                format!(
                    r#""event_interval_ms":2,"usage":"always","event_bytes":233,"events":{count}"#
                )
            }
        };
        let dialect = self.dialect;
        format!(r#"{{"dialect":"{dialect}","record":false,{own}}}"#)
    }

    /// The load tool's flags for run `index`, without the address.
    pub(crate) fn flags(&self, index: usize) -> Vec<String> {
        let connections = match self.unit {
            Unit::Request(_) | Unit::Flow(_) => "64",
            Unit::Paced(_) => "1",
        };
        let count = self.requests(index).to_string();
        let mut flags = vec!["--json", "-c", connections, "-n", &count];
        flags.extend(self.load);
        let bearer = format!("Authorization: Bearer {KEY}");
        let version = "anthropic-version: 2023-06-01";
        if self.path == MESSAGES {
            flags.extend(["-H", version]);
        }
        match self.words.iter().any(|word| KEYED.contains(word)) {
            true if self.load == PYTHON || self.status == UNKNOWN_CALLER => {}
            true => flags.extend(["-H", &bearer]),
            false => flags.extend(CALLER),
        }
        flags.into_iter().map(str::to_owned).collect()
    }

    /// Requests of run `index`.
    pub(crate) fn requests(&self, index: usize) -> u32 {
        match self.unit {
            Unit::Request(counts) => counts[index],
            Unit::Flow(_) => STREAMS,
            Unit::Paced(_) => 1,
        }
    }

    /// Units that the long run has and the short one has not.
    pub(crate) fn units(&self) -> u32 {
        let ([few, many], streams) = match self.unit {
            Unit::Request(counts) => (counts, 1),
            Unit::Flow(events) => (events, STREAMS),
            Unit::Paced(events) => (events, 1),
        };
        (many - few) * streams
    }
}

/// Streams at full speed in each run.
const STREAMS: u32 = 64;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_name_chooses_its_row_and_a_star_a_family() {
        let names = |names: &[&str]| {
            let owned: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            chosen(&owned).map(|all| all.iter().map(|row| row.name).collect::<Vec<_>>())
        };
        assert_eq!(
            names(&["messages", "prompt"]),
            Ok(vec!["messages", "prompt"])
        );
        let messages = ["messages", "messages-openai", "messages-keys"];
        assert_eq!(names(&["messages*"]), Ok(messages.to_vec()));
        assert_eq!(names(&[]).map(|all| all.len()), Ok(ALL.len()));
        assert!(names(&["message"]).is_err() && names(&["x*"]).is_err());
    }

    #[test]
    fn every_row_has_a_name_of_its_own_and_a_base() {
        let names: BTreeSet<_> = ALL.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), ALL.len());
        for row in ALL {
            assert!(names.contains(row.base), "{}", row.name);
            for index in 0..2 {
                let script: Result<serde_json::Value, _> = serde_json::from_str(&row.script(index));
                assert!(script.is_ok(), "{}", row.name);
            }
        }
    }

    #[test]
    fn a_caller_shows_a_key_or_its_name() {
        let flags = |name: &str| {
            let all = chosen(&[name.to_owned()]).expect("a row");
            all[0].flags(1).join(" ")
        };
        assert!(flags("small").contains("-n 5000") && flags("small").contains("Caller: load"));
        for name in ["small-keys", "small-scopes", "small-python-keys"] {
            let flags = flags(name);
            assert_eq!(flags.matches(KEY).count(), 1, "{flags}");
            assert!(!flags.contains("Caller"), "{flags}");
        }
    }
}
