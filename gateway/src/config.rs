//! Settings: one TOML file, every key with a default, overridden by `GANTRY_SECTION__KEY`.
//! Reading them is `load`, parsing single values `form`, `log_level` and `collector`, checking them `check`.

mod acme;
mod admin_password;
mod check;
pub(crate) mod collector;
mod database_url;
#[cfg(test)]
mod documented;
mod form;
mod load;
pub(crate) mod log_level;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use storage::s3;
use tenancy::InvalidSetting;
use tenancy::setting::Fixed;

use crate::pace::Least;

pub(crate) use check::Invalid;
pub(crate) use database_url::DatabaseUrl;
pub(crate) use form::parse_external_url;
pub(crate) use load::{ConfigError, load};

/// All settings.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    pub(crate) server: Server,
    pub(crate) tls: Tls,
    pub(crate) acme: Acme,
    pub(crate) storage: Storage,
    pub(crate) database: Database,
    pub(crate) secrets: Secrets,
    pub(crate) limits: Limits,
    pub(crate) uploads: Uploads,
    pub(crate) gc: Gc,
    pub(crate) audit: Audit,
    pub(crate) outgoing: Outgoing,
    pub(crate) log: Log,
    pub(crate) tracing: Tracing,
    /// Settings of `/api/v2.0/configurations` that cannot be changed there, by their names. Default: none.
    pub(crate) settings: Fixed,
}

/// Where and how to listen.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Server {
    /// Folder for all of Gantry's data. Default: `./data`.
    pub(crate) data: PathBuf,
    /// Address of the registry, HTTPS. The default is that of all networks, IPv6 and IPv4, or IPv4 alone on a machine without
    /// IPv6. Default: `[::]:8443`.
    #[serde(deserialize_with = "form::address")]
    pub(crate) listen: SocketAddr,
    /// Address of `/metrics`, `/healthz` and `/readyz`, plain HTTP. Default: `127.0.0.1:9464`.
    #[serde(deserialize_with = "form::address")]
    pub(crate) metrics_listen: SocketAddr,
    /// Address of a plain-HTTP listener that redirects to HTTPS; empty for none. Default: empty.
    pub(crate) redirect_listen: String,
    /// `https://HOST` or `https://HOST:PORT` at which clients reach the registry; empty for the first of `names`
    /// with the port of `listen`. Default: empty.
    pub(crate) external_url: String,
    /// DNS names and IP addresses that clients use, for the server certificate. It always contains the machine's name,
    /// localhost and the loopback addresses too. Default: none.
    pub(crate) names: Vec<String>,
    /// Networks of balancers whose PROXY protocol header and X-Forwarded-For are trusted. Default: none.
    #[serde(deserialize_with = "form::networks")]
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// Whether connections from `trusted_proxies` begin with a PROXY protocol header. Default: false.
    pub(crate) proxy_protocol: bool,
    /// Threads that serve connections; 0 for one per core. Default: 0.
    pub(crate) threads: usize,
    /// Seconds between SIGTERM, when `/readyz` begins to answer 503, and closing the listeners: as long as
    /// balancers take to notice. Default: 0.
    pub(crate) drain_delay_secs: u64,
    /// Seconds that running requests have to finish once the listeners are closed. Default: 300.
    pub(crate) grace_secs: u64,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            data: "./data".into(),
            listen: SocketAddr::from(([0_u16; 8], 8443)),
            metrics_listen: SocketAddr::from(([127, 0, 0, 1], 9464)),
            redirect_listen: String::new(),
            external_url: String::new(),
            names: Vec::new(),
            trusted_proxies: Vec::new(),
            proxy_protocol: false,
            threads: 0,
            drain_delay_secs: 0,
            grace_secs: 300,
        }
    }
}

/// The server certificate.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Tls {
    /// PEM file of the certificate chain; empty for one that Gantry's own CA issues. Default: empty.
    pub(crate) certificate: String,
    /// PEM file of its key. Default: empty.
    pub(crate) key: String,
    /// PEM files of further certificate chains, each presented to clients that ask for one of its names. Default: none.
    pub(crate) more_certificates: Vec<String>,
    /// PEM files of their keys, in the same order. Default: none.
    pub(crate) more_keys: Vec<String>,
    /// PEM file of the authorities whose client certificates are accepted, besides all other ways to sign in; empty to
    /// ask for none. Default: empty.
    pub(crate) client_ca: String,
    /// PEM file of revocation lists of these authorities; empty for none. Default: empty.
    pub(crate) client_crl: String,
}

