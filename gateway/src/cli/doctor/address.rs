//! The names by which clients find the server, the address at which they reach it, and its metrics.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use certs::SubjectName;
use futures_util::future::join_all;
use http::{Request, StatusCode};
use jobs::failures::causes;
use outgoing::{Error, Guard, HttpClient, Trust, Verification, client_config};
use rustls::ClientConfig;

use super::finding::{Check, Finding};
use crate::certificate;
use crate::config::Config;

const NAMES: Check = Check {
    name: "names",
    advice: "add the name to the DNS, or correct [server] names and external_url",
};
const ADDRESS: Check = Check {
    name: "address",
    advice: "start the server, and look at [server] external_url, the balancer and the firewall",
};

/// Time limit of an answer.
const PATIENCE: Duration = Duration::from_secs(8);
/// The largest answer, in bytes.
const LARGEST: usize = 16 << 20;

/// Resolves the server's names.
pub(super) async fn names(config: Arc<Config>) -> Vec<Finding> {
    let wanted = certificate::wanted_names(&config).into_iter();
    // What a wildcard stands for is not known here.
    let hosts = wanted.filter_map(|name| match name {
        SubjectName::Dns(host) if !host.starts_with("*.") => Some(host),
        _ => None,
    });
    let hosts: Vec<String> = hosts.collect();
    if hosts.is_empty() {
        return vec![NAMES.ok("clients use addresses")];
    }
    let looked = hosts
        .into_iter()
        .map(|host| NAMES.run(move || resolve(host)));
    join_all(looked).await.concat()
}

async fn resolve(host: String) -> anyhow::Result<Vec<Finding>> {
    let guard = Guard::default();
    let resolving = guard.resolve((host.as_str(), 443), Trust::Trusted);
    let found = tokio::time::timeout(PATIENCE, resolving).await;
    let finding = match found.unwrap_or(Err(Error::Timeout)) {
        Ok(found) => {
            let found: Vec<String> = found.iter().map(|it| it.ip().to_string()).collect();
            NAMES.ok(format!("{host} is {}", found.join(", ")))
        }
        Err(error) => NAMES.warning(format!("{host}: {}", causes(&error)), NAMES.advice),
    };
    Ok(vec![finding])
}

/// Asks for `/v2/` where clients do.
pub(super) async fn external(config: Arc<Config>) -> Vec<Finding> {
    ADDRESS.run(move || ask(config)).await
}

async fn ask(config: Arc<Config>) -> anyhow::Result<Vec<Finding>> {
    let url = format!("https://{}/v2/", config.external_host());
    let client = client(trusting(&config.ca_file())?);
    let request = Request::get(url.as_str()).body(Bytes::new())?;
    let finding = match client.send_for_head(request, Trust::Trusted).await {
        Ok(head) if head.status == StatusCode::UNAUTHORIZED => {
            ADDRESS.ok(format!("{url} answers, with a certificate that is trusted"))
        }
        Ok(head) => {
            let found = format!("{url} answers {} and not 401", head.status);
            ADDRESS.warning(
                found,
                "another program answers there, or a balancer has no server",
            )
        }
        Err(error) => ADDRESS.warning(format!("{url}: {}", causes(&error)), advice(&error)),
    };
    Ok(vec![finding])
}

fn advice(error: &Error) -> &'static str {
    match error {
        Error::Resolve(_) => NAMES.advice,
        Error::Handshake(_) => "`gantry cert check HOST` says what clients object to",
        _ => ADDRESS.advice,
    }
}

/// Trusts what this system does, and Gantry's own CA.
fn trusting(ca: &Path) -> outgoing::Result<Arc<ClientConfig>> {
    match std::fs::read_to_string(ca) {
        Ok(pem) => client_config(Verification::AlsoAuthorities(&pem), None),
        Err(_) => client_config(Verification::System, None),
    }
}

fn client(tls: Arc<ClientConfig>) -> HttpClient {
    HttpClient::new(Arc::default(), tls, PATIENCE, LARGEST)
}

/// What a server on this machine gives as metrics.
///
/// # Errors
/// If none answers.
pub(super) async fn metrics(config: Arc<Config>) -> anyhow::Result<String> {
    let mut listen = config.server.metrics_listen;
    if listen.ip().is_unspecified() {
        listen.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    let client = client(client_config(Verification::System, None)?);
    let request = Request::get(format!("http://{listen}/metrics")).body(Bytes::new())?;
    let answer = client.send(request, Trust::Trusted).await?;
    anyhow::ensure!(
        answer.status() == StatusCode::OK,
        "{listen} answers {}",
        answer.status()
    );
    Ok(String::from_utf8_lossy(answer.body()).into_owned())
}
