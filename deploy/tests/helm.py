#!/usr/bin/env python3
"""Renders the chart with every value and checks what comes out.

helm.py --helm HELM --kubectl KUBECTL --gantry PROGRAM [--crds FOLDER…] [--write-kustomize]

Needs PyYAML and kubernetes-validate. Every rendering passes the strict schemas of three Kubernetes versions; custom
resources pass the CRDs below the folders of --crds (module sources of cert-manager, gateway-api and the Prometheus
operator); every gantry.toml passes `gantry config check`. Exits with 1 and one line per fault, at most 20.
"""
import argparse
import copy
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import jsonschema
import kubernetes_validate
import yaml

HERE = pathlib.Path(__file__).resolve().parent
CHART = HERE.parent / "helm" / "gantry"
BASE = HERE.parent / "kustomize" / "base"
VERSIONS = ["1.29", "1.33", "1.37"]
CUSTOM = {"Certificate", "ServiceMonitor", "HTTPRoute", "TLSRoute"}
URL = {"externalUrl": "https://registry.example"}
MANY = {
    "database.existingSecret": "db",
    "masterKey.existingSecret": "key",
    "s3.existingSecret": "s3",
    "config": {"storage": {"backend": "s3", "s3": {"bucket": "b", "endpoint": "http://s3:8333", "path_style": True}}},
}
INGRESS = {**URL, "ingress.enabled": True}
HTTP = {**URL, "gateway.httpRoute.enabled": True, "gateway.httpRoute.parentRefs": [{"name": "gw"}]}
TLS = {**URL, "gateway.tlsRoute.enabled": True, "gateway.tlsRoute.parentRefs": [{"name": "gw"}]}
CERT = {**URL, "tls.certManager.enabled": True, "tls.certManager.issuerRef.name": "ca"}
JOB = {**MANY, "masterKey.existingSecret": "", "masterKey.job.enabled": True, "masterKey.job.image": "tools:1"}
HPA = {**MANY, "autoscaling.enabled": True}
POLICY = {"networkPolicy.enabled": True}
MONITOR = {"serviceMonitor.enabled": True}
PEER = [{"podSelector": {"matchLabels": {"a": "b"}}}]

