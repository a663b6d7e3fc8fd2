//! Permits: proof, as a type, that a caller is permitted to do something. Only this module creates them, and `registry`
//! and `admin-api` do not act without one.

use model::{AccountId, Principal, ProjectId, ProjectName, RepositoryName};

use crate::caller::Caller;
use crate::table::{self, Action, Resource};

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

/// Why a caller was refused. It does not reveal whether the resource exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The caller is not signed in, and not everyone may do it.
    #[error("sign in first")]
    NotSignedIn,
    /// The caller's roles do not allow it, or there is no such project.
    #[error("not permitted")]
    NotPermitted,
    /// The roles allow it, but the presented token does not.
    #[error("the token does not cover this")]
    TokenTooNarrow,
}

macro_rules! repository_permits {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name {
            project: ProjectId,
            limited: bool,
            repository: RepositoryName,
            caller: Caller,
        }

        impl $name {
            /// The repository's project.
            pub fn project(&self) -> ProjectId {
                self.project
            }

            /// True if the project has a quota.
            pub fn is_limited(&self) -> bool {
                self.limited
            }

            /// The repository.
            pub fn repository(&self) -> &RepositoryName {
                &self.repository
            }

            /// Who holds the permit.
            pub fn caller(&self) -> &Caller {
                &self.caller
            }
        }
    )*};
}

repository_permits! {
    /// Permission to pull from the repository.
    PullPermit;
    /// Permission to push to the repository.
    PushPermit;
    /// Permission to delete from the repository.
    DeletePermit;
}

/// Permission for an action on a resource of a project.
#[derive(Clone, Debug)]
pub struct ProjectPermit {
    project: ProjectFacts,
    caller: Caller,
}

impl ProjectPermit {
    /// The project.
    pub fn project(&self) -> &ProjectFacts {
        &self.project
    }

    /// Who holds the permit.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }
}

/// Proof that the caller is signed in, and no more.
#[derive(Clone, Debug)]
pub struct SignedIn {
    account: AccountId,
    caller: Caller,
}

impl SignedIn {
    /// The caller's own account.
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// Who holds the permit.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }
}

/// Permission to read and change one account: the caller's own, or any for a system administrator.
#[derive(Clone, Debug)]
pub struct AccountPermit {
    account: AccountId,
    caller: Caller,
}

impl AccountPermit {
    /// The account that the permit covers.
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// True if it is the caller's own account.
    pub fn is_own(&self) -> bool {
        self.caller.account() == Some(self.account)
    }

    /// Who holds the permit.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }
}

/// Permission to administer the system.
#[derive(Clone, Debug)]
pub struct SystemPermit {
    caller: Caller,
}

impl SystemPermit {
    /// Who holds the permit.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }
}

/// Who may create projects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProjectCreation {
    /// Every account.
    #[default]
    Everyone,
    /// System administrators.
    Admins,
}

/// Permission to create projects, which the caller will own.
#[derive(Clone, Debug)]
pub struct CreateProjectPermit {
    owner: AccountId,
    caller: Caller,
}

impl CreateProjectPermit {
    /// The account that will own the project.
    pub fn owner(&self) -> AccountId {
        self.owner
    }

    /// Who holds the permit.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }
}

/// The repositories that a caller may see in the catalog.
#[derive(Clone, Debug)]
pub enum CatalogPermit {
    /// All.
    Everything,
    /// Those of public projects and of projects in which the caller has a role.
    Visible(Vec<ProjectId>),
}

/// Checks that the caller may pull from `repository`. `project` is the one in its name, if it exists.
///
/// # Errors
/// The refusal is the same for a hidden project and one that does not exist.
pub fn permit_pull(
    caller: &Caller,
    repository: &RepositoryName,
    project: Option<&ProjectFacts>,
) -> Result<PullPermit, Refusal> {
    let project = check(
        caller,
        repository,
        project,
        Resource::Repository,
        Action::Pull,
    )?;
    Ok(PullPermit {
        project: project.id,
        limited: project.limited,
        repository: repository.clone(),
        caller: caller.clone(),
    })
}

/// Checks that the caller may push to `repository`.
///
/// # Errors
/// As [`permit_pull`].
pub fn permit_push(
    caller: &Caller,
    repository: &RepositoryName,
    project: Option<&ProjectFacts>,
) -> Result<PushPermit, Refusal> {
    let project = check(
        caller,
        repository,
        project,
        Resource::Repository,
        Action::Push,
    )?;
    Ok(PushPermit {
        project: project.id,
        limited: project.limited,
        repository: repository.clone(),
        caller: caller.clone(),
    })
}

/// Checks that the caller may delete from `repository`.
///
/// # Errors
/// As [`permit_pull`].
pub fn permit_delete(
    caller: &Caller,
    repository: &RepositoryName,
    project: Option<&ProjectFacts>,
) -> Result<DeletePermit, Refusal> {
    let project = check(
        caller,
        repository,
        project,
        Resource::Artifact,
        Action::Delete,
    )?;
    Ok(DeletePermit {
        project: project.id,
        limited: project.limited,
        repository: repository.clone(),
        caller: caller.clone(),
    })
}

