//! 200 pulls a second of people whose passwords the directory confirmed, while each of its answers takes ten seconds. Their
//! passwords are due for checking again with each use, and the readings hang too: the worst that settings allow.

use std::thread::sleep;
use std::time::Duration;

use serde_json::json;
use testkit::gantry::Server;
use testkit::meter::wait;
use testkit::proxy::{Mode, Proxy};
use testkit::registry::{Auth, Registry};
use testkit::slapd::{self, Slapd};

use super::{Row, median, pull, row};
use crate::stage::Stage;

/// How long each piece of an answer waits.
const DELAY: Duration = Duration::from_secs(10);
/// Pulls a second.
const PULLS: u32 = 200;
const PEOPLE: usize = 20;
/// The 99th percentile of pulls may grow by this.
const LIMIT: f64 = 1.2;

pub(super) fn measure(stage: &Stage<'_>) -> Result<Vec<Row>, String> {
    let options = &stage.setup.options;
    let (pulls, seconds) = match options.short {
        true => (20, 2),
        false => (PULLS, 20),
    };
    let slapd = Slapd::start()?;
    let proxy = Proxy::start(&slapd.address())?;
    let (mut gantry, _) = stage.serve()?;
    let admin = Registry::new(&gantry.target)?;
    let server = gantry.daemon.processes();
    pull::prepare(&admin)?;
    configure(&gantry, &format!("ldap://{}", proxy.address()))?;
    let clients: Vec<Registry> = (0..PEOPLE)
        .map(|number| {
            slapd.add_person(&format!("puller-{number}"), None)?;
            let client = admin.login(&format!("puller-{number}"), slapd::PASSWORD);
            Ok(client.signing_by(Auth::Basic))
        })
        .collect::<Result<_, String>>()?;
    make_public(&gantry)?;
    let (mut prompt, mut slow) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds() {
        proxy.set(Mode::Pass);
        // Each is confirmed once more.
        sleep(Duration::from_secs(2));
        wait(pull::paced(&clients, &server, (pulls, 2)))?;
        prompt.push(wait(pull::paced(&clients, &server, (pulls, seconds)))?);
        proxy.set(Mode::Delay(DELAY));
        slow.push(wait(pull::paced(&clients, &server, (pulls, seconds)))?);
    }
    proxy.set(Mode::Pass);
    gantry.stop()?;
    let ratios = prompt.iter().zip(&slow).map(|(prompt, slow)| slow / prompt);
    let ratio = median(ratios.collect());
    Ok(vec![
        row(
            "200 pulls/s of people of a directory: p99",
            median(prompt),
            "ms",
        ),
        row("the same while it takes 10 s: p99", median(slow), "ms"),
        row("the same over without", ratio, "×").up_to(LIMIT),
    ])
}

/// Lets people sign in by a directory.
pub(super) fn configure(gantry: &Server, url: &str) -> Result<(), String> {
    let settings = json!({
        "ldap_url": url, "ldap_search_dn": slapd::READER,
        "ldap_search_password": slapd::READER_PASSWORD, "ldap_base_dn": slapd::PEOPLE,
        "ldap_uid": "uid", "ldap_group_base_dn": slapd::GROUPS, "ldap_group_lookup": "search",
        "ldap_group_search_filter": "objectClass=groupOfNames", "ldap_group_attribute_name": "cn",
        "ldap_password_secs": 1, "ldap_reading_secs": 5,
    });
    put(gantry, "/api/v2.0/configurations", &settings.to_string())
}

fn make_public(gantry: &Server) -> Result<(), String> {
    let public = json!({ "metadata": { "public": "true" } });
    put(gantry, "/api/v2.0/projects/people", &public.to_string())
}

fn put(gantry: &Server, path: &str, body: &str) -> Result<(), String> {
    let kind = "Content-Type: application/json";
    let (status, answer) = gantry
        .target
        .request(&["-X", "PUT", "-H", kind, "-d", body], path)?;
    match status {
        200 => Ok(()),
        _ => Err(format!(
            "PUT {path} answered {status}: {}",
            String::from_utf8_lossy(&answer)
        )),
    }
}
