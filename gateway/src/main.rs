//! The one binary, `gantry`: an enterprise container registry.

mod app;
mod bootstrap;
mod cli;
mod config;
mod connection;
mod health;
mod http;
mod metrics;
mod oci;
mod oci_error;
mod proxy_protocol;
mod rate;
mod route;
mod serve;
mod token;
mod welcome;
mod wire;

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything else makes use of TLS.
    if rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .is_err()
    {
        return ExitCode::FAILURE;
    }
    cli::run()
}
