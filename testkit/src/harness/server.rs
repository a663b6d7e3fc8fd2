//! A Gantry of a test's own: its data folder, ports and process, from the first start to the last log line.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::client::{Answer, Client, Credential};
use super::eventually;
use super::raw::Raw;

pub const ADMIN_PASSWORD: &str = "Gantry-Adm1n";

pub struct Server {
    folder: TempDir,
    port: u16,
    metrics_port: u16,
    settings: Mutex<Vec<(String, String)>>,
    process: Mutex<Option<Child>>,
    excused: AtomicBool,
}

impl Server {
    /// A new server with default settings, ready to answer.
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// A new server with these environment variables, ready to answer.
    pub async fn with(settings: &[(&str, &str)]) -> Self {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        // a port that was free a moment ago may be somebody else's by now: hence the second and third try
        for _ in 0..3 {
            let [port, metrics_port] = free_ports();
            let server = Self {
                folder: tempfile::tempdir().expect("a temporary folder can be made"),
                port,
                metrics_port,
                settings: Mutex::new(settings.iter().map(own).collect()),
                process: Mutex::new(None),
                excused: AtomicBool::new(false),
            };
            if server.try_launch().await {
                return server;
            }
            server.may_complain();
            let log = server.log();
            assert!(
                log.contains("in use") || log.contains("a port of its own"),
                "gantry did not start:\n{log}",
            );
        }
        panic!("no free port in three tries");
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A folder beside the data folder, for what a test writes itself.
    pub fn scratch(&self) -> &Path {
        self.folder.path()
    }

    pub fn authority_file(&self) -> PathBuf {
        self.data().join("certs").join("ca.crt")
    }

    /// The folder of the server certificate that Gantry issues, and its key.
    pub fn pair_folder(&self) -> PathBuf {
        self.data().join("certs").join("server")
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A line of the process's status, in KiB: `VmRSS`, `VmHWM`.
    pub fn memory_kib(&self, line: &str) -> u64 {
        let process = self.process.lock().expect("no test panics with the lock");
        let id = process.as_ref().expect("it runs").id();
        let status = fs::read_to_string(format!("/proc/{id}/status")).expect("the process runs");
        let found = status
            .lines()
            .find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
        let words = found.expect("the kernel says so").split_whitespace().next();
        words
            .and_then(|word| word.parse().ok())
            .expect("it is a number")
    }

    /// A value that the metrics have.
    pub async fn metric(&self, name: &str) -> f64 {
        let text = self.operator().get("/metrics").await.expect(200).text();
        let found = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let value = found.unwrap_or_else(|| panic!("no metric {name}:\n{text}"));
        value.parse().expect("it is a number")
    }

    /// Everything that the process printed so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    pub fn anonymous(&self) -> Client {
        Client::new(self.port, &self.authority_file(), Credential::None)
    }

    pub fn admin(&self) -> Client {
        self.as_user_with("admin", ADMIN_PASSWORD)
    }

    pub fn as_user_with(&self, name: &str, password: &str) -> Client {
        let credential = Credential::Basic {
            user: name.to_owned(),
            password: password.to_owned(),
        };
        Client::new(self.port, &self.authority_file(), credential)
    }

    /// A client that holds this token, wherever it came from.
    pub fn with_bearer(&self, token: &str) -> Client {
        Client::new(
            self.port,
            &self.authority_file(),
            Credential::Bearer(token.to_owned()),
        )
    }

    /// A client of the plain-HTTP listener for metrics and health.
    pub fn operator(&self) -> Client {
        self.plain(self.metrics_port)
    }

    /// A client of plain HTTP on any port.
    pub fn plain(&self, port: u16) -> Client {
        Client::plain(port)
    }

    /// A TLS connection on which a test writes what it wants, HTTP or not.
    pub async fn raw(&self) -> Raw {
        let raw = self.raw_from(1, &[]).await;
        raw.expect("the server accepts a connection")
    }

    /// As [`Self::raw`], from 127.0.0.`last` and with these bytes before the handshake.
    pub async fn raw_from(&self, last: u8, preface: &[u8]) -> std::io::Result<Raw> {
        Raw::connect(last, self.port, &self.authority_file(), preface).await
    }

    /// The TLS version that is agreed on with a client that knows only this one.
    pub async fn negotiated(
        &self,
        only: &'static rustls::SupportedProtocolVersion,
    ) -> std::io::Result<Option<rustls::ProtocolVersion>> {
        let tcp = tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await?;
        let config = super::tls::client_config_of_version(&self.authority_file(), only);
        let stream = super::tls::handshake(config, tcp, "127.0.0.1").await?;
        Ok(stream.get_ref().1.protocol_version())
    }

    /// Runs `gantry ARGUMENTS` to its end, without a server, in an empty folder.
    pub async fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mut command = gantry(arguments);
        command
            .current_dir(folder.path())
            .envs(environment.iter().copied())
            .stdin(Stdio::null());
        let run = tokio::process::Command::from(command)
            .kill_on_drop(true)
            .output();
        let ended = tokio::time::timeout(Duration::from_secs(60), run).await;
        ended
            .expect("gantry ends within a minute")
            .expect("gantry can be run")
    }

