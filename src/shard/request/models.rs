//! `GET /v1/models` and `GET /v1/models/{id}`: answered from the catalogue that is published, and
//! never by a provider.

use std::rc::Rc;
use std::sync::Arc;

use crate::exchange::refusal::Refusal;
use crate::exchange::request::Request;
use crate::shard::http::caller::Caller;
use crate::shard::request::after::After;
use crate::shard::request::local::{self, Answer};
use crate::shard::request::record::Record;
use crate::shard::request::refuse;
use crate::shard::state::shard::Shard;

/// Answers with all models.
pub async fn all(shard: &Rc<Shard>, caller: &mut Caller, request: &Request) -> After {
    let mut record = Record::new(shard, request);
    let text = shard
        .catalogue
        .look(|catalogue| Arc::clone(catalogue.text()));
    let answer = Answer::published(text);
    local::answer(shard, caller, request, &mut record, answer).await
}

/// Answers with the model called `id`.
pub async fn one(shard: &Rc<Shard>, caller: &mut Caller, request: &Request, id: &str) -> After {
    let mut record = Record::new(shard, request);
    let entry = shard
        .catalogue
        .look(|catalogue| catalogue.entry(id).map(<[u8]>::to_vec));
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
