//! Rows, and columns parsed into model types.

use model::replication::{RegistryKind, TriggerKind};
use model::{
    BlobId, Cron, Digest, ExecutionId, ExpectedMemberId, GroupId, ImmutableRuleId, InstallationId,
    JobId, LabelId, ManifestId, MemberId, PrincipalId, ProjectId, ProjectName, RegistryId,
    ReplicationPolicyId, RepositoryId, RepositoryName, RetentionId, RobotId, SessionId, StoreId,
    Tag, TagId, TaskId, Timestamp, UserId, WebhookAddress, WebhookEvent, WebhookFormat,
    WebhookKind, WebhookPolicyId, WebhookTargetId, WorkloadRuleId,
};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;

use crate::error::{Error, Result};

/// A row of either database.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// A type that a column holds.
pub(crate) trait Stored: Sized {
    /// How the databases hold it.
    type Raw: Raw;

    /// The value; `None` if no version of this program writes such a value.
    fn parse(raw: Self::Raw) -> Option<Self>;
}

/// The type of a column: a [`Stored`] one, or an option of one if the column may be null.
pub(crate) trait Column: Sized {
    /// Reads it.
    fn read(row: &Row, table: &'static str, column: &'static str) -> Result<Self>;
}

/// A type that both databases have.
pub(crate) trait Raw: Sized {
    fn get(row: &Row, column: &str) -> Result<Option<Self>, sqlx::Error>;
}

macro_rules! raw {
    ($($type:ty)*) => {$(
        impl Raw for $type {
            fn get(row: &Row, column: &str) -> Result<Option<Self>, sqlx::Error> {
                match row {
                    Row::Sqlite(row) => row.try_get(column),
                    Row::Postgres(row) => row.try_get(column),
                }
            }
        }

        impl Stored for $type {
            type Raw = $type;

            fn parse(raw: $type) -> Option<Self> {
                Some(raw)
            }
        }
    )*};
}
raw! { i64 String Vec<u8> }

macro_rules! stored {
    ($($type:ty: $raw:ty => |$x:ident| $value:expr;)*) => {$(
        impl Stored for $type {
            type Raw = $raw;

            fn parse($x: $raw) -> Option<Self> {
                $value
            }
        }
    )*};
}
stored! {
    bool: i64 => |x| Some(x != 0);
    u64: i64 => |x| x.try_into().ok();
    Timestamp: i64 => |x| Some(Self(x));
    PrincipalId: i64 => |x| Some(Self(x));
    UserId: i64 => |x| Some(Self(x));
    RobotId: i64 => |x| Some(Self(x));
    GroupId: i64 => |x| Some(Self(x));
    model::GroupSource: i64 => |x| Self::from_id(x);
    ProjectId: i64 => |x| Some(Self(x));
    RepositoryId: i64 => |x| Some(Self(x));
    ManifestId: i64 => |x| Some(Self(x));
    TagId: i64 => |x| Some(Self(x));
    BlobId: i64 => |x| Some(Self(x));
    MemberId: i64 => |x| Some(Self(x));
    ExpectedMemberId: i64 => |x| Some(Self(x));
    SessionId: i64 => |x| Some(Self(x));
    JobId: i64 => |x| Some(Self(x));
    LabelId: i64 => |x| Some(Self(x));
    ImmutableRuleId: i64 => |x| Some(Self(x));
    WorkloadRuleId: i64 => |x| Some(Self(x));
    RegistryId: i64 => |x| Some(Self(x));
    ReplicationPolicyId: i64 => |x| Some(Self(x));
    RegistryKind: String => |x| Self::from_name(&x);
    TriggerKind: String => |x| Self::from_name(&x);
    ExecutionId: i64 => |x| Some(Self(x));
    TaskId: i64 => |x| Some(Self(x));
    RetentionId: i64 => |x| Some(Self(x));
    WebhookPolicyId: i64 => |x| Some(Self(x));
    WebhookTargetId: i64 => |x| Some(Self(x));
    WebhookAddress: String => |x| x.parse().ok();
    WebhookEvent: String => |x| Self::from_name(&x);
    WebhookKind: String => |x| Self::from_name(&x);
    WebhookFormat: String => |x| Self::from_name(&x);
    model::CertificateId: i64 => |x| Some(Self(x));
    policy::Role: i64 => |x| Self::from_id(x);
    Digest: Vec<u8> => |x| Self::from_bytes(&x).ok();
    ProjectName: String => |x| x.parse().ok();
    RepositoryName: String => |x| x.parse().ok();
    Tag: String => |x| x.parse().ok();
    Cron: String => |x| x.parse().ok();
    StoreId: String => |x| x.parse().ok();
    InstallationId: String => |x| x.parse().ok();
}

