//! One table for private projects and one for public ones: callers across, actions down.

use std::fmt::Write;

use admin_api::{Needs, Route};
use serde_json::json;

use super::SERVER;
use crate::harness::{
    Answer, Client, Image, Project, Role, Server, fresh, image, membership, noise,
};

use Action::*;

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
    ReadAcme,
    OrderCertificate,
    SetOwner,
    TestMail,
    ListWorkloadRules,
    MakeWorkloadRule,
    GetWorkloadRule,
    ChangeWorkloadRule,
    DeleteWorkloadRule,
    TestWorkloadToken,
    /// Another registry, or replication: method and path below the API, where nothing has the ids.
    Replicate(&'static str),
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

/// Routes of the REST API that no table has, because they serve everyone, or each caller with what is its own.
const OPEN: [&str; 55] = [
    "GET /api/version",
    "GET /api/openapi.json",
    "GET /api/v2.0/ping",
    "GET /api/v2.0/health",
    "GET /api/v2.0/systeminfo",
    "GET /api/v2.0/systeminfo/getcert",
    "GET /api/v2.0/search",
    "GET /api/v2.0/repositories",
    "GET /api/v2.0/icons/{digest}",
    "GET /api/v2.0/statistics",
    "GET /api/v2.0/users/current",
    "GET /api/v2.0/users/current/permissions",
    "GET /c/login",
    "POST /c/login",
    "GET /c/log_out",
    "POST /c/userExists",
    "GET /c/oidc/login",
    "GET /c/oidc/callback",
    "POST /c/oidc/onboard",
    "GET /c/oidc/logout",
    // Whoever has a token that the provider signed.
    "POST /api/ext/v1/oidc/backchannel_logout",
    // Which label it is decides who may: the table has them as actions without a route.
    "GET /api/v2.0/labels",
    "POST /api/v2.0/labels",
    "GET /api/v2.0/labels/{label_id}",
    "PUT /api/v2.0/labels/{label_id}",
    "DELETE /api/v2.0/labels/{label_id}",
    "GET /api/v2.0/retentions/metadatas",
    // Which policy it is decides who may.
    "POST /api/v2.0/retentions",
    "GET /api/v2.0/retentions/{id}",
    "PUT /api/v2.0/retentions/{id}",
    "DELETE /api/v2.0/retentions/{id}",
    "POST /api/v2.0/retentions/{id}/executions",
    "GET /api/v2.0/retentions/{id}/executions",
    "PATCH /api/v2.0/retentions/{id}/executions/{eid}",
    "GET /api/v2.0/retentions/{id}/executions/{eid}/tasks",
    "GET /api/v2.0/retentions/{id}/executions/{eid}/tasks/{tid}",
    "GET /api/ext/v1/me/sessions",
    "DELETE /api/ext/v1/me/sessions/{session_id}",
    "GET /api/ext/v1/me/preferences",
    "PUT /api/ext/v1/me/preferences",
    "GET /api/ext/v1/me/favourites",
    "PUT /api/ext/v1/me/favourites",
    "GET /api/ext/v1/me/access",
    "GET /api/ext/v1/capabilities",
    "GET /api/ext/v1/home",
    "GET /api/ext/v1/notices",
    "DELETE /api/ext/v1/notices/{notice_id}",
    "GET /api/ext/v1/search",
    "GET /api/ext/v1/projects/usage",
    "GET /api/ext/v1/certificates/ca",
    // What it is done to decides who may, one by one.
    "POST /api/ext/v1/bulk",
    "GET /api/ext/v1/accounts/options",
    "POST /api/ext/v1/users/verify",
    "POST /api/ext/v1/password/forgot",
    "POST /api/ext/v1/password/reset",
];

/// In every table: the status that each of [`CALLERS`] gets.
pub(super) type Table = [(Action, [u16; 8])];

/// What the distribution API answers in a private project. All callers but the anonymous one are developers of a
/// project of their own, into which and from which they mount.
#[rustfmt::skip]
const PRIVATE_V2: &Table = &[
    //                anonym  strang  limit   guest   develop mainten projadm admin
    (PullManifest,   [401,    401,    200,    200,    200,    200,    200,    200]),
    (HeadManifest,   [401,    401,    200,    200,    200,    200,    200,    200]),
    (PullBlob,       [401,    401,    200,    200,    200,    200,    200,    200]),
    (HeadBlob,       [401,    401,    200,    200,    200,    200,    200,    200]),
    (ListTags,       [401,    401,    200,    200,    200,    200,    200,    200]),
    (ListReferrers,  [401,    401,    200,    200,    200,    200,    200,    200]),
    (StartUpload,    [401,    401,    401,    401,    202,    202,    202,    202]),
    (SendChunk,      [401,    401,    401,    401,    202,    202,    202,    202]),
    (CancelUpload,   [401,    401,    401,    401,    204,    204,    204,    204]),
    (PushManifest,   [401,    401,    401,    401,    201,    201,    201,    201]),
    (MountFromThere, [401,    202,    201,    201,    201,    201,    201,    201]),
    (MountIntoThere, [401,    401,    401,    401,    201,    201,    201,    201]),
    (DeleteTag,      [401,    401,    401,    401,    401,    202,    202,    202]),
    (DeleteManifest, [401,    401,    401,    401,    401,    202,    202,    202]),
    (DeleteBlob,     [401,    401,    401,    401,    401,    202,    202,    202]),
];

/// What REST answers about a private project. 404 in `FindIn…` means: answered, and not in the list.
#[rustfmt::skip]
pub(super) const PRIVATE_REST: &Table = &[
    //                anonym  strang  limit   guest   develop mainten projadm admin
    (FindInCatalog,  [401,    404,    200,    200,    200,    200,    200,    200]),
    (GetProject,     [401,    403,    200,    200,    200,    200,    200,    200]),
    (HeadProject,    [401,    404,    200,    200,    200,    200,    200,    200]),
    (FindInProjects, [404,    404,    200,    200,    200,    200,    200,    200]),
    (UpdateProject,  [401,    403,    403,    403,    403,    403,    200,    200]),
    (DeleteProject,  [401,    403,    403,    403,    403,    403,    412,    412]),
    (AskDeletable,   [401,    403,    403,    403,    403,    403,    200,    200]),
    (ListRepositories, [401,  403,    200,    200,    200,    200,    200,    200]),
    (GetRepository,  [401,    403,    200,    200,    200,    200,    200,    200]),
    (UpdateRepository, [401,  403,    403,    403,    200,    200,    200,    200]),
    (DeleteRepository, [401,  403,    403,    403,    403,    200,    200,    200]),
    (ListAllArtifacts, [401,  403,    200,    200,    200,    200,    200,    200]),
    (ListArtifacts,  [401,    403,    200,    200,    200,    200,    200,    200]),
    (GetArtifact,    [401,    403,    200,    200,    200,    200,    200,    200]),
    (CopyArtifact,   [401,    403,    403,    403,    201,    201,    201,    201]),
    (DeleteArtifact, [401,    403,    403,    403,    403,    200,    200,    200]),
    (ListAccessories, [401,   403,    200,    200,    200,    200,    200,    200]),
    (ReadAddition,   [401,    403,    200,    200,    200,    200,    200,    200]),
    (ListArtifactTags, [401,  403,    200,    200,    200,    200,    200,    200]),
    (CreateTag,      [401,    403,    403,    403,    201,    201,    201,    201]),
    (RemoveTag,      [401,    403,    403,    403,    403,    200,    200,    200]),
    (OverviewTags,   [401,    403,    200,    200,    200,    200,    200,    200]),
    (ReadTagHistory, [401,    403,    200,    200,    200,    200,    200,    200]),
    (RestoreTag,     [401,    403,    403,    403,    200,    200,    200,    200]),
    (ReadSummary,    [401,    403,    200,    200,    200,    200,    200,    200]),
    (ReadMetadata,   [401,    403,    403,    403,    403,    200,    200,    200]),
    (ListMetadata,   [401,    403,    403,    403,    403,    403,    403,    200]),
    (AddMetadata,    [401,    403,    403,    403,    403,    403,    200,    200]),
    (SetMetadata,    [401,    403,    403,    403,    403,    403,    200,    200]),
    (RemoveMetadata, [401,    403,    403,    403,    403,    403,    200,    200]),
    (ListMembers,    [401,    403,    403,    200,    200,    200,    200,    200]),
    (GetMember,      [401,    403,    403,    200,    200,    200,    200,    200]),
    (AddMember,      [401,    403,    403,    403,    403,    403,    201,    201]),
    (UpdateMember,   [401,    403,    403,    403,    403,    403,    200,    200]),
    (RemoveMember,   [401,    403,    403,    403,    403,    403,    200,    200]),
    // Before all callers become admins of projects that they create.
    (ReadPermissions,[401,    403,    403,    403,    403,    403,    200,    200]),
    (CreateProject,  [401,    201,    201,    201,    201,    201,    201,    201]),
    (ListUsers,      [401,    403,    403,    403,    403,    403,    403,    200]),
    (CreateUser,     [401,    403,    403,    403,    403,    403,    403,    201]),
    (GetOtherUser,   [401,    403,    403,    403,    403,    403,    403,    200]),
    (DeleteUser,     [401,    403,    403,    403,    403,    403,    403,    200]),
    (SearchUsers,    [401,    200,    200,    200,    200,    200,    200,    200]),
    (UpdateOtherUser,[401,    403,    403,    403,    403,    403,    403,    200]),
    (SetOtherPassword,[401,   403,    403,    403,    403,    403,    403,    200]),
    (SetSysadmin,    [401,    403,    403,    403,    403,    403,    403,    200]),
    (ListQuotas,     [401,    403,    403,    403,    403,    403,    403,    200]),
    (GetQuota,       [401,    403,    403,    403,    403,    403,    403,    200]),
    (SetQuota,       [401,    403,    403,    403,    403,    403,    403,    200]),
    (ReadVolumes,    [401,    403,    403,    403,    403,    403,    403,    200]),
    (ReadSettings,   [401,    403,    403,    403,    403,    403,    403,    200]),
    (ChangeSettings, [401,    403,    403,    403,    403,    403,    403,    200]),
    (ListAuditLog, [401, 200, 200, 200, 200, 200, 200, 200]),
    (ListOldAuditLog, [401, 200, 200, 200, 200, 200, 200, 200]),
    (ExportAuditLog, [401, 200, 200, 200, 200, 200, 200, 200]),
    (CountAuditLog, [401, 200, 200, 200, 200, 200, 200, 200]),
    (CountPulls, [401, 200, 200, 200, 200, 200, 200, 200]),
    (CountPushes, [401, 200, 200, 200, 200, 200, 200, 200]),
    (ListEventTypes, [401, 403, 403, 403, 403, 403, 403, 200]),
    (ListProjectLog, [401, 403, 403, 403, 403, 403, 200, 200]),
    (ListOldProjectLog, [401, 403, 403, 403, 403, 403, 200, 200]),
    (ListLabels, [401, 403, 403, 200, 200, 200, 200, 200]),
    (MakeLabel, [401, 403, 403, 403, 403, 201, 201, 201]),
    (ReadLabel, [401, 403, 403, 200, 200, 200, 200, 200]),
    (ChangeLabel, [401, 403, 403, 403, 403, 200, 200, 200]),
    (DeleteLabel, [401, 403, 403, 403, 403, 200, 200, 200]),
    (MakeGlobalLabel, [401, 403, 403, 403, 403, 403, 403, 201]),
    (AddArtifactLabel, [401, 403, 403, 403, 200, 200, 200, 200]),
    (RemoveArtifactLabel, [401, 403, 403, 403, 200, 200, 200, 200]),
    (ListRules, [401, 403, 403, 403, 403, 200, 200, 200]),
    (MakeRule, [401, 403, 403, 403, 403, 201, 201, 201]),
    (ChangeRule, [401, 403, 403, 403, 403, 200, 200, 200]),
    (DeleteRule, [401, 403, 403, 403, 403, 200, 200, 200]),
    (MakeRetention, [401, 403, 403, 403, 201, 201, 201, 201]),
    (GetRetention, [401, 403, 403, 403, 200, 200, 200, 200]),
    (ChangeRetention, [401, 403, 403, 403, 200, 200, 200, 200]),
    (RunRetention, [401, 403, 403, 403, 201, 201, 201, 201]),
    (ListRetentionRuns, [401, 403, 403, 403, 200, 200, 200, 200]),
    (StopRetentionRun, [401, 403, 403, 403, 200, 200, 200, 200]),
    (ListRetentionTasks, [401, 403, 403, 403, 200, 200, 200, 200]),
    (ReadRetentionLog, [401, 403, 403, 403, 200, 200, 200, 200]),
    (DeleteRetention, [401, 403, 403, 403, 200, 200, 200, 200]),
    (Replicate("GET /registries"), [401, 403, 403, 403, 403, 403, 403, 200]),
    (Replicate("POST /registries"), [401, 403, 403, 403, 403, 403, 403, 400]),
    (Replicate("POST /registries/ping"), [401, 403, 403, 403, 403, 403, 403, 400]),
    (Replicate("GET /registries/{id}"), [401, 403, 403, 403, 403, 403, 403, 404]),
    (Replicate("PUT /registries/{id}"), [401, 403, 403, 403, 403, 403, 403, 404]),
    (Replicate("DELETE /registries/{id}"), [401, 403, 403, 403, 403, 403, 403, 404]),
    (Replicate("GET /registries/{id}/info"), [401, 403, 403, 403, 403, 403, 403, 404]),
    (Replicate("GET /replication/adapters"), [401, 403, 403, 403, 403, 403, 403, 200]),
    (Replicate("GET /replication/adapterinfos"), [401, 403, 403, 403, 403, 403, 403, 200]),
    (Replicate("GET /replication/policies"), [401, 403, 403, 403, 403, 403, 403, 200]),
    (Replicate("POST /replication/policies"), [401, 403, 403, 403, 403, 403, 403, 400]),
    (Replicate("GET /replication/policies/{id}"), [401, 403, 403, 403, 403, 403, 403, 404]),
    (Replicate("PUT /replication/policies/{id}"), [401, 403, 403, 403, 403, 403, 403, 400]),
    (Replicate("DELETE /replication/policies/{id}"), [401, 403, 403, 403, 403, 403, 403, 404]),
    (Replicate("GET /replication/executions"), [401, 403, 403, 403, 403, 403, 403, 200]),
    (Replicate("POST /replication/executions"), [401, 403, 403, 403, 403, 403, 403, 404]),
    (Replicate("GET /replication/executions/{id}"), [401, 403, 403, 403, 403, 403, 403, 404]),
    (Replicate("PUT /replication/executions/{id}"), [401, 403, 403, 403, 403, 403, 403, 404]),
    (Replicate("GET /replication/executions/{id}/tasks"), [401, 403, 403, 403, 403, 403, 403, 404]),
    (Replicate("GET /replication/executions/{id}/tasks/{task_id}/log"), [401, 403, 403, 403, 403, 403, 403, 404]),
    (Replicate("POST /api/ext/v1/replication/policies/{id}/dry-run"), [401, 403, 403, 403, 403, 403, 403, 404]),
    (Replicate("POST /api/ext/v1/replication/executions/{id}/retry"), [401, 403, 403, 403, 403, 403, 403, 404]),
    (ListGc, [401, 403, 403, 403, 403, 403, 403, 200]),
    (GetGc, [401, 403, 403, 403, 403, 403, 403, 200]),
    (StopGc, [401, 403, 403, 403, 403, 403, 403, 200]),
    (ReadGcLog, [401, 403, 403, 403, 403, 403, 403, 200]),
    (ReadGcSchedule, [401, 403, 403, 403, 403, 403, 403, 200]),
    (MakeGcSchedule, [401, 403, 403, 403, 403, 403, 403, 201]),
    (SetGcSchedule, [401, 403, 403, 403, 403, 403, 403, 200]),
    (ListPurge, [401, 403, 403, 403, 403, 403, 403, 200]),
    (GetPurge, [401, 403, 403, 403, 403, 403, 403, 200]),
    (StopPurge, [401, 403, 403, 403, 403, 403, 403, 200]),
    (ReadPurgeLog, [401, 403, 403, 403, 403, 403, 403, 200]),
    (ReadPurgeSchedule, [401, 403, 403, 403, 403, 403, 403, 200]),
    (MakePurgeSchedule, [401, 403, 403, 403, 403, 403, 403, 201]),
    (SetPurgeSchedule, [401, 403, 403, 403, 403, 403, 403, 200]),
    (ListSchedules, [401, 403, 403, 403, 403, 403, 403, 200]),
    (AreSchedulesPaused, [401, 200, 200, 200, 200, 200, 200, 200]),
    (ListPools, [401, 403, 403, 403, 403, 403, 403, 200]),
    (ListWorkers, [401, 403, 403, 403, 403, 403, 403, 200]),
    (StopJob, [401, 403, 403, 403, 403, 403, 403, 200]),
    (ReadJobLog, [401, 403, 403, 403, 403, 403, 403, 404]),
    (ListQueues, [401, 403, 403, 403, 403, 403, 403, 200]),
    (ListJobs, [401, 403, 403, 403, 403, 403, 403, 200]),
    (GetJob, [401, 403, 403, 403, 403, 403, 403, 404]),
    (SteerQueue, [401, 403, 403, 403, 403, 403, 403, 200]),
    (ReadAllowlist, [401, 200, 200, 200, 200, 200, 200, 200]),
    (ChangeAllowlist, [401, 403, 403, 403, 403, 403, 403, 200]),
    (ListRobots,     [401,    403,    403,    200,    200,    200,    200,    200]),
    (CreateRobot,    [401,    403,    403,    403,    403,    403,    201,    201]),
    (GetRobot,       [401,    403,    403,    200,    200,    200,    200,    200]),
    (UpdateRobot,    [401,    403,    403,    403,    403,    403,    200,    200]),
    (RotateRobot,    [401,    403,    403,    403,    403,    403,    200,    200]),
    (DeleteRobot,    [401,    403,    403,    403,    403,    403,    200,    200]),
    (ListGroups,     [401,    403,    403,    403,    403,    403,    403,    200]),
    (CreateGroup,    [401,    403,    403,    403,    403,    403,    403,    201]),
    (GetGroup,       [401,    403,    403,    403,    403,    403,    403,    200]),
    (RenameGroup,    [401,    403,    403,    403,    403,    403,    403,    200]),
    (DeleteGroup,    [401,    403,    403,    403,    403,    403,    403,    200]),
    (SearchGroups,   [401,    200,    200,    200,    200,    200,    200,    200]),
    // There is no directory: whoever may ask for one is told so.
    (PingDirectory,  [401,    403,    403,    403,    403,    403,    403,    412]),
    (PingProvider,   [401,    403,    403,    403,    403,    403,    403,    400]),
    (SetCliSecret,   [401,    403,    403,    403,    403,    403,    403,    412]),
    (SearchDirectoryUsers, [401, 403, 403,    403,    403,    403,    403,    412]),
    (SearchDirectoryGroups, [401, 403, 403,   403,    403,    403,    403,    412]),
    (ImportDirectoryUsers, [401, 403, 403,    403,    403,    403,    403,    412]),
    (ExplainAccess,  [401,    403,    403,    403,    403,    403,    403,    200]),
    (ReadMatrix,     [401,    403,    403,    403,    403,    403,    403,    200]),
    (ReadStats,      [401,    403,    200,    200,    200,    200,    200,    200]),
    (ListRepositoryUsage, [401, 403,  200,    200,    200,    200,    200,    200]),
    (ReadRobotUsage, [401,    403,    403,    200,    200,    200,    200,    200]),
    (StopAnyJob,     [401,    403,    403,    403,    403,    403,    403,    404]),
    (RetryJob,       [401,    403,    403,    403,    403,    403,    403,    404]),
    (ReadStorage,    [401,    403,    403,    403,    403,    403,    403,    200]),
    (ReadLargest,    [401,    403,    403,    403,    403,    403,    403,    200]),
    (ListCertificates, [401,  403,    403,    403,    403,    403,    403,    200]),
    (ReloadCertificates, [401, 403,   403,    403,    403,    403,    403,    200]),
    (ReadAcme,       [401,    403,    403,    403,    403,    403,    403,    200]),
    (OrderCertificate, [401,  403,    403,    403,    403,    403,    403,    412]),
    (SetOwner,       [401,    403,    403,    403,    403,    403,    403,    200]),
    (TestMail,       [401,    403,    403,    403,    403,    403,    403,    200]),
    (ListWorkloadRules, [401, 403,    403,    403,    403,    200,    200,    200]),
    (MakeWorkloadRule, [401,  403,    403,    403,    403,    403,    201,    201]),
    (GetWorkloadRule, [401,   403,    403,    403,    403,    200,    200,    200]),
    (ChangeWorkloadRule, [401, 403,   403,    403,    403,    403,    200,    200]),
    (DeleteWorkloadRule, [401, 403,   403,    403,    403,    403,    200,    200]),
    (TestWorkloadToken, [401, 403,    403,    403,    403,    403,    200,    200]),
];

/// A public project: everybody reads, only members do more.
#[rustfmt::skip]
const PUBLIC: &Table = &[
    //                anonym  strang  limit   guest   develop mainten projadm admin
    (PullManifest,   [200,    200,    200,    200,    200,    200,    200,    200]),
    (HeadManifest,   [200,    200,    200,    200,    200,    200,    200,    200]),
    (PullBlob,       [200,    200,    200,    200,    200,    200,    200,    200]),
    (HeadBlob,       [200,    200,    200,    200,    200,    200,    200,    200]),
    (ListTags,       [200,    200,    200,    200,    200,    200,    200,    200]),
    (ListReferrers,  [200,    200,    200,    200,    200,    200,    200,    200]),
    (StartUpload,    [401,    401,    401,    401,    202,    202,    202,    202]),
    (SendChunk,      [401,    401,    401,    401,    202,    202,    202,    202]),
    (CancelUpload,   [401,    401,    401,    401,    204,    204,    204,    204]),
    (PushManifest,   [401,    401,    401,    401,    201,    201,    201,    201]),
    (MountFromThere, [401,    201,    201,    201,    201,    201,    201,    201]),
    (MountIntoThere, [401,    401,    401,    401,    201,    201,    201,    201]),
    (DeleteTag,      [401,    401,    401,    401,    401,    202,    202,    202]),
    (DeleteManifest, [401,    401,    401,    401,    401,    202,    202,    202]),
    (DeleteBlob,     [401,    401,    401,    401,    401,    202,    202,    202]),
    (FindInCatalog,  [401,    200,    200,    200,    200,    200,    200,    200]),
    (GetProject,     [200,    200,    200,    200,    200,    200,    200,    200]),
    (HeadProject,    [401,    200,    200,    200,    200,    200,    200,    200]),
    (FindInProjects, [200,    200,    200,    200,    200,    200,    200,    200]),
    (UpdateProject,  [401,    403,    403,    403,    403,    403,    200,    200]),
    (DeleteProject,  [401,    403,    403,    403,    403,    403,    412,    412]),
    (AskDeletable,   [401,    403,    403,    403,    403,    403,    200,    200]),
    (ListRepositories, [200,  200,    200,    200,    200,    200,    200,    200]),
    (GetRepository,  [401,    403,    200,    200,    200,    200,    200,    200]),
    (UpdateRepository, [401,  403,    403,    403,    200,    200,    200,    200]),
    (DeleteRepository, [401,  403,    403,    403,    403,    200,    200,    200]),
    (ListAllArtifacts, [200,  200,    200,    200,    200,    200,    200,    200]),
    (ListArtifacts,  [200,    200,    200,    200,    200,    200,    200,    200]),
    (GetArtifact,    [200,    200,    200,    200,    200,    200,    200,    200]),
    (CopyArtifact,   [401,    403,    403,    403,    201,    201,    201,    201]),
    (DeleteArtifact, [401,    403,    403,    403,    403,    200,    200,    200]),
    (ListAccessories, [200,   200,    200,    200,    200,    200,    200,    200]),
    (ReadAddition,   [200,    200,    200,    200,    200,    200,    200,    200]),
    (ListArtifactTags, [200,  200,    200,    200,    200,    200,    200,    200]),
    (CreateTag,      [401,    403,    403,    403,    201,    201,    201,    201]),
    (RemoveTag,      [401,    403,    403,    403,    403,    200,    200,    200]),
    (OverviewTags,   [200,    200,    200,    200,    200,    200,    200,    200]),
    (ReadTagHistory, [200,    200,    200,    200,    200,    200,    200,    200]),
    (RestoreTag,     [401,    403,    403,    403,    200,    200,    200,    200]),
    (ReadSummary,    [200,    200,    200,    200,    200,    200,    200,    200]),
    (ReadMetadata,   [401,    403,    403,    403,    403,    200,    200,    200]),
    (ListMembers,    [401,    403,    403,    200,    200,    200,    200,    200]),
    (AddMember,      [401,    403,    403,    403,    403,    403,    201,    201]),
    (UpdateMember,   [401,    403,    403,    403,    403,    403,    200,    200]),
    (RemoveMember,   [401,    403,    403,    403,    403,    403,    200,    200]),
    (ListLabels, [200, 200, 200, 200, 200, 200, 200, 200]),
    (ReadLabel, [401, 200, 200, 200, 200, 200, 200, 200]),
    (ListProjectLog, [401, 403, 403, 403, 403, 403, 200, 200]),
    (ListRules, [401, 403, 403, 403, 403, 200, 200, 200]),
    (GetRetention, [401, 403, 403, 403, 200, 200, 200, 200]),
];

/// A project with an image in it, everybody's own project, and one person for each column.
pub(super) struct World<'s> {
    server: &'s Server,
    pub(super) project: Project<'s>,
    own: Project<'s>,
    image: Image,
    callers: Vec<Client>,
}

