//! `cargo xtask test`: everything that decides whether a change is good, with real parts.

use std::env;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use crate::install::{self, BUILD, CURL, DOCKER, HAPROXY, Mode, Need, OPENSSL, POSTGRES, need};
use crate::tally::Tally;
use crate::tools::{
    CARGO_DENY, CHALLTESTSRV, CONFORMANCE, COSIGN, CRANE, DISTRIBUTION, HELM_3, HELM_4, KUBECTL,
    ORAS, PEBBLE, REGCTL, SEAWEEDFS, SYFT, Tool,
};
use crate::{api_tests, clients, conformance, deploy, docker_demo, long, metrics_lint, run, ui};
use testkit::cmd::Cmd;
use testkit::gantry::Binary;
use testkit::postgres::{Durability, Postgres};
use testkit::seaweed::Seaweed;
use testkit::topology::Topology;
use testkit::{pebble, peer, program, seaweed, workspace};

/// Runs all steps, or the one named by `--only`.
pub(crate) fn test(args: &[String]) -> Result<(), String> {
    let begun = Instant::now();
    let wish = Wish::parse(args)?;
    let steps: Vec<&Step> = STEPS
        .iter()
        .filter(|step| wish.only.is_none_or(|only| step.name == only))
        .collect();
    let (with_server, without): (Vec<_>, Vec<_>) = steps.into_iter().partition(|step| step.server);
    let (beside, alone): (Vec<_>, Vec<_>) = with_server
        .into_iter()
        .partition(|step| step.turn != Turn::Alone);
    install_all(&without, wish.mode);
    let mut tally = Tally::default();
    let mut setting = Setting {
        binary: Binary::at(Path::new("")),
        big: wish.big,
        alone: wish.only.is_some(),
        mode: wish.mode,
    };
    for step in without {
        step.take(&mut tally, &setting);
    }
    if !alone.is_empty() || !beside.is_empty() {
        // What steps need is fetched while something else is waited for.
        let all: Vec<&Step> = alone.iter().chain(&beside).copied().collect();
        let build = Instant::now();
        let built = meanwhile(
            || {
                install_all(&all, wish.mode);
                fetch(&alone, wish.mode);
            },
            server,
        );
        match built {
            Ok(binary) => setting.binary = Binary::at(&binary),
            Err(reason) => {
                tally.fail("build", reason);
                return tally.finish();
            }
        }
        tally.took("build", build.elapsed().as_secs_f32());
    }
    meanwhile(
        || fetch(&beside, wish.mode),
        || {
            for step in &alone {
                step.take(&mut tally, &setting);
            }
        },
    );
    two_by_two(beside, &mut tally, &setting);
    println!("all: {:.0} s", begun.elapsed().as_secs_f32());
    tally.finish()
}

/// Does something beside what takes longer.
fn meanwhile<T>(beside: impl FnOnce() + Send, work: impl FnOnce() -> T) -> T {
    thread::scope(|scope| {
        scope.spawn(beside);
        work()
    })
}

/// Fetches the tools of steps; what cannot be had is said where a step needs it.
fn fetch(steps: &[&Step], mode: Mode) {
    for tool in steps.iter().flat_map(|step| step.tools) {
        let _ = tool.ensure(mode);
    }
}

/// Takes the steps that wait beside those of clients.
fn two_by_two(steps: Vec<&Step>, tally: &mut Tally, setting: &Setting) {
    let (waiting, clients): (Vec<_>, Vec<_>) = steps
        .into_iter()
        .partition(|step| step.turn == Turn::Waiting);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let mut tally = Tally::default();
            for step in waiting {
                step.take(&mut tally, setting);
            }
            tally
        });
        for step in clients {
            step.take(tally, setting);
        }
        match waiting.join() {
            Ok(waiting) => tally.add(waiting),
            Err(_) => tally.fail("soak, bench", "it panicked".to_owned()),
        }
    });
}

/// What the steps are given.
struct Setting {
    /// The server under test.
    binary: Binary,
    /// Whether the 2 GiB layers are wanted.
    big: bool,
    /// Whether this is the only step.
    alone: bool,
    mode: Mode,
}

struct Step {
    name: &'static str,
    /// Whether it starts the server.
    server: bool,
    turn: Turn,
    /// Debian programs beyond those of the build.
    needs: &'static [Need],
    tools: &'static [Tool],
    run: fn(&mut Tally, &Setting),
}

