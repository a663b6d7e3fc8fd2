"""Other people's clients and tools, in a virtual environment of their own: pinned, made once, kept in the cache."""
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


def use():
    """Goes on in the virtual environment, with the generated client at hand."""
    venv = kept("venv", (HERE / "requirements.txt").read_bytes(), make_venv)
    if pathlib.Path(sys.prefix) != venv:
        python = str(venv / "bin" / "python")
        os.execv(python, [python, *sys.argv])
    document = json.dumps(contract.document(), sort_keys=True).encode()
    sys.path.append(str(kept("client", document, generate)))


def kept(name, made_from, make):
    """A folder of the cache, made anew where what it is made from has changed."""
    folder = CACHE / f"{name}-{hashlib.sha256(made_from).hexdigest()[:12]}"
    done = folder / "done"
    if not done.exists():
        shutil.rmtree(folder, ignore_errors=True)
        make(folder, made_from)
        done.touch()
    return folder


def make_venv(folder, _):
    run(sys.executable, "-m", "venv", folder)
    run(folder / "bin" / "pip", "install", "-q", "--disable-pip-version-check", "-r", HERE / "requirements.txt")


def generate(folder, document):
    """Runs the generator in the virtual environment; it needs java."""
    if not shutil.which("java"):
        raise SystemExit("missing: java (apt-get install default-jre-headless: generates a client)")
    folder.mkdir(parents=True)
    (folder / "contract.json").write_bytes(document)
    run(pathlib.Path(sys.prefix) / "bin" / "openapi-generator", "generate", "-g", "python", "-i", folder / "contract.json",
        "-o", folder, f"--additional-properties=packageName={PACKAGE}")


def run(*command):
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise SystemExit(f"{command[0]} fails:\n{done.stdout[-2000:]}")
