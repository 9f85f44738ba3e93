//! The address that requests go to.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

/// An `http://` or `https://` URL in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Whether it starts with `https`.
    pub(crate) is_https: bool,
    /// Host as it stands in the URL; an IPv6 address without its brackets.
    pub(crate) host: String,
    port: u16,
    /// What the Host header says.
    pub(crate) authority: String,
    /// Path and query, never empty.
    pub(crate) path: String,
}

impl Target {
    /// Reads `http[s]://host[:port][/path]`.
    ///
    /// # Errors
    ///
    /// A sentence that says what is wrong with `url`.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let (is_https, rest) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
            (Some(rest), _) => (false, rest),
            (None, Some(rest)) => (true, rest),
            (None, None) => return Err("a URL starts with http:// or https://".to_owned()),
        };
        if rest.bytes().any(|b| b <= b' ' || b == 0x7f) {
            return Err("a URL holds no blanks or control characters".to_owned());
        }
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err("credentials in the URL are not supported; use --header".to_owned());
        }
        let (host, port) = split_port(authority)?;
        let port = port.unwrap_or(if is_https { 443 } else { 80 });
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Self {
            is_https,
            host: host.to_owned(),
            port,
            authority: authority.to_owned(),
            path: format!("{slash}{path}"),
        })
    }

    /// The first address that the host's name leads to.
    ///
    /// # Errors
    ///
    /// When the name leads nowhere.
    pub(crate) fn resolve(&self) -> io::Result<SocketAddr> {
        let mut all = (self.host.as_str(), self.port).to_socket_addrs()?;
        all.next()
            .ok_or_else(|| io::Error::other("the name has no address"))
    }
}

/// The URL again.
impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.is_https { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.path)
    }
}

fn split_port(authority: &str) -> Result<(&str, Option<u16>), String> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or("an IPv6 address ends with ]")?;
            (
                host,
                if after.is_empty() {
                    None
                } else {
                    after.strip_prefix(':').or(Some("?"))
                },
            )
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    if host.is_empty() {
        return Err("the URL names no host".to_owned());
    }
    let port = match port {
        Some(text) => Some(text.parse().map_err(|_| format!("{text:?} is no port"))?),
        None => None,
    };
    Ok((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_a_url_apart() {
        for (url, host, port, path) in [
            (
                "http://localhost:8080/v1/chat",
                "localhost",
                8080,
                "/v1/chat",
            ),
            ("http://h", "h", 80, "/"),
            ("https://h", "h", 443, "/"),
            ("https://h:8443/p", "h", 8443, "/p"),
            ("http://h?x=1#top", "h", 80, "/?x=1"),
            ("http://[::1]:9/a", "::1", 9, "/a"),
            ("http://[::1]", "::1", 80, "/"),
        ] {
            let target = Target::parse(url).expect(url);
            assert_eq!(
                (target.host.as_str(), target.port, target.path.as_str()),
                (host, port, path)
            );
        }
    }

    #[test]
    fn refuses_what_it_cannot_reach() {
        for url in [
            "ftp://h/",
            "h:80",
            "http://",
            "http://h:x/",
            "http://h:70000/",
        ] {
            assert!(Target::parse(url).is_err(), "{url}");
        }
        for url in [
            "http://[::1/",
            "http://[::1]9/",
            "http://me@h/",
            "http://h/a b",
            "http://h/\r",
        ] {
            assert!(Target::parse(url).is_err(), "{url}");
        }
    }
}
