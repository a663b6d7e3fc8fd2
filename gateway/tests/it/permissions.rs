//! Who may do what, asked by real requests, and that nobody can tell a hidden project from a missing one.

mod hidden;
mod robots;
mod table;

use crate::harness::Shared;

static SERVER: Shared = Shared::new(&[]);
