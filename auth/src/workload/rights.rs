//! The rights of a workload by the rules that its token matched, as far as these are unchanged.

use std::sync::Arc;

use db::{Age, Db, binding};
use model::Principal;
use policy::{Authority, OwnRights, Workload};

use crate::error::Result;

/// The combined rights that the rules give now; `None` if all of them were changed or deleted. `name` is the workload's
/// name in the history.
pub(crate) async fn bind(
    db: &Db,
    workload: &Arc<Workload>,
    name: &str,
    age: Age,
) -> Result<Option<Arc<Authority>>> {
    let mut own = OwnRights {
        expires_at: Some(workload.expires_at),
        ..OwnRights::default()
    };
    let mut first = None;
    for rule in &workload.rules {
        let bound = binding::authority(db, rule.principal, Some(rule.generation), age).await?;
        if let Some(given) = bound.as_ref().and_then(|bound| bound.own.as_ref()) {
            own.permissions.add_roles_of(&given.permissions);
            first = first.or(Some(rule));
        }
    }
    let authority = first.map(|rule| Authority {
        principal: Principal::Workload {
            id: rule.principal,
            name: name.into(),
        },
        sysadmin: false,
        generation: rule.generation,
        own: Some(own),
        workload: Some(workload.clone()),
    });
    Ok(authority.map(Arc::new))
}
