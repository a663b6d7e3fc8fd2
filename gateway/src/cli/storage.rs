//! `gantry storage`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;
use db::{blob, gc, project, quota};
use jobs::import::Options;
use model::{Digest, ProjectName};

use super::local::Local;
use super::print;
use crate::bootstrap;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Compare the database with the stored objects; exit code 1 where something is missing. Runs
    /// beside a serving process.
    Check {
        /// Read every byte again and compare digests.
        #[arg(long)]
        rehash: bool,
    },
    /// Say why a blob is kept: who links it, what names it, and until when it stays anyway.
    Why {
        /// The blob's digest.
        digest: Digest,
    },
    /// Take over what a distribution registry, or Harbor's, has stored in the same folder or bucket, in place: no byte
    /// is copied, and nothing of it is deleted until `adopt`. May be run again.
    Import {
        /// The other registry's folder within the store.
        #[arg(long, default_value = "docker/registry/v2")]
        root: String,
        /// The project of repositories whose name has one part only.
        #[arg(long)]
        project: Option<ProjectName>,
    },
    /// Let imported objects be deleted when they are garbage. The other registry must not be used any more.
    Adopt,
    /// Print each project and the bytes that it holds. Exit code 1 where the counter differs from what
    /// counting anew gives.
    Usage,
}

impl Command {
    pub(super) async fn run(self, local: &Local) -> anyhow::Result<ExitCode> {
        match self {
            Self::Check { rehash } => check(local, rehash).await,
            Self::Why { digest } => why(local, &digest).await,
            Self::Import { root, project } => import(local, root, project).await,
            Self::Adopt => adopt(local).await,
            Self::Usage => usage(local).await,
        }
    }
}

async fn check(local: &Local, rehash: bool) -> anyhow::Result<ExitCode> {
    let store = bootstrap::store(&local.config).await?;
    let report = jobs::check::check(&local.db, &store, rehash).await?;
    for finding in &report.findings {
        print(finding);
    }
    print(&format!(
        "{} blobs, {} bytes checked",
        report.blobs, report.bytes
    ));
    if report.findings.is_empty() {
        print("everything is there");
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::FAILURE)
}

/// Repositories that are listed for a blob at most.
const KEEPERS: i64 = 100;

async fn why(local: &Local, digest: &Digest) -> anyhow::Result<ExitCode> {
    let mut tx = local.db.reader().await?;
    let Some(stored) = blob::live(&mut tx, digest).await? else {
        print("no such blob is kept");
        return Ok(ExitCode::FAILURE);
    };
    print(&format!(
        "{digest}: {} bytes in {}",
        stored.size, stored.key
    ));
    for keeper in gc::keepers(&mut tx, stored.id, KEEPERS).await? {
        if keeper.manifests.is_empty() {
            print(&format!(
                "  {}: nothing names it; kept until {}",
                keeper.repository, keeper.lease_until
            ));
        }
        for manifest in &keeper.manifests {
            print(&format!("  {}: named by {manifest}", keeper.repository));
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn import(
    local: &Local,
    root: String,
    project: Option<ProjectName>,
) -> anyhow::Result<ExitCode> {
    let store = bootstrap::store(&local.config).await?;
    let options = Options {
        root,
        project,
        grace: Duration::from_secs(local.config.gc.grace_secs),
    };
    let done = jobs::import::import(&local.db, &store, &options, local.now()).await?;
    for skipped in &done.skipped {
        print(&format!("skipped {skipped}"));
    }
    let summary = format!(
        "{} repositories, {} tags, {} manifests, {} blobs",
        done.repositories, done.tags, done.manifests, done.blobs
    );
    let mut entry = local.entry("create", "import", &options.root, None);
    entry.detail.clone_from(&summary);
    let noted = local
        .db
        .write(move |tx| Box::pin(async move { db::audit::append(tx, &entry).await }));
    noted.await?;
    print(&format!("imported {summary}"));
    Ok(if done.skipped.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn adopt(local: &Local) -> anyhow::Result<ExitCode> {
    let entry = local.entry("update", "import", "adopt", None);
    let adopted = local.db.write(move |tx| {
        Box::pin(async move {
            let adopted = blob::adopt(tx).await?;
            db::audit::append(tx, &entry).await?;
            Ok::<_, db::Error>(adopted)
        })
    });
    print(&format!("{} objects adopted", adopted.await?));
    Ok(ExitCode::SUCCESS)
}

async fn usage(local: &Local) -> anyhow::Result<ExitCode> {
    let mut tx = local.db.reader().await?;
    let mut code = ExitCode::SUCCESS;
    for found in project::all(&mut tx).await? {
        let used = quota::used(&mut tx, found.id).await?;
        print(&format!("{} {used}", found.name));
        let counted = project::stored_bytes(&mut tx, found.id).await?;
        let reserved = quota::reserved(&mut tx, found.id).await?;
        if used != counted + reserved {
            print(&format!(
                "  differs: {counted} are stored and {reserved} reserved"
            ));
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}
