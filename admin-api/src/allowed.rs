//! The permission of a handler: an argument that yields the permit, without which no handler can be declared. Callers
//! without permission are refused before the body is read.

use std::convert::Infallible;
use std::marker::PhantomData;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use db::project::{self, Project};
use db::{Db, Reader, binding};
use http::request::Parts;
use model::UserId;
use policy::on::On;
use policy::system::SystemNeed;
use policy::to::To;
use policy::{
    Caller, CreateProjectPermit, NewUserPermit, ProjectPermit, Refusal, RobotPermit, SignedIn,
    SystemPermit, UserPermit, permit, system, to,
};
use utoipa::openapi::path::Parameter;

use crate::caller::{By, unidentified};
use crate::declaration::{Needs, Permission};
use crate::input::Input;
use crate::param::{ProjectRef, UserRef};
use crate::{AdminState, Error};

/// The route serves everyone.
#[derive(Clone, Copy, Debug)]
pub struct Everyone;

impl Input for Everyone {}

impl Permission for Everyone {
    const NEEDS: Needs = Needs::Nobody;
}

impl<S: Send + Sync> FromRequestParts<S> for Everyone {
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self)
    }
}

/// The caller may do an action on a resource of the project in the path, which `N` reads.
pub(crate) struct Allowed<R, A, N = ProjectRef> {
    /// The permit.
    pub(crate) permit: ProjectPermit<R, A>,
    /// The project.
    pub(crate) project: Project,
    named: PhantomData<fn() -> N>,
}

impl<R: On, A: To, N: Input> Input for Allowed<R, A, N> {
    fn parameters() -> Vec<Parameter> {
        N::parameters()
    }
}

impl<R: On, A: To, N: Input> Permission for Allowed<R, A, N> {
    const NEEDS: Needs = Needs::Project(R::RESOURCE, A::ACTION);
}

impl<R, A, N> FromRequestParts<Arc<AdminState>> for Allowed<R, A, N>
where
    R: On,
    A: To,
    N: FromRequestParts<Arc<AdminState>, Rejection = Error> + Into<ProjectRef> + Send,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<AdminState>) -> Result<Self, Error> {
        let named: ProjectRef = N::from_request_parts(parts, app).await?.into();
        let By(caller) = By::from_request_parts(parts, app).await?;
        let (permit, project) = permitted(&app.db, &caller, &named).await?;
        Ok(Self {
            permit,
            project,
            named: PhantomData,
        })
    }
}

/// The named project, if the caller may do what the permit is for.
pub(crate) async fn permitted<R: On, A: To>(
    db: &Db,
    caller: &Caller,
    named: &ProjectRef,
) -> Result<(ProjectPermit<R, A>, Project), Error> {
    let mut reader = db.reader().await?;
    let found = find(&mut reader, named).await?;
    let standing = match &found {
        Some(project) => Some(binding::standing_in(&mut reader, caller, project.facts()).await?),
        None => None,
    };
    let permit = permit::permit_project(caller, standing.as_ref())
        .map_err(|refusal| refused(caller, named, refusal))?;
    let project = found.ok_or_else(|| missing(named))?;
    Ok((permit, project))
}

async fn find(reader: &mut Reader, named: &ProjectRef) -> Result<Option<Project>, db::Error> {
    match named {
        ProjectRef::Id(id) => project::by_id(reader, *id).await,
        ProjectRef::Name(name) => project::by_name(reader, name).await,
        ProjectRef::Nothing(_) => Ok(None),
    }
}

/// A system administrator is refused only if the project does not exist, and may know that.
fn refused(caller: &Caller, named: &ProjectRef, refusal: Refusal) -> Error {
    if caller.is_sysadmin() {
        missing(named)
    } else {
        refusal.into()
    }
}

fn missing(named: &ProjectRef) -> Error {
    Error::NotFound(format!("project {named} not found"))
}

/// The caller has a permit that is not for a project.
pub(crate) struct Granted<P>(pub(crate) P);

/// A permit that is not for a project.
pub(crate) trait Grant: Sized + Send {
    /// What the caller needs.
    const NEEDS: Needs;

    /// The parameters that name its object.
    fn parameters() -> Vec<Parameter> {
        Vec::new()
    }

    /// Takes the permit, if the caller may have it.
    fn take(
        parts: &mut Parts,
        app: &Arc<AdminState>,
    ) -> impl Future<Output = Result<Self, Error>> + Send;
}

impl<P: Grant> Input for Granted<P> {
    fn parameters() -> Vec<Parameter> {
        P::parameters()
    }
}

impl<P: Grant> Permission for Granted<P> {
    const NEEDS: Needs = P::NEEDS;
}

impl<P: Grant> FromRequestParts<Arc<AdminState>> for Granted<P> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<AdminState>) -> Result<Self, Error> {
        P::take(parts, app).await.map(Self)
    }
}

impl Grant for SignedIn {
    const NEEDS: Needs = Needs::SignedIn;

    async fn take(parts: &mut Parts, app: &Arc<AdminState>) -> Result<Self, Error> {
        let By(caller) = By::from_request_parts(parts, app).await?;
        Ok(permit::permit_signed_in(&caller)?)
    }
}

impl<N: SystemNeed> Grant for SystemPermit<N> {
    const NEEDS: Needs = match N::NEED {
        None => Needs::System,
        Some((resource, action)) => Needs::OnSystem(resource, action),
    };

