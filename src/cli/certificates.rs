//! Certificates, keys and authorities that the configuration names, read again at each reload.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use rustls::{ClientConfig, ServerConfig};

use crate::config::faults::printable;
use crate::config::plan::{Plan, Provider};
use crate::config::tls::{ClientFiles, Identity};
use crate::shard::state::era::TlsSettings;
use crate::sys::tls::{self, HostRoots, Own};

/// What the files say that the configuration names.
#[derive(Clone, Default)]
pub struct Certificates {
    callers: Option<Read<ServerConfig>>,
    /// For providers with files of their own.
    providers: HashMap<ClientFiles, Read<ClientConfig>>,
    /// For providers without, by the roots that the host trusts.
    host: Option<Read<ClientConfig>>,
}

/// The settings that were made of files.
struct Read<T> {
    /// Changes when the files change.
    fingerprint: u64,
    settings: Arc<T>,
}

impl Certificates {
    /// Reads the files that `plan` names.
    ///
    /// # Errors
    ///
    /// They cannot be used; a sentence for each that says why.
    pub fn read(plan: &Plan) -> Result<Self, Vec<String>> {
        Self::default().read_again(plan)
    }

    /// Reads the files that `plan` names now. Settings whose files have not changed stay, so that
    /// sessions can be resumed.
    ///
    /// # Errors
    ///
    /// They cannot be used; a sentence for each that says why.
    pub fn read_again(&self, plan: &Plan) -> Result<Self, Vec<String>> {
        let (mut next, mut faults) = (Self::default(), Vec::new());
        if let Some(files) = &plan.tls {
            let paths = files.paths().map(|(_, path)| path);
            let make = || {
                let authorities = files.client_ca_file.as_deref().map(Path::new);
                tls::server(own(&files.own), authorities)
            };
            match read(self.callers.as_ref(), paths, make) {
                Ok(read) => next.callers = Some(read),
                Err(fault) => faults.push(format!("cannot use the TLS files: {fault}")),
            }
        }
        let usual = |one: &Provider| one.base.tls && one.tls.files.ca_file.is_none();
        let roots = plan.providers.iter().any(usual).then(HostRoots::read);
        for fault in roots.iter().flat_map(HostRoots::faults) {
            tracing::warn!(
                fault,
                "not all trusted root certificates of the host can be used"
            );
        }
        for provider in plan.providers.iter().filter(|one| one.base.tls) {
            let files = &provider.tls.files;
            if files.is_empty() {
                if next.host.is_none() {
                    match host(self.host.as_ref(), roots.as_ref()) {
                        Ok(read) => next.host = Some(read),
                        Err(fault) => faults.push(format!("cannot set up TLS: {fault}")),
                    }
                }
                continue;
            }
            if next.providers.contains_key(files) {
                continue;
            }
            let paths = files.paths().map(|(_, path)| path);
            let make = || client(files, roots.as_ref());
            let of_host = roots.as_ref().filter(|_| files.ca_file.is_none());
            let of_host = of_host.map_or(0, HostRoots::fingerprint);
            match read_with(of_host, self.providers.get(files), paths, make) {
                Ok(read) => {
                    next.providers.insert(files.clone(), read);
                }
                Err(fault) => {
                    let name = printable(&provider.name);
                    faults.push(format!(
                        "cannot use the TLS files of provider {name}: {fault}"
                    ));
                }
            }
        }
        if faults.is_empty() {
            Ok(next)
        } else {
            Err(faults)
        }
    }

    /// The files that say another thing than in `former`, as keys of the configuration.
    #[must_use]
    pub fn changed_since(&self, former: &Self, plan: &Plan) -> Vec<String> {
        let mut changed = Vec::new();
        let fingerprint = |of: &Self| of.callers.as_ref().map(|read| read.fingerprint);
        if fingerprint(self) != fingerprint(former) {
            changed.push("tls: certificate".to_owned());
        }
        if let (Some(before), Some(now)) = (&former.host, &self.host)
            && before.fingerprint != now.fingerprint
        {
            changed.push("the host's trusted root certificates".to_owned());
        }
        for provider in &plan.providers {
            let fingerprint = |of: &Self| {
                let read = of.providers.get(&provider.tls.files);
                read.map(|read| read.fingerprint)
            };
            // Other names of files are told as such.
            if let (Some(before), Some(now)) = (fingerprint(former), fingerprint(self))
                && before != now
            {
                let name = printable(&provider.name);
                changed.push(format!("provider {name}: tls: certificates"));
            }
        }
        changed
    }

    /// The settings for connections under `plan`.
    #[must_use]
    pub fn settings(&self, plan: &Plan) -> TlsSettings {
        let connect = plan.providers.iter().map(|provider| {
            let read = match provider.tls.files.is_empty() {
                true => self.host.as_ref().filter(|_| provider.base.tls),
                false => self.providers.get(&provider.tls.files),
            };
            read.map(|read| Arc::clone(&read.settings))
        });
        TlsSettings {
            accept: self.callers.as_ref().map(|read| Arc::clone(&read.settings)),
            connect: connect.collect(),
        }
    }
}

impl<T> Clone for Read<T> {
    fn clone(&self) -> Self {
        Self {
            fingerprint: self.fingerprint,
            settings: Arc::clone(&self.settings),
        }
    }
}

/// The settings of the files at `paths`: the former ones, if the files have not changed.
fn read<'a, T>(
    former: Option<&Read<T>>,
    paths: impl Iterator<Item = &'a str>,
    make: impl FnOnce() -> Result<Arc<T>, String>,
) -> Result<Read<T>, String> {
    read_with(0, former, paths, make)
}

/// As [`read`]; they are also made of what has the fingerprint `besides`.
fn read_with<'a, T>(
    besides: u64,
    former: Option<&Read<T>>,
    paths: impl Iterator<Item = &'a str>,
    make: impl FnOnce() -> Result<Arc<T>, String>,
) -> Result<Read<T>, String> {
    let fingerprint = tls::fingerprint(paths)? ^ besides;
    match former.filter(|former| former.fingerprint == fingerprint) {
        Some(former) => Ok(former.clone()),
        None => make().map(|settings| Read {
            fingerprint,
            settings,
        }),
    }
}

/// The settings for connections by the host's roots: the former ones, if these have not changed.
fn host(
    former: Option<&Read<ClientConfig>>,
    roots: Option<&HostRoots>,
) -> Result<Read<ClientConfig>, String> {
    let fingerprint = roots.map_or(0, HostRoots::fingerprint);
    match former.filter(|former| former.fingerprint == fingerprint) {
        Some(former) => Ok(former.clone()),
        None => tls::client_with(None, roots, None).map(|settings| Read {
            fingerprint,
            settings,
        }),
    }
}

/// The settings for connections to `provider`, made of its files; `None`: it has none of its own.
///
/// # Errors
///
/// The files cannot be used; a sentence that says why.
pub fn of_provider(provider: &Provider) -> Result<Option<Arc<ClientConfig>>, String> {
    let files = &provider.tls.files;
    let has_own = provider.base.tls && !files.is_empty();
    has_own.then(|| client(files, None)).transpose()
}

fn client(files: &ClientFiles, roots: Option<&HostRoots>) -> Result<Arc<ClientConfig>, String> {
    let authorities = files.ca_file.as_deref().map(Path::new);
    tls::client_with(authorities, roots, files.own.as_ref().map(own))
}

fn own(files: &Identity) -> Own<'_> {
    Own {
        cert_file: Path::new(&*files.cert_file),
        key_file: Path::new(&*files.key_file),
    }
}
