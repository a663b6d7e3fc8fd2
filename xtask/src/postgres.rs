//! A throw-away PostgreSQL server on loopback, as Debian packages it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::cmd::Cmd;
use crate::daemon::Daemon;
use crate::install;
use crate::port::lasting_port;
use crate::scratch::{Scratch, make_folder};

/// The running server; dropping it stops it and removes its data.
pub(crate) struct Postgres {
    // Order matters: the server ends before its folder goes.
    _daemon: Daemon,
    _scratch: Scratch,
    port: u16,
}

impl Postgres {
    pub(crate) fn start() -> Result<Self, String> {
        let scratch = Scratch::new("postgres")?;
        let data = scratch.join("data");
        make_folder(&data)?;
        let programs = Path::new(PROGRAMS);
        let account = if install::is_root() {
            Cmd::new("chown").arg("postgres").arg(&data).run()?;
            ACCOUNT
        } else {
            &[]
        };
        initdb(&programs.join("initdb"), account, &data)?;
        let port = lasting_port()?;
        let mut words: Vec<String> = account.iter().map(|&word| word.to_owned()).collect();
        words.push(programs.join("postgres").to_string_lossy().into_owned());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).arg("-D").arg(&data);
        for setting in [
            &format!("port={port}"),
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            // Its data does not outlive the tests; Gantry's own durability is proven elsewhere.
            "fsync=off",
            "max_connections=300",
        ] {
            command.arg("-c").arg(setting);
        }
        let mut daemon = Daemon::start("postgres", command, &scratch.join("log"))?.ended_by("INT");
        daemon.wait_until(Duration::from_secs(60), || ready(programs, port))?;
        Ok(Self {
            _daemon: daemon,
            _scratch: scratch,
            port,
        })
    }

    /// Where the tests connect; they make databases of their own.
    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }
}

/// Where Debian keeps the server's programs.
const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";

/// The server refuses to run as root. This replaces the process, so signals reach the server.
const ACCOUNT: &[&str] = &[
    "setpriv",
    "--reuid=postgres",
    "--regid=postgres",
    "--clear-groups",
];

fn initdb(program: &Path, account: &[&str], data: &Path) -> Result<(), String> {
    let mut words: Vec<PathBuf> = account.iter().map(PathBuf::from).collect();
    words.push(program.to_owned());
    let mut cmd = Cmd::local(&words[0]);
    for word in &words[1..] {
        cmd = cmd.arg(word);
    }
    cmd.arg("-D")
        .arg(data)
        .words("-A trust -U postgres --no-sync -E UTF8 --locale=C.UTF-8")
        .folder("/")
        .run()
}

fn ready(programs: &Path, port: u16) -> bool {
    Cmd::local(programs.join("pg_isready"))
        .words(&format!("-q -h 127.0.0.1 -p {port} -U postgres"))
        .run()
        .is_ok()
}
