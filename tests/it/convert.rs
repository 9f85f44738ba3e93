//! `infermux convert litellm`: files as people have them, and files that are none.

use std::path::{Path, PathBuf};

use crate::support::command::{Ended, end, infermux, text};
use crate::support::router::{Folder, Start};

fn convert(file: &Path) -> Ended {
    end(&mut infermux(&["convert", "litellm", text(file)]))
}

fn beside(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/litellm");
    folder.join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(beside(name)).expect("a file beside this one")
}

const FILES: [&str; 5] = [
    "small-team",
    "two-regions",
    "own-servers",
    "platform",
    "anchors",
];

#[test]
fn files_as_people_have_them_come_to_what_is_expected() {
    for name in FILES {
        let ended = convert(&beside(&format!("{name}.yaml")));
        assert_eq!(ended.code, Some(0), "{name}: {}", ended.stderr);
        assert_eq!(ended.stdout, read(&format!("{name}.yml")), "{name}");
        assert_eq!(ended.stderr, read(&format!("{name}.left")), "{name}");
    }
}

#[test]
fn what_comes_of_them_is_valid_and_runs() {
    for name in FILES {
        let path = beside(&format!("{name}.yml"));
        let ended = end(&mut infermux(&[
            "validate",
            "--no-environment",
            "--config",
            text(&path),
        ]));
        assert_eq!(ended.code, Some(0), "{name}: {}", ended.stderr);
        let config = read(&format!("{name}.yml")).replace("\":4000\"", "\"127.0.0.1:0\"");
        let mut start = Start::with(&config).args(&["--no-health-checks"]);
        for variable in variables(&config) {
            let value = if variable.ends_with("_BASE") {
                "http://127.0.0.1:1"
            } else {
                "sk-value-of-a-variable"
            };
            start = start.env(&variable, value);
        }
        let router = start.go();
        assert!(!router.log().contains("sk-value"), "{name}");
    }
}

/// The variables that a configuration refers to.
fn variables(config: &str) -> Vec<String> {
    let parts = config.split("${").skip(1);
    let names = parts.filter_map(|part| part.split_once('}'));
    names.map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn a_key_that_is_written_in_the_file_is_never_told() {
    let ended = convert(&beside("platform.yaml"));
    for key in ["sk-1234", "sk-written"] {
        assert!(!ended.stderr.contains(key), "{}", ended.stderr);
    }
    assert!(
        ended.stderr.contains("warning: 2 keys are written"),
        "{}",
        ended.stderr
    );
}

#[test]
fn names_that_stand_for_each_other_go_where_they_went() {
    let folder = Folder::new();
    let file = folder.write(
        "config.yaml",
        "model_list:\n\
         - {model_name: a, litellm_params: {model: groq/b, api_key: os.environ/K}}\n\
         - {model_name: b, litellm_params: {model: openai/c, api_key: os.environ/K}}\n\
         - {model_name: c, litellm_params: {model: xai/c, api_key: os.environ/K}}\n",
    );
    let ended = convert(&file);
    assert_eq!((ended.code, &*ended.stderr), (Some(0), NO_KEY), "{ended:?}");
    let order = ["- name: a", "- name: b", "- name: c"].map(|name| {
        let groups = ended.stdout.split_once("groups:").expect("groups").1;
        groups.find(name).expect("a group")
    });
    assert!(order.is_sorted(), "{}", ended.stdout);
    // In a circle, no order of groups is right, which is told.
    let file = folder.write(
        "config.yaml",
        "model_list:\n\
         - {model_name: a, litellm_params: {model: groq/b, api_key: os.environ/K}}\n\
         - {model_name: b, litellm_params: {model: xai/a, api_key: os.environ/K}}\n",
    );
    let ended = convert(&file);
    assert_eq!(ended.code, Some(0));
    assert!(
        ended.stderr.contains("warning: b leads to groq"),
        "{}",
        ended.stderr
    );
}

const NO_KEY: &str = "general_settings: without a master key, whoever reaches the port can spend \
                      the keys of the file: `auth` keeps others out\n";

#[test]
fn what_is_no_such_file_is_told() {
    let folder = Folder::new();
    let deep = format!("model_list: {}{}", "[".repeat(200), "]".repeat(200));
    let bomb = {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x]\n");
        for level in 1..9 {
            let before = format!("*a{}", level - 1);
            let all = vec![before; 8].join(", ");
            text.push_str(&format!("a{level}: &a{level} [{all}]\n"));
        }
        format!("{text}model_list: *a8\n")
    };
    let many: String = (0..1_100)
        .map(|number| {
            format!(
                "- {{model_name: m{number}, litellm_params: {{model: openai/m, rpm: {}}}}}\n",
                number + 1
            )
        })
        .collect();
    let many = format!("model_list:\n{many}");
    let huge = format!("model_list: []\n# {}", "x".repeat(20 << 20));
    for (content, problem) in [
        ("", "is empty"),
        ("- a\n- b\n", "the file is a list"),
        ("just words", "a mapping of fields is wanted"),
        ("model_list: [", "did not find expected"),
        ("general_settings: {}\n", "has no `model_list`"),
        ("model_list: 7\n", "no entry can be converted"),
        (
            "model_list: [{model_name: a}]\n",
            "no entry can be converted",
        ),
        (
            "model_list: [{model_name: a, litellm_params: {model: [x]}}]\n",
            "no entry",
        ),
        ("model_list: !x y\n", "tags"),
        ("a: 1\na: 2\n", "twice"),
        (&deep, "brackets"),
        (&bomb, "repetition limit exceeded"),
        (&many, "more providers than a file may have"),
        (&huge, "is larger than"),
    ] {
        let file = folder.write("config.yaml", content);
        let ended = convert(&file);
        let shown: String = content.chars().take(60).collect();
        assert_eq!(ended.code, Some(1), "{shown}: {}", ended.stderr);
        assert_eq!(ended.stdout, "", "{shown}");
        assert!(
            ended.stderr.contains(problem),
            "{shown}: {}",
            ended.stderr.chars().take(400).collect::<String>()
        );
    }
    let ended = convert(Path::new("/nowhere/config.yaml"));
    assert_eq!(ended.code, Some(1));
    assert_eq!(
        ended.stderr,
        "error: /nowhere/config.yaml: there is no such file\n"
    );
    let file = folder.write("config.yaml", b"model_list: \xff\n");
    assert!(convert(&file).stderr.contains("is not UTF-8"));
}
