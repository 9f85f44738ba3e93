//! What `tools/deploy` offers, as far as it can be tried on a machine that is none of its users.

use std::path::PathBuf;
use std::process::Command;

use infermux::testing::config::{self, Environment, Options, Strictness};

use crate::support::command::{end, infermux, text};
use crate::support::router::Folder;

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

#[test]
fn every_example_is_valid_without_its_variables() {
    let page = std::fs::read_to_string(file("tools/deploy/README.md")).expect("a page");
    let mut count = 0;
    for entry in std::fs::read_dir(file("tools/deploy/examples")).expect("a folder") {
        let path = entry.expect("a file").path();
        let flags = ["validate", "--strict", "--no-environment", "--config"];
        let ended = end(infermux(&flags).arg(&path));
        assert_eq!(ended.code, Some(0), "{}: {}", path.display(), ended.stderr);
        // TLS files may well be missing on this host.
        let other = |line: &&str| line.starts_with("warning: ") && !line.contains(": tls.");
        let other = ended.stderr.lines().find(other);
        assert_eq!(other, None, "{}", path.display());
        let name = path.file_name().expect("a name").to_string_lossy();
        assert!(
            page.contains(&format!("| `{name}` |")),
            "{name} is not told of"
        );
        count += 1;
    }
    assert!(count >= 5, "{count} examples");
}

#[test]
fn every_example_serves_every_model_that_it_names() {
    for entry in std::fs::read_dir(file("tools/deploy/examples")).expect("a folder") {
        let path = entry.expect("a file").path();
        let text = std::fs::read_to_string(&path).expect("text");
        let options = Options {
            environment: Environment::Unresolved,
            strict: Strictness::Strict,
        };
        let Ok(loaded) = config::load(&text, &options) else {
            panic!("{} is valid", path.display());
        };
        let serves = |model: &str| {
            let mut providers = loaded.plan.providers.iter();
            providers.any(|one| {
                let mut aliases = one.model_aliases.iter();
                one.models.iter().any(|name| **name == *model)
                    || aliases.any(|(name, _)| **name == *model)
            })
        };
        let document: serde_json::Value = serde_yaml::from_str(&text).expect("YAML");
        for group in document["routing"]["groups"]
            .as_array()
            .into_iter()
            .flatten()
        {
            for model in group["models"].as_array().expect("a list") {
                let model = model.as_str().expect("a name");
                assert!(serves(model), "{}: nobody serves {model}", path.display());
            }
        }
    }
}

/// The unit with the binary of this test in place of the installed one; it has to exist.
fn unit(folder: &Folder) -> PathBuf {
    let unit = std::fs::read_to_string(file("tools/deploy/infermux.service")).expect("a unit");
    let binary = env!("CARGO_BIN_EXE_infermux");
    assert_eq!(unit.matches("/usr/local/bin/infermux").count(), 2);
    folder.write(
        "infermux.service",
        unit.replace("/usr/local/bin/infermux", binary),
    )
}

/// Whether systemd's checker is there; `.ci/run` installs it.
fn has_systemd_analyze() -> bool {
    let there = Command::new("systemd-analyze").arg("--version").output();
    let there = there.is_ok_and(|output| output.status.success());
    if !there {
        eprintln!("not checked: systemd-analyze is not installed");
    }
    there
}

#[test]
fn the_unit_is_one_that_systemd_takes() {
    if !has_systemd_analyze() {
        return;
    }
    let folder = Folder::new();
    let unit = unit(&folder);
    // Not its manual page: that is not installed where tests run.
    let ended = end(Command::new("systemd-analyze").args(["verify", "--man=no", text(&unit)]));
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
}

#[test]
fn the_units_sandbox_is_tight_and_leaves_io_uring() {
    if !has_systemd_analyze() {
        return;
    }
    let folder = Folder::new();
    let unit = unit(&folder);
    let judge = |arguments: &[&str]| end(Command::new("systemd-analyze").args(arguments));
    let judged = judge(&["security", "--offline=yes", "--threshold=20", text(&unit)]);
    assert_eq!(judged.code, Some(0), "{}", judged.stdout);
    let service = judge(&["syscall-filter", "@system-service"]).stdout;
    assert!(service.contains("@aio"), "{service}");
    let calls = judge(&["syscall-filter", "@aio"]).stdout;
    for call in ["io_uring_setup", "io_uring_enter", "io_uring_register"] {
        assert!(calls.contains(call), "{call} in {calls}");
    }
}

