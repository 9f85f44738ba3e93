//! A process to which the kernel refuses `io_uring`, so that infermux falls back to epoll: valgrind
//! cannot run a program that has a ring.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::process::Command;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};

/// The number of `io_uring_setup`, on every architecture.
const IO_URING_SETUP: i64 = 425;
/// `EPERM`, as the filters of containers answer.
const EPERM: u32 = 1;

/// Replaces this process by `program`, whose first word is its name; returns only the reason why it
/// could not.
pub(crate) fn become_program(program: &[String]) -> String {
    let Some((name, flags)) = program.split_first() else {
        return "no program".to_owned();
    };
    if let Err(fault) = refuse_ring() {
        return format!("cannot refuse io_uring: {fault}");
    }
    let error = Command::new(name).args(flags).exec();
    format!("cannot run {name}: {error}")
}

/// From here on this process and what it becomes get no ring.
fn refuse_ring() -> Result<(), String> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|e| e.to_string())?;
    let filter = SeccompFilter::new(
        BTreeMap::from([(IO_URING_SETUP, Vec::new())]),
        SeccompAction::Allow,
        SeccompAction::Errno(EPERM),
        arch,
    );
    let filter: Result<BpfProgram, _> = filter.and_then(TryInto::try_into);
    let filter = filter.map_err(|e| e.to_string())?;
    seccompiler::apply_filter(&filter).map_err(|e| e.to_string())
}
