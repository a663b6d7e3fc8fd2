//! What is made for an attempt, so that none destroys what the next one needs.

use serde_json::json;

use super::Action;
use super::Action::*;
use super::world::World;
use crate::harness::{Answer, Client, Role, fresh, image};

impl World<'_> {
    /// Tries an action on artifacts or tags.
    pub(super) async fn attempt_content(&self, caller: &Client, action: Action) -> Answer {
        let admin = self.server.admin();
        let repository = self.project.repository("app");
        let here = format!("projects/{}/repositories/app", self.project.name);
        let (rest, own) = (format!("/api/v2.0/{here}"), format!("/api/ext/v1/{here}"));
        let latest = format!("{rest}/artifacts/latest");
        match action {
            ListArtifacts => caller.get(&format!("{rest}/artifacts")).await,
            GetArtifact => caller.get(&latest).await,
            CopyArtifact => {
                let from = format!("from={}:latest", self.own.repository("app"));
                caller.post(&format!("{rest}/artifacts?{from}")).await
            }
            DeleteArtifact => {
                let doomed = image(&fresh("doomed"));
                admin.push_image(&repository, &doomed.digest, &doomed).await;
                let path = format!("{rest}/artifacts/{}", doomed.digest);
                caller.delete(&path).await
            }
            ListAccessories => caller.get(&format!("{latest}/accessories")).await,
            ReadAddition => {
                caller
                    .get(&format!("{latest}/additions/build_history"))
                    .await
            }
            ListArtifactTags => caller.get(&format!("{latest}/tags")).await,
            CreateTag => {
                let tag = json!({ "name": fresh("tag") });
                caller.post(&format!("{latest}/tags")).json(&tag).await
            }
            RemoveTag => {
                let name = fresh("doomed");
                let tags = format!("{latest}/tags");
                let made = admin.post(&tags).json(&json!({ "name": name })).await;
                made.expect(201);
                caller.delete(&format!("{tags}/{name}")).await
            }
            OverviewTags => caller.get(&format!("{own}/tags")).await,
            ReadTagHistory => caller.get(&format!("{own}/tags/latest/history")).await,
            ListTagVersions => caller.get(&format!("{own}/tag-versions")).await,
            // Of long ago, so that nothing changes.
            SetTagVersion => {
                let body = json!({
                    "digest": self.image.digest, "time": 1, "origin": "00".repeat(16),
                });
                let path = format!("{own}/tags/latest/version");
                caller.put(&path).json(&body).await
            }
            SetTagDeletion => {
                let body = json!({ "time": 1, "origin": "00".repeat(16) });
                let path = format!("{own}/tags/latest/deletion");
                caller.put(&path).json(&body).await
            }
            _ => {
                let digest = json!({ "digest": self.image.digest });
                let path = format!("{own}/tags/latest/restore");
                caller.post(&path).json(&digest).await
            }
        }
    }

    /// An upload session of the caller's own; somebody else's for those who cannot begin one.
    pub(super) async fn session(&self, caller: &Client) -> String {
        let repository = self.project.repository("app");
        let own = caller
            .post(&format!("/v2/{repository}/blobs/uploads/"))
            .await;
        match own.status {
            202 => own.location(),
            _ => self
                .server
                .admin()
                .start_upload(&repository)
                .await
                .location(),
        }
    }

    /// The path of the project's quota, which has the project's id.
    pub(super) async fn quota(&self) -> String {
        format!("/api/v2.0/quotas/{}", self.project_id().await)
    }

    pub(super) async fn project_id(&self) -> i64 {
        let path = format!("/api/v2.0/projects/{}", self.project.name);
        let project = self.server.admin().get(&path).await.expect(200).json();
        project["project_id"].as_i64().expect("an id is a number")
    }

    /// A robot of the project that is to be made.
    pub(super) fn robot(&self) -> serde_json::Value {
        let pull = json!([{ "resource": "repository", "action": "pull" }]);
        let permission =
            json!({ "kind": "project", "namespace": self.project.name, "access": pull });
        json!({ "name": fresh("robot"), "level": "project", "duration": 1, "permissions": [permission] })
    }

    /// The path of a new robot of the project.
    pub(super) async fn new_robot(&self) -> String {
        let admin = self.server.admin();
        let made = admin.post("/api/v2.0/robots").json(&self.robot()).await;
        made.expect(201).location()
    }

    /// The path of a new group.
    pub(super) async fn new_group(&self) -> String {
        let admin = self.server.admin();
        let made = admin.post("/api/v2.0/usergroups").json(&group()).await;
        made.expect(201).location()
    }

    /// The path of the project's labels.
    pub(super) async fn labels(&self) -> String {
        let path = format!("/api/v2.0/projects/{}", self.project.name);
        let project = self.server.admin().get(&path).await.expect(200).json();
        format!(
            "/api/v2.0/labels?scope=p&project_id={}",
            project["project_id"]
        )
    }

    /// Tries to make a label of the project.
    pub(super) async fn make_label(&self, caller: &Client) -> Answer {
        let labels = self.labels().await;
        let (_, project) = labels.rsplit_once('=').expect("it ends with the ID");
        let project: i64 = project.parse().expect("an ID is a number");
        let label = json!({ "name": fresh("label"), "scope": "p", "project_id": project });
        caller.post("/api/v2.0/labels").json(&label).await
    }

    /// A label of the project, to be looked at, changed or put on an artifact: its path.
    pub(super) async fn label(&self) -> String {
        let made = self.make_label(&self.server.admin()).await;
        made.expect(201).location()
    }

    /// The path of the labels of the project's artifact.
    pub(super) fn artifact_labels(&self) -> String {
        let project = &self.project.name;
        format!("/api/v2.0/projects/{project}/repositories/app/artifacts/latest/labels")
    }

    /// A rule of the project: its path.
    pub(super) async fn rule(&self) -> String {
        let rules = format!("/api/v2.0/projects/{}/immutabletagrules", self.project.name);
        let made = self.server.admin().post(&rules).json(&rule()).await;
        made.expect(201).location()
    }

    /// A policy of the project that deletes nothing, to be made.
    pub(super) async fn retention_policy(&self) -> serde_json::Value {
        let labels = self.labels().await;
        let project = id_of(&labels.replace('=', "/"));
        let selector =
            json!({ "kind": "doublestar", "decoration": "repoMatches", "pattern": "**" });
        let rule = json!({ "action": "retain", "template": "always", "params": {},
            "tag_selectors": [], "scope_selectors": { "repository": [selector] } });
        json!({ "algorithm": "or", "rules": [rule], "scope": { "level": "project", "ref": project },
            "trigger": { "kind": "Schedule", "settings": { "cron": "" } } })
    }

    /// The path of the project's policy, which is made if there is none.
    pub(super) async fn retention(&self) -> String {
        let admin = self.server.admin();
        let rest = format!("/api/v2.0/projects/{}", self.project.name);
        let project = admin.get(&rest).await.expect(200).json();
        if let Some(id) = project["metadata"]["retention_id"].as_str() {
            return format!("/api/v2.0/retentions/{id}");
        }
        let policy = self.retention_policy().await;
        let made = admin.post("/api/v2.0/retentions").json(&policy).await;
        made.expect(201).location()
    }

    pub(super) async fn without_retention(&self) {
        let path = self.retention().await;
        self.server.admin().delete(&path).await.expect(200);
    }

    /// The path of a dry run of the project's policy.
    pub(super) async fn retention_run(&self) -> String {
        let path = format!("{}/executions", self.retention().await);
        let run = json!({ "dry_run": true });
        let started = crate::harness::eventually(20, "it is started", async || {
            let started = self.server.admin().post(&path).json(&run).await;
            // Some of the executions before have still to end.
            (started.status == 201).then(|| started.location())
        });
        started.await
    }

    /// The path of the log of a task of such a run.
    pub(super) async fn retention_task(&self) -> String {
        let tasks = format!("{}/tasks", self.retention_run().await);
        let admin = self.server.admin();
        let task = crate::harness::eventually(20, "it has a task", async || {
            let listed = admin.get(&tasks).await.expect(200).json();
            listed[0]["id"].as_i64()
        });
        format!("{tasks}/{}", task.await)
    }

    /// The path of the project's rules for workloads.
    pub(super) fn workload_rules(&self) -> String {
        WORKLOAD_RULES.replace("{project_name_or_id}", &self.project.name)
    }

    /// A rule for workloads: its path.
    pub(super) async fn workload_rule(&self) -> String {
        let admin = self.server.admin();
        let made = admin.post(&self.workload_rules()).json(&workload_rule());
        made.await.expect(201).location()
    }

    /// An execution that changes nothing: its path.
    pub(super) async fn execution(&self, kind: &str) -> String {
        let now = json!({ "schedule": { "type": "Manual" }, "parameters": {
            "dry_run": true, "audit_retention_hour": 1, "include_event_types": "logout_user" } });
        let path = format!("/api/v2.0/system/{kind}/schedule");
        let made = self.server.admin().post(&path).json(&now).await;
        made.expect(201).location()
    }

    /// A member to be looked at, changed or removed; gives the member's id.
    pub(super) async fn new_member(&self) -> u64 {
        let person = self.server.stranger().await;
        self.project.add(person.name(), Role::Guest).await
    }
}

