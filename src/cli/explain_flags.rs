//! The flags of `infermux explain`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::base::endpoint::Endpoint;
use crate::cli::server_flags::ServerFlags;
use crate::exchange::explain::EXPLAINED;

/// The flags of `explain`.
#[derive(Args, Debug, Default)]
pub struct ExplainFlags {
    /// The router.
    #[command(flatten)]
    pub server: ServerFlags,
    /// The model that is asked for, in place of the one in the file
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    /// For whom it is asked, as X-Infermux-Caller names them
    #[arg(long, value_name = "CALLER")]
    pub caller: Option<String>,
    /// The name of the key with which it is asked
    #[arg(long, value_name = "NAME")]
    pub key: Option<String>,
    /// The session that it names, as X-Infermux-Session does
    #[arg(long, value_name = "SESSION")]
    pub session: Option<String>,
    /// The endpoint that is asked
    #[arg(long, value_name = "ENDPOINT", default_value = "chat_completions")]
    #[arg(value_parser = PossibleValuesParser::new(EXPLAINED.map(|endpoint| endpoint.name())))]
    pub endpoint: String,
    /// The request's body, a JSON file; - is the standard input [default: a short prompt]
    #[arg(long, value_name = "REQUEST")]
    pub file: Option<PathBuf>,
    /// Print what the router answers, as JSON
    #[arg(long)]
    pub json: bool,
}

impl ExplainFlags {
    /// Whether nothing says which model is asked for, and the endpoint needs one.
    #[must_use]
    pub fn lacks_model(&self) -> bool {
        let mut all = EXPLAINED.into_iter();
        let endpoint = all.find(|endpoint| endpoint.name() == self.endpoint);
        let needs_model = endpoint.is_none_or(Endpoint::has_model);
        needs_model && self.model.is_none() && self.file.is_none()
    }
}

/// The help that stands behind the flags.
pub const HELP: &str = "\
The router goes the way of a request and tells what it finds: the limits and budgets that the \
request passes, the candidates, who of them is eligible and why others are not, who would be \
asked, what is changed in the parameters, and what it would cost. It takes no place and no turn, \
counts nothing, and sends nothing to a provider. Without --key, the models, limits and budgets of \
keys are left out.

Environment:
  INFERMUX_SERVER            Instead of --server. An empty variable is an unset one.
  INFERMUX_MANAGEMENT_TOKEN  The router's management token, where it has one.
  NO_COLOR                   No colors.

Exit codes:
  0  A provider would be asked.
  1  The request would be refused; or the arguments or the file cannot be used.
  2  The router cannot be reached, as where --server is no URL, or does not tell.";
