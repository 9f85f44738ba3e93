//! `infermux status`, `providers` and `ready`: what an operator sees of a running router.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};

use infermux_mock::Mock;
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

use crate::support::command::{Ended, end, infermux, text};
use crate::support::load;
use crate::support::operate::{get, turn, wait_for_circuit};
use crate::support::router::{Folder, Router, Start};
use crate::support::tls::Papers;
use crate::support::{chat, config_of, config_with, eventually, mock, provider};

const TOKEN: &str = "INFERMUX_MANAGEMENT_TOKEN";
const MANAGEMENT: &str = "management_listen: \"127.0.0.1:0\"\n";

fn url(addr: SocketAddr) -> String {
    format!("http://{addr}")
}

/// Runs a command about the router at `addr`.
fn ask(addr: SocketAddr, arguments: &[&str]) -> Ended {
    let url = url(addr);
    let mut all = arguments.to_vec();
    all.extend(["--server", &url]);
    end(&mut infermux(&all))
}

/// An address that refuses connections while its socket is held: bound, but not listening.
fn nobody() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    socket.bind(&any.into()).expect("a port");
    let addr = socket.local_addr().expect("an address").as_socket();
    (socket, addr.expect("an IP address"))
}

/// Two providers; nobody asks the second.
fn pair() -> (Mock, Mock) {
    (
        mock(json!({"name": "alpha"})),
        mock(json!({"name": "beta"})),
    )
}

fn serving(pair: &(Mock, Mock), rest: &str) -> Router {
    let limits = "rate_limits: {requests_per_minute: 100}";
    let providers = [provider(&pair.0, &[limits]), provider(&pair.1, &[])];
    Router::start(&config_of(&providers, rest))
}

/// The words of the line of a table that starts with `name`.
fn row<'a>(table: &'a str, name: &str) -> Vec<&'a str> {
    let mut lines = table.lines().map(|line| line.split_whitespace().collect());
    let row = lines.find(|words: &Vec<&str>| words.first() == Some(&name));
    row.unwrap_or_else(|| panic!("{name} in\n{table}"))
}

/// A list of providers without the moments, which the router tells anew each time, give or take a
/// millisecond.
fn without_moments(mut all: Value) -> Value {
    for one in all.as_array_mut().expect("a list") {
        for moment in ["circuit_opened_at", "circuit_recovery_at"] {
            one.as_object_mut().expect("a provider").remove(moment);
        }
    }
    all
}

#[test]
fn providers_are_shown_as_a_table_as_json_and_as_yaml() {
    let pair = pair();
    let router = serving(&pair, MANAGEMENT);
    assert_eq!(load::ask(router.addr(), &chat("x")).status, 200);
    assert_eq!(turn(&router, "beta", "open").status, 200);
    let table = ask(router.management(), &["providers"]);
    assert_eq!((table.code, &*table.stderr), (Some(0), ""));
    assert!(!table.stdout.contains('\u{1b}'), "colors in a pipe");
    let alpha = row(&table.stdout, "alpha");
    assert_eq!(alpha[1..5], ["openai", "healthy", "closed", "0.0%"]);
    assert!(alpha.contains(&"99"), "headroom in {alpha:?}");
    assert_eq!(
        row(&table.stdout, "beta")[1..4],
        ["openai", "healthy", "open"]
    );
    let told = get(router.management(), "/_infermux/providers").json();
    let json = ask(router.management(), &["providers", "--format", "json"]);
    let yaml = ask(router.management(), &["providers", "--format=yaml"]);
    let told = without_moments(told);
    let json = without_moments(serde_json::from_str(&json.stdout).expect("JSON"));
    let yaml = without_moments(serde_yaml::from_str(&yaml.stdout).expect("YAML"));
    assert_eq!((&json, &yaml), (&told, &told));
}

