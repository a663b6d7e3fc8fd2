use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber,
};
use time::macros::datetime;

use super::*;

const NOW: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);
const DAY: time::Duration = time::Duration::DAY;

struct Ca {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
    /// What its clients send besides their own certificates.
    sent: Vec<CertificateDer<'static>>,
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) = (NOW - DAY, NOW + 1_000 * DAY);
    params
}

fn ca(name: &str) -> Ca {
    let (key, params) = (KeyPair::generate().unwrap(), authority(name));
    let pem = params.self_signed(&key).unwrap().pem();
    Ca {
        pem,
        issuer: Issuer::new(params, key),
        sent: Vec::new(),
    }
}

impl Ca {
    /// An authority that this one signs.
    fn below(&self, name: &str, serial: u64) -> Ca {
        let (key, mut params) = (KeyPair::generate().unwrap(), authority(name));
        params.serial_number = Some(SerialNumber::from(serial));
        let made = params.signed_by(&key, &self.issuer).unwrap();
        Ca {
            pem: made.pem(),
            issuer: Issuer::new(params, key),
            sent: vec![made.der().clone()],
        }
    }

    fn client(&self, serial: u64, names: Vec<SanType>) -> ClientCertificate {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "node");
        params.serial_number = Some(SerialNumber::from(serial));
        params.subject_alt_names = names;
        (params.not_before, params.not_after) = (NOW - DAY, NOW + 30 * DAY);
        let key = KeyPair::generate().unwrap();
        let made = params.signed_by(&key, &self.issuer).unwrap();
        let own = [made.der().clone()];
        ClientCertificate::new(&[&own[..], &self.sent[..]].concat()).unwrap()
    }

    fn revokes(&self, serial: u64) -> String {
        let params = CertificateRevocationListParams {
            this_update: NOW - DAY,
            next_update: NOW + 10 * DAY,
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![RevokedCertParams {
                serial_number: SerialNumber::from(serial),
                revocation_time: NOW - DAY,
                reason_code: None,
                invalidity_date: None,
            }],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

fn trust(authorities: &str, lists: Option<&str>) -> Arc<ClientTrust> {
    let folder = tempfile::tempdir().unwrap();
    let files = TrustFiles {
        authorities: folder.path().join("ca.crt"),
        revoked: lists.map(|_| folder.path().join("crl.pem")),
    };
    std::fs::write(&files.authorities, authorities).unwrap();
    if let (Some(path), Some(lists)) = (&files.revoked, lists) {
        std::fs::write(path, lists).unwrap();
    }
    Arc::new(ClientTrust::load(&files).unwrap())
}

#[test]
fn only_what_a_trusted_authority_signed_and_did_not_revoke_is_accepted() {
    let (own, other) = (ca("own"), ca("other"));
    let (good, revoked, foreign) = (
        own.client(1, Vec::new()),
        own.client(2, Vec::new()),
        other.client(1, Vec::new()),
    );
    let without = trust(&own.pem, None);
    let with = trust(&own.pem, Some(&own.revokes(2)));
    assert_eq!(revoked.check(&without, NOW), Ok(()));
    assert_eq!(
        revoked.check(&with, NOW),
        Err(Refused::Revoked),
        "the list counts at once"
    );
    assert_eq!(good.check(&with, NOW), Ok(()));
    assert_eq!(good.check(&with, NOW + DAY), Ok(()));
    assert_eq!(
        good.check(&with, NOW + 11 * DAY),
        Err(Refused::Unknown),
        "the list is old"
    );
    assert_eq!(good.check(&without, NOW + 31 * DAY), Err(Refused::Expired));
    assert_eq!(foreign.check(&with, NOW), Err(Refused::Untrusted));
}

#[test]
fn an_authority_without_a_list_and_an_old_list_are_warned_of() {
    let (own, other) = (ca("own"), ca("other"));
    let both = own.pem.clone() + &other.pem;
    let trust = trust(&both, Some(&own.revokes(2)));
    let client = other.client(1, Vec::new());
    assert_eq!(client.check(&trust, NOW), Err(Refused::Unknown));
    let found = trust.findings(NOW);
    assert!(
        found.len() == 1 && found[0].contains("CN=other"),
        "{found:?}"
    );
    let soon = trust.findings(NOW + 8 * DAY);
    assert!(soon[0].contains("CN=own"), "{soon:?}");
}

#[test]
fn what_a_revoked_authority_signed_is_refused() {
    let root = ca("root");
    let below = root.below("below", 5);
    let lists = |revoked| root.revokes(revoked) + &below.revokes(9);
    let checked = |authorities: &str, lists: &str| {
        let trust = trust(authorities, Some(lists));
        (
            below.client(1, Vec::new()).check(&trust, NOW),
            trust.findings(NOW),
        )
    };
    assert_eq!(checked(&root.pem, &lists(4)), (Ok(()), Vec::new()));
    assert_eq!(checked(&root.pem, &lists(5)).0, Err(Refused::Revoked));
    assert_eq!(
        checked(&root.pem, &root.revokes(4)).0,
        Err(Refused::Unknown),
        "nobody knows what the authority below has revoked"
    );
    // Nor does it help that it is named itself.
    let both = root.pem.clone() + &below.pem;
    assert_eq!(checked(&both, &lists(4)), (Ok(()), Vec::new()));
    for authorities in [&both, &below.pem] {
        let (refused, found) = checked(authorities, &lists(5));
        assert_eq!(refused, Err(Refused::Revoked));
        assert!(
            found.len() == 1 && found[0].contains("CN=below"),
            "{found:?}"
        );
    }
}

#[test]
fn names_become_subjects_and_none_is_taken_for_another_kind() {
    let uri = |text: &str| SanType::URI(text.try_into().unwrap());
    let client = ca("own").client(
        1,
        vec![
            uri("spiffe://cluster.local/ns/ci/sa/builder"),
            uri("dns:victim.example"),
            SanType::DnsName("Node-1.Example".try_into().unwrap()),
            SanType::Rfc822Name("ci@example.com".try_into().unwrap()),
            SanType::IpAddress([10, 0, 0, 1].into()),
        ],
    );
    assert_eq!(
        client.subjects(),
        [
            "spiffe://cluster.local/ns/ci/sa/builder",
            "dns:node-1.example",
            "email:ci@example.com",
            "ip:10.0.0.1",
            "cn:node"
        ]
    );
}

#[test]
fn files_that_hold_nothing_are_refused_by_name() {
    let own = ca("own");
    let folder = tempfile::tempdir().unwrap();
    let files = TrustFiles {
        authorities: folder.path().join("ca.crt"),
        revoked: Some(folder.path().join("crl.pem")),
    };
    std::fs::write(&files.authorities, "").unwrap();
    let refused = ClientTrust::load(&files).unwrap_err().to_string();
    assert!(refused.contains("ca.crt"), "{refused}");
    std::fs::write(&files.authorities, &own.pem).unwrap();
    std::fs::write(folder.path().join("crl.pem"), &own.pem).unwrap();
    let refused = ClientTrust::load(&files).unwrap_err().to_string();
    assert!(refused.contains("crl.pem"), "{refused}");
}
