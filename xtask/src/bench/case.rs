//! What is measured, and how: one function per group of cases, all servers in alternating order.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::Options;
use super::folder::Folder;
use super::gantry::{Binary, Gantry};
use super::load::{Figures, Load, Target, succeed, word_of};
use super::peer::{Certificate, Kept, Peer};
use super::process::Server;
use super::result::Results;

/// One thing that is measured.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// What the document says about it.
    pub(crate) title: &'static str,
    pub(crate) kind: Kind,
}

/// Which figures of a case tell something.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    /// Requests: rate, CPU per 1,000, latencies.
    Requests,
    /// Bulk: MB/s, CPU per GB.
    Bulk,
    /// Images: rate, CPU ms each, latencies.
    Images,
    /// Times and sizes that are named in the table.
    Start,
}

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "manifest",
        title: "Manifest GET by tag, 64 connections",
        kind: Kind::Requests,
    },
    Case {
        name: "blob-2k",
        title: "Blob GET, 2 KiB, 64 connections",
        kind: Kind::Requests,
    },
    Case {
        name: "blob-100m",
        title: "Blob GET, 100 MiB, 4 connections",
        kind: Kind::Bulk,
    },
    Case {
        name: "push-disk",
        title: "Push of one blob of 1 GiB, on disk",
        kind: Kind::Bulk,
    },
    Case {
        name: "push-tmpfs",
        title: "Push of one blob of 1 GiB, on tmpfs",
        kind: Kind::Bulk,
    },
    Case {
        name: "small",
        title: "Small images, 8 clients: POST and PUT per blob",
        kind: Kind::Images,
    },
    Case {
        name: "small-docker",
        title: "Small images, 8 clients: HEAD, POST, PATCH and PUT per blob, as docker does",
        kind: Kind::Images,
    },
    Case {
        name: "token",
        title: "Token requests, cached credentials, 64 connections",
        kind: Kind::Requests,
    },
    Case {
        name: "login",
        title: "docker login with a password not seen before",
        kind: Kind::Requests,
    },
    Case {
        name: "start",
        title: "Start and idle",
        kind: Kind::Start,
    },
];

/// How much of each is done.
#[derive(Clone, Copy)]
pub(crate) struct Scale {
    seconds: u32,
    large_blob: &'static str,
    push: &'static str,
    images: u32,
    peer_images: u32,
    logins: u32,
    settle: Duration,
}

impl Scale {
    pub(crate) const FULL: Self = Self {
        seconds: 5,
        large_blob: "100M",
        push: "1G",
        images: 1000,
        peer_images: 300,
        logins: 12,
        settle: Duration::from_secs(5),
    };
    pub(crate) const SHORT: Self = Self {
        seconds: 1,
        large_blob: "8M",
        push: "32M",
        images: 40,
        peer_images: 24,
        logins: 3,
        settle: Duration::from_millis(500),
    };
}

struct Run<'a> {
    options: &'a Options,
    scale: Scale,
    folder: Folder,
    load: Load,
    binary: Binary,
    certificate: Certificate,
    results: Results,
}

/// Runs the chosen cases.
pub(crate) fn run_all(options: &Options) -> Result<Results, String> {
    let folder = Folder::temporary("bench")?;
    let mut run = Run {
        options,
        scale: options.scale(),
        load: Load::build(folder.path())?,
        binary: Binary::obtain(options.gantry.as_deref(), folder.path())?,
        certificate: Certificate::make(folder.path())?,
        folder,
        results: Results::default(),
    };
    run.standing()?;
    let disk = run.folder.path().to_owned();
    run.push("push-disk", &disk)?;
    run.push("push-tmpfs", Path::new("/dev/shm"))?;
    run.start()?;
    Ok(run.results)
}

/// The three servers that stand through all cases that do not need fresh ones.
struct Trio {
    gantry: Gantry,
    nginx: Peer,
    registry: Peer,
}

/// What wrk asks one server for.
struct Request {
    path: String,
    headers: Vec<String>,
}

