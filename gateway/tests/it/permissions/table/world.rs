//! A project, people with each role in it, and their attempts.

use std::fmt::Write;

use serde_json::json;

use super::Action::*;
use super::make::{group, id_of, never, rule, workload_rule};
use super::route::whole;
use super::status::Table;
use super::{Action, CALLERS};
use crate::harness::{
    Answer, Client, Image, Project, Role, Server, fresh, image, membership, noise,
};

/// A project with an image in it, everybody's own project, and one person for each column.
pub(in crate::permissions) struct World<'s> {
    pub(super) server: &'s Server,
    pub(in crate::permissions) project: Project<'s>,
    pub(super) own: Project<'s>,
    pub(super) image: Image,
    callers: Vec<Client>,
}

impl<'s> World<'s> {
    pub(in crate::permissions) async fn around(server: &'s Server, project: Project<'s>) -> Self {
        let own = server.private_project().await;
        let image = image(&format!("permissions in {}", project.name));
        server
            .admin()
            .push_image(&project.repository("app"), "latest", &image)
            .await;
        server
            .admin()
            .push_image(&own.repository("app"), "latest", &image)
            .await;
        let mut callers = vec![server.anonymous(), server.stranger().await];
        for role in [
            Role::LimitedGuest,
            Role::Guest,
            Role::Developer,
            Role::Maintainer,
            Role::ProjectAdmin,
        ] {
            callers.push(project.member(role).await);
        }
        for caller in &callers[1..] {
            own.add(caller.name(), Role::Developer).await;
        }
        callers.push(server.admin());
        Self {
            server,
            project,
            own,
            image,
            callers,
        }
    }

    /// The same callers with tokens for everything that they may be granted.
    pub(super) async fn with_tokens(mut self) -> Self {
        let scopes: Vec<String> = [&self.project, &self.own]
            .iter()
            .map(|project| format!("repository:{}:pull,push,delete", project.repository("app")))
            .collect();
        for caller in &mut self.callers {
            *caller = caller.with_token(&[&scopes[0], &scopes[1]]).await;
        }
        self
    }

    /// Asks for every action of the table as every caller, and compares all at once.
    pub(super) async fn check(&self, table: &Table) {
        let mut wrong = String::new();
        for (action, expected) in table {
            for (column, (caller, expected)) in self.callers.iter().zip(expected).enumerate() {
                let answer = self.attempt(caller, *action).await;
                if answer.status != *expected {
                    writeln!(
                        wrong,
                        "{} × {action:?}: {expected} expected, {answer}",
                        CALLERS[column]
                    )
                    .expect("a string can be written");
                }
                if answer.status == 401 {
                    assert_eq!(answer.code(), "UNAUTHORIZED", "{answer}");
                }
                if answer.status == 403 {
                    assert_eq!(answer.code(), "FORBIDDEN", "{answer}");
                }
            }
        }
        assert!(wrong.is_empty(), "the table does not hold:\n{wrong}");
    }

