//! Containers as the pages and `compose.yml` start them: whatever port is published, infermux
//! listens on it, and not on the container's loopback alone.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::client::{Answer, Client};
use crate::support::command::{end, infermux};
use crate::support::promtool;
use crate::support::router::{Folder, Router, Start};

/// A container as a file or a command line describes it.
struct Container {
    /// Where it is described.
    place: String,
    /// The configuration that it mounts.
    config: String,
    /// The variables that it gets, with a value for those that come from outside.
    variables: Vec<(String, String)>,
    /// The container's side of each published port.
    ports: Vec<u16>,
}

/// One that runs: its ports as it would have them, and as this test has them.
struct Running {
    /// It runs as long as this lives.
    _router: Router,
    token: Option<String>,
    server: String,
    ports: Vec<(u16, u16)>,
}

#[test]
fn every_published_port_is_one_that_others_reach() {
    let mut containers = docker_runs("README.md");
    containers.extend(docker_runs("tools/deploy/README.md"));
    assert_eq!(containers.len(), 2, "`docker run` with a configuration");
    containers.push(composed());
    for container in containers {
        let running = container.start();
        let token = running.token.as_deref();
        let mut operators = 0;
        for port in &container.ports {
            let page = running.ask(*port, "/_infermux/", None);
            operators += usize::from(page.status == 200);
            if page.status == 200 {
                let metrics = running.ask(*port, "/_infermux/metrics", token);
                assert_eq!(metrics.status, 200, "{}: {port}", container.place);
                assert!(metrics.text().contains("infermux_build_info"));
                let ready = running.ask(*port, "/_infermux/ready", None);
                assert_eq!(ready.status, 200, "{}: {port}", container.place);
            }
        }
        assert_eq!(operators, 1, "{}: the page's port", container.place);
        // The image's HEALTHCHECK.
        let ready = ["ready", "--server", &running.server];
        let ended = end(&mut infermux(&ready));
        assert_eq!(ended.code, Some(0), "{}: {}", container.place, ended.stderr);
    }
}

#[test]
fn prometheus_scrapes_what_the_composition_serves() {
    let running = composed().start();
    let document = yaml("tools/deploy/prometheus.yml");
    let job = &document["scrape_configs"][0];
    let target = job["static_configs"][0]["targets"][0].as_str();
    let (host, port) = target.expect("a target").split_once(':').expect("a port");
    let services = yaml("tools/deploy/compose.yml")["services"].clone();
    assert!(services[host].is_object(), "{host} is a service");
    let port = port.parse().expect("a number");
    let path = job["metrics_path"].as_str().expect("a path");
    // What the secret holds is what infermux wants.
    assert_eq!(running.ask(port, path, None).status, 401);
    let answer = running.ask(port, path, running.token.as_deref());
    assert_eq!(answer.status, 200);
    let mounted = services["prometheus"]["volumes"].as_array();
    let mounted: Vec<&str> = mounted
        .expect("a list")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let rules = document["rule_files"][0].as_str().expect("a path");
    assert!(mounted.contains(&&*format!("./alerts.yml:{rules}:ro")));
    let secret = job["authorization"]["credentials_file"].as_str();
    let secret = secret.and_then(|path| path.strip_prefix("/run/secrets/"));
    assert_eq!(services["prometheus"]["secrets"], json!([secret]));
    let folder = Folder::new();
    for name in ["alerts.yml", "prometheus.yml"] {
        let file = text(&format!("tools/deploy/{name}"));
        let file = file.replace("/etc/prometheus/", "");
        folder.write(name, file.replace("/run/secrets/management_token", "token"));
    }
    folder.write("token", "t");
    let arguments = ["check", "config", "prometheus.yml"];
    if let Some(complaints) = promtool::complaints(&arguments, folder.path(), "") {
        assert_eq!(complaints, "");
    }
}

