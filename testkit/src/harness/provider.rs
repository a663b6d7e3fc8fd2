//! A real OpenID provider on loopback, oidc-provider, whose people, keys and misdeeds tests change; and a person with a
//! browser there, who fills in its forms.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};

use super::client::{Answer, Client};
use crate::daemon::Daemon;
use crate::port::lasting_port;
use crate::scratch::Scratch;

/// How Gantry is known there.
pub const CLIENT_ID: &str = "gantry";
/// The secret that belongs to [`CLIENT_ID`].
pub const CLIENT_SECRET: &str = "Oidc-Cl1ent+secret/with=signs";

/// The running provider; dropping it stops it.
pub struct Provider {
    daemon: Daemon,
    client: Client,
    port: u16,
    _scratch: Scratch,
}

impl Provider {
    /// A provider for the Gantry at a URL. It believes the certificate that `authority` issued.
    pub fn start(gantry: &str, authority: &Path) -> Self {
        let scratch = Scratch::new("oidc").expect("a folder can be made");
        let port = lasting_port().expect("there is a port");
        let mut command = Command::new("node");
        command.arg(folder().join("provider.mjs"));
        command.args([&port.to_string(), CLIENT_ID, CLIENT_SECRET, gantry]);
        command.env("NODE_EXTRA_CA_CERTS", authority);
        let mut daemon = Daemon::start("oidc-provider", command, &scratch.join("log"))
            .expect("node is there: apt-get install nodejs npm");
        daemon
            .wait_until(Duration::from_secs(30), || {
                std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
            })
            .expect("oidc-provider runs: npm ci --ignore-scripts in testkit/oidc");
        Self {
            daemon,
            client: Client::plain(port),
            port,
            _scratch: scratch,
        }
    }

    /// What it calls itself.
    pub fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn log(&self) -> String {
        self.daemon.log()
    }

    async fn control(&self, what: &str, body: Value) -> Value {
        let path = format!("/control/{what}");
        let answer = self.client.post(&path).json(&body).await;
        answer.expect(200).json()
    }

    /// Adds a person, or changes what is said of them.
    pub async fn person(&self, sub: &str, claims: Value) {
        self.control("person", json!({ "sub": sub, "claims": claims }))
            .await;
    }

    /// Disables a person.
    pub async fn remove(&self, sub: &str) {
        self.person(sub, Value::Null).await;
    }

    /// Signs with another key from now on.
    pub async fn rotate(&self) {
        self.control("rotate", json!({})).await;
    }

    /// Answers 503 to everything, or no more.
    pub async fn set_down(&self, down: bool) {
        self.control("down", json!({ "down": down })).await;
    }

    /// Does what no real provider does, until it is told otherwise: see `provider.mjs`.
    pub async fn mischief(&self, mischief: Value) {
        self.control("mischief", mischief).await;
    }

    /// A logout token with these claims besides the usual ones.
    pub async fn logout_token(&self, claims: Value) -> String {
        let made = self
            .control("logout-token", json!({ "claims": claims }))
            .await;
        made["token"].as_str().expect("a token").to_owned()
    }

    /// How often a path was asked for.
    pub async fn asked(&self, path: &str) -> u64 {
        self.control("asked", json!({})).await[path]
            .as_u64()
            .unwrap_or_default()
    }

    /// A browser that knows nobody there yet.
    pub fn browser(&self) -> ProviderBrowser {
        ProviderBrowser {
            client: self.client.clone(),
            cookies: BTreeMap::new(),
        }
    }
}

fn folder() -> PathBuf {
    let own = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo says where the tests are");
    Path::new(&own).join("../testkit/oidc")
}

/// A browser at the provider.
pub struct ProviderBrowser {
    client: Client,
    cookies: BTreeMap<String, String>,
}

impl ProviderBrowser {
    /// Follows an address of the provider, signs in as `sub`, agrees to everything, and stops where the provider sends the
    /// browser elsewhere: that address.
    pub async fn visit(&mut self, address: &str, sub: &str) -> String {
        let mut answer = self.go(Method::GET, address, None).await;
        for _ in 0..20 {
            if let Some(location) = answer.maybe_header("location") {
                let location = location.to_owned();
                let is_here = location.starts_with('/') || location.starts_with(&self.origin());
                if !is_here {
                    return location;
                }
                answer = self.go(Method::GET, &location, None).await;
                continue;
            }
            let (action, fields) = form(&answer);
            let fields = format!("{fields}&login={sub}&password=any&logout=yes");
            answer = self.go(Method::POST, &action, Some(&fields)).await;
        }
        panic!("the provider leads nowhere: {answer}");
    }

    /// Signs out of the provider itself.
    pub async fn end_session(&mut self, address: &str) {
        let page = self.go(Method::GET, address, None).await;
        let (action, fields) = form(&page);
        let form = format!("{fields}&logout=yes");
        self.go(Method::POST, &action, Some(&form)).await;
    }

    fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.client.port())
    }

    async fn go(&mut self, method: Method, address: &str, form: Option<&str>) -> Answer {
        let path = address.strip_prefix(&self.origin()).unwrap_or(address);
        let cookies = self.cookies.iter();
        let cookies: Vec<String> = cookies
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mut request = self.client.request(method, path);
        if !cookies.is_empty() {
            request = request.header("cookie", cookies.join("; "));
        }
        if let Some(form) = form {
            request = request.form(form);
        }
        let answer = request.await;
        for line in answer.headers.get_all("set-cookie") {
            let line = line.to_str().expect("cookies are ASCII");
            let pair = line.split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').expect("a cookie has a value");
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        answer
    }
}

/// Where the form of a page leads, and its hidden fields.
fn form(page: &Answer) -> (String, String) {
    let text = page.text();
    let between = |text: &str, before: &str| {
        let (_, rest) = text.split_once(before)?;
        Some(rest.split('"').next().unwrap_or_default().to_owned())
    };
    let action = text
        .split("<form")
        .nth(1)
        .and_then(|form| between(form, "action=\""))
        .unwrap_or_else(|| panic!("there is no form: {page}"));
    let hidden = text.split("<input").skip(1);
    let hidden = hidden.filter(|input| input.contains("type=\"hidden\""));
    let fields: Vec<String> = hidden
        .filter_map(|input| {
            let (name, value) = (between(input, "name=\"")?, between(input, "value=\"")?);
            Some(format!("{name}={value}"))
        })
        .collect();
    (action, fields.join("&"))
}
