//! `cargo xtask bench`: Gantry beside other servers in one run on loopback, alternating. `files` has the cases on files
//! and SQLite, `s3` those on PostgreSQL and S3 storage. `scale`, `gc`, `audit`, `lists`, `people` and
//! `herd` are of Gantry alone.

#![expect(clippy::future_not_send, reason = "clients run where they are awaited")]

mod audit;
mod case;
mod files;
mod gc;
mod h2load;
mod herd;
mod lists;
mod load;
mod paper;
mod people;
mod profile;
mod recorder;
mod report;
mod request;
mod result;
mod s3;
mod scale;
mod stage;
mod wrk;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use case::Case;
use clap::{Parser, Subcommand};
use report::Goal;
use result::Results;
use testkit::topology::Topology;
use testkit::workspace;

/// Benchmarks; without a command those on files and SQLite.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    options: Options,
}

#[derive(Subcommand)]
enum Command {
    /// On PostgreSQL and S3 storage instead of SQLite and files.
    S3(Options),
    /// Lists and manifests among 1,000,000 tags, 100,000 repositories and 1,000,000 blobs.
    Scale(Options),
    /// How fast garbage goes, what that does to clients, and what it costs beside much that lives; and what deleting a
    /// manifest does to clients where 50,000 referrers or tags hang on it.
    Gc(Options),
    /// Pages and counts of an audit log of 10,000,000 events, and what its indexes cost those who write it.
    Audit(Options),
    /// Pages of the REST API's lists among 100,000 artifacts, 10,000 projects and 5,000 users.
    Lists(Options),
    /// Pulls beside 200 people who sign in at once, and beside a directory that takes ten seconds; what a sign-in costs a
    /// directory of 50,000 people, and what importing 1,000 costs the server.
    People(Options),
    /// 10,000 nodes that pull one image at once from two replicas, with redirects to the bucket and without, and what
    /// 1,000,000 would need.
    Herd(Options),
}

#[derive(clap::Args)]
struct Options {
    /// Alternating rounds. Default: 7, in the short form 1.
    #[arg(long)]
    rounds: Option<u32>,
    /// Only this case; may be given several times. Of gc: collection or deletion. Of people: sign-ins, directory or crowd.
    /// Of herd: replicas or bucket, from which layers come.
    #[arg(long)]
    only: Vec<String>,
    /// Seconds, in which answers are checked and no time; writes no document.
    #[arg(long)]
    short: bool,
    /// Files or replicas, of scale, gc, audit, lists and people: one process with SQLite, or on PostgreSQL and SeaweedFS. Default: both.
    #[arg(long)]
    on: Vec<Topology>,
    /// Measure this binary instead of building one.
    #[arg(long)]
    gantry: Option<String>,
    /// Record Gantry with perf in every first round; the profiles go to the temporary folder.
    #[arg(long)]
    profile: bool,
    /// Write the figures there instead of into docs/.
    #[arg(long)]
    document: Option<PathBuf>,
}

impl Options {
    fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.short { 1 } else { 7 })
    }

    fn wants(&self, case: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == case)
    }

    /// Fails where something is wanted that there is not.
    fn check(&self, known: &[&str]) -> Result<(), String> {
        match self
            .only
            .iter()
            .find(|name| !known.contains(&name.as_str()))
        {
            Some(unknown) => Err(format!("{unknown} is none of: {}", known.join(" "))),
            None => Ok(()),
        }
    }
}

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

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.command {
        None => compare(&files::BENCH, &arguments.options),
        Some(Command::S3(options)) => compare(&s3::BENCH, &options),
        Some(Command::Scale(options)) => scale::run(options),
        Some(Command::Gc(options)) => gc::run(options),
        Some(Command::Audit(options)) => audit::run(options),
        Some(Command::Lists(options)) => lists::run(options),
        Some(Command::People(options)) => people::run(options),
        Some(Command::Herd(options)) => herd::run(options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a benchmark that compares servers. A missed target is no error.
fn compare(bench: &Bench, options: &Options) -> Result<(), String> {
    let names: Vec<&str> = bench.cases.iter().map(|case| case.name).collect();
    options.check(&names)?;
    let results = (bench.run)(options)?;
    let raw = std::env::temp_dir().join(format!("gantry-bench-{}.json", std::process::id()));
    fs::write(&raw, results.json()).map_err(|e| format!("cannot write {}: {e}", raw.display()))?;
    eprintln!("raw figures: {}", raw.display());
    let text = report::document(bench, &results, options);
    if options.short {
        eprintln!("bench: every request was answered rightly; a short run claims no figures");
        return Ok(());
    }
    let path = match &options.document {
        Some(path) => path.clone(),
        None if !options.only.is_empty() => {
            eprintln!("{text}");
            return Ok(());
        }
        None => workspace::root()?.join(bench.document),
    };
    fs::write(&path, text).map_err(|e| format!("cannot write {}: {e}", path.display()))
}