impl Container {
    /// Starts the binary as the container would, on ports of its own and with providers that are
    /// never asked.
    fn start(&self) -> Running {
        let folder = Folder::new();
        let mut document: Value = serde_yaml::from_str(&self.config).expect("YAML");
        for provider in document["providers"].as_array_mut().expect("a list") {
            provider["base_url"] = json!("http://127.0.0.1:9/v1");
        }
        if document["budgets"]["state_file"].is_string() {
            document["budgets"]["state_file"] = json!(folder.path().join("state.json"));
        }
        let mut ports = Vec::new();
        let mut variables = self.variables.clone();
        for name in ["listen", "management_listen"] {
            let Some(text) = document[name].as_str() else {
                continue;
            };
            let variable = format!("INFERMUX_{}", name.to_uppercase());
            let mut values = variables.iter_mut();
            let value = values.find(|(name, _)| *name == variable);
            // A variable counts where the file refers to it, and that of `listen` always.
            let value = value.filter(|_| name == "listen" || text.contains(&variable));
            let text = text.split_once(":-").map_or(text, |(_, rest)| rest);
            let address = value.as_ref().map_or(text, |(_, value)| value);
            let (host, port) = address
                .trim_end_matches('}')
                .rsplit_once(':')
                .expect("a port");
            ports.push(port.parse::<u16>().expect("a number"));
            let free = format!("{host}:0");
            match value {
                Some((_, value)) => *value = free,
                None => document[name] = json!(free),
            }
        }
        let mut start = Start::with(&document.to_string()).args(&["--no-health-checks"]);
        for (name, value) in &variables {
            start = start.env(name, value);
        }
        let router = start.go();
        let own = [router.addr().port(), router.management().port()];
        let ports: Vec<(u16, u16)> = ports.into_iter().zip(own).collect();
        let variable = |name: &str| {
            let mut all = variables.iter();
            let found = all.find(|(variable, _)| variable == name);
            found.map(|(_, value)| value.clone())
        };
        let server = variable("INFERMUX_SERVER");
        let server = server.unwrap_or_else(|| "http://127.0.0.1:8080".to_owned());
        let (host, port) = server.rsplit_once(':').expect("a port");
        let port = own_port(&ports, port.parse().expect("a number"));
        Running {
            server: format!("{host}:{port}"),
            token: variable("INFERMUX_MANAGEMENT_TOKEN"),
            _router: router,
            ports,
        }
    }
}

impl Running {
    /// Asks on a port of the container, by an address that is not the one that a listener on
    /// 127.0.0.1 has.
    fn ask(&self, port: u16, path: &str, token: Option<&str>) -> Answer {
        let other = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
        let mut client = Client::connect(SocketAddr::new(other, own_port(&self.ports, port)));
        let token = token.map(|token| format!("Authorization: Bearer {token}\r\n"));
        let token = token.unwrap_or_default();
        client.send(format!("GET {path} HTTP/1.1\r\nHost: test\r\n{token}\r\n"));
        client.answer_to("GET")
    }
}

/// This test's port in place of that of the container.
fn own_port(ports: &[(u16, u16)], port: u16) -> u16 {
    let found = ports.iter().find(|(container, _)| *container == port);
    found
        .unwrap_or_else(|| panic!("nothing listens on {port}"))
        .1
}

/// The service of `compose.yml`.
fn composed() -> Container {
    let document = yaml("tools/deploy/compose.yml");
    let service = &document["services"]["infermux"];
    let list = |name: &str| -> Vec<&str> {
        let list = service[name].as_array().expect("a list");
        list.iter().filter_map(Value::as_str).collect()
    };
    let mount = list("volumes")[0];
    let (example, _) = mount.split_once(":/etc/infermux/").expect("a mount");
    let example = example.strip_prefix("./").expect("a file beside it");
    Container {
        place: "compose.yml".to_owned(),
        config: text(&format!("tools/deploy/{example}")),
        variables: list("environment").into_iter().map(variable).collect(),
        ports: list("ports").into_iter().map(port).collect(),
    }
}

/// Each `docker run` of a page that mounts a configuration.
fn docker_runs(page: &str) -> Vec<Container> {
    let text_of_page = text(page).replace("\\\n", " ");
    let lines = text_of_page.lines().filter(|line| {
        line.starts_with("docker run ") && line.contains(":/etc/infermux/infermux.yml:ro")
    });
    let container = |line: &str| {
        let words: Vec<&str> = line
            .split_whitespace()
            .map(|word| word.trim_matches('"'))
            .collect();
        let after = |flag: &'static str| {
            let pairs = words.windows(2).filter(move |pair| pair[0] == flag);
            pairs.map(|pair| pair[1])
        };
        let mount = after("-v").next().expect("a mount");
        let (file, _) = mount.split_once(":/etc").expect("a mount");
        let config = match file.strip_prefix("$PWD/").expect("a file of the clone") {
            // That of the page itself.
            "infermux.yml" => {
                let (_, rest) = text_of_page.split_once("<<'YML'\n").expect("a file");
                rest.split("\nYML").next().expect("an end").to_owned()
            }
            file => text(file),
        };
        Container {
            place: page.to_owned(),
            config,
            variables: after("-e").map(variable).collect(),
            ports: after("-p").map(port).collect(),
        }
    };
    lines.map(container).collect()
}

/// `NAME=value`, or `NAME` or `NAME=${NAME:?why}`, whose value comes from outside.
fn variable(text: &str) -> (String, String) {
    match text.split_once('=') {
        Some((name, value)) if !value.starts_with("${") => (name.to_owned(), value.to_owned()),
        Some((name, _)) => (name.to_owned(), format!("outer-{name}")),
        None => (text.to_owned(), format!("outer-{text}")),
    }
}

/// The container's side of `8080:8080` or `127.0.0.1:8081:8081`.
fn port(text: &str) -> u16 {
    let (_, port) = text.rsplit_once(':').expect("two ports");
    port.parse().expect("a number")
}

fn yaml(name: &str) -> Value {
    serde_yaml::from_str(&text(name)).expect("YAML")
}

fn text(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(path).expect("a file")
}
