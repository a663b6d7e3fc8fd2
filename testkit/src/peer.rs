//! The peers: nginx with static files, Debian's docker-registry and distribution 3.1; all over TLS, without accounts.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::cmd::succeed;
use crate::daemon::Daemon;
use crate::port::lasting_port;
use crate::seaweed::{ACCESS_KEY, REGION, SECRET_KEY};
use crate::target::Target;

/// A running peer.
pub struct Peer {
    pub daemon: Daemon,
    pub target: Target,
}

/// A CA and a P-256 certificate for loopback, as Gantry makes its own.
pub struct Certificate {
    ca: PathBuf,
    chain: PathBuf,
    key: PathBuf,
}

impl Certificate {
    pub fn make(folder: &Path) -> Result<Self, String> {
        let path = |name: &str| folder.join(name);
        let (ca, ca_key, request) = (path("peer-ca.crt"), path("peer-ca.key"), path("peer.csr"));
        let (chain, key, names) = (path("peer.crt"), path("peer.key"), path("peer.ext"));
        fs::write(&names, "subjectAltName=IP:127.0.0.1,DNS:localhost\n")
            .map_err(|e| e.to_string())?;
        let openssl = |words: &str| -> Command {
            let mut command = Command::new("openssl");
            command.args(words.split(' '));
            command
        };
        let key_words = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
        succeed(
            openssl(&format!(
                "req -x509 {key_words} -subj /CN=bench-CA -days 30"
            ))
            .arg("-keyout")
            .arg(&ca_key)
            .arg("-out")
            .arg(&ca),
        )?;
        succeed(
            openssl(&format!("req {key_words} -subj /CN=localhost"))
                .arg("-keyout")
                .arg(&key)
                .arg("-out")
                .arg(&request),
        )?;
        succeed(
            openssl("x509 -req -CAcreateserial -days 30")
                .arg("-in")
                .arg(&request)
                .arg("-CA")
                .arg(&ca)
                .arg("-CAkey")
                .arg(&ca_key)
                .arg("-extfile")
                .arg(&names)
                .arg("-out")
                .arg(&chain),
        )?;
        Ok(Self { ca, chain, key })
    }

    /// The file of the CA.
    pub fn ca(&self) -> &Path {
        &self.ca
    }
}

/// The variable that names the program of distribution 3.1.
pub const DISTRIBUTION: &str = "GANTRY_TEST_DISTRIBUTION";

/// Where a registry keeps what it is given.
#[derive(Clone, Copy)]
pub enum Kept<'a> {
    Files(&'a Path),
    /// A bucket of an S3 server, by its endpoint and name.
    Bucket(&'a str, &'a str),
}

impl Kept<'_> {
    /// The lines of its configuration.
    fn driver(self) -> String {
        match self {
            Self::Files(folder) => {
                format!("filesystem: {{rootdirectory: {}}}", folder.display())
            }
            Self::Bucket(endpoint, bucket) => format!(
                "s3: {{regionendpoint: \"{endpoint}\", region: {REGION}, bucket: {bucket}, secure: false, forcepathstyle: true, \
                 accesskey: {ACCESS_KEY}, secretkey: {SECRET_KEY}}}"
            ),
        }
    }
}

impl Peer {
    /// nginx as Debian ships it, with the files of `root`; as many workers as cores.
    pub fn nginx(certificate: &Certificate, folder: &Path, root: &Path) -> Result<Self, String> {
        let port = lasting_port()?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let at = |name: &str| folder.join(name).display().to_string();
        let text = format!(
            "worker_processes {cores};\ndaemon off;\nuser root;\npid {pid};\nerror_log stderr;\n\
             events {{ worker_connections 1024; }}\n\
             http {{\n  access_log {log} combined buffer=64k flush=1s;\n  sendfile on;\n  tcp_nopush on;\n\
             \x20 keepalive_requests 1000000000;\n  keepalive_timeout 300s;\n  ssl_protocols TLSv1.2 TLSv1.3;\n\
             \x20 default_type application/octet-stream;\n  client_body_temp_path {body};\n  proxy_temp_path {body};\n\
             \x20 fastcgi_temp_path {body};\n  uwsgi_temp_path {body};\n  scgi_temp_path {body};\n\
             \x20 server {{ listen 127.0.0.1:{port} ssl http2; ssl_certificate {chain}; ssl_certificate_key {key}; root {root}; }}\n}}\n",
            pid = at("nginx.pid"),
            log = at("nginx-access.log"),
            body = at("nginx-body"),
            chain = certificate.chain.display(),
            key = certificate.key.display(),
            root = root.display()
        );
        let config = folder.join("nginx.conf");
        fs::write(&config, text).map_err(|e| e.to_string())?;
        let mut command = Command::new("nginx");
        command.arg("-c").arg(&config).arg("-p").arg(folder);
        Self::start("nginx", command, folder, port, certificate)
    }

    /// Debian's docker-registry.
    pub fn docker_registry(
        certificate: &Certificate,
        folder: &Path,
        kept: Kept<'_>,
    ) -> Result<Self, String> {
        Self::registry(
            "docker-registry",
            "docker-registry".into(),
            certificate,
            folder,
            kept,
        )
    }

    /// distribution 3.1, where [`DISTRIBUTION`] says it is.
    pub fn distribution(
        certificate: &Certificate,
        folder: &Path,
        kept: Kept<'_>,
    ) -> Result<Self, String> {
        let program = env::var_os(DISTRIBUTION).unwrap_or_else(|| "registry".into());
        Self::registry("distribution", program, certificate, folder, kept)
    }

    /// A registry at its best: no accounts, no access log, blob descriptors cached in memory. It streams what it
    /// serves, wherever it keeps it.
    fn registry(
        name: &str,
        program: OsString,
        certificate: &Certificate,
        folder: &Path,
        kept: Kept<'_>,
    ) -> Result<Self, String> {
        let port = lasting_port()?;
        let text = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage:\n  cache: {{blobdescriptor: inmemory}}\n  {driver}\n  delete: {{enabled: true}}\n  redirect: {{disable: true}}\n\
             http:\n  addr: 127.0.0.1:{port}\n  secret: bench\n  tls: {{certificate: {chain}, key: {key}}}\n",
            driver = kept.driver(),
            chain = certificate.chain.display(),
            key = certificate.key.display()
        );
        let config = folder.join(format!("{name}-{port}.yml"));
        fs::write(&config, text).map_err(|e| e.to_string())?;
        let mut command = Command::new(program);
        command
            .arg("serve")
            .arg(&config)
            // Its traces would go to a collector that is not there.
            .env("OTEL_TRACES_EXPORTER", "none")
            .env_remove("AWS_CA_BUNDLE");
        Self::start(name, command, folder, port, certificate)
    }

    fn start(
        name: &str,
        command: Command,
        folder: &Path,
        port: u16,
        certificate: &Certificate,
    ) -> Result<Self, String> {
        let mut daemon = Daemon::start(name, command, &folder.join(format!("{name}.log")))?;
        let listens = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
        let limit = Instant::now() + Duration::from_secs(20);
        // How long a start takes is measured.
        while !listens() {
            daemon.check_alive()?;
            if Instant::now() > limit {
                return Err(format!("{name} does not listen:\n{}", daemon.log_tail()));
            }
            sleep(Duration::from_millis(1));
        }
        let target = Target {
            url: format!("https://127.0.0.1:{port}"),
            ca: certificate.ca.clone(),
            login: None,
        };
        Ok(Self { daemon, target })
    }
}
