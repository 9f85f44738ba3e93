//! The rows of the table of errors.

use crate::base::endpoint::Dialect;
use crate::base::limits::ERROR_CODES_MAX;

/// One row of the table of errors.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The code, in the body and in `X-Infermux-Error`.
    pub code: &'static str,
    /// The status.
    pub status: u16,
    /// How Messages puts it.
    pub in_messages: InMessages,
    /// When it occurs.
    pub when: &'static str,
    /// What the caller can do about it.
    pub caller: &'static str,
    /// What the operator can do about it.
    pub operator: &'static str,
}

/// What an error is in Anthropic's API.
#[derive(Clone, Copy, Debug)]
pub struct InMessages {
    /// The status.
    pub status: u16,
    /// The type.
    pub kind: &'static str,
}

impl Row {
    /// The status in this dialect.
    #[must_use]
    pub const fn status_in(&self, dialect: Dialect) -> u16 {
        match dialect {
            Dialect::Chat | Dialect::Responses => self.status,
            Dialect::Messages => self.in_messages.status,
        }
    }
}

/// Every error that infermux itself answers with, by status.
pub const TABLE: &[Row] = &[
    INVALID_REQUEST,
    INVALID_API_KEY,
    EXPIRED_API_KEY,
    DISABLED_API_KEY,
    MODEL_NOT_ALLOWED,
    UNPRICED_ENDPOINT,
    UNKNOWN_URL,
    UNKNOWN_PROVIDER,
    UNKNOWN_KEY,
    MODEL_NOT_FOUND,
    RESPONSE_NOT_FOUND,
    METHOD_NOT_ALLOWED,
    REQUEST_TIMEOUT,
    REQUEST_TOO_LARGE,
    URI_TOO_LONG,
    UNSUPPORTED_ENCODING,
    UNSUPPORTED_MEDIA_TYPE,
    INVALID_CONFIGURATION,
    UPGRADE_REQUIRED,
    BUDGET_EXCEEDED,
    RATE_LIMIT,
    HEADER_TOO_LARGE,
    INTERNAL_ERROR,
    UPSTREAM_ERROR,
    NO_HEALTHY_PROVIDERS,
    OVERLOADED,
    SHARED_STATE_UNAVAILABLE,
    SHUTTING_DOWN,
    UPSTREAM_TIMEOUT,
    HTTP_VERSION_NOT_SUPPORTED,
];

/// The place of the first row with this code in the table; refusals are counted by that place.
#[must_use]
pub fn place_of(code: &str) -> Option<usize> {
    TABLE.iter().position(|row| row.code == code)
}

const _: () = assert!(TABLE.len() <= ERROR_CODES_MAX);

pub(super) const INVALID_REQUEST: Row = Row {
    code: "invalid_request",
    status: 400,
    in_messages: InMessages {
        status: 400,
        kind: "invalid_request_error",
    },
    when: "The request is not well-formed HTTP, its body is not a JSON object or has no `model`, \
           or no `messages` for Messages, or it asks for something that no available \
           provider can express.",
    caller: "Correct the request. The message says what is wrong.",
    operator: "Nothing.",
};

pub(super) const INVALID_API_KEY: Row = Row {
    code: "invalid_api_key",
    status: 401,
    in_messages: InMessages {
        status: 401,
        kind: "authentication_error",
    },
    when: "`auth.mode` is `static_key` or `keys`, and the caller's key is wrong or missing, or \
           two different valid keys are presented; or the router has an \
           `INFERMUX_MANAGEMENT_TOKEN`, and a call of the management API does not present \
           it.",
    caller: "Send the key as `Authorization: Bearer KEY` or `x-api-key: KEY`.",
    operator: "Give `auth.key`, or a key of `infermux key new --name NAME`, to those who may call. \
               Commands take the token from the variable `INFERMUX_MANAGEMENT_TOKEN`.",
};

