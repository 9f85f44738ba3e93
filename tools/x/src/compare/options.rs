//! The systems to compare, and how long.

use std::path::PathBuf;

/// The systems to compare, and how long.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Workloads by name or first part of it, such as small,one,stream-paced [default: all]
    #[arg(long, value_delimiter = ',')]
    pub(crate) workloads: Vec<String>,
    /// Seconds that each system is loaded with each workload in a round
    #[arg(long, default_value_t = 3.0)]
    pub(crate) seconds: f64,
    /// Rounds; the median counts
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) rounds: u32,
    /// Peers by name [default: all]
    #[arg(long, value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Further peers, in the form of tools/x/src/compare/peers.yml
    #[arg(long, value_name = "FILE")]
    pub(crate) peers: Option<PathBuf>,
    /// The peer that the ratios refer to
    #[arg(long, default_value = "haproxy")]
    pub(crate) base: String,
    /// Measures what lies in target/release already
    #[arg(long)]
    pub(crate) no_build: bool,
    /// Where compare.md, compare.json and compare.html go [default: target/compare]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
}
