//! Where a provider answers: the `base_url`.

use std::net::{Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// A parsed `base_url`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BaseUrl {
    /// Whether the scheme is `https`.
    pub tls: bool,
    /// Host name or address, without brackets.
    pub host: Box<str>,
    /// Port, the scheme's default filled in.
    pub port: u16,
    /// Value of the `Host` header: the port only where it is not the default, IPv6 in brackets.
    pub authority: Box<str>,
    /// Path without a trailing slash; empty for none.
    pub path: Box<str>,
    /// Query without the question mark; empty for none.
    pub query: Box<str>,
}

/// Reads an `http` or `https` URL.
///
/// # Errors
///
/// What is wrong with the text, as the end of a sentence that starts with it.
pub fn parse(text: &str) -> Result<BaseUrl, String> {
    // The URL standard would repair blanks, backslashes and missing slashes; a file must be exact.
    if text
        .chars()
        .any(|c| c.is_whitespace() || c.is_control() || c == '\\')
    {
        return Err(String::from("has characters that no URL has"));
    }
    if !text.contains("://") {
        return Err(String::from(
            "is not a URL that starts with http:// or https://",
        ));
    }
    let url = Url::parse(text).map_err(|problem| format!("is not a URL ({problem})"))?;
    let tls = match url.scheme() {
        "https" => true,
        "http" => false,
        _ => {
            return Err(String::from(
                "is not a URL that starts with http:// or https://",
            ));
        }
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(String::from("has a user name or password, use `api_key`"));
    }
    if url.fragment().is_some() {
        return Err(String::from(
            "has a fragment (`#…`), which no server gets to see",
        ));
    }
    let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
        return Err(String::from("has no host"));
    };
    if port == 0 {
        return Err(String::from("has port 0, which cannot be connected to"));
    }
    let bracketed = host.to_string();
    let authority = match url.port() {
        Some(port) => format!("{bracketed}:{port}"),
        None => bracketed.clone(),
    };
    Ok(BaseUrl {
        tls,
        host: bracketed.trim_matches(['[', ']']).into(),
        port,
        authority: authority.into(),
        path: url.path().trim_end_matches('/').into(),
        query: url.query().unwrap_or("").into(),
    })
}

/// Reads a path below a base URL; it starts with a slash and may have a query.
///
/// # Errors
///
/// What is wrong with the text, as the end of a sentence that starts with it.
pub fn below(text: &str) -> Result<Box<str>, &'static str> {
    if text.contains("://") || text.starts_with("//") {
        return Err("is a URL, a path below base_url is wanted");
    }
    if text.contains(['#', '\\', '"', '<', '>']) {
        return Err("has characters that no path has");
    }
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    let name = path.trim_start_matches('/');
    let is_step = |segment: &str| matches!(segment.replace("%2e", ".").as_str(), "." | "..");
    if name.to_ascii_lowercase().split('/').any(is_step) {
        return Err("leads elsewhere than below base_url");
    }
    if name.is_empty() {
        return Err("names nothing below base_url");
    }
    let mark = if query.is_empty() { "" } else { "?" };
    Ok(format!("/{name}{mark}{query}").into())
}

/// Whether the host is this machine or in a private network: a server there is self-hosted, and
/// usually wants no key.
#[must_use]
pub fn is_own_host(base: &BaseUrl) -> bool {
    if let Ok(ip) = base.host.parse::<Ipv4Addr>() {
        return is_own_v4(ip);
    }
    if let Ok(ip) = base.host.parse::<Ipv6Addr>() {
        let local = ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local();
        return local || ip.to_ipv4_mapped().is_some_and(is_own_v4);
    }
    let Ok(Host::Domain(name)) = Host::parse(&base.host) else {
        return false;
    };
    let name = name.trim_end_matches('.');
    let own_endings = [
        ".localhost",
        ".local",
        ".internal",
        ".lan",
        ".home.arpa",
        ".svc",
        ".test",
    ];
    // A name without a dot is a container, a service or a machine of the same network.
    !name.contains('.') || own_endings.iter().any(|ending| name.ends_with(ending))
}

