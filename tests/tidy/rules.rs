//! One function per rule; each takes a file and returns its faults.

use crate::functions::{self, Function};
use crate::source::{Line, Source, has_word};

/// A rule.
pub(crate) type Rule = fn(&Source) -> Vec<String>;

/// All rules that need only one file.
pub(crate) const ALL: [Rule; 16] = [
    starts_with_its_purpose,
    public_items_have_a_sentence,
    lines_fit,
    files_are_short,
    functions_are_small,
    no_notes_to_self,
    rooms_stay_on_their_floor,
    nothing_climbs_out_of_its_room,
    bans_hold,
    monoio_stays_in_the_net,
    pure_floors_stay_pure,
    pure_floors_do_not_panic,
    unsafe_is_rare_and_explained,
    tests_do_not_sleep,
    tools_share_no_code,
    main_is_small,
];

/// The rooms, each with its floor.
const FLOORS: [(&str, u8); 14] = [
    ("base", 0),
    ("wire", 1),
    ("decide", 1),
    ("config", 2),
    ("dialect", 2),
    ("link", 2),
    ("report", 2),
    ("exchange", 3),
    ("ledger", 3),
    ("sys", 4),
    ("shard", 5),
    ("control", 5),
    ("coordinator", 5),
    ("cli", 6),
];

/// The highest floor that knows nothing of the outside world.
const TOP_PURE_FLOOR: u8 = 3;

/// Most columns of a line.
const COLUMNS_MAX: usize = 100;
/// Most lines of a file, tests left out.
const FILE_LINES_MAX: usize = 500;
/// Most lines of a function, from its name to its last brace.
const FUNCTION_LINES_MAX: usize = 60;
/// Most parameters of a function, `self` left out; the members of a tuple count one by one.
const PARAMETERS_MAX: usize = 5;
/// Most lines of `main.rs`.
const MAIN_LINES_MAX: usize = 40;
/// Lines above an `unsafe` within which its reason may stand.
const SAFETY_LINES: usize = 6;

/// Words that may stand only in certain places of the crate, outside its tests.
const BANS: [(&[&str], &[&str], &str); 7] = [
    (
        &["Instant::now", "SystemTime::now"],
        &["src/sys/clock.rs"],
        "only sys::clock reads a clock",
    ),
    (
        &[
            "std::env",
            "env::var",
            "env::var_os",
            "env::vars",
            "env::args",
        ],
        &["src/cli/"],
        "only cli reads the environment",
    ),
    (
        &["thread::spawn", "thread::Builder", "thread::scope"],
        &["src/cli/"],
        "only cli starts threads",
    ),
    (
        &[
            "sync::atomic",
            "sync::mpsc",
            "crossbeam_channel",
            "arc_swap",
            "ArcSwap",
        ],
        &["src/link/"],
        "only link holds atomics and channels",
    ),
    (
        &[
            "AtomicBool",
            "AtomicU8",
            "AtomicU16",
            "AtomicU32",
            "AtomicU64",
            "AtomicUsize",
        ],
        &["src/link/"],
        "only link holds atomics and channels",
    ),
    (
        &["Mutex", "RwLock", "Condvar", "parking_lot"],
        &[],
        "no lock anywhere",
    ),
    (
        &["serde_yaml"],
        &["src/config/raw.rs", "src/config/raw/"],
        "only config::raw reads YAML",
    ),
];

/// Words of the outside world.
const IMPURE: [&str; 10] = [
    "async",
    "await",
    "monoio",
    "std::fs",
    "std::process",
    "std::thread",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
];

/// Words that must not stand in any file. They are put together here, so that this file does not
/// contain them.
const NOTES: [&str; 8] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("todo", "!"),
    concat!("unimplemented", "!"),
    concat!("#[", "ignore"),
    concat!("should_", "panic"),
    concat!("#[", "allow"),
];

/// `path:line: what`, as editors understand it.
fn fault(source: &Source, line: &Line, what: &str) -> String {
    format!("{}:{}: {what}", source.path, line.number)
}

fn starts_with_its_purpose(source: &Source) -> Vec<String> {
    match source.lines.first() {
        Some(line) if line.text.starts_with("//! ") => Vec::new(),
        Some(_) | None => vec![format!(
            "{}:1: the file does not start with //!",
            source.path
        )],
    }
}

