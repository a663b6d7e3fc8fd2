//! Pods that pull as themselves: the kubelet's plugin hands a pod's own token to the registry.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use super::issuer::{AUDIENCE, Issuer};
use super::{docker_gets, make, server};
use crate::harness::Server;

/// What the kubelet gets for a pod with this token.
async fn provided(server: &Server, image: &str, token: &str) -> Value {
    let request = json!({
        "apiVersion": "credentialprovider.kubelet.k8s.io/v1",
        "kind": "CredentialProviderRequest",
        "image": image,
        "serviceAccountToken": token,
    });
    let mut command = server.command(&["credential-provider", "--registry", AUDIENCE]);
    // A node has no settings of a server, and what it has is none of the plugin's business.
    command.env("GANTRY_CONFIG", "/nowhere/gantry.toml");
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut running = tokio::process::Command::from(command)
        .spawn()
        .expect("gantry can be run");
    let mut input = running.stdin.take().expect("it is piped");
    let request = request.to_string();
    input.write_all(request.as_bytes()).await.expect("it reads");
    drop(input);
    let ended = running.wait_with_output().await.expect("it ends");
    assert!(ended.status.success(), "{:?}", ended.status);
    serde_json::from_slice(&ended.stdout).expect("the answer is JSON")
}

#[tokio::test]
async fn two_service_accounts_pull_one_image_each_by_its_own_token() {
    let (server, issuer) = (server().await, Issuer::start().await);
    let project = server.private_project().await;
    let let_in = "system:serviceaccount:shop:web";
    let rule = issuer.rule(json!({ "subject": let_in, "role": "guest" }));
    make(&server, &project.name, &rule).await;
    let repository = project.repository("app");
    let image = format!("{AUDIENCE}/{repository}:1");

    let tokens = [let_in, "system:serviceaccount:shop:other"]
        .map(|subject| issuer.token(json!({ "sub": subject })));
    let mut statuses = Vec::new();
    for token in &tokens {
        let answer = provided(&server, &image, token).await;
        let credentials = &answer["auth"][AUDIENCE];
        assert_eq!(credentials["password"], json!(token), "its own token");
        assert_eq!(answer["cacheDuration"], "0s", "nobody else's later");
        statuses.push(docker_gets(&server, token, &repository).await);
    }
    let [(status, actions), (refused, _)] = [statuses[0].clone(), statuses[1].clone()];
    assert_eq!((status, actions), (200, json!(["pull"])));
    assert_eq!(refused, 401);
}
