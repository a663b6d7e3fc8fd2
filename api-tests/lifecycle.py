#!/usr/bin/env python3
"""What infrastructure as code does with Harbor's API: lifecycle.py PROGRAM

Each resource is created, read back, changed, read back without a difference, written again as it is, imported (found
by its name and read), destroyed, and made once more. The fields are those of the contract, in the form in which
Terraform's provider sends them: every request has a JSON body, `null` where there is nothing to say; objects that are
empty, fields of answers and times of year 1 are sent along; what is false or zero is left out. Exits with 1 and one line
per fault. Standard library only.
"""
import argparse
import dataclasses
import json
import sys
from collections.abc import Callable
from urllib.parse import quote

from api import operations_there
from client import Client, basic
from server import ADMIN_PASSWORD, Gantry

PASSWORD = "Life-12345"
ALLOW = {"effect": "allow", "resource": "repository"}
PULL = {"kind": "project", "namespace": "land", "access": [{**ALLOW, "action": "pull"}]}
PUSH = {**PULL, "access": [{**ALLOW, "action": "pull"}, {**ALLOW, "action": "push"}]}
NEVER = {"creation_time": "0001-01-01T00:00:00Z", "update_time": "0001-01-01T00:00:00Z"}


class Missing(Exception):
    pass


class Server:
    """The API, as the administrator uses it."""

    def __init__(self, gantry):
        self.client = Client(gantry)
        self.login = basic("admin", ADMIN_PASSWORD)
        self.there = operations_there(self.client.ask("GET", "/api/openapi.json").json())

    def ask(self, method, path, body=None, *, expect):
        headers = {"Authorization": self.login, "Content-Type": "application/json"}
        answer = self.client.ask(method, "/api/v2.0" + path, headers, json.dumps(body).encode() + b"\n")
        if answer.status == 404 and 404 not in expect:
            raise Missing(f"{method} {path}")
        assert answer.status in expect, f"{method} {path}: {answer.status} {answer.body.decode()}, not {expect}"
        return answer

    def get(self, path):
        return self.ask("GET", path, expect=[200]).json()

    def post(self, path, body):
        """Path of what was made."""
        return self.ask("POST", path, body, expect=[201]).header("Location").removeprefix("/api/v2.0")

    def put(self, path, body):
        self.ask("PUT", path, body, expect=[200])

    def delete(self, path):
        self.ask("DELETE", path, expect=[200])


@dataclasses.dataclass
class Resource:
    """How a resource is made, read, changed, found and destroyed; `at` is its path."""

    name: str
    # The operations without which it is not there yet.
    needs: list
    first: dict
    second: dict
    create: Callable
    read: Callable
    change: Callable
    find: Callable
    destroy: Callable
    # Fields that are written, but not read back.
    secret: tuple = ()
    # Whether a second one of the same name is refused.
    unique: bool = True


def live(server, one):
    """The whole life of a resource."""
    at = one.create(server, one.first)
    same(one, "created", one.first, one.read(server, at))
    if one.unique:
        refused(server, one)
    one.change(server, at, one.second)
    same(one, "changed", one.second, one.read(server, at))
    before = one.read(server, at)
    one.change(server, at, one.second)
    same(one, "written again", {**before}, one.read(server, at), times=False)
    found = one.find(server)
    assert found == at, f"imported as {found}, made as {at}"
    one.destroy(server, at)
    gone(server, one, at)
    again = one.create(server, one.first)
    same(one, "made once more", one.first, one.read(server, again))
    one.destroy(server, again)


def same(one, when, wanted, read, times=True):
    """Asserts that what was written is what is read."""
    for name, value in wanted.items():
        if name in one.secret or (not times and name.endswith("_time")):
            continue
        assert read.get(name) == value, f"{when}: {name} is {read.get(name)!r}, not {value!r}"


def refused(server, one):
    try:
        one.create(server, one.first)
    except AssertionError as answer:
        assert ": 409 " in str(answer), f"made twice: {answer}"
    else:
        raise AssertionError("it can be made twice")


def gone(server, one, at):
    try:
        read = one.read(server, at)
    except (Missing, StopIteration):
        return
    raise AssertionError(f"destroyed, and still there: {read}")


def simple(path):
    """Create, read, change, find and destroy where the contract has all five at one path."""
    return {
        "create": lambda server, fields: server.post(path, fields),
        "read": lambda server, at: server.get(at),
        "change": lambda server, at, fields: server.put(at, fields),
        "find": lambda server: None,
        "destroy": lambda server, at: server.delete(at),
    }


