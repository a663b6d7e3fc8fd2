#!/usr/bin/env python3
"""Asks Gantry what a real Harbor was asked: replay.py PROGRAM [FOLDER…] [--only NUMBER…] [--topics]

The recordings of this folder are replayed, together with those of each FOLDER (text, or condensed by condense.py), in
the order of their numbers. Prints what is the same, what differs, and what cannot be asked yet, by topic. Exits with 1
where an exchange differs that `accepted.txt` does not name, or one that it names is the same.
"""
import argparse
import collections
import json
import pathlib
import re
import sys

import compare
import recording
import state
from client import Client, basic
from mapping import Contents, Mapping
from server import ADMIN_PASSWORD, Gantry

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
COMPATIBILITY = ROOT / "docs" / "harbor-compatibility.md"
CONTRACT = ROOT / "admin-api" / "tests" / "api" / "harbor-operations.txt"
# Topics and names that other issues are about.
LATER = {"replication-registries", "scanners-scans-security", "preheat"}
LATER_NAMES = re.compile(r"^(proxy|replication|sbom)-|-prevented-|-scan\b|-scan-|-sbom-")
# What an exchange depends on, by its name or who asks: without the operation, it is not asked.
NEEDED = [
    (re.compile(r"-immutable "), "POST", "/api/v2.0/projects/{}/immutabletagrules"),
    (re.compile(r" robot\$"), "POST", "/api/v2.0/robots"),
    (re.compile(r"^repo-get-empty "), "PUT", "/api/v2.0/projects/{}/repositories/{}"),
]
# Operations that are not to come.
NEVER = ["/api/v2.0/internalconfig"]
MISSING = ["not there yet"]


