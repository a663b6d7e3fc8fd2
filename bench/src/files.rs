//! `cargo xtask bench`: Server with its default settings, on files and SQLite, beside nginx and
//! distribution. How each case is measured stands in `files/`.

mod account;
mod http2;
mod promise;
mod read;
mod start;
mod write;

use std::path::Path;
use std::time::Duration;

use super::case::{BULK, Case, Column, OTHERS, PEAK, REQUESTS, case};
use super::recorder::{Recorder, Subject};
use super::result::Results;
use super::{Bench, Options};
use testkit::daemon::Daemon;
use testkit::gantry::{Binary, Server};
use testkit::meter::Figures;
use testkit::registry::Way;

use super::request::Seed;
use testkit::peer::{Certificate, Kept, Peer};
use testkit::process::Processes;
use testkit::scratch::Scratch;

/// This benchmark.
pub(super) const BENCH: Bench = Bench {
    document: "docs/benchmarks.md",
    cases: CASES,
    preface: promise::PREFACE,
    goals: promise::goals,
    run: run_all,
};

#[rustfmt::skip]
const CASES: &[Case] = &[
    case("manifest", "Manifest GET by tag, 64 connections", REQUESTS),
    case("blob-2k", "Blob GET, 2 KiB, 64 connections", REQUESTS),
    case("blob-100m", "Blob GET, 100 MiB, 4 connections", BULK),
    case("push-disk", "Push of one blob of 1 GiB, on disk", BULK),
    case("push-tmpfs", "Push of one blob of 1 GiB, on tmpfs", BULK),
    case("small", "Small images, 8 clients: POST and PUT per blob", IMAGES),
    case("small-docker", "Small images, 8 clients: HEAD, POST, PATCH and PUT per blob, as docker does", IMAGES),
    case("token", "Token requests, cached credentials, 64 connections", REQUESTS),
    case("login", "docker login with a password not seen before", LOGIN),
    case("start", "Start and idle", START),
    case(http2::PUSH, "Push of one blob of 512 MiB by curl, over HTTP/2 and HTTP/1.1, on tmpfs", BULK),
    case(http2::BLOB, "Blob GET over HTTP/2, 100 MiB, 4 connections, on tmpfs", RATES),
    case(http2::MANIFEST, "Manifest GET by tag over HTTP/2 and HTTP/1.1, 64 connections", RATES),
];

/// What h2load tells.
const RATES: &[Column] = &[
    ("requests/s", "rate"),
    ("MB/s", "mb_per_s"),
    ("CPU s per 1,000", "cpu_per_1000"),
    ("CPU s per GB", "cpu_per_gb"),
    PEAK,
    OTHERS,
];

const IMAGES: &[Column] = &[
    ("images/s", "rate"),
    ("CPU ms each", "cpu_per_1000"),
    ("p50 ms", "p50_ms"),
    ("p99 ms", "p99_ms"),
    PEAK,
    OTHERS,
];

const LOGIN: &[Column] = &[
    ("requests/s", "rate"),
    ("CPU s per 1,000", "cpu_per_1000"),
    ("p50 ms", "p50_ms"),
    ("p99 ms", "p99_ms"),
    ("p99 ms of a probe meanwhile", "probe_p99_ms"),
    PEAK,
    OTHERS,
];

const START: &[Column] = &[
    ("ready ms", "ready_ms"),
    ("idle MiB", "idle_mib"),
    ("MiB after the load above", "after_load_mib"),
];

/// How much of each is done.
#[derive(Clone, Copy)]
struct Scale {
    seconds: u32,
    large_blob: u64,
    push: u64,
    http2_push: u64,
    images: usize,
    peer_images: usize,
    logins: usize,
    settle: Duration,
}

impl Scale {
    const FULL: Self = Self {
        seconds: 5,
        large_blob: 100 << 20,
        push: 1 << 30,
        http2_push: 512 << 20,
        images: 1000,
        peer_images: 300,
        logins: 12,
        settle: Duration::from_secs(5),
    };
    const SHORT: Self = Self {
        seconds: 1,
        large_blob: 8 << 20,
        push: 32 << 20,
        http2_push: 16 << 20,
        images: 40,
        peer_images: 24,
        logins: 3,
        settle: Duration::from_millis(500),
    };
}

struct Run<'a> {
    options: &'a Options,
    scale: Scale,
    folder: Scratch,
    binary: Binary,
    certificate: Certificate,
    recorder: Recorder<'a>,
}

/// Runs the chosen cases.
fn run_all(options: &Options) -> Result<Results, String> {
    let folder = Scratch::new("bench")?;
    let mut run = Run {
        options,
        scale: if options.short {
            Scale::SHORT
        } else {
            Scale::FULL
        },
        binary: Binary::obtain(options.gantry.as_deref(), folder.path())?,
        certificate: Certificate::make(folder.path())?,
        folder,
        recorder: Recorder::new(options),
    };
    run.standing()?;
    let disk = run.folder.path().to_owned();
    run.push("push-disk", &disk)?;
    run.push("push-tmpfs", Path::new("/dev/shm"))?;
    run.start()?;
    run.http2()?;
    Ok(run.recorder.results)
}

/// The three servers that stand through all cases that do not need fresh ones.
struct Trio {
    gantry: Server,
    nginx: Peer,
    registry: Peer,
}

impl Run<'_> {
    fn standing(&mut self) -> Result<(), String> {
        let fresh = [
            "push-disk",
            "push-tmpfs",
            http2::PUSH,
            http2::BLOB,
            http2::MANIFEST,
        ];
        let mut standing = CASES.iter().filter(|case| !fresh.contains(&case.name));
        if !standing.any(|case| self.options.wants(case.name)) {
            return Ok(());
        }
        let root = self.folder.join("static");
        std::fs::create_dir_all(&root).map_err(|e| e.to_string())?;
        let trio = self.trio(&root)?;
        let large = Seed::Blob(self.scale.large_blob);
        self.read("manifest", &trio, Seed::Manifest, 64, &root)?;
        self.read("blob-2k", &trio, Seed::Blob(2048), 64, &root)?;
        self.read("blob-100m", &trio, large, 4, &root)?;
        self.small("small", &trio, Way::Put, false)?;
        self.small("small-docker", &trio, Way::Patch, true)?;
        self.token(&trio)?;
        self.login(&trio)?;
        self.after_load(&trio);
        Ok(())
    }

    fn trio(&self, root: &Path) -> Result<Trio, String> {
        let folder = self.folder.path();
        let data = self.folder.join("registry-data");
        Ok(Trio {
            gantry: Server::start(&self.binary, &self.folder.join("gantry-data"))?,
            nginx: Peer::nginx(&self.certificate, folder, root)?,
            registry: Peer::distribution(&self.certificate, folder, Kept::Files(&data))?,
        })
    }

    /// Runs one measurement of a server that stands on nothing else.
    fn measure(
        &mut self,
        case: &'static str,
        server: &'static str,
        process: &Daemon,
        round: u32,
        work: impl Fn(&Processes) -> Result<Figures, String>,
    ) -> Result<(), String> {
        let processes = process.processes();
        let subject = Subject {
            case,
            server,
            round,
            processes: &processes,
            behind: &Processes::default(),
        };
        self.recorder.take(&subject, || work(&processes))
    }
}
