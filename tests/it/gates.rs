//! Every endpoint before every gate: the cells are made of two tables. Who is refused is told so in
//! the words of the endpoint's dialect, nothing goes to a provider, and nothing is counted.

use infermux::testing::exchange::refusal::TABLE;
use infermux_mock::Mock;
use serde_json::{Value, json};

use crate::support::client::{Answer, Client};
use crate::support::operate::{circuit, metric, turn, wait_for_circuit};
use crate::support::router::{Router, Start};
use crate::support::{config_of, eventually, mock, provider, wait_for_requests};

/// Something that callers ask for.
#[derive(Clone, Copy)]
struct Endpoint {
    method: &'static str,
    path: &'static str,
    /// Lines of its usual head.
    headers: &'static str,
    /// Its usual body, for the model `m`; empty where it has none.
    body: &'static str,
    /// Whose words its answers are in.
    words: Words,
    /// What it needs of a provider.
    needs: Needs,
    /// The types of providers that serve it.
    by: &'static [&'static str],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Words {
    OpenAis,
    Anthropics,
    /// OpenAI's, but for a budget that is used up.
    OfResponses,
}

/// What an endpoint needs of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    /// An answer, which is paid for.
    Answer,
    /// An answer, which costs nothing.
    Provider,
    /// Nothing, where no provider can count: then infermux estimates.
    Count,
    /// Nothing.
    Nothing,
}

const KINDS: [&str; 2] = ["openai", "anthropic"];
/// With these, one of type `openai` that is asked for chat completions alone.
const KINDS_FOR_RESPONSES: [&str; 3] = ["openai", "anthropic", "bridge"];
const OF_FORM: &str = "content-type: multipart/form-data; boundary=x\r\n";
/// A form for the model `m`.
const FORM: &str = "--x\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n\
                    --x\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\nhi\r\n\
                    --x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n\
                    sound\r\n--x--\r\n";
const VERSION: &str = "anthropic-version: 2023-06-01\r\n";

