//! `gantry storage`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand};
use db::{blob, gc, project, quota};
use jobs::check::{Depth, Pace};
use jobs::import::Options;
use jobs::moving::{Moved, Old};
use model::{Clock, Digest, Operation, ProjectName, ResourceType, SystemClock};
use policy::{Caller, ProjectCreation, permit};
use tenancy::installation;

use super::local::{self, Local};
use super::print;
use crate::folder;
use crate::stores;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Compare the database with the stored objects; exit code 1 where something is missing, or the store is not the
    /// database's. What is missing or damaged is marked as lost, so that clients push it again. Counts what is not
    /// Gantry's own. Runs beside a serving process.
    Check(Check),
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
    /// Copy all blobs from the store that [storage] moving_from names to the one that backend names, and compare
    /// digests, while the server runs with the same settings. May be stopped and run again; one at a time. Exit code
    /// 1 where something is left.
    Move {
        /// Delete each blob from the old store once its copy was read back and compared. What an import found there
        /// stays, and so does what is not Gantry's own.
        #[arg(long)]
        remove: bool,
    },
    /// Let imported objects be deleted when they are garbage. The other registry must not be used any more.
    Adopt,
    /// Make the store the database's own, whatever the identities of both say, and any other database's no longer.
    /// Objects that the database does not name are deleted within hours. Says what is wrong, and asks.
    Claim {
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Print each project and the bytes that it holds. Exit code 1 where the counter differs from what
    /// counting anew gives.
    Usage,
}

#[derive(Args)]
pub(super) struct Check {
    /// Read every byte again and compare digests.
    #[arg(long)]
    rehash: bool,
    /// Look at so many blobs in a second at most; 0 for no bound.
    #[arg(long, default_value_t = 0)]
    blobs_per_second: u64,
    /// Read so many MiB in a second at most; 0 for no bound.
    #[arg(long, default_value_t = 0)]
    mib_per_second: u64,
}

impl Command {
    pub(super) async fn run(self, local: &Local) -> anyhow::Result<ExitCode> {
        match self {
            Self::Check(check) => check.run(local).await,
            Self::Why { digest } => why(local, &digest).await,
            Self::Import { root, project } => import(local, root, project).await,
            Self::Move { remove } => {
                folder::refuse_root(&local.config.server.data)?;
                move_all(local, remove).await
            }
            Self::Adopt => adopt(local).await,
            Self::Claim { yes } => {
                folder::refuse_root(&local.config.server.data)?;
                claim(local, yes).await
            }
            Self::Usage => usage(local).await,
        }
    }
}

