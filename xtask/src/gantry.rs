//! The server under test: the built binary with a data folder of its own, and the few API calls that
//! set the stage for clients.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::cmd::{Cmd, last_lines};
use crate::daemon::Daemon;
use crate::netns::Namespace;
use crate::port::free_port;

/// The password of `admin` on every server that the tests start.
pub(crate) const ADMIN_PASSWORD: &str = "Gantry-test-12345";

/// A running `gantry serve`. Dropping it stops it; the data folder is its maker's.
pub(crate) struct Gantry {
    daemon: Daemon,
    address: String,
    metrics: String,
    data: PathBuf,
}

impl Gantry {
    /// Starts it on two free loopback ports.
    pub(crate) fn on_loopback(binary: &Path, data: &Path) -> Result<Self, String> {
        let address = format!("127.0.0.1:{}", free_port()?);
        let metrics = format!("127.0.0.1:{}", free_port()?);
        Self::start(Command::new(binary), data, address, metrics, &[])
    }

    /// Starts it inside a network namespace, with that address in its certificate.
    pub(crate) fn in_namespace(
        binary: &Path,
        data: &Path,
        namespace: &Namespace,
    ) -> Result<Self, String> {
        let host = namespace.address();
        let (address, metrics) = (format!("{host}:8443"), format!("{host}:9443"));
        Self::start(namespace.command(binary), data, address, metrics, &[host])
    }

    /// Starts `command` (the binary, possibly under another program) with the usual arguments and
    /// waits until it is ready. `names` go into the server certificate beside the usual ones.
    pub(crate) fn start(
        mut command: Command,
        data: &Path,
        address: String,
        metrics: String,
        names: &[&str],
    ) -> Result<Self, String> {
        command
            .arg("serve")
            .arg("--data")
            .arg(data)
            .args(["--listen", &address, "--metrics-listen", &metrics])
            .env("GANTRY_ADMIN_PASSWORD", ADMIN_PASSWORD);
        if !names.is_empty() {
            command.env("GANTRY_SERVER__NAMES", names.join(","));
        }
        let log = log_beside(data);
        let mut daemon = Daemon::start("gantry", command, &log)?;
        let url = format!("http://{metrics}/readyz");
        daemon.wait_until(Duration::from_secs(60), || {
            Cmd::local("curl")
                .words("-sf -o /dev/null --max-time 5")
                .arg(&url)
                .run()
                .is_ok()
        })?;
        Ok(Self {
            daemon,
            address,
            metrics,
            data: data.to_owned(),
        })
    }

    /// `HOST:PORT` of the public listener, as it stands in an image's name.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// `HOST:PORT` of the listener for metrics and health.
    pub(crate) fn metrics_address(&self) -> &str {
        &self.metrics
    }

    /// The certificate authority that clients have to trust.
    pub(crate) fn ca(&self) -> PathBuf {
        self.data.join("certs/ca.crt")
    }

    /// Creates a private project.
    pub(crate) fn create_project(&self, name: &str) -> Result<(), String> {
        let body = format!(r#"{{"project_name":"{name}","metadata":{{"public":"false"}}}}"#);
        self.create("/api/v2.0/projects", &body)
    }

    /// Creates a user with no rights yet.
    pub(crate) fn create_user(&self, name: &str, password: &str) -> Result<(), String> {
        let body = format!(
            r#"{{"username":"{name}","password":"{password}","email":"{name}@example.test","realname":"{name}"}}"#
        );
        self.create("/api/v2.0/users", &body)
    }

    /// Makes a user a member of a project.
    pub(crate) fn add_member(&self, project: &str, user: &str, role: Role) -> Result<(), String> {
        let role = role as u8;
        let body = format!(r#"{{"role_id":{role},"member_user":{{"username":"{user}"}}}}"#);
        self.create(&format!("/api/v2.0/projects/{project}/members"), &body)
    }

    /// A request as `admin` with credentials sent at once; the answer's status and body.
    pub(crate) fn request(&self, args: &[&str], path: &str) -> Result<(u16, Vec<u8>), String> {
        let mut cmd = Cmd::local("curl")
            .words("-sS --max-time 120 -w %{stderr}%{http_code} --cacert")
            .arg(self.ca())
            .arg("-u")
            .arg(format!("admin:{ADMIN_PASSWORD}"));
        for arg in args {
            cmd = cmd.arg(arg);
        }
        let (body, status) = cmd
            .arg(format!("https://{}{path}", self.address))
            .output_and_errors()?;
        let status = status.trim().parse().map_err(|_| status)?;
        Ok((status, body))
    }

    /// The digest that the server gives for a manifest, which is checked against its bytes.
    pub(crate) fn digest(&self, repository: &str, reference: &str) -> Result<String, String> {
        let path = format!("/v2/{repository}/manifests/{reference}");
        let (status, head) = self.request(&["-I", "-H", ACCEPT], &path)?;
        let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
        let digest = head
            .lines()
            .find_map(|line| line.strip_prefix("docker-content-digest:"))
            .map(|value| value.trim().to_owned())
            .ok_or(format!("HEAD {path} answered {status} without a digest"))?;
        let (status, body) = self.request(&["-H", ACCEPT], &path)?;
        let real = crate::layout::digest(&body)?;
        if status != 200 || real != digest {
            return Err(format!(
                "GET {path} answered {status} with bytes of {real}, HEAD says {digest}"
            ));
        }
        Ok(digest)
    }

    /// Asks it to end, and fails where it does not, or where its log holds an error or a panic.
    pub(crate) fn finish(mut self) -> Result<String, String> {
        let took = self.daemon.stop(Duration::from_secs(30))?;
        let log = self.daemon.log();
        let bad: Vec<&str> = log.lines().filter(|line| is_error(line)).collect();
        if bad.is_empty() {
            return Ok(format!("ended within {:.1} s", took.as_secs_f32()));
        }
        Err(format!(
            "{} errors in the log: {}",
            bad.len(),
            last_lines(&bad.join("\n"))
        ))
    }

    fn create(&self, path: &str, body: &str) -> Result<(), String> {
        let args = [
            "-X",
            "POST",
            "-H",
            "Content-Type: application/json",
            "-d",
            body,
        ];
        let (status, answer) = self.request(&args, path)?;
        if status == 201 {
            return Ok(());
        }
        let answer = String::from_utf8_lossy(&answer);
        Err(format!("POST {path} answered {status}: {answer}"))
    }
}

/// Harbor's roles by their numbers.
#[derive(Clone, Copy)]
pub(crate) enum Role {
    Maintainer = 4,
}

/// Everything a manifest may be.
const ACCEPT: &str = "Accept: application/vnd.oci.image.index.v1+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.docker.distribution.manifest.v2+json";

/// A line of the server's log that means a person must act.
fn is_error(line: &str) -> bool {
    line.contains(" ERROR ") || line.contains(r#""level":"ERROR""#) || line.contains("panicked at")
}

fn log_beside(data: &Path) -> PathBuf {
    let mut name = data.as_os_str().to_owned();
    name.push(OsString::from(".log"));
    if let Some(parent) = data.parent() {
        fs::create_dir_all(parent).ok();
    }
    PathBuf::from(name)
}
