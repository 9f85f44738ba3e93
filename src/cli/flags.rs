//! THE list of flags, and what the environment may say instead.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};

use crate::base::limits::SHARDS_MAX;
use crate::config::check::{LOG_FORMATS, LOG_LEVELS};
use crate::config::plan::{Listen, LogFormat, LogLevel};
use crate::config::{cores, duration, listen};

/// An LLM inference router.
///
/// Applications send it ordinary OpenAI requests; it picks one of the configured providers,
/// forwards, streams the answer back, and accounts for tokens and money.
#[derive(Debug, Parser)]
#[command(
    name = "infermux",
    version,
    arg_required_else_help = true,
    max_term_width = 100
)]
#[command(disable_help_subcommand = true, after_long_help = GENERAL)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the router until it is told to stop.
    #[command(after_long_help = SERVE)]
    Serve(ServeFlags),
    /// Check a configuration file, and tell everything that is wrong with it.
    #[command(after_long_help = VALIDATE)]
    Validate(ValidateFlags),
}

/// The flags of `serve`. A flag goes before its variable, a variable before the file.
#[derive(Args, Debug, Default)]
pub struct ServeFlags {
    /// Configuration file [default: infermux.yml] [env: INFERMUX_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where callers connect, such as :8080 or 127.0.0.1:8080 [env: INFERMUX_LISTEN]
    #[arg(long, value_name = "ADDR", value_parser = listen::parse)]
    pub listen: Option<Listen>,
    /// The least severe level that is logged [env: INFERMUX_LOG_LEVEL]
    #[arg(long, value_name = "LEVEL", value_parser = word_parser(&LOG_LEVELS))]
    pub log_level: Option<LogLevel>,
    /// How log lines look [env: INFERMUX_LOG_FORMAT]
    #[arg(long, value_name = "FORMAT", value_parser = word_parser(&LOG_FORMATS))]
    pub log_format: Option<LogFormat>,
    /// Start without waiting for health checks
    #[arg(long)]
    pub no_health_checks: bool,
    /// How long requests in flight may take to finish after SIGTERM or SIGINT
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = duration::parse)]
    pub graceful_shutdown: Duration,
    /// Event loops; 0 means one per usable core
    #[arg(long, value_name = "N", value_parser = shards)]
    pub shards: Option<usize>,
    /// Cores to pin event loops to, such as 2-5,8
    #[arg(long, value_name = "LIST", value_parser = cores::parse)]
    pub cores: Option<Box<[usize]>>,
}

/// The flags of `validate`.
#[derive(Args, Debug, Default)]
pub struct ValidateFlags {
    /// Configuration file [default: infermux.yml] [env: INFERMUX_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Take unknown fields and unset variables for errors
    #[arg(long)]
    pub strict: bool,
    /// Leave variables as they are written, and skip the checks that need their values
    #[arg(long)]
    pub no_environment: bool,
}

/// The configuration file: the flag, or what the environment names, or `infermux.yml`.
#[must_use]
pub fn config_path(flag: Option<&Path>, setting: &dyn Fn(&str) -> Option<String>) -> PathBuf {
    flag.map(Path::to_path_buf)
        .or_else(|| setting("INFERMUX_CONFIG").map(PathBuf::from))
        .unwrap_or_else(|| PathBuf::from("infermux.yml"))
}

/// The value that `text` names among `words`.
///
/// # Errors
///
/// None of them, as the end of a sentence that starts with the text.
pub fn word<T: Copy>(words: &[(&str, T)], text: &str) -> Result<T, String> {
    let found = words.iter().find(|(word, _)| *word == text);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        format!("is not one of {}", words.join(", "))
    })
}

fn word_parser<T: Copy + Send + Sync + 'static>(
    words: &'static [(&'static str, T)],
) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(words.iter().map(|(word, _)| *word))
        .try_map(|text| word(words, &text))
}

fn shards(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| *number <= SHARDS_MAX);
    number.ok_or_else(|| format!("is not a number from 0 to {SHARDS_MAX}"))
}

