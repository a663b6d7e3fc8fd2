//! Gantry as the benchmarks and soak tests start it: the release binary with default settings, so files and
//! SQLite, unless a caller has others.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::load::{Target, succeed};
use super::process::Server;
use crate::cmd::Cmd;
use crate::port::lasting_port;
use crate::workspace;

const PASSWORD: &str = "Bench-Passw0rd-1";

/// The program under test, copied so that a rebuild does not change it midway.
#[derive(Clone)]
pub(crate) struct Binary {
    program: PathBuf,
    log: PathBuf,
}

impl Binary {
    /// Takes the given binary, or that of `GANTRY_BIN`, or builds one.
    pub(crate) fn obtain(given: Option<&str>, folder: &Path) -> Result<Self, String> {
        let named = given.map(PathBuf::from);
        let built = match named.or_else(|| std::env::var_os("GANTRY_BIN").map(PathBuf::from)) {
            Some(path) => path,
            None => build()?,
        };
        let copy = folder.join("gantry");
        // Not by this process: a program that another thread starts meanwhile would hold the copy open for writing.
        succeed(Command::new("cp").arg(&built).arg(&copy))?;
        Ok(Self {
            program: copy,
            log: folder.join("gantry.log"),
        })
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        // Settings of the caller's shell are not part of the test.
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("GANTRY_"))
        {
            command.env_remove(name);
        }
        command
    }

    pub(crate) fn path(&self) -> &Path {
        &self.program
    }

    /// A sub-command on a data folder, run to its end.
    pub(crate) fn run(&self, words: &[&str], data: &Path) -> Result<String, String> {
        succeed(self.command().args(words).arg("--data").arg(data))
    }

    /// What `gantry version` says, on one line.
    pub(crate) fn version(&self) -> String {
        let text = succeed(self.command().arg("version")).unwrap_or_default();
        text.lines().next().unwrap_or("gantry").to_owned()
    }
}

fn build() -> Result<PathBuf, String> {
    eprintln!("building gantry");
    workspace::cargo("build --release --bin gantry").show()?;
    workspace::binary()
}

/// A running Gantry.
pub(crate) struct Gantry {
    pub(crate) server: Server,
    pub(crate) target: Target,
    pub(crate) data: PathBuf,
    metrics: SocketAddr,
    started: Instant,
}

impl Gantry {
    /// Starts a server on free ports and waits until it is ready.
    pub(crate) fn start(binary: &Binary, data: &Path) -> Result<Self, String> {
        let mut gantry = Self::spawn(binary, data, &[])?;
        gantry.wait_ready(Duration::from_secs(60))?;
        Ok(gantry)
    }

    /// Starts a server without waiting.
    pub(crate) fn spawn(
        binary: &Binary,
        data: &Path,
        settings: &[(&str, &str)],
    ) -> Result<Self, String> {
        let listen = SocketAddr::from(([127, 0, 0, 1], lasting_port()?));
        let metrics = SocketAddr::from(([127, 0, 0, 1], lasting_port()?));
        let mut command = binary.command();
        command.arg("serve").arg("--data").arg(data);
        command.args([
            "--listen",
            &listen.to_string(),
            "--metrics-listen",
            &metrics.to_string(),
        ]);
        command
            .env("GANTRY_ADMIN_PASSWORD", PASSWORD)
            .envs(settings.iter().copied());
        let started = Instant::now();
        let server = Server::start("gantry", &mut command, &binary.log)?;
        let target = Target {
            url: format!("https://{listen}"),
            ca: data.join("certs/ca.crt"),
            login: Some(("admin".to_owned(), PASSWORD.to_owned())),
        };
        Ok(Self {
            server,
            target,
            data: data.to_owned(),
            metrics,
            started,
        })
    }

    /// Waits for 200 from `/readyz` and for the public port; the time since the start.
    pub(crate) fn wait_ready(&mut self, patience: Duration) -> Result<Duration, String> {
        while self.started.elapsed() < patience {
            if get(self.metrics, "/readyz").is_ok_and(|status| status == 200)
                && TcpStream::connect(self.address()).is_ok()
            {
                return Ok(self.started.elapsed());
            }
            self.server.check_alive()?;
            sleep(Duration::from_millis(1));
        }
        Err(format!(
            "gantry not ready after {patience:?}:\n{}",
            self.server.log_tail()
        ))
    }

    /// `HOST:PORT` of its public listener.
    pub(crate) fn listen(&self) -> &str {
        self.target.url.trim_start_matches("https://")
    }

    /// Creates a user with no rights yet.
    pub(crate) fn create_user(&self, name: &str, password: &str) -> Result<(), String> {
        let body = format!(
            r#"{{"username":"{name}","password":"{password}","email":"{name}@example.test","realname":"{name}"}}"#
        );
        let status = Cmd::local("curl")
            .words("-sS -o /dev/null -w %{http_code} -H Content-Type:application/json -X POST --cacert")
            .arg(&self.target.ca)
            .arg("-u")
            .arg(format!("admin:{PASSWORD}"))
            .arg("-d")
            .arg(body)
            .arg(format!("{}/api/v2.0/users", self.target.url))
            .text()?;
        if status == "201" {
            return Ok(());
        }
        Err(format!("creating the user {name} answered {status}"))
    }

    /// A metric without labels, as it is now.
    pub(crate) fn metric(&self, name: &str) -> Result<f64, String> {
        let answer = ask(self.metrics, "/metrics")?;
        let value = |line: &str| {
            line.strip_prefix(name)?
                .strip_prefix(' ')?
                .trim()
                .parse()
                .ok()
        };
        let found = answer.lines().find_map(value);
        found.ok_or(format!("there is no metric {name}"))
    }

    fn address(&self) -> SocketAddr {
        self.listen()
            .parse()
            .expect("the URL was made from an address")
    }
}

/// The status of one plain HTTP request.
fn get(address: SocketAddr, path: &str) -> Result<u16, String> {
    let answer = ask(address, path)?;
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    status.ok_or("no status line".to_owned())
}

/// The whole answer to one plain HTTP request.
fn ask(address: SocketAddr, path: &str) -> Result<String, String> {
    let attempt = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
        )?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    attempt().map_err(|e| e.to_string())
}
