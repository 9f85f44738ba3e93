//! Refuses files that use each other in a circle.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::arrows::Arrow;

/// One fault for each circle of files that the `arrows` close.
pub(crate) fn check(arrows: &[Arrow]) -> Vec<String> {
    let graph = Graph::new(arrows.iter());
    let mut faults = Vec::new();
    let mut told = BTreeSet::new();
    for file in graph.from.keys() {
        if told.contains(file) {
            continue;
        }
        let Some(way) = graph.way_back(file) else {
            continue;
        };
        let files = graph.circle(file);
        faults.push(fault(&way, files.len()));
        told.extend(files);
    }
    faults
}

/// `path:line: what`, as editors understand it.
fn fault(way: &[&Arrow], count: usize) -> String {
    let steps: Vec<String> = way
        .iter()
        .map(|arrow| {
            format!(
                "{}:{} takes {} of {}",
                arrow.from, arrow.line, arrow.name, arrow.to
            )
        })
        .collect();
    let place = way
        .first()
        .map(|arrow| format!("{}:{}", arrow.from, arrow.line));
    format!(
        "{}: a circle of {count} files: {}",
        place.unwrap_or_default(),
        steps.join(", ")
    )
}

/// Each file's arrows.
struct Graph<'a> {
    from: BTreeMap<&'a str, Vec<&'a Arrow>>,
}

impl<'a> Graph<'a> {
    fn new(arrows: impl Iterator<Item = &'a Arrow>) -> Self {
        let mut from: BTreeMap<&str, Vec<&Arrow>> = BTreeMap::new();
        for arrow in arrows {
            from.entry(&arrow.from).or_default().push(arrow);
        }
        Self { from }
    }

    /// A shortest row of arrows from `file` back to itself.
    fn way_back(&self, file: &str) -> Option<Vec<&'a Arrow>> {
        let mut last: BTreeMap<&str, &Arrow> = BTreeMap::new();
        let mut open = VecDeque::from([file]);
        while let Some(from) = open.pop_front() {
            for arrow in self.from.get(from).into_iter().flatten() {
                if last.contains_key(arrow.to.as_str()) {
                    continue;
                }
                last.insert(&arrow.to, arrow);
                open.push_back(&arrow.to);
            }
        }
        let mut way = vec![*last.get(file)?];
        while let Some(first) = way.last()
            && first.from != file
        {
            way.push(last[first.from.as_str()]);
        }
        way.reverse();
        Some(way)
    }

    /// The files that `file` reaches and that reach it.
    fn circle(&self, file: &str) -> BTreeSet<&'a str> {
        let reached = self.reached(file);
        let back = |other: &&'a str| self.reached(other).contains(file);
        reached.into_iter().filter(back).collect()
    }

    fn reached(&self, file: &str) -> BTreeSet<&'a str> {
        let mut reached = BTreeSet::new();
        let mut open = vec![file];
        while let Some(from) = open.pop() {
            for arrow in self.from.get(from).into_iter().flatten() {
                if reached.insert(arrow.to.as_str()) {
                    open.push(&arrow.to);
                }
            }
        }
        reached
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The faults for files that use each other like this: `a b` where `a` uses `b`.
    fn faults(pairs: &[&str]) -> Vec<String> {
        let arrow = |pair: &&str| {
            let (from, to) = pair.split_once(' ').expect("two files");
            let (from, to) = (from.to_owned(), to.to_owned());
            let name = to.to_uppercase();
            Arrow {
                from,
                line: 7,
                to,
                name,
            }
        };
        let arrows: Vec<Arrow> = pairs.iter().map(arrow).collect();
        check(&arrows)
    }

    #[test]
    fn each_circle_is_found_once() {
        assert_eq!(
            faults(&["a b", "b a"]),
            ["a:7: a circle of 2 files: a:7 takes B of b, b:7 takes A of a"]
        );
        // The message has the shortest way round, and how many files are in the circle altogether.
        let found = faults(&["a b", "b c", "c a", "c d", "d c", "d b", "e f", "f e"]);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("circle of 4 files"), "{found:?}");
    }

    #[test]
    fn rows_close_no_circle() {
        for pairs in [&["a b", "b c", "a c", "d c"][..], &["a b", "c b"], &[]] {
            assert_eq!(faults(pairs), Vec::<String>::new(), "{pairs:?}");
        }
    }
}
