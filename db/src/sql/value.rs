//! Values that statements bind.

use model::{
    BlobId, Digest, ExecutionId, ExpectedMemberId, GroupId, ImmutableRuleId, JobId, LabelId,
    ManifestId, MemberId, PrincipalId, ProjectId, RegistryId, ReplicationPolicyId, RepositoryId,
    RetentionId, RobotId, SessionId, TagId, TaskId, Timestamp, UserId, WebhookPolicyId,
    WebhookTargetId, WorkloadRuleId,
};

/// A value to be bound.
#[derive(Clone)]
pub(crate) enum Value {
    Int(Option<i64>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
}

macro_rules! values {
    ($($from:ty => |$x:ident| $value:expr;)*) => {$(
        impl From<$from> for Value {
            fn from($x: $from) -> Self { $value }
        }
    )*};
}
values! {
    i64 => |x| Self::Int(Some(x));
    u64 => |x| Self::Int(Some(x as i64));
    Option<i64> => |x| Self::Int(x);
    bool => |x| Self::Int(Some(i64::from(x)));
    &str => |x| Self::Text(Some(x.to_owned()));
    String => |x| Self::Text(Some(x));
    Option<Timestamp> => |x| Self::Int(x.map(|at| at.0));
    Option<&str> => |x| Self::Text(x.map(str::to_owned));
    Option<String> => |x| Self::Text(x);
    &[u8] => |x| Self::Bytes(Some(x.to_vec()));
    Option<&[u8]> => |x| Self::Bytes(x.map(<[u8]>::to_vec));
    Timestamp => |x| Self::Int(Some(x.0));
    PrincipalId => |x| Self::Int(Some(x.0));
    Option<PrincipalId> => |x| Self::Int(x.map(|id| id.0));
    UserId => |x| Self::Int(Some(x.0));
    RobotId => |x| Self::Int(Some(x.0));
    GroupId => |x| Self::Int(Some(x.0));
    ProjectId => |x| Self::Int(Some(x.0));
    Option<ProjectId> => |x| Self::Int(x.map(|id| id.0));
    RepositoryId => |x| Self::Int(Some(x.0));
    ManifestId => |x| Self::Int(Some(x.0));
    TagId => |x| Self::Int(Some(x.0));
    BlobId => |x| Self::Int(Some(x.0));
    MemberId => |x| Self::Int(Some(x.0));
    ExpectedMemberId => |x| Self::Int(Some(x.0));
    SessionId => |x| Self::Int(Some(x.0));
    JobId => |x| Self::Int(Some(x.0));
    LabelId => |x| Self::Int(Some(x.0));
    ImmutableRuleId => |x| Self::Int(Some(x.0));
    WorkloadRuleId => |x| Self::Int(Some(x.0));
    RegistryId => |x| Self::Int(Some(x.0));
    ReplicationPolicyId => |x| Self::Int(Some(x.0));
    ExecutionId => |x| Self::Int(Some(x.0));
    TaskId => |x| Self::Int(Some(x.0));
    RetentionId => |x| Self::Int(Some(x.0));
    WebhookPolicyId => |x| Self::Int(Some(x.0));
    WebhookTargetId => |x| Self::Int(Some(x.0));
    Option<JobId> => |x| Self::Int(x.map(|id| id.0));
    &Digest => |x| Self::Bytes(Some(x.to_bytes()));
    Option<&Digest> => |x| Self::Bytes(x.map(Digest::to_bytes));
}

/// Values as one JSON array, which both databases can unpack.
pub(crate) fn json_list<T: serde::Serialize>(values: impl IntoIterator<Item = T>) -> String {
    let values: Vec<T> = values.into_iter().collect();
    serde_json::to_string(&values).unwrap_or_default()
}

/// The ids of the JSON array `$1` as `j.id`, for joins on PostgreSQL.
macro_rules! ids_of_postgres {
    () => {
        "(select cast(json_array_elements_text(cast($1 as json)) as bigint) as id) j"
    };
}
pub(crate) use ids_of_postgres;

/// Digests as one JSON array of their bytes in hex.
pub(crate) fn json_digests<'d>(digests: impl IntoIterator<Item = &'d Digest>) -> String {
    json_list(digests.into_iter().map(hex_of))
}

/// The bytes of a digest in hex, for a statement that unpacks JSON.
pub(crate) fn hex_of(digest: &Digest) -> String {
    hex::encode(digest.to_bytes())
}
