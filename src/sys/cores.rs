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

#[cfg(test)]
mod tests {
    #[test]
    fn there_is_a_core_and_a_file() {
        assert!(super::usable() >= 1);
        assert!(super::raise_open_files() >= 3);
        assert!(!super::pin(1_000_000));
    }
}
