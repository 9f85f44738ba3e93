//! Hands spans to a collector, by OTLP over HTTP.

use std::io::Write as _;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde::Deserialize;

use crate::base::limits::COLLECTOR_ANSWER_BYTES_MAX;
use crate::base::time::Instant;
use crate::config::faults::printable;
use crate::config::telemetry::Otlp;
use crate::decide::delivery::{Answer, Batch};
use crate::report::otlp;
use crate::sys::http::{self, Bounds, NoAnswer, Peer};
use crate::sys::names;

/// A collector.
pub struct Collector {
    otlp: Otlp,
    /// The trusted roots; `None`: it is not reached by TLS.
    tls: Option<Arc<ClientConfig>>,
    /// What stands before the spans of each request.
    begin: Vec<u8>,
}

/// What became of an attempt to hand spans over.
pub struct Handed {
    /// What it means for the batch.
    pub answer: Answer,
    /// What went wrong; a sentence for the log.
    pub fault: Option<String>,
}

impl Collector {
    /// The collector that `otlp` names; `tls` has the trusted roots, where it is reached by TLS,
    /// and `instance` tells this process from others.
    #[must_use]
    pub fn new(otlp: Otlp, tls: Option<Arc<ClientConfig>>, instance: &str) -> Self {
        const INSTANCE: &str = "service.instance.id";
        let mut resource = otlp.resource.to_vec();
        if !resource.iter().any(|(name, _)| &**name == INSTANCE) {
            resource.push((INSTANCE.into(), instance.into()));
        }
        Self {
            begin: otlp::begin(&resource),
            otlp,
            tls,
        }
    }

    /// How it is named in the log.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.otlp.endpoint.authority
    }

    /// When an attempt that begins at `now` is over.
    #[must_use]
    pub fn deadline(&self, now: Instant) -> Instant {
        now + self.otlp.timeout
    }

    /// Hands `batch` over before `until`.
    #[must_use]
    pub fn hand(&self, batch: &Batch, until: Instant) -> Handed {
        match self.post(batch, until) {
            Ok(answer) => judged(&answer),
            Err(fault) => Handed {
                answer: Answer::Later(None),
                fault: Some(fault),
            },
        }
    }

    fn post(&self, batch: &Batch, until: Instant) -> Result<http::Answer, String> {
        let base = &self.otlp.endpoint;
        let (host, port) = match &self.otlp.proxy {
            Some(proxy) => (&proxy.host, proxy.port),
            None => (&base.host, base.port),
        };
        let addresses = names::look_up(host, port);
        let addresses = addresses.map_err(|fault| format!("the name {host}: {fault}"))?;
        let tls = self.tls.as_ref().map(|config| {
            let name = ServerName::try_from(String::from(&*base.host));
            let name = name.map_err(|fault| format!("{host}: {fault}"))?;
            Ok::<_, String>((Arc::clone(config), name))
        });
        let proxy = self.otlp.proxy.as_ref().filter(|_| base.tls);
        let tunnel = proxy.map(|proxy| proxy.tunnel_request(base));
        let peer = Peer {
            addresses: &addresses,
            tunnel: tunnel.as_deref(),
            tls: tls.transpose()?,
        };
        let bounds = Bounds {
            until,
            body_bytes_max: COLLECTOR_ANSWER_BYTES_MAX,
        };
        let answer = http::exchange(peer, &self.request(batch), bounds);
        answer.map_err(|fault: NoAnswer| fault.to_string())
    }

    /// The whole request. It is a secret: it may have a key.
    fn request(&self, batch: &Batch) -> Vec<u8> {
        let body = self.body(batch);
        let (otlp, length) = (&self.otlp, body.len());
        let base = &otlp.endpoint;
        let mut target = String::new();
        if let (Some(_), false) = (&otlp.proxy, base.tls) {
            target.extend(["http://", &*base.authority]);
        }
        let path = if base.path.is_empty() {
            "/"
        } else {
            &base.path
        };
        let mark = if base.query.is_empty() { "" } else { "?" };
        target.extend([path, mark, &*base.query]);
        let mut head = format!(
            "POST {target} HTTP/1.1\r\nHost: {}\r\nUser-Agent: infermux/{}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n",
            base.authority,
            env!("CARGO_PKG_VERSION"),
        );
        if otlp.gzip {
            head.push_str("Content-Encoding: gzip\r\n");
        }
        if let (Some(proxy), false) = (&otlp.proxy, base.tls) {
            head.push_str(&proxy.authorization_line());
        }
        for (name, value) in &otlp.headers {
            head.extend([name, ": ", value.expose(), "\r\n"]);
        }
        head.push_str("\r\n");
        let mut request = head.into_bytes();
        request.extend_from_slice(&body);
        request
    }

    fn body(&self, batch: &Batch) -> Vec<u8> {
        let spans = batch.pieces.iter().map(|piece| piece.text.len() + 1);
        let room = self.begin.len() + spans.sum::<usize>() + otlp::END.len();
        let mut body = Vec::with_capacity(room);
        body.extend_from_slice(&self.begin);
        for (place, piece) in batch.pieces.iter().enumerate() {
            if place > 0 {
                body.push(b',');
            }
            body.extend_from_slice(&piece.text);
        }
        body.extend_from_slice(otlp::END);
        if self.otlp.gzip {
            return compressed(&body);
        }
        body
    }
}

