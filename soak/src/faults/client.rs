//! A registry client that tells how it was failed: curl, one request a process.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use super::seen::{Answer, Seen};
use testkit::cmd::succeed;
use testkit::gantry::Gantry;
use testkit::layout::{digest, digest_of_file};
use testkit::scratch::{make_folder, read};
use testkit::target::ADMIN_PASSWORD;

/// The repository that all is pushed to.
pub(super) const REPOSITORY: &str = "library/faults";

/// Seconds until an answer counts as never coming.
const PATIENCE: &str = "150";

/// A blob to push.
pub(super) struct Content {
    pub(super) file: PathBuf,
    pub(super) digest: String,
    pub(super) size: u64,
}

/// The ways to push a blob.
#[derive(Clone, Copy)]
pub(super) enum Way {
    /// POST, then PUT with the whole body.
    Put,
    /// POST, three times PATCH, then PUT.
    Chunks,
}

pub(super) struct Client {
    address: String,
    ca: PathBuf,
    folder: PathBuf,
    next: AtomicU32,
}

impl Client {
    pub(super) fn new(gantry: &Gantry, folder: &Path) -> Self {
        Self {
            address: gantry.address().to_owned(),
            ca: gantry.ca().to_owned(),
            folder: folder.to_owned(),
            next: AtomicU32::new(0),
        }
    }

    /// curl with what every request has; for what a request needs in the middle of others.
    pub(super) fn curl(&self) -> Command {
        let mut command = Command::new("curl");
        command
            .args(["-sS", "--noproxy", "*", "--max-time", PATIENCE, "--cacert"])
            .arg(&self.ca)
            .args(["-u", &format!("admin:{ADMIN_PASSWORD}")])
            .stdin(Stdio::null());
        command
    }

    pub(super) fn url(&self, path: &str) -> String {
        match path.strip_prefix('/') {
            Some(path) => format!("https://{}/{path}", self.address),
            None => path.to_owned(),
        }
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    pub(super) fn ca(&self) -> &Path {
        &self.ca
    }

    /// One request, by HTTP/1.1 unless `args` say otherwise.
    pub(super) fn ask(&self, args: &[&str], path: &str) -> Result<Answer, String> {
        self.answered(self.curl(), args, path)
    }

    /// The same by a program that is given the words of curl's command line.
    pub(super) fn ask_by(
        &self,
        mut program: Command,
        args: &[&str],
        path: &str,
    ) -> Result<Answer, String> {
        let curl = self.curl();
        program.arg(curl.get_program()).args(curl.get_args());
        self.answered(program, args, path)
    }

    fn answered(&self, mut command: Command, args: &[&str], path: &str) -> Result<Answer, String> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let [head, body] = ["head", "body"].map(|it| self.folder.join(format!("{it}-{number}")));
        command
            .args(["--http1.1", "-w", "%{http_code}", "-D"])
            .arg(&head);
        command.arg("-o").arg(&body).args(args).arg(self.url(path));
        let output = command
            .output()
            .map_err(|e| format!("cannot run curl: {e}"))?;
        let status = String::from_utf8_lossy(&output.stdout);
        let answer = Answer {
            status: status.trim().parse().unwrap_or(0),
            head: String::from_utf8_lossy(&fs::read(&head).unwrap_or_default()).into_owned(),
            // Asked for the head alone, curl writes that there too.
            body: match args.contains(&"-I") {
                true => Vec::new(),
                false => fs::read(&body).unwrap_or_default(),
            },
            exit: output.status.code().unwrap_or(-1),
        };
        fs::remove_file(head).ok();
        fs::remove_file(body).ok();
        Ok(answer)
    }

    /// Pulls a blob, and counts it as a success only where its digest is right.
    pub(super) fn pull(&self, args: &[&str], digest: &str) -> Result<Seen, String> {
        self.pull_path(args, &format!("/v2/{REPOSITORY}/blobs/{digest}"), digest)
    }

    pub(super) fn pull_manifest(&self, reference: &str, digest: &str) -> Result<Seen, String> {
        let path = format!("/v2/{REPOSITORY}/manifests/{reference}");
        self.pull_path(&[], &path, digest)
    }

    fn pull_path(&self, args: &[&str], path: &str, expected: &str) -> Result<Seen, String> {
        let answer = self.ask(args, path)?;
        let seen = answer.seen()?;
        if seen.is_done() && (seen != Seen::Done(200) || digest(&answer.body)? != expected) {
            return Ok(Seen::Changed);
        }
        Ok(seen)
    }

    /// Pulls all of these by one connection; their digests, or what curl says where one was not got.
    pub(super) fn digests(&self, paths: &[&str]) -> Result<Vec<String>, String> {
        let folder = self.folder.join("verified");
        make_folder(&folder)?;
        let files: Vec<PathBuf> = (0..paths.len())
            .map(|number| folder.join(number.to_string()))
            .collect();
        let mut curl = self.curl();
        curl.args(["-f", "--http1.1", "-H", ANY_MANIFEST]);
        for (path, file) in paths.iter().zip(&files) {
            curl.arg("-o").arg(file).arg(self.url(path));
        }
        let got = curl.output().map_err(|e| format!("cannot run curl: {e}"))?;
        let said = String::from_utf8_lossy(&got.stderr).into_owned();
        let came = files.iter().filter(|file| file.exists());
        let sums = succeed(Command::new("sha256sum").arg("/dev/null").args(came))?;
        fs::remove_dir_all(&folder).map_err(|e| e.to_string())?;
        let digest = |file: &PathBuf| {
            let name = file.to_string_lossy();
            let line = sums.lines().find_map(|line| line.strip_suffix(&*name));
            line.map_or(format!("not got: {said}"), |hex| {
                format!("sha256:{}", hex.trim())
            })
        };
        Ok(files.iter().map(digest).collect())
    }