impl<'s> World<'s> {
    pub(super) async fn around(server: &'s Server, project: Project<'s>) -> Self {
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
    async fn with_tokens(mut self) -> Self {
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
    async fn check(&self, table: &Table) {
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
    pub(super) async fn attempt(&self, caller: &Client, action: Action) -> Answer {
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
            | ReadTagHistory | RestoreTag => self.attempt_content(caller, action).await,
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
            Replicate(route) => {
                let (method, path) = whole(route);
                let path = path.replace("{id}", "999").replace("{task_id}", "999");
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
            ReadAcme => caller.get("/api/ext/v1/certificates/acme").await,
            // None is obtained by ACME here.
            OrderCertificate => caller.post("/api/ext/v1/certificates/acme/order").await,
        }
    }

    /// Tries an action on artifacts or tags.
    async fn attempt_content(&self, caller: &Client, action: Action) -> Answer {
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
            _ => {
                let digest = json!({ "digest": self.image.digest });
                let path = format!("{own}/tags/latest/restore");
                caller.post(&path).json(&digest).await
            }
        }
    }

    /// An upload session of the caller's own; somebody else's for those who cannot begin one.
    async fn session(&self, caller: &Client) -> String {
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
    async fn quota(&self) -> String {
        format!("/api/v2.0/quotas/{}", self.project_id().await)
    }

    async fn project_id(&self) -> i64 {
        let path = format!("/api/v2.0/projects/{}", self.project.name);
        let project = self.server.admin().get(&path).await.expect(200).json();
        project["project_id"].as_i64().expect("an id is a number")
    }

    /// A robot of the project that is to be made.
    fn robot(&self) -> serde_json::Value {
        let pull = json!([{ "resource": "repository", "action": "pull" }]);
        let permission =
            json!({ "kind": "project", "namespace": self.project.name, "access": pull });
        json!({ "name": fresh("robot"), "level": "project", "duration": 1, "permissions": [permission] })
    }

    /// The path of a new robot of the project.
    async fn new_robot(&self) -> String {
        let admin = self.server.admin();
        let made = admin.post("/api/v2.0/robots").json(&self.robot()).await;
        made.expect(201).location()
    }

    /// The path of a new group.
    async fn new_group(&self) -> String {
        let admin = self.server.admin();
        let made = admin.post("/api/v2.0/usergroups").json(&group()).await;
        made.expect(201).location()
    }

    /// The path of the project's labels.
    async fn labels(&self) -> String {
        let path = format!("/api/v2.0/projects/{}", self.project.name);
        let project = self.server.admin().get(&path).await.expect(200).json();
        format!(
            "/api/v2.0/labels?scope=p&project_id={}",
            project["project_id"]
        )
    }

    /// Tries to make a label of the project.
    async fn make_label(&self, caller: &Client) -> Answer {
        let labels = self.labels().await;
        let (_, project) = labels.rsplit_once('=').expect("it ends with the ID");
        let project: i64 = project.parse().expect("an ID is a number");
        let label = json!({ "name": fresh("label"), "scope": "p", "project_id": project });
        caller.post("/api/v2.0/labels").json(&label).await
    }

    /// A label of the project, to be looked at, changed or put on an artifact: its path.
    async fn label(&self) -> String {
        let made = self.make_label(&self.server.admin()).await;
        made.expect(201).location()
    }

    /// The path of the labels of the project's artifact.
    fn artifact_labels(&self) -> String {
        let project = &self.project.name;
        format!("/api/v2.0/projects/{project}/repositories/app/artifacts/latest/labels")
    }

    /// A rule of the project: its path.
    async fn rule(&self) -> String {
        let rules = format!("/api/v2.0/projects/{}/immutabletagrules", self.project.name);
        let made = self.server.admin().post(&rules).json(&rule()).await;
        made.expect(201).location()
    }

    /// A policy of the project that deletes nothing, to be made.
    async fn retention_policy(&self) -> serde_json::Value {
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
    async fn retention(&self) -> String {
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

    async fn without_retention(&self) {
        let path = self.retention().await;
        self.server.admin().delete(&path).await.expect(200);
    }

    /// The path of a dry run of the project's policy.
    async fn retention_run(&self) -> String {
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
    async fn retention_task(&self) -> String {
        let tasks = format!("{}/tasks", self.retention_run().await);
        let admin = self.server.admin();
        let task = crate::harness::eventually(20, "it has a task", async || {
            let listed = admin.get(&tasks).await.expect(200).json();
            listed[0]["id"].as_i64()
        });
        format!("{tasks}/{}", task.await)
    }

    /// The path of the project's rules for workloads.
    fn workload_rules(&self) -> String {
        WORKLOAD_RULES.replace("{project_name_or_id}", &self.project.name)
    }

    /// A rule for workloads: its path.
    async fn workload_rule(&self) -> String {
        let admin = self.server.admin();
        let made = admin.post(&self.workload_rules()).json(&workload_rule());
        made.await.expect(201).location()
    }

    /// An execution that changes nothing: its path.
    async fn execution(&self, kind: &str) -> String {
        let now = json!({ "schedule": { "type": "Manual" }, "parameters": {
            "dry_run": true, "audit_retention_hour": 1, "include_event_types": "logout_user" } });
        let path = format!("/api/v2.0/system/{kind}/schedule");
        let made = self.server.admin().post(&path).json(&now).await;
        made.expect(201).location()
    }

    /// A member to be looked at, changed or removed; gives the member's id.
    async fn new_member(&self) -> u64 {
        let person = self.server.stranger().await;
        self.project.add(person.name(), Role::Guest).await
    }
}

/// A rule that no other one says the same as, and that covers nothing.
fn rule() -> serde_json::Value {
    let repositories =
        json!([{ "kind": "doublestar", "decoration": "repoMatches", "pattern": fresh("none") }]);
    let tags = json!([{ "kind": "doublestar", "decoration": "matches", "pattern": "none" }]);
    json!({ "action": "immutable", "template": "immutable_template",
        "scope_selectors": { "repository": repositories }, "tag_selectors": tags })
}

const WORKLOAD_RULES: &str = "/api/ext/v1/projects/{project_name_or_id}/workload-rules";

/// A rule for workloads of an issuer that nobody asks.
fn workload_rule() -> serde_json::Value {
    json!({ "name": fresh("rule"), "issuer": "https://ci.example.test", "audience": "registry", "subject": "job:build",
        "role": "developer" })
}

/// Ends a schedule.
fn never() -> serde_json::Value {
    json!({ "schedule": { "type": "None" } })
}

/// The ID that a path ends with.
fn id_of(path: &str) -> i64 {
    let (_, id) = path.rsplit_once('/').expect("it has parts");
    id.parse().expect("an ID is a number")
}

/// A group that is to be made.
fn group() -> serde_json::Value {
    json!({ "group_name": fresh("group"), "group_type": 3 })
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

/// The route of the REST API that an action uses; none for those of the registry API.
pub(super) fn route_of(action: Action) -> Option<String> {
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
        Replicate(route) => route.to_owned(),
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
        ReadAcme => "GET /api/ext/v1/certificates/acme".to_owned(),
        OrderCertificate => "POST /api/ext/v1/certificates/acme/order".to_owned(),
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
fn whole(route: &'static str) -> (&'static str, String) {
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
