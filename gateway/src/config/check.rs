//! Validation of settings, for `gantry config check` and `gantry serve` alike. Reports all errors at once; writes
//! nothing and opens no connections.

use std::fmt::{self, Display};
use std::fs::File;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use certs::{ClientTrust, ServerCertificate, SubjectName, expiry_warning};
use jobs::failures::causes;
use model::{ProjectName, Timestamp};
use storage::S3;
use tenancy::secret::MasterKey;

use super::{Backend, Config, MovingFrom, collector, form, log_level};
use crate::folder;

const DAY: u64 = 86_400;
/// Maximum for any time in seconds: ten years.
const LONGEST: u64 = 3_653 * DAY;

/// Why settings cannot be used: one line per error.
#[derive(Debug)]
pub(crate) struct Invalid(Vec<String>);

impl Invalid {
    /// The errors, one line each.
    pub(crate) fn lines(&self) -> &[String] {
        &self.0
    }
}

impl Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for Invalid {}

impl Config {
    /// Checks every setting and the files that they name. Returns warnings.
    ///
    /// # Errors
    /// All errors.
    pub(crate) fn check(&self, now: Timestamp) -> Result<Vec<String>, Invalid> {
        let mut check = Check::default();
        check.server(self);
        check.owners(self);
        check.tls(self, now);
        check.clients(self);
        check.acme(self);
        check.storage(self);
        check.database(self);
        check.admin_password(self);
        check.limits(self);
        check.times(self);
        check.log(self);
        if check.errors.is_empty() {
            Ok(check.warnings)
        } else {
            Err(Invalid(check.errors))
        }
    }
}

#[derive(Default)]
struct Check {
    errors: Vec<String>,
    warnings: Vec<String>,
}

impl Check {
    fn wrong(&mut self, key: &str, why: impl Display) {
        self.errors.push(format!("{key}: {why}"));
    }

    fn range<T: PartialOrd + Display>(&mut self, key: &str, value: T, range: RangeInclusive<T>) {
        if !range.contains(&value) {
            let (from, to) = range.into_inner();
            self.wrong(
                key,
                format!("{value} is out of range: write {from} to {to}"),
            );
        }
    }

    fn server(&mut self, config: &Config) {
        let server = &config.server;
        self.listeners(config);
        if let Err(why) = form::parse_external_url(&server.external_url) {
            self.wrong("[server] external_url", why);
        } else if let Err(why) = config.fixed_settings() {
            self.wrong("[server] external_url", why.to_string());
        }
        for name in &server.names {
            if let Err(why) = name.parse::<SubjectName>() {
                self.wrong("[server] names", why);
            }
        }
        if server.proxy_protocol && server.trusted_proxies.is_empty() {
            let why = "true has no effect: name the balancers in [server] trusted_proxies";
            self.wrong("[server] proxy_protocol", why);
        }
        self.range("[server] threads", server.threads, 0..=1_024);
        self.range(
            "[server] drain_delay_secs",
            server.drain_delay_secs,
            0..=3_600,
        );
        self.range("[server] grace_secs", server.grace_secs, 0..=DAY);
    }

    fn listeners(&mut self, config: &Config) {
        let server = &config.server;
        let mut listeners = vec![
            ("[server] listen", server.listen),
            ("[server] metrics_listen", server.metrics_listen),
        ];
        match config.redirect_listen() {
            Ok(Some(address)) => listeners.push(("[server] redirect_listen", address)),
            Ok(None) => {}
            Err(why) => self.wrong("[server] redirect_listen", why),
        }
        for (at, (key, address)) in listeners.iter().enumerate() {
            if address.port() == 0 {
                self.wrong(
                    key,
                    format!(
                        "{address} has no port: write {}",
                        SocketAddr::new(address.ip(), 8443)
                    ),
                );
            }
            let name = key.trim_start_matches("[server] ");
            if let Some((other, _)) = listeners[..at].iter().find(|(_, taken)| taken == address) {
                let why =
                    format!("{address} is that of {other} too: give {name} a port of its own");
                self.wrong(key, why);
            }
        }
    }

    fn owners(&mut self, config: &Config) {
        let (tls, storage) = (&config.tls, &config.storage);
        let own = config.certs().join("server/server.key");
        let more = tls.more_keys.iter();
        let more = more.map(|key| ("[tls] more_keys", PathBuf::from(key), "0600"));
        let paths = [
            ("[server] data", config.server.data.clone(), "0700"),
            ("[secrets] master_key_file", config.master_key(), "0600"),
            ("[server] data", own, "0600"),
            ("[tls] key", PathBuf::from(&tls.key), "0600"),
            ("[storage] path", PathBuf::from(&storage.path), "0700"),
        ];
        for (key, path, mode) in paths.into_iter().chain(more) {
            match folder::check_owner(&path, mode) {
                Ok(warnings) => self.warnings.extend(warnings),
                Err(why) => self.wrong(key, why),
            }
        }
    }

