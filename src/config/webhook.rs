//! Who is told at once when something is wrong: a webhook.

use std::net::IpAddr;

use ::url::Url;

use crate::base::notice::Event;
use crate::base::reach;
use crate::base::secret::Secret;
use crate::config::proxy::Proxy;
use crate::config::url::{self, BaseUrl};

/// A webhook of the file.
#[derive(PartialEq, Eq)]
pub struct Webhook {
    /// Where it answers; path and query are empty, since they may be secrets.
    pub base: BaseUrl,
    /// What is asked for there: path and query.
    pub target: Secret,
    /// What notices are signed with; `None`: they are not.
    pub secret: Option<Secret>,
    /// What it is told.
    pub events: Box<[Event]>,
    /// How notices look.
    pub format: Format,
    /// The proxy that leads there.
    pub proxy: Option<Proxy>,
}

/// How a notice looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// An object for programs.
    Json,
    /// A message of Slack.
    Slack,
}

impl Format {
    /// The words of the file.
    pub const WORDS: [(&'static str, Self); 2] = [("json", Self::Json), ("slack", Self::Slack)];
}

impl Webhook {
    /// What logs and reports call it: its host, and its port where that is not the usual one.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.base.authority
    }

    /// Whether both have the same URL.
    #[must_use]
    pub fn is_at(&self, other: &Self) -> bool {
        self.base == other.base && self.target == other.target
    }

    /// Whether it is told of `event`.
    #[must_use]
    pub fn wants(&self, event: Event) -> bool {
        event == Event::Test || self.events.contains(&event)
    }

    /// Whether it may be connected to at `ip`, one of the addresses of its host: a name of the
    /// public internet must not lead to a network that only infermux reaches, whoever has changed
    /// what the name stands for, and no name to an address of the link.
    #[must_use]
    pub fn may_be_at(&self, ip: IpAddr) -> bool {
        if self.base.host.parse::<IpAddr>().is_ok() {
            return true;
        }
        if url::is_own_host(&self.base) {
            return !reach::tells_credentials(ip);
        }
        reach::is_public(ip)
    }

    /// The host that is connected to, and its port: the proxy's, where one leads there.
    #[must_use]
    pub fn first_stop(&self) -> (&str, u16) {
        match &self.proxy {
            Some(proxy) => (&proxy.host, proxy.port),
            None => (&self.base.host, self.base.port),
        }
    }
}

/// Reads the URL of a webhook: where it answers, and what is asked for there.
///
/// # Errors
///
/// What is wrong with it, as the end of a sentence that starts with "the value": the URL is a
/// secret, so that nothing of it is repeated.
pub fn place(text: &str) -> Result<(BaseUrl, Secret), String> {
    let named = |problem: String| {
        if problem.starts_with("has a user name") {
            return String::from("has a user name or password, which webhooks do not have");
        }
        problem
    };
    let base = url::parse(text).map_err(named)?;
    let url = Url::parse(text).map_err(|problem| format!("is not a URL ({problem})"))?;
    let query = url
        .query()
        .map_or_else(String::new, |query| format!("?{query}"));
    let target = Secret::new(format!("{}{query}", url.path()));
    let base = BaseUrl {
        path: Box::default(),
        query: Box::default(),
        ..base
    };
    Ok((base, target))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn webhook(url: &str) -> Webhook {
        let (base, target) = place(url).ok().unwrap();
        Webhook {
            base,
            target,
            secret: None,
            events: [Event::Budget].into(),
            format: Format::Json,
            proxy: None,
        }
    }

    #[test]
    fn the_target_is_what_the_file_says() {
        for (url, authority, target) in [
            ("https://hooks.example/T0/B0/x", "hooks.example", "/T0/B0/x"),
            ("https://h.example:8443/a/?k=v", "h.example:8443", "/a/?k=v"),
            ("http://10.0.0.1", "10.0.0.1", "/"),
        ] {
            let webhook = webhook(url);
            assert_eq!(webhook.place(), authority);
            assert_eq!(webhook.target.expose(), target);
        }
        for (url, problem) in [
            ("hooks.example/hunter2", "is not a URL that starts"),
            (
                "https://me:hunter2@h.example/",
                "has a user name or password, which",
            ),
            ("https://h.example/hunter2#x", "has a fragment"),
        ] {
            let found = place(url).err().unwrap();
            assert!(
                found.starts_with(problem) && !found.contains("hunter2"),
                "{found}"
            );
        }
    }

    #[test]
    fn a_public_name_leads_to_public_addresses_only() {
        let may = |url: &str, ip: &str| webhook(url).may_be_at(ip.parse().unwrap());
        assert!(may("https://hooks.example/", "8.8.8.8"));
        let of_clouds = [
            "169.254.169.254",
            "fe80::1",
            "::ffff:169.254.169.254",
            "fd00:ec2::254",
        ];
        for cloud in of_clouds {
            for name in [
                "https://hooks.example/",
                "http://pager/",
                "http://pager.internal/",
            ] {
                assert!(!may(name, cloud), "{name} {cloud}");
            }
        }
        assert!(may("http://169.254.169.254/", "169.254.169.254"));
        for inside in ["127.0.0.1", "10.0.0.1", "::1", "fd00::1"] {
            assert!(!may("https://hooks.example/", inside), "{inside}");
            assert!(may("http://pager/", inside), "{inside}");
            assert!(may("http://pager.internal/", inside), "{inside}");
            assert!(may("http://localhost:1/", inside), "{inside}");
        }
        assert!(may("http://10.0.0.1/", "10.0.0.1") && may("http://[fd00::1]/", "fd00::1"));
    }

    #[test]
    fn everybody_may_be_tried() {
        let webhook = webhook("http://h/");
        let wants = [Event::Budget, Event::Circuit, Event::Test].map(|event| webhook.wants(event));
        assert_eq!(wants, [true, false, true]);
    }
}
