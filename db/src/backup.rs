//! The whole database as rows of JSON, the same from SQLite and PostgreSQL, and back into an empty one of either. State
//! that only running processes need is left out, such as recent failed logins; so are sessions and mailed links, which
//! may have ended since, and data that is read again from blobs.

use serde::{Deserialize, Serialize};

use crate::applied;
use crate::audit::partition;
use crate::error::{Error, Result};
use crate::sql::{Reader, Tx};
use crate::webhook;

/// Tables in an order in which none refers to a later one.
pub const TABLES: [&str; 66] = [
    "installation",
    "setting",
    "store_identity",
    "principal",
    "user_account",
    "user_group",
    "group_member",
    "preference",
    "notice_dismissal",
    "identity",
    "oidc_account",
    "project",
    "robot",
    "robot_permission",
    "workload_rule",
    "project_metadata",
    "project_usage",
    "project_refund",
    "member",
    "former_member",
    "expected_member",
    "expected_identity",
    "repository",
    "repository_stat",
    "blob",
    "repository_blob",
    "object_garbage",
    "manifest",
    "manifest_payload",
    "manifest_stat",
    "manifest_reference",
    "accessory",
    "tag",
    "tag_history",
    "tag_deletion",
    "tag_stat",
    "immutable_rule",
    "label",
    "label_link",
    "upload",
    "audit",
    "audit_seal",
    "audit_purge",
    "audit_follower",
    "erasure",
    "stat_hour",
    "stat_mark",
    "job",
    "job_log",
    "schedule",
    "registry",
    "replication_policy",
    "replication_state",
    "execution",
    "task",
    "task_log",
    "retention_policy",
    "webhook_policy",
    "webhook_target",
    "webhook_delivery",
    "webhook_note",
    "webhook_trigger",
    "certificate",
    "acme_account",
    "acme_order",
    "applied",
];

/// Tables that are not kept.
pub const LEFT_OUT: [&str; 13] = [
    "manifest_attrs",
    "setting_version",
    "login_failure",
    "session",
    "mailed_link",
    "oidc_ticket",
    "written_batch",
    "blob_event",
    "replication_upload",
    "replication_reach",
    "acme_challenge",
    "_sqlx_migrations",
    "schema_least",
];

/// The header of a table, which precedes its rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its name.
    pub table: String,
    /// Its columns, in the order in which rows have them.
    pub columns: Vec<Column>,
}

/// A column of a [`Table`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A number, written as one.
    Int,
    /// Text.
    Text,
    /// Bytes, in hex.
    Bytes,
}

/// The number of the newest migration that the database has and this program knows. A newer program may have run more;
/// what they made is in no backup of this one.
///
/// # Errors
/// When the statement fails.
pub async fn schema(reader: &mut Reader) -> Result<i64> {
    let row = reader.query("select max(version) as version from _sqlx_migrations");
    let newest: i64 = row.one().await?.get("_sqlx_migrations", "version")?;
    Ok(newest.min(crate::schema::newest()))
}

/// Names of all tables that the database has.
///
/// # Errors
/// When the statement fails.
pub async fn tables(reader: &mut Reader) -> Result<Vec<String>> {
    let rows = reader
        .query_either(
            "select name from sqlite_schema where type = 'table' and name not like 'sqlite%'",
            "select cast(relname as text) as name from pg_class
             where relkind in ('r', 'p') and not relispartition and relnamespace = (select oid from pg_namespace where nspname = current_schema())",
        )
        .all()
        .await?;
    rows.iter().map(|row| row.get("schema", "name")).collect()
}

/// The columns of a table in [`TABLES`].
///
/// # Errors
/// When the statement fails.
pub async fn describe(reader: &mut Reader, table: &'static str) -> Result<Table> {
    let rows = reader
        .query_either(
            "select name, type from pragma_table_info($1)",
            "select cast(column_name as text) as name, cast(data_type as text) as type from information_schema.columns
             where table_name = $1 and table_schema = current_schema() order by ordinal_position",
        )
        .bind(table)
        .all()
        .await?;
    let columns = rows.iter().map(|row| {
        let kind = match &*row.get::<String>("schema", "type")?.to_lowercase() {
            "integer" | "bigint" => Kind::Int,
            "text" => Kind::Text,
            "blob" | "bytea" => Kind::Bytes,
            _ => {
                return Err(Error::Corrupt {
                    table,
                    column: "type",
                });
            }
        };
        let name = row.get("schema", "name")?;
        Ok(Column { name, kind })
    });
    Ok(Table {
        table: table.to_owned(),
        columns: columns.collect::<Result<_>>()?,
    })
}

