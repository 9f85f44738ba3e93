//! `GET /v1/models` and `GET /v1/models/{id}`: answered from the catalogue that is published, and
//! never by a provider.

use std::sync::Arc;

use crate::base::endpoint::Dialect;
use crate::exchange::page::{Page, PageFault};
use crate::exchange::principal::Principal;
use crate::exchange::refusal::Refusal;
use crate::exchange::request::Request;
use crate::shard::http::caller::Caller;
use crate::shard::request::local::Answer;
use crate::shard::request::unserved::Unserved;
use crate::shard::state::shard::Shard;

/// The answer with all models, or with the page of them that the caller asks for.
///
/// # Errors
///
/// There is no such page.
pub(super) fn all(
    shard: &Shard,
    caller: &Caller,
    request: &Request,
) -> Result<Answer, Unserved<'static>> {
    let list = list(shard, caller, request);
    let text = list.map_err(|fault| Unserved::Invalid(fault.to_string()))?;
    Ok(Answer::published(text))
}

/// The list for a caller, which sees what its key may ask for; OpenAI's has no pages.
fn list(shard: &Shard, caller: &Caller, request: &Request) -> Result<Arc<Vec<u8>>, PageFault> {
    let dialect = request.dialect;
    let page = match dialect {
        Dialect::Chat | Dialect::Responses => None,
        Dialect::Messages => {
            let target = &caller.bytes[caller.head.target.clone()];
            let target = std::str::from_utf8(target).unwrap_or_default();
            let query = target.split_once('?').map_or("", |(_, query)| query);
            Some(Page::read(query)?)
        }
    };
    shard
        .catalogue
        .look(|catalogue| match (&page, restricted(request)) {
            (page, Some(principal)) => {
                let seen = |name: &str| principal.allows_model(name);
                catalogue.narrowed(dialect, page.as_ref(), seen)
            }
            (Some(page), None) => catalogue.page(page),
            (None, None) => Ok(Arc::clone(catalogue.text(dialect))),
        })
}

/// The owner of the caller's key, where there are models that it may not ask for.
fn restricted(request: &Request) -> Option<&Principal> {
    let principal = request.principal.as_ref();
    principal.filter(|principal| principal.is_restricted())
}

/// The answer with the model called `id`.
///
/// # Errors
///
/// There is no such model, or it is not for the caller's key.
pub(super) fn one<'a>(
    shard: &Shard,
    request: &Request,
    id: &'a str,
) -> Result<Answer, Refusal<'a>> {
    let is_seen = restricted(request).is_none_or(|principal| principal.allows_model(id));
    let entry = shard.catalogue.look(|catalogue| {
        let entry = catalogue.entry(request.dialect, id).filter(|_| is_seen);
        entry.map(<[u8]>::to_vec)
    });
    let entry = entry.ok_or(Refusal::ModelNotFound { model: id })?;
    Ok(Answer::json(200, entry))
}
