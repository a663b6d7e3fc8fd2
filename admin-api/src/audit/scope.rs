//! What of the audit log a request sees: a caller's own entries and those of projects whose log they may list, and no
//! types that are switched off.

use db::audit::{Filter, Scope};
use db::list::Selection;
use db::{Reader, binding, untagged};
use model::EventType;
use policy::{Action, Reach, Resource, SignedIn, permit, system, table, to};

use crate::{AdminState, Error};

/// What a caller may see of the whole log: everything for system administrators, and for robots that were given it.
pub(super) async fn of(reader: &mut Reader, permit: &SignedIn) -> Result<Scope, Error> {
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
            binding::projects_with(reader, principal, roles).await?
        }
    };
    Ok(Scope::Own {
        principal,
        name: caller.name().to_owned(),
        projects,
    })
}

/// The entries of a scope that a request asks for.
pub(super) fn filter(app: &AdminState, scope: Scope, selection: &Selection) -> Filter {
    let hidden = &app.settings.current().disabled_audit_log_event_types;
    let filter = Filter {
        scope,
        hidden: EventType::list(hidden),
        ..Filter::default()
    };
    filter.narrowed(selection)
}
