//! `gantry credential-provider`: the kubelet's plugin by which pods pull as themselves. A pod's service account token,
//! which the cluster signs for this registry, is its password; rules for workloads say what it may pull.
//!
//! Nothing is kept, and no server is asked: an answer is made of its own request alone, so that no pod gets what another
//! pod asked for.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use serde::{Deserialize, Serialize};

use super::out;

/// The kubelet's protocol.
const PROTOCOL: &str = "credentialprovider.kubelet.k8s.io/v1";
/// Bytes that a request may have: an image's name, a token and annotations.
const MAX_REQUEST: u64 = 256 * 1024;
/// What the registry is told as the name of the user, which does not matter.
const USER: &str = "kubernetes";

#[derive(Args)]
pub(super) struct CredentialProvider {
    /// HOST or HOST:PORT of the registry, as images name it; may be given several times. Tokens are handed out for no
    /// other.
    #[arg(long = "registry", value_name = "HOST[:PORT]", required = true)]
    registries: Vec<String>,
}

/// What the kubelet asks.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    api_version: String,
    kind: String,
    image: String,
    /// Empty if the kubelet's configuration has no `tokenAttributes`, or the pod no service account.
    #[serde(default)]
    service_account_token: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    api_version: &'static str,
    kind: &'static str,
    cache_key_type: &'static str,
    cache_duration: &'static str,
    /// By registry. Without an entry the image is pulled by nobody in particular.
    auth: BTreeMap<String, Credentials>,
}

#[derive(Serialize)]
struct Credentials {
    username: &'static str,
    password: String,
}

impl CredentialProvider {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let response = answer(io::stdin().lock(), &self.registries)?;
        out::json_lines(&[response])?;
        Ok(ExitCode::SUCCESS)
    }
}

fn answer(input: impl Read, registries: &[String]) -> anyhow::Result<Response> {
    let mut text = String::new();
    let read = input.take(MAX_REQUEST).read_to_string(&mut text);
    read.context("cannot read the kubelet's request from standard input")?;
    // Without the parser's own words, which may quote a token.
    let request: Request = serde_json::from_str(&text)
        .ok()
        .context("standard input is not a CredentialProviderRequest of the kubelet")?;
    anyhow::ensure!(
        request.kind == "CredentialProviderRequest" && request.api_version == PROTOCOL,
        "the request is a {} of {}: set apiVersion of the provider to {PROTOCOL}",
        request.kind,
        request.api_version
    );
    let host = registry_of(&request.image);
    anyhow::ensure!(
        registries.iter().any(|registry| registry == host),
        "{} is not an image of {}: correct matchImages or --registry",
        request.image,
        registries.join(" or ")
    );
    let password = request.service_account_token;
    let credentials = (!password.is_empty()).then_some(Credentials {
        username: USER,
        password,
    });
    Ok(Response {
        api_version: PROTOCOL,
        kind: "CredentialProviderResponse",
        cache_key_type: "Image",
        // Another pod with the same image has another token.
        cache_duration: "0s",
        auth: credentials
            .map(|credentials| (host.to_owned(), credentials))
            .into_iter()
            .collect(),
    })
}

/// The registry that an image's name begins with.
fn registry_of(image: &str) -> &str {
    image.split_once('/').map_or("", |(host, _)| host)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn asked(request: &Value) -> Result<Value, String> {
        let registries = ["registry.example:8443".to_owned()];
        let text = request.to_string();
        let response =
            answer(text.as_bytes(), &registries).map_err(|error| format!("{error:#}"))?;
        Ok(serde_json::to_value(response).unwrap())
    }

    fn request(image: &str, token: &str) -> Value {
        json!({
            "apiVersion": PROTOCOL,
            "kind": "CredentialProviderRequest",
            "image": image,
            "serviceAccountToken": token,
            "serviceAccountAnnotations": {"a": "b"},
        })
    }

    #[test]
    fn the_answer_holds_the_token_of_its_request_and_is_not_to_be_kept() {
        for token in ["one", "other"] {
            let answer = asked(&request("registry.example:8443/team/app:1", token)).unwrap();
            let auth = json!({"registry.example:8443": {"username": USER, "password": token}});
            assert_eq!(answer["auth"], auth);
            assert_eq!(answer["cacheDuration"], "0s");
            assert_eq!(answer["apiVersion"], PROTOCOL);
        }
    }

    #[test]
    fn without_a_token_there_are_no_credentials() {
        let image = "registry.example:8443/library/app";
        let mut bare = request(image, "");
        assert_eq!(asked(&bare).unwrap()["auth"], json!({}));
        bare.as_object_mut().unwrap().remove("serviceAccountToken");
        assert_eq!(asked(&bare).unwrap()["auth"], json!({}));
    }

    #[test]
    fn no_other_registry_gets_a_token() {
        for image in [
            "other.example/team/app",
            "registry.example/team/app",
            "registry.example:8443.evil.example/team/app",
            "evil.example/registry.example:8443/app",
            "registry.example:8443",
            "app",
            "",
        ] {
            let refused = asked(&request(image, "secret-token")).unwrap_err();
            assert!(refused.contains("matchImages"), "{refused}");
            assert!(!refused.contains("secret-token"), "{refused}");
        }
    }

    #[test]
    fn a_request_of_another_kind_is_refused_with_what_to_set() {
        let mut other = request("registry.example:8443/a", "t");
        other["apiVersion"] = json!("credentialprovider.kubelet.k8s.io/v1beta1");
        assert!(asked(&other).unwrap_err().contains(PROTOCOL));
    }

    #[test]
    fn what_cannot_be_read_is_not_quoted() {
        let registries = ["r".to_owned()];
        for text in ["", "{", r#"{"serviceAccountToken": ["secret-token"]}"#] {
            let error = answer(text.as_bytes(), &registries).err().unwrap();
            assert!(!format!("{error:#}").contains("secret-token"), "{error:#}");
        }
    }

    proptest! {
        #[test]
        fn no_image_name_panics(image in any::<String>()) {
            prop_assert!(image.starts_with(registry_of(&image)));
        }
    }
}