    fn tls(&mut self, config: &Config, now: Timestamp) {
        let tls = &config.tls;
        match (tls.certificate.as_str(), tls.key.as_str()) {
            ("", "") => {}
            (_, "") => self.wrong("[tls] key", "name the key of [tls] certificate"),
            ("", _) => self.wrong("[tls] certificate", "name the certificate of [tls] key"),
            (certificate, key) => {
                let keys = ("[tls] certificate", "[tls] key");
                self.pair(keys, certificate.as_ref(), key.as_ref(), now);
            }
        }
        let more = (tls.more_certificates.len(), tls.more_keys.len());
        if more.0 != more.1 {
            let why = format!(
                "has {} files, but [tls] more_certificates has {}: name the key of each",
                more.1, more.0
            );
            self.wrong("[tls] more_keys", why);
            return;
        }
        for (certificate, key) in tls.more_certificates.iter().zip(&tls.more_keys) {
            let keys = ("[tls] more_certificates", "[tls] more_keys");
            self.pair(keys, certificate.as_ref(), key.as_ref(), now);
        }
    }

    fn clients(&mut self, config: &Config) {
        if config.tls.client_ca.is_empty() && !config.tls.client_crl.is_empty() {
            self.wrong(
                "[tls] client_crl",
                "has no effect: name the authorities in [tls] client_ca",
            );
        }
        if let Some(files) = config.client_trust() {
            match ClientTrust::load(&files) {
                Ok(_) => {}
                Err(error) => self.wrong("[tls] client_ca, client_crl", causes(&error)),
            }
        }
    }

    fn acme(&mut self, config: &Config) {
        self.range("[acme] retry_secs", config.acme.retry_secs, 1..=21_600);
        if let Err(wrong) = config.acme_terms() {
            for (key, why) in wrong {
                self.wrong(&format!("[acme] {key}"), why);
            }
        }
    }

    fn pair(&mut self, keys: (&str, &str), certificate: &Path, key: &Path, now: Timestamp) {
        let known = self.errors.len();
        for (name, path) in [(keys.0, certificate), (keys.1, key)] {
            if let Err(error) = File::open(path) {
                self.wrong(name, format!("cannot read {}: {error}", path.display()));
            }
        }
        if self.errors.len() > known {
            return;
        }
        match ServerCertificate::load(certificate, key) {
            Ok(loaded) => self
                .warnings
                .extend(expiry_warning(&loaded, now.date_time())),
            Err(error) => self.wrong("[tls]", causes(&error)),
        }
    }

    fn storage(&mut self, config: &Config) {
        let storage = &config.storage;
        let moving_from = config.moving_from();
        if moving_from == Some(storage.backend) {
            let why = "that is the backend itself: name the other one, or none";
            self.wrong("[storage] moving_from", why);
        }
        let in_bucket = storage.backend == Backend::S3 || moving_from == Some(Backend::S3);
        if in_bucket && let Err(error) = S3::open(&storage.s3) {
            self.wrong("[storage.s3]", causes(&error));
        }
        let in_files = config.keeps_files();
        let folder = config.blobs();
        if in_files && folder.exists() && !folder.is_dir() {
            self.wrong(
                "[storage] path",
                format!("{} is not a folder", folder.display()),
            );
        }
        if in_files
            && matches!(storage.moving_from, MovingFrom::None)
            && !config.database.is_sqlite()
        {
            self.warnings.push(
                "[storage] backend: with files, each replica on this database must mount the same folder; \
                 otherwise blobs are on one machine alone"
                    .to_owned(),
            );
        }
        self.range(
            "[storage.s3] memory_mib",
            storage.s3.memory_mib,
            16..=65_536,
        );
        let redirect = &storage.redirect;
        for project in &redirect.projects {
            if project.parse::<ProjectName>().is_err() {
                self.wrong(
                    "[storage.redirect] projects",
                    format!("{project:?} is not the name of a project"),
                );
            }
        }
        if !redirect.networks.is_empty() && !in_bucket {
            let why = "without effect, because only pulls from a bucket can be redirected";
            self.warnings
                .push(format!("[storage.redirect] networks: {why}"));
        }
        // A signed URL is valid for at most 7 days.
        self.range(
            "[storage.redirect] expiry_secs",
            redirect.expiry_secs,
            1..=604_800,
        );
    }

