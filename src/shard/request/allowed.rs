//! Whether a caller's key may ask for the models that a request names.

use std::ops::Range;

use crate::dialect::ask::Ask;
use crate::exchange::principal::Principal;
use crate::exchange::refusal::Refusal;
use crate::shard::http::caller::Caller;
use crate::shard::request::after::After;
use crate::shard::request::look::look;
use crate::shard::request::record::Record;
use crate::shard::request::refuse;
use crate::shard::state::shard::Shard;
use crate::wire::json;

/// Refuses a request, whose body stands `at` there, that names a model which its key may not ask
/// for; `None`: it names none.
pub async fn refused(
    caller: &mut Caller,
    record: &mut Record<'_>,
    ask: &Ask<'_>,
    at: Range<usize>,
) -> Option<After> {
    let (shard, request) = record.of();
    let principal = request.principal.as_ref();
    let principal = principal.filter(|principal| principal.is_restricted())?;
    let denied = match denied(shard, caller, principal, (ask, at)).await {
        Ok(denied) => denied?,
        Err(refusal) => return Some(refuse::tell(shard, caller, request, record, &refusal).await),
    };
    let refusal = Refusal::ModelNotAllowed {
        model: &denied,
        key: &principal.key().name,
    };
    Some(refuse::tell(shard, caller, request, record, &refusal).await)
}

async fn denied(
    shard: &Shard,
    caller: &mut Caller,
    principal: &Principal,
    (ask, at): (&Ask<'_>, Range<usize>),
) -> Result<Option<String>, Refusal<'static>> {
    if !principal.allows_model(&ask.model) {
        return Ok(Some(ask.model.clone().into_owned()));
    }
    let named = look(shard, caller, at, fallbacks).await?;
    Ok(named.into_iter().find(|name| !principal.allows_model(name)))
}

/// The models of OpenRouter's `models`, which it falls back on.
pub(super) fn fallbacks(body: &[u8]) -> Vec<String> {
    let Some(models) = json::member(body, b"models") else {
        return Vec::new();
    };
    let names = json::elements(models.value.text).map_while(Result::ok);
    let names = names.filter_map(|name| serde_json::from_slice(name.text).ok());
    names.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_read_as_json_reads_them() {
        for (body, expected) in [
            (r#"{"model":"a"}"#, &[][..]),
            (r#"{"models":["a","\u0062"]}"#, &["a", "b"]),
            (r#"{"mod\u0065ls":["a",1,null]}"#, &["a"]),
            (r#"{"models":"a"}"#, &[]),
        ] {
            assert_eq!(fallbacks(body.as_bytes()), expected, "{body}");
        }
    }
}
