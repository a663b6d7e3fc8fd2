//! `cargo xtask bench`: Gantry, nginx and docker-registry in one run on loopback, alternating.
//! What is measured stands in `bench/case.rs`, what is claimed of it in `bench/report.rs`.

mod case;
pub(crate) mod folder;
pub(crate) mod gantry;
pub(crate) mod load;
pub(crate) mod peer;
pub(crate) mod process;
mod report;
mod result;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use case::{CASES, Scale};

/// Programs a run needs, and the Debian packages they come in.
pub(crate) const NEEDED: &[(&str, &str)] = &[
    ("nginx", "nginx-light"),
    ("docker-registry", "docker-registry"),
    ("wrk", "wrk"),
    ("openssl", "openssl"),
    ("go", "golang-go"),
];

const HELP: &str = "usage: cargo xtask bench [--rounds N] [--only CASE]... [--short] [--gantry BINARY] [--profile] [--keep]
  --rounds N       alternating rounds (default 7)
  --only CASE      only this case; may be given several times
  --short          a round of seconds that checks correctness only and writes no document
  --gantry BINARY  measure this binary instead of building one
  --profile        record Gantry with perf in every first round; the profiles go to the temporary folder
  --document FILE  write the tables there instead of docs/benchmarks.md";

struct Options {
    rounds: u32,
    only: Vec<String>,
    short: bool,
    gantry: Option<String>,
    profile: bool,
    document: Option<String>,
}

/// Runs the benchmarks.
///
/// # Errors
/// A program is missing, a server fails, or a request gets a wrong answer. A missed target is no error.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    if args.iter().any(|arg| arg == "--help") {
        eprintln!(
            "{HELP}\ncases: {}",
            CASES
                .iter()
                .map(|case| case.name)
                .collect::<Vec<_>>()
                .join(" ")
        );
        return Ok(());
    }
    let options = parse(args)?;
    require(NEEDED)?;
    let results = case::run_all(&options)?;
    let raw = std::env::temp_dir().join(format!("gantry-bench-{}.json", std::process::id()));
    fs::write(&raw, results.json()).map_err(|e| format!("cannot write {}: {e}", raw.display()))?;
    eprintln!("raw figures: {}", raw.display());
    let text = report::document(&results, &options);
    if options.short {
        eprintln!("bench: every request was answered rightly; a short run claims no figures");
        return Ok(());
    }
    if !options.only.is_empty() && options.document.is_none() {
        eprintln!("{text}");
        return Ok(());
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks.md");
    let path = options
        .document
        .as_deref()
        .map_or(root.as_path(), Path::new);
    fs::write(path, text).map_err(|e| format!("cannot write {}: {e}", path.display()))
}

fn parse(args: &[String]) -> Result<Options, String> {
    let mut options = Options {
        rounds: 0,
        only: Vec::new(),
        short: false,
        gantry: None,
        profile: false,
        document: None,
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
            _ => return Err(format!("unknown argument {word}\n{HELP}")),
        }
    }
    if options.rounds == 0 {
        options.rounds = if options.short { 1 } else { 7 };
    }
    if let Some(unknown) = options
        .only
        .iter()
        .find(|name| !CASES.iter().any(|case| case.name == **name))
    {
        return Err(format!("unknown case {unknown}\n{HELP}"));
    }
    Ok(options)
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
    fn scale(&self) -> Scale {
        if self.short {
            Scale::SHORT
        } else {
            Scale::FULL
        }
    }

    fn wants(&self, case: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == case)
    }
}
