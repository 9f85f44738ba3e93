//! "Did you mean": the served path that is nearest to one that is not served.

use crate::config::suggest;
use crate::exchange::door::Door;

/// The nearest path that `door` serves, if it is near enough to be what was meant.
#[must_use]
pub fn served(door: Door, path: &str) -> Option<&'static str> {
    if path.len() > PATH_BYTES_MAX {
        return None;
    }
    let path = path.trim_end_matches('/').to_ascii_lowercase();
    nearest(door, &path).or_else(|| nearest(door, &in_first_form(&path)?))
}

/// The path below `/v1` that means the same, where it is written in another form.
fn in_first_form(path: &str) -> Option<String> {
    let deployed = path.strip_prefix("/openai/deployments/");
    let rest = match deployed {
        Some(deployed) => deployed.find('/').map(|end| deployed.split_at(end).1),
        None => {
            let bases = ["/openai/v1", "/anthropic/v1", "/anthropic"];
            bases.into_iter().find_map(|base| path.strip_prefix(base))
        }
    };
    let rest = rest.unwrap_or(path);
    (path.len() > 1 && path.starts_with('/')).then(|| format!("/v1{rest}"))
}

fn nearest(door: Door, path: &str) -> Option<&'static str> {
    let callers: &[&str] = match door {
        Door::Both | Door::Callers => &CALLERS,
        Door::Operators => &[],
    };
    let operators: &[&str] = match door {
        Door::Both | Door::Operators => &OPERATORS,
        Door::Callers => &[],
    };
    let all = || callers.iter().chain(operators).copied();
    let same = all().find(|served| *served == path);
    // The path has a served one at its end, behind another prefix or a doubled one, or lacks the
    // prefix.
    let end = || all().find(|served| path.ends_with(served) || is_end_of(path, served));
    let start = || all().find(|served| is_start_of(path, served));
    let near = || suggest::near(path, all());
    same.or_else(end).or_else(near).or_else(start)
}

fn is_end_of(path: &str, served: &str) -> bool {
    path.len() > 1 && path.starts_with('/') && served.ends_with(path)
}

fn is_start_of(path: &str, served: &str) -> bool {
    let rest = served.strip_prefix(path);
    path.len() > 1 && rest.is_some_and(|rest| rest.starts_with('/'))
}

/// Longer paths are not near any served one.
const PATH_BYTES_MAX: usize = 256;

/// The paths for callers.
const CALLERS: [&str; 32] = [
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/v1/responses",
    "/v1/responses/input_tokens",
    "/v1/responses/compact",
    "/v1/models",
    "/v1/audio/transcriptions",
    "/v1/audio/translations",
    "/v1/audio/speech",
    "/v1/images/generations",
    "/v1/images/edits",
    "/v1/moderations",
    "/v1/rerank",
    "/v2/rerank",
    "/v1/score",
    "/tokenize",
    "/detokenize",
    "/v1/files",
    "/v1/batches",
    "/v1/fine_tuning",
    "/v1/vector_stores",
    "/openai/deployments/{model}/chat/completions",
    "/openai/deployments/{model}/completions",
    "/openai/deployments/{model}/embeddings",
    "/openai/deployments/{model}/audio/transcriptions",
    "/openai/deployments/{model}/audio/translations",
    "/openai/deployments/{model}/audio/speech",
    "/openai/deployments/{model}/images/generations",
    "/openai/deployments/{model}/images/edits",
];

/// The paths for operators.
const OPERATORS: [&str; 22] = [
    "/_infermux/health",
    "/_infermux/ready",
    "/_infermux/livez",
    "/_infermux/readyz",
    "/_infermux/status",
    "/_infermux/providers",
    "/_infermux/keys",
    "/_infermux/changes",
    "/_infermux/recent",
    "/_infermux/requests",
    "/_infermux/metrics",
    "/_infermux/latency",
    "/_infermux/costs",
    "/_infermux/costs/by-caller",
    "/_infermux/costs/by-model",
    "/_infermux/costs/by-project",
    "/_infermux/costs/by-env",
    "/_infermux/costs/by-key",
    "/_infermux/costs/by-team",
    "/_infermux/costs/timeseries",
    "/_infermux/explain",
    "/_infermux/reload",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_is_what_was_meant() {
        let chat = Some("/v1/chat/completions");
        for (path, near) in [
            ("/v1/chat/completion", chat),
            ("/v1/chat/complettions/", chat),
            ("/v1/v1/chat/completions", chat),
            ("/V1/Chat/Completions", chat),
            ("/api/v1/chat/completions", chat),
            ("/v1/chat", chat),
            ("/v1", chat),
            ("/v1/model", Some("/v1/models")),
            ("/v1/embedding", Some("/v1/embeddings")),
            ("/v1/message", Some("/v1/messages")),
            ("/v1/v1/messages", Some("/v1/messages")),
            (
                "/v1/messages/count_token",
                Some("/v1/messages/count_tokens"),
            ),
            ("/v1/messages/batches", None),
            ("/v1/response", Some("/v1/responses")),
            ("/v1/v1/responses", Some("/v1/responses")),
            (
                "/v1/responses/input_token",
                Some("/v1/responses/input_tokens"),
            ),
            ("/openai/v1/response", Some("/v1/responses")),
            ("/v1/assistants", None),
            ("/anthropic/v1/message", Some("/v1/messages")),
            ("/anthropic/model", Some("/v1/models")),
            ("/anthropic/v1/chat/completions", chat),
            ("/anthropic/v1/complete", Some("/v1/completions")),
            (
                "/openai/deployments/x/chat/completion",
                Some("/openai/deployments/{model}/chat/completions"),
            ),
            ("/openai/v1", chat),
            ("/openai/v1/model", Some("/v1/models")),
            ("/openai/deployments/x/chat", chat),
            ("/chat", chat),
            ("/completion", Some("/v1/completions")),
            ("/metrics", Some("/_infermux/metrics")),
            ("/_infermux/provider", Some("/_infermux/providers")),
            ("/_infermux/costs/by-keys", Some("/_infermux/costs/by-key")),
            ("/_infermux/cost/by-team", Some("/_infermux/costs/by-team")),
            ("/_infermux/key", Some("/_infermux/keys")),
            ("/favicon.ico", None),
            ("/api/chat", None),
            ("/index.html", None),
            ("/openai/deployments/x", None),
            ("", None),
            ("/", None),
            ("*", None),
        ] {
            assert_eq!(served(Door::Both, path), near, "{path}");
        }
        assert_eq!(served(Door::Callers, "/metrics"), None);
        assert_eq!(served(Door::Operators, "/v1/model"), None);
        assert_eq!(served(Door::Both, &"/v1/models".repeat(100)), None);
    }
}
