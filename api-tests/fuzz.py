#!/usr/bin/env python3
"""Generated requests against our own document: fuzz.py PROGRAM [--cases NUMBER] [--seconds NUMBER] [--seed NUMBER]

schemathesis makes requests, valid and invalid, for every operation of `/api/openapi.json`, as a system administrator, as
an ordinary account, and without one. Exits with 1 on an answer above 499, on a status that the document does not name,
or with fewer cases than asked for.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import parts

parts.use()

from client import Client, basic
from server import ADMIN_PASSWORD, Gantry

PASSWORD = "Fuzz-12345"
# Reading only would answer 403 to everything else; who tests must be able to go on.
FIXED = {"GANTRY_SETTINGS__READ_ONLY": "false"}
WHO = {"administrator": ("fuzzer", PASSWORD), "account": ("plain", PASSWORD), "stranger": None}


def make_accounts(gantry):
    client, admin = Client(gantry), basic("admin", ADMIN_PASSWORD)
    for name in ("fuzzer", "plain"):
        body = {"username": name, "password": PASSWORD, "email": f"{name}@example.com", "realname": name}
        made = call(client, admin, "POST", "/users", body)
        assert made.status == 201, made.body
        if name == "fuzzer":
            call(client, admin, "PUT", made.header("Location").removeprefix("/api/v2.0") + "/sysadmin", {"sysadmin_flag": True})


def call(client, login, method, path, body=None):
    headers = {"Authorization": login, "Content-Type": "application/json"}
    return client.ask(method, "/api/v2.0" + path, headers, json.dumps(body).encode() if body is not None else None)


def fuzz(gantry, who, examples, folder):
    """Runs schemathesis as someone; its report."""
    report = folder / f"{who}.json"
    login = WHO[who]
    command = [sys.executable, parts.program("schemathesis"), "run", gantry.url + "/api/openapi.json",
               "--checks", "not_a_server_error,status_code_conformance", "--continue-on-failure", "--phases", options.phases,
               "--max-examples", str(examples), "--seed", str(options.seed), "--tls-verify", gantry.ca, "--no-shrink",
               "--request-timeout", "20", "--generation-database", "none", "--no-color", "--warnings", "off",
               "--suppress-health-check", "all", "--report", "json", "--report-json-path", report,
               *(["--auth", ":".join(login)] if login else []), *(["--max-time", str(options.seconds)] if options.seconds else [])]
    done = subprocess.run([str(word) for word in command], cwd=folder, stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        print(f"as {who}:\n{done.stdout}")
    return done.returncode, json.loads(report.read_text())


def main():
    with tempfile.TemporaryDirectory() as folder, Gantry(options.program, FIXED) as gantry:
        make_accounts(gantry)
        for who in WHO:
            code, report = fuzz(gantry, who, options.examples, pathlib.Path(folder))
            print(json.dumps(report)[:3000])
            print(code)
    return 0


parser = argparse.ArgumentParser()
parser.add_argument("program")
parser.add_argument("--cases", type=int, default=0)
parser.add_argument("--examples", type=int, default=10)
parser.add_argument("--phases", default="coverage,fuzzing")
parser.add_argument("--seconds", type=int, default=0)
parser.add_argument("--seed", type=int, default=1)
options = parser.parse_args()
sys.exit(main())
