//! Events of the history: one for each change, and for logins, pulls and refusals. `db` writes them.

use std::fmt;
use std::str::FromStr;

use crate::{Client, Digest, Principal, ProjectId, ProjectName, RepositoryName, Tag, Timestamp};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// Who did it, and from where.
    pub origin: Origin,
    /// What was done, or refused.
    pub operation: Operation,
    /// What it was done to.
    pub subject: Subject,
    /// Whether it was done.
    pub outcome: Outcome,
    /// How often it happened: equal pulls and logins within a second are one event, equal refusals within a minute.
    pub times: i64,
    /// Further information; never a secret.
    pub detail: String,
}

/// Who does something, and from where.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// Who.
    pub principal: Principal,
    /// The program that it was done with.
    pub client: Client,
}

/// Whether something was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was refused.
    Refused,
}

impl Event {
    /// Something that was done once.
    pub const fn new(
        at: Timestamp,
        origin: Origin,
        operation: Operation,
        subject: Subject,
    ) -> Self {
        Self {
            at,
            origin,
            operation,
            subject,
            outcome: Outcome::Done,
            times: 1,
            detail: String::new(),
        }
    }

    /// The same event as a refusal.
    #[must_use]
    pub fn refused(self) -> Self {
        Self {
            outcome: Outcome::Refused,
            ..self
        }
    }

    /// The same event about a tag of its subject.
    #[must_use]
    pub fn tagged(&self, tag: &Tag) -> Self {
        Self {
            subject: self.subject.clone().tagged(tag),
            ..self.clone()
        }
    }

    /// The same event with further information.
    #[must_use]
    pub fn with_detail(self, detail: impl Into<String>) -> Self {
        Self {
            detail: detail.into(),
            ..self
        }
    }
}

/// How the detail of a push begins that was refused by a quota.
pub const BY_QUOTA: &str = "quota: ";
/// How the detail of an artifact's deletion begins that had tags.
const WITH_TAGS: &str = "tags ";

/// The detail of an artifact's deletion that had these tags.
pub fn with_tags(tags: &[Tag]) -> String {
    if tags.is_empty() {
        return String::new();
    }
    let tags: Vec<&str> = tags.iter().map(Tag::as_str).collect();
    format!("{WITH_TAGS}{}", tags.join(", "))
}

/// The tags that such a detail names. A detail may have been cut: then its last one is left out.
pub fn tags_of(detail: &str) -> Vec<Tag> {
    let named = detail.strip_prefix(WITH_TAGS).unwrap_or_default();
    named
        .split(", ")
        .filter_map(|tag| tag.parse().ok())
        .collect()
}

