//! `cargo xtask bench`: Gantry beside other servers in one run on loopback, alternating. `bench/files.rs`
//! has the cases on files and SQLite, `bench/s3.rs` those on PostgreSQL and S3 storage. `bench scale` and
//! `bench gc` are of Gantry alone, and commands of their own.

mod case;
mod files;
pub(crate) mod folder;
pub(crate) mod gantry;
mod gc;
pub(crate) mod load;
mod paper;
pub(crate) mod peer;
pub(crate) mod process;
mod profile;
mod recorder;
mod report;
mod request;
mod result;
mod s3;
mod scale;
mod stage;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use case::Case;
use report::Goal;
use result::Results;

use crate::install::Mode;
use crate::workspace;

/// Programs a run needs, and the Debian packages they come in.
pub(crate) const NEEDED: &[(&str, &str)] = &[
    ("nginx", "nginx-light"),
    ("docker-registry", "docker-registry"),
    ("wrk", "wrk"),
    ("openssl", "openssl"),
    ("go", "golang-go"),
];

const HELP: &str = "usage: cargo xtask bench [s3] [--rounds N] [--only CASE]... [--short] [--gantry BINARY] [--profile]
  s3               on PostgreSQL and S3 storage instead of SQLite and files
  --rounds N       alternating rounds (default 7)
  --only CASE      only this case; may be given several times
  --short          a round of seconds that checks correctness only and writes no document
  --gantry BINARY  measure this binary instead of building one
  --profile        record Gantry with perf in every first round; the profiles go to the temporary folder
  --document FILE  write the tables there instead of into docs/
  --no-install     s3 only: install nothing
cargo xtask bench scale, cargo xtask bench gc: many rows, and garbage collection; each takes --help";

/// A benchmark: what it measures and what it claims.
struct Bench {
    /// Where the tables go, from the checkout's folder.
    document: &'static str,
    cases: &'static [Case],
    /// The conditions, which the document begins with.
    preface: &'static str,
    goals: fn(&Results) -> Vec<Goal>,
    run: fn(&Options) -> Result<Results, String>,
}

struct Options {
    rounds: u32,
    only: Vec<String>,
    short: bool,
    gantry: Option<String>,
    profile: bool,
    document: Option<String>,
    mode: Mode,
}

/// Runs a benchmark.
///
/// # Errors
/// A program is missing, a server fails, or a request gets a wrong answer. A missed target is no error.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let (bench, args) = match args.first().map(String::as_str) {
        Some("scale") => return scale::run(&args[1..]),
        Some("gc") => return gc::run(&args[1..]),
        Some("s3") => (s3::BENCH, &args[1..]),
        _ => (files::BENCH, args),
    };
    if args.iter().any(|arg| arg == "--help") {
        let names: Vec<&str> = bench.cases.iter().map(|case| case.name).collect();
        eprintln!("{HELP}\ncases: {}", names.join(" "));
        return Ok(());
    }
    let options = parse(args, bench.cases)?;
    require(NEEDED)?;
    let results = (bench.run)(&options)?;
    let raw = std::env::temp_dir().join(format!("gantry-bench-{}.json", std::process::id()));
    fs::write(&raw, results.json()).map_err(|e| format!("cannot write {}: {e}", raw.display()))?;
    eprintln!("raw figures: {}", raw.display());
    let text = report::document(&bench, &results, &options);
    if options.short {
        eprintln!("bench: every request was answered rightly; a short run claims no figures");
        return Ok(());
    }
    if !options.only.is_empty() && options.document.is_none() {
        eprintln!("{text}");
        return Ok(());
    }
    let root = workspace::root()?.join(bench.document);
    let path = options
        .document
        .as_deref()
        .map_or(root.as_path(), Path::new);
    fs::write(path, text).map_err(|e| format!("cannot write {}: {e}", path.display()))
}

fn parse(args: &[String], cases: &[Case]) -> Result<Options, String> {
    let mut options = Options {
        rounds: 0,
        only: Vec::new(),
        short: false,
        gantry: None,
        profile: false,
        document: None,
        mode: Mode::of(args),
    };
    let mut words = args.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().cloned().ok_or(format!("{word} needs a value"));
        match word.as_str() {
            "--rounds" => {
                options.rounds = value()?.parse().map_err(|e| format!("--rounds: {e}"))?
            }
            "--only" => options.only.push(value()?),
            "--short" => options.short = true,
            "--gantry" => options.gantry = Some(value()?),
            "--profile" => options.profile = true,
            "--document" => options.document = Some(value()?),
            "--no-install" => {}
            _ => return Err(format!("unknown argument {word}\n{HELP}")),
        }
    }
    if options.rounds == 0 {
        options.rounds = if options.short { 1 } else { 7 };
    }
    let known = |name: &String| cases.iter().any(|case| case.name == *name);
    match options.only.iter().find(|name| !known(name)) {
        Some(unknown) => Err(format!("unknown case {unknown}\n{HELP}")),
        None => Ok(options),
    }
}

/// Fails with the install line if a program is missing.
pub(crate) fn require(programs: &[(&str, &str)]) -> Result<(), String> {
    let runs = |name: &str| {
        let found = Command::new("sh")
            .args(["-c", "command -v \"$0\"", name])
            .stdout(Stdio::null())
            .status();
        found.is_ok_and(|status| status.success())
    };
    let missing: Vec<&str> = programs
        .iter()
        .filter(|(name, _)| !runs(name))
        .map(|(_, package)| *package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "missing programs; install them with:\n  apt-get install -y --no-install-recommends {}",
        missing.join(" ")
    ))
}

impl Options {
    fn wants(&self, case: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == case)
    }
}
