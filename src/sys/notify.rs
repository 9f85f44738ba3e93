//! Messages to the service manager: systemd's readiness protocol (`sd_notify(3)`).

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use crate::sys::clock;

/// The way to the service manager, or none where there is no manager.
///
/// A manager that does not listen does not affect callers: sending to it never fails.
#[derive(Debug, Default)]
pub struct Manager(Option<(UnixDatagram, SocketAddr)>);

impl Manager {
    /// The manager that listens at `place`, the value of `NOTIFY_SOCKET`: a path, or a name of the
    /// abstract namespace after an `@`.
    ///
    /// # Errors
    ///
    /// The value names no such place, or the process is out of file descriptors.
    pub fn at(place: &str) -> io::Result<Self> {
        let address = match place.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None if place.starts_with('/') => SocketAddr::from_pathname(place)?,
            None => return Err(io::ErrorKind::InvalidInput.into()),
        };
        let socket = UnixDatagram::unbound()?;
        // The process waits for a manager that is behind: without the message, it may think that
        // the start has failed.
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self(Some((socket, address))))
    }

    /// Says that requests are accepted: after the start, or after a reload.
    pub fn ready(&self) {
        self.tell("READY=1");
    }

    /// Says that the configuration is read anew; [`Manager::ready`] follows in any case.
    pub fn reloading(&self) {
        // The manager distinguishes this message from an older one by the time.
        let micros = clock::now().as_nanos() / 1_000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    /// Says that the process is stopping.
    pub fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// Says that all is well: without this for too long, the manager restarts the process.
    pub fn alive(&self) {
        self.tell("WATCHDOG=1");
    }

    fn tell(&self, state: &str) {
        if let Some((socket, address)) = &self.0 {
            let _ = socket.send_to_addr(state.as_bytes(), address);
        }
    }
}

/// Longest wait for a manager that does not read.
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