macro_rules! names {
    ($(#[$doc:meta])* $kind:ident { $($(#[$variant_doc:meta])* $variant:ident = $name:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $kind {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $kind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name in the history and on the wire.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

names! {
    /// What is done. The names are Harbor's, except `expire` and `refuse`.
    Operation {
        /// Something is created.
        Create = "create",
        /// Something is changed.
        Update = "update",
        /// Something is deleted.
        Delete = "delete",
        /// Content is read.
        Pull = "pull",
        /// A push was refused; a successful push is `Create`.
        Push = "push",
        /// Somebody signs in.
        Login = "login",
        /// Somebody signs out, or ends one of their sessions.
        Logout = "logout",
        /// Something ends by itself, or soon will.
        Expire = "expire",
        /// The REST API refuses something.
        Refuse = "refuse",
    }
}

names! {
    /// The kinds of things that something is done to. The names are Harbor's if it has such a thing.
    ResourceType {
        /// A project.
        Project = "project",
        /// A membership of a project.
        Member = "member",
        /// An account.
        User = "user",
        /// A robot.
        Robot = "robot",
        /// A group of users.
        Group = "user_group",
        /// A repository.
        Repository = "repository",
        /// A manifest, by tag or digest.
        Artifact = "artifact",
        /// A tag without its manifest.
        Tag = "tag",
        /// A blob, or the blobs of a repository.
        Blob = "blob",
        /// A route of the REST API.
        Api = "api",
        /// A setting of the whole installation.
        Configuration = "configuration",
        /// A certificate.
        Certificate = "certificate",
        /// An import from another registry's storage.
        Import = "import",
        /// The blob store.
        Storage = "storage",
        /// Secrets that are encrypted with the master key.
        Secrets = "secrets",
        /// A background job.
        Job = "job",
        /// The audit log itself.
        AuditLog = "audit-log",
        /// A label, of a project or of the installation.
        Label = "label",
        /// A rule for immutable tags in a project.
        ImmutableTag = "immutable-tag",
        /// A rule of a project for workload identities.
        WorkloadRule = "workload-rule",
        /// A project's policy of retention, or one of its executions.
        TagRetention = "tag-retention",
        /// Another registry.
        Registry = "registry",
        /// A policy of replication.
        ReplicationPolicy = "replication-policy",
        /// A run of replication.
        Replication = "replication",
        /// A project's policy of webhooks.
        Webhook = "webhook",
    }
}

/// The text does not name an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no such operation")]
pub struct UnknownOperation;

impl FromStr for Operation {
    type Err = UnknownOperation;

    fn from_str(text: &str) -> Result<Self, UnknownOperation> {
        let mut all = Self::ALL.iter().copied();
        all.find(|operation| operation.name() == text)
            .ok_or(UnknownOperation)
    }
}

/// A type of event: an operation on a kind of thing. Unknown types are accepted, since other versions have others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EventType {
    text: String,
    at: usize,
}

/// The text is not a type of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a type of events is an operation and a type of resource: pull_artifact")]
pub struct InvalidEventType;

impl EventType {
    /// What is done.
    pub fn operation(&self) -> &str {
        &self.text[..self.at]
    }

    /// The kind of thing.
    pub fn resource_type(&self) -> &str {
        &self.text[self.at + 1..]
    }

    /// The types in a comma-separated list; invalid ones are left out.
    pub fn list(text: &str) -> Vec<Self> {
        let texts = text.split(',').map(str::trim);
        texts.filter_map(|text| text.parse().ok()).collect()
    }
}

impl FromStr for EventType {
    type Err = InvalidEventType;

    fn from_str(text: &str) -> Result<Self, InvalidEventType> {
        let at = text.find('_').ok_or(InvalidEventType)?;
        let is_word = |word: &str| {
            let valid = |byte: u8| byte.is_ascii_lowercase() || byte == b'_' || byte == b'-';
            !word.is_empty() && word.bytes().all(valid)
        };
        if text.len() > 64 || !is_word(&text[..at]) || !is_word(&text[at + 1..]) {
            return Err(InvalidEventType);
        }
        let text = text.to_owned();
        Ok(Self { text, at })
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Harbor's types of events, in its order, as settings and purges name them.
pub const EVENT_TYPES: [&str; 18] = [
    "create_artifact",
    "delete_artifact",
    "pull_artifact",
    "create_project",
    "delete_project",
    "delete_repository",
    "login_user",
    "logout_user",
    "create_user",
    "delete_user",
    "update_user",
    "create_robot",
    "delete_robot",
    "update_configuration",
    "create_member",
    "delete_member",
    "update_member",
    "update_project",
];

/// What something is done to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A project.
    Project {
        /// Its id.
        id: ProjectId,
        /// Its name.
        name: ProjectName,
    },
    /// A membership.
    Member {
        /// The project.
        project: ProjectId,
        /// The member's name.
        name: String,
    },
    /// Something else in a project, such as a label or a rule.
    Owned {
        /// The project.
        project: ProjectId,
        /// What kind of thing it is.
        kind: ResourceType,
        /// Its name.
        name: String,
    },
    /// An account, by its name or by the text given as a name.
    User(String),
    /// A robot.
    Robot {
        /// Its project; `None` for a system robot.
        project: Option<ProjectId>,
        /// Its whole name.
        name: String,
    },
    /// A group of users, by its name.
    Group(String),
    /// A repository.
    Repository {
        /// Its project, if it exists and the caller may know that.
        project: Option<ProjectId>,
        /// Its name.
        name: RepositoryName,
    },
    /// A manifest.
    Artifact {
        /// The project.
        project: ProjectId,
        /// The repository.
        repository: RepositoryName,
        /// The tag that named it, if any.
        tag: Option<Tag>,
        /// Its digest.
        digest: Digest,
    },
    /// A tag without its manifest.
    Tag {
        /// The project.
        project: ProjectId,
        /// The repository.
        repository: RepositoryName,
        /// The tag.
        tag: Tag,
    },
    /// A blob.
    Blob {
        /// The project.
        project: ProjectId,
        /// The repository.
        repository: RepositoryName,
        /// Its digest; `None` for any blobs of the repository.
        digest: Option<Digest>,
    },
    /// A route of the REST API, by its template.
    Route(String),
    /// Something in the whole installation.
    Installation(ResourceType, String),
}

impl Subject {
    /// What kind of thing it is.
    pub const fn resource_type(&self) -> ResourceType {
        match self {
            Self::Project { .. } => ResourceType::Project,
            Self::Member { .. } => ResourceType::Member,
            Self::Owned { kind, .. } => *kind,
            Self::User(_) => ResourceType::User,
            Self::Robot { .. } => ResourceType::Robot,
            Self::Group(_) => ResourceType::Group,
            Self::Repository { .. } => ResourceType::Repository,
            Self::Artifact { .. } => ResourceType::Artifact,
            Self::Tag { .. } => ResourceType::Tag,
            Self::Blob { .. } => ResourceType::Blob,
            Self::Route(_) => ResourceType::Api,
            Self::Installation(kind, _) => *kind,
        }
    }

    /// The project that it belongs to.
    pub const fn project(&self) -> Option<ProjectId> {
        match self {
            Self::Project { id: project, .. }
            | Self::Member { project, .. }
            | Self::Owned { project, .. }
            | Self::Artifact { project, .. }
            | Self::Tag { project, .. }
            | Self::Blob { project, .. } => Some(*project),
            Self::Repository { project, .. } | Self::Robot { project, .. } => *project,
            Self::User(_) | Self::Group(_) | Self::Route(_) | Self::Installation(..) => None,
        }
    }

    /// The repository itself, or the one that contains it.
    pub const fn repository(&self) -> Option<&RepositoryName> {
        match self {
            Self::Repository {
                name: repository, ..
            }
            | Self::Artifact { repository, .. }
            | Self::Tag { repository, .. }
            | Self::Blob { repository, .. } => Some(repository),
            Self::Project { .. }
            | Self::Member { .. }
            | Self::Owned { .. }
            | Self::User(_)
            | Self::Robot { .. }
            | Self::Group(_)
            | Self::Route(_)
            | Self::Installation(..) => None,
        }
    }

    /// The tag itself, or the one that named it.
    pub const fn tag(&self) -> Option<&Tag> {
        match self {
            Self::Artifact { tag, .. } => tag.as_ref(),
            Self::Tag { tag, .. } => Some(tag),
            _ => None,
        }
    }

    /// The same content, named by a tag.
    #[must_use]
    pub fn tagged(mut self, name: &Tag) -> Self {
        match &mut self {
            Self::Artifact { tag, .. } => *tag = Some(name.clone()),
            Self::Tag { tag, .. } => *tag = name.clone(),
            _ => {}
        }
        self
    }

    /// The digest of its content.
    pub const fn digest(&self) -> Option<&Digest> {
        match self {
            Self::Artifact { digest, .. } => Some(digest),
            Self::Blob { digest, .. } => digest.as_ref(),
            _ => None,
        }
    }
}

/// The name of the resource: `team/app:v1`, `team/app@sha256:…`, `team`, `ann`.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Project { name, .. } => name.fmt(f),
            Self::Member { name, .. }
            | Self::Owned { name, .. }
            | Self::User(name)
            | Self::Robot { name, .. }
            | Self::Group(name)
            | Self::Route(name)
            | Self::Installation(_, name) => f.write_str(name),
            Self::Repository { name, .. } => name.fmt(f),
            Self::Artifact {
                repository,
                tag: Some(tag),
                ..
            }
            | Self::Tag {
                repository, tag, ..
            } => write!(f, "{repository}:{tag}"),
            Self::Artifact {
                repository, digest, ..
            }
            | Self::Blob {
                repository,
                digest: Some(digest),
                ..
            } => write!(f, "{repository}@{digest}"),
            Self::Blob { repository, .. } => repository.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Algorithm;

    #[test]
    fn a_subject_is_named_as_clients_name_it() {
        let project = ProjectId(1);
        let repository: RepositoryName = "team/app".parse().unwrap();
        let digest = Digest::of(Algorithm::Sha256, b"");
        let artifact = |tag: Option<&str>| Subject::Artifact {
            project,
            repository: repository.clone(),
            tag: tag.map(|tag| tag.parse().unwrap()),
            digest,
        };
        assert_eq!(artifact(Some("v1")).to_string(), "team/app:v1");
        let by_digest = artifact(None);
        let tag = "v1".parse().unwrap();
        assert_eq!(by_digest.clone().tagged(&tag), artifact(Some("v1")));
        assert_eq!(by_digest.to_string(), format!("team/app@{digest}"));
        assert_eq!(by_digest.project(), Some(project));
        let blobs = Subject::Blob {
            project,
            repository: repository.clone(),
            digest: None,
        };
        assert_eq!(blobs.to_string(), "team/app");
        assert_eq!(blobs.resource_type().name(), "blob");
    }

    #[test]
    fn tags_of_a_deleted_artifact_are_read_back() {
        let tags: Vec<Tag> = ["v1", "v2"].map(|tag| tag.parse().unwrap()).into();
        assert_eq!(tags_of(&with_tags(&tags)), tags);
        assert_eq!(tags_of("tags v1, v2…"), tags[..1]);
        assert_eq!(tags_of(&with_tags(&[])), []);
        assert_eq!(tags_of("copied from a"), []);
    }

    #[test]
    fn an_operation_is_read_by_its_name() {
        for operation in Operation::ALL {
            assert_eq!(operation.name().parse(), Ok(*operation));
        }
    }

    #[test]
    fn a_type_of_events_has_two_parts() {
        let parts = |text: &str| {
            let parsed = text.parse::<EventType>().unwrap();
            let parts = (parsed.operation(), parsed.resource_type());
            (parts.0.to_owned(), parts.1.to_owned())
        };
        assert_eq!(parts("pull_artifact"), ("pull".into(), "artifact".into()));
        assert_eq!(
            EVENT_TYPES.map(|text| text.parse::<EventType>().is_ok()),
            [true; 18]
        );
        for text in ["", "pull", "_artifact", "pull_", "Pull_x", "a_b c"] {
            assert_eq!(text.parse::<EventType>(), Err(InvalidEventType), "{text}");
        }
        assert_eq!(EventType::list(" pull_artifact, ,x,login_user").len(), 2);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parsers_panic(text in ".{0,20}") {
            let _ = text.parse::<Operation>();
            let _ = text.parse::<EventType>();
        }

        #[test]
        fn a_type_of_events_prints_back_unchanged(text in "[a-z]{1,9}_[a-z_-]{1,9}") {
            prop_assert_eq!(text.parse::<EventType>().unwrap().to_string(), text);
        }
    }
}
