//! A throw-away Active Directory domain controller, as Samba makes one. Its ports are fixed, so it lives in a network
//! namespace of its own, and is reached by proxies at loopback addresses.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::cmd::Cmd;
use crate::daemon::Daemon;
use crate::netns::Namespace;
use crate::scratch::{Scratch, write};
use crate::slapd::Certificate;

/// Where everything is.
pub const BASE: &str = "DC=ad,DC=example,DC=test";
/// Where people and groups are.
pub const PEOPLE: &str = "CN=Users,DC=ad,DC=example,DC=test";
/// The end of the names that people sign in with, after `@`.
pub const REALM: &str = "ad.example.test";
/// The domain before a name and a backslash.
pub const DOMAIN: &str = "EXAD";
/// The password of each person.
pub const PASSWORD: &str = "Ad-Passw0rd1";

/// What is missing where it does not start.
pub const INSTALL: &str =
    "apt-get install samba-ad-dc samba-ad-provision samba-dsdb-modules winbind iproute2, as root";

/// The running controller; dropping it stops it and removes its data.
pub struct Samba {
    // Order matters: the controller ends before its folder and its namespace go.
    daemon: Daemon,
    configuration: PathBuf,
    _scratch: Scratch,
    namespace: Namespace,
}

impl Samba {
    /// A controller of an empty domain that shows this certificate.
    pub fn start(shown: &Certificate) -> Result<Self, String> {
        let scratch = Scratch::new("samba")?;
        let namespace = Namespace::new()?;
        provision(&scratch, namespace.address())?;
        let configuration = scratch.join("domain").join("etc/smb.conf");
        configure(&scratch, &configuration, shown)?;
        let mut command = namespace.command("samba");
        command
            .args(["-i", "-M", "single", "-s"])
            .arg(&configuration);
        command.env("TDB_NO_FSYNC", "1");
        let mut daemon = Daemon::start("samba", command, &scratch.join("log"))?;
        let address = format!("{}:636", namespace.address());
        daemon.wait_until(Duration::from_secs(60), || {
            TcpStream::connect(&address).is_ok()
        })?;
        Ok(Self {
            daemon,
            configuration,
            _scratch: scratch,
            namespace,
        })
    }

    /// `HOST:PORT` without TLS.
    pub fn address(&self) -> String {
        format!("{}:389", self.namespace.address())
    }

    /// `HOST:PORT` with TLS.
    pub fn tls_address(&self) -> String {
        format!("{}:636", self.namespace.address())
    }

    pub fn log(&self) -> String {
        self.daemon.log()
    }

    /// Makes changes, each an array: what to do, and to whom; see `testkit/samba/change.py`.
    pub fn change(&self, changes: &[Value]) -> Result<(), String> {
        let lines: Vec<String> = changes.iter().map(Value::to_string).collect();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("samba/change.py");
        // The system's own, for which Samba's modules are.
        Cmd::local("/usr/bin/python3")
            .env("TDB_NO_FSYNC", "1")
            .arg(script)
            .arg(&self.configuration)
            .input(lines.join("\n"))
            .run()
            .map(|_| ())
    }
}

fn provision(scratch: &Scratch, address: &str) -> Result<(), String> {
    Cmd::local("samba-tool")
        .env("TDB_NO_FSYNC", "1")
        .limit_secs(600)
        .words("domain provision --realm=AD.EXAMPLE.TEST --server-role=dc --dns-backend=NONE")
        .arg(format!("--domain={DOMAIN}"))
        .arg(format!("--adminpass={PASSWORD}"))
        .arg(format!("--host-ip={address}"))
        .arg(format!("--targetdir={}", scratch.join("domain").display()))
        .arg(format!("--option=interfaces={address}/30"))
        .arg("--option=bind interfaces only=yes")
        .run()
        .map(|_| ())
        .map_err(|error| format!("{error}: {INSTALL}"))
}

/// It serves LDAP alone.
fn configure(scratch: &Scratch, file: &Path, shown: &Certificate) -> Result<(), String> {
    let mut tls = String::new();
    for (key, name, pem) in [
        ("tls cafile", "ca.pem", &shown.ca),
        ("tls certfile", "cert.pem", &shown.certificate),
        ("tls keyfile", "key.pem", &shown.key),
    ] {
        let path = scratch.join(name);
        write(&path, pem)?;
        owner_only(&path)?;
        tls += &format!("\t{key} = {}\n", path.display());
    }
    let text = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
    let kept = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("server services"));
    let lines: Vec<&str> = kept.collect();
    let text = lines.join("\n").replacen(
        "[global]\n",
        &format!("[global]\n\tserver services = ldap\n{tls}"),
        1,
    );
    write(file, text)
}

/// Samba refuses a key that others may read.
fn owner_only(path: &Path) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(path, mode).map_err(|error| format!("{}: {error}", path.display()))
}
