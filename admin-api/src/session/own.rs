//! The caller's own sessions.

use axum::extract::State;
use axum::response::Response;
use db::list::Direction;
use db::session::{self, Session};
use model::SessionId;
use policy::SignedIn;
use serde::Serialize;
use utoipa::ToSchema;

use crate::allowed::Granted;
use crate::caller::unidentified;
use crate::listing::Listing;
use crate::param::SessionRef;
use crate::{App, Error};

/// A session in the API.
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
pub(crate) struct View {
    #[schema(value_type = i64)]
    id: SessionId,
    /// The address that it began from.
    address: String,
    /// The browser's user agent at that time.
    agent: String,
    created_at: String,
    renewed_at: String,
    expires_at: String,
    /// Whether the request was made with it.
    current: bool,
}

impl View {
    fn of(session: Session, current: Option<SessionId>) -> Self {
        Self {
            id: session.id,
            address: session.address,
            agent: session.agent,
            created_at: session.created_at.to_string(),
            renewed_at: session.renewed_at.to_string(),
            expires_at: session.expires_at.to_string(),
            current: current == Some(session.id),
        }
    }
}

/// Lists the caller's sessions, most recently used first.
#[utoipa::path(
    get, path = "/api/ext/v1/me/sessions", operation_id = "listOwnSessions", tag = "session",
    responses((status = 200, description = "A page of sessions.", body = Vec<View>))
)]
pub(crate) async fn list(
    mut listing: Listing,
    Granted(permit): Granted<SignedIn>,
    State(app): App,
) -> Result<Response, Error> {
    let mut selection = listing.select(&session::FIELDS)?;
    let newest = (session::RENEWED, Direction::Down);
    selection.order.get_or_insert(newest);
    let (principal, now) = (permit.principal(), app.clock.now());
    let mut reader = app.db.reader().await?;
    let (sessions, total) = session::list(&mut reader, principal, now, &selection).await?;
    let current = permit.caller().session();
    let views = sessions
        .into_iter()
        .map(|session| View::of(session, current));
    Ok(listing.answer(&views.collect::<Vec<_>>(), total))
}

/// Ends a session of the caller.
#[utoipa::path(
    delete, path = "/api/ext/v1/me/sessions/{session_id}", operation_id = "endOwnSession", tag = "session",
    responses(
        (status = 200, description = "Ended."),
        (status = 404, description = "The caller has no such session."),
    )
)]
pub(crate) async fn end(
    SessionRef(id): SessionRef,
    Granted(permit): Granted<SignedIn>,
    State(app): App,
) -> Result<(), Error> {
    let ended = app.identity.end_session(permit.caller(), id).await;
    if ended.map_err(unidentified)? {
        return Ok(());
    }
    Err(Error::NotFound(format!("session {id} not found")))
}
