//! The commands of `infermux providers` that change a provider.

use clap::{Args, Subcommand};

use crate::cli::server_flags::ServerFlags;

/// What is done to a provider.
#[derive(Debug, Subcommand)]
pub enum ProvidersCommand {
    /// Take a provider out of rotation: requests under way finish, and no others are sent to it
    /// until it is put back or the router restarts
    TakeOut(RotationFlags),
    /// Put a provider back into rotation
    PutBack(RotationFlags),
}

/// Which provider is changed.
#[derive(Args, Debug)]
pub struct RotationFlags {
    /// The provider's name
    pub name: String,
    /// The router.
    #[command(flatten)]
    pub server: ServerFlags,
}
