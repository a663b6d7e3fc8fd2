//! The old registry: Debian's docker-registry on the folder or bucket that Gantry will take over, filled by
//! docker.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use testkit::meter::wait;

use super::census::Census;
use super::holdings::Holdings;
use testkit::cmd::Cmd;
use testkit::dockerd::Dockerd;
use testkit::gantry::Gantry;
use testkit::peer::{Certificate, Kept, Peer};
use testkit::scratch::{make_folder, write};
use testkit::seaweed::BUCKET;

/// Where the old registry keeps the blob of a digest.
pub(super) fn key(digest: &str) -> String {
    let hex = digest.trim_start_matches("sha256:");
    format!("docker/registry/v2/blobs/sha256/{}/{hex}/data", &hex[..2])
}

/// Images in a docker daemon, one for each repository; every two have a layer in common.
pub(super) struct Images {
    docker: Dockerd,
    names: Vec<String>,
}

/// Things that docker does at a time.
const AT_ONCE: usize = 4;

impl Images {
    pub(super) fn make(folder: &Path, count: usize) -> Result<Self, String> {
        make_folder(folder)?;
        let docker = Dockerd::start()?;
        let name = |number: usize| match number % 10 {
            9 => format!("flat-{number}"),
            _ => format!("team-{}/app-{number}", number % 7),
        };
        let made = Self {
            docker,
            names: (0..count).map(name).collect(),
        };
        for number in 0..count.div_ceil(2) {
            layer(folder, number)?;
        }
        made.each(|number, name| {
            let label = format!("LABEL number={number}");
            made.docker
                .docker()
                .words("import --change")
                .arg(label)
                .arg(folder.join(format!("{}.tar", number / 2)))
                .arg(format!("{name}:{LOCAL}"))
                .run()
        })?;
        Ok(made)
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// Every second repository, and the others.
    pub(super) fn halves(&self) -> (Vec<String>, Vec<String>) {
        let half = |rest: usize| self.names.iter().skip(rest).step_by(2).cloned().collect();
        (half(0), half(1))
    }

    fn push(&self, registry: &str) -> Result<(), String> {
        self.each(|_, name| {
            let there = format!("{registry}/{name}:v1");
            let docker = || self.docker.docker();
            docker()
                .arg("tag")
                .arg(format!("{name}:{LOCAL}"))
                .arg(&there)
                .run()?;
            docker().words("push -q").arg(&there).run()
        })
    }

    /// Does something for every image, several at a time; the first error.
    fn each(&self, work: impl Fn(usize, &str) -> Result<(), String> + Sync) -> Result<(), String> {
        let next = AtomicUsize::new(0);
        let turn = || -> Result<(), String> {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                match self.names.get(number) {
                    Some(name) => work(number, name)?,
                    None => return Ok(()),
                }
            }
        };
        thread::scope(|scope| {
            let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(turn)).collect();
            let ended = workers
                .into_iter()
                .map(|it| it.join().map_err(|_| "a thread panicked".to_owned())?);
            ended.collect()
        })
    }
}

const LOCAL: &str = "local";

/// A tar file with one member that is like no other one's.
fn layer(folder: &Path, number: usize) -> Result<(), String> {
    let (file, tar) = (format!("file-{number}"), format!("{number}.tar"));
    let lines = 100 + number * 37 % 3000;
    let text: String = (0..lines)
        .map(|line| format!("{number} {}\n", line * 7919 + number))
        .collect();
    write(&folder.join(&file), text)?;
    Cmd::new("tar")
        .arg("-cf")
        .arg(&tar)
        .arg(&file)
        .folder(folder)
        .run()
}

/// The store, and what it takes to start the registry on it.
pub(super) struct Old {
    folder: PathBuf,
    certificate: Certificate,
    objects: PathBuf,
    endpoint: Option<String>,
}

impl Old {
    /// On the same folder or bucket as Gantry.
    pub(super) fn new(folder: &Path, gantry: &Gantry) -> Result<Self, String> {
        make_folder(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
            certificate: Certificate::make(folder)?,
            objects: gantry.storage_folder(),
            endpoint: gantry.storage_endpoint(),
        })
    }

    /// A process of it, which remembers nothing of earlier ones.
    fn start(&self) -> Result<Peer, String> {
        let kept = match &self.endpoint {
            Some(endpoint) => Kept::Bucket(endpoint, BUCKET),
            None => Kept::Files(&self.objects),
        };
        Peer::docker_registry(&self.certificate, &self.folder, kept)
    }

    /// Docker pushes all images; then their manifests get more tags, evenly, until there are so many.
    pub(super) fn fill(&self, images: &Images, tags: usize) -> Result<(), String> {
        let peer = self.start()?;
        let (began, names) = (Instant::now(), images.names());
        images.push(peer.target.address())?;
        let pushed = began.elapsed();
        let share = |name: &str| {
            let index = names.iter().position(|known| known == name).unwrap_or(0);
            tags / names.len() + usize::from(index < tags % names.len())
        };
        wait(async {
            let held = Holdings::of(&peer.target, None)?;
            held.each(names, async |name| held.retag(name, share(name)).await)
                .await
        })?;
        eprintln!(
            "  {} images pushed by docker in {:.1} s, {} more tags in {:.1} s",
            names.len(),
            pushed.as_secs_f64(),
            tags - names.len(),
            (began.elapsed() - pushed).as_secs_f64()
        );
        Ok(())
    }

    /// What it serves of these repositories.
    pub(super) fn census(&self, names: &[String]) -> Result<Census, String> {
        let peer = self.start()?;
        Census::take(&peer.target, names, None)
    }
}

#[cfg(test)]
mod tests {
    use super::key;

    #[test]
    fn a_blob_is_where_the_old_registry_puts_it() {
        let expected = "docker/registry/v2/blobs/sha256/ab/abcd/data";
        assert_eq!(key("sha256:abcd"), expected);
    }
}
