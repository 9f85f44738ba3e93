//! The house's own commands, run as `cargo x <command>`.

mod attacks;
mod baseline;
mod bench;
mod chaos;
mod client;
mod clock;
mod commands;
mod compare;
mod demo;
mod dist;
mod fleet;
mod grow;
mod instructions;
mod mock;
mod overhead;
mod overload;
mod processes;
mod scrape;
mod steps;
mod store;
mod without_ring;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The house's own commands.
#[derive(Parser)]
#[command(name = "cargo x", bin_name = "cargo x")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Format, clippy and tidy: before every commit
    Check,
    /// Every test of every package
    Test,
    /// Everything that must hold: check, test, docs and deny
    Ci,
    /// The live page, and pages of other origins, in headless Chromium; screenshots in target/page
    Page,
    /// The documentation, with warnings as errors
    Docs,
    /// Simulates shards, coordinator, providers and callers: one seed with its trace, or many
    Sim {
        /// The seed to replay
        #[arg(conflicts_with = "seeds")]
        seed: Option<u64>,
        /// The seed of several instances to replay
        #[arg(long, value_name = "SEED", conflicts_with_all = ["seed", "seeds"])]
        fleet: Option<u64>,
        /// How many seeds to run, from 1
        #[arg(long, default_value_t = 2_000)]
        seeds: u64,
    },
    /// Everything that reads bytes from outside, under changed inputs
    Fuzz(attacks::FuzzOptions),
    /// The words that threads share, in every order of loads and stores
    Loom,
    /// The unit tests of the files with `unsafe` under valgrind
    Memcheck,
    /// The rules for dependencies (needs cargo-deny)
    Deny,
    /// Shows infermux at work between two mock providers
    Demo {
        /// Keep everything serving until Ctrl-C
        #[arg(long)]
        stay: bool,
    },
    /// Three instances with one store under load, which die meanwhile (needs redis-server)
    Fleet(fleet::Options),
    /// The router between providers and callers that do everything wrong, judged by its promises
    Chaos(chaos::Options),
    /// More connections, requests, slow callers and junk than the router can take, and a verdict
    Overload(overload::Options),
    /// This commit's release as a tarball: binary, pages, completions, unit, licences, materials
    Dist(dist::Options),
    /// Nanoseconds and instructions of the hot steps (needs valgrind)
    Bench {
        /// Fail where a step needs over 2 % more instructions than benches/instructions.json says
        #[arg(long)]
        check: bool,
        /// Rewrite benches/instructions.json
        #[arg(long, conflicts_with = "check")]
        bless: bool,
    },
    /// Instructions of each request and event in the whole router (needs valgrind)
    Instructions(instructions::Options),
    /// What limits, budgets and breakers cost in processor time for each request
    Overhead,
    /// What callers notice of a Prometheus that reads 1,000 series ten times a second
    Scrape,
    /// What more shards, providers, models, callers and series cost (needs two cores)
    Grow,
    /// infermux beside HAProxy and nginx under the same load (needs both, and two cores)
    Compare(compare::Options),
    /// Runs infermux-load with these flags; without --url against a running `cargo x demo --stay`
    #[command(disable_help_flag = true)]
    Load {
        /// Flags of infermux-load
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        flags: Vec<String>,
    },
    /// Becomes another program, to which io_uring is refused
    #[command(hide = true)]
    WithoutRing {
        /// The program and its flags
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        program: Vec<String>,
    },
}

fn main() -> ExitCode {
    let result = match Args::parse().command {
        Command::Check => commands::check(),
        Command::Test => commands::test(),
        Command::Ci => commands::ci(),
        Command::Page => commands::page(),
        Command::Docs => commands::docs(),
        Command::Sim { seed, fleet, seeds } => commands::sim(seed, fleet, seeds),
        Command::Fuzz(options) => attacks::fuzz(&options),
        Command::Loom => attacks::loom(),
        Command::Memcheck => attacks::memcheck(),
        Command::Deny => commands::deny(),
        Command::Demo { stay: true } => demo::run(demo::Ending::Stay),
        Command::Demo { stay: false } => demo::run(demo::Ending::Leave),
        Command::Fleet(options) => fleet::run(&options),
        Command::Chaos(options) => chaos::run(&options),
        Command::Overload(options) => overload::run(&options),
        Command::Dist(options) => dist::run(&options),
        Command::Bench { check: true, .. } => bench::run(bench::Aim::Check),
        Command::Bench { bless: true, .. } => bench::run(bench::Aim::Bless),
        Command::Bench { .. } => bench::run(bench::Aim::Show),
        Command::Instructions(options) => instructions::run(&options),
        Command::Overhead => overhead::run(),
        Command::Scrape => scrape::run(),
        Command::Grow => grow::run(),
        Command::Compare(options) => compare::run(&options),
        Command::Load { flags } => commands::load(flags),
        Command::WithoutRing { program } => Err(without_ring::become_program(&program)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_command_that_a_page_shows_can_be_read() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let docs = std::fs::read_dir(root.join("docs")).expect("a folder");
        let mut pages: Vec<_> = docs.map(|file| file.expect("a file").path()).collect();
        pages.extend(
            ["README.md", "ARCHITECTURE.md", "tools/deploy/README.md"].map(|page| root.join(page)),
        );
        let mut count = 0;
        for page in pages {
            let text = std::fs::read_to_string(&page).expect("a page");
            for rest in text.split("cargo x ").skip(1) {
                let line = rest.split(['`', '#', '\n']).next().unwrap_or_default();
                // The words that stand for a number.
                let words = line.split_whitespace().map(|word| match word {
                    "N" | "SEED" => "1",
                    word => word,
                });
                let read = Args::try_parse_from(["cargo x"].into_iter().chain(words));
                let fault = read.err().map(|fault| fault.to_string());
                assert_eq!(fault, None, "{}: cargo x {line}", page.display());
                count += 1;
            }
        }
        assert!(count >= 20, "{count} commands");
    }
}
