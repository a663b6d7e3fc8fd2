//! What nodes, packagers and shells get from the command line.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use super::SERVER;

const REGISTRY: &str = "registry.example:8443";

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}

#[tokio::test]
async fn a_node_gets_the_ca_the_plugin_and_the_rule_for_its_audience() {
    let server = SERVER.get().await;
    let scratch = folder();
    let folder = scratch.path().join("nodes").display().to_string();
    let arguments = ["node-config", &folder, "--registry", REGISTRY];
    let said = server.cli_prints(&arguments).await;
    assert!(said.contains("cluster/audience.json"), "{said}");

    let read =
        |path: &str| std::fs::read_to_string(scratch.path().join("nodes").join(path)).unwrap();
    let json = |path: &str| serde_json::from_str::<Value>(&read(path)).unwrap();
    let ca = server.cli_prints(&["cert", "ca"]).await;
    let copied = read(&format!("containerd/{REGISTRY}/ca.crt"));
    assert_eq!(copied.trim(), ca.trim());
    let hosts: toml::Table = read(&format!("containerd/{REGISTRY}/hosts.toml"))
        .parse()
        .unwrap();
    let host = &hosts["host"][&format!("https://{REGISTRY}")];
    let path = format!("/etc/containerd/certs.d/{REGISTRY}/ca.crt");
    assert_eq!(host["ca"].as_str(), Some(&*path));
    let provider = json("kubelet/credential-provider.json");
    assert_eq!(provider["providers"][0]["matchImages"][0], REGISTRY);
    let role = json("cluster/audience.json");
    assert_eq!(
        role["items"][0]["rules"][0]["resources"][0],
        "registry.example"
    );
    assert!(
        !scratch
            .path()
            .join("nodes/cluster/pull-secret.json")
            .exists()
    );

    let again = server.cli(&arguments).await;
    assert_eq!(again.status.code(), Some(1), "an existing folder is kept");
}

#[tokio::test]
async fn any_machine_writes_the_files_if_it_is_told_what_to_trust() {
    let (data, scratch) = (folder(), folder());
    let written = scratch.path().join("nodes").display().to_string();
    let data = data.path().display().to_string();
    let run = async |more: &[&str]| {
        let common = [
            "node-config",
            &written,
            "--data",
            &data,
            "--registry",
            REGISTRY,
        ];
        let mut command = crate::harness::gantry(&[&common, more].concat());
        tokio::task::spawn_blocking(move || command.output())
            .await
            .expect("nothing panics")
            .expect("gantry can be run")
    };
    let untold = run(&[]).await;
    assert_eq!(untold.status.code(), Some(1));
    let said = String::from_utf8_lossy(&untold.stderr).into_owned();
    assert!(said.contains("there is no database"), "{said}");
    assert!(run(&["--no-ca"]).await.status.success());
    let certificates = scratch.path().join("nodes/containerd").join(REGISTRY);
    assert!(certificates.join("hosts.toml").exists());
    assert!(!certificates.join("ca.crt").exists());
}

#[tokio::test]
async fn a_pull_secret_is_for_its_owner_alone_and_never_an_argument() {
    let server = SERVER.get().await;
    let scratch = folder();
    let folder = scratch.path().join("nodes").display().to_string();
    let arguments = [
        "node-config",
        &folder,
        "--registry",
        REGISTRY,
        "--robot",
        "robot$k8s",
        "--namespace",
        "shop",
    ];
    let without = server.cli(&arguments).await;
    assert_eq!(without.status.code(), Some(1));
    let said = String::from_utf8_lossy(&without.stderr).into_owned();
    assert!(said.contains("GANTRY_ROBOT_SECRET"), "{said}");

    let made = server
        .cli_with(&arguments, &[("GANTRY_ROBOT_SECRET", "s3cret-of-a-robot")])
        .await;
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let said = [made.stdout, made.stderr].concat();
    assert!(
        !String::from_utf8_lossy(&said).contains("s3cret"),
        "it is not printed"
    );
    let file = scratch.path().join("nodes/cluster/pull-secret.json");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let secret: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(secret["type"], "kubernetes.io/dockerconfigjson");
    assert_eq!(secret["metadata"]["namespace"], "shop");
}

#[tokio::test]
async fn shells_and_man_know_every_command() {
    let server = SERVER.get().await;
    for (shell, holds) in [
        ("bash", "complete -F"),
        ("zsh", "#compdef gantry"),
        ("fish", "complete -c gantry"),
    ] {
        let script = server.cli_prints(&["completion", shell]).await;
        assert!(
            script.contains(holds) && script.contains("node-config"),
            "{shell}"
        );
    }
    let scratch = folder();
    server
        .cli_prints(&["man", &scratch.path().display().to_string()])
        .await;
    let page = std::fs::read_to_string(scratch.path().join("gantry-gc-run.1")).unwrap();
    assert!(page.contains(".SH SYNOPSIS"), "{page}");
    assert!(scratch.path().join("gantry.1").exists());
}