impl Check {
    pub(super) async fn run(&self, local: &Local) -> anyhow::Result<ExitCode> {
        let stores = stores::verified(&local.config, &local.db).await?;
        let depth = if self.rehash {
            Depth::Bytes
        } else {
            Depth::Sizes
        };
        let pace = Pace {
            blobs: self.blobs_per_second,
            bytes: self.mib_per_second << 20,
        };
        let report = jobs::check::check(&local.db, &stores, depth, pace, local.now()).await?;
        for finding in &report.findings {
            print(finding);
        }
        if report.foreign.count > 0 {
            print(&format!(
                "{} objects are not Gantry's own and are left alone, such as {}",
                report.foreign.count,
                report.foreign.names.join(", ")
            ));
        }
        print(&format!(
            "{} blobs, {} bytes checked",
            report.blobs, report.bytes
        ));
        if report.found > 0 {
            print(&format!(
                "{} blobs were marked as lost and are whole: they are served again",
                report.found
            ));
        }
        if report.findings.is_empty() {
            print("everything is there");
            return Ok(ExitCode::SUCCESS);
        }
        print(
            "a blob whose object is missing or damaged is marked as lost: the next push of it brings it back",
        );
        Ok(ExitCode::FAILURE)
    }
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
    if let Some(since) = blob::lost_since(&mut tx, stored.id).await? {
        print(&format!(
            "  lost since {since}: it is missing until it is pushed again"
        ));
    }
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
    let store = stores::verified(&local.config, &local.db).await?.joined();
    let options = Options {
        root,
        project,
        grace: Duration::from_secs(local.config.gc.grace_secs),
    };
    let permit = permit::permit_create_project(&Caller::command_line(), ProjectCreation::Admins)?;
    let done = jobs::import::import(&local.db, &store, &permit, &options, local.now()).await?;
    for warning in &done.warnings {
        print(&format!("kept as it is {warning}"));
    }
    for skipped in done.kept.iter().chain(&done.skipped) {
        print(&format!("skipped {skipped}"));
    }
    let summary = format!(
        "{} repositories, {} tags, {} manifests, {} blobs",
        done.repositories, done.tags, done.manifests, done.blobs
    );
    let (permit, root) = (local::system()?, (ResourceType::Import, &*options.root));
    let (create, now) = (Operation::Create, local.now());
    installation::record(&local.db, &permit, create, root, summary.clone(), now).await?;
    print(&format!("imported {summary}"));
    Ok(if done.skipped.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn move_all(local: &Local, remove: bool) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(
        local.config.moving_from().is_some(),
        "set [storage] backend to the new store and moving_from to the old one, restart the server with it, and run \
         this again"
    );
    let stores = stores::open(&local.config).await?;
    let old = if remove { Old::Removed } else { Old::Kept };
    let progress = |moved: &Moved| {
        let (done, bytes) = (moved.copied + moved.there, moved.bytes);
        print(&format!("{done} blobs are there, {bytes} bytes copied"));
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let moved = jobs::moving::move_all(&local.db, &stores, old, &clock, progress).await?;
    for failed in &moved.failed {
        print(failed);
    }
    let summary = format!(
        "{} blobs and {} bytes copied, {} were there",
        moved.copied, moved.bytes, moved.there
    );
    let (permit, moved_all) = (local::system()?, (ResourceType::Storage, "move"));
    let (update, now) = (Operation::Update, local.now());
    installation::record(&local.db, &permit, update, moved_all, summary.clone(), now).await?;
    print(&summary);
    if moved.uploads > 0 {
        print(&format!(
            "{} uploads were writing into the old store: run this again when they have ended",
            moved.uploads
        ));
    }
    if moved.is_complete() {
        print("nothing is left in the old store alone: [storage] moving_from can be set to none");
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::FAILURE)
}

async fn adopt(local: &Local) -> anyhow::Result<ExitCode> {
    let adopted = jobs::import::adopt(&local.db, &local::system()?, local.now()).await?;
    print(&format!("{adopted} objects adopted"));
    Ok(ExitCode::SUCCESS)
}

/// Objects that are counted before a claim.
const COUNTED: u64 = 100_000;

async fn claim(local: &Local, yes: bool) -> anyhow::Result<ExitCode> {
    let stores = stores::open(&local.config).await?;
    match jobs::stores::verify(&local.db, &stores).await {
        Ok(_) => {
            print("the store and the database belong together: there is nothing to claim");
            return Ok(ExitCode::SUCCESS);
        }
        Err(error) => print(&format!("{:#}", anyhow::Error::from(error))),
    }
    let found = jobs::stores::unnamed(&local.db, &*stores.joined(), COUNTED).await?;
    let of = if found.is_all { "" } else { "the first " };
    print(&format!(
        "of {of}{} objects, the database names all but {}, which will be deleted",
        found.objects, found.unnamed
    ));
    if !yes && !is_confirmed()? {
        print("nothing was changed");
        return Ok(ExitCode::FAILURE);
    }
    let claimed = jobs::stores::claim(&local.db, &stores, &local::system()?, local.now()).await?;
    for store in &claimed.stores {
        let installation = claimed.installation;
        print(&format!(
            "store {store} belongs to installation {installation}"
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks at the terminal.
fn is_confirmed() -> anyhow::Result<bool> {
    use std::io::{IsTerminal as _, stdin};
    anyhow::ensure!(
        stdin().is_terminal(),
        "standard input is no terminal: run it with --yes if you are sure"
    );
    print("Stop all servers of other databases on this store first. Write `claim` to go on:");
    let mut answer = String::new();
    stdin().read_line(&mut answer)?;
    Ok(answer.trim() == "claim")
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
