//! Proving names: every proof is stored, so that each replica answers with it, and tried at our own address before the
//! server is asked to look, as servers limit failed attempts.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use db::acme::{self, Challenge};
use http::header::LOCATION;
use http::{Request, Uri};
use instant_acme::{ChallengeType, KeyAuthorization};
use outgoing::{HttpClient, Trust, Verification, client_config};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use tokio_rustls::TlsConnector;

use super::failure::{Failure, Reason};
use super::{Acme, Check, Stop};
use crate::failures::causes;

/// Where proofs are over HTTP (RFC 8555, section 8.3).
pub const PATH: &str = "/.well-known/acme-challenge/";

/// How long a proof is of use.
const VALID: Duration = Duration::from_secs(3_600);
/// Time limit of one try of our own address.
const PATIENCE: Duration = Duration::from_secs(10);
/// Tries of our own address, a second apart.
const TRIES: u32 = 3;
/// Maximum redirects to follow, as servers do.
const MOST_REDIRECTS: u32 = 5;
/// Maximum bytes of an answer.
const LARGEST: usize = 64 << 10;
/// Time limit of the program for DNS records, which should wait until they are everywhere.
const COMMAND: Duration = Duration::from_secs(600);
/// Bytes of its output that are kept.
const OUTPUT: u64 = 4_096;

/// The type of a challenge for the library.
pub(super) const fn kind(challenge: Challenge) -> ChallengeType {
    match challenge {
        Challenge::Http => ChallengeType::Http01,
        Challenge::TlsAlpn => ChallengeType::TlsAlpn01,
        Challenge::Dns => ChallengeType::Dns01,
    }
}

/// The digest that a certificate proves a name with, from the key authorization.
pub fn digest(authorization: &str) -> [u8; 32] {
    Sha256::digest(authorization.as_bytes()).into()
}

/// A challenge of the server.
pub(super) struct Question<'a> {
    pub(super) name: &'a str,
    pub(super) token: &'a str,
    pub(super) answer: KeyAuthorization,
}

