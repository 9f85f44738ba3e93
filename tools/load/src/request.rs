//! The bytes of the request that is sent over and over, and the number in it that changes.

use serde_json::{Value, json};

use crate::kind::Kind;
use crate::target::Target;

/// The model that is asked for when nothing says otherwise.
const MODEL: &str = "gpt-4o";
/// What a sized body's prompt repeats: plain words, so that one character is one byte.
const PROSE: &str = "The quick brown fox jumps over the lazy dog. ";

/// The place of a request's number in a template, as long as the number itself.
const MARK: &[u8; 12] = b"{{ number }}";

/// The bytes of a request, and where its number stands in them.
#[derive(Clone)]
pub(crate) struct Request {
    bytes: Vec<u8>,
    places: Vec<usize>,
    next: u64,
    step: u64,
    cycle: u64,
}

impl Request {
    /// A request that is the same every time.
    pub(crate) fn fixed(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            places: Vec::new(),
            next: 0,
            step: 1,
            cycle: u64::MAX,
        }
    }

    /// A request whose marks become numbers, which start over after `cycle` requests.
    pub(crate) fn template(bytes: Vec<u8>, cycle: Option<u64>) -> Self {
        let places = memchr::memmem::find_iter(&bytes, MARK).collect();
        Self {
            places,
            cycle: cycle.unwrap_or(u64::MAX),
            ..Self::fixed(bytes)
        }
    }

    /// The same request for thread `index` of `threads`, with numbers that no other thread has.
    pub(crate) fn of_thread(&self, index: u32, threads: u32) -> Self {
        Self {
            next: u64::from(index),
            step: u64::from(threads),
            ..self.clone()
        }
    }

    /// Whether no two requests are the same.
    pub(crate) fn is_numbered(&self) -> bool {
        !self.places.is_empty()
    }

    /// All of it, as it goes over the wire.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The number of the next request.
    pub(crate) fn next_number(&mut self) -> u64 {
        let number = self.next % self.cycle;
        self.next += self.step;
        number
    }

    /// Puts `number` where it belongs, with twelve digits.
    pub(crate) fn write_number(&mut self, number: u64) {
        let digits = format!("{:012}", number % 1_000_000_000_000);
        for &place in &self.places {
            if let Some(old) = self.bytes.get_mut(place..place + MARK.len()) {
                old.copy_from_slice(digits.as_bytes());
            }
        }
    }
}

/// Where a request's body comes from.
pub(crate) enum BodySource {
    /// The user's own, byte for byte.
    Given(Vec<u8>),
    /// The user's own, each [`MARK`] in it to become the number of its request.
    Template(Vec<u8>),
    /// A prompt in a request of exactly `size` bytes.
    Prompt {
        /// Length of the whole JSON text.
        size: usize,
        /// What the request looks like.
        form: Form,
    },
}

/// What a request with a prompt looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `messages`, as chat completions and Messages have it.
    Messages,
    /// `input`, as Responses have it.
    Input,
}

impl Form {
    /// The form of requests to `target`, judged by the end of its path.
    pub(crate) fn of(target: &Target) -> Self {
        let path = target.path.split('?').next().unwrap_or_default();
        if path.ends_with("/responses") {
            return Self::Input;
        }
        Self::Messages
    }

    /// The keys for the most tokens of the answer, and for the prompt.
    fn keys(self) -> [&'static str; 2] {
        match self {
            Self::Messages => ["max_tokens", "messages"],
            Self::Input => ["max_output_tokens", "input"],
        }
    }
}

impl BodySource {
    /// The body's bytes, with the model, and the request for a stream, put in.
    ///
    /// # Errors
    ///
    /// A sentence for the user when the body cannot be made so.
    pub(crate) fn build(self, model: Option<&str>, kind: Kind) -> Result<Vec<u8>, String> {
        match self {
            Self::Given(bytes) | Self::Template(bytes) => adapt(bytes, model, kind),
            Self::Prompt { size, form } => prompt(size, form, model.unwrap_or(MODEL), kind),
        }
    }
}

/// A user's body stays byte for byte what it is unless a flag asks for a change.
fn adapt(bytes: Vec<u8>, model: Option<&str>, kind: Kind) -> Result<Vec<u8>, String> {
    if model.is_none() && kind == Kind::Plain {
        return Ok(bytes);
    }
    let mut value: Value = serde_json::from_slice(&bytes)
        .map_err(|e| format!("--model and --stream need a body that is JSON: {e}"))?;
    let object = value
        .as_object_mut()
        .ok_or("--model and --stream need a JSON object")?;
    if let Some(model) = model {
        object.insert("model".to_owned(), json!(model));
    }
    if kind != Kind::Plain {
        object.insert("stream".to_owned(), json!(true));
    }
    Ok(value.to_string().into_bytes())
}

fn prompt(size: usize, form: Form, model: &str, kind: Kind) -> Result<Vec<u8>, String> {
    let model = json!(model);
    let [most, messages] = form.keys();
    let stream = match kind {
        Kind::Plain => "",
        Kind::Stream | Kind::StampedStream => r#""stream":true,"#,
    };
    let head = format!(
        r#"{{"model":{model},{stream}"{most}":64,"{messages}":[{{"role":"user","content":""#
    );
    let tail = r#""}]}"#;
    let least = head.len() + tail.len();
    let padding = size
        .checked_sub(least)
        .ok_or_else(|| format!("a request with a prompt needs at least {least} bytes"))?;
    let mut text = head;
    text.extend(PROSE.chars().cycle().take(padding));
    text.push_str(tail);
    Ok(text.into_bytes())
}

