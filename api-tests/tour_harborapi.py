#!/usr/bin/env python3
"""A tour of Gantry with harborapi, a client written by hand, whose models check every answer: tour_harborapi.py PROGRAM

Stops whose operations are not there yet are named. Exits with 1 where a stop fails.
"""
import argparse
import asyncio
import sys
import traceback

import parts

parts.use()

import harborapi.models as models
from harborapi import HarborAsyncClient
from harborapi.exceptions import Conflict, Forbidden, NotFound, PreconditionFailed

from api import operations_there
from client import Client
from content import Pusher
from server import ADMIN_PASSWORD, Gantry

PASSWORD = "Tour-12345"


async def system(harbor, _):
    assert await harbor.ping() == "Pong"
    assert (await harbor.health_check()).status == "healthy"
    info = await harbor.get_system_info()
    assert info.harbor_version.startswith("v2.") and info.auth_mode == "db_auth"
    assert (await harbor.get_system_volume_info()).storage[0].total > 0
    assert b"BEGIN CERTIFICATE" in bytes(await harbor.get_system_certificate())
    assert (await harbor.get_statistics()).total_project_count >= 1


async def configuration(harbor, _):
    assert (await harbor.get_config()).token_expiration.value == 30
    await harbor.update_config(models.Configurations(token_expiration=45))
    assert (await harbor.get_config()).token_expiration.value == 45
    await harbor.update_config(models.Configurations(token_expiration=30))


async def users(harbor, also):
    new = models.UserCreationReq(username="hugo", email="hugo@example.com", realname="Hugo", password=PASSWORD, comment="c")
    await harbor.create_user(new)
    assert await refused(Conflict, harbor.create_user(new))
    user = await harbor.get_user_by_username("hugo")
    assert user.email == "hugo@example.com" and user.sysadmin_flag is False
    assert [one.username for one in await harbor.get_users(query="username=hugo")] == ["hugo"]
    assert [one.user_id for one in await harbor.search_users_by_username("hug")] == [user.user_id]
    own = also("hugo", PASSWORD)
    assert (await own.get_current_user()).user_id == user.user_id
    assert await refused(Forbidden, own.get_users())
    await own.update_user(user.user_id, models.UserProfile(email="hugo@example.org", realname="Hugo H", comment="n"))
    assert (await harbor.get_user(user.user_id)).realname == "Hugo H"
    await own.set_user_password(user.user_id, PASSWORD + "x", PASSWORD)
    await harbor.set_user_admin(user.user_id, True)
    assert (await also("hugo", PASSWORD + "x").get_current_user()).sysadmin_flag is True
    assert await harbor.get_current_user_permissions(scope="/project/1", relative=True)
    await harbor.delete_user(user.user_id)
    assert await refused(NotFound, harbor.get_user(user.user_id))


async def projects(harbor, also):
    await harbor.create_project(models.ProjectReq(project_name="hall", metadata=models.ProjectMetadata(public="true")))
    assert await harbor.project_exists("hall") and not await harbor.project_exists("nope")
    project = await harbor.get_project("hall")
    assert project.metadata.public == "true" and project.owner_name == "admin"
    assert [one.project_id for one in await harbor.get_projects(name="hall")] == [project.project_id]
    await harbor.update_project("hall", models.ProjectReq(metadata=models.ProjectMetadata(public="false")))
    assert (await harbor.get_project("hall")).metadata.public == "false"
    assert (await harbor.get_project_summary("hall")).repo_count == 0
    assert (await harbor.get_project_deletable("hall")).deletable is True
    await harbor.set_project_metadata("hall", models.ProjectMetadata(auto_scan="true"))
    assert (await harbor.get_project_metadata("hall")).auto_scan == "true"
    await harbor.update_project_metadata_entry("hall", "auto_scan", {"auto_scan": "false"})
    assert (await harbor.get_project_metadata_entry("hall", "auto_scan"))["auto_scan"] == "false"
    await harbor.delete_project_metadata_entry("hall", "auto_scan")
    quota = (await harbor.get_quotas(reference="project", reference_id=str(project.project_id)))[0]
    await harbor.update_quota(quota.id, models.QuotaUpdateReq(hard=models.ResourceList({"storage": 4096})))
    assert (await harbor.get_quota(quota.id)).hard.root == {"storage": 4096}
    await members(harbor)
    await harbor.delete_project("hall")
    assert await refused(NotFound, harbor.get_project("hall"))


async def members(harbor):
    await harbor.create_user(models.UserCreationReq(username="hanna", email="hanna@example.com", realname="H", password=PASSWORD))
    await harbor.add_project_member_user("hall", "hanna", 3)
    member = next(one for one in await harbor.get_project_members("hall") if one.entity_name == "hanna")
    assert member.role_name == "guest"
    await harbor.update_project_member_role("hall", member.id, 2)
    assert (await harbor.get_project_member("hall", member.id)).role_name == "developer"
    await harbor.remove_project_member("hall", member.id)
    assert [one.entity_name for one in await harbor.get_project_members("hall")] == ["admin"]