#[test]
fn the_status_ends_with_a_code_that_tells_whether_all_circuits_are_closed() {
    let pair = pair();
    let router = serving(&pair, MANAGEMENT);
    for _ in 0..3 {
        assert_eq!(load::ask(router.addr(), &chat("x")).status, 200);
    }
    let closed = ask(router.management(), &["status"]);
    assert_eq!((closed.code, &*closed.stderr), (Some(0), ""));
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(row(&closed.stdout, "version"), ["version", version]);
    assert_eq!(
        row(&closed.stdout, "providers")[1..],
        ["2", "of", "2", "in", "service"]
    );
    assert_eq!(row(&closed.stdout, "circuits")[1..], ["all", "closed"]);
    assert_eq!(row(&closed.stdout, "requests")[1..], ["3"]);
    assert_eq!(row(&closed.stdout, "last")[2..], ["3,", "none", "failed"]);
    assert_eq!(turn(&router, "alpha", "open").status, 200);
    let open = ask(router.management(), &["status", "--format", "table"]);
    assert_eq!((open.code, &*open.stderr), (Some(1), ""));
    assert_eq!(row(&open.stdout, "circuits")[1..], ["open:", "alpha"]);
    let json = ask(router.management(), &["status", "--format", "json"]);
    assert_eq!(json.code, Some(1));
    let told = get(router.management(), "/_infermux/status").json();
    let json: Value = serde_json::from_str(&json.stdout).expect("JSON");
    let names = |document: &Value| -> Vec<String> {
        let fields = document.as_object().expect("a mapping");
        fields.keys().cloned().collect()
    };
    assert_eq!(names(&json), names(&told));
    assert_eq!(json["requests_total"], 3);
    assert_eq!(turn(&router, "alpha", "close").status, 200);
    assert_eq!(ask(router.management(), &["status"]).code, Some(0));
    assert_eq!(ask(router.addr(), &["status"]).code, Some(2));
}

#[test]
fn the_last_requests_that_went_wrong_are_shown() {
    let script = json!({"name": "alpha", "answers": [500, 500], "then": "ok"});
    let alpha = mock(script);
    let router = Router::start(&config_of(&[provider(&alpha, &[])], MANAGEMENT));
    let addr = router.management();
    let shown = |arguments: &[&str]| {
        let mut all = vec!["requests"];
        all.extend(arguments);
        let ended = ask(addr, &all);
        assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{arguments:?}");
        ended.stdout
    };
    assert!(
        shown(&[]).starts_with("no request has failed"),
        "{}",
        shown(&[])
    );
    for _ in 0..2 {
        assert_eq!(
            load::ask_as(router.addr(), "ada", &chat("hello")).status,
            502
        );
    }
    let unknown = chat("hello").replace("\"m\"", "\"nobody's\"");
    assert_eq!(load::ask_as(router.addr(), "ada", &unknown).status, 404);
    let all = shown(&[]);
    let words: Vec<Vec<&str>> = all
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(words.len(), 4, "{all}");
    assert_eq!(words[0][..4], ["TIME", "KIND", "STATUS", "ERROR"]);
    // Of those that ended within a millisecond, any may come first.
    let of_kind = |kind: &str| {
        words
            .iter()
            .filter(|line| line[1] == kind)
            .collect::<Vec<_>>()
    };
    let (refused, failed) = (of_kind("refused"), of_kind("failed"));
    assert_eq!((refused.len(), failed.len()), (1, 2), "{all}");
    assert_eq!(refused[0][2..5], ["404", "model_not_found", "nobody's"]);
    let expected = ["502", "upstream_error", "m", "alpha", "1"];
    assert_eq!(failed[1][2..7], expected);
    assert_eq!(failed[1][9..10], ["ada"], "{all}");
    assert_eq!(
        shown(&["--kind", "failed", "--limit", "1"]).lines().count(),
        2
    );
    assert!(shown(&["--kind", "slow"]).starts_with("no request of kind `slow`"));
    let told: Value = serde_json::from_str(&shown(&["--json", "--kind", "failed"])).expect("JSON");
    assert_eq!(
        told,
        get(addr, "/_infermux/requests?kind=failed&limit=20").json()
    );
    for wrong in [
        &["--kind", "good"][..],
        &["--limit", "0"],
        &["--limit", "201"],
        &["--json", "--watch"],
    ] {
        let mut all = vec!["requests"];
        all.extend(wrong);
        assert_eq!(ask(addr, &all).code, Some(1), "{wrong:?}");
    }
    let (_held, nobody) = nobody();
    assert_eq!(ask(nobody, &["requests"]).code, Some(2));
}

