//! A directory of 50,000 people and 5,000 groups: what a first sign-in asks of it, and what an import takes here.

use std::time::Instant;

use serde_json::json;
use testkit::meter::wait;
use testkit::registry::Registry;
use testkit::slapd::{self, Slapd};

use super::directory::configure;
use super::{Row, median, row};
use crate::load::account::once;
use crate::stage::Stage;

/// Operations of a sign-in: finding the person, the password, and the groups.
const MOST_OPERATIONS: f64 = 3.0;
/// MiB that an import may take beyond what the server had.
const MOST_MEMORY: f64 = 64.0;

pub(super) fn measure(stage: &Stage<'_>) -> Result<Vec<Row>, String> {
    let (people, groups, sign_ins, imported) = match stage.setup.options.short {
        true => (2_000, 200, 5, 100),
        false => (50_000, 5_000, 100, 1_000),
    };
    let slapd = Slapd::crowded(people, groups, 50)?;
    let (mut gantry, _) = stage.serve()?;
    let admin = Registry::new(&gantry.target)?;
    configure(&gantry, &slapd.url())?;
    let name = |number: usize| format!("crowd-{number:05}");
    // The first one opens the connection.
    let sign_in = |number: usize| {
        let client = admin.login(&name(number), slapd::PASSWORD);
        let began = Instant::now();
        wait(once(&client)).map_err(|error| format!("{}: {error}", name(number)))?;
        Ok::<f64, String>(began.elapsed().as_secs_f64() * 1e3)
    };
    sign_in(0)?;
    let before = slapd.operations();
    let times: Result<Vec<f64>, String> = (1..=sign_ins).map(|at| sign_in(at * 11)).collect();
    let operations = (slapd.operations() - before) as f64 / sign_ins as f64;
    let server = gantry.daemon.processes();
    server.reset_peak();
    let resident = server.resident_mib();
    let began = Instant::now();
    let names: Vec<String> = (0..imported).map(|at| name(people - 1 - at)).collect();
    import(&gantry.target, &names)?;
    let took = began.elapsed().as_secs_f64();
    let memory = (server.peak_mib() - resident).max(0.0);
    gantry.stop()?;
    Ok(vec![
        row(
            "first sign-in among 50,000 people and 5,000 groups: median",
            median(times?),
            "ms",
        ),
        row("operations of the directory for each", operations, "").up_to(MOST_OPERATIONS),
        row("import of 1,000 people", took, "s"),
        row("memory that the import took", memory, "MiB").up_to(MOST_MEMORY),
    ])
}

fn import(target: &testkit::target::Target, names: &[String]) -> Result<(), String> {
    let path = "/api/v2.0/ldap/users/import";
    let body = json!({ "ldap_uid_list": names }).to_string();
    let kind = "Content-Type: application/json";
    let (status, answer) = target.request(&["-X", "POST", "-H", kind, "-d", &body], path)?;
    match status {
        200 => Ok(()),
        _ => Err(format!(
            "POST {path} answered {status}: {}",
            String::from_utf8_lossy(&answer)
        )),
    }
}
