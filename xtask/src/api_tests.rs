//! What is in `api-tests/`: the REST API as a real Harbor's recordings and clients see it.

use std::path::Path;

use testkit::cmd::Cmd;
use testkit::gantry::Binary;
use testkit::workspace;

use crate::install::{Need, need};
use crate::tally::Tally;

pub(crate) const NEEDS: [Need; 6] = [
    need("python3", "python3", "runs the tests of the REST API"),
    need("pip3", "python3-pip", "fetches clients of Harbor"),
    need("java", "default-jre-headless", "generates a client"),
    need("slapd", "slapd", "is the directory on the tour"),
    need("node", "nodejs", "runs the OIDC provider on the tour"),
    need("npm", "npm", "fetches it"),
];

/// The scripts, with a sample of generated requests.
const SCRIPTS: [&str; 6] = [
    "replay.py",
    "tour.py",
    "tour_harborapi.py",
    "walk.py",
    "lifecycle.py",
    "fuzz.py --seconds 10",
];

/// Seconds that a script may take. Thousands of requests, and clients that are fetched the first time.
const LIMIT_SECS: u32 = 3_600;

pub(crate) fn check(tally: &mut Tally, binary: &Binary) {
    for line in SCRIPTS {
        tally.check(&format!("api-tests/{line}"), || run(line, binary.path()));
    }
}

/// Runs a script with its arguments; its last line is the remark.
pub(crate) fn run(line: &str, binary: &Path) -> Result<String, String> {
    let (script, arguments) = line.split_once(' ').unwrap_or((line, ""));
    let path = workspace::root()?.join("api-tests").join(script);
    let cmd = Cmd::new("python3").arg(path).arg(binary).words(arguments);
    let text = cmd.limit_secs(LIMIT_SECS).text()?;
    Ok(text.lines().last().unwrap_or_default().to_owned())
}
