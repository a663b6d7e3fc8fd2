//! Watches certificate files and replaces the certificate in use when they change. Files are polled: inotify misses
//! network mounts and Kubernetes' swapped symlinks.

mod trust;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::error::{Error, Result};
use crate::file::Pair;
use crate::hot::HotCertificates;
use crate::server::ServerCertificate;

pub use trust::TrustReloader;

/// Polling interval.
const TICK: Duration = Duration::from_millis(500);

/// Keeps [`HotCertificates`] in step with their files.
pub struct FileReloader {
    files: Vec<Pair>,
    hot: Arc<HotCertificates>,
    seen: Mutex<Vec<Seen>>,
}

/// The result of checking the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reloaded {
    /// The next handshakes present a new certificate.
    Replaced,
    /// The files hold the certificates already in use.
    Unchanged,
}

#[derive(Default)]
struct Seen {
    /// The files as of the last successful load.
    loaded: Option<[Fingerprint; 2]>,
    /// The last failure, so that it is logged once instead of twice a second.
    failure: Option<String>,
}

impl FileReloader {
    /// Watches `files` for `hot`, which may just have been loaded from them, in the same order.
    pub fn new(files: Vec<Pair>, hot: Arc<HotCertificates>) -> Arc<Self> {
        let seen = files.iter().map(|_| Seen::default()).collect();
        Arc::new(Self {
            files,
            hot,
            seen: Mutex::new(seen),
        })
    }

    /// Checks the files every 500 ms until cancelled.
    ///
    /// If they do not load, as while a pair is half written, the certificate in use stays, the reason is logged once,
    /// and the next check tries again.
    pub async fn run(self: Arc<Self>, cancel: CancellationToken) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while cancel.run_until_cancelled(ticks.tick()).await.is_some() {
            // the check itself logs failures
            let _ = self.look(Look::IfChanged).await;
        }
    }

    /// Loads the files at once, changed or not; for SIGHUP.
    ///
    /// # Errors
    ///
    /// What is wrong with the first pair that does not load. Its certificate in use stays; all other pairs are loaded.
    pub async fn reload_now(&self) -> Result<Reloaded> {
        self.look(Look::Always).await
    }

    async fn look(&self, look: Look) -> Result<Reloaded> {
        // held while reading, so that checks are serialized and the certificate read last is presented
        let mut seen = self.seen.lock().await;
        let mut reloaded = Ok(Reloaded::Unchanged);
        for (at, files) in self.files.iter().enumerate() {
            match self.look_at((at, files), &mut seen[at], look).await {
                Ok(Reloaded::Unchanged) => {}
                Ok(Reloaded::Replaced) => reloaded = reloaded.map(|_| Reloaded::Replaced),
                Err(error) => reloaded = reloaded.and(Err(error)),
            }
        }
        reloaded
    }

    async fn look_at(
        &self,
        (at, files): (usize, &Pair),
        seen: &mut Seen,
        look: Look,
    ) -> Result<Reloaded> {
        let (files, loaded) = (
            files.clone(),
            seen.loaded.filter(|_| look == Look::IfChanged),
        );
        let read = spawn_blocking(move || read(&files, loaded)).await;
        match read.unwrap_or_else(|error| Err(Error::Interrupted(error))) {
            Ok(None) => Ok(Reloaded::Unchanged),
            Ok(Some((prints, certificate))) => {
                *seen = Seen {
                    loaded: Some(prints),
                    failure: None,
                };
                Ok(self.present(at, certificate))
            }
            Err(error) => {
                let failure = error.chain();
                if seen.failure.as_ref() != Some(&failure) {
                    warn!(error = %failure, "certificate files do not load, the certificate in use stays");
                    seen.failure = Some(failure);
                }
                Err(error)
            }
        }
    }

    fn present(&self, at: usize, certificate: ServerCertificate) -> Reloaded {
        if certificate.same_chain(&self.hot.file(at)) {
            return Reloaded::Unchanged;
        }
        info!(
            certificate.serial = certificate.serial(),
            certificate.not_after = %certificate.not_after(),
            "certificate replaced",
        );
        self.hot.replace(at, certificate);
        Reloaded::Replaced
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    Always,
    IfChanged,
}

/// A fingerprint of a file's state, without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fingerprint {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    /// Differs even if a copy kept the modification time.
    changed: (i64, i64),
}

