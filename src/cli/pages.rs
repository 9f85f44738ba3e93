//! Pages about infermux itself: the schemas of its files, completions, manual pages.

use std::io::Write;

use clap::CommandFactory;
use clap_mangen::Man;

use crate::cli::exit::{DONE, UNUSABLE};
use crate::cli::flags::{Arguments, CompletionsFlags, ManFlags, SchemaFlags, SchemaOf};
use crate::cli::terminal;
use crate::config::faults::printable;
use crate::config::raw::schema;
use crate::report::usage_record;

/// Prints the schema; returns the exit code.
#[must_use]
pub fn schema(flags: &SchemaFlags) -> u8 {
    let schema = match flags.of {
        SchemaOf::Config => schema::schema(),
        SchemaOf::Usage => usage_record::schema(),
    };
    terminal::say(format_args!("{schema:#}"));
    DONE
}

/// Prints completions; returns the exit code.
#[must_use]
pub fn completions(flags: &CompletionsFlags) -> u8 {
    let mut page = Vec::new();
    clap_complete::generate(flags.shell, &mut Arguments::command(), NAME, &mut page);
    print(&page)
}

/// Prints a manual page; returns the exit code.
#[must_use]
pub fn manual(flags: &ManFlags) -> u8 {
    let mut all = Arguments::command();
    all.build();
    let one = match &flags.command {
        None => Some(&all),
        Some(name) => all.find_subcommand(name),
    };
    let Some(one) = one else {
        let name = printable(flags.command.as_deref().unwrap_or_default());
        terminal::error(format_args!("infermux has no command `{name}`"));
        return UNUSABLE;
    };
    let mut page = Vec::new();
    // Writing to a vector cannot fail.
    let _ = Man::new(one.clone()).render(&mut page);
    print(&page)
}

/// Prints `page`. A reader that has gone is no error.
fn print(page: &[u8]) -> u8 {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(page).and_then(|()| out.flush());
    DONE
}

const NAME: &str = "infermux";
