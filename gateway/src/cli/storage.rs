//! `gantry storage`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand};
use db::store_identity::KnownStore;
use db::{Db, blob, gc, project, quota};
use jobs::maintenance::check::{Depth, Pace};
use jobs::maintenance::import::Options;
use jobs::maintenance::moving::{Moved, Old};
use jobs::stores::Stores;
use model::{Clock, Digest, Operation, ProjectName, ResourceType, SystemClock};
use policy::{Caller, ProjectCreation, permit};
use tenancy::installation;

use super::local::{self, Local};
use super::print;
use super::progress::Shown;
use crate::folder;
use crate::stores;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Compare the database with the stored objects; exit code 1 if an object is missing or damaged, or the store is not
    /// the database's. Such blobs are marked as lost, so that clients push them again. Counts foreign files. Can run
    /// beside a server.
    Check(Check),
    /// Show why a blob is kept: which repositories link it, which manifests name it, and how long it is kept in any
    /// case.
    Why {
        /// The blob's digest.
        digest: Digest,
    },
    /// Take over the storage of a distribution registry, or of Harbor, in the same folder or bucket, in place: no byte
    /// is copied, and nothing of it is deleted until `adopt`. Can be run again.
    Import {
        /// The other registry's folder within the store.
        #[arg(long, default_value = "docker/registry/v2")]
        root: String,
        /// The project for repositories whose name has only one part.
        #[arg(long)]
        project: Option<ProjectName>,
    },
    /// Copy all blobs from the store in [storage] moving_from to the one in backend, and compare digests, while the
    /// server runs with the same settings. Can be stopped and run again; one at a time. Exit code 1 if blobs are left.
    Move {
        /// Delete each blob from the old store once its copy was read back and compared. Objects found by an import and
        /// foreign files are kept.
        #[arg(long)]
        remove: bool,
    },
    /// Allow garbage collection of imported objects. The other registry must no longer be in use.
    Adopt,
    /// Bind the store to this database and to no other, even if their identities differ. Objects that the database does
    /// not name are deleted within hours. Shows the mismatch, and asks.
    Claim {
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Print each project's usage in bytes. Exit code 1 if a recount differs.
    Usage,
}

#[derive(Args)]
pub(super) struct Check {
    /// Read every byte again and compare digests.
    #[arg(long)]
    rehash: bool,
    /// Check at most this many blobs per second; 0 for no limit.
    #[arg(long, default_value_t = 0)]
    blobs_per_second: u64,
    /// Read at most this many MiB per second; 0 for no limit.
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
        let (shown, now) = (Shown::new(), local.now());
        let progress = shown.progress();
        let checking =
            jobs::maintenance::check::check(&local.db, &stores, depth, pace, now, progress);
        let report = shown.during(checking).await?;
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
                "{} blobs marked as lost are intact: they are served again",
                report.found
            ));
        }
        if report.findings.is_empty() {
            print("no problems found");
            return Ok(ExitCode::SUCCESS);
        }
        print(
            "blobs whose object is missing or damaged are marked as lost: the next push of such a blob restores it",
        );
        if let Some(lost) = report.lost {
            print(&format!(
                "from a file with the blob's bytes, this pushes it: {}",
                push_of(local, &lost).await?
            ));
        }
        Ok(ExitCode::FAILURE)
    }
}

/// A command that pushes only a blob. Clients that push images may skip it, since the manifest exists.
async fn push_of(local: &Local, digest: &Digest) -> anyhow::Result<String> {
    let mut tx = local.db.reader().await?;
    let keepers = match blob::live(&mut tx, digest).await? {
        Some(stored) => gc::keepers(&mut tx, stored.id, 1).await?,
        None => Vec::new(),
    };
    let repository = keepers.first().map(|keeper| keeper.repository.to_string());
    let config = &local.config;
    let ca = if config.tls.certificate.is_empty() {
        format!(
            "--cacert {} ",
            config.server.data.join("certs/ca.crt").display()
        )
    } else {
        String::new()
    };
    Ok(format!(
        "curl {ca}-u USER --data-binary @FILE 'https://{}/v2/{}/blobs/uploads/?digest={digest}'",
        config.external_host(),
        repository.as_deref().unwrap_or("REPOSITORY"),
    ))
}

/// Maximum number of repositories listed for a blob.
const KEEPERS: i64 = 100;

