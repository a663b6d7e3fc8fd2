//! Sending mails: one at a time, over a connection of its own, with the present settings. The texts of mails are in
//! other modules.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use db::{Db, installation};
use lettre::message::header::{Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, SinglePart};
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters,
};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, Message};
use model::{Algorithm, Digest};
use outgoing::{Guard, Trust, first_of};
use tenancy::setting::{Declaration, MailTls, Settings, Values};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::Result;
use crate::failures::causes;

/// How long the mail server has for each step.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long one address of the mail server is tried alone: some servers wait for some seconds before they greet a
/// client.
const HEAD_START: Duration = Duration::from_secs(3);
/// Replaces the address in the mail server's messages: it must not get into logs.
const ADDRESSEE: &str = "<the address>";
/// The name under which the settings of the last sent mail are stored.
const WORKED: &str = "mail-worked";

/// A mail, in plain text: nothing in it is interpreted as markup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// The address.
    pub to: String,
    /// The subject.
    pub subject: String,
    /// Its text.
    pub text: String,
}

/// A step in sending a mail.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its name: `settings`, `resolve`, `connect`, `encrypt`, `sign_in`, `send`.
    pub name: &'static str,
    /// What was found, or what is wrong.
    pub outcome: Result<String, String>,
    /// How long it took.
    pub elapsed: Duration,
}

/// Why a mail was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the mail was not sent: {step}: {reason}")]
pub struct MailError {
    /// The step that failed.
    pub step: &'static str,
    /// Why.
    pub reason: String,
    /// Whether a retry is useless.
    pub is_permanent: bool,
}

/// Sends a test mail; returns the steps, and whether it was sent.
///
/// # Errors
/// When the database fails.
pub async fn test(
    db: &Db,
    (settings, guard): (&Settings, &Guard),
    to: &str,
) -> Result<(Vec<Step>, bool)> {
    let values = settings.current();
    let mail = Mail {
        to: to.to_owned(),
        subject: "Gantry sends mails".to_owned(),
        text: format!(
            "A system administrator of {} tried out whether it sends mails. It does.\n",
            values.external_url
        ),
    };
    let mut way = Way::new(settings, guard);
    let sent = way.go(&values, &mail).await;
    if sent.is_ok() {
        remember_that_it_works(db, &values).await?;
    }
    Ok((way.steps, sent.is_ok()))
}

/// Sends a mail.
///
/// # Errors
/// [`crate::Error::Mail`]; when the database fails.
pub async fn send(db: &Db, (settings, guard): (&Settings, &Guard), mail: &Mail) -> Result<()> {
    let values = settings.current();
    Way::new(settings, guard).go(&values, mail).await?;
    remember_that_it_works(db, &values).await
}

/// Whether a mail was sent with the present settings.
///
/// # Errors
/// When the database fails.
pub async fn has_worked(db: &Db, settings: &Settings) -> Result<bool> {
    let stored = installation::get(&mut db.reader().await?, WORKED).await?;
    Ok(stored == Some(fingerprint(&settings.current())))
}

async fn remember_that_it_works(db: &Db, values: &Values) -> Result<()> {
    let fingerprint = fingerprint(values);
    if installation::get(&mut db.reader().await?, WORKED)
        .await?
        .as_ref()
        == Some(&fingerprint)
    {
        return Ok(());
    }
    let stored = db.write(move |tx| {
        Box::pin(async move { installation::put(tx, WORKED, &fingerprint).await })
    });
    Ok(stored.await?)
}

/// A hash of the settings for the mail server and the sender.
fn fingerprint(values: &Values) -> Vec<u8> {
    let text = format!(
        "{}\n{}\n{:?}\n{}\n{}\n{}",
        values.smtp_host,
        values.smtp_port,
        values.smtp_tls,
        values.smtp_user,
        values.smtp_from,
        values.smtp_ca.pem().unwrap_or_default(),
    );
    Digest::of(Algorithm::Sha256, text.as_bytes()).to_bytes()
}

/// The steps of sending a mail, with their results.
struct Way<'a> {
    guard: &'a Guard,
    /// The trust in the mail server's address.
    trust: Trust,
    steps: Vec<Step>,
}

/// Why a step failed, and whether for good.
struct Wrong(String, bool);

impl<'a> Way<'a> {
    fn new(settings: &Settings, guard: &'a Guard) -> Self {
        Self {
            guard,
            trust: trust(settings),
            steps: Vec::new(),
        }
    }

