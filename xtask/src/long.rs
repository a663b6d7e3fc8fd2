//! `cargo xtask soak` and `cargo xtask bench`: programs of their own, started here when all they need is there.

use testkit::cmd::Cmd;
use testkit::{peer, seaweed, workspace};

use crate::install::{self, CURL, DOCKER, HAPROXY, Mode, Need, OPENSSL, POSTGRES, need};
use crate::tools::{DISTRIBUTION, SEAWEEDFS, Tool};

/// A program of the workspace.
pub(crate) struct Long {
    package: &'static str,
    /// What all its forms need.
    needs: &'static [Need],
    /// Programs that are not Debian's.
    tools: &'static [Tool],
    /// What one form needs besides, which is named, or is one of all where none is.
    more: &'static [(&'static str, &'static [Need])],
}

pub(crate) const SOAK: Long = Long {
    package: "gantry-soak",
    needs: &SOAK_NEEDS,
    tools: &[SEAWEEDFS],
    more: &[
        ("import", &[DOCKER, REGISTRY]),
        ("faults", &[STRACE]),
        ("machine", &[FAKETIME]),
    ],
};

pub(crate) const BENCH: Long = Long {
    package: "gantry-bench",
    needs: &BENCH_NEEDS,
    tools: &BENCH_TOOLS,
    more: &[],
};

/// Of the tests that CI runs.
pub(crate) const SOAK_NEEDS: [Need; 8] = [
    OPENSSL,
    CURL,
    POSTGRES,
    HAPROXY,
    STRACE,
    need("mkfs.ext4", "e2fsprogs", "makes the disk that is cut off"),
    need("mount", "mount", "mounts it"),
    need("python3", "python3", "cuts it off"),
];

pub(crate) const BENCH_TOOLS: [Tool; 2] = [SEAWEEDFS, DISTRIBUTION];

pub(crate) const BENCH_NEEDS: [Need; 9] = [
    OPENSSL,
    CURL,
    POSTGRES,
    HAPROXY,
    need("psql", "postgresql-client-15", "makes many rows"),
    need("sqlite3", "sqlite3", "makes many rows"),
    need("wrk", "wrk", "loads the servers"),
    need("h2load", "nghttp2-client", "loads the servers over HTTP/2"),
    need("nginx", "nginx-light", "a server to compare with"),
];

const STRACE: Need = need("strace", "strace", "lets system calls fail");
const FAKETIME: Need = need("faketime", "faketime", "moves the servers' clock");
const REGISTRY: Need = need(
    "docker-registry",
    "docker-registry",
    "the registry that is taken over",
);

impl Long {
    /// Installs what it needs, unless `--no-install` is among the arguments, and runs it with the others.
    pub(crate) fn run(&self, args: &[String]) -> Result<(), String> {
        let named = |name: &str| args.iter().any(|arg| arg == name);
        let all = !self.more.iter().any(|(name, _)| named(name)) && !named("--short");
        let mut needs = self.needs.to_vec();
        needs.extend(self.tools.iter().flat_map(Tool::needs));
        for (name, more) in self.more {
            if all || named(name) {
                needs.extend_from_slice(more);
            }
        }
        if !named("--help") {
            install::ensure(&needs, Mode::of(args))?;
            for tool in self.tools {
                tool.ensure(Mode::of(args))?;
            }
        }
        let args: Vec<String> = args
            .iter()
            .filter(|arg| *arg != "--no-install")
            .cloned()
            .collect();
        let cargo = workspace::cargo("run --quiet --release --package");
        self.start(cargo.arg(self.package).arg("--"), &args)
    }

    /// Runs what was built in a profile already, where all is there.
    pub(crate) fn start_built(&self, profile: &str, args: &[String]) -> Result<(), String> {
        let program = workspace::program(profile, self.package)?;
        self.start(Cmd::new(program).env(workspace::PROFILE, profile), args)
    }

    fn start(&self, cmd: Cmd, args: &[String]) -> Result<(), String> {
        args.iter()
            .fold(cmd, Cmd::arg)
            .env(seaweed::PROGRAM, SEAWEEDFS.path())
            .env(peer::DISTRIBUTION, DISTRIBUTION.path())
            .limit_secs(LIMIT_SECS)
            .show()
    }
}

/// A week: the longest takes days.
const LIMIT_SECS: u32 = 7 * 24 * 3_600;
