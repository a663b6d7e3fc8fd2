//! The certificates in use, replaceable between handshakes, and which of them a handshake gets.
//!
//! Certificates come from four sources ([`Source`]). For a name that several are valid for, one that is valid now comes
//! before one that is not, and then the source decides, in the order of the enum: what an operator names by file comes
//! before what was imported or obtained, and Gantry's own CA is last. A client that names no host, or one that none is
//! valid for, gets the main one.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use time::OffsetDateTime;
use tokio::sync::watch;

use crate::server::ServerCertificate;

/// Where a certificate comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// Files that the operator names.
    Files,
    /// Imported into the database.
    Imported,
    /// Obtained by ACME.
    Acme,
    /// Gantry's own CA.
    Ca,
}

impl Source {
    /// Its name in the API, in tables and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Imported => "import",
            Self::Acme => "acme",
            Self::Ca => "ca",
        }
    }
}

/// A certificate in use.
#[derive(Clone, Debug)]
pub struct Presented {
    /// Where it comes from.
    pub source: Source,
    /// What operators call it: a file, or its name in the database.
    pub label: String,
    /// The certificate.
    pub certificate: Arc<ServerCertificate>,
}

/// The certificates that the next handshake can present.
pub struct HotCertificates {
    current: ArcSwap<Set>,
    changing: parking_lot::Mutex<()>,
    replaced: watch::Sender<()>,
}

/// All of them at a moment. The files come first, the main pair before the others.
#[derive(Clone)]
struct Set {
    files: Vec<Presented>,
    stored: Vec<Presented>,
    by_name: HashMap<String, Arc<ServerCertificate>>,
    /// The time by which they were chosen.
    chosen_at: OffsetDateTime,
}

impl Set {
    fn new(files: Vec<Presented>, stored: Vec<Presented>, now: OffsetDateTime) -> Self {
        let mut by_name: HashMap<String, (bool, Source, Arc<ServerCertificate>)> = HashMap::new();
        for presented in files.iter().chain(&stored) {
            let certificate = &presented.certificate;
            let is_valid = certificate.not_before() <= now && now < certificate.not_after();
            for name in certificate.names() {
                let name = name.to_ascii_lowercase();
                let better = by_name.get(&name).is_none_or(|(valid, source, _)| {
                    (!valid, *source) > (!is_valid, presented.source)
                });
                if better {
                    by_name.insert(name, (is_valid, presented.source, certificate.clone()));
                }
            }
        }
        let by_name = by_name.into_iter();
        let by_name = by_name.map(|(name, (_, _, certificate))| (name, certificate));
        Self {
            by_name: by_name.collect(),
            files,
            stored,
            chosen_at: now,
        }
    }

    fn main(&self) -> &Arc<ServerCertificate> {
        &self.files[0].certificate
    }

    /// The certificate for a host name in lower case.
    fn named(&self, host: &str) -> &Arc<ServerCertificate> {
        let wildcard = || {
            let (_, rest) = host.split_once('.')?;
            self.by_name.get(&format!("*.{rest}"))
        };
        let found = self.by_name.get(host).or_else(wildcard);
        found.unwrap_or_else(|| self.main())
    }
}

impl HotCertificates {
    /// Starts with the certificates of files, the main one first.
    ///
    /// # Panics
    /// If there is none.
    pub fn new(files: Vec<Presented>, now: OffsetDateTime) -> Arc<Self> {
        assert!(!files.is_empty(), "there is a main certificate");
        Arc::new(Self {
            current: ArcSwap::from_pointee(Set::new(files, Vec::new(), now)),
            changing: parking_lot::Mutex::default(),
            replaced: watch::Sender::new(()),
        })
    }

    /// Presents another certificate for a pair of files from the next handshake on; open connections are not affected.
    pub(crate) fn replace(&self, file: usize, certificate: ServerCertificate) {
        let _changing = self.changing.lock();
        let set = self.current.load();
        let mut files = set.files.clone();
        files[file].certificate = Arc::new(certificate);
        self.store(Set::new(files, set.stored.clone(), set.chosen_at));
    }

    /// Presents these certificates from the database, in place of those before.
    pub fn set_stored(&self, stored: Vec<Presented>, now: OffsetDateTime) {
        let _changing = self.changing.lock();
        self.store(Set::new(self.current.load().files.clone(), stored, now));
    }

    /// Chooses again, as certificates may have become valid or expired.
    pub fn choose(&self, now: OffsetDateTime) {
        let _changing = self.changing.lock();
        let set = self.current.load();
        let chosen = Set::new(set.files.clone(), set.stored.clone(), now);
        self.current.store(Arc::new(chosen));
    }

    fn store(&self, set: Set) {
        self.current.store(Arc::new(set));
        self.replaced.send_replace(());
    }

    /// Notifies about each replacement from now on.
    pub fn replacements(&self) -> watch::Receiver<()> {
        self.replaced.subscribe()
    }

