//! The server certificates: their files, names, and when a new one is issued. Writing and watching the files, and what
//! is wrong with certificates, are in `certs`; those in the database are in `stored`.

pub(crate) mod stored;
pub(crate) mod watch;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use certs::{Authority, LEAF_DAYS, Pair, Presented, ServerCertificate, Source, SubjectName};
use model::Timestamp;

use crate::bootstrap::Authorities;
use crate::config::Config;
use crate::folder;

/// Days before expiry at which our own certificate is renewed.
const RENEW_DAYS: i64 = 30;

/// The certificates of all files, the main one first.
///
/// # Errors
/// If one does not load.
pub(crate) fn load(config: &Config) -> anyhow::Result<(Vec<Pair>, Vec<Presented>)> {
    let main = match config.tls.certificate.is_empty() {
        true => Source::Ca,
        false => Source::Files,
    };
    let more = config
        .tls
        .more_certificates
        .iter()
        .zip(&config.tls.more_keys);
    let more = more.map(|(certificate, key)| Pair {
        certificate: certificate.into(),
        key: key.into(),
    });
    let pairs: Vec<Pair> = std::iter::once(files(config)).chain(more).collect();
    let presented = pairs.iter().enumerate().map(|(at, pair)| {
        let certificate = ServerCertificate::load(&pair.certificate, &pair.key)?;
        Ok(Presented {
            source: if at == 0 { main } else { Source::Files },
            label: pair.certificate.display().to_string(),
            certificate: Arc::new(certificate),
        })
    });
    let presented = presented.collect::<anyhow::Result<_>>()?;
    Ok((pairs, presented))
}

/// The files of the main certificate, ours or the operator's.
pub(crate) fn files(config: &Config) -> Pair {
    let tls = &config.tls;
    if tls.certificate.is_empty() {
        Pair::within(&own_folder(config))
    } else {
        Pair {
            certificate: tls.certificate.clone().into(),
            key: tls.key.clone().into(),
        }
    }
}

/// Prepares the files for serving. If none are configured, the CA issues a pair, and a new one if the pair is about to
/// expire, lacks a name, does not match after a crash, or is from an earlier CA of Gantry's. Certificates of other CAs
/// are left alone.
///
/// # Errors
/// If a file cannot be read or written.
pub(crate) fn prepare(
    config: &Config,
    authorities: &Authorities,
    now: Timestamp,
) -> anyhow::Result<Pair> {
    let authority = &authorities.current;
    folder::make(&config.certs())?;
    certs::write_public(&config.ca_file(), &authorities.bundle())?;
    let pair = files(config);
    if !config.tls.certificate.is_empty() {
        return Ok(pair);
    }
    folder::make(&own_folder(config))?;
    let names = names(config)?;
    store_names(config, &names)?;
    if pair.certificate.exists() {
        // A file without any certificate cannot be someone else's.
        let is_own = match authority.issued(&pair.certificate) {
            Err(certs::Error::NoCertificate(_)) => true,
            issued => issued?,
        };
        match ServerCertificate::load(&pair.certificate, &pair.key) {
            Ok(current) if is_own && is_good(&current, &names, now) => return Ok(pair),
            Ok(current) if is_own || Authorities::is_own(current.issuer()) => {}
            Err(error) if is_own => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "issuing a new server certificate, because its files do not match"
            ),
            _ => return Ok(pair),
        }
    }
    issue(config, authority, &names, now)
}

/// Issues a new pair while the server runs, if the CA issued the current one and it is about to expire. Files that do
/// not match may be half written: the next start handles them.
///
/// # Errors
/// If a file cannot be written.
pub(crate) fn renew_in_time(
    config: &Config,
    authority: &Authority,
    now: Timestamp,
) -> anyhow::Result<()> {
    let pair = files(config);
    let Ok(current) = ServerCertificate::load(&pair.certificate, &pair.key) else {
        return Ok(());
    };
    let names = names(config)?;
    let is_own = config.tls.certificate.is_empty() && current.issued_by(authority);
    if is_own && !is_good(&current, &names, now) {
        store_names(config, &names)?;
        issue(config, authority, &names, now)?;
    }
    Ok(())
}