fn compressed(body: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    let written = out.write_all(body).and_then(|()| out.finish());
    // A Vec takes everything.
    written.unwrap_or_default()
}

/// What an answer means, by the protocol.
#[must_use]
pub fn judged(answer: &http::Answer) -> Handed {
    let status = answer.status;
    if (200..300).contains(&status) {
        return taken(&answer.body);
    }
    let hint = match status {
        401 | 403 => ": do telemetry.otlp.headers have its key?",
        404 | 405 => ": is telemetry.otlp.endpoint that of OTLP over HTTP?",
        415 => ": it takes no JSON",
        _ => "",
    };
    Handed {
        answer: match status {
            429 | 502 | 503 | 504 => Answer::Later(answer.retry_after),
            _ => Answer::Refused,
        },
        fault: Some(format!("it answers {status}{hint}")),
    }
}

fn taken(body: &[u8]) -> Handed {
    let told: Told = serde_json::from_slice(body).unwrap_or_default();
    let partial = told.partial_success.unwrap_or_default();
    let rejected = partial.rejected_spans.map_or(0, Count::get);
    let message = partial.error_message.unwrap_or_default();
    let short: String = message.chars().take(MESSAGE_CHARS_MAX).collect();
    let fault = (rejected > 0).then(|| {
        let message = printable(&short);
        format!("it refuses {rejected} spans: {message}")
    });
    Handed {
        answer: Answer::Taken { rejected },
        fault,
    }
}

/// What a collector says of spans that it has taken.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Told {
    partial_success: Option<Partial>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Partial {
    rejected_spans: Option<Count>,
    error_message: Option<String>,
}

/// A number of 64 bits, which is a string by the protocol; readers take both.
#[derive(Deserialize)]
#[serde(untagged)]
enum Count {
    Number(u64),
    Text(String),
}

impl Count {
    fn get(self) -> u64 {
        match self {
            Self::Number(number) => number,
            Self::Text(text) => text.parse().unwrap_or(0),
        }
    }
}

