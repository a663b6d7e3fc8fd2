//! Permits: proof, as a type, that a caller is permitted to do something. Only this module creates them, and `registry`
//! and `admin-api` do not act without one.

use std::marker::PhantomData;

use model::{Principal, PrincipalId, ProjectId, RepositoryName, UserId};

use crate::on::On;
use crate::robot::Reach;
use crate::system::{Everything, SystemNeed, SystemResource};
use crate::to::To;
use crate::{Action, Caller, ProjectFacts, Resource, Standing, system, to};

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

/// Permission for one action on one resource of a project: `ProjectPermit<on::Member, to::Create>`.
#[derive(Clone, Debug)]
pub struct ProjectPermit<R, A> {
    standing: Standing,
    caller: Caller,
    need: PhantomData<fn() -> (R, A)>,
}

impl<R: On, A: To> ProjectPermit<R, A> {
    /// The project.
    pub fn project(&self) -> &ProjectFacts {
        &self.standing.project
    }

    /// The project and the caller's roles in it.
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    /// Who holds the permit.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The same caller's permit for something else in the project, for operations that need both.
    ///
    /// # Errors
    /// As [`permit_project`].
    pub fn and<S: On, B: To>(&self) -> Result<ProjectPermit<S, B>, Refusal> {
        permit_project(&self.caller, Some(&self.standing))
    }
}

/// Proof that the caller is signed in, and no more.
#[derive(Clone, Debug)]
pub struct SignedIn {
    principal: PrincipalId,
    caller: Caller,
}

impl SignedIn {
    /// Who it is.
    pub fn principal(&self) -> PrincipalId {
        self.principal
    }

    /// Who holds the permit.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }
}

/// Permission to read and change one user: the caller's own, or any for a system administrator.
#[derive(Clone, Debug)]
pub struct UserPermit {
    user: UserId,
    caller: Caller,
}

impl UserPermit {
    /// The user that the permit covers.
    pub fn user(&self) -> UserId {
        self.user
    }

    /// True if it is the caller.
    pub fn is_own(&self) -> bool {
        self.caller.user() == Some(self.user)
    }

    /// Who holds the permit.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }
}

/// Permission for one action on one resource of the system, `SystemPermit<(system::User, to::List)>`; without a parameter, to
/// administer the system.
#[derive(Clone, Debug)]
pub struct SystemPermit<N = Everything> {
    caller: Caller,
    need: PhantomData<fn() -> N>,
}

impl<N> SystemPermit<N> {
    /// Who holds the permit.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }
}

/// Permission to register an account for oneself.
#[derive(Clone, Debug)]
pub struct RegisterPermit {
    caller: Caller,
}

impl RegisterPermit {
    /// Who holds the permit.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }
}

/// Permission to create an account.
#[derive(Clone, Debug)]
pub enum NewUserPermit {
    /// For anyone.
    Any(SystemPermit<(system::User, to::Create)>),
    /// For oneself.
    Own(RegisterPermit),
}

impl NewUserPermit {
    /// Who holds the permit.
    pub fn caller(&self) -> &Caller {
        match self {
            Self::Any(permit) => permit.caller(),
            Self::Own(permit) => permit.caller(),
        }
    }
}

/// Who may create projects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProjectCreation {
    /// Every user.
    #[default]
    Everyone,
    /// System administrators.
    Admins,
}

/// Who may delete projects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProjectDeletion {
    /// Whoever has the permission in the project.
    #[default]
    Everyone,
    /// System administrators.
    Admins,
}

/// Permission to create projects, which the caller will own.
#[derive(Clone, Debug)]
pub struct CreateProjectPermit {
    owner: UserId,
    caller: Caller,
}