/// What else runs while a step does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// Nothing: it has work for both cores.
    Alone,
    /// A waiting step, and no other one of clients: they share docker, and the CAs that this machine trusts.
    Clients,
    /// A step of clients. Its own time is mostly that of disks, clocks and clients that stop reading; no figure is taken.
    Waiting,
}

impl Step {
    const fn turn(self, turn: Turn) -> Self {
        Self { turn, ..self }
    }
}

const fn step(
    name: &'static str,
    server: bool,
    needs: &'static [Need],
    tools: &'static [Tool],
    run: fn(&mut Tally, &Setting),
) -> Step {
    Step {
        name,
        server,
        turn: Turn::Alone,
        needs,
        tools,
        run,
    }
}

const STEPS: [Step; 15] = [
    step("fmt", false, &[], &[], |tally, _| {
        tally.check("cargo fmt", || {
            let done = workspace::cargo("fmt --all --check").show();
            done.map(|()| String::new())
        });
    }),
    step("deny", false, &[], &[CARGO_DENY], |tally, _| {
        tally.check("cargo deny", || {
            // The database of advisories is a repository of its own, which cannot be fetched everywhere.
            Cmd::new(CARGO_DENY.path())
                .words("--locked --color never check licenses bans sources")
                .folder(workspace::root()?)
                .text()
                .map(|_| String::new())
        });
    }),
    step(
        "cargo-test",
        true,
        &[
            CURL,
            POSTGRES,
            HAPROXY,
            need(
                "sqlite3",
                "sqlite3",
                "changes the audit log behind the server's back",
            ),
            need("faketime", "faketime", "lets a server live at another time"),
            need("pgbouncer", "pgbouncer", "a pooler in front of PostgreSQL"),
            need("slapd", "slapd", "is the directory by which people sign in"),
            need("ldapmodify", "ldap-utils", "changes it"),
            need(
                "rsyslogd",
                "rsyslog rsyslog-openssl",
                "is a collector of the audit log",
            ),
            need("samba", "samba-ad-dc", "is an Active Directory"),
            need(
                "samba-tool",
                "samba-ad-provision samba-dsdb-modules winbind",
                "makes its domain",
            ),
            need("ip", "iproute2", "gives it ports of its own"),
            need("setpriv", "util-linux", "runs it as another user"),
            need(
                "node",
                "nodejs",
                "runs the OIDC provider by which people sign in",
            ),
            need("npm", "npm", "fetches it"),
        ],
        &[SEAWEEDFS, DISTRIBUTION, PEBBLE, CHALLTESTSRV],
        cargo_test,
    ),
    step("run", true, &[CURL], &[], |tally, setting| {
        tally.check("cargo xtask run", || run::check(&setting.binary));
    }),
    step(
        "docker",
        true,
        &[
            IP,
            CURL,
            DOCKER,
            need(
                "debootstrap",
                "debootstrap",
                "makes the Debian that docker runs",
            ),
        ],
        &[],
        |tally, setting| docker_demo::demonstrate(tally, &setting.binary),
    )
    .turn(Turn::Clients),
    step(
        "clients",
        true,
        &CLIENTS,
        &[HELM_3, HELM_4, CRANE, ORAS, REGCTL, COSIGN],
        |tally, setting| {
            let table = workspace::root().map(|root| root.join("docs/clients.md"));
            match table {
                Ok(table) => clients::matrix(
                    tally,
                    &setting.binary,
                    Topology::Files,
                    setting.big,
                    Some(&table),
                ),
                Err(reason) => tally.fail("clients", reason),
            }
        },
    )
    .turn(Turn::Clients),
    step(
        "clients-replicas",
        true,
        &CLIENTS_ON_REPLICAS,
        &[HELM_3, HELM_4, CRANE, ORAS, REGCTL, COSIGN, SEAWEEDFS],
        |tally, setting| {
            // A run of all steps has pushed 2 GiB already.
            let big = setting.big && setting.alone;
            clients::matrix(tally, &setting.binary, Topology::Replicas, big, None);
        },
    )
    .turn(Turn::Clients),
    step(
        "conformance",
        true,
        &[CURL],
        &[CONFORMANCE],
        |tally, setting| conformance::conform(tally, &setting.binary, Topology::Files),
    )
    .turn(Turn::Clients),
    step(
        "conformance-replicas",
        true,
        &[CURL, POSTGRES, HAPROXY],
        &[CONFORMANCE, SEAWEEDFS],
        |tally, setting| conformance::conform(tally, &setting.binary, Topology::Replicas),
    )
    .turn(Turn::Clients),
    step("api", true, &api_tests::NEEDS, &[], |tally, setting| {
        api_tests::check(tally, &setting.binary);
    })
    .turn(Turn::Clients),
    step(
        "metrics",
        true,
        &[CURL, need("promtool", "prometheus", "judges the metrics")],
        &[],
        |tally, setting| {
            let lint = || metrics_lint::lint(&setting.binary);
            tally.check("promtool check metrics", lint);
        },
    )
    .turn(Turn::Clients),
    step("ui", true, &ui::NEEDS, &[], |tally, setting| {
        ui::check(tally, &setting.binary);
    }),
    step(
        "deploy",
        true,
        &[
            CURL,
            DOCKER,
            POSTGRES,
            HAPROXY,
            need(
                "docker-compose",
                "docker-compose",
                "starts the compose files",
            ),
            need("prometheus", "prometheus", "tries alerts and dashboard"),
            need("promtool", "prometheus", "tries the alerts"),
            need("go", "golang-go", "fetches schemas of custom resources"),
            need("pip3", "python3-pip", "fetches schemas of Kubernetes"),
            need("dpkg-shlibdeps", "dpkg-dev", "makes the Debian package"),
            need("debootstrap", "debootstrap", "makes the Debian for it"),
            need(
                "systemd-nspawn",
                "systemd-container",
                "starts systemd there",
            ),
            need("systemd-analyze", "systemd", "judges the unit"),
        ],
        &[SEAWEEDFS, HELM_4, KUBECTL, SYFT],
        |tally, setting| deploy::check(tally, &setting.binary),
    )
    .turn(Turn::Clients),
    step(
        "soak",
        true,
        &long::SOAK_NEEDS,
        &[SEAWEEDFS],
        |tally, setting| {
            tally.check("cargo xtask soak --short", || {
                long::SOAK
                    .start_built(PROFILE, &short("", setting))
                    .map(|()| String::new())
            });
        },
    )
    .turn(Turn::Waiting),
    step(
        "bench",
        true,
        &long::BENCH_NEEDS,
        &long::BENCH_TOOLS,
        benches,
    )
    .turn(Turn::Waiting),
];

