//! `gantry cert`.

mod check;
mod list;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use certs::{SubjectName, Use};
use clap::{Args, Subcommand};
use model::{Operation, ResourceType};
use tenancy::certificate::Account;
use tenancy::installation;
use zeroize::Zeroizing;

use super::local::{self, Local};
use super::{out, parse, print};
use crate::bootstrap;
use crate::certificate::{self, Renewal};
use crate::config::Config;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Show the main server certificate.
    Show,
    /// List all certificates, with what is wrong with them, and where obtaining one by ACME stands.
    List {
        /// Print JSON, a certificate per line.
        #[arg(long)]
        json: bool,
    },
    /// Print the private CA's certificates, for clients to trust: during a rotation, the new one and the old one.
    Ca,
    /// Issue a new server certificate for the names of the current one; a running server loads it within a second.
    Renew {
        /// Issue it only for the names in this command's settings, even if the current certificate has more.
        #[arg(long)]
        force: bool,
    },
    /// Have a certificate issued now: the server's by ACME, or one for other names by the private CA.
    Issue(Issue),
    /// Make a new private CA. Clients that trust the old one are served until the overlap ends.
    Rotate {
        /// How long clients that trust only the old CA are served, such as 30d.
        #[arg(long, value_name = "SPAN", default_value = "30d", value_parser = parse::span)]
        overlap: i64,
        /// End a rotation now: from then on clients have to trust the new CA.
        #[arg(long, conflicts_with = "overlap")]
        finish: bool,
    },
    /// Store a certificate with its key in the database: every replica presents it to clients that ask for one of its
    /// names.
    Import {
        /// What to call it: 1 to 64 of a-z, 0-9, `.`, `_` and `-`. One of the same name is replaced.
        name: String,
        /// PEM file of the chain, the server's own certificate first.
        #[arg(required_unless_present = "remove")]
        certificate: Option<PathBuf>,
        /// PEM file of its key.
        #[arg(required_unless_present = "remove")]
        key: Option<PathBuf>,
        /// Remove the imported certificate instead.
        #[arg(long, conflicts_with_all = ["certificate", "key"])]
        remove: bool,
    },
    /// Connect to a server and say what clients will object to in its certificate. Exit code 1 if there is anything.
    Check(Check),
}

#[derive(Args)]
pub(super) struct Issue {
    /// DNS names and IP addresses of a certificate that the private CA issues; none to order the server's by ACME.
    #[arg(requires = "out")]
    names: Vec<String>,
    /// Folder for `server.crt` and `server.key`, which must not have them.
    #[arg(long, value_name = "FOLDER", requires = "names")]
    out: Option<PathBuf>,
    /// Issue it for a client, which proves with it who it is.
    #[arg(long, requires = "names")]
    client: bool,
    /// How long it is valid.
    #[arg(long, value_name = "SPAN", default_value = "90d", value_parser = parse::span)]
    valid: i64,
    /// By ACME: make a new account first, as after the present one was deactivated.
    #[arg(long, conflicts_with = "names")]
    new_account: bool,
}

#[derive(Args)]
pub(super) struct Check {
    /// HOST or HOST:PORT; the port is 443 by default.
    pub(super) host: String,
    /// PEM file of the authorities that clients trust, besides those of this machine.
    #[arg(long, value_name = "FILE")]
    pub(super) ca: Option<PathBuf>,
}

impl Command {
    /// Runs the command on the installation, or without one if it needs none.
    pub(super) fn start(self, config: Config) -> anyhow::Result<ExitCode> {
        match self {
            Self::Check(check) => local::runtime()?.block_on(check::run(&check)),
            command => local::run(config, async |local| command.run(local).await),
        }
    }

