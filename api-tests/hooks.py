"""Hooks of schemathesis: half of all paths name what is there, so that requests reach further than a 404."""
import os
import zlib

import schemathesis

KNOWN = {
    "project_name_or_id": lambda turn: f"fuzz{turn % 8}",
    "project_name": lambda turn: f"fuzz{turn % 8}",
    "repository_name": lambda turn: ["app", "deep%2Fapp"][turn % 2],
    "reference": lambda turn: ["v1", "v2", os.environ["FUZZED_DIGEST"]][turn % 3],
    "tag_name": lambda turn: ["v1", "v2"][turn % 2],
    "addition": lambda turn: ["build_history", "readme.md", "values.yaml"][turn % 3],
    "meta_name": lambda turn: ["public", "auto_scan", "severity"][turn % 3],
    # Ids that are there count from 1.
    "mid": lambda turn: turn % 12,
    "id": lambda turn: turn % 12,
    "user_id": lambda turn: turn % 8,
    "label_id": lambda turn: turn % 6,
    "robot_id": lambda turn: turn % 6,
    "group_id": lambda turn: turn % 6,
    "immutable_rule_id": lambda turn: turn % 6,
    "workload_rule_id": lambda turn: turn % 6,
    "gc_id": lambda turn: turn % 6,
    "purge_id": lambda turn: turn % 6,
}


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    if not isinstance(path_parameters, dict):
        return path_parameters
    if str(path_parameters.get("user_id")).strip("[]+ ") in os.environ["FUZZING_USERS"].split():
        # Who asks must be able to go on.
        path_parameters = {**path_parameters, "user_id": "2"}
    turn = zlib.crc32(repr(sorted(path_parameters.items(), key=str)).encode())
    if turn % 2:
        return path_parameters
    return {name: str(KNOWN[name](turn // 2)) if name in KNOWN else value for name, value in path_parameters.items()}