    async fn go(&mut self, values: &Arc<Values>, mail: &Mail) -> Result<(), MailError> {
        let begun = Instant::now();
        let (given, owned) = (values.clone(), mail.clone());
        // The system's certificates are many files.
        let prepared = spawn_blocking(move || prepare(&given, &owned)).await;
        let prepared = prepared.unwrap_or_else(|error| Err(Wrong(causes(&error), false)));
        let (message, tls, hello) = self.step("settings", begun, prepared, mail)?;
        let host = (values.smtp_host.as_str(), port(values));

        let begun = Instant::now();
        let found = self.resolve(host).await;
        let addresses = self.step("resolve", begun, found, mail)?;

        let begun = Instant::now();
        let wrapped = tls.clone().filter(|_| values.smtp_tls == MailTls::Wrapped);
        let open = open(&addresses, &hello, wrapped).await;
        let mut connection = self.step("connect", begun, open, mail)?;

        if let (Some(tls), MailTls::StartTls) = (tls, values.smtp_tls) {
            let begun = Instant::now();
            let done = patiently(connection.starttls(tls, &hello)).await;
            // After this failure the connection is unusable, even for QUIT.
            self.step("encrypt", begun, done, mail)?;
        }
        let sent = self.talk(values, &message, mail, &mut connection).await;
        // The server has accepted or refused the mail: the end of the connection changes nothing.
        let _ = timeout(PATIENCE, connection.abort()).await;
        sent
    }

    async fn talk(
        &mut self,
        values: &Values,
        message: &Message,
        mail: &Mail,
        connection: &mut AsyncSmtpConnection,
    ) -> Result<(), MailError> {
        if !values.smtp_user.is_empty() {
            let begun = Instant::now();
            let (user, password) = (&values.smtp_user, values.smtp_password.expose());
            let credentials = Credentials::new(user.clone(), password.to_owned());
            let ways = [Mechanism::Plain, Mechanism::Login];
            let done = patiently(connection.auth(&ways, &credentials)).await;
            self.step("sign_in", begun, done, mail)?;
        }
        let begun = Instant::now();
        let text = message.formatted();
        let done = patiently(connection.send(message.envelope(), &text)).await;
        self.step("send", begun, done, mail)?;
        Ok(())
    }

    /// The permitted addresses of the mail server.
    async fn resolve(&self, host: (&str, u16)) -> Result<Vec<SocketAddr>, Wrong> {
        match timeout(PATIENCE, self.guard.resolve(host, self.trust)).await {
            Ok(found) => found.map_err(|error| Wrong(causes(&error), false)),
            Err(_) => Err(late()),
        }
    }

    /// Records the result of a step.
    fn step<T>(
        &mut self,
        name: &'static str,
        begun: Instant,
        done: Result<T, Wrong>,
        mail: &Mail,
    ) -> Result<T, MailError> {
        let elapsed = begun.elapsed();
        let (outcome, result) = match done {
            Ok(value) => (Ok(String::new()), Ok(value)),
            Err(Wrong(reason, is_permanent)) => {
                let reason = reason.replace(&mail.to, ADDRESSEE);
                let error = MailError {
                    step: name,
                    reason: reason.clone(),
                    is_permanent,
                };
                (Err(reason), Err(error))
            }
        };
        self.steps.push(Step {
            name,
            outcome,
            elapsed,
        });
        result
    }
}

/// The trust in the mail server's address: it is trusted if no request chose its host or port.
fn trust(settings: &Settings) -> Trust {
    let is_fixed = |name| Declaration::named(name).is_ok_and(|it| settings.is_fixed(it));
    let is_usual = settings.current().smtp_port == Values::default().smtp_port;
    match is_fixed("smtp_host") && (is_usual || is_fixed("smtp_port")) {
        true => Trust::Trusted,
        false => Trust::Guarded,
    }
}

/// Connects to the first of these addresses that sends a greeting, with TLS from the start if given.
async fn open(
    addresses: &[SocketAddr],
    hello: &ClientId,
    tls: Option<TlsParameters>,
) -> Result<AsyncSmtpConnection, Wrong> {
    let greeted = first_of(addresses, HEAD_START, |address| {
        let (hello, tls) = (hello.clone(), tls.clone());
        async move {
            let open =
                AsyncSmtpConnection::connect_tokio1(address, Some(PATIENCE), &hello, tls, None);
            patiently(open).await
        }
    });
    match timeout(PATIENCE, greeted).await {
        Ok(greeted) => greeted.map_err(|last| last.unwrap_or_else(late)),
        Err(_) => Err(late()),
    }
}

fn port(values: &Values) -> u16 {
    // The rule keeps it in range.
    u16::try_from(values.smtp_port).unwrap_or_default()
}

type Prepared = (Message, Option<TlsParameters>, ClientId);