/// A server certificate obtained by ACME.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Acme {
    /// URL of the ACME server's directory, whose terms of service are thereby accepted; empty for none. Default: empty.
    pub(crate) directory: String,
    /// Names of the certificate; none for the host of `external_url`, or the first of `[server] names`. Default: none.
    pub(crate) names: Vec<String>,
    /// Mail addresses that the server may write to. Default: none.
    pub(crate) contact: Vec<String>,
    /// How names are proved: `http-01`, `tls-alpn-01` or `dns-01`. Default: `http-01`.
    pub(crate) challenge: String,
    /// Program that sets and removes DNS records, for `dns-01`. Default: empty.
    pub(crate) dns_command: String,
    /// Key ID of the account at the authority, if it wants accounts to be bound; empty for none. Default: empty.
    pub(crate) eab_key_id: String,
    /// File with the key that belongs to it, in base64url. Default: empty.
    pub(crate) eab_hmac_key_file: String,
    /// PEM file of the authorities that may have signed the ACME server's own certificate; empty for those of the
    /// system. Default: empty.
    pub(crate) ca_file: String,
    /// Profile of the certificate, if the server has several; empty for its default. Default: empty.
    pub(crate) profile: String,
    /// `HOST:PORT` at which our own proof is tried before the server is asked to look; empty for the name to be proved,
    /// `off` for not at all. Default: empty.
    pub(crate) check_address: String,
    /// Seconds to wait after the first failure; the wait doubles with each further one, up to 6 hours. Default: 60.
    pub(crate) retry_secs: u64,
}

impl Default for Acme {
    fn default() -> Self {
        Self {
            directory: String::new(),
            names: Vec::new(),
            contact: Vec::new(),
            challenge: "http-01".to_owned(),
            dns_command: String::new(),
            eab_key_id: String::new(),
            eab_hmac_key_file: String::new(),
            ca_file: String::new(),
            profile: String::new(),
            check_address: String::new(),
            retry_secs: 60,
        }
    }
}

/// Where blob bytes are kept.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Storage {
    /// `files`, or `s3` for an S3-compatible bucket. Default: `files`.
    pub(crate) backend: Backend,
    /// `files` or `s3`: the old store, from which `gantry storage move` moves blobs to `backend`; `none` if there
    /// is none. Default: `none`.
    pub(crate) moving_from: MovingFrom,
    /// Folder of the blob files; empty for `blobs` in the data folder. Default: empty.
    pub(crate) path: String,
    /// The bucket of `s3`.
    pub(crate) s3: s3::Settings,
    /// Which pulls from `s3` are redirected to the bucket.
    pub(crate) redirect: Redirect,
}

/// Which pulls are redirected (307) to a URL of the bucket.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Redirect {
    /// Networks of clients that reach the bucket directly. Default: none, so that nothing is redirected.
    #[serde(deserialize_with = "form::networks")]
    pub(crate) networks: Vec<IpNet>,
    /// Projects whose blobs may be redirected; empty for all. Default: none.
    pub(crate) projects: Vec<String>,
    /// Smallest blob to redirect, in bytes. Default: 1048576.
    pub(crate) min_bytes: u64,
    /// Seconds within which a download must start; a running one continues. Default: 300.
    pub(crate) expiry_secs: u32,
}

impl Default for Redirect {
    fn default() -> Self {
        Self {
            networks: Vec::new(),
            projects: Vec::new(),
            min_bytes: 1 << 20,
            expiry_secs: 300,
        }
    }
}

/// Kinds of blob stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Backend {
    /// Files below a folder.
    Files,
    /// Objects in a bucket.
    S3,
}

/// The old store during a move.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MovingFrom {
    /// There is none.
    None,
    /// Files below a folder.
    Files,
    /// Objects in a bucket.
    S3,
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            backend: Backend::Files,
            moving_from: MovingFrom::None,
            path: String::new(),
            s3: s3::Settings::default(),
            redirect: Redirect::default(),
        }
    }
}

/// Where metadata is kept.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Database {
    /// `postgres://…`; empty for SQLite in the data folder. Default: empty.
    pub(crate) url: DatabaseUrl,
    /// File with the password of the user in `url`, as it is: no character has to be escaped. Default: empty.
    pub(crate) password_file: String,
}

/// Files that hold secrets.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Secrets {
    /// File of the master key; empty for `master.key` in the data folder, created at the first start. Default:
    /// empty.
    pub(crate) master_key_file: String,
    /// File with the first password of `admin`; without it `GANTRY_ADMIN_PASSWORD`, else one is generated and
    /// printed once. Default: empty.
    pub(crate) admin_password_file: String,
}