    fn database(&mut self, config: &Config) {
        let url = &config.database.url;
        if let Err(error) = config.database().check() {
            let mut cause: &dyn std::error::Error = &error;
            while let Some(deeper) = cause.source() {
                cause = deeper;
            }
            let why = format!(
                "{url} cannot be used, since {cause}: write postgres://USER:PASSWORD@HOST/NAME"
            );
            self.wrong("[database] url", why);
        }
        let path = config.master_key();
        let given = !config.secrets.master_key_file.is_empty();
        if path.exists() {
            if let Err(error) = MasterKey::load(&path) {
                self.wrong("[secrets] master_key_file", causes(&error));
            }
        } else if !config.database.is_sqlite() {
            let why = format!(
                "there is no {}: all replicas on one PostgreSQL need the same key, from `gantry secret new FILE`",
                path.display()
            );
            self.wrong("[secrets] master_key_file", why);
        } else if given
            && !path
                .parent()
                .is_some_and(|folder| folder.as_os_str().is_empty() || folder.is_dir())
        {
            self.wrong(
                "[secrets] master_key_file",
                format!("{} is in no folder that exists", path.display()),
            );
        }
    }

    fn admin_password(&mut self, config: &Config) {
        // It names its origin itself: the file, or the variable.
        self.errors.extend(config.admin_password().err());
    }

    fn limits(&mut self, config: &Config) {
        let limits = &config.limits;
        self.range(
            "[limits] connections_per_address",
            limits.connections_per_address,
            1..=1_000_000,
        );
        self.range("[limits] handshake_secs", limits.handshake_secs, 1..=600);
        self.range("[limits] header_secs", limits.header_secs, 1..=3_600);
        self.range(
            "[limits] header_bytes",
            limits.header_bytes,
            8_192..=1 << 20,
        );
        self.range("[limits] idle_secs", limits.idle_secs, 1..=DAY);
        self.range(
            "[limits] body_memory_mib",
            limits.body_memory_mib,
            16..=1 << 20,
        );
    }

    fn times(&mut self, config: &Config) {
        self.range(
            "[uploads] expiry_secs",
            config.uploads.expiry_secs,
            1..=LONGEST,
        );
        self.range("[gc] grace_secs", config.gc.grace_secs, 1..=LONGEST);
        self.range("[gc] hold_secs", config.gc.hold_secs, 0..=LONGEST);
    }

    fn log(&mut self, config: &Config) {
        if let Err(why) = log_level::filter(&config.log.level) {
            self.wrong("[log] level", why);
        }
        let tracing = &config.tracing;
        if !tracing.otlp_endpoint.is_empty()
            && let Err(why) = collector::endpoint(&tracing.otlp_endpoint)
        {
            self.wrong("[tracing] otlp_endpoint", why);
        }
        self.range("[tracing] sample_ratio", tracing.sample_ratio, 0.0..=1.0);
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A change to the settings, and the expected message.
    type Case = (fn(&mut Config), &'static [&'static str]);

