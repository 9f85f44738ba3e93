//! `infermux status`: how a running router is doing.

use crate::cli::exit::{DONE, NOT_WELL};
use crate::cli::flags::{Format, StatusFlags};
use crate::cli::server::Server;
use crate::cli::terminal;
use crate::cli::watch;
use crate::config::raw::document::Document;
use crate::report::overview::{self, ProviderSeen};
use crate::report::table::Paint;

/// Shows the router's state; returns the exit code.
#[must_use]
pub fn run(flags: &StatusFlags) -> u8 {
    let server = match Server::new(&flags.server) {
        Ok(server) => server,
        Err(problem) => return watch::unreachable(&problem),
    };
    match (flags.watch.watch, flags.format) {
        (None, format) => match seen(&server, format, terminal::paint()) {
            Ok(seen) => {
                terminal::say(seen.text.trim_end());
                if seen.all_closed { DONE } else { NOT_WELL }
            }
            Err(problem) => watch::unreachable(&problem),
        },
        (Some(interval), Format::Table) => watch::run(interval, &server, |paint| {
            seen(&server, Format::Table, paint).map(|seen| seen.text)
        }),
        (Some(_), Format::Json | Format::Yaml) => watch::only_tables(),
    }
}

/// The router's answers.
struct Seen {
    text: String,
    all_closed: bool,
}

fn seen(server: &Server, format: Format, paint: Paint) -> Result<Seen, String> {
    let until = server.deadline();
    let status = server.report("/_infermux/status", until)?;
    let providers = server.report("/_infermux/providers", until)?;
    let (read, all): (_, Vec<ProviderSeen>) = (server.read(&status)?, server.read(&providers)?);
    let document = || Document::of_json(&status).map_err(|fault| fault.to_string());
    Ok(Seen {
        text: match format {
            Format::Table => overview::status(&read, &all, paint),
            Format::Json => document()?.json(),
            Format::Yaml => document()?.yaml(),
        },
        all_closed: all.iter().all(ProviderSeen::is_closed),
    })
}
