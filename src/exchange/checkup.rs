//! A provider's health check: its target, and what the answer says about the provider.

use crate::config::plan::Provider;
use crate::exchange::outbound;

/// What an answer says about the provider's health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Endpoint and key are good.
    Well,
    /// Nothing: a server is there, and its answer is about this request alone. Real requests and
    /// the circuit breaker decide. With the reason.
    Unsaid(String),
    /// The provider cannot be used. With the reason.
    Ill(String),
}

/// The target of the check.
#[must_use]
pub fn target(provider: &Provider) -> String {
    let base = &provider.base;
    match &provider.health_check.path {
        None => outbound::list_target(provider),
        Some(path) if base.query.is_empty() => format!("{}{path}", base.path),
        Some(path) => {
            let mark = if path.contains('?') { '&' } else { '?' };
            format!("{}{path}{mark}{}", base.path, base.query)
        }
    }
}

/// The URL that is checked, without its query: some providers take keys there.
#[must_use]
pub fn url(provider: &Provider) -> String {
    let target = target(provider);
    let path = target.split('?').next().unwrap_or_default();
    let scheme = if provider.base.tls { "https" } else { "http" };
    format!("{scheme}://{}{path}", provider.base.authority)
}

/// What an answer with this status says.
#[must_use]
pub fn judge(provider: &Provider, status: u16) -> Finding {
    let why = |cause: &str| format!("status {status}: {cause}");
    match status {
        200..=299 => Finding::Well,
        404 | 405 | 501 => Finding::Unsaid(why(&nothing_there(provider))),
        407 => Finding::Ill(why("the proxy wants other credentials; is `proxy` right?")),
        429 => Finding::Unsaid(why("the provider is busy, or the key is at its limit")),
        // Without a key of infermux's own, any other answer shows that a server is there.
        _ if provider.api_key.is_none() && status < 500 => Finding::Well,
        403 => Finding::Unsaid(why(
            "the key may not ask this; health_check.path may name what it may ask",
        )),
        401 | 402 => Finding::Ill(why("the provider refuses the key or the account")),
        300..=399 => Finding::Ill(why(
            "the provider leads elsewhere, and redirects are not followed; is base_url right?",
        )),
        _ => Finding::Ill(format!("status {status}")),
    }
}

/// The likely cause of a 404.
fn nothing_there(provider: &Provider) -> String {
    let what = match &provider.health_check.path {
        None => "no list of models",
        Some(_) => "nothing",
    };
    let usual = provider.vendor.usual_path;
    if !provider.base.path.ends_with(usual) {
        format!("there is {what} at this URL; does base_url lack `{usual}`?")
    } else {
        format!(
            "there is {what} at this URL; is base_url right? health_check.path may name another"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Environment, Options, Strictness};

    fn provider(fields: &str) -> Provider {
        let options = Options {
            environment: Environment::Unresolved,
            strict: Strictness::Lenient,
        };
        let text = format!("providers: [{{name: p, {fields}}}]");
        let mut providers = config::load(&text, &options)
            .expect("a good file")
            .plan
            .providers
            .into_vec();
        providers.remove(0)
    }

    #[test]
    fn the_list_of_models_is_asked_for_unless_a_path_is_given() {
        for (fields, asked, shown) in [
            (
                "type: openai, api_key: k",
                "/v1/models",
                "https://api.openai.com/v1/models",
            ),
            (
                "type: ollama",
                "/v1/models",
                "http://localhost:11434/v1/models",
            ),
            (
                "type: ollama, health_check: {path: api/tags}",
                "/api/tags",
                "http://localhost:11434/api/tags",
            ),
            (
                "type: openai, base_url: 'http://h:1/v1?key=s', health_check: {path: '/a?b=c'}",
                "/v1/a?b=c&key=s",
                "http://h:1/v1/a",
            ),
            (
                "type: anthropic, api_key: k",
                "/v1/models?limit=1000",
                "https://api.anthropic.com/v1/models",
            ),
        ] {
            let provider = provider(fields);
            assert_eq!(target(&provider), asked, "{fields}");
            assert_eq!(url(&provider), shown, "{fields}");
        }
    }

    #[test]
    fn what_is_about_the_request_alone_says_nothing_of_health() {
        let keyed = provider("type: openai, base_url: 'http://h/v1', api_key: k");
        let keyless = provider("type: openai, base_url: 'http://h/v1'");
        let word = |provider: &Provider, status| match judge(provider, status) {
            Finding::Well => "well",
            Finding::Unsaid(_) => "unsaid",
            Finding::Ill(_) => "ill",
        };
        for (status, with_key, without) in [
            (200, "well", "well"),
            (204, "well", "well"),
            (301, "ill", "well"),
            (400, "ill", "well"),
            (401, "ill", "well"),
            (402, "ill", "well"),
            (403, "unsaid", "well"),
            (404, "unsaid", "unsaid"),
            (405, "unsaid", "unsaid"),
            (408, "ill", "well"),
            (429, "unsaid", "unsaid"),
            (500, "ill", "ill"),
            (501, "unsaid", "unsaid"),
            (503, "ill", "ill"),
        ] {
            assert_eq!(word(&keyed, status), with_key, "{status}");
            assert_eq!(word(&keyless, status), without, "{status}");
        }
    }

    #[test]
    fn the_likely_cause_of_a_missing_list_is_told() {
        for (base, expected) in [
            ("http://h", "does base_url lack `/v1`?"),
            ("http://h/v1", "is base_url right?"),
        ] {
            let fields = format!("type: openai, base_url: '{base}', api_key: k");
            let Finding::Unsaid(why) = judge(&provider(&fields), 404) else {
                panic!("404 says nothing of health");
            };
            assert!(why.contains(expected), "{why}");
        }
    }
}
