//! The part of the audit log that a request sees: a caller's own entries and those of projects whose log they may list,
//! or could list until the project was deleted, as long as it can be restored, without hidden types.

use db::audit::{Filter, Scope};
use db::list::Selection;
use db::{Reader, binding, untagged};
use model::EventType;
use policy::{Action, Reach, Resource, SignedIn, permit, system, table, to};

use crate::project::deleted::restorable_since;
use crate::{AdminState, Error};

/// The part of the log that a caller may see: everything for system administrators and for robots with that permission.
pub(super) async fn of(
    app: &AdminState,
    reader: &mut Reader,
    permit: &SignedIn,
) -> Result<Scope, Error> {
    let caller = permit.caller();
    if permit::permit_system::<(system::AuditLog, to::List)>(caller).is_ok() {
        return Ok(Scope::Everything);
    }
    let principal = permit.principal();
    let projects = match &caller.authority.own {
        Some(robot) => match robot.permissions.reach(Resource::Log, Action::List) {
            Reach::Everywhere => untagged::projects(reader).await?,
            Reach::Projects(projects) => projects,
        },
        None => {
            let roles = table::roles_with(Resource::Log, Action::List);
            let mut projects = binding::projects_with(reader, principal, roles).await?;
            let since = restorable_since(app);
            let former = binding::former_projects_with(reader, principal, roles, since).await?;
            projects.extend(former);
            projects
        }
    };
    Ok(Scope::Own {
        principal,
        name: caller.name().to_owned(),
        projects,
    })
}

/// The requested entries of a scope.
pub(super) fn filter(app: &AdminState, scope: Scope, selection: &Selection) -> Filter {
    let hidden = &app.settings.current().disabled_audit_log_event_types;
    let filter = Filter {
        scope,
        hidden: EventType::list(hidden),
        ..Filter::default()
    };
    filter.narrowed(selection)
}
