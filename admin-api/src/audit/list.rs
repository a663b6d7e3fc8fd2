//! Pages of the audit log, newest first unless sorted by `op_time`.
//!
//! The first 10,000 rows are paged by number. The `Link` to later pages says after which entry they begin, so that each
//! page costs the same, and no entry is repeated when others are added meanwhile.

use axum::extract::State;
use axum::response::Response;
use db::audit::count::{self, Count};
use db::audit::list::{SEARCHED, bound_search};
use db::audit::{self, Listed, Scope};
use db::list::{Direction, Page, Test};
use policy::{SignedIn, on, to};
use serde::Serialize;

use super::scope;
use super::view::{Brief, Extended};
use crate::allowed::{Allowed, Granted};
use crate::listing::Listing;
use crate::page::Far;
use crate::param::ProjectByName;
use crate::{AdminState, App, Error};

/// Lists the audit log: all of it for system administrators; for others, their own entries and those of projects that
/// they administer.
#[utoipa::path(
    get, path = "/api/v2.0/auditlog-exts", operation_id = "listAuditLogExts", tag = "auditlog",
    params(("before" = Option<i64>, Query, description = "Only entries older than the one with this ID.")),
    responses((status = 200, description = "A page of entries.", body = Vec<Extended>))
)]
pub(crate) async fn extended(
    listing: Listing,
    Granted(permit): Granted<SignedIn>,
    State(app): App,
) -> Result<Response, Error> {
    let scope = scope::of(&app, &mut app.db.reader().await?, &permit).await?;
    answer::<Extended>(&app, listing, scope, None).await
}

/// Lists the audit log in the form that Harbor had before 2.13, without refusals.
#[utoipa::path(
    get, path = "/api/v2.0/audit-logs", operation_id = "listAuditLogs", tag = "auditlog",
    params(("before" = Option<i64>, Query, description = "Only entries older than the one with this ID.")),
    responses((status = 200, description = "A page of entries.", body = Vec<Brief>))
)]
pub(crate) async fn brief(
    listing: Listing,
    Granted(permit): Granted<SignedIn>,
    State(app): App,
) -> Result<Response, Error> {
    let scope = scope::of(&app, &mut app.db.reader().await?, &permit).await?;
    answer::<Brief>(&app, listing, scope, Some(true)).await
}

/// Lists a project's audit log.
#[utoipa::path(
    get, path = "/api/v2.0/projects/{project_name}/auditlog-exts", operation_id = "getLogExts", tag = "project",
    params(("before" = Option<i64>, Query, description = "Only entries older than the one with this ID.")),
    responses((status = 200, description = "A page of entries.", body = Vec<Extended>))
)]
pub(crate) async fn extended_of_project(
    listing: Listing,
    Allowed { permit, .. }: Allowed<on::Log, to::List, ProjectByName>,
    State(app): App,
) -> Result<Response, Error> {
    let scope = Scope::Project(permit.project().id);
    answer::<Extended>(&app, listing, scope, None).await
}

/// Lists a project's audit log in the form that Harbor had before 2.13, without refusals.
#[utoipa::path(
    get, path = "/api/v2.0/projects/{project_name}/logs", operation_id = "getLogs", tag = "project",
    params(("before" = Option<i64>, Query, description = "Only entries older than the one with this ID.")),
    responses((status = 200, description = "A page of entries.", body = Vec<Brief>))
)]
pub(crate) async fn brief_of_project(
    listing: Listing,
    Allowed { permit, .. }: Allowed<on::Log, to::List, ProjectByName>,
    State(app): App,
) -> Result<Response, Error> {
    let scope = Scope::Project(permit.project().id);
    answer::<Brief>(&app, listing, scope, Some(true)).await
}

/// A page of a scope in one form; `result` narrows it to successes or refusals.
async fn answer<V: From<Listed> + Serialize>(
    app: &AdminState,
    mut listing: Listing,
    scope: Scope,
    result: Option<bool>,
) -> Result<Response, Error> {
    let selection = listing.select(&audit::FIELDS)?;
    let selection = selection.or(audit::RESULT, result.map(Test::Flag));
    let direction = selection.order.map_or(Direction::Down, |(_, way)| way);
    let mut filter = scope::filter(app, scope, &selection);
    let mut reader = app.db.reader().await?;
    let searched_since = bound_search(&mut reader, &mut filter, SEARCHED).await?;
    let counted = count::count(&mut reader, &filter).await?;
    // With `before`, the page begins after that entry, whatever its number.
    filter.before = listing
        .params
        .int("before")?
        .filter(|_| direction == Direction::Down);
    let rows = selection.page;
    let page = Page {
        offset: if filter.before.is_some() {
            0
        } else {
            rows.offset
        },
        ..rows
    };
    let found = audit::list::page(&mut reader, &filter, page, direction).await?;
    let details = found.iter().map(|listed| listed.entry.detail.len());
    listing.room.texts(details.sum())?;
    let last = found.last().map(|listed| listed.entry.id);
    let (total, is_estimate) = match counted {
        Count::Exact(total) => (total, false),
        Count::About(total) => (total, true),
    };
    let far = Far {
        total,
        is_estimate,
        is_full: Some(found.len() as i64) == page.limit,
        last: last.filter(|_| direction == Direction::Down),
        searched_since,
    };
    let views: Vec<V> = found.into_iter().map(V::from).collect();
    Ok(listing.answer_far(&views, far))
}