/// The checks that need no mail server.
fn prepare(values: &Values, mail: &Mail) -> Result<Prepared, Wrong> {
    for (name, value) in [
        ("smtp_host", &values.smtp_host),
        ("smtp_from", &values.smtp_from),
        ("external_url", &values.external_url),
    ] {
        if value.is_empty() {
            return Err(Wrong(format!("{name} is empty: set it"), true));
        }
    }
    let wrong = |what: &str, error: &dyn std::error::Error| {
        Wrong(format!("{what}: {}", causes(error)), true)
    };
    let from: Mailbox = values
        .smtp_from
        .parse()
        .map_err(|error| wrong("smtp_from", &error))?;
    let to: Address = mail
        .to
        .parse()
        .map_err(|error| wrong("the address", &error))?;
    let host = values.external_url.trim_start_matches("https://");
    let id = format!("<{}@{}>", auth::random_hex::<16>(), from.email.domain());
    let message = Message::builder()
        .message_id(Some(id))
        .from(from)
        .to(Mailbox::new(None, to))
        .subject(mail.subject.clone())
        .header(AutoSubmitted)
        .singlepart(SinglePart::plain(mail.text.clone()))
        .map_err(|error| wrong("the mail", &error))?;
    let tls = match values.smtp_tls {
        MailTls::None => None,
        MailTls::StartTls | MailTls::Wrapped => {
            Some(tls(values).map_err(|error| wrong("smtp_ca", &error))?)
        }
    };
    let name = host.split(':').next().filter(|name| !name.starts_with('['));
    let hello = name.map(|name| ClientId::Domain(name.to_owned()));
    Ok((message, tls, hello.unwrap_or_default()))
}

/// Tells automatic responders not to answer (RFC 3834).
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

fn tls(values: &Values) -> Result<TlsParameters, lettre::transport::smtp::Error> {
    let builder = TlsParameters::builder(values.smtp_host.clone());
    let Some(pem) = values.smtp_ca.pem() else {
        return builder.build_rustls();
    };
    builder
        .certificate_store(CertificateStore::None)
        .add_root_certificate(Certificate::from_pem(pem.as_bytes())?)
        .build_rustls()
}

/// The mail server's answer, within [`PATIENCE`].
async fn patiently<T>(
    answer: impl Future<Output = Result<T, lettre::transport::smtp::Error>>,
) -> Result<T, Wrong> {
    match timeout(PATIENCE, answer).await {
        Ok(answer) => answer.map_err(|error| Wrong(causes(&error), error.is_permanent())),
        Err(_) => Err(late()),
    }
}

fn late() -> Wrong {
    Wrong(format!("no answer within {} s", PATIENCE.as_secs()), false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Values {
        Values {
            external_url: "https://registry.example:8443".to_owned(),
            smtp_host: "127.0.0.1".to_owned(),
            smtp_from: "Gantry <gantry@registry.example>".to_owned(),
            smtp_tls: MailTls::None,
            ..Values::default()
        }
    }

    fn mail(to: &str, text: &str) -> Mail {
        Mail {
            to: to.to_owned(),
            subject: "Größe\r\nBcc: eve@example.com".to_owned(),
            text: text.to_owned(),
        }
    }

    fn formatted(mail: &Mail) -> String {
        let Ok((message, ..)) = prepare(&values(), mail) else {
            panic!("it can be sent");
        };
        String::from_utf8(message.formatted()).unwrap()
    }

    #[test]
    fn nothing_in_a_mail_becomes_a_header_or_markup() {
        let text = formatted(&mail("ann@example.com", "<b>Hi</b>\r\n.\r\n"));
        let (head, _) = text.split_once("\r\n\r\n").unwrap();
        for line in head.lines() {
            assert!(!line.to_ascii_lowercase().starts_with("bcc"), "{head}");
        }
        assert!(head.contains("To: ann@example.com"), "{head}");
        assert!(head.contains("text/plain"), "{head}");
        assert!(head.contains("Auto-Submitted: auto-generated"), "{head}");
        assert!(!text.contains("text/html"), "{text}");
    }

    #[test]
    fn an_address_that_is_none_is_not_written_to() {
        for to in [
            "",
            "ann",
            "ann@example.com\r\nBcc: eve@example.com",
            "a@b.c>, <e@f.g",
        ] {
            assert!(prepare(&values(), &mail(to, "")).is_err(), "{to:?}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let mut without = values();
        without.external_url.clear();
        let Err(Wrong(reason, is_permanent)) = prepare(&without, &mail("a@b.example", "")) else {
            panic!("it cannot be sent");
        };
        assert!(reason.starts_with("external_url"), "{reason}");
        assert!(is_permanent);
    }

    #[tokio::test]
    async fn the_step_that_fails_is_the_last() {
        let mut closed = values();
        // Nobody listens on the discard port.
        closed.smtp_port = 9;
        let closed = Arc::new(closed);
        let guard = Guard::default();
        for (trust, steps) in [
            (Trust::Trusted, &["settings", "resolve", "connect"] as &[_]),
            (Trust::Guarded, &["settings", "resolve"]),
        ] {
            let mut way = Way {
                guard: &guard,
                trust,
                steps: Vec::new(),
            };
            let error = way.go(&closed, &mail("a@b.example", "")).await.unwrap_err();
            assert_eq!(Some(&error.step), steps.last());
            assert!(!error.is_permanent);
            let names: Vec<&str> = way.steps.iter().map(|step| step.name).collect();
            assert_eq!(names, steps);
        }
    }
}
