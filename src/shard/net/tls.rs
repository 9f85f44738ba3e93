//! TLS over a socket's own reads and writes: bytes in, bytes out, no IO.
//!
//! rustls is driven directly, so that a TLS connection follows the rules of a plain one: reads are
//! posted, no future is dropped with bytes in it, and both directions run at the same time.

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::rc::Rc;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CertificateError};
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};

use crate::decide::outcome::TlsFault;

/// A session that both halves of a connection use.
pub type Tls = Rc<RefCell<Session>>;

/// One TLS session.
pub struct Session {
    connection: Connection,
    /// Decrypted bytes; a posted read's buffer.
    pub plain: Vec<u8>,
    /// The peer said that nothing more comes.
    ended: bool,
}

impl Session {
    /// The server's side.
    ///
    /// # Errors
    ///
    /// The configuration cannot be used.
    pub fn accept(config: &Arc<ServerConfig>) -> io::Result<Self> {
        let session = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
        Ok(Self::new(session.into()))
    }

    /// The client's side, towards the server called `name`.
    ///
    /// # Errors
    ///
    /// `name` is neither a DNS name nor an address.
    pub fn connect(config: &Arc<ClientConfig>, name: &str) -> io::Result<Self> {
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let session = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        Ok(Self::new(session.into()))
    }

    fn new(connection: Connection) -> Self {
        Self {
            connection,
            plain: Vec::new(),
            ended: false,
        }
    }

    /// Whether application data cannot flow yet.
    #[must_use]
    pub fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Takes in records that have arrived; the decrypted bytes are appended to `plain`.
    ///
    /// # Errors
    ///
    /// The records are not valid; the connection is over.
    pub fn take_in(&mut self, mut records: &[u8]) -> io::Result<()> {
        // Bytes behind the closure mean nothing (RFC 8446, section 6.1), and are never consumed.
        while !records.is_empty() && !self.ended {
            self.connection.read_tls(&mut records)?;
            let state = self
                .connection
                .process_new_packets()
                .map_err(io::Error::other)?;
            self.ended |= state.peer_has_closed();
            let count = state.plaintext_bytes_to_read();
            if count > 0 {
                let from = self.plain.len();
                self.plain.resize(from + count, 0);
                self.connection
                    .reader()
                    .read_exact(&mut self.plain[from..])?;
            }
        }
        Ok(())
    }

    /// Whether the peer said that nothing more comes.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// Notes that the peer's bytes have ended.
    ///
    /// # Errors
    ///
    /// The peer had not announced the end: the bytes may have been cut off by another party.
    pub fn take_end(&mut self) -> io::Result<()> {
        if self.ended {
            Ok(())
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }

    /// Takes bytes to encrypt; returns how many.
    ///
    /// # Errors
    ///
    /// The session takes no more.
    pub fn take_out(&mut self, plain: &[u8]) -> io::Result<usize> {
        // One record at a time keeps the session's own buffer, and the send, small.
        let part = &plain[..plain.len().min(RECORD)];
        match self.connection.writer().write(part)? {
            0 => Err(io::ErrorKind::WriteZero.into()),
            taken => Ok(taken),
        }
    }

    /// Appends the records that wait to be sent to `out`, and returns it.
    ///
    /// # Errors
    ///
    /// The session failed.
    pub fn records(&mut self, mut out: Vec<u8>) -> io::Result<Vec<u8>> {
        while self.connection.wants_write() {
            self.connection.write_tls(&mut out)?;
        }
        Ok(out)
    }

    /// Queues the record that says nothing more comes.
    pub fn close_notify(&mut self) {
        self.connection.send_close_notify();
    }
}

/// Why a handshake failed with `fault`, as far as the other side's certificate or alert says so.
#[must_use]
pub fn what_failed(fault: &io::Error) -> TlsFault {
    let fault = fault.get_ref().and_then(|inner| inner.downcast_ref());
    match fault {
        Some(rustls::Error::InvalidCertificate(fault)) => match fault {
            // The latter: another authority has the name of a trusted one.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => TlsFault::Authority,
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                TlsFault::Expired
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                TlsFault::NotYetValid
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                TlsFault::Name
            }
            _ => TlsFault::Other,
        },
        Some(rustls::Error::AlertReceived(alert)) if OF_OWN.contains(alert) => TlsFault::Own,
        Some(_) | None => TlsFault::Other,
    }
}

/// Alerts about the certificate that infermux presents, or does not (RFC 8446, section 6.2).
const OF_OWN: [AlertDescription; 9] = [
    AlertDescription::CertificateRequired,
    AlertDescription::NoCertificate,
    AlertDescription::BadCertificate,
    AlertDescription::UnsupportedCertificate,
    AlertDescription::CertificateRevoked,
    AlertDescription::CertificateExpired,
    AlertDescription::CertificateUnknown,
    AlertDescription::UnknownCA,
    AlertDescription::AccessDenied,
];

/// How much room the records for `plain` bytes take, or for as many of them as are encrypted at a
/// time.
#[must_use]
pub const fn records_len(plain: usize) -> usize {
    let plain = if plain < RECORD { plain } else { RECORD };
    plain + (plain / PLAIN_MAX + 1) * RECORD_HEAD
}

/// Bytes encrypted at a time: four records.
const RECORD: usize = 64 << 10;
/// Plain bytes of one record at most (RFC 8446, section 5.1).
const PLAIN_MAX: usize = 16 << 10;
/// Most bytes that a record takes besides: its header, a nonce and a tag (RFC 5246, RFC 8446).
const RECORD_HEAD: usize = 64;
