//! The targets and headers of requests to an Anthropic provider (rule Q1 of
//! reference/translation.md).

use crate::wire::field::starts_with;

/// The header line with the version of the API. The later version refuses sampling parameters for
/// every model.
pub const VERSION_LINE: &[u8] = b"anthropic-version: 2023-06-01\r\n";

/// What is requested of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// An answer.
    Messages,
    /// The list of its models, which also serves as health check.
    Models,
}

/// The target of a request. `path` is that of the `base_url`, without a slash at its end; `query`
/// is its query, which may be empty.
#[must_use]
pub fn target(path: &str, query: &str, resource: Resource) -> String {
    let version = if path.ends_with("/v1") { "" } else { "/v1" };
    let name = match resource {
        Resource::Messages => "messages",
        // By default the API lists twenty models, with `limit` at most this many.
        Resource::Models => "models?limit=1000",
    };
    let mark = match resource {
        _ if query.is_empty() => "",
        Resource::Messages => "?",
        Resource::Models => "&",
    };
    format!("{path}{version}/{name}{mark}{query}")
}

/// Appends the header line that carries `key`.
pub fn write_key(key: &[u8], out: &mut Vec<u8>) {
    // OAuth tokens are accepted only in this header.
    let name = if key.starts_with(b"sk-ant-oat") {
        &b"Authorization: Bearer "[..]
    } else {
        b"x-api-key: "
    };
    out.extend_from_slice(name);
    out.extend_from_slice(key);
    out.extend_from_slice(b"\r\n");
}

/// Appends the header line with the key of a caller's `Authorization`; nothing where that holds no
/// key.
pub fn write_caller_key(authorization: &[u8], out: &mut Vec<u8>) {
    let Some((scheme, key)) = authorization.trim_ascii().split_at_checked(7) else {
        return;
    };
    let key = key.trim_ascii();
    if scheme.eq_ignore_ascii_case(b"bearer ") && !key.is_empty() {
        write_key(key, out);
    }
}

/// Whether a caller's header is passed on to providers of this dialect, besides the usual ones:
/// headers that are about the API, or say which application sends the request. infermux itself
/// states the version.
#[must_use]
pub fn crosses(name: &[u8]) -> bool {
    let is_about_api = starts_with(name, b"anthropic-");
    (is_about_api && !name.eq_ignore_ascii_case(b"anthropic-version"))
        || starts_with(name, b"x-claude-code-")
        || name.eq_ignore_ascii_case(b"x-app")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_may_name_its_version() {
        use Resource::*;
        assert_eq!(target("", "", Messages), "/v1/messages");
        assert_eq!(target("", "", Models), "/v1/models?limit=1000");
        assert_eq!(target("/v1", "", Messages), "/v1/messages");
        assert_eq!(
            target("/a/v1", "b=1", Models),
            "/a/v1/models?limit=1000&b=1"
        );
        assert_eq!(target("", "b=1", Messages), "/v1/messages?b=1");
        assert_eq!(target("/anthropic", "", Messages), "/anthropic/v1/messages");
    }

    #[test]
    fn each_kind_of_key_has_its_header() {
        let check = |authorization: &str, expected: &str| {
            let mut out = Vec::new();
            write_caller_key(authorization.as_bytes(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{authorization}");
        };
        check("Bearer sk-ant-api1", "x-api-key: sk-ant-api1\r\n");
        check("bearer  x ", "x-api-key: x\r\n");
        check(
            "Bearer sk-ant-oat01-a",
            "Authorization: Bearer sk-ant-oat01-a\r\n",
        );
        for none in ["", "Bearer", "Bearer ", "Basic YTpi", "Béarer x"] {
            check(none, "");
        }
    }

    #[test]
    fn headers_of_the_other_dialect_stay_behind() {
        for name in [
            "anthropic-beta",
            "Anthropic-Beta",
            "anthropic-dangerous-direct-browser-access",
            "X-Claude-Code-Session-Id",
            "X-App",
        ] {
            assert!(crosses(name.as_bytes()), "{name}");
        }
        for name in [
            "OpenAI-Organization",
            "openai-project",
            "X-Stainless-Lang",
            "Anthropic-Version",
            "Authorization",
            "X-API-Key",
            "x-infermux-caller",
            "anthropic",
            "x-claude-code",
            "x-apps",
            "user-agent",
        ] {
            assert!(!crosses(name.as_bytes()), "{name}");
        }
    }
}
