//! A bell: wakes an event loop from another thread.

use std::io::Write;
use std::os::unix::net::UnixStream;

/// The end that rings.
#[derive(Debug)]
pub struct Ringer(UnixStream);

/// A bell's two ends; the second becomes readable with each ring.
///
/// # Errors
///
/// The process is out of file descriptors.
pub fn pair() -> std::io::Result<(Ringer, UnixStream)> {
    let (ringer, rung) = UnixStream::pair()?;
    ringer.set_nonblocking(true)?;
    Ok((Ringer(ringer), rung))
}

impl Ringer {
    /// Rings. A bell that has rung and was not heard yet need not ring again, so a full buffer is
    /// no error; neither is a listener that has gone.
    pub fn ring(&self) {
        let _ = (&self.0).write(&[1]);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    #[test]
    fn a_ring_is_heard_and_never_blocks() {
        let (ringer, mut rung) = super::pair().unwrap();
        for _ in 0..1_000_000 {
            ringer.ring();
        }
        assert!(rung.read(&mut [0; 8]).unwrap() > 0);
        drop(rung);
        ringer.ring();
    }
}