fn is_own_v4(ip: Ipv4Addr) -> bool {
    let [first, second, ..] = ip.octets();
    // 100.64.0.0/10 is shared address space (RFC 6598), which overlay networks use.
    let shared = first == 100 && (64..128).contains(&second);
    ip.is_loopback() || ip.is_private() || ip.is_link_local() || ip.is_unspecified() || shared
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_below_stays_below() {
        for (text, expected) in [
            ("models", Ok("/models")),
            ("/api/tags?a=b", Ok("/api/tags?a=b")),
            ("a?", Ok("/a")),
            ("../x", Err("leads elsewhere than below base_url")),
            ("a/%2E%2e/b", Err("leads elsewhere than below base_url")),
            ("a/..b", Ok("/a/..b")),
            ("/", Err("names nothing below base_url")),
            ("?a=b", Err("names nothing below base_url")),
            (
                "https://h/x",
                Err("is a URL, a path below base_url is wanted"),
            ),
            ("//h/x", Err("is a URL, a path below base_url is wanted")),
            ("a#b", Err("has characters that no path has")),
        ] {
            assert_eq!(below(text), expected.map(Into::into), "{text}");
        }
    }

    #[test]
    fn takes_a_url_apart() {
        for (text, expected) in [
            (
                "https://api.openai.com/v1",
                "true api.openai.com 443 api.openai.com /v1 ?",
            ),
            (
                "https://api.openai.com/v1/",
                "true api.openai.com 443 api.openai.com /v1 ?",
            ),
            (
                "https://api.anthropic.com",
                "true api.anthropic.com 443 api.anthropic.com  ?",
            ),
            (
                "http://localhost:11434",
                "false localhost 11434 localhost:11434  ?",
            ),
            ("http://h:80", "false h 80 h  ?"),
            ("http://[::1]:9/x", "false ::1 9 [::1]:9 /x ?"),
            (
                "HTTPS://A.Example/?k=v",
                "true a.example 443 a.example  ?k=v",
            ),
            (
                "http://h/a b".replace(' ', "%20").as_str(),
                "false h 80 h /a%20b ?",
            ),
        ] {
            let BaseUrl {
                tls,
                host,
                port,
                authority,
                path,
                query,
            } = parse(text).unwrap();
            assert_eq!(
                format!("{tls} {host} {port} {authority} {path} ?{query}"),
                expected
            );
        }
    }

    #[test]
    fn says_what_it_cannot_use() {
        for (text, problem) in [
            ("localhost:11434", "is not a URL that starts"),
            ("api.openai.com", "is not a URL that starts"),
            ("ftp://h/", "is not a URL that starts"),
            ("https://", "is not a URL ("),
            ("https://h:99999", "is not a URL ("),
            ("https://user:pw@h", "has a user name or password"),
            ("https://h/#top", "has a fragment"),
            ("https://h/a b", "has characters"),
            ("http://h:0", "has port 0"),
        ] {
            let found = parse(text).unwrap_err();
            assert!(found.starts_with(problem), "{text}: {found}");
        }
    }

    #[test]
    fn knows_a_host_of_ones_own() {
        for (host, own) in [
            ("localhost", true),
            ("127.0.0.1", true),
            ("[::1]", true),
            ("10.1.2.3", true),
            ("172.16.0.1", true),
            ("192.168.0.9", true),
            ("100.100.1.1", true),
            ("[fd00::1]", true),
            ("vllm", true),
            ("vllm.models.svc", true),
            ("gpu.internal", true),
            ("api.openai.com", false),
            ("8.8.8.8", false),
            ("172.32.0.1", false),
            ("[2606:4700::1]", false),
        ] {
            assert_eq!(
                is_own_host(&parse(&format!("http://{host}/")).unwrap()),
                own,
                "{host}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "(https?://)?\\PC{0,40}") {
            if let Ok(base) = parse(&text) {
                let _ = is_own_host(&base);
            }
        }
    }
}
