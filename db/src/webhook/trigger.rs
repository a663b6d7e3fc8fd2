//! When policies last had an event of each type, and how many were held back since.

use std::collections::HashMap;

use model::{Timestamp, WebhookEvent, WebhookPolicyId};

use crate::error::Result;
use crate::sql::{Reader, Tx, json_list, row};

row! {
    columns trigger_columns;
    /// When a policy last had an event of a type.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Trigger of webhook_trigger {
        /// The policy.
        pub policy: WebhookPolicyId = g.policy_id,
        /// The type.
        pub event: WebhookEvent = g.event,
        /// When.
        pub at: Timestamp = g.at,
        /// Events like it that were not sent since.
        pub held_back: i64 = g.held_back,
    }
}

/// What policies last had, by policy and type.
///
/// # Errors
/// When the statement fails.
pub async fn of_policies(
    reader: &mut Reader,
    policies: &[WebhookPolicyId],
) -> Result<HashMap<(WebhookPolicyId, WebhookEvent), Trigger>> {
    let rows = reader
        .query_either(
            concat!(
                "select ",
                trigger_columns!(),
                " from webhook_trigger g where g.policy_id in (select value from json_each($1))"
            ),
            concat!(
                "select ",
                trigger_columns!(),
                " from webhook_trigger g
                 where g.policy_id = any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint)))"
            ),
        )
        .bind(json_list(policies.iter().map(|id| id.0)))
        .all()
        .await?;
    let mut found = HashMap::new();
    for row in &rows {
        let trigger = Trigger::read(row)?;
        found.insert((trigger.policy, trigger.event), trigger);
    }
    Ok(found)
}

/// What a policy last had of a type.
///
/// # Errors
/// When the statement fails.
pub async fn get(
    reader: &mut Reader,
    (policy, event): (WebhookPolicyId, WebhookEvent),
) -> Result<Option<Trigger>> {
    let row = reader
        .query(concat!(
            "select ",
            trigger_columns!(),
            " from webhook_trigger g where g.policy_id = $1 and g.event = $2"
        ))
        .bind(policy)
        .bind(event.name())
        .optional()
        .await?;
    row.as_ref().map(Trigger::read).transpose()
}

/// A policy has an event now.
///
/// # Errors
/// When the statement fails.
pub async fn set(
    tx: &mut Tx,
    (policy, event): (WebhookPolicyId, WebhookEvent),
    at: Timestamp,
) -> Result<()> {
    tx.query(
        "insert into webhook_trigger (policy_id, event, at, held_back) values ($1, $2, $3, 0)
         on conflict (policy_id, event) do update set at = excluded.at, held_back = 0",
    )
    .bind(policy)
    .bind(event.name())
    .bind(at)
    .execute()
    .await?;
    Ok(())
}

/// Events of a type were not sent, as they came too soon after the last one.
///
/// # Errors
/// When the statement fails.
pub async fn hold_back(
    tx: &mut Tx,
    (policy, event): (WebhookPolicyId, WebhookEvent),
    events: i64,
) -> Result<()> {
    tx.query(
        "update webhook_trigger set held_back = held_back + $3 where policy_id = $1 and event = $2",
    )
    .bind(policy)
    .bind(event.name())
    .bind(events)
    .execute()
    .await?;
    Ok(())
}
