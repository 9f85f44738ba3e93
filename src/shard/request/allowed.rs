//! Whether a caller's key may ask for the models that a request names.

use std::ops::Range;

use crate::dialect::ask::Ask;
use crate::exchange::request::Request;
use crate::shard::http::caller::Caller;
use crate::shard::request::look::look;
use crate::shard::request::unserved::Unserved;
use crate::shard::state::shard::Shard;
use crate::wire::json;

/// Looks at the models that a request names, whose body stands `at` there.
///
/// # Errors
///
/// One of them is not for the caller's key, or no helper thread has time for a large body.
pub(super) async fn check<'a>(
    shard: &Shard,
    caller: &mut Caller,
    (request, ask): (&'a Request, &Ask<'_>),
    at: Range<usize>,
) -> Result<(), Unserved<'a>> {
    let principal = request.principal.as_ref();
    let Some(principal) = principal.filter(|principal| principal.is_restricted()) else {
        return Ok(());
    };
    let denied = if principal.allows_model(&ask.model) {
        let named = look(shard, caller, at, fallbacks).await?;
        named.into_iter().find(|name| !principal.allows_model(name))
    } else {
        Some(ask.model.clone().into_owned())
    };
    let key = &principal.key().name;
    denied.map_or(Ok(()), |model| Err(Unserved::NotAllowed { model, key }))
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
