#!/usr/bin/env python3
"""Condenses recordings: condense.py FOLDER

FOLDER holds recordings as text. Writes `recordings/TOPIC.jsonl`: questions, statuses, headers, and of bodies only the
shape. Texts of Harbor's are left out.
"""
import argparse
import itertools
import pathlib

import recording

HERE = pathlib.Path(__file__).resolve().parent

parser = argparse.ArgumentParser()
parser.add_argument("folder")
options = parser.parse_args()
exchanges = sorted(recording.read(options.folder), key=lambda one: (one.topic, one.number))
for topic, found in itertools.groupby(exchanges, key=lambda one: one.topic):
    lines = [one.condensed() + "\n" for one in found]
    (HERE / "recordings" / f"{topic}.jsonl").write_text("".join(lines))
