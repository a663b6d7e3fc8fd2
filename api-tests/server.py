"""Starts a real `gantry serve` on loopback, with a fresh data folder and its own CA."""
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.request

ADMIN_PASSWORD = "Api-tests-12345"
START_SECONDS = 60
STOP_SECONDS = 30


class Gantry:
    """A running server; as a context manager, one that is ended and whose log is checked."""

    def __init__(self, program, settings=None):
        self.program = program
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="gantry-api-"))
        self.data = self.folder / "data"
        self.log = self.folder / "gantry.log"
        self.port, self.metrics_port = free_ports(2)
        self.url = f"https://127.0.0.1:{self.port}"
        self.ca = self.data / "certs" / "ca.crt"
        self.process = subprocess.Popen(
            [program, "serve", "--data", self.data, "--listen", f"127.0.0.1:{self.port}",
             "--metrics-listen", f"127.0.0.1:{self.metrics_port}"],
            env=environment(settings or {}), stdin=subprocess.DEVNULL,
            stdout=self.log.open("wb"), stderr=subprocess.STDOUT)
        self.wait_ready()
        self.tls = ssl.create_default_context(cafile=str(self.ca))

    def wait_ready(self):
        until = time.monotonic() + START_SECONDS
        while not answers(f"http://127.0.0.1:{self.metrics_port}/readyz"):
            if self.process.poll() is not None or time.monotonic() > until:
                self.process.kill()
                raise SystemExit(f"gantry is not ready: {self.last_lines()}")
            time.sleep(0.02)

    def last_lines(self):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-5:])

    def errors(self):
        """Lines of the log after which a person would have to act."""
        lines = self.log.read_text(errors="replace").splitlines()
        return [line for line in lines if " ERROR " in line or '"level":"ERROR"' in line or "panicked at" in line]

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise SystemExit(f"gantry does not end within {STOP_SECONDS} s") from None

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self.process.poll() is None:
            self.stop()
        errors = self.errors()
        shutil.rmtree(self.folder)
        if errors and kind is None:
            raise SystemExit("errors in the server's log:\n" + "\n".join(errors[:10]))


def environment(settings):
    """The caller's environment without settings of Gantry, and with these."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GANTRY_")}
    return {**kept, "GANTRY_ADMIN_PASSWORD": ADMIN_PASSWORD, **settings}


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def wait_for_port(process, port, what, seconds):
    """Waits until a process takes connections on loopback; ends it if it does not."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and process.poll() is None:
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.02)
    process.kill()
    raise SystemExit(f"{what} is not ready")
