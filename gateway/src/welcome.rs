//! What a newcomer reads at the first start, and an operator at each.

use auth::secret::Secret;

use crate::config::Config;

/// Prints where the registry is, how clients trust it, and what to do next.
#[expect(
    clippy::print_stdout,
    reason = "this is for the person at the terminal"
)]
pub(crate) fn print(config: &Config, password: Option<&Secret>) {
    let port = config.server.listen.port();
    let name = config
        .server
        .names
        .first()
        .map_or("localhost", String::as_str);
    let host = if port == 443 {
        name.to_owned()
    } else {
        format!("{name}:{port}")
    };
    println!("Gantry {} serves https://{host}", env!("CARGO_PKG_VERSION"));
    if let Some(password) = password {
        println!(
            "\n  first start: user admin, password {}",
            password.expose()
        );
        println!("  (printed this once; change it with `gantry user passwd admin`)");
    }
    if config.tls.certificate.is_empty() {
        let ca = std::path::absolute(config.certs().join("ca.crt")).unwrap_or_default();
        let ca = ca.display();
        println!("\n  Clients must trust its CA, {ca}:");
        println!("    docker, podman:  install -D {ca} /etc/docker/certs.d/{host}/ca.crt");
        println!("    containerd:      in /etc/containerd/certs.d/{host}/hosts.toml:");
        println!("                     [host.\"https://{host}\"]");
        println!("                       ca = \"{ca}\"");
    }
    println!("\n  docker login -u admin {host}");
    println!("  docker tag IMAGE {host}/library/IMAGE && docker push {host}/library/IMAGE\n");
}
