//! Gantry from outside: the real binary, real sockets, real files and database.
//!
//! The binary is the one Cargo built, or the one that `GANTRY_BIN` names. Each test talks to a server of its own or
//! shares one with its module, and a server that logs an error, panics or does not stop cleanly fails the test.

mod harness;

mod acme;
mod audit;
mod audit_forward;
mod bad_input;
mod certificates;
mod cli;
mod client_certificates;
mod config;
mod crash;
mod doctor;
mod drain;
mod faults;
mod forwarded;
mod garbage;
mod import;
mod jobs;
mod ldap;
mod limits;
mod lost;
mod machine;
mod mail;
mod metrics;
mod oidc;
mod permissions;
mod push_pull;
mod registry_notifications;
mod replicas;
mod replication;
mod rest;
mod restore;
mod revoked;
mod security;
mod session;
mod settings;
mod spans;
mod start;
mod storage;
mod successor;
mod tls;
mod token;
mod ui;
mod webhook;
mod workload;