    /// Runs `gantry ARGUMENTS --data DIR` to its end.
    pub async fn cli(&self, arguments: &[&str]) -> Output {
        self.cli_with(arguments, &[]).await
    }

    /// As [`Self::cli`], with environment variables.
    pub async fn cli_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
        let mut command = self.command(arguments);
        command.envs(environment.iter().copied());
        let run = tokio::process::Command::from(command)
            .kill_on_drop(true)
            .output();
        run.await.expect("gantry can be run")
    }

    /// `gantry ARGUMENTS --data DIR`, for a test that has its own idea of standard input and output.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = gantry(arguments);
        command.arg("--data").arg(self.data()).stdin(Stdio::null());
        command
    }

    /// As [`Self::cli`], with the settings that the server has.
    pub async fn cli_as_server(&self, arguments: &[&str]) -> Output {
        let settings = self.settings();
        let settings: Vec<(&str, &str)> = settings.iter().map(|(k, v)| (&**k, &**v)).collect();
        self.cli_with(arguments, &settings).await
    }

    /// Runs SQL on the database. It waits for what a running server writes.
    pub async fn sql(&self, statement: &str) {
        let output = tokio::process::Command::new("sqlite3")
            .args(["-cmd", ".timeout 30000"])
            .arg(self.data().join("gantry.db"))
            .arg(statement)
            .stdin(Stdio::null())
            .output()
            .await
            .expect("sqlite3 is missing: apt-get install sqlite3");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Starts the stopped server, which must refuse to start with exit code 1; what it says.
    pub async fn is_refused(&self) -> String {
        let [listen, metrics] = free_ports().map(|port| format!("127.0.0.1:{port}"));
        let serve = ["serve", "--listen", &listen, "--metrics-listen", &metrics];
        let start = tokio::time::timeout(Duration::from_secs(60), self.cli_as_server(&serve));
        let ended = start.await.expect("gantry refuses to start");
        assert_eq!(ended.status.code(), Some(1), "{ended:?}");
        let printed = [ended.stdout, ended.stderr].concat();
        String::from_utf8_lossy(&printed).into_owned()
    }

    /// Changes settings; the next start has them.
    pub fn set(&self, changes: &[(&str, &str)]) {
        let mut settings = self.settings.lock().expect("no test panics with the lock");
        for (key, value) in changes {
            settings.retain(|(known, _)| known != key);
            settings.push(((*key).to_owned(), (*value).to_owned()));
        }
    }

    fn settings(&self) -> Vec<(String, String)> {
        let settings = self.settings.lock();
        settings.expect("no test panics with the lock").clone()
    }

    /// What is at a plain-HTTP URL on this machine, fetched without credentials.
    pub async fn fetch(&self, url: &str) -> Answer {
        let rest = url
            .strip_prefix("http://127.0.0.1:")
            .expect("it is on this machine");
        let (port, path) = rest.split_once('/').expect("it has a path");
        let port = port.parse().expect("a port is a number");
        self.plain(port).get(&format!("/{path}")).await
    }

    /// As [`Self::cli`], for a command that has to succeed; gives what it printed.
    pub async fn cli_prints(&self, arguments: &[&str]) -> String {
        let output = self.cli(arguments).await;
        let (out, err) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(
            output.status.success(),
            "gantry {arguments:?}: {}\n{out}{err}",
            output.status
        );
        out.into_owned()
    }

    /// Starts the stopped or killed server again, on the same data and ports.
    pub async fn restart(&self) {
        assert!(
            self.try_launch().await,
            "gantry did not start again:\n{}",
            self.log()
        );
    }

    /// As [`Self::restart`], with the clock of the process moved, such as `-2h`.
    pub async fn restart_with_clock(&self, offset: &str) {
        self.spawn(&[], &moved_clock(offset));
        self.has_started(200).await;
    }

    /// As [`Self::restart_with_clock`], by so much that the process serves but is not ready.
    pub async fn restart_with_wrong_clock(&self, offset: &str) {
        self.spawn(&[], &moved_clock(offset));
        self.has_started(503).await;
    }

    /// As [`Self::restart`], held to the modes of files and folders, which root else is not.
    pub async fn restart_held_to_modes(&self) {
        let capabilities = "--bounding-set=-dac_override,-dac_read_search";
        self.spawn_by(&["setpriv", capabilities], &[], &[]);
        self.has_started(200).await;
    }

    /// As [`Self::restart`], where the process may have so many files open until it asks for more.
    pub async fn restart_with_open_files(&self, soft: u32) {
        let limit = format!("ulimit -Sn {soft} && exec \"$0\" \"$@\"");
        self.spawn_by(&["sh", "-c", &limit], &[], &[]);
        self.has_started(200).await;
    }

    /// This test provokes an ERROR line on purpose; a panic still fails it.
    pub fn may_complain(&self) {
        self.excused.store(true, Ordering::Relaxed);
    }

    /// SIGTERM; does not wait.
    pub fn ask_to_stop(&self) {
        self.signal(Signal::TERM);
    }

    /// SIGHUP.
    pub fn reload(&self) {
        self.signal(Signal::HUP);
    }

    /// SIGTERM, and waits until the process has ended well.
    pub async fn stop(&self) {
        self.ask_to_stop();
        let status = self.ended(30).await;
        assert!(
            status.success(),
            "gantry ended with {status}:\n{}",
            self.log()
        );
    }

    /// SIGQUIT, with which a process hands over to its successor; does not wait.
    pub fn ask_to_hand_over(&self) {
        self.signal(Signal::QUIT);
    }

    /// Waits for the end of a process that was asked to stop.
    pub async fn ended(&self, seconds: u64) -> ExitStatus {
        let status = eventually(seconds, "the process ends", async || self.poll_ended()).await;
        *self.process.lock().expect("no test panics with the lock") = None;
        status
    }

    /// Whether the process has ended by itself.
    pub fn has_ended(&self) -> bool {
        self.poll_ended().is_some()
    }

    /// SIGKILL: no goodbye, no flush.
    pub fn kill(&self) {
        let mut process = self
            .process
            .lock()
            .expect("no test panics with the lock")
            .take()
            .expect("it runs");
        process.kill().expect("the process can be killed");
        process.wait().expect("the process can be waited for");
    }

    /// Starts a successor, which takes the listeners over, and waits until the process before it has ended.
    pub async fn hand_over(&self) {
        let before = self
            .process
            .lock()
            .expect("no test panics with the lock")
            .take();
        let mut before = before.expect("it runs");
        self.spawn(&["--take-over"], &[]);
        kill_process(Pid::from_child(&before), Signal::QUIT).expect("the process can be signalled");
        let ended = async || before.try_wait().expect("the process can be asked");
        let status = eventually(60, "the process before has ended", ended).await;
        assert!(status.success(), "it ended with {status}:\n{}", self.log());
        assert!(
            self.answers(200).await,
            "the successor did not start:\n{}",
            self.log()
        );
    }

    async fn try_launch(&self) -> bool {
        self.spawn(&[], &[]);
        self.answers(200).await
    }

    /// Waits until `/readyz` answers so on both listeners.
    async fn has_started(&self, status: u16) {
        assert!(
            self.answers(status).await,
            "gantry did not start again:\n{}",
            self.log()
        );
    }

    fn spawn(&self, arguments: &[&str], environment: &[(&str, &str)]) {
        self.spawn_by(&[], arguments, environment);
    }

    /// Runs the server by way of another program, where one is given.
    fn spawn_by(&self, by: &[&str], arguments: &[&str], environment: &[(&str, &str)]) {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.path().join("log"))
            .expect("the log can be opened");
        let metrics = format!("127.0.0.1:{}", self.metrics_port);
        let child = gantry_by(by, &["serve", "--data"])
            .arg(self.data())
            .args(["--listen", &self.host(), "--metrics-listen", &metrics])
            .args(arguments)
            .env("GANTRY_ADMIN_PASSWORD", ADMIN_PASSWORD)
            .envs(self.settings())
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log can be shared"))
            .stderr(log)
            .spawn()
            .expect("gantry can be run");
        *self.process.lock().expect("no test panics with the lock") = Some(child);
    }

    /// True when `/readyz` answers so on both listeners, false when the process ended before that.
    async fn answers(&self, status: u16) -> bool {
        let operator = self.operator();
        let look = async || {
            if self.poll_ended().is_some() {
                return Some(false);
            }
            let metrics = operator
                .get("/readyz")
                .attempt()
                .await
                .is_ok_and(|answer| answer.status == status);
            let public = metrics
                && self
                    .anonymous()
                    .get("/readyz")
                    .attempt()
                    .await
                    .is_ok_and(|answer| answer.status == status);
            public.then_some(true)
        };
        let what = format!("/readyz answers {status}");
        let answers = eventually(60, &what, look).await;
        if !answers {
            *self.process.lock().expect("no test panics with the lock") = None;
        }
        answers
    }

    fn poll_ended(&self) -> Option<ExitStatus> {
        let mut process = self.process.lock().expect("no test panics with the lock");
        process
            .as_mut()
            .expect("it was started")
            .try_wait()
            .expect("the process can be asked")
    }

    pub fn signal(&self, signal: Signal) {
        let process = self.process.lock().expect("no test panics with the lock");
        let pid = Pid::from_child(process.as_ref().expect("it was started"));
        kill_process(pid, signal).expect("the process can be signalled");
    }

    /// Log lines that no test may leave behind.
    fn complaints(&self) -> Vec<String> {
        let excused = self.excused.load(Ordering::Relaxed);
        let bad = |line: &&str| {
            line.contains("panicked at")
                || !excused && line.contains("\"level\":\"ERROR\"")
                || !excused
                    && line
                        .split_whitespace()
                        .any(|word| strip_colour(word) == "ERROR")
        };
        self.log().lines().filter(bad).map(str::to_owned).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let running = self
            .process
            .lock()
            .map_or(None, |mut process| process.take());
        let ended = running.map(end);
        if std::thread::panicking() {
            eprintln!("--- log of gantry ---\n{}", last(&self.log(), 60));
            return;
        }
        let complaints = self.complaints();
        assert!(
            complaints.is_empty(),
            "gantry complained:\n{}",
            complaints.join("\n")
        );
        if let Some(Err(how)) = ended {
            panic!("gantry did not stop well: {how}\n{}", last(&self.log(), 60));
        }
    }
}

