//! The running router that a command asks: its address, and why it does not answer.

use std::io::ErrorKind;
use std::time::Duration;

use rustls::pki_types::ServerName;
use serde::Deserialize;

use crate::base::limits::REPORT_BYTES_MAX;
use crate::base::secret::Secret;
use crate::base::time::Instant;
use crate::cli::dial;
use crate::cli::environment;
use crate::cli::flags::ServerFlags;
use crate::config::faults::{printable, sentence};
use crate::config::url;
use crate::config::url::BaseUrl;
use crate::sys::http::{self, Answer, Bounds, NoAnswer, Peer};
use crate::sys::{clock, tls};

/// A router.
pub struct Server {
    /// The URL as the user wrote it.
    text: String,
    base: BaseUrl,
    token: Option<Secret>,
    /// How long a command waits for all of its answers.
    patience: Duration,
}

impl Server {
    /// The router that the flag, the environment or the default names.
    ///
    /// # Errors
    ///
    /// The URL or the token is wrong; a sentence that says how.
    pub fn new(flags: &ServerFlags) -> Result<Self, String> {
        let (name, text) = match (&flags.server, environment::setting(SERVER)) {
            (Some(text), _) => ("--server", text.clone()),
            (None, Some(text)) => (SERVER, text),
            (None, None) => ("", DEFAULT.to_owned()),
        };
        let wrong = |problem: &str| format!("{name}: {} {problem}", printable(&text));
        if text.contains('@') {
            let problem = "has an `@`: the token belongs in";
            return Err(format!("{name}: the URL {problem} {TOKEN}"));
        }
        let base = url::parse(&text).map_err(|problem| wrong(&problem))?;
        if !base.query.is_empty() {
            return Err(wrong("has a query (`?…`)"));
        }
        let token = environment::setting(TOKEN);
        if token.as_ref().is_some_and(|token| !is_header_value(token)) {
            return Err(format!("{TOKEN} has characters other than visible ASCII"));
        }
        Ok(Self {
            token: token.map(Secret::new),
            text,
            base,
            patience: PATIENCE,
        })
    }

    /// The same router, with more time.
    #[must_use]
    pub fn patient(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// When a command that starts now gives up.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        clock::now() + self.patience
    }

    /// The URL as the user wrote it.
    #[must_use]
    pub fn text(&self) -> String {
        printable(&self.text)
    }

    /// The body of its answer to GET `path`, until the deadline `until`.
    ///
    /// # Errors
    ///
    /// The router does not answer, or refuses; a sentence that says why, and what to do.
    pub fn report(&self, path: &str, until: Instant) -> Result<Vec<u8>, String> {
        let answer = self.ask("GET", path, until)?;
        match answer.status {
            200 => Ok(answer.body),
            _ => Err(self.refused(path, &answer)),
        }
    }

    /// Its answer to `method` and `path`, whatever the status.
    ///
    /// # Errors
    ///
    /// There is no answer; a sentence that says why, and what to do.
    pub fn ask(&self, method: &str, path: &str, until: Instant) -> Result<Answer, String> {
        self.send((method, path), None, until)
    }

    /// As [`Server::ask`], with the JSON text `body` where the request has one.
    ///
    /// # Errors
    ///
    /// There is no answer; a sentence that says why, and what to do.
    pub fn send(
        &self,
        (method, path): (&str, &str),
        body: Option<&str>,
        until: Instant,
    ) -> Result<Answer, String> {
        let bounds = Bounds {
            until,
            body_bytes_max: REPORT_BYTES_MAX,
        };
        let addresses =
            dial::look_up((&self.base.host, self.base.port), until).map_err(|fault| match fault
                .kind()
            {
                ErrorKind::TimedOut => self.named(&self.no_answer(&NoAnswer::TimedOut)),
                _ => self.named(&format!("cannot look the name up: {fault}")),
            })?;
        let tls = self.base.tls.then(|| {
            let (config, _) = tls::client()?;
            let name = ServerName::try_from(String::from(&*self.base.host));
            Ok((config, name.map_err(|fault| fault.to_string())?))
        });
        let peer = Peer {
            tunnel: None,
            addresses: &addresses,
            tls: tls
                .transpose()
                .map_err(|problem: String| self.named(&problem))?,
        };
        http::exchange(peer, self.request(method, path, body).as_bytes(), bounds)
            .map_err(|fault| self.named(&self.hint(&fault)))
    }