class World:
    """A server, and what is known about it."""

    def __init__(self, gantry):
        self.client = Client(gantry)
        self.mapping = Mapping()
        self.contents = Contents(self.mapping)
        self.passwords = {"admin": ADMIN_PASSWORD}
        self.jars, self.signed_in = {}, {}
        self.operations = operations(self.client.ask("GET", "/api/openapi.json").json())

    def authorization(self, who):
        name, _, wrong = who.partition(" with a wrong ")
        if who == "anonymous":
            return None
        if who.startswith(("Basic ", "Bearer ")):
            return who
        if who.startswith("token "):
            return self.bearer(*who.split(" ")[1:])
        return basic(name, "wrong" if wrong else self.passwords.get(name, "Passw0rd1"))

    def bearer(self, name, *scopes):
        # A token without an action is one that a pull was asked for in vain.
        asked = [scope + "pull" if scope.endswith(":") else scope for scope in scopes]
        return "Bearer " + self.client.token(self.authorization(name), asked)

    def api(self, who, method, path, body=None, headers=None):
        """A request of the state's, below /api/v2.0."""
        given = {"Authorization": self.authorization(who), **(headers or {})}
        if body is not None:
            given["Content-Type"] = "application/json"
        return self.client.ask(method, "/api/v2.0" + path, given, json.dumps(body).encode() if body is not None else None)

    def registry(self, method, path, repository, headers=None, body=None, who="admin"):
        """A request of the state's, below /v2."""
        token = self.bearer(who, f"repository:{repository}:pull,push,delete")
        body = body.encode() if isinstance(body, str) else body
        return self.client.ask(method, path, {"Authorization": token, **(headers or {})}, body)

    def push_blobs(self, repository, manifest):
        for digits, size, is_config in state.blobs_of(manifest):
            digest, content = self.contents.blob(digits, size, is_config)
            path = f"/v2/{repository}/blobs/uploads/?digest=sha256:{digest}"
            put = self.registry("POST", path, repository, {"Content-Type": "application/octet-stream"}, content)
            assert put.status == 201, f"a blob of {repository}: {put.status} {put.body}"

    def prepare(self, exchange):
        """What an exchange itself needs: blobs of its manifest, its upload, its content."""
        target = re.match(r"/v2/(.+)/(manifests|blobs/uploads)/([^?]*)", exchange.path)
        if not target:
            return
        repository, kind, last = target.groups()
        if kind == "manifests" and exchange.method == "PUT" and "config" in exchange.body:
            self.push_blobs(repository, json.loads(exchange.body))
            self.mapping.same_content(last, exchange.body)
        sized = re.match(r"<(\d+) bytes>$", exchange.body)
        if sized:
            digits = exchange.path.split("sha256:")[1]
            self.contents.blob(digits, int(sized[1]), False)
        if kind == "blobs/uploads" and "_state=" in exchange.path and last not in self.mapping.uploads:
            path = f"/v2/{repository}/blobs/uploads/"
            started = self.client.ask("POST", path, {"Authorization": self.authorization(exchange.who)})
            if started.status == 202:
                self.mapping.uploads[last] = started.header("Location").split("/blobs/uploads/", 1)[1]

    def ask(self, exchange):
        self.prepare(exchange)
        headers = self.headers(exchange)
        answer = self.client.ask(exchange.method, self.path(exchange), headers, self.body(exchange))
        self.learn(exchange, answer)
        return answer

    def path(self, exchange):
        path = self.mapping.path(exchange.path)
        # An upload's own address has no query where Harbor's had one.
        return path if "?" in path else path.replace("&", "?", 1)

    def body(self, exchange):
        sized = re.match(r"<(\d+) bytes>$", exchange.body)
        if sized:
            return self.contents.bytes[exchange.path.split("sha256:")[1]]
        if exchange.number in state.BODIES:
            return state.BODIES[exchange.number](self).encode()
        return self.mapping.body(exchange.path, exchange.body).encode() or None

    def headers(self, exchange):
        given = {**exchange.headers}
        authorization = self.authorization(exchange.who)
        if authorization:
            given["Authorization"] = authorization
        if exchange.body and "/api/" in exchange.path:
            given.setdefault("Content-Type", "application/json")
        if "Cookie" in given:
            jar = self.jar(re.search(r"sid=(\w+)", given["Cookie"])[1])
            if "X-Harbor-CSRF-Token" in given:
                given["X-Harbor-CSRF-Token"] = self.csrf(jar)
            given["Cookie"] = cookies(jar)
        return given

    def jar(self, recorded):
        """Cookies for a recorded session: those of the last sign-in, if there was one."""
        return self.jars.setdefault(recorded, dict(self.signed_in) or {"sid": recorded})

    def csrf(self, jar):
        seen = self.client.ask("GET", "/api/v2.0/systeminfo", {"Cookie": cookies(jar)})
        jar.update(set_cookies(seen))
        return seen.header("X-Harbor-Csrf-Token") or "none"

    def learn(self, exchange, answer):
        self.mapping.learn(exchange, answer)
        if exchange.path == "/c/login" and answer.status == 200:
            self.signed_in = {**self.jar(re.search(r"sid=(\w+)", exchange.headers["Cookie"])[1]), **set_cookies(answer)}
        if answer.status in (200, 201) and exchange.body.startswith("{"):
            self.learn_secret(exchange, answer)

    def learn_secret(self, exchange, answer):
        """New passwords of users, and secrets of robots."""
        sent, got = json.loads(exchange.body), answer.json() or {}
        user = re.match(r"/api/v2.0/users/(\d+)/password$", exchange.path)
        if user:
            self.passwords[self.user_named(int(user[1]))] = sent["new_password"]
        if exchange.path == "/api/v2.0/users":
            self.passwords[sent["username"]] = sent["password"]
        robot = re.match(r"/api/v2.0/robots(?:/(\d+))?$", exchange.path)
        if robot and (got.get("secret") or sent.get("secret")):
            name = got.get("name") or self.robot_named(robot[1])
            self.passwords[name] = got.get("secret") or sent["secret"]

    def user_named(self, recorded):
        return self.api("admin", "GET", self.mapping.path(f"/users/{recorded}")).json()["username"]

    def robot_named(self, recorded):
        return self.api("admin", "GET", self.mapping.path(f"/robots/{recorded}")).json()["name"]


def cookies(jar):
    return "; ".join(f"{name}={value}" for name, value in jar.items())


def set_cookies(answer):
    found = [one.split(";")[0].split("=", 1) for one in answer.headers.get_all("Set-Cookie") or []]
    return dict(found)


def operations(document):
    """Methods and patterns of the paths that our own document lists."""
    return [(method.upper(), pattern(path)) for path, item in document["paths"].items() for method in item]


def pattern(path):
    return re.compile(re.sub(r"\\\{.*?\\\}", "[^/]+", re.escape(path.rstrip("/"))) + "/?$")


