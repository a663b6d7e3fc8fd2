//! Warnings about the end of a certificate.

use time::{Duration, OffsetDateTime};

use crate::server::Chain;

/// Days before its end from which a certificate is warned about: renewal should have happened by then.
const WARN_DAYS: i64 = 14;

/// The warning about a certificate's end, if one is due.
pub fn expiry_warning(certificate: &Chain, now: OffsetDateTime) -> Option<String> {
    let end = certificate.not_after();
    let names = certificate.names().join(", ");
    if now < certificate.not_before() {
        let from = certificate.not_before();
        Some(format!(
            "the server certificate for {names} is valid only from {from}: is the clock right?"
        ))
    } else if end <= now {
        Some(format!(
            "the server certificate for {names} expired at {end}: clients refuse it"
        ))
    } else if end - now < Duration::days(WARN_DAYS) {
        let days = (end - now).whole_days();
        Some(format!(
            "the server certificate for {names} expires at {end}, in {days} days"
        ))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::authority::{Authority, LEAF_DAYS};
    use crate::server::ServerCertificate;

    const NOW: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

    #[test]
    fn the_end_of_a_certificate_is_warned_of_and_its_past_named() {
        let authority = Authority::create("CA", NOW).unwrap();
        let names = ["a.example".parse().unwrap()];
        let issued = authority.issue(&names, NOW, LEAF_DAYS).unwrap();
        let certificate = ServerCertificate::from_pem(&issued.chain_pem, &issued.key_pem).unwrap();
        let said = |days| expiry_warning(&certificate, NOW + Duration::days(days));
        assert_eq!(said(0), None);
        assert_eq!(said(380), None);
        let soon = said(385).unwrap();
        assert!(
            soon.contains("a.example") && soon.contains("expires at"),
            "{soon}"
        );
        let over = said(400).unwrap();
        assert!(
            over.contains("a.example") && over.contains("expired at"),
            "{over}"
        );
        let early = expiry_warning(&certificate, OffsetDateTime::UNIX_EPOCH).unwrap();
        assert!(early.contains("clock"), "{early}");
    }
}
