//! The routes that actions use, and what these declare.

use admin_api::{Needs, Route};

use super::Action::*;
use super::make::WORKLOAD_RULES;
use super::status::{OPEN, PRIVATE_REST};
use super::{Action, ROLES};

/// The route of the REST API that an action uses; none for those of the registry API.
pub(in crate::permissions) fn route_of(action: Action) -> Option<String> {
    let project = "/projects/{project_name_or_id}";
    let repository = "/projects/{project_name}/repositories";
    let artifacts = format!("{repository}/{{repository_name}}/artifacts");
    let tags = format!("/api/ext/v1{repository}/{{repository_name}}/tags");
    let route = match action {
        PullManifest | HeadManifest | PullBlob | HeadBlob | ListTags | ListReferrers
        | StartUpload | SendChunk | CancelUpload | PushManifest | MountFromThere
        | MountIntoThere | DeleteTag | DeleteManifest | DeleteBlob | FindInCatalog => return None,
        // Which label it is decides who may.
        ListLabels | MakeLabel | ReadLabel | ChangeLabel | DeleteLabel | MakeGlobalLabel => return None,
        // Which policy it is.
        MakeRetention | GetRetention | ChangeRetention | DeleteRetention | RunRetention | ListRetentionRuns
        | StopRetentionRun | ListRetentionTasks | ReadRetentionLog => return None,
        GetProject => format!("GET {project}"),
        HeadProject => "HEAD /projects".to_owned(),
        FindInProjects => "GET /projects".to_owned(),
        UpdateProject => format!("PUT {project}"),
        DeleteProject => format!("DELETE {project}"),
        AskDeletable => format!("GET {project}/_deletable"),
        ListRepositories => format!("GET {repository}"),
        GetRepository => format!("GET {repository}/{{repository_name}}"),
        DeleteRepository => format!("DELETE {repository}/{{repository_name}}"),
        UpdateRepository => format!("PUT {repository}/{{repository_name}}"),
        ListAllArtifacts => format!("GET {project}/artifacts"),
        ListArtifacts => format!("GET {artifacts}"),
        CopyArtifact => format!("POST {artifacts}"),
        GetArtifact => format!("GET {artifacts}/{{reference}}"),
        DeleteArtifact => format!("DELETE {artifacts}/{{reference}}"),
        ListAccessories => format!("GET {artifacts}/{{reference}}/accessories"),
        ReadAddition => format!("GET {artifacts}/{{reference}}/additions/{{addition}}"),
        ListArtifactTags => format!("GET {artifacts}/{{reference}}/tags"),
        CreateTag => format!("POST {artifacts}/{{reference}}/tags"),
        RemoveTag => format!("DELETE {artifacts}/{{reference}}/tags/{{tag_name}}"),
        OverviewTags => return Some(format!("GET {tags}")),
        ReadTagHistory => return Some(format!("GET {tags}/{{tag_name}}/history")),
        RestoreTag => return Some(format!("POST {tags}/{{tag_name}}/restore")),
        ListTagVersions => {
            let repository = tags.strip_suffix("/tags").unwrap_or(&tags);
            return Some(format!("GET {repository}/tag-versions"));
        }
        SetTagVersion => return Some(format!("PUT {tags}/{{tag_name}}/version")),
        SetTagDeletion => return Some(format!("PUT {tags}/{{tag_name}}/deletion")),
        ReadSummary => format!("GET {project}/summary"),
        ReadMetadata => format!("GET {project}/metadatas/{{meta_name}}"),
        ListMetadata => format!("GET {project}/metadatas"),
        AddMetadata => format!("POST {project}/metadatas"),
        SetMetadata => format!("PUT {project}/metadatas/{{meta_name}}"),
        RemoveMetadata => format!("DELETE {project}/metadatas/{{meta_name}}"),
        ListMembers => format!("GET {project}/members"),
        GetMember => format!("GET {project}/members/{{mid}}"),
        AddMember => format!("POST {project}/members"),
        UpdateMember => format!("PUT {project}/members/{{mid}}"),
        RemoveMember => format!("DELETE {project}/members/{{mid}}"),
        CreateProject => "POST /projects".to_owned(),
        ListUsers => "GET /users".to_owned(),
        CreateUser => "POST /users".to_owned(),
        GetOtherUser => "GET /users/{user_id}".to_owned(),
        DeleteUser => "DELETE /users/{user_id}".to_owned(),
        SearchUsers => "GET /users/search".to_owned(),
        UpdateOtherUser => "PUT /users/{user_id}".to_owned(),
        SetOtherPassword => "PUT /users/{user_id}/password".to_owned(),
        SetSysadmin => "PUT /users/{user_id}/sysadmin".to_owned(),
        ListQuotas => "GET /quotas".to_owned(),
        GetQuota => "GET /quotas/{id}".to_owned(),
        SetQuota => "PUT /quotas/{id}".to_owned(),
        ReadVolumes => "GET /systeminfo/volumes".to_owned(),
        ReadSettings => "GET /configurations".to_owned(),
        ChangeSettings => "PUT /configurations".to_owned(),
        ListAuditLog => "GET /auditlog-exts".to_owned(),
        ListOldAuditLog => "GET /audit-logs".to_owned(),
        ExportAuditLog => "GET /api/ext/v1/audit/export".to_owned(),
        CountAuditLog => "GET /api/ext/v1/stats/audit".to_owned(),
        CountPulls => "GET /api/ext/v1/stats/pulls".to_owned(),
        CountPushes => "GET /api/ext/v1/stats/pushes".to_owned(),
        ListEventTypes => "GET /auditlog-exts/events".to_owned(),
        ListProjectLog => "GET /projects/{project_name}/auditlog-exts".to_owned(),
        ListOldProjectLog => "GET /projects/{project_name}/logs".to_owned(),
        AddArtifactLabel => "POST /projects/{project_name}/repositories/{repository_name}/artifacts/{reference}/labels".to_owned(),
        RemoveArtifactLabel => "DELETE /projects/{project_name}/repositories/{repository_name}/artifacts/{reference}/labels/{label_id}".to_owned(),
        ListRules => "GET /projects/{project_name_or_id}/immutabletagrules".to_owned(),
        MakeRule => "POST /projects/{project_name_or_id}/immutabletagrules".to_owned(),
        ChangeRule => "PUT /projects/{project_name_or_id}/immutabletagrules/{immutable_rule_id}".to_owned(),
        DeleteRule => "DELETE /projects/{project_name_or_id}/immutabletagrules/{immutable_rule_id}".to_owned(),
        ByRoute(route) => route.to_owned(),
        ListGc => "GET /system/gc".to_owned(),
        GetGc => "GET /system/gc/{gc_id}".to_owned(),
        StopGc => "PUT /system/gc/{gc_id}".to_owned(),
        ReadGcLog => "GET /system/gc/{gc_id}/log".to_owned(),
        ReadGcSchedule => "GET /system/gc/schedule".to_owned(),
        MakeGcSchedule => "POST /system/gc/schedule".to_owned(),
        SetGcSchedule => "PUT /system/gc/schedule".to_owned(),
        ListPurge => "GET /system/purgeaudit".to_owned(),
        GetPurge => "GET /system/purgeaudit/{purge_id}".to_owned(),
        StopPurge => "PUT /system/purgeaudit/{purge_id}".to_owned(),
        ReadPurgeLog => "GET /system/purgeaudit/{purge_id}/log".to_owned(),
        ReadPurgeSchedule => "GET /system/purgeaudit/schedule".to_owned(),
        MakePurgeSchedule => "POST /system/purgeaudit/schedule".to_owned(),
        SetPurgeSchedule => "PUT /system/purgeaudit/schedule".to_owned(),
        ListSchedules => "GET /schedules".to_owned(),
        AreSchedulesPaused => "GET /schedules/{job_type}/paused".to_owned(),
        ListPools => "GET /jobservice/pools".to_owned(),
        ListWorkers => "GET /jobservice/pools/{pool_id}/workers".to_owned(),
        StopJob => "PUT /jobservice/jobs/{job_id}".to_owned(),
        ReadJobLog => "GET /jobservice/jobs/{job_id}/log".to_owned(),
        ListQueues => "GET /jobservice/queues".to_owned(),
        ListJobs => "GET /api/ext/v1/jobs".to_owned(),
        GetJob => "GET /api/ext/v1/jobs/{job_id}".to_owned(),
        SteerQueue => "PUT /jobservice/queues/{job_type}".to_owned(),
        ReadAllowlist => "GET /system/CVEAllowlist".to_owned(),
        ChangeAllowlist => "PUT /system/CVEAllowlist".to_owned(),
        ListRobots => "GET /robots".to_owned(),
        CreateRobot => "POST /robots".to_owned(),
        GetRobot => "GET /robots/{robot_id}".to_owned(),
        UpdateRobot => "PUT /robots/{robot_id}".to_owned(),
        RotateRobot => "PATCH /robots/{robot_id}".to_owned(),
        DeleteRobot => "DELETE /robots/{robot_id}".to_owned(),
        ReadPermissions => "GET /permissions".to_owned(),
        ListGroups => "GET /usergroups".to_owned(),
        CreateGroup => "POST /usergroups".to_owned(),
        GetGroup => "GET /usergroups/{group_id}".to_owned(),
        RenameGroup => "PUT /usergroups/{group_id}".to_owned(),
        DeleteGroup => "DELETE /usergroups/{group_id}".to_owned(),
        SearchGroups => "GET /usergroups/search".to_owned(),
        PingDirectory => "POST /ldap/ping".to_owned(),
        PingProvider => "POST /system/oidc/ping".to_owned(),
        SetCliSecret => "PUT /users/{user_id}/cli_secret".to_owned(),
        SearchDirectoryUsers => "GET /ldap/users/search".to_owned(),
        SearchDirectoryGroups => "GET /ldap/groups/search".to_owned(),
        ImportDirectoryUsers => "POST /ldap/users/import".to_owned(),
        ExplainAccess => "GET /api/ext/v1/access/explain".to_owned(),
        ReadMatrix => "GET /api/ext/v1/access/matrix".to_owned(),
        ReadStats => "GET /api/ext/v1/projects/{project_name_or_id}/stats".to_owned(),
        ListRepositoryUsage => {
            "GET /api/ext/v1/projects/{project_name}/repositories/usage".to_owned()
        }
        ReadRobotUsage => "GET /api/ext/v1/robots/{robot_id}/usage".to_owned(),
        StopAnyJob => "POST /api/ext/v1/jobs/{job_id}/stop".to_owned(),
        RetryJob => "POST /api/ext/v1/jobs/{job_id}/retry".to_owned(),
        ReadStorage => "GET /api/ext/v1/storage/overview".to_owned(),
        ReadLargest => "GET /api/ext/v1/storage/largest".to_owned(),
        ListCertificates => "GET /api/ext/v1/certificates".to_owned(),
        SetOwner => "PUT /api/ext/v1/projects/{project_name_or_id}/owner".to_owned(),
        ReloadCertificates => "POST /api/ext/v1/certificates/reload".to_owned(),
        TestMail => "POST /api/ext/v1/mail/test".to_owned(),
        ListWorkloadRules => format!("GET {WORKLOAD_RULES}"),
        MakeWorkloadRule => format!("POST {WORKLOAD_RULES}"),
        GetWorkloadRule => format!("GET {WORKLOAD_RULES}/{{workload_rule_id}}"),
        ChangeWorkloadRule => format!("PUT {WORKLOAD_RULES}/{{workload_rule_id}}"),
        DeleteWorkloadRule => format!("DELETE {WORKLOAD_RULES}/{{workload_rule_id}}"),
        TestWorkloadToken => format!("POST {WORKLOAD_RULES}/test"),
    };
    match route.contains(" /api/") {
        true => Some(route),
        false => Some(route.replacen(' ', " /api/v2.0", 1)),
    }
}