impl CreateProjectPermit {
    /// The user who will own the project.
    pub fn owner(&self) -> UserId {
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
    /// Those of public projects and of projects in which this principal has a role.
    Visible(PrincipalId),
    /// Those of public projects and of these.
    Projects(Vec<ProjectId>),
}

/// Checks that the caller may pull from `repository`. `standing` is the caller's in the project of its name, if there is
/// such a project.
///
/// # Errors
/// The refusal is the same for a hidden project and one that does not exist.
pub fn permit_pull(
    caller: &Caller,
    repository: &RepositoryName,
    standing: Option<&Standing>,
) -> Result<PullPermit, Refusal> {
    let need = (Resource::Repository, Action::Pull);
    let project = check(caller, repository, standing, need)?;
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
    standing: Option<&Standing>,
) -> Result<PushPermit, Refusal> {
    let need = (Resource::Repository, Action::Push);
    let project = check(caller, repository, standing, need)?;
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
    standing: Option<&Standing>,
) -> Result<DeletePermit, Refusal> {
    let need = (Resource::Artifact, Action::Delete);
    let project = check(caller, repository, standing, need)?;
    Ok(DeletePermit {
        project: project.id,
        limited: project.limited,
        repository: repository.clone(),
        caller: caller.clone(),
    })
}

/// Checks that the caller may do what the type of the permit says.
///
/// # Errors
/// The refusal is the same for a hidden project and one that does not exist. A system administrator may access every
/// existing project, so `NotPermitted` means that it does not exist.
pub fn permit_project<R: On, A: To>(
    caller: &Caller,
    standing: Option<&Standing>,
) -> Result<ProjectPermit<R, A>, Refusal> {
    match standing {
        Some(standing) if standing.allowed(caller, R::RESOURCE).contains(A::ACTION) => {
            Ok(ProjectPermit {
                standing: standing.clone(),
                caller: caller.clone(),
                need: PhantomData,
            })
        }
        _ => Err(refusal(caller)),
    }
}

/// Checks that the caller may do what the type of the permit says.
///
/// # Errors
/// Refused for everyone except system administrators and robots with that permission.
pub fn permit_system<N: SystemNeed>(caller: &Caller) -> Result<SystemPermit<N>, Refusal> {
    let is_given = |(resource, action)| given(caller, resource, action);
    if caller.is_sysadmin() || N::NEED.is_some_and(is_given) {
        return Ok(SystemPermit {
            caller: caller.clone(),
            need: PhantomData,
        });
    }
    Err(refusal(caller))
}

/// True if the caller is a robot with permission for an action on a system resource.
fn given(caller: &Caller, resource: SystemResource, action: Action) -> bool {
    let robot = caller.authority.own.as_ref();
    robot.is_some_and(|robot| robot.permissions.of_system(resource).contains(action))
}

/// Checks that the caller may create an account: for anyone, or for themselves if registration is open.
///
/// # Errors
/// As [`permit_system`]; also for robots without that permission, whether or not registration is open.
pub fn permit_new_user(caller: &Caller, is_open: bool) -> Result<NewUserPermit, Refusal> {
    let any = permit_system(caller);
    match any {
        Ok(permit) => Ok(NewUserPermit::Any(permit)),
        Err(_) if is_open && caller.authority.own.is_none() => {
            let caller = caller.clone();
            Ok(NewUserPermit::Own(RegisterPermit { caller }))
        }
        Err(refusal) => Err(refusal),
    }
}

/// Checks that the caller is signed in, which is enough for actions such as searching for users.
///
/// # Errors
/// Refused for callers who are not signed in.
pub fn permit_signed_in(caller: &Caller) -> Result<SignedIn, Refusal> {
    let principal = caller.id().ok_or(Refusal::NotSignedIn)?;
    Ok(SignedIn {
        principal,
        caller: caller.clone(),
    })
}

/// Checks that the caller may read or change a user: its own, or any for a system administrator.
///
/// # Errors
/// Refused for everyone else.
pub fn permit_user(caller: &Caller, user: UserId) -> Result<UserPermit, Refusal> {
    if caller.user() == Some(user) || caller.is_sysadmin() {
        return Ok(UserPermit {
            user,
            caller: caller.clone(),
        });
    }
    Err(refusal(caller))
}

/// Checks that the caller may create projects, according to the setting.
///
/// # Errors
/// Refused for callers who are not signed in, for ordinary users if only system administrators may, and for robots
/// without that permission.
pub fn permit_create_project(
    caller: &Caller,
    creation: ProjectCreation,
) -> Result<CreateProjectPermit, Refusal> {
    let owner = match caller.principal() {
        Principal::User { user, .. } => *user,
        Principal::Robot { .. } | Principal::System(_) | Principal::CommandLine => UserId::ADMIN,
        Principal::Workload { .. } => return Err(Refusal::NotPermitted),
        Principal::Anonymous | Principal::Claimed(_) => return Err(Refusal::NotSignedIn),
    };
    let may = match (caller.principal(), creation) {
        (Principal::Robot { .. }, _) => given(caller, SystemResource::Project, Action::Create),
        (_, ProjectCreation::Admins) => caller.is_sysadmin(),
        (_, ProjectCreation::Everyone) => true,
    };
    if !may {
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
    match caller.id() {
        None => Err(Refusal::NotSignedIn),
        Some(_) if caller.grants.as_ref().is_some_and(|grants| !grants.catalog) => {
            Err(Refusal::TokenTooNarrow)
        }
        Some(_) if caller.is_sysadmin() => Ok(CatalogPermit::Everything),
        Some(_) if given(caller, SystemResource::Catalog, Action::Read) => {
            Ok(CatalogPermit::Everything)
        }
        Some(principal) => Ok(match &caller.authority.own {
            None => CatalogPermit::Visible(principal),
            Some(robot) => match robot.permissions.reach(Resource::Repository, Action::Pull) {
                Reach::Everywhere => CatalogPermit::Everything,
                Reach::Projects(projects) => CatalogPermit::Projects(projects),
            },
        }),
    }
}

fn check<'s>(
    caller: &Caller,
    repository: &RepositoryName,
    standing: Option<&'s Standing>,
    (resource, action): (Resource, Action),
) -> Result<&'s ProjectFacts, Refusal> {
    let allowed = |standing: &&Standing| standing.allowed(caller, resource).contains(action);
    let Some(standing) = standing.filter(allowed) else {
        return Err(refusal(caller));
    };
    // A narrower token does not take away what everyone may do.
    let public = standing.public(resource).contains(action);
    if public || caller.granted(repository, action) {
        Ok(&standing.project)
    } else {
        Err(Refusal::TokenTooNarrow)
    }
}

