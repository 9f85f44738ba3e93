//! The queries and headers of requests to an Anthropic provider (rule Q1 of
//! reference/translation.md).

use crate::decide::outcome::KeyOwner;
use crate::wire::known::{Known, Names};

/// The header line with the version of the API. The later version refuses sampling parameters for
/// every model.
pub const VERSION_LINE: &[u8] = b"anthropic-version: 2023-06-01\r\n";

/// The query that asks for the beta of the API.
pub const BETA: &[u8] = b"beta=true";

/// Whether a caller's target has that query.
#[must_use]
pub fn asks_for_beta(target: &[u8]) -> bool {
    let mut parts = target.splitn(2, |&byte| byte == b'?').skip(1);
    let query = parts.next().unwrap_or_default();
    query.split(|&byte| byte == b'&').any(|pair| pair == BETA)
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

/// The callers' headers that are passed on to providers of this dialect, besides the usual ones:
/// headers that are about the API, or say which application sends the request. The version is
/// passed on only to callers' own dialect, and a workspace, which says who pays, only with a key of
/// the caller's.
#[must_use]
pub const fn crossing(key: KeyOwner) -> Names {
    const WHOEVER_PAYS: Names = Names::ANTHROPIC_LIMITS.and(Names::of(&[
        Known::Anthropic,
        Known::XClaudeCode,
        Known::XApp,
    ]));
    match key {
        KeyOwner::Caller => WHOEVER_PAYS.and(Names::of(&[Known::AnthropicWorkspaceId])),
        KeyOwner::Infermux => WHOEVER_PAYS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beta_is_asked_for_by_query() {
        for (target, asks) in [
            ("/v1/messages?beta=true", true),
            ("/v1/messages?a=b&beta=true&c", true),
            ("/v1/messages?beta=false", false),
            ("/v1/messages?xbeta=true", false),
            ("/beta=true", false),
        ] {
            assert_eq!(asks_for_beta(target.as_bytes()), asks, "{target}");
        }
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
        let crosses = |name: &str, key| crossing(key).has(Known::of(name.as_bytes()));
        for name in [
            "anthropic-beta",
            "Anthropic-Beta",
            "anthropic-dangerous-direct-browser-access",
            "X-Claude-Code-Session-Id",
            "X-App",
        ] {
            assert!(crosses(name, KeyOwner::Infermux), "{name}");
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
            assert!(!crosses(name, KeyOwner::Caller), "{name}");
        }
        let workspace = "Anthropic-Workspace-Id";
        assert!(crosses(workspace, KeyOwner::Caller) && !crosses(workspace, KeyOwner::Infermux));
    }
}
