//! A Gantry that a walk goes through: its processes, its clock, its database and its stores, and how each step is
//! done to them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ::model::{Clock as _, SystemClock, Timestamp};
use bytes::Bytes;
use serde_json::json;
use tempfile::TempDir;

use super::backing::Backing;
use super::content::{Blob, Manifest};
use super::model::{EXPIRY, GRACE, HOLD, Model, Seen};
use super::step::{Project, Repository, Slot, Step, Stray};
use super::store::{Backend, Stores};
use crate::harness::{Answer, Client, Server, fresh};

/// What a walk goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topology {
    /// One process on SQLite and a folder.
    Files,
    /// Two processes on PostgreSQL and a bucket, asked by turns.
    Replicas,
}

pub(crate) struct World {
    // Order matters: the servers end before their folder goes.
    servers: Vec<Server>,
    /// The administrator at each of them, who keeps connections.
    admins: Vec<Client>,
    topology: Topology,
    stores: Stores,
    backend: Backend,
    database: String,
    /// Counts requests, so that they go to the servers by turns.
    asked: AtomicUsize,
    /// How far the clock is from the real time.
    offset: i64,
    /// Where the client of each upload goes on.
    locations: BTreeMap<Slot, String>,
    backups: u32,
    /// Whether blobs were ever moved to the other store.
    moved: bool,
    /// Stores that kept what was moved away from them.
    kept: Vec<Backend>,
    folder: TempDir,
}

/// How long a server may take to notice what a command wrote into its SQLite database.
const NOTICE: Duration = Duration::from_millis(150);
/// Hours that leases of the first seconds are over after.
const HEAD_START: i64 = 5 * 3_600;

impl World {
    /// Starts it, with the collection paused, and files of others in the store.
    pub(crate) async fn start(
        topology: Topology,
        backing: Arc<Backing>,
        model: &mut Model,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        backing.clock().set(0);
        let name = format!(
            "{}_{}",
            fresh("machine").replace('-', "_"),
            std::process::id()
        );
        let stores = Stores {
            folder: folder.path().join("blobs"),
            prefix: name.clone(),
            backing: backing.clone(),
        };
        let mut world = Self {
            servers: Vec::new(),
            admins: Vec::new(),
            topology,
            stores,
            backend: match topology {
                Topology::Files => Backend::Files,
                Topology::Replicas => Backend::S3,
            },
            database: name,
            asked: AtomicUsize::new(0),
            offset: 0,
            locations: BTreeMap::new(),
            backups: 0,
            folder,
            moved: false,
            kept: Vec::new(),
        };
        for stray in [Stray::Top, Stray::Year, Stray::LongAgo] {
            world.leave(stray, model).await;
        }
        world.launch().await;
        world.command(&["gc", "pause"]).await;
        world.move_clock(HEAD_START);
        world
    }

    async fn launch(&mut self) {
        let settings = self.settings().await;
        let settings: Vec<(&str, &str)> = settings
            .iter()
            .map(|(key, value)| (*key, value.as_str()))
            .collect();
        let count = match self.topology {
            Topology::Files => 1,
            Topology::Replicas => 2,
        };
        for _ in 0..count {
            let server = Server::with(&settings).await;
            // The walk looks at the log itself, and says more.
            server.may_complain();
            self.admins.push(server.admin());
            self.servers.push(server);
        }
    }

    async fn settings(&self) -> Vec<(&'static str, String)> {
        let mut settings = vec![
            (
                "GANTRY_STORAGE__PATH",
                self.stores.folder.to_string_lossy().into_owned(),
            ),
            ("GANTRY_STORAGE__BACKEND", self.backend.name().to_owned()),
            ("GANTRY_GC__GRACE_SECS", GRACE.to_string()),
            ("GANTRY_GC__HOLD_SECS", HOLD.to_string()),
            ("GANTRY_UPLOADS__EXPIRY_SECS", EXPIRY.to_string()),
        ];
        settings.extend(self.stores.backing.clock().environment());
        if self.topology == Topology::Replicas {
            let postgres = self.stores.backing.postgres().await;
            let url = postgres.create_anew(&self.database);
            let key = self
                .folder
                .path()
                .join("master.key")
                .to_string_lossy()
                .into_owned();
            let made = Server::run(&["secret", "new", &key], &[]).await;
            assert!(made.status.success(), "{made:?}");
            settings.push(("GANTRY_DATABASE__URL", url.expect("a database can be made")));
            settings.push(("GANTRY_SECRETS__MASTER_KEY_FILE", key));
            settings.extend(
                self.stores
                    .backing
                    .bucket()
                    .await
                    .settings(&self.stores.prefix),
            );
        }
        settings
    }

