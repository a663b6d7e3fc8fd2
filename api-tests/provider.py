"""Starts a real OpenID provider on loopback, the one of the testkit."""
import pathlib
import subprocess

from server import free_ports, wait_for_port

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "testkit" / "oidc"
CLIENT, SECRET = "gantry", "Oidc-12345"
START_SECONDS = 30
STOP_SECONDS = 10


class Provider:
    """A running oidc-provider, as a context manager."""

    def __init__(self, gantry_url):
        self.gantry_url = gantry_url

    def __enter__(self):
        if not (FOLDER / "node_modules").is_dir():
            subprocess.run(["npm", "ci", "--ignore-scripts", "--silent"], cwd=FOLDER, check=True)
        self.port = free_ports(1)[0]
        command = ["node", FOLDER / "provider.mjs", str(self.port), CLIENT, SECRET, self.gantry_url]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for_port(self.process, self.port, "oidc-provider", START_SECONDS)
        return self

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(STOP_SECONDS)
