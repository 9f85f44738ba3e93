//! Keys: who may call, and which key is sent to a provider.

use std::time::Duration;

use super::*;
use crate::config::plan::HealthCheck;
use crate::config::url::BaseUrl;
use crate::config::vendor::OPENAI;
use crate::decide::policy::BreakerPolicy;

pub(crate) fn provider(api_key: Option<&str>, forward_caller_key: bool) -> Provider {
    Provider {
        id: crate::base::ids::ProviderId(0),
        name: "p".into(),
        vendor: &OPENAI,
        api_key: api_key.map(Secret::new),
        forward_caller_key,
        proxy: None,
        tls: crate::config::tls::ProviderTls::default(),
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
        early_head: false,
        responses: crate::config::responses::Responses::Bridged,
        stream_idle_timeout: Duration::ZERO,
        models: Box::default(),
        patterns: Box::default(),
        model_settings: crate::config::model_settings::SettingsByModel::default(),
        model_aliases: Box::default(),
        requests_per_minute: None,
        tokens_per_minute: None,
        max_in_flight: None,
        reach: crate::config::scope::Reach::Fleet,
        weight: 1,
        headers: crate::config::plan::ProviderHeaders::default(),
        is_openais_host: false,
        request: None,
        health_check: HealthCheck {
            interval: Duration::ZERO,
            timeout: Duration::ZERO,
            disabled: true,
            path: None,
        },
        breaker: BreakerPolicy::default(),
    }
}

fn auth(key: Option<&str>) -> Auth {
    key.map_or(Auth::Passthrough, |key| Auth::StaticKey(Secret::new(key)))
}

/// `Authorization` | `x-api-key` | `api-key` | result; the key is `imx-1`.
const OFFERS: &str = "
    Bearer imx-1       |             |             | in
    bearer imx-1       |             |             | in
    BEARER   imx-1     |             |             | in
                       | imx-1       |             | in
                       |             | imx-1       | in
    Bearer sk-provider | imx-1       |             | in
    Bearer imx-1       | sk-provider | sk-other    | in
    Bearer sk-provider | sk-other    | imx-1       | in
    Bearer imx-2       |             |             | Wrong
    Bearer imx-11      |             |             | Wrong
    Bearer IMX-1       |             |             | Wrong
                       | imx         |             | Wrong
                       |             | imx         | Wrong
    Bearer imx-2       | imx-2       | imx-2       | Wrong
                       |             |             | Missing
    imx-1              |             |             | Missing
    Bearerimx-1        |             |             | Missing
    Bearer             |             |             | Missing
    Basic imx-1        |             |             | Missing
";