fn refusal(caller: &Caller) -> Refusal {
    if caller.is_signed_in() {
        Refusal::NotPermitted
    } else {
        Refusal::NotSignedIn
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::sync::Arc;

    use model::SystemTask;

    use super::*;
    use crate::{Actions, Authority, Grant, Grants, Presented, Role, on, to};

    const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn user(sysadmin: bool) -> Caller {
        let authority = Authority {
            principal: Principal::User {
                id: PrincipalId(17),
                user: UserId(7),
                name: "ann".into(),
            },
            sysadmin,
            generation: 1,
            own: None,
            workload: None,
        };
        Caller {
            authority: Arc::new(authority),
            presented: Presented::Password,
            grants: None,
            address: Some(HOME),
            client: model::Client::at(Some(HOME)),
        }
    }

    fn ann() -> Caller {
        user(false)
    }

    fn sysadmin() -> Caller {
        user(true)
    }

    fn standing(public: bool, roles: &[Role]) -> Standing {
        let project = ProjectFacts {
            id: ProjectId(1),
            name: "team".parse().unwrap(),
            public,
            limited: false,
        };
        Standing {
            project: Arc::new(project),
            roles: roles.iter().copied().collect(),
        }
    }

    #[test]
    fn a_hidden_project_is_refused_like_a_missing_one() {
        let repository = "team/app".parse().unwrap();
        let (caller, hidden) = (ann(), standing(false, &[]));
        assert_eq!(
            permit_pull(&caller, &repository, Some(&hidden)).unwrap_err(),
            permit_pull(&caller, &repository, None).unwrap_err()
        );
    }

    #[test]
    fn a_token_never_gives_more_than_the_roles() {
        let repository: RepositoryName = "team/app".parse().unwrap();
        let (mut caller, guest) = (ann(), standing(false, &[Role::Guest]));
        let all = Grant {
            repository: repository.clone(),
            actions: Actions::ALL,
        };
        caller.grants = Some(Arc::new(Grants {
            repositories: vec![all],
            catalog: false,
        }));
        assert!(permit_pull(&caller, &repository, Some(&guest)).is_ok());
        assert_eq!(
            permit_push(&caller, &repository, Some(&guest)).unwrap_err(),
            Refusal::NotPermitted
        );
    }

    #[test]
    fn a_token_for_one_repository_is_too_narrow_for_another() {
        let (mut caller, maintainer) = (ann(), standing(false, &[Role::Maintainer]));
        caller.grants = Some(Arc::default());
        let repository = "team/app".parse().unwrap();
        assert_eq!(
            permit_delete(&caller, &repository, Some(&maintainer)).unwrap_err(),
            Refusal::TokenTooNarrow
        );
    }

    #[test]
    fn people_register_themselves_where_that_is_open() {
        let nobody = Caller::anonymous(HOME);
        let refused = permit_new_user(&nobody, false).unwrap_err();
        assert_eq!(refused, Refusal::NotSignedIn);
        let refused = permit_new_user(&ann(), false).unwrap_err();
        assert_eq!(refused, Refusal::NotPermitted);
        for person in [nobody, ann()] {
            let permit = permit_new_user(&person, true).unwrap();
            assert!(matches!(permit, NewUserPermit::Own(_)));
        }
        let permit = permit_new_user(&sysadmin(), true).unwrap();
        assert!(matches!(permit, NewUserPermit::Any(_)));
    }

    #[test]
    fn a_user_permit_is_for_that_user_alone() {
        let caller = ann();
        let own = permit_user(&caller, UserId(7)).unwrap();
        assert_eq!((own.user(), own.is_own()), (UserId(7), true));
        assert_eq!(
            permit_user(&caller, UserId(8)).unwrap_err(),
            Refusal::NotPermitted
        );
        let other = permit_user(&sysadmin(), UserId(8)).unwrap();
        assert_eq!((other.user(), other.is_own()), (UserId(8), false));
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
            assert_eq!(permit.owner(), UserId(7));
        }
        let caller = ann();
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
            assert!(permit_system::<Everything>(&caller).is_ok());
            assert!(permit_user(&caller, UserId(8)).is_ok());
            let permit = permit_create_project(&caller, ProjectCreation::Admins).unwrap();
            assert_eq!(permit.owner(), UserId::ADMIN);
            assert_eq!(caller.origin().client, model::Client::default());
        }
    }

    #[test]
    fn a_project_permit_is_for_what_its_type_says() {
        let guest = standing(false, &[Role::Guest]);
        let read = permit_project::<on::Member, to::Read>(&ann(), Some(&guest)).unwrap();
        assert!(read.standing().roles.contains(Role::Guest));
        let create = permit_project::<on::Member, to::Create>(&ann(), Some(&guest));
        assert_eq!(create.unwrap_err(), Refusal::NotPermitted);
        let nobody = Caller::anonymous(HOME);
        let outside = standing(false, &[]);
        let read = permit_project::<on::Member, to::Read>(&nobody, Some(&outside));
        assert_eq!(read.unwrap_err(), Refusal::NotSignedIn);
        let missing = permit_project::<on::Member, to::Read>(&sysadmin(), None);
        assert_eq!(missing.unwrap_err(), Refusal::NotPermitted);
        assert!(permit_project::<on::Member, to::Create>(&sysadmin(), Some(&outside)).is_ok());
    }

    #[test]
    fn everyone_pulls_from_a_public_project() {
        let caller = Caller::anonymous(HOME);
        let repository = "team/app".parse().unwrap();
        assert!(permit_pull(&caller, &repository, Some(&standing(true, &[]))).is_ok());
        assert!(permit_push(&caller, &repository, Some(&standing(true, &[]))).is_err());
    }
}
