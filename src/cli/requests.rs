//! `infermux requests`: the last requests of a running router that went wrong.

use crate::cli::exit::{DONE, UNUSABLE};
use crate::cli::requests_flags::RequestsFlags;
use crate::cli::server::Server;
use crate::cli::terminal;
use crate::cli::watch;
use crate::config::raw::document::Document;
use crate::report::requests_seen::{self, RequestsSeen};
use crate::report::table::Paint;

/// Shows the requests; returns the exit code.
#[must_use]
pub fn run(flags: &RequestsFlags) -> u8 {
    let server = match Server::new(&flags.server) {
        Ok(server) => server,
        Err(problem) => return watch::unreachable(&problem),
    };
    match flags.watch.watch {
        Some(_) if flags.json => {
            terminal::error("--watch draws tables only: leave out --json");
            UNUSABLE
        }
        Some(interval) => watch::run(interval, &server, |paint| table(flags, &server, paint)),
        None => {
            let shown = if flags.json {
                json(flags, &server)
            } else {
                table(flags, &server, terminal::paint())
            };
            match shown {
                Ok(text) => {
                    terminal::say(text.trim_end());
                    DONE
                }
                Err(problem) => watch::unreachable(&problem),
            }
        }
    }
}

fn table(flags: &RequestsFlags, server: &Server, paint: Paint) -> Result<String, String> {
    let told = told(flags, server)?;
    let seen: RequestsSeen = server.read(&told)?;
    Ok(requests_seen::text(&seen, flags.kind.as_deref(), paint))
}

fn json(flags: &RequestsFlags, server: &Server) -> Result<String, String> {
    let told = told(flags, server)?;
    // Another server's answer is no such list.
    let _: RequestsSeen = server.read(&told)?;
    let document = Document::of_json(&told).map_err(|fault| fault.to_string())?;
    Ok(document.json())
}

fn told(flags: &RequestsFlags, server: &Server) -> Result<Vec<u8>, String> {
    let mut path = format!("/_infermux/requests?limit={}", flags.limit);
    if let Some(kind) = &flags.kind {
        path.extend(["&kind=", kind]);
    }
    server.report(&path, server.deadline())
}
