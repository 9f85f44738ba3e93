//! The warnings that anyone may spend the keys of the providers, or operate the router.

use std::net::IpAddr;

use crate::config::check::headers;
use crate::config::plan::{Auth, Plan};

/// Warns where anyone may spend the providers' keys.
pub fn warn_of_open_keys(plan: &Plan) {
    let has_keys = plan.providers.iter().any(headers::carries_key);
    let is_open = matches!(plan.auth, Auth::Passthrough) && is_reached(plan.listen.addr.ip());
    if has_keys && is_open {
        let listen = &*plan.listen.text;
        tracing::warn!(
            listen,
            "auth.mode is passthrough: anyone who reaches this can spend the providers' keys"
        );
    }
}

/// Warns where anyone may use the management API: it has no token, and listens to more than this
/// machine.
pub fn warn_of_open_management(plan: &Plan, has_token: bool) {
    let place = plan.management_listen.as_ref().unwrap_or(&plan.listen);
    if !has_token && is_reached(place.addr.ip()) {
        let listen = &*place.text;
        tracing::warn!(
            listen,
            "the management API has no token: anyone who reaches this can read costs, and take \
             providers out; set INFERMUX_MANAGEMENT_TOKEN"
        );
    }
}

/// Whether others than this machine may reach `ip`.
fn is_reached(ip: IpAddr) -> bool {
    !ip.to_canonical().is_loopback()
}
