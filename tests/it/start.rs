//! How `infermux serve` starts, does not start, and stops.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::command::{end, infermux, text};
use crate::support::router::{Folder, Router, Start};
use crate::support::{PATIENCE, chat, config_for, mock, streamed_chat};

const PROVIDERS: &str = "providers: [{name: a, type: ollama}, {name: b, type: ollama}]\n";

/// A configuration that listens where the kernel likes, with `more` in it.
fn config(more: &str) -> String {
    format!("listen: '127.0.0.1:0'\n{PROVIDERS}{more}\n")
}

#[test]
fn a_configuration_that_cannot_be_used_is_told_as_validate_does() {
    let folder = Folder::new();
    let path = folder.write("a.yml", config("routing: {strategy: best}\nrooting: {}"));
    for file in [text(&path), "/nowhere/x.yml"] {
        let serve = end(&mut infermux(&["serve", "--config", file]));
        let validate = end(&mut infermux(&["validate", "--config", file]));
        assert_eq!((serve.code, &*serve.stdout), (Some(1), ""));
        assert_eq!(serve.stderr, validate.stderr);
        assert!(serve.stderr.contains("error: "));
    }
}

#[test]
fn a_bad_variable_is_named() {
    let folder = Folder::new();
    let path = folder.write("a.yml", config(""));
    let mut command = infermux(&["serve", "--config", text(&path)]);
    let ended = end(command
        .env("INFERMUX_LISTEN", "8080")
        .env("INFERMUX_LOG_LEVEL", "loud"));
    assert_eq!(ended.code, Some(1));
    assert_eq!(
        ended.stderr,
        "error: INFERMUX_LISTEN: `8080` is a bare port, write `:8080`\n\
         error: INFERMUX_LOG_LEVEL: `loud` is not one of debug, info, warn, error\n"
    );
}

#[test]
fn an_empty_variable_is_unset_and_a_set_one_goes_before_the_file() {
    let router = Start::with(&config("log: {level: error, timestamps: true}"))
        .env("INFERMUX_LISTEN", "")
        .env("INFERMUX_LOG_LEVEL", "info")
        .env("INFERMUX_LOG_FORMAT", "json")
        .env("INFERMUX_LOG_TIMESTAMPS", "false")
        .go();
    router.wait_for_log("{\"level\":\"info\",\"message\":\"serving\"");
}

// proves: port.one-instance
#[test]
fn a_taken_port_is_refused_whoever_has_it() {
    let folder = Folder::new();
    let path = folder.write("a.yml", config("server: {shards: 2}"));
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let router = Router::start(&config(""));
    for addr in [other.local_addr().unwrap(), router.addr()] {
        let place = addr.to_string();
        let flags = ["serve", "--config", text(&path), "--listen", &place];
        let ended = end(&mut infermux(&flags));
        assert_eq!(ended.code, Some(3));
        let expected = format!(
            "ERROR cannot listen on {place}: address already in use (is another infermux running?)"
        );
        assert!(ended.stderr.contains(&expected), "{}", ended.stderr);
        let version = env!("CARGO_PKG_VERSION");
        let introduction = format!("infermux {version}\nconfig: {}\n", text(&path));
        assert_eq!(ended.stdout, introduction);
    }
}

#[test]
fn what_cannot_be_had_is_named() {
    for (more, told) in [
        (
            "listen: '192.0.2.1:0'",
            "cannot listen on 192.0.2.1:0: this host does not have that address",
        ),
        (
            "tls: {cert_file: /nowhere/cert.pem, key_file: /nowhere/key.pem}",
            "cannot use the TLS files: /nowhere/cert.pem: ",
        ),
        ("server: {cores: '4095'}", "core 4095 does not exist"),
    ] {
        let folder = Folder::new();
        let path = folder.write("a.yml", format!("{more}\n{PROVIDERS}"));
        let ended = end(&mut infermux(&["serve", "--config", text(&path)]));
        assert_eq!(ended.code, Some(3), "{}", ended.stderr);
        assert!(ended.stderr.contains(told), "{}", ended.stderr);
        assert!(!ended.stdout.contains("listening"));
    }
}

#[test]
fn too_few_open_files_are_told_of_where_connections_were_asked_for() {
    for (server, told) in [
        ("server: {max_connections: 200}", true),
        ("server: {max_connections: 50}", false),
        ("", false),
    ] {
        let mut router = Start::with(&config(server)).with_open_files(256).go();
        router.signal("TERM");
        router.wait();
        let log = router.log();
        let expected = "server.max_connections is 200, but the limit of open files has room for \
                        112: raise it (systemd: LimitNOFILE=1424; containers: --ulimit \
                        nofile=1424; shell: ulimit -n 1424) open_files=256";
        assert_eq!(log.contains(expected), told, "{log}");
        assert_eq!(log.contains("open files"), told, "{log}");
    }
}

