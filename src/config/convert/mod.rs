//! Files of other routers as files of infermux, and a first file for the keys of an environment.

mod deployment;
pub mod hosts;
mod layout;
pub mod litellm;
mod settings;
mod source;
pub mod starter;
mod write;

use crate::config::faults::Fault;

/// A file that was converted.
#[derive(Debug)]
pub struct Converted {
    /// The text of an `infermux.yml`.
    pub text: String,
    /// What has no counterpart, or not the same one, each with its path in the other file.
    pub left: Vec<Fault>,
    /// The keys in the other file that are no references: the text holds them, too.
    pub literal_keys: usize,
    /// Each name that callers use, and the providers that it is to lead to.
    pub routes: Vec<(String, Vec<String>)>,
}
