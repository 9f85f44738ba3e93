//! Instructions that are committed, and what has become dearer since.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};

/// Instructions by the name of what takes them.
pub(crate) type Counts = BTreeMap<String, u64>;

/// A figure may be so many hundredths above the baseline's.
pub(crate) const GROWTH_MAX_PERCENT: u64 = 2;

/// A file of `benches/`.
pub(crate) struct Baseline(PathBuf);

impl Baseline {
    /// The file of this name.
    pub(crate) fn new(name: &str) -> Self {
        let benches = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../benches");
        Self(benches.join(name))
    }

    /// Its figures.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub(crate) fn read(&self) -> Result<Counts, String> {
        let text = std::fs::read_to_string(&self.0).map_err(|e| self.fault(&e))?;
        serde_json::from_str(&text).map_err(|e| self.fault(&e))
    }

    /// Replaces its figures.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub(crate) fn write(&self, counts: &Counts) -> Result<(), String> {
        let text = serde_json::to_string_pretty(counts).map_err(|e| self.fault(&e))?;
        std::fs::write(&self.0, text + "\n").map_err(|e| self.fault(&e))
    }

    fn fault(&self, error: &dyn Display) -> String {
        format!("{}: {error}", self.0.display())
    }
}

/// What needs more instructions than allowed, and what only one side has.
pub(crate) fn dearer(baseline: &Counts, counts: &Counts) -> Vec<String> {
    let judge = |(name, count): (&String, &u64)| match baseline.get(name) {
        None => Some(format!("{name}: not in the baseline")),
        Some(was) if count * 100 > was * (100 + GROWTH_MAX_PERCENT) => {
            Some(format!("{name}: {count} instructions instead of {was}"))
        }
        Some(_) => None,
    };
    let gone = baseline.keys().filter(|name| !counts.contains_key(*name));
    let gone = gone.map(|name| format!("{name}: in the baseline only"));
    counts.iter().filter_map(judge).chain(gone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(pairs: &[(&str, u64)]) -> Counts {
        let owned = |&(name, count): &(&str, u64)| (name.to_owned(), count);
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn a_figure_may_grow_by_a_fiftieth_and_no_more() {
        let baseline = figures(&[("a", 1000), ("b", 1000), ("c", 1000), ("d", 1000)]);
        let counts = figures(&[("a", 1020), ("b", 1021), ("c", 10), ("e", 1)]);
        assert_eq!(
            dearer(&baseline, &counts),
            [
                "b: 1021 instructions instead of 1000",
                "e: not in the baseline",
                "d: in the baseline only",
            ]
        );
    }

    #[test]
    fn the_committed_figures_can_be_read() {
        for name in ["instructions.json", "instructions-per-request.json"] {
            let counts = Baseline::new(name).read().expect("figures");
            assert!(counts.values().all(|count| *count > 0), "{name}");
        }
    }
}
