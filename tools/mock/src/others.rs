//! Endpoints beside those of models that write: all are answered alike, with the model that the
//! request names, in JSON or in a form.

use serde_json::json;

/// The name of another endpoint's path, which may stand beside `/v1`.
pub(crate) fn name<'a>(path: &'a str, below_v1: Option<&'a str>) -> Option<&'a str> {
    below_v1.or_else(|| {
        let name = path.strip_prefix('/')?;
        ["v2/rerank", "tokenize", "detokenize", "score"]
            .contains(&name)
            .then_some(name)
    })
}

/// The method of the endpoint with this name, given the one that was used; `None`: there is no
/// such endpoint.
pub(crate) fn method<'a>(name: &str, used: &'a str) -> Option<&'a str> {
    let first = name.split('/').next().unwrap_or_default();
    match name {
        "moderations"
        | "audio/transcriptions"
        | "audio/translations"
        | "audio/speech"
        | "images/generations"
        | "images/edits"
        | "rerank"
        | "v2/rerank"
        | "score"
        | "tokenize"
        | "detokenize" => Some("POST"),
        _ if ["files", "batches", "fine_tuning", "vector_stores"].contains(&first) => Some(used),
        _ => None,
    }
}

/// The answer of every other endpoint, which tells its usage.
pub(crate) fn body(model: &str, prompt_tokens: u64) -> String {
    let usage = json!({"prompt_tokens": prompt_tokens, "total_tokens": prompt_tokens});
    let answer = json!({"object": "other", "text": "", "data": [], "results": [], "usage": usage});
    let mut answer = answer;
    if !model.is_empty() {
        answer["model"] = json!(model);
    }
    answer.to_string()
}
