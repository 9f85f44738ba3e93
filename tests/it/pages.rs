//! `infermux schema`, `completions` and `man`.

use std::io::Write;
use std::process::{Command, Stdio};

use clap::CommandFactory;
use infermux::testing::cli::flags::Arguments;

use crate::support::command::{end, infermux, text};
use crate::support::router::Folder;

/// What the command prints; it must not fail.
fn page(arguments: &[&str]) -> String {
    let ended = end(&mut infermux(arguments));
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{arguments:?}");
    ended.stdout
}

/// The names of all commands, each with its flags.
fn commands() -> Vec<(String, Vec<String>)> {
    let all = Arguments::command();
    let flags = |command: &clap::Command| {
        let flags = command.get_arguments().filter_map(clap::Arg::get_long);
        flags.map(str::to_owned).collect()
    };
    let commands = all.get_subcommands();
    commands
        .map(|command| (command.get_name().to_owned(), flags(command)))
        .collect()
}

#[test]
fn the_schema_is_printed() {
    let printed: serde_json::Value = serde_json::from_str(&page(&["schema"])).unwrap();
    assert_eq!(printed, infermux::testing::config::raw::schema::schema());
}

#[test]
fn completions_know_every_command_and_every_flag() {
    let flags: usize = commands().iter().map(|(_, flags)| flags.len()).sum();
    assert!(flags >= 15, "{flags} flags found");
    for (shell, dashes) in [("bash", "--"), ("zsh", "--"), ("fish", "-l ")] {
        let page = page(&["completions", shell]);
        for (command, flags) in commands() {
            assert!(page.contains(&command), "{shell}: {command}");
            for flag in flags {
                assert!(page.contains(&format!("{dashes}{flag}")), "{shell}: {flag}");
            }
        }
    }
    let ended = end(&mut infermux(&["completions", "tcsh"]));
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("bash, zsh, fish"), "{}", ended.stderr);
}

#[test]
fn bash_completes_commands_and_flags() {
    let folder = Folder::new();
    let path = folder.write("infermux.bash", page(&["completions", "bash"]));
    let script = format!(
        "source {}; COMP_WORDS=(infermux status --w); COMP_CWORD=2; _infermux infermux --w status; \
         printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        text(&path)
    );
    let ended = end(Command::new("bash").args(["--norc", "-c", &script]));
    assert_eq!((&*ended.stdout, &*ended.stderr), ("--watch\n", ""));
}

#[test]
fn every_command_has_a_page_with_all_of_its_flags() {
    let first = page(&["man"]);
    for (command, flags) in commands() {
        let named = format!("infermux\\-{command}(1)");
        assert!(first.contains(&named), "{named} in\n{first}");
        let page = page(&["man", &command]);
        assert!(page.starts_with(".ie") || page.starts_with(".TH"), "{page}");
        for flag in flags {
            let flag = format!("\\-\\-{}", flag.replace('-', "\\-"));
            assert!(page.contains(&flag), "{flag} in\n{page}");
        }
    }
    let serve = page(&["man", "serve"]);
    assert!(serve.contains("INFERMUX_CONFIG") && serve.contains("Exit codes"));
    let ended = end(&mut infermux(&["man", "sevre"]));
    assert_eq!(ended.code, Some(1));
    assert_eq!(ended.stderr, "error: infermux has no command `sevre`\n");
}

#[test]
fn a_reader_that_has_gone_is_no_fault() {
    let mut child = infermux(&["schema"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0));
    std::io::stderr()
        .write_all(&output.stderr)
        .expect("a standard error");
    assert!(output.stderr.is_empty());
}

#[test]
fn help_says_what_the_flag_says() {
    assert_eq!(page(&["help"]), page(&["--help"]));
    for (command, _) in commands() {
        assert_eq!(page(&["help", &command]), page(&[&*command, "--help"]));
    }
    let ended = end(&mut infermux(&["help", "sevre"]));
    assert_eq!((ended.code, &*ended.stdout), (Some(1), ""));
    assert!(ended.stderr.contains("sevre"), "{}", ended.stderr);
}