def first(items, **wanted):
    return next(one for one in items if all(one.get(name) == value for name, value in wanted.items()))


def change_user(server, at, fields):
    server.put(at, {**fields, "username": "ulla", "password": PASSWORD, "new_password": PASSWORD})
    server.put(f"{at}/sysadmin", {"sysadmin_flag": fields.get("sysadmin_flag", False)})


USER = Resource(
    "user", ["createUser", "deleteUser"],
    {"username": "ulla", "password": PASSWORD, "email": "ulla@example.com", "realname": "Ulla", "comment": "one"},
    {"email": "ulla@example.org", "realname": "Ulla L", "comment": "two", "sysadmin_flag": True},
    **{**simple("/users"), "create": lambda server, fields: server.post("/users", {**fields, "new_password": PASSWORD}), "change": change_user,
       "find": lambda server: f"/users/{first(server.get('/users/search?username=ulla'), username='ulla')['user_id']}"},
    secret=("password",))


def quotas(server):
    """All quotas, page by page until one is empty."""
    found, page = [], 1
    while more := server.get(f"/quotas/?page={page}&page_size=100"):
        found, page = found + more, page + 1
    return found


def read_project(server, at):
    """A project with its quota, as it is written."""
    project = server.get(at)
    quota = next(one for one in quotas(server) if one["ref"]["id"] == project["project_id"])
    return {**project, "project_name": project["name"], "storage_limit": quota["hard"]["storage"], "quota": quota["id"]}


def change_project(server, at, fields):
    server.put(at, {"project_name": "acre", "cve_allowlist": {}, **fields})
    server.put(f"/quotas/{read_project(server, at)['quota']}", {"hard": {"storage": fields["storage_limit"]}})


def metadata(**given):
    return {"enable_content_trust": "false", "enable_content_trust_cosign": "false", "auto_sbom_generation": "false",
            "reuse_sys_cve_allowlist": "true", **given}


PROJECT = Resource(
    "project", ["createProject", "updateQuota"],
    {"project_name": "acre", "metadata": metadata(public="true", auto_scan="true", severity="high", prevent_vul="true"),
     "storage_limit": 5 << 30},
    {"metadata": metadata(public="false", auto_scan="false", severity="low", prevent_vul="false"), "storage_limit": -1},
    create=lambda server, fields: server.post("/projects", {"cve_allowlist": {}, **fields}),
    read=read_project, change=change_project,
    find=lambda server: f"/projects/{server.get('/projects/acre')['project_id']}",
    destroy=lambda server, at: server.delete(at))


def member_at(server, name):
    return f"/projects/land/members/{first(server.get(f'/projects/land/members?entityname={name}'), entity_name=name)['id']}"


# Who is no group is an empty one.
LENA = {"member_group": {}, "member_user": {"username": "lena"}}

MEMBER = Resource(
    "project member", ["createProjectMember", "deleteProjectMember"], {"role_id": 3}, {"role_id": 4},
    create=lambda server, fields: same_place(server.post("/projects/land/members", {**fields, **LENA})),
    read=lambda server, at: server.get(at),
    change=lambda server, at, fields: server.put(at, {**fields, **LENA}),
    find=lambda server: member_at(server, "lena"),
    destroy=lambda server, at: server.delete(at))


def same_place(path):
    """A member's path by the project's name, whichever way the project was named."""
    return f"/projects/land/members/{path.split('/')[-1]}"


def create_robot(server, fields):
    made = server.ask("POST", "/robots", fields, expect=[201])
    assert made.json()["secret"], "a robot is made without a secret"
    return f"/robots/{made.json()['id']}"


def change_robot(server, at, fields):
    """The name is sent as it was read, and what is false is left out."""
    robot = server.get(at)
    server.put(at, {"name": robot["name"], "level": robot["level"], **{name: value for name, value in fields.items() if value}})


def robot(level, name, full, first_permissions, second_permissions):
    return Resource(
        f"{level} robot", ["CreateRobot", "UpdateRobot"],
        {"name": name, "level": level, "duration": 30, "description": "one", "disable": False, "permissions": first_permissions},
        {"duration": -1, "description": "two", "disable": True, "permissions": second_permissions},
        create=create_robot, read=lambda server, at: read_robot(server, at, full, name), change=change_robot,
        find=lambda server: f"/robots/{first(server.get('/robots' + robots_of(server, level)), name=full)['id']}",
        destroy=lambda server, at: server.delete(at))


