//! A server to do faults to, what it acknowledged so far, and what clients ask of it meanwhile.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::client::{Client, REPOSITORY, Way};
use super::seen::Seen;
use crate::Soak;
use testkit::cmd::succeed;
use testkit::content::Blob;
use testkit::gantry::Binary;
use testkit::gantry::Gantry;
use testkit::port::loopback;
use testkit::registry::Image;

/// Size of the blob that is pulled: more than sockets hold, so that a cut is seen.
const LARGE: u64 = 24 << 20;
/// Size of blobs that are pushed: more than a part of the store.
pub(super) const MEDIUM: u64 = 12 << 20;
pub(super) const SMALL: u64 = 256 << 10;

/// The server, with `around` it what the faults are done to.
pub(super) struct Stage<A> {
    // Order matters: the server ends before what it stands on.
    pub(super) gantry: Gantry,
    pub(super) around: A,
    pub(super) client: Client,
    binary: Binary,
    data: PathBuf,
    settings: Vec<(String, String)>,
    /// What is pulled while faults last.
    pub(super) large: Blob,
    /// Digests of blobs, and tags and digests of manifests, that the server acknowledged.
    blobs: Vec<String>,
    manifests: Vec<(String, String)>,
    /// Pushes that were not acknowledged.
    doubtful: Vec<Blob>,
    doubtful_manifests: Vec<(String, String)>,
    tags: u32,
}

impl<A> Stage<A> {
    /// Starts the server on `data` and pushes what is pulled later.
    pub(super) fn start(
        soak: &Soak,
        data: &Path,
        settings: Vec<(String, String)>,
        around: A,
    ) -> Result<Self, String> {
        let command = soak.binary.command();
        let gantry = Gantry::alone(command, data, &loopback()?, loopback()?, &settings)?;
        let client = Client::new(&gantry.target)?;
        let mut stage = Self {
            large: Blob::random(LARGE),
            gantry,
            around,
            client,
            binary: soak.binary.clone(),
            data: data.to_owned(),
            settings,
            blobs: Vec::new(),
            manifests: Vec::new(),
            doubtful: Vec::new(),
            doubtful_manifests: Vec::new(),
            tags: 0,
        };
        let pushed = stage.client.push(&stage.large, Way::Put)?;
        stage.blobs.push(stage.large.digest.clone());
        match (pushed, stage.push_manifest()?) {
            (Seen::Done(_), Seen::Done(_)) => Ok(stage),
            (blob, manifest) => Err(format!("without a fault: {blob}, {manifest}")),
        }
    }

    /// A sub-command of the server's, with its settings.
    pub(super) fn cli(&self, words: &[&str]) -> Result<String, String> {
        let mut command: Command = self.binary.command();
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        succeed(command.args(words).arg("--data").arg(&self.data))
    }

    pub(super) fn data(&self) -> &Path {
        &self.data
    }

    pub(super) fn pull(&self) -> Result<Seen, String> {
        self.client.pull(&self.large.digest)
    }

    pub(super) fn pull_http2(&self) -> Result<Seen, String> {
        self.client.pull_http2(&self.large.digest)
    }

    pub(super) fn head(&self) -> Result<Seen, String> {
        self.client.head(&self.large.digest)
    }

    /// Pulls the last manifest by its tag.
    pub(super) fn manifest(&self) -> Result<Seen, String> {
        let (tag, digest) = self.manifests.last().ok_or("no manifest yet")?;
        self.client.pull_manifest(tag, digest)
    }

    /// Pushes new content.
    pub(super) fn push(&mut self, size: u64, way: Way) -> Result<Seen, String> {
        let content = Blob::random(size);
        let seen = self.client.push(&content, way);
        self.pushed(content, seen)
    }

    /// Notes what became of a push.
    pub(super) fn pushed(
        &mut self,
        content: Blob,
        seen: Result<Seen, String>,
    ) -> Result<Seen, String> {
        match &seen {
            Ok(Seen::Done(_)) => self.blobs.push(content.digest),
            _ => self.doubtful.push(content),
        }
        seen
    }

    /// Pushes a new manifest of the large blob under a new tag.
    pub(super) fn push_manifest(&mut self) -> Result<Seen, String> {
        self.tags += 1;
        let (tag, large) = (format!("t{}", self.tags), &self.large);
        let note = serde_json::json!({ "annotations": { "n": tag } });
        let manifest = Image::with(large.clone(), std::slice::from_ref(large), &note).manifest;
        let seen = self.client.push_manifest(&tag, &manifest);
        let named = (tag, manifest.digest);
        match seen {
            Ok(Seen::Done(_)) => self.manifests.push(named),
            _ => self.doubtful_manifests.push(named),
        }
        seen
    }

    /// Waits until pulls and pushes work again; the time that takes.
    pub(super) fn recover(&mut self) -> Result<Duration, String> {
        let began = Instant::now();
        while let Some(seen) = self.failing()? {
            if began.elapsed() > RECOVERY {
                return Err(format!("{RECOVERY:.0?} after the fault: {seen}"));
            }
            sleep(Duration::from_millis(50));
        }
        let took = began.elapsed();
        self.settle().map(|()| took)
    }

    /// Looks at what was not acknowledged, which is there whole or not at all whatever the client was
    /// told, and pushes the blobs again.
    fn settle(&mut self) -> Result<(), String> {
        for (tag, digest) in std::mem::take(&mut self.doubtful_manifests) {
            whole_or_absent(&tag, &self.client.pull_manifest(&tag, &digest)?)?;
        }
        for content in std::mem::take(&mut self.doubtful) {
            let digest = content.digest.clone();
            whole_or_absent(&digest, &self.client.pull(&digest)?)?;
            let again = self.client.push(&content, Way::Put);
            let again = self.pushed(content, again)?;
            if !again.is_done() {
                return Err(format!("a push that had failed failed again: {again}"));
            }
        }
        Ok(())
    }

    /// What still fails.
    fn failing(&mut self) -> Result<Option<Seen>, String> {
        let asks: [Ask<A>; 3] = [
            |s| s.push(SMALL, Way::Put),
            |s| s.push_manifest(),
            |s| s.pull(),
        ];
        for ask in asks {
            let seen = ask(self)?;
            if !seen.is_done() {
                return Ok(Some(seen));
            }
        }
        Ok(None)
    }

    /// Pulls and hashes everything that was acknowledged; how much that was.
    pub(super) fn verify(&self) -> Result<usize, String> {
        let blobs = self.blobs.iter().map(|digest| ("blobs", digest, digest));
        let manifests = self.manifests.iter();
        let manifests = manifests.map(|(tag, digest)| ("manifests", tag, digest));
        let mut all = 0;
        for (kind, name, digest) in blobs.chain(manifests) {
            let found = match kind {
                "blobs" => self.client.pull(digest)?,
                _ => self.client.pull_manifest(name, digest)?,
            };
            if found != Seen::Done(200) {
                let what = format!("/v2/{REPOSITORY}/{kind}/{name}");
                return Err(format!(
                    "LOST: {what} was acknowledged as {digest}: {found}"
                ));
            }
            all += 1;
        }
        Ok(all)
    }
}

type Ask<A> = fn(&mut Stage<A>) -> Result<Seen, String>;

/// How long the server may take to recover.
const RECOVERY: Duration = Duration::from_secs(60);

fn whole_or_absent(name: &str, seen: &Seen) -> Result<(), String> {
    match seen {
        Seen::Done(_) | Seen::Refused { status: 404, .. } => Ok(()),
        seen => Err(format!("{name} was not acknowledged: {seen}")),
    }
}