impl Run<'_> {
    fn standing(&mut self) -> Result<(), String> {
        let cases = [
            "manifest",
            "blob-2k",
            "blob-100m",
            "small",
            "small-docker",
            "token",
            "login",
            "start",
        ];
        if !cases.iter().any(|case| self.options.wants(case)) {
            return Ok(());
        }
        let root = self.folder.join("static");
        std::fs::create_dir_all(&root).map_err(|e| e.to_string())?;
        let trio = Trio {
            gantry: Gantry::start(&self.binary, &self.folder.join("gantry-data"))?,
            nginx: Peer::nginx(&self.certificate, self.folder.path(), &root)?,
            registry: Peer::docker_registry(
                &self.certificate,
                self.folder.path(),
                Kept::Files(&self.folder.join("registry-data")),
            )?,
        };
        self.read(
            "manifest",
            &trio,
            &["-tag", "bench", "-padding", "1600"],
            64,
            &root,
        )?;
        self.read("blob-2k", &trio, &["-size", "2K"], 64, &root)?;
        self.read(
            "blob-100m",
            &trio,
            &["-size", self.scale.large_blob],
            4,
            &root,
        )?;
        self.small("small", &trio, &["-way", "put"])?;
        self.small("small-docker", &trio, &["-way", "patch", "-head"])?;
        self.token(&trio)?;
        self.login(&trio)?;
        if self.options.wants("start") {
            sleep(self.scale.settle);
            let figures = Figures::from([(
                "after_load_mib".to_owned(),
                trio.gantry.server.resident_mib(),
            )]);
            self.results.add("start", "gantry", figures);
        }
        Ok(())
    }

    fn read(
        &mut self,
        case: &'static str,
        trio: &Trio,
        seed: &[&str],
        connections: u32,
        root: &Path,
    ) -> Result<(), String> {
        if !self.options.wants(case) {
            return Ok(());
        }
        let file = root.join(case);
        let gantry = self.seed(case, &trio.gantry.target, seed, None)?;
        let registry = self.seed(case, &trio.registry.target, seed, Some(&file))?;
        let nginx = Request {
            path: format!("{}/{case}", trio.nginx.target.url),
            headers: Vec::new(),
        };
        let plan = [
            ("gantry", &trio.gantry.server, gantry),
            ("nginx", &trio.nginx.server, nginx),
            ("docker-registry", &trio.registry.server, registry),
        ];
        for (_, server, request) in &plan {
            self.load
                .wrk(server, &request.path, &request.headers, connections, 1)?;
        }
        for round in 0..self.options.rounds {
            for index in rotated(plan.len(), round) {
                let (name, server, request) = &plan[index];
                self.measure(case, name, server, round, |run| {
                    run.load.wrk(
                        server,
                        &request.path,
                        &request.headers,
                        connections,
                        run.scale.seconds,
                    )
                })?;
            }
        }
        Ok(())
    }

    /// Pushes what will be read and returns the request for it.
    fn seed(
        &self,
        case: &str,
        target: &Target,
        seed: &[&str],
        out: Option<&Path>,
    ) -> Result<Request, String> {
        let repository = format!("bench/{case}");
        let mut args: Vec<&str> = vec!["seed", "-repository", &repository];
        args.extend(seed);
        let out = out.map(|path| path.display().to_string());
        if let Some(out) = &out {
            args.extend(["-out", out]);
        }
        let text = succeed(&mut self.load.command(target, None, &args))?;
        let digest = word_of(&text, "digest").ok_or("the load client named no digest")?;
        let path = if seed.contains(&"-tag") {
            "manifests/bench".to_owned()
        } else {
            format!("blobs/{digest}")
        };
        let mut headers = vec!["Accept: application/vnd.oci.image.manifest.v1+json".to_owned()];
        let authorization = word_of(&text, "authorization").filter(|value| !value.is_empty());
        headers.extend(authorization.map(|value| format!("Authorization: {value}")));
        Ok(Request {
            path: format!("{}/v2/{repository}/{path}", target.url),
            headers,
        })
    }

    fn small(&mut self, case: &'static str, trio: &Trio, form: &[&str]) -> Result<(), String> {
        if !self.options.wants(case) {
            return Ok(());
        }
        let plan = [
            (
                "gantry",
                &trio.gantry.server,
                &trio.gantry.target,
                self.scale.images,
            ),
            (
                "docker-registry",
                &trio.registry.server,
                &trio.registry.target,
                self.scale.peer_images,
            ),
        ];
        for round in 0..self.options.rounds {
            for index in rotated(plan.len(), round) {
                let (name, server, target, count) = plan[index];
                let count = count.to_string();
                let mut args = vec!["small-images", "-clients", "8", "-count", &count];
                args.extend(form);
                settle_disk();
                self.measure(case, name, server, round, |run| {
                    run.load.run(target, Some(server), &args)
                })?;
            }
        }
        Ok(())
    }

    fn token(&mut self, trio: &Trio) -> Result<(), String> {
        if !self.options.wants("token") {
            return Ok(());
        }
        let target = &trio.gantry.target;
        let (user, password) = target.login.as_ref().ok_or("gantry has a login")?;
        let basic = format!(
            "Authorization: Basic {}",
            base64(format!("{user}:{password}").as_bytes())
        );
        let url = format!(
            "{}/service/token?service=harbor-registry&scope=repository:bench/small-0:pull,push",
            target.url
        );
        let headers = [basic];
        self.load.wrk(&trio.gantry.server, &url, &headers, 64, 1)?;
        for round in 0..self.options.rounds {
            self.measure("token", "gantry", &trio.gantry.server, round, |run| {
                run.load
                    .wrk(&trio.gantry.server, &url, &headers, 64, run.scale.seconds)
            })?;
        }
        Ok(())
    }

    fn login(&mut self, trio: &Trio) -> Result<(), String> {
        if !self.options.wants("login") {
            return Ok(());
        }
        let count = self.scale.logins.to_string();
        for round in 0..self.options.rounds {
            self.measure("login", "gantry", &trio.gantry.server, round, |run| {
                run.load.run(
                    &trio.gantry.target,
                    Some(&trio.gantry.server),
                    &["login", "-count", &count],
                )
            })?;
        }
        Ok(())
    }

    /// Fresh servers in every round: nothing of an earlier push is left on the disk or in memory.
    fn push(&mut self, case: &'static str, parent: &Path) -> Result<(), String> {
        if !self.options.wants(case) {
            return Ok(());
        }
        for round in 0..self.options.rounds {
            for index in rotated(2, round) {
                let data = Folder::below(parent, "push")?;
                settle_disk();
                let args = ["push", "-size", self.scale.push];
                if index == 0 {
                    let gantry = Gantry::start(&self.binary, data.path())?;
                    self.measure(case, "gantry", &gantry.server, round, |run| {
                        run.load.run(&gantry.target, Some(&gantry.server), &args)
                    })?;
                } else {
                    let peer = Peer::docker_registry(
                        &self.certificate,
                        self.folder.path(),
                        Kept::Files(data.path()),
                    )?;
                    self.measure(case, "docker-registry", &peer.server, round, |run| {
                        run.load.run(&peer.target, Some(&peer.server), &args)
                    })?;
                }
            }
        }
        Ok(())
    }

    /// Time from start to ready, and memory of a server that nobody has asked anything.
    fn start(&mut self) -> Result<(), String> {
        if !self.options.wants("start") {
            return Ok(());
        }
        let root = self.folder.join("static");
        let data = self.folder.join("gantry-start");
        // The first start makes the keys; what is timed is a later one.
        Gantry::start(&self.binary, &data)?
            .server
            .stop(Duration::from_secs(20))?;
        for round in 0..self.options.rounds {
            for index in rotated(3, round) {
                let began = Instant::now();
                let (name, server, ready) = match index {
                    0 => {
                        let mut gantry = Gantry::spawn(&self.binary, &data, &[])?;
                        let ready = gantry.wait_ready(Duration::from_secs(60))?;
                        ("gantry", gantry.server, ready)
                    }
                    1 => (
                        "nginx",
                        Peer::nginx(&self.certificate, self.folder.path(), &root)?.server,
                        began.elapsed(),
                    ),
                    _ => {
                        let peer = Peer::docker_registry(
                            &self.certificate,
                            self.folder.path(),
                            Kept::Files(&self.folder.join("registry-start")),
                        )?;
                        ("docker-registry", peer.server, began.elapsed())
                    }
                };
                sleep(self.scale.settle);
                let figures = Figures::from([
                    ("ready_ms".to_owned(), ready.as_secs_f64() * 1000.0),
                    ("idle_mib".to_owned(), server.resident_mib()),
                ]);
                eprintln!(
                    "start {name}: ready {:.0} ms, idle {:.1} MiB",
                    figures["ready_ms"], figures["idle_mib"]
                );
                self.results.add("start", name, figures);
            }
        }
        Ok(())
    }

    /// Runs one measurement and adds what follows from it.
    fn measure(
        &mut self,
        case: &'static str,
        name: &'static str,
        server: &Server,
        round: u32,
        work: impl Fn(&Self) -> Result<Figures, String>,
    ) -> Result<(), String> {
        if self.options.profile && name == "gantry" && round == 0 {
            // A measurement of its own: recording costs time too.
            let profile = Profile::begin(server, case)?;
            work(self)?;
            let top = profile.end()?;
            self.results.add_profile(case, top);
        }
        server.reset_peak();
        let mut figures = work(self)?;
        figures.insert("peak_mib".to_owned(), server.peak_mib());
        derive(&mut figures);
        let of = |key: &str| figures.get(key).copied().unwrap_or(f64::NAN);
        eprintln!(
            "{case} {round} {name}: {:.0}/s, {:.0} MB/s, {:.4} s per 1,000, {:.3} s per GB, p50 {:.2} ms, p99 {:.2} ms, peak {:.0} MiB, others {:.0} %",
            of("rate"),
            of("mb_per_s"),
            of("cpu_per_1000"),
            of("cpu_per_gb"),
            of("p50_ms"),
            of("p99_ms"),
            of("peak_mib"),
            of("foreign") * 100.0
        );
        self.results.add(case, name, figures);
        Ok(())
    }
}

