//! Prometheus' own judgement of what Gantry exports.

use testkit::cmd::Cmd;
use testkit::gantry::{Binary, Gantry};
use testkit::scratch::Scratch;
use testkit::target::get;
use testkit::topology::Topology;

/// Asks a server that has done some work for its metrics and gives them to `promtool check metrics`.
pub(crate) fn lint(binary: &Binary) -> Result<String, String> {
    let scratch = Scratch::new("metrics")?;
    let gantry = Gantry::on_loopback(binary, &scratch.join("data"), Topology::Files, &[])?;
    work(&gantry)?;
    let (_, text) = get(gantry.metrics_address(), "/metrics")?;
    let families = text
        .lines()
        .filter(|line| line.starts_with("# TYPE gantry_"))
        .count();
    if families == 0 {
        return Err("there is no metric of Gantry's own".to_owned());
    }
    let said = Cmd::new("promtool")
        .words("check metrics")
        .input(text)
        .text()?;
    if said.trim().is_empty() {
        return Ok(format!("{families} families, promtool has nothing to say"));
    }
    Err(said)
}

/// A little of everything, so that labelled counters exist.
fn work(gantry: &Gantry) -> Result<(), String> {
    gantry.target.create_project("metrics")?;
    for (args, path, expected) in [
        (&["-I"][..], "/v2/", 200),
        (&[], "/v2/metrics/a/manifests/none", 404),
        (&["-u", "admin:wrong"], "/v2/", 401),
        (
            &["-X", "POST", "-d", ""],
            "/v2/metrics/a/blobs/uploads/",
            202,
        ),
    ] {
        let (status, _) = gantry.target.request(args, path)?;
        if status != expected {
            return Err(format!("{path} answered {status} instead of {expected}"));
        }
    }
    Ok(())
}