#[test]
fn a_half_open_circuit_is_not_closed() {
    let alpha = mock(json!({"name": "alpha"}));
    let breaker = "circuit_breaker: {recovery_window: 1ms, probe_timeout: 60s}";
    let router = Router::start(&config_with(&alpha, &[breaker]));
    assert_eq!(turn(&router, "alpha", "open").status, 200);
    wait_for_circuit(&router, "alpha", "half-open");
    let status = ask(router.addr(), &["status"]);
    assert_eq!((status.code, &*status.stderr), (Some(1), ""));
    let providers = ask(router.addr(), &["providers"]);
    assert!(row(&providers.stdout, "alpha").contains(&"half-open"));
}

#[test]
fn a_watched_status_is_drawn_until_it_is_interrupted() {
    let pair = pair();
    let router = serving(&pair, "");
    let mut watching = Watching::start(&router, "status");
    let out = BufReader::new(watching.0.stdout.take().expect("piped"));
    // Whoever reads stays: the end of its pipe would be another reason to end.
    let mut lines = out.lines().map(|line| line.expect("text"));
    for _ in 0..3 {
        assert!(lines.any(|line| line.starts_with("uptime")));
    }
    assert_eq!(watching.interrupt(), Some(130));
}

#[test]
fn a_token_is_presented_and_a_wrong_one_is_told_of() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Start::with(&config_with(&alpha, &[]))
        .env(TOKEN, "sesame")
        .go();
    let server = url(router.addr());
    for (token, code, told) in [
        (
            None,
            2,
            "the router wants a token (401): set INFERMUX_MANAGEMENT_TOKEN",
        ),
        (Some(""), 2, "the router wants a token (401)"),
        (
            Some("open-up"),
            2,
            "does not accept the token in INFERMUX_MANAGEMENT_TOKEN",
        ),
        (
            Some("a\nb"),
            2,
            "INFERMUX_MANAGEMENT_TOKEN has characters other",
        ),
        (Some("sesame"), 0, ""),
    ] {
        let mut command = infermux(&["providers", "--server", &server]);
        if let Some(token) = token {
            command.env(TOKEN, token);
        }
        let ended = end(&mut command);
        assert_eq!(ended.code, Some(code), "{token:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(told), "{}", ended.stderr);
        assert!(!ended.stderr.contains("open-up"), "{}", ended.stderr);
    }
}

#[test]
fn the_server_comes_from_the_flag_or_from_the_environment() {
    let pair = pair();
    let router = serving(&pair, "");
    let (_nobody, addr) = nobody();
    let gone = &url(addr);
    let mut by_variable = infermux(&["providers"]);
    by_variable.env("INFERMUX_SERVER", url(router.addr()));
    assert_eq!(end(&mut by_variable).code, Some(0));
    let server = url(router.addr()) + "/";
    let mut by_flag = infermux(&["providers", "--server", &server]);
    by_flag.env("INFERMUX_SERVER", gone);
    assert_eq!(end(&mut by_flag).code, Some(0));
    for (server, told) in [
        (
            "nowhere",
            "INFERMUX_SERVER: nowhere is not a URL that starts with http://",
        ),
        (
            "http://me:sesame@h",
            "the token belongs in INFERMUX_MANAGEMENT_TOKEN",
        ),
        ("http://h/?x=1", "has a query"),
        (gone, ": cannot connect: Connection refused"),
    ] {
        for command in ["status", "providers"] {
            let ended = end(infermux(&[command]).env("INFERMUX_SERVER", server));
            assert_eq!((ended.code, &*ended.stdout), (Some(2), ""), "{server}");
            assert!(ended.stderr.contains(told), "{}", ended.stderr);
            assert!(!ended.stderr.contains("sesame"), "{}", ended.stderr);
        }
    }
}

