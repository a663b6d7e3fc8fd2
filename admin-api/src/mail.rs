//! Testing the mail server.

use axum::Json;
use axum::extract::State;
use db::user;
use jobs::mail::{self, Step};
use model::is_email;
use policy::SystemPermit;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::allowed::Granted;
use crate::error::Rendered;
use crate::json::{BodyOf, Unread};
use crate::{App, Error};

/// The body of `POST /mail/test`.
#[derive(Default, Deserialize, ToSchema)]
pub(crate) struct MailTest {
    /// The address to send a mail to; by default the caller's own.
    to: Option<String>,
}

impl BodyOf for MailTest {
    const NAME: &'static str = "mail_test";
}

/// The result.
#[derive(Serialize, ToSchema)]
pub(crate) struct MailTested {
    /// Whether the mail was sent.
    ok: bool,
    /// The steps; the first failure is the last one.
    steps: Vec<MailStep>,
}

/// A step in sending a mail.
#[derive(Serialize, ToSchema)]
struct MailStep {
    /// `settings`, `resolve`, `connect`, `encrypt`, `sign_in` or `send`.
    #[schema(value_type = String)]
    step: &'static str,
    ok: bool,
    /// What was found, or what is wrong.
    detail: String,
    elapsed_ms: u64,
}

impl From<Step> for MailStep {
    fn from(step: Step) -> Self {
        let elapsed_ms = u64::try_from(step.elapsed.as_millis()).unwrap_or(u64::MAX);
        let (ok, detail) = match step.outcome {
            Ok(detail) => (true, detail),
            Err(why) => (false, why),
        };
        Self {
            step: step.name,
            ok,
            detail,
            elapsed_ms,
        }
    }
}

/// Sends a test mail with the present settings, and reports each step.
#[utoipa::path(
    post, path = "/api/ext/v1/mail/test", operation_id = "testMail", tag = "configure",
    request_body = MailTest,
    responses((status = 200, description = "What works.", body = MailTested))
)]
pub(crate) async fn test(
    Granted(permit): Granted<SystemPermit>,
    State(app): App,
    body: Unread<MailTest>,
) -> Rendered<MailTested> {
    let (permit, body) = body.read(&app, permit).await?;
    let to = match (body.to, permit.caller().user()) {
        (Some(to), _) => Some(to),
        (None, Some(own)) => {
            let user = user::by_id(&mut app.db.reader().await?, own).await?;
            user.and_then(|user| user.email)
        }
        (None, None) => None,
    };
    let to = to.unwrap_or_default();
    if !is_email(&to) {
        return Err(Error::BadRequest(
            "to: name a mail address; the caller has none".to_owned(),
        ));
    }
    let guard = app.identity.directory().guard();
    let (steps, ok) = mail::test(&app.db, (&app.settings, &guard), &to).await?;
    let steps = steps.into_iter().map(MailStep::from).collect();
    Ok(Json(MailTested { ok, steps }))
}
