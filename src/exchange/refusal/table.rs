//! The rows of the table of errors.

use super::Row;
use crate::base::limits::ERROR_CODES_MAX;

/// Every error that infermux itself answers with, by status.
pub const TABLE: &[Row] = &[
    INVALID_REQUEST,
    INVALID_API_KEY,
    UNKNOWN_URL,
    UNKNOWN_PROVIDER,
    MODEL_NOT_FOUND,
    METHOD_NOT_ALLOWED,
    REQUEST_TIMEOUT,
    REQUEST_TOO_LARGE,
    URI_TOO_LONG,
    UNSUPPORTED_ENCODING,
    UNSUPPORTED_MEDIA_TYPE,
    INVALID_CONFIGURATION,
    BUDGET_EXCEEDED,
    RATE_LIMIT,
    HEADER_TOO_LARGE,
    INTERNAL_ERROR,
    UPSTREAM_ERROR,
    NO_HEALTHY_PROVIDERS,
    OVERLOADED,
    SHUTTING_DOWN,
    UPSTREAM_TIMEOUT,
    HTTP_VERSION_NOT_SUPPORTED,
];

/// Where the first row with this code stands in the table: by that place it is counted.
#[must_use]
pub fn place_of(code: &str) -> Option<usize> {
    TABLE.iter().position(|row| row.code == code)
}

const _: () = assert!(TABLE.len() <= ERROR_CODES_MAX);

pub(super) const INVALID_REQUEST: Row = Row {
    code: "invalid_request",
    status: 400,
    reason: "Bad Request",
    when: "the bytes are no well-framed HTTP request, the body is not a JSON object, has no \
           `model`, or holds what no available provider can express",
    caller: "corrects the request",
    operator: "nothing",
};

pub(super) const INVALID_API_KEY: Row = Row {
    code: "invalid_api_key",
    status: 401,
    reason: "Unauthorized",
    when: "`auth.mode` is `static_key`, and the key is wrong or missing",
    caller: "sends the key as `Authorization: Bearer`",
    operator: "hands out `auth.key`",
};

pub(super) const UNKNOWN_PROVIDER: Row = Row {
    code: "unknown_provider",
    status: 404,
    reason: "Not Found",
    when: "an operator names a provider that is not configured",
    caller: "nothing: operators only",
    operator: "looks at `GET /_infermux/providers`",
};

pub(super) const UNKNOWN_URL: Row = Row {
    code: "unknown_url",
    status: 404,
    reason: "Not Found",
    when: "no such path",
    caller: "corrects the base URL, which ends in `/v1`",
    operator: "nothing",
};

pub(super) const MODEL_NOT_FOUND: Row = Row {
    code: "model_not_found",
    status: 404,
    reason: "Not Found",
    when: "no provider is configured to serve the model",
    caller: "asks for a model of `GET /v1/models`",
    operator: "adds the model to a provider's `models` or `model_aliases`",
};

pub(super) const METHOD_NOT_ALLOWED: Row = Row {
    code: "method_not_allowed",
    status: 405,
    reason: "Method Not Allowed",
    when: "the path exists, the method is wrong",
    caller: "uses a method that `Allow` names",
    operator: "nothing",
};

pub(super) const REQUEST_TIMEOUT: Row = Row {
    code: "request_timeout",
    status: 408,
    reason: "Request Timeout",
    when: "the request's head or body did not arrive within `server.header_timeout` or \
           `server.body_timeout`",
    caller: "sends it again",
    operator: "looks at the network, or raises the timeouts",
};

pub(super) const REQUEST_TOO_LARGE: Row = Row {
    code: "request_too_large",
    status: 413,
    reason: "Content Too Large",
    when: "the body is larger than `server.max_body_bytes`",
    caller: "sends less",
    operator: "raises `server.max_body_bytes`",
};

pub(super) const URI_TOO_LONG: Row = Row {
    code: "uri_too_long",
    status: 414,
    reason: "URI Too Long",
    when: "the request target is longer than 8 KiB",
    caller: "shortens it",
    operator: "nothing",
};

