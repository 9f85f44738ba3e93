//! TLS on `listen`, and towards providers.

use rustls::pki_types::ServerName;

use crate::config::raw::fields::Block;
use crate::config::tls::{ClientFiles, Identity, ProviderTls, TlsFiles};
use crate::config::url::BaseUrl;

/// Reads `tls` of the top level; `None`: callers are not encrypted.
pub fn listen(block: &Block<'_>) -> Option<TlsFiles> {
    let management = block.flag("management").unwrap_or(false);
    for (name, is_set) in [
        ("management", management),
        ("client_ca_file", block.has("client_ca_file")),
    ] {
        if is_set && !block.has("cert_file") && !block.has("key_file") {
            let problem = format!("is required where tls.{name} is set");
            block.missing("cert_file", &problem);
        }
    }
    let client_ca_file = block.text("client_ca_file").map(Into::into);
    Some(TlsFiles {
        own: identity(block)?,
        client_ca_file,
        management,
    })
}

/// Reads `tls` of a provider whose `base_url` is `base`.
pub fn provider(block: &Block<'_>, base: &BaseUrl) -> ProviderTls {
    if !base.tls {
        let names = ["ca_file", "cert_file", "key_file", "server_name"];
        if let Some(name) = names.into_iter().find(|name| block.has(name)) {
            block.warn(name, "has no effect where `base_url` begins with http://");
        }
    }
    let server_name = block.text("server_name");
    if let Some(name) = server_name
        && !block.is_unresolved("server_name")
        && ServerName::try_from(name).is_err()
    {
        let problem = "is neither a host name nor an address";
        block.fault("server_name", format!("`{name}` {problem}"));
    }
    ProviderTls {
        files: ClientFiles {
            ca_file: block.text("ca_file").map(Into::into),
            own: identity(block),
        },
        server_name: server_name.map(Into::into),
    }
}

/// The certificate and its key: both, or neither.
fn identity(block: &Block<'_>) -> Option<Identity> {
    let (cert_file, key_file) = (block.text("cert_file"), block.text("key_file"));
    for (here, there) in [("cert_file", "key_file"), ("key_file", "cert_file")] {
        if block.has(there) && !block.has(here) {
            block.missing(here, &format!("is required where tls.{there} is set"));
        }
    }
    Some(Identity {
        cert_file: cert_file?.into(),
        key_file: key_file?.into(),
    })
}