/// Two at a time, for no figure is claimed and each waits for its disk and its clients. Those that fill large databases, and the
/// one with S3 storage, are of `cargo xtask full` alone.
fn benches(tally: &mut Tally, setting: &Setting) {
    thread::scope(|scope| {
        let others = scope.spawn(|| benches_in_turn(&["gc"], setting));
        tally.add(benches_in_turn(&[""], setting));
        match others.join() {
            Ok(others) => tally.add(others),
            Err(_) => tally.fail("bench", "it panicked".to_owned()),
        }
    });
}

fn benches_in_turn(commands: &[&str], setting: &Setting) -> Tally {
    let mut tally = Tally::default();
    for command in commands {
        let name = format!("cargo xtask bench {command} --short");
        tally.check(&name.replace("  ", " "), || {
            let done = long::BENCH.start_built(PROFILE, &short(command, setting));
            done.map(|()| String::new())
        });
    }
    tally
}

/// The short form of a long test, which checks that things are right and never how fast.
fn short(command: &str, setting: &Setting) -> Vec<String> {
    let binary = setting.binary.path().display().to_string();
    let words = command.split_whitespace().map(str::to_owned);
    let options = ["--short".to_owned(), "--gantry".to_owned(), binary];
    words.chain(options).collect()
}

const IP: Need = need("ip", "iproute2", "makes network namespaces");
const SKOPEO: Need = need("skopeo", "skopeo", "a client of the matrix");
const PODMAN: Need = need("podman", "podman", "a client of the matrix");
const BUILDAH: Need = need("buildah", "buildah", "a client of the matrix");
const CLIENTS: [Need; 7] = [IP, CURL, DOCKER, SKOPEO, PODMAN, BUILDAH, OPENSSL];
const CLIENTS_ON_REPLICAS: [Need; 9] = [
    IP, CURL, DOCKER, SKOPEO, PODMAN, BUILDAH, OPENSSL, POSTGRES, HAPROXY,
];

/// What the command line asks for.
struct Wish<'a> {
    only: Option<&'a str>,
    mode: Mode,
    big: bool,
}

