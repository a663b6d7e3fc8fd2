//! The stage on files and SQLite, on a small file system of its own that fills up, and a process whose
//! system calls fail.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use hyper::Method;
use testkit::cmd::succeed;
use testkit::content::Blob;
use testkit::harness::raw::{Broken, Raw};
use testkit::meter::wait;
use testkit::registry::Call;
use testkit::scratch::{files_below, make_folder};
use tokio::time::{sleep, timeout};

use super::client::REPOSITORY;
use super::inject::Inject;
use super::seen::Seen;
use super::stage::{MEDIUM, Stage};
use crate::Soak;

/// Bytes of the file system.
const SIZE: u64 = 256 << 20;
/// Seconds that the server waits for a client that stands still.
pub(super) const IDLE: u64 = 3;

pub(super) struct Folder {
    memory: Mount,
}

pub(super) type OnFolder = Stage<Folder>;

pub(super) fn start(soak: &Soak) -> Result<OnFolder, String> {
    let memory = Mount::make(soak.folder.join("faults-folder"))?;
    let data = memory.0.join("data");
    let secs = IDLE.to_string();
    let settings = ["GANTRY_LIMITS__IDLE_SECS", "GANTRY_LIMITS__HEADER_SECS"]
        .map(|name| (name.to_owned(), secs.clone()));
    Stage::start(soak, &data, settings.to_vec(), Folder { memory })
}

/// A mounted file system in memory; unmounted on drop.
struct Mount(PathBuf);

impl Mount {
    fn make(folder: PathBuf) -> Result<Self, String> {
        make_folder(&folder)?;
        let mut mount = Command::new("mount");
        mount.args([
            "-t",
            "tmpfs",
            "-o",
            &format!("size={SIZE}"),
            "gantry-faults",
        ]);
        succeed(mount.arg(&folder))?;
        Ok(Self(folder))
    }

    fn option(&self, option: &str) -> Result<(), String> {
        let option = format!("remount,{option}");
        succeed(Command::new("mount").args(["-o", &option]).arg(&self.0)).map(|_| ())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        succeed(Command::new("umount").arg("-l").arg(&self.0)).ok();
    }
}

/// A folder that can only be read as long as this lives, by whoever finds it by its path.
struct ReadOnly(PathBuf);

impl ReadOnly {
    fn make(folder: PathBuf) -> Result<Self, String> {
        succeed(
            Command::new("mount")
                .arg("--bind")
                .arg(&folder)
                .arg(&folder),
        )?;
        let made = Self(folder);
        succeed(
            Command::new("mount")
                .args(["-o", "remount,bind,ro"])
                .arg(&made.0),
        )?;
        Ok(made)
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        succeed(Command::new("umount").arg("-l").arg(&self.0)).ok();
    }
}

type Asked = Result<Seen, String>;

impl OnFolder {
    /// Asks while system calls of the server fail; `what` is an expression of strace's.
    pub(super) fn inject(&mut self, what: &str, ask: impl FnOnce(&mut Self) -> Asked) -> Asked {
        let inject = Inject::attach(self.gantry.pid(), what, &self.around.memory.0)?;
        let seen = ask(self);
        if inject.detach()? == 0 {
            return Err(format!("no system call was made to fail: {}", seen?));
        }
        seen
    }

    /// Asks while the file system is full, but for `left` bytes.
    pub(super) fn full(&mut self, left: u64, ask: impl FnOnce(&mut Self) -> Asked) -> Asked {
        let ballast = self.around.memory.0.join("ballast");
        fill(&ballast, left)?;
        let seen = ask(self);
        fs::remove_file(&ballast).map_err(|e| e.to_string())?;
        seen
    }

    /// Sends half of an upload; then the disk is full; then the upload goes on where the server says.
    pub(super) fn resumed(&mut self) -> Asked {
        let upload = self.first_half()?;
        let seen = self.full(MEDIUM / 4, |s| s.second_half(&upload))?;
        self.go_on(upload)?;
        Ok(seen)
    }

    /// Asks while no file can be made for want of inodes.
    pub(super) fn without_inodes(&mut self, ask: impl FnOnce(&mut Self) -> Asked) -> Asked {
        let used = succeed(
            Command::new("df")
                .args(["--output=iused"])
                .arg(&self.around.memory.0),
        )?;
        let used = used.lines().last().unwrap_or_default().trim().to_owned();
        self.around.memory.option(&format!("nr_inodes={used}"))?;
        let seen = ask(self);
        self.around.memory.option("nr_inodes=100000")?;
        seen
    }

    /// Asks while the folder of the blobs can only be read.
    pub(super) fn read_only(&mut self, ask: impl FnOnce(&mut Self) -> Asked) -> Asked {
        let guard = ReadOnly::make(self.data().join("blobs"))?;
        let seen = ask(self);
        drop(guard);
        seen
    }