    fn next(&self) -> usize {
        self.asked.fetch_add(1, Ordering::Relaxed) % self.servers.len()
    }

    /// The next server, by turns.
    fn server(&self) -> &Server {
        &self.servers[self.next()]
    }

    /// The administrator, at the next server.
    pub(crate) fn admin(&self) -> &Client {
        &self.admins[self.next()]
    }

    pub(crate) fn stores(&self) -> &Stores {
        &self.stores
    }

    /// The store that blobs were moved away from, where files of others may be.
    pub(crate) fn left(&self) -> Option<Backend> {
        self.moved.then(|| self.backend.other())
    }

    /// Whether blobs were moved away from this store and kept there too.
    pub(crate) fn kept(&self, store: Backend) -> bool {
        self.kept.contains(&store)
    }

    pub(crate) fn backend(&self) -> Backend {
        self.backend
    }

    /// All that the processes logged.
    pub(crate) fn log(&self) -> String {
        self.servers.iter().map(Server::log).collect()
    }

    /// The hour of the walk's clock, as keys of objects count it.
    fn hour(&self) -> i64 {
        let real = SystemClock.now();
        Timestamp(real.0 + self.offset * 1_000_000).hour()
    }

    pub(crate) fn move_clock(&mut self, seconds: i64) {
        self.offset += seconds;
        self.stores.backing.clock().set(self.offset);
    }