    /// Reads the document in `bytes`; answers of other servers are refused.
    ///
    /// # Errors
    ///
    /// The server is not infermux; a sentence that says so.
    pub fn read<'a, T: Deserialize<'a>>(&self, bytes: &'a [u8]) -> Result<T, String> {
        serde_json::from_slice(bytes)
            .map_err(|fault| self.named(&format!("its answer is not infermux's: {fault}")))
    }

    fn request(&self, method: &str, path: &str, body: Option<&str>) -> String {
        let token = self.token.as_ref().map_or_else(String::new, |token| {
            format!("Authorization: Bearer {}\r\n", token.expose())
        });
        let length = match (method, body) {
            (_, Some(body)) => {
                let length = body.len();
                format!("Content-Type: application/json\r\nContent-Length: {length}\r\n")
            }
            ("GET", None) => String::new(),
            (_, None) => String::from("Content-Length: 0\r\n"),
        };
        format!(
            "{method} {}{path} HTTP/1.1\r\nHost: {}\r\nAccept: application/json\r\n\
             User-Agent: infermux/{}\r\n{token}{length}Connection: close\r\n\r\n{}",
            self.base.path,
            self.base.authority,
            env!("CARGO_PKG_VERSION"),
            body.unwrap_or_default(),
        )
    }

    fn named(&self, problem: &str) -> String {
        format!("{}: {problem}", printable(&self.text))
    }

    /// What is wrong, and what the user can do about it.
    fn hint(&self, fault: &NoAnswer) -> String {
        let told = self.no_answer(fault);
        match fault {
            NoAnswer::Connect(fault) if fault.kind() == ErrorKind::ConnectionRefused => {
                format!("{told}: is infermux running there? --server or {SERVER} says where")
            }
            NoAnswer::NotHttp if !self.base.tls => format!("{told}; is it https?"),
            NoAnswer::Connect(_)
            | NoAnswer::Broken(_)
            | NoAnswer::TimedOut
            | NoAnswer::CutShort
            | NoAnswer::NotHttp
            | NoAnswer::TooLarge(_)
            | NoAnswer::NoTunnel(_) => told,
        }
    }

    /// Why there is no answer, as the end of a sentence.
    fn no_answer(&self, fault: &NoAnswer) -> String {
        match fault {
            NoAnswer::TimedOut => format!("{fault} ({} s)", self.patience.as_secs()),
            NoAnswer::Connect(_)
            | NoAnswer::Broken(_)
            | NoAnswer::CutShort
            | NoAnswer::NotHttp
            | NoAnswer::TooLarge(_)
            | NoAnswer::NoTunnel(_) => fault.to_string(),
        }
    }

    /// The sentence for an answer other than 200.
    #[must_use]
    pub fn refused(&self, path: &str, answer: &Answer) -> String {
        self.named(&self.refusal(path, answer))
    }

    /// The faults for which the router refused the request, a sentence each; `None` where the
    /// server is not infermux, or refuses the user.
    #[must_use]
    pub fn faults(&self, answer: &Answer) -> Option<Vec<String>> {
        let told = serde_json::from_slice::<Told>(&answer.body).ok()?;
        let is_its_own = told.error.kind.as_deref() == Some("infermux_error");
        // A router that knows the path, and not what it names, has refused the request.
        let knows_no_path = !told.error.names_nobody();
        if !is_its_own || matches!(answer.status, 401 | 405) {
            return None;
        }
        if answer.status == 404 && knows_no_path {
            return None;
        }
        let faults = told.error.faults.iter();
        let faults: Vec<String> = faults.map(|fault| sentence(fault)).collect();
        let message = || self.named(&self.refusal("", answer));
        Some(if faults.is_empty() {
            vec![message()]
        } else {
            faults
        })
    }