    /// The main certificate, which clients get that name no host.
    pub fn main(&self) -> Arc<ServerCertificate> {
        self.current.load().main().clone()
    }

    /// The certificate of a pair of files.
    pub(crate) fn file(&self, file: usize) -> Arc<ServerCertificate> {
        self.current.load().files[file].certificate.clone()
    }

    /// The certificate that a client gets for a host name.
    pub fn named(&self, host: &str) -> Arc<ServerCertificate> {
        let set = self.current.load();
        set.named(&host.to_ascii_lowercase()).clone()
    }

    /// All certificates, whether or not any client gets them; the main one first.
    pub fn all(&self) -> Vec<Presented> {
        let set = self.current.load();
        set.files.iter().chain(&set.stored).cloned().collect()
    }

    /// Those that some client gets.
    pub fn in_use(&self) -> Vec<Presented> {
        let set = self.current.load();
        let is_used = |presented: &&Presented| {
            let certificate = &presented.certificate;
            Arc::ptr_eq(certificate, set.main())
                || set
                    .by_name
                    .values()
                    .any(|used| Arc::ptr_eq(used, certificate))
        };
        let all = set.files.iter().chain(&set.stored);
        all.filter(is_used).cloned().collect()
    }
}

impl ResolvesServerCert for HotCertificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let set = self.current.load();
        let chosen = match hello.server_name() {
            // The library made it lower case.
            Some(host) => set.named(host),
            None => set.main(),
        };
        Some(chosen.certified_key().clone())
    }
}

impl fmt::Debug for HotCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HotCertificates").field(&self.all()).finish()
    }
}

#[cfg(test)]
mod tests {
    use time::Duration;
    use time::macros::datetime;

    use super::*;
    use crate::authority::Authority;

    const NOW: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

    fn made(names: &[&str], days: u32) -> ServerCertificate {
        let authority = Authority::create("CA", NOW).unwrap();
        let names: Vec<_> = names.iter().map(|name| name.parse().unwrap()).collect();
        let pair = authority.issue(&names, NOW, days).unwrap();
        ServerCertificate::from_pem(&pair.chain_pem, &pair.key_pem).unwrap()
    }

    fn presented(source: Source, names: &[&str], days: u32) -> Presented {
        Presented {
            source,
            label: String::new(),
            certificate: Arc::new(made(names, days)),
        }
    }

    #[test]
    fn each_name_gets_its_certificate_and_others_the_main_one() {
        let files = vec![
            presented(Source::Ca, &["main.example", "a.example"], 30),
            presented(Source::Files, &["*.apps.example", "x.apps.example"], 30),
        ];
        let hot = HotCertificates::new(files, NOW);
        hot.set_stored(vec![presented(Source::Acme, &["a.example"], 30)], NOW);
        let all = hot.all();
        for (host, at) in [
            ("main.example", 0),
            ("unknown.example", 0),
            ("A.example", 2),
            ("x.apps.example", 1),
            ("y.apps.example", 1),
            ("a.b.apps.example", 0),
            ("apps.example", 0),
            ("10.0.0.1", 0),
        ] {
            let chosen = hot.named(host);
            assert!(Arc::ptr_eq(&chosen, &all[at].certificate), "{host}");
        }
    }

    #[test]
    fn what_is_valid_comes_first_and_then_what_the_operator_names() {
        let files = vec![
            presented(Source::Ca, &["a.example"], 90),
            presented(Source::Files, &["a.example"], 10),
        ];
        let hot = HotCertificates::new(files, NOW);
        hot.set_stored(vec![presented(Source::Acme, &["a.example"], 30)], NOW);
        let all = hot.all();
        for (days, at) in [(1, 1), (20, 2), (60, 0), (100, 1)] {
            hot.choose(NOW + Duration::days(days));
            let chosen = hot.named("a.example");
            assert!(
                Arc::ptr_eq(&chosen, &all[at].certificate),
                "after {days} days"
            );
        }
        hot.choose(NOW);
        let used: Vec<Source> = hot
            .in_use()
            .iter()
            .map(|presented| presented.source)
            .collect();
        assert_eq!(used, [Source::Ca, Source::Files], "the main one always is");
    }

    #[test]
    fn a_replacement_is_announced_and_keeps_the_others() {
        let files = vec![
            presented(Source::Ca, &["a.example"], 90),
            presented(Source::Files, &["b.example"], 90),
        ];
        let hot = HotCertificates::new(files, NOW);
        hot.set_stored(vec![presented(Source::Imported, &["c.example"], 9)], NOW);
        let replaced = hot.replacements();
        assert!(!replaced.has_changed().unwrap());
        hot.replace(1, made(&["d.example"], 9));
        assert!(replaced.has_changed().unwrap());
        assert_eq!(hot.named("d.example").names(), ["d.example"]);
        assert_eq!(hot.named("c.example").names(), ["c.example"]);
        assert_eq!(hot.named("b.example").names(), ["a.example"]);
    }
}