/// A server that the tests of one module share; it stops when the last of them has ended.
pub struct Shared {
    settings: &'static [(&'static str, &'static str)],
    server: tokio::sync::Mutex<Weak<Server>>,
}

impl Shared {
    pub const fn new(settings: &'static [(&'static str, &'static str)]) -> Self {
        Self {
            settings,
            server: tokio::sync::Mutex::const_new(Weak::new()),
        }
    }

    pub async fn get(&self) -> Arc<Server> {
        let mut shared = self.server.lock().await;
        if let Some(server) = shared.upgrade() {
            return server;
        }
        let server = Arc::new(Server::with(self.settings).await);
        *shared = Arc::downgrade(&server);
        server
    }
}

/// `gantry ARGUMENTS`, with nothing of our own environment that would configure it.
pub fn gantry(arguments: &[&str]) -> Command {
    gantry_by(&[], arguments)
}

/// As [`gantry`], by way of another program where one is given, which leaves its place to it.
fn gantry_by(by: &[&str], arguments: &[&str]) -> Command {
    let named = |name| std::env::var_os(name);
    let binary = named("GANTRY_BIN").or_else(|| named("CARGO_BIN_EXE_gantry"));
    let binary = binary.expect("cargo or GANTRY_BIN says where gantry is");
    let mut command = match by {
        [] => Command::new(binary),
        [program, words @ ..] => {
            let mut command = Command::new(program);
            command.args(words).arg(binary);
            command
        }
    };
    for (key, _) in
        std::env::vars_os().filter(|(key, _)| key.to_string_lossy().starts_with("GANTRY_"))
    {
        command.env_remove(key);
    }
    command.args(arguments);
    command
}

