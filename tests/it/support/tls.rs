//! TLS ends for tests: certificates, and forwarders that put TLS on or take it off.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    ClientConfig, ClientConnection, Connection, RootCertStore, ServerConfig, ServerConnection,
};

/// A certificate authority, and a certificate that it signed.
pub struct Papers {
    /// The authority's certificate, PEM.
    pub ca_pem: String,
    /// The certificate, PEM.
    pub cert_pem: String,
    /// Its key, PEM.
    pub key_pem: String,
    ca: CertificateDer<'static>,
    cert: CertificateDer<'static>,
    key: Vec<u8>,
}

impl Papers {
    /// Papers of a fresh authority for these names.
    pub fn for_names(names: &[&str]) -> Self {
        Self::with(names, |_| {})
    }

    /// Papers of a fresh authority for these names, valid within these years.
    pub fn valid_within(names: &[&str], years: Range<i32>) -> Self {
        Self::with(names, |params| {
            params.not_before = rcgen::date_time_ymd(years.start, 1, 1);
            params.not_after = rcgen::date_time_ymd(years.end, 1, 1);
        })
    }

    fn with(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("authority {number}");
        params.distinguished_name.push(DnType::CommonName, name);
        let ca_key = KeyPair::generate().expect("a key");
        let ca = params.self_signed(&ca_key).expect("a certificate");
        let issuer = Issuer::new(params, ca_key);
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let cert = params.signed_by(&key, &issuer).expect("a certificate");
        Self {
            ca_pem: ca.pem(),
            cert_pem: cert.pem(),
            key_pem: key.serialize_pem(),
            ca: ca.der().clone(),
            cert: cert.der().clone(),
            key: key.serialize_der(),
        }
    }

    /// The server's side.
    pub fn server(&self) -> Arc<ServerConfig> {
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.key.clone()));
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![self.cert.clone()], key);
        Arc::new(config.expect("a certificate and its key"))
    }

    /// The server's side, which wants a certificate of the authority of `clients`.
    pub fn server_for(&self, clients: &Self) -> Arc<ServerConfig> {
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.key.clone()));
        let mut roots = RootCertStore::empty();
        roots.add(clients.ca.clone()).expect("a root");
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_client_cert_verifier(verifier.build().expect("a verifier"))
            .with_single_cert(vec![self.cert.clone()], key);
        Arc::new(config.expect("a certificate and its key"))
    }

    /// A client that trusts the authority and presents the certificate of `own`.
    pub fn client_as(&self, own: &Self) -> Arc<ClientConfig> {
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(own.key.clone()));
        let mut roots = RootCertStore::empty();
        roots.add(self.ca.clone()).expect("a root");
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_client_auth_cert(vec![own.cert.clone()], key);
        Arc::new(config.expect("a certificate and its key"))
    }

    /// A client that trusts the authority and offers these protocols.
    pub fn client(&self, protocols: &[&str]) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.ca.clone()).expect("a root");
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        Arc::new(config)
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// A client's session with the server called `localhost`.
pub fn client_session(config: &Arc<ClientConfig>) -> ClientConnection {
    let name = ServerName::try_from("localhost").expect("a name");
    let mut session = ClientConnection::new(Arc::clone(config), name).expect("a session");
    // Bytes that are written before the handshake ends wait in the session.
    session.set_buffer_limit(None);
    session
}

/// A listener that forwards each connection's bytes to another address, with TLS on one side.
pub struct Forwarder {
    addr: SocketAddr,
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Vec<Arc<Session>>>>,
}

/// Which side of a forwarder speaks TLS.
#[derive(Clone)]
pub enum Tls {
    /// The connecting side: the forwarder stands in front of a plain server.
    Inside(Arc<ServerConfig>),
    /// The side that it connects to: a TLS server called `localhost`.
    Outside(Arc<ClientConfig>),
}

type Session = Mutex<Connection>;

