//! `gantry node-config`: the files by which nodes of a Kubernetes cluster trust this registry and sign in at it, for
//! containerd, the kubelet and the cluster. They fit together, so they are written together.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};

use super::{local, print};
use crate::bootstrap;
use crate::config::{Config, parse_external_url};

/// The environment variable for a robot's secret.
const SECRET: &str = "GANTRY_ROBOT_SECRET";

#[derive(Args)]
pub(super) struct NodeConfig {
    /// The folder to write, which must not exist.
    folder: PathBuf,
    /// HOST or HOST:PORT by which images name the registry; default: that of [server] external_url.
    #[arg(long, value_name = "HOST[:PORT]", value_parser = registry)]
    registry: Option<String>,
    /// A PEM file of the authorities that nodes trust. Default: Gantry's own CA; with a certificate in [tls], none.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Let nodes trust what their system trusts.
    #[arg(long, conflicts_with = "ca")]
    no_ca: bool,
    /// The folder on nodes that containerd reads (`config_path`).
    #[arg(long, value_name = "DIR", default_value = "/etc/containerd/certs.d", value_parser = absolute)]
    certs_dir: PathBuf,
    /// The audience of pods' tokens, as rules for workloads have it; default: HOST of the registry.
    #[arg(long, value_name = "TEXT")]
    audience: Option<String>,
    /// A robot for a pull Secret too, by the name that it signs in with. Its secret comes from GANTRY_ROBOT_SECRET.
    #[arg(long, value_name = "NAME")]
    robot: Option<String>,
    /// The namespace of that Secret.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "default",
        requires = "robot"
    )]
    namespace: String,
}

fn registry(text: &str) -> Result<String, String> {
    let wrong = format!("{text:?} is not HOST or HOST:PORT");
    let host = parse_external_url(&format!("https://{text}")).map_err(|_| wrong.clone())?;
    host.ok_or(wrong)
}

fn absolute(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if path.is_absolute() {
        return Ok(path);
    }
    Err("containerd ignores relative paths: begin with /".to_owned())
}