    pub(super) fn head(&self, digest: &str) -> Result<Seen, String> {
        let path = format!("/v2/{REPOSITORY}/blobs/{digest}");
        self.ask(&["-I"], &path)?.seen()
    }

    /// Begins an upload; its location.
    pub(super) fn begin(&self) -> Result<Result<String, Seen>, String> {
        let path = format!("/v2/{REPOSITORY}/blobs/uploads/");
        self.located(&["-X", "POST", "-d", ""], &path)
    }

    /// A request of an upload; where it goes on, or why it does not.
    fn located(&self, args: &[&str], path: &str) -> Result<Result<String, Seen>, String> {
        let answer = self.ask(args, path)?;
        let seen = answer.seen()?;
        if !seen.is_done() {
            return Ok(Err(seen));
        }
        let location = answer.header("location").ok_or("202 without a Location")?;
        Ok(Ok(location.to_owned()))
    }

    /// Pushes a blob, at full speed unless `args` say otherwise.
    pub(super) fn push(&self, args: &[&str], content: &Content, way: Way) -> Result<Seen, String> {
        let mut location = match self.begin()? {
            Ok(location) => location,
            Err(seen) => return Ok(seen),
        };
        if let Way::Put = way {
            return self.finish(args, &location, content, Some(&content.file));
        }
        let step = content.size.div_ceil(3);
        for from in (0..content.size).step_by(step as usize) {
            match self.patch(&location, content, from, step)? {
                Ok(next) => location = next,
                Err(seen) => return Ok(seen),
            }
        }
        self.finish(args, &location, content, None)
    }

    /// Sends at most `length` bytes of a blob from `from` on.
    pub(super) fn patch(
        &self,
        location: &str,
        content: &Content,
        from: u64,
        length: u64,
    ) -> Result<Result<String, Seen>, String> {
        let bytes = read(&content.file)?;
        let end = content.size.min(from + length);
        let piece = content.file.with_extension("piece");
        testkit::scratch::write(&piece, &bytes[from as usize..end as usize])?;
        let range = format!("Content-Range: {from}-{}", end - 1);
        let body = format!("@{}", piece.display());
        let args = ["-X", "PATCH", "-H", OCTETS, "-H", NO_EXPECT, "-H", &range];
        self.located(&[&args[..], &["--data-binary", &body]].concat(), location)
    }

    /// Ends an upload, with the whole body or with none.
    pub(super) fn finish(
        &self,
        args: &[&str],
        location: &str,
        content: &Content,
        body: Option<&Path>,
    ) -> Result<Seen, String> {
        let mark = if location.contains('?') { '&' } else { '?' };
        let path = format!("{location}{mark}digest={}", content.digest);
        let body = body.map_or(String::new(), |file| format!("@{}", file.display()));
        let put = [
            "-X",
            "PUT",
            "-H",
            OCTETS,
            "-H",
            NO_EXPECT,
            "--data-binary",
            &body,
        ];
        self.ask(&[&put[..], args].concat(), &path)?.seen()
    }

    /// How many bytes of an upload the server has.
    pub(super) fn received(&self, location: &str) -> Result<u64, String> {
        let answer = self.ask(&[], location)?;
        let range = answer
            .header("range")
            .ok_or("an upload's status without Range")?;
        let last = range
            .rsplit_once('-')
            .and_then(|(_, last)| last.parse::<u64>().ok());
        Ok(last.ok_or(format!("Range {range}"))? + 1)
    }

    pub(super) fn push_manifest(&self, tag: &str, text: &str) -> Result<Seen, String> {
        let path = format!("/v2/{REPOSITORY}/manifests/{tag}");
        let kind = format!("Content-Type: {}", testkit::layout::MANIFEST);
        self.ask(&["-X", "PUT", "-H", &kind, "-d", text], &path)?
            .seen()
    }

    pub(super) fn delete_blob(&self, digest: &str) -> Result<Seen, String> {
        let path = format!("/v2/{REPOSITORY}/blobs/{digest}");
        self.ask(&["-X", "DELETE"], &path)?.seen()
    }

    /// New content of random bytes.
    pub(super) fn content(&self, size: u64) -> Result<Content, String> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let file = self.folder.join(format!("content-{number}"));
        succeed(
            Command::new("dd")
                .args([
                    "if=/dev/urandom",
                    "status=none",
                    "iflag=fullblock",
                    "bs=65536",
                ])
                .arg(format!("count={}", size / 65536))
                .arg(format!("of={}", file.display())),
        )?;
        let size = fs::metadata(&file).map_err(|e| e.to_string())?.len();
        Ok(Content {
            digest: digest_of_file(&file)?,
            size,
            file,
        })
    }
}

/// Blobs take no notice of it.
const ANY_MANIFEST: &str = "Accept: application/vnd.oci.image.manifest.v1+json";
const OCTETS: &str = "Content-Type: application/octet-stream";
/// curl would ask for leave before it sends much.
const NO_EXPECT: &str = "Expect:";