    /// Does a step and says what was seen of it.
    pub(crate) async fn perform(&mut self, step: &Step, model: &mut Model) -> Seen {
        match *step {
            Step::Start(slot, at, _) => {
                let answer = self.admin().post(&uploads(at)).await;
                if answer.status == 202 {
                    self.locations.insert(slot, answer.location());
                }
                Seen::Status(answer.status)
            }
            Step::Patch(slot) => self.patch(slot, model).await,
            Step::Progress(slot) => self.progress(slot).await,
            Step::Commit(slot) => {
                let (_, blob, offset) = model.upload(slot);
                let location = with_digest(&self.locations[&slot], blob);
                let rest = blob
                    .bytes()
                    .slice(usize::try_from(offset).expect("it fits")..);
                Seen::Status(self.admin().put(&location).body(rest).await.status)
            }
            Step::Cancel(slot) => {
                Seen::Status(self.admin().delete(&self.locations[&slot]).await.status)
            }
            Step::PushBlob(at, blob) => Seen::Status(self.push_blob(at, blob).await.status),
            Step::Mount { from, to, blob } => {
                let path = format!(
                    "{}?mount={}&from={}",
                    uploads(to),
                    blob.digest(),
                    from.name()
                );
                Seen::Status(self.admin().post(&path).await.status)
            }
            Step::Head(at, blob) => {
                Seen::Status(self.admin().head(&blob_path(at, blob)).await.status)
            }
            Step::DeleteBlob(at, blob) => {
                Seen::Status(self.admin().delete(&blob_path(at, blob)).await.status)
            }
            Step::Push(..) | Step::RecreateProject(_) => unreachable!("it is expanded"),
            Step::Put(at, manifest, tag) => {
                let facts = manifest.facts();
                let reference = tag.map_or(&*facts.digest, |tag| tag.name());
                let path = manifest_path(at, reference);
                let put = self
                    .admin()
                    .put(&path)
                    .content_type(facts.media_type)
                    .body(facts.bytes.clone())
                    .await
                    .status;
                Seen::Status(put)
            }
            Step::DeleteTag(at, tag) => Seen::Status(
                self.admin()
                    .delete(&manifest_path(at, tag.name()))
                    .await
                    .status,
            ),
            Step::DeleteManifest(at, manifest) => {
                let path = manifest_path(at, &manifest.facts().digest);
                Seen::Status(self.admin().delete(&path).await.status)
            }
            Step::CreateProject(project) => {
                let body = json!({ "project_name": project.name() });
                Seen::Status(
                    self.admin()
                        .post("/api/v2.0/projects")
                        .json(&body)
                        .await
                        .status,
                )
            }
            Step::DeleteProject(project) => {
                Seen::Status(self.admin().delete(&project_path(project)).await.status)
            }
            Step::Quota(project, limit) => {
                let found = self
                    .admin()
                    .get(&project_path(project))
                    .await
                    .expect(200)
                    .json();
                let bytes = limit
                    .bytes()
                    .map_or(-1, |bytes| i64::try_from(bytes).expect("it fits"));
                let body = json!({ "hard": { "storage": bytes } });
                let path = format!("/api/v2.0/quotas/{}", found["project_id"]);
                Seen::Status(self.admin().put(&path).json(&body).await.status)
            }
            Step::Untagged(project, delete) => {
                let words: &[&str] = if delete {
                    &["--delete-after", "1h"]
                } else {
                    &["--keep"]
                };
                self.command(&[&["project", "untagged", project.name()], words].concat())
                    .await
            }
            Step::Collect => self.collect(model).await,
            Step::Clock(jump) => {
                self.move_clock(jump.seconds());
                Seen::Done
            }
            Step::Restart => {
                self.restart().await;
                Seen::Done
            }
            Step::Kill => {
                let server = self.server();
                server.kill();
                server.restart().await;
                Seen::Done
            }
            Step::KillInPatch(slot) => self.kill_in_patch(slot, model).await,
            Step::HandOver => {
                self.server().hand_over().await;
                Seen::Done
            }
            Step::Import => self.import().await,
            Step::OtherCollects => {
                for blob in model.collected_elsewhere() {
                    self.stores
                        .delete(self.backend, &foreign_key(blob.digest()))
                        .await;
                }
                Seen::Done
            }
            Step::Adopt => self.command(&["storage", "adopt"]).await,
            Step::BeginMove => {
                self.begin_move().await;
                Seen::Done
            }
            Step::CopyBlobs { remove } => self.copy_blobs(remove).await,
            Step::Backup => {
                self.backups += 1;
                let folder = self.backup_folder();
                self.command(&["backup", &folder]).await
            }
            Step::Restore => self.restore().await,
            Step::Leave(stray) => {
                self.leave(stray, model).await;
                Seen::Done
            }
        }
    }

    async fn leave(&self, stray: Stray, model: &mut Model) {
        let key = model.leave(stray, self.hour());
        self.stores
            .put(self.backend, &key, Bytes::from(key.clone()))
            .await;
    }

    async fn patch(&mut self, slot: Slot, model: &Model) -> Seen {
        let (first, piece) = next_piece(model, slot);
        let answer = self
            .admin()
            .patch(&self.locations[&slot])
            .header(
                "content-range",
                format!("{first}-{}", first + piece.len() - 1),
            )
            .body(piece)
            .await;
        if answer.status == 202 {
            self.locations.insert(slot, answer.location());
        }
        Seen::Status(answer.status)
    }

    async fn progress(&mut self, slot: Slot) -> Seen {
        let answer = self.admin().get(&self.locations[&slot]).await;
        match answer.status {
            204 => {
                self.locations.insert(slot, answer.location());
                let (_, last) = answer
                    .header("range")
                    .split_once('-')
                    .expect("a range has a dash");
                let last: u64 = last.parse().expect("a range ends with a number");
                // No piece is one byte long.
                Seen::Progress(Some(if last == 0 { 0 } else { last + 1 }))
            }
            401 | 404 => Seen::Progress(None),
            status => Seen::Status(status),
        }
    }

