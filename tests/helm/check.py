"""Judges the chart in tools/deploy/helm, as far as that is possible without a cluster.

check.py RENDER INFERMUX: what renders it (render.go, built), and the binary that reads its file.
"""

import copy
import json
import pathlib
import subprocess
import sys
import tempfile

import jsonschema
import kubernetes_validate
import yaml

RENDER, INFERMUX = sys.argv[1:]
CHART = pathlib.Path(__file__).parents[2] / "tools/deploy/helm/infermux"
# The oldest one that the package of schemas and Chart.yaml both have, and the newest.
VERSIONS = ["1.25", "1.31"]
SECRETS = {"OPENAI_API_KEY": "sk-1", "INFERMUX_API_KEY": "k", "VALKEY_PASSWORD": "p"}
KEYS = "- {name: ada, hash: 'sha256:%s', budgets: [{usd: 5, per: day}]}\n" % ("ab" * 32)
BOUNDS = {"nodeSelector": {"a": "b"}, "tolerations": [{"key": "a", "operator": "Exists"}],
          "affinity": {"podAntiAffinity": {}}, "podAnnotations": {"a": "b"},
          "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone",
                                         "whenUnsatisfiable": "ScheduleAnyway"}],
          "imagePullSecrets": [{"name": "registry"}], "minAvailable": 1}
ROADS = {"ingress": {"enabled": True, "className": "nginx", "tlsSecret": "cert",
                     "annotations": {"a": "b"}},
         "service": {"type": "LoadBalancer", "port": 443, "annotations": {"a": "b"}}}
# What somebody may set, and the kinds of objects that come of it beyond the usual ones.
CASES = {
    "nothing but secrets": ({"secrets": SECRETS}, []),
    "a secret that exists": ({"existingSecret": "mine"}, []),
    "three instances with a Valkey": (
        {"replicas": 3, "secrets": SECRETS, "valkey": {"enabled": True}}, ["Deployment"]),
    "callers' keys": ({"secrets": SECRETS, "keys": KEYS}, []),
    "no disk": ({"secrets": SECRETS, "persistence": {"enabled": False}}, []),
    "a class of disks": ({"secrets": SECRETS, "persistence": {"storageClass": "fast"}}, []),
    "roads": ({"secrets": SECRETS, **ROADS}, ["Ingress"]),
    "bounds": ({"secrets": SECRETS, **BOUNDS}, ["PodDisruptionBudget"]),
    "a budget": ({"secrets": SECRETS, "config": {"budgets": {
        "callers": [{"caller": "research", "monthly_usd": 200}]}}}, []),
}
REFUSED = [{"replicas": 0}, {"replica": 2}, {"config": {"providers": []}}, {"secrets": {"A": 1}},
           {"service": {"type": "Cluster"}}, {"valkey": {"passwordKey": "a b"}}]


def rendered(values):
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(values, file)
        file.flush()
        command = [RENDER, CHART, "prod", file.name]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    notes, rest = text.split("# Source: config.yaml", 1)
    assert "http://prod-infermux.default:" in notes, notes
    objects = [one for one in yaml.safe_load_all(rest) if one]
    return notes, objects


def laid_over(upper, lower):
    result = copy.deepcopy(lower)
    for name, value in upper.items():
        both = isinstance(value, dict) and isinstance(result.get(name), dict)
        result[name] = laid_over(value, result[name]) if both else value
    return result


def found(objects, kind, name):
    named = [one for one in objects if (one["kind"], one["metadata"]["name"]) == (kind, name)]
    assert len(named) == 1, f"{len(named)} of {kind} {name}"
    return named[0]


def holds_together(values, objects):
    """What an object names, there is; unless it was there before."""
    names = [(one["kind"], one["metadata"]["name"]) for one in objects]
    assert len(names) == len(set(names)), names
    for one in objects:
        labels = one["metadata"]["labels"]
        assert labels["app.kubernetes.io/instance"] == "prod", labels
    main = found(objects, "StatefulSet", "prod-infermux")
    pod = main["spec"]["template"]
    labels = pod["metadata"]["labels"]
    assert main["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert found(objects, "Service", main["spec"]["serviceName"])
    ports = {port["name"]: port["containerPort"] for port in pod["spec"]["containers"][0]["ports"]}
    for one in objects:
        if one["kind"] != "Service" or one["metadata"]["name"].endswith("valkey"):
            continue
        assert one["spec"]["selector"].items() <= labels.items()
        assert all(port["targetPort"] in ports for port in one["spec"]["ports"])
    secret = pod["spec"]["containers"][0]["envFrom"][0]["secretRef"]["name"]
    if secret != values.get("existingSecret"):
        assert found(objects, "Secret", secret)["stringData"] == values["secrets"]
    claims = [one["metadata"]["name"] for one in main["spec"].get("volumeClaimTemplates", [])]
    volumes = [one["name"] for one in pod["spec"]["volumes"]] + claims
    mounts = [one["name"] for one in pod["spec"]["containers"][0]["volumeMounts"]]
    assert sorted(volumes) == sorted(mounts), (volumes, mounts)
    arguments = pod["spec"]["containers"][0]["args"]
    grace = int(arguments[-1].removesuffix("s"))
    assert pod["spec"]["terminationGracePeriodSeconds"] > grace


def valid(values, objects, ports=(":8080", ":8081")):
    """infermux itself takes the file that the pods get."""
    text = found(objects, "ConfigMap", "prod-infermux")["data"]["infermux.yml"]
    read = yaml.safe_load(text)
    assert (read["listen"], read["management_listen"]) == ports
    with tempfile.TemporaryDirectory() as folder:
        # The paths in the pods are not there.
        state = pathlib.Path(folder) / "state.json"
        keys = pathlib.Path(folder) / "keys.yml"
        keys.write_text(values.get("keys", ""))
        text = text.replace("/var/lib/infermux/state.json", str(state))
        text = text.replace("/etc/infermux-keys/keys.yml", str(keys))
        file = pathlib.Path(folder) / "infermux.yml"
        file.write_text(text)
        command = [INFERMUX, "validate", "--strict", "--config", file]
        ended = subprocess.run(command, env=SECRETS, capture_output=True, text=True)
        assert ended.returncode == 0, text + ended.stderr
    return read


def main():
    own = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())
    for name, (values, more) in CASES.items():
        jsonschema.validate(laid_over(values, own), schema)
        notes, objects = rendered(values)
        kinds = {one["kind"] for one in objects}
        for kind in ["ConfigMap", "Service", "StatefulSet", *more]:
            assert kind in kinds, f"{name}: no {kind}"
        for one in objects:
            for version in VERSIONS:
                kubernetes_validate.validate(one, version, strict=True)
        holds_together(values, objects)
        read = valid(values, objects)
        assert ("shared" in read) == ("Valkey" in name), name
        assert (read["auth"]["mode"] == "keys") == ("keys" in values), name
        print(f"ok: {name}: {len(objects)} objects")
    notes, _ = rendered({"replicas": 2, "secrets": SECRETS})
    assert "WARNING: 2 instances" in notes
    for values in REFUSED:
        try:
            jsonschema.validate(laid_over(values, own), schema)
        except jsonschema.ValidationError:
            continue
        raise AssertionError(f"values.schema.json takes {values}")
    print(f"ok: {len(REFUSED)} wrong values are refused")


main()
