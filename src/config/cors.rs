//! Origins of web pages, as a file may name them: `https://app.example`, `http://localhost:3000`,
//! `*`.

use std::time::Duration;

use crate::wire::field;

/// Which web pages of other origins may call from a browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    /// Their origins.
    pub origins: Origins,
    /// How long a browser may ask without a preflight once it has made one.
    pub max_age: Duration,
}

/// The origins whose pages may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// All origins.
    Any,
    /// These origins, as browsers write them.
    Listed(Box<[Box<str>]>),
}

/// An origin as browsers write it: in lower case, and without the port that its scheme implies.
/// `*` stays as it is.
///
/// # Errors
///
/// What is wrong with the text, as the end of a sentence that starts with it.
pub fn origin(text: &str) -> Result<Box<str>, String> {
    match text {
        "*" => return Ok(text.into()),
        "null" => {
            return Err(String::from(
                "is what every sandboxed page says of itself: name an origin",
            ));
        }
        _ if text.contains('*') => {
            return Err(String::from(
                "has a `*` within: write whole origins, or `*` alone",
            ));
        }
        _ => {}
    }
    let lower = text.to_ascii_lowercase();
    let Some((scheme, rest)) = lower.split_once("://").filter(|(it, _)| is_scheme(it)) else {
        return Err(String::from(
            "is no origin, write it as `https://app.example`",
        ));
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (host, user) = host
        .rsplit_once('@')
        .map_or((host, None), |(user, host)| (host, Some(user)));
    let (name, port) = split_port(host);
    if name.is_empty() || !field::is_host(host.as_bytes()) || host.ends_with(':') {
        return Err(String::from(
            "has no host as browsers write it, such as `app.example` or `localhost:3000`",
        ));
    }
    if user.is_some() || host.len() < rest.len() {
        return Err(format!(
            "is more than scheme, host and port, write `{scheme}://{host}`"
        ));
    }
    match port.map(str::parse::<u16>) {
        Some(Err(_)) => Err(String::from("has no port from 0 to 65535")),
        Some(Ok(80)) if scheme == "http" => Ok(format!("{scheme}://{name}").into()),
        Some(Ok(443)) if scheme == "https" => Ok(format!("{scheme}://{name}").into()),
        Some(Ok(port)) => Ok(format!("{scheme}://{name}:{port}").into()),
        None => Ok(lower.into()),
    }
}

fn is_scheme(text: &str) -> bool {
    let is_of_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    text.starts_with(|first: char| first.is_ascii_alphabetic()) && text.bytes().all(is_of_scheme)
}

/// A host and its port; the colons of an address in brackets separate no port.
fn split_port(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, Some(port)),
        Some(_) | None => (host, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_kept_as_browsers_write_it() {
        for (text, written) in [
            ("https://app.example", "https://app.example"),
            ("HTTPS://App.Example", "https://app.example"),
            ("https://app.example:443", "https://app.example"),
            ("http://app.example:80", "http://app.example"),
            ("http://app.example:443", "http://app.example:443"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("http://127.0.0.1:03000", "http://127.0.0.1:3000"),
            ("http://[::1]:3000", "http://[::1]:3000"),
            ("http://[::1]", "http://[::1]"),
            (
                "https://xn--bcher-kva.example",
                "https://xn--bcher-kva.example",
            ),
            ("chrome-extension://abcdef", "chrome-extension://abcdef"),
            ("*", "*"),
        ] {
            assert_eq!(origin(text).as_deref(), Ok(written), "{text}");
        }
    }

    #[test]
    fn what_no_browser_writes_is_told() {
        let no_host = "has no host as browsers write it, such as `app.example` or `localhost:3000`";
        let no_origin = "is no origin, write it as `https://app.example`";
        let more = "is more than scheme, host and port, write `https://app.example`";
        for (text, problem) in [
            ("app.example", no_origin),
            ("localhost:3000", no_origin),
            ("//app.example", no_origin),
            ("1s://app.example", no_origin),
            ("https://", no_host),
            ("https:///path", no_host),
            ("https://:443", no_host),
            ("http://:3000", no_host),
            ("https://app.example:", no_host),
            ("https://bücher.example", no_host),
            ("https://app example", no_host),
            ("https://app.example/", more),
            ("https://app.example/chat?x#y", more),
            ("https://me:secret@app.example", more),
            ("https://app.example:65536", "has no port from 0 to 65535"),
            (
                "https://*.example",
                "has a `*` within: write whole origins, or `*` alone",
            ),
            (
                "null",
                "is what every sandboxed page says of itself: name an origin",
            ),
        ] {
            assert_eq!(origin(text).unwrap_err(), problem, "{text}");
        }
    }
}
