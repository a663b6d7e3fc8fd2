//! When to renew: when the server says (RFC 9773), else after two thirds of the certificate's life.

use std::time::Duration;

use certs::ServerCertificate;
use db::acme::Order;
use instant_acme::{CertificateIdentifier, RenewalInfo};
use model::Timestamp;
use rustls::pki_types::CertificateDer;

use super::{Acme, Stop};

/// How often the server is asked at least, and at most.
const ASK: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(86_400));
/// When to ask again if the server did not answer, or has nothing to say.
const ASK_AGAIN: Duration = Duration::from_secs(6 * 3_600);

/// The identifier of a certificate for the server, if it has one.
pub(super) fn identifier<'a>(der: &'a CertificateDer<'a>) -> Option<CertificateIdentifier<'a>> {
    der.try_into().ok()
}

/// After two thirds of its life, and up to a twentieth more, so that fleets do not renew together.
pub(super) fn by_lifetime(certificate: &ServerCertificate) -> Timestamp {
    let (from, to) = (certificate.not_before(), certificate.not_after());
    let life = to - from;
    timestamp(from + life * (2.0 / 3.0 + chance() / 20.0))
}

/// A random moment of the window that the server suggests, but not after nine tenths of the certificate's life.
fn suggested(info: &RenewalInfo, certificate: &ServerCertificate) -> Timestamp {
    let window = &info.suggested_window;
    let width = window.end - window.start;
    let chosen = window.start + width * chance();
    let life = certificate.not_after() - certificate.not_before();
    timestamp(chosen.min(certificate.not_before() + life * 0.9))
}

fn timestamp(at: time::OffsetDateTime) -> Timestamp {
    Timestamp(at.unix_timestamp().saturating_mul(1_000_000))
}

/// A random number between 0 and 1.
pub(super) fn chance() -> f64 {
    f64::from(u32::from_le_bytes(auth::random())) / f64::from(u32::MAX)
}

impl Acme {
    /// Asks the server when to renew, if it is time to. A server that does not answer changes nothing.
    pub(super) async fn ask_for_renewal(
        &self,
        order: &mut Order,
        present: &ServerCertificate,
    ) -> Result<(), Stop> {
        let now = self.clock.now();
        let is_time = order
            .info_at
            .is_none_or(|at| at <= now || at > now.plus(ASK.1 * 2));
        let Some(id) = present
            .certificate
            .certificates()
            .first()
            .and_then(identifier)
        else {
            return Ok(());
        };
        if !is_time {
            return Ok(());
        }
        order.info_at = Some(now.plus(ASK_AGAIN));
        let answer = match self.account().await {
            Ok(account) => account.renewal_info(&id).await,
            Err(Stop::Failed(failure)) => {
                tracing::info!(
                    error = failure.message,
                    "the ACME server was not asked when to renew"
                );
                return Ok(());
            }
            Err(stop) => return Err(stop),
        };
        match answer {
            Ok((info, again)) => {
                let renew_at = suggested(&info, present);
                order.info_at = Some(now.plus(again.clamp(ASK.0, ASK.1)));
                // Once chosen, a moment within the window stays.
                if !contains(&info, order.renew_at) {
                    order.renew_at = Some(renew_at);
                    tracing::info!(
                        renew_at = %renew_at,
                        explanation = info.explanation_url,
                        "the ACME server says when to renew"
                    );
                }
            }
            Err(instant_acme::Error::Unsupported(_)) => order.info_at = Some(now.plus(ASK.1)),
            Err(error) => tracing::info!(%error, "the ACME server does not say when to renew"),
        }
        Ok(())
    }
}

fn contains(info: &RenewalInfo, at: Option<Timestamp>) -> bool {
    let (from, to) = (info.suggested_window.start, info.suggested_window.end);
    at.is_some_and(|at| timestamp(from) <= at && at <= timestamp(to))
}

#[cfg(test)]
mod tests {
    use certs::Authority;
    use time::macros::datetime;
    use time::{Duration as Span, OffsetDateTime};

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

    fn certificate(days: u32) -> ServerCertificate {
        let authority = Authority::create("CA", NOW).unwrap();
        let pair = authority
            .issue(&["a.example".parse().unwrap()], NOW, days)
            .unwrap();
        ServerCertificate::from_pem(&pair.chain_pem, &pair.key_pem).unwrap()
    }

    #[test]
    fn a_renewal_comes_after_two_thirds_of_a_life_of_any_length() {
        for days in [1, 6, 90, 397] {
            let certificate = certificate(days);
            let life = certificate.not_after() - certificate.not_before();
            for _ in 0..50 {
                let at = by_lifetime(&certificate).date_time() - certificate.not_before();
                let part = at / life;
                assert!((0.66..0.72).contains(&part), "{days}: {part}");
            }
        }
    }

    #[test]
    fn a_suggested_window_is_kept_to_but_not_into_the_end() {
        let certificate = certificate(90);
        let window = |from: i64, to: i64| {
            let text = |days| {
                let at = NOW + Span::days(days);
                let format = &time::format_description::well_known::Rfc3339;
                at.format(format).unwrap()
            };
            let info =
                serde_json::json!({ "suggestedWindow": { "start": text(from), "end": text(to) } });
            serde_json::from_value::<RenewalInfo>(info).unwrap()
        };
        let early = window(10, 12);
        for _ in 0..50 {
            let at = suggested(&early, &certificate);
            assert!(contains(&early, Some(at)));
        }
        assert!(!contains(&early, Some(timestamp(NOW))) && !contains(&early, None));
        let late = suggested(&window(100, 120), &certificate).date_time();
        assert!(late < certificate.not_after() - Span::days(8));
    }
}