pub(super) const UNSUPPORTED_ENCODING: Row = Row {
    code: "unsupported_encoding",
    status: 415,
    reason: "Unsupported Media Type",
    when: "the body's `Content-Encoding` is neither `gzip` nor `deflate` nor `identity`",
    caller: "compresses with gzip, or not at all",
    operator: "nothing",
};

pub(super) const UNSUPPORTED_MEDIA_TYPE: Row = Row {
    code: "unsupported_media_type",
    status: 415,
    reason: "Unsupported Media Type",
    when: "the body's `Content-Type` says that it is no JSON",
    caller: "sends JSON, as `application/json`",
    operator: "nothing",
};

pub(super) const INVALID_CONFIGURATION: Row = Row {
    code: "invalid_configuration",
    status: 422,
    reason: "Unprocessable Content",
    when: "the configuration file to be reloaded cannot be used; nothing has changed",
    caller: "nothing: operators only",
    operator: "corrects what `faults` names",
};

pub(super) const BUDGET_EXCEEDED: Row = Row {
    code: "budget_exceeded",
    status: 429,
    reason: "Too Many Requests",
    when: "the caller's monthly budget is used up, or reserved by its requests in flight",
    caller: "waits for the next month, or for its other requests",
    operator: "raises `monthly_usd`, or sets a `model_override`",
};

pub(super) const RATE_LIMIT: Row = Row {
    code: "rate_limit",
    status: 429,
    reason: "Too Many Requests",
    when: "every eligible provider is at its limit",
    caller: "repeats after `Retry-After`",
    operator: "raises `rate_limits` or `max_in_flight`, or adds a provider",
};

pub(super) const HEADER_TOO_LARGE: Row = Row {
    code: "header_too_large",
    status: 431,
    reason: "Request Header Fields Too Large",
    when: "the head is larger than 32 KiB or has more than 100 fields",
    caller: "sends fewer headers",
    operator: "nothing",
};

pub(super) const INTERNAL_ERROR: Row = Row {
    code: "internal_error",
    status: 500,
    reason: "Internal Server Error",
    when: "infermux failed on this request",
    caller: "repeats",
    operator: "reports it with the log",
};

pub(super) const UPSTREAM_ERROR: Row = Row {
    code: "upstream_error",
    status: 502,
    reason: "Bad Gateway",
    when: "the provider failed and no other could take over",
    caller: "repeats",
    operator: "looks at the provider, its key and its `base_url`; adds a provider",
};

pub(super) const NO_HEALTHY_PROVIDERS: Row = Row {
    code: "no_healthy_providers",
    status: 503,
    reason: "Service Unavailable",
    when: "every candidate is unhealthy or its circuit is open",
    caller: "repeats after `Retry-After`",
    operator: "looks at `infermux providers`; adds a provider",
};

pub(super) const OVERLOADED: Row = Row {
    code: "overloaded",
    status: 503,
    reason: "Service Unavailable",
    when: "bodies in memory have reached `server.max_buffered_bytes`, or more requests wait for a \
           connection of `server.max_connections` than may",
    caller: "repeats after `Retry-After`",
    operator: "raises the limit that the message names, or adds machines",
};

pub(super) const SHUTTING_DOWN: Row = Row {
    code: "shutting_down",
    status: 503,
    reason: "Service Unavailable",
    when: "infermux is stopping",
    caller: "repeats, on a new connection",
    operator: "takes the instance out of its balancer before stopping it: `server.drain_delay`",
};

pub(super) const UPSTREAM_TIMEOUT: Row = Row {
    code: "upstream_timeout",
    status: 504,
    reason: "Gateway Timeout",
    when: "no provider answered within its `timeout`",
    caller: "repeats, or asks for a shorter answer",
    operator: "raises `timeout`, or adds a provider",
};

pub(super) const HTTP_VERSION_NOT_SUPPORTED: Row = Row {
    code: "http_version_not_supported",
    status: 505,
    reason: "HTTP Version Not Supported",
    when: "neither HTTP/1.0 nor HTTP/1.1",
    caller: "speaks HTTP/1.1",
    operator: "nothing",
};
