//! The project's own commands: `cargo xtask run` and `cargo xtask test`. Nothing but Rust's standard
//! library, so that this builds on a machine with nothing but Rust.

#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    reason = "this program's output is for the person who runs it"
)]

mod api_tests;
mod clients;
mod conformance;
mod deploy;
mod docker_demo;
mod fixture;
mod full;
mod install;
mod long;
mod metrics_lint;
mod run;
mod tally;
mod test;
mod tools;
mod ui;

use std::env;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let (command, rest) = match args.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("", &[][..]),
    };
    testkit::seaweed::is_at(tools::SEAWEEDFS.path());
    let done = match command {
        "run" => run::run(rest),
        "test" => test::test(rest),
        "full" => full::full(rest),
        "bench" => long::BENCH.run(rest),
        "soak" => long::SOAK.run(rest),
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // A run of tests has said it all in its last line.
        Err(reason) if reason.is_empty() => ExitCode::FAILURE,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

const USAGE: &str = "\
cargo xtask run [--no-install] [-- ARGUMENTS]   build gantry and start it; ARGUMENTS go to gantry
cargo xtask test [--no-install] [--only STEP] [--no-big]   run the tests with real clients
cargo xtask soak|bench [--no-install] [ARGUMENTS]   long tests, benchmarks; each takes --help
cargo xtask full [--no-install] [--list] [--only TEXT]   all of them in their long form, in pieces of under two hours;
                                                what passed on a commit is not run again on it

--no-install   install nothing: where a part is missing, print the line that installs it and fail
--only STEP    one of fmt, deny, cargo-test, run, docker, clients, clients-replicas, conformance,
               conformance-replicas, api, metrics, ui, deploy, soak or bench
--no-big       leave out the layers of 2 GiB, for a quick look (clients-replicas has them with --only)

GANTRY_CACHE      where tools stay between runs (~/.cache/gantry)
GANTRY_BIN        a server to test as it is, instead of building one
GANTRY_TEST_KEEP  set: leave the folders of the run behind";
