//! The one line that every request leaves in the log.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use crate::base::money::NanoUsd;
use crate::base::time::WallTime;
use crate::base::tokens::Tokens;
use crate::base::trace::TraceId;
use crate::decide::strategy::Strategy;
use crate::report::line::{Level, Lines};

/// What the line says about a request. A field that is `None` is left out.
#[derive(Clone, Copy, Debug)]
pub struct Access<'a> {
    /// The request's id, of visible ASCII.
    pub request_id: &'a [u8],
    /// The line's severity; an error of infermux is more severe than one of the caller.
    pub level: Level,
    /// The caller's address.
    pub address: Option<IpAddr>,
    /// The method.
    pub method: Option<&'a str>,
    /// The path, without the query.
    pub path: Option<&'a str>,
    /// The endpoint's name.
    pub endpoint: Option<&'static str>,
    /// The dialect that the caller speaks, at an endpoint that dialects have.
    pub dialect: Option<&'static str>,
    /// How a request for a response reached the provider: `native` or `bridge`.
    pub responses: Option<&'static str>,
    /// Whether a stream was asked for, where the body was read that far.
    pub stream: Option<bool>,
    /// The name of the caller's key.
    pub key: Option<&'a str>,
    /// The team of that key.
    pub team: Option<&'a str>,
    /// The caller.
    pub caller: Option<&'a str>,
    /// The project.
    pub project: Option<&'a str>,
    /// The environment.
    pub env: Option<&'a str>,
    /// The provider that served it, or failed last.
    pub provider: Option<&'a str>,
    /// The model that the caller asked for.
    pub model: Option<&'a str>,
    /// How the provider was chosen.
    pub strategy: Option<Strategy>,
    /// The matching group.
    pub group: Option<&'a str>,
    /// The status that the caller got; 499 for a caller that left.
    pub status: u16,
    /// Providers tried.
    pub attempts: u32,
    /// From the request's first byte to the answer's last.
    pub latency: Duration,
    /// From the request's first byte to the answer's first.
    pub first_byte: Option<Duration>,
    /// Tokens of the prompt.
    pub prompt_tokens: Option<Tokens>,
    /// Tokens of the answer.
    pub completion_tokens: Option<Tokens>,
    /// What it cost.
    pub cost: Option<NanoUsd>,
    /// Cost of attempts that failed after their provider had begun to answer.
    pub failed_cost: Option<NanoUsd>,
    /// Where the token counts come from.
    pub counted: Counted,
    /// The model that a budget put in place of the requested one.
    pub model_override: Option<&'a str>,
    /// The provider's own id for the request.
    pub upstream_request_id: Option<&'a str>,
    /// What the provider says of its error.
    pub provider_error: Option<&'a str>,
    /// Parameters that the provider's dialect has no place for.
    pub dropped: Option<&'a str>,
    /// Rules of the file that have changed the request.
    pub changed: Option<&'a str>,
    /// The code of the error, or what went wrong.
    pub error: Option<&'static str>,
    /// The trace that it belongs to.
    pub trace_id: Option<TraceId>,
}

/// Where token counts come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Counted {
    /// The provider reported them.
    #[default]
    ByProvider,
    /// They were estimated from the length of the text.
    ByEstimate,
}

/// Appends the line.
pub fn access_line(lines: &mut Lines, out: &mut Vec<u8>, now: WallTime, access: &Access<'_>) {
    let mut line = lines
        .begin(out, now, access.level, "request")
        .ascii("request_id", access.request_id);
    if let Some(address) = access.address {
        line = line.ascii("address", AddressText::of(address).as_bytes());
    }
    line = line
        .text_if("method", access.method)
        .text_if("path", access.path)
        .name_if("endpoint", access.endpoint)
        .name_if("dialect", access.dialect)
        .name_if("responses", access.responses);
    if let Some(stream) = access.stream {
        line = line.boolean("stream", stream);
    }
    line = line
        .text_if("key", access.key)
        .text_if("team", access.team)
        .text_if("caller", access.caller)
        .text_if("project", access.project)
        .text_if("env", access.env)
        .text_if("provider", access.provider)
        .text_if("model", access.model)
        .name_if("strategy", access.strategy.map(Strategy::name))
        .text_if("group", access.group)
        .number("status", access.status)
        .number("attempts", access.attempts)
        .millis("latency_ms", access.latency);
    if let Some(first_byte) = access.first_byte {
        line = line.millis("first_byte_ms", first_byte);
    }
    if let Some(tokens) = access.prompt_tokens {
        line = line.number("prompt_tokens", tokens.get());
    }
    if let Some(tokens) = access.completion_tokens {
        line = line.number("completion_tokens", tokens.get());
    }
    if let Some(cost) = access.cost {
        line = line.dollars("cost_usd", cost);
    }
    if let Some(cost) = access.failed_cost {
        line = line.dollars("failed_cost_usd", cost);
    }
    line = match access.counted {
        Counted::ByProvider => line,
        Counted::ByEstimate => line.flag("estimated"),
    };
    line = line
        .text_if("override", access.model_override)
        .text_if("upstream_request_id", access.upstream_request_id)
        .text_if("dropped", access.dropped)
        .text_if("changed", access.changed)
        .text_if("provider_error", access.provider_error)
        .name_if("error", access.error);
    if let Some(id) = access.trace_id {
        line = line.ascii("trace_id", &id.text());
    }
    line.end();
}

/// The text of an address, on the stack.
struct AddressText {
    bytes: [u8; ADDRESS_BYTES_MAX],
    length: usize,
}

