//! The message printed at each start once everything serves, with more at the first one.

use std::fmt::Write as _;
use std::io::Write as _;

use tenancy::password::NewPassword;

use crate::config::{Config, LogFormat};

/// Prints the registry's address, how clients trust it, and what to do next; one JSON object if the log is JSON.
pub(crate) fn print(config: &Config, password: Option<&NewPassword>) {
    let text = match config.log.format {
        LogFormat::Human => human(config, password),
        LogFormat::Json => json(config, password),
    };
    let mut out = std::io::stdout().lock();
    // A closed standard output is no reason to stop serving.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn ca_file(config: &Config) -> Option<String> {
    let has_own = config.tls.certificate.is_empty();
    let path = std::path::absolute(config.ca_file()).unwrap_or_else(|_| config.ca_file());
    has_own.then(|| path.display().to_string())
}

fn human(config: &Config, password: Option<&NewPassword>) -> String {
    let (version, host) = (env!("CARGO_PKG_VERSION"), config.external_host());
    let mut text =
        format!("Gantry {version} serves https://{host}\n\n  Web UI: https://{host}/ui/\n");
    // Writing to a string cannot fail.
    if let Some(password) = password {
        let _ = write!(
            text,
            "
  first start: user admin, password {}
  (shown only once; `gantry user passwd admin` sets a new one at any time)
",
            password.expose()
        );
    }
    if let Some(ca) = ca_file(config) {
        let _ = write!(
            text,
            "
  Clients must trust its CA, {ca}:
    docker, podman:  install -D {ca} /etc/docker/certs.d/{host}/ca.crt
    containerd:      in /etc/containerd/certs.d/{host}/hosts.toml:
                     [host.\"https://{host}\"]
                       ca = \"{ca}\"
"
        );
    }
    let _ = write!(
        text,
        "
  docker login -u admin {host}
  docker tag IMAGE {host}/library/IMAGE && docker push {host}/library/IMAGE

"
    );
    text
}

fn json(config: &Config, password: Option<&NewPassword>) -> String {
    let mut line = serde_json::json!({
        "message": format!("Gantry {} serves", env!("CARGO_PKG_VERSION")),
        "ui.url": format!("https://{}/ui/", config.external_host()),
        "registry.url": format!("https://{}", config.external_host()),
        "registry.ca_file": ca_file(config),
    });
    if let Some(password) = password {
        line["admin.password"] = password.expose().into();
    }
    format!("{line}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_the_one_that_clients_use() {
        let mut config = Config::default();
        config.server.names = vec!["replica-1.example".to_owned()];
        assert!(human(&config, None).contains("https://replica-1.example:8443\n"));
        config.server.external_url = "https://registry.example".to_owned();
        let text = human(&config, None);
        assert!(text.contains("https://registry.example\n"), "{text}");
        assert!(
            !text.contains("8443") && !text.contains("replica-1"),
            "{text}"
        );
    }

    #[test]
    fn beside_a_json_log_it_is_one_json_object() {
        let password = NewPassword::try_from("Once-0nly".to_owned()).unwrap();
        let line = json(&Config::default(), Some(&password));
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["admin.password"], "Once-0nly");
        assert_eq!(line["registry.url"], "https://localhost:8443");
    }
}
