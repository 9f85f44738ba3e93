//! Asks one provider what its health check would ask, and for its list of models; and says in plain
//! words what stands in the way.

use std::io::{self, ErrorKind};
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde::Serialize;

use crate::base::endpoint::Dialect;
use crate::base::limits::{LIST_BYTES_MAX, LIST_PAGES_MAX};
use crate::base::time::Instant;
use crate::cli::certificates;
use crate::cli::dial;
use crate::config::duration;
use crate::config::plan::Provider;
use crate::decide::outcome::TlsFault;
use crate::dialect::messages::read_models;
use crate::exchange::checkup::{self, Finding};
use crate::exchange::model_list::ModelList;
use crate::exchange::outbound::{self, Prefixes};
use crate::shard::http::tunnel;
use crate::shard::net::tls;
use crate::sys::clock;
use crate::sys::http::{self, Answer, Bounds, NoAnswer, Peer};

/// What was found at a provider.
#[derive(Debug, Serialize)]
pub struct Found {
    /// Its name.
    pub provider: String,
    /// The URL that was asked.
    pub url: String,
    /// What its answer says.
    pub health: Health,
    /// Why it is not well, or what its answer leaves open.
    pub why: Option<String>,
    /// Until its answer was there.
    pub latency_ms: u64,
    /// How many models it lists; `None`: it lists none that can be read.
    pub models: Option<usize>,
    /// Models that the file names and the list does not.
    pub missing: Vec<String>,
}

/// What an answer says of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Endpoint and key are good.
    Well,
    /// It answers, and not well.
    Refused,
    /// It does not answer.
    Unreachable,
}

/// Asks `provider` within the time of its health check.
#[must_use]
pub fn ask(provider: &Provider, tls: &Arc<ClientConfig>) -> Found {
    let until = clock::now() + provider.health_check.timeout;
    let door = Door {
        provider,
        tls,
        until,
        prefixes: Prefixes::new(provider),
    };
    let begun = clock::now();
    let answer = door.get(&checkup::target(provider));
    let mut found = Found {
        provider: provider.name.to_string(),
        url: checkup::url(provider),
        health: Health::Well,
        why: None,
        latency_ms: u64::try_from(clock::now().since(begun).as_millis()).unwrap_or(u64::MAX),
        models: None,
        missing: Vec::new(),
    };
    let answer = match answer {
        Ok(answer) => answer,
        Err(why) => {
            (found.health, found.why) = (Health::Unreachable, Some(why));
            return found;
        }
    };
    match checkup::judge(provider, answer.status) {
        Finding::Well if (200..300).contains(&answer.status) => {
            let own = provider.health_check.path.is_none().then_some(answer);
            door.models(own, &mut found);
        }
        Finding::Well => {
            let status = answer.status;
            let why = format!("status {status}: it answers; the keys of callers decide");
            found.why = Some(why);
        }
        Finding::Unsaid(why) | Finding::Ill(why) => {
            found.health = Health::Refused;
            found.why = Some(with_advice(why, answer.status));
        }
    }
    found
}

/// What can be done about a status.
fn with_advice(why: String, status: u16) -> String {
    match status {
        401 | 403 => format!("{why}; does api_key belong to this provider, and is it still valid?"),
        402 => format!("{why}; has the account any credit?"),
        _ => why,
    }
}

/// The way to a provider.
struct Door<'a> {
    provider: &'a Provider,
    tls: &'a Arc<ClientConfig>,
    until: Instant,
    prefixes: Prefixes,
}

impl Door<'_> {
    /// Its answer to a request for `target`, with its key, on the way that the file says.
    ///
    /// # Errors
    ///
    /// There is none; a sentence that says why, and what to do.
    fn get(&self, target: &str) -> Result<Answer, String> {
        let provider = self.provider;
        let addresses = dial::look_up(provider.first_stop(), self.until)
            .map_err(|fault| not_found(provider, &fault))?;
        let tunnel = provider.tunnel();
        let tunnel = tunnel.map(|proxy| tunnel::request(proxy, &provider.base));
        let peer = Peer {
            addresses: &addresses,
            tunnel: tunnel.as_deref(),
            tls: self.tls()?,
        };
        let bounds = Bounds {
            until: self.until,
            body_bytes_max: LIST_BYTES_MAX,
        };
        let mut request = Vec::new();
        self.prefixes.write_own(provider, target, &mut request);
        let answer = http::exchange(peer, &request, bounds);
        answer.map_err(|fault| no_answer(provider, &fault))
    }

    /// Whom to trust there, and the name that its certificate must be for.
    fn tls(&self) -> Result<Option<(Arc<ClientConfig>, ServerName<'static>)>, String> {
        if !self.provider.base.tls {
            return Ok(None);
        }
        let own = certificates::of_provider(self.provider);
        let own = own.map_err(|fault| format!("its TLS files cannot be used: {fault}"))?;
        let name = self.provider.server_name();
        let verified = ServerName::try_from(name.to_owned());
        let verified = verified.map_err(|fault| format!("{name}: {fault}"))?;
        Ok(Some((
            own.unwrap_or_else(|| Arc::clone(self.tls)),
            verified,
        )))
    }

    /// Reads its list of models, whose first page may be there already, and looks for the models of
    /// the file in it.
    fn models(&self, first: Option<Answer>, found: &mut Found) {
        let list = match self.list(first) {
            Ok(list) => list,
            Err(why) => {
                found.why = Some(format!("its list of models cannot be read: {why}"));
                return;
            }
        };
        found.models = Some(list.len());
        // Azure lists what can be deployed, not what is.
        if self.provider.vendor.name != "azure_openai" && !list.is_empty() {
            found.missing = missing(self.provider, &list);
        }
    }

    fn list(&self, mut first: Option<Answer>) -> Result<ModelList, String> {
        let (provider, mut pages) = (self.provider, Vec::new());
        let dialect = provider.vendor.dialect;
        let target = outbound::list_target(provider);
        let mut wanted = target.clone();
        loop {
            let answer = match first.take() {
                Some(answer) => answer,
                None => self.get(&wanted)?,
            };
            if !(200..300).contains(&answer.status) {
                return Err(format!("status {}", answer.status));
            }
            let next = match dialect {
                Dialect::Messages => read_models::next_page(&answer.body),
                Dialect::Chat | Dialect::Responses => None,
            };
            pages.push(answer.body);
            match next.filter(|_| pages.len() < LIST_PAGES_MAX) {
                Some(next) => wanted = format!("{target}{next}"),
                None => break,
            }
        }
        let list = ModelList::read(dialect, &provider.name, &pages);
        list.ok_or_else(|| String::from("it is none in a known form"))
    }
}