/// CPU per operation and per byte.
fn derive(figures: &mut Figures) {
    let of = |key: &str| figures.get(key).copied();
    let (Some(cpu), Some(operations)) = (of("cpu_s"), of("operations")) else {
        return;
    };
    let bytes = of("bytes").unwrap_or(0.0);
    let rate = of("mb_per_s").or_else(|| Some(bytes / 1e6 / of("seconds")?));
    figures.insert("cpu_per_1000".to_owned(), cpu / operations * 1000.0);
    if bytes > 0.0 {
        figures.insert("cpu_per_gb".to_owned(), cpu / (bytes / 1e9));
    }
    if let Some(rate) = rate {
        figures.insert("mb_per_s".to_owned(), rate);
    }
}

/// The order of a round: everyone is first, second and third in turn.
fn rotated(count: usize, round: u32) -> impl Iterator<Item = usize> {
    (0..count).map(move |index| (index + round as usize) % count)
}

/// What an earlier round left unwritten is not this one's burden.
fn settle_disk() {
    let _ = Command::new("sync").status();
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().enumerate().fold(0u32, |word, (i, byte)| {
            word | u32::from(*byte) << (16 - 8 * i)
        });
        for digit in 0..4 {
            let letter = if digit <= chunk.len() {
                ALPHABET[(word >> (18 - 6 * digit)) as usize & 63]
            } else {
                b'='
            };
            text.push(char::from(letter));
        }
    }
    text
}

