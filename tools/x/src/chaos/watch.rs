//! Measures the router from outside each second, and counts what reaches a provider.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use serde_json::Value;

use super::judge::fullest;
use crate::client::{self, Request};
use crate::clock::{Stopwatch, pause};

/// One look at the process.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sample {
    pub(super) at: f64,
    /// Memory in RAM, in MiB.
    pub(super) memory: f64,
    pub(super) descriptors: f64,
    pub(super) threads: f64,
}

/// A name, and what is drawn under it.
type Curve = (&'static str, fn(&Sample) -> f64);

/// What was measured in a run.
#[derive(Default)]
pub(super) struct Measured {
    pub(super) samples: Vec<Sample>,
    /// When the limited provider had been sent how many requests.
    counts: Vec<(Duration, u64)>,
    /// Looks in a row at which it had more requests at once than it may.
    over: u64,
    /// The longest such row.
    pub(super) longest_over: u64,
}

/// Pause between two looks at the provider.
const EVERY: Duration = Duration::from_millis(100);
/// A window, less what a request may take on its way from its admission to the provider.
const WINDOW: Duration = Duration::from_secs(57);

impl Measured {
    /// Looks until it is over; `id` is the process that there is now.
    pub(super) fn until(
        is_over: &AtomicBool,
        id: &AtomicU32,
        (control, at_once): (&str, u64),
        clock: Stopwatch,
    ) -> Self {
        let mut measured = Self::default();
        let mut looks = 0;
        while !is_over.load(Ordering::Relaxed) {
            if looks % 10 == 0 {
                let at = clock.elapsed().as_secs_f64();
                measured
                    .samples
                    .extend(sample(id.load(Ordering::Relaxed), at));
            }
            looks += 1;
            measured.count(control, at_once, clock);
            pause(EVERY);
        }
        measured
    }

    fn count(&mut self, control: &str, at_once: u64, clock: Stopwatch) {
        let request = Request {
            address: control,
            method: "GET",
            path: "/_mock/stats",
            body: "",
        };
        let Ok(answer) = client::send(&request, |_| {}) else {
            return;
        };
        let Ok(stats) = serde_json::from_slice::<Value>(&answer.body) else {
            return;
        };
        let number = |name: &str| stats[name].as_u64().unwrap_or_default();
        // Where a connection that was used before ends without a byte, the request comes again, for
        // free.
        let sent_once = number("requests").saturating_sub(number("unanswered"));
        self.counts.push((clock.elapsed(), sent_once));
        self.over = if number("in_flight") > at_once {
            self.over + 1
        } else {
            0
        };
        self.longest_over = self.longest_over.max(self.over);
    }

    /// Most requests that reached the provider within a minute; the router has forgotten its
    /// windows at `forgets`.
    pub(super) fn fullest_minute(&self, forgets: &[Duration]) -> u64 {
        fullest(&self.counts, WINDOW, forgets)
    }

    /// Writes all samples as a table, and as a picture.
    ///
    /// # Errors
    ///
    /// When a file cannot be written.
    pub(super) fn write(&self, folder: &Path, name: &str) -> Result<(), String> {
        let mut table = String::from("second,memory_mib,descriptors,threads\n");
        for sample in &self.samples {
            let Sample {
                at,
                memory,
                descriptors,
                threads,
            } = sample;
            let _ = writeln!(table, "{at:.1},{memory:.1},{descriptors},{threads}");
        }
        for (ending, text) in [("csv", table), ("svg", self.picture())] {
            let path = folder.join(format!("{name}.{ending}"));
            std::fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
        }
        Ok(())
    }

    fn picture(&self) -> String {
        let mut text = String::from(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 760 420\" \
             font-family=\"sans-serif\" font-size=\"12\">\
             <rect width=\"760\" height=\"420\" fill=\"white\"/>\n",
        );
        let lines: [Curve; 3] = [
            ("memory, MiB", |sample| sample.memory),
            ("descriptors", |sample| sample.descriptors),
            ("threads", |sample| sample.threads),
        ];
        let end = self.samples.last().map_or(1.0, |sample| sample.at.max(1.0));
        for (place, (name, value)) in (0_u8..).zip(lines) {
            let bottom = 125.0 + 135.0 * f64::from(place);
            let most = self.samples.iter().map(value).fold(1.0, f64::max);
            let points = self.samples.iter().map(|sample| {
                let (x, y) = (sample.at / end * 640.0, value(sample) / most * 100.0);
                format!("{:.1},{:.1}", 100.0 + x, bottom - y)
            });
            let points: Vec<String> = points.collect();
            let _ = writeln!(
                text,
                "<text x=\"100\" y=\"{:.0}\">{name}</text><text x=\"92\" y=\"{:.0}\" \
                 text-anchor=\"end\">{most:.0}</text><text x=\"92\" y=\"{bottom}\" \
                 text-anchor=\"end\">0</text><path d=\"M100 {bottom}h640\" stroke=\"#999\"/>\
                 <polyline fill=\"none\" stroke=\"#06c\" points=\"{}\"/>",
                bottom - 106.0,
                bottom - 92.0,
                points.join(" ")
            );
        }
        let _ = writeln!(
            text,
            "<text x=\"740\" y=\"412\" text-anchor=\"end\">{end:.0} s</text></svg>"
        );
        text
    }
}

/// A look at the process; nothing when it is not there.
pub(super) fn sample(id: u32, at: f64) -> Option<Sample> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let number = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<f64>().ok()
    };
    let count = std::fs::read_dir(format!("/proc/{id}/fd")).ok()?.count();
    Some(Sample {
        at,
        memory: number("VmRSS:")? / 1024.0,
        descriptors: f64::from(u32::try_from(count).unwrap_or(u32::MAX)),
        threads: number("Threads:")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_can_be_looked_at_and_drawn() {
        let looked = sample(std::process::id(), 1.0).expect("a sample");
        assert!(looked.memory > 0.0 && looked.threads >= 1.0 && looked.descriptors >= 1.0);
        let measured = Measured {
            samples: vec![looked; 2],
            ..Measured::default()
        };
        assert!(measured.picture().ends_with("</svg>\n"));
        assert!(sample(0, 1.0).is_none());
    }
}
