//! The audit entry of a change, written in the change's own transaction.

use db::audit::{Actor, append};
use db::{Result, Tx};
use model::{ProjectId, Timestamp};
use policy::Caller;

/// A change, in Harbor's words.
pub(crate) struct Change {
    /// `create`, `update` or `delete`.
    pub(crate) operation: &'static str,
    /// `user`, `project` or `member`.
    pub(crate) resource_type: &'static str,
    /// The resource's name.
    pub(crate) resource: String,
    /// The project that it belongs to.
    pub(crate) project: Option<ProjectId>,
    /// What was changed, for those who read the log; no values that are secret.
    pub(crate) detail: String,
}

/// Notes that `caller` made a change.
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

/// The caller, as the audit log names it.
pub(crate) fn actor(caller: &Caller) -> Actor {
    Actor {
        account: caller.account(),
        name: caller.name().to_owned(),
        address: caller
            .address
            .map(|address| address.to_string())
            .unwrap_or_default(),
    }
}