impl Forwarder {
    /// Forwards from a free port to `to`.
    pub fn start(to: SocketAddr, tls: Tls) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let addr = listener.local_addr().expect("an address");
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (stopped, sessions) = (Arc::clone(&stop), Arc::clone(&seen));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                if let (Ok(near), Ok(far)) = (stream, TcpStream::connect(to)) {
                    lock(&sessions).push(forward(near, far, &tls));
                }
            }
        });
        Self { addr, stop, seen }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// How many connections it has forwarded.
    pub fn connections(&self) -> usize {
        lock(&self.seen).len()
    }

    /// The names that its callers have asked for.
    pub fn names_asked_for(&self) -> Vec<Option<String>> {
        let name = |session: &Arc<Session>| match &*lock(session) {
            Connection::Server(server) => server.server_name().map(str::to_owned),
            Connection::Client(_) => None,
        };
        lock(&self.seen).iter().map(name).collect()
    }

    /// The protocol that the first connection has settled on.
    pub fn protocol(&self) -> Option<String> {
        let seen = lock(&self.seen);
        let session = lock(seen.first()?);
        session
            .alpn_protocol()
            .map(|name| String::from_utf8_lossy(name).into_owned())
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.addr);
    }
}

/// Forwards both ways until either side ends.
fn forward(near: TcpStream, far: TcpStream, tls: &Tls) -> Arc<Session> {
    let (secure, plain, session) = match tls {
        Tls::Inside(config) => {
            let session = ServerConnection::new(Arc::clone(config)).expect("a session");
            (near, far, Connection::from(session))
        }
        Tls::Outside(config) => (far, near, client_session(config).into()),
    };
    let _ = (secure.set_nodelay(true), plain.set_nodelay(true));
    let session = Arc::new(Mutex::new(session));
    let clone = |stream: &TcpStream| stream.try_clone().expect("a socket");
    let (plain_too, secure_too, shared) = (clone(&plain), clone(&secure), Arc::clone(&session));
    std::thread::spawn(move || {
        let _ = decrypt(&secure_too, &plain_too, &shared);
        let _ = (
            plain_too.shutdown(Shutdown::Both),
            secure_too.shutdown(Shutdown::Both),
        );
    });
    let shared = Arc::clone(&session);
    std::thread::spawn(move || {
        let _ = encrypt(&plain, &secure, &shared);
        let _ = (
            secure.shutdown(Shutdown::Both),
            plain.shutdown(Shutdown::Both),
        );
    });
    session
}

fn decrypt(mut from: &TcpStream, mut to: &TcpStream, session: &Session) -> std::io::Result<()> {
    let mut records = vec![0; 32 << 10];
    loop {
        let count = from.read(&mut records)?;
        if count == 0 {
            return Ok(());
        }
        let (mut rest, mut plain) = (&records[..count], Vec::new());
        {
            let mut session = lock(session);
            while !rest.is_empty() {
                session.read_tls(&mut rest)?;
                let state = session.process_new_packets();
                // An alert tells the peer what is wrong.
                flush(&mut session, from)?;
                let state = state.map_err(std::io::Error::other)?;
                let start = plain.len();
                plain.resize(start + state.plaintext_bytes_to_read(), 0);
                session.reader().read_exact(&mut plain[start..])?;
                if state.peer_has_closed() {
                    to.write_all(&plain)?;
                    return Ok(());
                }
            }
        }
        to.write_all(&plain)?;
    }
}

fn encrypt(mut from: &TcpStream, to: &TcpStream, session: &Session) -> std::io::Result<()> {
    let mut plain = vec![0; 16 << 10];
    loop {
        let count = from.read(&mut plain)?;
        let mut session = lock(session);
        if count == 0 {
            session.send_close_notify();
            return flush(&mut session, to);
        }
        session.writer().write_all(&plain[..count])?;
        flush(&mut session, to)?;
    }
}

fn flush(session: &mut Connection, mut to: &TcpStream) -> std::io::Result<()> {
    // In one send: bytes that waited for the handshake leave in the same segment as its last
    // record.
    let mut records = Vec::new();
    while session.wants_write() {
        session.write_tls(&mut records)?;
    }
    to.write_all(&records)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
