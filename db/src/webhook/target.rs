//! Targets: where a policy sends, and whether that works. Their secrets are sealed by whoever stores them here.

use std::collections::HashMap;

use model::{
    ProjectId, ProjectName, Timestamp, WebhookAddress, WebhookFormat, WebhookKind, WebhookPolicyId,
    WebhookTargetId,
};

use crate::error::Result;
use crate::sql::{Reader, Row, Tx, json_list, row};

row! {
    columns target_columns;
    /// A target.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Target of webhook_target {
        /// Its id.
        pub id: WebhookTargetId = t.id,
        /// Its policy.
        pub policy: WebhookPolicyId = t.policy_id,
        /// What it is.
        pub kind: WebhookKind = t.kind,
        /// Where it is.
        pub address: WebhookAddress = t.address,
        /// The header `Authorization`, sealed.
        pub auth_header: Option<Vec<u8>> = t.auth_header,
        /// What requests are signed with, sealed.
        pub secret: Option<Vec<u8>> = t.secret,
        /// Whether whoever answers is believed, whatever certificate it has.
        pub insecure: bool = t.insecure,
        /// The form of requests.
        pub format: WebhookFormat = t.format,
        /// Attempts without an answer since the last one that had one.
        pub failures: i64 = t.failures,
        /// When the first of them was.
        pub failing_since: Option<Timestamp> = t.failing_since,
        /// Nothing is sent before.
        pub retry_at: Timestamp = t.retry_at,
        /// When something was last sent.
        pub last_at: Option<Timestamp> = t.last_at,
        /// The status of the answer to it.
        pub last_status: Option<i64> = t.last_status,
        /// Why it failed.
        pub last_error: Option<String> = t.last_error,
        /// When it was given up.
        pub skipped_at: Option<Timestamp> = t.skipped_at,
    }
    computed {
        /// The project of its policy.
        pub project: ProjectId = "(select own.project_id from webhook_policy own where own.id = t.policy_id)",
    }
}

/// What a target is, but for its secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// What it is.
    pub kind: WebhookKind,
    /// Where it is.
    pub address: WebhookAddress,
    /// Whether whoever answers is believed.
    pub insecure: bool,
    /// The form of requests.
    pub format: WebhookFormat,
}

/// Targets of policies, by policy, each in its order: one statement.
///
/// # Errors
/// When the statement fails.
pub async fn of_policies(
    reader: &mut Reader,
    policies: &[WebhookPolicyId],
) -> Result<HashMap<WebhookPolicyId, Vec<Target>>> {
    let rows = reader
        .query_either(
            concat!(
                "select ",
                target_columns!(),
                " from webhook_target t where t.policy_id in (select value from json_each($1)) and t.removed_at is null
                 order by t.policy_id, t.position"
            ),
            concat!(
                "select ",
                target_columns!(),
                " from webhook_target t
                 where t.policy_id = any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint)))
                 and t.removed_at is null order by t.policy_id, t.position"
            ),
        )
        .bind(json_list(policies.iter().map(|id| id.0)))
        .all()
        .await?;
    let mut targets: HashMap<WebhookPolicyId, Vec<Target>> = HashMap::new();
    for row in &rows {
        let target = Target::read(row)?;
        targets.entry(target.policy).or_default().push(target);
    }
    Ok(targets)
}

/// Targets of one policy, in their order.
///
/// # Errors
/// When the statement fails.
pub async fn of_policy(reader: &mut Reader, policy: WebhookPolicyId) -> Result<Vec<Target>> {
    let mut found = of_policies(reader, &[policy]).await?;
    Ok(found.remove(&policy).unwrap_or_default())
}

/// A target to which something may be sent.
///
/// # Errors
/// When the statement fails.
pub async fn get(reader: &mut Reader, id: WebhookTargetId) -> Result<Option<Target>> {
    let row = reader
        .query(concat!(
            "select ",
            target_columns!(),
            " from webhook_target t join webhook_policy w on w.id = t.policy_id
             where t.id = $1 and t.removed_at is null and w.enabled = 1 and w.deleted_at is null"
        ))
        .bind(id)
        .optional()
        .await?;
    row.as_ref().map(Target::read).transpose()
}

