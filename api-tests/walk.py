#!/usr/bin/env python3
"""The walk of somebody who is new: walk.py PROGRAM

Over REST, the registry and a real mail server (aiosmtpd, with STARTTLS and a password): registers, verifies the address,
signs in, forgets the password and sets a new one by the mail that arrives, makes a project, adds a colleague as a guest,
who pulls and does not push, then as a developer, who does, and finds all of that in the audit log by user, repository,
tag, operation and time. Exits with 1 where a step fails.
"""
import argparse
import datetime
import email
import email.policy
import json
import queue
import re
import ssl
import sys
import time
import urllib.parse

import parts

parts.packages()

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from client import Client, basic
from content import Pusher
from server import ADMIN_PASSWORD, Gantry, free_ports

FIRST, NEXT = "Walk-12345", "Walk-67890 %&+:ü"
MAIL_USER, MAIL_PASSWORD = "gantry", "mail %:secret"
URL = "https://registry.example:8443"
MAIL_SECONDS = 30
# Pulls are written every second.
PULL_SECONDS = 15


class MailServer:
    """A real one, which wants TLS and a password."""

    def __init__(self, gantry):
        self.mails = queue.Queue()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        folder = gantry.data / "certs" / "server"
        context.load_cert_chain(*[next(folder.glob(kind)) for kind in ("*.crt", "*.key")])
        self.port = free_ports(1)[0]
        self.controller = Controller(
            self, hostname="127.0.0.1", port=self.port, tls_context=context, require_starttls=True,
            authenticator=self.authenticate, auth_required=True)

    def authenticate(self, _server, _session, _envelope, _mechanism, data):
        right = (data.login, data.password) == (MAIL_USER.encode(), MAIL_PASSWORD.encode())
        return AuthResult(success=right)

    async def handle_DATA(self, _server, _session, envelope):
        self.mails.put((envelope.rcpt_tos, email.message_from_bytes(envelope.content, policy=email.policy.default)))
        return "250 taken"

    def next_to(self, address):
        """Subject and text of the next mail, which has to be to this address."""
        to, mail = self.mails.get(timeout=MAIL_SECONDS)
        assert to == [address], to
        assert mail["From"] == "Gantry <gantry@registry.example>" and mail.get_content_type() == "text/plain", mail.as_string()
        return mail["Subject"], mail.get_content()

    def __enter__(self):
        self.controller.start()
        return self

    def __exit__(self, *_):
        self.controller.stop()


class Person:
    """Somebody who asks the API, with a name and a password or without."""

    def __init__(self, gantry, name=None, password=None):
        self.gantry, self.client, self.name = gantry, Client(gantry), name
        self.login = {"Authorization": basic(name, password)} if name else {}

    def ask(self, status, method, path, body=None, **headers):
        text = json.dumps(body).encode() if body is not None else None
        headers = {**self.login, "Content-Type": "application/json", **headers}
        answer = self.client.ask(method, path, headers, text)
        assert answer.status == status, f"{method} {path}: {answer.status} {answer.body.decode()}, not {status}"
        return answer

    def get(self, path):
        return self.ask(200, "GET", path).json()

    def docker_login(self):
        """Whether `docker login` works."""
        return self.client.ask("GET", "/service/token?service=harbor-registry", self.login).status == 200


def set_mail_up(admin, mail, gantry):
    settings = {"smtp_host": "127.0.0.1", "smtp_port": mail.port, "smtp_tls": "starttls", "smtp_user": MAIL_USER,
                "smtp_password": "wrong", "smtp_from": "Gantry <gantry@registry.example>", "external_url": URL}
    admin.ask(200, "PUT", "/api/v2.0/configurations", settings)
    # Step by step: an unknown CA, then a wrong password, then everything is right.
    assert try_out(admin) == (False, "settings resolve connect encrypt")
    admin.ask(200, "PUT", "/api/v2.0/configurations", {"smtp_ca": gantry.ca.read_text(encoding="ascii")})
    assert try_out(admin) == (False, "settings resolve connect encrypt sign_in")
    admin.ask(200, "PUT", "/api/v2.0/configurations", {"smtp_password": MAIL_PASSWORD, "self_registration": True})
    assert try_out(admin) == (True, "settings resolve connect encrypt sign_in send")
    assert "sends mails" in mail.next_to("ops@example.com")[0]


def try_out(admin):
    tried = admin.ask(200, "POST", "/api/ext/v1/mail/test", {"to": "ops@example.com"}).json()
    return tried["ok"], " ".join(step["step"] for step in tried["steps"])


