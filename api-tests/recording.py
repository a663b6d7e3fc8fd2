"""Exchanges with a real Harbor: as they were recorded (text), and condensed (JSON), which holds no text of Harbor's."""
import dataclasses
import json
import pathlib
import re

REQUEST = re.compile(r"^(?P<method>[A-Z]+) (?P<path>\S+)   \((?P<who>.*)\)$")
HEADER = re.compile(r"^([A-Z][A-Za-z0-9-]*): ?(.*)$")
TOKEN = re.compile(r"^bearer <jwt (\{.*\})>$")
# A body that the recording cuts off ends like this.
CUT = re.compile(r"…\[\d+ characters\]$")
# Headers of answers that are compared.
KEPT = ["Content-Type", "Location", "Link", "X-Total-Count", "Www-Authenticate", "Docker-Content-Digest",
        "Docker-Distribution-Api-Version", "Docker-Upload-Uuid"]


@dataclasses.dataclass
class Exchange:
    number: int
    name: str
    topic: str
    method: str
    path: str
    # A name, `anonymous`, an Authorization header as it stands, or `token SUBJECT SCOPE…`.
    who: str
    headers: dict
    body: str
    status: int
    answer: dict
    # Shape of the answer's body, and whether the recording holds all of it.
    shape: object
    whole: bool

    def condensed(self):
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False, separators=(",", ":"))


def read(folder):
    """All exchanges below a folder, by number."""
    found = []
    for path in sorted(pathlib.Path(folder).iterdir()):
        if path.suffix == ".txt":
            found += recorded(path)
        elif path.suffix == ".jsonl":
            found += [Exchange(**json.loads(line)) for line in path.read_text().splitlines()]
    return sorted(found, key=lambda one: one.number)


def recorded(path):
    blocks = re.split(r"(?m)^### (?=\d+ )", path.read_text())[1:]
    return [parsed(path.stem, block.rstrip("\n").split("\n")) for block in blocks]


def parsed(topic, lines):
    number, _, name = lines[0].partition(" ")
    request = REQUEST.match(lines[1])
    arrow = next(at for at, line in enumerate(lines) if line.startswith("→ "))
    headers, body = split(lines[2:arrow])
    answer, text = split(lines[arrow + 1:])
    shape, whole = shape_of_text(text)
    return Exchange(int(number), name, topic, request["method"], request["path"], asker(request["who"], name), headers,
                    body, int(lines[arrow].split()[1]), {k: v for k, v in answer.items() if k in KEPT}, shape, whole)


def split(lines):
    """Headers, and the body after them."""
    headers = {}
    for at, line in enumerate(lines):
        header = HEADER.match(line)
        if not header:
            return headers, "\n".join(lines[at:])
        headers[header[1]] = header[2]
    return headers, ""


def asker(who, name):
    token = TOKEN.match(who)
    if token:
        claims = json.loads(token[1])
        scopes = [f"{one['type']}:{one['name']}:{','.join(sorted(one['actions']))}" for one in claims["access"]]
        return " ".join(["token", claims["sub"], *scopes])
    # The recording does not show passwords: that one was wrong is in the exchange's name.
    return f"{who} with a wrong password" if re.search("bad-password|basic-bad$", name) else who


def shape_of_text(text):
    """Shape of a body, and whether it is all there."""
    if not text:
        return "nothing", True
    if CUT.search(text):
        return shape_of(salvaged(CUT.sub("", text))), False
    try:
        return shape_of(json.loads(re.sub(r'<jwt .*?>(?=")', "jwt", text))), True
    except ValueError:
        return "text", True


def salvaged(text):
    """The whole elements of a list or an object that was cut off."""
    for end in range(len(text), 0, -1):
        if text[end - 1] not in "}],":
            continue
        head = text[:end].rstrip(",")
        try:
            return without_last(json.loads(head + closing(head)))
        except ValueError:
            continue
    return None


def without_last(value):
    """The last element may lack fields, so it is left out."""
    if isinstance(value, list):
        return value[:-1] or value
    if isinstance(value, dict):
        *_, last = value
        return {**value, last: without_last(value[last])}
    return value


def closing(text):
    """What closes the brackets that are open at the end of this."""
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', "", text)
    opened = []
    for sign in bare:
        if sign in "{[":
            opened.append("}" if sign == "{" else "]")
        elif sign in "}]":
            opened.pop()
    return "".join(reversed(opened))


def shape_of(value):
    """Field names and types: an object's fields, what a list's elements have together, else the type's name.

    The one value that is kept is an error's code, as `=CODE`.
    """
    if isinstance(value, dict):
        return {name: code(one) if is_code(name, value) else shape_of(one) for name, one in sorted(value.items())}
    if isinstance(value, list):
        return [joined([shape_of(one) for one in value])] if value else []
    names = {type(None): "null", bool: "boolean", int: "number", float: "number", str: "string"}
    return names[type(value)]


def is_code(name, holder):
    return name == "code" and "message" in holder and isinstance(holder[name], str)


def code(value):
    return f"={value}"


def joined(shapes):
    """One shape for all elements of a list: fields that only some have are marked with a question mark."""
    if not all(isinstance(one, dict) for one in shapes):
        known = [one for one in shapes if one != "null"] or shapes
        return known[0]
    names = sorted({name for one in shapes for name in one})
    whole = {}
    for name in names:
        held = [one[name] for one in shapes if name in one]
        bare = name.rstrip("?")
        mark = "?" if len(held) < len(shapes) or name.endswith("?") else ""
        whole[bare + mark] = joined(held) if all(isinstance(one, dict) for one in held) else first_known(held)
    return whole


def first_known(shapes):
    return next((one for one in shapes if one not in ("null", [])), shapes[0])