#[test]
fn the_image_is_built_from_all_that_cargo_reads_and_runs_what_there_is() {
    let ignored = std::fs::read_to_string(file(".dockerignore")).expect("a file");
    let manifest = std::fs::read_to_string(file("Cargo.toml")).expect("a file");
    let members = manifest.lines().find(|line| line.starts_with("members"));
    let members = members.expect("members").split('"').skip(1).step_by(2);
    for part in ["Cargo.toml", "Cargo.lock", "src", "benches", "tests"]
        .into_iter()
        .chain(members)
    {
        let kept = ignored.lines().any(|line| line == format!("!{part}"));
        assert!(kept, "{part} is kept out of the image's build");
    }
    let dockerfile = std::fs::read_to_string(file("Dockerfile")).expect("a file");
    let rust = manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = "));
    let rust = rust.expect("a version").trim_matches('"');
    assert!(dockerfile.contains(&format!("FROM rust:{rust}-")), "{rust}");
    for command in [
        &["ready", "--help"][..],
        &["serve", "--graceful-shutdown", "7s", "--help"],
    ] {
        assert_eq!(end(&mut infermux(command)).code, Some(0), "{command:?}");
    }
}

/// The composition and the manifest of several instances name one configuration, which is valid.
#[test]
fn several_instances_are_configured_alike_everywhere() {
    let folder = Folder::new();
    let read = |name: &str| std::fs::read_to_string(file(name)).expect("a file");
    let own = read("tools/deploy/fleet/infermux.yml");
    let manifest = read("tools/deploy/fleet/kubernetes.yml");
    let documents: Vec<serde_json::Value> = serde_yaml::Deserializer::from_str(&manifest)
        .map(|one| serde::Deserialize::deserialize(one).expect("YAML"))
        .collect();
    let of_kind = |kind: &str| documents.iter().find(|one| one["kind"] == kind);
    let map = of_kind("ConfigMap").expect("a ConfigMap");
    let mapped = map["data"]["infermux.yml"].as_str().expect("a file");
    for (name, text_of_file) in [("own.yml", &*own), ("mapped.yml", mapped)] {
        let path = folder.write(name, text_of_file);
        let flags = ["validate", "--strict", "--no-environment", "--config"];
        let ended = end(infermux(&flags).arg(&path));
        assert_eq!(ended.code, Some(0), "{name}: {}", ended.stderr);
        assert!(ended.stderr.is_empty(), "{name}: {}", ended.stderr);
    }
    let set = of_kind("StatefulSet").expect("a StatefulSet");
    let container = &set["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(set["spec"]["replicas"], 3);
    let secret = &of_kind("Secret").expect("a Secret")["stringData"];
    for name in variables(mapped) {
        assert!(secret[&name].is_string(), "{name} is not in the Secret");
    }
    let ports: Vec<i64> = container["ports"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|port| port["containerPort"].as_i64())
        .collect();
    assert_eq!(ports, [8080, 8081]);
    let composition: serde_json::Value =
        serde_yaml::from_str(&read("tools/deploy/fleet/compose.yml")).expect("YAML");
    let environment = &composition["x-infermux"]["environment"];
    for name in variables(&own) {
        assert!(environment[&name].is_string(), "{name} is not composed");
    }
    let services = composition["services"].as_object().expect("a mapping");
    assert_eq!(services.len(), 4);
}

/// What the compositions mount is there, and Grafana finds the dashboard where it is told to look.
#[test]
fn what_is_mounted_is_there() {
    let read = |name: &str| std::fs::read_to_string(file("tools/deploy").join(name));
    let mut mounted = Vec::new();
    for name in ["compose.yml", "compose.observability.yml"] {
        let text = read(name).expect("a file");
        let composition: serde_json::Value = serde_yaml::from_str(&text).expect("YAML");
        let services = composition["services"].as_object().expect("a mapping");
        let volumes = services
            .values()
            .filter_map(|one| one["volumes"].as_array());
        for volume in volumes.flatten() {
            let parts: Vec<&str> = volume.as_str().expect("text").split(':').collect();
            if let Some(from) = parts[0].strip_prefix("./") {
                read(from).unwrap_or_else(|fault| panic!("{from}: {fault}"));
                mounted.push((from.to_owned(), parts[1].to_owned()));
            }
        }
    }
    let board = mounted
        .iter()
        .find(|(from, _)| from == "grafana-dashboard.json");
    let (_, board) = board.expect("the dashboard");
    let told = read("grafana/dashboards.yml").expect("a file");
    let told: serde_json::Value = serde_yaml::from_str(&told).expect("YAML");
    let folder = told["providers"][0]["options"]["path"].as_str();
    assert_eq!(board.rsplit_once('/').map(|(folder, _)| folder), folder);
    let sources = read("grafana/datasources.yml").expect("a file");
    let sources: serde_json::Value = serde_yaml::from_str(&sources).expect("YAML");
    assert_eq!(sources["datasources"][0]["url"], "http://prometheus:9090");
}

/// The variables that a configuration names.
fn variables(text: &str) -> Vec<String> {
    let parts = text.split("${").skip(1);
    let names = parts.filter_map(|part| part.split(['}', ':']).next());
    names.map(str::to_owned).collect()
}
