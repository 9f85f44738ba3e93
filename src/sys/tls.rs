//! Certificates, keys and trust roots, read from files.

use std::hash::{DefaultHasher, Hasher};
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// The server's side: the certificate and key of `own`, HTTP/1.1 only. Where `client_ca_file` is
/// given, clients must present a certificate of one of its authorities.
///
/// # Errors
///
/// A sentence that names the file and what is wrong with it.
pub fn server(own: Own<'_>, client_ca_file: Option<&Path>) -> Result<Arc<ServerConfig>, String> {
    let (chain, key) = own.read()?;
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|fault| fault.to_string())?;
    let builder = match client_ca_file {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let authorities = Arc::new(authorities(path)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(authorities, provider());
            builder.with_client_cert_verifier(verifier.build().map_err(|f| named(path, &f))?)
        }
    };
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(|fault| named(own.key_file, &fault))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Paths of a certificate chain and its private key, PEM.
#[derive(Clone, Copy, Debug)]
pub struct Own<'a> {
    /// The chain.
    pub cert_file: &'a Path,
    /// The key.
    pub key_file: &'a Path,
}

impl Own<'_> {
    fn read(self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), String> {
        let chain = certificates(self.cert_file)?;
        let key = PrivateKeyDer::from_pem_file(self.key_file);
        Ok((chain, key.map_err(|fault| named(self.key_file, &fault))?))
    }
}

/// The certificates of a file; at least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|fault| named(path, &fault))?;
    if found.is_empty() {
        return Err(named(path, &"holds no certificate"));
    }
    Ok(found)
}

/// The authorities of a file.
fn authorities(path: &Path) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    for one in certificates(path)? {
        store.add(one).map_err(|fault| named(path, &fault))?;
    }
    Ok(store)
}

fn named(path: &Path, fault: &dyn std::fmt::Display) -> String {
    format!("{}: {fault}", path.display())
}

/// A number that changes when the files at these paths change; from it, nothing secret can be found
/// out.
///
/// # Errors
///
/// A sentence that names the file that cannot be read.
pub fn fingerprint<'a>(paths: impl IntoIterator<Item = &'a str>) -> Result<u64, String> {
    let mut hasher = DefaultHasher::new();
    for path in paths {
        let bytes = std::fs::read(path).map_err(|fault| format!("{path}: {fault}"))?;
        hasher.write_usize(bytes.len());
        hasher.write(&bytes);
    }
    Ok(hasher.finish())
}

/// The client's side: verified against the host's own roots (honouring `SSL_CERT_FILE` and
/// `SSL_CERT_DIR`), or Mozilla's where the host has none. Also returns the faults met while reading
/// them.
///
/// # Errors
///
/// The cryptography provider supports no safe protocol version.
pub fn client() -> Result<(Arc<ClientConfig>, Vec<String>), String> {
    let HostRoots { roots, faults } = HostRoots::read();
    client_trusting(roots, None).map(|config| (config, faults))
}

/// The client's side with files of its own: `ca_file` has the authorities that are trusted, in
/// place of the host's roots, and `own` is presented to servers that want a certificate. `host` are
/// the host's roots, where they were read already.
///
/// # Errors
///
/// A sentence that names the file and what is wrong with it.
pub fn client_with(
    ca_file: Option<&Path>,
    host: Option<&HostRoots>,
    own: Option<Own<'_>>,
) -> Result<Arc<ClientConfig>, String> {
    let roots = match (ca_file, host) {
        (Some(path), _) => authorities(path)?,
        (None, Some(host)) => host.roots.clone(),
        (None, None) => HostRoots::read().roots,
    };
    client_trusting(roots, own)
}

/// The client's side of a store's connection, likewise: it speaks no HTTP.
///
/// # Errors
///
/// A sentence that names the file and what is wrong with it.
pub fn store(ca_file: Option<&Path>, own: Option<Own<'_>>) -> Result<Arc<ClientConfig>, String> {
    let mut config = ClientConfig::clone(&*client_with(ca_file, None, own)?);
    config.alpn_protocols.clear();
    Ok(Arc::new(config))
}

fn client_trusting(
    roots: RootCertStore,
    own: Option<Own<'_>>,
) -> Result<Arc<ClientConfig>, String> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|fault| fault.to_string())?
        .with_root_certificates(roots);
    let mut config = match own {
        None => builder.with_no_client_auth(),
        Some(own) => {
            let (chain, key) = own.read()?;
            let config = builder.with_client_auth_cert(chain, key);
            config.map_err(|fault| named(own.key_file, &fault))?
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The roots that the host trusts (honouring `SSL_CERT_FILE` and `SSL_CERT_DIR`), or Mozilla's
/// where it has none.
pub struct HostRoots {
    roots: RootCertStore,
    faults: Vec<String>,
}

impl HostRoots {
    /// Reads them.
    #[must_use]
    pub fn read() -> Self {
        let native = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(native.certs);
        let mut faults: Vec<String> = native.errors.iter().map(ToString::to_string).collect();
        if roots.is_empty() {
            faults.push("the host has no trust roots; the built-in ones are used".into());
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        Self { roots, faults }
    }

    /// The faults met while reading them.
    #[must_use]
    pub fn faults(&self) -> &[String] {
        &self.faults
    }

    /// A number that changes when they do, in whatever order they are read.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let of_one = |root: &rustls::pki_types::TrustAnchor<'_>| {
            let mut hasher = DefaultHasher::new();
            hasher.write(&root.subject);
            hasher.write(&root.subject_public_key_info);
            hasher.finish()
        };
        let all = self.roots.roots.iter().map(of_one);
        all.fold(0, u64::wrapping_add)
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_or_empty_file_is_named() {
        let nowhere = Path::new("/nowhere/a.pem");
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        for (path, told) in [(nowhere, "/nowhere/a.pem"), (&manifest, "no certificate")] {
            let own = Own {
                cert_file: path,
                key_file: path,
            };
            assert!(server(own, None).is_err_and(|fault| fault.contains(told)));
            assert!(client_with(Some(path), None, None).is_err_and(|fault| fault.contains(told)));
            assert!(client_with(None, None, Some(own)).is_err_and(|fault| fault.contains(told)));
        }
        assert!(fingerprint(["/nowhere/a.pem"]).is_err_and(|f| f.contains("/nowhere/a.pem")));
    }

    #[test]
    fn there_are_always_roots() {
        assert!(client().is_ok());
    }
}