impl<T: Stored> Column for T {
    fn read(row: &Row, table: &'static str, column: &'static str) -> Result<Self> {
        Option::read(row, table, column)?.ok_or(Error::Corrupt { table, column })
    }
}

impl<T: Stored> Column for Option<T> {
    fn read(row: &Row, table: &'static str, column: &'static str) -> Result<Self> {
        let corrupt = || Error::Corrupt { table, column };
        let raw = T::Raw::get(row, column).map_err(|_| corrupt())?;
        raw.map(|raw| T::parse(raw).ok_or_else(corrupt)).transpose()
    }
}

impl Row {
    /// The value of a column of the result. `table` is where it comes from, for the error.
    pub(crate) fn get<T: Column>(&self, table: &'static str, column: &'static str) -> Result<T> {
        T::read(self, table, column)
    }
}

/// Declares the names under which an enum is stored.
macro_rules! stored_names {
    ($type:ident { $($variant:ident = $name:literal,)* }) => {
        impl From<$type> for $crate::sql::Value {
            fn from(value: $type) -> Self {
                match value {
                    $($type::$variant => $name,)*
                }
                .into()
            }
        }

        impl $crate::sql::Stored for $type {
            type Raw = String;

            fn parse(name: String) -> Option<Self> {
                match name.as_str() {
                    $($name => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}
pub(crate) use stored_names;

/// Declares a struct for rows. Each field names its column, with the table's alias in statements, or, after `computed`,
/// an expression, which gets the field's name. The macro named first is the select list; `read` takes a row, and
/// returns [`Error::Corrupt`] with table and column if a value cannot be parsed.
macro_rules! row {
    (
        columns $columns:ident;
        $(#[$meta:meta])*
        $visibility:vis struct $name:ident of $table:ident {
            $($(#[$field_meta:meta])* $field_visibility:vis $field:ident: $type:ty = $alias:ident.$column:ident,)*
        }
        $(computed {
            $($(#[$sum_meta:meta])* $sum_visibility:vis $sum:ident: $sum_type:ty = $sql:literal,)*
        })?
    ) => {
        $(#[$meta])*
        $visibility struct $name {
            $($(#[$field_meta])* $field_visibility $field: $type,)*
            $($($(#[$sum_meta])* $sum_visibility $sum: $sum_type,)*)?
        }

        macro_rules! $columns {
            () => {
                $crate::sql::select_list!($($alias.$column,)*; $($($sum = $sql,)*)?)
            };
        }

        impl $name {
            pub(crate) fn read(row: &$crate::sql::Row) -> $crate::error::Result<Self> {
                Ok(Self {
                    $($field: row.get(stringify!($table), stringify!($column))?,)*
                    $($($sum: row.get(stringify!($table), stringify!($sum))?,)*)?
                })
            }
        }
    };
}
pub(crate) use row;

/// `alias.column, …, expression as name, …`
macro_rules! select_list {
    ($first_alias:ident.$first:ident, $($alias:ident.$column:ident,)*; $($name:ident = $sql:literal,)*) => {
        concat!(
            stringify!($first_alias), ".", stringify!($first),
            $(", ", stringify!($alias), ".", stringify!($column),)*
            $(", ", $sql, " as ", stringify!($name),)*
        )
    };
}
pub(crate) use select_list;
