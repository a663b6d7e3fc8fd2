//! `gantry cert check`: a server's certificate as clients see it.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use certs::{Chain, Roots, SubjectName, findings};
use model::{Clock as _, SystemClock};
use outgoing::{Verification, client_config};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::super::print;
use super::Check;

/// Time limit of a handshake.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn run(check: &Check) -> anyhow::Result<ExitCode> {
    let (host, port) = place(&check.host)?;
    let name: SubjectName = host.parse()?;
    let authorities = match &check.ca {
        Some(path) => Some(
            std::fs::read_to_string(path)
                .with_context(|| format!("cannot read {}", path.display()))?,
        ),
        None => None,
    };
    let any = client_config(Verification::Off, None)?;
    let stream = connect(any, &host, port).await?;
    let sent = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let sent: Vec<_> = sent.iter().map(|der| der.clone().into_owned()).collect();
    let chain = Chain::new(sent, &check.host)?;
    print(&format!("names    {}", chain.names().join(", ")));
    print(&format!("serial   {}", chain.serial()));
    print(&format!("issuer   {}", chain.issuer()));
    print(&format!("from     {}", chain.not_before()));
    print(&format!("until    {}", chain.not_after()));
    print(&format!(
        "sent     {} certificates",
        chain.certificates().len()
    ));
    let roots = Roots::of_the_system().with(authorities.as_deref().unwrap_or_default());
    let now = SystemClock.now().date_time();
    let mut wrong = findings(&chain, &[name], &roots, now);
    let verification = match &authorities {
        Some(pem) => Verification::AlsoAuthorities(pem),
        None => Verification::System,
    };
    let strict = client_config(verification, None)?;
    if let Err(error) = connect(strict, &host, port).await {
        wrong.push(format!(
            "clients that trust what this machine does refuse it: {error:#}"
        ));
    }
    for finding in &wrong {
        print(finding);
    }
    if wrong.is_empty() {
        print("clients that trust what this machine does accept it");
    }
    Ok(ExitCode::from(u8::from(!wrong.is_empty())))
}

/// HOST, HOST:PORT, an address, or [ADDRESS]:PORT.
fn place(text: &str) -> anyhow::Result<(String, u16)> {
    if let Ok(address) = text.parse::<std::net::IpAddr>() {
        return Ok((address.to_string(), 443));
    }
    let authority = text.parse::<http::uri::Authority>();
    let authority = authority.with_context(|| format!("{text:?} is no HOST or HOST:PORT"))?;
    let host = authority
        .host()
        .trim_start_matches('[')
        .trim_end_matches(']');
    Ok((host.to_owned(), authority.port_u16().unwrap_or(443)))
}

async fn connect(
    config: Arc<ClientConfig>,
    host: &str,
    port: u16,
) -> anyhow::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(host.to_owned())?;
    let connecting = async {
        let stream = TcpStream::connect((host, port)).await;
        let stream = stream.with_context(|| format!("cannot connect to {host}:{port}"))?;
        let shaken = TlsConnector::from(config).connect(name, stream).await;
        anyhow::Ok(shaken?)
    };
    tokio::time::timeout(PATIENCE, connecting)
        .await
        .with_context(|| format!("{host}:{port} does not answer in time"))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_come_with_and_without_a_port() {
        for (text, host, port) in [
            ("registry.example", "registry.example", 443),
            ("registry.example:8443", "registry.example", 8443),
            ("10.0.0.1", "10.0.0.1", 443),
            ("::1", "::1", 443),
            ("[::1]:8443", "::1", 8443),
        ] {
            assert_eq!(place(text).unwrap(), (host.to_owned(), port), "{text}");
        }
        assert!(place("https://x").is_err());
    }
}