/// Method and path of a route that is named as in the table.
pub(super) fn whole(route: &'static str) -> (&'static str, String) {
    let (method, path) = route.split_once(' ').expect("a method and a path");
    let path = match path.starts_with("/api/") {
        true => path.to_owned(),
        false => format!("/api/v2.0{path}"),
    };
    (method, path)
}

/// Which of [`CALLERS`] have what a route needs, in a private project.
fn may(needs: Needs) -> [bool; 8] {
    let mut may = [false; 8];
    may[7] = true;
    match needs {
        Needs::Nobody => may = [true; 8],
        Needs::SignedIn => may[1..].fill(true),
        Needs::System | Needs::OnSystem(..) | Needs::User => {}
        Needs::AnyProjectAdmin => may[6] = true,
        Needs::Project(resource, action) => by_role(&mut may, resource, action),
        Needs::Robot(action) => by_role(&mut may, policy::Resource::Robot, action),
    }
    may
}

fn by_role(may: &mut [bool; 8], resource: policy::Resource, action: policy::Action) {
    for (may, role) in may[2..].iter_mut().zip(ROLES) {
        *may = policy::table::allowed(role, resource).contains(action);
    }
}

#[test]
fn the_table_is_what_the_handlers_declare_and_has_every_route() {
    for (action, statuses) in PRIVATE_REST {
        let Some(route) = route_of(*action) else {
            continue;
        };
        let name = |declared: &&Route| format!("{} {}", declared.method, declared.path) == route;
        let declared = admin_api::routes().iter().find(name);
        let declared = declared.unwrap_or_else(|| panic!("{route} is not declared"));
        let served = statuses.map(|status| status != 401 && status != 403);
        assert_eq!(served, may(declared.needs), "{action:?}: {route}");
    }
    for declared in admin_api::routes() {
        let route = format!("{} {}", declared.method, declared.path);
        let mut actions = PRIVATE_REST.iter().map(|(action, _)| *action);
        let is_known = OPEN.contains(&&*route)
            || actions.any(|action| route_of(action) == Some(route.clone()));
        assert!(is_known, "{route} is in no table");
    }
}
