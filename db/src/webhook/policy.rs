//! Policies: which events of a project are sent.

use model::{PrincipalId, ProjectId, Timestamp, WebhookEvent, WebhookPolicyId};

use crate::error::{Error, Result};
use crate::list::{self, Conditions, Field, Kind, Selection, Source};
use crate::sql::{Reader, Tx, json_list, row};

row! {
    columns policy_columns;
    /// A policy as it is stored.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Policy of webhook_policy {
        /// Its id.
        pub id: WebhookPolicyId = w.id,
        /// Its project.
        pub project: ProjectId = w.project_id,
        /// Its name.
        pub name: String = w.name,
        /// What it is for.
        pub description: String = w.description,
        event_types: String = w.event_types,
        /// Whether it sends.
        pub enabled: bool = w.enabled,
        /// Whether it sends events of artifacts that are named by a digest alone.
        pub untagged: bool = w.untagged,
        /// Who made it.
        pub creator: String = w.creator,
        /// The entry of the audit log after which it sends.
        pub since: i64 = w.since_id,
        /// When it was made.
        pub created_at: Timestamp = w.created_at,
        /// When it was last changed.
        pub updated_at: Timestamp = w.updated_at,
    }
}

impl Policy {
    /// The types of events that it sends.
    ///
    /// # Errors
    /// [`Error::Corrupt`].
    pub fn events(&self) -> Result<Vec<WebhookEvent>> {
        let corrupt = || Error::Corrupt {
            table: "webhook_policy",
            column: "event_types",
        };
        let names: Vec<String> = serde_json::from_str(&self.event_types).map_err(|_| corrupt())?;
        let parsed = names.iter().map(|name| WebhookEvent::from_name(name));
        parsed.collect::<Option<_>>().ok_or_else(corrupt)
    }
}

/// What a policy says, but for its targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// The types of events that it sends.
    pub events: Vec<WebhookEvent>,
    /// Whether it sends.
    pub enabled: bool,
    /// Whether it sends events of artifacts that are named by a digest alone.
    pub untagged: bool,
}

impl Content {
    fn events_json(&self) -> String {
        json_list(self.events.iter().map(|event| event.name()))
    }
}

/// Id.
pub const ID: Field = Field::new("id", Kind::Int, "w.id").unique();
/// Name.
pub const NAME: Field = Field::new("name", Kind::Text, "w.name").unique();

/// What lists can be narrowed and sorted by.
pub const FIELDS: [Field; 6] = [
    ID,
    NAME,
    Field::new("description", Kind::Text, "w.description"),
    Field::new("enabled", Kind::Flag, "w.enabled"),
    CREATED,
    Field::new("update_time", Kind::Time, "w.updated_at"),
];

/// When it was made.
pub const CREATED: Field = Field::new("creation_time", Kind::Time, "w.created_at");

const SOURCE: Source = Source {
    name: "webhook.policy.list",
    columns: policy_columns!(),
    from: "webhook_policy w",
    id: "w.id",
    order: ID,
};

/// Policies of a project, and how many there are in all.
///
/// # Errors
/// When a statement fails.
pub async fn list(
    reader: &mut Reader,
    project: ProjectId,
    selection: &Selection,
) -> Result<(Vec<Policy>, i64)> {
    let of_project = Conditions::default()
        .and_value("w.project_id = $", project)
        .and("w.deleted_at is null");
    list::list(reader, &SOURCE, of_project, selection, Policy::read).await
}

/// A policy of a project.
///
/// # Errors
/// When the statement fails.
pub async fn get(
    reader: &mut Reader,
    project: ProjectId,
    id: WebhookPolicyId,
) -> Result<Option<Policy>> {
    let row = reader
        .query(concat!(
            "select ",
            policy_columns!(),
            " from webhook_policy w where w.project_id = $1 and w.id = $2 and w.deleted_at is null"
        ))
        .bind(project)
        .bind(id)
        .optional()
        .await?;
    row.as_ref().map(Policy::read).transpose()
}

/// The policy of a project with a name.
///
/// # Errors
/// When the statement fails.
pub async fn by_name(
    reader: &mut Reader,
    project: ProjectId,
    name: &str,
) -> Result<Option<Policy>> {
    let row = reader
        .query(concat!(
            "select ",
            policy_columns!(),
            " from webhook_policy w where w.project_id = $1 and w.name = $2 and w.deleted_at is null"
        ))
        .bind(project)
        .bind(name)
        .optional()
        .await?;
    row.as_ref().map(Policy::read).transpose()
}

