//! Proxies on the way to providers: those that the file names, and those of the environment.

use std::net::IpAddr;

use url::{Host, Url};

use crate::base::secret::Secret;
use crate::config::options::Environment;
use crate::config::url::BaseUrl;

/// A proxy, which is spoken to in plain HTTP.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Its host name or address, without brackets.
    pub host: Box<str>,
    /// Its port.
    pub port: u16,
    /// Its credentials, where it wants any.
    pub login: Option<Login>,
}

/// The credentials for a proxy.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The value of `Proxy-Authorization`.
    pub authorization: Secret,
    /// The password alone, to be masked.
    pub password: Secret,
}

impl Proxy {
    /// The request that has it open a tunnel to `base`. It is a secret: it may have credentials.
    #[must_use]
    pub fn tunnel_request(&self, base: &BaseUrl) -> String {
        // The port must be there, the scheme's own, too.
        let host = if base.host.contains(':') {
            format!("[{}]:{}", base.host, base.port)
        } else {
            format!("{}:{}", base.host, base.port)
        };
        let authorization = self.authorization_line();
        format!("CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n{authorization}\r\n")
    }

    /// The header line with the credentials; empty where there are none. It is a secret.
    #[must_use]
    pub fn authorization_line(&self) -> String {
        self.login.as_ref().map_or_else(String::new, |login| {
            let value = login.authorization.expose();
            format!("Proxy-Authorization: {value}\r\n")
        })
    }
}

/// Reads the `proxy` of a provider; `None` stands for `none`, no proxy.
///
/// # Errors
///
/// What is wrong with the text, as the end of a sentence that starts with it. It does not quote
/// the text, which may hold a password.
pub fn parse(text: &str) -> Result<Option<Proxy>, String> {
    if text == "none" {
        return Ok(None);
    }
    let fits = |c: char| c.is_ascii_graphic() && c != '\\';
    if !text.chars().all(fits) {
        return Err(String::from("has characters that no URL has"));
    }
    let url = Url::parse(text).ok().filter(|_| text.contains("://"));
    let Some(url) = url.filter(|url| url.scheme() == "http") else {
        return Err(format!("is neither `none` nor {WANTED}"));
    };
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err(format!("has more than host and port, wanted is {WANTED}"));
    }
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return Err(format!("has no host, wanted is {WANTED}"));
    };
    if port == 0 {
        return Err(String::from("has port 0, which cannot be connected to"));
    }
    Ok(Some(Proxy {
        host: host.trim_matches(['[', ']']).into(),
        port,
        login: login(&url),
    }))
}

fn login(url: &Url) -> Option<Login> {
    let password = url.password().unwrap_or_default();
    if url.username().is_empty() && password.is_empty() {
        return None;
    }
    let password = percent_decoded(password);
    let pair = [&percent_decoded(url.username()), &b":"[..], &password].concat();
    Some(Login {
        authorization: Secret::new(format!("Basic {}", base64(&pair))),
        password: Secret::new(String::from_utf8_lossy(&password)),
    })
}

/// The proxies that the environment names.
#[derive(Default)]
pub struct Proxies {
    https: Option<Named>,
    http: Option<Named>,
    exceptions: Vec<Exception>,
}

/// A variable of the environment that is set, and its value.
struct Named {
    variable: &'static str,
    value: String,
}

/// A host, or hosts, to which no proxy leads.
#[derive(Debug, PartialEq, Eq)]
enum Exception {
    /// All hosts.
    All,
    /// This domain and what is below it; at this port, or at any.
    Domain(Box<str>, Option<u16>),
    /// Addresses whose first bits are these; at this port, or at any.
    Network(IpAddr, u32, Option<u16>),
}

impl Proxies {
    /// The proxies of `environment`. A variable's name counts in lower case first.
    #[must_use]
    pub fn of(environment: &Environment<'_>) -> Self {
        let Environment::Lookup(lookup) = environment else {
            return Self::default();
        };
        let named = |names: [&'static str; 2]| {
            let mut set = names.into_iter().filter_map(|variable| {
                let value = (lookup.variable)(variable)?;
                (!value.is_empty()).then_some(Named { variable, value })
            });
            set.next()
        };
        let exceptions = named(["no_proxy", "NO_PROXY"]);
        Self {
            https: named(["https_proxy", "HTTPS_PROXY"]),
            http: named(["http_proxy", "HTTP_PROXY"]),
            exceptions: exceptions.map_or_else(Vec::new, |list| exceptions_of(&list.value)),
        }
    }

