//! Carries one notice to one webhook, under a deadline.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use crate::base::digest::Digest;
use crate::base::notice::{Dated, Outcome};
use crate::base::time::Instant;
use crate::cli::{dial, environment};
use crate::config::plan::Plan;
use crate::config::webhook::{Format, Webhook};
use crate::report::notice;
use crate::shard::http::tunnel;
use crate::sys::http::{self, AnswerHead, Peer};
use crate::sys::{clock, process, tls};

/// What it takes to carry a notice.
pub struct Courier {
    tls: Arc<ClientConfig>,
    /// What this process calls itself.
    instance: String,
}

impl Courier {
    /// A courier of the process that runs `plan`; also returns the faults met while reading whom it
    /// trusts.
    ///
    /// # Errors
    ///
    /// TLS cannot be set up; the reason.
    pub fn of(plan: &Plan) -> Result<(Self, Vec<String>), String> {
        let (tls, faults) = tls::client()?;
        let mut instance = process::host_name();
        let port = plan.listen.addr.port();
        if port != 0 {
            instance.push_str(&format!(":{port}"));
        }
        Ok((Self { tls, instance }, faults))
    }

    /// Carries `dated` to `webhook`; it has taken the notice when it answers 200 to 299.
    #[must_use]
    pub fn carry(&self, webhook: &Webhook, dated: &Dated) -> Outcome {
        let failed = |why| Outcome::Failed { why, pause: None };
        let AnswerHead {
            status,
            retry_after: pause,
        } = match self.ask(webhook, dated) {
            Ok(head) => head,
            Err(why) => return failed(why),
        };
        let why = format!("it answers {status}");
        match status {
            200..=299 => Outcome::Taken,
            300..=399 => failed(format!("{why}, and redirections are not followed")),
            // It has no time, or asks for a pause.
            408 | 425 | 429 => Outcome::Failed { why, pause },
            400..=499 => Outcome::Refused { why },
            _ => Outcome::Failed { why, pause },
        }
    }

    fn ask(&self, webhook: &Webhook, dated: &Dated) -> Result<AnswerHead, String> {
        let until = clock::now() + PATIENCE;
        let addresses = addresses(webhook, until)?;
        let base = &webhook.base;
        let proxy = webhook.proxy.as_ref().filter(|_| base.tls);
        let tunnel = proxy.map(|proxy| tunnel::request(proxy, base));
        let tls = base.tls.then(|| {
            let name = ServerName::try_from(String::from(&*base.host));
            name.map(|name| (Arc::clone(&self.tls), name))
        });
        let peer = Peer {
            addresses: &addresses,
            tunnel: tunnel.as_deref(),
            tls: tls.transpose().map_err(|fault| fault.to_string())?,
        };
        let request = self.request(webhook, dated);
        http::ask_head(peer, &request, until).map_err(|fault| fault.to_string())
    }

    /// The request with the notice, signed for this moment. It is a secret.
    fn request(&self, webhook: &Webhook, dated: &Dated) -> Vec<u8> {
        let body = match webhook.format {
            Format::Json => notice::json(dated, &self.instance),
            Format::Slack => notice::slack(dated, &self.instance),
        };
        let (base, target) = (&webhook.base, webhook.target.expose());
        // A proxy is told where a request goes that is not encrypted.
        let relay = webhook.proxy.as_ref().filter(|_| !base.tls);
        let (origin, login) = match relay {
            Some(proxy) => (
                format!("http://{}", base.authority),
                proxy.authorization_line(),
            ),
            None => (String::new(), String::new()),
        };
        let signature = webhook.secret.as_ref().map_or_else(String::new, |secret| {
            let time = (clock::wall().unix_millis() / 1_000).to_string();
            let parts = [time.as_bytes(), b".", &body];
            let signature = Digest::signing(secret.expose().as_bytes(), &parts);
            format!("X-Infermux-Timestamp: {time}\r\nX-Infermux-Signature: sha256={signature}\r\n")
        });
        let mut request = format!(
            "POST {origin}{target} HTTP/1.1\r\nHost: {}\r\nUser-Agent: infermux/{}\r\n{login}\
             Content-Type: application/json\r\nContent-Length: {}\r\n{signature}\
             Connection: close\r\n\r\n",
            base.authority,
            env!("CARGO_PKG_VERSION"),
            body.len(),
        )
        .into_bytes();
        request.extend_from_slice(&body);
        request
    }
}

/// The addresses that are connected to: those of the proxy, where one leads there, and else those
/// that the webhook may be at.
fn addresses(webhook: &Webhook, until: Instant) -> Result<Vec<SocketAddr>, String> {
    let (host, port) = webhook.first_stop();
    let found = look_up((host, port), until);
    let found = found.map_err(|fault| format!("the name {host} is not found: {fault}"))?;
    let is_inside = |addr: &SocketAddr| !webhook.may_be_at(addr.ip());
    if webhook.proxy.is_none() && found.iter().any(is_inside) {
        return Err(format!(
            "the name {host} leads to a private address or one of the link: these are connected \
             to only where the file names them, private ones also by names of the own network"
        ));
    }
    Ok(found)
}

/// The addresses of a host. The tests of a debug build may say what a name stands for.
fn look_up((host, port): (&str, u16), until: Instant) -> io::Result<Vec<SocketAddr>> {
    let said = environment::variable("INFERMUX_TEST_HOST").filter(|_| cfg!(debug_assertions));
    match said.as_deref().and_then(|said| said.split_once('=')) {
        Some((name, address)) if name == host => dial::look_up((address, port), until),
        Some(_) | None => dial::look_up((host, port), until),
    }
}

/// How long one attempt may take.
const PATIENCE: Duration = Duration::from_secs(10);
