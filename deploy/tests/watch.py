#!/usr/bin/env python3
"""Checks what watches Gantry: watch.py --metrics URL --prometheus URL

URL of a server's metrics, and of a Prometheus that has scraped it at least a few times while requests were served and
has loaded rules.yml. Every metric that an alert or the dashboard names is in the metrics, every query of the dashboard
returns data, every alert was evaluated without an error, is tested and has a runbook. Exits with 1 and one line per
fault. Standard library only.
"""
import argparse
import json
import pathlib
import re
import sys
import urllib.parse
import urllib.request

DEPLOY = pathlib.Path(__file__).resolve().parent.parent
RUNBOOK = DEPLOY.parent / "docs" / "operations" / "alerts.md"
# What a server has once something is configured: a collector of the audit log. Its own tests see them.
CONFIGURED = {"gantry_audit_forward_lag_seconds"}
faults = []


def fetch(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def ask(path, **query):
    return json.loads(fetch(f"{options.prometheus}/api/v1/{path}?{urllib.parse.urlencode(query)}"))["data"]


def metrics_of(expression):
    """Names of metrics in an expression: what begins with gantry_ or process_, outside of quotes."""
    bare = re.sub(r'"[^"]*"', "", expression)
    return set(re.findall(r"\b(?:gantry|process)_[a-z_0-9]+", bare))


def check_metrics(where, expression, known):
    for name in sorted(metrics_of(expression) - known):
        faults.append(f"{where} names {name}, which the server does not have")


def check_alerts(known):
    groups = ask("rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    if not rules:
        faults.append("Prometheus has no rules")
    runbooks = set(re.findall(r"^## (\w+)$", RUNBOOK.read_text(), re.M))
    tests = (DEPLOY / "prometheus" / "rules_test.yml").read_text()
    for rule in rules:
        name = rule["name"]
        check_metrics(name, rule["query"], known)
        if rule["health"] != "ok":
            faults.append(f"{name}: {rule['health']}: {rule.get('lastError', '')}")
        if rule["annotations"].get("runbook") != f"docs/operations/alerts.md#{name.lower()}":
            faults.append(f"{name} does not name its runbook")
        if tests.count(f"alertname: {name}\n") < 2:
            faults.append(f"{name} is not tested twice in rules_test.yml: while it fires, and after")
        if rule["state"] == "firing":
            faults.append(f"{name} fires although nothing is wrong")
    names = {rule["name"] for rule in rules}
    for name in sorted(names ^ runbooks):
        faults.append(f"{name} is in rules.yml or in docs/operations/alerts.md, but not in both")


def check_dashboard(known):
    dashboard = json.loads((DEPLOY / "grafana" / "gantry.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            where = f"dashboard, {panel['title']}"
            check_metrics(where, target["expr"], known)
            query = target["expr"].replace("$job", ".+").replace("$instance", ".+").replace("$__rate_interval", "30s")
            if not ask("query", query=query)["result"]:
                faults.append(f"{where}: no data for {query}")


parser = argparse.ArgumentParser()
parser.add_argument("--metrics", required=True)
parser.add_argument("--prometheus", required=True)
options = parser.parse_args()
metrics = set(re.findall(r"^([a-z_0-9]+)", fetch(options.metrics), re.M))
check_alerts(metrics | CONFIGURED)
check_dashboard(metrics)
for line in faults:
    print(f"watch.py: {line}", file=sys.stderr)
sys.exit(1 if faults else 0)
