//! `cargo xtask soak`: what only time and violence show. Each test is a module of its own; `docs/soak.md` says what
//! they prove.

#![expect(clippy::future_not_send, reason = "clients run where they are awaited")]

mod certs;
mod crash;
mod disk;
mod drain;
mod failover;
mod faults;
mod fleet;
mod import;
mod journal;
mod machine;
mod memory;
mod power;
mod race;
mod ready;
mod unread;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use testkit::dice::Dice;
use testkit::gantry::Binary;
use testkit::scratch::Scratch;
use testkit::topology::Topology;

/// What only time and violence show.
#[derive(Parser)]
struct Options {
    /// Default: all; with --short all but failover, import, machine and fleet.
    #[arg(value_enum)]
    tests: Vec<Test>,
    /// A few small rounds that check correctness only.
    #[arg(long)]
    short: bool,
    #[arg(long)]
    rounds: Option<u32>,
    /// How long race takes on each topology, and how long fleet takes.
    #[arg(long)]
    minutes: Option<u32>,
    /// Files or replicas. Default: both.
    #[arg(long)]
    on: Vec<Topology>,
    #[arg(long)]
    seed: Option<u64>,
    /// How many steps machine goes on each topology.
    #[arg(long)]
    steps: Option<u64>,
    /// The step that machine goes on from.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Only the faults whose line holds this text; no document is written then.
    #[arg(long, default_value = "")]
    fault: String,
    /// A binary to test as it is, instead of building one.
    #[arg(long)]
    gantry: Option<String>,
    /// Another build, which fleet runs beside the one to test and exchanges with it.
    #[arg(long)]
    previous: Option<String>,
    /// Where the data goes; memory needs 34 GiB.
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    folder: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Test {
    /// Kill -9 at random moments while 8 clients push and delete (300 rounds).
    Crash,
    /// The same with the disk cut off without a flush; root only (50 rounds).
    Power,
    /// 64 pushes and 64 pulls of 256 MiB at once.
    Memory,
    /// 500 downloads that nobody reads; on files and on PostgreSQL and S3 storage.
    Unread,
    /// Time from start to ready with 100,000 manifests (7 starts).
    Ready,
    /// The certificate replaced under load (3 rounds).
    Certs,
    /// SIGTERM under load (3 rounds).
    Drain,
    /// 16 clients push, mount and delete the same 50 blobs while unreferenced ones are collected (20 minutes).
    Race,
    /// A replica, the database or the storage crashes under an upload of 2 GiB; two writers on one session;
    /// deletions seen from the other replica.
    Failover,
    /// What docker pushed to a docker-registry, folder and bucket, is taken over in place (10,000 tags).
    Import,
    /// Random steps of everything there is, compared with a model (200,000 on each topology).
    Machine,
    /// Two replicas under load for hours, with renewed certificates, hand-overs and kill -9 (60 minutes).
    Fleet,
    /// Store, database, disk and client fail in many ways; writes docs/faults.md; root only.
    Faults,
}

type Run = fn(&mut Soak) -> Result<(), String>;

impl Test {
    /// In the order in which they are run; the last `bool` says whether `--short` has it without its being named.
    const ALL: [(Self, Run, bool); 13] = [
        (Self::Crash, crash::run, true),
        (Self::Power, power::run, true),
        (Self::Memory, memory::run, true),
        (Self::Unread, unread::run, true),
        (Self::Ready, ready::run, true),
        (Self::Certs, certs::run, true),
        (Self::Drain, drain::run, true),
        (Self::Race, race::run, true),
        (Self::Failover, failover::run, false),
        (Self::Import, import::run, false),
        (Self::Machine, machine::run, false),
        (Self::Fleet, fleet::run, false),
        (Self::Faults, faults::run, true),
    ];
}

/// What all tests share.
struct Soak {
    options: Options,
    topologies: Vec<Topology>,
    dice: Dice,
    folder: Scratch,
    binary: Binary,
}

impl Soak {
    fn new(options: Options) -> Result<Self, String> {
        let folder = Scratch::below(&options.folder, "soak")?;
        Ok(Self {
            topologies: Topology::these_or_all(&options.on),
            dice: Dice::new(options.seed),
            binary: Binary::obtain(options.gantry.as_deref(), folder.path())?,
            folder,
            options,
        })
    }

    /// How many rounds to run.
    fn rounds(&self, full: u32, short: u32) -> u32 {
        let usual = if self.options.short { short } else { full };
        self.options.rounds.unwrap_or(usual)
    }
}

fn main() -> ExitCode {
    match run(Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the chosen tests, all of them even if one fails.
fn run(options: Options) -> Result<(), String> {
    let mut soak = Soak::new(options)?;
    eprintln!("soak: {}, seed {}", soak.binary.version(), soak.dice.seed());
    let mut failed = Vec::new();
    for (name, test, usual) in Test::ALL {
        let chosen = match &*soak.options.tests {
            [] => usual || !soak.options.short,
            named => named.contains(&name),
        };
        if !chosen {
            continue;
        }
        let name = format!("{name:?}").to_lowercase();
        eprintln!("soak {name}");
        if let Err(error) = test(&mut soak) {
            eprintln!("soak {name} FAILED: {error}");
            failed.push(name);
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    let (failed, evidence) = (failed.join(", "), soak.folder.keep());
    Err(format!(
        "failed: {failed}; data and journals are left in {}",
        evidence.display()
    ))
}
