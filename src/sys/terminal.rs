//! What a terminal says about itself.

/// How many columns the terminal of the standard output has; `None` where that is no terminal, or
/// does not say.
#[must_use]
#[expect(unsafe_code, reason = "std does not wrap the size of terminals")]
pub fn columns() -> Option<usize> {
    let mut size = libc::winsize {
        ws_row: 0,
        ws_col: 0,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: `size` is a valid, writable winsize for the length of the call.
    let done = unsafe { libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &raw mut size) };
    (done == 0 && size.ws_col > 0).then(|| usize::from(size.ws_col))
}