const ENDPOINTS: [Endpoint; 32] = [
    Endpoint {
        method: "POST",
        path: "/v1/chat/completions",
        headers: "",
        body: r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#,
        words: Words::OpenAis,
        needs: Needs::Answer,
        by: &KINDS,
    },
    Endpoint {
        method: "POST",
        path: "/v1/completions",
        headers: "",
        body: r#"{"model":"m","prompt":"hi"}"#,
        words: Words::OpenAis,
        needs: Needs::Answer,
        by: &["openai"],
    },
    Endpoint {
        method: "POST",
        path: "/v1/embeddings",
        headers: "",
        body: r#"{"model":"m","input":"hi"}"#,
        words: Words::OpenAis,
        needs: Needs::Answer,
        by: &["openai"],
    },
    Endpoint {
        method: "POST",
        path: "/v1/messages",
        headers: VERSION,
        body: r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}"#,
        words: Words::Anthropics,
        needs: Needs::Answer,
        by: &KINDS,
    },
    Endpoint {
        method: "POST",
        path: "/v1/messages/count_tokens",
        headers: VERSION,
        body: r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#,
        words: Words::Anthropics,
        needs: Needs::Count,
        by: &KINDS,
    },
    Endpoint {
        method: "POST",
        path: "/v1/responses",
        headers: "",
        body: r#"{"model":"m","input":"hi"}"#,
        words: Words::OfResponses,
        needs: Needs::Answer,
        by: &KINDS_FOR_RESPONSES,
    },
    Endpoint {
        method: "POST",
        path: "/v1/responses/input_tokens",
        headers: "",
        body: r#"{"model":"m","input":"hi"}"#,
        words: Words::OfResponses,
        needs: Needs::Count,
        by: &KINDS_FOR_RESPONSES,
    },
    Endpoint {
        method: "POST",
        path: "/v1/responses/compact",
        headers: "",
        body: r#"{"model":"m","input":"hi"}"#,
        words: Words::OfResponses,
        needs: Needs::Answer,
        by: &["openai"],
    },
    Endpoint {
        method: "GET",
        path: "/v1/responses/{kept}",
        headers: "",
        body: "",
        words: Words::OfResponses,
        needs: Needs::Provider,
        by: &["openai"],
    },
    Endpoint {
        method: "GET",
        path: "/v1/responses/{kept}/input_items",
        headers: "",
        body: "",
        words: Words::OfResponses,
        needs: Needs::Provider,
        by: &["openai"],
    },
    Endpoint {
        method: "POST",
        path: "/v1/responses/{late}/cancel",
        headers: "",
        body: "",
        words: Words::OfResponses,
        needs: Needs::Provider,
        by: &["openai"],
    },
    Endpoint {
        method: "DELETE",
        path: "/v1/responses/{gone}",
        headers: "",
        body: "",
        words: Words::OfResponses,
        needs: Needs::Provider,
        by: &["openai"],
    },
    Endpoint {
        method: "POST",
        path: "/v1/moderations",
        headers: "",
        body: r#"{"model":"m","input":"hi"}"#,
        words: Words::OpenAis,
        needs: Needs::Answer,
        by: &["openai"],
    },
    Endpoint {
        method: "POST",
        path: "/v1/audio/speech",
        headers: "",
        body: r#"{"model":"m","input":"hi","voice":"v"}"#,
        words: Words::OpenAis,
        needs: Needs::Answer,
        by: &["openai"],
    },
    Endpoint {
        method: "POST",
        path: "/v1/images/generations",
        headers: "",
        body: r#"{"model":"m","prompt":"hi"}"#,
        words: Words::OpenAis,
        needs: Needs::Answer,
        by: &["openai"],
    },
    Endpoint {
        method: "POST",
        path: "/v1/rerank",
        headers: "",
        body: r#"{"model":"m","query":"q","documents":["a"]}"#,
        words: Words::OpenAis,
        needs: Needs::Answer,
        by: &["openai"],
    },
    Endpoint {
        method: "POST",
        path: "/v2/rerank",
        headers: "",
        body: r#"{"model":"m","query":"q","documents":["a"]}"#,
        words: Words::OpenAis,
        needs: Needs::Answer,
        by: &["openai"],
    },
    Endpoint {
        method: "POST",
        path: "/v1/score",
        headers: "",
        body: r#"{"model":"m","text_1":"a","text_2":"b"}"#,
        words: Words::OpenAis,
        needs: Needs::Answer,
        by: &["openai"],
    },
    Endpoint {
        method: "POST",
        path: "/tokenize",
        headers: "",
        body: r#"{"model":"m","prompt":"hi"}"#,
        words: Words::OpenAis,
        needs: Needs::Provider,
        by: &["openai"],
    },
    Endpoint {
        method: "POST",
        path: "/detokenize",
        headers: "",
        body: r#"{"model":"m","tokens":[1]}"#,
        words: Words::OpenAis,
        needs: Needs::Provider,
        by: &["openai"],
    },
    Endpoint {
        method: "POST",
        path: "/v1/audio/transcriptions",
        headers: OF_FORM,
        body: FORM,
        words: Words::OpenAis,
        needs: Needs::Answer,
        by: &["openai"],
    },
    Endpoint {
        method: "POST",
        path: "/v1/audio/translations",
        headers: OF_FORM,
        body: FORM,
        words: Words::OpenAis,
        needs: Needs::Answer,
        by: &["openai"],
    },
    Endpoint {
        method: "POST",
        path: "/v1/images/edits",
        headers: OF_FORM,
        body: FORM,
        words: Words::OpenAis,
        needs: Needs::Answer,
        by: &["openai"],
    },
    Endpoint {
        method: "GET",
        path: "/v1/files",
        headers: "",
        body: "",
        words: Words::OpenAis,
        needs: Needs::Provider,
        by: &["openai"],
    },
    Endpoint {
        method: "DELETE",
        path: "/v1/files/f",
        headers: "",
        body: "",
        words: Words::OpenAis,
        needs: Needs::Provider,
        by: &["openai"],
    },
    Endpoint {
        method: "GET",
        path: "/v1/batches/b",
        headers: "",
        body: "",
        words: Words::OpenAis,
        needs: Needs::Provider,
        by: &["openai"],
    },
    Endpoint {
        method: "GET",
        path: "/v1/fine_tuning/jobs",
        headers: "",
        body: "",
        words: Words::OpenAis,
        needs: Needs::Provider,
        by: &["openai"],
    },
    Endpoint {
        method: "DELETE",
        path: "/v1/vector_stores/v",
        headers: "",
        body: "",
        words: Words::OpenAis,
        needs: Needs::Provider,
        by: &["openai"],
    },
    Endpoint {
        method: "GET",
        path: "/v1/models",
        headers: "",
        body: "",
        words: Words::OpenAis,
        needs: Needs::Nothing,
        by: &KINDS,
    },
    Endpoint {
        method: "GET",
        path: "/v1/models/m",
        headers: "",
        body: "",
        words: Words::OpenAis,
        needs: Needs::Nothing,
        by: &KINDS,
    },
    Endpoint {
        method: "GET",
        path: "/v1/models",
        headers: VERSION,
        body: "",
        words: Words::Anthropics,
        needs: Needs::Nothing,
        by: &KINDS,
    },
    Endpoint {
        method: "GET",
        path: "/v1/models/m",
        headers: VERSION,
        body: "",
        words: Words::Anthropics,
        needs: Needs::Nothing,
        by: &KINDS,
    },
];