fn public_items_have_a_sentence(source: &Source) -> Vec<String> {
    if source.room().is_none() {
        return Vec::new();
    }
    let mut faults = Vec::new();
    for (index, line) in source.lines.iter().enumerate() {
        let Some(item) = line.code.trim_start().strip_prefix("pub ") else {
            continue;
        };
        let is_named_only = ["mod ", "use "].iter().any(|word| item.starts_with(word));
        if !line.is_test && !is_named_only && !has_sentence(source, index) {
            faults.push(fault(source, line, "a public item without a sentence"));
        }
    }
    faults
}

/// Whether a line of documentation stands above line `index`, attributes between them aside.
fn has_sentence(source: &Source, index: usize) -> bool {
    let above = source.lines.get(..index).unwrap_or_default();
    let mut above = above.iter().rev().map(|line| line.text.trim());
    while let Some(text) = above.next() {
        if !text.ends_with(']') || text.starts_with("///") {
            return text.starts_with("///");
        }
        // An attribute may have several lines.
        if !text.starts_with("#[") && above.find(|text| text.starts_with("#[")).is_none() {
            return false;
        }
    }
    false
}

fn lines_fit(source: &Source) -> Vec<String> {
    let long = source
        .lines
        .iter()
        .filter(|line| line.text.chars().count() > COLUMNS_MAX);
    long.map(|line| fault(source, line, "more than 100 columns"))
        .collect()
}

fn files_are_short(source: &Source) -> Vec<String> {
    if !is_long(source) {
        return Vec::new();
    }
    let count = source.shipped().count();
    vec![format!(
        "{}:1: {count} lines without tests, more than {FILE_LINES_MAX}",
        source.path
    )]
}

/// Whether the file is too long.
pub(crate) fn is_long(source: &Source) -> bool {
    source.shipped().count() > FILE_LINES_MAX
}

fn functions_are_small(source: &Source) -> Vec<String> {
    let mut faults = Vec::new();
    for function in large_functions(source) {
        let Function {
            name,
            line,
            lines,
            parameters,
        } = &function;
        let what = if *lines > FUNCTION_LINES_MAX {
            format!("{lines} lines, more than {FUNCTION_LINES_MAX}")
        } else {
            format!("{parameters} parameters, more than {PARAMETERS_MAX}")
        };
        faults.push(format!("{}:{line}: {name} has {what}", source.path));
    }
    faults
}

/// The functions that are too long, or have too many parameters.
pub(crate) fn large_functions(source: &Source) -> impl Iterator<Item = Function> {
    let all = functions::read(source).into_iter();
    all.filter(|one| one.lines > FUNCTION_LINES_MAX || one.parameters > PARAMETERS_MAX)
}

fn no_notes_to_self(source: &Source) -> Vec<String> {
    let inner = concat!("#![", "allow");
    let mut faults = Vec::new();
    for line in &source.lines {
        for word in NOTES
            .iter()
            .chain([&inner])
            .filter(|word| has_word(&line.text, word))
        {
            faults.push(fault(source, line, &format!("{word} does not belong here")));
        }
    }
    faults
}

fn floor(room: &str) -> Option<u8> {
    FLOORS
        .iter()
        .find(|(name, _)| *name == room)
        .map(|(_, floor)| *floor)
}

fn rooms_stay_on_their_floor(source: &Source) -> Vec<String> {
    let Some(own) = source.room() else {
        return Vec::new();
    };
    let Some(own_floor) = floor(own) else {
        return vec![format!("{}:1: {own} is no room of the house", source.path)];
    };
    let mut faults = Vec::new();
    for line in &source.lines {
        for other in rooms_named(&line.code) {
            let what = match floor(other) {
                _ if other == own => continue,
                Some(floor) if floor < own_floor => continue,
                Some(floor) if floor == own_floor => format!("{own} may not use {other} beside it"),
                Some(_) => format!("{own} may not use {other} above it"),
                None if other.is_empty() => "one room per `use crate::…` line".to_owned(),
                None => format!("{other} is no room of the house"),
            };
            faults.push(fault(source, line, &what));
        }
    }
    faults
}

/// The names behind `crate::` in `code`; an empty one for a group or a glob.
fn rooms_named(code: &str) -> impl Iterator<Item = &str> {
    code.match_indices("crate::").filter_map(|(at, mark)| {
        // `$crate::` and `my_crate::` are other things.
        let before = code.get(..at)?.chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$') {
            return None;
        }
        let rest = code.get(at + mark.len()..)?;
        let end = rest
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        rest.get(..end)
    })
}

fn nothing_climbs_out_of_its_room(source: &Source) -> Vec<String> {
    let Some(_) = source.room() else {
        return Vec::new();
    };
    let is_top = source.path.matches('/').count() == 2 && source.path.ends_with("/mod.rs");
    let climbs = |line: &&Line| {
        has_word(&line.code, "super::super")
            || (is_top && !line.is_test && has_word(&line.code, "super::"))
    };
    let lines = source.lines.iter().filter(climbs);
    lines
        .map(|line| fault(source, line, "name the room: crate::room::…"))
        .collect()
}

