//! Certificates, keys and trust roots, read from files.

use std::hash::{DefaultHasher, Hasher};
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// The server's side: the chain and key at these paths, HTTP/1.1 only.
///
/// # Errors
///
/// A sentence that names the file and what is wrong with it.
pub fn server(cert_file: &Path, key_file: &Path) -> Result<Arc<ServerConfig>, String> {
    let named = |path: &Path, fault: &dyn std::fmt::Display| format!("{}: {fault}", path.display());
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(cert_file)
        .and_then(Iterator::collect)
        .map_err(|fault| named(cert_file, &fault))?;
    if chain.is_empty() {
        return Err(named(cert_file, &"holds no certificate"));
    }
    let key = PrivateKeyDer::from_pem_file(key_file).map_err(|fault| named(key_file, &fault))?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|fault| fault.to_string())?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|fault| named(key_file, &fault))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// A number that changes when the files at these paths change; from it, nothing secret can be found
/// out.
///
/// # Errors
///
/// A sentence that names the file that cannot be read.
pub fn fingerprint(cert_file: &Path, key_file: &Path) -> Result<u64, String> {
    let mut hasher = DefaultHasher::new();
    for path in [cert_file, key_file] {
        let bytes = std::fs::read(path).map_err(|fault| format!("{}: {fault}", path.display()))?;
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
    let native = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(native.certs);
    let mut faults: Vec<String> = native.errors.iter().map(ToString::to_string).collect();
    if roots.is_empty() {
        faults.push("the host has no trust roots; the built-in ones are used".into());
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|fault| fault.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok((Arc::new(config), faults))
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_or_empty_file_is_named() {
        let missing = server(Path::new("/nowhere/a.pem"), Path::new("/nowhere/b.pem"));
        assert!(missing.is_err_and(|fault| fault.contains("/nowhere/a.pem")));
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        assert!(server(&manifest, &manifest).is_err_and(|f| f.contains("no certificate")));
    }

    #[test]
    fn there_are_always_roots() {
        assert!(client().is_ok());
    }
}