/// SIGTERM and, where that does not help within 30 s, SIGKILL.
fn end(mut process: Child) -> Result<(), String> {
    if let Ok(Some(status)) = process.try_wait() {
        return Err(format!("it had already ended with {status}"));
    }
    let _ = kill_process(Pid::from_child(&process), Signal::TERM);
    let deadline = Instant::now() + Duration::from_secs(30);
    while Instant::now() < deadline {
        match process.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("it ended with {status}")),
            Ok(None) => std::thread::sleep(Duration::from_millis(10)),
            Err(error) => return Err(error.to_string()),
        }
    }
    let _ = process.kill();
    let _ = process.wait();
    Err("SIGTERM did not end it within 30 s".to_owned())
}

/// What moves the clock of a process, such as by `-2h`.
fn moved_clock(offset: &str) -> [(&str, &str); 3] {
    let library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";
    assert!(
        Path::new(library).exists(),
        "faketime is missing: apt-get install faketime"
    );
    [
        ("LD_PRELOAD", library),
        ("DONT_FAKE_MONOTONIC", "1"),
        ("FAKETIME", offset),
    ]
}

/// A port that nobody listens on at the moment.
pub fn free_port() -> u16 {
    let [port] = free_ports();
    port
}

/// Different ports: one that was given back may be the next that is given.
fn free_ports<const N: usize>() -> [u16; N] {
    let sockets =
        [(); N].map(|()| std::net::TcpListener::bind("127.0.0.1:0").expect("there is a free port"));
    sockets.map(|socket| {
        let address = socket.local_addr();
        address.expect("a bound socket has an address").port()
    })
}

fn strip_colour(word: &str) -> &str {
    let word = word.strip_prefix("\u{1b}[31m").unwrap_or(word);
    word.strip_suffix("\u{1b}[0m").unwrap_or(word)
}

/// The last lines of a log, without those of single requests.
fn last(log: &str, lines: usize) -> String {
    let all: Vec<&str> = log
        .lines()
        .filter(|line| !line.contains(" HTTP/"))
        .collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
