//! The kernel's figures about this process.

use std::fs;
use std::path::Path;
use std::time::Duration;

/// The kernel's figures for this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Processor time, user and system.
    pub cpu: Duration,
    /// Memory that is in RAM, in bytes.
    pub resident: u64,
    /// Address space, in bytes.
    pub virtual_size: u64,
    /// Open file descriptors.
    pub open_files: u64,
    /// File descriptors that it may open.
    pub max_files: u64,
}

/// The present figures. The function reads files, so it is not for an event loop.
#[must_use]
pub fn figures() -> Figures {
    let text = |name: &str| fs::read_to_string(Path::new("/proc/self").join(name));
    let status = text("status").unwrap_or_default();
    let limits = text("limits").unwrap_or_default();
    let files = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    Figures {
        cpu: ticks(&text("stat").unwrap_or_default()),
        resident: kibibytes(&status, "VmRSS:"),
        virtual_size: kibibytes(&status, "VmSize:"),
        // One of the files is the folder that is being read.
        open_files: u64::try_from(files).unwrap_or(0).saturating_sub(1),
        max_files: max_files(&limits),
    }
}

/// What this machine, or container, is called; `localhost` where the kernel does not say.
#[must_use]
pub fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    String::from(if name.is_empty() { "localhost" } else { name })
}

/// The processor time of one of this process's threads; `None` where the kernel does not say.
#[must_use]
pub fn thread_cpu(thread: u64) -> Option<Duration> {
    let text = fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).ok()?;
    let nanos = text.split(' ').next()?.parse().ok()?;
    Some(Duration::from_nanos(nanos))
}

/// The kernel's number of the calling thread; 0 where it does not say.
#[must_use]
pub fn this_thread() -> usize {
    let link = fs::read_link("/proc/thread-self").unwrap_or_default();
    let name = link.file_name().and_then(|name| name.to_str());
    name.and_then(|name| name.parse().ok()).unwrap_or(0)
}

/// Makes the allocator take large allocations from the system one by one, and give them back one by
/// one. Otherwise it would learn from the first large body to keep as much for good, and would copy
/// buffers that it could move.
pub fn give_large_memory_back() {
    #[cfg(target_env = "gnu")]
    {
        let piece = libc::c_int::try_from(LARGE_PIECE).unwrap_or(libc::c_int::MAX);
        #[expect(unsafe_code, reason = "std does not wrap what is glibc's own")]
        // SAFETY: it takes numbers only, and is called before the process has a second thread.
        let done = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, piece) };
        debug_assert_eq!(done, 1, "the size is one that glibc takes");
    }
}

/// Allocations from this size on are taken from the system one by one, in bytes; those that most
/// requests need are smaller.
const LARGE_PIECE: usize = 1 << 20;

/// The 14th and 15th field of `/proc/self/stat` (proc(5)); the second is a name in parentheses that
/// may hold anything.
fn ticks(stat: &str) -> Duration {
    let behind = stat.rsplit_once(')').map_or("", |(_, behind)| behind);
    let fields = behind.split_whitespace().skip(11).take(2);
    let ticks: u64 = fields.filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks.saturating_mul(1_000 / TICKS_PER_SECOND))
}

fn kibibytes(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next());
    let number: Option<u64> = number.and_then(|number| number.parse().ok());
    number.unwrap_or(0).saturating_mul(1_024)
}

fn max_files(limits: &str) -> u64 {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next());
    soft.and_then(|soft| soft.parse().ok()).unwrap_or(0)
}

/// Linux tells user space times in hundredths of a second on every architecture that infermux runs
/// on (`USER_HZ`).
const TICKS_PER_SECOND: u64 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_says_something_of_everything() {
        let figures = figures();
        assert!(figures.resident > 0 && figures.virtual_size >= figures.resident);
        assert!(figures.open_files > 0 && figures.max_files >= figures.open_files);
        assert!(thread_cpu(this_thread() as u64).is_some());
        assert_eq!(thread_cpu(0), None);
    }

    #[test]
    fn a_name_with_parentheses_hides_no_field() {
        let stat = "7 (a) b) c) S 1 2 3 4 5 6 7 8 9 10 150 25 0 0";
        assert_eq!(ticks(stat), Duration::from_millis(1_750));
        assert_eq!(ticks(""), Duration::ZERO);
    }
}
