//! What a workload may do by the rules that its token met, as far as they are still the same.

use std::sync::Arc;

use db::{Age, Db, binding};
use model::Principal;
use policy::{Authority, OwnRights, Workload};

use crate::error::Result;

/// What the rules give together now; `None` if none of them is left as it was. `name` is what the history has of the
/// workload.
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