#[test]
fn callers_doors_do_not_tell_operators_and_the_reason_is_told() {
    let pair = pair();
    let router = serving(&pair, MANAGEMENT);
    let ended = ask(router.addr(), &["providers"]);
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.stderr.contains("management_listen"),
        "{}",
        ended.stderr
    );
}

/// What `providers` says of a server that answers with `bytes`.
fn asked_of(bytes: &str) -> Ended {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = listener.local_addr().expect("an address");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut head = BufReader::new(stream.try_clone().expect("a socket")).lines();
            // Up to the empty line.
            assert!(head.any(|line| line.is_ok_and(|line| line.is_empty())));
            let _ = stream.write_all(bytes.as_bytes());
        });
        ask(addr, &["providers"])
    })
}

#[test]
fn what_is_no_infermux_is_called_so() {
    for (bytes, told) in [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n<html>hi\n",
            "its answer is not infermux's",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
            "its answer is not infermux's",
        ),
        (
            "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno",
            "is not infermux (404)",
        ),
        (
            "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
            "answers 302",
        ),
        (
            "SSH-2.0-OpenSSH_9.2\r\n",
            "does not speak HTTP; is it https?",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 200000000\r\n\r\n",
            "larger than 134217728 bytes",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[",
            "ended before the answer",
        ),
        (
            concat!(
                "HTTP/1.1 503 No\r\n\r\n",
                r#"{"error":{"type":"infermux_error","message":"too \u001b[1m much"}}"#,
            ),
            "the router answers 503: too \\u{1b}[1m much",
        ),
    ] {
        let ended = asked_of(bytes);
        assert_eq!((ended.code, &*ended.stdout), (Some(2), ""), "{bytes}");
        assert!(ended.stderr.contains(told), "{bytes}: {}", ended.stderr);
    }
}

#[test]
fn https_is_verified() {
    let alpha = mock(json!({"name": "alpha"}));
    let papers = Papers::for_names(&["localhost"]);
    let folder = Folder::new();
    let ca = folder.write("ca.pem", &papers.ca_pem);
    let (cert, key) = (
        folder.write("cert.pem", &papers.cert_pem),
        folder.write("key.pem", &papers.key_pem),
    );
    let tls = format!(
        "tls: {{cert_file: {}, key_file: {}}}\n",
        text(&cert),
        text(&key)
    );
    let router = Router::start(&config_of(&[provider(&alpha, &[])], &tls));
    let port = router.addr().port();
    for (server, trusted, told) in [
        (format!("https://localhost:{port}"), true, ""),
        (
            format!("https://localhost:{port}"),
            false,
            "invalid peer certificate",
        ),
        (
            format!("https://127.0.0.1:{port}"),
            true,
            "invalid peer certificate",
        ),
        (format!("http://127.0.0.1:{port}"), true, "is it https?"),
    ] {
        let mut command = infermux(&["providers", "--server", &server]);
        if trusted {
            command.env("SSL_CERT_FILE", &ca);
        }
        let ended = end(&mut command);
        let code = if told.is_empty() { 0 } else { 2 };
        assert_eq!(ended.code, Some(code), "{server}: {}", ended.stderr);
        assert!(ended.stderr.contains(told), "{server}: {}", ended.stderr);
    }
}

#[test]
fn ready_says_whether_traffic_is_taken() {
    let alpha = mock(json!({"name": "alpha", "refuse": true}));
    let rest = "server: {drain_delay: 60s}\n";
    let mut router = Start::with(&config_of(&[provider(&alpha, &[])], rest))
        .env(TOKEN, "sesame")
        .go();
    let ready = ask(router.addr(), &["ready"]);
    assert_eq!((ready.code, &*ready.stdout), (Some(0), "ready\n"));
    router.signal("TERM");
    eventually("it is not ready", || {
        let ended = ask(router.addr(), &["ready"]);
        ended.code == Some(1) && ended.stderr.contains("the router is draining")
    });
    router.signal("TERM");
    router.wait();
    let (_nobody, addr) = nobody();
    let gone = ask(addr, &["ready"]);
    assert_eq!(gone.code, Some(1));
    assert!(gone.stderr.contains("refused"), "{}", gone.stderr);
}

