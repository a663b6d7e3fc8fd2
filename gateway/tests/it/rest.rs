//! REST under `/api/v2.0`, in the wire form that scripts for Harbor expect.

mod access;
mod conventions;
mod groups;
mod members;
mod projects;
mod repositories;
mod robots;
mod search;
mod users;

use crate::harness::Shared;

static SERVER: Shared = Shared::new(&[]);