def register(gantry, mail, name):
    nobody = Person(gantry)
    new = {"username": name, "password": FIRST, "email": f"{name}@example.com", "realname": f"{name} of Walk"}
    nobody.ask(201, "POST", "/api/v2.0/users", new, **{"X-Forwarded-Host": "evil.example"})
    assert not Person(gantry, name, FIRST).docker_login(), "the address is not verified yet"
    subject, text = mail.next_to(f"{name}@example.com")
    assert "registry.example" in subject and "evil" not in text, text
    nobody.ask(200, "POST", "/api/ext/v1/users/verify", {"token": token(text, "verify")})
    person = Person(gantry, name, FIRST)
    assert person.docker_login() and person.get("/api/v2.0/users/current")["username"] == name
    return person


def token(text, page):
    found = re.search(re.escape(URL) + f"/ui/{page}#([0-9a-f]{{64}})\\b", text)
    assert found, text
    return found[1]


def forget(gantry, mail, name):
    """The same person with a new password."""
    nobody = Person(gantry)
    nobody.ask(202, "POST", "/api/ext/v1/password/forgot", {"email": f"{name}@example.com"}, **{"Accept-Language": "zh-CN"})
    subject, text = mail.next_to(f"{name}@example.com")
    assert "密码" in subject and name in text, text
    change = {"token": token(text, "reset"), "new_password": NEXT}
    nobody.ask(200, "POST", "/api/ext/v1/password/reset", change)
    nobody.ask(400, "POST", "/api/ext/v1/password/reset", change)
    assert not Person(gantry, name, FIRST).docker_login()
    person = Person(gantry, name, NEXT)
    assert person.docker_login()
    return person


def share(gantry, ann, bob):
    """A project in which the colleague is a guest, then a developer; what bob did when."""
    ann.ask(201, "POST", "/api/v2.0/projects", {"project_name": "walk", "metadata": {"public": "false"}})
    Pusher(gantry, ann.name, NEXT).image("walk/app", "v1")
    members = "/api/v2.0/projects/walk/members"
    made = ann.ask(201, "POST", members, {"role_id": 3, "member_user": {"username": bob.name}})
    pusher = Pusher(gantry, bob.name, FIRST)
    pusher.pull("walk/app", "v1")
    refused = pusher.ask("POST", "/v2/walk/app/blobs/uploads/", "walk/app")
    assert refused.status in (401, 403), refused.status
    ann.ask(200, "PUT", made.header("Location"), {"role_id": 2})
    pusher.image("walk/app", "v2", b"another layer")
    pusher.pull("walk/app", "v2")


def look(admin, ann, begun):
    """Finds it in the audit log, as an administrator and as the project's admin."""
    now = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=5)
    times = [one.strftime("%Y-%m-%dT%H:%M:%S") for one in (begun, now)]
    conditions = {
        "username": "username=bob",
        "repository": "repository=walk/app",
        "tag": "tag=v2",
        "operation": "operation=create",
        "time": f"op_time=[{times[0]}~{times[1]}]",
    }
    everything = ",".join(conditions.values())
    for person, path in ((admin, "/api/v2.0/auditlog-exts"), (ann, "/api/v2.0/projects/walk/auditlog-exts")):
        def found(condition, person=person, path=path):
            return person.get(f"{path}?page_size=100&q={urllib.parse.quote(condition)}")
        by_all = found(everything)
        assert [one["resource"] for one in by_all] == ["walk/app:v2"], by_all
        for name, condition in conditions.items():
            assert by_all[0] in found(condition), f"not found by {name}"
        until = time.monotonic() + PULL_SECONDS
        pulled = set()
        while pulled != {"walk/app:v1", "walk/app:v2"}:
            assert time.monotonic() < until, pulled
            time.sleep(0.1)
            pulled = {one["resource"] for one in found("username=bob,operation=pull,repository=walk/app")}
    told = [one["operation_description"] for one in admin.get("/api/v2.0/auditlog-exts?page_size=100&q="
            + urllib.parse.quote("resource_type=user,resource=ann"))]
    for detail in ("registered", "mail address verified", "link for a new password mailed", "password, by a mailed link"):
        assert any(f"({detail})" in one for one in told), f"{detail}: {told}"


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("program")
    program = arguments.parse_args().program
    begun = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=5)
    with Gantry(program, {"GANTRY_OUTGOING__ALLOW": "127.0.0.0/8"}) as gantry, MailServer(gantry) as mail:
        admin = Person(gantry, "admin", ADMIN_PASSWORD)
        set_mail_up(admin, mail, gantry)
        register(gantry, mail, "ann")
        ann = forget(gantry, mail, "ann")
        bob = register(gantry, mail, "bob")
        share(gantry, ann, bob)
        look(admin, ann, begun)
        assert mail.mails.empty(), "nobody else is written to"
    print("registered, verified, forgot, reset, shared and found")
    return 0


if __name__ == "__main__":
    sys.exit(main())
