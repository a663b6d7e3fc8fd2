//! `cargo xtask test`: everything that decides whether a change is good, with real parts.

use std::path::{Path, PathBuf};

use crate::cmd::Cmd;
use crate::install::{self, BUILD, Mode, Need, need};
use crate::postgres::Postgres;
use crate::tally::Tally;
use crate::tools::{self, CONFORMANCE, COSIGN, CRANE, HELM_3, HELM_4, ORAS, REGCTL, Tool};
use crate::{clients, conformance, docker_demo, metrics_lint, workspace};

/// Runs all steps, or the one named by `--only`.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let only = only(args)?;
    let mode = Mode::of(args);
    let steps: Vec<&Step> = STEPS
        .iter()
        .filter(|step| only.is_none_or(|only| step.name == only))
        .collect();
    let mut tally = Tally::default();
    let ready = prepare(&steps, mode);
    match ready {
        Err(reason) => tally.fail("preparation", reason),
        Ok(binary) => {
            for step in steps {
                println!("== {}", step.name);
                (step.run)(&mut tally, &binary);
            }
        }
    }
    tally.finish()
}

struct Step {
    name: &'static str,
    /// Debian programs beyond those of the build.
    needs: &'static [Need],
    tools: &'static [Tool],
    run: fn(&mut Tally, &Path),
}

const STEPS: [Step; 7] = [
    Step {
        name: "fmt",
        needs: &[],
        tools: &[],
        run: |tally, _| cargo(tally, "fmt --all --check"),
    },
    Step {
        name: "clippy",
        needs: &[],
        tools: &[],
        run: |tally, _| {
            cargo(tally, "clippy --release --workspace --all-targets -- -D warnings");
        },
    },
    Step {
        name: "cargo-test",
        needs: &[POSTGRES],
        tools: &[],
        run: cargo_test,
    },
    Step {
        name: "docker",
        needs: &[
            IP,
            CURL,
            DOCKER,
            need("debootstrap", "debootstrap", "makes the Debian that docker runs"),
        ],
        tools: &[],
        run: docker_demo::demonstrate,
    },
    Step {
        name: "clients",
        needs: &[
            IP,
            CURL,
            DOCKER,
            need("skopeo", "skopeo", "a client of the matrix"),
            need("podman", "podman", "a client of the matrix"),
            need("buildah", "buildah", "a client of the matrix"),
            need("openssl", "openssl", "makes layers that cannot be compressed"),
        ],
        tools: &[HELM_3, HELM_4, CRANE, ORAS, REGCTL, COSIGN],
        run: |tally, binary| {
            let table = workspace::root().map(|root| root.join("docs/clients.md"));
            match table {
                Ok(table) => clients::matrix(tally, binary, &table),
                Err(reason) => tally.fail("clients", reason),
            }
        },
    },
    Step {
        name: "conformance",
        needs: &[CURL],
        tools: &[CONFORMANCE],
        run: conformance::conform,
    },
    Step {
        name: "metrics",
        needs: &[CURL, need("promtool", "prometheus", "judges the metrics")],
        tools: &[],
        run: |tally, binary| {
            tally.check("promtool check metrics", || metrics_lint::lint(binary));
        },
    },
];

const IP: Need = need("ip", "iproute2", "makes network namespaces");
const CURL: Need = need("curl", "curl", "asks the server's API");
const DOCKER: Need = need("dockerd", "docker.io", "docker and ctr, as clients");
const POSTGRES: Need = need(
    "/usr/lib/postgresql/15/bin/postgres",
    "postgresql-15",
    "the store tests run on it too",
);

/// The word after `--only`, if it names a step.
fn only(args: &[String]) -> Result<Option<&str>, String> {
    let names = || STEPS.map(|step| step.name).join(", ");
    let mut args = args.iter();
    let mut only = None;
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--no-install" => {}
            "--only" => only = args.next().map(String::as_str).or(Some("")),
            other => return Err(format!("test does not know {other}")),
        }
    }
    match only {
        Some(name) if STEPS.iter().all(|step| step.name != name) => {
            Err(format!("--only takes one of: {}", names()))
        }
        only => Ok(only),
    }
}

/// Everything the steps need is there, and the server is built.
fn prepare(steps: &[&Step], mode: Mode) -> Result<PathBuf, String> {
    install::ensure(&BUILD, mode)?;
    for step in steps {
        install::ensure(step.needs, mode)?;
        if !step.tools.is_empty() {
            install::ensure(&tools::NEEDS, mode)?;
        }
        for tool in step.tools {
            tool.ensure(mode)?;
        }
    }
    if let Some(binary) = std::env::var_os("GANTRY_BIN") {
        println!("testing {} as it is", binary.display());
        return Ok(PathBuf::from(binary));
    }
    workspace::cargo("build --release --workspace").show()?;
    workspace::binary()
}

fn cargo(tally: &mut Tally, words: &str) {
    let name = format!("cargo {}", words.split(" -- ").next().unwrap_or(words));
    tally.check(&name, || workspace::cargo(words).show().map(|()| String::new()));
}

fn cargo_test(tally: &mut Tally, binary: &Path) {
    tally.check("cargo test --release --workspace", || {
        let postgres = Postgres::start()?;
        workspace::cargo("test --release --workspace")
            .env("GANTRY_BIN", binary)
            .env("GANTRY_TEST_POSTGRES", postgres.url())
            .show()
            .map(|()| String::new())
    });
    let _ = Cmd::new("true");
}
