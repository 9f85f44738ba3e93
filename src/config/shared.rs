//! The store over which several instances share their limits and budgets.

use std::time::Duration;

use url::{Host, Url};

use crate::base::secret::Secret;
use crate::config::duration;

/// How the instances of one fleet share.
#[derive(Clone, PartialEq, Eq)]
pub struct Shared {
    /// The store's nodes, in the order in which they are tried; at least one.
    pub nodes: Box<[StoreNode]>,
    /// What the instances that share have in common.
    pub namespace: Box<str>,
    /// How often an instance that has something to say says it.
    pub sync: Duration,
    /// Longest wait of a request for quota.
    pub wait: Duration,
    /// How long what an instance holds stays its own once it is not heard of.
    pub member_ttl: Duration,
    /// What happens to limits per minute and to requests at once without the store.
    pub on_loss_of_limits: OnLoss,
    /// What happens to budgets and to limits per day without the store.
    pub on_loss_of_budgets: OnLoss,
    /// What TLS needs besides the URL.
    pub tls: StoreTls,
}

/// Where a node of the store answers, and how to log in.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreNode {
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// Host name or address, without brackets.
    pub host: Box<str>,
    /// Port.
    pub port: u16,
    /// The user's name.
    pub user: Option<Box<str>>,
    /// The password.
    pub password: Option<Secret>,
    /// The number of the database.
    pub database: u16,
}

/// What TLS needs besides the URL: paths of PEM files, and another name to verify.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreTls {
    /// Certificates that the store's is verified with, in place of the host's roots.
    pub ca_file: Option<Box<str>>,
    /// What is presented to the store: paths of the certificate and its key.
    pub own: Option<(Box<str>, Box<str>)>,
    /// The name that the store's certificate is verified for, in place of the URL's host.
    pub server_name: Option<Box<str>>,
}

/// What happens when the store is out of reach for longer than the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnLoss {
    /// The last share goes on.
    Share,
    /// Requests are refused.
    Closed,
    /// Requests go on, and are counted.
    Open,
}

impl Shared {
    /// What these settings mean, in a sentence: how long what is held, and how long the store may
    /// be away.
    #[must_use]
    pub fn told(&self) -> String {
        let span = |span: Duration| duration::text(Duration::from_secs(span.as_secs()));
        let (ttl, lease) = (span(self.member_ttl), span(self.member_ttl * 9 / 10));
        let (limits, budgets) = (
            self.on_loss_of_limits.name(),
            self.on_loss_of_budgets.name(),
        );
        format!(
            "limits and budgets hold over all instances of `{}`: what a dead one held is free \
             after {ttl} and the window; without the store, each goes on for {lease}, then rate \
             limits are on `{limits}` and budgets on `{budgets}`",
            self.namespace
        )
    }
}

impl OnLoss {
    /// Its word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Share => "share",
            Self::Closed => "closed",
            Self::Open => "open",
        }
    }

    /// The words of the file.
    pub const WORDS: [(&'static str, Self); 3] = [
        ("share", Self::Share),
        ("closed", Self::Closed),
        ("open", Self::Open),
    ];
}

/// Reads the URL of a node.
///
/// # Errors
///
/// What is wrong with it, as the end of a sentence that starts with "the value": the URL may hold a
/// password, so that nothing of it is repeated.
pub fn node(text: &str) -> Result<StoreNode, String> {
    const WANTED: &str = "is not a URL such as redis://host:6379/0 or rediss://host:6379/0";
    let url = Url::parse(text).map_err(|_| WANTED)?;
    let tls = match url.scheme() {
        "redis" => false,
        "rediss" => true,
        _ => return Err(WANTED.to_owned()),
    };
    let host = match url.host() {
        Some(Host::Domain(name)) if !name.is_empty() => name.to_owned(),
        Some(Host::Ipv4(ip)) => ip.to_string(),
        Some(Host::Ipv6(ip)) => ip.to_string(),
        Some(Host::Domain(_)) | None => return Err(WANTED.to_owned()),
    };
    if url.query().is_some() || url.fragment().is_some() {
        return Err(String::from(
            "has something behind the number of the database",
        ));
    }
    let port = url.port().unwrap_or(PORT);
    if port == 0 {
        return Err(String::from("has port 0, which cannot be connected to"));
    }
    let database = url.path().trim_start_matches('/');
    let database = match database {
        "" => 0,
        number => number
            .parse()
            .map_err(|_| "has a path that is not the number of a database")?,
    };
    let decoded = |text: &str| {
        decoded(text).ok_or("has a user name or password with `%` that is no escape of a text")
    };
    let password = url.password().map(decoded).transpose()?;
    let user = Some(url.username()).filter(|user| !user.is_empty());
    let user = user.map(decoded).transpose()?;
    if user.is_some() && password.is_none() {
        return Err(String::from(
            "has a user name without a password: `user:password@`, or `:password@` alone",
        ));
    }
    Ok(StoreNode {
        tls,
        host: host.into(),
        port,
        user: user.map(Into::into),
        password: password.map(Secret::new),
        database,
    })
}

