//! IDs of rows, installations and stores: one type each, so that they cannot be mixed up.

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = std::num::ParseIntError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    )*};
}

ids! {
    /// Id of a project.
    ProjectId;
    /// Id of a principal, whatever kind it is.
    PrincipalId;
    /// Id of a user among users, as clients see it.
    UserId;
    /// Id of a robot among robots, as clients see it.
    RobotId;
    /// Id of a group among groups, as clients see it.
    GroupId;
    /// Id of a session of a browser.
    SessionId;
    /// Id of a project membership.
    MemberId;
    /// Id of a role that waits for a person.
    ExpectedMemberId;
    /// Id of a repository.
    RepositoryId;
    /// Id of a manifest row.
    ManifestId;
    /// Id of a tag row.
    TagId;
    /// Id of a blob row.
    BlobId;
    /// Id of a job.
    JobId;
    /// Id of a label.
    LabelId;
    /// Id of a rule for immutable tags.
    ImmutableRuleId;
    /// Id of a workload rule.
    WorkloadRuleId;
    /// Id of another registry; 0 on the wire is this one.
    RegistryId;
    /// Id of a policy of replication.
    ReplicationPolicyId;
    /// Id of an execution: a run of a policy.
    ExecutionId;
    /// Id of a task: a part of an execution.
    TaskId;
    /// Id of a policy of tag retention.
    RetentionId;
    /// Id of a policy of webhooks.
    WebhookPolicyId;
    /// Id of a place to which a policy of webhooks sends.
    WebhookTargetId;
    /// Id of a certificate that all replicas present.
    CertificateId;
}

impl UserId {
    /// The built-in administrator, id 1 as in Harbor.
    pub const ADMIN: Self = Self(1);
}

/// The text is not an ID of an installation or a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id has 32 hexadecimal digits")]
pub struct InvalidId;

macro_rules! random_ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
        )]
        #[serde(try_from = "String", into = "String")]
        pub struct $name([u8; 16]);

        impl $name {
            /// An ID of random bytes, which come from a cryptographic source.
            pub const fn new(random: [u8; 16]) -> Self {
                Self(random)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let mut bytes = [0; 16];
                hex::decode_to_slice(text, &mut bytes).map_err(|_| InvalidId)?;
                Ok(Self(bytes))
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
    )*};
}

random_ids! {
    /// Id of an installation: one database, and the stores that hold its blobs.
    InstallationId;
    /// Id of a blob store.
    StoreId;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_store_id_prints_back_unchanged(text in "[0-9a-f]{32}") {
            prop_assert_eq!(text.parse::<StoreId>().unwrap().to_string(), text);
        }

        #[test]
        fn no_text_makes_a_store_id_panic(text in ".*") {
            let _ = text.parse::<StoreId>();
        }
    }
}
