//! THE list of flags, and of the variables that stand in for them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::base::limits::SHARDS_MAX;
use crate::cli::explain_flags::{self, ExplainFlags};
use crate::cli::key_flags::{self, KeyFlags};
use crate::cli::requests_flags::{self, RequestsFlags};
use crate::cli::rotation_flags::ProvidersCommand;
use crate::cli::setup_flags::{self, CheckFlags, ConvertFlags, InitFlags};
use crate::cli::shared_flags::{HELP as SHARED, SharedFlags};
use crate::cli::watch_flag::WatchFlag;
use crate::config::check::{LOG_FORMATS, LOG_LEVELS};
use crate::config::plan::{Listen, LogFormat, LogLevel};
use crate::config::{cores, duration, listen};

pub use crate::cli::server_flags::ServerFlags;

/// An LLM inference router.
///
/// Applications send it ordinary OpenAI or Anthropic requests. It sends each of them to a provider
/// that can answer it, moves on to another one when that fails, and accounts for tokens and money.
#[derive(Debug, Parser)]
#[command(
    name = "infermux",
    version,
    arg_required_else_help = true,
    max_term_width = 100
)]
#[command(after_long_help = GENERAL)]
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
    /// Show how a running router is doing.
    #[command(after_long_help = STATUS)]
    Status(StatusFlags),
    /// Show the providers of a running router.
    #[command(after_long_help = PROVIDERS)]
    Providers(ProvidersFlags),
    /// Show the last requests of a running router that failed, were refused or were slow.
    #[command(after_long_help = requests_flags::HELP)]
    Requests(RequestsFlags),
    /// Ask whether a running router takes traffic, for the health checks of containers.
    #[command(after_long_help = READY)]
    Ready(ServerFlags),
    /// Have a running router read its configuration again, and tell what has changed.
    #[command(after_long_help = RELOAD)]
    Reload(ServerFlags),
    /// Ask a running router where a request would go, why, and what it would cost.
    #[command(after_long_help = explain_flags::HELP)]
    Explain(ExplainFlags),
    /// Make keys for callers, and show and switch those of a running router.
    #[command(after_long_help = key_flags::HELP)]
    Key(KeyFlags),
    /// Write a configuration file for the keys that the environment has.
    #[command(after_long_help = setup_flags::INIT)]
    Init(InitFlags),
    /// Ask every provider of a configuration file once, with its key, and tell what was found.
    #[command(after_long_help = setup_flags::CHECK)]
    Check(CheckFlags),
    /// Turn another router's file into one of infermux.
    #[command(after_long_help = setup_flags::CONVERT)]
    Convert(ConvertFlags),
    /// Show which instances share limits and budgets, and forget one that is dead.
    #[command(after_long_help = SHARED)]
    Shared(SharedFlags),
    /// Print a JSON Schema: that of infermux.yml, for editors, or that of a usage record.
    Schema(SchemaFlags),
    /// Print the completions of a shell.
    #[command(after_long_help = COMPLETIONS)]
    Completions(CompletionsFlags),
    /// Print a manual page.
    #[command(after_long_help = MAN)]
    Man(ManFlags),
}

/// The flags of `serve`. A flag takes precedence over its variable, a variable over the file.
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
    /// Check no provider's health, and do not wait for it at the start
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
    /// Take unknown fields, unset variables and what is probably a mistake for errors
    #[arg(long)]
    pub strict: bool,
    /// Leave variables as they are written, and skip the checks that need their values
    #[arg(long)]
    pub no_environment: bool,
}

/// The flags of `status`.
#[derive(Args, Debug)]
pub struct StatusFlags {
    /// The router.
    #[command(flatten)]
    pub server: ServerFlags,
    /// How it is shown
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    #[arg(value_parser = word_parser(&STATUS_FORMATS))]
    pub format: Format,
    /// Whether it is shown repeatedly.
    #[command(flatten)]
    pub watch: WatchFlag,
}

/// The flags of `providers`.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ProvidersFlags {
    /// What is done, where they are not shown.
    #[command(subcommand)]
    pub command: Option<ProvidersCommand>,
    /// The router.
    #[command(flatten)]
    pub server: ServerFlags,
    /// How they are shown
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    #[arg(value_parser = word_parser(&PROVIDERS_FORMATS))]
    pub format: Format,
    /// Whether they are shown repeatedly.
    #[command(flatten)]
    pub watch: WatchFlag,
}

/// How a report is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// In columns, for people.
    Table,
    /// As the router tells it.
    Json,
    /// The same as YAML.
    Yaml,
}

const STATUS_FORMATS: [(&str, Format); 2] = [("table", Format::Table), ("json", Format::Json)];
const PROVIDERS_FORMATS: [(&str, Format); 3] = [
    ("table", Format::Table),
    ("json", Format::Json),
    ("yaml", Format::Yaml),
];

/// The flags of `schema`.
#[derive(Args, Debug)]
pub struct SchemaFlags {
    /// Whose schema
    #[arg(value_name = "OF", default_value = "config", value_parser = word_parser(&SCHEMAS))]
    pub of: SchemaOf,
}

