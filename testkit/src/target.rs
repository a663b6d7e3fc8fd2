//! A registry to talk to, and the few requests of an administrator that set the stage for clients. They are made by
//! curl, so that this takes nothing but the standard library.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

use crate::cmd::Cmd;
use crate::layout::digest;

/// The password of `admin` on every server that the tests start.
pub const ADMIN_PASSWORD: &str = "Gantry-test-12345";

/// Where requests go, whom they trust, and who sends them.
#[derive(Clone, Debug)]
pub struct Target {
    pub url: String,
    pub ca: PathBuf,
    pub login: Option<(String, String)>,
}

impl Target {
    /// A Gantry at `HOST:PORT`, as its administrator.
    pub fn gantry(address: &str, ca: PathBuf) -> Self {
        Self {
            url: format!("https://{address}"),
            ca,
            login: Some(("admin".to_owned(), ADMIN_PASSWORD.to_owned())),
        }
    }

    /// `HOST:PORT`, as it stands in an image's name.
    pub fn address(&self) -> &str {
        self.url.split_once("://").map_or("", |(_, rest)| rest)
    }

    /// The same under another address.
    pub fn at(&self, address: &str) -> Self {
        Self {
            url: format!("https://{address}"),
            ..self.clone()
        }
    }

    /// Creates a private project.
    pub fn create_project(&self, name: &str) -> Result<(), String> {
        let body = format!(r#"{{"project_name":"{name}","metadata":{{"public":"false"}}}}"#);
        self.create("/api/v2.0/projects", &body)
    }

    /// Creates a user with no rights yet.
    pub fn create_user(&self, name: &str, password: &str) -> Result<(), String> {
        let body = format!(
            r#"{{"username":"{name}","password":"{password}","email":"{name}@example.test","realname":"{name}"}}"#
        );
        self.create("/api/v2.0/users", &body)
    }

    /// Makes a user a maintainer of a project.
    pub fn add_maintainer(&self, project: &str, user: &str) -> Result<(), String> {
        let body = format!(r#"{{"role_id":4,"member_user":{{"username":"{user}"}}}}"#);
        self.create(&format!("/api/v2.0/projects/{project}/members"), &body)
    }

    fn create(&self, path: &str, body: &str) -> Result<(), String> {
        let kind = "Content-Type: application/json";
        let args = ["-X", "POST", "-H", kind, "-d", body];
        let (status, answer) = self.request(&args, path)?;
        if status == 201 {
            return Ok(());
        }
        let answer = String::from_utf8_lossy(&answer);
        Err(format!("POST {path} answered {status}: {answer}"))
    }

    /// A request with credentials sent at once and further words for curl; the answer's status and body.
    pub fn request(&self, args: &[&str], path: &str) -> Result<(u16, Vec<u8>), String> {
        let mut cmd = Cmd::local("curl")
            .words("-sS --max-time 120 -w %{stderr}%{http_code} --cacert")
            .arg(&self.ca);
        if let Some((user, password)) = &self.login {
            cmd = cmd.arg("-u").arg(format!("{user}:{password}"));
        }
        let cmd = args.iter().fold(cmd, Cmd::arg);
        let (body, status) = cmd.arg(format!("{}{path}", self.url)).output_and_errors()?;
        let status = status.trim().parse().map_err(|_| status)?;
        Ok((status, body))
    }

    /// The digest that the server gives for a manifest, which is checked against its bytes.
    pub fn digest(&self, repository: &str, reference: &str) -> Result<String, String> {
        let path = format!("/v2/{repository}/manifests/{reference}");
        let (status, head) = self.request(&["-I", "-H", ACCEPT], &path)?;
        let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
        let named = head
            .lines()
            .find_map(|line| line.strip_prefix("docker-content-digest:"))
            .map(|value| value.trim().to_owned())
            .ok_or(format!("HEAD {path} answered {status} without a digest"))?;
        let (status, body) = self.request(&["-H", ACCEPT], &path)?;
        let real = digest(&body)?;
        if status != 200 || real != named {
            return Err(format!(
                "GET {path} answered {status} with bytes of {real}, HEAD says {named}"
            ));
        }
        Ok(named)
    }
}

/// Everything a manifest may be.
const ACCEPT: &str = "Accept: application/vnd.oci.image.index.v1+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.docker.distribution.manifest.v2+json";

/// Status and body of a GET by plain HTTP, of `HOST:PORT`.
pub fn get(address: &str, path: &str) -> Result<(u16, String), String> {
    let attempt = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let head = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
        stream.write_all(head.as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    let answer = attempt().map_err(|error| error.to_string())?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("no whole answer")?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    Ok((status.ok_or("no status line")?, body.to_owned()))
}