async def repositories(harbor, also):
    await harbor.create_project(models.ProjectReq(project_name="hold"))
    also.pusher.image("hold/deep/app", "v1")
    assert [one.name for one in await harbor.get_repositories("hold")] == ["hold/deep/app"]
    assert (await harbor.search("hold")).repository[0].repository_name == "hold/deep/app"
    assert (await harbor.get_repository("hold", "deep/app")).artifact_count == 1
    await harbor.update_repository("hold", "deep/app", models.Repository(description="about"))
    assert (await harbor.get_repository("hold", "deep/app")).description == "about"
    await harbor.delete_repository("hold", "deep/app")
    assert await refused(NotFound, harbor.get_repository("hold", "deep/app"))


async def artifacts(harbor, also):
    await harbor.create_project(models.ProjectReq(project_name="hut"))
    digest = also.pusher.image("hut/app", "v1")
    found = await harbor.get_artifacts("hut", "app", with_tag=True)
    assert [one.digest for one in found] == [digest] and [tag.name for tag in found[0].tags] == ["v1"]
    artifact = await harbor.get_artifact("hut", "app", "v1")
    assert artifact.type == "IMAGE" and artifact.extra_attrs.root["author"] == "tour"
    assert await harbor.get_artifact_accessories("hut", "app", "v1") == []
    assert (await harbor.get_artifact_build_history("hut", "app", "v1"))[0].created_by == "tour"
    await harbor.create_artifact_tag("hut", "app", "v1", models.Tag(name="stable"))
    assert sorted(one.name for one in await harbor.get_artifact_tags("hut", "app", "v1")) == ["stable", "v1"]
    await harbor.delete_artifact_tag("hut", "app", "v1", "stable")
    await harbor.copy_artifact("hut", "copy", "hut/app:v1")
    assert (await harbor.get_artifact("hut", "copy", "v1")).digest == digest
    await harbor.delete_artifact("hut", "app", "v1")
    assert await refused(NotFound, harbor.get_artifact("hut", "app", "v1"))


async def labels(harbor, _):
    await harbor.create_label(models.Label(name="hot", color="#FF0000", scope="g"))
    label = (await harbor.get_labels(scope="g"))[0]
    assert (label.name, label.color) == ("hot", "#FF0000")
    await harbor.update_label(label.id, models.Label(name="cold", color="#0000FF", scope="g"))
    assert (await harbor.get_label(label.id)).name == "cold"
    await harbor.delete_label(label.id)
    assert await refused(NotFound, harbor.get_label(label.id))


async def immutability(harbor, also):
    await harbor.create_project(models.ProjectReq(project_name="hard"))
    also.pusher.image("hard/app", "v1")
    select = lambda decoration, pattern: models.ImmutableSelector(kind="doublestar", decoration=decoration, pattern=pattern)
    await harbor.create_project_immutable_tag_rule("hard", models.ImmutableRule(
        action="immutable", template="immutable_template", disabled=False,
        scope_selectors={"repository": [select("repoMatches", "**")]}, tag_selectors=[select("matches", "v*")]))
    rule = (await harbor.get_project_immutable_tag_rules("hard"))[0]
    assert rule.tag_selectors[0].pattern == "v*"
    assert await refused(PreconditionFailed, harbor.delete_artifact("hard", "app", "v1"))
    await harbor.delete_project_immutable_tag_rule("hard", rule.id)
    assert await harbor.get_project_immutable_tag_rules("hard") == []


async def retention(harbor, also):
    await harbor.create_project(models.ProjectReq(project_name="cellar"))
    project = (await harbor.get_project("cellar")).project_id
    also.pusher.image("cellar/app", "v1")
    select = lambda decoration, pattern: models.RetentionSelector(kind="doublestar", decoration=decoration, pattern=pattern)
    policy = models.RetentionPolicy(
        algorithm="or", scope=models.RetentionPolicyScope(level="project", ref=project),
        trigger=models.RetentionRuleTrigger(kind="Schedule", settings={"cron": "0 0 4 * * *"}),
        rules=[models.RetentionRule(action="retain", template="always", params={}, tag_selectors=[select("matches", "v*")],
                                    scope_selectors={"repository": [select("repoMatches", "**")]})])
    await harbor.create_retention_policy(policy)
    number = await harbor.get_project_retention_id("cellar")
    assert (await harbor.get_retention_policy(number)).rules[0].template == "always"
    assert len((await harbor.get_retention_metadata()).templates) == 5
    await harbor.start_retention_execution(number, dry_run=True)
    execution = (await harbor.get_retention_executions(number))[0]
    assert execution.policy_id == number and execution.dry_run is True
    await harbor.stop_retention_execution(number, execution.id)
    await harbor.delete_retention_policy(number)
    assert await refused(NotFound, harbor.get_retention_policy(number))


