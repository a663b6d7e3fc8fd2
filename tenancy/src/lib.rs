//! What administrators change: users, groups, robots, projects, members, quotas and settings. A change is one function:
//! one transaction, and one event. REST, command line, first start and import call the same ones. Callers show a
//! permit; HTTP and command lines are unknown here.

pub mod account_mail;
pub mod applied;
pub mod certificate;
pub mod cve_allowlist;
pub mod directory;
mod error;
pub mod group;
pub mod immutable_rule;
pub mod installation;
pub mod label;
pub mod mailed_link;
pub mod member;
pub mod oidc;
pub mod password;
pub mod preference;
pub mod project;
pub mod quota;
pub mod registry;
pub mod replication_policy;
pub mod retention;
pub mod robot;
pub mod secret;
pub mod setting;
pub mod user;
pub mod webhook;
pub mod workload_rule;

pub use error::{Error, InvalidSetting, Result};
