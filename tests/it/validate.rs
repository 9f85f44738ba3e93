//! `infermux validate`, and arguments that cannot be used.

use std::path::Path;

use crate::support::command::{Ended, end, infermux, text};
use crate::support::router::Folder;

const VALID: &str = "providers: [{name: a, type: ollama}]\n";

fn validate(path: &Path, flags: &[&str]) -> Ended {
    let mut arguments = vec!["validate", "--config", text(path)];
    arguments.extend(flags);
    end(&mut infermux(&arguments))
}

#[test]
fn a_valid_file_is_summed_up() {
    let folder = Folder::new();
    let path = folder.write("valid.yml", VALID);
    let ended = validate(&path, &[]);
    let expected = Ended {
        code: Some(0),
        stdout: "ok: config is valid (1 provider, 0 route groups)\n".into(),
        stderr: String::new(),
    };
    assert_eq!(ended, expected);
    let by_variable = end(infermux(&["validate"]).env("INFERMUX_CONFIG", &path));
    assert_eq!(by_variable, expected);
}

#[test]
fn models_without_a_price_are_listed() {
    let folder = Folder::new();
    let text = "providers:\n  \
        - {name: free, type: ollama, models: [anything]}\n  \
        - {name: a, type: openai, api_key: k, models: [gpt-4o, x, y], \
           model_aliases: {z: x, w: v}}\n\
        pricing: {a: {y: {input_per_million: 1, output_per_million: 1}}}\n";
    let ended = validate(&folder.write("unpriced.yml", text), &["--strict"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(
        ended.stderr,
        "warning: line 3: providers[1].models: no price is known for x, v: such requests are \
         counted at no cost, unless `pricing.a` sets one\n0 errors, 1 warning\n"
    );
}

#[test]
fn the_published_examples_are_valid() {
    for (name, summary) in [
        ("cost-optimized", "4 providers, 2 route groups"),
        ("minimal", "1 provider, 0 route groups"),
        ("priority-failover", "2 providers, 0 route groups"),
        ("production", "2 providers, 0 route groups"),
        ("reference", "1 provider, 1 route group"),
    ] {
        let path = format!(
            "{}/tests/golden/config/{name}.yml",
            env!("CARGO_MANIFEST_DIR")
        );
        let mut command = infermux(&["validate", "--config", &path]);
        for variable in [
            "OPENAI_API_KEY",
            "ANTHROPIC_API_KEY",
            "GROQ_API_KEY",
            "INFERMUX_API_KEY",
        ] {
            command.env(variable, "sk-not-to-be-shown");
        }
        let ended = end(&mut command);
        assert_eq!(ended.code, Some(0), "{name}: {}", ended.stderr);
        assert_eq!(ended.stdout, format!("ok: config is valid ({summary})\n"));
        assert!(!ended.stderr.contains("sk-not"), "{}", ended.stderr);
        let unresolved = end(&mut infermux(&[
            "validate",
            "--no-environment",
            "--config",
            &path,
        ]));
        assert_eq!(unresolved.code, Some(0), "{name}: {}", unresolved.stderr);
        assert!(
            !unresolved.stderr.contains("is not set"),
            "{}",
            unresolved.stderr
        );
    }
}

#[test]
fn a_file_that_cannot_be_read_is_1() {
    for (path, problem) in [
        (
            Path::new("/nowhere/x.yml"),
            "/nowhere/x.yml: there is no such file",
        ),
        (Path::new("/"), "/: is a directory"),
    ] {
        let ended = validate(path, &[]);
        assert_eq!(ended.code, Some(1));
        assert_eq!(ended.stderr, format!("error: {problem}\n"));
    }
    // Where nothing names a file, it is looked for in the working directory; an empty variable
    // names none.
    let mut command = infermux(&["validate"]);
    let ended = end(command.env("INFERMUX_CONFIG", "").current_dir("/"));
    assert_eq!(ended.code, Some(1));
    let problem = "there is no such file in the working directory; --config names another one";
    assert_eq!(ended.stderr, format!("error: infermux.yml: {problem}\n"));
}

#[test]
fn a_file_that_is_no_yaml_is_2() {
    let folder = Folder::new();
    for (name, content, problem) in [
        ("empty.yml", Vec::new(), "is empty"),
        ("blank.yml", b" \n\n".to_vec(), "is empty"),
        ("latin1.yml", b"listen: \xe4".to_vec(), "is not UTF-8 text"),
        (
            "huge.yml",
            vec![b'#'; (4 << 20) + 1],
            "is larger than the 4194304 bytes",
        ),
        (
            "huge-cut.yml",
            "ä".repeat(3 << 20).into_bytes(),
            "is larger than",
        ),
        ("open.yml", b"providers: [".to_vec(), "line 2 column 1"),
        ("list.yml", b"- a\n".to_vec(), ""),
    ] {
        let path = folder.write(name, content);
        let ended = validate(&path, &[]);
        assert_eq!(ended.code, Some(2), "{name}: {}", ended.stderr);
        let start = format!("error: {}: ", path.display());
        assert!(ended.stderr.starts_with(&start), "{}", ended.stderr);
        assert!(ended.stderr.contains(problem), "{}", ended.stderr);
        assert_eq!(
            (
                ended.stderr.lines().skip(1).collect::<Vec<_>>(),
                &*ended.stdout
            ),
            (vec!["1 error, 0 warnings"], "")
        );
    }
}

#[test]
fn every_fault_is_told_with_its_path_in_one_run() {
    let folder = Folder::new();
    let path = folder.write(
        "faulty.yml",
        "
listen: 8080
providers:
  - {name: a, type: openai, api_key: sk-not-to-be-shown, timeout: 5}
  - {name: a, type: openay, base_url: nonsense}
rooting: {}
",
    );
    let ended = validate(&path, &[]);
    assert_eq!((ended.code, &*ended.stdout), (Some(3), ""));
    for line in [
        "error: line 2: listen: ",
        "error: line 4: providers[0].timeout: ",
        "error: line 5: providers[1].name: ",
        "error: line 5: providers[1].type: ",
        "error: line 5: providers[1].base_url: ",
        "warning: line 6: rooting: ",
    ] {
        assert!(
            ended.stderr.lines().any(|told| told.starts_with(line)),
            "{line} {}",
            ended.stderr
        );
    }
    assert!(!ended.stderr.contains("sk-not"), "{}", ended.stderr);
    let last = ended.stderr.lines().last();
    assert_eq!(last, Some("5 errors, 2 warnings"), "{}", ended.stderr);
}

#[test]
fn a_secret_comes_from_a_file_or_stops_the_start() {
    let folder = Folder::new();
    let secret = folder.write("key", "sk-not-to-be-shown\n");
    let content = |path: &str| {
        let provider = "name: a, type: openai, models: [gpt-4o]";
        format!("providers: [{{{provider}, api_key: '${{file:{path}}}'}}]\n")
    };
    let path = folder.write("secret.yml", content(text(&secret)));
    let ended = validate(&path, &["--strict"]);
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
    let path = folder.write("missing.yml", content("/nowhere"));
    let ended = validate(&path, &[]);
    let told = "error: line 1: providers[0].api_key: the file /nowhere does not exist\n\
                1 error, 0 warnings\n";
    assert_eq!((ended.code, &*ended.stderr), (Some(3), told));
    assert_eq!(validate(&path, &["--no-environment"]).code, Some(0));
    let path = folder.write("folder.yml", content("/"));
    assert!(
        validate(&path, &[])
            .stderr
            .contains("the file / is a directory")
    );
}

#[test]
fn strictness_makes_faults_of_doubts() {
    let folder = Folder::new();
    let content = "providers: [{name: a, type: openai, api_key: '${KEY}', wait: 1s}]\n";
    let path = folder.write("doubtful.yml", content);
    let doubts = |kind: &str| {
        format!(
            "{kind}: line 1: providers[0].api_key: the variable KEY is not set\n\
             {kind}: line 1: providers[0].wait: "
        )
    };
    let lenient = validate(&path, &[]);
    assert_eq!(lenient.code, Some(0));
    assert!(
        lenient.stderr.starts_with(&doubts("warning")),
        "{}",
        lenient.stderr
    );
    let strict = validate(&path, &["--strict"]);
    assert_eq!((strict.code, &*strict.stdout), (Some(3), ""));
    assert!(
        strict.stderr.starts_with(&doubts("error")),
        "{}",
        strict.stderr
    );
    let unresolved = validate(&path, &["--no-environment"]);
    assert_eq!(unresolved.code, Some(0));
    assert!(!unresolved.stderr.contains("KEY"), "{}", unresolved.stderr);
}

#[test]
fn tls_files_that_are_not_on_this_host_are_a_warning() {
    let folder = Folder::new();
    let here = folder.write("here.pem", "");
    let tls = format!(
        "tls: {{cert_file: {}, key_file: /nowhere/key.pem}}\n",
        text(&here)
    );
    let ended = validate(
        &folder.write("tls-missing.yml", format!("{VALID}{tls}")),
        &["--strict"],
    );
    assert_eq!(ended.code, Some(0));
    let expected = "warning: line 2: tls.key_file: /nowhere/key.pem does not exist on this host\n\
                    0 errors, 1 warning\n";
    assert_eq!(ended.stderr, expected);
}

#[test]
fn a_missing_file_of_keys_is_told_with_what_makes_it() {
    let folder = Folder::new();
    let keys = "auth: {mode: keys, keys_file: /nowhere/keys.yml}\n";
    let file = folder.write("keys-missing.yml", format!("{VALID}{keys}"));
    let how = "`infermux key new --name NAME --write` begins it\n";
    let expected = format!(
        "warning: line 2: auth.keys_file: /nowhere/keys.yml does not exist on this host: {how}\
         0 errors, 1 warning\n"
    );
    assert_eq!(validate(&file, &["--strict"]).stderr, expected);
    let started = end(&mut infermux(&["serve", "--config", text(&file)]));
    assert_eq!(started.code, Some(3));
    assert!(started.stderr.contains(how), "{}", started.stderr);
}

#[test]
fn arguments_that_cannot_be_used_are_1() {
    for (arguments, told) in [
        (&["sevre"][..], "serve"),
        (&["validate", "--stric"], "--strict"),
        (&["serve", "--listen", "8080"], "--listen"),
        (
            &["serve", "--graceful-shutdown", "soon"],
            "--graceful-shutdown",
        ),
        (&[], "Usage: infermux <COMMAND>"),
    ] {
        let ended = end(&mut infermux(arguments));
        assert_eq!((ended.code, &*ended.stdout), (Some(1), ""), "{arguments:?}");
        assert!(ended.stderr.contains(told), "{}", ended.stderr);
    }
}

#[test]
fn help_and_version_are_answers() {
    let version = end(&mut infermux(&["--version"]));
    let expected = format!("infermux {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!((version.code, version.stdout), (Some(0), expected));
    for (command, told) in [("serve", "130"), ("validate", "INFERMUX_CONFIG")] {
        let help = end(&mut infermux(&[command, "--help"]));
        assert_eq!((help.code, &*help.stderr), (Some(0), ""));
        assert!(help.stdout.contains("Exit codes:") && help.stdout.contains(told));
    }
}
