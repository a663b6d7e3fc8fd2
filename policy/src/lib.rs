//! Authorization: roles, the permission table, decisions and permits. No I/O. `auth` identifies callers; `db` stores
//! their bindings.

pub mod caller;
pub mod permit;
pub mod role;
pub mod table;

pub use caller::{Bindings, Caller, Grant, Grants, Presented};
pub use permit::{
    AccountPermit, CatalogPermit, CreateProjectPermit, DeletePermit, ProjectCreation, ProjectFacts,
    ProjectPermit, PullPermit, PushPermit, Refusal, SignedIn, SystemPermit,
};
pub use role::Role;
pub use table::{Action, Resource};