fn admit(auth: &Auth, presented: Presented<'_>) -> Result<(), Refusal<'static>> {
    let unused = || unreachable!("only `keys` looks at keys and clock");
    let admitted = authenticate(auth, presented, unused, || unreachable!());
    admitted.map(|principal| assert!(principal.is_none()))
}

#[test]
fn only_the_configured_key_gets_in() {
    for row in rows(OFFERS) {
        let [authorization, x_api_key, api_key, expected] = row;
        let presented = presented(authorization, x_api_key, api_key);
        let got = admit(&auth(Some("imx-1")), presented);
        let expected = match expected {
            Some("in") => Ok(()),
            Some("Wrong") => Err(Refusal::InvalidApiKey(KeyFault::Wrong)),
            _ => Err(Refusal::InvalidApiKey(KeyFault::Missing)),
        };
        assert_eq!(got, expected, "{row:?}");
    }
    let nothing = Presented::default();
    assert_eq!(admit(&Auth::Passthrough, nothing), Ok(()));
    let empty = admit(&auth(Some("imx-1")), presented(Some(" "), Some(""), None));
    assert_eq!(empty, Err(Refusal::InvalidApiKey(KeyFault::Wrong)));
}

/// Static key | `api_key` | `forward_caller_key` | `Authorization` | the sent key | its owner.
const KEYS: &str = "
        | sk-own |         | Bearer sk-mine | own sk-own            | Infermux
        | sk-own |         |                | own sk-own            | Infermux
        |        | forward | Bearer sk-mine | caller Bearer sk-mine | Caller
        |        | forward | Basic abc      | caller Basic abc      | Caller
        |        | forward |                | none                  | Caller
        | sk-own | forward | Bearer sk-mine | caller Bearer sk-mine | Caller
        | sk-own | forward |                | own sk-own            | Infermux
        |        |         | Bearer sk-mine | none                  | Infermux
    imx | sk-own |         | Bearer imx     | own sk-own            | Infermux
    imx | sk-own | forward | Bearer imx     | own sk-own            | Infermux
    imx |        | forward | Bearer imx     | none                  | Caller
    imx |        | forward | bearer   imx   | none                  | Caller
    imx |        | forward | imx            | none                  | Caller
    imx |        | forward | Basic imx      | none                  | Caller
    imx |        | forward | Bearer sk-mine | caller Bearer sk-mine | Caller
";

#[test]
fn each_key_goes_only_where_it_is_meant_to_go() {
    for row in rows(KEYS) {
        let [static_key, api_key, forward, authorization, sent, owner] = row;
        let presented = presented(authorization, None, None);
        let provider = provider(api_key, forward.is_some());
        let got = credential(&provider, &auth(static_key), presented);
        assert_eq!(Some(&*told(got)), sent, "{row:?}");
        assert_eq!(
            Some(&*format!("{:?}", got.owner(&provider))),
            owner,
            "{row:?}"
        );
    }
}

/// Which of the caller's keys goes to a provider, where the static key is `imx`.
const OF_SEVERAL: &str = "
    Bearer imx     | sk-mine |         | key sk-mine
    Bearer imx     | imx     | sk-mine | key sk-mine
    Bearer sk-mine | imx     |         | caller Bearer sk-mine
    Bearer sk-mine | sk-x    | sk-y    | caller Bearer sk-mine
    Bearer imx     | imx     | imx     | none
                   | imx     |         | none
                   | sk-mine |         | key sk-mine
";

#[test]
fn the_key_for_the_provider_may_come_beside_the_routers() {
    for row in rows(OF_SEVERAL) {
        let [authorization, x_api_key, api_key, sent] = row;
        let presented = presented(authorization, x_api_key, api_key);
        let (provider, auth) = (provider(None, true), auth(Some("imx")));
        let got = credential(&provider, &auth, presented);
        assert_eq!(Some(&*told(got)), sent, "{row:?}");
    }
}

fn told(credential: Credential<'_>) -> String {
    match credential {
        Credential::Own(secret) => format!("own {}", secret.expose()),
        Credential::Caller(value) => format!("caller {}", String::from_utf8_lossy(value)),
        Credential::CallersKey(key) => format!("key {}", String::from_utf8_lossy(key)),
        Credential::None => "none".to_owned(),
    }
}

/// The columns of a table's rows; an empty one is `None`.
fn rows<const N: usize>(table: &str) -> impl Iterator<Item = [Option<&str>; N]> {
    table.lines().filter(|line| line.contains('|')).map(|line| {
        let mut columns = line.split('|').map(str::trim);
        std::array::from_fn(|_| columns.next().filter(|column| !column.is_empty()))
    })
}

fn presented<'a>(
    authorization: Option<&'a str>,
    x_api_key: Option<&'a str>,
    api_key: Option<&'a str>,
) -> Presented<'a> {
    Presented {
        authorization: authorization.map(str::as_bytes),
        x_api_key: x_api_key.map(str::as_bytes),
        api_key: api_key.map(str::as_bytes),
        repeated: None,
    }
}

#[test]
fn a_key_in_another_header_stands_in_for_authorization() {
    let forwards = provider(None, true);
    for (authorization, x_api_key, api_key, expected) in [
        (Some("Bearer a"), Some("b"), Some("c"), "caller Bearer a"),
        (None, Some("b"), Some("c"), "key b"),
        (None, Some(""), Some("c"), "key c"),
        (None, None, None, "none"),
    ] {
        let presented = presented(authorization, x_api_key, api_key);
        let text = match credential(&forwards, &Auth::Passthrough, presented) {
            Credential::Own(_) => "own".to_owned(),
            Credential::Caller(value) => format!("caller {}", String::from_utf8_lossy(value)),
            Credential::CallersKey(key) => format!("key {}", String::from_utf8_lossy(key)),
            Credential::None => "none".to_owned(),
        };
        assert_eq!(text, expected);
    }
    let text = b"GET / HTTP/1.1\r\nHost: a\r\nX-API-Key:  b\r\nApi-Key: c\r\napi-key: d\r\n\r\n";
    let mut head = Head::default();
    assert!(head.parse_request(text, 0).is_ok());
    let keys = |presented: Presented<'_>| {
        let keys = presented.each().map(String::from_utf8_lossy);
        keys.collect::<Vec<_>>().join(" ")
    };
    // The first one of each kind goes on; all of them are looked at.
    assert_eq!(keys(Presented::read(&head, text)), "b c");
    assert_eq!(keys(Presented::read_all(&head, text)), "b c d");
}

#[test]
fn only_a_page_of_the_same_host_may_act() {
    for (origin, host, is_admitted) in [
        (None, "a:1", true),
        (Some("http://a:1"), "a:1", true),
        (Some("https://A.example"), "a.example", true),
        (Some("http://b:1"), "a:1", false),
        (Some("http://a:1.evil"), "a:1", false),
        (Some("null"), "a:1", false),
        (Some("a:1"), "a:1", false),
        (Some(""), "a:1", false),
    ] {
        let origin_line = origin.map(|origin| format!("Origin: {origin}\r\n"));
        let origin_line = origin_line.unwrap_or_default();
        let text = format!("POST / HTTP/1.1\r\nHost: {host}\r\n{origin_line}\r\n");
        let mut head = Head::default();
        assert!(head.parse_request(text.as_bytes(), 0).is_ok());
        let found = same_site(&head, text.as_bytes());
        assert_eq!(found.is_ok(), is_admitted, "{origin:?}");
    }
}
