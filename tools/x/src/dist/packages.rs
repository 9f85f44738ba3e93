//! The packages that the binary is built from: names, versions, licences.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::commands;

/// All packages in the binary.
pub(super) struct Packages {
    /// infermux itself.
    own: Package,
    /// What it is built with, by name and version.
    others: Vec<Package>,
    /// Who uses whom, by `id`.
    pub(super) uses: BTreeMap<String, Vec<String>>,
}

/// One package.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Package {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) version: String,
    /// The licences as an SPDX expression.
    pub(super) license: Option<String>,
    pub(super) description: Option<String>,
    pub(super) repository: Option<String>,
    manifest_path: PathBuf,
    /// SHA-256 of what the registry serves, from `Cargo.lock`.
    #[serde(skip)]
    pub(super) checksum: Option<String>,
}

/// What `cargo metadata` prints, as far as it is of use.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    /// `null` for what ends up in the binary; `build` and `dev` do not.
    kind: Option<String>,
}

impl Packages {
    /// Asks cargo, for Linux only.
    ///
    /// # Errors
    ///
    /// When cargo does not say.
    pub(super) fn read() -> Result<Self, String> {
        let command = "metadata --format-version 1 --locked --filter-platform \
            x86_64-unknown-linux-gnu";
        let output = commands::cargo_command(command).output();
        let output = output.map_err(|e| format!("cargo metadata: {e}"))?;
        if !output.status.success() {
            let told = String::from_utf8_lossy(&output.stderr);
            return Err(format!("cargo metadata: {told}"));
        }
        let metadata = serde_json::from_slice(&output.stdout);
        let metadata: Metadata = metadata.map_err(|e| format!("cargo metadata: {e}"))?;
        Self::of(metadata, &checksums()?)
    }

    fn of(
        metadata: Metadata,
        checksums: &BTreeMap<(String, String), String>,
    ) -> Result<Self, String> {
        let nodes = metadata.resolve.nodes.into_iter();
        let uses: BTreeMap<String, Vec<String>> =
            nodes.map(|node| (node.id, used(node.deps))).collect();
        let packages = metadata.packages.into_iter();
        let packages = packages.map(|package| (package.id.clone(), package));
        let mut all: BTreeMap<String, Package> = packages.collect();
        let own = all.values().find(|one| one.name == "infermux").cloned();
        let own = own.ok_or("cargo metadata does not name infermux")?;
        let mut reached = BTreeSet::new();
        let mut open = vec![own.id.clone()];
        while let Some(id) = open.pop() {
            let next = uses.get(&id).into_iter().flatten();
            open.extend(next.filter(|next| !reached.contains(*next)).cloned());
            reached.insert(id);
        }
        reached.remove(&own.id);
        let mut others: Vec<Package> = reached.iter().filter_map(|id| all.remove(id)).collect();
        others.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
        for one in &mut others {
            let key = (one.name.clone(), one.version.clone());
            one.checksum = checksums.get(&key).cloned();
        }
        Ok(Self { own, others, uses })
    }

    /// infermux itself.
    pub(super) const fn own(&self) -> &Package {
        &self.own
    }

    /// Its version.
    pub(super) fn version(&self) -> &str {
        &self.own.version
    }

    /// All but infermux itself.
    pub(super) fn others(&self) -> &[Package] {
        &self.others
    }

    /// The licences of all packages, and their notices as they came with their sources.
    ///
    /// # Errors
    ///
    /// A package has no licence.
    pub(super) fn licences(&self) -> Result<String, String> {
        let mut text = "infermux contains these packages, under these licences.\n".to_owned();
        let mut notices: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for one in &self.others {
            let Package { name, version, .. } = one;
            let license = one.license.as_deref();
            let license = license.ok_or_else(|| format!("{name} {version} has no licence"))?;
            let _ = writeln!(text, "  {name} {version}: {license}");
            for notice in notices_of(&one.manifest_path) {
                let names = notices.entry(notice).or_default();
                names.push(format!("{name} {version}"));
            }
        }
        for (notice, names) in notices {
            let line = "-".repeat(80);
            let _ = write!(text, "\n{line}\n{}\n{line}\n\n{notice}\n", names.join(", "));
        }
        Ok(text)
    }
}

/// The packages among dependencies that end up in the binary.
fn used(dependencies: Vec<Dependency>) -> Vec<String> {
    let kept = |one: &Dependency| one.dep_kinds.iter().any(|kind| kind.kind.is_none());
    let kept = dependencies.into_iter().filter(kept);
    kept.map(|one| one.pkg).collect()
}

/// The texts of licences beside a package's manifest.
fn notices_of(manifest: &Path) -> Vec<String> {
    let folder = manifest.parent().unwrap_or_else(|| Path::new("."));
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    let is_notice = |path: &PathBuf| {
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().to_uppercase());
        name.is_some_and(|name| {
            ["LICENSE", "LICENCE", "COPYING", "NOTICE", "COPYRIGHT"]
                .iter()
                .any(|word| name.starts_with(word))
        })
    };
    let texts = paths.iter().filter(|path| is_notice(path));
    let texts = texts.filter_map(|path| std::fs::read_to_string(path).ok());
    texts.map(|text| text.trim().to_owned()).collect()
}

/// Checksums of packages by name and version, from `Cargo.lock`.
fn checksums() -> Result<BTreeMap<(String, String), String>, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.lock");
    let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut found = BTreeMap::new();
    for entry in text.split("[[package]]").skip(1) {
        let value = |name: &str| {
            let lines = entry.lines();
            let mut values = lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix(" = "));
            values
                .next()
                .map(|value| value.trim_matches('"').to_owned())
        };
        if let (Some(name), Some(version), Some(checksum)) =
            (value("name"), value("version"), value("checksum"))
        {
            found.insert((name, version), checksum);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_ends_up_in_the_binary_is_listed() {
        let packages = Packages::read().expect("cargo says it");
        let names: Vec<&str> = packages.others().iter().map(|one| &*one.name).collect();
        for name in ["monoio", "rustls", "serde_json"] {
            assert!(names.contains(&name), "{name}");
        }
        // A build script's, a test's.
        for name in ["cc", "proptest", "infermux-mock"] {
            assert!(!names.contains(&name), "{name}");
        }
        let lacks = |one: &&Package| one.license.is_none() || one.checksum.is_none();
        let lacking = packages.others().iter().find(lacks);
        assert_eq!(lacking.map(|one| &one.name), None);
        let licences = packages.licences().expect("all have one");
        assert!(licences.contains("  monoio 0.2.4: "));
        assert!(licences.contains("Permission is hereby granted"));
    }
}
