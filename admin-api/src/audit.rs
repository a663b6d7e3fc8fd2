//! Audit entries of changes, written in the same transaction.

use db::audit::{Actor, append};
use db::{Result, Tx};
use model::{ProjectId, Timestamp};
use policy::Caller;

/// A change, in Harbor's terms.
pub(crate) struct Change {
    /// `create`, `update` or `delete`.
    pub(crate) operation: &'static str,
    /// `user`, `project` or `member`.
    pub(crate) resource_type: &'static str,
    /// The resource's name.
    pub(crate) resource: String,
    /// Its project.
    pub(crate) project: Option<ProjectId>,
    /// What was changed, for readers of the log; never secrets.
    pub(crate) detail: String,
}

/// Records a change by `caller`.
pub(crate) async fn note(
    tx: &mut Tx,
    caller: &Caller,
    change: Change,
    now: Timestamp,
) -> Result<()> {
    let kind = (change.operation, change.resource_type);
    let mut entry = actor(caller).change(now, kind, change.resource, change.project);
    entry.detail = change.detail;
    append(tx, &entry).await
}

/// The caller's name in the audit log.
pub(crate) fn actor(caller: &Caller) -> Actor {
    Actor {
        account: caller.account(),
        name: caller.name().to_owned(),
        address: caller.address.to_string(),
    }
}
