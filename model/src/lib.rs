//! Names, digests, references, ids, manifests and schedules: parsing and printing, no I/O. What these values mean to a
//! push or a pull is in `registry`.

pub mod accessory;
pub mod account_mail;
pub mod artifact;
pub mod client;
pub mod clock;
pub mod cron;
pub mod digest;
pub mod dn;
pub mod erasure;
pub mod event;
pub mod group;
pub mod id;
pub mod immutable_rule;
pub mod label;
pub mod manifest;
pub mod media_type;
pub mod name;
pub mod network;
pub mod notification;
pub mod pattern;
pub mod principal;
pub mod project_setting;
pub mod range;
pub mod reference;
pub mod replication;
pub mod retention;
pub mod robot;
pub mod storage_limit;
pub mod tag;
pub mod user;
pub mod webhook;
pub mod workload;

pub use accessory::AccessoryKind;
pub use account_mail::{AccountMail, MailLanguage};
pub use artifact::Addition;
pub use client::Client;
pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use cron::Cron;
pub use digest::{Algorithm, Digest, Hasher};
pub use dn::Dn;
pub use erasure::ErasureJob;
pub use event::{EVENT_TYPES, Event, EventType, Operation, Origin, Outcome, ResourceType, Subject};
pub use group::{GroupName, GroupSource};
pub use id::{
    BlobId, CertificateId, ExecutionId, ExpectedMemberId, GroupId, ImmutableRuleId, InstallationId,
    JobId, LabelId, ManifestId, MemberId, PrincipalId, ProjectId, RegistryId, ReplicationPolicyId,
    RepositoryId, RetentionId, RobotId, SessionId, StoreId, TagId, TaskId, UserId, WebhookPolicyId,
    WebhookTargetId, WorkloadRuleId,
};
pub use immutable_rule::{ImmutableRule, Selector};
pub use label::{InvalidLabel, LabelName, NewLabel};
pub use manifest::{Descriptor, Manifest};
pub use media_type::MediaType;
pub use name::{ProjectName, RepositoryName};
pub use network::Network;
pub use principal::{Principal, SystemTask};
pub use project_setting::{ProjectSetting, Severity};
pub use range::{ByteRanges, ContentRange};
pub use reference::{Address, Reference};
pub use retention::{RetentionRule, RetentionTerms};
pub use robot::{Lifetime, RobotDescription, RobotMaker, RobotName, SecretGrace};
pub use storage_limit::StorageLimit;
pub use tag::Tag;
pub use user::{Profile, UserName, is_email, is_unseen};
pub use webhook::{
    WebhookAddress, WebhookDelivery, WebhookEvent, WebhookFormat, WebhookKind, WebhookRequest,
};
pub use workload::{
    ClaimPattern, InvalidWorkloadRule, Issuer, WorkloadConditions, WorkloadRuleName,
};
