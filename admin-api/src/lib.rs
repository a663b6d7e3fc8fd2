//! REST for administrators, in the wire format of Harbor's API v2.0: one module per resource. Push and pull are in
//! `registry`; listeners and middleware are in the gateway.

mod access;
mod account;
mod allowed;
mod artifact;
mod audit;
mod body;
mod bulk;
mod caller;
mod capability;
mod certificate;
mod configuration;
mod cookie;
mod csrf;
mod cve_allowlist;
mod declaration;
mod error;
mod execution;
mod explore;
mod form;
mod group;
mod health;
mod heavy;
mod home;
mod icon;
mod immutable_rule;
mod input;
mod job_service;
mod json;
mod label;
mod ldap;
mod listing;
mod mail;
mod me;
mod member;
mod notice;
mod oidc;
mod openapi;
mod page;
mod param;
mod permission;
mod ping;
mod project;
mod query;
mod quota;
mod read_only;
mod registry;
mod registry_notification;
mod replication;
mod repository;
mod retention;
mod robot;
mod room;
mod route;
mod search;
mod session;
mod statistics;
mod storage;
mod systeminfo;
mod tag;
mod usage;
mod user;
mod webhook;
mod workload_rule;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ::registry::Registry;
use auth::csrf::Csrf;
use auth::identity::Identity;
use db::Db;
use jobs::audit_forward::Forwarding;
use jobs::webhook::Webhooks;
use model::{Clock, Timestamp};
use tenancy::secret::MasterKey;
use tenancy::setting::Settings;
use tokio::sync::watch;

pub use crate::allowed::Everyone;
pub use crate::body::{LARGEST_BODY, LARGEST_FORM};
pub use crate::bulk::PartlyRefused;
pub use crate::certificate::Certificates;
pub use crate::declaration::{At, Declarations, Guarded, Needs, Permission, Route};
pub use crate::error::Error;
pub use crate::health::ComponentErrors;
pub use crate::heavy::Heavy;
pub use crate::input::Input;
pub use crate::room::HeldRoom;
pub use crate::route::{Statements, router, routes};

/// Everything that handlers need.
pub struct AdminState {
    /// The database, as [`Db::for_lists`] reads it.
    pub db: Db,
    /// Content and its operations.
    pub registry: Arc<Registry>,
    /// Authentication.
    pub identity: Arc<Identity>,
    /// What secrets are sealed with.
    pub master: Arc<MasterKey>,
    /// Tokens of browsers.
    pub csrf: Csrf,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Settings that administrators change.
    pub settings: Arc<Settings>,
    /// Trying webhooks out.
    pub webhooks: Webhooks,
    /// What `systeminfo` reports about this installation.
    pub info: SystemInfo,
    /// This process.
    pub process: ProcessInfo,
    /// The certificates that listeners present.
    pub certificates: Certificates,
    /// Costly results, shared by all requests.
    pub heavy: Heavy,
    /// Whether this process was given another password of `admin` than the one that is stored.
    pub unused_password: Arc<AtomicBool>,
    /// Problems of database, store and clock, as of a few seconds ago.
    pub component_errors: watch::Receiver<ComponentErrors>,
    /// How the audit log is forwarded.
    pub forwarding: Arc<Forwarding>,
}

/// This process as shown among those that run jobs.
#[derive(Clone, Debug)]
pub struct ProcessInfo {
    /// Its ID, by which it holds jobs.
    pub id: String,
    /// When it was started.
    pub started: Timestamp,
}

/// Information about this installation.
#[derive(Clone, Debug)]
pub struct SystemInfo {
    /// Host and port at which clients reach it, `registry.example` or `registry.example:8443`.
    pub external_host: String,
    /// The version, in the form of Harbor's: `v2.16.0-gantry.0.1.0`.
    pub version: String,
    /// Kind of blob store: `filesystem`, `s3`.
    pub storage_provider: &'static str,
    /// The folder whose file system `systeminfo/volumes` reports.
    pub data_folder: PathBuf,
}

/// The client's address; the gateway puts it into the request's extensions.
#[derive(Clone, Copy, Debug)]
pub struct ClientAddress(pub IpAddr);

pub(crate) type App = axum::extract::State<Arc<AdminState>>;