/// A rule that no other one says the same as, and that covers nothing.
pub(super) fn rule() -> serde_json::Value {
    let repositories =
        json!([{ "kind": "doublestar", "decoration": "repoMatches", "pattern": fresh("none") }]);
    let tags = json!([{ "kind": "doublestar", "decoration": "matches", "pattern": "none" }]);
    json!({ "action": "immutable", "template": "immutable_template",
        "scope_selectors": { "repository": repositories }, "tag_selectors": tags })
}

pub(super) const WORKLOAD_RULES: &str = "/api/ext/v1/projects/{project_name_or_id}/workload-rules";

/// A rule for workloads of an issuer that nobody asks.
pub(super) fn workload_rule() -> serde_json::Value {
    json!({ "name": fresh("rule"), "issuer": "https://ci.example.test", "audience": "registry", "subject": "job:build",
        "role": "developer" })
}

/// Ends a schedule.
pub(super) fn never() -> serde_json::Value {
    json!({ "schedule": { "type": "None" } })
}

/// The ID that a path ends with.
pub(super) fn id_of(path: &str) -> i64 {
    let (_, id) = path.rsplit_once('/').expect("it has parts");
    id.parse().expect("an ID is a number")
}

/// A group that is to be made.
pub(super) fn group() -> serde_json::Value {
    json!({ "group_name": fresh("group"), "group_type": 3 })
}
