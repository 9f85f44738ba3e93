//! Sends and receives that never wait.
//!
//! The C library's own functions can be cancelled while they wait, and prepare for that with two
//! atomic operations around each call. These calls wait for nothing, and go to the kernel directly.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::RawFd;

/// Sends as many bytes as the peer of the socket `fd`, which must be open, takes now.
///
/// # Errors
///
/// The peer takes none now ([`WouldBlock`](io::ErrorKind::WouldBlock)), or the connection failed.
pub(super) fn send(fd: RawFd, bytes: &[u8]) -> io::Result<usize> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    #[expect(unsafe_code, reason = "a system call")]
    // SAFETY: the kernel reads as many bytes as are there, and no address.
    let count = unsafe {
        libc::syscall(
            libc::SYS_sendto,
            fd,
            bytes.as_ptr(),
            bytes.len(),
            flags,
            NO_ADDRESS,
            0,
        )
    };
    result(count)
}

/// Receives the bytes that are there, as many as `room` takes; they stand at its beginning. `fd` is
/// an open socket. Returns 0 at the end of what the peer sends.
///
/// # Errors
///
/// There are none now ([`WouldBlock`](io::ErrorKind::WouldBlock)), or the connection failed.
pub(super) fn receive(fd: RawFd, room: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
    #[expect(unsafe_code, reason = "a system call")]
    // SAFETY: the kernel writes as many bytes as there is room for, and no address.
    let count = unsafe {
        libc::syscall(
            libc::SYS_recvfrom,
            fd,
            room.as_mut_ptr(),
            room.len(),
            libc::MSG_DONTWAIT,
            NO_ADDRESS,
            NO_ADDRESS,
        )
    };
    result(count)
}

/// What a call has returned; a negative number stands for an error.
fn result(count: libc::c_long) -> io::Result<usize> {
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

const NO_ADDRESS: *const libc::sockaddr = std::ptr::null();

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn what_is_sent_is_received_and_nothing_is_waited_for() {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        let (ours_fd, fd) = (ours.as_raw_fd(), theirs.as_raw_fd());
        let mut room = [MaybeUninit::new(0); 3];
        let blocks = |result: io::Result<usize>| {
            result.expect_err("nothing can be done").kind() == io::ErrorKind::WouldBlock
        };
        assert!(blocks(receive(fd, &mut room)));
        assert_eq!(send(ours_fd, b"abcd").expect("room"), 4);
        for (count, begins) in [(3, b'a'), (1, b'd')] {
            assert_eq!(receive(fd, &mut room).expect("bytes"), count);
            #[expect(unsafe_code, reason = "the first byte was written")]
            // SAFETY: all bytes of the room were written before.
            let first = unsafe { room[0].assume_init() };
            assert_eq!(first, begins);
        }
        let large = [0; 1 << 16];
        let mut sent = 0;
        while let Ok(count) = send(ours_fd, &large) {
            assert!(count > 0);
            sent += count;
        }
        assert!(sent > 0 && blocks(send(ours_fd, &large)));
        drop(ours);
        while receive(fd, &mut room).expect("bytes, or their end") > 0 {}
        let gone = send(fd, b"x").expect_err("nobody is there");
        assert_eq!(gone.kind(), io::ErrorKind::BrokenPipe);
        assert!(receive(-1, &mut room).is_err());
    }
}
