//! `infermux providers`: the providers of a running router.

use crate::cli::exit::DONE;
use crate::cli::flags::{Format, ProvidersFlags};
use crate::cli::rotation;
use crate::cli::server::Server;
use crate::cli::terminal;
use crate::cli::watch;
use crate::config::raw::document::Document;
use crate::report::overview::{self, ProviderSeen};
use crate::report::table::Paint;

/// Shows the providers; returns the exit code.
#[must_use]
pub fn run(flags: &ProvidersFlags) -> u8 {
    if let Some(command) = &flags.command {
        return rotation::run(command);
    }
    let server = match Server::new(&flags.server) {
        Ok(server) => server,
        Err(problem) => return watch::unreachable(&problem),
    };
    let seen = |format, paint| seen(&server, format, paint);
    match (flags.watch.watch, flags.format) {
        (None, format) => match seen(format, terminal::paint()) {
            Ok(text) => {
                terminal::say(text.trim_end());
                DONE
            }
            Err(problem) => watch::unreachable(&problem),
        },
        (Some(interval), Format::Table) => {
            watch::run(interval, &server, |paint| seen(Format::Table, paint))
        }
        (Some(_), Format::Json | Format::Yaml) => watch::only_tables(),
    }
}

fn seen(server: &Server, format: Format, paint: Paint) -> Result<String, String> {
    let told = server.report("/_infermux/providers", server.deadline())?;
    // Read in every format: another server's answer is no list of providers.
    let all: Vec<ProviderSeen> = server.read(&told)?;
    let document = || Document::of_json(&told).map_err(|fault| fault.to_string());
    Ok(match format {
        Format::Table => overview::providers(&all, paint),
        Format::Json => document()?.json(),
        Format::Yaml => document()?.yaml(),
    })
}