# Value, the other values that it needs, what it is set to, and where that is then found: kind, path in the object. A
# path may name list items by number or by name, and end in the text that is expected instead of the value itself.
CASES = [
    ("image.repository", {}, "r.example/g", "Deployment", "spec.template.spec.containers.gantry.image", "r.example/g:0.1.0"),
    ("image.tag", {}, "v9", "Deployment", "spec.template.spec.containers.gantry.image", "gantry:v9"),
    ("image.digest", {}, "sha256:" + "a" * 64, "Deployment", "spec.template.spec.containers.gantry.image", "gantry@sha256:" + "a" * 64),
    ("image.pullPolicy", {}, "Always", "Deployment", "spec.template.spec.containers.gantry.imagePullPolicy"),
    ("image.pullSecrets", {}, ["p"], "Deployment", "spec.template.spec.imagePullSecrets", [{"name": "p"}]),
    ("nameOverride", {}, "other", "Deployment", "metadata.name", "rel-other"),
    ("fullnameOverride", {}, "full", "Deployment", "metadata.name"),
    ("externalUrl", {}, "https://r.example:444", "ConfigMap", "toml.server.external_url"),
    ("replicas", MANY, 3, "Deployment", "spec.replicas"),
    ("config", {}, {"limits": {"connections": 5000}, "tracing": {"sample_ratio": 0.5}}, "ConfigMap", "toml.limits.connections", 5000),
    ("config", {}, {"server": {"drain_delay_secs": 20}}, "ConfigMap", "toml.server.drain_delay_secs", 20),
    ("extraEnv", {}, [{"name": "AWS_CA_BUNDLE", "value": "/x"}], "Deployment", "spec.template.spec.containers.gantry.env.AWS_CA_BUNDLE.value", "/x"),
    ("admin.existingSecret", {}, "adm", "Deployment", "spec.template.spec.containers.gantry.env.GANTRY_ADMIN_PASSWORD.valueFrom.secretKeyRef.name"),
    ("admin.existingSecretKey", {"admin.existingSecret": "adm"}, "k", "Deployment", "spec.template.spec.containers.gantry.env.GANTRY_ADMIN_PASSWORD.valueFrom.secretKeyRef.key"),
    ("database.existingSecret", MANY, "db2", "Deployment", "spec.template.spec.containers.gantry.env.GANTRY_DATABASE__URL.valueFrom.secretKeyRef.name"),
    ("database.existingSecretKey", MANY, "k", "Deployment", "spec.template.spec.containers.gantry.env.GANTRY_DATABASE__URL.valueFrom.secretKeyRef.key"),
    ("database.passwordKey", MANY, "pw", "Deployment", "spec.template.spec.volumes.database.secret.items.0.key"),
    ("s3.existingSecret", MANY, "s4", "Deployment", "spec.template.spec.containers.gantry.env.GANTRY_STORAGE__S3__ACCESS_KEY_ID.valueFrom.secretKeyRef.name"),
    ("s3.accessKeyIdKey", MANY, "k", "Deployment", "spec.template.spec.containers.gantry.env.GANTRY_STORAGE__S3__ACCESS_KEY_ID.valueFrom.secretKeyRef.key"),
    ("s3.secretAccessKeyKey", MANY, "k", "Deployment", "spec.template.spec.containers.gantry.env.GANTRY_STORAGE__S3__SECRET_ACCESS_KEY.valueFrom.secretKeyRef.key"),
    ("masterKey.existingSecret", {}, "mk", "Deployment", "spec.template.spec.volumes.master-key.secret.secretName"),
    ("masterKey.existingSecretKey", {"masterKey.existingSecret": "mk"}, "k", "Deployment", "spec.template.spec.volumes.master-key.secret.items.0.key"),
    ("masterKey.job.enabled", JOB, True, "Deployment", "spec.template.spec.volumes.master-key.secret.secretName", "rel-gantry-master-key"),
    ("masterKey.job.image", JOB, "tools:2", "Job", "spec.template.spec.containers.keep.image"),
    ("tls.existingSecret", {}, "crt", "Deployment", "spec.template.spec.volumes.tls.secret.secretName"),
    ("tls.certManager.enabled", CERT, True, "Deployment", "spec.template.spec.volumes.tls.secret.secretName", "rel-gantry-tls"),
    ("tls.certManager.issuerRef.kind", CERT, "ClusterIssuer", "Certificate", "spec.issuerRef.kind"),
    ("tls.certManager.issuerRef.name", CERT, "other", "Certificate", "spec.issuerRef.name"),
    ("tls.certManager.dnsNames", CERT, ["a.example"], "Certificate", "spec.dnsNames"),
    ("tls.certManager.duration", CERT, "100h", "Certificate", "spec.duration"),
    ("tls.certManager.renewBefore", CERT, "50h", "Certificate", "spec.renewBefore"),
    ("persistence.size", {}, "7Gi", "PersistentVolumeClaim", "spec.resources.requests.storage"),
    ("persistence.storageClass", {}, "fast", "PersistentVolumeClaim", "spec.storageClassName"),
    ("persistence.accessModes", {}, ["ReadWriteOncePod"], "PersistentVolumeClaim", "spec.accessModes"),
    ("persistence.existingClaim", {}, "mine", "Deployment", "spec.template.spec.volumes.data.persistentVolumeClaim.claimName"),
    ("persistence.annotations", {}, {"a": "b"}, "PersistentVolumeClaim", "metadata.annotations.a", "b"),
    ("service.type", {}, "LoadBalancer", "Service", "spec.type"),
    ("service.port", {}, 8443, "Service", "spec.ports.https.port"),
    ("service.nodePort", {"service.type": "NodePort"}, 30443, "Service", "spec.ports.https.nodePort"),
    ("service.loadBalancerClass", {"service.type": "LoadBalancer"}, "c.example/x", "Service", "spec.loadBalancerClass"),
    ("service.annotations", {}, {"a": "b"}, "Service", "metadata.annotations", {"a": "b"}),
    ("ingress.enabled", INGRESS, True, "Ingress", "spec.rules.0.host", "registry.example"),
    ("ingress.className", INGRESS, "nginx", "Ingress", "spec.ingressClassName"),
    ("ingress.host", INGRESS, "h.example", "Ingress", "spec.rules.0.host"),
    ("ingress.tlsSecret", INGRESS, "s", "Ingress", "spec.tls.0.secretName"),
    ("ingress.controller", INGRESS, "nginx", "Ingress", "metadata.annotations@nginx.ingress.kubernetes.io/proxy-body-size", "0"),
    ("ingress.controller", INGRESS, "nginx", "Ingress", "metadata.annotations@nginx.ingress.kubernetes.io/backend-protocol", "HTTPS"),
    ("ingress.controller", INGRESS, "nginx-passthrough", "Ingress", "metadata.annotations@nginx.ingress.kubernetes.io/ssl-passthrough", "true"),
    ("ingress.controller", INGRESS, "haproxy", "Ingress", "metadata.annotations@haproxy.org/server-ssl", "true"),
    ("ingress.controller", INGRESS, "haproxy-passthrough", "Ingress", "metadata.annotations@haproxy.org/ssl-passthrough", "true"),
    ("ingress.controller", INGRESS, "traefik", "Service", "metadata.annotations@traefik.ingress.kubernetes.io/service.serversscheme", "https"),
    ("ingress.annotations", {**INGRESS, "ingress.controller": "nginx"}, {"nginx.ingress.kubernetes.io/proxy-body-size": "9g"}, "Ingress", "metadata.annotations@nginx.ingress.kubernetes.io/proxy-body-size", "9g"),
    ("gateway.httpRoute.enabled", HTTP, True, "HTTPRoute", "spec.rules.0.backendRefs.0.name", "rel-gantry"),
    ("gateway.httpRoute.apiVersion", HTTP, "gateway.networking.k8s.io/v1beta1", "HTTPRoute", "apiVersion"),
    ("gateway.httpRoute.parentRefs", HTTP, [{"name": "x"}], "HTTPRoute", "spec.parentRefs"),
    ("gateway.httpRoute.hostnames", HTTP, ["h.example"], "HTTPRoute", "spec.hostnames"),
    ("gateway.tlsRoute.enabled", TLS, True, "TLSRoute", "spec.hostnames", ["registry.example"]),
    ("gateway.tlsRoute.apiVersion", TLS, "gateway.networking.k8s.io/v1alpha3", "TLSRoute", "apiVersion"),
    ("gateway.tlsRoute.parentRefs", TLS, [{"name": "x"}], "TLSRoute", "spec.parentRefs"),
    ("gateway.tlsRoute.hostnames", TLS, ["h.example"], "TLSRoute", "spec.hostnames"),
    ("serviceAccount.annotations", {}, {"a": "b"}, "ServiceAccount", "metadata.annotations"),
    ("volumeGroup", {}, 5, "Deployment", "spec.template.spec.securityContext.fsGroup"),
    ("podAnnotations", {}, {"a": "b"}, "Deployment", "spec.template.metadata.annotations.a", "b"),
    ("podLabels", {}, {"a": "b"}, "Deployment", "spec.template.metadata.labels.a", "b"),
    ("podSecurityContext", {}, {"fsGroup": 5}, "Deployment", "spec.template.spec.securityContext", {"fsGroup": 5, "fsGroupChangePolicy": "OnRootMismatch", "runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}),
    ("podSecurityContext", JOB, {"runAsUser": 5}, "Job", "spec.template.spec.securityContext.runAsUser", 5),
    ("podSecurityContext", {}, {"runAsUser": 5}, "Deployment", "spec.template.spec.securityContext.runAsUser", 5),
    ("securityContext", {}, {"privileged": False}, "Deployment", "spec.template.spec.containers.gantry.securityContext.privileged", False),
    ("resources", {}, {"limits": {"memory": "1Gi"}}, "Deployment", "spec.template.spec.containers.gantry.resources.limits.memory", "1Gi"),
    ("terminationGracePeriodSeconds", {}, 99, "Deployment", "spec.template.spec.terminationGracePeriodSeconds"),
    ("nodeSelector", {}, {"a": "b"}, "Deployment", "spec.template.spec.nodeSelector"),
    ("tolerations", {}, [{"key": "a", "operator": "Exists"}], "Deployment", "spec.template.spec.tolerations"),
    ("affinity", {}, {"nodeAffinity": {}}, "Deployment", "spec.template.spec.affinity"),
    ("topologySpread.enabled", MANY, False, "Deployment", "spec.template.spec.topologySpreadConstraints", None),
    ("topologySpread.keys", MANY, ["rack"], "Deployment", "spec.template.spec.topologySpreadConstraints.0.topologyKey", "rack"),
    ("priorityClassName", {}, "high", "Deployment", "spec.template.spec.priorityClassName"),
    ("podDisruptionBudget.enabled", MANY, False, "PodDisruptionBudget", "", None),
    ("podDisruptionBudget.maxUnavailable", MANY, "50%", "PodDisruptionBudget", "spec.maxUnavailable"),
    ("autoscaling.enabled", HPA, True, "Deployment", "spec.replicas", None),
    ("autoscaling.minReplicas", HPA, 3, "HorizontalPodAutoscaler", "spec.minReplicas"),
    ("autoscaling.maxReplicas", HPA, 9, "HorizontalPodAutoscaler", "spec.maxReplicas"),
    ("autoscaling.targetCPUUtilizationPercentage", HPA, 50, "HorizontalPodAutoscaler", "spec.metrics.0.resource.target.averageUtilization"),
    ("networkPolicy.enabled", {}, True, "NetworkPolicy", "spec.policyTypes", ["Ingress"]),
    ("networkPolicy.clients", POLICY, PEER, "NetworkPolicy", "spec.ingress.0.from"),
    ("networkPolicy.metrics", POLICY, PEER, "NetworkPolicy", "spec.ingress.1.from"),
    ("networkPolicy.egress", POLICY, [{"to": PEER}], "NetworkPolicy", "spec.egress"),
    ("serviceMonitor.enabled", {}, True, "ServiceMonitor", "spec.endpoints.0.port", "metrics"),
    ("serviceMonitor.interval", MONITOR, "15s", "ServiceMonitor", "spec.endpoints.0.interval"),
    ("serviceMonitor.labels", MONITOR, {"a": "b"}, "ServiceMonitor", "metadata.labels.a", "b"),
]

# Values that contradict each other, and a word of the error.
REFUSED = [
    ({"unknown": 1}, "not allowed"),
    ({"service.port": "https"}, "integer"),
    ({"externalUrl": "http://r.example"}, "pattern"),
    ({"replicas": 2}, "replicas above 1"),
    ({"autoscaling.enabled": True}, "autoscaling needs"),
    ({"database.existingSecret": "db"}, "needs a master key"),
    ({"database.passwordKey": "password"}, "existingSecret, which is missing"),
    ({**JOB, "masterKey.existingSecret": "k"}, "both set"),
    ({**JOB, "masterKey.job.image": ""}, "job.image is missing"),
    ({**CERT, "tls.existingSecret": "s"}, "both set"),
    ({**CERT, "tls.certManager.issuerRef.name": ""}, "issuerRef.name is missing"),
    ({**CERT, "externalUrl": ""}, "has no name"),
    ({**INGRESS, **HTTP}, "both enabled"),
    ({**HTTP, **TLS}, "both enabled"),
    ({"ingress.enabled": True}, "externalUrl is missing"),
    ({**HTTP, "gateway.httpRoute.parentRefs": []}, "parentRefs is missing"),
    ({"config": {"database": {"url": "postgres://a"}}}, "ConfigMap"),
    ({"config": {"storage": {"s3": {"secret_access_key": "a"}}}}, "ConfigMap"),
    ({"config": {"server": {"listen": "0.0.0.0:443"}}}, "must end with :8443"),
    ({"config": {"server": {"data": "/x"}}}, "volume is mounted"),
]

faults = []


def fault(text):
    faults.append(text)


def nested(values):
    """`{"a.b": 1}` as `{"a": {"b": 1}}`."""
    tree = {}
    for path, value in values.items():
        node = tree
        *folders, leaf = path.split(".")
        for folder in folders:
            node = node.setdefault(folder, {})
        node[leaf] = value
    return tree


def helm(arguments, values, *more):
    command = [options.helm, "template", *arguments, str(CHART), "--values", "-", *more]
    return subprocess.run(command, input=json.dumps(nested(values)), text=True, capture_output=True, check=False)


def render(values, *more):
    """Texts of one rendering as objects by kind, or None with a fault."""
    done = helm(["rel", "--namespace", "space"], values, *more)
    if done.returncode:
        fault(f"{values}: {done.stderr.strip()}")
        return None
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def found(objects, kind, path):
    """The value at the path in the first object of the kind; None if there is none."""
    node = next((one for one in objects if one["kind"] == kind), None)
    if path.startswith("toml."):
        return found_in(toml(objects), path.removeprefix("toml."))
    return found_in(node, path)


def found_in(node, path):
    path, _, key = path.partition("@")
    for step in [*filter(None, path.split(".")), *filter(None, [key])]:
        if node is None:
            return None
        if isinstance(node, list):
            named = [one for one in node if one.get("name") == step]
            node = named[0] if named else node[int(step)] if step.isdigit() and int(step) < len(node) else None
        else:
            node = node.get(step)
    return node


def toml(objects):
    import tomllib

    text = next(one for one in objects if one["kind"] == "ConfigMap")["data"]["gantry.toml"]
    return tomllib.loads(text)


def check_case(case):
    value, needs, given, kind, path, *expected = case
    objects = render({**needs, value: given})
    if objects is None:
        return
    want = expected[0] if expected else given
    got = found(objects, kind, path)
    if got != want:
        fault(f"{value} = {given}: {kind} {path} is {got!r}, not {want!r}")
    check_objects(f"{value} = {given}", objects)


def check_objects(name, objects):
    """What holds for every rendering."""
    for one in objects:
        check_schema(name, one)
    text = json.dumps(objects)
    if "subPath" in text:
        fault(f"{name}: a subPath is never updated")
    if re.search(r'"runAs(User|Group)": [0-9]', json.dumps([o for o in objects if o["kind"] == "Deployment"])) and "podSecurityContext" not in name:
        fault(f"{name}: the Deployment has a fixed user or group")
    if any(one["kind"] == "Secret" for one in objects):
        fault(f"{name}: a Secret is made at template time")
    deployment = next(one for one in objects if one["kind"] == "Deployment")
    claim = found_in(deployment, "spec.template.spec.volumes.data.persistentVolumeClaim")
    strategy = deployment["spec"]["strategy"]
    if claim and (strategy != {"type": "Recreate"} or deployment["spec"].get("replicas") != 1):
        fault(f"{name}: a volume for one process, but {strategy} and {deployment['spec'].get('replicas')} replicas")
    if not claim and strategy["type"] != "RollingUpdate":
        fault(f"{name}: replicas, but {strategy}")
    check_config(name, objects, deployment)


def check_schema(name, one):
    what = f"{name}: {one['kind']} {one['metadata']['name']}"
    if one["kind"] in CUSTOM:
        schema = crd_schema(one)
        if schema is not None:
            for error in jsonschema.Draft7Validator(schema).iter_errors(one):
                fault(f"{what}: {error.message}")
        return
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(one, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            fault(f"{what}, Kubernetes {version}: {error.message}")


crds = {}


class Loader(yaml.CSafeLoader):
    """Takes a lone `=`, which CRDs have in lists of operators, as text."""


Loader.add_constructor("tag:yaml.org,2002:value", lambda loader, node: loader.construct_scalar(node))


def load_crds(folders):
    for folder in folders:
        for path in pathlib.Path(folder).rglob("*.yaml"):
            text = path.read_text(errors="replace")
            if "kind: CustomResourceDefinition" not in text:
                continue
            # cert-manager's are templates in a few lines of their metadata.
            text = "\n".join(line for line in text.splitlines() if "{{" not in line)
            for one in yaml.load_all(text, Loader):
                if one and one.get("kind") == "CustomResourceDefinition" and one["spec"]["names"]["kind"] in CUSTOM:
                    for version in one["spec"]["versions"]:
                        key = (f"{one['spec']['group']}/{version['name']}", one["spec"]["names"]["kind"])
                        crds[key] = closed(version["schema"]["openAPIV3Schema"])


def closed(schema):
    """The schema with unknown fields refused, as a strict API server does."""
    schema = copy.deepcopy(schema)
    todo = [schema]
    while todo:
        node = todo.pop()
        if isinstance(node, dict):
            if "properties" in node and not node.get("x-kubernetes-preserve-unknown-fields"):
                node.setdefault("additionalProperties", False)
            todo.extend(node.values())
        elif isinstance(node, list):
            todo.extend(node)
    schema["properties"]["metadata"] = {"type": "object"}
    return schema


def crd_schema(one):
    key = (one["apiVersion"], one["kind"])
    if options.crds and key not in crds:
        fault(f"there is no CRD for {key} in {options.crds}")
    return crds.get(key)


checked = set()


def check_config(name, objects, deployment):
    """`gantry config check`, with the environment of the container and stand-ins for what the cluster mounts."""
    text = next(one for one in objects if one["kind"] == "ConfigMap")["data"]["gantry.toml"]
    given = {"GANTRY_DATABASE__URL": "postgres://a:b@c/d", "GANTRY_ADMIN_PASSWORD": "Chart-12345"}
    environment = {}
    for one in deployment["spec"]["template"]["spec"]["containers"][0]["env"]:
        if one["name"].startswith("GANTRY_") and one["name"] != "GANTRY_CONFIG":
            environment[one["name"]] = given.get(one["name"], "k")
    key = (text, tuple(sorted(environment)))
    if key in checked:
        return
    checked.add(key)
    if "GANTRY_DATABASE__PASSWORD_FILE" in environment:
        environment["GANTRY_DATABASE__PASSWORD_FILE"] = f"{work}/gantry-database/password"
        environment["GANTRY_DATABASE__URL"] = "postgres://a@c/d"
    for mounted in ["gantry-tls", "gantry-master-key"]:
        text = text.replace(f"/etc/{mounted}", str(pathlib.Path(work) / mounted))
    path = pathlib.Path(work) / "gantry.toml"
    path.write_text(text)
    command = [options.gantry, "config", "check", "--config", str(path), "--data", f"{work}/data"]
    bare = {word: os.environ[word] for word in ("PATH", "HOME") if word in os.environ}
    done = subprocess.run(command, env={**bare, **environment}, text=True, capture_output=True, check=False)
    if done.returncode:
        fault(f"{name}: gantry config check: {done.stderr.strip()}")


def stand_ins():
    """A certificate and a master key where the cluster would mount them."""
    for folder in ["gantry-tls", "gantry-master-key", "gantry-database"]:
        (pathlib.Path(work) / folder).mkdir()
    (pathlib.Path(work) / "gantry-database" / "password").write_text("a%b?c;d@e\n")
    pair = ["-keyout", f"{work}/gantry-tls/tls.key", "-out", f"{work}/gantry-tls/tls.crt"]
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj"]
    names = ["/CN=registry.example", "-addext", "subjectAltName=DNS:registry.example", "-days", "90"]
    subprocess.run([*command, *names, *pair], check=True, capture_output=True)
    os.chmod(f"{work}/gantry-tls/tls.key", 0o600)
    subprocess.run([options.gantry, "secret", "new", f"{work}/gantry-master-key/master.key"], check=True, capture_output=True)


def leaves(tree, path=""):
    for key, value in tree.items():
        inner = f"{path}{key}"
        if isinstance(value, dict) and value and key not in ("podSecurityContext", "securityContext", "resources"):
            yield from leaves(value, f"{inner}.")
        else:
            yield inner


def check_lists():
    """Every value has a case, and a row in the README with nothing else in it."""
    values = set(leaves(yaml.safe_load((CHART / "values.yaml").read_text())))
    cases = {case[0] for case in CASES}
    rows = set(re.findall(r"^\| `([^`]+)` \|", (CHART / "README.md").read_text(), re.M))
    for name, others in [("the cases of helm.py", cases), ("README.md", rows)]:
        for one in sorted(values - others):
            fault(f"{one} is not in {name}")
        for one in sorted(others - values):
            fault(f"{one} is in {name}, but not in values.yaml")


def check_refused():
    for values, word in REFUSED:
        done = helm(["rel"], values)
        if done.returncode == 0 or word not in done.stderr:
            fault(f"{values} should be refused with {word!r}: {done.stderr.strip()[:300] or 'it is not'}")


def check_sources():
    for path in (CHART / "templates").iterdir():
        for word in re.findall(r"\b(lookup|rand[A-Z]\w*|gen[A-Z]\w*|uuidv4|now|htpasswd|derivePassword)\b", path.read_text()):
            fault(f"{path.name} uses {word}: two renderings would differ")


def check_same():
    """Two renderings are equal, and an upgrade changes no field that the cluster refuses to change."""
    first, second = (helm(["rel"], MANY).stdout for _ in range(2))
    if first != second:
        fault("two renderings of the same values differ")
    old, new = render({}), render({"image.tag": "v9", "config": {"log": {"level": "debug"}}, "podLabels": {"a": "b"}}, "--is-upgrade")
    many, more = render(MANY), render({**MANY, "replicas": 4, "image.tag": "v9"}, "--is-upgrade")
    for before, after in [(old, new), (many, more)]:
        if [unchanging(one) for one in before] != [unchanging(one) for one in after]:
            fault("an upgrade changes a field that cannot change")
    if found(old, "Deployment", "spec.template.metadata.annotations.checksum/config") is None:
        fault("the Deployment has no checksum of its settings")
    if found_in(old[0], "metadata.name") and found(old, "Deployment", "spec.template.metadata.annotations@checksum/config") == found(new, "Deployment", "spec.template.metadata.annotations@checksum/config"):
        fault("other settings make no other pods")


def unchanging(one):
    fields = {"Deployment": "spec.selector", "PersistentVolumeClaim": "spec", "Service": "spec.clusterIP"}
    path = fields.get(one["kind"])
    return one["kind"], one["metadata"]["name"], found_in(one, path) if path else None


def check_openshift():
    objects = render({}, "--api-versions", "security.openshift.io/v1")
    if found(objects, "Deployment", "spec.template.spec.securityContext.fsGroup") is not None:
        fault("on OpenShift, the Deployment has a fixed group")


def check_lint():
    for values in [{}, MANY, {**INGRESS, **CERT}]:
        command = [options.helm, "lint", "--strict", str(CHART), "--values", "-"]
        done = subprocess.run(command, input=json.dumps(nested(values)), text=True, capture_output=True, check=False)
        if done.returncode:
            fault(f"helm lint: {done.stdout.strip()}")


def plain(one):
    """An object without what only helm has use for."""
    one = copy.deepcopy(one)
    for holder in [one, found_in(one, "spec.template")]:
        metadata = (holder or {}).get("metadata", {})
        for kind, words in {"labels": ["helm.sh/chart", "app.kubernetes.io/managed-by"], "annotations": ["helm.sh/resource-policy", "checksum/config"]}.items():
            for word in words:
                metadata.get(kind, {}).pop(word, None)
            if metadata.get(kind) == {}:
                del metadata[kind]
    return one


def chart_default():
    done = helm(["gantry", "--namespace", "gantry"], {})
    return [plain(one) for one in yaml.safe_load_all(done.stdout) if one]


def write_kustomize():
    text = "# Written by deploy/tests/helm.py --write-kustomize: the chart's default.\n"
    (BASE / "gantry.yaml").write_text(text + yaml.safe_dump_all(chart_default(), sort_keys=False))


def check_kustomize():
    done = subprocess.run([options.kubectl, "kustomize", str(BASE)], text=True, capture_output=True, check=False)
    if done.returncode:
        return fault(f"kubectl kustomize: {done.stderr.strip()}")
    order = lambda one: (one["kind"], one["metadata"]["name"])
    base = sorted(yaml.safe_load_all(done.stdout), key=order)
    for one in base:
        check_schema("kustomize", one)
        if one["metadata"].pop("namespace", None) != "gantry":
            fault(f"kustomize: {order(one)} is in another namespace")
    chart = sorted(chart_default(), key=order)
    if base != chart:
        differ = [order(b) for b, c in zip(base, chart) if b != c] or "their number"
        fault(f"kustomize differs from the chart's default in {differ}: helm.py --write-kustomize")


def main():
    if options.write_kustomize:
        return write_kustomize()
    load_crds(options.crds)
    stand_ins()
    check_lists()
    check_lint()
    check_sources()
    check_refused()
    for name, values in [("the default", {}), ("replicas", MANY), ("the job", JOB)]:
        check_objects(name, render(values) or [])
    for case in CASES:
        check_case(case)
    check_same()
    check_openshift()
    check_kustomize()


parser = argparse.ArgumentParser()
parser.add_argument("--helm", required=True)
parser.add_argument("--kubectl", default="kubectl")
parser.add_argument("--gantry", required=True)
parser.add_argument("--crds", nargs="*", default=[])
parser.add_argument("--write-kustomize", action="store_true")
options = parser.parse_args()
with tempfile.TemporaryDirectory() as work:
    main()
for line in faults[:20]:
    print(f"helm.py: {line}", file=sys.stderr)
if len(faults) > 20:
    print(f"helm.py: and {len(faults) - 20} more", file=sys.stderr)
if not faults:
    print("helm: ok")
sys.exit(1 if faults else 0)