/// Limits.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    /// Concurrent connections to the registry; an idle one takes about 50 KiB. Lower if the open-file limit is too
    /// small. Default: 8192.
    pub(crate) connections: usize,
    /// Concurrent connections per address, or per IPv6 /64. Default: 1024.
    pub(crate) connections_per_address: usize,
    /// Seconds for a TLS handshake. Default: 10.
    pub(crate) handshake_secs: u64,
    /// Seconds for a request's header to arrive, and for which a connection without requests is kept. Default: 30.
    pub(crate) header_secs: u64,
    /// Maximum size of a request's target and header fields, in bytes; more is 431, or 414 if HTTP/1.1's request
    /// line alone is longer than 64 KiB. Default: 65536.
    pub(crate) header_bytes: usize,
    /// Seconds that a client may fall behind `min_bytes_per_second` while it sends or reads a body, before the
    /// request is aborted. Default: 60.
    pub(crate) idle_secs: u64,
    /// Minimum average speed at which a client must send or read a body, in bytes per second; 0 for any. Default:
    /// 1024.
    pub(crate) min_bytes_per_second: u64,
    /// Seconds for the whole body of a manifest, a token form or a REST API request. Default: 60.
    pub(crate) short_body_secs: u64,
    /// Memory for all request and response bodies, in MiB. Default: 96.
    pub(crate) body_memory_mib: usize,
    /// Requests per second and address; more are 429. 0 for no limit. Default: 0.
    pub(crate) requests_per_second: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 8_192,
            connections_per_address: 1_024,
            handshake_secs: 10,
            header_secs: 30,
            header_bytes: 64 << 10,
            idle_secs: 60,
            min_bytes_per_second: 1_024,
            short_body_secs: 60,
            body_memory_mib: 96,
            requests_per_second: 0,
        }
    }
}

impl Limits {
    /// The minimum speed of bodies.
    pub(crate) fn least(&self) -> Least {
        Least {
            patience: Duration::from_secs(self.idle_secs),
            bytes_per_second: self.min_bytes_per_second,
        }
    }

    /// The time limit for a short body.
    pub(crate) fn short_body_time(&self) -> Duration {
        Duration::from_secs(self.short_body_secs)
    }
}

/// Upload sessions.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Uploads {
    /// Seconds before an idle upload is discarded. Default: 86400.
    pub(crate) expiry_secs: u64,
}

impl Default for Uploads {
    fn default() -> Self {
        Self {
            expiry_secs: 86_400,
        }
    }
}

/// Garbage collection.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Gc {
    /// Seconds to keep an unreferenced blob. Default: 7200.
    pub(crate) grace_secs: u64,
    /// Seconds to keep a blob's bytes after garbage collection removed the blob: at least the age of the oldest
    /// database backup that may be restored. Default: 0.
    pub(crate) hold_secs: u64,
    /// Maximum number of blobs to remove per minute; 0 for no limit. Default: 0.
    pub(crate) blobs_per_minute: u64,
}

impl Default for Gc {
    fn default() -> Self {
        Self {
            grace_secs: 7_200,
            hold_secs: 0,
            blobs_per_minute: 0,
        }
    }
}

/// The audit log.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Audit {
    /// `coalesced`: identical pulls within a second become one entry with a count; `each`: every pull is written
    /// before its bytes are sent. Default: `coalesced`.
    pub(crate) pulls: Pulls,
}

/// How pulls are recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Pulls {
    /// Combined by the second.
    #[default]
    Coalesced,
    /// One entry each.
    Each,
}

/// Connections to addresses that requests set, such as a directory's. By default all addresses are allowed except
/// loopback, link-local, unspecified and multicast ones, and those at which clouds give out credentials.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Outgoing {
    /// Networks that are always allowed. Default: none.
    #[serde(deserialize_with = "form::networks")]
    pub(crate) allow: Vec<IpNet>,
    /// Networks that are never allowed. Default: none.
    #[serde(deserialize_with = "form::networks")]
    pub(crate) deny: Vec<IpNet>,
}

impl Outgoing {
    /// The policy that decides which addresses are allowed.
    pub(crate) fn guard(&self) -> outgoing::Guard {
        outgoing::Guard::new(self.allow.clone(), self.deny.clone())
    }
}

