#!/usr/bin/env python3
"""Generated requests against our own document: fuzz.py PROGRAM [--cases NUMBER] [--seconds NUMBER] [--seed NUMBER]

schemathesis makes requests, valid and invalid, for every operation of `/api/openapi.json`, as a system administrator, as
an ordinary account, and without one. Half of their paths name what is there (`hooks.py`). Exits with 1 on an answer above
499, on a status that the document does not name, or where an account can no longer be used afterwards. With --cases,
goes on with other seeds until there were as many; with --seconds, makes random requests for that long as each of the
three, beside those that cover the document's limits.
"""
import argparse
import itertools
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import parts

parts.use()

from client import Client, basic
from content import Pusher
from server import ADMIN_PASSWORD, Gantry

HERE = pathlib.Path(__file__).resolve().parent
PASSWORD = "Fuzz-12345"
PROJECTS = 8
# Read-only mode would answer 403 to all that follows, so it cannot be switched on.
FIXED = {"GANTRY_SETTINGS__READ_ONLY": "false"}
CHECKS = ["not_a_server_error", "status_code_conformance"]
BODY_CHECKS = ["response_schema_conformance", "content_type_conformance"]
WHO = {"administrator": ("fuzzer", PASSWORD), "account": ("plain", PASSWORD), "stranger": None}


def furnish(gantry):
    """Accounts, projects and images, half of them in projects of the ordinary account. What the hooks need to know."""
    client, ids = Client(gantry), {}
    # Ids count from 1, and those that `hooks.py` names are not of the accounts that are needed to the end.
    for name in [*(f"spare{number}" for number in range(8)), "fuzzer", "plain"]:
        body = {"username": name, "password": PASSWORD, "email": f"{name}@example.com", "realname": name}
        made = call(client, "admin", ADMIN_PASSWORD, "POST", "/users", body)
        assert made.status == 201, made.body
        ids[name] = made.header("Location").split("/")[-1]
    call(client, "admin", ADMIN_PASSWORD, "PUT", f"/users/{ids['fuzzer']}/sysadmin", {"sysadmin_flag": True})
    pusher = Pusher(gantry, "admin", ADMIN_PASSWORD)
    for number in range(PROJECTS):
        project, owner = {"project_name": f"fuzz{number}"}, [("admin", ADMIN_PASSWORD), WHO["account"]][number % 2]
        assert call(client, *owner, "POST", "/projects", project).status == 201
        pusher.image(f"fuzz{number}/app", "v1")
        digest = pusher.image(f"fuzz{number}/deep/app", "v2", b"other")
    return {"FUZZED_DIGEST": digest, "FUZZING_USERS": f"{ids['fuzzer']} {ids['plain']}"}


def call(client, name, password, method, path, body=None):
    headers = {"Authorization": basic(name, password), "Content-Type": "application/json"}
    return client.ask(method, "/api/v2.0" + path, headers, json.dumps(body).encode() if body is not None else None)


def fuzz(gantry, who, seed, known, folder):
    """Runs schemathesis as someone; the number of cases, and whether all is well."""
    report, login = folder / f"{who}-{seed}.json", WHO[who]
    more = (["--auth", ":".join(login)] if login else []) + (["--max-time", options.seconds] if options.seconds else [])
    command = [sys.executable, parts.program("schemathesis"), "run", written(gantry, folder), "--url", gantry.url,
               "--checks", ",".join(CHECKS + (BODY_CHECKS if options.bodies else [])), "--continue-on-failure", "--phases", "coverage,fuzzing",
               "--max-examples", options.examples, "--seed", seed, "--tls-verify", gantry.ca, "--no-shrink",
               "--request-timeout", 30, "--generation-database", "none", "--no-color", "--warnings", "off",
               "--suppress-health-check", "all", "--report", "json", "--report-json-path", report, *more]
    around = {**os.environ, **known, "SCHEMATHESIS_HOOKS": "hooks",
              "PYTHONPATH": os.pathsep.join([str(HERE), os.environ["PYTHONPATH"]])}
    done = subprocess.run([str(word) for word in command], cwd=folder, env=around, stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode or not report.exists():
        print(f"as {who}:\n{done.stdout}", file=sys.stderr)
        return 0, False
    return json.loads(report.read_text())["test_cases"]["generated"], True


def written(gantry, folder):
    """Our document, without answers that have no end."""
    document = Client(gantry).ask("GET", "/api/openapi.json").json()
    for item in document["paths"].values():
        for method, operation in list(item.items()):
            assert "default" not in operation["responses"], f"{method} {operation['operationId']} excuses any status"
            if "text/event-stream" in json.dumps(operation["responses"]):
                del item[method]
    path = folder / "openapi.json"
    path.write_text(json.dumps(document))
    return path


def usable(gantry):
    """Whether the accounts are still what they were: else the requests after that have tested little."""
    client = Client(gantry)
    asked = [("fuzzer", "/users", 200), ("plain", "/users/current", 200)]
    return all(call(client, name, PASSWORD, "GET", path).status == status for name, path, status in asked)


def main():
    total, well = 0, True
    with tempfile.TemporaryDirectory() as folder, Gantry(options.program, FIXED) as gantry:
        known = furnish(gantry)
        for seed in itertools.count(options.seed):
            for who in WHO:
                cases, fine = fuzz(gantry, who, seed, known, pathlib.Path(folder))
                total, well = total + cases, well and fine
            if not well or total >= options.cases:
                break
        if not usable(gantry):
            print("fuzz: an account cannot be used any more", file=sys.stderr)
            well = False
    print(f"fuzz: {total} cases, {'no' if well else 'an'} answer that the document does not name")
    return 0 if well else 1


parser = argparse.ArgumentParser()
parser.add_argument("program")
parser.add_argument("--cases", type=int, default=0)
parser.add_argument("--examples", type=int, default=20)
parser.add_argument("--seconds", type=int, default=0)
parser.add_argument("--bodies", action="store_true", help="bodies must be of the shape that the document names, too")
parser.add_argument("--seed", type=int, default=1)
options = parser.parse_args()
sys.exit(main())
