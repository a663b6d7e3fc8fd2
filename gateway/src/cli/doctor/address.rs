//! The names by which clients find the server, the address at which they reach it, and its metrics.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use certs::SubjectName;
use futures_util::future::join_all;
use http::response::Parts;
use http::{HeaderMap, Request, StatusCode, header};
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
/// What to do if an answer is not Gantry's.
const STRANGER: &str =
    "another program answers there, or a balancer changes answers or has no server";

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
    let host = config.external_host();
    let (url, encoded) = (
        format!("https://{host}/v2/"),
        format!("https://{host}{ENCODED}"),
    );
    let client = client(trusting(&config.ca_file())?);
    let get = |url: &str| Request::get(url).body(Bytes::new());
    let requests = (get(&url)?, get(&encoded)?);
    // At once: one after the other could take longer than a check may.
    let (base, encoded_answer) = tokio::join!(
        client.send_for_head(requests.0, Trust::Trusted),
        client.send_for_head(requests.1, Trust::Trusted),
    );
    let base = match base {
        Ok(base) if base.status == StatusCode::UNAUTHORIZED => base,
        Ok(other) => {
            let found = format!("{url} answers {} and not 401", other.status);
            return Ok(vec![ADDRESS.warning(found, STRANGER)]);
        }
        Err(error) => {
            let found = format!("{url}: {}", causes(&error));
            return Ok(vec![ADDRESS.warning(found, advice(&error))]);
        }
    };
    let mut findings = vec![
        ADDRESS.ok(format!("{url} answers, with a certificate that is trusted")),
        of_realm(&host, &base.headers),
    ];
    if let Ok(answer) = encoded_answer
        && is_gantrys(&base.headers)
    {
        findings.extend(of_encoded(&encoded, &answer));
    }
    Ok(findings)
}

/// Compares where clients are sent for tokens with the address that they use.
fn of_realm(host: &str, headers: &HeaderMap) -> Finding {
    let Some(realm) = realm(headers) else {
        let found = format!("https://{host}/v2/ answers 401 and does not say where to get a token");
        return ADDRESS.warning(found, STRANGER);
    };
    let expected = format!("https://{host}/").to_ascii_lowercase();
    if realm.to_ascii_lowercase().starts_with(&expected) {
        return ADDRESS.ok(format!("clients get tokens at {realm}"));
    }
    let found = format!("clients of https://{host} are sent to {realm} for tokens");
    ADDRESS.warning(
        found,
        "set [server] external_url to the address that clients use, and restart the server",
    )
}

/// The token service that a challenge names.
fn realm(headers: &HeaderMap) -> Option<&str> {
    let challenge = headers.get(header::WWW_AUTHENTICATE)?.to_str().ok()?;
    let (_, rest) = challenge.split_once("realm=\"")?;
    rest.split_once('"').map(|(realm, _)| realm)
}

/// A repository that cannot be: a name has no %. Decoded once more on its way, it becomes one that could be.
const ENCODED: &str = "/v2/library/gantry%252Fdoctor/tags/list";

/// Whether a path arrives as it was sent; nothing if the answer does not tell.
fn of_encoded(url: &str, answer: &Parts) -> Option<Finding> {
    let status = answer.status;
    let refuses = [
        StatusCode::BAD_REQUEST,
        StatusCode::FORBIDDEN,
        StatusCode::NOT_FOUND,
        StatusCode::NOT_ACCEPTABLE,
    ];
    let advice = "let the balancer pass paths on as they come: the REST API has names of repositories in them, encoded";
    if is_gantrys(&answer.headers) {
        return match status {
            StatusCode::BAD_REQUEST => Some(ADDRESS.ok("encoded paths arrive as they were sent")),
            StatusCode::OK | StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND => {
                let found = format!("{url} arrives decoded");
                Some(ADDRESS.warning(found, advice))
            }
            _ => None,
        };
    }
    refuses.contains(&status).then(|| {
        let found = format!("{url} does not arrive: something before the server answers {status}");
        ADDRESS.warning(found, advice)
    })
}

/// Whether Gantry itself gave an answer. Some balancers add the first header to whatever they answer.
fn is_gantrys(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    let is_json = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    is_json && headers.contains_key("docker-distribution-api-version")
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
    let text = String::from_utf8_lossy(answer.body()).into_owned();
    // Other programs have metrics at this port too.
    anyhow::ensure!(
        text.contains("gantry_build_info"),
        "what answers at {listen} is not Gantry"
    );
    Ok(text)
}

#[cfg(test)]
mod tests {
    use http::Response;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::super::finding::Level;
    use super::*;

    fn answer(status: u16, headers: &[(&str, &str)]) -> Parts {
        let answer = Response::builder().status(status);
        let answer = headers
            .iter()
            .fold(answer, |answer, (name, value)| answer.header(*name, *value));
        answer.body(()).unwrap().into_parts().0
    }

    #[test]
    fn clients_have_to_be_sent_to_the_address_that_they_use() {
        let level = |challenge: &str| {
            let answer = answer(401, &[("www-authenticate", challenge)]);
            of_realm("Registry.example:8443", &answer.headers).level
        };
        let to = |url: &str| format!("Bearer realm=\"{url}/service/token\",service=\"x\"");
        assert_eq!(level(&to("https://registry.example:8443")), Level::Ok);
        for other in [
            "http://registry.example:8443",
            "https://registry.example",
            "https://registry.example:8443.evil.example",
            "https://10.0.0.7:8443",
        ] {
            assert_eq!(level(&to(other)), Level::Warning, "{other}");
        }
        assert_eq!(level("Basic realm=x"), Level::Warning);
    }

    #[test]
    fn a_path_that_is_decoded_or_refused_on_its_way_is_told() {
        let own = [
            ("docker-distribution-api-version", "registry/2.0"),
            ("content-type", "application/json; charset=utf-8"),
        ];
        let balancers = [
            ("docker-distribution-api-version", "registry/2.0"),
            ("content-type", "text/html"),
        ];
        let level = |status: u16, headers: &[(&str, &str)]| {
            of_encoded("https://h/x", &answer(status, headers)).map(|finding| finding.level)
        };
        assert_eq!(level(400, &own), Some(Level::Ok));
        assert_eq!(level(401, &own), Some(Level::Warning));
        assert_eq!(level(404, &own), Some(Level::Warning));
        assert_eq!(level(400, &balancers), Some(Level::Warning));
        assert_eq!(level(400, &[]), Some(Level::Warning));
        for untold in [429, 500, 503] {
            assert_eq!(level(untold, &own), None);
            assert_eq!(level(untold, &[]), None);
        }
    }

    #[tokio::test]
    async fn metrics_of_another_program_are_not_taken() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut config = Config::default();
        config.server.metrics_listen = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; 1024];
            let _ = stream.read(&mut asked).await;
            let answer = "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\notel_up 1.0";
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        let refused = metrics(Arc::new(config)).await.unwrap_err();
        assert!(refused.to_string().contains("is not Gantry"), "{refused}");
    }
}
