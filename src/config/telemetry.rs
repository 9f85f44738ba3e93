//! Where traces are told, and what the environment says of that in OpenTelemetry's variables.

use std::time::Duration;

use crate::base::limits::{LABEL_BYTES_MAX, RESOURCE_ATTRIBUTES_MAX};
use crate::base::secret::Secret;
use crate::config::decimal::Decimal;
use crate::config::options::Environment;
use crate::config::proxy::Proxy;
use crate::config::url::{self, BaseUrl};
use crate::decide::sampling::{Sampler, WHOLE};

/// Where and how traces are told by OTLP.
#[derive(Clone, PartialEq, Eq)]
pub struct Otlp {
    /// Where spans are posted, path included.
    pub endpoint: BaseUrl,
    /// What leads there.
    pub proxy: Option<Proxy>,
    /// Headers of each request, most of which carry a key.
    pub headers: Box<[(Box<str>, Secret)]>,
    /// Which traces are told.
    pub sampler: Sampler,
    /// What becomes of a caller's trace.
    pub parent: Parent,
    /// Whether bodies are compressed.
    pub gzip: bool,
    /// Longest wait for an answer of the collector.
    pub timeout: Duration,
    /// What is told of the process, by name.
    pub resource: Box<[(Box<str>, Box<str>)]>,
}

/// What becomes of a caller's trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parent {
    /// It goes on.
    Child,
    /// Another one begins, with a link to it.
    Link,
}

impl Parent {
    /// The words of the file.
    pub const WORDS: [(&'static str, Self); 2] = [("child", Self::Child), ("link", Self::Link)];
}

/// Reads the base URL of a collector; the path of traces is added where it is not there yet.
///
/// # Errors
///
/// What is wrong with the text, as the end of a sentence that starts with it.
pub fn endpoint(text: &str) -> Result<BaseUrl, String> {
    let base = parse(text)?;
    Ok(if base.path.ends_with(TRACES) {
        base
    } else {
        below(base)
    })
}

fn parse(text: &str) -> Result<BaseUrl, String> {
    let has_login = |url: ::url::Url| {
        !url.username().is_empty() || url.password().is_some_and(|p| !p.is_empty())
    };
    if ::url::Url::parse(text).is_ok_and(has_login) {
        return Err(String::from(
            "has a user name or password: they belong in a header, `Authorization`",
        ));
    }
    url::parse(text)
}

fn below(base: BaseUrl) -> BaseUrl {
    BaseUrl {
        path: [&*base.path, TRACES].concat().into(),
        ..base
    }
}

/// What OpenTelemetry's variables say. What cannot be used is as if it were not set.
#[derive(Default)]
pub struct Variables {
    /// Whether nothing is to be told.
    pub disabled: bool,
    /// Whether one of them says where spans are posted, even if it cannot be used.
    pub names_endpoint: bool,
    /// Where spans are posted.
    pub endpoint: Option<BaseUrl>,
    /// Headers of each request.
    pub headers: Box<[(Box<str>, Secret)]>,
    /// Which traces are told.
    pub sampler: Option<Sampler>,
    /// Whether bodies are compressed.
    pub gzip: Option<bool>,
    /// Longest wait for an answer of the collector.
    pub timeout: Option<Duration>,
    /// What is told of the process, by name.
    pub resource: Vec<(Box<str>, Box<str>)>,
    /// What is wrong with them, each a sentence.
    pub flaws: Vec<String>,
}

impl Variables {
    /// Those of `environment`.
    #[must_use]
    pub fn of(environment: &Environment<'_>) -> Self {
        let Environment::Lookup(lookup) = environment else {
            return Self::default();
        };
        let set = |name: &str| {
            let value = (lookup.variable)(name)?;
            let value = value.trim();
            (!value.is_empty()).then(|| value.to_owned())
        };
        let mut reading = Reading {
            set: &set,
            read: Self::default(),
        };
        reading.switches();
        reading.exporter();
        reading.sampler();
        reading.resource();
        reading.read
    }
}

struct Reading<'a> {
    set: &'a dyn Fn(&str) -> Option<String>,
    read: Variables,
}

impl Reading<'_> {
    /// The value of the variable for traces, else of that for all signals, and which one it is.
    fn of_traces(&self, rest: &str) -> Option<(String, String)> {
        let names = ["TRACES_", ""].map(|signal| format!("OTEL_EXPORTER_OTLP_{signal}{rest}"));
        names
            .into_iter()
            .find_map(|name| Some(((self.set)(&name)?, name)))
    }