#[test]
fn keys_that_anyone_can_spend_are_warned_of_but_not_shown() {
    let provider = "{name: a, type: openai, api_key: sk-not-to-be-shown, \
                    base_url: 'http://127.0.0.1:9'}";
    for (listen, warned) in [("0.0.0.0:0", true), ("127.0.0.1:0", false)] {
        let config = format!("listen: '{listen}'\nproviders: [{provider}]\n");
        let mut router = Router::start(&config);
        router.signal("TERM");
        router.wait_for_log("stopped");
        assert_eq!(router.wait().code(), Some(0));
        let log = router.log();
        assert_eq!(log.contains("can spend the providers' keys"), warned);
        assert!(!log.contains("sk-not"), "{log}");
    }
}

#[test]
fn a_management_api_that_anyone_may_use_is_warned_of_at_every_start() {
    let key = "auth: {mode: static_key, key: sesame}\n";
    for (listen, rest, token, warned) in [
        ("0.0.0.0:0", "", None, true),
        ("0.0.0.0:0", key, None, true),
        ("[::]:0", key, None, true),
        ("0.0.0.0:0", key, Some("t"), false),
        (
            "0.0.0.0:0",
            "management_listen: '127.0.0.1:0'\n",
            None,
            false,
        ),
        (
            "127.0.0.1:0",
            "management_listen: '0.0.0.0:0'\n",
            None,
            true,
        ),
        ("127.0.0.1:0", key, None, false),
        ("[::ffff:127.0.0.1]:0", key, None, false),
    ] {
        let config = config(rest).replacen("127.0.0.1:0", listen, 1);
        let start = Start::with(&config);
        let start = match token {
            Some(token) => start.env("INFERMUX_MANAGEMENT_TOKEN", token),
            None => start,
        };
        let mut router = start.go();
        router.signal("TERM");
        router.wait();
        let log = router.log();
        let told = log.contains("the management API has no token");
        assert_eq!(told, warned, "{listen} {rest}: {log}");
    }
}

#[test]
fn sigterm_is_0_and_sigint_is_130() {
    for (signal, code) in [("TERM", 0), ("INT", 130)] {
        let mut router = Router::start(&config(""));
        let mut idle = Client::connect(router.addr());
        idle.get("/v1/nowhere");
        assert_eq!(idle.answer().status, 404);
        router.signal(signal);
        assert!(idle.is_closed());
        router.wait_for_log("stopped");
        assert_eq!(router.wait().code(), Some(code));
    }
}

#[test]
fn a_second_signal_ends_at_once() {
    let mut router = Router::start(&config("server: {drain_delay: 1h}"));
    router.signal("INT");
    router.wait_for_log("asked to stop");
    // Requests are still taken while balancers notice.
    let mut caller = Client::connect(router.addr());
    caller.get("/v1/nowhere");
    assert_eq!(caller.answer().status, 404);
    router.signal("TERM");
    assert_eq!(router.wait().code(), Some(130));
}

// proves: drain.nothing-lost
#[test]
fn requests_in_flight_are_finished_after_sigterm() {
    let slow = json!({"name": "slow", "latency_ms": 150, "event_interval_ms": 20});
    let mock = mock(slow);
    let mut router = Router::start(&config_for(&[&mock], ""));
    let mut callers: Vec<Client> = (0..16).map(|_| Client::connect(router.addr())).collect();
    for (i, caller) in callers.iter_mut().enumerate() {
        let body = if i % 2 == 0 {
            streamed_chat("a b c d e f")
        } else {
            chat("a b c d e f")
        };
        caller.post("/v1/chat/completions", &body);
    }
    assert!(mock.wait_for_requests(16, PATIENCE));
    router.signal("TERM");
    router.wait_for_log("asked to stop");
    for (i, caller) in callers.iter_mut().enumerate() {
        let answer = caller.answer();
        assert!(answer.status == 200 && answer.complete, "{answer:?}");
        if i % 2 == 0 {
            assert_eq!(answer.events().last().map(String::as_str), Some("[DONE]"));
        }
        assert!(caller.is_closed());
    }
    assert_eq!(router.wait().code(), Some(0));
}

#[test]
fn a_request_that_does_not_finish_is_cut_off() {
    let start = Start::with(&config("")).args(&["--graceful-shutdown", "50ms"]);
    let mut router = start.go();
    let mut caller = Client::connect(router.addr());
    caller.send(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\
         Expect: 100-continue\r\n\r\n",
    );
    assert_eq!(caller.head().status, 100);
    router.signal("TERM");
    router.wait_for_log("connections are cut off");
    assert_eq!(router.wait().code(), Some(0));
    caller.rest();
}

