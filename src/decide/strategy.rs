//! Which of the eligible candidates takes a request.

/// How a provider is chosen among the eligible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// Strict rotation, weighted.
    RoundRobin,
    /// The lowest average response time.
    LeastLatency,
    /// The least estimated prompt cost.
    CostWeighted,
    /// Uniform, weighted.
    Random,
    /// The first in order.
    Priority,
}
