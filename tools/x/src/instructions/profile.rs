//! What callgrind wrote: instructions of the whole process and of each function.

use std::collections::{BTreeMap, HashMap};

/// The counts of one run, or the difference of two.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Profile {
    /// Of the whole process.
    pub(crate) total: f64,
    /// Of each function with those that it calls; a recursion is counted once for each turn.
    pub(crate) inclusive: BTreeMap<String, f64>,
    /// Of each function alone.
    pub(crate) own: BTreeMap<String, f64>,
    /// How often each function was called.
    pub(crate) calls: BTreeMap<String, f64>,
}

/// Reads callgrind's file.
///
/// # Errors
///
/// When it has no total, as a file that was not written to its end.
pub(crate) fn read(text: &str) -> Result<Profile, String> {
    let mut reader = Reader::default();
    for line in text.lines() {
        reader.line(line);
    }
    if reader.profile.total == 0.0 {
        return Err("callgrind has counted nothing".to_owned());
    }
    Ok(reader.profile)
}

#[derive(Default)]
struct Reader<'a> {
    profile: Profile,
    /// A name is written once and known by its number from there on.
    names: HashMap<&'a str, &'a str>,
    function: &'a str,
    /// The function that is called, and how often, until the line with the cost of the calls.
    call: Option<(&'a str, f64)>,
}

impl<'a> Reader<'a> {
    fn line(&mut self, line: &'a str) {
        if let Some(name) = line.strip_prefix("fn=") {
            self.function = self.name(name);
        } else if let Some(name) = line.strip_prefix("cfn=") {
            self.call = Some((self.name(name), 0.0));
        } else if let Some(rest) = line.strip_prefix("calls=") {
            if let Some((_, count)) = &mut self.call {
                *count = number(rest.split(' ').next());
            }
        } else if let Some(rest) = line.strip_prefix("totals: ") {
            self.profile.total = number(Some(rest));
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            self.cost(number(line.split(' ').nth(1)));
        }
    }

    /// A line's own cost, or that of the calls that were named before it.
    fn cost(&mut self, cost: f64) {
        if let Some((callee, count)) = self.call.take() {
            add(&mut self.profile.calls, callee, count);
            if callee != self.function {
                add(&mut self.profile.inclusive, self.function, cost);
            }
            return;
        }
        add(&mut self.profile.own, self.function, cost);
        add(&mut self.profile.inclusive, self.function, cost);
    }

    /// Reads `(number) name`, or `(number)` of a name that was there before.
    fn name(&mut self, text: &'a str) -> &'a str {
        let (number, name) = text.split_once(' ').unwrap_or((text, ""));
        if !name.is_empty() {
            self.names.insert(number, name);
        }
        self.names.get(number).copied().unwrap_or(text)
    }
}

fn add(map: &mut BTreeMap<String, f64>, name: &str, cost: f64) {
    match map.get_mut(name) {
        Some(sum) => *sum += cost,
        None => {
            map.insert(name.to_owned(), cost);
        }
    }
}

fn number(text: Option<&str>) -> f64 {
    text.and_then(|text| text.trim().parse().ok())
        .unwrap_or_default()
}

impl Profile {
    /// What is in this profile and not in `less`, for each of `units`.
    pub(crate) fn beyond(&self, less: &Self, units: f64) -> Self {
        let each = |more: &BTreeMap<String, f64>, less: &BTreeMap<String, f64>| {
            let rest = |(name, count): (&String, &f64)| {
                let less = less.get(name).copied().unwrap_or_default();
                (name.clone(), (count - less) / units)
            };
            more.iter().map(rest).collect()
        };
        Self {
            total: (self.total - less.total) / units,
            inclusive: each(&self.inclusive, &less.inclusive),
            own: each(&self.own, &less.own),
            calls: each(&self.calls, &less.calls),
        }
    }

    /// How often the function of this name was called.
    pub(crate) fn calls_of(&self, name: &str) -> f64 {
        self.calls.get(name).copied().unwrap_or_default()
    }

    /// The `count` functions that take the most with what they call, most first; those through
    /// which nearly everything goes are left out.
    pub(crate) fn top_inclusive(&self, count: usize) -> Vec<(&str, f64)> {
        let most = self.total * FRAME_SHARE;
        top(
            self.inclusive.iter().filter(|(_, cost)| **cost < most),
            count,
        )
    }

    /// The `count` functions that take the most by themselves, most first.
    pub(crate) fn top_own(&self, count: usize) -> Vec<(&str, f64)> {
        top(self.own.iter(), count)
    }
}

/// A function with a larger share of all instructions only starts what does the work.
const FRAME_SHARE: f64 = 0.99;

fn top<'a>(all: impl Iterator<Item = (&'a String, &'a f64)>, count: usize) -> Vec<(&'a str, f64)> {
    let mut all: Vec<_> = all.map(|(name, cost)| (name.as_str(), *cost)).collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1));
    all.truncate(count);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "version: 1\n\
        positions: line\n\
        events: Ir\n\
        fl=(1) a.rs\n\
        fn=(1) outer\n\
        10 5\n\
        cfn=(2) inner\n\
        calls=3 20\n\
        +1 30\n\
        * 2\n\
        \n\
        fn=(2)\n\
        20 24\n\
        fi=(2) b.rs\n\
        7 6\n\
        cfn=(2)\n\
        calls=1 20\n\
        20 9\n\
        totals: 37\n";

    #[test]
    fn a_function_has_what_it_calls_and_a_recursion_counts_once() {
        let profile = read(FILE).expect("a profile");
        assert_eq!(profile.total, 37.0);
        let inclusive = [("outer", 37.0), ("inner", 30.0)];
        assert_eq!(top(profile.inclusive.iter(), 9), inclusive);
        assert_eq!(profile.top_inclusive(9), inclusive[1..]);
        assert_eq!(profile.top_own(9), [("inner", 30.0), ("outer", 7.0)]);
        assert_eq!(profile.calls["inner"], 4.0);
        assert!(read("events: Ir\n").is_err());
    }

    #[test]
    fn a_difference_is_for_each_unit() {
        let few = read(FILE).expect("a profile");
        let mut many = few.clone();
        many.total += 20.0;
        add(&mut many.inclusive, "inner", 10.0);
        add(&mut many.inclusive, "new", 4.0);
        let each = many.beyond(&few, 2.0);
        assert_eq!(each.total, 10.0);
        assert_eq!(each.top_inclusive(2), [("inner", 5.0), ("new", 2.0)]);
    }
}
