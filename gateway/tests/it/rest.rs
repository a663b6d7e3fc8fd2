//! REST under `/api/v2.0`, in the wire form that scripts for Harbor expect.

mod access;
mod additions;
mod artifacts;
mod audit;
mod conventions;
mod copies;
mod deleted_projects;
mod erasure;
mod executions;
mod ext;
mod groups;
mod immutable_rules;
mod labels;
mod members;
mod projects;
mod repositories;
mod retention;
mod robots;
mod search;
mod tags;
mod users;

use crate::harness::Shared;

static SERVER: Shared = Shared::new(&[]);
