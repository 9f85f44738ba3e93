//! `infermux explain`: where a running router would send a request, and why.

use crate::base::limits::EXPLAINED_BODY_BYTES_MAX;
use crate::cli::exit::{DONE, NOT_WELL, UNUSABLE};
use crate::cli::explain_flags::ExplainFlags;
use crate::cli::input;
use crate::cli::server::{Server, percent_encoded};
use crate::cli::terminal;
use crate::cli::watch;
use crate::config::raw::document::Document;
use crate::report::explained::Explained;
use crate::report::explained_text;

/// Asks the router, and prints what it says; returns the exit code.
#[must_use]
pub fn run(flags: &ExplainFlags) -> u8 {
    if flags.lacks_model() {
        terminal::error("name a model with --model <MODEL>, or give a request with --file");
        return UNUSABLE;
    }
    let read = |path| input::text(path, EXPLAINED_BODY_BYTES_MAX as u64);
    let body = match flags.file.as_deref().map(read).transpose() {
        Ok(body) => body,
        Err(problem) => {
            terminal::error(problem);
            return UNUSABLE;
        }
    };
    let path = path(flags);
    let asked = Server::new(&flags.server).and_then(|server| {
        let method = if body.is_some() { "POST" } else { "GET" };
        let answer = server.send((method, &path), body.as_deref(), server.deadline())?;
        match (answer.status, server.faults(&answer)) {
            (200, _) => {
                let told = server.read::<Explained>(&answer.body)?;
                let document =
                    Document::of_json(&answer.body).map_err(|fault| fault.to_string())?;
                Ok(Ok((told, document)))
            }
            (_, Some(faults)) => Ok(Err(faults)),
            (_, None) => Err(server.refused(PATH, &answer)),
        }
    });
    match asked {
        Ok(Ok((told, document))) => {
            if flags.json {
                terminal::say(document.json().trim_end());
            } else {
                terminal::say(explained_text::text(&told, terminal::paint()).trim_end());
            }
            if told.refusal.is_some() {
                NOT_WELL
            } else {
                DONE
            }
        }
        Ok(Err(faults)) => {
            faults.iter().for_each(terminal::error);
            NOT_WELL
        }
        Err(problem) => watch::unreachable(&problem),
    }
}

/// The path with what is asked for.
fn path(flags: &ExplainFlags) -> String {
    let mut path = format!("{PATH}?endpoint={}", flags.endpoint);
    for (name, value) in [
        ("model", &flags.model),
        ("caller", &flags.caller),
        ("key", &flags.key),
        ("session", &flags.session),
    ] {
        if let Some(value) = value {
            path.push_str(&format!("&{name}={}", percent_encoded(value)));
        }
    }
    path
}

const PATH: &str = "/_infermux/explain";