    fn refusal(&self, path: &str, answer: &Answer) -> String {
        let told = serde_json::from_slice::<Told>(&answer.body).ok();
        let is_infermux = |told: &&Told| told.error.kind.as_deref() == Some("infermux_error");
        match (answer.status, told.as_ref().filter(is_infermux)) {
            (401, _) if self.token.is_some() => {
                format!("the router does not accept the token in {TOKEN} (401)")
            }
            (401, _) => format!("the router wants a token (401): set {TOKEN} to the router's"),
            (404, Some(told)) if told.error.names_nobody() => {
                sentence(told.error.message.as_deref().unwrap_or_default())
            }
            (404, Some(_)) => format!(
                "the router does not serve {path} there (404): where it has a management_listen, \
                 --server must name that"
            ),
            (404, None) => String::from("what answers there is not infermux (404)"),
            (status, Some(told)) => {
                let message = told.error.message.as_deref().unwrap_or_default();
                format!("the router answers {status}: {}", sentence(message))
            }
            // A router that takes no traffic says why instead.
            (503, None) if let Some(state) = state(&answer.body) => {
                format!("the router is {state}")
            }
            (status, None) => format!("what answers there answers {status}"),
        }
    }
}

/// An error in OpenAI's shape.
#[derive(Deserialize)]
struct Told {
    error: ToldError,
}

/// Why a router takes no traffic, in its own word.
fn state(body: &[u8]) -> Option<&'static str> {
    #[derive(Deserialize)]
    struct Readiness {
        status: String,
    }
    let told: Readiness = serde_json::from_slice(body).ok()?;
    ["starting", "draining"]
        .into_iter()
        .find(|word| *word == told.status)
}

#[derive(Deserialize)]
struct ToldError {
    #[serde(rename = "type")]
    kind: Option<String>,
    message: Option<String>,
    code: Option<String>,
    #[serde(default)]
    faults: Vec<String>,
}

impl ToldError {
    /// Whether the router knows the path, and not the key or provider that it names.
    fn names_nobody(&self) -> bool {
        matches!(
            self.code.as_deref(),
            Some("unknown_key" | "unknown_provider")
        )
    }
}

/// A name as a segment of a path, or as a value of a query.
#[must_use]
pub fn percent_encoded(name: &str) -> String {
    let mut path = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
    path
}

fn is_header_value(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The variable with the router's URL.
const SERVER: &str = "INFERMUX_SERVER";
/// The variable with the operators' token.
pub const TOKEN: &str = "INFERMUX_MANAGEMENT_TOKEN";
const DEFAULT: &str = "http://127.0.0.1:8080";
/// How long a command waits for all of its answers; the router gives its coordinator five seconds.
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn server(text: &str, token: Option<&str>) -> Server {
        Server {
            text: text.to_owned(),
            base: url::parse(text).unwrap(),
            token: token.map(Secret::new),
            patience: PATIENCE,
        }
    }

    #[test]
    fn the_request_goes_below_the_path_of_the_server() {
        let request =
            server("https://ops.example:8443/router/", Some("sesame")).request("GET", "/x", None);
        let lines: Vec<&str> = request.split("\r\n").collect();
        assert_eq!(lines[0], "GET /router/x HTTP/1.1");
        assert!(lines.contains(&"Host: ops.example:8443"));
        assert!(lines.contains(&"Authorization: Bearer sesame"));
        assert!(request.ends_with("\r\nConnection: close\r\n\r\n"));
        assert!(
            !server("http://h", None)
                .request("GET", "/x", None)
                .contains("Authorization")
        );
    }

    #[test]
    fn a_body_has_its_length_and_its_kind() {
        let request = server("http://h", None).request("POST", "/x", Some("{\"a\":\"ä\"}"));
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("Content-Type: application/json\r\nContent-Length: 10\r\n"));
        assert_eq!(body.len(), 10);
        assert_eq!(percent_encoded("a b/ä"), "a%20b%2F%C3%A4");
    }

    #[test]
    fn a_router_that_says_nothing_is_left_in_time() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let text = format!("http://{}", listener.local_addr().unwrap());
        let until = clock::now() + Duration::from_millis(50);
        let told = server(&text, None).report("/x", until);
        assert_eq!(told, Err(format!("{text}: no answer in time (10 s)")));
        // Past the deadline, not even a name is looked up.
        let late = server("http://localhost:1", None).report("/x", Instant::ZERO);
        assert!(late.is_err_and(|told| told.contains("in time")));
    }
}
