//! Prometheus' own judgement of what Gantry exports.

use std::path::Path;

use crate::cmd::Cmd;
use crate::gantry::Gantry;
use crate::scratch::Scratch;
use crate::topology::Topology;

/// Asks a server that has done some work for its metrics and gives them to `promtool check metrics`.
pub(crate) fn lint(binary: &Path) -> Result<String, String> {
    let scratch = Scratch::new("metrics")?;
    let gantry = Gantry::on_loopback(binary, &scratch.join("data"), Topology::Files, &[])?;
    work(&gantry)?;
    let metrics = Cmd::local("curl")
        .words("-sSf --max-time 30")
        .arg(format!("http://{}/metrics", gantry.metrics_address()))
        .output()?;
    let text = String::from_utf8_lossy(&metrics).into_owned();
    let families = text
        .lines()
        .filter(|line| line.starts_with("# TYPE gantry_"))
        .count();
    if families == 0 {
        return Err("there is no metric of Gantry's own".to_owned());
    }
    let said = Cmd::new("promtool")
        .words("check metrics")
        .input(metrics)
        .text()?;
    if said.trim().is_empty() {
        return Ok(format!("{families} families, promtool has nothing to say"));
    }
    Err(said)
}

/// A little of everything, so that labelled counters exist.
fn work(gantry: &Gantry) -> Result<(), String> {
    gantry.create_project("metrics")?;
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
        let (status, _) = gantry.request(args, path)?;
        if status != expected {
            return Err(format!("{path} answered {status} instead of {expected}"));
        }
    }
    Ok(())
}
