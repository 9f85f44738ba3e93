"""Compositions and manifests of tools/deploy, before validators that others keep.

deploy_test.py BIN_FOLDER
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml
from compose_spec import PyCompose
from kubernetes_validate import ValidationError, validate

from support import main, raises, test

DEPLOY = Path(__file__).resolve().parents[2] / "tools" / "deploy"
MANIFEST = DEPLOY / "fleet" / "kubernetes.yml"
COMPOSITIONS = [DEPLOY / "compose.yml", DEPLOY / "fleet" / "compose.yml"]
# From the oldest version that is still run widely.
KUBERNETES = ["1.28", "1.31", "1.34", "1.37"]


def resources():
    return list(yaml.safe_load_all(MANIFEST.read_text()))


@test
def the_manifest_is_one_that_kubernetes_takes():
    kinds = [resource["kind"] for resource in resources()]
    assert kinds.count("Service") == 2 and {"Secret", "ConfigMap"} <= set(kinds), kinds
    for version in KUBERNETES:
        for resource in resources():
            validate(resource, version, strict=True)


@test
def a_manifest_with_a_wrong_key_is_found_out():
    for kind, key in [("StatefulSet", "podManagmentPolicy"), ("Service", "port")]:
        [resource, *_] = [one for one in resources() if one["kind"] == kind]
        resource["spec"][key] = "Parallel"
        with raises(ValidationError):
            validate(resource, KUBERNETES[-1], strict=True)


@test
def what_the_manifest_refers_to_is_there():
    named = {(one["kind"], one["metadata"]["name"]): one for one in resources()}
    instances = named["StatefulSet", "infermux"]["spec"]
    pod = instances["template"]["spec"]
    for volume in pod["volumes"]:
        assert ("ConfigMap", volume["configMap"]["name"]) in named, volume
    volumes = {volume["name"] for volume in pod["volumes"]}
    volumes |= {claim["metadata"]["name"] for claim in instances["volumeClaimTemplates"]}
    for kind, name in [("StatefulSet", "infermux"), ("Deployment", "valkey")]:
        spec = named[kind, name]["spec"]
        labels = spec["template"]["metadata"]["labels"]
        assert spec["selector"]["matchLabels"] == labels, labels
        assert named["Service", name]["spec"]["selector"] == labels, labels
        [container] = spec["template"]["spec"]["containers"]
        for mount in container.get("volumeMounts", []):
            assert mount["name"] in volumes, mount
        for source in container.get("envFrom", []):
            assert ("Secret", source["secretRef"]["name"]) in named, source
        for variable in container.get("env", []):
            key = variable["valueFrom"]["secretKeyRef"]
            assert key["key"] in named["Secret", key["name"]]["stringData"], key
        ports = {port["containerPort"] for port in container["ports"]}
        for port in named["Service", name]["spec"]["ports"]:
            assert port.get("targetPort", port["port"]) in ports, port
    assert instances["serviceName"] == "infermux" and instances["replicas"] == 3


@test
def compositions_are_those_of_the_compose_specification():
    def judge(text):
        # The validator knows no merge keys: YAML's reader has resolved them before.
        PyCompose.from_json(json.dumps(yaml.safe_load(text))).validate()

    for path in COMPOSITIONS:
        judge(path.read_text())
    with raises(ValueError):
        judge(COMPOSITIONS[1].read_text().replace("read_only:", "red_only:"))


@test
def docker_compose_resolves_the_composition_of_several_instances():
    if not (tool := shutil.which("docker-compose")):
        assert os.environ.get("CI") != "true", "apt-get install docker-compose"
        print("not judged: docker-compose is not installed (apt-get install docker-compose)")
        return
    names = ["OPENAI_API_KEY", "INFERMUX_API_KEY", "INFERMUX_MANAGEMENT_TOKEN", "VALKEY_PASSWORD"]
    variables = {"PATH": os.environ["PATH"], **{name: f"value-{name}" for name in names}}

    def resolve(variables):
        command = [tool, "--file", COMPOSITIONS[1], "config"]
        return subprocess.run(command, env=variables, capture_output=True, text=True)

    resolved = resolve(variables)
    assert resolved.returncode == 0, resolved.stderr
    services = yaml.safe_load(resolved.stdout)["services"]
    assert sorted(services) == ["one", "three", "two", "valkey"], services
    for name in ["one", "two", "three"]:
        service = services[name]
        assert service["environment"]["VALKEY_PASSWORD"] == "value-VALKEY_PASSWORD", service
        assert service["read_only"] and service["depends_on"] == {
            "valkey": {"condition": "service_healthy"}
        }, service
    assert "value-VALKEY_PASSWORD" in services["valkey"]["command"], services["valkey"]
    # Without one of the variables, it says which.
    for name in names:
        rest = {key: value for key, value in variables.items() if key != name}
        refused = resolve(rest)
        assert refused.returncode != 0 and name in refused.stderr, refused


if __name__ == "__main__":
    sys.exit(main())