impl Endpoint {
    /// Whether its requests name no model, and go to `passthrough.provider`.
    fn is_passed_through(&self) -> bool {
        let words = ["files", "batches", "fine_tuning", "vector_stores"];
        words
            .iter()
            .any(|word| self.path.starts_with(&format!("/v1/{word}")))
    }

    /// Refused where it has a body.
    fn with_body(&self, code: &'static str) -> Told {
        if self.body.is_empty() {
            Told::Passes
        } else {
            Told::Refused(code)
        }
    }

    /// Refused where its answer is paid for.
    fn paid(&self, code: &'static str) -> Told {
        match self.needs {
            Needs::Answer => Told::Refused(code),
            Needs::Provider | Needs::Count | Needs::Nothing => Told::Passes,
        }
    }

    /// Refused where a provider must be asked.
    fn provided(&self, code: &'static str) -> Told {
        match self.needs {
            Needs::Answer | Needs::Provider => Told::Refused(code),
            Needs::Count | Needs::Nothing => Told::Passes,
        }
    }
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Passes,
    /// It is refused with this code, in the words of its endpoint.
    Refused(&'static str),
    /// Its head cannot be read: it is refused with this code in OpenAI's words.
    Unread(&'static str),
}

/// A request as it is sent.
struct Ask {
    method: String,
    path: String,
    headers: String,
    body: String,
    /// Bytes of the body that are announced and never come.
    missing: usize,
    version: &'static str,
}

impl Ask {
    fn of(endpoint: &Endpoint) -> Self {
        Self {
            method: endpoint.method.to_owned(),
            path: endpoint.path.to_owned(),
            headers: endpoint.headers.to_owned(),
            body: endpoint.body.to_owned(),
            missing: 0,
            version: "1.1",
        }
    }

    fn text(&self) -> String {
        let kind = "content-type: application/json\r\n";
        let kind = match self.headers.contains("content-type") || self.body.is_empty() {
            true => "",
            false => kind,
        };
        let length = match self.body.len() + self.missing {
            0 => String::new(),
            length => format!("content-length: {length}\r\n"),
        };
        format!(
            "{} {} HTTP/{}\r\nhost: test\r\n{}{kind}{length}\r\n{}",
            self.method, self.path, self.version, self.headers, self.body
        )
    }
}

/// A world, and what is asked in it.
struct Gate {
    name: &'static str,
    /// More of the file.
    rest: &'static str,
    /// Fields of the provider.
    fields: &'static [&'static str],
    /// Shuts the gate, before anything is asked.
    shut: fn(&World),
    /// What is not as usual in the request.
    change: fn(&mut Ask),
    /// What happens once all requests are sent.
    then: fn(&World),
    /// What becomes of the request.
    told: fn(&Endpoint) -> Told,
}

const OPEN: Gate = Gate {
    name: "open",
    rest: "",
    fields: &[],
    shut: |_| (),
    change: |_| (),
    then: |_| (),
    told: |_| Told::Passes,
};

const KEYED: &str = "auth: {mode: static_key, key: imx-1}\n";

/// Keys `k-a`, `k-b`, one that has expired, one that is out of use, and one for another model.
const KEYRING: &str = "auth:
  mode: keys
  keys:
  - {name: a, hash: 'sha256:29c2cc888fa9b3f46e0711100e1729a19129b4de8950fc68bd184ec09dfbe6cd'}
  - {name: b, hash: 'sha256:fe47fbb21f25d73b64693515203198e88dfc6212449862e6c87aff46cfad65e1'}
  - name: gone
    expires: 2020-01-01
    hash: 'sha256:23ec27c68ee5f6b7accffd7bb6d32a6c67bead61712e2b0c9fddf8a97070e557'
  - name: off
    disabled: true
    hash: 'sha256:4814404f21ad64d38a108cd3bc56f33e2bb91f7acc73149670112a900e0277fb'
  - name: narrow
    models: [other]
    hash: 'sha256:3cdd257886bdb43de3498ffeea949bc552a6a27c1cc0f303b42b0d48553548dc'
";

/// A dollar for each token.
const DEAR: &str = "pricing: {p: {m: {input_per_million: 1000000, output_per_million: 1000000}}}\n\
                    budgets: {callers: [{caller: team, monthly_usd: 0.01, action: hard_stop}]}\n";

fn gates() -> Vec<Gate> {
    let mut gates = of_heads();
    gates.extend(of_keys());
    gates.extend(of_bodies());
    gates.extend(of_worlds());
    gates
}

/// Gates that callers' keys decide about.
fn of_keys() -> Vec<Gate> {
    let keys = Gate {
        rest: KEYRING,
        ..OPEN
    };
    vec![
        Gate {
            name: "no caller's key",
            told: |_| Told::Refused("invalid_api_key"),
            ..keys
        },
        Gate {
            name: "a key of nobody",
            change: |ask| ask.headers.push_str("authorization: Bearer k-x\r\n"),
            told: |_| Told::Refused("invalid_api_key"),
            ..keys
        },
        Gate {
            name: "a mistyped key",
            change: |ask| ask.headers.push_str("x-api-key: imx_abc\r\n"),
            told: |_| Told::Refused("invalid_api_key"),
            ..keys
        },
        Gate {
            name: "a caller's key as a bearer token, beside another one",
            change: |ask| {
                let keys = "authorization: Bearer k-a\r\nx-api-key: sk-x\r\n";
                ask.headers.push_str(keys);
            },
            ..keys
        },
        Gate {
            name: "a caller's key as x-api-key",
            change: |ask| ask.headers.push_str("x-api-key: k-a\r\n"),
            ..keys
        },
        Gate {
            name: "a caller's key as api-key",
            change: |ask| ask.headers.push_str("api-key: k-a\r\n"),
            ..keys
        },
        Gate {
            name: "two callers' keys",
            change: |ask| {
                let keys = "authorization: Bearer k-a\r\nx-api-key: k-b\r\n";
                ask.headers.push_str(keys);
            },
            told: |_| Told::Refused("invalid_api_key"),
            ..keys
        },
        Gate {
            name: "a key that has expired",
            change: |ask| ask.headers.push_str("x-api-key: k-gone\r\n"),
            told: |_| Told::Refused("expired_api_key"),
            ..keys
        },
        Gate {
            name: "a key that is out of use",
            change: |ask| ask.headers.push_str("x-api-key: k-off\r\n"),
            told: |_| Told::Refused("disabled_api_key"),
            ..keys
        },
        Gate {
            name: "a key for another model",
            change: |ask| ask.headers.push_str("x-api-key: k-narrow\r\n"),
            // It could reach any model by a path that names none.
            told: |endpoint| match endpoint.path {
                _ if endpoint.is_passed_through() => Told::Refused("model_not_allowed"),
                // It does not see the model.
                "/v1/models/m" => Told::Refused("model_not_found"),
                _ => endpoint.with_body("model_not_allowed"),
            },
            ..keys
        },
    ]
}

/// Gates that a request's head decides about.
fn of_heads() -> Vec<Gate> {
    vec![
        OPEN,
        Gate {
            name: "no key",
            rest: KEYED,
            told: |_| Told::Refused("invalid_api_key"),
            ..OPEN
        },
        Gate {
            name: "a wrong key",
            rest: KEYED,
            change: |ask| ask.headers.push_str("authorization: Bearer imx-2\r\n"),
            told: |_| Told::Refused("invalid_api_key"),
            ..OPEN
        },
        Gate {
            name: "a wrong key in both headers",
            rest: KEYED,
            change: |ask| {
                ask.headers
                    .push_str("authorization: Bearer imx\r\nx-api-key: imx-2\r\n");
            },
            told: |_| Told::Refused("invalid_api_key"),
            ..OPEN
        },
        Gate {
            name: "the key as a bearer token",
            rest: KEYED,
            change: |ask| ask.headers.push_str("authorization: Bearer imx-1\r\n"),
            ..OPEN
        },
        Gate {
            name: "the key as x-api-key, beside another one",
            rest: KEYED,
            change: |ask| {
                ask.headers
                    .push_str("x-api-key: imx-1\r\nauthorization: Bearer sk-x\r\n");
            },
            ..OPEN
        },
        Gate {
            name: "the key as a bearer token, beside another one",
            rest: KEYED,
            change: |ask| {
                ask.headers
                    .push_str("x-api-key: sk-x\r\nauthorization: Bearer imx-1\r\n");
            },
            ..OPEN
        },
        Gate {
            name: "two lines of Authorization",
            change: |ask| {
                ask.headers
                    .push_str("authorization: Bearer a\r\nauthorization: Bearer a\r\n");
            },
            told: |_| Told::Refused("invalid_request"),
            ..OPEN
        },
        Gate {
            name: "a wrong method",
            change: |ask| ask.method = "PUT".to_owned(),
            told: |_| Told::Refused("method_not_allowed"),
            ..OPEN
        },
        Gate {
            name: "a path that is not served",
            change: |ask| ask.path.push_str("/nothing?x=/v1/models"),
            told: |endpoint| match endpoint.path {
                // What is below it is the provider's business.
                _ if endpoint.is_passed_through() => Told::Passes,
                // It is the name of a model.
                "/v1/models" | "/v1/models/m" => Told::Refused("model_not_found"),
                // It is the id of a response, which is asked for in another way.
                "/v1/responses" => Told::Refused("method_not_allowed"),
                _ => Told::Refused("unknown_url"),
            },
            ..OPEN
        },
        Gate {
            name: "a head that is too large",
            change: |ask| ask.headers.push_str(&format!("x: {:40000}\r\n", 1)),
            told: |_| Told::Unread("header_too_large"),
            ..OPEN
        },
        Gate {
            name: "a target that is too long",
            change: |ask| ask.path.push_str(&format!("?{:0>9000}", 1)),
            told: |_| Told::Unread("uri_too_long"),
            ..OPEN
        },
        Gate {
            name: "another version of HTTP",
            change: |ask| ask.version = "2.0",
            told: |_| Told::Unread("http_version_not_supported"),
            ..OPEN
        },
    ]
}

/// Gates that a request's body decides about.
fn of_bodies() -> Vec<Gate> {
    vec![
        Gate {
            name: "a form",
            change: |ask| ask.headers.push_str(OF_FORM),
            told: |endpoint| match endpoint.headers {
                OF_FORM => Told::Passes,
                _ => endpoint.with_body("unsupported_media_type"),
            },
            ..OPEN
        },
        Gate {
            name: "a coding that is not known",
            change: |ask| ask.headers.push_str("content-encoding: br\r\n"),
            told: |endpoint| endpoint.with_body("unsupported_encoding"),
            ..OPEN
        },
        Gate {
            name: "text from a page of another site",
            change: |ask| {
                ask.headers
                    .push_str("content-type: text/plain\r\norigin: https://other.example\r\n");
            },
            told: |endpoint| match endpoint.path {
                // It needs no body, so that a browser sends it without asking.
                "/v1/responses/{late}/cancel" => Told::Refused("invalid_request"),
                _ => endpoint.with_body("invalid_request"),
            },
            ..OPEN
        },
        Gate {
            name: "a body that is no JSON",
            change: |ask| {
                ask.body.pop();
            },
            told: |endpoint| endpoint.with_body("invalid_request"),
            ..OPEN
        },
        Gate {
            name: "a body without a model",
            change: |ask| ask.body = ask.body.replace("\"model\"", "\"x\""),
            told: |endpoint| endpoint.with_body("invalid_request"),
            ..OPEN
        },
        Gate {
            name: "a model that nobody serves",
            change: |ask| {
                ask.body = ask.body.replace("\"m\"", "\"nobody\"");
                ask.body = ask.body.replace("\r\nm\r\n", "\r\nnobody\r\n");
                ask.path = ask.path.replace("models/m", "models/nobody");
            },
            told: |endpoint| match endpoint.path {
                "/v1/models" => Told::Passes,
                // It names a response, and no model.
                path if path.starts_with("/v1/responses/{") => Told::Passes,
                _ if endpoint.is_passed_through() => Told::Passes,
                _ => Told::Refused("model_not_found"),
            },
            ..OPEN
        },
        Gate {
            name: "a body that is too large",
            rest: "server: {max_body_bytes: 1024}\n",
            change: |ask| ask.missing = ask.body.len() * 1024,
            told: |endpoint| endpoint.with_body("request_too_large"),
            ..OPEN
        },
        Gate {
            name: "a body that does not come",
            rest: "server: {body_timeout: 50ms}\n",
            change: |ask| ask.missing = ask.body.len(),
            told: |endpoint| endpoint.with_body("request_timeout"),
            ..OPEN
        },
        Gate {
            name: "no memory",
            rest: "server: {max_buffered_bytes: 300000}\n",
            // A form that is larger still would be sent on as it arrives.
            change: |ask| ask.missing = (ask.body.len() * 100_000).min(900_000),
            told: |endpoint| endpoint.with_body("overloaded"),
            ..OPEN
        },
    ]
}

/// Gates that others have shut.
fn of_worlds() -> Vec<Gate> {
    vec![
        Gate {
            name: "a budget that is too small",
            rest: DEAR,
            change: |ask| ask.headers.push_str("x-infermux-caller: team\r\n"),
            told: |endpoint| endpoint.paid("budget_exceeded"),
            ..OPEN
        },
        Gate {
            name: "the provider's requests are used up",
            fields: &["rate_limits: {requests_per_minute: 1}"],
            shut: |world| {
                assert_eq!(world.ask(&ENDPOINTS[0]).status, 200);
                eventually("it is counted", || world.counted()[0] > 0.0);
            },
            told: |endpoint| endpoint.provided("rate_limit"),
            ..OPEN
        },
        Gate {
            name: "the provider's tokens are used up",
            fields: &["rate_limits: {tokens_per_minute: 1}"],
            shut: |world| {
                assert_eq!(world.ask(&ENDPOINTS[0]).status, 200);
                eventually("it is counted", || world.counted()[0] > 0.0);
            },
            told: |endpoint| endpoint.paid("rate_limit"),
            ..OPEN
        },
        Gate {
            name: "the provider has no place",
            fields: &["max_in_flight: 1"],
            shut: |world| {
                let stalls = json!({"do": "stall_before_head"});
                world.mock.set_script(stalls).expect("a script");
                let mut client = Client::connect(world.router.addr());
                client.send(Ask::of(&ENDPOINTS[0]).text());
                wait_for_requests(&world.mock, 1);
                // It is answered when nobody waits for it any more.
                std::mem::forget(client);
            },
            told: |endpoint| endpoint.provided("rate_limit"),
            ..OPEN
        },
        Gate {
            name: "the provider's circuit is open",
            shut: |world| {
                assert_eq!(turn(&world.router, "p", "open").status, 200);
                wait_for_circuit(&world.router, "p", &circuit(&world.router, "p"));
            },
            told: |endpoint| endpoint.provided("no_healthy_providers"),
            ..OPEN
        },
        Gate {
            name: "the router stops",
            change: |ask| ask.missing = ask.body.len(),
            then: |world| world.router.signal("TERM"),
            told: |endpoint| endpoint.with_body("shutting_down"),
            ..OPEN
        },
    ]
}

/// A router before a provider.
struct World {
    mock: Mock,
    router: Router,
    /// What stands for responses that the provider has stored, and their ids.
    stored: Vec<(&'static str, String)>,
}

/// Has the provider store a response: the member `background` tells whether it goes on.
fn store(mock: &Mock, is_background: bool) -> String {
    let body = json!({"model": "m", "input": "hi", "background": is_background}).to_string();
    let mut client = Client::connect(mock.address());
    client.post_with("/v1/responses", "authorization: Bearer sk-p\r\n", &body);
    let answer = client.answer();
    let id = answer.json()["id"].as_str().map(str::to_owned);
    id.unwrap_or_else(|| panic!("no id: {}", answer.text()))
}

impl World {
    fn new(gate: &Gate, kind: &str) -> Self {
        let mock = mock(json!({"name": "p", "dialect": match kind {
            "anthropic" => "anthropic",
            _ => "openai",
        }}));
        let names = ["{kept}", "{gone}", "{late}"].into_iter();
        let names = names.filter(|_| kind == "openai");
        let stored = names.map(|name| (name, store(&mock, name == "{late}")));
        let stored = stored.collect();
        // Its counts begin with what is asked through the router.
        mock.reset();
        let (kind, base, responses) = match kind {
            "openai" => ("openai", "/v1", "responses: native"),
            "bridge" => ("openai", "/v1", "responses: bridge"),
            kind => (kind, "", "responses: bridge"),
        };
        let base = format!("base_url: \"http://{}{base}\"", mock.address());
        let kind = format!("type: {kind}");
        let fields = [&[&*kind, &*base, responses], gate.fields].concat();
        let passthrough = match kind.as_str() {
            "type: anthropic" => "",
            _ => "passthrough: {provider: p}\n",
        };
        let rest = format!("{}{passthrough}", gate.rest);
        let config = config_of(&[provider(&mock, &fields)], &rest);
        let start = Start::with(&config).args(&["--graceful-shutdown", "200ms"]);
        let router = start.go();
        Self {
            mock,
            router,
            stored,
        }
    }

