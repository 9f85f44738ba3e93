//! What is counted, and what is done with it.

use std::path::PathBuf;

/// What is counted, and what is done with it.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Rows by name, or by the first part of it and a star, such as small,stream* [default: all]
    #[arg(long, value_delimiter = ',')]
    pub(crate) rows: Vec<String>,
    /// Also show the N dearest functions of each row, with what they call and by themselves
    #[arg(long, value_name = "N")]
    pub(crate) top: Option<usize>,
    /// Fail where a row needs over 2 % more than benches/instructions-per-request.json says
    #[arg(long)]
    pub(crate) check: bool,
    /// Write the counted rows to benches/instructions-per-request.json
    #[arg(long, alias = "update", conflicts_with = "check")]
    pub(crate) bless: bool,
    /// Counts the programs in this folder instead of building them
    #[arg(long, value_name = "FOLDER")]
    pub(crate) bin: Option<PathBuf>,
    /// Where callgrind's files go [default: target/instructions]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
}
