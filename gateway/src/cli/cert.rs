//! `gantry cert`.

use std::process::ExitCode;

use certs::ServerCertificate;
use clap::Subcommand;
use model::{Operation, ResourceType};
use tenancy::installation;

use super::local::{self, Local};
use super::{out, print};
use crate::bootstrap;
use crate::certificate::{self, Renewal};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Show the server certificate.
    Show,
    /// Print the private CA's certificate, for clients to trust.
    Ca,
    /// Issue a new server certificate for the names of the current one; a running server loads it within a second.
    Renew {
        /// Issue it only for the names in this command's settings, even if the current certificate has more.
        #[arg(long)]
        force: bool,
    },
}

impl Command {
    pub(super) async fn run(self, local: &Local) -> anyhow::Result<ExitCode> {
        let now = local.now();
        let authority = bootstrap::authority(&local.db, &local.master, now).await?;
        match self {
            Self::Show => {
                let files = certificate::files(&local.config);
                let certificate = ServerCertificate::load(&files.certificate, &files.key)?;
                print(&format!("file     {}", files.certificate.display()));
                print(&format!("names    {}", certificate.names().join(", ")));
                print(&format!("serial   {}", certificate.serial()));
                print(&format!("issuer   {}", certificate.issuer()));
                print(&format!("from     {}", certificate.not_before()));
                print(&format!("until    {}", certificate.not_after()));
                if let Some(warning) = certs::expiry_warning(&certificate, now.date_time()) {
                    print(&warning);
                }
            }
            Self::Ca => out::block(authority.certificate_pem()),
            Self::Renew { force } => {
                anyhow::ensure!(
                    local.config.tls.certificate.is_empty(),
                    "[tls] certificate names your own file: replace that file instead"
                );
                let renewal = if force {
                    Renewal::Force
                } else {
                    Renewal::KeepNames
                };
                let pair = certificate::renew(&local.config, &authority, now, renewal)?;
                let (permit, server) = (local::system()?, (ResourceType::Certificate, "server"));
                let (update, detail) = (Operation::Update, String::new());
                installation::record(&local.db, &permit, update, server, detail, now).await?;
                print(&format!(
                    "a new certificate is in {}",
                    pair.certificate.display()
                ));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
