//! Callers, for permissions: the bindings of the account, and the limits of the presented token.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use model::{AccountId, ProjectId, RepositoryName};

use crate::{Action, Role};

/// The current bindings of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bindings {
    /// The account; `None` for anonymous callers.
    pub account: Option<AccountId>,
    /// Its name; empty for anonymous callers.
    pub name: Arc<str>,
    /// True if it may do everything.
    pub sysadmin: bool,
    /// The account's generation: tokens of an older generation are no longer valid.
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
    /// Not at all.
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
    /// Its address.
    pub address: IpAddr,
}

impl Caller {
    /// A caller who has not signed in.
    pub fn anonymous(address: IpAddr) -> Self {
        Self {
            bindings: Arc::default(),
            presented: Presented::Nothing,
            grants: None,
            address,
        }
    }

    /// The account, if any.
    pub fn account(&self) -> Option<AccountId> {
        self.bindings.account
    }

    /// The name for logs and audit: `anonymous` for anonymous callers.
    pub fn name(&self) -> &str {
        if self.bindings.account.is_some() {
            &self.bindings.name
        } else {
            "anonymous"
        }
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