    /// Notes what is wrong with a variable, without its value: that may be a secret.
    fn flaw(&mut self, name: &str, problem: &str) {
        self.read
            .flaws
            .push(format!("the value of {name} in the environment {problem}"));
    }

    fn switches(&mut self) {
        let disabled = (self.set)("OTEL_SDK_DISABLED");
        self.read.disabled = disabled.is_some_and(|text| text.eq_ignore_ascii_case("true"));
        match (self.set)("OTEL_TRACES_EXPORTER").as_deref() {
            None | Some("otlp") => {}
            Some("none") => self.read.disabled = true,
            Some(_) => self.flaw("OTEL_TRACES_EXPORTER", "is neither `otlp` nor `none`"),
        }
    }

    fn exporter(&mut self) {
        const OF_TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
        const OF_ALL: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
        let (of_traces, of_all) = ((self.set)(OF_TRACES), (self.set)(OF_ALL));
        self.read.names_endpoint = of_traces.is_some() || of_all.is_some();
        let (name, endpoint) = match (of_traces, of_all) {
            (Some(text), _) => (OF_TRACES, Some(parse(&text))),
            (None, Some(text)) => (OF_ALL, Some(parse(&text).map(below))),
            (None, None) => (OF_ALL, None),
        };
        match endpoint.transpose() {
            Ok(endpoint) => self.read.endpoint = endpoint,
            Err(problem) => self.flaw(name, &problem),
        }
        if let Some((text, name)) = self.of_traces("PROTOCOL")
            && text == "grpc"
        {
            self.flaw(
                &name,
                "is `grpc`: infermux sends JSON over HTTP, usually to port 4318",
            );
        }
        if let Some((text, name)) = self.of_traces("HEADERS") {
            match pairs(&text) {
                Some(pairs) if pairs.iter().all(|(key, value)| is_header(key, value)) => {
                    let secret = |(key, value): (Box<str>, Box<str>)| (key, Secret::new(value));
                    self.read.headers = pairs.into_iter().map(secret).collect();
                }
                Some(_) | None => self.flaw(&name, "is no list of headers"),
            }
        }
        match self.of_traces("COMPRESSION") {
            Some((text, _)) if text == "gzip" => self.read.gzip = Some(true),
            Some((text, _)) if text == "none" => self.read.gzip = Some(false),
            Some((_, name)) => self.flaw(&name, "is neither `gzip` nor `none`"),
            None => {}
        }
        if let Some((text, name)) = self.of_traces("TIMEOUT") {
            match text.parse::<u64>().map(Duration::from_millis) {
                Ok(span) if (TIMEOUT_MIN..=TIMEOUT_MAX).contains(&span) => {
                    self.read.timeout = Some(span);
                }
                Ok(_) | Err(_) => self.flaw(&name, "is not between 100 and 60000 milliseconds"),
            }
        }
    }

    fn sampler(&mut self) {
        const NAME: &str = "OTEL_TRACES_SAMPLER";
        let Some(text) = (self.set)(NAME) else { return };
        let (word, by_parent) = match text.strip_prefix("parentbased_") {
            Some(word) => (word, true),
            None => (&*text, false),
        };
        let billionths = match word {
            "always_on" => WHOLE,
            "always_off" => 0,
            "traceidratio" => self.ratio(),
            _ => return self.flaw(NAME, "is no sampler that infermux knows"),
        };
        let sampler = Sampler::ratio(billionths);
        self.read.sampler = Some(if by_parent {
            sampler.by_parent()
        } else {
            sampler
        });
    }

