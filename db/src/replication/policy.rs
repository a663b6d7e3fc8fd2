//! Policies of replication.

use model::replication::{Direction, FilterText, Mapping, PolicyContent, TriggerKind};
use model::{Cron, RegistryId, ReplicationPolicyId, Timestamp};

use crate::error::{Error, Result};
use crate::list::{self, Conditions, Field, Kind, Selection, Source};
use crate::sql::{Reader, Tx, row, stored_names};

stored_names! {
    Direction {
        Push = "push",
        Pull = "pull",
    }
}

row! {
    columns policy_columns;
    /// A policy as it is stored.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Policy of replication_policy {
        /// Its id.
        pub id: ReplicationPolicyId = y.id,
        /// Its name.
        pub name: String = y.name,
        description: String = y.description,
        /// The other registry.
        pub registry: RegistryId = y.registry_id,
        /// Which way artifacts go.
        pub direction: Direction = y.direction,
        namespace: String = y.namespace,
        replace_count: i64 = y.replace_count,
        filters: String = y.filters,
        /// What starts it.
        pub trigger: TriggerKind = y.trigger_kind,
        cron: Option<Cron> = y.cron,
        deletion: bool = y.deletion,
        overrides: bool = y.overrides,
        /// Whether it may run.
        pub enabled: bool = y.enabled,
        speed: i64 = y.speed,
        copy_by_chunk: bool = y.copy_by_chunk,
        single_active: bool = y.single_active,
        /// The newest entry of the audit log that it has followed.
        pub followed: i64 = y.followed_id,
        /// When it was made.
        pub created_at: Timestamp = y.created_at,
        /// When it was last changed.
        pub updated_at: Timestamp = y.updated_at,
    }
}

impl Policy {
    /// What it says.
    ///
    /// # Errors
    /// [`Error::Corrupt`].
    pub fn content(&self) -> Result<PolicyContent> {
        let filters: Vec<FilterText> =
            serde_json::from_str(&self.filters).map_err(|_| Error::Corrupt {
                table: "replication_policy",
                column: "filters",
            })?;
        Ok(PolicyContent {
            name: self.name.clone(),
            description: self.description.clone(),
            direction: self.direction,
            registry: self.registry,
            mapping: Mapping {
                namespace: self.namespace.clone(),
                replace_count: self.replace_count,
            },
            filters,
            trigger: self.trigger,
            cron: self.cron.clone(),
            deletion: self.deletion,
            overrides: self.overrides,
            enabled: self.enabled,
            speed: self.speed,
            copy_by_chunk: self.copy_by_chunk,
            single_active: self.single_active,
        })
    }
}

/// Id.
pub const ID: Field = Field::new("id", Kind::Int, "y.id").unique();
/// Name.
pub const NAME: Field = Field::new("name", Kind::Text, "y.name").unique();

/// What lists can be narrowed and sorted by.
pub const FIELDS: [Field; 7] = [
    ID,
    NAME,
    Field::new("description", Kind::Text, "y.description"),
    Field::new("enabled", Kind::Flag, "y.enabled"),
    Field::new("trigger", Kind::Text, "y.trigger_kind"),
    Field::new("creation_time", Kind::Time, "y.created_at"),
    Field::new("update_time", Kind::Time, "y.updated_at"),
];

const SOURCE: Source = Source {
    name: "replication.policy.list",
    columns: policy_columns!(),
    from: "replication_policy y",
    id: "y.id",
    order: ID,
};

/// A page of policies, and how many there are in all.
///
/// # Errors
/// When a statement fails.
pub async fn list(reader: &mut Reader, selection: &Selection) -> Result<(Vec<Policy>, i64)> {
    let all = Conditions::default();
    list::list(reader, &SOURCE, all, selection, Policy::read).await
}

/// A policy.
///
/// # Errors
/// When the statement fails.
pub async fn get(reader: &mut Reader, id: ReplicationPolicyId) -> Result<Option<Policy>> {
    let row = reader
        .query(concat!(
            "select ",
            policy_columns!(),
            " from replication_policy y where y.id = $1"
        ))
        .bind(id)
        .optional()
        .await?;
    row.as_ref().map(Policy::read).transpose()
}

/// A policy, which nobody else changes, starts or deletes until the transaction ends. What its runs note meanwhile, which
/// names it, does not wait.
///
/// # Errors
/// When the statement fails.
pub async fn hold(tx: &mut Tx, id: ReplicationPolicyId) -> Result<Option<Policy>> {
    let row = tx
        .query_either(
            concat!(
                "select ",
                policy_columns!(),
                " from replication_policy y where y.id = $1"
            ),
            concat!(
                "select ",
                policy_columns!(),
                " from replication_policy y where y.id = $1 for no key update"
            ),
        )
        .bind(id)
        .optional()
        .await?;
    row.as_ref().map(Policy::read).transpose()
}

/// The policy of a name.
///
/// # Errors
/// When the statement fails.
pub async fn by_name(reader: &mut Reader, name: &str) -> Result<Option<Policy>> {
    let row = reader
        .query(concat!(
            "select ",
            policy_columns!(),
            " from replication_policy y where y.name = $1"
        ))
        .bind(name)
        .optional()
        .await?;
    row.as_ref().map(Policy::read).transpose()
}

