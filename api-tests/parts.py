"""Other people's clients and tools, in folders of their own: pinned, fetched once, kept in the cache."""
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys

import contract

HERE = pathlib.Path(__file__).resolve().parent
CACHE = pathlib.Path(os.environ.get("GANTRY_CACHE") or pathlib.Path.home() / ".cache" / "gantry") / "api-tests"
PACKAGE = "generated_harbor"


def packages():
    """Puts what `requirements.txt` names on the path."""
    folder = kept("packages", (HERE / "requirements.txt").read_bytes(), fetch)
    sys.path.insert(0, str(folder))
    os.environ["PYTHONPATH"] = str(folder)


def use():
    """The same, and a client that is generated."""
    packages()
    document = json.dumps(contract.document(), sort_keys=True).encode()
    sys.path.insert(0, str(kept("client", document, generate)))


def program(name):
    """A program of the packages."""
    return next(pathlib.Path(one) / "bin" / name for one in sys.path if (pathlib.Path(one) / "bin" / name).exists())


def kept(name, made_from, make):
    """A folder of the cache, made anew where what it is made from has changed."""
    folder = CACHE / f"{name}-{hashlib.sha256(made_from).hexdigest()[:12]}-{sys.version_info.major}.{sys.version_info.minor}"
    if not (folder / "done").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        make(folder, made_from)
        (folder / "done").touch()
    return folder


def fetch(folder, _):
    run(sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--root-user-action=ignore", "--target",
        folder, "-r", HERE / "requirements.txt")


def generate(folder, document):
    """Runs the generator; it needs java."""
    if not shutil.which("java"):
        raise SystemExit("missing: java (apt-get install default-jre-headless: generates a client)")
    (folder / "contract.json").write_bytes(document)
    run(sys.executable, program("openapi-generator"), "generate", "-g", "python", "-i", folder / "contract.json", "-o", folder,
        f"--additional-properties=packageName={PACKAGE}")


def run(*command):
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise SystemExit(f"{command[0]} fails:\n{done.stdout[-2000:]}")
