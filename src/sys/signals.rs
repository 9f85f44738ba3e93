//! Signals, as a blocking iterator.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;

/// A signal that infermux acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM: stop, exit code 0.
    Terminate,
    /// SIGINT: stop, exit code 130.
    Interrupt,
    /// SIGHUP: reload the configuration.
    Hangup,
}

/// Receives the signals of this process from now on. SIGPIPE is ignored by std. SIGXFSZ would end
/// the process where a file grows beyond its limit (`ulimit -f`); with a handler, the write fails
/// instead, like any other.
///
/// # Errors
///
/// The handlers could not be installed.
pub fn watch() -> std::io::Result<impl Iterator<Item = Signal> + Send> {
    let signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGXFSZ])?;
    Ok(Forever(signals))
}

/// From now on SIGINT does not end the process; the returned function waits for it.
///
/// # Errors
///
/// The handler could not be installed.
pub fn interrupt() -> std::io::Result<impl FnOnce() + Send> {
    let mut signals = Signals::new([SIGINT])?;
    Ok(move || {
        let _ = signals.forever().next();
    })
}

struct Forever(Signals);

impl Iterator for Forever {
    type Item = Signal;

    fn next(&mut self) -> Option<Signal> {
        self.0.forever().find_map(|number| match number {
            SIGINT => Some(Signal::Interrupt),
            SIGTERM => Some(Signal::Terminate),
            SIGHUP => Some(Signal::Hangup),
            _ => None,
        })
    }
}