fn bans_hold(source: &Source) -> Vec<String> {
    if !source.path.starts_with("src/") {
        return Vec::new();
    }
    let mut faults = Vec::new();
    for (words, places, reason) in BANS {
        if places.iter().any(|place| source.path.starts_with(place)) {
            continue;
        }
        for line in source.shipped() {
            if let Some(word) = words.iter().find(|word| has_word(&line.code, word)) {
                faults.push(fault(source, line, &format!("{word}: {reason}")));
            }
        }
    }
    faults
}

fn monoio_stays_in_the_net(source: &Source) -> Vec<String> {
    let may_be_here = !source.path.starts_with("src/") || source.path.starts_with("src/shard/net/");
    if may_be_here {
        return Vec::new();
    }
    let lines = source
        .shipped()
        .filter(|line| has_word(&line.code, "monoio"));
    lines
        .map(|line| fault(source, line, "monoio: only shard::net names it"))
        .collect()
}

fn is_pure(source: &Source) -> bool {
    source
        .room()
        .and_then(floor)
        .is_some_and(|floor| floor <= TOP_PURE_FLOOR)
}

fn pure_floors_stay_pure(source: &Source) -> Vec<String> {
    if !is_pure(source) {
        return Vec::new();
    }
    let mut faults = Vec::new();
    for line in source.shipped() {
        if let Some(word) = IMPURE.iter().find(|word| has_word(&line.code, word)) {
            faults.push(fault(
                source,
                line,
                &format!("{word}: floors 0 to 3 do not touch it"),
            ));
        }
    }
    faults
}

fn pure_floors_do_not_panic(source: &Source) -> Vec<String> {
    if !is_pure(source) {
        return Vec::new();
    }
    // A parser may have an `expect` of its own; that of the standard library takes a text.
    let panics = |line: &&Line| {
        has_word(&line.code, ".unwrap()")
            || (has_word(&line.code, ".expect(") && line.text.contains(".expect(\""))
    };
    let lines = source.shipped().filter(panics);
    lines
        .map(|line| fault(source, line, "floors 0 to 3 do not panic"))
        .collect()
}

fn unsafe_is_rare_and_explained(source: &Source) -> Vec<String> {
    // System tests take kernel features away from the router, the scan needs processor
    // instructions, and the floor is a ring of its own.
    let may_be_here = [
        "src/sys/",
        "src/shard/",
        "src/wire/scan.rs",
        "src/wire/scan/",
        "tools/floor/",
        // An allocator that counts.
        "fuzz/src/meter.rs",
        "tests/it/",
        "tests/allocations.rs",
    ]
    .iter()
    .any(|room| source.path.starts_with(room));
    let mut faults = Vec::new();
    for (index, line) in source.lines.iter().enumerate() {
        if !has_word(&line.code, "unsafe") {
            continue;
        }
        let near = source
            .lines
            .get(index.saturating_sub(SAFETY_LINES)..=index)
            .unwrap_or_default();
        if !may_be_here {
            faults.push(fault(
                source,
                line,
                "unsafe stands only in sys, shard, the scan, the floor, the meter and system tests",
            ));
        } else if !near.iter().any(|line| line.text.contains("SAFETY:")) {
            faults.push(fault(source, line, "unsafe without a SAFETY: comment"));
        }
    }
    faults
}

fn tests_do_not_sleep(source: &Source) -> Vec<String> {
    let sleeps = |line: &&Line| line.is_test && has_word(&line.code, "sleep(");
    let lines = source.lines.iter().filter(sleeps);
    lines
        .map(|line| fault(source, line, "a test waits for a condition, not for a time"))
        .collect()
}

fn tools_share_no_code(source: &Source) -> Vec<String> {
    if !source.path.starts_with("tools/") {
        return Vec::new();
    }
    let uses = |line: &&Line| has_word(&line.code, "infermux::");
    let lines = source.lines.iter().filter(uses);
    lines
        .map(|line| fault(source, line, "a tool that shares code shares its mistakes"))
        .collect()
}

fn main_is_small(source: &Source) -> Vec<String> {
    if source.path != "src/main.rs" || source.lines.len() <= MAIN_LINES_MAX {
        return Vec::new();
    }
    vec![format!(
        "{}:1: more than {MAIN_LINES_MAX} lines",
        source.path
    )]
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
