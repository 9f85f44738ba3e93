//! The flags of `infermux requests`.

use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::base::limits::NOTED_KEPT_MAX;
use crate::cli::server_flags::ServerFlags;
use crate::cli::watch_flag::WatchFlag;
use crate::link::noted::Trouble;

/// The flags of `requests`.
#[derive(Args, Debug)]
pub struct RequestsFlags {
    /// The router.
    #[command(flatten)]
    pub server: ServerFlags,
    /// Only those of this kind [default: all of them]
    #[arg(long, value_name = "KIND")]
    #[arg(value_parser = PossibleValuesParser::new(Trouble::ALL.map(Trouble::name)))]
    pub kind: Option<String>,
    /// How many are shown at most
    #[arg(long, value_name = "N", default_value = "20", value_parser = limit)]
    pub limit: usize,
    /// Print what the router answers, as JSON
    #[arg(long)]
    pub json: bool,
    /// Whether they are shown repeatedly.
    #[command(flatten)]
    pub watch: WatchFlag,
}

fn limit(text: &str) -> Result<usize, String> {
    let range = 1..=NOTED_KEPT_MAX;
    let number = text.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| format!("is not a number from 1 to {NOTED_KEPT_MAX}"))
}

/// The help that stands behind the flags.
pub const HELP: &str = "\
Kinds:
  failed   The caller was told a provider's 429 or a 5xx, or the stream broke off.
  refused  The caller was told another 4xx, or that it is at a limit or budget of its own.
  slow     The answer took several times as long as is usual, or the caller left after so long.

The newest come first. The router keeps the last 200 of each kind, and forgets them at a restart. \
Nothing of what was asked and answered is kept. The log has a line for each request, and usage \
records have all of them.

Environment:
  INFERMUX_SERVER            Instead of --server. An empty variable is an unset one.
  INFERMUX_MANAGEMENT_TOKEN  The router's management token, where it has one.
  NO_COLOR                   No colors.

Exit codes:
  0    They are shown; there may be none.
  1    The arguments cannot be used.
  2    The router cannot be reached, as where --server is no URL, or does not tell.
  130  --watch: ended by Ctrl-C.";