/// Head and body as they go over the wire; `headers` replace defaults of the same name.
pub(crate) fn bytes(target: &Target, body: Option<&[u8]>, headers: &[(String, String)]) -> Vec<u8> {
    let method = if body.is_some() { "POST" } else { "GET" };
    let mut defaults = vec![
        ("Host", target.authority.clone()),
        (
            "User-Agent",
            concat!("infermux-load/", env!("CARGO_PKG_VERSION")).to_owned(),
        ),
        ("Accept", "*/*".to_owned()),
    ];
    if let Some(body) = body {
        defaults.push(("Content-Type", "application/json".to_owned()));
        defaults.push(("Content-Length", body.len().to_string()));
    }
    let mut text = format!("{method} {} HTTP/1.1\r\n", target.path);
    let replaced = |name: &str| {
        headers
            .iter()
            .any(|(own, _)| own.eq_ignore_ascii_case(name))
    };
    for (name, value) in defaults.iter().filter(|(name, _)| !replaced(name)) {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(body.unwrap_or_default());
    bytes
}

/// Reads `Name: value`.
///
/// # Errors
///
/// When it is not a header that may stand in a request.
pub(crate) fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("a header is 'Name: value'")?;
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(format!("{name:?} is no header name"));
    }
    if value.bytes().any(|b| b < b' ' && b != b'\t') {
        return Err("a header's value holds no control characters".to_owned());
    }
    if name.eq_ignore_ascii_case("content-length") || name.eq_ignore_ascii_case("transfer-encoding")
    {
        return Err(format!("{name} follows from the body"));
    }
    Ok((name.to_owned(), value.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sized(size: usize, path: &str) -> BodySource {
        let target = Target::parse(&format!("http://h{path}")).expect("a URL");
        let form = Form::of(&target);
        BodySource::Prompt { size, form }
    }

    #[test]
    fn a_prompt_has_exactly_the_size_asked_for_and_the_form_of_its_endpoint() {
        for (size, kind, path, key) in [
            (229, Kind::Plain, "/v1/chat/completions", "messages"),
            (229, Kind::Stream, "/v1/messages", "messages"),
            (229, Kind::Stream, "/v1/responses?a=/b", "input"),
            (100_000, Kind::Plain, "/v1/responses", "input"),
        ] {
            let body = sized(size, path).build(None, kind).expect("large enough");
            assert_eq!(body.len(), size);
            let value: Value = serde_json::from_slice(&body).expect("JSON");
            assert_eq!(value["model"], "gpt-4o");
            assert_eq!(value[key][0]["role"], "user", "{path}");
            assert_eq!(value["stream"] == true, kind == Kind::Stream);
        }
        let quoted = sized(229, "/")
            .build(Some("a\"b"), Kind::Plain)
            .expect("JSON");
        assert_eq!(
            serde_json::from_slice::<Value>(&quoted).expect("JSON")["model"],
            "a\"b"
        );
        assert!(sized(20, "/").build(None, Kind::Plain).is_err());
    }

    #[test]
    fn a_given_body_changes_only_on_request() {
        let own = br#"{ "model":"m" }"#.to_vec();
        assert_eq!(
            BodySource::Given(own.clone()).build(None, Kind::Plain),
            Ok(own.clone())
        );
        let changed = BodySource::Given(own)
            .build(Some("n"), Kind::Stream)
            .expect("an object");
        let value: Value = serde_json::from_slice(&changed).expect("JSON");
        assert_eq!(value, json!({"model": "n", "stream": true}));
        assert!(
            BodySource::Given(b"[1]".to_vec())
                .build(None, Kind::Stream)
                .is_err()
        );
    }

    #[test]
    fn every_request_of_a_template_has_a_number_of_its_own() {
        let whole = Request::template(b"a {{ number }} b {{ number }}".to_vec(), None);
        let mut own = whole.of_thread(1, 3);
        assert!(own.is_numbered() && !Request::fixed(b"{{ number }}".to_vec()).is_numbered());
        for expected in [
            "a 000000000001 b 000000000001",
            "a 000000000004 b 000000000004",
        ] {
            let number = own.next_number();
            own.write_number(number);
            assert_eq!(own.bytes(), expected.as_bytes());
        }
    }

    #[test]
    fn numbers_start_over_after_a_cycle() {
        let mut request = Request::template(b"{{ number }}".to_vec(), Some(3));
        let numbers: Vec<u64> = (0..5).map(|_| request.next_number()).collect();
        assert_eq!(numbers, [0, 1, 2, 0, 1]);
    }

    #[test]
    fn own_headers_replace_defaults() {
        let target = Target::parse("http://h:1/p").expect("a URL");
        let own = [header("host: other").expect("a header")];
        let text = String::from_utf8(bytes(&target, Some(b"{}"), &own)).expect("ASCII");
        assert!(text.starts_with("POST /p HTTP/1.1\r\n"), "{text}");
        assert!(
            text.contains("host: other\r\n") && !text.contains("Host: h:1"),
            "{text}"
        );
        assert!(
            text.ends_with("Content-Length: 2\r\nhost: other\r\n\r\n{}"),
            "{text}"
        );
    }

    #[test]
    fn refuses_headers_that_would_break_the_request() {
        for wrong in ["a", ": b", "a b: c", "a: b\r\nc: d", "Content-Length: 5"] {
            assert!(header(wrong).is_err(), "{wrong}");
        }
    }
}