/// Longest text of an IP address, in bytes.
const ADDRESS_BYTES_MAX: usize = 45;

impl AddressText {
    fn of(address: IpAddr) -> Self {
        let mut text = Self {
            bytes: [0; ADDRESS_BYTES_MAX],
            length: 0,
        };
        // There is room for any address. The common kinds are written without the detours of
        // `Display`.
        let _ = match address {
            IpAddr::V4(address) => text.write_octets(address.octets()),
            IpAddr::V6(_) => write!(text, "{address}"),
        };
        text
    }

    fn write_octets(&mut self, octets: [u8; 4]) -> std::fmt::Result {
        for (place, octet) in octets.into_iter().enumerate() {
            if place > 0 {
                self.write_str(".")?;
            }
            self.write_str(itoa::Buffer::new().format(octet))?;
        }
        Ok(())
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl std::fmt::Write for AddressText {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.length + text.len();
        let room = self.bytes.get_mut(self.length..end);
        room.ok_or(std::fmt::Error)?
            .copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::line::{Format, Timestamps};

    const BARE: Access<'_> = Access {
        request_id: b"r-1",
        level: Level::Info,
        address: None,
        method: None,
        path: None,
        endpoint: None,
        dialect: None,
        responses: None,
        stream: None,
        key: None,
        team: None,
        caller: None,
        project: None,
        env: None,
        provider: None,
        model: None,
        strategy: None,
        group: None,
        status: 404,
        attempts: 0,
        latency: Duration::from_micros(250),
        first_byte: None,
        prompt_tokens: None,
        completion_tokens: None,
        cost: None,
        failed_cost: None,
        counted: Counted::ByProvider,
        model_override: None,
        upstream_request_id: None,
        provider_error: None,
        dropped: None,
        changed: None,
        error: None,
        trace_id: None,
    };

    fn line(format: Format, access: &Access<'_>) -> String {
        let mut out = Vec::new();
        let now = WallTime::from_unix_millis(1_795_421_606_123);
        access_line(
            &mut Lines::new(format, Timestamps::On),
            &mut out,
            now,
            access,
        );
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn says_only_what_is_known() {
        assert_eq!(
            line(Format::Text, &BARE),
            "2026-11-23T08:13:26.123Z INFO  request request_id=r-1 status=404 attempts=0 \
             latency_ms=0.250\n"
        );
    }

    #[test]
    fn addresses_are_written_as_usual() {
        for text in [
            "0.0.0.0",
            "10.20.30.4",
            "255.255.255.255",
            "::1",
            "2001:db8::7",
        ] {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!(AddressText::of(address).as_bytes(), text.as_bytes());
        }
        let longest = IpAddr::from([0xffff_u16; 8]);
        assert_eq!(
            AddressText::of(longest).as_bytes(),
            longest.to_string().as_bytes()
        );
    }

    #[test]
    fn says_everything_that_is_known() {
        let full = Access {
            address: Some("2001:db8::7".parse().unwrap()),
            method: Some("POST"),
            path: Some("/v1/\"x"),
            endpoint: Some("chat_completions"),
            dialect: Some("responses"),
            responses: Some("bridge"),
            stream: Some(false),
            caller: Some("team a\n"),
            project: Some("search"),
            env: Some("prod"),
            provider: Some("openai"),
            model: Some("gpt-4o"),
            strategy: Some(Strategy::RoundRobin),
            group: Some("fast"),
            status: 200,
            attempts: 2,
            first_byte: Some(Duration::from_millis(120)),
            prompt_tokens: Some(Tokens::new(12)),
            completion_tokens: Some(Tokens::new(34)),
            cost: Some(NanoUsd::new(1_500)),
            failed_cost: Some(NanoUsd::new(25)),
            counted: Counted::ByEstimate,
            model_override: Some("gpt-4o-mini"),
            upstream_request_id: Some("req_1"),
            provider_error: Some("no \"such\" thing"),
            dropped: Some("seed,n"),
            changed: Some("set top_k"),
            error: Some("upstream_error"),
            ..BARE
        };
        assert_eq!(
            line(Format::Json, &full),
            "{\"time\":\"2026-11-23T08:13:26.123Z\",\"level\":\"info\",\"message\":\"request\",\
             \"request_id\":\"r-1\",\"address\":\"2001:db8::7\",\"method\":\"POST\",\
             \"path\":\"/v1/\\\"x\",\"endpoint\":\"chat_completions\",\"dialect\":\"responses\",\
             \"responses\":\"bridge\",\"stream\":false,\
             \"caller\":\"team a\\n\",\"project\":\"search\",\
             \"env\":\"prod\",\"provider\":\"openai\",\"model\":\"gpt-4o\",\
             \"strategy\":\"round_robin\",\"group\":\"fast\",\"status\":200,\"attempts\":2,\
             \"latency_ms\":0.250,\"first_byte_ms\":120.000,\"prompt_tokens\":12,\
             \"completion_tokens\":34,\"cost_usd\":0.0000015,\
             \"failed_cost_usd\":0.000000025,\"estimated\":true,\
             \"override\":\"gpt-4o-mini\",\"upstream_request_id\":\"req_1\",\
             \"dropped\":\"seed,n\",\
             \"changed\":\"set top_k\",\
             \"provider_error\":\"no \\\"such\\\" thing\",\"error\":\"upstream_error\"}\n"
        );
        assert!(line(Format::Text, &full).contains("caller=\"team a\\n\" project=search"));
    }
}