    /// The request of an endpoint as it is usual here.
    fn usual(&self, endpoint: &Endpoint) -> Ask {
        let mut ask = Ask::of(endpoint);
        for (name, id) in &self.stored {
            ask.path = ask.path.replace(name, id);
        }
        ask
    }

    fn ask(&self, endpoint: &Endpoint) -> Answer {
        let mut client = Client::connect(self.router.addr());
        client.send(Ask::of(endpoint).text());
        client.answer_to(endpoint.method)
    }

    /// Tokens, money, attempts and what is left of limits.
    fn counted(&self) -> [f64; 4] {
        [
            "infermux_tokens_total",
            "infermux_cost_usd_total",
            "infermux_attempts_total",
            "infermux_rate_limit_headroom",
        ]
        .map(|name| metric(self.router.management(), name, &[]))
    }

    fn refused(&self) -> f64 {
        metric(self.router.management(), "infermux_errors_total", &[])
    }
}

// proves: gate.every-endpoint
// proves: error.own-words
#[test]
fn every_endpoint_is_behind_every_gate() {
    let mut cells = 0;
    for kind in KINDS_FOR_RESPONSES {
        for gate in gates() {
            cells += try_gate(&gate, kind);
        }
    }
    assert!(cells >= 400, "{cells} cells");
}

/// Tries each endpoint that this type of provider has; returns how many.
fn try_gate(gate: &Gate, kind: &str) -> usize {
    let world = World::new(gate, kind);
    (gate.shut)(&world);
    let (counted, seen, refused) = (
        world.counted(),
        world.mock.requests().len(),
        world.refused(),
    );
    let has = |endpoint: &&Endpoint| endpoint.by.contains(&kind);
    let asked: Vec<(&Endpoint, Client)> = ENDPOINTS
        .iter()
        .filter(has)
        .map(|endpoint| {
            let mut ask = world.usual(endpoint);
            (gate.change)(&mut ask);
            let mut client = Client::connect(world.router.addr());
            // Where it is refused early, its end may find nobody.
            client.send(ask.text());
            (endpoint, client)
        })
        .collect();
    (gate.then)(&world);
    let cells = asked.len();
    let (mut refusals, mut forwarded) = (0, 0);
    for (endpoint, mut client) in asked {
        let row = format!(
            "{} {} {kind}: {}",
            endpoint.method, endpoint.path, gate.name
        );
        let answer = client.answer_to(endpoint.method);
        match (gate.told)(endpoint) {
            Told::Passes => {
                assert_eq!(answer.status, 200, "{row}: {}", answer.text());
                forwarded += usize::from(endpoint.needs != Needs::Nothing);
            }
            Told::Refused(code) => {
                refusals += 1;
                check_refusal(&answer, (endpoint.words, code), &row);
            }
            Told::Unread(code) => {
                refusals += 1;
                // The path alone is known.
                let words = match endpoint.path.starts_with("/v1/messages") {
                    true => Words::Anthropics,
                    false => Words::OpenAis,
                };
                check_refusal(&answer, (words, code), &row);
            }
        }
    }
    let sent = world.mock.requests().len() - seen;
    assert!(sent <= forwarded, "{kind}: {}: {sent} went up", gate.name);
    if gate.name != "the router stops" {
        eventually("refusals are counted", || {
            world.refused() - refused >= f64::from(refusals)
        });
        if forwarded == 0 {
            assert_eq!(world.counted(), counted, "{kind}: {}", gate.name);
        }
    }
    cells
}

fn check_refusal(answer: &Answer, (words, code): (Words, &str), row: &str) {
    let known = TABLE.iter().find(|known| known.code == code).expect(code);
    let text = answer.text();
    let body = answer.json();
    let id = answer.header("x-request-id");
    match words {
        Words::OpenAis | Words::OfResponses => {
            assert_eq!(answer.status, known.status, "{row}: {text}");
            let error = body["error"].as_object().expect(row);
            let kind = match (words, code) {
                (Words::OfResponses, "budget_exceeded") => "insufficient_quota",
                (_, _) => "infermux_error",
            };
            assert_eq!(error["type"], kind, "{row}: {text}");
            assert_eq!(error["code"], code, "{row}: {text}");
            assert_eq!(error["param"], Value::Null, "{row}: {text}");
            assert!(error["message"].is_string(), "{row}: {text}");
            assert_eq!(body.as_object().expect(row).len(), 1, "{row}: {text}");
            assert_eq!(answer.header("request-id"), None, "{row}");
        }
        Words::Anthropics => {
            assert_eq!(answer.status, known.in_messages.status, "{row}: {text}");
            assert_eq!(body["type"], "error", "{row}: {text}");
            let error = &body["error"];
            assert_eq!(error["type"], known.in_messages.kind, "{row}: {text}");
            assert_eq!(error["details"]["error_code"], code, "{row}: {text}");
            assert!(error["message"].is_string(), "{row}: {text}");
            assert_eq!(body["request_id"].as_str(), id, "{row}: {text}");
            assert_eq!(answer.header("request-id"), id, "{row}");
        }
    }
    assert!(id.is_some(), "{row}");
    assert_eq!(answer.header("x-infermux-error"), Some(code), "{row}");
    let comes_back = matches!(answer.status, 429 | 503 | 529);
    for name in ["retry-after", "retry-after-ms"] {
        assert_eq!(answer.header(name).is_some(), comes_back, "{row}: {name}");
    }
    let is_final = matches!(answer.status, 400 | 401 | 403 | 404 | 413 | 415);
    let details = [&body["error"], &body["error"]["details"]];
    let wait = details.map(|one| one["retry_after_ms"].as_u64().unwrap_or(0));
    let is_final = is_final || code == "budget_exceeded" || wait.iter().any(|ms| *ms > 60_000);
    let said = answer.header("x-should-retry");
    assert_eq!(said, is_final.then_some("false"), "{row}");
    let allow = answer.header("allow");
    assert_eq!(allow.is_some(), code == "method_not_allowed", "{row}");
}
