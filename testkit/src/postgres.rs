//! A throw-away PostgreSQL server on loopback, as Debian packages it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::cmd::Cmd;
use crate::daemon::Daemon;
use crate::port::lasting_port;
use crate::program::is_root;
use crate::scratch::{Scratch, make_folder};

/// The running server; dropping it stops it and removes its data.
pub struct Postgres {
    // Order matters: the server ends before its folder goes.
    daemon: Daemon,
    scratch: Scratch,
    port: u16,
    durability: Durability,
    environment: Vec<(&'static str, String)>,
}

/// Whether what is committed has to survive the machine.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The data does not outlive the run; Gantry's own durability is proven elsewhere.
    Fast,
    /// As in earnest, with fsync: for a server that is crashed, or whose work is measured.
    Synced,
}

impl Postgres {
    pub fn start(durability: Durability) -> Result<Self, String> {
        Self::with(durability, Vec::new())
    }

    /// Starts it with these variables, which its programs do not get: what faketime makes for a process of root,
    /// another user cannot open.
    pub fn with(
        durability: Durability,
        environment: Vec<(&'static str, String)>,
    ) -> Result<Self, String> {
        let scratch = Scratch::new("postgres")?;
        let data = scratch.join("data");
        make_folder(&data)?;
        if is_root() {
            Cmd::new("chown").arg("postgres").arg(&data).run()?;
        }
        let initdb = Cmd::local("setpriv")
            .words(&account())
            .arg(format!("{PROGRAMS}/initdb"));
        initdb
            .arg("-D")
            .arg(&data)
            .words("-A trust -U postgres --no-sync -E UTF8 --locale=C.UTF-8")
            .folder("/")
            .run()?;
        let port = lasting_port()?;
        Ok(Self {
            daemon: launch(&scratch, port, durability, &environment)?,
            scratch,
            port,
            durability,
            environment,
        })
    }

    pub fn pid(&self) -> u32 {
        self.daemon.pid()
    }

    /// Where the tests connect; they make databases of their own.
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// Makes an empty database; the URL to connect to it by.
    pub fn create_database(&self, name: &str) -> Result<String, String> {
        Cmd::local(Path::new(PROGRAMS).join("createdb"))
            .words(&format!("-h 127.0.0.1 -p {} -U postgres", self.port))
            .arg(name)
            .folder("/")
            .run()?;
        Ok(self.url_of(name))
    }

    /// The same in place of one that may be there.
    pub fn create_anew(&self, name: &str) -> Result<String, String> {
        Cmd::local(Path::new(PROGRAMS).join("psql"))
            .words("-qX -c")
            .arg(format!("drop database if exists {name} with (force)"))
            .arg(self.url())
            .folder("/")
            .run()?;
        self.create_database(name)
    }

    /// A crash: all processes end at once, as by `pg_ctl -m immediate stop`.
    pub fn stop_immediate(&mut self) -> Result<(), String> {
        self.daemon
            .stop_by("QUIT", Duration::from_secs(30))
            .map(|_| ())
    }

    /// Starts it again, on the same folder and port.
    pub fn restart(&mut self) -> Result<(), String> {
        self.daemon = launch(&self.scratch, self.port, self.durability, &self.environment)?;
        Ok(())
    }

    /// `HOST:PORT`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn url_of(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }
}

/// Starts the server on its folder and waits until it takes connections.
fn launch(
    scratch: &Scratch,
    port: u16,
    durability: Durability,
    environment: &[(&str, String)],
) -> Result<Daemon, String> {
    let mut command = Command::new("setpriv");
    command.args(account().split(' ')).arg("env");
    command.args(
        environment
            .iter()
            .map(|(name, value)| format!("{name}={value}")),
    );
    command
        .arg(format!("{PROGRAMS}/postgres"))
        .arg("-D")
        .arg(scratch.join("data"));
    for setting in [
        format!("port={port}").as_str(),
        "listen_addresses=127.0.0.1",
        "unix_socket_directories=",
        &format!("max_connections={CONNECTIONS}"),
        match durability {
            Durability::Fast => "fsync=off",
            Durability::Synced => "fsync=on",
        },
    ] {
        command.arg("-c").arg(setting);
    }
    let mut daemon = Daemon::start("postgres", command, &scratch.join("log"))?.ended_by("INT");
    daemon.wait_until(Duration::from_secs(60), || ready(port))?;
    Ok(daemon)
}

/// Connections that the server takes, those for superusers included.
pub const CONNECTIONS: usize = 300;

/// Where Debian keeps the server's programs.
pub const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";

/// Words for setpriv: the server refuses to run as root, and ends when whoever started it does. This replaces the
/// process, so signals reach the server.
fn account() -> String {
    let other = match is_root() {
        true => " --reuid=postgres --regid=postgres --clear-groups",
        false => "",
    };
    format!("--pdeathsig=QUIT{other}")
}

fn ready(port: u16) -> bool {
    Cmd::local(Path::new(PROGRAMS).join("pg_isready"))
        .words(&format!("-q -h 127.0.0.1 -p {port} -U postgres"))
        .run()
        .is_ok()
}

#[cfg(test)]
mod tests {
    use super::{Cmd, Durability, PROGRAMS, Path, Postgres};

    fn psql(url: &str, statement: &str) -> String {
        Cmd::local(Path::new(PROGRAMS).join("psql"))
            .words("-At -c")
            .arg(statement)
            .arg(url)
            .folder("/")
            .text()
            .unwrap()
    }

    #[test]
    fn what_is_committed_survives_an_immediate_restart() {
        let mut postgres = Postgres::start(Durability::Synced).unwrap();
        let url = postgres.create_database("fresh").unwrap();
        psql(
            &url,
            "create table kept (n int); insert into kept values (7)",
        );
        postgres.stop_immediate().unwrap();
        postgres.restart().unwrap();
        assert_eq!(psql(&url, "select n from kept").trim(), "7");
        assert_ne!(url, postgres.url());
    }
}