/// Enabled policies that events start.
///
/// # Errors
/// When the statement fails.
pub async fn by_event(reader: &mut Reader) -> Result<Vec<Policy>> {
    let rows = reader
        .query(concat!(
            "select ",
            policy_columns!(),
            " from replication_policy y where y.enabled = 1 and y.trigger_kind = 'event_based' order by y.id"
        ))
        .all()
        .await?;
    rows.iter().map(Policy::read).collect()
}

/// Enabled policies that override tags.
///
/// # Errors
/// When the statement fails.
pub async fn overriding(reader: &mut Reader) -> Result<Vec<Policy>> {
    let rows = reader
        .query(concat!(
            "select ",
            policy_columns!(),
            " from replication_policy y where y.enabled = 1 and y.overrides = 1 order by y.id"
        ))
        .all()
        .await?;
    rows.iter().map(Policy::read).collect()
}

/// Whether a policy that events start has not followed all of them.
///
/// # Errors
/// When the statement fails.
pub async fn is_behind(reader: &mut Reader) -> Result<bool> {
    let row = reader
        .query(
            "select id from replication_policy where enabled = 1 and trigger_kind = 'event_based'
             and followed_id < (select coalesce(max(id), 0) from audit) limit 1",
        )
        .optional()
        .await?;
    Ok(row.is_some())
}

/// How many there are; of one registry, if one is named.
///
/// # Errors
/// When the statement fails.
pub async fn count(reader: &mut Reader, registry: Option<RegistryId>) -> Result<i64> {
    let row = reader
        .query(
            "select count(*) as total from replication_policy where registry_id = $1 or $1 is null",
        )
        .bind(registry.map(|id| id.0))
        .one()
        .await?;
    row.get("replication_policy", "total")
}

fn filters_json(content: &PolicyContent) -> String {
    // Texts and values alone, which are always JSON.
    serde_json::to_string(&content.filters).unwrap_or_default()
}

/// Makes a policy, which follows events from now on.
///
/// # Errors
/// [`Error::Duplicate`] where another one has the name.
pub async fn create(
    tx: &mut Tx,
    content: &PolicyContent,
    now: Timestamp,
) -> Result<ReplicationPolicyId> {
    let row = tx
        .query(
            "insert into replication_policy (name, description, registry_id, direction, namespace, replace_count, filters,
                 trigger_kind, cron, deletion, overrides, enabled, speed, copy_by_chunk, single_active, followed_id,
                 created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15,
                 (select coalesce(max(id), 0) from audit), $16, $16) returning id",
        )
        .bind(&*content.name)
        .bind(&*content.description)
        .bind(content.registry)
        .bind(content.direction)
        .bind(&*content.mapping.namespace)
        .bind(content.mapping.replace_count)
        .bind(filters_json(content))
        .bind(content.trigger.name())
        .bind(content.cron.as_ref().map(ToString::to_string))
        .bind(content.deletion)
        .bind(content.overrides)
        .bind(content.enabled)
        .bind(content.speed)
        .bind(content.copy_by_chunk)
        .bind(content.single_active)
        .bind(now)
        .one()
        .await?;
    row.get("replication_policy", "id")
}

/// Replaces what a policy says.
///
/// # Errors
/// [`Error::Duplicate`] where another one has the name.
pub async fn update(
    tx: &mut Tx,
    id: ReplicationPolicyId,
    content: &PolicyContent,
    now: Timestamp,
) -> Result<()> {
    tx.query(
        "update replication_policy set name = $2, description = $3, registry_id = $4, direction = $5, namespace = $6,
             replace_count = $7, filters = $8, trigger_kind = $9, cron = $10, deletion = $11, overrides = $12, enabled = $13,
             speed = $14, copy_by_chunk = $15, single_active = $16, updated_at = $17
         where id = $1",
    )
    .bind(id)
    .bind(&*content.name)
    .bind(&*content.description)
    .bind(content.registry)
    .bind(content.direction)
    .bind(&*content.mapping.namespace)
    .bind(content.mapping.replace_count)
    .bind(filters_json(content))
    .bind(content.trigger.name())
    .bind(content.cron.as_ref().map(ToString::to_string))
    .bind(content.deletion)
    .bind(content.overrides)
    .bind(content.enabled)
    .bind(content.speed)
    .bind(content.copy_by_chunk)
    .bind(content.single_active)
    .bind(now)
    .execute()
    .await?;
    Ok(())
}

/// Has a policy follow events from now on, and none that happened before.
///
/// # Errors
/// When the statement fails.
pub async fn follow_from_now(tx: &mut Tx, id: ReplicationPolicyId) -> Result<()> {
    tx.query("update replication_policy set followed_id = (select coalesce(max(id), 0) from audit) where id = $1")
        .bind(id)
        .execute()
        .await?;
    Ok(())
}

/// Notes up to which entry of the audit log a policy has followed.
///
/// # Errors
/// When the statement fails.
pub async fn set_followed(tx: &mut Tx, id: ReplicationPolicyId, entry: i64) -> Result<()> {
    tx.query("update replication_policy set followed_id = $2 where id = $1 and followed_id < $2")
        .bind(id)
        .bind(entry)
        .execute()
        .await?;
    Ok(())
}

/// Removes a policy and what it has noted. Returns false where there is none.
///
/// # Errors
/// When the statement fails.
pub async fn delete(tx: &mut Tx, id: ReplicationPolicyId) -> Result<bool> {
    let removed = tx
        .query("delete from replication_policy where id = $1")
        .bind(id);
    Ok(removed.execute().await? == 1)
}