    /// The proxy that leads to `base`; `None` where nothing stands between. This machine is always
    /// reached directly.
    ///
    /// # Errors
    ///
    /// The variable that names it cannot be used; the sentence names the variable.
    pub fn to(&self, base: &BaseUrl) -> Result<Option<Proxy>, String> {
        let named = if base.tls { &self.https } else { &self.http };
        let Some(Named { variable, value }) = named else {
            return Ok(None);
        };
        if is_this_machine(&base.host) || self.exceptions.iter().any(|one| one.covers(base)) {
            return Ok(None);
        }
        let url = if value.contains("://") {
            value.clone()
        } else {
            format!("http://{value}")
        };
        parse(&url).map_err(|problem| {
            format!("is not set, and the value of {variable} in the environment {problem}")
        })
    }
}

/// The hosts of a list as `NO_PROXY` has it: names, addresses and networks with commas or blanks
/// between them.
fn exceptions_of(list: &str) -> Vec<Exception> {
    let entries = list.split([',', ' ', '\t', '\n']);
    let entries = entries.filter(|entry| !entry.is_empty());
    entries.map(Exception::of).collect()
}

impl Exception {
    fn of(entry: &str) -> Self {
        if entry == "*" {
            return Self::All;
        }
        if let Some((ip, bits)) = entry.split_once('/')
            && let (Ok(ip), Ok(bits)) = (unbracketed(ip).parse::<IpAddr>(), bits.parse())
        {
            return Self::Network(ip, bits, None);
        }
        if let Ok(ip) = unbracketed(entry).parse::<IpAddr>() {
            return Self::Network(ip, u32::MAX, None);
        }
        let (name, port) = match entry.rsplit_once(':') {
            Some((name, port)) => match port.parse() {
                Ok(port) => (name, Some(port)),
                Err(_) => (entry, None),
            },
            None => (entry, None),
        };
        if let Ok(ip) = unbracketed(name).parse::<IpAddr>() {
            return Self::Network(ip, u32::MAX, port);
        }
        let name = name.strip_prefix("*.").unwrap_or(name);
        let name = name.trim_matches('.').to_ascii_lowercase();
        Self::Domain(name.into(), port)
    }

    fn covers(&self, base: &BaseUrl) -> bool {
        let is_at = |port: &Option<u16>| port.is_none_or(|port| port == base.port);
        let host = base.host.trim_end_matches('.');
        match self {
            Self::All => true,
            Self::Domain(name, port) => {
                let above = host.strip_suffix(&**name);
                let covers = above.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
                covers && !name.is_empty() && is_at(port)
            }
            Self::Network(ip, bits, port) => {
                let host = host.parse::<IpAddr>();
                is_at(port) && host.is_ok_and(|host| is_within(host, *ip, *bits))
            }
        }
    }
}

/// Whether the first `bits` of both addresses are the same.
fn is_within(host: IpAddr, network: IpAddr, bits: u32) -> bool {
    let (one, other, width) = match (host, network) {
        (IpAddr::V4(host), IpAddr::V4(network)) => {
            (host.to_bits().into(), network.to_bits().into(), u32::BITS)
        }
        (IpAddr::V6(host), IpAddr::V6(network)) => (host.to_bits(), network.to_bits(), u128::BITS),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return false,
    };
    let rest = width.saturating_sub(bits);
    let cut = |address: u128| address.checked_shr(rest).unwrap_or_default();
    cut(one) == cut(other)
}

fn is_this_machine(host: &str) -> bool {
    let name = host.trim_end_matches('.');
    match Host::parse(name) {
        Ok(Host::Ipv4(ip)) => ip.is_loopback(),
        Ok(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Ok(Host::Ipv6(_)) | Err(_) => name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()),
    }
}

fn unbracketed(text: &str) -> &str {
    let inner = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    inner.unwrap_or(text)
}

/// The bytes that `text` stands for. A `%` without two hexadecimal digits stands for itself.
fn percent_decoded(text: &str) -> Vec<u8> {
    let (mut decoded, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, behind @ ..] = rest {
        let digits = behind
            .get(..2)
            .and_then(|two| std::str::from_utf8(two).ok());
        let code = digits.and_then(|two| u8::from_str_radix(two, 16).ok());
        match code.filter(|_| *first == b'%') {
            Some(byte) => {
                decoded.push(byte);
                rest = &behind[2..];
            }
            None => {
                decoded.push(*first);
                rest = behind;
            }
        }
    }
    decoded
}

/// The bytes in base64 (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place > group.len() {
                '='
            } else {
                digit.into()
            });
        }
    }
    text
}

const WANTED: &str = "an HTTP proxy's URL, as in `http://user:password@proxy.example:3128`";

#[cfg(test)]
#[path = "proxy_tests.rs"]
mod tests;
