//! Flags to a checked plan of the run.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::kind::Kind;
use crate::request::{self, BodySource, Form, Request};
use crate::target::Target;
use crate::tls::Trust;

/// Measures how many requests per second a server answers, and how long each takes.
///
/// Closed loop by default: each connection sends its next request when it has its answer. With
/// --rate, requests are sent at fixed times whatever the server does, and a latency counts from the
/// moment its request was due, so that a stalled server cannot hide its stalls.
#[derive(Parser)]
#[command(name = "infermux-load", version)]
pub(crate) struct Args {
    /// Where to send requests, as http://host:port/path or https://…
    #[arg(long, value_parser = Target::parse)]
    url: Target,
    /// Connections kept open, over all threads
    #[arg(short, long, default_value_t = 16)]
    connections: u32,
    /// Threads that drive them
    #[arg(short, long, default_value_t = 1)]
    threads: u32,
    /// How long to measure, such as 500ms, 10s or 2m [default: 10s]
    #[arg(short, long, value_parser = duration, conflicts_with = "requests")]
    duration: Option<Duration>,
    /// Stop after this many requests instead of after a time
    #[arg(short = 'n', long, value_parser = clap::value_parser!(u64).range(1..))]
    requests: Option<u64>,
    /// How long to send before measuring
    #[arg(long, value_parser = duration, default_value = "0s")]
    warmup: Duration,
    /// How long one request may take before it counts as an error
    #[arg(long, value_parser = duration, default_value = "30s")]
    timeout: Duration,
    /// Requests per second, over all threads, sent at fixed times (open loop)
    #[arg(long, value_parser = rate)]
    rate: Option<f64>,
    /// The request's method
    #[arg(long, value_enum, default_value = "post")]
    method: Method,
    /// File that holds the request body
    #[arg(long, value_name = "FILE", group = "source")]
    body: Option<PathBuf>,
    /// The request body itself
    #[arg(long, value_name = "JSON", group = "source")]
    body_json: Option<String>,
    /// File with a request body in which each {{ number }} becomes the request's number, as in
    /// headers and the model's name
    #[arg(long, value_name = "FILE", group = "source")]
    template: Option<PathBuf>,
    /// Numbers of a template start over after this many requests
    #[arg(long, value_name = "N", requires = "template")]
    cycle: Option<NonZeroU64>,
    /// Send a request of exactly this many bytes: of Responses to a path that ends with
    /// /responses, else one that chat completions and Messages take [default: 229]
    #[arg(long, value_name = "N", group = "source")]
    body_bytes: Option<usize>,
    /// The model to ask for [default: gpt-4o, or what the given body says]
    #[arg(long)]
    model: Option<String>,
    /// Another request header, 'Name: value'; repeatable
    #[arg(long = "header", short = 'H', value_name = "HEADER", value_parser = request::header)]
    headers: Vec<(String, String)>,
    /// Ask for a stream, and measure its first byte, first content and the gaps between events
    #[arg(long)]
    stream: bool,
    /// Also measure how late each event is, by the time that infermux-mock stamps it with
    #[arg(long, requires = "stream")]
    delays: bool,
    /// PEM file with the authorities to trust instead of the machine's
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    ca: Option<PathBuf>,
    /// Take any certificate
    #[arg(long)]
    insecure: bool,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
    /// Also write a report with plots, one self-contained page
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Cores to pin the threads to, in order, such as 2-5,8
    #[arg(long, value_name = "LIST", value_parser = cores)]
    pin: Option<Cores>,
}

/// A list of core numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cores(pub(crate) Vec<usize>);

/// The methods that can be sent; a GET has no body.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Method {
    /// Without a body.
    Get,
    /// With a body.
    Post,
}

/// How long a run goes on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Extent {
    /// For this long after the warm-up.
    Time(Duration),
    /// Until so many requests have ended after the warm-up.
    Requests(u64),
}

/// How the result is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// A table for people.
    Text,
    /// One object for programs.
    Json,
}

/// Everything a run needs, checked.
pub(crate) struct Plan {
    /// Where to.
    pub(crate) target: Target,
    /// What is sent.
    pub(crate) request: Request,
    /// Which certificates are accepted.
    pub(crate) trust: Trust,
    /// Connections over all threads.
    pub(crate) connections: u32,
    /// Threads, at most one per connection.
    pub(crate) threads: u32,
    /// How long.
    pub(crate) extent: Extent,
    /// Time before measuring.
    pub(crate) warmup: Duration,
    /// The most one request may take.
    pub(crate) timeout: Duration,
    /// Requests per second over all threads, in an open loop.
    pub(crate) rate: Option<f64>,
    /// What the answers are expected to be.
    pub(crate) kind: Kind,
    /// How to print.
    pub(crate) format: Format,
    /// Where the page with the plots goes.
    pub(crate) html: Option<PathBuf>,
    /// Cores to pin to.
    pub(crate) pin: Option<Cores>,
}