/// Passes on each row of a table as a JSON array.
///
/// # Errors
/// When the statement fails, or `take` does.
pub async fn rows<E: From<Error>>(
    reader: &mut Reader,
    table: &Table,
    mut take: impl FnMut(&str) -> Result<(), E> + Send,
) -> Result<(), E> {
    let postgres = reader.is_postgres();
    let value = |column: &Column| match (column.kind, postgres) {
        (Kind::Bytes, true) => format!("encode({}, 'hex')", column.name),
        // `hex` makes an empty text of null.
        (Kind::Bytes, false) => format!("iif({0} is null, null, hex({0}))", column.name),
        _ => column.name.clone(),
    };
    let values: Vec<String> = table.columns.iter().map(value).collect();
    let (values, name) = (values.join(", "), &table.table);
    let sql = if postgres {
        format!("select cast(json_build_array({values}) as text) as row from {name}")
    } else {
        format!("select json_array({values}) as row from {name}")
    };
    let each = |row: crate::sql::Row| take(&row.get::<String>("row", "row")?);
    reader.query_built("backup.rows", sql).each(each).await
}

/// Whether nothing was ever stored.
///
/// # Errors
/// When the statement fails.
pub async fn is_empty(reader: &mut Reader) -> Result<bool> {
    let row = reader
        .query("select count(*) as total from principal")
        .one();
    Ok(row.await?.get::<i64>("principal", "total")? == 0)
}

/// Whether this transaction is the only restore. SQLite writes one transaction at a time anyway.
///
/// # Errors
/// When the statement fails.
pub async fn take_turn(tx: &mut Tx) -> Result<bool> {
    if !tx.is_postgres() {
        return Ok(true);
    }
    let sql = "select cast(pg_try_advisory_xact_lock(7106) as int)::bigint as taken";
    tx.query(sql).one().await?.get("lock", "taken")
}

/// Puts rows into a table: a JSON array of arrays.
///
/// # Errors
/// When the statement fails.
pub async fn put(tx: &mut Tx, table: &Table, rows: &str) -> Result<u64> {
    let postgres = tx.is_postgres();
    let value = |(at, column): (usize, &Column)| match (column.kind, postgres) {
        (Kind::Bytes, true) => format!("decode(value ->> {at}, 'hex')"),
        (Kind::Bytes, false) => format!("unhex(value ->> {at})"),
        (Kind::Int, true) => format!("cast(value ->> {at} as bigint)"),
        _ => format!("value ->> {at}"),
    };
    let values: Vec<String> = table.columns.iter().enumerate().map(value).collect();
    if postgres && table.table == "audit" {
        let mut columns = table.columns.iter();
        let at = columns.position(|column| column.name == "at");
        partition::make_for(tx, rows, at.unwrap_or_default()).await?;
    }
    let names: Vec<&str> = table.columns.iter().map(|column| &*column.name).collect();
    let source = if postgres {
        "json_array_elements(cast($1 as json)) as r (value)"
    } else {
        "json_each($1)"
    };
    let sql = format!(
        "insert into {} ({}) select {} from {source}",
        table.table,
        names.join(", "),
        values.join(", ")
    );
    tx.query_built("backup.restore", sql)
        .bind(rows)
        .execute()
        .await
}

/// Makes new rows of a table continue after the existing ids, which SQLite does by itself. Ids of rows that were
/// already deleted are assigned again, so nothing may still refer to them.
///
/// # Errors
/// When the statement fails.
pub async fn count_on(tx: &mut Tx, table: &Table) -> Result<()> {
    if table.table == "audit" {
        webhook::follow::lower_place(tx).await?;
    }
    if let Some(lowered) = lowered(&table.table) {
        tx.query(lowered).execute().await?;
    }
    let numbered = |column: &Column| column.name == "id" && column.kind == Kind::Int;
    if !tx.is_postgres() || !table.columns.iter().any(numbered) {
        return Ok(());
    }
    let name = &table.table;
    let sql = format!(
        "select setval(pg_get_serial_sequence('{name}', 'id'), coalesce(max(id), 0) + 1, false) as next from {name}"
    );
    tx.query_built("backup.count_on", sql).one().await?;
    Ok(())
}

/// What lowers references to the newest id of a table, such as the places of those that follow the log, or removes those
/// to rows that are not there: ids that were not restored are assigned again.
fn lowered(table: &str) -> Option<&'static str> {
    match table {
        "manifest" => Some(
            "update manifest set last_referrer = (select max(id) from manifest)
             where last_referrer > (select max(id) from manifest)",
        ),
        // Ids that only events of blobs had are assigned again.
        "audit_follower" => Some(
            "update audit_follower set read_id = (select coalesce(max(id), 0) from audit)
             where read_id > (select coalesce(max(id), 0) from audit)",
        ),
        "webhook_policy" => Some(
            "update webhook_policy set since_id = (select coalesce(max(id), 0) from audit)
             where since_id > (select coalesce(max(id), 0) from audit)",
        ),
        "replication_policy" => Some(
            "update replication_policy set followed_id = (select coalesce(max(id), 0) from audit)
             where followed_id > (select coalesce(max(id), 0) from audit)",
        ),
        // The ids of objects that were gone already are assigned again.
        "applied" => Some(applied::FORGET_GONE),
        _ => None,
    }
}