    async fn kill_in_patch(&mut self, slot: Slot, model: &Model) -> Seen {
        let (first, piece) = next_piece(model, slot);
        let server = self.server();
        let admin = server.admin();
        let range = format!("{first}-{}", first + piece.len() - 1);
        let (mut body, request) = admin
            .patch(&self.locations[&slot])
            .header("content-range", range)
            .streaming();
        let kill = async {
            // It may have refused them already.
            body.send_data(piece.slice(..piece.len() / 2)).await.ok();
            tokio::time::sleep(Duration::from_millis(20)).await;
            server.kill();
            drop(body);
        };
        let _ = tokio::join!(request.attempt(), kill);
        server.restart().await;
        self.progress(slot).await
    }

    async fn push_blob(&self, at: Repository, blob: Blob) -> Answer {
        let started = self.admin().post(&uploads(at)).await;
        if started.status != 202 {
            return started;
        }
        let location = with_digest(&started.location(), blob);
        self.admin().put(&location).body(blob.bytes()).await
    }

    async fn collect(&self, model: &Model) -> Seen {
        let Seen::Command(done, said) = self.command(&["gc", "run"]).await else {
            unreachable!("a command was run");
        };
        let mut gone = BTreeSet::new();
        for (project, held) in &model.projects {
            if !held.untagged {
                continue;
            }
            for at in Repository::ALL
                .into_iter()
                .filter(|at| at.project() == *project)
            {
                let manifests = model
                    .contents(at)
                    .into_iter()
                    .flat_map(|contents| contents.manifests.keys());
                for manifest in manifests {
                    if !self.has(at, *manifest).await {
                        gone.insert((at, *manifest));
                    }
                }
            }
        }
        Seen::Collected(done, said, gone)
    }

    async fn has(&self, at: Repository, manifest: Manifest) -> bool {
        let path = manifest_path(at, &manifest.facts().digest);
        self.admin().get(&path).await.status == 200
    }

    /// Runs a command beside the servers, with their settings.
    pub(crate) async fn command(&self, arguments: &[&str]) -> Seen {
        let output = self.servers[0].cli_as_server(arguments).await;
        if self.topology == Topology::Files {
            tokio::time::sleep(NOTICE).await;
        }
        let said = [output.stdout, output.stderr].concat();
        Seen::Command(
            output.status.success(),
            String::from_utf8_lossy(&said).into_owned(),
        )
    }

    /// Stops and starts all servers.
    pub(crate) async fn restart(&self) {
        self.stop().await;
        for server in &self.servers {
            server.restart().await;
        }
    }

    async fn stop(&self) {
        for server in &self.servers {
            server.ask_to_stop();
        }
        for server in &self.servers {
            let status = server.ended(30).await;
            assert!(status.success(), "gantry ended with {status}");
        }
    }

    async fn import(&self) -> Seen {
        for (at, manifest, tag) in Model::ELSEWHERE {
            let (facts, folder) = (
                manifest.facts(),
                format!("{FOREIGN}/repositories/{}", at.name()),
            );
            let mut files = vec![(foreign_key(&facts.digest), facts.bytes.clone())];
            let mut link = |path: String, digest: &str| {
                files.push((
                    format!("{folder}/{path}/link"),
                    Bytes::from(digest.to_owned()),
                ));
            };
            let place = |digest: &str| digest.replace(':', "/");
            link(
                format!("_manifests/revisions/{}", place(&facts.digest)),
                &facts.digest,
            );
            link(
                format!("_manifests/tags/{}/current", tag.name()),
                &facts.digest,
            );
            for blob in &facts.blobs {
                link(format!("_layers/{}", place(blob.digest())), blob.digest());
            }
            files.extend(
                facts
                    .blobs
                    .iter()
                    .map(|blob| (foreign_key(blob.digest()), blob.bytes())),
            );
            for (key, bytes) in files {
                self.stores.put(self.backend, &key, bytes).await;
            }
        }
        self.command(&["storage", "import"]).await
    }

