//! `infermux init`: a first file, which holds no key, and works.

use infermux_mock::Mock;
use serde_json::json;

use crate::support::client::Client;
use crate::support::command::{Ended, end, infermux, text};
use crate::support::mock;
use crate::support::router::{Folder, Start};

const KEYS: [(&str, &str); 3] = [
    ("OPENAI_API_KEY", "sk-openai-value"),
    ("ANTHROPIC_API_KEY", "sk-anthropic-value"),
    ("GROQ_API_KEY", "gsk-groq-value"),
];

fn init(folder: &Folder, arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
    let file = folder.path().join("infermux.yml");
    let mut command = infermux(&["init", "--config", text(&file)]);
    command.args(arguments).envs(variables.iter().copied());
    end(&mut command)
}

fn written(folder: &Folder) -> String {
    std::fs::read_to_string(folder.path().join("infermux.yml")).expect("a file")
}

#[test]
fn the_file_names_the_keys_and_holds_none() {
    let folder = Folder::new();
    let ended = init(&folder, &[], &KEYS);
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
    assert!(
        ended.stdout.contains("found: openai, anthropic, groq"),
        "{}",
        ended.stdout
    );
    let file = written(&folder);
    for (name, value) in KEYS {
        assert!(
            file.contains(&format!("api_key: \"${{{name}}}\"")),
            "{file}"
        );
        assert!(!format!("{file}{}", ended.stdout).contains(value), "{file}");
    }
    let path = folder.path().join("infermux.yml");
    let mut validate = infermux(&["validate", "--strict", "--config", text(&path)]);
    let ended = end(validate.envs(KEYS));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[test]
fn a_file_that_is_there_stays_unless_it_is_forced() {
    let folder = Folder::new();
    folder.write("infermux.yml", "mine");
    let ended = init(&folder, &[], &KEYS);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains("is there already; --force"),
        "{}",
        ended.stderr
    );
    assert_eq!(written(&folder), "mine");
    assert_eq!(init(&folder, &["--force"], &KEYS).code, Some(0));
    assert!(written(&folder).contains("OPENAI_API_KEY"));
    let nowhere = end(&mut infermux(&[
        "init",
        "--config",
        "/nowhere/infermux.yml",
    ]));
    assert_eq!(nowhere.code, Some(1));
    assert!(
        nowhere.stderr.contains("its folder does not exist"),
        "{}",
        nowhere.stderr
    );
}

#[test]
fn without_keys_there_is_a_server_on_this_machine() {
    let folder = Folder::new();
    let ended = init(&folder, &[], &[("OPENAI_API_KEY", "")]);
    assert_eq!(ended.code, Some(0));
    assert!(
        ended.stderr.contains("none of the keys"),
        "{}",
        ended.stderr
    );
    assert!(written(&folder).contains("type: ollama"));
}

#[test]
fn the_file_serves_requests() {
    let ollama: Mock = mock(json!({"name": "ollama"}));
    let folder = Folder::new();
    let address = ollama.address().to_string();
    let set = [("OLLAMA_HOST", &*address)];
    assert_eq!(init(&folder, &[], &set).code, Some(0));
    let config = written(&folder).replace("127.0.0.1:8080", "127.0.0.1:0");
    let router = Start::with(&config).env("OLLAMA_HOST", &address).go();
    let mut client = Client::connect(router.addr());
    let messages = json!([{"role": "user", "content": "x"}]);
    let answer = client.chat(&json!({"model": "llama3.2", "messages": messages}).to_string());
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("x-infermux-provider"), Some("ollama"));
}
