//! What is in `api-tests/`: the REST API as a real Harbor's clients and recordings see it.

use testkit::cmd::Cmd;
use testkit::gantry::Binary;
use testkit::workspace;

use crate::install::{Need, need};
use crate::tally::Tally;

pub(crate) const NEEDS: [Need; 3] = [
    need("python3", "python3", "runs the tests of the REST API"),
    need("pip3", "python3-pip", "fetches clients of Harbor's"),
    need("java", "default-jre-headless", "generates a client"),
];

/// Runs the scripts of `api-tests` with the server; of generated requests, a sample.
pub(crate) fn check(tally: &mut Tally, binary: &Binary) {
    for (script, arguments) in [
        ("replay.py", ""),
        ("tour.py", ""),
        ("tour_harborapi.py", ""),
        ("lifecycle.py", ""),
        ("fuzz.py", "--seconds 20"),
    ] {
        let name = format!("api-tests/{script} {arguments}");
        tally.check(name.trim_end(), || run(script, arguments, binary));
    }
}

/// The long form of the generated requests.
pub(crate) fn fuzz(binary: &Binary) -> Result<String, String> {
    run("fuzz.py", "--cases 10000", binary)
}

fn run(script: &str, arguments: &str, binary: &Binary) -> Result<String, String> {
    let path = workspace::root()?.join("api-tests").join(script);
    let cmd = Cmd::new("python3").arg(path).arg(binary.path());
    let text = cmd.words(arguments).limit_secs(3600).text()?;
    Ok(text.lines().last().unwrap_or_default().to_owned())
}