/// Logs, on standard error; the access log goes to standard output.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Log {
    /// `human` or `json`. Default: `human`.
    pub(crate) format: LogFormat,
    /// `error`, `warn`, `info`, `debug` or `trace`, or a filter such as `info,gantry_db=debug`.
    /// Default: `info`.
    pub(crate) level: String,
    /// Whether to write an access log line to standard output for each request. Default: true.
    pub(crate) access: bool,
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    Human,
    /// For programs.
    Json,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: LogFormat::Human,
            level: "info".to_owned(),
            access: true,
        }
    }
}

/// Spans, which show where the time of a request goes.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Tracing {
    /// `http://HOST:PORT` or `https://HOST:PORT` of a collector that accepts spans by OTLP over HTTP; empty for
    /// none. Default: empty.
    pub(crate) otlp_endpoint: String,
    /// Fraction of requests to trace, from 0 to 1; for a request that already belongs to a trace, that trace
    /// decides. Default: 1.
    pub(crate) sample_ratio: f64,
}

impl Default for Tracing {
    fn default() -> Self {
        Self {
            otlp_endpoint: String::new(),
            sample_ratio: 1.0,
        }
    }
}

impl Database {
    /// True for SQLite, which only one machine can use.
    pub(crate) fn is_sqlite(&self) -> bool {
        self.url.is_empty()
    }
}

impl Config {
    /// The folder of certificates.
    pub(crate) fn certs(&self) -> PathBuf {
        self.server.data.join("certs")
    }

    /// The file of the CA's certificate, for clients. Its folder holds no keys, so that clients can be pointed at it.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.certs().join("ca.crt")
    }

    /// The files by which certificates of clients are checked, if clients are asked for any.
    pub(crate) fn client_trust(&self) -> Option<certs::TrustFiles> {
        let tls = &self.tls;
        (!tls.client_ca.is_empty()).then(|| certs::TrustFiles {
            authorities: tls.client_ca.clone().into(),
            revoked: (!tls.client_crl.is_empty()).then(|| tls.client_crl.clone().into()),
        })
    }

    /// The address of the redirecting listener, if there is one.
    ///
    /// # Errors
    /// What is wrong with the setting.
    pub(crate) fn redirect_listen(&self) -> Result<Option<SocketAddr>, String> {
        match self.server.redirect_listen.as_str() {
            "" => Ok(None),
            text => form::parse_address(text).map(Some),
        }
    }

    /// Settings that cannot be changed, including the one fixed by `[server] external_url`.
    ///
    /// # Errors
    /// If both name an address and they differ.
    pub(crate) fn fixed_settings(&self) -> Result<Fixed, InvalidSetting> {
        let fixed = self.settings.clone();
        if self.server.external_url.is_empty() {
            return Ok(fixed);
        }
        let url = format!("https://{}", self.external_host());
        fixed.and("external_url", url.into())
    }

    /// HOST or HOST:PORT at which clients reach the registry.
    pub(crate) fn external_host(&self) -> String {
        if let Ok(Some(host)) = form::parse_external_url(&self.server.external_url) {
            return host;
        }
        let name = self.server.names.first();
        let name = name.map_or("localhost", String::as_str);
        let name = match name.parse::<std::net::Ipv6Addr>() {
            Ok(address) => format!("[{address}]"),
            Err(_) => name.to_owned(),
        };
        match self.server.listen.port() {
            443 => name,
            port => format!("{name}:{port}"),
        }
    }

    /// Where the database is.
    pub(crate) fn database(&self) -> db::Location {
        if self.database.is_sqlite() {
            db::Location::Sqlite(self.server.data.join("gantry.db"))
        } else {
            db::Location::Postgres(self.database.url.expose().to_owned())
        }
    }

    /// The old store during a move.
    pub(crate) fn moving_from(&self) -> Option<Backend> {
        match self.storage.moving_from {
            MovingFrom::None => None,
            MovingFrom::Files => Some(Backend::Files),
            MovingFrom::S3 => Some(Backend::S3),
        }
    }

    /// Whether there are blobs below a folder, all of them or, during a move, the old ones.
    pub(crate) fn keeps_files(&self) -> bool {
        self.storage.backend == Backend::Files || self.moving_from() == Some(Backend::Files)
    }

    /// The folder of the blob files.
    pub(crate) fn blobs(&self) -> PathBuf {
        if self.storage.path.is_empty() {
            self.server.data.join("blobs")
        } else {
            self.storage.path.clone().into()
        }
    }

    /// The file of the master key.
    pub(crate) fn master_key(&self) -> PathBuf {
        if self.secrets.master_key_file.is_empty() {
            self.server.data.join("master.key")
        } else {
            self.secrets.master_key_file.clone().into()
        }
    }
}