/// A policy of a project, which nobody else changes or deletes until the transaction ends.
///
/// # Errors
/// When the statement fails.
pub async fn hold(tx: &mut Tx, project: ProjectId, id: WebhookPolicyId) -> Result<Option<Policy>> {
    let row = tx
        .query_either(
            concat!(
                "select ",
                policy_columns!(),
                " from webhook_policy w where w.project_id = $1 and w.id = $2 and w.deleted_at is null"
            ),
            concat!(
                "select ",
                policy_columns!(),
                " from webhook_policy w where w.project_id = $1 and w.id = $2 and w.deleted_at is null for update"
            ),
        )
        .bind(project)
        .bind(id)
        .optional()
        .await?;
    row.as_ref().map(Policy::read).transpose()
}

/// All policies that send.
///
/// # Errors
/// When the statement fails.
pub async fn enabled(reader: &mut Reader) -> Result<Vec<Policy>> {
    let rows = reader
        .query(concat!(
            "select ",
            policy_columns!(),
            " from webhook_policy w where w.enabled = 1 and w.deleted_at is null order by w.id"
        ))
        .all()
        .await?;
    rows.iter().map(Policy::read).collect()
}

/// How many policies a project has.
///
/// # Errors
/// When the statement fails.
pub async fn count(reader: &mut Reader, project: ProjectId) -> Result<i64> {
    let row = reader
        .query(
            "select count(*) as total from webhook_policy where project_id = $1 and deleted_at is null",
        )
        .bind(project)
        .one()
        .await?;
    row.get("webhook_policy", "total")
}

/// Makes a policy, which sends what happens from now on.
///
/// # Errors
/// [`Error::Duplicate`] where another one of the project has the name.
pub async fn create(
    tx: &mut Tx,
    project: ProjectId,
    (content, creator): (&Content, (&str, Option<PrincipalId>)),
    now: Timestamp,
) -> Result<WebhookPolicyId> {
    let row = tx
        .query(
            "insert into webhook_policy (project_id, name, description, event_types, enabled, untagged, creator, creator_id, since_id,
                 created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, (select coalesce(max(id), 0) from audit), $9, $9) returning id",
        )
        .bind(project)
        .bind(&*content.name)
        .bind(&*content.description)
        .bind(content.events_json())
        .bind(content.enabled)
        .bind(content.untagged)
        .bind(creator.0)
        .bind(creator.1)
        .bind(now)
        .one()
        .await?;
    row.get("webhook_policy", "id")
}

/// Replaces what a held policy says.
///
/// # Errors
/// [`Error::Duplicate`] where another one of the project has the name.
pub async fn update(
    tx: &mut Tx,
    id: WebhookPolicyId,
    content: &Content,
    now: Timestamp,
) -> Result<()> {
    tx.query(
        "update webhook_policy set name = $2, description = $3, event_types = $4, enabled = $5, untagged = $6, updated_at = $7
         where id = $1",
    )
    .bind(id)
    .bind(&*content.name)
    .bind(&*content.description)
    .bind(content.events_json())
    .bind(content.enabled)
    .bind(content.untagged)
    .bind(now)
    .execute()
    .await?;
    Ok(())
}

/// Has a policy send what happens from now on, and nothing that happened before.
///
/// # Errors
/// When the statement fails.
pub async fn send_from_now(tx: &mut Tx, id: WebhookPolicyId) -> Result<()> {
    tx.query("update webhook_policy set since_id = (select coalesce(max(id), 0) from audit) where id = $1")
        .bind(id)
        .execute()
        .await?;
    Ok(())
}

/// Deletes a policy. What waits of it is cancelled afterwards, see [`super::cleaning`].
///
/// # Errors
/// When the statement fails.
pub async fn delete(tx: &mut Tx, id: WebhookPolicyId, now: Timestamp) -> Result<()> {
    tx.query("update webhook_policy set deleted_at = $2 where id = $1 and deleted_at is null")
        .bind(id)
        .bind(now)
        .execute()
        .await?;
    Ok(())
}

/// Deletes the policies of a project.
///
/// # Errors
/// When the statement fails.
pub(crate) async fn delete_of_project(
    tx: &mut Tx,
    project: ProjectId,
    now: Timestamp,
) -> Result<()> {
    tx.query(
        "update webhook_policy set deleted_at = $2 where project_id = $1 and deleted_at is null",
    )
    .bind(project)
    .bind(now)
    .execute()
    .await?;
    Ok(())
}
