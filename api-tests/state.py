"""State that was made between the recorded exchanges, inferred from them.

Each step stands before the first exchange that needs it, and does nothing where an exchange has done it already: so
recordings of the exchanges in between can be added.
"""
import hashlib
import json
import re
import time

DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
OCI = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
# Exchanges from here on come from a second, new installation.
SECOND = 551


def user(recorded, name):
    def step(world):
        body = {"username": name, "password": world.passwords.get(name, "Passw0rd1"), "email": f"{name}@example.com",
                "realname": name.title(), "comment": "c"}
        made = world.api("admin", "POST", "/users", body)
        world.passwords.setdefault(name, "Passw0rd1")
        found = world.api("admin", "GET", f"/users/search?username={name}").json()
        same = [one["user_id"] for one in found if one["username"] == name]
        assert same, f"no user {name}: {made.status}"
        world.mapping.ids["users", recorded] = same[0]
    return step


def no_user(recorded):
    return lambda world: world.api("admin", "DELETE", world.mapping.path(f"/users/{recorded}"))


def project(recorded, name, who="admin", **metadata):
    def step(world):
        made = world.api(who, "POST", "/projects", {"project_name": name, "metadata": metadata})
        found = world.api("admin", "GET", f"/projects/{name}", headers={"X-Is-Resource-Name": "true"}).json()
        assert "project_id" in found, f"no project {name}: {made.status} {made.body}"
        world.mapping.ids["projects", recorded] = found["project_id"]
    return step


def settings(**values):
    return lambda world: world.api("admin", "PUT", "/configurations", values)


def asked(who, method, path, body=None):
    """A request whose answer does not matter: it may have been made by an exchange."""
    return lambda world: world.api(who, method, world.mapping.path(path), body)


def image(repository, tags, recorded=None, kind=DOCKER, layer=100):
    """Pushes an image, which stands for the recorded digest."""
    def step(world):
        manifest = image_manifest(world, recorded or f"{repository}:{tags[0]}", kind, layer)
        world.push_blobs(repository, manifest)
        text = world.mapping.words(json.dumps(manifest))
        if recorded:
            world.mapping.digests[recorded] = hashlib.sha256(text.encode()).hexdigest()
        for tag in tags:
            put = world.registry("PUT", f"/v2/{repository}/manifests/{tag}", repository, {"Content-Type": kind}, text)
            assert put.status == 201, f"{repository}:{tag}: {put.status} {put.body}"
    return step


def image_manifest(world, seed, kind, layer):
    """A manifest that names recorded digests, which nothing has but this seed."""
    config, content = (hashlib.sha256(f"{part} of {seed}".encode()).hexdigest() for part in ("config", "layer"))
    types = (OCI_CONFIG, OCI_LAYER) if kind == OCI else (
        "application/vnd.docker.container.image.v1+json", "application/vnd.docker.image.rootfs.diff.tar.gzip")
    return {"schemaVersion": 2, "mediaType": kind,
            "config": {"mediaType": types[0], "size": 331, "digest": f"sha256:{config}"},
            "layers": [{"mediaType": types[1], "size": layer, "digest": f"sha256:{content}"}]}


def deleted(repository, recorded):
    def step(world):
        digest = world.mapping.words(f"sha256:{recorded}")
        world.registry("DELETE", f"/v2/{repository}/manifests/{digest}", repository)
    return step


def quota(recorded, of_project):
    """The quota of a project, whose id need not be the project's."""
    def step(world):
        found = world.api("admin", "GET", world.mapping.path(f"/quotas?reference=project&reference_id={of_project}"))
        world.mapping.ids["quotas", recorded] = found.json()[0]["id"]
    return step


def ended(upload):
    """Cancels an upload."""
    def step(world):
        path = world.mapping.path(f"/v2/gold/app/blobs/uploads/{upload}")
        world.registry("DELETE", path, "gold/app", who="alice")
    return step


def deletions(world):
    """More deletions than a page of the log has."""
    for number in range(4):
        body = {"username": f"gone{number}", "password": "Passw0rd1", "email": f"gone{number}@example.com", "realname": "G"}
        made = world.api("admin", "POST", "/users", body)
        world.api("admin", "DELETE", made.header("Location").removeprefix("/api/v2.0"))


def idle(world):
    """Waits until no worker has a job: what they say of themselves differs."""
    for _ in range(300):
        workers = world.api("admin", "GET", "/jobservice/pools/all/workers").json()
        if not any(isinstance(one, dict) and "job_id" in one for one in workers):
            return
        time.sleep(0.1)


