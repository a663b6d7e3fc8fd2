//! REST under `/api/v2.0`, in the wire form that scripts for Harbor expect.

mod audit;
mod conventions;
mod executions;
mod immutable_rules;
mod labels;
mod members;
mod projects;
mod repositories;
mod search;
mod users;

use crate::harness::Shared;

static SERVER: Shared = Shared::new(&[]);