    async fn take(parts: &mut Parts, app: &Arc<AdminState>) -> Result<Self, Error> {
        let By(caller) = By::from_request_parts(parts, app).await?;
        system(&caller)
    }
}

pub(crate) fn system<N: SystemNeed>(caller: &Caller) -> Result<SystemPermit<N>, Error> {
    permit::permit_system(caller).map_err(|refusal| {
        let message = "forbidden: this needs the rights of a system administrator";
        forbidden(refusal, message)
    })
}

/// For the user in the path.
impl Grant for UserPermit {
    const NEEDS: Needs = Needs::User;

    fn parameters() -> Vec<Parameter> {
        UserRef::parameters()
    }

    async fn take(parts: &mut Parts, app: &Arc<AdminState>) -> Result<Self, Error> {
        let UserRef(user) = UserRef::from_request_parts(parts, app).await?;
        let By(caller) = By::from_request_parts(parts, app).await?;
        user_permit(&caller, user)
    }
}

fn user_permit(caller: &Caller, user: UserId) -> Result<UserPermit, Error> {
    permit::permit_user(caller, user).map_err(|refusal| {
        let message =
            "forbidden: the account of another needs the rights of a system administrator";
        forbidden(refusal, message)
    })
}

/// Registering needs no permission while `self_registration` is on and no directory is configured.
impl Grant for NewUserPermit {
    const NEEDS: Needs = <SystemPermit<(system::User, to::Create)> as Grant>::NEEDS;

    async fn take(parts: &mut Parts, app: &Arc<AdminState>) -> Result<Self, Error> {
        let By(caller) = By::from_request_parts(parts, app).await?;
        new_user(app, &caller)
    }
}

fn new_user(app: &AdminState, caller: &Caller) -> Result<NewUserPermit, Error> {
    let settings = app.settings.current();
    permit::permit_new_user(caller, settings.is_open()).map_err(|refusal| {
        let message = match settings.has_directory() {
            true => {
                "forbidden: people do not make accounts for themselves where a directory is configured (ldap_url)"
            }
            false => "forbidden: people do not make accounts for themselves here (self_registration)",
        };
        forbidden(refusal, message)
    })
}

impl Grant for CreateProjectPermit {
    const NEEDS: Needs = Needs::SignedIn;

    async fn take(parts: &mut Parts, app: &Arc<AdminState>) -> Result<Self, Error> {
        let By(caller) = By::from_request_parts(parts, app).await?;
        create_project(app, &caller)
    }
}

fn create_project(app: &AdminState, caller: &Caller) -> Result<CreateProjectPermit, Error> {
    let creation = app.settings.current().project_creation_restriction;
    permit::permit_create_project(caller, creation).map_err(|refusal| {
        let message =
            "forbidden: only system administrators create projects here (project_creation_restriction)";
        forbidden(refusal, message)
    })
}

/// A permit that is checked again once a body was read, since rights may have been revoked meanwhile.
pub(crate) trait Renew: Sized + Send + Sync {
    /// The same permit by the present rights.
    fn renewed(self, app: &AdminState) -> impl Future<Output = Result<Self, Error>> + Send;
}

/// The caller with the present rights.
pub(crate) async fn now(app: &AdminState, caller: &Caller) -> Result<Caller, Error> {
    let caller = app.identity.again(caller).await.map_err(unidentified)?;
    caller.ok_or(Error::NotSignedIn)
}

impl Renew for Everyone {
    async fn renewed(self, _: &AdminState) -> Result<Self, Error> {
        Ok(self)
    }
}

impl Renew for NewUserPermit {
    async fn renewed(self, app: &AdminState) -> Result<Self, Error> {
        let caller = self.caller();
        match caller.is_signed_in() {
            true => new_user(app, &now(app, caller).await?),
            false => new_user(app, caller),
        }
    }
}

impl<N: SystemNeed> Renew for SystemPermit<N> {
    async fn renewed(self, app: &AdminState) -> Result<Self, Error> {
        system(&now(app, self.caller()).await?)
    }
}

impl Renew for SignedIn {
    async fn renewed(self, app: &AdminState) -> Result<Self, Error> {
        let caller = now(app, self.caller()).await?;
        Ok(permit::permit_signed_in(&caller)?)
    }
}

impl<A: To> Renew for RobotPermit<A> {
    async fn renewed(self, app: &AdminState) -> Result<Self, Error> {
        match self {
            Self::System(permit) => permit.renewed(app).await.map(Self::System),
            Self::Project(permit) => permit.renewed(app).await.map(Self::Project),
        }
    }
}

impl Renew for UserPermit {
    async fn renewed(self, app: &AdminState) -> Result<Self, Error> {
        user_permit(&now(app, self.caller()).await?, self.user())
    }
}

impl Renew for CreateProjectPermit {
    async fn renewed(self, app: &AdminState) -> Result<Self, Error> {
        create_project(app, &now(app, self.caller()).await?)
    }
}

impl<R: On, A: To> Renew for ProjectPermit<R, A> {
    async fn renewed(self, app: &AdminState) -> Result<Self, Error> {
        let caller = now(app, self.caller()).await?;
        let (permit, _) = permitted(&app.db, &caller, &ProjectRef::Id(self.project().id)).await?;
        Ok(permit)
    }
}

fn forbidden(refusal: Refusal, message: &str) -> Error {
    match refusal {
        Refusal::NotSignedIn => Error::NotSignedIn,
        Refusal::NotPermitted | Refusal::TokenTooNarrow => Error::Forbidden(message.to_owned()),
    }
}