    /// Tries one action, on something made for this attempt where it would destroy what the next one needs.
    pub(in crate::permissions) async fn attempt(&self, caller: &Client, action: Action) -> Answer {
        let admin = self.server.admin();
        let repository = self.project.repository("app");
        let v2 = format!("/v2/{repository}");
        let uploads = format!("{v2}/blobs/uploads/");
        let rest = format!("/api/v2.0/projects/{}", self.project.name);
        let layer = &self.image.layers[0].digest;
        match action {
            PullManifest => caller.get(&format!("{v2}/manifests/latest")).await,
            HeadManifest => with_code(caller.head(&format!("{v2}/manifests/latest")).await),
            PullBlob => caller.get(&format!("{v2}/blobs/{layer}")).await,
            HeadBlob => with_code(caller.head(&format!("{v2}/blobs/{layer}")).await),
            ListTags => caller.get(&format!("{v2}/tags/list")).await,
            ListReferrers => {
                caller
                    .get(&format!("{v2}/referrers/{}", self.image.digest))
                    .await
            }
            StartUpload => caller.post(&uploads).await,
            SendChunk => {
                caller
                    .patch(&self.session(caller).await)
                    .body("chunk")
                    .await
            }
            CancelUpload => caller.delete(&self.session(caller).await).await,
            PushManifest => {
                let (kind, bytes) = (&self.image.media_type, self.image.manifest.clone());
                caller
                    .push_manifest(&repository, "latest", kind, bytes)
                    .await
            }
            MountFromThere => {
                let fresh = admin
                    .push_blob(&repository, noise(&fresh("blob"), 64))
                    .await;
                let target = self.own.repository("app");
                caller
                    .post(&format!(
                        "/v2/{target}/blobs/uploads/?mount={fresh}&from={repository}"
                    ))
                    .await
            }
            MountIntoThere => {
                let source = self.own.repository("app");
                let fresh = admin.push_blob(&source, noise(&fresh("blob"), 64)).await;
                caller
                    .post(&format!("{uploads}?mount={fresh}&from={source}"))
                    .await
            }
            DeleteTag => {
                let (kind, bytes) = (&self.image.media_type, self.image.manifest.clone());
                admin
                    .push_manifest(&repository, "doomed", kind, bytes)
                    .await
                    .expect(201);
                caller.delete(&format!("{v2}/manifests/doomed")).await
            }
            DeleteManifest => {
                let doomed = image(&fresh("doomed"));
                admin.push_image(&repository, &doomed.digest, &doomed).await;
                caller
                    .delete(&format!("{v2}/manifests/{}", doomed.digest))
                    .await
            }
            DeleteBlob => {
                let doomed = admin
                    .push_blob(&repository, noise(&fresh("doomed"), 64))
                    .await;
                caller.delete(&format!("{v2}/blobs/{doomed}")).await
            }
            FindInCatalog => {
                let answer = caller.get("/v2/_catalog?n=1000").await;
                found(answer, |body| {
                    body["repositories"]
                        .as_array()?
                        .iter()
                        .find(|name| **name == *repository)
                        .cloned()
                })
            }
            GetProject => caller.get(&rest).await,
            HeadProject => with_code(
                caller
                    .head(&format!(
                        "/api/v2.0/projects?project_name={}",
                        self.project.name
                    ))
                    .await,
            ),
            FindInProjects => {
                let answer = caller
                    .get(&format!("/api/v2.0/projects?name={}", self.project.name))
                    .await;
                found(answer, |body| {
                    body.as_array()?
                        .iter()
                        .find(|p| p["name"] == *self.project.name)
                        .cloned()
                })
            }
            UpdateProject => {
                caller
                    .put(&rest)
                    .json(&json!({ "metadata": { "auto_scan": "false" } }))
                    .await
            }
            DeleteProject => caller.delete(&rest).await,
            AskDeletable => caller.get(&format!("{rest}/_deletable")).await,
            ListRepositories => caller.get(&format!("{rest}/repositories")).await,
            GetRepository => caller.get(&format!("{rest}/repositories/app")).await,
            DeleteRepository => {
                let name = fresh("doomed");
                let doomed = self.project.repository(&name);
                admin.push_image(&doomed, "v1", &image(&name)).await;
                caller.delete(&format!("{rest}/repositories/{name}")).await
            }
            UpdateRepository => {
                let description = json!({ "description": "what it is for" });
                caller
                    .put(&format!("{rest}/repositories/app"))
                    .json(&description)
                    .await
            }
            ListAllArtifacts => caller.get(&format!("{rest}/artifacts")).await,
            ListArtifacts | GetArtifact | CopyArtifact | DeleteArtifact | ListAccessories
            | ReadAddition | ListArtifactTags | CreateTag | RemoveTag | OverviewTags
            | ReadTagHistory | RestoreTag | ListTagVersions | SetTagVersion | SetTagDeletion => {
                self.attempt_content(caller, action).await
            }
            ReadSummary => caller.get(&format!("{rest}/summary")).await,
            ReadMetadata => caller.get(&format!("{rest}/metadatas/public")).await,
            ListMetadata => caller.get(&format!("{rest}/metadatas")).await,
            AddMetadata => {
                let setting = format!("{rest}/metadatas/prevent_vul");
                admin.delete(&setting).await.expect(200);
                let body = json!({ "prevent_vul": "true" });
                caller.post(&format!("{rest}/metadatas")).json(&body).await
            }
            SetMetadata => {
                let setting = format!("{rest}/metadatas/severity");
                caller
                    .put(&setting)
                    .json(&json!({ "severity": "low" }))
                    .await
            }
            RemoveMetadata => caller.delete(&format!("{rest}/metadatas/auto_scan")).await,
            ListMembers => caller.get(&format!("{rest}/members")).await,
            GetMember => {
                caller
                    .get(&format!("{rest}/members/{}", self.new_member().await))
                    .await
            }
            AddMember => {
                let person = self.server.stranger().await;
                caller
                    .post(&format!("{rest}/members"))
                    .json(&membership(person.name(), Role::Guest))
                    .await
            }
            UpdateMember => {
                let member = format!("{rest}/members/{}", self.new_member().await);
                caller.put(&member).json(&json!({ "role_id": 2 })).await
            }
            RemoveMember => {
                caller
                    .delete(&format!("{rest}/members/{}", self.new_member().await))
                    .await
            }
            CreateProject => {
                caller
                    .post("/api/v2.0/projects")
                    .json(&json!({ "project_name": fresh("new") }))
                    .await
            }
            ListUsers => caller.get("/api/v2.0/users").await,
            CreateUser => {
                let name = fresh("new");
                let user = json!({ "username": name, "password": "Passw0rd1", "email": format!("{name}@example.com"),
                    "realname": name });
                caller.post("/api/v2.0/users").json(&user).await
            }
            GetOtherUser => caller.get("/api/v2.0/users/1").await,
            DeleteUser => {
                let user = self.server.create_user(&fresh("doomed")).await;
                caller.delete(&format!("/api/v2.0/users/{user}")).await
            }
            SearchUsers => caller.get("/api/v2.0/users/search?username=a").await,
            UpdateOtherUser => {
                let name = fresh("other");
                let user = self.server.create_user(&name).await;
                let profile = json!({ "email": format!("{name}@example.org"), "realname": name });
                let path = format!("/api/v2.0/users/{user}");
                caller.put(&path).json(&profile).await
            }
            SetOtherPassword => {
                let user = self.server.create_user(&fresh("other")).await;
                let path = format!("/api/v2.0/users/{user}/password");
                let passwords = json!({ "new_password": "Passw0rd9" });
                caller.put(&path).json(&passwords).await
            }
            SetSysadmin => {
                let user = self.server.create_user(&fresh("other")).await;
                let path = format!("/api/v2.0/users/{user}/sysadmin");
                caller
                    .put(&path)
                    .json(&json!({ "sysadmin_flag": true }))
                    .await
            }
            ListQuotas => caller.get("/api/v2.0/quotas").await,
            GetQuota => caller.get(&self.quota().await).await,
            SetQuota => {
                let unlimited = json!({ "hard": { "storage": -1 } });
                caller.put(&self.quota().await).json(&unlimited).await
            }
            ReadVolumes => caller.get("/api/v2.0/systeminfo/volumes").await,
            ReadSettings => caller.get("/api/v2.0/configurations").await,
            ChangeSettings => {
                let change = json!({ "robot_token_duration": 90 });
                caller.put("/api/v2.0/configurations").json(&change).await
            }
            ListAuditLog => caller.get("/api/v2.0/auditlog-exts").await,
            ListOldAuditLog => caller.get("/api/v2.0/audit-logs").await,
            ExportAuditLog => {
                caller
                    .get("/api/ext/v1/audit/export?q=operation%3Dnone")
                    .await
            }
            CountAuditLog => caller.get("/api/ext/v1/stats/audit").await,
            CountPulls => caller.get("/api/ext/v1/stats/pulls").await,
            CountPushes => caller.get("/api/ext/v1/stats/pushes").await,
            ListEventTypes => caller.get("/api/v2.0/auditlog-exts/events").await,
            ListProjectLog => caller.get(&format!("{rest}/auditlog-exts")).await,
            ListOldProjectLog => caller.get(&format!("{rest}/logs")).await,
            ListLabels => caller.get(&self.labels().await).await,
            MakeLabel => self.make_label(caller).await,
            ReadLabel => caller.get(&self.label().await).await,
            ChangeLabel => {
                let label = self.label().await;
                caller
                    .put(&label)
                    .json(&json!({ "name": fresh("label") }))
                    .await
            }
            DeleteLabel => caller.delete(&self.label().await).await,
            MakeGlobalLabel => {
                let label = json!({ "name": fresh("global"), "scope": "g" });
                caller.post("/api/v2.0/labels").json(&label).await
            }
            AddArtifactLabel => {
                let label = json!({ "id": id_of(&self.label().await) });
                caller.post(&self.artifact_labels()).json(&label).await
            }
            RemoveArtifactLabel => {
                let (labels, id) = (self.artifact_labels(), id_of(&self.label().await));
                admin
                    .post(&labels)
                    .json(&json!({ "id": id }))
                    .await
                    .expect(200);
                caller.delete(&format!("{labels}/{id}")).await
            }
            ListRules => caller.get(&format!("{rest}/immutabletagrules")).await,
            MakeRule => {
                caller
                    .post(&format!("{rest}/immutabletagrules"))
                    .json(&rule())
                    .await
            }
            ChangeRule => caller.put(&self.rule().await).json(&rule()).await,
            DeleteRule => caller.delete(&self.rule().await).await,
            MakeRetention => {
                // Nobody makes a second one.
                self.without_retention().await;
                let policy = self.retention_policy().await;
                caller.post("/api/v2.0/retentions").json(&policy).await
            }
            GetRetention => caller.get(&self.retention().await).await,
            ChangeRetention => {
                let (path, policy) = (self.retention().await, self.retention_policy().await);
                caller.put(&path).json(&policy).await
            }
            DeleteRetention => caller.delete(&self.retention().await).await,
            RunRetention => {
                let path = format!("{}/executions", self.retention().await);
                caller.post(&path).json(&json!({ "dry_run": true })).await
            }
            ListRetentionRuns => {
                let path = format!("{}/executions", self.retention().await);
                caller.get(&path).await
            }
            StopRetentionRun => {
                let path = self.retention_run().await;
                caller.patch(&path).json(&json!({ "action": "stop" })).await
            }
            ListRetentionTasks => {
                let path = format!("{}/tasks", self.retention_run().await);
                caller.get(&path).await
            }
            ReadRetentionLog => caller.get(&self.retention_task().await).await,
            ListWorkloadRules => caller.get(&self.workload_rules()).await,
            MakeWorkloadRule => {
                let rule = workload_rule();
                caller.post(&self.workload_rules()).json(&rule).await
            }
            GetWorkloadRule => caller.get(&self.workload_rule().await).await,
            ChangeWorkloadRule => {
                let rule = self.workload_rule().await;
                caller.put(&rule).json(&workload_rule()).await
            }
            DeleteWorkloadRule => caller.delete(&self.workload_rule().await).await,
            TestWorkloadToken => {
                let path = format!("{}/test", self.workload_rules());
                caller.post(&path).json(&json!({ "token": "none" })).await
            }
            ByRoute(route) => {
                let (method, path) = whole(route);
                let path = self.with_ids(&path);
                let request = caller.request(method.parse().expect("a method"), &path);
                match method {
                    "POST" | "PUT" => request.json(&json!({})).await,
                    _ => request.await,
                }
            }
            ListGc => caller.get("/api/v2.0/system/gc").await,
            GetGc => caller.get(&self.execution("gc").await).await,
            StopGc => caller.put(&self.execution("gc").await).await,
            ReadGcLog => {
                caller
                    .get(&format!("{}/log", self.execution("gc").await))
                    .await
            }
            ReadGcSchedule => caller.get("/api/v2.0/system/gc/schedule").await,
            MakeGcSchedule => {
                caller
                    .post("/api/v2.0/system/gc/schedule")
                    .json(&never())
                    .await
            }
            SetGcSchedule => {
                caller
                    .put("/api/v2.0/system/gc/schedule")
                    .json(&never())
                    .await
            }
            ListPurge => caller.get("/api/v2.0/system/purgeaudit").await,
            GetPurge => caller.get(&self.execution("purgeaudit").await).await,
            StopPurge => caller.put(&self.execution("purgeaudit").await).await,
            ReadPurgeLog => {
                caller
                    .get(&format!("{}/log", self.execution("purgeaudit").await))
                    .await
            }
            ReadPurgeSchedule => caller.get("/api/v2.0/system/purgeaudit/schedule").await,
            MakePurgeSchedule => {
                caller
                    .post("/api/v2.0/system/purgeaudit/schedule")
                    .json(&never())
                    .await
            }
            SetPurgeSchedule => {
                caller
                    .put("/api/v2.0/system/purgeaudit/schedule")
                    .json(&never())
                    .await
            }
            ListSchedules => caller.get("/api/v2.0/schedules").await,
            AreSchedulesPaused => caller.get("/api/v2.0/schedules/all/paused").await,
            ListPools => caller.get("/api/v2.0/jobservice/pools").await,
            ListWorkers => caller.get("/api/v2.0/jobservice/pools/all/workers").await,
            StopJob => caller.put("/api/v2.0/jobservice/jobs/999999").await,
            ReadJobLog => caller.get("/api/v2.0/jobservice/jobs/999999/log").await,
            ListJobs => caller.get("/api/ext/v1/jobs").await,
            GetJob => caller.get("/api/ext/v1/jobs/999999").await,
            ListQueues => caller.get("/api/v2.0/jobservice/queues").await,
            SteerQueue => {
                caller
                    .put("/api/v2.0/jobservice/queues/PURGE_AUDIT_LOG")
                    .json(&json!({ "action": "resume" }))
                    .await
            }
            ReadAllowlist => caller.get("/api/v2.0/system/CVEAllowlist").await,
            ChangeAllowlist => {
                caller
                    .put("/api/v2.0/system/CVEAllowlist")
                    .json(&json!({ "items": [] }))
                    .await
            }
            ListRobots => {
                let id = self.project_id().await;
                let query = format!("q=Level%3Dproject%2CProjectID%3D{id}");
                caller.get(&format!("/api/v2.0/robots?{query}")).await
            }
            CreateRobot => {
                let robot = self.robot();
                caller.post("/api/v2.0/robots").json(&robot).await
            }
            GetRobot => caller.get(&self.new_robot().await).await,
            UpdateRobot => {
                let path = self.new_robot().await;
                let mut change = admin.get(&path).await.expect(200).json();
                change["disable"] = json!(true);
                caller.put(&path).json(&change).await
            }
            RotateRobot => {
                let path = self.new_robot().await;
                caller.patch(&path).json(&json!({})).await
            }
            DeleteRobot => caller.delete(&self.new_robot().await).await,
            ReadPermissions => caller.get("/api/v2.0/permissions").await,
            ListGroups => caller.get("/api/v2.0/usergroups").await,
            CreateGroup => {
                let group = group();
                caller.post("/api/v2.0/usergroups").json(&group).await
            }
            GetGroup => caller.get(&self.new_group().await).await,
            RenameGroup => {
                let path = self.new_group().await;
                caller.put(&path).json(&group()).await
            }
            DeleteGroup => caller.delete(&self.new_group().await).await,
            SearchGroups => caller.get("/api/v2.0/usergroups/search?groupname=a").await,
            TestMail => {
                let body = json!({ "to": "somebody@example.com" });
                caller.post("/api/ext/v1/mail/test").json(&body).await
            }
            PingDirectory => caller.post("/api/v2.0/ldap/ping").await,
            PingProvider => {
                let ping = caller.post("/api/v2.0/system/oidc/ping");
                ping.json(&json!({})).await
            }
            SetCliSecret => {
                let set = caller.put("/api/v2.0/users/1/cli_secret");
                set.json(&json!({})).await
            }
            SearchDirectoryUsers => caller.get("/api/v2.0/ldap/users/search").await,
            SearchDirectoryGroups => caller.get("/api/v2.0/ldap/groups/search").await,
            ImportDirectoryUsers => {
                let people = json!({ "ldap_uid_list": ["alice"] });
                let import = caller.post("/api/v2.0/ldap/users/import");
                import.json(&people).await
            }
            ExplainAccess => {
                let query = format!(
                    "subject=user:admin&action=repository:push&project={}",
                    self.project.name
                );
                let path = format!("/api/ext/v1/access/explain?{query}");
                caller.get(&path).await
            }
            ReadMatrix => {
                let query = format!("project={}", self.project.name);
                let path = format!("/api/ext/v1/access/matrix?{query}");
                caller.get(&path).await
            }
            ReadStats => {
                let path = format!("/api/ext/v1/projects/{}/stats", self.project.name);
                caller.get(&path).await
            }
            ListRepositoryUsage => {
                let project = &self.project.name;
                let path = format!("/api/ext/v1/projects/{project}/repositories/usage");
                caller.get(&path).await
            }
            ReadRobotUsage => {
                let path = self.new_robot().await.replace("/api/v2.0", "/api/ext/v1");
                caller.get(&format!("{path}/usage")).await
            }
            SetOwner => {
                let path = format!("/api/ext/v1/projects/{}/owner", self.project.name);
                let owner = json!({ "username": "admin" });
                caller.put(&path).json(&owner).await
            }
            StopAnyJob => caller.post("/api/ext/v1/jobs/999999/stop").await,
            RetryJob => caller.post("/api/ext/v1/jobs/999999/retry").await,
            ReadStorage => caller.get("/api/ext/v1/storage/overview").await,
            ReadLargest => caller.get("/api/ext/v1/storage/largest").await,
            ListCertificates => caller.get("/api/ext/v1/certificates").await,
            ReloadCertificates => caller.post("/api/ext/v1/certificates/reload").await,
        }
    }

    /// A path with the project's name, and else with IDs that nothing has.
    fn with_ids(&self, path: &str) -> String {
        let path = path.replace("{project_name_or_id}", &self.project.name);
        let parts = path.split('/').map(|part| match part.starts_with('{') {
            true => "999999",
            false => part,
        });
        parts.collect::<Vec<_>>().join("/")
    }
}

/// An answer to HEAD has no body; its refusals count as if they had the usual one.
fn with_code(mut answer: Answer) -> Answer {
    assert!(answer.body.is_empty(), "HEAD has no body: {answer}");
    let code = if answer.status == 403 {
        "FORBIDDEN"
    } else {
        "UNAUTHORIZED"
    };
    answer.body = json!({ "errors": [{ "code": code }] }).to_string().into();
    answer
}

/// Turns a list that lacks what was looked for into a 404.
fn found(
    mut answer: Answer,
    look: impl Fn(&serde_json::Value) -> Option<serde_json::Value>,
) -> Answer {
    if answer.status == 200 && look(&answer.json()).is_none() {
        answer.status = 404;
    }
    answer
}
