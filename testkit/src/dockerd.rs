//! A docker daemon of our own, with its own folders and socket, beside any that runs already.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::cmd::Cmd;
use crate::daemon::Daemon;
use crate::scratch::Scratch;

/// The running daemon, and the containerd that it starts; dropping it stops both.
pub struct Dockerd {
    _daemon: Daemon,
    scratch: Scratch,
}

impl Dockerd {
    pub fn start() -> Result<Self, String> {
        let scratch = Scratch::new("docker")?;
        let at = |name: &str| scratch.join(name);
        let mut command = Command::new("dockerd");
        command
            .arg("--data-root")
            .arg(at("data"))
            .arg("--exec-root")
            .arg(at("exec"))
            .arg("--pidfile")
            .arg(at("pid"))
            .arg("--host")
            .arg(format!("unix://{}", at("docker.sock").display()))
            // Containers here have no network, so the machine's own is left as it is.
            .args(["--iptables=false", "--ip6tables=false", "--bridge=none"]);
        let mut daemon = Daemon::start("dockerd", command, &at("log"))?;
        let config = scratch.folder("config")?;
        let host = format!("unix://{}", at("docker.sock").display());
        daemon.wait_until(Duration::from_secs(60), || {
            docker_with(&host, &config).arg("info").run().is_ok()
        })?;
        Ok(Self {
            _daemon: daemon,
            scratch,
        })
    }

    /// The docker client, talking to this daemon.
    pub fn docker(&self) -> Cmd {
        let host = format!("unix://{}", self.scratch.join("docker.sock").display());
        docker_with(&host, &self.scratch.join("config"))
    }

    /// The socket of the containerd beneath.
    pub fn containerd(&self) -> PathBuf {
        self.scratch.join("exec/containerd/containerd.sock")
    }
}

/// Debian's client where there are several: it is the daemon's twin, and the tests name its version.
pub const CLIENT: &str = "/usr/bin/docker";

fn docker_with(host: &str, config: &Path) -> Cmd {
    Cmd::local(CLIENT)
        .env("DOCKER_HOST", host)
        .env("DOCKER_CONFIG", config)
}
