//! Promises, kept or broken.

/// Which promise is broken, and how.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) promise: &'static str,
    pub(crate) how: String,
}

pub(crate) type Held = Result<(), Broken>;

/// Fails with `how` unless `holds`.
pub(crate) fn promise(promise: &'static str, holds: bool, how: impl FnOnce() -> String) -> Held {
    if holds {
        return Ok(());
    }
    Err(Broken {
        promise,
        how: how(),
    })
}

/// Number of an attempt, over the whole run.
pub(crate) type AttemptId = u64;