impl Acme {
    /// Stores a proof, and checks that the world can see it.
    pub(super) async fn prove(&self, question: &Question<'_>) -> Result<(), Stop> {
        let kind = self.terms.challenge;
        let (subject, proof) = match kind {
            Challenge::Http => (
                question.token.to_owned(),
                question.answer.as_str().to_owned(),
            ),
            Challenge::TlsAlpn => (
                question.name.to_owned(),
                question.answer.as_str().to_owned(),
            ),
            Challenge::Dns => (record(question.name), question.answer.dns_value()),
        };
        let (stored, expires_at) = (
            (subject.clone(), proof.clone()),
            self.clock.now().plus(VALID),
        );
        let written = self.db.write(move |tx| {
            Box::pin(async move {
                let (subject, proof) = (&*stored.0, &*stored.1);
                acme::put_challenge(tx, kind, (subject, proof), expires_at).await
            })
        });
        written.await?;
        if kind == Challenge::Dns {
            return Ok(self.command("present", &subject, &proof).await?);
        }
        let mut tried = Ok(());
        for _ in 0..TRIES {
            tried = self.try_own_address(question).await;
            if tried.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        tried.map_err(|why| {
            let message = format!(
                "{why}. The server was not asked to look, so this used up none of its limits. [acme] check_address says where to try"
            );
            Failure::new(Reason::OwnAddress, message).into()
        })
    }

    /// Removes all proofs, and their records in DNS.
    pub(super) async fn clear_proofs(&self) -> crate::Result<()> {
        let records = acme::records(&mut self.db.reader().await?).await?;
        for (name, text) in records {
            if let Err(failure) = self.command("cleanup", &name, &text).await {
                tracing::warn!(
                    error = failure.message,
                    "a DNS record for ACME was not removed"
                );
            }
        }
        let cleared = self.db.write(|tx| Box::pin(acme::clear_challenges(tx)));
        Ok(cleared.await?)
    }

    async fn try_own_address(&self, question: &Question<'_>) -> Result<(), String> {
        let port = match self.terms.challenge {
            Challenge::Http => 80,
            Challenge::TlsAlpn => 443,
            Challenge::Dns => return Ok(()),
        };
        let place = match &self.terms.check {
            Check::Off => return Ok(()),
            Check::Name if question.name.contains(':') => format!("[{}]:{port}", question.name),
            Check::Name => format!("{}:{port}", question.name),
            Check::Address(address) => address.clone(),
        };
        match self.terms.challenge {
            Challenge::Http => self.try_http(&place, question).await,
            _ => self.try_tls(&place, question).await,
        }
    }

    async fn try_http(&self, place: &str, question: &Question<'_>) -> Result<(), String> {
        // The server does not check certificates of redirects either.
        let tls = client_config(Verification::Off, None).map_err(|error| causes(&error))?;
        let client = HttpClient::new(self.guard.clone(), tls, PATIENCE, LARGEST);
        let first = format!(
            "http://{}{PATH}{}",
            place.trim_end_matches(":80"),
            question.token
        );
        // The name is the settings', and what it redirects to somebody's.
        let (mut url, mut trust) = (first.clone(), Trust::Trusted);
        for _ in 0..=MOST_REDIRECTS {
            let request = Request::get(&url).body(Bytes::new());
            let request = request.map_err(|_| format!("{url} is no address"))?;
            let answer = client.send(request, trust).await;
            let answer =
                answer.map_err(|error| format!("{url} cannot be read: {}", causes(&error)))?;
            let location = answer
                .headers()
                .get(LOCATION)
                .filter(|_| answer.status().is_redirection());
            if let Some(location) = location.and_then(|location| location.to_str().ok()) {
                url = next(&url, location)
                    .ok_or_else(|| format!("{url} redirects to {location:?}"))?;
                trust = Trust::Guarded;
                continue;
            }
            let is_proof = answer.status().is_success()
                && answer.body().trim_ascii_end() == question.answer.as_str().as_bytes();
            return match is_proof {
                true => Ok(()),
                false => Err(format!(
                    "{url} answers with status {} and not with the proof: requests to port 80 of {} have to reach Gantry's [server] redirect_listen",
                    answer.status().as_u16(),
                    question.name
                )),
            };
        }
        Err(format!("{first} redirects too often"))
    }

    async fn try_tls(&self, place: &str, question: &Question<'_>) -> Result<(), String> {
        let wrong = |why: String| {
            format!(
                "{place} does not answer for {} over TLS: {why}. Connections to port 443 have to reach Gantry's [server] listen without a proxy that ends TLS",
                question.name
            )
        };
        let (host, port) = place.rsplit_once(':').unwrap_or((place, "443"));
        let port = port
            .parse()
            .map_err(|_| wrong("it is no HOST:PORT".to_owned()))?;
        let config = client_config(Verification::Off, None);
        let mut config = (*config.map_err(|error| causes(&error))?).clone();
        config.alpn_protocols = vec![b"acme-tls/1".to_vec()];
        let provider = config.crypto_provider().clone();
        let any = std::sync::Arc::new(Unread(provider));
        config.dangerous().set_certificate_verifier(any);
        let name = ServerName::try_from(question.name.to_owned())
            .map_err(|error| wrong(error.to_string()))?;
        let shaken = async {
            let stream = self
                .guard
                .connect((host, port), Trust::Trusted, PATIENCE)
                .await;
            let stream = stream.map_err(|error| causes(&error))?;
            let shaken = TlsConnector::from(std::sync::Arc::new(config))
                .connect(name, stream)
                .await;
            shaken.map_err(|error| causes(&error))
        };
        let shaken = tokio::time::timeout(PATIENCE, shaken).await;
        let shaken = shaken.map_err(|_| wrong("it does not answer in time".to_owned()))?;
        let shaken = shaken.map_err(wrong)?;
        let shown = shaken.get_ref().1.peer_certificates();
        let shown = shown.and_then(<[_]>::first);
        match shown.is_some_and(|shown| certs::proves(shown, &digest(question.answer.as_str()))) {
            true => Ok(()),
            false => Err(wrong("it presents another certificate".to_owned())),
        }
    }

    /// Runs the program for DNS records: `present` or `cleanup`, the record's name, its text.
    async fn command(&self, verb: &str, name: &str, text: &str) -> Result<(), Failure> {
        let Some(program) = self.terms.dns_command.as_deref() else {
            let message = "there is no [acme] dns_command, which sets DNS records";
            return Err(Failure::new(Reason::Command, message));
        };
        run(program, [verb, name, text]).await.map_err(|why| {
            Failure::new(
                Reason::Command,
                format!("{} {verb} {name}: {why}", program.display()),
            )
        })
    }
}

/// Reads no certificate: rustls refuses those that prove a name, for their extension is critical and unknown to it
/// (RFC 8737, section 3). What counts is the digest within.
#[derive(Debug)]
struct Unread(std::sync::Arc<CryptoProvider>);

impl ServerCertVerifier for Unread {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// The record that proves a name (RFC 8555, section 8.4).
fn record(name: &str) -> String {
    format!("_acme-challenge.{}", name.trim_start_matches("*."))
}

/// Where a redirect leads.
fn next(url: &str, location: &str) -> Option<String> {
    if location.starts_with("http://") || location.starts_with("https://") {
        return Some(location.to_owned());
    }
    let base: Uri = url.parse().ok()?;
    let is_path = location.starts_with('/') && !location.starts_with("//");
    is_path.then(|| {
        let (scheme, authority) = (base.scheme_str().unwrap_or("http"), base.authority());
        let authority = authority.map_or("", |authority| authority.as_str());
        format!("{scheme}://{authority}{location}")
    })
}

async fn run(program: &Path, arguments: [&str; 3]) -> Result<(), String> {
    let child = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(
            std::env::vars_os()
                .filter(|(name, _)| !name.as_encoded_bytes().starts_with(b"GANTRY_")),
        )
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let mut child = child.map_err(|error| format!("cannot be started: {error}"))?;
    let said = child.stderr.take();
    let running = async {
        let mut text = Vec::new();
        if let Some(said) = said {
            let mut some = said.take(OUTPUT);
            // What it says is only for the log.
            let _ = some.read_to_end(&mut text).await;
            // A program that says more must not wait for a reader.
            let _ = tokio::io::copy(&mut some.into_inner(), &mut tokio::io::sink()).await;
        }
        (child.wait().await, text)
    };
    let ended = tokio::time::timeout(COMMAND, running).await;
    let (status, text) =
        ended.map_err(|_| format!("did not end within {} s", COMMAND.as_secs()))?;
    let status = status.map_err(|error| format!("cannot be waited for: {error}"))?;
    match status.success() {
        true => Ok(()),
        false => Err(format!(
            "ended with {status}: {}",
            String::from_utf8_lossy(&text).trim()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_is_proved_at_its_domain() {
        assert_eq!(record("*.a.example"), "_acme-challenge.a.example");
        assert_eq!(record("a.example"), "_acme-challenge.a.example");
    }

    #[test]
    fn redirects_lead_to_urls_and_paths() {
        let from = |location| next("http://a.example/x", location);
        assert_eq!(from("/y").as_deref(), Some("http://a.example/y"));
        assert_eq!(
            from("https://b.example/z").as_deref(),
            Some("https://b.example/z")
        );
        assert_eq!((from("//b.example"), from("ftp://b.example")), (None, None));
    }

    #[tokio::test]
    async fn a_program_that_fails_is_quoted() {
        let failed = run(
            Path::new("/bin/sh"),
            ["-c", "echo no such zone >&2; exit 3", ""],
        )
        .await;
        let failed = failed.unwrap_err();
        assert!(
            failed.contains("no such zone") && failed.contains('3'),
            "{failed}"
        );
        assert!(run(Path::new("/bin/true"), ["", "", ""]).await.is_ok());
        assert!(run(Path::new("/no/such"), ["", "", ""]).await.is_err());
    }
}
