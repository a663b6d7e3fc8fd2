//! Row ids, one type each, so that one cannot be passed for another.

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
    /// Id of a local account.
    AccountId;
    /// Id of a project membership.
    MemberId;
    /// Id of a repository.
    RepositoryId;
    /// Id of a manifest row.
    ManifestId;
    /// Id of a blob row.
    BlobId;
}

impl AccountId {
    /// The built-in administrator, id 1 as in Harbor.
    pub const ADMIN: Self = Self(1);
}
