//! A connection to a Valkey or Redis, which blocks. The package `redis` writes and reads the
//! protocol. The socket is the house's own, so that a whole exchange has one deadline, answers have
//! a bound, and the certificate may be verified for another name than the host's.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use redis::{Cmd, Parser, Pipeline, Value};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use thiserror::Error;

use crate::base::limits::STORE_ANSWER_BYTES_MAX;
use crate::base::time::Instant;
use crate::link::store::Said;
use crate::sys::stream::{Stream, Timed};

/// A connection.
pub struct Redis {
    stream: Bounded,
    parser: Parser,
}

/// Why an exchange has failed. The connection cannot be used any more.
#[derive(Debug, Error)]
pub enum NoExchange {
    /// There is no connection.
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(io::Error),
    /// The time is up.
    #[error("no answer in time")]
    TimedOut,
    /// The answers are longer than their bound.
    #[error("its answers are longer than {STORE_ANSWER_BYTES_MAX} bytes")]
    TooLong,
    /// The peer's bytes are not the protocol's.
    #[error("what answers there is neither Valkey nor Redis, or wants TLS")]
    NotRedis,
}

impl Redis {
    /// Connects to the first of `addresses` that takes the connection. With `tls`: the verifier's
    /// settings and the name to be verified.
    ///
    /// # Errors
    ///
    /// There is no connection by `until`.
    pub fn connect(
        addresses: &[SocketAddr],
        tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
        until: Instant,
    ) -> Result<Self, NoExchange> {
        let stream = Timed::connect(addresses, until).and_then(Timed::at_once);
        let stream = stream.map_err(|fault| match fault.kind() {
            ErrorKind::TimedOut => NoExchange::TimedOut,
            _ => NoExchange::Connect(fault),
        })?;
        let stream = match tls {
            None => Stream::Plain(stream),
            Some((config, name)) => {
                let stream = stream.encrypted(config, name);
                Stream::Encrypted(Box::new(stream.map_err(NoExchange::Connect)?))
            }
        };
        Ok(Self {
            stream: Bounded { stream, left: 0 },
            parser: Parser::new(),
        })
    }

    /// Sends `commands` together, and reads the answer to each.
    ///
    /// # Errors
    ///
    /// There are not all answers by `until`.
    pub fn exchange(&mut self, commands: &[Cmd], until: Instant) -> Result<Vec<Said>, NoExchange> {
        let mut pipeline = Pipeline::with_capacity(commands.len());
        for command in commands {
            pipeline.add_command(command.clone());
        }
        let Bounded { stream, left } = &mut self.stream;
        stream.end_at(until);
        *left = STORE_ANSWER_BYTES_MAX;
        let bytes = pipeline.get_packed_pipeline();
        let sent = stream.write_all(&bytes).and_then(|()| stream.flush());
        sent.map_err(broken)?;
        let answers = commands.iter().map(|_| self.answer());
        answers.collect()
    }

    fn answer(&mut self) -> Result<Said, NoExchange> {
        match self.parser.parse_value(&mut self.stream) {
            Ok(value) => Ok(said(value)),
            Err(_) if self.stream.left == 0 => Err(NoExchange::TooLong),
            Err(fault) if fault.is_timeout() => Err(NoExchange::TimedOut),
            Err(fault) if fault.is_io_error() => {
                // The package keeps the kind of an error, and what it says.
                let fault = io::Error::other(fault.to_string());
                Err(NoExchange::Broken(fault))
            }
            Err(_) => Err(NoExchange::NotRedis),
        }
    }
}

/// A stream from which only so many bytes are read.
struct Bounded {
    stream: Stream,
    left: usize,
}

impl Read for Bounded {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = into.len().min(self.left);
        let into = into.get_mut(..most).unwrap_or_default();
        if into.is_empty() {
            return Err(io::Error::other("too long"));
        }
        let count = self.stream.read(into)?;
        self.left -= count;
        Ok(count)
    }
}

fn broken(fault: io::Error) -> NoExchange {
    match fault.kind() {
        ErrorKind::TimedOut => NoExchange::TimedOut,
        _ => NoExchange::Broken(fault),
    }
}

/// A value in the house's own form.
#[must_use]
pub fn said(value: Value) -> Said {
    let text = |bytes: &[u8]| Said::Text(String::from_utf8_lossy(bytes).into());
    match value {
        Value::Int(number) => Said::Number(number),
        Value::BulkString(bytes) => text(&bytes),
        Value::SimpleString(line) => Said::Text(line.into()),
        Value::Okay => Said::Text("OK".into()),
        Value::Array(values) | Value::Set(values) => {
            Said::List(values.into_iter().map(said).collect())
        }
        Value::ServerError(fault) => {
            let detail = fault.details().unwrap_or_default();
            Said::Fault(format!("{} {detail}", fault.code()).into())
        }
        // The scripts answer with nothing else, and the protocol's second version knows no other
        // values.
        _ => Said::Nothing,
    }
}
