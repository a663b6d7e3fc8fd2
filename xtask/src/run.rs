//! `cargo xtask run`: a complete registry from a fresh checkout.

use std::env;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use crate::install::{self, BUILD, Mode};
use testkit::gantry::{Binary, Gantry};
use testkit::port::loopback;
use testkit::scratch::Scratch;
use testkit::workspace;

/// Builds `gantry` and becomes `gantry serve` with its data in the checkout's `data` folder. What
/// follows `--` replaces that: flags go to `gantry serve`, a sub-command to `gantry`.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let (ours, theirs) = match args.iter().position(|arg| arg == "--") {
        Some(at) => (&args[..at], &args[at + 1..]),
        None => (args, &[][..]),
    };
    if let Some(unknown) = ours.iter().find(|arg| *arg != "--no-install") {
        return Err(format!(
            "run does not know {unknown}; arguments for gantry follow `--`"
        ));
    }
    let binary = match env::var_os(BUILT) {
        Some(built) => PathBuf::from(built),
        None => build(Mode::of(ours))?,
    };
    let mut command = Command::new(&binary);
    // Settings of the tools, which the server would refuse as unknown.
    for name in ["GANTRY_CACHE", BUILT, workspace::PROFILE] {
        command.env_remove(name);
    }
    if theirs.is_empty() {
        command.args(["serve", "--data", "data"]);
    } else if theirs[0].starts_with('-') {
        command.arg("serve");
    }
    // On success this does not return: signals then reach the server and nothing else.
    let error = command.args(theirs).current_dir(workspace::root()?).exec();
    Err(format!("cannot start {}: {error}", binary.display()))
}

/// Names a server that is built already.
const BUILT: &str = "GANTRY_BIN";

/// Builds the server as a user has it.
pub(crate) fn build(mode: Mode) -> Result<PathBuf, String> {
    install::ensure(&BUILD, mode)?;
    workspace::cargo("build --release -p gantry").show()?;
    workspace::program("release", "gantry")
}

/// The program of this process, or what cargo built in its place since it began.
fn own_program() -> Result<PathBuf, String> {
    let own = env::current_exe().map_err(|error| format!("cannot find xtask itself: {error}"))?;
    let replaced = own
        .to_str()
        .and_then(|path| path.strip_suffix(" (deleted)"));
    Ok(replaced.map_or_else(|| own.clone(), PathBuf::from))
}

/// The test of this command: it starts a server that answers, on a data folder that did not exist, and
/// that ends when asked to.
pub(crate) fn check(built: &Binary) -> Result<String, String> {
    let own = own_program()?;
    let scratch = Scratch::new("run")?;
    let mut command = Command::new(own);
    command.env(BUILT, built.path());
    command.args(["run", "--no-install", "--"]);
    let (data, listen, metrics) = (scratch.join("data"), loopback()?, loopback()?);
    let gantry = Gantry::alone(command, &data, &listen, metrics, &[])?;
    match gantry.target.request(&[], "/v2/")? {
        (200, _) => gantry.finish(),
        (status, _) => Err(format!("/v2/ answered {status}")),
    }
}