pub(super) const EXPIRED_API_KEY: Row = Row {
    code: "expired_api_key",
    status: 401,
    in_messages: InMessages {
        status: 401,
        kind: "authentication_error",
    },
    when: "`auth.mode` is `keys`, and the key's `expires`, or the `until` of its secret, has come.",
    caller: "Ask for a new key.",
    operator: "Move the key's `expires`, or give it another secret in its `hashes`.",
};

pub(super) const DISABLED_API_KEY: Row = Row {
    code: "disabled_api_key",
    status: 401,
    in_messages: InMessages {
        status: 401,
        kind: "authentication_error",
    },
    when: "`auth.mode` is `keys`, and the key is `disabled` in its file, or was disabled by hand.",
    caller: "Ask whoever gave out the key.",
    operator: "`POST /_infermux/keys/NAME/enable`, or remove `disabled` from the file.",
};

pub(super) const MODEL_NOT_ALLOWED: Row = Row {
    code: "model_not_allowed",
    status: 403,
    in_messages: InMessages {
        status: 403,
        kind: "permission_error",
    },
    when: "The `models` of the key, or of its team, leave out the model.",
    caller: "Ask for another model.",
    operator: "Add the model to `models` of the key and of its team.",
};

pub(super) const UNKNOWN_KEY: Row = Row {
    code: "unknown_key",
    status: 404,
    in_messages: InMessages {
        status: 404,
        kind: "not_found_error",
    },
    when: "A call of the management API names a key that is not configured.",
    caller: "Nothing: callers do not meet this error.",
    operator: "Look for its name in `GET /_infermux/keys`.",
};

pub(super) const UNKNOWN_PROVIDER: Row = Row {
    code: "unknown_provider",
    status: 404,
    in_messages: InMessages {
        status: 404,
        kind: "not_found_error",
    },
    when: "A call of the management API names a provider that is not configured.",
    caller: "Nothing: callers do not meet this error.",
    operator: "Look for its name in `GET /_infermux/providers`.",
};

pub(super) const UNPRICED_ENDPOINT: Row = Row {
    code: "unpriced_endpoint",
    status: 403,
    in_messages: InMessages {
        status: 403,
        kind: "permission_error",
    },
    when: "The request passes a `hard_stop` budget, and nobody knows what it costs: neither the \
           file nor the built-in table has a price of its model, by tokens or otherwise.",
    caller: "Ask for another model, or ask the operator for a price.",
    operator: "Set `pricing` for the model, or `passthrough.assume_usd`.",
};

pub(super) const UNKNOWN_URL: Row = Row {
    code: "unknown_url",
    status: 404,
    in_messages: InMessages {
        status: 404,
        kind: "not_found_error",
    },
    when: "infermux serves nothing under this path, or does so only on `management_listen` or \
           with `passthrough.provider`.",
    caller: "Correct the base URL, which ends in `/v1`. The message names the nearest path that is \
             served, or what the path needs.",
    operator: "Nothing.",
};

pub(super) const MODEL_NOT_FOUND: Row = Row {
    code: "model_not_found",
    status: 404,
    in_messages: InMessages {
        status: 404,
        kind: "not_found_error",
    },
    when: "No provider is configured to serve the model, or none of the providers that serve it \
           has the endpoint.",
    caller: "Ask for a model that `GET /v1/models` lists.",
    operator: "Add the model to a provider's `models` or `model_aliases`.",
};

pub(super) const RESPONSE_NOT_FOUND: Row = Row {
    code: "response_not_found",
    status: 404,
    in_messages: InMessages {
        status: 404,
        kind: "not_found_error",
    },
    when: "No provider has stored a response with this id: infermux has translated the \
           response, the text is no id, or no provider has the Responses API itself.",
    caller: "Keep what is needed of an answer. infermux stores none.",
    operator: "Answers of a provider with `responses: native` are stored there.",
};

pub(super) const METHOD_NOT_ALLOWED: Row = Row {
    code: "method_not_allowed",
    status: 405,
    in_messages: InMessages {
        status: 405,
        kind: "invalid_request_error",
    },
    when: "The path exists, but not for this method.",
    caller: "Use a method that the header `Allow` names.",
    operator: "Nothing.",
};

