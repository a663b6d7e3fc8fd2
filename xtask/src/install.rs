//! Getting what a command needs: from Debian by apt-get where we may, else an error with the line to
//! run. Parts that Debian lacks are in `tools`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use testkit::cmd::Cmd;
use testkit::program::{find, is_root};

/// A program, the Debian package it comes in, and what it is needed for.
#[derive(Clone, Copy)]
pub(crate) struct Need {
    pub(crate) program: &'static str,
    pub(crate) package: &'static str,
    pub(crate) why: &'static str,
}

/// Shorthand for tables of needs.
pub(crate) const fn need(program: &'static str, package: &'static str, why: &'static str) -> Need {
    Need {
        program,
        package,
        why,
    }
}

/// What building `gantry` takes besides Rust.
pub(crate) const BUILD: [Need; 3] = [
    need("cmake", "cmake", "builds the TLS library's C sources"),
    need(
        "cc",
        "build-essential",
        "links every program and compiles C sources",
    ),
    need("make", "build-essential", "runs what cmake lays out"),
];

// What several commands need.
pub(crate) const OPENSSL: Need = need("openssl", "openssl", "makes certificates and random layers");
pub(crate) const CURL: Need = need("curl", "curl", "asks the server's API");
pub(crate) const DOCKER: Need = need("dockerd", "docker.io", "docker and ctr, as clients");
pub(crate) const POSTGRES: Need = need(
    "/usr/lib/postgresql/15/bin/postgres",
    "postgresql-15",
    "the store tests and the replicas run on it",
);
pub(crate) const HAPROXY: Need = need("haproxy", "haproxy", "is the balancer before replicas");

/// Whether missing parts may be installed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Install,
    /// Only say what is missing.
    Ask,
}

impl Mode {
    /// `--no-install` anywhere in the arguments asks for [`Mode::Ask`].
    pub(crate) fn of(args: &[String]) -> Self {
        if args.iter().any(|arg| arg == "--no-install") {
            Self::Ask
        } else {
            Self::Install
        }
    }
}

/// Sees to it that every program in `needs` is there.
pub(crate) fn ensure(needs: &[Need], mode: Mode) -> Result<(), String> {
    let missing: Vec<&Need> = needs
        .iter()
        .filter(|need| find(need.program).is_none())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    packages.sort_unstable();
    packages.dedup();
    let line = format!(
        "apt-get install -y --no-install-recommends {}",
        packages.join(" ")
    );
    for need in &missing {
        println!("missing: {} ({}: {})", need.program, need.package, need.why);
    }
    if mode == Mode::Ask || find("apt-get").is_none() || !is_root() {
        return Err(format!("parts are missing; as root on Debian: {line}"));
    }
    println!("installing: {line}");
    apt_get(&packages).map_err(|error| format!("{error}\ninstall line: {line}"))?;
    match missing.iter().find(|need| find(need.program).is_none()) {
        None => Ok(()),
        Some(need) => Err(format!(
            "{} is still not on the path after: {line}",
            need.program
        )),
    }
}

fn apt_get(packages: &[&str]) -> Result<(), String> {
    let _quiet = NoServices::new()?;
    let apt = || {
        Cmd::new("apt-get")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .limit_secs(900)
    };
    // Lists on a fresh machine are empty or too old to be of use.
    apt().words("-q update").show()?;
    apt()
        .words("-q -y --no-install-recommends install")
        .words(&packages.join(" "))
        .show()
}

/// While this lives, installing a package starts no service: the tests start their own. It is Debian's
/// own switch, a script that answers 101; one that is there already is left alone.
struct NoServices(bool);

impl NoServices {
    fn new() -> Result<Self, String> {
        let path = Path::new(POLICY);
        if path.exists() {
            return Ok(Self(false));
        }
        let failed = |error| format!("cannot write {POLICY}: {error}");
        fs::write(path, "#!/bin/sh\nexit 101\n").map_err(failed)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(failed)?;
        Ok(Self(true))
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.0 {
            fs::remove_file(POLICY).ok();
        }
    }
}

const POLICY: &str = "/usr/sbin/policy-rc.d";

#[cfg(test)]
mod tests {
    use super::{Mode, ensure, need};

    #[test]
    fn without_leave_to_install_the_error_is_the_line_to_run() {
        let needs = [need("no-such-program-anywhere", "some-package", "a test")];
        let error = ensure(&needs, Mode::Ask).expect_err("it is not there");
        assert!(
            error.ends_with("apt-get install -y --no-install-recommends some-package"),
            "{error}"
        );
    }
}
