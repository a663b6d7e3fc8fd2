//! What is wrong with a certificate that loads: clients differ in what they forgive. Browsers fetch a certificate that
//! is missing from a chain, and container runtimes do not.

use std::collections::HashSet;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use time::OffsetDateTime;

use crate::decode::parse;
use crate::expiry::expiry_warning;
use crate::hot::{HotCertificates, Presented, Source};
use crate::name::SubjectName;
use crate::server::Chain;

/// Authorities that need not be sent, since clients have them: those of this system, and Gantry's own.
#[derive(Clone, Debug, Default)]
pub struct Roots {
    subjects: HashSet<Vec<u8>>,
    /// False in an image without any: nothing is known then of what clients trust.
    has_system: bool,
}

impl Roots {
    /// The authorities that this system trusts; blocks on the disk.
    pub fn of_the_system() -> Self {
        let mut roots = Self::default();
        for der in rustls_native_certs::load_native_certs().certs {
            roots.add(&der);
        }
        roots.has_system = !roots.subjects.is_empty();
        roots
    }

    /// Also authorities in PEM.
    #[must_use]
    pub fn with(mut self, pem: &str) -> Self {
        for der in CertificateDer::pem_slice_iter(pem.as_bytes()).flatten() {
            self.add(&der);
        }
        self
    }

    fn add(&mut self, der: &CertificateDer<'_>) {
        if let Ok(root) = parse(der, "") {
            self.subjects.insert(root.subject().as_raw().to_vec());
        }
    }
}

/// What clients will object to of each certificate in use. A name counts for the certificate that its clients get.
pub fn findings_in_use(
    hot: &HotCertificates,
    wanted: &[SubjectName],
    roots: &Roots,
    now: OffsetDateTime,
) -> Vec<(Presented, Vec<String>)> {
    let gets = |name: &SubjectName| match name {
        SubjectName::Dns(host) => hot.named(host),
        // Clients name no address as the host.
        SubjectName::Address(_) => hot.main(),
    };
    let in_use = hot.in_use().into_iter();
    let found = in_use.map(|presented| {
        let names: Vec<SubjectName> = wanted
            .iter()
            .filter(|name| Arc::ptr_eq(&gets(name), &presented.certificate))
            .cloned()
            .collect();
        let mut found = of_leaf(&presented.certificate, &names, now);
        // An ACME server sends what clients need.
        if presented.source != Source::Acme {
            found.extend(gap(&presented.certificate, roots));
        }
        (presented, found)
    });
    found.collect()
}

/// What clients will object to, or some of them: its time, names of the server that it lacks, and gaps in its chain.
pub fn findings(
    certificate: &Chain,
    wanted: &[SubjectName],
    roots: &Roots,
    now: OffsetDateTime,
) -> Vec<String> {
    let mut findings = of_leaf(certificate, wanted, now);
    findings.extend(gap(certificate, roots));
    findings
}

/// What is wrong with the certificate itself.
fn of_leaf(certificate: &Chain, wanted: &[SubjectName], now: OffsetDateTime) -> Vec<String> {
    let mut findings: Vec<String> = expiry_warning(certificate, now).into_iter().collect();
    if certificate.names().is_empty() {
        findings.push(
            "the certificate has no subject alternative names, and clients look at no others: have it issued with them"
                .to_owned(),
        );
    } else {
        let lacking = wanted.iter().filter(|name| !certificate.serves(name));
        let lacking: Vec<String> = lacking.map(ToString::to_string).collect();
        if !lacking.is_empty() {
            let (lacking, names) = (lacking.join(", "), certificate.names().join(", "));
            findings.push(format!(
                "the certificate is not valid for {lacking}, which clients use: it is for {names}"
            ));
        }
    }
    findings
}

/// Where the chain breaks off.
fn gap(certificate: &Chain, roots: &Roots) -> Option<String> {
    let chain = certificate.certificates().iter();
    let chain: Result<Vec<_>, _> = chain.map(|der| parse(der, "")).collect();
    let chain = chain.ok()?;
    for (signed, signer) in chain.iter().zip(chain.iter().skip(1)) {
        if signed.issuer().as_raw() != signer.subject().as_raw() {
            return Some(format!(
                "the chain is out of order: {} was issued by {}, but {} comes after it",
                signed.subject(),
                signed.issuer(),
                signer.subject()
            ));
        }
    }
    let last = chain.last()?;
    if chain.len() > 1 && !roots.has_system {
        return None;
    }
    let is_complete = last.subject().as_raw() == last.issuer().as_raw()
        || roots.subjects.contains(last.issuer().as_raw());
    (!is_complete).then(|| {
        format!(
            "the chain may be incomplete: it ends with {}, issued by {}, which is neither in the file nor among this \
             system's authorities. Browsers may find it, docker does not: append its certificate to the file, unless \
             it is a root that all clients trust",
            last.subject(),
            last.issuer()
        )
    })
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::authority::Authority;
    use crate::server::ServerCertificate;

    const NOW: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

    fn names(names: &[&str]) -> Vec<SubjectName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn found(certificate: &ServerCertificate, wanted: &[&str], roots: &Roots) -> Vec<String> {
        findings(certificate, &names(wanted), roots, NOW)
    }

    #[test]
    fn a_chain_that_ends_at_a_known_root_is_complete() {
        let root = Authority::create("root", NOW).unwrap();
        let pair = root
            .issue(&names(&["a.example", "*.b.example"]), NOW, 90)
            .unwrap();
        let leaf = ServerCertificate::from_pem(&pair.chain_pem, &pair.key_pem).unwrap();
        let known = Roots::default().with(root.certificate_pem());
        let none: [String; 0] = [];
        assert_eq!(found(&leaf, &["a.example", "x.b.example"], &known), none);
        let unknown = found(&leaf, &["a.example"], &Roots::default());
        assert!(
            unknown[0].contains("incomplete") && unknown[0].contains("CN=root"),
            "{unknown:?}"
        );
        let whole = pair.chain_pem.clone() + root.certificate_pem();
        let whole = ServerCertificate::from_pem(&whole, &pair.key_pem).unwrap();
        assert_eq!(found(&whole, &[], &Roots::default()), none);
    }

    #[test]
    fn a_chain_in_disorder_and_missing_names_are_named() {
        let (one, two) = (
            Authority::create("one", NOW).unwrap(),
            Authority::create("two", NOW).unwrap(),
        );
        let pair = one.issue(&names(&["a.example"]), NOW, 90).unwrap();
        let mixed = pair.chain_pem.clone() + two.certificate_pem();
        let mixed = ServerCertificate::from_pem(&mixed, &pair.key_pem).unwrap();
        let said = found(
            &mixed,
            &["a.example", "b.example", "x.a.example"],
            &Roots::default(),
        );
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].contains("b.example, x.a.example"), "{said:?}");
        assert!(said[1].contains("out of order"), "{said:?}");
    }
}
