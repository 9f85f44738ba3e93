//! `--watch`: a table that is redrawn; and what the commands that ask a router share.

use std::process;
use std::thread;
use std::time::Duration;

use crate::cli::exit::{DONE, INTERRUPTED, UNREACHABLE, UNUSABLE};
use crate::cli::server::Server;
use crate::cli::terminal;
use crate::config::duration;
use crate::report::table::Paint;
use crate::sys::{clock, signals};

/// Redraws the table below a heading with server and time until Ctrl-C, or until the reader has
/// gone; returns the exit code. A fault of the router is drawn, too, since it may come back.
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

/// Has Ctrl-C end the process with its exit code at any time.
fn end_by_interrupt() -> std::io::Result<()> {
    let interrupted = signals::interrupt()?;
    let thread = thread::Builder::new().name("signals".into());
    thread.spawn(move || {
        interrupted();
        process::exit(i32::from(INTERRUPTED));
    })?;
    Ok(())
}

/// Says that only tables can be redrawn; returns the exit code.
#[must_use]
pub fn only_tables() -> u8 {
    terminal::error("--watch draws tables only: leave out --format");
    UNUSABLE
}

/// Says why the router does not answer; returns the exit code.
#[must_use]
pub fn unreachable(problem: &str) -> u8 {
    terminal::error(problem);
    UNREACHABLE
}
