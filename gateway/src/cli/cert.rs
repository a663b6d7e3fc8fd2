//! `gantry cert`.

use std::process::ExitCode;

use certs::{Pair, ServerCertificate};
use clap::Subcommand;
use db::audit;

use super::local::Local;
use super::{out, print};
use crate::bootstrap;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Show the server certificate.
    Show,
    /// Print the private CA's certificate, for clients to trust.
    Ca,
    /// Issue a new server certificate; a running server takes it up within a second.
    Renew,
}

impl Command {
    pub(super) async fn run(self, local: &Local) -> anyhow::Result<ExitCode> {
        let now = local.now();
        let authority = bootstrap::authority(&local.db, &local.master, now).await?;
        match self {
            Self::Show => {
                let tls = &local.config.tls;
                let files = if tls.certificate.is_empty() {
                    Pair::within(&local.config.certs())
                } else {
                    Pair {
                        certificate: tls.certificate.clone().into(),
                        key: tls.key.clone().into(),
                    }
                };
                let certificate = ServerCertificate::load(&files.certificate, &files.key)?;
                print(&format!("file     {}", files.certificate.display()));
                print(&format!("names    {}", certificate.names().join(", ")));
                print(&format!("serial   {}", certificate.serial()));
                print(&format!("issuer   {}", certificate.issuer()));
                print(&format!("from     {}", certificate.not_before()));
                print(&format!("until    {}", certificate.not_after()));
            }
            Self::Ca => out::block(authority.certificate_pem()),
            Self::Renew => {
                anyhow::ensure!(
                    local.config.tls.certificate.is_empty(),
                    "[tls] certificate names a file of yours: replace that file instead"
                );
                let pair = bootstrap::renew(&local.config, &authority, now)?;
                let entry = local.entry("update", "certificate", "server", None);
                let noted = local
                    .db
                    .write(move |tx| Box::pin(async move { audit::append(tx, &entry).await }));
                noted.await?;
                print(&format!(
                    "a new certificate is in {}",
                    pair.certificate.display()
                ));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
