//! Which web pages may call, and whether that lets all of them use the providers' keys.

use crate::base::limits::ORIGINS_MAX;
use crate::config::check::headers;
use crate::config::cors::{Cors, Origins, origin};
use crate::config::plan::{Auth, Provider};
use crate::config::raw::Node;
use crate::config::raw::fields::Block;

/// Reads `cors` of the block `server`.
pub fn read(server: &Block<'_>, auth: &Auth, providers: &[Provider]) -> Option<Cors> {
    let block = server.block("cors");
    let Some(Node::Map(_)) = server.node("cors") else {
        return None;
    };
    block.require_items("origins", "at least one origin is required");
    let texts = block.texts("origins");
    if texts.len() > ORIGINS_MAX {
        let problem = format!("has {} entries, at most {ORIGINS_MAX} fit", texts.len());
        block.fault("origins", problem);
    }
    let any = texts.iter().find(|(_, text)| *text == ANY);
    let spends = *auth == Auth::Passthrough && providers.iter().any(headers::carries_key);
    if let Some((place, _)) = any
        && spends
    {
        block.fault(
            &format!("origins[{place}]"),
            "lets every web page spend the providers' keys, since auth.mode is passthrough: \
             name the origins, or set auth.mode to static_key",
        );
    }
    let origins = match any {
        Some(_) => Origins::Any,
        None => Origins::Listed(
            texts
                .iter()
                .filter_map(|(_, text)| origin(text).ok())
                .collect(),
        ),
    };
    Some(Cors {
        origins,
        max_age: block.span("max_age").unwrap_or_default(),
    })
}

/// The entry that stands for every origin.
const ANY: &str = "*";