/// The text behind percent-encoding.
fn decoded(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte == b'%' {
            let digits = text.get(at + 1..at + 3)?;
            out.push(u8::from_str_radix(digits, 16).ok()?);
            at += 3;
        } else {
            out.push(byte);
            at += 1;
        }
    }
    String::from_utf8(out).ok()
}

/// What is wrong with a namespace, as the end of a sentence that starts with it.
#[must_use]
pub fn namespace_flaw(text: &str) -> Option<&'static str> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/');
    if text.len() > NAMESPACE_BYTES_MAX {
        return Some("is longer than 64 bytes");
    }
    (!text.bytes().all(fits)).then_some("may have letters, digits, `-`, `_`, `.` and `/` only")
}

/// The port where the URL names none.
const PORT: u16 = 6_379;
/// Longest namespace: it is part of every key in the store.
const NAMESPACE_BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_nodes() {
        for (text, expected) in [
            ("redis://h", "h:6379/0"),
            ("rediss://u:p%40%2F@h.test:7/3", "tls h.test:7/3 u p@/"),
            ("redis://:pw@[::1]:1", "::1:1/0 pw"),
            ("redis://10.0.0.1/", "10.0.0.1:6379/0"),
        ] {
            let node = node(text).unwrap();
            let StoreNode {
                host,
                port,
                database,
                ..
            } = &node;
            let tls = if node.tls { "tls " } else { "" };
            let mut shown = format!("{tls}{host}:{port}/{database}");
            for part in [
                node.user.as_deref(),
                node.password.as_ref().map(Secret::expose),
            ] {
                shown.extend(part.into_iter().flat_map(|part| [" ", part]));
            }
            assert_eq!(shown, expected);
        }
    }

    #[test]
    fn says_what_it_cannot_use_and_no_password() {
        for (text, problem) in [
            ("localhost:6379", "is not a URL such as"),
            ("http://h", "is not a URL such as"),
            ("redis://", "is not a URL such as"),
            ("redis://h/x", "has a path that is not the number"),
            ("redis://h/70000", "has a path that is not the number"),
            ("redis://h:0", "has port 0"),
            ("redis://h/0?a=b", "has something behind"),
            ("redis://user@h", "has a user name without a password"),
            ("redis://u:hunter%ff2@h", "has a user name or password with"),
        ] {
            let found = node(text).err().unwrap();
            assert!(found.starts_with(problem), "{text}: {found}");
            assert!(!found.contains("hunter"));
        }
    }

    #[test]
    fn the_bounds_are_told_in_words() {
        let shared = Shared {
            nodes: Box::default(),
            namespace: "prod".into(),
            sync: Duration::ZERO,
            wait: Duration::ZERO,
            member_ttl: Duration::from_secs(120),
            on_loss_of_limits: OnLoss::Share,
            on_loss_of_budgets: OnLoss::Closed,
            tls: StoreTls::default(),
        };
        let told = shared.told();
        assert!(told.contains("free after 2m and the window"), "{told}");
        assert!(
            told.contains("goes on for 108s, then rate limits are on `share`"),
            "{told}"
        );
    }

    #[test]
    fn a_namespace_is_part_of_keys() {
        assert_eq!(namespace_flaw("prod/eu-1_a.b"), None);
        assert!(namespace_flaw("a{b}").is_some() && namespace_flaw(&"n".repeat(65)).is_some());
    }
}
