"""What stands in a recording, and what stands for it in the server under test: ids, digests, uploads, secrets."""
import hashlib
import json
import re

ID = re.compile(r"/(users|projects|members|labels|robots|quotas|immutabletagrules|retentions|executions)/(\d+)(?=[/?]|$)")
# Ids in queries and bodies, and the kind that they belong to.
NAMED = {
    r"\bproject_id=(\d+)": "projects",
    r"\breference_id=(\d+)": "projects",
    r"\bProjectID%3D(\d+)": "projects",
    r"\bscope=/project/(\d+)": "projects",
    r"\blabels%3D\((\d+)\)": "labels",
    r'"project_id": ?(\d+)': "projects",
    r'"level": ?"project", ?"ref": ?(\d+)': "projects",
    r'"creator_ref": ?(\d+)': "users",
}
DIGEST = re.compile(r"(?<=sha256[:-])[0-9a-f]{64}")
UPLOAD = re.compile(r"/blobs/uploads/([0-9a-f]{8}-[0-9a-f-]{27})(?:\?_state=<state>)?")


class Mapping:
    def __init__(self):
        self.ids = {("users", 1): 1, ("projects", 1): 1}
        # Hexadecimal digits of a recorded digest, and those that stand for it.
        self.digests = {}
        self.uploads = {}

    def id(self, kind, recorded):
        return self.ids.get((kind, int(recorded)), int(recorded))

    def path(self, text):
        text = ID.sub(lambda hit: f"/{hit[1]}/{self.id(hit[1], hit[2])}", text)
        text = UPLOAD.sub(self.upload, text)
        return self.words(text)

    def upload(self, hit):
        return "/blobs/uploads/" + self.uploads.get(hit[1], hit[1])

    def body(self, path, text):
        text = self.words(text)
        kind = re.search(r"/(labels|robots|immutabletagrules|retentions)\b", path)
        if kind:
            text = re.sub(r'"id": ?(\d+)', lambda hit: f'"id": {self.id(kind[1], hit[1])}', text)
        return text

    def words(self, text):
        """Ids with a name, and digests."""
        for pattern, kind in NAMED.items():
            text = re.sub(pattern, lambda hit, of=kind: hit[0].replace(hit[1], str(self.id(of, hit[1]))), text)
        return DIGEST.sub(lambda hit: self.digests.get(hit[0], hit[0]), text)

    def learn(self, exchange, answer):
        """Takes ids, uploads and digests from an answer that made something."""
        theirs, ours = exchange.answer.get("Location", ""), answer.header("Location") or ""
        if answer.status >= 300 or exchange.status >= 300:
            return
        made, making = ID.search(last_id(theirs)), ID.search(last_id(ours))
        if made and making and made[1] == making[1]:
            self.ids[made[1], int(made[2])] = int(making[2])
        started = UPLOAD.search(theirs)
        if started and "/blobs/uploads/" in ours:
            self.uploads[started[1]] = ours.split("/blobs/uploads/", 1)[1]
        self.same_digest(exchange.answer.get("Docker-Content-Digest"), answer.header("Docker-Content-Digest"))

    def same_content(self, reference, body):
        """A manifest that is put by its digest has another one here, as what it names has."""
        theirs = sha256(body)
        if reference == f"sha256:{theirs}":
            self.digests[theirs] = sha256(self.words(body))

    def same_digest(self, theirs, ours):
        if theirs and ours:
            self.digests[theirs.split(":")[1]] = ours.split(":")[1]


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def last_id(location):
    """The end of a location: its last kind and id."""
    return "/" + "/".join(location.rstrip("/").split("/")[-2:])


class Contents:
    """Blobs and manifests in place of recorded ones: other bytes, as many of them."""

    def __init__(self, mapping):
        self.mapping = mapping
        self.bytes = {}

    def blob(self, digits, size, is_config):
        """Digest and bytes of the blob that stands for a recorded one."""
        if digits not in self.bytes:
            content = config(digits, size) if is_config else filler(digits, size)
            self.bytes[digits] = content
            self.mapping.digests[digits] = hashlib.sha256(content).hexdigest()
        return self.mapping.digests[digits], self.bytes[digits]


def config(seed, size):
    """An image's configuration of this size, if it fits; made for `seed`."""
    value = {"architecture": "amd64", "os": "linux", "author": "golden", "created": "2026-01-02T03:04:05Z",
             "config": {"Cmd": ["sh"], "Env": ["A=b"]},
             "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(seed.encode()).hexdigest()}"]},
             "history": [{"created": "2026-01-02T03:04:05Z", "created_by": "golden"}]}
    return json.dumps(value).encode().ljust(size)


def filler(seed, size):
    return hashlib.shake_256(seed.encode()).digest(size)
