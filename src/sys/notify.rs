//! What the service manager is told: systemd's readiness protocol (`sd_notify(3)`).

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use crate::sys::clock;

/// The way to the service manager, or none where nobody wants to be told.
///
/// A manager that does not listen changes nothing for the callers: telling it never fails.
#[derive(Debug, Default)]
pub struct Manager(Option<(UnixDatagram, SocketAddr)>);

impl Manager {
    /// The manager that listens at `place`, the value of `NOTIFY_SOCKET`: a path, or a name of the
    /// abstract namespace after an `@`.
    ///
    /// # Errors
    ///
    /// It is no such place, or the process is out of file descriptors.
    pub fn at(place: &str) -> io::Result<Self> {
        let address = match place.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None if place.starts_with('/') => SocketAddr::from_pathname(place)?,
            None => return Err(io::ErrorKind::InvalidInput.into()),
        };
        let socket = UnixDatagram::unbound()?;
        // A manager that is behind is waited for: it may take the silence for a failed start.
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self(Some((socket, address))))
    }

    /// Requests are taken: after the start, or after a reload.
    pub fn ready(&self) {
        self.tell("READY=1");
    }

    /// The configuration is read anew; [`Manager::ready`] follows in any case.
    pub fn reloading(&self) {
        // The manager tells this message from an older one by the time.
        let micros = clock::now().as_nanos() / 1_000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    /// The process is on its way to its end.
    pub fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// All is well: without this for too long, the manager starts the process anew.
    pub fn alive(&self) {
        self.tell("WATCHDOG=1");
    }

    fn tell(&self, state: &str) {
        if let Some((socket, address)) = &self.0 {
            let _ = socket.send_to_addr(state.as_bytes(), address);
        }
    }
}

/// How long a manager that reads nothing is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(listener: &UnixDatagram) -> String {
        listener
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let mut bytes = [0; 128];
        let count = listener.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..count].to_vec()).unwrap()
    }

    fn check(manager: &Manager, listener: &UnixDatagram) {
        manager.ready();
        assert_eq!(heard(listener), "READY=1");
        manager.reloading();
        let reloading = heard(listener);
        let micros = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=");
        assert!(micros.unwrap().parse::<u64>().unwrap() > 0);
        manager.alive();
        assert_eq!(heard(listener), "WATCHDOG=1");
        manager.stopping();
        assert_eq!(heard(listener), "STOPPING=1");
    }

    #[test]
    fn the_manager_hears_at_a_path_and_at_an_abstract_name() {
        let name = format!("infermux-notify-{}", std::process::id());
        let path = std::env::temp_dir().join(&name);
        let listener = UnixDatagram::bind(&path).unwrap();
        check(&Manager::at(path.to_str().unwrap()).unwrap(), &listener);
        std::fs::remove_file(&path).unwrap();
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let listener = UnixDatagram::bind_addr(&address).unwrap();
        check(&Manager::at(&format!("@{name}")).unwrap(), &listener);
    }

    #[test]
    fn a_manager_that_is_gone_changes_nothing() {
        Manager::at("/nowhere/notify").unwrap().ready();
        Manager::default().ready();
        assert!(Manager::at("vsock:2:1").is_err());
        assert!(Manager::at(&"/x".repeat(100)).is_err());
    }
}