/// The names that a renewal includes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Renewal {
    /// The server's names, as stored at its start, and those of the settings.
    KeepNames,
    /// Only those of the settings.
    Force,
}

/// Issues a new server certificate in place of the current one.
///
/// # Errors
/// If names would be lost, or a file cannot be written.
pub(crate) fn renew(
    config: &Config,
    authority: &Authority,
    now: Timestamp,
    renewal: Renewal,
) -> anyhow::Result<Pair> {
    let mut wanted = names(config)?;
    if renewal == Renewal::KeepNames {
        for name in stored_names(config)? {
            if !wanted.contains(&name) {
                wanted.push(name);
            }
        }
        let pair = files(config);
        if let Ok(current) = ServerCertificate::load(&pair.certificate, &pair.key) {
            let kept: Vec<String> = wanted.iter().map(ToString::to_string).collect();
            let lost = current.names().iter().filter(|name| !kept.contains(name));
            let lost: Vec<&str> = lost.map(String::as_str).collect();
            anyhow::ensure!(
                lost.is_empty(),
                "the new certificate would lack {}, which the current one has: add them to [server] names, or use \
                 --force",
                lost.join(", ")
            );
        }
    }
    issue(config, authority, &wanted, now)
}

/// The folder of the pair that the CA issues. It is not the folder of `ca.crt`, because clients pointed at that folder
/// would take a key there for their own.
fn own_folder(config: &Config) -> PathBuf {
    config.certs().join("server")
}

fn is_good(current: &ServerCertificate, names: &[SubjectName], now: Timestamp) -> bool {
    let renew_at = current.not_after() - time::Duration::days(RENEW_DAYS);
    now.date_time() < renew_at && names.iter().all(|name| current.covers(name))
}

fn issue(
    config: &Config,
    authority: &Authority,
    names: &[SubjectName],
    now: Timestamp,
) -> anyhow::Result<Pair> {
    let issued = authority.issue(names, now.date_time(), LEAF_DAYS)?;
    let pair = certs::write_pair(&own_folder(config), &issued)?;
    tracing::info!(
        certificate.names = names_text(names, ", "),
        "a new server certificate was issued"
    );
    Ok(pair)
}

/// The names that clients are known to use: those of the settings and of the external URL.
pub(crate) fn wanted_names(config: &Config) -> Vec<SubjectName> {
    let host = config.external_host().parse::<http::uri::Authority>();
    let host = host.ok().map(|host| host.host().to_owned());
    let names = config.server.names.iter().cloned().chain(host);
    let mut wanted: Vec<SubjectName> = Vec::new();
    for name in names.filter_map(|name| name.parse().ok()) {
        if !wanted.contains(&name) {
            wanted.push(name);
        }
    }
    wanted
}

/// The configured names, those of the external URL and the machine, localhost, the loopback addresses and the
/// listener's address.
fn names(config: &Config) -> anyhow::Result<Vec<SubjectName>> {
    let mut names = Vec::new();
    let mut add = |name: SubjectName| {
        if !names.contains(&name) {
            names.push(name);
        }
    };
    for name in &config.server.names {
        add(name.parse().context("[server] names")?);
    }
    let mut implicit = vec![machine_name()];
    if let Ok(host) = config.external_host().parse::<http::uri::Authority>() {
        implicit.insert(0, host.host().to_owned());
    }
    implicit.extend(["localhost", "127.0.0.1", "::1"].map(str::to_owned));
    let listen = config.server.listen.ip();
    if !listen.is_unspecified() {
        implicit.push(listen.to_string());
    }
    for name in implicit {
        match name.parse() {
            Ok(name) => add(name),
            Err(_) => tracing::warn!(
                certificate.name = name,
                "no certificate can contain this machine name: add the name that clients use to [server] names"
            ),
        }
    }
    Ok(names)
}

fn machine_name() -> String {
    let system = rustix::system::uname();
    system.nodename().to_string_lossy().into_owned()
}