/// A table that is drawn again and again. It is killed when this is dropped.
struct Watching(Child);

impl Watching {
    fn start(router: &Router, command: &str) -> Self {
        let url = url(router.management());
        let child = infermux(&[command, "--watch=100ms", "--server", &url])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        Self(child.expect("it starts"))
    }

    fn interrupt(&mut self) -> Option<i32> {
        let status = Command::new("kill")
            .args(["-INT", &self.0.id().to_string()])
            .status()
            .expect("kill runs");
        assert!(status.success());
        self.0.wait().expect("it ends").code()
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_watched_table_follows_the_router_until_it_is_interrupted() {
    let pair = pair();
    let mut router = serving(&pair, "");
    let mut watching = Watching::start(&router, "providers");
    let out = BufReader::new(watching.0.stdout.take().expect("piped"));
    let mut lines = out.lines().map(|line| line.expect("text"));
    let mut until = |what: &str| {
        let found = lines.find(|line| line.starts_with("alpha") && line.contains(what));
        assert!(found.is_some(), "{what}");
    };
    until("closed");
    assert_eq!(turn(&router, "alpha", "open").status, 200);
    until("open");
    // A router that restarts is waited for.
    router.signal("TERM");
    router.wait();
    assert!(lines.any(|line| line.starts_with("error: http://")));
    assert_eq!(watching.interrupt(), Some(130));
}

#[test]
fn a_watched_table_that_nobody_reads_ends() {
    let pair = pair();
    let router = serving(&pair, "");
    let mut watching = Watching::start(&router, "providers");
    let mut out = watching.0.stdout.take().expect("piped");
    assert!(out.read(&mut [0; 1]).expect("a table") > 0);
    drop(out);
    assert_eq!(watching.0.wait().expect("it ends").code(), Some(0));
}

#[test]
fn only_tables_are_watched() {
    for (arguments, told) in [
        (
            &["status", "--watch", "--format=json"][..],
            "--watch draws tables only",
        ),
        (
            &["providers", "--watch=5s", "--format", "yaml"],
            "--watch draws tables only",
        ),
        (&["providers", "--watch=1ms"], "is below 100ms"),
        (&["status", "--format", "yaml"], "table, json"),
    ] {
        let ended = end(&mut infermux(arguments));
        assert_eq!((ended.code, &*ended.stdout), (Some(1), ""), "{arguments:?}");
        assert!(ended.stderr.contains(told), "{}", ended.stderr);
    }
}

/// What a command draws on a terminal, of which `script` makes one.
fn on_a_terminal(command: &str, variables: &[(&str, &str)]) -> String {
    let binary = env!("CARGO_BIN_EXE_infermux");
    let mut script = Command::new("script");
    script
        .args(["--quiet", "--return", "--command"])
        .args([&format!("{binary} {command}"), "/dev/null"])
        .env_clear()
        .env("TERM", "xterm")
        .envs(variables.iter().copied())
        .stdin(Stdio::null());
    end(&mut script).stdout
}

#[test]
fn colors_are_for_terminals_whose_users_want_them() {
    let pair = pair();
    let router = serving(&pair, "");
    let command = format!("providers --server {}", url(router.addr()));
    let colored = on_a_terminal(&command, &[]);
    assert!(
        colored.contains("\u{1b}[32mhealthy\u{1b}[0m"),
        "{colored:?}"
    );
    for variable in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let plain = on_a_terminal(&command, &[variable]);
        assert!(plain.contains("healthy"), "{plain:?}");
        assert!(!plain.contains('\u{1b}'), "{variable:?}: {plain:?}");
    }
}

#[test]
fn a_reload_tells_what_changes_what_needs_a_restart_and_every_fault() {
    let pair = pair();
    let config = |rest: &str| {
        let providers = [provider(&pair.0, &[]), provider(&pair.1, &[])];
        config_of(&providers, &format!("{MANAGEMENT}{rest}"))
    };
    let router = Start::with(&config("")).env(TOKEN, "sesame").go();
    let url = url(router.management());
    let reload = |rest: &str, token: &str| {
        router.folder().write("infermux.yml", config(rest));
        let mut command = infermux(&["reload", "--server", &url]);
        end(command.env(TOKEN, token))
    };
    let same = reload("", "sesame");
    assert_eq!((same.code, &*same.stderr), (Some(0), ""));
    assert_eq!(same.stdout, "reloaded: the file says the same as before\n");
    let changed = reload(
        "routing: {strategy: priority}\nlog: {level: debug}\n",
        "sesame",
    );
    assert_eq!(changed.code, Some(0), "{}", changed.stderr);
    let lines: Vec<&str> = changed.stdout.lines().collect();
    assert_eq!(lines[0], "reloaded: 1 change");
    assert!(lines[1].starts_with("  routing"), "{lines:?}");
    let warned = &*changed.stderr;
    assert!(
        warned.starts_with("warning: log.level has changed, and takes effect with a restart"),
        "{warned}"
    );
    let faulty = reload("routing: {strategy: best, groups: 3}\n", "sesame");
    assert_eq!((faulty.code, &*faulty.stdout), (Some(1), ""));
    assert_eq!(
        faulty.stderr.matches("error: ").count(),
        2,
        "{}",
        faulty.stderr
    );
    // Whole, however long it is.
    assert!(
        faulty.stderr.lines().any(|line| {
            line.contains("routing.strategy") && line.ends_with("cost_weighted, random, priority")
        }),
        "{}",
        faulty.stderr
    );
    let wrong = reload("", "open");
    assert_eq!((wrong.code, &*wrong.stdout), (Some(2), ""));
    assert!(
        wrong.stderr.contains("does not accept the token"),
        "{}",
        wrong.stderr
    );
    let callers = ask(router.addr(), &["reload"]);
    assert_eq!(callers.code, Some(2));
    assert!(
        callers.stderr.contains("management_listen"),
        "{}",
        callers.stderr
    );
    let (_nobody, addr) = nobody();
    let gone = ask(addr, &["reload"]);
    assert_eq!((gone.code, &*gone.stdout), (Some(2), ""));
    assert!(
        gone.stderr.contains("is infermux running there?"),
        "{}",
        gone.stderr
    );
}

/// A line without the codes for terminals.
fn without_codes(line: &str) -> String {
    let mut is_code = false;
    let is_shown = |c: &char| {
        is_code |= *c == '\u{1b}';
        let shown = !is_code && *c != '\r';
        is_code &= *c == '\u{1b}' || !c.is_ascii_alphabetic();
        shown
    };
    line.chars().filter(is_shown).collect()
}

#[test]
fn a_watched_table_has_a_heading_and_fits_its_terminal() {
    let pair = pair();
    let router = serving(&pair, "");
    let url = url(router.addr());
    let binary = env!("CARGO_BIN_EXE_infermux");
    let command = format!("stty cols 40; exec {binary} providers --watch=100ms --server {url}");
    let child = Command::new("script")
        .args(["--quiet", "--return", "--command", &command, "/dev/null"])
        .env("TERM", "xterm")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn();
    let mut watching = Watching(child.expect("it starts"));
    let out = BufReader::new(watching.0.stdout.take().expect("piped"));
    let lines = out.lines().map(|line| without_codes(&line.expect("text")));
    let mut headings = 0;
    let mut longest = 0;
    for line in lines {
        longest = longest.max(line.chars().count());
        headings += usize::from(line.starts_with(&url));
        if headings == 3 {
            break;
        }
    }
    assert_eq!(longest, 40);
    // Where it is no terminal, the heading is whole.
    let mut watching = Watching::start(&router, "status");
    let out = BufReader::new(watching.0.stdout.take().expect("piped"));
    let heading = out.lines().next().expect("a line").expect("text");
    assert!(heading.starts_with(&format!("{url}  20")), "{heading}");
    assert!(heading.ends_with("Z  every 100ms"), "{heading}");
}
