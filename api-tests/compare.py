"""Whether two answers are the same, as clients see it: status, headers, and field names and types of the body.

Decided once, for all exchanges:
- A null stands for an empty list or object, as Go writes them, and is the same as either. It is not the same as no field.
- A list without elements is the same as any list. Fields that only some of a list's elements have may be in any of them.
- Of values, only error codes are compared. Answers that differ in nothing else count as the same, for it is not the
  shape that differs; yet a code that differs has to be explained.
- JSON is always UTF-8: `charset=utf-8` makes no difference. A Location may name the host or not.
- A header that Harbor did not send makes no difference, but for those that make clients act: Link, Location,
  X-Total-Count and Www-Authenticate.
"""
import re
import urllib.parse

from mapping import DIGEST

ACTING = ["Link", "Location", "X-Total-Count", "Www-Authenticate"]


def differences(exchange, answer, shape, mapping):
    if answer.status != exchange.status:
        return [f"status {answer.status}, Harbor {exchange.status}"]
    found = headers(exchange, answer, mapping)
    return found + shapes("body", exchange.shape, shape, exchange.whole)


def headers(exchange, answer, mapping):
    found = []
    for name in sorted({*exchange.answer, *ACTING}):
        theirs, ours = exchange.answer.get(name, "").strip(), (answer.header(name) or "").strip()
        how = COMPARED.get(name, as_it_is)
        if how(theirs, ours, mapping):
            continue
        found.append(f"{name}: {ours or 'none'}, Harbor {theirs or 'none'}")
    return found


def as_it_is(theirs, ours, _):
    return theirs == ours


def present(theirs, ours, _):
    return bool(theirs) == bool(ours)


def media_type(theirs, ours, _):
    plain = lambda text: re.sub(r"; ?charset=utf-8", "", text.lower())
    return not theirs or plain(theirs) == plain(ours)


def location(theirs, ours, _):
    return anonymous(theirs) == anonymous(ours)


def anonymous(text):
    """A location's path, with placeholders for what differs from server to server."""
    path = urllib.parse.urlsplit(text).path
    path = re.sub(r"(/blobs/uploads/).+", r"\1U", path)
    return re.sub(r"/\d+$", "/N", DIGEST.sub("D", path))


def link(theirs, ours, _):
    return relations(theirs) == relations(ours)


def relations(text):
    parts = re.findall(r'<([^>]*)>; rel="(\w+)"', text)
    return {rel: (urllib.parse.urlsplit(url).path, urllib.parse.parse_qs(urllib.parse.urlsplit(url).query))
            for url, rel in parts}


def challenge(theirs, ours, _):
    return parameters(theirs) == parameters(ours)


def parameters(text):
    scheme, _, rest = text.partition(" ")
    named = dict(re.findall(r'(\w+)="([^"]*)"', rest))
    if named.get("realm", "").startswith("https://"):
        named["realm"] = urllib.parse.urlsplit(named["realm"]).path
    return scheme, named


def digest(theirs, ours, mapping):
    return mapping.words(theirs) == ours


COMPARED = {"Content-Type": media_type, "Location": location, "Link": link, "X-Total-Count": present,
            "Www-Authenticate": challenge, "Docker-Content-Digest": digest, "Docker-Upload-Uuid": present}


def shapes(where, theirs, ours, whole):
    """Differences of two shapes, each named by where it is."""
    empty = theirs == "null" and isinstance(ours, (list, dict)) or ours == "null" and isinstance(theirs, (list, dict))
    if theirs == ours or empty:
        return []
    if isinstance(theirs, list) and isinstance(ours, list):
        return shapes(f"{where}[]", theirs[0], ours[0], whole) if theirs and ours else []
    if isinstance(theirs, dict) and isinstance(ours, dict):
        return fields(where, theirs, ours, whole)
    return [f"{where} is {kind(ours)}, Harbor {kind(theirs)}"]


def fields(where, theirs, ours, whole):
    found = []
    bare_theirs = {name.rstrip("?"): name for name in theirs}
    bare_ours = {name.rstrip("?"): name for name in ours}
    for name, theirs_name in bare_theirs.items():
        if name in bare_ours:
            found += shapes(f"{where}.{name}", theirs[theirs_name], ours[bare_ours[name]], whole)
        elif not theirs_name.endswith("?"):
            found.append(f"{where} lacks {name}")
    if whole:
        found += [f"{where} has {name} besides" for name in bare_ours if name not in bare_theirs]
    return found


def is_code_only(differs):
    """Whether nothing but an error's code differs."""
    return bool(differs) and all(".code is " in one for one in differs)


def kind(shape):
    if isinstance(shape, (dict, list)):
        return "an object" if isinstance(shape, dict) else "a list"
    return shape.lstrip("=")
