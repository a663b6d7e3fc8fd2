"""Harbor's contract as a Swagger document, for generators of clients: written from the facts in `admin-api/tests/api`."""
import pathlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
FACTS = ROOT / "admin-api" / "tests" / "api"
PLAIN = {"string", "integer", "boolean", "number", "object"}


def lines(name):
    return [line for line in (FACTS / name).read_text().splitlines() if line and not line.startswith("#")]


def operations():
    """Method, path and id of each of Harbor's operations, and its parameters as they are written there."""
    return [(method, path, name, parameters) for method, path, name, *parameters in
            (line.split() for line in lines("harbor-operations.txt"))]


def document():
    bodies, types = facts()
    paths = {}
    for method, path, name, parameters in operations():
        known = bodies.get((method, path.rstrip("/")), {})
        paths.setdefault(path, {})[method.lower()] = {
            "operationId": name, "tags": ["harbor"], "security": [{"basic": []}],
            "parameters": [parameter(one, known.get("body")) for one in parameters],
            "responses": {"default": answer(known)}}
    return {"swagger": "2.0", "info": {"title": "Harbor's operations", "version": "2.0"}, "basePath": "/api/v2.0",
            "consumes": ["application/json"], "produces": ["application/json"],
            "securityDefinitions": {"basic": {"type": "basic"}}, "paths": paths, "definitions": types}


def facts():
    """Bodies by operation, and types by name."""
    bodies, types = {}, {}
    for line in lines("harbor-bodies.txt"):
        first, *rest = line.split(" ")
        if first.isupper() and rest[0].startswith("/"):
            path, which, kind = rest
            bodies.setdefault((first, path), {})[which] = schema(kind)
        elif rest[:1] == ["="]:
            types[first] = schema(rest[1])
        else:
            fields = dict(field.rsplit(":", 1) for field in rest)
            types[first] = {"type": "object", "properties": {name.strip("'"): schema(kind) for name, kind in fields.items()}}
    return bodies, types


def schema(kind):
    if kind.startswith("["):
        return {"type": "array", "items": schema(kind[1:-1])}
    if kind.startswith("{"):
        return {"type": "object", "additionalProperties": schema(kind[1:-1])}
    if kind == "file":
        return {"type": "string", "format": "binary"}
    return {"type": kind} if kind in PLAIN else {"$ref": f"#/definitions/{kind}"}


def parameter(text, body):
    place, name, kind = text.rstrip("!").split(":", 2)
    known = {"in": place, "name": name, "required": text.endswith("!")}
    if place == "body":
        return {**known, "schema": body or {"type": "object"}}
    return {**known, "type": kind, **({"items": {"type": "string"}} if kind == "array" else {})}


def answer(known):
    body = next((known[which] for which in sorted(known) if which != "body"), None)
    return {"description": "", **({"schema": body} if body else {})}
