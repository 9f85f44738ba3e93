//! `--watch`: a table that is drawn again and again; and what commands that ask a router share.

use std::process;
use std::thread;
use std::time::Duration;

use crate::cli::exit::{DONE, INTERRUPTED, UNREACHABLE, UNUSABLE};
use crate::cli::server::Server;
use crate::cli::terminal;
use crate::config::duration;
use crate::report::table::Paint;
use crate::sys::{clock, signals};

/// Draws below a heading with server and time until Ctrl-C, or until nobody reads any more; the
/// exit code. A router that cannot be asked may be on its way back, so that is drawn, too.
#[must_use]
pub fn run(
    interval: Duration,
    server: &Server,
    draw: impl Fn(Paint) -> Result<String, String>,
) -> u8 {
    if let Err(fault) = end_by_interrupt() {
        terminal::error(format_args!("cannot watch for signals: {fault}"));
        return UNUSABLE;
    }
    let paint = terminal::paint();
    let mut screen = terminal::Screen::new();
    loop {
        let text = draw(paint).unwrap_or_else(|problem| format!("error: {problem}\n"));
        let heading = format!(
            "{}  {}  every {}",
            server.text(),
            clock::wall(),
            duration::text(interval)
        );
        if screen.show(&format!("{heading}\n\n{text}")).is_err() {
            return DONE;
        }
        thread::park_timeout(interval);
    }
}

/// Ctrl-C has an exit code, wherever the drawing is.
fn end_by_interrupt() -> std::io::Result<()> {
    let interrupted = signals::interrupt()?;
    let thread = thread::Builder::new().name("signals".into());
    thread.spawn(move || {
        interrupted();
        process::exit(i32::from(INTERRUPTED));
    })?;
    Ok(())
}

/// Says that only tables are drawn again; the exit code.
#[must_use]
pub fn only_tables() -> u8 {
    terminal::error("--watch draws tables only: leave out --format");
    UNUSABLE
}

/// Says why the router does not tell; the exit code.
#[must_use]
pub fn unreachable(problem: &str) -> u8 {
    terminal::error(problem);
    UNREACHABLE
}
