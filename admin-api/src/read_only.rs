//! Refuses writing requests while the `read_only` setting is on, with a few exceptions such as switching it off.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{Extensions, Method};

use crate::{AdminState, Error};

/// Routes that may write nevertheless.
const OPEN: [(&str, &str); 12] = [
    ("PUT", "/api/v2.0/configurations"),
    ("POST", "/c/login"),
    ("POST", "/api/ext/v1/mail/test"),
    ("POST", "/api/ext/v1/audit-forward/test"),
    ("POST", "/c/userExists"),
    ("POST", "/c/oidc/onboard"),
    ("POST", "/api/ext/v1/oidc/backchannel_logout"),
    (
        "POST",
        "/api/ext/v1/projects/{project_name_or_id}/workload-rules/test",
    ),
    ("DELETE", "/api/ext/v1/me/sessions/{session_id}"),
    // Data for the caller's own pages only.
    ("PUT", "/api/ext/v1/me/preferences"),
    ("PUT", "/api/ext/v1/me/favourites"),
    ("DELETE", "/api/ext/v1/notices/{notice_id}"),
];

/// Answers in place of handlers that would write.
pub(crate) async fn refuse_writing(
    State(app): State<Arc<AdminState>>,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    check(&app, request.method(), request.extensions())?;
    Ok(next.run(request).await)
}

/// Refuses a writing request. Checked again once its body was read, which may take long.
pub(crate) fn check(
    app: &AdminState,
    method: &Method,
    extensions: &Extensions,
) -> Result<(), Error> {
    let path = extensions.get::<MatchedPath>();
    let path = path.map_or("", MatchedPath::as_str);
    let writes = !method.is_safe() && !OPEN.contains(&(method.as_str(), path));
    if writes && app.settings.current().read_only {
        return Err(Error::ReadOnly);
    }
    Ok(())
}