pub(super) const REQUEST_TIMEOUT: Row = Row {
    code: "request_timeout",
    status: 408,
    in_messages: InMessages {
        status: 408,
        kind: "timeout_error",
    },
    when: "The request's head or body did not arrive within `server.header_timeout` or \
           `server.body_timeout`.",
    caller: "Send the request again.",
    operator: "Look at the network between callers and infermux, or raise the two timeouts.",
};

pub(super) const REQUEST_TOO_LARGE: Row = Row {
    code: "request_too_large",
    status: 413,
    in_messages: InMessages {
        status: 413,
        kind: "request_too_large",
    },
    when: "The body is larger than `server.max_body_bytes`, once it is decompressed.",
    caller: "Send less.",
    operator: "Raise `server.max_body_bytes`.",
};

pub(super) const URI_TOO_LONG: Row = Row {
    code: "uri_too_long",
    status: 414,
    in_messages: InMessages {
        status: 414,
        kind: "invalid_request_error",
    },
    when: "The path and query together are longer than 8 KiB.",
    caller: "Shorten them.",
    operator: "Nothing.",
};

pub(super) const UNSUPPORTED_ENCODING: Row = Row {
    code: "unsupported_encoding",
    status: 415,
    in_messages: InMessages {
        status: 415,
        kind: "invalid_request_error",
    },
    when: "The `Content-Encoding` of the body is something other than `gzip`, `deflate` or \
           `identity`.",
    caller: "Compress the body with gzip, or not at all.",
    operator: "Nothing.",
};

pub(super) const UNSUPPORTED_MEDIA_TYPE: Row = Row {
    code: "unsupported_media_type",
    status: 415,
    in_messages: InMessages {
        status: 415,
        kind: "invalid_request_error",
    },
    when: "The `Content-Type` is one that the endpoint does not take, such as `text/html`, or \
           `multipart/form-data` where JSON is wanted.",
    caller: "Send JSON, with `Content-Type: application/json`; to endpoints for files, a form \
             (`multipart/form-data`).",
    operator: "Nothing.",
};

pub(super) const INVALID_CONFIGURATION: Row = Row {
    code: "invalid_configuration",
    status: 422,
    in_messages: InMessages {
        status: 422,
        kind: "invalid_request_error",
    },
    when: "A reload found a mistake in the configuration file. The former configuration stays in \
           force.",
    caller: "Nothing: callers do not meet this error.",
    operator: "Correct what `faults` lists, and reload again.",
};

pub(super) const UPGRADE_REQUIRED: Row = Row {
    code: "upgrade_required",
    status: 426,
    in_messages: InMessages {
        status: 426,
        kind: "invalid_request_error",
    },
    when: "A caller asks to go on over a WebSocket at `/v1/responses`, which is served over HTTP \
           alone.",
    caller: "Send the request with `POST`. Codex does so by itself.",
    operator: "Nothing.",
};

pub(super) const BUDGET_EXCEEDED: Row = Row {
    code: "budget_exceeded",
    status: 429,
    in_messages: InMessages {
        status: 429,
        kind: "rate_limit_error",
    },
    when: "A budget of the caller, its key or its team is used up, or what is left of it is too \
           little for the prompt, or is reserved by other requests that are under way. `scope` and \
           `per` in the error say which budget.",
    caller: "Wait for the budget's next period, or until the other requests have ended. \
             `Retry-After` says which of the two it is.",
    operator: "Raise the budget, or set `action: model_override`.",
};

pub(super) const RATE_LIMIT: Row = Row {
    code: "rate_limit",
    status: 429,
    in_messages: InMessages {
        status: 429,
        kind: "rate_limit_error",
    },
    when: "Every provider that could answer is at its `rate_limits` or its `max_in_flight`, or has \
           asked to be left alone for a while; or the caller's key or its team is at one of its \
           `limits`. `scope` and `limit` in the error say whose limit it is, and which.",
    caller: "Send the request again after `Retry-After`.",
    operator: "Raise the limit that the message names, or add a provider.",
};