    /// Pulls while the large blob's file is not what it was, and asks the sub-command that has to find it.
    pub(super) fn spoiled(
        &mut self,
        spoil: impl FnOnce(&Path) -> std::io::Result<()>,
        found_by: &[&str],
        pull: impl FnOnce(&Self) -> Asked,
    ) -> Asked {
        let file = self.large_file()?;
        let aside = self.around.memory.0.join("aside");
        fs::copy(&file, &aside).map_err(|e| e.to_string())?;
        spoil(&file).map_err(|e| format!("cannot spoil a file: {e}"))?;
        let seen = pull(self);
        let checked = self.cli(found_by);
        // The very file may be gone; its name is what counts.
        fs::rename(&aside, &file).map_err(|e| e.to_string())?;
        // What a check marked as lost is lost until a check finds it whole.
        self.cli(found_by)?;
        match checked {
            Ok(_) => Err(format!("gantry {} finds nothing", found_by.join(" "))),
            Err(text) if text.contains(&self.large.digest) => seen,
            Err(text) => Err(format!("gantry {} says {text}", found_by.join(" "))),
        }
    }

    fn large_file(&self) -> Result<PathBuf, String> {
        let blobs = self.data().join("blobs");
        let files = files_below(&blobs)?;
        let mut large = files.iter().filter(|(_, size)| **size == self.large.size);
        match (large.next(), large.next()) {
            (Some((name, _)), None) => Ok(blobs.join(name)),
            _ => Err("which file is the large blob's?".to_owned()),
        }
    }

    /// The client leaves within its PUT; the server must not have the blob then, and get it later.
    pub(super) fn left(&mut self) -> Asked {
        let content = Blob::random(MEDIUM);
        let location = self.begun()?;
        let body = content.made().stream(0).paced(2e6).body();
        let put = self.client.finish(&location, &content, Some(body));
        let seen = wait(async { timeout(Duration::from_secs(2), put).await });
        self.pushed(content, seen.unwrap_or(Ok(Seen::Left)))
    }

    fn begun(&self) -> Result<String, String> {
        self.client.begin()?.map_err(|seen| format!("POST: {seen}"))
    }

    /// The client sends half of a body and then nothing.
    pub(super) fn stalled(&mut self) -> Asked {
        let content = Blob::random(MEDIUM);
        let location = self.begun()?;
        let half = content.size / 2;
        // What comes after half of it is due in an hour.
        let body = content.made().stream(0).stalling_at(half).body();
        let call = Call::new(Method::PATCH, &location, REPOSITORY).body(body, content.size);
        let seen = wait(self.client.ask(call))?.seen();
        self.pushed(content, seen)
    }

    /// A connection that asked for the large blob, or has only begun to ask.
    async fn asking(&self, ends: bool) -> Result<Raw, String> {
        let registry = &self.client.registry;
        let path = format!("/v2/{REPOSITORY}/blobs/{}", self.large.digest);
        let line = registry.dial("http/1.1", 64 << 10).await;
        let mut line = line.map_err(|error| error.to_string())?;
        let mut request = registry.head("GET", &path, &registry.basic());
        if ends {
            request.push_str("\r\n");
        }
        let sent = line.write(request).await;
        sent.map(|()| line).map_err(|error| error.to_string())
    }

    /// The client does not read the answer that it asked for.
    pub(super) fn unread(&mut self) -> Asked {
        wait(async {
            let mut line = self.asking(true).await?;
            sleep(Duration::from_secs(IDLE + 4)).await;
            let mut came = 0;
            let answer = line.whole_answer(async |piece: &[u8]| came += piece.len());
            match answer.await {
                Ok(answer) => Ok(Seen::Done(answer.status)),
                Err(_) if came > 0 => Ok(Seen::Cut(200)),
                Err(_) => Err("nothing came at all".to_owned()),
            }
        })
    }

    /// The client never ends the head of its request.
    pub(super) fn headless(&mut self) -> Asked {
        wait(async {
            let mut line = self.asking(false).await?;
            let answer = line.whole_answer(async |_: &[u8]| {});
            match timeout(Duration::from_secs(IDLE * 4), answer).await {
                Err(_) => Err("the connection stayed open".to_owned()),
                Ok(Err(Broken::Unanswered)) => Ok(Seen::Cut(0)),
                Ok(answer) => Err(format!("the answer {answer:?}")),
            }
        })
    }
}

/// Fills the file system with a file, and gives `left` bytes back.
fn fill(ballast: &Path, left: u64) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("cannot fill the disk: {error}");
    let mut file = fs::File::create(ballast).map_err(failed)?;
    let piece = vec![1; 64 << 10];
    let mut size = 0;
    // Ends with the disk's being full.
    while let Ok(written) = file.write(&piece) {
        size += written as u64;
    }
    file.set_len(size.saturating_sub(left)).map_err(failed)
}
