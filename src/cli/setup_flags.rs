//! The flags of the commands that lead to a file that works: `init`, `check` and `convert`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// The flags of `init`.
#[derive(Args, Debug, Default)]
pub struct InitFlags {
    /// The file that is written [default: infermux.yml] [env: INFERMUX_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Write over a file that is there
    #[arg(long)]
    pub force: bool,
}

/// The flags of `check`.
#[derive(Args, Debug, Default)]
pub struct CheckFlags {
    /// Configuration file [default: infermux.yml] [env: INFERMUX_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Ask this provider only; repeat for several
    #[arg(long = "provider", value_name = "NAME")]
    pub providers: Vec<String>,
    /// Send every webhook a test notice, instead of asking providers
    #[arg(long, conflicts_with = "providers")]
    pub webhooks: bool,
    /// Print what was found as JSON
    #[arg(long)]
    pub json: bool,
}

/// The flags of `convert`.
#[derive(Args, Debug)]
pub struct ConvertFlags {
    /// Whose file it is.
    #[command(subcommand)]
    pub from: ConvertFrom,
}

/// Whose file is converted.
#[derive(Debug, Subcommand)]
pub enum ConvertFrom {
    /// Turn the config.yaml of LiteLLM's proxy into an infermux.yml.
    Litellm(ConvertedFile),
}

/// The file that is converted.
#[derive(Args, Debug)]
pub struct ConvertedFile {
    /// The file; - is the standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// The help of `init`.
pub const INIT: &str = "\
The file has a provider for each key that the environment has, as OPENAI_API_KEY or \
ANTHROPIC_API_KEY, and one for an Ollama server where OLLAMA_HOST is set. It names the variables, \
and never holds their values.

Environment:
  INFERMUX_CONFIG  Instead of --config. An empty variable is an unset one.

Exit codes:
  0  The file is written.
  1  There is such a file already, it cannot be written, or the arguments cannot be used.";

/// The help of `check`.
pub const CHECK: &str = "\
Each provider of the file is asked once for its list of models, or for what its health check asks \
for, with its key. Unlike `infermux validate`, this needs the network, the variables and the keys; \
nothing is billed. With --webhooks, each webhook of the file is sent a notice instead, which says \
that it is a test.

Environment:
  INFERMUX_CONFIG  Instead of --config. An empty variable is an unset one.
  NO_COLOR         No colors.

Exit codes:
  0  Every provider answers, and lists the models that the file names; or every webhook has taken
     its notice.
  1  A provider refuses, or does not list a model, or a webhook has not taken its notice; or the
     configuration or the arguments cannot be used.
  2  A provider cannot be reached.";

/// The help of `convert`.
pub const CONVERT: &str = "\
The file of infermux is printed to the standard output. What has no counterpart is told on the \
standard error, each with its line and its path. docs/coming-from.md says what becomes what.

Exit codes:
  0  It is converted; there may be parts without a counterpart.
  1  The file cannot be read, is not such a configuration, or the arguments cannot be used.";
