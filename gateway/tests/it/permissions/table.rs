//! One table for private projects and one for public ones: callers across, actions down.

mod make;
mod route;
mod status;
mod world;

use super::SERVER;
use status::{PRIVATE_V2, PUBLIC};

pub(super) use route::route_of;
pub(super) use status::PRIVATE_REST;
pub(super) use world::World;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Action {
    PullManifest,
    HeadManifest,
    PullBlob,
    HeadBlob,
    ListTags,
    ListReferrers,
    StartUpload,
    SendChunk,
    CancelUpload,
    PushManifest,
    MountFromThere,
    MountIntoThere,
    DeleteTag,
    DeleteManifest,
    DeleteBlob,
    FindInCatalog,
    GetProject,
    HeadProject,
    FindInProjects,
    UpdateProject,
    DeleteProject,
    AskDeletable,
    ListRepositories,
    GetRepository,
    UpdateRepository,
    DeleteRepository,
    ListAllArtifacts,
    ListArtifacts,
    GetArtifact,
    CopyArtifact,
    DeleteArtifact,
    ListAccessories,
    ReadAddition,
    ListArtifactTags,
    CreateTag,
    RemoveTag,
    OverviewTags,
    ReadTagHistory,
    RestoreTag,
    ListTagVersions,
    SetTagVersion,
    SetTagDeletion,
    ReadSummary,
    ReadMetadata,
    ListMetadata,
    AddMetadata,
    SetMetadata,
    RemoveMetadata,
    ListMembers,
    GetMember,
    AddMember,
    UpdateMember,
    RemoveMember,
    CreateProject,
    ListUsers,
    CreateUser,
    GetOtherUser,
    DeleteUser,
    SearchUsers,
    UpdateOtherUser,
    SetOtherPassword,
    SetSysadmin,
    ListQuotas,
    GetQuota,
    SetQuota,
    ReadVolumes,
    ReadSettings,
    ChangeSettings,
    ListAuditLog,
    ListOldAuditLog,
    ExportAuditLog,
    CountAuditLog,
    CountPulls,
    CountPushes,
    ListEventTypes,
    ListProjectLog,
    ListOldProjectLog,
    ListLabels,
    MakeLabel,
    ReadLabel,
    ChangeLabel,
    DeleteLabel,
    MakeGlobalLabel,
    AddArtifactLabel,
    RemoveArtifactLabel,
    ListRules,
    MakeRule,
    ChangeRule,
    DeleteRule,
    MakeRetention,
    GetRetention,
    ChangeRetention,
    RunRetention,
    ListRetentionRuns,
    StopRetentionRun,
    ListRetentionTasks,
    ReadRetentionLog,
    DeleteRetention,
    ListGc,
    GetGc,
    StopGc,
    ReadGcLog,
    ReadGcSchedule,
    MakeGcSchedule,
    SetGcSchedule,
    ListPurge,
    GetPurge,
    StopPurge,
    ReadPurgeLog,
    ReadPurgeSchedule,
    MakePurgeSchedule,
    SetPurgeSchedule,
    ListSchedules,
    AreSchedulesPaused,
    ListPools,
    ListWorkers,
    StopJob,
    ReadJobLog,
    ListQueues,
    ListJobs,
    GetJob,
    SteerQueue,
    ReadAllowlist,
    ChangeAllowlist,
    ListRobots,
    CreateRobot,
    GetRobot,
    UpdateRobot,
    RotateRobot,
    DeleteRobot,
    ReadPermissions,
    ListGroups,
    CreateGroup,
    GetGroup,
    RenameGroup,
    DeleteGroup,
    SearchGroups,
    PingDirectory,
    PingProvider,
    SetCliSecret,
    SearchDirectoryUsers,
    SearchDirectoryGroups,
    ImportDirectoryUsers,
    ExplainAccess,
    ReadMatrix,
    ReadStats,
    ListRepositoryUsage,
    ReadRobotUsage,
    StopAnyJob,
    RetryJob,
    ReadStorage,
    ReadLargest,
    ListCertificates,
    ReloadCertificates,
    SetOwner,
    TestMail,
    ListWorkloadRules,
    MakeWorkloadRule,
    GetWorkloadRule,
    ChangeWorkloadRule,
    DeleteWorkloadRule,
    TestWorkloadToken,
    /// Method and path, below the API unless it is whole, where nothing has the ids.
    ByRoute(&'static str),
}

const CALLERS: [&str; 8] = [
    "anonymous",
    "stranger",
    "limitedGuest",
    "guest",
    "developer",
    "maintainer",
    "projectAdmin",
    "admin",
];

/// The roles of those callers that have one.
const ROLES: [policy::Role; 5] = [
    policy::Role::LimitedGuest,
    policy::Role::Guest,
    policy::Role::Developer,
    policy::Role::Maintainer,
    policy::Role::ProjectAdmin,
];

#[tokio::test]
async fn in_a_private_project_roles_decide_by_password() {
    let server = SERVER.get().await;
    World::around(&server, server.private_project().await)
        .await
        .check(PRIVATE_V2)
        .await;
}

#[tokio::test]
async fn in_a_private_project_roles_decide_by_token() {
    let server = SERVER.get().await;
    let world = World::around(&server, server.private_project().await)
        .await
        .with_tokens()
        .await;
    world.check(PRIVATE_V2).await;
}

#[tokio::test]
async fn in_a_private_project_roles_decide_over_rest() {
    let server = SERVER.get().await;
    World::around(&server, server.private_project().await)
        .await
        .check(PRIVATE_REST)
        .await;
}

#[tokio::test]
async fn a_public_project_is_open_to_read() {
    let server = SERVER.get().await;
    World::around(&server, server.public_project().await)
        .await
        .check(PUBLIC)
        .await;
}

#[tokio::test]
async fn a_refusal_says_what_was_missing_and_where_to_get_it() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let repository = project.repository("app");
    let stranger = server.stranger().await;
    let token = stranger
        .with_token(&[&format!("repository:{repository}:pull,push,delete")])
        .await;
    let realm = format!(
        "Bearer realm=\"https://{}/service/token\",service=\"harbor-registry\"",
        server.host()
    );
    for (caller, presented) in [
        (server.anonymous(), false),
        (stranger, false),
        (token, true),
    ] {
        let requests = [
            (
                caller.get(&format!("/v2/{repository}/manifests/latest")),
                "pull",
                "pull",
            ),
            (
                caller.get(&format!("/v2/{repository}/tags/list")),
                "pull",
                "pull",
            ),
            (
                caller.post(&format!("/v2/{repository}/blobs/uploads/")),
                "push",
                "pull,push",
            ),
            (
                caller
                    .put(&format!("/v2/{repository}/manifests/latest"))
                    .body("{}"),
                "push",
                "pull,push",
            ),
            (
                caller.delete(&format!("/v2/{repository}/manifests/latest")),
                "delete",
                "delete",
            ),
        ];
        for (request, action, scope) in requests {
            let answer = request.await.expect_error(401, "UNAUTHORIZED");
            let text = format!("unauthorized to access repository: {repository}, action: {action}");
            assert_eq!(answer.message(), format!("{text}: {text}"));
            let challenge = answer.header("www-authenticate");
            let wanted = format!("{realm},scope=\"repository:{repository}:{scope}\"");
            assert!(
                challenge.starts_with(&wanted),
                "{challenge} does not begin with {wanted}"
            );
            assert_eq!(
                challenge.contains("error=\"insufficient_scope\""),
                presented,
                "{challenge}"
            );
            assert_eq!(
                answer.header("docker-distribution-api-version"),
                "registry/2.0"
            );
        }
    }
}
