//! Callers, for permissions: who it is, and the limits of the presented token.

use std::net::IpAddr;
use std::sync::Arc;

use model::{
    Client, Origin, Principal, PrincipalId, RepositoryName, SessionId, SystemTask, Timestamp,
    UserId,
};

use crate::robot::OwnRights;
use crate::workload::Workload;
use crate::{Action, Actions};

/// A principal's own rights at this moment. Its roles in a project are a [`Standing`].
///
/// [`Standing`]: crate::Standing
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authority {
    /// Who it is.
    pub principal: Principal,
    /// True if it may do everything.
    pub sysadmin: bool,
    /// The principal's generation: tokens of an older one are no longer valid.
    pub generation: i64,
    /// Rights that do not come from memberships: those of a robot or a workload.
    pub own: Option<OwnRights>,
    /// What admitted it, if it is a workload.
    pub workload: Option<Arc<Workload>>,
}

impl Authority {
    /// True if its validity was limited and has expired.
    pub fn has_ended(&self, now: Timestamp) -> bool {
        let own = self.own.as_ref();
        let end = own.and_then(|own| own.expires_at);
        end.is_some_and(|end| end <= now)
    }
}

/// How a caller was authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presented {
    /// Not at all: an anonymous caller, or the machine itself.
    Nothing,
    /// By name and password.
    Password,
    /// By a registry token.
    Token,
    /// By a session of a browser.
    Session(SessionId),
}

/// What a registry token allows on one repository (the `access` claim).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The repository.
    pub repository: RepositoryName,
    /// Which of pull, push and delete are allowed.
    pub actions: Actions,
}

/// What a registry token allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// On repositories.
    pub repositories: Vec<Grant>,
    /// True if it may list the catalog.
    pub catalog: bool,
}

/// The caller of a request.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The principal and its own rights.
    pub authority: Arc<Authority>,
    /// How it was authenticated.
    pub presented: Presented,
    /// What its token allows; `None` if no token limits its permissions.
    pub grants: Option<Arc<Grants>>,
    /// The address that it calls from; `None` for the machine itself.
    pub address: Option<IpAddr>,
    /// What the history keeps of its program.
    pub client: Client,
}

impl Caller {
    /// A caller who has not signed in.
    pub fn anonymous(address: IpAddr) -> Self {
        Self {
            authority: Arc::default(),
            presented: Presented::Nothing,
            grants: None,
            address: Some(address),
            client: Client::at(Some(address)),
        }
    }

    /// A person who runs commands on the machine. They could write the database by hand, so they may do everything.
    pub fn command_line() -> Self {
        Self::machine(Principal::CommandLine)
    }

    /// Gantry itself, which may do everything.
    pub fn system(task: SystemTask) -> Self {
        Self::machine(Principal::System(task))
    }

    fn machine(principal: Principal) -> Self {
        let authority = Authority {
            principal,
            sysadmin: true,
            ..Authority::default()
        };
        Self {
            authority: Arc::new(authority),
            presented: Presented::Nothing,
            grants: None,
            address: None,
            client: Client::default(),
        }
    }

    /// The same caller, of whose program the history keeps this.
    #[must_use]
    pub fn with(self, client: Client) -> Self {
        Self { client, ..self }
    }

    /// Who calls.
    pub fn principal(&self) -> &Principal {
        &self.authority.principal
    }

    /// Who calls, and from where, for the history.
    pub fn origin(&self) -> Origin {
        Origin {
            principal: self.principal().clone(),
            client: self.client.clone(),
        }
    }

    /// True if it may do everything.
    pub fn is_sysadmin(&self) -> bool {
        self.authority.sysadmin
    }

    /// The principal's id, if the caller is signed in.
    pub fn id(&self) -> Option<PrincipalId> {
        self.principal().id()
    }

    /// The user, if the caller is one.
    pub fn user(&self) -> Option<UserId> {
        self.principal().user()
    }

    /// The session that the caller came with, if any.
    pub fn session(&self) -> Option<SessionId> {
        match self.presented {
            Presented::Session(id) => Some(id),
            Presented::Nothing | Presented::Password | Presented::Token => None,
        }
    }

    /// True if the caller proved who they are.
    pub fn is_signed_in(&self) -> bool {
        self.id().is_some()
    }

    /// The name for logs and audit: `anonymous` for anonymous callers.
    pub fn name(&self) -> &str {
        self.principal().name()
    }

    /// True if the presented token, if any, covers an action on a repository.
    pub(crate) fn granted(&self, repository: &RepositoryName, action: Action) -> bool {
        let Some(grants) = &self.grants else {
            return true;
        };
        let covers =
            |grant: &Grant| grant.repository == *repository && grant.actions.contains(action);
        grants.repositories.iter().any(covers)
    }
}