impl NodeConfig {
    /// With `--registry`, and one of `--ca` and `--no-ca`, no installation is needed.
    pub(super) fn run(self, config: Config) -> anyhow::Result<ExitCode> {
        let host = self.registry.unwrap_or_else(|| config.external_host());
        let ca = match &self.ca {
            Some(file) => Some(authorities(file)?),
            None if self.no_ca || !config.tls.certificate.is_empty() => None,
            None => Some(own_authority(config)?),
        };
        let node = Node {
            ca,
            certs_dir: self.certs_dir.join(&host),
            audience: self.audience.unwrap_or_else(|| bare(&host)),
            secret: self.robot.map(secret_of).transpose()?,
            namespace: self.namespace,
            host,
        };
        write(&self.folder, &node.files()?)?;
        for line in node.next_steps(&self.folder) {
            print(&line);
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn authorities(file: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(file);
    let text = text.with_context(|| format!("cannot read {}", file.display()))?;
    let is_pem = text.contains("-----BEGIN CERTIFICATE-----");
    anyhow::ensure!(is_pem, "{} has no certificate in PEM", file.display());
    Ok(text)
}

/// The certificate of Gantry's own CA.
fn own_authority(config: Config) -> anyhow::Result<String> {
    let mut pem = String::new();
    local::run(config, async |local| {
        let own = bootstrap::authority(&local.db, &local.master, local.now()).await?;
        own.certificate_pem().clone_into(&mut pem);
        Ok(ExitCode::SUCCESS)
    })?;
    Ok(pem)
}

/// HOST of HOST:PORT.
fn bare(host: &str) -> String {
    let has_port = host
        .rsplit_once(':')
        .filter(|(_, port)| !port.contains(']'));
    has_port.map_or(host, |(name, _)| name).to_owned()
}

/// A robot and its secret, which is not an argument, since every account of the machine could read that.
fn secret_of(robot: String) -> anyhow::Result<(String, String)> {
    let secret = std::env::var(SECRET).unwrap_or_default();
    anyhow::ensure!(!secret.is_empty(), "{SECRET} has no secret of {robot}");
    Ok((robot, secret))
}

/// What nodes are told.
struct Node {
    host: String,
    ca: Option<String>,
    /// The registry's folder on the nodes.
    certs_dir: PathBuf,
    audience: String,
    secret: Option<(String, String)>,
    namespace: String,
}

/// containerd's file for a registry. A file without a `host` table, or with relative paths in it, loses the `ca`.
#[derive(Serialize)]
struct Hosts {
    server: String,
    host: BTreeMap<String, Host>,
}

#[derive(Serialize)]
struct Host {
    capabilities: [&'static str; 3],
    #[serde(skip_serializing_if = "Option::is_none")]
    ca: Option<PathBuf>,
}

impl Node {
    /// The files by their paths.
    fn files(&self) -> anyhow::Result<BTreeMap<String, String>> {
        let mut files = BTreeMap::new();
        let folder = format!("containerd/{}", self.host);
        files.insert(
            format!("{folder}/hosts.toml"),
            toml::to_string(&self.hosts())?,
        );
        if let Some(ca) = &self.ca {
            files.insert(format!("{folder}/ca.crt"), ca.clone());
        }
        let mut add = |path: &str, object: &Value| -> anyhow::Result<()> {
            let text = serde_json::to_string_pretty(object)?;
            files.insert(path.to_owned(), format!("{text}\n"));
            Ok(())
        };
        add("kubelet/credential-provider.json", &self.provider())?;
        add("cluster/audience.json", &self.audience_rules())?;
        if let Some((robot, secret)) = &self.secret {
            add("cluster/pull-secret.json", &self.pull_secret(robot, secret))?;
        }
        Ok(files)
    }

    fn hosts(&self) -> Hosts {
        let url = format!("https://{}", self.host);
        let host = Host {
            capabilities: ["pull", "resolve", "push"],
            ca: self.ca.as_ref().map(|_| self.certs_dir.join("ca.crt")),
        };
        Hosts {
            server: url.clone(),
            host: BTreeMap::from([(url, host)]),
        }
    }

    /// The kubelet's configuration of the plugin, whose name is that of the program.
    fn provider(&self) -> Value {
        json!({
            "apiVersion": "kubelet.config.k8s.io/v1",
            "kind": "CredentialProviderConfig",
            "providers": [{
                "name": "gantry",
                "apiVersion": "credentialprovider.kubelet.k8s.io/v1",
                "args": ["credential-provider", "--registry", self.host],
                "matchImages": [self.host],
                "defaultCacheDuration": "0s",
                "tokenAttributes": {
                    "serviceAccountTokenAudience": self.audience,
                    "cacheType": "Token",
                    "requireServiceAccount": true,
                },
            }],
        })
    }

    /// What lets nodes ask for tokens with the audience: without it the API server refuses.
    fn audience_rules(&self) -> Value {
        let name = "gantry-node-audience";
        let role = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": name},
            "rules": [{
                "verbs": ["request-serviceaccounts-token-audience"],
                "apiGroups": [""],
                "resources": [self.audience],
            }],
        });
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            "subjects": [{
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "Group",
                "name": "system:nodes",
            }],
        });
        json!({"apiVersion": "v1", "kind": "List", "items": [role, binding]})
    }

