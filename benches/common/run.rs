//! The parts that runs of steps consist of.

use infermux::testing::config::plan::Plan;

use super::plan;

/// One run of a step.
pub(crate) type Run = Box<dyn FnMut()>;

/// A Plan of `count` providers that serve the same model and have limits, and one budget.
pub(crate) fn plan(count: u16) -> Plan {
    plan::of(count, 1)
}

/// A value that lives as long as the process, so that steps can borrow from it.
pub(crate) fn kept<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}
