//! The file of usage records.

use crate::config::plan::{Auth, Budgets};
use crate::config::raw::fields::Block;
use crate::config::usage::{Rotate, Usage};

/// Reads `usage`; `None`: no usage records are written.
pub fn read(root: &Block<'_>, budgets: &Budgets, auth: &Auth) -> Option<Usage> {
    root.refuse_empty("usage");
    if !root.has("usage") {
        return None;
    }
    let block = root.block("usage");
    let file = block.text("file").unwrap_or_default();
    let keys_file = match auth {
        Auth::Keys(keys) => keys.file.as_deref(),
        Auth::Passthrough | Auth::StaticKey(_) => None,
    };
    for (other, name) in [
        (budgets.state_file.as_deref(), "budgets.state_file"),
        (keys_file, "auth.keys_file"),
    ] {
        if other.is_some_and(|other| other == file) {
            block.fault("file", format!("`{file}` is {name}, too"));
        }
    }
    let rotate = block.read("rotate", |_, text| Rotate::parse(text));
    Some(Usage {
        file: file.into(),
        rotate: rotate.unwrap_or(Rotate::Never),
        keep: block.whole("keep").unwrap_or_default(),
    })
}