/// The models that the file names for `provider` and that `list` does not have.
fn missing(provider: &Provider, list: &ModelList) -> Vec<String> {
    let is_listed = |name: &str| {
        list.models().any(|(listed, _)| {
            // Gemini lists `models/NAME`, Ollama `NAME:latest`.
            let listed = listed.strip_prefix("models/").unwrap_or(listed);
            listed == name || listed.strip_suffix(":latest") == Some(name)
        })
    };
    let is_alias = |name: &str| {
        let mut aliases = provider.model_aliases.iter();
        aliases.any(|(from, _)| **from == *name)
    };
    let targets = provider.model_aliases.iter().map(|(_, to)| &**to);
    let own = provider.names().chain(targets);
    let mut missing: Vec<String> = Vec::new();
    for name in own.filter(|name| !is_alias(name) && !is_listed(name)) {
        if !missing.iter().any(|other| other == name) {
            missing.push(name.to_owned());
        }
    }
    missing
}

/// Why the host that is connected to has no address.
fn not_found(provider: &Provider, fault: &io::Error) -> String {
    let (host, _) = provider.first_stop();
    let what = if provider.proxy.is_some() {
        "proxy"
    } else {
        "base_url"
    };
    match fault.kind() {
        ErrorKind::TimedOut => {
            let patience = duration::text(provider.health_check.timeout);
            format!("the name {host} is not found in {patience}")
        }
        _ => format!(
            "the name {host} is not found: is {what} right, and does this machine reach a name \
             server? ({fault})"
        ),
    }
}

/// Why there is no answer.
fn no_answer(provider: &Provider, fault: &NoAnswer) -> String {
    let (base, (host, port)) = (&provider.base, provider.first_stop());
    let place = match provider.proxy {
        Some(_) => format!("{host}:{port}, its proxy"),
        None => base.authority.to_string(),
    };
    match fault {
        NoAnswer::Connect(fault) if fault.kind() == ErrorKind::ConnectionRefused => {
            format!("nothing accepts connections at {place}: does it run, and is the port right?")
        }
        NoAnswer::Connect(fault) | NoAnswer::Broken(fault) => match tls_fault(fault) {
            Some(why) => why,
            None if base.tls => format!("the connection to {place} broke: {fault}"),
            None => format!("the connection to {place} broke: {fault}; is it https?"),
        },
        NoAnswer::TimedOut => format!(
            "no answer in {}: does a firewall drop what goes there? `health_check.timeout` gives \
             it more time",
            duration::text(provider.health_check.timeout)
        ),
        NoAnswer::NotHttp if base.tls => format!("what answers at {place} does not speak HTTP"),
        NoAnswer::NotHttp => format!("what answers at {place} does not speak HTTP; is it https?"),
        NoAnswer::CutShort => format!("{place} closes the connection without a whole answer"),
        NoAnswer::TooLarge(_) => fault.to_string(),
        NoAnswer::NoTunnel(407) => {
            format!("{place}, wants other credentials (407): are those of `proxy` right?")
        }
        NoAnswer::NoTunnel(status) => {
            format!(
                "{place}, does not lead to {}: it answers {status}",
                base.authority
            )
        }
    }
}

/// What is wrong with a TLS handshake, where that is what has failed.
fn tls_fault(fault: &io::Error) -> Option<String> {
    let inner = fault.get_ref()?.downcast_ref::<rustls::Error>()?;
    Some(match (tls::what_failed(fault), inner) {
        (_, rustls::Error::InvalidMessage(_)) => {
            String::from("what answers there does not speak TLS: is it http, not https?")
        }
        (TlsFault::Other, other) => format!("the TLS handshake failed: {other}"),
        (known, _) => format!("it {known}"),
    })
}
