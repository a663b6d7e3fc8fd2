"""Pushes what a tour needs: images, indexes and what refers to them."""
import hashlib
import json

from client import Client, basic

OCI = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
EMPTY = "application/vnd.oci.empty.v1+json"
HISTORY = [{"created": "2026-01-02T03:04:05Z", "created_by": "tour"}]


class Pusher:
    def __init__(self, gantry, name, password):
        self.client, self.login = Client(gantry), basic(name, password)

    def ask(self, method, path, repository, kind=None, body=None):
        token = self.client.token(self.login, [f"repository:{repository}:pull,push,delete"])
        headers = {"Authorization": f"Bearer {token}", **({"Content-Type": kind} if kind else {})}
        return self.client.ask(method, path, headers, body)

    def blob(self, repository, content):
        digest = sha256(content)
        put = self.ask("POST", f"/v2/{repository}/blobs/uploads/?digest={digest}", repository,
                       "application/octet-stream", content)
        assert put.status == 201, (put.status, put.body)
        return {"digest": digest, "size": len(content)}

    def image(self, repository, tag, layer=b"a layer"):
        """Digest of an image that is pushed with this tag."""
        config = json.dumps({"architecture": "amd64", "os": "linux", "author": "tour", "config": {"Cmd": ["sh"]},
                             "created": "2026-01-02T03:04:05Z", "history": HISTORY,
                             "rootfs": {"type": "layers", "diff_ids": [sha256(layer)]}}).encode()
        return self.manifest(repository, tag, {
            "config": {"mediaType": CONFIG, **self.blob(repository, config)},
            "layers": [{"mediaType": LAYER, **self.blob(repository, layer)}]})

    def accessory(self, repository, subject):
        """Digest of a manifest that refers to another one."""
        return self.manifest(repository, None, {
            "artifactType": "application/vnd.example.note", "subject": {"mediaType": OCI, "digest": subject, "size": 1},
            "config": {"mediaType": EMPTY, **self.blob(repository, b"{}")}, "layers": []})

    def manifest(self, repository, tag, fields):
        body = json.dumps({"schemaVersion": 2, "mediaType": OCI, **fields}).encode()
        put = self.ask("PUT", f"/v2/{repository}/manifests/{tag or sha256(body)}", repository, OCI, body)
        assert put.status == 201, (put.status, put.body)
        return sha256(body)

    def pull(self, repository, reference):
        got = self.ask("GET", f"/v2/{repository}/manifests/{reference}", repository)
        assert got.status == 200, (got.status, got.body)


def sha256(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()