async def robots(harbor, also):
    access = [models.Access(resource="repository", action="pull"), models.Access(resource="repository", action="push")]
    made = await harbor.create_robot(models.RobotCreate(name="hob", level="system", duration=-1, permissions=[
        models.RobotPermission(kind="project", namespace="*", access=access)]))
    assert made.name == "robot$hob" and made.secret
    robot = await harbor.get_robot(made.id)
    assert robot.level == "system" and robot.duration == -1
    assert made.id in [one.id for one in await harbor.get_robots()]
    robot.disable = True
    await harbor.update_robot(made.id, robot)
    assert (await harbor.get_robot(made.id)).disable is True
    assert (await harbor.refresh_robot_secret(made.id, "Secret-12345")) is not None
    await harbor.delete_robot(made.id)
    assert await refused(NotFound, harbor.get_robot(made.id))


async def audit(harbor, _):
    assert isinstance(await harbor.get_audit_logs(), list)
    assert isinstance(await harbor.get_project_logs("library"), list)


async def collection(harbor, _):
    await harbor.create_gc_schedule(models.Schedule(schedule=models.ScheduleObj(type="Daily", cron="0 0 0 * * *")))
    assert (await harbor.get_gc_schedule()).schedule.cron == "0 0 0 * * *"
    await harbor.create_gc_schedule(models.Schedule(schedule=models.ScheduleObj(type="Manual")))
    jobs = await harbor.get_gc_jobs()
    assert (await harbor.get_gc_job(jobs[0].id)).id == jobs[0].id


async def purge(harbor, _):
    hours = {"audit_retention_hour": 24, "include_event_types": "pull_artifact", "dry_run": True}
    await harbor.create_purge_job_schedule(models.Schedule(
        schedule=models.ScheduleObj(type="Daily", cron="0 0 0 * * *"), parameters=hours))
    assert (await harbor.get_purge_job_schedule()).schedule.cron == "0 0 0 * * *"
    assert isinstance(await harbor.get_purge_job_history(), list)


async def allowlist(harbor, _):
    await harbor.update_cve_allowlist(models.CVEAllowlist(items=[models.CVEAllowlistItem(cve_id="CVE-2026-2")]))
    assert [one.cve_id for one in (await harbor.get_cve_allowlist()).items] == ["CVE-2026-2"]


# Stops, each with the operations of Harbor's that it needs.
STOPS = [
    (system, []), (configuration, []), (users, []), (projects, []), (repositories, ["updateRepository", "deleteRepository"]),
    (artifacts, ["getArtifact", "createTag", "CopyArtifact", "getAddition", "listAccessories"]), (labels, ["CreateLabel"]),
    (immutability, ["CreateImmuRule", "deleteArtifact"]), (retention, ["createRetention"]), (robots, ["CreateRobot"]), (audit, ["listAuditLogs", "getLogs"]),
    (collection, ["createGCSchedule", "getGC"]), (purge, ["createPurgeSchedule", "getPurgeHistory"]),
    (allowlist, ["putSystemCVEAllowlist"]),
]


async def refused(kind, call):
    try:
        await call
    except kind:
        return True
    return False


class Also:
    """The same client as another account, and a pusher."""

    def __init__(self, gantry):
        self.gantry = gantry
        self.pusher = Pusher(gantry, "admin", ADMIN_PASSWORD)

    def __call__(self, name, password):
        return HarborAsyncClient(url=self.gantry.url + "/api/v2.0", username=name, secret=password, verify=str(self.gantry.ca))


async def take(gantry):
    there = operations_there(Client(gantry).ask("GET", "/api/openapi.json").json())
    also, faults = Also(gantry), []
    for stop, needs in STOPS:
        if not set(needs) <= there:
            print(f"harborapi: {stop.__name__} is not there yet")
            continue
        try:
            await stop(also("admin", ADMIN_PASSWORD), also)
            print(f"harborapi: {stop.__name__}: ok")
        except Exception:
            faults.append(f"{stop.__name__}: {traceback.format_exc(limit=-3)}")
    return faults


def main():
    with Gantry(options.program) as gantry:
        faults = asyncio.run(take(gantry))
    for fault in faults:
        print(f"tour_harborapi: {fault}", file=sys.stderr)
    print(f"tour_harborapi: {len(faults)} faults")
    return 1 if faults else 0


parser = argparse.ArgumentParser()
parser.add_argument("program")
options = parser.parse_args()
sys.exit(main())