    async fn run(self, local: &Local) -> anyhow::Result<ExitCode> {
        match self {
            Self::Show => list::show(local)?,
            Self::List { json } => list::list(local, json).await?,
            Self::Ca => {
                let authorities = bootstrap::authorities(&local.db, &local.master, local.now());
                out::block(&authorities.await?.bundle());
            }
            Self::Renew { force } => renew(local, force).await?,
            Self::Issue(issue) if issue.names.is_empty() => order(local, issue.new_account).await?,
            Self::Issue(issue) => issue.run(local).await?,
            Self::Rotate { overlap, finish } => rotate(local, overlap, finish).await?,
            Self::Import {
                name,
                certificate,
                key,
                ..
            } => match certificate.zip(key) {
                Some(files) => import(local, &name, files).await?,
                None => {
                    let permit = local::system()?;
                    tenancy::certificate::remove(&local.db, &permit, &name, local.now()).await?;
                    print(&format!("{name} is removed; servers notice within seconds"));
                }
            },
            Self::Check(check) => return check::run(&check).await,
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn renew(local: &Local, force: bool) -> anyhow::Result<()> {
    let now = local.now();
    anyhow::ensure!(
        local.config.tls.certificate.is_empty(),
        "[tls] certificate names your own file: replace that file instead"
    );
    let authorities = bootstrap::authorities(&local.db, &local.master, now).await?;
    let renewal = if force {
        Renewal::Force
    } else {
        Renewal::KeepNames
    };
    let pair = certificate::renew(&local.config, &authorities.current, now, renewal)?;
    let (permit, server) = (local::system()?, (ResourceType::Certificate, "server"));
    let (update, detail) = (Operation::Update, String::new());
    installation::record(&local.db, &permit, update, server, detail, now).await?;
    print(&format!(
        "a new certificate is in {}",
        pair.certificate.display()
    ));
    Ok(())
}

/// Has ACME obtain a certificate.
async fn order(local: &Local, new_account: bool) -> anyhow::Result<()> {
    let account = match new_account {
        true => Account::New,
        false => Account::Keep,
    };
    let permit = local::system()?;
    tenancy::certificate::order_now(&local.db, &permit, account, local.now()).await?;
    print("a running server orders a certificate now: `gantry cert list` says how that ends");
    Ok(())
}

impl Issue {
    /// Issues by the private CA.
    async fn run(self, local: &Local) -> anyhow::Result<()> {
        let now = local.now();
        let names = self.names.iter().map(|name| name.parse());
        let names: Vec<SubjectName> = names.collect::<Result<_, _>>()?;
        let folder = self.out.context("name a folder with --out")?;
        let pair = certs::Pair::within(&folder);
        for file in [&pair.certificate, &pair.key] {
            anyhow::ensure!(!file.exists(), "{} already exists", file.display());
        }
        let days = u32::try_from(self.valid.div_euclid(86_400)).unwrap_or(0);
        anyhow::ensure!(days > 0, "a certificate is valid for a day at least");
        let purpose = match self.client {
            true => Use::Client,
            false => Use::Server,
        };
        let authorities = bootstrap::authorities(&local.db, &local.master, now).await?;
        let issued = authorities
            .current
            .issue_for(purpose, &names, now.date_time(), days)?;
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
        let pair = certs::write_pair(&folder, &issued)?;
        let subject = (ResourceType::Certificate, &*self.names[0]);
        let detail = match self.client {
            true => "issued for a client",
            false => "issued for a server",
        };
        let permit = local::system()?;
        let (create, detail) = (Operation::Create, detail.to_owned());
        installation::record(&local.db, &permit, create, subject, detail, now).await?;
        print(&format!(
            "the certificate is in {}",
            pair.certificate.display()
        ));
        Ok(())
    }
}

async fn rotate(local: &Local, overlap: i64, finish: bool) -> anyhow::Result<()> {
    let (permit, now) = (local::system()?, local.now());
    let (db, master) = (&local.db, &local.master);
    if finish {
        let authorities = bootstrap::finish_rotation(db, master, &permit, now).await?;
        let name = authorities.current.subject()?;
        print(&format!("clients have to trust {name} alone from now on"));
        return Ok(());
    }
    let overlap = Duration::from_secs(overlap.try_into().unwrap_or(0));
    let authorities = bootstrap::rotate_authority(db, master, &permit, overlap, now).await?;
    print(&format!("new CA      {}", authorities.current.subject()?));
    match &authorities.previous {
        Some((_, until)) => print(&format!("old CA      served until {until}")),
        None => print("old CA      had expired"),
    }
    print(
        "Running servers issue certificates by the new CA within seconds. Give clients both, with `gantry cert ca`.",
    );
    Ok(())
}

async fn import(
    local: &Local,
    name: &str,
    (certificate, key): (PathBuf, PathBuf),
) -> anyhow::Result<()> {
    let read = |path: &PathBuf| {
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
    };
    let (chain, key) = (read(&certificate)?, Zeroizing::new(read(&key)?));
    let (permit, now) = (local::system()?, local.now());
    let given = (name, &*chain, &**key);
    let imported =
        tenancy::certificate::import(&local.db, &permit, &local.master, given, now).await?;
    print(&format!(
        "imported    {} for {}",
        name,
        imported.names().join(", ")
    ));
    let roots = certs::Roots::of_the_system();
    for warning in certs::findings(&imported, &[], &roots, now.date_time()) {
        print(&warning);
    }
    Ok(())
}
