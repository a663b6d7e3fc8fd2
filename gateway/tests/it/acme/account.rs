//! The account that a server has, as somebody who holds its key uses it.

use std::pin::Pin;
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use instant_acme::{Account, BodyWrapper, BytesResponse, Error, HttpClient};
use outgoing::{Trust, Verification, client_config};
use tenancy::secret::MasterKey;

use crate::harness::{Pebble, Server};

/// Deactivates the account of a server at its ACME server.
pub(super) async fn deactivate(server: &Server, pebble: &Pebble) {
    let sealed = stored(server, "hex(credentials) from acme_account").await;
    let sealed = hex::decode(sealed).expect("there is an account");
    let master = MasterKey::load(&server.data().join("master.key")).expect("it has a key");
    let opened = master.open("acme account", &sealed, pebble.directory().as_bytes());
    let opened = opened.expect("the account was sealed with it");
    let credentials = serde_json::from_slice(&opened).expect("they are JSON");
    let account = Account::builder_with_http(Box::new(Sends::to(pebble)));
    let account = account.from_credentials(credentials).await;
    let account = account.expect("the ACME server answers");
    account.deactivate().await.expect("it takes that");
}

/// Sends the requests of the ACME library.
struct Sends(outgoing::HttpClient);

impl Sends {
    fn to(pebble: &Pebble) -> Self {
        let ca = std::fs::read_to_string(pebble.ca_file()).expect("the CA can be read");
        let tls = client_config(Verification::Authorities(&ca), None).expect("it is a CA");
        let within = Duration::from_secs(10);
        Self(outgoing::HttpClient::new(
            Default::default(),
            tls,
            within,
            1 << 20,
        ))
    }
}

/// What is stored in the database of a server: the text of one column of a table with one row.
pub(super) async fn stored(server: &Server, what: &str) -> String {
    let found = tokio::process::Command::new("sqlite3")
        .args(["-cmd", ".timeout 30000"])
        .arg(server.data().join("gantry.db"))
        .arg(format!("select {what}"))
        .stdin(Stdio::null())
        .output()
        .await
        .expect("sqlite3 is missing: apt-get install sqlite3");
    String::from_utf8_lossy(&found.stdout).trim().to_owned()
}

impl HttpClient for Sends {
    fn request(
        &self,
        request: http::Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let client = self.0.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let Ok(body) = body.collect().await;
            let request = http::Request::from_parts(parts, body.to_bytes());
            let answer = client.send(request, Trust::Trusted).await;
            let answer = answer.map_err(|error| Error::Other(Box::new(error)))?;
            Ok(BytesResponse::from(answer.map(Full::new)))
        })
    }
}
