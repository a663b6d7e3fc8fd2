//! The bundle for support: a tar.gz of texts. What is a secret, or names a person, is not read in the first place, or
//! hidden where it is known to stand; what others wrote, such as messages of errors, goes through `mask`.

mod content;
mod mask;

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use flate2::Compression;
use flate2::write::GzEncoder;
use jobs::failures::causes;
use model::{Clock as _, SystemClock, Timestamp};

use self::mask::masked;
use super::Opened;
use super::finding::{Finding, apart};
use crate::config::Config;

/// The folder within the archive.
const FOLDER: &str = "gantry-support";

/// A bundle that is not written yet.
pub(super) struct Bundle {
    path: PathBuf,
    file: File,
}

/// A file of a bundle: its name and its text.
type Part = (&'static str, String);

impl Bundle {
    /// Makes its file, for its owner only.
    ///
    /// # Errors
    /// If there is such a file already, or it cannot be made.
    pub(super) fn create(path: &Path) -> anyhow::Result<Self> {
        let mut options = OpenOptions::new();
        let made = options.write(true).create_new(true).mode(0o600).open(path);
        Ok(Self {
            file: made.with_context(|| format!("cannot make {}", path.display()))?,
            path: path.to_owned(),
        })
    }

    /// Fills it; returns the names of what is in it.
    ///
    /// # Errors
    /// If the file cannot be written; it is then deleted.
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
        let mut parts = vec![("report.txt", masked(&report.join("\n")))];
        parts.extend(source.parts().await);
        let Self { path, mut file } = self;
        let packed = archive(&parts, SystemClock.now());
        let written = packed.and_then(|bytes| file.write_all(&bytes));
        if let Err(error) = written.and_then(|()| file.sync_all()) {
            // What is left is of no use; that it cannot be deleted either adds nothing.
            let _ = std::fs::remove_file(&path);
            return Err(error).with_context(|| format!("cannot write {}", path.display()));
        }
        Ok(parts.iter().map(|(name, _)| *name).collect())
    }
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
        (name, masked(&text))
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
        let bundle = Bundle::create(&path).unwrap();
        let names = bundle.pack((&Arc::new(config), None), &[]).await.unwrap();
        assert_eq!(names[..2], ["report.txt", "configuration.toml"]);
        let found = std::fs::metadata(&path).unwrap();
        assert_eq!(found.permissions().mode() & 0o777, 0o600);
        assert!(found.len() > 0);
        assert!(Bundle::create(&path).is_err());
    }
}
