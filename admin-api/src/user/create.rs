//! Creating users.

use axum::Extension;
use axum::extract::State;
use axum::response::IntoResponse;
use http::header::LOCATION;
use http::{StatusCode, Uri};
use model::{MailLanguage, Profile};
use policy::NewUserPermit;
use serde::Deserialize;
use tenancy::user::{self, NewUser, Verification};
use utoipa::ToSchema;

use crate::account::{self, Language};
use crate::allowed::Granted;
use crate::json::{BodyOf, Unread};
use crate::{AdminState, App, ClientAddress, Error};

/// The body of `POST /users`.
#[derive(Default, Deserialize, ToSchema)]
pub(crate) struct CreateUser {
    username: Option<String>,
    password: Option<String>,
    email: Option<String>,
    realname: Option<String>,
    comment: Option<String>,
}

impl BodyOf for CreateUser {
    const NAME: &'static str = "userReq";
}

/// Creates a user. While people may register, everyone except robots can do so for themselves; if mail is set up, the
/// new account can sign in once the link mailed to its address was opened.
#[utoipa::path(
    post, path = "/api/v2.0/users", operation_id = "createUser", tag = "user",
    request_body = CreateUser,
    responses((status = 201, description = "Created; `Location` leads there."))
)]
pub(crate) async fn create(
    Granted(permit): Granted<NewUserPermit>,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    Language(language): Language,
    State(app): App,
    uri: Uri,
    body: Unread<CreateUser>,
) -> Result<impl IntoResponse, Error> {
    let (permit, body) = body.read(&app, permit).await?;
    check_lengths(&body)?;
    let new = check(body)?;
    let (hasher, now) = (app.identity.hasher(), app.clock.now());
    let id = match &permit {
        NewUserPermit::Any(permit) => user::create(&app.db, hasher, permit, new, now).await?,
        NewUserPermit::Own(permit) => {
            account::allow(&app.identity.allowances().register, address, now)?;
            let verification = verification(&app, language);
            user::register(&app.db, hasher, permit, (new, verification), now).await?
        }
    };
    let location = format!("{}/{id}", uri.path().trim_end_matches('/'));
    Ok((StatusCode::CREATED, [(LOCATION, location)]))
}

/// How the address of a registered account is verified.
fn verification(app: &AdminState, language: MailLanguage) -> Verification {
    match app.settings.current().sends_mail() {
        true => Verification::ByMail(language),
        false => Verification::None,
    }
}

/// Validates the schema, before all other rules.
fn check_lengths(body: &CreateUser) -> Result<(), Error> {
    for (field, text) in [("username", &body.username), ("email", &body.email)] {
        if text.as_deref().unwrap_or_default().chars().count() > 255 {
            return Err(Error::Validation(format!(
                "validation failure list:\n{field} in body should be at most 255 chars long"
            )));
        }
    }
    Ok(())
}

/// The user described by a body.
fn check(body: CreateUser) -> Result<NewUser, Error> {
    let password = body.password.unwrap_or_default().try_into()?;
    let name = body.username.unwrap_or_default().parse()?;
    let profile = Profile::new(
        body.email.unwrap_or_default(),
        body.realname.unwrap_or_default(),
        body.comment.unwrap_or_default(),
    )?;
    Ok(NewUser {
        name,
        profile,
        password,
        sysadmin: false,
    })
}