    fn pull_secret(&self, robot: &str, secret: &str) -> Value {
        let auth = STANDARD.encode(format!("{robot}:{secret}"));
        let entry = json!({"username": robot, "password": secret, "auth": auth});
        let config = json!({"auths": {&self.host: entry}}).to_string();
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/dockerconfigjson",
            "metadata": {"name": "gantry-pull", "namespace": self.namespace},
            "data": {".dockerconfigjson": STANDARD.encode(config)},
        })
    }

    fn next_steps(&self, folder: &Path) -> Vec<String> {
        let folder = folder.display();
        let mut lines = vec![
            format!("on every node, copy {folder}/containerd/{} to {}", self.host, self.certs_dir.display()),
            "pods that pull as themselves (Kubernetes 1.34 or later): copy kubelet/credential-provider.json and the program \
             gantry to every node, and start the kubelet with --image-credential-provider-config=FILE and \
             --image-credential-provider-bin-dir=FOLDER"
                .to_owned(),
            format!("  then: kubectl apply -f {folder}/cluster/audience.json"),
            format!("  and a rule for workloads with the audience {}: docs/kubernetes.md", self.audience),
        ];
        if self.secret.is_some() {
            lines.push(format!(
                "pods with a pull secret: kubectl apply -f {folder}/cluster/pull-secret.json, and imagePullSecrets: [{{name: gantry-pull}}]"
            ));
        }
        lines
    }
}

/// Writes the files into a new folder. The one with a secret is for nobody else.
fn write(folder: &Path, files: &BTreeMap<String, String>) -> anyhow::Result<()> {
    let made = DirBuilder::new().mode(0o700).create(folder);
    made.with_context(|| format!("cannot create the folder {}", folder.display()))?;
    for (path, text) in files {
        let path = folder.join(path);
        let failed = || format!("cannot write {}", path.display());
        if let Some(parent) = path.parent() {
            let made = DirBuilder::new().recursive(true).create(parent);
            made.with_context(failed)?;
        }
        let mode = if path.ends_with("pull-secret.json") {
            0o600
        } else {
            0o644
        };
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&path);
        let written = file.and_then(|mut file: File| file.write_all(text.as_bytes()));
        written.with_context(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(host: &str, ca: Option<&str>) -> Node {
        Node {
            host: host.to_owned(),
            ca: ca.map(str::to_owned),
            certs_dir: Path::new("/etc/containerd/certs.d").join(host),
            audience: bare(host),
            secret: None,
            namespace: "default".to_owned(),
        }
    }

    #[test]
    fn containerd_gets_a_host_table_with_absolute_paths() {
        let files = node("registry.example:8443", Some("pem")).files().unwrap();
        let hosts = &files["containerd/registry.example:8443/hosts.toml"];
        let table: toml::Table = hosts.parse().unwrap();
        let host = &table["host"]["https://registry.example:8443"];
        assert_eq!(
            host["ca"].as_str(),
            Some("/etc/containerd/certs.d/registry.example:8443/ca.crt")
        );
        assert_eq!(files["containerd/registry.example:8443/ca.crt"], "pem");
    }

    #[test]
    fn without_an_authority_nodes_trust_what_their_system_trusts() {
        let files = node("registry.example", None).files().unwrap();
        assert!(!files["containerd/registry.example/hosts.toml"].contains("ca ="));
        assert!(!files.contains_key("containerd/registry.example/ca.crt"));
    }

    #[test]
    fn the_kubelet_the_cluster_and_the_rule_name_one_audience() {
        let node = node("registry.example:8443", None);
        let provider = node.provider();
        let attributes = &provider["providers"][0]["tokenAttributes"];
        let role = &node.audience_rules()["items"][0];
        assert_eq!(
            attributes["serviceAccountTokenAudience"],
            "registry.example"
        );
        assert_eq!(role["rules"][0]["resources"], json!(["registry.example"]));
        assert_eq!(attributes["cacheType"], "Token");
    }

    #[test]
    fn a_host_is_told_from_its_port() {
        for (host, name) in [
            ("a.example", "a.example"),
            ("a:1", "a"),
            ("[::1]:8443", "[::1]"),
            ("[::1]", "[::1]"),
        ] {
            assert_eq!(bare(host), name);
        }
        assert_eq!(registry("a.example:8443").unwrap(), "a.example:8443");
        for wrong in ["", "https://a.example", "a.example/path", "a b", "../x"] {
            assert!(registry(wrong).is_err(), "{wrong}");
        }
    }
}
