//! The flag of every command that asks a running router.

use clap::Args;

/// The router that a command asks.
#[derive(Args, Debug, Default)]
pub struct ServerFlags {
    /// The router, or its management listener where it has one [default: http://127.0.0.1:8080]
    /// [env: INFERMUX_SERVER]
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
}
