//! A project with a caller's roles in it: the input of decisions.

use std::sync::Arc;

use model::{ProjectId, ProjectName};

use crate::{Action, Actions, Caller, Resource, Roles, table};

/// What a decision needs to know about a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectFacts {
    /// Its id.
    pub id: ProjectId,
    /// Its name.
    pub name: ProjectName,
    /// True if everyone may pull from it.
    pub public: bool,
    /// True if it has a quota.
    pub limited: bool,
}

/// A project, and the roles that a caller holds in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The project.
    pub project: Arc<ProjectFacts>,
    /// The roles.
    pub roles: Roles,
}

impl Standing {
    /// What the caller may do on a resource of the project; a token may allow less.
    pub fn allowed(&self, caller: &Caller, resource: Resource) -> Actions {
        self.own(caller, resource) | self.public(resource)
    }

    /// The same without the rights that everyone has while the project is public.
    pub(crate) fn own(&self, caller: &Caller, resource: Resource) -> Actions {
        if caller.is_sysadmin() {
            return Actions::ALL;
        }
        match &caller.authority.own {
            Some(own) => own.permissions.in_project(self.project.id, resource),
            None => table::allowed_to(self.roles, resource),
        }
    }

    /// What everyone may do on a resource of the project.
    pub(crate) fn public(&self, resource: Resource) -> Actions {
        if self.project.public {
            table::public(resource)
        } else {
            Actions::NONE
        }
    }

    /// What the caller may do to a repository of the project, in terms of token scopes: pull, push and delete.
    pub fn on_repository(&self, caller: &Caller) -> Actions {
        let scope = [
            (Resource::Repository, Action::Pull),
            (Resource::Repository, Action::Push),
            (Resource::Artifact, Action::Delete),
        ];
        let held = scope
            .into_iter()
            .filter(|(resource, action)| self.allowed(caller, *resource).contains(*action));
        held.map(|(_, action)| action).collect()
    }
}