/// The actions of a token scope that the caller has on `repository`, in a fixed order.
pub fn held(caller: &Caller, project: Option<&ProjectFacts>) -> Vec<Action> {
    let holds = |resource, action| project.is_some_and(|p| allowed(caller, p, resource, action));
    let all = [
        (Resource::Repository, Action::Pull),
        (Resource::Repository, Action::Push),
        (Resource::Artifact, Action::Delete),
    ];
    all.into_iter()
        .filter(|(resource, action)| holds(*resource, *action))
        .map(|(_, action)| action)
        .collect()
}

/// Checks that the caller may do `action` on `resource` of a project.
///
/// # Errors
/// The refusal is the same for a hidden project and one that does not exist. A system administrator may access every
/// existing project, so `NotPermitted` means that it does not exist.
pub fn permit_project(
    caller: &Caller,
    project: Option<&ProjectFacts>,
    resource: Resource,
    action: Action,
) -> Result<ProjectPermit, Refusal> {
    match project {
        Some(project) if allowed(caller, project, resource, action) => Ok(ProjectPermit {
            project: project.clone(),
            caller: caller.clone(),
        }),
        _ => Err(refusal(caller)),
    }
}

/// Checks that the caller may administer the system.
///
/// # Errors
/// Refused for everyone but system administrators.
pub fn permit_system(caller: &Caller) -> Result<SystemPermit, Refusal> {
    if caller.bindings.sysadmin {
        return Ok(SystemPermit {
            caller: caller.clone(),
        });
    }
    Err(refusal(caller))
}

/// Checks that the caller is signed in, which is enough for actions such as searching for users.
///
/// # Errors
/// Refused for callers who are not signed in.
pub fn permit_signed_in(caller: &Caller) -> Result<SignedIn, Refusal> {
    let account = caller.account().ok_or(Refusal::NotSignedIn)?;
    Ok(SignedIn {
        account,
        caller: caller.clone(),
    })
}

/// Checks that the caller may read or change an account: its own, or any for a system administrator.
///
/// # Errors
/// Refused for everyone else.
pub fn permit_account(caller: &Caller, account: AccountId) -> Result<AccountPermit, Refusal> {
    if caller.account() == Some(account) || caller.bindings.sysadmin {
        return Ok(AccountPermit {
            account,
            caller: caller.clone(),
        });
    }
    Err(refusal(caller))
}

/// Checks that the caller may create projects, according to the setting.
///
/// # Errors
/// Refused for callers who are not signed in, and for ordinary accounts if only system administrators may.
pub fn permit_create_project(
    caller: &Caller,
    creation: ProjectCreation,
) -> Result<CreateProjectPermit, Refusal> {
    let owner = match caller.principal() {
        Principal::User { id, .. } => *id,
        Principal::System(_) | Principal::CommandLine => AccountId::ADMIN,
        Principal::Anonymous | Principal::Claimed(_) => return Err(Refusal::NotSignedIn),
    };
    if creation == ProjectCreation::Admins && !caller.bindings.sysadmin {
        return Err(Refusal::NotPermitted);
    }
    Ok(CreateProjectPermit {
        owner,
        caller: caller.clone(),
    })
}

/// Determines what the caller may see in the catalog.
///
/// # Errors
/// Refused for callers who are not signed in, and for tokens without `registry:catalog:*`.
pub fn permit_catalog(caller: &Caller) -> Result<CatalogPermit, Refusal> {
    match caller.account() {
        None => Err(Refusal::NotSignedIn),
        Some(_) if caller.grants.as_ref().is_some_and(|grants| !grants.catalog) => {
            Err(Refusal::TokenTooNarrow)
        }
        Some(_) if caller.bindings.sysadmin => Ok(CatalogPermit::Everything),
        Some(_) => Ok(CatalogPermit::Visible(
            caller.bindings.roles.keys().copied().collect(),
        )),
    }
}

fn check<'p>(
    caller: &Caller,
    repository: &RepositoryName,
    project: Option<&'p ProjectFacts>,
    resource: Resource,
    action: Action,
) -> Result<&'p ProjectFacts, Refusal> {
    match project {
        Some(project) if allowed(caller, project, resource, action) => {
            // A narrower token does not take away what everyone may do.
            let public = project.public && table::public_allows(resource, action);
            if public || caller.granted(repository, action) {
                Ok(project)
            } else {
                Err(Refusal::TokenTooNarrow)
            }
        }
        _ => Err(refusal(caller)),
    }
}

fn allowed(caller: &Caller, project: &ProjectFacts, resource: Resource, action: Action) -> bool {
    caller.bindings.sysadmin
        || (project.public && table::public_allows(resource, action))
        || caller
            .bindings
            .roles_in(project.id)
            .iter()
            .any(|role| table::allows(*role, resource, action))
}