impl Fingerprint {
    fn of(path: &Path) -> Result<Self> {
        let file = fs::metadata(path).map_err(|error| Error::Read(path.to_owned(), error))?;
        Ok(Self {
            device: file.dev(),
            inode: file.ino(),
            size: file.size(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        })
    }
}

type Read = ([Fingerprint; 2], ServerCertificate);

/// Loads the files unless they match `loaded`. The fingerprints are taken before reading, so that a write in between
/// shows as a change next time.
fn read(files: &Pair, loaded: Option<[Fingerprint; 2]>) -> Result<Option<Read>> {
    let prints = [
        Fingerprint::of(&files.certificate)?,
        Fingerprint::of(&files.key)?,
    ];
    if loaded == Some(prints) {
        return Ok(None);
    }
    let certificate = ServerCertificate::load(&files.certificate, &files.key)?;
    Ok(Some((prints, certificate)))
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;
    use time::macros::datetime;

    use super::*;
    use crate::authority::{Authority, Issued};
    use crate::file::write_pair;
    use crate::hot::{Presented, Source};

    const NOW: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

    struct Bench {
        folder: tempfile::TempDir,
        authority: Authority,
        hot: Arc<HotCertificates>,
        reloader: Arc<FileReloader>,
    }

    impl Bench {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let authority = Authority::create("CA", NOW).unwrap();
            let pair = authority
                .issue(&["a.example".parse().unwrap()], NOW, 1)
                .unwrap();
            let files = write_pair(folder.path(), &pair).unwrap();
            let certificate = ServerCertificate::load(&files.certificate, &files.key).unwrap();
            let main = Presented {
                source: Source::Files,
                label: String::new(),
                certificate: Arc::new(certificate),
            };
            let hot = HotCertificates::new(vec![main], NOW);
            let reloader = FileReloader::new(vec![files], Arc::clone(&hot));
            Self {
                folder,
                authority,
                hot,
                reloader,
            }
        }

        fn issue(&self) -> Issued {
            self.authority
                .issue(&["b.example".parse().unwrap()], NOW, 1)
                .unwrap()
        }

        async fn tick(&self) -> Result<Reloaded> {
            self.reloader.look(Look::IfChanged).await
        }

        fn name(&self) -> String {
            self.hot.main().names()[0].clone()
        }
    }

    #[tokio::test]
    async fn files_that_did_not_change_are_left_alone() {
        let bench = Bench::new();
        let first = bench.hot.main();
        for _ in 0..3 {
            assert_eq!(bench.tick().await.unwrap(), Reloaded::Unchanged);
        }
        assert_eq!(
            bench.reloader.reload_now().await.unwrap(),
            Reloaded::Unchanged
        );
        assert!(Arc::ptr_eq(&first, &bench.hot.main()));
    }

    #[tokio::test]
    async fn a_new_pair_is_presented_at_the_next_tick() {
        let bench = Bench::new();
        bench.tick().await.unwrap();
        let replaced = bench.hot.replacements();
        write_pair(bench.folder.path(), &bench.issue()).unwrap();
        assert!(!replaced.has_changed().unwrap());
        assert_eq!(bench.tick().await.unwrap(), Reloaded::Replaced);
        assert_eq!(bench.name(), "b.example");
        assert!(replaced.has_changed().unwrap(), "whoever watches is told");
    }

    #[tokio::test]
    async fn a_half_written_pair_keeps_the_old_one_and_is_tried_again() {
        let bench = Bench::new();
        bench.tick().await.unwrap();
        let (pair, files) = (bench.issue(), Pair::within(bench.folder.path()));
        fs::write(&files.certificate, &pair.chain_pem).unwrap();
        assert!(matches!(bench.tick().await, Err(Error::KeyMismatch { .. })));
        let failure = bench.reloader.seen.lock().await[0].failure.clone();
        assert!(bench.tick().await.is_err());
        assert_eq!(bench.reloader.seen.lock().await[0].failure, failure);
        assert_eq!(bench.name(), "a.example");

        fs::write(&files.key, pair.key_pem.as_bytes()).unwrap();
        assert_eq!(bench.tick().await.unwrap(), Reloaded::Replaced);
        assert_eq!(bench.reloader.seen.lock().await[0].failure, None);
        assert_eq!(bench.name(), "b.example");
    }

    #[tokio::test]
    async fn a_missing_file_keeps_the_old_certificate() {
        let bench = Bench::new();
        fs::remove_file(Pair::within(bench.folder.path()).key).unwrap();
        assert!(matches!(
            bench.reloader.reload_now().await,
            Err(Error::Read(..))
        ));
        assert_eq!(bench.name(), "a.example");
    }

    #[tokio::test]
    async fn the_watch_ends_when_cancelled() {
        let bench = Bench::new();
        let cancel = CancellationToken::new();
        let watch = tokio::spawn(Arc::clone(&bench.reloader).run(cancel.clone()));
        cancel.cancel();
        watch.await.unwrap();
    }
}
