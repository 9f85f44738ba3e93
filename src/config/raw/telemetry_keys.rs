//! The keys of what is told of requests, and where.

use std::time::Duration;

use crate::config::raw::kinds::{Fallback, Key, Kind, key};

use Fallback::{Nothing, Rule, Value};
use Kind::{Block, Ratio, Word};

#[rustfmt::skip]
pub(super) const KEYS: &[Key] = &[
    key("telemetry", "otlp", Block("telemetry.otlp"), Nothing,
        "Where traces are told; absent, and without OTEL_EXPORTER_OTLP_ENDPOINT in the \
            environment: nowhere."),

    key("telemetry.otlp", "endpoint", Kind::Url,
        Rule("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, or OTEL_EXPORTER_OTLP_ENDPOINT, of the \
            environment"),
        "The URL of a collector that takes OTLP over HTTP; `/v1/traces` is added where it is \
            not there."),
    key("telemetry.otlp", "headers", Kind::Headers, Nothing,
        "Headers of each request to the collector, such as its key."),
    key("telemetry.otlp", "sample", Ratio(0, 1_000),
        Rule("what OTEL_TRACES_SAMPLER of the environment says, else `1.0`"),
        "The share of traces that are told, of those that begin here; where a caller's \
            `traceparent` says whether its trace is told, that counts."),
    key("telemetry.otlp", "parent", Word(&["child", "link"]), Value("child"),
        "What becomes of a caller's trace: `child` continues it, `link` begins another one that \
            refers to it."),
    key("telemetry.otlp", "compression", Word(&["none", "gzip"]),
        Rule("OTEL_EXPORTER_OTLP_COMPRESSION of the environment, else `none`"),
        "How the bodies of these requests are compressed."),
    key("telemetry.otlp", "timeout",
        Kind::Span(Duration::from_millis(100), Duration::from_secs(60)),
        Rule("OTEL_EXPORTER_OTLP_TIMEOUT of the environment, in milliseconds, else `10s`"),
        "How long a request to the collector may take."),
];