    fn wrong(change: impl FnOnce(&mut Config)) -> String {
        let mut config = Config::default();
        change(&mut config);
        let checked = config.check(Timestamp(0));
        checked.expect_err("it is refused").to_string()
    }

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(
            Config::default().check(Timestamp(0)).unwrap(),
            Vec::<String>::new()
        );
    }

    #[test]
    fn what_cannot_work_is_named_with_key_value_and_form() {
        let cases: [Case; 24] = [
            (
                |c| c.log.level = "verbose".into(),
                &["[log] level", "verbose", "info"],
            ),
            (
                |c| c.server.names = vec!["https://a.example".into()],
                &["[server] names", "https://a.example", "without"],
            ),
            (
                |c| c.server.names = vec!["a.example:8443".into()],
                &["[server] names", "a.example:8443", "without"],
            ),
            (
                |c| c.server.external_url = "a.example".into(),
                &["[server] external_url", "a.example", "https://HOST"],
            ),
            (
                |c| c.server.redirect_listen = "80".into(),
                &["[server] redirect_listen", "\"80\"", "0.0.0.0:8443"],
            ),
            (
                |c| c.server.metrics_listen = c.server.listen,
                &["[server] metrics_listen", "[::]:8443", "port of its own"],
            ),
            (
                |c| c.server.listen.set_port(0),
                &["[server] listen", "[::]:0", "[::]:8443"],
            ),
            (
                |c| c.server.proxy_protocol = true,
                &["[server] proxy_protocol", "trusted_proxies"],
            ),
            (
                |c| c.server.threads = 100_000,
                &["[server] threads", "100000", "0 to 1024"],
            ),
            (
                |c| c.server.drain_delay_secs = 100_000,
                &["[server] drain_delay_secs", "100000", "0 to 3600"],
            ),
            (
                |c| c.tls.certificate = "/no/chain.pem".into(),
                &["[tls] key"],
            ),
            (|c| c.tls.key = "/no/key.pem".into(), &["[tls] certificate"]),
            (
                |c| {
                    c.tls = super::super::Tls {
                        certificate: "/no/chain.pem".into(),
                        key: "/no/key.pem".into(),
                        ..Default::default()
                    }
                },
                &["[tls]", "/no/chain.pem"],
            ),
            (
                |c| c.storage.backend = Backend::S3,
                &["[storage.s3]", "bucket"],
            ),
            (
                |c| c.storage.moving_from = MovingFrom::Files,
                &["[storage] moving_from", "none"],
            ),
            (
                |c| c.storage.redirect.projects = vec!["No Name".into()],
                &["[storage.redirect] projects", "No Name"],
            ),
            (
                |c| c.database.url = "mysql://u:hunter2@h/d".to_owned().into(),
                &["[database] url", "mysql://***@h/d", "postgres://"],
            ),
            (
                |c| c.database.url = "postgres://h:99999/d".to_owned().into(),
                &["[database] url", "postgres://h:99999/d"],
            ),
            (
                |c| c.secrets.master_key_file = "/no/folder/key".into(),
                &["[secrets] master_key_file", "/no/folder/key"],
            ),
            (
                |c| c.limits.connections_per_address = 0,
                &["[limits] connections_per_address", "0", "1 to 1000000"],
            ),
            (
                |c| c.limits.body_memory_mib = 0,
                &["[limits] body_memory_mib", "0", "16 to"],
            ),
            (
                |c| c.gc.hold_secs = u64::MAX,
                &["[gc] hold_secs", "18446744073709551615", "0 to"],
            ),
            (
                |c| c.tracing.sample_ratio = 1.5,
                &["[tracing] sample_ratio", "1.5", "0 to 1"],
            ),
            (
                |c| c.tracing.otlp_endpoint = "collector".into(),
                &["[tracing] otlp_endpoint", "collector", "http://HOST:PORT"],
            ),
        ];
        for (change, parts) in cases {
            let error = wrong(change);
            for part in parts {
                assert!(error.contains(part), "no {part} in: {error}");
            }
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn every_file_that_is_missing_is_named_on_a_line_of_its_own() {
        let mut config = Config::default();
        config.tls.certificate = "/no/chain.pem".into();
        config.tls.key = "/no/key.pem".into();
        config.secrets.admin_password_file = "/no/password".into();
        let invalid = config.check(Timestamp(0)).unwrap_err();
        let named = ["/no/chain.pem", "/no/key.pem", "/no/password"];
        assert_eq!(invalid.lines().len(), named.len(), "{invalid}");
        for (line, path) in invalid.lines().iter().zip(named) {
            assert!(line.starts_with('[') && line.contains(path), "{line}");
        }
    }

    #[test]
    fn what_has_no_effect_is_a_warning() {
        let mut config = Config::default();
        config.storage.redirect.networks = vec!["10.0.0.0/8".parse().unwrap()];
        let warnings = config.check(Timestamp(0)).unwrap();
        assert!(
            warnings.len() == 1 && warnings[0].contains("networks"),
            "{warnings:?}"
        );
    }

    #[test]
    fn paths_that_every_user_may_change_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (key, blobs) = (folder.path().join("a.key"), folder.path().join("blobs"));
        std::fs::write(&key, "no key").unwrap();
        std::fs::create_dir(&blobs).unwrap();
        for path in [&key, &blobs] {
            std::fs::set_permissions(path, Permissions::from_mode(0o702)).unwrap();
        }
        let error = wrong(|config| {
            config.tls.key = key.display().to_string();
            config.tls.more_keys = vec![key.display().to_string()];
            config.storage.path = blobs.display().to_string();
        });
        for line in [
            format!(
                "[tls] key: every user of this machine may change {}",
                key.display()
            ),
            format!(
                "[tls] more_keys: every user of this machine may change {}",
                key.display()
            ),
            format!(
                "[storage] path: every user of this machine may change {}",
                blobs.display()
            ),
        ] {
            assert!(error.contains(&line), "no {line} in: {error}");
        }
    }

    #[test]
    fn all_that_is_wrong_is_named_at_once() {
        let error = wrong(|config| {
            config.server.threads = 100_000;
            config.limits.idle_secs = 0;
        });
        assert!(
            error.contains("threads") && error.contains("idle_secs"),
            "{error}"
        );
    }
}
