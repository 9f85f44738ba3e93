//! The warning that anyone may spend the keys of the providers.

use crate::config::check::headers;
use crate::config::plan::{Auth, Plan};

/// Warns where anyone may spend the providers' keys.
pub fn warn_of_open_keys(plan: &Plan) {
    let has_keys = plan.providers.iter().any(headers::carries_key);
    let is_open = matches!(plan.auth, Auth::Passthrough) && !plan.listen.addr.ip().is_loopback();
    if has_keys && is_open {
        let listen = &*plan.listen.text;
        tracing::warn!(
            listen,
            "auth.mode is passthrough: anyone who reaches this can spend the providers' keys"
        );
    }
}
