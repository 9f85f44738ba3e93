//! `GET /v1/models` and `GET /v1/models/{id}`: answered from the catalogue that is published, and
//! never by a provider.

use std::rc::Rc;
use std::sync::Arc;

use crate::base::endpoint::Dialect;
use crate::exchange::page::{Page, PageFault};
use crate::exchange::principal::Principal;
use crate::exchange::refusal::Refusal;
use crate::exchange::request::Request;
use crate::shard::http::caller::Caller;
use crate::shard::request::after::After;
use crate::shard::request::local::{self, Answer};
use crate::shard::request::record::Record;
use crate::shard::request::refuse;
use crate::shard::state::shard::Shard;

/// Answers with all models, or with the page of them that the caller asks for.
pub async fn all(shard: &Rc<Shard>, caller: &mut Caller, request: &Request) -> After {
    let mut record = Record::new(shard, request);
    match list(shard, caller, request) {
        Ok(text) => {
            let answer = Answer::published(text);
            local::answer(shard, caller, request, &mut record, answer).await
        }
        Err(fault) => {
            let fault = fault.to_string();
            let refusal = Refusal::InvalidRequest(&fault);
            refuse::tell(shard, caller, request, &mut record, &refusal).await
        }
    }
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

/// Answers with the model called `id`.
pub async fn one(shard: &Rc<Shard>, caller: &mut Caller, request: &Request, id: &str) -> After {
    let mut record = Record::new(shard, request);
    let is_seen = restricted(request).is_none_or(|principal| principal.allows_model(id));
    let entry = shard.catalogue.look(|catalogue| {
        let entry = catalogue.entry(request.dialect, id).filter(|_| is_seen);
        entry.map(<[u8]>::to_vec)
    });
    match entry {
        Some(entry) => {
            let answer = Answer::json(200, entry);
            local::answer(shard, caller, request, &mut record, answer).await
        }
        None => {
            let refusal = Refusal::ModelNotFound { model: id };
            refuse::tell(shard, caller, request, &mut record, &refusal).await
        }
    }
}
