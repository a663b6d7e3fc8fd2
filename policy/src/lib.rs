//! Who may do what: roles, the permission table, decisions and permits. No I/O.
//! Who is calling is found out in `auth`; what callers are bound to is stored by `db`.

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