def retained(world):
    """A dry run of the policy of retention, which has ended."""
    path = world.mapping.path("/retentions/1/executions")
    started = world.api("alice", "POST", path, {"dry_run": True})
    number = started.header("Location").split("/")[-1]
    world.mapping.ids["executions", 3] = int(number)
    for _ in range(300):
        if world.api("alice", "GET", path).json()[0]["status"] != "Running":
            return
        time.sleep(0.1)


def hooked(world):
    """A policy of webhooks with the recorded number, whose address has no scheme."""
    path = world.mapping.path("/projects/2/webhook/policies")
    policy = {"name": "w2", "enabled": True, "event_types": ["PUSH_ARTIFACT", "DELETE_ARTIFACT"],
              "targets": [{"type": "http", "address": "zzz"}]}
    for recorded in (2, 3):
        made = world.api("alice", "POST", path, policy)
        if made.status == 409:
            return
        if recorded == 2:
            world.api("alice", "DELETE", f"{path}/{made.header('Location').split('/')[-1]}")


V1 = "d955ecb61ec72964e4e6643432e31d077a8fb550f3b05cd3c65ff014130f42ce"
V2 = "b664d78b1d14dafd63a80ac43880e0cfd107177668faa05728983452d6dc17a6"
SUBJECT = "ba1abb4ddbfd5b171aa508a2501778ac63909ede6104724b956067aa69f61237"
DEBIAN = "d4e372ef38d708c97e9eabd03c7845fd5fafd37b118771dad8976458c6df6204"
AMD64 = "a86435e25c291631c1fa8ec59995097d2740d620c23f7219983d5f2a82bad120"
ARM64 = "47fcc8b686c850e09b80155038218109a219580de3696ef06f82bac08275de77"

STEPS = [
    (24, user(4, "bob")),
    (24, user(5, "carol")),
    (24, user(6, "dave")),
    (63, no_user(6)),
    (69, project(4, "1")),
    (90, project(7, "goldy", severity="low")),
    (90, project(8, "goldz")),
    (90, project(9, "goldu")),
    (133, asked("alice", "PUT", "/projects/2", {"metadata": {"severity": "medium", "prevent_vul": "true",
                                                             "auto_scan": "true"}})),
    (196, image("gold/app", ["v2", "latest"], V2)),
    (196, image("gold/team/deep/img", ["v1"])),
    (196, image("goldpub/app", ["v1"])),
    (196, image("gold/oci", ["v1"], SUBJECT, OCI)),
    (226, ended("f47cdd71-1b11-4077-bb06-45c0f405c868")),
    (263, asked("alice", "PUT", "/projects/gold/repositories/app", {"description": "hello"})),
    (342, asked("alice", "DELETE", "/projects/gold/immutabletagrules/1")),
    (380, quota(2, 2)),
    (403, hooked),
    (423, retained),
    (440, settings(project_creation_restriction="adminonly")),
    (441, settings(project_creation_restriction="everyone")),
    (444, settings(read_only=False)),
    (456, deletions),
    (530, deleted("gold/app", V1)),
    (546, asked("alice", "DELETE", "/projects/gold/repositories/app")),
    (546, asked("alice", "DELETE", "/projects/gold/repositories/app2")),
    (550, asked("alice", "POST", "/projects", {"project_name": "gold", "metadata": {"public": "false"}})),
    (SECOND, user(3, "alice")),
    (SECOND, user(4, "bob")),
    (SECOND, user(5, "carol")),
    (SECOND, project(2, "gold", "alice", public="false")),
    (SECOND, project(3, "other")),
    (SECOND, image("gold/deb", ["v1"], DEBIAN, layer=1_070_000)),
    (604, image("gold/up", ["a"], AMD64, OCI, 92)),
    (604, image("gold/up", ["b"], ARM64, OCI, 92)),
    (646, idle),
    (656, settings(self_registration=True)),
]


def little_room(world):
    """A limit ten bytes above what the project holds, as the recorded one was."""
    used = world.api("admin", "GET", world.mapping.path("/quotas/2")).json()["used"]["storage"]
    return json.dumps({"hard": {"storage": used + 10}})


# Bodies that depend on what is there.
BODIES = {389: little_room}


def before(number, last):
    """Steps due before an exchange, after the one that was asked last."""
    return [step for at, step in STEPS if last < at <= number]


def blobs_of(manifest):
    """Digest, size and whether it is the configuration, of each blob that a manifest names."""
    named = [(manifest.get("config"), True)] + [(layer, False) for layer in manifest.get("layers") or []]
    for one, is_config in named:
        digits = one["digest"].removeprefix("sha256:") if one else ""
        # One digit, sixty-four times, stands for a blob that is missing on purpose.
        if one and not re.fullmatch(r"(.)\1{63}", digits):
            yield digits, one["size"], is_config
