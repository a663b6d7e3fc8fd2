//! The subject whose rights are explained.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use db::{Age, Reader, binding, group, robot, user};
use model::{PrincipalId, ProjectId};
use policy::{Authority, Caller};

use crate::{AdminState, Error};

/// A possible caller.
pub(crate) struct Subject {
    caller: Caller,
    /// Who holds the roles.
    principal: Option<PrincipalId>,
    ended: Option<&'static str>,
}

/// Why a subject can no longer call.
enum Ended {
    /// For this known reason.
    Now(&'static str),
    /// For this reason, if they turn out not to exist (any more).
    WithoutAuthority(&'static str),
}

/// The address of the caller; no decision depends on it.
const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

impl Subject {
    /// The subject of `user:NAME`, `robot:NAME`, `group:NAME` or `anonymous`.
    ///
    /// # Errors
    /// [`Error::NotFound`] and [`Error::BadRequest`].
    pub(crate) async fn find(app: &AdminState, text: &str) -> Result<Self, Error> {
        let mut reader = app.db.reader().await?;
        let missing = || Error::NotFound(format!("{text} not found"));
        match text.split_once(':') {
            None if text == "anonymous" => Ok(Self::without_roles()),
            Some(("user", name)) => {
                let user = user::by_name(&mut reader, name)
                    .await?
                    .ok_or_else(missing)?;
                drop(reader);
                let ended = match (user.unverified, user.is_external) {
                    (true, _) => "has not verified the mail address",
                    (false, true) => "may not sign in by the directory",
                    (false, false) => "may not sign in",
                };
                Self::signed_in(app, user.principal_id, Ended::WithoutAuthority(ended)).await
            }
            Some(("robot", name)) => {
                let robot = robot::by_full_name(&mut reader, name).await?;
                drop(reader);
                let robot = robot.ok_or_else(missing)?;
                let is_over = robot.expires_at.is_some_and(|end| end <= app.clock.now());
                let ended = match (robot.disabled, is_over) {
                    (true, _) => Some("is disabled"),
                    (false, true) => Some("has expired"),
                    (false, false) => None,
                };
                let ended = ended.map_or(Ended::WithoutAuthority("may not sign in"), Ended::Now);
                Self::signed_in(app, robot.principal_id, ended).await
            }
            Some(("group", name)) => {
                let group = group::by_name(&mut reader, name)
                    .await?
                    .ok_or_else(missing)?;
                Ok(Self {
                    principal: Some(group.principal_id),
                    ..Self::without_roles()
                })
            }
            _ => Err(Error::BadRequest(format!(
                "subject: must be user:NAME, robot:NAME, group:NAME or anonymous, not {text:?}"
            ))),
        }
    }

    fn without_roles() -> Self {
        Self {
            caller: Caller::anonymous(NOWHERE),
            principal: None,
            ended: None,
        }
    }

    async fn signed_in(
        app: &AdminState,
        principal: PrincipalId,
        ended: Ended,
    ) -> Result<Self, Error> {
        let authority = binding::authority(&app.db, principal, None, Age::Now).await?;
        let ended = match ended {
            Ended::Now(why) => Some(why),
            Ended::WithoutAuthority(why) => authority.is_none().then_some(why),
        };
        let authority: Arc<Authority> = authority.unwrap_or_default();
        let caller = Caller {
            authority,
            ..Caller::anonymous(NOWHERE)
        };
        Ok(Self {
            caller,
            principal: Some(principal),
            ended,
        })
    }

    /// The caller.
    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Why nothing is allowed, whatever its rights.
    pub(crate) fn ended(&self) -> Option<&'static str> {
        self.ended
    }

    /// Its roles in a project, and where they come from.
    pub(crate) async fn roles(
        &self,
        reader: &mut Reader,
        project: ProjectId,
    ) -> Result<Vec<binding::Held>, Error> {
        match self.principal {
            Some(principal) => Ok(binding::held_in(reader, principal, project).await?),
            None => Ok(Vec::new()),
        }
    }
}
