//! Callers, for permissions: the bindings of the account, and the limits of the presented token.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use model::{AccountId, Origin, Principal, ProjectId, RepositoryName, SystemTask};

use crate::{Action, Role};

/// What a principal is bound to at this moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bindings {
    /// Who it is.
    pub principal: Principal,
    /// Whether it may do everything.
    pub sysadmin: bool,
    /// An account's generation: tokens of an older one are no longer valid.
    pub generation: i64,
    /// Its roles by project.
    pub roles: HashMap<ProjectId, Vec<Role>>,
}

impl Bindings {
    /// The roles held in a project.
    pub fn roles_in(&self, project: ProjectId) -> &[Role] {
        self.roles.get(&project).map_or(&[], Vec::as_slice)
    }
}

/// How a caller was authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presented {
    /// Not at all: a stranger, or the machine itself.
    Nothing,
    /// By name and password.
    Password,
    /// By a registry token.
    Token,
}

/// What a registry token allows on one repository (the `access` claim).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The repository.
    pub repository: RepositoryName,
    /// `pull` is allowed.
    pub pull: bool,
    /// `push` is allowed.
    pub push: bool,
    /// `delete` is allowed.
    pub delete: bool,
}

/// What a registry token allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// On repositories.
    pub repositories: Vec<Grant>,
    /// True if it may list the catalog.
    pub catalog: bool,
}

impl Grant {
    /// True if the grant covers an action.
    pub const fn covers(&self, action: Action) -> bool {
        match action {
            Action::Pull => self.pull,
            Action::Push => self.push,
            Action::Delete => self.delete,
            _ => false,
        }
    }
}

/// The caller of a request.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Its bindings.
    pub bindings: Arc<Bindings>,
    /// How it was authenticated.
    pub presented: Presented,
    /// What its token allows; `None` if no token limits its permissions.
    pub grants: Option<Arc<Grants>>,
    /// The address that it calls from; `None` for the machine itself.
    pub address: Option<IpAddr>,
}

impl Caller {
    /// A caller who has not signed in.
    pub fn anonymous(address: IpAddr) -> Self {
        Self {
            bindings: Arc::default(),
            presented: Presented::Nothing,
            grants: None,
            address: Some(address),
        }
    }

    /// Whoever runs commands on the machine, and so could write the database by hand: they may do everything.
    pub fn command_line() -> Self {
        Self::machine(Principal::CommandLine)
    }

    /// Gantry itself, which may do everything.
    pub fn system(task: SystemTask) -> Self {
        Self::machine(Principal::System(task))
    }

    fn machine(principal: Principal) -> Self {
        let bindings = Bindings {
            principal,
            sysadmin: true,
            ..Bindings::default()
        };
        Self {
            bindings: Arc::new(bindings),
            presented: Presented::Nothing,
            grants: None,
            address: None,
        }
    }

    /// Who calls.
    pub fn principal(&self) -> &Principal {
        &self.bindings.principal
    }

    /// Who calls, and from where, for the history.
    pub fn origin(&self) -> Origin {
        Origin {
            principal: self.principal().clone(),
            address: self.address,
        }
    }

    /// The account, if any.
    pub fn account(&self) -> Option<AccountId> {
        self.principal().account()
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
        let covers = |grant: &Grant| grant.repository == *repository && grant.covers(action);
        grants.repositories.iter().any(covers)
    }
}
