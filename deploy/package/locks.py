#!/usr/bin/env python3
"""Lock files of what is in the program, from which an SBOM is made.

locks.py ROOT CRATES FOLDER     writes FOLDER/Cargo.lock with the crates of Cargo.lock that CRATES (from `cargo tree`)
                                names, and FOLDER/package-lock.json with the npm packages that the web UI's sources use
locks.py --settle SBOM TO       writes a CycloneDX file without its time, its random number and the path of a folder
"""
import json
import pathlib
import re
import sys


def crates(root, listed):
    """Stanzas of Cargo.lock whose name and version are listed."""
    wanted = set(re.findall(r"^(\S+) v(\S+)", listed, re.M))
    head, *stanzas = (root / "Cargo.lock").read_text().split("[[package]]\n")
    kept = [one for one in stanzas if tuple(re.findall(r'^(?:name|version) = "(.*)"$', one, re.M)[:2]) in wanted]
    if len(kept) != len(wanted):
        sys.exit(f"locks.py: Cargo.lock has {len(kept)} of the {len(wanted)} crates that are compiled in")
    return head + "".join(f"[[package]]\n{one}" for one in kept)


def bundled(root):
    """The packages that sources of the pages import, and what those need, as a package-lock.json."""
    lock = json.loads((root / "ui" / "package-lock.json").read_text())
    direct = set()
    for path in (root / "ui" / "src").rglob("*"):
        if path.suffix in (".ts", ".svelte") and not path.name.endswith(".test.ts"):
            direct.update(re.findall(r"""(?:from|import\() ?['"]([a-z][a-z0-9-]*|@[a-z0-9-]+/[a-z0-9-]+)""", path.read_text()))
    todo, kept = [f"node_modules/{name}" for name in direct], {}
    while todo:
        path = todo.pop()
        if path in kept or path not in lock["packages"]:
            continue
        kept[path] = {key: value for key, value in lock["packages"][path].items() if key != "dev"}
        todo.extend(f"node_modules/{name}" for name in kept[path].get("dependencies", {}))
    if not kept:
        sys.exit("locks.py: no npm package is used by the pages, which cannot be")
    own = {"name": "gantry-ui", "version": "0.0.0", "dependencies": {name: "*" for name in sorted(direct)}}
    return {**lock, "packages": {"": own, **dict(sorted(kept.items()))}}


def settle(sbom):
    document = json.loads(pathlib.Path(sbom).read_text())
    document.pop("serialNumber", None)
    document["metadata"].pop("timestamp", None)
    # Made of the path of a folder that is another one each time.
    document["metadata"]["component"]["bom-ref"] = "gantry"
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


def main(arguments):
    if arguments[0] == "--settle":
        pathlib.Path(arguments[2]).write_text(settle(arguments[1]))
        return
    root, listed, folder = map(pathlib.Path, arguments)
    (folder / "Cargo.lock").write_text(crates(root, listed.read_text()))
    (folder / "package-lock.json").write_text(json.dumps(bundled(root), indent=1))


main(sys.argv[1:])