#[test]
fn a_log_that_nobody_reads_stops_nothing() {
    let folder = Folder::new();
    let path = folder.write("a.yml", config(""));
    let mut command = infermux(&["serve", "--config", text(&path)]);
    let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    drop(child.stderr.take());
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut lines = lines.map(Result::unwrap);
    let place = lines.find_map(|line| line.strip_prefix("listening on ").map(str::to_owned));
    drop(lines);
    let mut caller = Client::connect(place.unwrap().parse().unwrap());
    for _ in 0..10 {
        caller.get("/v1/nowhere");
        assert_eq!(caller.answer().status, 404);
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

/// The objects that a stream is made of, one a line.
fn objects(text: &str) -> Vec<Value> {
    let object = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
    text.lines().map(object).collect()
}

#[test]
fn where_the_log_is_objects_both_streams_are() {
    let folder = Folder::new();
    // It warns of the open keys and of a state file that is new, then fails for want of the port.
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let path = folder.write(
        "a.yml",
        format!("listen: ':{port}'\nlog: {{format: json}}\nextra: 1\n{PROVIDERS}"),
    );
    let ended = end(&mut infermux(&[
        "serve",
        "--no-health-checks",
        "--config",
        text(&path),
    ]));
    assert_eq!(ended.code, Some(3));
    let version = format!("infermux {}", env!("CARGO_PKG_VERSION"));
    let (said, logged) = (objects(&ended.stdout), objects(&ended.stderr));
    assert_eq!(said[0]["message"], *version);
    assert_eq!(said[1]["message"], format!("config: {}", text(&path)));
    assert!(
        said.iter()
            .all(|line| line["level"] == "info" && line["time"].is_string())
    );
    let levels: Vec<&str> = logged
        .iter()
        .filter_map(|line| line["level"].as_str())
        .collect();
    assert!(
        levels.contains(&"warn") && levels.last() == Some(&"error"),
        "{levels:?}"
    );
    // One that serves: nothing else comes on the standard output.
    let path = folder.write("b.yml", config("log: {format: json, timestamps: false}"));
    let mut child = infermux(&["serve", "--no-health-checks", "--config", text(&path)])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut said = String::new();
    while !said.contains("listening on") {
        let line = lines.next().expect("a line").expect("text");
        said.push_str(&line);
        said.push('\n');
    }
    let said = objects(&said);
    let message = |line: &Value| line["message"].as_str().unwrap_or_default().to_owned();
    assert_eq!(message(&said[2]), "providers: a, b");
    assert!(message(&said[3]).starts_with("page: http://127.0.0.1:"));
    assert!(
        message(&said[4]).starts_with("listening on 127.0.0.1:"),
        "{said:?}"
    );
    assert!(said[0].get("time").is_none(), "{said:?}");
    let pid = child.id().to_string();
    let sent = std::process::Command::new("kill").arg(pid).status();
    assert!(sent.expect("kill runs").success());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0));
    assert!(lines.next().is_none());
    let logged = objects(&String::from_utf8(output.stderr).expect("text"));
    assert_eq!(message(logged.last().expect("a line")), "stopped");
}

#[test]
fn errors_of_a_start_are_objects_where_flag_variable_or_file_say_so() {
    let folder = Folder::new();
    let faulty = folder.write("a.yml", config("routing: {strategy: best}\nrooting: {}"));
    let asked = folder.write(
        "b.yml",
        config("log: {format: json}\nrouting: {strategy: best}"),
    );
    let broken = folder.write("c.yml", "providers: [");
    for (file, arguments, variables) in [
        (text(&faulty), &["--log-format", "json"][..], &[][..]),
        (text(&faulty), &[], &[("INFERMUX_LOG_FORMAT", "json")]),
        (text(&asked), &[], &[]),
        (text(&asked), &[], &[("INFERMUX_LOG_LEVEL", "loud")]),
        (text(&broken), &["--log-format", "json"], &[]),
        ("/nowhere/x.yml", &["--log-format", "json"], &[]),
    ] {
        let mut command = infermux(&["serve", "--config", file]);
        let variables: &[(&str, &str)] = variables;
        let ended = end(command.args(arguments).envs(variables.iter().copied()));
        assert_eq!((ended.code, &*ended.stdout), (Some(1), ""), "{file}");
        let logged = objects(&ended.stderr);
        let errors = logged
            .iter()
            .filter(|line| line["level"] == "error")
            .count();
        assert!(errors >= 1, "{file}: {logged:?}");
    }
    let ended = end(infermux(&["serve", "--config", text(&asked)]).args(["--log-format", "text"]));
    assert!(ended.stderr.contains("\nerror: line "), "{}", ended.stderr);
}