/// A recording by perf of one server.
struct Profile {
    recorder: Child,
    data: PathBuf,
    text: PathBuf,
}

impl Profile {
    fn begin(server: &Server, case: &str) -> Result<Self, String> {
        let stem = format!("gantry-profile-{}-{case}", std::process::id());
        let (data, text) = (
            std::env::temp_dir().join(format!("{stem}.data")),
            std::env::temp_dir().join(format!("{stem}.txt")),
        );
        let mut command = Command::new("perf");
        command
            .args([
                "record",
                "-q",
                "-F",
                "499",
                "-p",
                &server.pid().to_string(),
                "-o",
            ])
            .arg(&data);
        let recorder = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let recorder =
            recorder.map_err(|e| format!("cannot run perf (apt-get install linux-perf): {e}"))?;
        sleep(Duration::from_millis(300));
        Ok(Self {
            recorder,
            data,
            text,
        })
    }

    fn end(mut self) -> Result<Vec<String>, String> {
        succeed(
            Command::new("kill")
                .arg("-INT")
                .arg(self.recorder.id().to_string()),
        )?;
        let _ = self.recorder.wait();
        let report = succeed(
            Command::new("perf")
                .args([
                    "report",
                    "--stdio",
                    "--no-children",
                    "--percent-limit",
                    "0.5",
                    "-i",
                ])
                .arg(&self.data),
        )?;
        let top = report.lines().filter_map(top_symbol).take(14).collect();
        std::fs::write(&self.text, report).map_err(|e| e.to_string())?;
        let _ = std::fs::remove_file(&self.data);
        eprintln!("profile: {}", self.text.display());
        Ok(top)
    }
}

/// `    9.50%  thread  object  [.] symbol` as `9.5 % symbol`.
fn top_symbol(line: &str) -> Option<String> {
    let (share, rest) = line.trim_start().split_once('%')?;
    let share: f64 = share.parse().ok()?;
    let symbol = rest
        .split_once("[.] ")
        .or_else(|| rest.split_once("[k] "))?
        .1;
    Some(format!("{share:.1} % `{}`", symbol.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_perf_becomes_a_share_and_a_symbol() {
        let line =
            "     9.39%  gateway          [kernel.kallsyms]  [k] _raw_spin_unlock_irqrestore    ";
        assert_eq!(
            top_symbol(line).unwrap(),
            "9.4 % `_raw_spin_unlock_irqrestore`"
        );
        assert!(top_symbol("# Overhead  Command").is_none());
    }

    #[test]
    fn base64_pads() {
        assert_eq!(base64(b"a:b"), "YTpi");
        assert_eq!(base64(b"a:"), "YTo=");
        assert_eq!(base64(b"a"), "YQ==");
    }

    #[test]
    fn every_server_is_first_in_turn() {
        assert_eq!(rotated(3, 0).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(rotated(3, 4).collect::<Vec<_>>(), [1, 2, 0]);
    }
}
