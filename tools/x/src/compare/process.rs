//! The kernel's figures for a process and its children: processor time, memory.

use std::fs;
use std::path::PathBuf;

/// A process and the processes that it has started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tree(Vec<u32>);

impl Tree {
    /// The tree below `root`.
    pub(crate) fn of(root: u32) -> Self {
        let mut tree = vec![root];
        let mut all: Vec<(u32, u32)> = processes().collect();
        // Each turn finds the next generation; the number of processes bounds the turns.
        loop {
            let is_new = |(id, parent): &(u32, u32)| tree.contains(parent) && !tree.contains(id);
            let found: Vec<u32> = all.iter().filter(|p| is_new(p)).map(|p| p.0).collect();
            if found.is_empty() {
                return Self(tree);
            }
            all.retain(|(id, _)| !found.contains(id));
            tree.extend(found);
        }
    }

    /// The processes' ids, the root first.
    pub(crate) fn ids(&self) -> &[u32] {
        &self.0
    }

    /// Processor time of all threads, the kernel's share included, in microseconds.
    ///
    /// The scheduler's own count is exact to the nanosecond where `stat` counts in hundredths of a
    /// second; a thread that has ended is in neither, so the systems' threads must live on.
    pub(crate) fn cpu_micros(&self) -> Result<f64, String> {
        self.cpu_micros_of(|_| true)
    }

    /// Processor time of the threads whose names are `wanted`.
    pub(crate) fn cpu_micros_of(&self, wanted: impl Fn(&str) -> bool) -> Result<f64, String> {
        let read = |path: PathBuf| {
            fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))
        };
        let mut nanos = 0.0;
        for id in &self.0 {
            let folder = format!("/proc/{id}/task");
            let entries = fs::read_dir(&folder).map_err(|e| format!("{folder}: {e}"))?;
            for thread in entries.filter_map(Result::ok) {
                if wanted(read(thread.path().join("comm"))?.trim_end()) {
                    nanos += first_number(&read(thread.path().join("schedstat"))?);
                }
            }
        }
        Ok(nanos / 1e3)
    }

    /// Resident memory, in KiB.
    pub(crate) fn rss_kib(&self) -> Result<f64, String> {
        let mut sum = 0.0;
        for id in &self.0 {
            let path = format!("/proc/{id}/status");
            let text = fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"))?;
            let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
            sum += first_number(line.unwrap_or_default());
        }
        Ok(sum)
    }
}

fn first_number(text: &str) -> f64 {
    let first = text.split_whitespace().next().unwrap_or_default();
    first.parse().unwrap_or_default()
}

/// Every process with its parent.
fn processes() -> impl Iterator<Item = (u32, u32)> {
    let entries = fs::read_dir("/proc").into_iter().flatten();
    entries.filter_map(|entry| {
        let name = entry.ok()?.file_name();
        let id = name.to_str()?.parse().ok()?;
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        Some((id, parent(&stat)?))
    })
}

/// The parent in a line of `stat`, whose second field is a name that may hold anything.
fn parent(stat: &str) -> Option<u32> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn the_parent_stands_behind_any_name() {
        assert_eq!(parent("12 (a) b) (c) S 7 12 12"), Some(7));
        assert_eq!(parent("12"), None);
    }

    #[test]
    fn a_process_has_time_and_memory() {
        // A process of this test's own: other tests start and end processes, too.
        let mut child = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("cat");
        // Its answer shows that it runs.
        child
            .stdin
            .as_mut()
            .expect("a pipe")
            .write_all(b"x")
            .expect("its input");
        let mut answer = [0];
        child
            .stdout
            .as_mut()
            .expect("a pipe")
            .read_exact(&mut answer)
            .expect("its output");
        let tree = Tree::of(child.id());
        assert_eq!(tree.ids(), [child.id()]);
        assert!(tree.cpu_micros().expect("/proc") > 0.0);
        assert!(tree.rss_kib().expect("/proc") > 100.0);
        drop(child.stdin.take());
        assert!(child.wait().expect("its end").success());
    }
}