    /// Changes where the servers keep blobs, and restarts them.
    async fn keep_in(&mut self, backend: Backend, moving_from: &str) {
        self.backend = backend;
        let bucket = self
            .stores
            .backing
            .bucket()
            .await
            .settings(&self.stores.prefix);
        let mut settings: Vec<(&str, &str)> = bucket
            .iter()
            .map(|(key, value)| (*key, value.as_str()))
            .collect();
        settings.push(("GANTRY_STORAGE__BACKEND", backend.name()));
        settings.push(("GANTRY_STORAGE__MOVING_FROM", moving_from));
        for server in &self.servers {
            server.set(&settings);
        }
        self.restart().await;
    }

    async fn begin_move(&mut self) {
        let from = self.backend;
        self.moved = true;
        self.keep_in(from.other(), from.name()).await;
    }

    async fn copy_blobs(&mut self, remove: bool) -> Seen {
        let words: &[&str] = if remove { &["--remove"] } else { &[] };
        let seen = self.command(&[&["storage", "move"], words].concat()).await;
        if matches!(seen, Seen::Command(true, _)) {
            if !remove {
                self.kept.push(self.backend.other());
            }
            self.keep_in(self.backend, "none").await;
        }
        seen
    }

    fn backup_folder(&self) -> String {
        let folder = self.folder.path().join(format!("backup-{}", self.backups));
        folder.to_string_lossy().into_owned()
    }

    async fn restore(&self) -> Seen {
        self.stop().await;
        match self.topology {
            Topology::Files => {
                for name in ["gantry.db", "gantry.db-wal", "gantry.db-shm"] {
                    remove(&self.servers[0].data().join(name));
                }
            }
            Topology::Replicas => {
                let postgres = self.stores.backing.postgres().await;
                let made = postgres.create_anew(&self.database);
                made.expect("a database can be made");
            }
        }
        let seen = self.command(&["restore", &self.backup_folder()]).await;
        for server in &self.servers {
            server.restart().await;
        }
        seen
    }
}

fn remove(file: &Path) {
    if file.exists() {
        fs::remove_file(file).expect("the file can be removed");
    }
}

fn next_piece(model: &Model, slot: Slot) -> (usize, Bytes) {
    let (_, blob, offset) = model.upload(slot);
    let first = usize::try_from(offset).expect("it fits");
    let piece = usize::try_from(blob.piece()).expect("it fits");
    (first, blob.bytes().slice(first..first + piece))
}

/// The other registry's folder within the store.
const FOREIGN: &str = "docker/registry/v2";

/// Where the other registry keeps a blob.
pub(crate) fn foreign_key(digest: &str) -> String {
    let hex = digest.trim_start_matches("sha256:");
    format!("{FOREIGN}/blobs/sha256/{}/{hex}/data", &hex[..2])
}

/// Whether a key is one of the other registry's.
pub(crate) fn is_foreign(key: &str) -> bool {
    key.starts_with(FOREIGN)
}

/// Whether a key is that of the identity that ties the store to its database, or of a probe.
pub(crate) fn is_identity(key: &str) -> bool {
    key == "gantry-store.json" || key.starts_with("gantry-probe-")
}

fn uploads(at: Repository) -> String {
    format!("/v2/{}/blobs/uploads/", at.name())
}

pub(crate) fn blob_path(at: Repository, blob: Blob) -> String {
    format!("/v2/{}/blobs/{}", at.name(), blob.digest())
}

pub(crate) fn manifest_path(at: Repository, reference: &str) -> String {
    format!("/v2/{}/manifests/{reference}", at.name())
}

pub(crate) fn project_path(project: Project) -> String {
    format!("/api/v2.0/projects/{}", project.name())
}

fn with_digest(location: &str, blob: Blob) -> String {
    let separator = if location.contains('?') { '&' } else { '?' };
    format!("{location}{separator}digest={}", blob.digest())
}

/// The jump after which leases and holds are over.
pub(crate) const LONG: i64 = HOLD + GRACE + 3_600;