/// Targets for which something waits that is due, the longest waiting first, at most `limit`.
///
/// # Errors
/// When the statement fails.
pub async fn due(reader: &mut Reader, now: Timestamp, limit: i64) -> Result<Vec<Target>> {
    let rows = reader
        .query(concat!(
            "select ",
            target_columns!(),
            " from webhook_target t join webhook_policy w on w.id = t.policy_id
             where t.retry_at <= $1 and t.removed_at is null and w.enabled = 1 and w.deleted_at is null
             and exists (select 1 from webhook_delivery d where d.target_id = t.id and d.due_at <= $1)
             order by coalesce(t.last_at, 0), t.id limit $2"
        ))
        .bind(now)
        .bind(limit)
        .all()
        .await?;
    rows.iter().map(Target::read).collect()
}

/// Adds a target, without secrets.
///
/// # Errors
/// When the statement fails.
pub async fn add(
    tx: &mut Tx,
    policy: WebhookPolicyId,
    position: i64,
    content: &Content,
) -> Result<WebhookTargetId> {
    let row = tx
        .query(
            "insert into webhook_target (policy_id, position, kind, address, insecure, format, failures, retry_at)
             values ($1, $2, $3, $4, $5, $6, 0, 0) returning id",
        )
        .bind(policy)
        .bind(position)
        .bind(content.kind.name())
        .bind(content.address.as_str())
        .bind(content.insecure)
        .bind(content.format.name())
        .one()
        .await?;
    row.get("webhook_target", "id")
}

/// Changes a target, which is tried again at once.
///
/// # Errors
/// When the statement fails.
pub async fn update(
    tx: &mut Tx,
    id: WebhookTargetId,
    position: i64,
    content: &Content,
) -> Result<()> {
    tx.query(
        "update webhook_target set position = $2, kind = $3, address = $4, insecure = $5, format = $6, failures = 0,
             failing_since = null, retry_at = 0, skipped_at = null
         where id = $1",
    )
    .bind(id)
    .bind(position)
    .bind(content.kind.name())
    .bind(content.address.as_str())
    .bind(content.insecure)
    .bind(content.format.name())
    .execute()
    .await?;
    Ok(())
}

/// Sets the sealed header of a target, or takes it away.
///
/// # Errors
/// When the statement fails.
pub async fn set_auth_header(
    tx: &mut Tx,
    id: WebhookTargetId,
    sealed: Option<&[u8]>,
) -> Result<()> {
    tx.query("update webhook_target set auth_header = $2 where id = $1")
        .bind(id)
        .bind(sealed)
        .execute()
        .await?;
    Ok(())
}

/// Sets the sealed secret of a target, or takes it away.
///
/// # Errors
/// When the statement fails.
pub async fn set_secret(tx: &mut Tx, id: WebhookTargetId, sealed: Option<&[u8]>) -> Result<()> {
    tx.query("update webhook_target set secret = $2 where id = $1")
        .bind(id)
        .bind(sealed)
        .execute()
        .await?;
    Ok(())
}

/// Removes a target. What waits for it is cancelled afterwards, see [`super::cleaning`].
///
/// # Errors
/// When the statement fails.
pub async fn remove(tx: &mut Tx, id: WebhookTargetId, now: Timestamp) -> Result<()> {
    tx.query("update webhook_target set removed_at = $2 where id = $1 and removed_at is null")
        .bind(id)
        .bind(now)
        .execute()
        .await?;
    Ok(())
}

