//! The bill of materials of a release, in `CycloneDX` 1.5 (<https://cyclonedx.org/docs/1.5/json/>).

use ring::digest::{SHA256, digest};
use serde_json::{Map, Value, json};

use super::packages::{Package, Packages};

/// The bill of the binary whose bytes these are.
pub(super) fn write(packages: &Packages, binary: &[u8]) -> String {
    let mut own = component(packages.own(), "application");
    let hash = digest(&SHA256, binary);
    let hex: String = hash
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    own.insert(
        "hashes".to_owned(),
        json!([{ "alg": "SHA-256", "content": hex }]),
    );
    let others = packages.others().iter();
    let others = others.map(|one| Value::Object(component(one, "library")));
    let others: Vec<Value> = others.collect();
    let mut all = vec![packages.own()];
    all.extend(packages.others());
    let dependencies = all.iter().map(|one| {
        let used = packages.uses.get(&one.id).into_iter().flatten();
        let used = used.filter_map(|id| all.iter().find(|other| other.id == *id));
        let used: Vec<String> = used.map(|other| purl(other)).collect();
        json!({ "ref": purl(one), "dependsOn": used })
    });
    let dependencies: Vec<Value> = dependencies.collect();
    let bill = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": { "component": own },
        "components": others,
        "dependencies": dependencies,
    });
    format!("{bill:#}\n")
}

fn component(package: &Package, kind: &str) -> Map<String, Value> {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    put("type", json!(kind));
    put("bom-ref", json!(purl(package)));
    put("name", json!(package.name));
    put("version", json!(package.version));
    put("purl", json!(purl(package)));
    if let Some(text) = &package.description {
        put("description", json!(text.trim()));
    }
    if let Some(license) = &package.license {
        // Cargo's old form of `OR`.
        let expression = license.replace('/', " OR ");
        put("licenses", json!([{ "expression": expression }]));
    }
    if let Some(checksum) = &package.checksum {
        put("hashes", json!([{ "alg": "SHA-256", "content": checksum }]));
    }
    if let Some(url) = &package.repository {
        put("externalReferences", json!([{ "type": "vcs", "url": url }]));
    }
    fields
}

/// The name of a package that all registries understand.
fn purl(package: &Package) -> String {
    format!("pkg:cargo/{}@{}", package.name, package.version)
}