def read_robot(server, at, full, name):
    robot = server.get(at)
    assert robot["name"] == full, f"the robot is called {robot['name']}"
    permissions = [{**one, "access": sorted(one["access"], key=lambda it: it["action"])} for one in robot["permissions"]]
    return {**robot, "name": name, "permissions": permissions}


def robots_of(server, level):
    if level == "system":
        return ""
    return "?q=" + quote(f"Level=project,ProjectID={server.get('/projects/land')['project_id']}")


ROBOTS = [
    robot("project", "hand", "robot$land+hand", [PULL], [PUSH]),
    robot("system", "head", "robot$head", [{**PULL, "namespace": "*"}], [{**PUSH, "namespace": "*"}]),
]


def label(scope, more, query):
    return Resource(
        f"label ({scope})", ["CreateLabel", "UpdateLabel"],
        {"name": "ripe", "color": "#00FF00", "description": "one", "scope": scope, **more},
        {"name": "overripe", "color": "#FF0000", "description": "two", "scope": scope, **more},
        **{**simple("/labels"),
           "find": lambda server: f"/labels/{first(server.get(f'/labels?scope={scope}{query}'), name='overripe')['id']}"})


def rules(server):
    return server.get("/projects/land/immutabletagrules")


def rule(pattern, disabled):
    return {"disabled": disabled, "action": "immutable", "template": "immutable_template",
            "scope_selectors": {"repository": [{"kind": "doublestar", "decoration": "repoMatches", "pattern": "**"}]},
            "tag_selectors": [{"kind": "doublestar", "decoration": "matches", "pattern": pattern}]}


def read_rule(server, at):
    found = first(rules(server), id=int(at.split("/")[-1]))
    # Fields that are false are left out.
    return {"disabled": False, **found}


RULE = Resource(
    "immutable tag rule", ["CreateImmuRule", "UpdateImmuRule"], rule("v*", False), rule("w*", False),
    create=lambda server, fields: "/rules/" + server.post("/projects/land/immutabletagrules", fields).split("/")[-1],
    read=read_rule,
    change=lambda server, at, fields: server.put("/projects/land/immutabletagrules/" + at.split("/")[-1],
                                                 {**fields, "id": int(at.split("/")[-1])}),
    find=lambda server: f"/rules/{rules(server)[0]['id']}",
    destroy=lambda server, at: server.delete("/projects/land/immutabletagrules/" + at.split("/")[-1]))

def retention(land):
    """A project's only policy, which is found by the project's setting."""
    def policy(count, cron):
        rule = {"action": "retain", "template": "latestPushedK", "params": {"latestPushedK": count},
                "tag_selectors": [{"kind": "doublestar", "decoration": "matches", "pattern": "**", "extras": '{"untagged":true}'}],
                "scope_selectors": {"repository": [{"kind": "doublestar", "decoration": "repoMatches", "pattern": "**"}]}}
        return {"algorithm": "or", "rules": [rule], "scope": {"level": "project", "ref": land},
                "trigger": {"kind": "Schedule", "settings": {"cron": cron}}}

    def read(server, at):
        found = server.get(at)
        found["trigger"]["settings"].pop("next_scheduled_time", None)
        return found

    return Resource(
        "retention policy", ["createRetention", "updateRetention"], policy(3, ""), policy(5, "0 0 2 * * *"),
        **{**simple("/retentions"), "read": read,
           "find": lambda server: "/retentions/" + server.get("/projects/land")["metadata"]["retention_id"]}, unique=False)


GROUP = Resource(
    "group", ["createUserGroup", "updateUserGroup"],
    {"group_name": "crew", "group_type": 3}, {"group_name": "staff", "group_type": 3},
    **{**simple("/usergroups"),
       "find": lambda server: f"/usergroups/{first(server.get('/usergroups'), group_name='staff')['id']}"})


def read_schedule(server, at):
    found = server.get(at)
    if not found:
        raise Missing(at)
    return {"type": found["schedule"]["type"], "cron": found["schedule"]["cron"],
            "parameters": {name: value for name, value in json.loads(found["job_parameters"]).items() if name in PARAMETERS[at]}}


PARAMETERS = {"/system/gc/schedule": ("delete_untagged", "workers"),
              "/system/purgeaudit/schedule": ("audit_retention_hour", "include_event_types")}


