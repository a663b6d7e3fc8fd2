//! What is wrong with a certificate that loads: clients differ in what they forgive. Browsers fetch a certificate that
//! is missing from a chain, and container runtimes do not.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::RwLock;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use time::OffsetDateTime;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::oid_registry::{Oid, asn1_rs::oid};

use crate::decode::parse;
use crate::expiry::expiry_warning;
use crate::hot::{HotCertificates, Presented, Source};
use crate::name::SubjectName;
use crate::server::Chain;

/// `id-ad-caIssuers`: where the issuer's certificate can be fetched.
const ISSUER_AT: Oid<'static> = oid!(1.3.6.1.5.5.7.48.2);

/// Authorities that need not be sent, since clients have them: those of this system, and Gantry's own. What one clone
/// learns, all others know.
#[derive(Clone, Debug, Default)]
pub struct Roots {
    subjects: Arc<RwLock<HashSet<Vec<u8>>>>,
}

impl Roots {
    /// The authorities that this system trusts; blocks on the disk.
    pub fn of_the_system() -> Self {
        let roots = Self::default();
        for der in rustls_native_certs::load_native_certs().certs {
            roots.add(&der);
        }
        roots
    }

    /// Also authorities in PEM.
    #[must_use]
    pub fn with(self, pem: &str) -> Self {
        self.learn(pem);
        self
    }

    /// Adds authorities in PEM.
    pub fn learn(&self, pem: &str) {
        for der in CertificateDer::pem_slice_iter(pem.as_bytes()).flatten() {
            self.add(&der);
        }
    }

    fn add(&self, der: &CertificateDer<'_>) {
        if let Ok(root) = parse(der, "") {
            self.subjects
                .write()
                .insert(root.subject().as_raw().to_vec());
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

/// Where the chain breaks off. That the issuer of the last certificate is not known here says little, as clients may
/// know it. But one that comes alone, and says where its issuer's can be fetched, works with browsers, which do that.
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
    let [alone] = &chain[..] else {
        return None;
    };
    let is_complete = alone.subject().as_raw() == alone.issuer().as_raw()
        || roots.subjects.read().contains(alone.issuer().as_raw());
    (!is_complete && says_where_its_issuer_is(alone)).then(|| {
        format!(
            "the chain may be incomplete: it ends with {}, issued by {}, which is neither in the file nor among this \
             system's authorities. Browsers fetch it, docker does not: append its certificate to the file, if it is a \
             private root too",
            alone.subject(),
            alone.issuer()
        )
    })
}

fn says_where_its_issuer_is(certificate: &X509Certificate<'_>) -> bool {
    let mut extensions = certificate.extensions().iter();
    extensions.any(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityInfoAccess(access) => {
            access.iter().any(|it| it.access_method == ISSUER_AT)
        }
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair,
    };
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

    /// Says where the certificate of the issuer is.
    fn issuer_at(url: &str) -> CustomExtension {
        let tagged = |tag: u8, content: &[u8]| {
            let length = u8::try_from(content.len()).unwrap();
            [&[tag, length][..], content].concat()
        };
        let method = tagged(6, &[0x2b, 6, 1, 5, 5, 7, 48, 2]);
        let place = tagged(0x86, url.as_bytes());
        let content = tagged(0x30, &tagged(0x30, &[method, place].concat()));
        CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], content)
    }

    fn authority(name: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    }

    #[test]
    fn a_certificate_alone_whose_issuer_browsers_would_fetch_is_told_of() {
        let root = Issuer::new(authority("root"), KeyPair::generate().unwrap());
        let (key, params) = (KeyPair::generate().unwrap(), authority("between"));
        let between_pem = params.signed_by(&key, &root).unwrap().pem();
        let between = Issuer::new(params, key);
        let leaf = |extensions: Vec<CustomExtension>| {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
            params.custom_extensions = extensions;
            let made = params.signed_by(&key, &between).unwrap();
            (made.pem(), key.serialize_pem())
        };
        let said = |chain: &str, key: &str, roots: &Roots| {
            let certificate = ServerCertificate::from_pem(chain, key).unwrap();
            found(&certificate, &["a.example"], roots)
        };
        let (unknown, none) = (Roots::default(), Vec::<String>::new());
        let (pem, key) = leaf(vec![issuer_at("http://ca.example/between.crt")]);
        let alone = said(&pem, &key, &unknown);
        assert!(
            alone.len() == 1 && alone[0].contains("incomplete"),
            "{alone:?}"
        );
        assert!(alone[0].contains("CN=between"), "{alone:?}");
        let known = Roots::default().with(&between_pem);
        assert_eq!(said(&pem, &key, &known), none);
        // Whoever appended one knows of chains; the root is its clients'.
        let more = pem.clone() + &between_pem;
        assert_eq!(said(&more, &key, &unknown), none);
        // Nor does any client fetch this one: the issuer is a root, or everybody finds out.
        let (pem, key) = leaf(Vec::new());
        assert_eq!(said(&pem, &key, &unknown), none);
    }

    #[test]
    fn a_certificate_of_the_own_authority_is_complete_and_wildcards_count() {
        let root = Authority::create("root", NOW).unwrap();
        let pair = root
            .issue(&names(&["a.example", "*.b.example"]), NOW, 90)
            .unwrap();
        let leaf = ServerCertificate::from_pem(&pair.chain_pem, &pair.key_pem).unwrap();
        let known = Roots::default().with(root.certificate_pem());
        let none: [String; 0] = [];
        assert_eq!(found(&leaf, &["a.example", "x.b.example"], &known), none);
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