/// The file with the running server's names, for commands that have other settings.
fn names_file(config: &Config) -> PathBuf {
    own_folder(config).join("names")
}

fn store_names(config: &Config, names: &[SubjectName]) -> anyhow::Result<()> {
    let (path, text) = (names_file(config), names_text(names, "\n") + "\n");
    if std::fs::read_to_string(&path).is_ok_and(|stored| stored == text) {
        return Ok(());
    }
    Ok(certs::write_public(&path, &text)?)
}

fn stored_names(config: &Config) -> anyhow::Result<Vec<SubjectName>> {
    let path = names_file(config);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let names = text.lines().map(str::parse);
    names.collect::<Result<_, _>>().with_context(|| {
        format!(
            "{} is damaged: restart the server, or delete it",
            path.display()
        )
    })
}

fn names_text(names: &[SubjectName], separator: &str) -> String {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    names.join(separator)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const NOW: Timestamp = Timestamp(1_772_366_400_000_000);

    fn days(days: u64) -> Timestamp {
        NOW.plus(std::time::Duration::from_secs(days * 86_400))
    }

    struct Bench {
        _folder: tempfile::TempDir,
        config: Config,
        authorities: Authorities,
    }

    fn authorities(name: &str) -> Authorities {
        Authorities {
            current: Authority::create(name, NOW.date_time()).unwrap(),
            previous: None,
        }
    }

    impl Bench {
        fn new(names: &[&str]) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let mut config = Config::default();
            config.server.data = folder.path().to_owned();
            config.server.names = names.iter().map(|name| (*name).to_owned()).collect();
            Self {
                _folder: folder,
                config,
                authorities: authorities("Gantry private CA"),
            }
        }

        fn prepare(&self, now: Timestamp) -> ServerCertificate {
            let pair = prepare(&self.config, &self.authorities, now).unwrap();
            ServerCertificate::load(&pair.certificate, &pair.key).unwrap()
        }

        fn renew(&self, renewal: Renewal) -> anyhow::Result<ServerCertificate> {
            let pair = renew(&self.config, &self.authorities.current, NOW, renewal)?;
            Ok(ServerCertificate::load(&pair.certificate, &pair.key)?)
        }
    }

    #[test]
    fn a_certificate_is_kept_however_its_names_are_written() {
        let bench = Bench::new(&["Registry.Example", "FD00:0:0:0:0:0:0:1", "10.0.0.1"]);
        let first = bench.prepare(NOW);
        assert_eq!(bench.prepare(days(1)).serial(), first.serial());
        assert_ne!(
            bench.prepare(days(370)).serial(),
            first.serial(),
            "it nears its end"
        );
    }

    #[test]
    fn a_pair_that_a_crash_tore_apart_is_issued_anew() {
        let bench = Bench::new(&["a.example"]);
        let first = bench.prepare(NOW);
        let other =
            bench
                .authorities
                .current
                .issue(&["a.example".parse().unwrap()], NOW.date_time(), 9);
        // The next pair's key is there, but not yet its certificate.
        fs::write(files(&bench.config).key, other.unwrap().key_pem.as_bytes()).unwrap();
        assert_ne!(bench.prepare(NOW).serial(), first.serial());
        fs::remove_file(files(&bench.config).key).unwrap();
        bench.prepare(NOW);
        for torn in ["", "no certificate"] {
            fs::write(files(&bench.config).certificate, torn).unwrap();
            bench.prepare(NOW);
        }
    }

    #[test]
    fn a_server_renews_what_is_whole_and_its_own_and_near_its_end() {
        let bench = Bench::new(&["a.example"]);
        let first = bench.prepare(NOW);
        let pair = files(&bench.config);
        let renewed = |now| {
            renew_in_time(&bench.config, &bench.authorities.current, now).unwrap();
            ServerCertificate::load(&pair.certificate, &pair.key).unwrap()
        };
        assert_eq!(renewed(days(1)).serial(), first.serial());
        assert_ne!(renewed(days(370)).serial(), first.serial());
        for half_written in ["", "no certificate"] {
            fs::write(&pair.certificate, half_written).unwrap();
            renew_in_time(&bench.config, &bench.authorities.current, days(370)).unwrap();
            assert_eq!(fs::read_to_string(&pair.certificate).unwrap(), half_written);
        }
    }

    #[test]
    fn the_certificate_of_another_authority_is_left_alone() {
        let bench = Bench::new(&["a.example"]);
        bench.prepare(NOW);
        let other = Authority::create("other", NOW.date_time()).unwrap();
        let pair = other
            .issue(&["b.example".parse().unwrap()], NOW.date_time(), 1)
            .unwrap();
        certs::write_pair(&own_folder(&bench.config), &pair).unwrap();
        assert_eq!(bench.prepare(NOW).names(), ["b.example"]);
    }

    #[test]
    fn the_certificate_of_an_earlier_authority_is_issued_anew() {
        let mut bench = Bench::new(&["a.example"]);
        bench.prepare(NOW);
        for name in ["Gantry private CA", "Gantry private CA 2"] {
            bench.authorities = authorities(name);
            assert!(bench.prepare(NOW).issued_by(&bench.authorities.current));
        }
    }

    #[test]
    fn a_renewal_keeps_the_names_of_the_server() {
        let mut bench = Bench::new(&["a.example"]);
        bench.prepare(NOW);
        bench.config.server.names = vec!["b.example".to_owned()];
        let renewed = bench.renew(Renewal::KeepNames).unwrap();
        for name in ["a.example", "b.example", "localhost"] {
            assert!(renewed.covers(&name.parse().unwrap()), "{name}");
        }
        let forced = bench.renew(Renewal::Force).unwrap();
        assert!(!forced.covers(&"a.example".parse().unwrap()));
    }

    #[test]
    fn a_renewal_that_would_lose_names_is_refused() {
        let mut bench = Bench::new(&["a.example"]);
        bench.prepare(NOW);
        fs::remove_file(names_file(&bench.config)).unwrap();
        bench.config.server.names.clear();
        let error = bench.renew(Renewal::KeepNames).unwrap_err().to_string();
        assert!(
            error.contains("a.example") && error.contains("--force"),
            "{error}"
        );
        assert!(!error.contains("localhost"), "{error}");
        bench.renew(Renewal::Force).unwrap();
    }

    #[test]
    fn the_host_of_the_external_url_is_in_the_certificate() {
        for (url, name) in [
            ("https://registry.example", "registry.example"),
            ("https://registry.example:8443", "registry.example"),
            ("https://[fd00::1]", "fd00::1"),
            ("https://[fd00::1]:8443", "fd00::1"),
        ] {
            let mut bench = Bench::new(&[]);
            bench.config.server.external_url = url.to_owned();
            assert!(bench.prepare(NOW).covers(&name.parse().unwrap()), "{url}");
        }
    }

    #[test]
    fn an_implicit_name_that_is_none_is_left_out() {
        let mut bench = Bench::new(&["a.example"]);
        bench.config.server.external_url = "https://12345".to_owned();
        let certificate = bench.prepare(NOW);
        for name in ["a.example", "localhost"] {
            assert!(certificate.covers(&name.parse().unwrap()), "{name}");
        }
        assert!(!certificate.names().contains(&"12345".to_owned()));
        bench.config.server.names = vec!["12345".to_owned()];
        let refused = prepare(&bench.config, &bench.authorities, NOW).unwrap_err();
        assert!(refused.to_string().contains("[server] names"), "{refused}");
    }

    #[test]
    fn keys_are_not_in_the_folder_that_clients_are_pointed_at() {
        let bench = Bench::new(&["a.example"]);
        bench.prepare(NOW);
        let folder = bench.config.ca_file();
        let entries = fs::read_dir(folder.parent().unwrap()).unwrap();
        let files: Vec<_> = entries.map(|entry| entry.unwrap()).collect();
        let files = files
            .iter()
            .filter(|entry| entry.file_type().unwrap().is_file());
        assert_eq!(
            files.map(|entry| entry.file_name()).collect::<Vec<_>>(),
            ["ca.crt"]
        );
    }
}
