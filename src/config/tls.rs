//! Files and names for TLS: on `listen`, and towards providers.

/// The certificate chain and private key for callers, PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and its key.
    pub own: Identity,
    /// Path of the authorities that callers' certificates must be of; `None`: callers present none.
    pub client_ca_file: Option<Box<str>>,
    /// Whether `management_listen` speaks TLS, too.
    pub management: bool,
}

/// A certificate and its key, as paths of PEM files.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Path of the certificate chain.
    pub cert_file: Box<str>,
    /// Path of the private key.
    pub key_file: Box<str>,
}

/// TLS towards one provider, where it is not the usual one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProviderTls {
    /// The files.
    pub files: ClientFiles,
    /// The name that its certificate must be for; `None`: the host of its `base_url`.
    pub server_name: Option<Box<str>>,
}

/// The files of a client, PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ClientFiles {
    /// Path of the authorities that are trusted; `None`: those of the host.
    pub ca_file: Option<Box<str>>,
    /// The certificate that is presented where the server wants one.
    pub own: Option<Identity>,
}

impl ClientFiles {
    /// Whether none is named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ca_file.is_none() && self.own.is_none()
    }

    /// Their paths, each with its key within `tls`.
    pub fn paths(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let ca_file = self.ca_file.iter().map(|path| ("ca_file", &**path));
        ca_file.chain(self.own.iter().flat_map(Identity::paths))
    }
}

impl TlsFiles {
    /// Their paths, each with its key within `tls`.
    pub fn paths(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let client_ca_file = self.client_ca_file.iter();
        let client_ca_file = client_ca_file.map(|path| ("client_ca_file", &**path));
        self.own.paths().into_iter().chain(client_ca_file)
    }
}

impl Identity {
    fn paths(&self) -> [(&'static str, &str); 2] {
        [
            ("cert_file", &*self.cert_file),
            ("key_file", &*self.key_file),
        ]
    }
}