pub(super) const HEADER_TOO_LARGE: Row = Row {
    code: "header_too_large",
    status: 431,
    in_messages: InMessages {
        status: 431,
        kind: "invalid_request_error",
    },
    when: "The headers are larger than 32 KiB together, or there are more than 100.",
    caller: "Send fewer headers.",
    operator: "Nothing.",
};

pub(super) const INTERNAL_ERROR: Row = Row {
    code: "internal_error",
    status: 500,
    in_messages: InMessages {
        status: 500,
        kind: "api_error",
    },
    when: "infermux itself failed on this request.",
    caller: "Send the request again.",
    operator: "Report it, with the lines of the log.",
};

pub(super) const UPSTREAM_ERROR: Row = Row {
    code: "upstream_error",
    status: 502,
    in_messages: InMessages {
        status: 502,
        kind: "api_error",
    },
    when: "The provider failed, and no other provider could take over.",
    caller: "Send the request again.",
    operator: "Find `provider_error` in the access line. Check that provider, its key and its \
               `base_url`, or add a second provider for the model.",
};

pub(super) const NO_HEALTHY_PROVIDERS: Row = Row {
    code: "no_healthy_providers",
    status: 503,
    in_messages: InMessages {
        status: 503,
        kind: "api_error",
    },
    when: "Every provider of the model is out of service: it fails its health checks, its \
           circuit is open, or an operator has taken it out.",
    caller: "Send the request again after `Retry-After`.",
    operator: "`infermux providers` says why each of them is out of service. `put-back` those that \
               were taken out. Add a second provider for the model.",
};

pub(super) const OVERLOADED: Row = Row {
    code: "overloaded",
    status: 503,
    in_messages: InMessages {
        status: 529,
        kind: "overloaded_error",
    },
    when: "The bodies in memory have reached `server.max_buffered_bytes`, too many large prompts \
           wait to be translated, too many requests wait because `server.max_connections` is \
           reached, or an operator's request is not answered in time.",
    caller: "Send the request again after `Retry-After`.",
    operator: "Raise the limit that the message names, or add machines.",
};

pub(super) const SHARED_STATE_UNAVAILABLE: Row = Row {
    code: "shared_state_unavailable",
    status: 503,
    in_messages: InMessages {
        status: 503,
        kind: "api_error",
    },
    when: "A limit or budget is shared with other instances (`shared`), their store has been out \
           of reach for longer than a lease, and `shared.on_loss` says `closed`.",
    caller: "Send the request again after `Retry-After`.",
    operator: "Bring the store back; `shared` in `/_infermux/status` says how it stands. \
               `shared.on_loss` decides whether requests are served without it.",
};

pub(super) const SHUTTING_DOWN: Row = Row {
    code: "shutting_down",
    status: 503,
    in_messages: InMessages {
        status: 503,
        kind: "api_error",
    },
    when: "infermux is stopping.",
    caller: "Send the request again, on a new connection.",
    operator: "Take the instance out of its load balancer before it stops; `server.drain_delay` \
               gives the balancer time.",
};

pub(super) const UPSTREAM_TIMEOUT: Row = Row {
    code: "upstream_timeout",
    status: 504,
    in_messages: InMessages {
        status: 504,
        kind: "timeout_error",
    },
    when: "No provider answered within its `timeout`.",
    caller: "Send the request again, or ask for a shorter answer.",
    operator: "Raise the provider's `timeout`, or add a second provider for the model.",
};

pub(super) const HTTP_VERSION_NOT_SUPPORTED: Row = Row {
    code: "http_version_not_supported",
    status: 505,
    in_messages: InMessages {
        status: 505,
        kind: "invalid_request_error",
    },
    when: "The request speaks neither HTTP/1.0 nor HTTP/1.1.",
    caller: "Use HTTP/1.1.",
    operator: "Nothing.",
};