async fn why(local: &Local, digest: &Digest) -> anyhow::Result<ExitCode> {
    let mut tx = local.db.reader().await?;
    let Some(stored) = blob::live(&mut tx, digest).await? else {
        print("there is no such blob");
        return Ok(ExitCode::FAILURE);
    };
    print(&format!(
        "{digest}: {} bytes in {}",
        stored.size, stored.key
    ));
    if let Some(since) = blob::lost_since(&mut tx, stored.id).await? {
        print(&format!(
            "  lost since {since}: not served until it is pushed again"
        ));
    }
    for keeper in gc::keepers(&mut tx, stored.id, KEEPERS).await? {
        if keeper.manifests.is_empty() {
            print(&format!(
                "  {}: no manifest names it; kept until {}",
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
        limit: local.settings().await?.current().new_project_limit(),
        grace: Duration::from_secs(local.config.gc.grace_secs),
    };
    let permit = permit::permit_create_project(&Caller::command_line(), ProjectCreation::Admins)?;
    let (shown, now) = (Shown::new(), local.now());
    let progress = shown.progress();
    let importing =
        jobs::maintenance::import::import(&local.db, &store, &permit, &options, now, progress);
    let done = shown.during(importing).await?;
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
        "set [storage] backend to the new store and moving_from to the old one, restart the server, and run this again"
    );
    let stores = stores::open(&local.config).await?;
    let old = if remove { Old::Removed } else { Old::Kept };
    let shown = Shown::new();
    let after_batch = |moved: &Moved| {
        let (done, bytes) = (moved.copied + moved.there, moved.bytes);
        shown.line(&format!("{done} blobs done, {bytes} bytes copied"));
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let progress = shown.progress();
    let moving =
        jobs::maintenance::moving::move_all(&local.db, &stores, old, &clock, after_batch, progress);
    let moved = shown.during(moving).await?;
    for failed in &moved.failed {
        print(failed);
    }
    let summary = format!(
        "{} blobs and {} bytes copied, {} already present",
        moved.copied, moved.bytes, moved.there
    );
    let (permit, moved_all) = (local::system()?, (ResourceType::Storage, "move"));
    let (update, now) = (Operation::Update, local.now());
    installation::record(&local.db, &permit, update, moved_all, summary.clone(), now).await?;
    print(&summary);
    if moved.uploads > 0 {
        print(&format!(
            "{} uploads were writing to the old store: run this again when they have ended",
            moved.uploads
        ));
    }
    if moved.is_complete() {
        print("every blob is in the new store: [storage] moving_from can be set to none");
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::FAILURE)
}

async fn adopt(local: &Local) -> anyhow::Result<ExitCode> {
    let adopted =
        jobs::maintenance::import::adopt(&local.db, &local::system()?, local.now()).await?;
    print(&format!("{adopted} objects adopted"));
    Ok(ExitCode::SUCCESS)
}

/// Maximum number of objects counted at a claim.
const COUNTED: u64 = 100_000;

/// What happens to objects that the database does not name.
pub(super) async fn unnamed(db: &Db, stores: &Stores) -> anyhow::Result<String> {
    let found = jobs::stores::unnamed(db, &*stores.joined(), COUNTED).await?;
    let of = if found.is_all { "" } else { "the first " };
    Ok(format!(
        "of {of}{} objects, {} are not in the database and will be deleted",
        found.objects, found.unnamed
    ))
}

/// How many objects the stores have, counted to [`COUNTED`].
pub(super) async fn objects(stores: &Stores) -> anyhow::Result<String> {
    let (store, mut count) = (stores.joined(), 0);
    for hour in store.hours().await? {
        count += store.list(hour).await?.len() as u64;
        if count > COUNTED {
            return Ok(format!("more than {COUNTED}"));
        }
    }
    Ok(count.to_string())
}

async fn claim(local: &Local, yes: bool) -> anyhow::Result<ExitCode> {
    let stores = stores::open(&local.config).await?;
    match jobs::stores::verify(&local.db, &stores).await {
        Ok(_) => {
            print("the store and the database belong together: there is nothing to claim");
            return Ok(ExitCode::SUCCESS);
        }
        Err(jobs::Error::Mismatch(mismatch)) => print(&mismatch.to_string()),
        // It is not known whether they belong together.
        Err(error) => return Err(error.into()),
    }
    print(&unnamed(&local.db, &stores).await?);
    if !yes && !is_confirmed()? {
        print("nothing was changed");
        return Ok(ExitCode::FAILURE);
    }
    let claimed = jobs::stores::claim(&local.db, &stores, &local::system()?, local.now()).await?;
    for KnownStore {
        store,
        installation,
        ..
    } in &claimed
    {
        print(&format!(
            "store {store} belongs to installation {installation}"
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks at the terminal.
pub(super) fn is_confirmed() -> anyhow::Result<bool> {
    use std::io::{IsTerminal as _, stdin};
    anyhow::ensure!(
        stdin().is_terminal(),
        "standard input is not a terminal: use --yes if you are sure"
    );
    print(
        "First stop all servers that use this store with another database. Type `claim` to continue:",
    );
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
                "  differs: {counted} bytes are stored and {reserved} reserved"
            ));
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}