impl<'a> Wish<'a> {
    fn parse(args: &'a [String]) -> Result<Self, String> {
        let mut wish = Wish {
            only: None,
            mode: Mode::of(args),
            big: true,
        };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--no-install" => {}
                "--no-big" => wish.big = false,
                "--only" => wish.only = Some(step_named(args.next())?),
                other => return Err(format!("test does not know {other}")),
            }
        }
        Ok(wish)
    }
}

fn step_named(name: Option<&String>) -> Result<&'static str, String> {
    let names = STEPS.map(|step| step.name);
    let known = names
        .iter()
        .find(|known| Some(**known) == name.map(String::as_str));
    known
        .copied()
        .ok_or(format!("--only takes one of: {}", names.join(", ")))
}

/// Installs what all steps need at once; what could not be had fails the steps that need it later.
fn install_all(steps: &[&Step], mode: Mode) {
    let mut needs = BUILD.to_vec();
    for step in steps {
        needs.extend(step.needs());
    }
    needs.sort_by_key(|need| need.program);
    needs.dedup_by_key(|need| need.program);
    if let Err(reason) = install::ensure(&needs, mode) {
        println!("{reason}");
    }
}

impl Step {
    fn needs(&self) -> Vec<Need> {
        let mut needs = self.needs.to_vec();
        needs.extend(self.tools.iter().flat_map(Tool::needs));
        needs
    }

    /// Runs the step. A tool that cannot be had fails by itself and in what the step does with it.
    fn take(&self, tally: &mut Tally, setting: &Setting) {
        println!("== {}", self.name);
        if let Err(reason) = install::ensure(&self.needs(), Mode::Ask) {
            return tally.fail(self.name, reason);
        }
        for tool in self.tools {
            if let Err(reason) = tool.ensure(setting.mode) {
                tally.fail(&format!("{} {}", tool.name, tool.version), reason);
            }
        }
        (self.run)(tally, setting);
    }
}

/// The profile in which the tests are built, and the server that they try: see `Cargo.toml`.
const PROFILE: &str = "ci";

/// The server to test: the one named by the environment, else the one built now. Everything is built at once, with all
/// features that any of it needs, so that nothing is built twice.
fn server() -> Result<PathBuf, String> {
    if let Some(binary) = env::var_os("GANTRY_BIN") {
        println!("testing {} as it is", binary.display());
        return Ok(PathBuf::from(binary));
    }
    if program::find(CLIPPY).is_none() {
        return Err(format!(
            "{CLIPPY} is missing, by which everything is built here: rustup component add clippy"
        ));
    }
    linted("build --profile ci --workspace --all-targets").show()?;
    workspace::program(PROFILE, "gantry")
}

/// Clippy in place of the compiler.
const CLIPPY: &str = "clippy-driver";

/// A command of cargo that builds with clippy in place of the compiler, which it contains: a build apart for the lints took
/// eight minutes, most of them for dependencies. What clippy says ends the build.
fn linted(words: &str) -> Cmd {
    workspace::cargo(words)
        .env("RUSTC_WORKSPACE_WRAPPER", CLIPPY)
        .env("CLIPPY_ARGS", "-D__CLIPPY_HACKERY__warnings")
}

/// Tests that run at once: most of them wait for a server, a disk or a clock.
const TESTS_AT_ONCE: &str = "4";

fn cargo_test(tally: &mut Tally, setting: &Setting) {
    tally.check("the OIDC provider", || {
        Cmd::new("npm")
            .words("ci --ignore-scripts --silent")
            .folder(workspace::root()?.join("testkit/oidc"))
            .run()
            .map(|()| String::new())
    });
    tally.check("cargo test --workspace", || {
        let postgres = Postgres::start(Durability::Fast)?;
        let seaweed = Seaweed::start()?;
        linted("test --profile ci --workspace --no-fail-fast")
            .env(workspace::PROFILE, PROFILE)
            .env("RUST_TEST_THREADS", TESTS_AT_ONCE)
            .env("GANTRY_BIN", setting.binary.path())
            .env("GANTRY_TEST_POSTGRES", postgres.url())
            .env("GANTRY_TEST_S3", seaweed.test_url())
            .env(seaweed::PROGRAM, SEAWEEDFS.path())
            .env(peer::DISTRIBUTION, DISTRIBUTION.path())
            .env(pebble::PEBBLE, PEBBLE.path())
            .env(pebble::CHALLTESTSRV, CHALLTESTSRV.path())
            .show()
            .map(|()| String::new())
    });
}