fn refusal(caller: &Caller) -> Refusal {
    if caller.account().is_some() {
        Refusal::NotPermitted
    } else {
        Refusal::NotSignedIn
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::net::{IpAddr, Ipv4Addr};
    use std::sync::Arc;

    use model::SystemTask;

    use super::*;
    use crate::{Bindings, Grant, Grants, Presented, Role};

    const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn member(role: Role) -> Caller {
        let bindings = Bindings {
            principal: Principal::User {
                id: AccountId(7),
                name: "ann".into(),
            },
            sysadmin: false,
            generation: 1,
            roles: HashMap::from([(ProjectId(1), vec![role])]),
        };
        Caller {
            bindings: Arc::new(bindings),
            presented: Presented::Password,
            grants: None,
            address: Some(HOME),
        }
    }

    fn sysadmin() -> Caller {
        let member = member(Role::Guest);
        let bindings = Bindings {
            sysadmin: true,
            ..(*member.bindings).clone()
        };
        Caller {
            bindings: Arc::new(bindings),
            ..member
        }
    }

    fn project(public: bool) -> ProjectFacts {
        ProjectFacts {
            id: ProjectId(1),
            name: "team".parse().unwrap(),
            public,
            limited: false,
        }
    }

    #[test]
    fn a_hidden_project_is_refused_like_a_missing_one() {
        let repository = "team/app".parse().unwrap();
        let hidden = ProjectFacts {
            id: ProjectId(2),
            ..project(false)
        };
        let caller = member(Role::Guest);
        assert_eq!(
            permit_pull(&caller, &repository, Some(&hidden)).unwrap_err(),
            permit_pull(&caller, &repository, None).unwrap_err()
        );
    }

    #[test]
    fn a_token_never_gives_more_than_the_roles() {
        let repository: RepositoryName = "team/app".parse().unwrap();
        let mut caller = member(Role::Guest);
        let all = Grant {
            repository: repository.clone(),
            pull: true,
            push: true,
            delete: true,
        };
        caller.grants = Some(Arc::new(Grants {
            repositories: vec![all],
            catalog: false,
        }));
        assert!(permit_pull(&caller, &repository, Some(&project(false))).is_ok());
        assert_eq!(
            permit_push(&caller, &repository, Some(&project(false))).unwrap_err(),
            Refusal::NotPermitted
        );
    }

    #[test]
    fn a_token_for_one_repository_is_too_narrow_for_another() {
        let mut caller = member(Role::Maintainer);
        caller.grants = Some(Arc::default());
        let repository = "team/app".parse().unwrap();
        assert_eq!(
            permit_delete(&caller, &repository, Some(&project(false))).unwrap_err(),
            Refusal::TokenTooNarrow
        );
    }

    #[test]
    fn an_account_permit_is_for_that_account_alone() {
        let caller = member(Role::Guest);
        let own = permit_account(&caller, AccountId(7)).unwrap();
        assert_eq!((own.account(), own.is_own()), (AccountId(7), true));
        assert_eq!(
            permit_account(&caller, AccountId(8)).unwrap_err(),
            Refusal::NotPermitted
        );
        let other = permit_account(&sysadmin(), AccountId(8)).unwrap();
        assert_eq!((other.account(), other.is_own()), (AccountId(8), false));
    }

    #[test]
    fn projects_are_created_by_whoever_the_setting_names() {
        use ProjectCreation::{Admins, Everyone};
        let anonymous = Caller::anonymous(HOME);
        for creation in [Everyone, Admins] {
            assert_eq!(
                permit_create_project(&anonymous, creation).unwrap_err(),
                Refusal::NotSignedIn
            );
            let permit = permit_create_project(&sysadmin(), creation).unwrap();
            assert_eq!(permit.owner(), AccountId(7));
        }
        let caller = member(Role::ProjectAdmin);
        assert!(permit_create_project(&caller, Everyone).is_ok());
        assert_eq!(
            permit_create_project(&caller, Admins).unwrap_err(),
            Refusal::NotPermitted
        );
    }

    #[test]
    fn what_the_machine_itself_creates_belongs_to_the_built_in_administrator() {
        for caller in [
            Caller::command_line(),
            Caller::system(SystemTask::FirstStart),
        ] {
            assert!(permit_system(&caller).is_ok());
            assert!(permit_account(&caller, AccountId(8)).is_ok());
            let permit = permit_create_project(&caller, ProjectCreation::Admins).unwrap();
            assert_eq!(permit.owner(), AccountId::ADMIN);
            assert_eq!(caller.origin().address, None);
        }
    }

    #[test]
    fn everyone_pulls_from_a_public_project() {
        let caller = Caller::anonymous(HOME);
        let repository = "team/app".parse().unwrap();
        assert!(permit_pull(&caller, &repository, Some(&project(true))).is_ok());
        assert!(permit_push(&caller, &repository, Some(&project(true))).is_err());
    }
}
