use std::time::Duration;

use super::*;
use crate::config::plan::{BaseUrl, HealthCheck, ProviderKind};
use crate::decide::policy::BreakerPolicy;

fn provider(api_key: Option<&str>, forward_caller_key: bool) -> Provider {
    Provider {
        name: "p".into(),
        kind: ProviderKind::OpenAi,
        api_key: api_key.map(Secret::new),
        forward_caller_key,
        base: BaseUrl {
            tls: false,
            host: "localhost".into(),
            port: 80,
            authority: "localhost".into(),
            path: "".into(),
            query: "".into(),
        },
        azure_deployment: None,
        azure_api_version: "".into(),
        timeout: Duration::ZERO,
        connect_timeout: Duration::ZERO,
        first_token_timeout: Duration::ZERO,
        stream_idle_timeout: Duration::ZERO,
        models: Box::default(),
        model_aliases: Box::default(),
        requests_per_minute: None,
        tokens_per_minute: None,
        max_in_flight: None,
        weight: 1,
        health_check: HealthCheck {
            interval: Duration::ZERO,
            timeout: Duration::ZERO,
            disabled: true,
        },
        breaker: BreakerPolicy::default(),
    }
}

fn auth(key: Option<&str>) -> Auth {
    key.map_or(Auth::Passthrough, |key| Auth::StaticKey(Secret::new(key)))
}

#[test]
fn only_the_configured_key_gets_in() {
    use KeyFault::{Missing, Wrong};
    for (authorization, x_api_key, expected) in [
        (Some("Bearer imx-1"), None, Ok(())),
        (Some("bearer imx-1"), None, Ok(())),
        (Some("BEARER   imx-1  "), None, Ok(())),
        (None, Some("imx-1"), Ok(())),
        (None, Some(" imx-1 "), Ok(())),
        (Some("Bearer sk-provider"), Some("imx-1"), Ok(())),
        (Some("Bearer imx-1"), Some("sk-provider"), Ok(())),
        (Some("Bearer imx-2"), None, Err(Wrong)),
        (Some("Bearer imx-11"), None, Err(Wrong)),
        (Some("Bearer IMX-1"), None, Err(Wrong)),
        (None, Some("imx"), Err(Wrong)),
        (None, Some(""), Err(Wrong)),
        (None, None, Err(Missing)),
        (Some("imx-1"), None, Err(Missing)),
        (Some("Bearerimx-1"), None, Err(Missing)),
        (Some("Bearer"), None, Err(Missing)),
        (Some("Basic imx-1"), None, Err(Missing)),
    ] {
        let got = authenticate(
            &auth(Some("imx-1")),
            authorization.map(str::as_bytes),
            x_api_key.map(str::as_bytes),
        );
        let expected = expected.map_err(Refusal::InvalidApiKey);
        assert_eq!(got, expected, "{authorization:?} {x_api_key:?}");
    }
    assert_eq!(authenticate(&Auth::Passthrough, None, None), Ok(()));
}

#[test]
fn each_key_goes_only_where_it_is_meant_to_go() {
    use KeyOwner::{Caller, Infermux};
    let (own, none) = ("own sk-own", "none");
    for (static_key, api_key, forward, authorization, expected, owner) in [
        // The defaults under passthrough: a provider with a key, and one without.
        (
            None,
            Some("sk-own"),
            false,
            Some("Bearer sk-mine"),
            own,
            Infermux,
        ),
        (None, Some("sk-own"), false, None, own, Infermux),
        (
            None,
            None,
            true,
            Some("Bearer sk-mine"),
            "caller Bearer sk-mine",
            Caller,
        ),
        (
            None,
            None,
            true,
            Some("Basic abc"),
            "caller Basic abc",
            Caller,
        ),
        (None, None, true, None, none, Caller),
        // Overridden.
        (
            None,
            Some("sk-own"),
            true,
            Some("Bearer sk-mine"),
            "caller Bearer sk-mine",
            Caller,
        ),
        (None, Some("sk-own"), true, None, own, Infermux),
        (None, None, false, Some("Bearer sk-mine"), none, Infermux),
        // Under a static key, which never goes upstream.
        (
            Some("imx"),
            Some("sk-own"),
            false,
            Some("Bearer imx"),
            own,
            Infermux,
        ),
        (
            Some("imx"),
            Some("sk-own"),
            true,
            Some("Bearer imx"),
            own,
            Infermux,
        ),
        (Some("imx"), None, true, Some("Bearer imx"), none, Caller),
        (Some("imx"), None, true, Some("bearer  imx "), none, Caller),
        (Some("imx"), None, true, Some("imx"), none, Caller),
        (Some("imx"), None, true, Some("Basic imx"), none, Caller),
        (
            Some("imx"),
            None,
            true,
            Some("Bearer sk-mine"),
            "caller Bearer sk-mine",
            Caller,
        ),
    ] {
        let provider = provider(api_key, forward);
        let got = credential(
            &provider,
            &auth(static_key),
            authorization.map(str::as_bytes),
        );
        let text = match got {
            Credential::Own(secret) => format!("own {}", secret.expose()),
            Credential::Caller(value) => format!("caller {}", String::from_utf8_lossy(value)),
            Credential::None => none.to_owned(),
        };
        assert_eq!(
            text, expected,
            "{static_key:?} {api_key:?} {forward} {authorization:?}"
        );
        assert_eq!(
            got.owner(&provider),
            owner,
            "{static_key:?} {api_key:?} {authorization:?}"
        );
    }
}
