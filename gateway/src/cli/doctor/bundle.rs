//! The bundle for support: a tar.gz of texts. What is a secret, or names a person, is not read in the first place, or
//! hidden where it is known to stand; what others wrote, such as messages of errors, goes through `mask`.

mod content;
mod mask;

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use flate2::Compression;
use flate2::write::GzEncoder;
use jobs::failures::causes;
use model::{Clock as _, SystemClock, Timestamp};
use rustix::fs::Access;

use self::mask::{HIDDEN, masked};
use super::Opened;
use super::finding::{Finding, apart};
use crate::config::Config;

/// The folder within the archive.
const FOLDER: &str = "gantry-support";

/// A bundle that is not written yet.
pub(super) struct Bundle {
    path: PathBuf,
}

/// A file of a bundle: its name and its text.
type Part = (&'static str, String);

impl Bundle {
    /// A bundle at a path where nothing is yet.
    ///
    /// # Errors
    /// If there is something, or no file can be made there.
    pub(super) fn at(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        anyhow::ensure!(
            path.symlink_metadata().is_err(),
            "cannot make {shown}: there is such a file already"
        );
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let may = rustix::fs::access(folder, Access::WRITE_OK);
        may.with_context(|| format!("cannot make {shown}"))?;
        Ok(Self {
            path: path.to_owned(),
        })
    }

    /// Makes its file, for its owner only; returns the names of what is in it.
    ///
    /// # Errors
    /// If the file cannot be written; then there is none.
    pub(super) async fn pack(
        self,
        (config, opened): (&Arc<Config>, Option<Opened>),
        findings: &[Finding],
    ) -> anyhow::Result<Vec<&'static str>> {
        let report: Vec<String> = findings.iter().map(Finding::line).collect();
        let source = Source {
            config: config.clone(),
            opened,
        };
        let mut parts = vec![("report.txt", source.safe(&report.join("\n")))];
        parts.extend(source.parts().await);
        let packed = archive(&parts, SystemClock.now());
        let written = packed.and_then(|bytes| place(&self.path, &bytes));
        written.with_context(|| format!("cannot write {}", self.path.display()))?;
        Ok(parts.iter().map(|(name, _)| *name).collect())
    }
}

/// Makes a file that is there once it is whole, so that one who breaks off leaves none that the next run would refuse.
fn place(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(format!(".{}.partial", std::process::id()));
    let partial = PathBuf::from(partial);
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&partial)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    let placed = written.and_then(|()| match path.symlink_metadata() {
        Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
        Err(_) => std::fs::rename(&partial, path),
    });
    if placed.is_err() {
        // What is left is of no use; that it cannot be deleted either adds nothing.
        let _ = std::fs::remove_file(&partial);
    }
    placed
}

/// What is known of the installation.
#[derive(Clone)]
struct Source {
    config: Arc<Config>,
    opened: Option<Opened>,
}

impl Source {
    /// All files but the report.
    async fn parts(&self) -> [Part; 7] {
        [
            self.part("configuration.toml", content::configuration)
                .await,
            self.part("settings.txt", content::settings).await,
            self.part("versions.txt", content::versions).await,
            self.part("counts.txt", content::counts).await,
            self.part("jobs.txt", content::jobs).await,
            self.part("system.txt", content::system).await,
            self.part("metrics.txt", content::metrics).await,
        ]
    }

    async fn part<F>(
        &self,
        name: &'static str,
        read: impl FnOnce(Self) -> F + Send + 'static,
    ) -> Part
    where
        F: Future<Output = anyhow::Result<String>>,
    {
        let source = self.clone();
        let text = apart(move || read(source)).await;
        let text = text.unwrap_or_else(|error| format!("not there: {}", causes(error.as_ref())));
        (name, self.safe(&text))
    }

    /// A text without what `mask` hides, and without the IDs of keys in the settings.
    fn safe(&self, text: &str) -> String {
        let ids = [
            &self.config.storage.s3.access_key_id,
            &self.config.acme.eab_key_id,
        ];
        // A shorter one is a word, and would hide others.
        let ids = ids.into_iter().filter(|id| id.len() > 3);
        ids.fold(masked(text), |text, id| text.replace(id.as_str(), HIDDEN))
    }

    fn opened(&self) -> anyhow::Result<&Opened> {
        let opened = self.opened.as_ref();
        opened.context("the database is not open, or its master key is not known")
    }
}

fn archive(parts: &[Part], now: Timestamp) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    for (name, text) in parts {
        let mut header = tar::Header::new_ustar();
        header.set_size(text.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(now.seconds().unsigned_abs());
        header.set_cksum();
        archive.append_data(&mut header, format!("{FOLDER}/{name}"), text.as_bytes())?;
    }
    archive.into_inner()?.finish()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[tokio::test]
    async fn a_bundle_is_its_owners_and_replaces_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("support.tar.gz");
        let mut config = Config::default();
        config.server.data = folder.path().to_owned();
        let bundle = Bundle::at(&path).unwrap();
        assert!(!path.exists(), "nothing is left if this breaks off here");
        let names = bundle.pack((&Arc::new(config), None), &[]).await.unwrap();
        assert_eq!(names[..2], ["report.txt", "configuration.toml"]);
        let found = std::fs::metadata(&path).unwrap();
        assert_eq!(found.permissions().mode() & 0o777, 0o600);
        assert!(found.len() > 0);
        assert!(Bundle::at(&path).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        let before = std::fs::read(&path).unwrap();
        let refused = place(&path, b"another").unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), before);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(Bundle::at(&folder.path().join("absent/support.tar.gz")).is_err());
    }

    #[test]
    fn the_ids_of_keys_are_hidden_wherever_they_stand() {
        let mut config = Config::default();
        config.storage.s3.access_key_id = "AKIA4EXAMPLE".to_owned();
        config.acme.eab_key_id = "kid-17".to_owned();
        let source = Source {
            config: Arc::new(config),
            opened: None,
        };
        let shown = source.safe("no key AKIA4EXAMPLE, <Id>AKIA4EXAMPLE</Id>, (kid-17)");
        assert_eq!(shown, "no key ***, <Id>***</Id>, (***)");
    }
}
