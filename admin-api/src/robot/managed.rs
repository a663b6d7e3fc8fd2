//! Permission on robots: that in the robot's project, or that on robots of the system.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use db::robot::{self, Robot};
use http::request::Parts;
use model::{ProjectId, ProjectName};
use policy::to::To;
use policy::{Caller, RobotPermit, SignedIn, permit, to};
use utoipa::openapi::path::Parameter;

use crate::allowed::{permitted, system};
use crate::caller::By;
use crate::declaration::{Needs, Permission};
use crate::input::Input;
use crate::listing::Listing;
use crate::param::{ProjectRef, RobotRef};
use crate::robot::{PROJECT, SYSTEM};
use crate::{AdminState, Error};

/// The caller may do an action on the robot in the path.
pub(crate) struct Managed<A> {
    /// The permit.
    pub(crate) permit: RobotPermit<A>,
    /// The robot.
    pub(crate) robot: Robot,
}

impl<A: To> Input for Managed<A> {
    fn parameters() -> Vec<Parameter> {
        RobotRef::parameters()
    }
}

impl<A: To> Permission for Managed<A> {
    const NEEDS: Needs = Needs::Robot(A::ACTION);
}

impl<A: To> FromRequestParts<Arc<AdminState>> for Managed<A> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<AdminState>) -> Result<Self, Error> {
        let RobotRef(id) = RobotRef::from_request_parts(parts, app).await?;
        let By(caller) = By::from_request_parts(parts, app).await?;
        permit::permit_signed_in(&caller)?;
        let found = robot::by_id(&mut app.db.reader().await?, id).await?;
        let robot = found.ok_or_else(|| {
            // Only system administrators may learn which robots exist.
            if caller.is_sysadmin() {
                Error::NotFound(format!("robot {id} not found"))
            } else {
                Error::Forbidden(FORBIDDEN.to_owned())
            }
        })?;
        let project = robot.project_id.map(ProjectRef::Id);
        let permit = robot_permit(app, &caller, project.as_ref()).await?;
        Ok(Self { permit, robot })
    }
}

/// The only text of refusals, whether or not there is such a robot.
const FORBIDDEN: &str = "forbidden";

/// Permission for an action on the robots of a project, or on those of the system.
async fn robot_permit<A: To>(
    app: &AdminState,
    caller: &Caller,
    project: Option<&ProjectRef>,
) -> Result<RobotPermit<A>, Error> {
    let permit = match project {
        Some(project) => permitted(&app.db, caller, project)
            .await
            .map(|(permit, _)| RobotPermit::Project(permit)),
        None => system(caller).map(RobotPermit::System),
    };
    permit.map_err(|error| match error {
        Error::Forbidden(_) => Error::Forbidden(FORBIDDEN.to_owned()),
        other => other,
    })
}

/// The caller is signed in. Whether they may make the robot depends on the body, which is read first.
pub(crate) struct Making(pub(crate) SignedIn);

impl Input for Making {}

impl Permission for Making {
    const NEEDS: Needs = Needs::Robot(policy::Action::Create);
}

impl FromRequestParts<Arc<AdminState>> for Making {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<AdminState>) -> Result<Self, Error> {
        let By(caller) = By::from_request_parts(parts, app).await?;
        Ok(Self(permit::permit_signed_in(&caller)?))
    }
}

impl Making {
    /// The permit to make robots of a project, or of the system.
    pub(crate) async fn permit(
        app: &AdminState,
        signed_in: &SignedIn,
        project: Option<ProjectName>,
    ) -> Result<RobotPermit<to::Create>, Error> {
        let project = project.map(ProjectRef::Name);
        robot_permit(app, signed_in.caller(), project.as_ref()).await
    }
}

/// The caller may list the robots that the query names: those of a project, or those of the system.
pub(crate) struct Listed {
    /// The permit.
    pub(crate) permit: RobotPermit<to::List>,
    /// The requested part.
    pub(crate) listing: Listing,
}

impl Input for Listed {
    fn parameters() -> Vec<Parameter> {
        Listing::parameters()
    }
}

impl Permission for Listed {
    const NEEDS: Needs = Needs::Robot(policy::Action::List);
}

impl FromRequestParts<Arc<AdminState>> for Listed {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<AdminState>) -> Result<Self, Error> {
        let By(caller) = By::from_request_parts(parts, app).await?;
        permit::permit_signed_in(&caller)?;
        let mut listing = Listing::from_request_parts(parts, app).await?;
        let project = project_of(&mut listing)?.map(ProjectRef::Id);
        let permit = robot_permit(app, &caller, project.as_ref()).await?;
        Ok(Self { permit, listing })
    }
}

/// The project that `q` names with `Level=project,ProjectID=…`; `None` for the system.
fn project_of(listing: &mut Listing) -> Result<Option<ProjectId>, Error> {
    let level = listing.query.exact("level")?;
    let project = listing.query.exact("project_id")?;
    match (level.as_deref(), project) {
        (None | Some(SYSTEM), None) => Ok(None),
        (Some(PROJECT), Some(id)) => match id.parse() {
            Ok(id) if id > 0 => Ok(Some(ProjectId(id))),
            _ => Err(Error::BadRequest(
                "ProjectID in q must be the id of a project".to_owned(),
            )),
        },
        (Some(PROJECT), None) => Err(Error::BadRequest(
            "q must hold ProjectID beside Level=project".to_owned(),
        )),
        (None | Some(SYSTEM), Some(_)) => Err(Error::BadRequest(
            "q must hold Level=project beside ProjectID".to_owned(),
        )),
        (Some(_), _) => Err(Error::BadRequest(
            "Level in q must be system or project".to_owned(),
        )),
    }
}
