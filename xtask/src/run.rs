//! `cargo xtask run`: a complete registry from a fresh checkout.

use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::install::{self, BUILD, Mode};
use crate::workspace;

/// Builds `gantry` and becomes `gantry serve`. What follows `--` goes to `gantry` instead of `serve`
/// where it starts with a sub-command, else behind it.
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
    install::ensure(&BUILD, Mode::of(ours))?;
    workspace::cargo("build --release -p gantry").show()?;
    let binary = workspace::binary()?;
    let mut command = Command::new(&binary);
    if theirs.first().is_none_or(|first| first.starts_with('-')) {
        command.arg("serve");
    }
    // On success this does not return: signals then reach the server and nothing else.
    let error = command.args(theirs).current_dir(workspace::root()?).exec();
    Err(format!("cannot start {}: {error}", binary.display()))
}
