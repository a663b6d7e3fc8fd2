"""Starts a real slapd on loopback, with two people and a group."""
import pathlib
import shutil
import subprocess
import tempfile

from server import free_ports, wait_for_port

BASE = "dc=example,dc=test"
READER, READER_PASSWORD = f"cn=reader,{BASE}", "Reader-12345"
PASSWORD = "Ldap-12345"
GROUP = f"cn=crane,{BASE}"
START_SECONDS = 20
STOP_SECONDS = 10

CONFIGURATION = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {folder}/pid
database mdb
suffix {base}
directory {folder}/data
maxsize 16777216
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{reader}" read by * auth
"""

SEED = f"""
dn: {BASE}
objectClass: dcObject
objectClass: organization
o: example
dc: example

dn: {READER}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: reader
userPassword: {READER_PASSWORD}
"""

PERSON = """
dn: uid={uid},{base}
objectClass: inetOrgPerson
uid: {uid}
cn: {uid} of the office
sn: {uid}
mail: {uid}@example.test
userPassword: {password}
"""

MEMBERS = """
dn: {group}
objectClass: groupOfNames
cn: crane
member: uid=lena,{base}
"""


class Directory:
    """A running slapd, as a context manager."""

    def __enter__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="gantry-slapd-"))
        (self.folder / "data").mkdir()
        configuration, seed = self.folder / "slapd.conf", self.folder / "seed.ldif"
        configuration.write_text(CONFIGURATION.format(folder=self.folder, base=BASE, reader=READER))
        people = "".join(PERSON.format(uid=uid, base=BASE, password=PASSWORD) for uid in ("lena", "lars"))
        seed.write_text(SEED + people + MEMBERS.format(group=GROUP, base=BASE))
        subprocess.run(["slapadd", "-q", "-f", configuration, "-l", seed], check=True)
        self.port = free_ports(1)[0]
        self.process = subprocess.Popen(["slapd", "-d", "0", "-h", f"{self.url}/", "-f", configuration],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for_port(self.process, self.port, "slapd", START_SECONDS)
        return self

    @property
    def url(self):
        return f"ldap://127.0.0.1:{self.port}"

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(STOP_SECONDS)
        shutil.rmtree(self.folder)
