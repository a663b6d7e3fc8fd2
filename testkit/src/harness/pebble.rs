//! A real ACME server, Let's Encrypt's for tests, with a DNS server whose answers a test sets.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::client::{Client, Credential};
use super::tls::Authority;
use crate::daemon::Daemon;
use crate::pebble::{CHALLTESTSRV, PEBBLE};
use crate::port::lasting_port;

/// How long the two may take to start.
const PATIENCE: Duration = Duration::from_secs(120);

/// The running servers; dropping it stops them.
pub struct Pebble {
    // Order matters: they end before their folder goes.
    server: Option<Daemon>,
    _names: Daemon,
    folder: TempDir,
    authority: Authority,
    port: u16,
    management: u16,
    names_management: u16,
    names_port: u16,
}

/// What the server asks at, and what else it wants.
#[derive(Default)]
pub struct Asks {
    /// The port of its questions over HTTP.
    pub http: u16,
    /// The port of its questions over TLS.
    pub tls: u16,
    /// The key ID and the key, in base64url, without which it makes no account.
    pub binding: Option<(&'static str, &'static str)>,
}

impl Pebble {
    /// A server that asks at these ports of 127.0.0.1, where every name leads to.
    pub fn start(asks: &Asks) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let authority = Authority::new("the ACME server's own CA");
        let (certificate, key) = authority.issue_until(2_090);
        let write = |name: &str, text: &str| {
            fs::write(folder.path().join(name), text).expect("the file can be written");
        };
        write("cert.pem", &certificate);
        write("key.pem", &key);
        write("ca.pem", &authority.pem());
        let [port, management, names_port, names_management] =
            [(); 4].map(|()| lasting_port().expect("a port is free"));
        let at = |name: &str| folder.path().join(name).display().to_string();
        let mut keys = serde_json::Map::new();
        if let Some((id, key)) = asks.binding {
            keys.insert(id.to_owned(), key.into());
        }
        let config = json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{port}"),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": at("cert.pem"), "privateKey": at("key.pem"),
            "httpPort": asks.http, "tlsPort": asks.tls, "ocspResponderURL": "",
            "externalAccountBindingRequired": asks.binding.is_some(), "externalAccountMACKeys": keys,
            "domainBlocklist": ["blocked.example.test"], "retryAfter": { "authz": 1, "order": 1 },
            "profiles": { "default": { "description": "90 days", "validityPeriod": 7_776_000 } },
        } });
        write("pebble.json", &config.to_string());
        let names = names_server(
            &folder.path().join("names.log"),
            names_port,
            names_management,
        );
        let mut pebble = Self {
            server: None,
            _names: names,
            folder,
            authority,
            port,
            management,
            names_management,
            names_port,
        };
        pebble.restart();
        pebble
    }

    /// Starts it again: it forgets everything, accounts too.
    pub fn restart(&mut self) {
        self.server = None;
        let mut command = Command::new(program(PEBBLE));
        command
            .arg("-config")
            .arg(self.folder.path().join("pebble.json"))
            .arg("-dnsserver")
            .arg(format!("127.0.0.1:{}", self.names_port))
            .arg("-strict")
            // It waits at random otherwise; used nonces it still refuses at random.
            .env("PEBBLE_VA_NOSLEEP", "1")
            .env("PEBBLE_AUTHZREUSE", "0");
        let daemon = Daemon::start("pebble", command, &self.log_file());
        let mut daemon = daemon.expect("pebble starts");
        let port = self.port;
        let ready = daemon.wait_until(PATIENCE, || is_open(port));
        ready.expect("pebble answers");
        self.server = Some(daemon);
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("pebble.log")
    }

    /// Everything that it said.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// How many certificates it issued.
    pub fn issued(&self) -> usize {
        self.log().matches("Issued certificate serial").count()
    }

    /// How many orders were made.
    pub fn orders(&self) -> usize {
        self.log().matches("Added order").count()
    }

    /// The port of its API.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of its directory.
    pub fn directory(&self) -> String {
        format!("https://127.0.0.1:{}/dir", self.port)
    }

    /// The CA of its own certificate.
    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A certificate and its key for 127.0.0.1, by the same CA: for whatever stands in front of it.
    pub fn in_front(&self) -> (String, String) {
        self.authority.issue_until(2_090)
    }

    /// A file with the root of the certificates that it issues.
    pub async fn root_file(&self) -> PathBuf {
        let client = Client::new(self.management, &self.ca_file(), Credential::None);
        let root = client.get("/roots/0").await.expect(200).text();
        let path = self.folder.path().join("root.pem");
        fs::write(&path, root).expect("the file can be written");
        path
    }

    /// Changes what its DNS server answers: `set-servfail`, `clear-servfail`, `set-txt` and the like.
    pub async fn names(&self, change: &str, what: Value) {
        let client = Client::plain(self.names_management);
        let changed = client.post(&format!("/{change}")).json(&what);
        changed.await.expect(200);
    }

    /// The port at which its DNS server is told.
    pub fn names_management(&self) -> u16 {
        self.names_management
    }
}

fn names_server(log: &Path, port: u16, management: u16) -> Daemon {
    let mut command = Command::new(program(CHALLTESTSRV));
    command
        .args(["-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", ""])
        .args(["-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""])
        .arg("-dnsserver")
        .arg(format!("127.0.0.1:{port}"))
        .arg("-management")
        .arg(format!("127.0.0.1:{management}"));
    let daemon = Daemon::start("pebble-challtestsrv", command, log);
    let mut daemon = daemon.expect("the DNS server starts");
    let ready = daemon.wait_until(PATIENCE, || is_open(management));
    ready.expect("the DNS server answers");
    daemon
}

fn is_open(port: u16) -> bool {
    std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
}

fn program(variable: &str) -> PathBuf {
    let line = "go install github.com/letsencrypt/pebble/v2/cmd/pebble@v2.10.3, and cmd/pebble-challtestsrv";
    let path = std::env::var_os(variable);
    path.unwrap_or_else(|| panic!("set {variable}: {line}"))
        .into()
}