def schedule(name, at, needs, one, two):
    body = lambda fields: {"schedule": {"type": fields["type"], "cron": fields["cron"]}, "parameters": fields["parameters"], **NEVER}
    return Resource(
        name, needs,
        {"type": "Daily", "cron": "0 0 0 * * *", "parameters": one}, {"type": "Custom", "cron": "0 30 4 * * 1", "parameters": two},
        create=lambda server, fields: server.post(at, body(fields)) and at,
        read=lambda server, _: read_schedule(server, at),
        change=lambda server, _, fields: server.put(at, body(fields)),
        find=lambda server: at,
        destroy=lambda server, _: server.put(at, {"schedule": {"type": "None"}, "parameters": {}, **NEVER}),
        unique=False)


SCHEDULES = [
    schedule("GC schedule", "/system/gc/schedule", ["createGCSchedule", "updateGCSchedule"],
             {"delete_untagged": True, "workers": 1}, {"delete_untagged": False, "workers": 2}),
    schedule("purge schedule", "/system/purgeaudit/schedule", ["createPurgeSchedule", "updatePurgeSchedule"],
             {"audit_retention_hour": 24, "include_event_types": "create_artifact"},
             {"audit_retention_hour": 48, "include_event_types": "create_artifact,pull_artifact"}),
]


def rule_life(server):
    """A rule is switched off and on; where that changes, nothing else does."""
    at = server.post("/projects/land/immutabletagrules", rule("x*", False))
    number = int(at.split("/")[-1])
    for disabled in (True, False):
        server.put(at, {**rule("x*", disabled), "id": number})
        assert read_rule(server, at)["disabled"] is disabled, f"a rule is not {'disabled' if disabled else 'enabled'}"
    server.delete(at)


def quota_life(server):
    """A quota lives as long as its project."""
    land = server.get("/projects/land")["project_id"]
    found = server.get(f"/quotas?reference=project&reference_id={land}")[0]
    for limit in (1 << 30, 1 << 30, -1):
        server.put(f"/quotas/{found['id']}", {"hard": {"storage": limit}})
        assert server.get(f"/quotas/{found['id']}")["hard"] == {"storage": limit}, "a quota is read back with a difference"


def configuration_life(server):
    """The keys of the configuration are there from the start."""
    start = server.get("/configurations")
    values = {"project_creation_restriction": "adminonly", "robot_token_duration": 60, "token_expiration": 40,
              "session_timeout": 90, "robot_name_prefix": "bot$", "notification_enable": False, "quota_per_project_enable": True,
              "storage_per_project": 10 << 30, "banner_message": json.dumps({"message": "hi", "type": "info", "closable": True})}
    for _ in range(2):
        server.put("/configurations", values)
        read = server.get("/configurations")
        for name, value in values.items():
            assert read[name]["value"] == value, f"{name} is {read[name]['value']!r}, not {value!r}"
    server.put("/configurations", {name: start[name]["value"] for name in values})
    assert server.get("/configurations") == start, "the configuration is not as it was"


def resources(server):
    land = server.get("/projects/land")["project_id"]
    return [USER, PROJECT, MEMBER, *ROBOTS, label("g", {}, ""), label("p", {"project_id": land}, f"&project_id={land}"), RULE,
            retention(land), GROUP, *SCHEDULES]


def main():
    faults = []
    with Gantry(options.program) as gantry:
        server = Server(gantry)
        server.post("/projects", {"project_name": "land", "metadata": {"public": "false"}})
        server.post("/users", {"username": "lena", "password": PASSWORD, "email": "lena@example.com", "realname": "Lena"})
        lives = [(one.name, lambda one=one: live(server, one), one.needs) for one in resources(server)]
        lives += [("immutable tag rule, off and on", lambda: rule_life(server), RULE.needs), ("quota", lambda: quota_life(server), ["updateQuota"]),
                  ("configuration", lambda: configuration_life(server), ["updateConfigurations"])]
        for name, life, needs in lives:
            if not set(needs) <= server.there:
                print(f"{name} is not there yet")
                continue
            try:
                life()
                print(f"{name}: ok")
            except (AssertionError, Missing, KeyError, StopIteration, TypeError) as fault:
                faults.append(f"{name}: {type(fault).__name__} {fault}")
    for fault in faults:
        print(f"lifecycle: {fault}", file=sys.stderr)
    print(f"lifecycle: {len(faults)} faults")
    return 1 if faults else 0


parser = argparse.ArgumentParser()
parser.add_argument("program")
options = parser.parse_args()
sys.exit(main())
