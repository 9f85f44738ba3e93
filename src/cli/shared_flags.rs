//! The flags of `infermux shared`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What `infermux shared` does.
#[derive(Debug, Args)]
pub struct SharedFlags {
    /// What is done.
    #[command(subcommand)]
    pub command: SharedCommand,
}

/// What is done.
#[derive(Debug, Subcommand)]
pub enum SharedCommand {
    /// Show the instances of the namespace, and until when each is waited for
    Status(StoreFlags),
    /// Free at once what an instance holds that will not come back
    Forget(ForgetFlags),
}

/// Which store is asked.
#[derive(Debug, Args)]
pub struct StoreFlags {
    /// Configuration file, whose `shared` says which store [default: infermux.yml] [env:
    /// INFERMUX_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Which instance is forgotten.
#[derive(Debug, Args)]
pub struct ForgetFlags {
    /// Its name, as `status` shows it
    pub id: String,
    /// Which store is asked.
    #[command(flatten)]
    pub store: StoreFlags,
}

/// What `infermux shared --help` says at its end.
pub const HELP: &str = "\
The store is asked directly, so that no router has to run.

Exit codes:
  0  The instances are shown; the instance is forgotten.
  1  The arguments or the file cannot be used, or the instance lives or is not known.
  2  The store cannot be reached.";
