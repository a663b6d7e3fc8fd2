//! `cargo xtask soak`: what only time and violence show. Each test is a module of its own below `soak/`;
//! `docs/soak.md` says what they prove.

mod certs;
mod crash;
mod dice;
mod disk;
mod drain;
mod failover;
mod faults;
mod import;
mod machine;
mod memory;
mod power;
mod race;
mod ready;
mod unread;

use std::path::PathBuf;

use crate::bench::folder::Folder;
use crate::bench::gantry::Binary;
use crate::bench::load::Load;
use crate::bench::require;
use crate::install::{Mode, Need, need};
use crate::topology::Topology;
use dice::Dice;

/// Programs a run needs, and the Debian packages they come in.
pub(crate) const NEEDED: &[(&str, &str)] = &[
    ("go", "golang-go"),
    ("python3", "python3"),
    ("mkfs.ext4", "e2fsprogs"),
    ("mount", "mount"),
    ("openssl", "openssl"),
];

/// What PostgreSQL and SeaweedFS take beyond that.
const REPLICA_NEEDS: [Need; 2] = [
    need("curl", "curl", "asks the S3 server"),
    need(
        "/usr/lib/postgresql/15/bin/postgres",
        "postgresql-15",
        "the replicas run on it",
    ),
];

const HELP: &str = "usage: cargo xtask soak [TEST]... [--short] [--rounds N] [--minutes N] [--on TOPOLOGY] [--seed N]
                        [--steps N] [--from STEP] [--fault TEXT] [--gantry BINARY] [--folder DIR] [--no-install]
tests (default: all)
  crash    kill -9 at random moments while 8 clients push and delete (300 rounds)
  power    the same with the disk cut off without a flush; root only (50 rounds)
  memory   64 pushes and 64 pulls of 256 MiB at once
  unread   500 downloads that nobody reads; on files and on PostgreSQL and S3 storage, unless --on names one
           of them
  ready    time from start to ready with 100,000 manifests (7 starts)
  certs    the certificate replaced under load (3 rounds)
  drain    SIGTERM under load (3 rounds)
  race     16 clients push, mount and delete the same 50 blobs while what nobody refers to is collected
           (20 minutes); on files and on replicas, unless --on names one of them
  failover a replica, the database or the storage crashes under an upload of 2 GiB; two writers on one session;
           deletions seen from the other replica. Not part of --short unless named
  import   what docker pushed to a docker-registry, folder and bucket, is taken over in place (10,000 tags). Not
           part of --short unless named; --on files is the folder, --on replicas the bucket
  machine  random steps of everything there is, compared with a model (200,000 on each topology); says how far it
           came, and goes on with the same --seed and --from STEP. Not part of --short unless named
  faults   store, database, disk and client fail in many ways; writes docs/faults.md; root only
  --short  a few small rounds that check correctness only
  --fault TEXT only the faults whose line holds this text; no document is written then
  --minutes N  how long race takes on each topology
  --steps N --from STEP  how many steps machine goes on each topology, and from which on
  --folder where the data goes (default: the system's temporary folder; memory needs 34 GiB)";

/// What all tests share.
pub(crate) struct Soak {
    short: bool,
    rounds: Option<u32>,
    minutes: Option<u32>,
    steps: Option<u64>,
    /// The step that random walks go on from.
    from: u64,
    topologies: Vec<Topology>,
    /// A text that faults have to hold to be done.
    fault: String,
    /// Whether SeaweedFS may be installed.
    mode: Mode,
    dice: Dice,
    folder: Folder,
    load: Load,
    binary: Binary,
}

type Test = fn(&mut Soak) -> Result<(), String>;

const TESTS: &[(&str, Test)] = &[
    ("crash", crash::run),
    ("power", power::run),
    ("memory", memory::run),
    ("unread", unread::run),
    ("ready", ready::run),
    ("certs", certs::run),
    ("drain", drain::run),
    ("race", race::run),
    ("failover", failover::run),
    ("import", import::run),
    ("machine", machine::run),
    ("faults", faults::run),
];

/// What `--short` leaves out unless it is named: it takes longer than the others.
const NAMED_ONLY: &[&str] = &["failover", "import", "machine"];

/// Runs the chosen tests, all of them even if one fails.
///
/// # Errors
/// A program is missing, or a test found a promise broken.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let (mut chosen, mut short, mut rounds, mut seed, mut gantry, mut parent) =
        (Vec::new(), false, None, None, None, std::env::temp_dir());
    let (mut minutes, mut topologies, mut fault) = (None, Vec::new(), String::new());
    let (mut steps, mut from) = (None, 0);
    let mut words = args.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().cloned().ok_or(format!("{word} needs a value"));
        match word.as_str() {
            "--help" => {
                eprintln!("{HELP}");
                return Ok(());
            }
            "--short" => short = true,
            "--rounds" => rounds = Some(value()?.parse().map_err(|e| format!("--rounds: {e}"))?),
            "--minutes" => {
                minutes = Some(value()?.parse().map_err(|e| format!("--minutes: {e}"))?);
            }
            "--steps" => steps = Some(value()?.parse().map_err(|e| format!("--steps: {e}"))?),
            "--from" => from = value()?.parse().map_err(|e| format!("--from: {e}"))?,
            "--on" => topologies.push(value()?.parse()?),
            "--fault" => fault = value()?,
            "--no-install" => {}
            "--seed" => seed = Some(value()?.parse().map_err(|e| format!("--seed: {e}"))?),
            "--gantry" => gantry = Some(value()?),
            "--folder" => parent = PathBuf::from(value()?),
            "all" => chosen.extend(TESTS),
            name => chosen.push(
                TESTS
                    .iter()
                    .find(|(known, _)| *known == name)
                    .ok_or(format!("unknown test {name}\n{HELP}"))?,
            ),
        }
    }
    if chosen.is_empty() {
        let usual = |(name, _): &&(&str, Test)| !(short && NAMED_ONLY.contains(name));
        chosen.extend(TESTS.iter().filter(usual));
    }
    if topologies.is_empty() {
        topologies.extend(Topology::ALL);
    }
    require(NEEDED)?;
    let folder = Folder::below(&parent, "soak")?;
    let load = Load::build(folder.path())?;
    let binary = Binary::obtain(gantry.as_deref(), folder.path())?;
    let mut soak = Soak {
        short,
        rounds,
        minutes,
        steps,
        from,
        topologies,
        fault,
        mode: Mode::of(args),
        dice: Dice::new(seed),
        folder,
        load,
        binary,
    };
    eprintln!("soak: {}, seed {}", soak.binary.version(), soak.dice.seed());
    let mut failed = Vec::new();
    for (name, test) in chosen {
        eprintln!("soak {name}");
        if let Err(error) = test(&mut soak) {
            eprintln!("soak {name} FAILED: {error}");
            failed.push(*name);
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    let evidence = soak.folder.keep();
    Err(format!(
        "failed: {}; data and journals are left in {}",
        failed.join(", "),
        evidence.display()
    ))
}

impl Soak {
    /// How many rounds to run.
    fn rounds(&self, full: u32, short: u32) -> u32 {
        self.rounds.unwrap_or(if self.short { short } else { full })
    }
}
