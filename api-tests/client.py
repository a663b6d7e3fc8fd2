"""Requests exactly as they are written: no path is cleaned, no header added but Host and Content-Length."""
import base64
import http.client
import json
import urllib.parse


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.body = status, body
        self.headers = headers

    def header(self, name):
        return self.headers.get(name)

    def json(self):
        """The body's value; None where it is no JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


class Client:
    """One connection to a server, which is opened anew where it was closed."""

    def __init__(self, gantry):
        self.connection = http.client.HTTPSConnection("127.0.0.1", gantry.port, context=gantry.tls, timeout=60)

    def ask(self, method, path, headers=None, body=None):
        for again in (True, False):
            try:
                return self.once(method, path, headers or {}, body)
            except (http.client.RemoteDisconnected, ConnectionError):
                self.connection.close()
                if not again:
                    raise
        return None

    def once(self, method, path, headers, body):
        to = self.connection
        to.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers.items():
            to.putheader(name, value)
        if body is not None or method in ("POST", "PUT", "PATCH"):
            to.putheader("Content-Length", str(len(body or b"")))
        to.endheaders(body or None)
        answer = to.getresponse()
        return Answer(answer.status, answer.headers, answer.read())

    def token(self, authorization, scopes):
        """A token of the registry, for scopes like `repository:library/app:pull,push`."""
        query = urllib.parse.urlencode([("service", "harbor-registry")] + [("scope", scope) for scope in scopes])
        headers = {"Authorization": authorization} if authorization else {}
        return (self.ask("GET", f"/service/token?{query}", headers).json() or {}).get("token", "none")


def basic(name, password):
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()
