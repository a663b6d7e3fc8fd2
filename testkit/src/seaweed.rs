//! A throw-away S3 server: SeaweedFS, all its parts in one process on loopback, with a bucket.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use crate::cmd::Cmd;
use crate::daemon::Daemon;
use crate::port::lasting_port;
use crate::scratch::{Scratch, write};

/// Both keys, the region and the bucket that Gantry is given.
pub const ACCESS_KEY: &str = "gantry-test";
pub const SECRET_KEY: &str = "gantry-test-secret";
pub const REGION: &str = "us-east-1";
pub const BUCKET: &str = "gantry";

/// The running server; dropping it ends it and removes its data.
pub struct Seaweed {
    // Order matters: the server ends before its folder goes.
    daemon: Daemon,
    scratch: Scratch,
    ports: Ports,
}

impl Seaweed {
    /// Starts it, makes the bucket, and waits until objects can be stored.
    pub fn start() -> Result<Self, String> {
        Self::with(Some(identities()))
    }

    /// The same without any identity: everybody may do everything, with whatever signature.
    pub fn open() -> Result<Self, String> {
        Self::with(None)
    }

    fn with(identities: Option<String>) -> Result<Self, String> {
        let scratch = Scratch::new("seaweed")?;
        if let Some(identities) = identities {
            write(&scratch.join("s3.json"), identities)?;
        }
        scratch.folder("data")?;
        let ports = Ports::choose()?;
        let daemon = launch(&scratch, &ports)?;
        let mut made = Self {
            daemon,
            scratch,
            ports,
        };
        made.wait_until_ready(|s3| s3.put(&format!("/{BUCKET}"), None))?;
        made.wait_until_ready(|s3| s3.put(&format!("/{MARKER_BUCKET}"), None))?;
        made.wait_until_ready(|s3| s3.put(MARKER, Some("ready")))?;
        Ok(made)
    }

    /// `http://HOST:PORT`.
    pub fn endpoint(&self) -> String {
        self.ports.endpoint()
    }

    pub fn pid(&self) -> u32 {
        self.daemon.pid()
    }

    /// Makes one more bucket.
    pub fn make_bucket(&self, name: &str) -> Result<(), String> {
        self.s3().put(&format!("/{name}"), None)
    }

    /// Removes a bucket with all it holds.
    pub fn drop_bucket(&self, name: &str) -> Result<(), String> {
        self.s3().delete(&format!("/{name}"))
    }

    /// The server and all that is needed to use it in one URL, as tests take it.
    pub fn test_url(&self) -> String {
        let endpoint = self.endpoint();
        format!("{endpoint}?access_key={ACCESS_KEY}&secret_key={SECRET_KEY}&bucket={BUCKET}")
    }

    /// Every object of the bucket with its size.
    pub fn objects(&self) -> Result<BTreeMap<String, u64>, String> {
        let mut objects = BTreeMap::new();
        loop {
            let after = objects.last_key_value().map(|(key, _): (&String, _)| key);
            let page = self.s3().list(BUCKET, after.map_or("", String::as_str))?;
            objects.extend(objects_in(&page)?);
            if !page.contains("<IsTruncated>true</IsTruncated>") {
                return Ok(objects);
            }
        }
    }

    /// A crash: SIGKILL.
    pub fn kill(&mut self) -> Result<(), String> {
        self.daemon.stop_by("KILL", END).map(|_| ())
    }

    /// Starts it again, on the same folder and ports. Returns when what was
    /// stored can be read and more be stored, which may take half a minute.
    pub fn restart(&mut self) -> Result<(), String> {
        self.daemon = launch(&self.scratch, &self.ports)?;
        self.wait_until_ready(|s3| s3.get(MARKER))?;
        self.wait_until_ready(|s3| s3.put(MARKER, Some("ready")))
    }

    fn s3(&self) -> S3 {
        S3(self.endpoint())
    }

    fn wait_until_ready(
        &mut self,
        ready: impl Fn(&S3) -> Result<(), String>,
    ) -> Result<(), String> {
        let s3 = self.s3();
        self.daemon
            .wait_until(Duration::from_secs(90), || ready(&s3).is_ok())
    }
}

impl Drop for Seaweed {
    fn drop(&mut self) {
        self.daemon.stop_by("KILL", END).ok();
        // It leaves these behind where nobody can tell it not to.
        for (part, port) in self.ports.internal() {
            fs::remove_file(format!("/tmp/seaweedfs-{part}-grpc-{port}.sock")).ok();
        }
    }
}

/// How long SIGKILL may take; it does not take long.
const END: Duration = Duration::from_secs(10);

/// An object of the tests' own, apart from Gantry's: that it is readable says that the server is back.
const MARKER: &str = "/ready/marker";
const MARKER_BUCKET: &str = "ready";

fn identities() -> String {
    format!(
        r#"{{"identities":[{{"name":"admin","credentials":[{{"accessKey":"{ACCESS_KEY}","secretKey":"{SECRET_KEY}"}}],"actions":["Admin","Read","Write","List","Tagging"]}}]}}"#
    )
}

/// Each part listens on two: for others and for the other parts.
struct Ports {
    master: [u16; 2],
    volume: [u16; 2],
    filer: [u16; 2],
    s3: [u16; 2],
}

impl Ports {
    fn choose() -> Result<Self, String> {
        let two = || Ok::<_, String>([lasting_port()?, lasting_port()?]);
        Ok(Self {
            master: two()?,
            volume: two()?,
            filer: two()?,
            s3: two()?,
        })
    }

    fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.s3[0])
    }

    fn all(&self) -> [(&'static str, [u16; 2]); 4] {
        [
            ("master", self.master),
            ("volume", self.volume),
            ("filer", self.filer),
            ("s3", self.s3),
        ]
    }

    fn internal(&self) -> impl Iterator<Item = (&'static str, u16)> {
        self.all().into_iter().map(|(part, [_, own])| (part, own))
    }
}

static PLACE: OnceLock<OsString> = OnceLock::new();

/// Says where SeaweedFS is, to this process.
pub fn is_at(program: impl Into<OsString>) {
    // The first word counts: all say the same.
    let _ = PLACE.set(program.into());
}

/// Where SeaweedFS is: `cargo xtask` says it, to itself and to others.
fn program() -> OsString {
    let said = PLACE.get().cloned().or_else(|| env::var_os(PROGRAM));
    said.unwrap_or_else(|| "weed".into())
}

/// The variable that names it.
pub const PROGRAM: &str = "GANTRY_TEST_WEED";

fn launch(scratch: &Scratch, ports: &Ports) -> Result<Daemon, String> {
    // It ends when whoever started it does.
    let mut command = Command::new("setpriv");
    command.arg("--pdeathsig=KILL").arg(program());
    let file = |option: &str, name: &str| format!("-{option}={}", scratch.join(name).display());
    command
        .args(["-logtostderr=true", "server", "-filer", "-s3"])
        .args(["-ip=127.0.0.1", "-ip.bind=127.0.0.1"])
        // It would report to its makers.
        .arg("-master.telemetry=false")
        .args(["-volume.max=0", "-master.volumeSizeLimitMB=64"])
        .args(["-s3.port.iceberg=0", "-s3.port.lance=0"])
        .arg(file("dir", "data"))
        .arg(file("filer.localSocket", "filer.sock"))
        .arg(file("s3.localSocket", "s3.sock"));
    if scratch.join("s3.json").exists() {
        command.arg(file("s3.config", "s3.json"));
    }
    for (part, [public, own]) in ports.all() {
        command.arg(format!("-{part}.port={public}"));
        command.arg(format!("-{part}.port.grpc={own}"));
    }
    // It takes half a minute over SIGTERM.
    Daemon::start("weed", command, &scratch.join("log")).map(|daemon| daemon.ended_by("KILL"))
}

/// Signed requests to an endpoint, by curl.
struct S3(String);

impl S3 {
    fn put(&self, path: &str, body: Option<&str>) -> Result<(), String> {
        let cmd = self.curl().words("-X PUT");
        let cmd = match body {
            // This curl signs a body only where it is told what to sign.
            Some(body) => cmd
                .arg("-H")
                .arg("x-amz-content-sha256: UNSIGNED-PAYLOAD")
                .arg("-d")
                .arg(body),
            None => cmd,
        };
        cmd.arg(self.url(path)).run()
    }

    fn delete(&self, path: &str) -> Result<(), String> {
        self.curl()
            // It takes the longer the more there is.
            .words("-X DELETE --max-time 120")
            .arg(self.url(path))
            .run()
    }

    fn get(&self, path: &str) -> Result<(), String> {
        self.curl().arg(self.url(path)).run()
    }

    fn list(&self, bucket: &str, after: &str) -> Result<String, String> {
        let after = after.replace('/', "%2F");
        let query = format!("/{bucket}?list-type=2&max-keys=1000&start-after={after}");
        self.curl().arg(self.url(&query)).text()
    }

    fn curl(&self) -> Cmd {
        Cmd::local("curl")
            .words("-sSf --max-time 10 --aws-sigv4")
            .arg(format!("aws:amz:{REGION}:s3"))
            .arg("--user")
            .arg(format!("{ACCESS_KEY}:{SECRET_KEY}"))
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }
}

/// The keys and sizes in a page of a list.
fn objects_in(page: &str) -> Result<Vec<(String, u64)>, String> {
    let object = |entry: &str| {
        let key = between(entry, "<Key>", "</Key>")?;
        let size = between(entry, "<Size>", "</Size>")?.parse().ok()?;
        Some((key.to_owned(), size))
    };
    page.split("<Contents>")
        .skip(1)
        .map(|entry| object(entry).ok_or(format!("a list has the entry {entry}")))
        .collect()
}

fn between<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    text.split_once(open)?.1.split_once(close).map(|(it, _)| it)
}

#[cfg(test)]
mod tests {
    use super::objects_in;

    #[test]
    fn a_list_is_read_as_keys_and_sizes() {
        let page = "<ListBucketResult><KeyCount>2</KeyCount>\
            <Contents><Key>1/a</Key><ETag>&#34;e&#34;</ETag><Size>5</Size></Contents>\
            <Contents><Key>2/b</Key><Size>0</Size></Contents></ListBucketResult>";
        let expected = [("1/a".to_owned(), 5), ("2/b".to_owned(), 0)];
        assert_eq!(objects_in(page).unwrap(), expected);
        assert!(
            objects_in("<ListBucketResult></ListBucketResult>")
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn one_without_identities_takes_what_anybody_signs() {
        let seaweed = super::Seaweed::open().unwrap();
        assert_eq!(seaweed.objects(), Ok([].into()));
    }

    #[test]
    fn an_entry_without_a_size_is_an_error() {
        assert!(objects_in("<Contents><Key>1/a</Key></Contents>").is_err());
    }
}
