"""Changes the database of a Samba domain controller that is not busy: one JSON array a line on standard input, in a transaction."""

import json
import sys

import ldb
from samba.auth import system_session
from samba.param import LoadParm
from samba.samdb import SamDB

lp = LoadParm()
lp.load(sys.argv[1])
db = SamDB(url=lp.private_path("sam.ldb"), session_info=system_session(), lp=lp)


def entry(name):
    return db.search(expression=f"(sAMAccountName={name})", attrs=[])[0].dn


def replace(dn, attribute, value):
    message = ldb.Message(dn)
    message[attribute] = ldb.MessageElement(value, ldb.FLAG_MOD_REPLACE, attribute)
    db.modify(message)


def person(name, password):
    db.newuser(name, password, mailaddress=f"{name}@example.test")


def group(name):
    db.newgroup(name)


def members(name, added):
    db.add_remove_group_members(name, added, add_members_operation=True)


def change(name, attribute, value):
    replace(entry(name), attribute, value)


def lockout(failures):
    replace(ldb.Dn(db, str(db.domain_dn())), "lockoutThreshold", failures)


ACTIONS = {"person": person, "group": group, "members": members, "set": change, "lockout": lockout}
db.transaction_start()
for line in sys.stdin:
    word, *words = json.loads(line)
    ACTIONS[word](*words)
db.transaction_commit()
