//! Cores, and the limit of open files.

/// How many cores this process may use: its affinity mask and its cgroup's CPU quota, whichever
/// allows less; at least one.
#[must_use]
pub fn usable() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Pins the calling thread to `core`; false where there is no such core or it may not be used.
#[must_use]
pub fn pin(core: usize) -> bool {
    // The kernel's set has 1,024 places; core_affinity writes past them without a check.
    core < libc::CPU_SETSIZE as usize
        && core_affinity::set_for_current(core_affinity::CoreId { id: core })
}

/// Raises this process's limit of open files as far as it may, and returns it.
#[expect(unsafe_code, reason = "std does not wrap resource limits")]
pub fn raise_open_files() -> u64 {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is a valid, writable rlimit for the length of both calls.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 {
            let before = limit.rlim_cur;
            limit.rlim_cur = limit.rlim_max;
            if libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) != 0 {
                limit.rlim_cur = before;
            }
        }
    }
    limit.rlim_cur
}

/// The calling thread gets only the processor time that other threads leave, so that a shard on the
/// same core does not wait for it.
pub fn step_back() {
    set_priority(LEAST);
}

/// The calling thread gets a quarter of a core where a shard wants all of it: some callers wait for
/// its results, but others must not wait for it.
pub fn step_aside() {
    set_priority(LOWER);
}

#[expect(unsafe_code, reason = "std does not wrap priorities")]
fn set_priority(priority: i32) {
    // SAFETY: it takes numbers only; 0 is the calling thread.
    let done = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, priority) };
    if done != 0 {
        let fault = std::io::Error::last_os_error();
        tracing::debug!(%fault, "a thread's priority stays as it is");
    }
}

/// The least of all priorities (setpriority(2)).
const LEAST: i32 = 19;
/// A third of the usual weight (sched(7): each step is a tenth of a core's time).
const LOWER: i32 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_steps_back_does_so_alone() {
        let nice = || {
            let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
            let fields = stat.rsplit_once(')').unwrap().1;
            fields.split_whitespace().nth(16).unwrap().to_owned()
        };
        let before = nice();
        let stepped_back = std::thread::scope(|scope| {
            let other = scope.spawn(|| {
                step_back();
                nice()
            });
            other.join().unwrap()
        });
        assert_eq!((stepped_back, nice()), (LEAST.to_string(), before));
    }

    #[test]
    fn there_is_a_core_and_a_file() {
        assert!(usable() >= 1);
        assert!(raise_open_files() >= 3);
        assert!(!pin(1_000_000));
    }
}