/// Longest part of a collector's words that is logged.
const MESSAGE_CHARS_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::time::Duration;

    use super::*;
    use crate::base::secret::Secret;
    use crate::config::proxy;
    use crate::config::telemetry::{self, Parent};
    use crate::decide::delivery::{Delivery, Piece};
    use crate::decide::sampling::Sampler;

    fn collector(endpoint: &str, gzip: bool, proxy: Option<&str>) -> Collector {
        let otlp = Otlp {
            endpoint: telemetry::endpoint(endpoint).unwrap(),
            proxy: proxy.and_then(|text| proxy::parse(text).unwrap()),
            headers: Box::new([("X-Key".into(), Secret::new("k"))]),
            sampler: Sampler::ratio(0),
            parent: Parent::Child,
            gzip,
            timeout: Duration::ZERO,
            resource: Box::default(),
        };
        Collector::new(otlp, None, "i")
    }

    fn batch() -> Batch {
        let mut delivery = Delivery::default();
        for text in ["{\"a\":1}", "{\"b\":2},{\"c\":3}"] {
            let text = text.as_bytes().to_vec();
            delivery.push(Instant::ZERO, Piece { spans: 1, text });
        }
        delivery.close();
        delivery.take(Instant::ZERO).unwrap()
    }

    fn request(collector: &Collector) -> (String, Vec<u8>) {
        let request = collector.request(&batch());
        let at = request
            .windows(4)
            .position(|end| end == b"\r\n\r\n")
            .unwrap()
            + 4;
        let head = String::from_utf8(request[..at].to_vec()).unwrap();
        (head, request[at..].to_vec())
    }

    #[test]
    fn the_spans_of_a_batch_are_one_list() {
        let (head, body) = request(&collector("http://h:1", false, None));
        assert!(
            head.starts_with("POST /v1/traces HTTP/1.1\r\nHost: h:1\r\n"),
            "{head}"
        );
        assert!(head.contains("\r\nX-Key: k\r\n") && !head.contains("Content-Encoding"));
        assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())));
        let text = String::from_utf8(body).unwrap();
        assert!(
            text.contains(r#""spans":[{"a":1},{"b":2},{"c":3}]"#),
            "{text}"
        );
        assert!(text.contains(r#"{"key":"service.instance.id","value":{"stringValue":"i"}}"#));
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(value["resourceSpans"][0]["scopeSpans"][0]["spans"].is_array());
        let (head, packed) = request(&collector("http://h:1/x?y=z", true, None));
        assert!(
            head.starts_with("POST /x/v1/traces?y=z HTTP/1.1\r\n"),
            "{head}"
        );
        assert!(head.contains("\r\nContent-Encoding: gzip\r\n"));
        let mut unpacked = String::new();
        let mut decoder = flate2::read::GzDecoder::new(&*packed);
        decoder.read_to_string(&mut unpacked).unwrap();
        assert_eq!(unpacked, text);
    }

    #[test]
    fn a_proxy_is_sent_the_whole_url_and_its_own_key() {
        let proxy = Some("http://u:p@proxy.test:3128");
        let (head, _) = request(&collector("http://h:1", false, proxy));
        assert!(
            head.starts_with("POST http://h:1/v1/traces HTTP/1.1\r\nHost: h:1\r\n"),
            "{head}"
        );
        assert!(head.contains("\r\nProxy-Authorization: Basic "));
        // Within a tunnel, the collector itself is asked.
        let (head, _) = request(&collector("https://h:1", false, proxy));
        assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{head}");
        assert!(!head.contains("Proxy-Authorization"));
    }

    #[test]
    fn answers_mean_what_the_protocol_says() {
        let said = |status, body: &str, retry_after| {
            let handed = judged(&http::Answer {
                status,
                body: body.into(),
                retry_after,
            });
            (handed.answer, handed.fault)
        };
        let taken = |rejected| Answer::Taken { rejected };
        for body in [
            "",
            "{}",
            "{\"partialSuccess\":{}}",
            "{\"partialSuccess\":null}",
            "no json",
        ] {
            assert_eq!(said(200, body, None), (taken(0), None), "{body}");
        }
        for body in [
            r#"{"partialSuccess":{"rejectedSpans":"5","errorMessage":"a\u001bb"}}"#,
            r#"{"partialSuccess":{"rejectedSpans":5,"errorMessage":"a\u001bb"}}"#,
        ] {
            let (answer, fault) = said(202, body, None);
            assert_eq!(answer, taken(5));
            let fault = fault.unwrap();
            assert!(
                fault.contains("refuses 5") && !fault.contains('\u{1b}'),
                "{fault}"
            );
        }
        let span = Some(Duration::from_secs(3));
        for status in [429, 502, 503, 504] {
            assert_eq!(said(status, "", span).0, Answer::Later(span));
        }
        for status in [301, 400, 401, 404, 413, 415, 500, 501] {
            let (answer, fault) = said(status, "", span);
            assert_eq!(answer, Answer::Refused);
            assert!(fault.unwrap().contains(&status.to_string()));
        }
    }
}
