//! Where this checkout is, and running cargo in it.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::cmd::Cmd;

/// The checkout's folder.
pub fn root() -> Result<PathBuf, String> {
    let own = env::var_os("CARGO_MANIFEST_DIR")
        .ok_or("start this by `cargo xtask`, which says where the checkout is")?;
    Path::new(&own)
        .parent()
        .map(Path::to_owned)
        .ok_or("this lies outside a checkout".to_owned())
}

/// Where cargo builds.
pub fn target() -> Result<PathBuf, String> {
    let root = root()?;
    let folder = env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| OsString::from("target"));
    Ok(root.join(folder))
}

/// The variable that names the profile in which programs and tests of the workspace are built.
pub const PROFILE: &str = "GANTRY_PROFILE";

/// That profile: the one of releases where none is named.
pub fn profile() -> String {
    env::var(PROFILE).unwrap_or_else(|_| "release".to_owned())
}

/// A program of the workspace as a profile builds it.
pub fn program(profile: &str, name: &str) -> Result<PathBuf, String> {
    Ok(target()?.join(profile).join(name))
}

/// A cargo command, run in the checkout whatever folder the user is in.
pub fn cargo(words: &str) -> Cmd {
    let cmd = Cmd::new("cargo").words(words).limit_secs(3_600);
    match root() {
        Ok(root) => cmd.folder(root),
        Err(_) => cmd,
    }
}