/// What has a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaOf {
    /// The configuration file.
    Config,
    /// A line of the file of usage records.
    Usage,
}

const SCHEMAS: [(&str, SchemaOf); 2] = [("config", SchemaOf::Config), ("usage", SchemaOf::Usage)];

/// The flags of `completions`.
#[derive(Args, Debug)]
pub struct CompletionsFlags {
    /// The shell
    #[arg(value_name = "SHELL", value_parser = word_parser(&SHELLS))]
    pub shell: Shell,
}

/// The shells that can be completed for.
const SHELLS: [(&str, Shell); 3] = [
    ("bash", Shell::Bash),
    ("zsh", Shell::Zsh),
    ("fish", Shell::Fish),
];

/// The flags of `man`.
#[derive(Args, Debug, Default)]
pub struct ManFlags {
    /// The command whose page is printed; without one, that of infermux
    #[arg(value_name = "COMMAND")]
    pub command: Option<String>,
}

/// The configuration file where neither flag nor variable names one, in the working directory.
pub const CONFIG: &str = "infermux.yml";

/// The configuration file: the flag's, else the variable's, else `infermux.yml`.
#[must_use]
pub fn config_path(flag: Option<&Path>, setting: &dyn Fn(&str) -> Option<String>) -> PathBuf {
    flag.map(Path::to_path_buf)
        .or_else(|| setting("INFERMUX_CONFIG").map(PathBuf::from))
        .unwrap_or_else(|| PathBuf::from(CONFIG))
}

/// The value that `text` names among `words`.
///
/// # Errors
///
/// `text` is none of the words; the end of a sentence that starts with the text.
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
`infermux help COMMAND` tells a command's flags, variables and exit codes.

Files:
  infermux.yml  The configuration, in the working directory unless --config says otherwise.";

const SERVE: &str = "\
Environment:
  INFERMUX_CONFIG          Instead of --config.
  INFERMUX_LISTEN          Instead of --listen.
  INFERMUX_LOG_LEVEL       Instead of --log-level.
  INFERMUX_LOG_FORMAT      Instead of --log-format.
  INFERMUX_LOG_TIMESTAMPS  Whether log lines start with the time: true or false.
  INFERMUX_MANAGEMENT_TOKEN
                           The token that operators must present.
  NOTIFY_SOCKET            Where a service manager wants to be told (sd_notify).
  A flag goes before its variable, a variable before the file. An empty variable is an unset one.

Signals:
  SIGTERM, SIGINT  Stop: let requests in flight finish, then exit. A second one ends at once.
  SIGHUP           Reload the configuration file. One with a mistake changes nothing.

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

const STATUS: &str = "\
Environment:
  INFERMUX_SERVER            Instead of --server. An empty variable is an unset one.
  INFERMUX_MANAGEMENT_TOKEN  The router's management token, where it has one.
  NO_COLOR                   No colors.

Exit codes:
  0    All circuits are closed.
  1    Some circuit is open or half-open; or the arguments cannot be used.
  2    The router cannot be reached, as where --server is no URL, or does not tell.
  130  --watch: ended by Ctrl-C.";

const PROVIDERS: &str = "\
Environment:
  INFERMUX_SERVER            Instead of --server. An empty variable is an unset one.
  INFERMUX_MANAGEMENT_TOKEN  The router's management token, where it has one.
  NO_COLOR                   No colors.

Exit codes:
  0    They are shown, or the provider is taken out or put back.
  1    The arguments cannot be used, or the router has no such provider.
  2    The router cannot be reached, as where --server is no URL, or does not tell.
  130  --watch: ended by Ctrl-C.";

const READY: &str = "\
No token is needed, and providers do not matter: their outages must not restart the router.

Environment:
  INFERMUX_SERVER  Instead of --server. An empty variable is an unset one.

Exit codes:
  0  It takes traffic.
  1  It is starting or stopping, cannot be reached, or the arguments cannot be used.";

const RELOAD: &str = "\
The router reads the file that it was started with. A file with a mistake changes nothing.

Environment:
  INFERMUX_SERVER            Instead of --server. An empty variable is an unset one.
  INFERMUX_MANAGEMENT_TOKEN  The router's management token, where it has one.

Exit codes:
  0  It goes by the file now; what needs a restart is told as a warning.
  1  It refuses: every fault of the file is told; or the arguments cannot be used.
  2  It cannot be reached, as where --server is no URL, or does not tell.";

const COMPLETIONS: &str = "\
Where they go:
  bash  infermux completions bash > /usr/share/bash-completion/completions/infermux
  zsh   infermux completions zsh > /usr/local/share/zsh/site-functions/_infermux
  fish  infermux completions fish > /etc/fish/completions/infermux.fish";

const MAN: &str = "\
Where pages go:
  infermux man > /usr/local/share/man/man1/infermux.1
  infermux man serve > /usr/local/share/man/man1/infermux-serve.1";

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