impl Args {
    /// Checks what the flags say together and builds the request.
    ///
    /// # Errors
    ///
    /// A sentence for the user when a value cannot be used.
    pub(crate) fn plan(self) -> Result<Plan, String> {
        if self.connections == 0 || self.threads == 0 {
            return Err("connections and threads must be at least 1".to_owned());
        }
        let kind = match (self.stream, self.delays) {
            (false, _) => Kind::Plain,
            (true, false) => Kind::Stream,
            (true, true) => Kind::StampedStream,
        };
        let body = match self.method {
            Method::Get => None,
            Method::Post => Some(self.body(kind)?),
        };
        let extent = match self.requests {
            Some(count) => Extent::Requests(count),
            None => Extent::Time(self.duration.unwrap_or(Duration::from_secs(10))),
        };
        let bytes = request::bytes(&self.url, body.as_deref(), &self.headers);
        let trust = match (self.ca, self.insecure) {
            (Some(path), _) => Trust::File(path),
            (None, true) => Trust::Anybody,
            (None, false) => Trust::Machine,
        };
        Ok(Plan {
            request: match self.template {
                Some(_) => Request::template(bytes, self.cycle.map(NonZeroU64::get)),
                None => Request::fixed(bytes),
            },
            trust,
            target: self.url,
            connections: self.connections,
            threads: self.threads.min(self.connections),
            extent,
            warmup: self.warmup,
            timeout: self.timeout,
            rate: self.rate,
            kind,
            format: if self.json {
                Format::Json
            } else {
                Format::Text
            },
            html: self.html,
            pin: self.pin,
        })
    }

    fn body(&self, kind: Kind) -> Result<Vec<u8>, String> {
        let read = |path: &PathBuf| {
            std::fs::read(path).map_err(|e| format!("cannot read {}: {e}", path.display()))
        };
        let source = match (&self.body, &self.template, &self.body_json) {
            (Some(path), _, _) => BodySource::Given(read(path)?),
            (None, Some(path), _) => BodySource::Template(read(path)?),
            (None, None, Some(text)) => BodySource::Given(text.clone().into_bytes()),
            (None, None, None) => BodySource::Prompt {
                size: self.body_bytes.unwrap_or(229),
                form: Form::of(&self.url),
            },
        };
        source.build(self.model.as_deref(), kind)
    }
}

/// Reads `500ms`, `10s`, `5m` or `1h`; a bare number is seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "ms" => 0.001,
        "s" | "" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        _ => return Err(format!("unknown unit {unit:?}: use ms, s, m or h")),
    };
    let number: f64 = number.parse().map_err(|_| "not a number".to_owned())?;
    Duration::try_from_secs_f64(number * factor).map_err(|e| e.to_string())
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.001..=100_000_000.0).contains(&rate) {
        return Ok(rate);
    }
    Err("a rate is between 0.001 and 100,000,000 requests per second".to_owned())
}

/// Reads `2-5,8`.
fn cores(text: &str) -> Result<Cores, String> {
    let mut list = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |s: &str| {
            s.trim()
                .parse::<u16>()
                .map_err(|_| format!("{part:?} is no core"))
        };
        let (first, last) = (number(first)?, number(last)?);
        if first > last {
            return Err(format!("{part:?} runs backwards"));
        }
        list.extend((first..=last).map(usize::from));
    }
    Ok(Cores(list))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_durations() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1_500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("7"), Ok(Duration::from_secs(7)));
        for wrong in ["", "s", "10x", "-1s", "1.2.3s"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn reads_core_lists() {
        assert_eq!(cores("2-4,8"), Ok(Cores(vec![2, 3, 4, 8])));
        for wrong in ["", "a", "4-2", "1,,2"] {
            assert!(cores(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn one_body_source_at_a_time() {
        let line = [
            "x",
            "--url",
            "http://h/",
            "--body-json",
            "{}",
            "--body-bytes",
            "300",
        ];
        assert!(Args::try_parse_from(line).is_err());
        let line = ["x", "--url", "http://h/", "-n", "5", "-d", "5s"];
        assert!(Args::try_parse_from(line).is_err());
        assert!(Args::try_parse_from(["x", "--url", "ftp://h/"]).is_err());
        assert!(Args::try_parse_from(["x", "--url", "http://h/", "--delays"]).is_err());
    }
}
