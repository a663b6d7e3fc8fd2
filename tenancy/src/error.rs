//! Why a change is not made: one variant for each case that a caller can distinguish.

use model::user::InvalidUserName;
use model::{
    ExecutionId, ExpectedMemberId, GroupId, ImmutableRuleId, LabelId, ManifestId, MemberId,
    PrincipalId, ProjectId, ProjectName, RegistryId, ReplicationPolicyId, RetentionId, RobotId,
    Timestamp, UserId, WebhookPolicyId, WorkloadRuleId,
};

use crate::password::PasswordError;
use crate::secret::SecretError;

/// Why a change is not made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another project has the name.
    #[error("project {0} already exists")]
    ProjectExists(ProjectName),
    /// The project was deleted since the permit was given.
    #[error("the project does not exist any more")]
    ProjectGone,
    /// The caller's password was changed meanwhile.
    #[error("the password was changed meanwhile: sign in again")]
    CallerVoid,
    /// The project has the setting already.
    #[error("the project has {0} already")]
    SettingExists(&'static str),
    /// Only system administrators may delete projects.
    #[error("only system administrators may delete projects (project_deletion_restriction)")]
    ProjectDeletionRestricted,
    /// No project with the id was deleted so lately that it can be restored.
    #[error("no deleted project {0} can be restored")]
    ProjectNotRestorable(ProjectId),
    /// A project with artifacts cannot be deleted.
    #[error("project {0} holds artifacts")]
    ProjectHoldsArtifacts(ProjectName),
    /// Another user has the name or the mail address.
    #[error("another user has the name {name} or the mail address {email}")]
    UserExists {
        /// The name.
        name: String,
        /// The mail address.
        email: String,
    },
    /// A user from a directory can be changed only there.
    #[error("user {0} is kept in a directory: change it there")]
    UserExternal(String),
    /// The name from a directory belongs to another user.
    #[error(
        "the name {0} belongs to another account: an administrator can delete or rename that one"
    )]
    NameTaken(String),
    /// The name from a directory is not a valid user name.
    #[error("the directory's name for this account cannot be used: {0}")]
    NameInvalid(InvalidUserName),
    /// Only users of an OIDC provider have a CLI secret.
    #[error(
        "user {0} does not sign in by OIDC, and so has no CLI secret: the password is that of docker and helm"
    )]
    NoCliSecret(String),
    /// A claim for which somebody is expected cannot be used.
    #[error("{0}")]
    ExpectedInvalid(&'static str),
    /// The project expects the same person already.
    #[error("the project expects {0} already")]
    ExpectedExists(String),
    /// The project expects nobody by that id.
    #[error("expected member {0} not found")]
    ExpectedUnknown(ExpectedMemberId),
    /// The project expects as many people as it may.
    #[error("a project expects at most {0} people: remove one first")]
    TooManyExpected(i64),
    /// The account belongs to a person of a directory or provider already.
    #[error("user {0} belongs to a person of a directory or provider already: unlink it first")]
    AlreadyLinked(String),
    /// The account belongs to nobody at the provider.
    #[error("user {0} does not sign in by OIDC")]
    NotLinked(String),
    /// Two accounts would belong to one person.
    #[error("{0}: two accounts would belong to this person")]
    PersonTaken(String),
    /// The account has no mail address by which its person could be found.
    #[error("user {0} has no mail address")]
    NoEmail(String),
    /// The sign-in that was waiting for a name was used, or has expired.
    #[error("the sign-in has expired: begin it again")]
    SignInExpired,
    /// There is no user with the id.
    #[error("user {0} not found")]
    UserUnknown(UserId),
    /// There is no principal with the id (any more).
    #[error("principal {0} not found")]
    PrincipalUnknown(PrincipalId),
    /// The built-in administrator and the caller cannot be deleted.
    #[error("user {0} cannot be deleted")]
    UserUndeletable(UserId),
    /// The last system administrator has to stay one.
    #[error("{name} is the last system administrator: make another user one first")]
    LastSysadmin {
        /// Its id.
        id: UserId,
        /// Its name.
        name: String,
    },
    /// The principal is a member of the project already.
    #[error("{0} is a member of the project already")]
    MemberExists(String),
    /// The project has no such member.
    #[error("the project member is not found, project id {project}, member id {member}")]
    MemberUnknown {
        /// The project.
        project: ProjectId,
        /// The member.
        member: MemberId,
    },
    /// The scope has a label of that name.
    #[error("label {0} already exists")]
    LabelExists(String),
    /// There is no such label in that scope.
    #[error("label {0} not found")]
    LabelUnknown(LabelId),
    /// The artifact has the label.
    #[error("the artifact has label {0} already")]
    LabelAttached(String),
    /// The artifact has the maximum number of labels.
    #[error("an artifact has at most {0} labels: take one off first")]
    TooManyLabels(i64),
    /// The artifact does not have the label.
    #[error("reference with label {label} and artifact {artifact} not found")]
    LabelNotAttached {
        /// The label.
        label: LabelId,
        /// The artifact.
        artifact: ManifestId,
    },
    /// The repository has no such artifact.
    #[error("artifact {0} not found")]
    ArtifactUnknown(String),
    /// The project has a rule with the same content.
    #[error("immutable rule already exists")]
    RuleExists,
    /// The project has no such rule.
    #[error("immutable rule {0} not found")]
    RuleUnknown(ImmutableRuleId),
    /// The project has the maximum number of rules.
    #[error("a project has at most {0} immutable rules: delete one first")]
    TooManyRules(i64),
    /// The project has another workload rule with that name.
    #[error("workload rule {0} already exists")]
    WorkloadRuleExists(String),
    /// The project has no such rule.
    #[error("workload rule {0} not found")]
    WorkloadRuleUnknown(WorkloadRuleId),
    /// The project has the maximum number of workload rules.
    #[error("a project has at most {0} workload rules: delete one first")]
    TooManyWorkloadRules(i64),
    /// Another registry has the name.
    #[error("registry {0} already exists")]
    RegistryExists(String),
    /// There is no such registry (any more).
    #[error("registry {0} not found")]
    RegistryUnknown(RegistryId),
    /// Policies name the registry.
    #[error("the registry {0} is referenced by replication policies, cannot delete it")]
    RegistryUsed(RegistryId),
    /// There are as many registries as there may be.
    #[error("there are at most {0} registries: delete one first")]
    TooManyRegistries(i64),
    /// Another policy of replication has the name.
    #[error("replication policy {0} already exists")]
    PolicyExists(String),
    /// There is no such policy of replication (any more).
    #[error("replication policy {0} not found")]
    PolicyUnknown(ReplicationPolicyId),
    /// The policy of replication may not run.
    #[error("the policy {0} is disabled: enable it first")]
    PolicyDisabled(ReplicationPolicyId),
    /// A run of the policy goes on.
    #[error("the policy {0} has running executions: stop them first")]
    PolicyRuns(ReplicationPolicyId),
    /// There are as many policies of replication as there may be.
    #[error("there are at most {0} replication policies: delete one first")]
    TooManyPolicies(i64),
    /// The project has a policy of retention.
    #[error("project {project} already has retention policy {policy}")]
    RetentionExists {
        /// The project.
        project: ProjectId,
        /// Its policy.
        policy: RetentionId,
    },
    /// There is no such policy (any more).
    #[error("retention policy {0} not found")]
    RetentionUnknown(RetentionId),
    /// The policy has as many executions that have not ended as it may have.
    #[error("{0} executions of the policy have not ended: wait for one, or stop it")]
    TooManyExecutions(usize),
    /// There is no such execution (any more).
    #[error("execution {0} not found")]
    ExecutionUnknown(ExecutionId),
    /// Another policy of webhooks of the project has the name.
    #[error("notification policy named {0} already exists")]
    WebhookExists(String),
    /// The project has no such policy of webhooks.
    #[error("notificationPolicy {0} not found")]
    WebhookUnknown(WebhookPolicyId),
    /// The project has the maximum number of policies of webhooks.
    #[error("a project has at most {0} webhook policies: delete one first")]
    TooManyWebhooks(i64),
    /// A part of a policy of webhooks cannot be stored or sent: which one, and how it must be.
    #[error("{0}: {1}")]
    WebhookInvalid(&'static str, String),
    /// A secret that is to be kept is not there, or was given for another address.
    #[error("{0}: give it again: there is none for this address")]
    SecretMissing(&'static str),
    /// The project has no such delivery (any more).
    #[error("delivery {0} not found")]
    DeliveryUnknown(ExecutionId),
    /// The policy does not send to the address of the delivery any more.
    #[error("the policy does not send to the address of this delivery any more")]
    TargetGone,
    /// Another robot or a user has the name.
    #[error("robot account {0} already exists: rotate its secret if the old one is lost")]
    RobotExists(String),
    /// There is no such robot (any more).
    #[error("robot {0} not found")]
    RobotUnknown(RobotId),
    /// Nobody can give a robot permissions that they lack themselves.
    #[error(
        "permission scope is invalid. It must be equal to or more restrictive than the creator's permissions, which lack {0}"
    )]
    RobotTooStrong(String),
    /// A robot cannot make one that is valid longer than itself.
    #[error(
        "duration: the robot that makes it ends at {0}; one that it makes cannot end later. Give a shorter duration"
    )]
    RobotOutlives(Timestamp),
    /// Another group has the name, or comes from the same entry of the directory.
    #[error("user group {0} already exists")]
    GroupExists(String),
    /// There is no such group (any more).
    #[error("user group {0} not found")]
    GroupUnknown(GroupId),
    /// The link was used or replaced, has expired, or never existed.
    #[error(
        "token: the link does not work any more: it was used, has expired, or the account has changed since; ask for a new one"
    )]
    LinkVoid,
    /// Too many mails are queued.
    #[error("too many mails wait to be sent: try again in a minute")]
    MailsWait,
    /// The account can sign in already, and its password was not given with the link.
    #[error("password: give the password of the account, which has another mail address so far")]
    LinkNeedsPassword,
    /// A setting is not changed.
    #[error(transparent)]
    Setting(#[from] InvalidSetting),
    /// A secret among the settings could not be sealed or opened.
    #[error(
        "cannot seal or open a secret among the settings: is the master key the one of this database?"
    )]
    Secret(#[from] SecretError),
    /// A certificate or its key cannot be used.
    #[error("the certificate cannot be used")]
    CertificateInvalid(#[source] certs::Error),
    /// A certificate's name is not valid.
    #[error(
        "{0:?} is not a valid certificate name: use 1 to 64 characters of a-z, 0-9, `.`, `_` and `-`; `acme` is reserved for the one that ACME obtains"
    )]
    CertificateName(String),
    /// There is no imported certificate with the name.
    #[error("there is no imported certificate {0:?}")]
    CertificateUnknown(String),
    /// ACME was never used.
    #[error("no certificate is obtained by ACME: set [acme] directory and start the server")]
    NoAcme,
    /// The password could not be hashed.
    #[error("cannot hash the password")]
    Password(#[from] PasswordError),
    /// The database could not be read or written.
    #[error("the database did not serve the change")]
    Database(#[source] db::Error),
}

/// Why a setting is not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSetting {
    /// No setting has the name.
    #[error("{name}: there is no such setting{}", near.map(|near| format!("; did you mean {near}?")).unwrap_or_default())]
    Unknown {
        /// The name.
        name: String,
        /// A similar name.
        near: Option<&'static str>,
    },
    /// The value is of another type.
    #[error("{name}: must be {kind}")]
    WrongKind {
        /// The setting.
        name: &'static str,
        /// What it should be: `true or false`, `text`.
        kind: &'static str,
    },
    /// The value breaks a rule.
    #[error("{name}: {reason}")]
    BadValue {
        /// The setting.
        name: &'static str,
        /// What it must be.
        reason: String,
    },
    /// The setting cannot be changed.
    #[error("{name}: cannot be changed: {reason}")]
    Unchangeable {
        /// The setting.
        name: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// The setting is fixed outside of the database.
    #[error(
        "{name}: is fixed by {} of the configuration file or by GANTRY_SETTINGS__{}: change it there",
        fixed_by(name),
        name.to_uppercase()
    )]
    Fixed {
        /// The setting.
        name: &'static str,
    },
}

/// The part of the configuration file that fixes a setting.
fn fixed_by(name: &str) -> String {
    let beside = match name {
        "external_url" => "[server] or ",
        _ => "",
    };
    format!("{beside}[settings] {name}")
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl From<db::Error> for Error {
    fn from(error: db::Error) -> Self {
        match error {
            db::Error::ProjectGone => Self::ProjectGone,
            other => Self::Database(other),
        }
    }
}
