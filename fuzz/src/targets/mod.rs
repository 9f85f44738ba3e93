//! The attacks, by what they read.

mod answers;
mod bodies;
mod files;
mod head_rules;
mod heads;
mod json;
mod masks;
mod outside;
mod requests;
mod splits;
mod store;
mod streams;

use crate::target::Target;

/// All of them.
pub const ALL: &[Target] = &[
    heads::HEAD,
    heads::FIELDS,
    heads::TARGET,
    heads::RETRY_AFTER,
    bodies::CHUNKED,
    bodies::MULTIPART,
    bodies::INFLATE,
    json::JSON,
    json::DRAFT,
    streams::SSE,
    streams::STREAM,
    answers::ANSWER,
    answers::RETELL,
    answers::ERROR,
    answers::MODELS,
    masks::MASKS,
    requests::ASK,
    requests::REQUEST,
    requests::NATIVE,
    files::CONFIG,
    files::KEYS,
    files::STATE,
    files::CONVERT,
    files::WORDS,
    store::STORE,
    outside::TRACE,
    outside::CORS,
    outside::COLLECTOR,
];

/// The target with this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Target> {
    ALL.iter().find(|target| target.name == name)
}