const GENERAL: &str = "\
`infermux COMMAND --help` tells a command's flags, variables and exit codes.

Files:
  infermux.yml  The configuration, in the working directory unless --config says otherwise.";

const SERVE: &str = "\
Environment:
  INFERMUX_CONFIG          Instead of --config.
  INFERMUX_LISTEN          Instead of --listen.
  INFERMUX_LOG_LEVEL       Instead of --log-level.
  INFERMUX_LOG_FORMAT      Instead of --log-format.
  INFERMUX_LOG_TIMESTAMPS  Whether log lines start with the time: true or false.
  A flag goes before its variable, a variable before the file. An empty variable is an unset one.

Signals:
  SIGTERM, SIGINT  Stop: let requests in flight finish, then exit. A second one ends at once.

Exit codes:
  0    Stopped by SIGTERM.
  1    The configuration or the arguments cannot be used.
  3    Could not start (port in use, TLS files), or broke down.
  130  Stopped by SIGINT.";

const VALIDATE: &str = "\
Environment:
  INFERMUX_CONFIG  Instead of --config. An empty variable is an unset one.

Exit codes:
  0  The file is valid; there may be warnings.
  1  The file cannot be read, or the arguments cannot be used.
  2  The file is not YAML.
  3  The file makes no sense: every fault is told with its path.";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;

    fn parse(line: &str) -> Result<Command, clap::Error> {
        Arguments::try_parse_from(line.split(' ')).map(|arguments| arguments.command)
    }

    #[test]
    fn the_list_of_flags_is_in_order() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn reads_every_flag_of_serve() {
        let line = "infermux serve --config a.yml --listen 127.0.0.1:0 --log-level warn \
                    --log-format json --no-health-checks --graceful-shutdown 1m --shards 3 \
                    --cores 2-3,8";
        let Ok(Command::Serve(flags)) = parse(line) else {
            panic!("not taken");
        };
        assert_eq!(flags.config.as_deref(), Some(Path::new("a.yml")));
        assert_eq!(flags.listen.map(|listen| listen.addr.port()), Some(0));
        assert_eq!(flags.log_level, Some(LogLevel::Warn));
        assert_eq!(flags.log_format, Some(LogFormat::Json));
        assert!(flags.no_health_checks);
        assert_eq!(flags.graceful_shutdown, Duration::from_secs(60));
        assert_eq!(flags.shards, Some(3));
        assert_eq!(flags.cores.as_deref(), Some(&[2, 3, 8][..]));
    }

    #[test]
    fn says_which_flag_is_wrong() {
        for (line, told) in [
            (
                "infermux serve --listen 8080",
                "is a bare port, write `:8080`",
            ),
            ("infermux serve --listen 8080", "--listen <ADDR>"),
            (
                "infermux serve --log-level loud",
                "debug, info, warn, error",
            ),
            (
                "infermux serve --shards 257",
                "is not a number from 0 to 256",
            ),
            ("infermux serve --cores 2-", "'--cores <LIST>'"),
            (
                "infermux serve --graceful-shutdown 15",
                "has no unit, write `15s`",
            ),
            ("infermux serve --prot 1", "--prot"),
            ("infermux validate --strict=yes", "--strict"),
            ("infermux sevre", "serve"),
        ] {
            let told_is = parse(line).unwrap_err().to_string();
            assert!(told_is.contains(told), "{line}: {told_is}");
        }
    }

    #[test]
    fn without_a_command_there_is_help() {
        let kind = parse("infermux").unwrap_err().kind();
        assert_eq!(kind, ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand);
    }

    #[test]
    fn the_flag_goes_before_the_variable_and_that_before_the_default() {
        let set = |name: &str| (name == "INFERMUX_CONFIG").then(|| String::from("env.yml"));
        let flag = Some(Path::new("flag.yml"));
        assert_eq!(config_path(flag, &set), Path::new("flag.yml"));
        assert_eq!(config_path(None, &set), Path::new("env.yml"));
        assert_eq!(config_path(None, &|_| None), Path::new("infermux.yml"));
    }
}
