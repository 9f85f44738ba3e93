//! The paths below `/v1/responses`.

use crate::endpoint::{Endpoint, Wish};

/// The endpoint of a path behind `/v1/`, and the method that it takes.
pub(crate) fn endpoint(name: &str, method: &str) -> Option<(Endpoint, &'static str)> {
    let rest = name.strip_prefix("responses")?;
    if rest.is_empty() {
        return Some((Endpoint::Responses, "POST"));
    }
    let rest = rest.strip_prefix('/')?;
    let (id, tail) = rest.split_once('/').unwrap_or((rest, ""));
    let of = |wish, method| {
        let id = id.to_owned();
        Some((Endpoint::Stored { id, wish }, method))
    };
    match (id, tail) {
        ("", _) => None,
        ("input_tokens", "") => Some((Endpoint::InputTokens, "POST")),
        ("compact", "") => Some((Endpoint::Compact, "POST")),
        (_, "") if method == "DELETE" => of(Wish::Delete, "DELETE"),
        (_, "") => of(Wish::Show, "GET"),
        (_, "input_items") => of(Wish::Items, "GET"),
        (_, "cancel") => of(Wish::Cancel, "POST"),
        (_, _) => None,
    }
}
