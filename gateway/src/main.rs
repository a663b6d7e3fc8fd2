//! The one binary, `gantry`: an enterprise container registry.

mod access_log;
mod app;
mod bootstrap;
mod certificate;
mod challenge;
mod cli;
mod client_certificate;
mod config;
mod connection;
mod data_lock;
mod descriptors;
mod folder;
mod hand_over;
mod health;
mod http;
mod listen;
mod metrics;
mod oci;
mod oci_error;
mod pace;
mod proxy_protocol;
mod rate;
mod request;
mod route;
mod serve;
mod shutdown;
mod stores;
mod tasks;
mod telemetry;
mod token;
mod ui;
mod welcome;
mod wire;

use std::process::ExitCode;

/// Gives memory back after a burst, while glibc's arenas keep it; its settings are in `.cargo/config.toml`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // Before anything else uses TLS.
    if rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .is_err()
    {
        return ExitCode::FAILURE;
    }
    cli::run()
}
