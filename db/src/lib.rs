//! Metadata: database, transactions, schema, and one module per concept. The only crate with SQL. One text serves
//! SQLite and PostgreSQL; where they must differ both stand side by side.

// First, for its macros.
#[macro_use]
mod content;

mod accessory;
pub mod acme;
pub mod applied;
pub mod artifact;
pub mod audit;
pub mod backup;
mod batch;
pub mod binding;
pub mod blob;
pub mod blob_event;
pub mod broken;
mod cache;
pub mod certificate;
pub mod clock;
mod database;
mod error;
pub mod execution;
pub mod expected;
pub mod fence;
pub mod garbage;
pub mod gc;
pub mod group;
pub mod identity;
pub mod immutability;
pub mod immutable_rule;
pub mod installation;
pub mod job;
pub mod job_log;
pub mod label;
pub mod list;
mod listed;
pub mod login_failure;
pub mod mailed_link;
pub mod manifest;
pub mod member;
pub mod notice;
pub mod oidc;
pub mod preference;
pub mod principal;
pub mod project;
pub mod quota;
pub mod registry;
mod relist;
pub mod replication;
pub mod repository;
pub mod retention;
pub mod robot;
pub mod schedule;
mod schema;
pub mod session;
pub mod setting;
mod sql;
pub mod stat;
pub mod statements;
pub mod store_identity;
pub mod tag;
pub mod tombstone;
mod touch;
pub mod untagged;
pub mod upload;
pub mod usage;
pub mod user;
pub mod webhook;
pub mod workload_rule;
mod writer;

pub use cache::{Age, Caches};
pub use database::{Connections, Db, Location, ServerFacts};
pub use error::{Error, Result, is_outage};

pub use schema::Migration;
pub use sql::{Reader, Tx};
