//! The take-over, step by step: import and compare, delete and keep, adopt and delete.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use testkit::meter::wait as run;

use super::census::Census;
use super::holdings::Holdings;
use super::objects::{different, lines};
use super::old::{self, Images, Old};
use crate::Soak;
use testkit::daemon::Daemon;
use testkit::gantry::Gantry;

/// The project of repositories whose name has one part.
const PROJECT: &str = "library";
/// How long an import of 10,000 tags may take.
const LIMIT: Duration = Duration::from_secs(60);
/// How long garbage may stay.
const MARGIN: Duration = Duration::from_secs(60);

type Keys = BTreeSet<String>;

/// The old registry, Gantry on the same store, and what was there before.
pub(super) struct Takeover<'a> {
    pub(super) soak: &'a Soak,
    pub(super) gantry: Gantry,
    pub(super) old: Old,
    pub(super) folder: PathBuf,
    pub(super) before: Census,
    pub(super) stored: BTreeMap<String, u64>,
}

impl Takeover<'_> {
    /// Imports, twice, and compares everything.
    pub(super) fn import(&self, repositories: usize, tags: usize) -> Result<(), String> {
        let (said, took, peak) = self.measured_import()?;
        let blobs = self.before.links();
        let expected = format!(
            "imported {repositories} repositories, {tags} tags, {} manifests, {blobs} blobs",
            self.before.manifests()
        );
        same("the summary of the import", said.trim(), expected.as_str())?;
        if took > LIMIT {
            return Err(format!("the import of {tags} tags took {took:.1?}"));
        }
        self.nothing_changed()?;
        let again = self.measured_import()?;
        same(
            "the summary of the second import",
            again.0.trim(),
            expected.as_str(),
        )?;
        self.nothing_changed()?;
        self.same_here(self.before.names())?;
        self.command("storage check --rehash")?;
        self.command("storage usage")?;
        eprintln!(
            "  {expected} in {:.2} s, again in {:.2} s; peak memory {peak:.0} MiB and {:.0} MiB; {} objects of {} bytes \
             before and after; every tag and every blob is the same as there",
            took.as_secs_f64(),
            again.1.as_secs_f64(),
            again.2,
            self.stored.len(),
            self.stored.values().sum::<u64>(),
        );
        Ok(())
    }

    /// Runs the import; what it said, how long it took, and the most memory that it had, in MiB.
    fn measured_import(&self) -> Result<(String, Duration, f64), String> {
        let words = format!("storage import --project {PROJECT}");
        let command = self.gantry.beside(&self.soak.binary, &words);
        let log = self.folder.join("import.log");
        std::fs::remove_file(&log).ok();
        let began = Instant::now();
        let mut import = Daemon::start("gantry storage import", command, &log)?;
        let mut peak = 0.0_f64;
        while import.check_alive().is_ok() {
            peak = peak.max(import.processes().peak_mib());
            if began.elapsed() > LIMIT * 10 {
                break;
            }
            sleep(Duration::from_millis(2));
        }
        let took = began.elapsed();
        let status = import.wait(Duration::from_secs(1))?;
        let said = std::fs::read_to_string(&log).map_err(|error| error.to_string())?;
        if status.success() {
            return Ok((said, took, peak));
        }
        Err(format!(
            "the import ended with {status} after {took:.1?}: {}",
            import.log_tail()
        ))
    }

    /// Half of the repositories are emptied here; the old registry does not notice.
    pub(super) fn delete_and_keep(&mut self, images: &Images) -> Result<(), String> {
        let (gone, stay) = images.halves();
        self.empty(&gone)?;
        let left = self.before.blobs(&stay);
        self.wait_for_rows(left.len())?;
        // The next start sweeps.
        self.gantry.restart()?;
        sleep(Duration::from_secs(3));
        self.nothing_changed()?;
        let there = self.old.census(images.names())?;
        there.compare(&self.before, "the old registry")?;
        self.same_here(&stay)?;
        eprintln!(
            "  {} repositories emptied, {} blobs collected, {} left; after a restart and its sweep all objects are there, and the \
             old registry serves {} tags and {} blobs as before",
            gone.len(),
            self.before.blobs(images.names()).len() - left.len(),
            left.len(),
            there.tags(),
            there.links(),
        );
        Ok(())
    }

    /// Once adopted, objects go.
    pub(super) fn adopt_and_delete(&self, images: &Images) -> Result<(), String> {
        let (_, there) = images.halves();
        let (gone, stay) = there.split_at(there.len() / 2);
        let said = self.command("storage adopt")?;
        let live = self.before.blobs(&there);
        same(
            "adoption",
            said.trim(),
            format!("{} objects adopted", live.len()).as_str(),
        )?;
        self.nothing_changed()?;
        self.empty(gone)?;
        let left = self.before.blobs(stay);
        let keys: Keys = live.difference(&left).map(|it| old::key(it)).collect();
        let expected = self.without(&keys)?;
        let took = wait(MARGIN, || self.stores(&expected))?;
        self.wait_for_rows(left.len())?;
        self.same_here(stay)?;
        self.command("storage check --rehash")?;
        let named: Keys = left.iter().map(|digest| old::key(digest)).collect();
        let unnamed = expected.iter().filter(|(key, _)| !named.contains(*key));
        let (count, bytes) = unnamed.fold((0, 0), |(n, sum), (_, size)| (n + 1, sum + size));
        eprintln!(
            "  adopted; {} repositories emptied, {} objects gone {:.1} s later, the other {} repositories served as before; of the \
             old registry {count} objects of {bytes} bytes are left that no row names: its links and manifests, and blobs collected \
             before the adoption",
            gone.len(),
            keys.len(),
            took.as_secs_f64(),
            stay.len(),
        );
        Ok(())
    }

    /// What is to be stored when the objects of these keys have gone, all of which are there now.
    fn without(&self, keys: &Keys) -> Result<BTreeMap<String, u64>, String> {
        let mut expected = self.stored.clone();
        expected.retain(|key, _| !keys.contains(key));
        if keys.is_empty() || expected.len() + keys.len() != self.stored.len() {
            let count = keys.len();
            return Err(format!("{count} objects were to go, but are not all there"));
        }
        Ok(expected)
    }

    fn stores(&self, expected: &BTreeMap<String, u64>) -> Result<(), String> {
        let now = lines(&self.gantry.objects()?);
        different("objects", &now, &lines(expected))
    }

    fn nothing_changed(&self) -> Result<(), String> {
        self.stores(&self.stored)
    }

    /// Pulls repositories here and compares them with what the old registry served.
    fn same_here(&self, names: &[String]) -> Result<(), String> {
        let here = Census::take(&self.gantry.target, names, Some(PROJECT))?;
        here.compare(&self.before.of(names), "Gantry")
    }

    fn empty(&self, names: &[String]) -> Result<(), String> {
        let deleted = AtomicUsize::new(0);
        run(async {
            let held = Holdings::of(&self.gantry.target, Some(PROJECT))?;
            held.each(names, async |name| {
                deleted.fetch_add(held.empty(name).await?, Ordering::Relaxed);
                Ok(())
            })
            .await
        })?;
        same(
            "deleted manifests",
            &deleted.into_inner(),
            &self.before.of(names).manifests(),
        )
    }

    /// Waits until so many blobs are left, and none that is given up.
    fn wait_for_rows(&self, blobs: usize) -> Result<(), String> {
        let settled = || {
            let check = self.command("storage check")?;
            if !check
                .lines()
                .any(|line| line.starts_with(&format!("{blobs} blobs, ")))
            {
                return Err(format!("{blobs} blobs were to be left: {check}"));
            }
            let status = self.command("gc status")?;
            match status.contains("objects that wait to be deleted: 0 ") {
                true => Ok(()),
                false => Err(status),
            }
        };
        wait(MARGIN, settled).map(|_| ())
    }

    fn command(&self, words: &str) -> Result<String, String> {
        self.gantry.command(&self.soak.binary, words)
    }
}

/// Repeats what fails, for a time; how long it took.
fn wait(limit: Duration, what: impl Fn() -> Result<(), String>) -> Result<Duration, String> {
    let began = Instant::now();
    loop {
        match what() {
            Ok(()) => return Ok(began.elapsed()),
            Err(error) if began.elapsed() > limit => {
                return Err(format!("still so after {limit:?}: {error}"));
            }
            Err(_) => sleep(Duration::from_millis(300)),
        }
    }
}

fn same<T: PartialEq + std::fmt::Debug + ?Sized>(
    what: &str,
    found: &T,
    expected: &T,
) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!("{what}: {found:?} instead of {expected:?}"))
}
