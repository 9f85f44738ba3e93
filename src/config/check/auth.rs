//! Who may call.

use crate::base::secret::Secret;
use crate::config::check::keys::{self, Known};
use crate::config::keyring::ListedKeys;
use crate::config::plan::Auth;
use crate::config::raw::fields::Block;

/// Who may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Everybody.
    Passthrough,
    /// Whoever presents one key.
    StaticKey,
    /// Whoever presents one of many keys.
    Keys,
}

impl Mode {
    /// Its name in the file.
    #[must_use]
    pub fn name(self) -> &'static str {
        let row = MODES.iter().find(|(_, mode)| *mode == self);
        row.map_or("", |(name, _)| name)
    }
}

const MODES: [(&str, Mode); 3] = [
    ("passthrough", Mode::Passthrough),
    ("static_key", Mode::StaticKey),
    ("keys", Mode::Keys),
];

/// Reads `mode` of the block `auth`.
pub fn mode(block: &Block<'_>) -> Mode {
    block.word("mode", &MODES).unwrap_or(Mode::Passthrough)
}

/// Reads the rest of the block `auth`.
pub fn read(block: &Block<'_>, mode: Mode, known: &Known<'_>) -> Auth {
    let key = block.text("key");
    let listed = keys::keys(block, known);
    let file = block.text("keys_file").map(Into::into);
    let has_keys = block.has("keys") || block.has("keys_file");
    if mode != Mode::Keys && has_keys {
        block.warn("keys", "has no effect unless auth.mode is keys");
    }
    match mode {
        Mode::Passthrough => {
            // Whoever says no mode, and a key, means another one.
            if block.has("key") && !block.has("mode") {
                block.warn("key", "has no effect unless auth.mode is static_key");
            }
            Auth::Passthrough
        }
        Mode::StaticKey => {
            if !block.has("key") {
                block.missing("key", "is required where auth.mode is static_key");
            }
            Auth::StaticKey(Secret::new(key.unwrap_or_default()))
        }
        Mode::Keys => {
            if !has_keys {
                block.missing("keys", "or `keys_file` is required where auth.mode is keys");
            } else if block.is_empty_list("keys") && !block.has("keys_file") {
                block.fault(
                    "keys",
                    "is empty, and there is no `keys_file`: nobody could call",
                );
            }
            if block.has("key") {
                block.warn("key", "has no effect unless auth.mode is static_key");
            }
            let keys = keys::ring(block.findings(), listed).keys().into();
            Auth::Keys(ListedKeys { keys, file })
        }
    }
}