def contract():
    """The same of Harbor's own operations."""
    lines = CONTRACT.read_text().splitlines()
    found = [line.split()[:2] for line in lines if line and not line.startswith("#")]
    return [(method, pattern("/api/v2.0" + path)) for method, path in found]


def lists(known, exchange):
    path = exchange.path.split("?")[0]
    return any(method == exchange.method and one.match(path) for method, one in known)


def is_missing(world, exchange, answer):
    """Whether this is an operation of Harbor's that is not there yet."""
    if exchange.path.startswith("/c/"):
        return answer.status == 404 != exchange.status
    return lists(HARBOR, exchange) and not lists(world.operations, exchange) and exchange.path not in NEVER


def depends_in_vain(world, exchange):
    """Whether what it depends on could not be made."""
    about = f"{exchange.name} {exchange.who}"
    return any(one.search(about) and not any(method == needed and known.match(path) for method, known in world.operations)
               for one, needed, path in NEEDED)


def is_later(exchange):
    return exchange.topic in LATER or bool(LATER_NAMES.search(exchange.name))


def replay(program, exchanges):
    """Each exchange with its verdict: `same`, `not there yet`, or a list of differences."""
    found, errors = [], []
    for part in (lambda n: n < state.SECOND, lambda n: n >= state.SECOND):
        chosen = [one for one in exchanges if part(one.number)]
        if chosen:
            with Gantry(program) as gantry:
                found += replay_on(World(gantry), chosen)
                errors += gantry.errors()
    assert not errors, errors
    return found


def replay_on(world, exchanges):
    found, last = [], 0 if exchanges[0].number < state.SECOND else state.SECOND - 1
    for exchange in exchanges:
        for step in state.before(exchange.number, last):
            step(world)
        last = exchange.number
        if is_later(exchange):
            continue
        if depends_in_vain(world, exchange):
            found.append((exchange, MISSING))
            continue
        answer = world.ask(exchange)
        shape, _ = recording.shape_of_text(answer.body.decode(errors="replace"))
        if is_missing(world, exchange, answer):
            found.append((exchange, MISSING))
            continue
        found.append((exchange, compare.differences(exchange, answer, shape, world.mapping)))
    return found


def accepted():
    """Numbers of exchanges that may differ, each with the words of docs/harbor-compatibility.md that explain it."""
    named = {}
    for line in (HERE / "accepted.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            numbers, _, words = line.partition(": ")
            named.update({int(number): words for number in numbers.split()})
    return named


def verdict(differs):
    if differs == MISSING:
        return "not there yet"
    return "different" if differs and not compare.is_code_only(differs) else "same"


def report(found, named):
    """Prints the verdicts by topic, and returns what is wrong."""
    topics, wrong = collections.defaultdict(collections.Counter), []
    rows = " ".join(COMPATIBILITY.read_text().split())
    for exchange, differs in found:
        topics[exchange.topic][verdict(differs)] += 1
        line = f"{exchange.number:03} {exchange.name}: {exchange.method} {exchange.path} ({exchange.who})"
        reason = named.get(exchange.number)
        if differs == MISSING:
            print(f"not there yet {line}")
        elif differs:
            line += f": {'; '.join(differs)}"
            explained = reason is not None and reason in rows
            print(f"explained {line}  [{reason}]" if explained else f"different {line}")
            wrong += [] if explained else [line]
        elif reason:
            wrong.append(f"{line} is the same now: take it out of accepted.txt")
    for topic, counts in sorted(topics.items()):
        print(f"{topic:28}" + "  ".join(f"{counts[kind]:4} {kind}" for kind in ("same", "different", "not there yet")))
    return wrong


def main():
    exchanges = {one.number: one for folder in [HERE / "recordings", *options.folder] for one in recording.read(folder)}
    found = replay(options.program, [exchanges[number] for number in sorted(exchanges)])
    wrong = report(found, accepted())
    same = sum(1 for _, differs in found if verdict(differs) == "same")
    for line in wrong:
        print(f"replay: {line}", file=sys.stderr)
    print(f"replay: {same} of {len(found)} the same, {100 * same / len(found):.1f} %; {len(wrong)} unexplained")
    return 1 if wrong else 0


parser = argparse.ArgumentParser()
parser.add_argument("program")
parser.add_argument("folder", nargs="*")
options = parser.parse_args()
HARBOR = contract()
sys.exit(main())
