//! Tests of [`super`].

use super::*;
use crate::config::options::Lookup;
use crate::config::url;

#[test]
fn a_proxy_is_a_host_a_port_and_credentials() {
    let shown = |text: &str| match parse(text) {
        Ok(None) => String::from("none"),
        Ok(Some(proxy)) => {
            let line = proxy.authorization_line();
            format!("{} {} {}", proxy.host, proxy.port, line.trim_end())
        }
        Err(problem) => problem,
    };
    for (text, expected) in [
        ("none", "none"),
        ("http://proxy.example:3128", "proxy.example 3128 "),
        ("http://Proxy.example/", "proxy.example 80 "),
        ("http://[fd00::1]:8080", "fd00::1 8080 "),
        (
            // The example of RFC 7617, section 2.
            "http://Aladdin:open%20sesame@p:1",
            "p 1 Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        ),
        (
            // Its example in section 2.1, in UTF-8.
            "http://test:123%C2%A3@p:1",
            "p 1 Proxy-Authorization: Basic dGVzdDoxMjPCow==",
        ),
        ("http://user@p:1", "p 1 Proxy-Authorization: Basic dXNlcjo="),
        (
            "http://a:100%25%zz@p:1",
            "p 1 Proxy-Authorization: Basic YToxMDAlJXp6",
        ),
    ] {
        assert_eq!(shown(text), expected, "{text}");
    }
    for (text, problem) in [
        ("", "is neither `none` nor an HTTP proxy's URL"),
        ("proxy:3128", "is neither `none` nor"),
        ("https://u:secret@p:1", "is neither `none` nor"),
        ("socks5://u:secret@p:1", "is neither `none` nor"),
        ("http://u:secret@:1", "is neither `none` nor"),
        ("http://u:secret@p:1/x", "has more than host and port"),
        ("http://u:secret@p:1?x", "has more than host and port"),
        ("http://u:secret@p:0", "has port 0"),
        ("http://u:sec ret@p:1", "has characters"),
    ] {
        let found = shown(text);
        assert!(found.starts_with(problem), "{text}: {found}");
        assert!(!found.contains("secret"), "{found}");
    }
}

fn to(variables: &[(&str, &str)], url: &str) -> Result<Option<String>, String> {
    let variable = |name: &str| {
        let mut all = variables.iter();
        all.find(|(one, _)| *one == name)
            .map(|(_, value)| (*value).to_owned())
    };
    let proxies = Proxies::of(&Environment::Lookup(Lookup {
        variable: &variable,
        file: &|_| Ok(None),
    }));
    let found = proxies.to(&url::parse(url).unwrap());
    found.map(|proxy| proxy.map(|proxy| format!("{}:{}", proxy.host, proxy.port)))
}

#[test]
fn the_environment_names_a_proxy_for_each_scheme() {
    let both = [("HTTPS_PROXY", "http://s:1"), ("HTTP_PROXY", "p:2")];
    let lower = [("HTTPS_PROXY", "http://s:1"), ("https_proxy", "http://l:3")];
    for (variables, url, expected) in [
        (&both[..], "https://a.example", Some("s:1")),
        (&both, "http://a.example", Some("p:2")),
        (&lower, "https://a.example", Some("l:3")),
        (&lower, "http://a.example", None),
        (&[("https_proxy", "")], "https://a.example", None),
        // This machine is no matter of a proxy on another one.
        (&both, "http://localhost:1", None),
        (&both, "https://x.localhost", None),
        (&both, "http://127.1.2.3", None),
        (&both, "https://[::1]", None),
        (&both, "https://10.0.0.1", Some("s:1")),
    ] {
        let found = to(variables, url).unwrap();
        assert_eq!(found.as_deref(), expected, "{url}");
    }
    let problem = to(&[("HTTPS_PROXY", "socks5://u:secret@p:1")], "https://a").unwrap_err();
    assert!(problem.contains("the value of HTTPS_PROXY"), "{problem}");
    assert!(!problem.contains("secret"), "{problem}");
    assert_eq!(
        to(&[("HTTPS_PROXY", "socks5://p:1")], "http://a"),
        Ok(None),
        "a variable that is not needed is not judged"
    );
}

#[test]
fn exceptions_are_names_addresses_and_networks() {
    let is_direct = |list: &str, url: &str| {
        let variables = [
            ("https_proxy", "p:1"),
            ("http_proxy", "p:1"),
            ("NO_PROXY", list),
        ];
        to(&variables, url).unwrap().is_none()
    };
    for (list, url, direct) in [
        ("*", "https://a.example", true),
        ("example.com", "https://example.com", true),
        ("example.com", "https://a.EXAMPLE.com:8443", true),
        ("Example.com.", "https://a.example.com", true),
        ("example.com", "https://notexample.com", false),
        (".example.com", "https://example.com", true),
        ("*.example.com", "https://a.example.com", true),
        ("x, example.com ,y", "https://example.com", true),
        ("x example.com", "https://example.com", true),
        ("example.com:8443", "https://example.com:8443", true),
        ("example.com:8443", "https://example.com", false),
        ("10.1.2.3", "http://10.1.2.3:99", true),
        ("10.1.2.3:98", "http://10.1.2.3:99", false),
        ("10.0.0.0/8", "http://10.1.2.3", true),
        ("10.0.0.0/8", "http://11.1.2.3", false),
        ("0.0.0.0/0", "http://11.1.2.3", true),
        ("10.0.0.0/99", "http://10.0.0.0", true),
        ("fd00::/8", "http://[fd12::1]", true),
        ("[fd12::1]:80", "http://[fd12::1]", true),
        ("fd00::/8", "http://[fe00::1]", false),
        ("::/0", "http://11.1.2.3", false),
        (",.,/,:,*.", "https://a.example", false),
        ("", "https://a.example", false),
    ] {
        assert_eq!(is_direct(list, url), direct, "{list:?} {url}");
    }
}

proptest::proptest! {
    #[test]
    fn nothing_panics(text in "\\PC{0,30}", list in "[a-z0-9.:/*,\\[\\]]{0,30}") {
        let _ = parse(&text);
        let _ = parse(&format!("http://{text}"));
        let base = url::parse("http://a.b:1").unwrap();
        let _ = exceptions_of(&list).iter().any(|one| one.covers(&base));
        proptest::prop_assert_eq!(percent_decoded(&text.replace('%', "%25")), text.as_bytes());
    }
}