/// What an attempt says about its target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// It answered, with this status, and an error if it refused what was sent.
    Answered(i64, Option<&'a str>),
    /// It did not answer, or answered that it cannot work now.
    Failed(Option<i64>, &'a str),
}

/// Notes an attempt, and until when nothing else is sent. Returns true if the target was failing, and works again.
///
/// # Errors
/// When a statement fails.
pub async fn found(
    tx: &mut Tx,
    target: &Target,
    (found, retry_at): (&Found<'_>, Timestamp),
    now: Timestamp,
) -> Result<bool> {
    match found {
        Found::Answered(status, error) => {
            tx.query(
                "update webhook_target set failures = 0, failing_since = null, skipped_at = null, retry_at = $2, last_at = $3,
                     last_status = $4, last_error = $5
                 where id = $1",
            )
            .bind(target.id)
            .bind(retry_at)
            .bind(now)
            .bind(*status)
            .bind(*error)
            .execute()
            .await?;
            Ok(target.failing_since.is_some())
        }
        Found::Failed(status, error) => {
            tx.query(
                "update webhook_target set failures = failures + 1, failing_since = coalesce(failing_since, $3), retry_at = $2,
                     last_at = $3, last_status = $4, last_error = $5
                 where id = $1",
            )
            .bind(target.id)
            .bind(retry_at)
            .bind(now)
            .bind(*status)
            .bind(*error)
            .execute()
            .await?;
            Ok(false)
        }
    }
}

/// Gives up a target, unless it was given up before. Returns whether this did.
///
/// # Errors
/// When the statement fails.
pub async fn skip(tx: &mut Tx, id: WebhookTargetId, now: Timestamp) -> Result<bool> {
    let skipped = tx
        .query("update webhook_target set skipped_at = $2 where id = $1 and skipped_at is null and removed_at is null")
        .bind(id)
        .bind(now);
    Ok(skipped.execute().await? == 1)
}

/// A target that has failed for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// The target.
    pub target: WebhookTargetId,
    /// Its policy, by name.
    pub policy: String,
    /// Its project.
    pub project: ProjectId,
    /// Its project's name.
    pub project_name: ProjectName,
    /// Since when.
    pub since: Timestamp,
    /// Whether it was given up.
    pub skipped: bool,
    /// Why the last attempt failed.
    pub error: String,
}

/// Targets of enabled policies that have failed since before a time, at most `limit`; of some projects, if some are named.
///
/// # Errors
/// When the statement fails.
pub async fn failing(
    reader: &mut Reader,
    projects: Option<&[ProjectId]>,
    before: Timestamp,
    limit: i64,
) -> Result<Vec<Failing>> {
    macro_rules! select {
        ($of:literal) => {
            concat!(
                "select t.id, w.name as policy, w.project_id, p.name, t.failing_since, t.skipped_at,
                     coalesce(t.last_error, '') as last_error
                 from webhook_target t join webhook_policy w on w.id = t.policy_id join project p on p.id = w.project_id
                 where t.failing_since < $1 and t.removed_at is null and w.enabled = 1 and w.deleted_at is null and ($3 is null or ",
                $of,
                ") order by t.id limit $2"
            )
        };
    }
    let rows = reader
        .query_either(
            select!("w.project_id in (select value from json_each($3))"),
            select!(
                "w.project_id = any (array(select cast(json_array_elements_text(cast($3 as json)) as bigint)))"
            ),
        )
        .bind(before)
        .bind(limit)
        .bind(projects.map(|ids| json_list(ids.iter().map(|id| id.0))))
        .all()
        .await?;
    let read = |row: &Row| {
        let skipped: Option<Timestamp> = row.get("webhook_target", "skipped_at")?;
        Ok(Failing {
            target: row.get("webhook_target", "id")?,
            policy: row.get("webhook_policy", "policy")?,
            project: row.get("webhook_policy", "project_id")?,
            project_name: row.get("project", "name")?,
            since: row.get("webhook_target", "failing_since")?,
            skipped: skipped.is_some(),
            error: row.get("webhook_target", "last_error")?,
        })
    };
    rows.iter().map(read).collect()
}

/// How many targets of enabled policies fail, and how many of them were given up.
///
/// # Errors
/// When the statement fails.
pub async fn count_failing(reader: &mut Reader) -> Result<(i64, i64)> {
    let row = reader
        .query(
            "select count(*) as failing, count(t.skipped_at) as skipped
             from webhook_target t join webhook_policy w on w.id = t.policy_id
             where t.failing_since is not null and t.removed_at is null and w.enabled = 1 and w.deleted_at is null",
        )
        .one()
        .await?;
    Ok((
        row.get("webhook_target", "failing")?,
        row.get("webhook_target", "skipped")?,
    ))
}
