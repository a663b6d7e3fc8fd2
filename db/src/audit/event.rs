//! Writing the history: [`Tx::record`] is the only way. An event is written in the transaction of its change, so that
//! neither exists without the other. Reading the history is in [`super`].

use std::borrow::Cow;

use model::{Event, Outcome, RepositoryName, Tag, Timestamp};
use serde::Serialize;

use crate::batch;
use crate::error::Result;
use crate::sql::{Tx, hex_of};

impl Tx {
    /// Writes an event.
    ///
    /// # Errors
    /// When the statement fails.
    pub async fn record(&mut self, event: &Event) -> Result<()> {
        self.record_all(std::slice::from_ref(event)).await
    }

    /// Writes events, in their order, with one statement.
    ///
    /// # Errors
    /// When the statement fails.
    pub async fn record_all(&mut self, events: &[Event]) -> Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        let rows: Vec<EventRow<'_>> = events.iter().map(EventRow::of).collect();
        self.query_either(
            "insert into audit (at, principal_id, principal_name, address, agent, operation, resource_type, resource, project_id,
                 repository, tag, digest, success, times, detail)
             select value ->> 'at', value ->> 'principal_id', value ->> 'principal_name', value ->> 'address', value ->> 'agent', value ->> 'operation',
                    value ->> 'resource_type', value ->> 'resource', value ->> 'project_id',
                    value ->> 'repository', value ->> 'tag', unhex(value ->> 'digest'), value ->> 'success', value ->> 'times',
                    value ->> 'detail' from json_each($1) order by key",
            "insert into audit (at, principal_id, principal_name, address, agent, operation, resource_type, resource, project_id,
                 repository, tag, digest, success, times, detail)
             select at, principal_id, principal_name, address, agent, operation, resource_type, resource, project_id,
                    repository, tag, decode(digest, 'hex'), success, times, detail
             from json_to_recordset(cast($1 as json)) as e
                  (at bigint, principal_id bigint, principal_name text, address text, agent text, operation text, resource_type text, resource text,
                   project_id bigint, repository text, tag text, digest text, success bigint, times bigint, detail text)",
        )
        .bind(serde_json::to_string(&rows).unwrap_or_default())
        .execute()
        .await?;
        Ok(())
    }

    /// Writes a batch of events, unless one with this id was written before.
    ///
    /// # Errors
    /// When a statement fails.
    pub async fn record_batch(&mut self, id: &str, events: &[Event], now: Timestamp) -> Result<()> {
        if batch::is_new(self, id, now).await? {
            self.record_all(events).await?;
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct EventRow<'a> {
    at: i64,
    principal_id: Option<i64>,
    principal_name: Cow<'a, str>,
    address: String,
    agent: &'a str,
    operation: &'static str,
    resource_type: &'static str,
    resource: String,
    project_id: Option<i64>,
    repository: Option<&'a str>,
    tag: Option<&'a str>,
    digest: Option<String>,
    success: i64,
    times: i64,
    detail: Cow<'a, str>,
}

impl<'a> EventRow<'a> {
    fn of(event: &'a Event) -> Self {
        let origin = &event.origin;
        let address = origin.client.address.map(|address| address.to_string());
        Self {
            at: event.at.0,
            principal_id: origin.principal.id().map(|id| id.0),
            principal_name: storable(origin.principal.name().into()),
            address: address.unwrap_or_default(),
            agent: origin.client.agent.as_deref().unwrap_or_default(),
            operation: event.operation.name(),
            resource_type: event.subject.resource_type().name(),
            resource: storable(event.subject.to_string().into()).into_owned(),
            project_id: event.subject.project().map(|id| id.0),
            repository: event.subject.repository().map(RepositoryName::as_str),
            tag: event.subject.tag().map(Tag::as_str),
            digest: event.subject.digest().map(hex_of),
            success: i64::from(event.outcome == Outcome::Done),
            times: event.times,
            detail: storable(shortened(&event.detail)),
        }
    }
}

/// Maximum bytes of a detail to keep, so that thousands of events cannot fill memory when they are read.
const LONGEST_DETAIL: usize = 2_000;

fn shortened(text: &str) -> Cow<'_, str> {
    if text.len() <= LONGEST_DETAIL {
        return text.into();
    }
    let kept = text.floor_char_boundary(LONGEST_DETAIL);
    format!("{}…", &text[..kept]).into()
}

/// PostgreSQL stores no NUL: one in a name from a client must not prevent other events from being written.
fn storable(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.contains('\0') {
        text.replace('\0', "\u{fffd}").into()
    } else {
        text
    }
}