    /// The argument of a sampler; all where there is none.
    fn ratio(&mut self) -> u32 {
        const NAME: &str = "OTEL_TRACES_SAMPLER_ARG";
        let Some(text) = (self.set)(NAME) else {
            return WHOLE;
        };
        billionths(&text).unwrap_or_else(|_| {
            self.flaw(NAME, "is not between 0 and 1");
            WHOLE
        })
    }

    fn resource(&mut self) {
        const ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";
        const SERVICE: &str = "OTEL_SERVICE_NAME";
        let text = (self.set)(ATTRIBUTES).unwrap_or_default();
        match pairs(&text) {
            Some(pairs) if pairs.len() <= RESOURCE_ATTRIBUTES_MAX => self.read.resource = pairs,
            Some(_) => self.flaw(ATTRIBUTES, "has too many attributes"),
            None => self.flaw(ATTRIBUTES, "is no list of attributes"),
        }
        let Some(name) = (self.set)(SERVICE) else {
            return;
        };
        if name.len() > LABEL_BYTES_MAX {
            return self.flaw(SERVICE, "is too long");
        }
        let resource = &mut self.read.resource;
        resource.retain(|(key, _)| &**key != SERVICE_NAME);
        resource.push((SERVICE_NAME.into(), name.into()));
    }
}

/// Reads a share, in billionths.
///
/// # Errors
///
/// What is wrong with the text, as the end of a sentence that starts with it.
pub fn billionths(text: &str) -> Result<u32, String> {
    let number = Decimal::parse(text)?;
    if !number.within_thousandths(0, 1_000) {
        return Err(String::from("is not between 0 and 1"));
    }
    Ok(u32::try_from(number.nearest(9)).unwrap_or(WHOLE))
}

/// The pairs of a list like `a=b,c=d%20e`; `None`: it is none. Of a key that stands there twice the
/// last one counts.
fn pairs(text: &str) -> Option<Vec<(Box<str>, Box<str>)>> {
    let mut pairs: Vec<(Box<str>, Box<str>)> = Vec::new();
    for pair in text.split(',').map(str::trim) {
        if pair.is_empty() {
            continue;
        }
        let (key, value) = pair.split_once('=')?;
        let (key, value) = (decoded(key.trim())?, decoded(value.trim())?);
        let is_long = key.len() > LABEL_BYTES_MAX || value.len() > VALUE_BYTES_MAX;
        if key.is_empty() || is_long {
            return None;
        }
        pairs.retain(|(other, _)| **other != key);
        pairs.push((key.into(), value.into()));
    }
    Some(pairs)
}

/// The text behind percent-encoding.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        out.push(if byte == b'%' {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            let (high, low) = (digit(bytes.next()?)?, digit(bytes.next()?)?);
            u8::try_from(high << 4 | low).ok()?
        } else {
            byte
        });
    }
    String::from_utf8(out).ok()
}

/// Whether it may be sent as a header.
fn is_header(name: &str, value: &str) -> bool {
    let is_visible = |byte: u8| matches!(byte, b' '..=b'~');
    crate::wire::field::is_name(name.as_bytes())
        && flaw_of_header(name).is_none()
        && value.bytes().all(is_visible)
}

/// Why a header cannot be set, as the end of a sentence that starts with its name.
#[must_use]
pub fn flaw_of_header(name: &str) -> Option<&'static str> {
    let is_own = STATED.iter().any(|own| own.eq_ignore_ascii_case(name));
    let is_own = is_own || crate::wire::field::is_hop_by_hop(name.as_bytes());
    is_own.then_some("is stated by infermux")
}

/// Headers that infermux writes itself.
const STATED: [&str; 5] = [
    "host",
    "content-type",
    "content-length",
    "content-encoding",
    "expect",
];
/// Where a collector takes traces.
const TRACES: &str = "/v1/traces";
/// The attribute with the name of the service.
pub const SERVICE_NAME: &str = "service.name";
/// Bounds of the wait for a collector.
pub const TIMEOUT_MIN: Duration = Duration::from_millis(100);
/// Bounds of the wait for a collector.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(60);
/// Longest value of a header or an attribute.
const VALUE_BYTES_MAX: usize = 4_096;

#[cfg(test)]
#[path = "telemetry_tests.rs"]
mod tests;
