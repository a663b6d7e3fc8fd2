//! The OCI distribution specification's own conformance suite, in its "1.1" and its "dev" setting.

use crate::tally::Tally;
use crate::tools::CONFORMANCE;
use testkit::cmd::{Cmd, last_lines};
use testkit::gantry::{Binary, Gantry};
use testkit::scratch::{Scratch, read};
use testkit::target::ADMIN_PASSWORD;
use testkit::topology::Topology;

/// Runs both settings against one registry.
pub(crate) fn conform(tally: &mut Tally, binary: &Binary, topology: Topology) {
    let stage = || -> Result<(Scratch, Gantry), String> {
        let scratch = Scratch::new("conformance")?;
        let gantry = Gantry::on_loopback(binary, &scratch.join("data"), topology, &[])?;
        gantry.target.create_project("conformance-1")?;
        gantry.target.create_project("conformance-2")?;
        Ok((scratch, gantry))
    };
    let (scratch, gantry) = match stage() {
        Ok(stage) => stage,
        Err(reason) => return tally.fail("conformance: stage", reason),
    };
    for version in ["1.1", "dev"] {
        tally.check(&format!("OCI conformance {version} on {topology}"), || {
            run_suite(&gantry, &scratch, version)
        });
    }
    tally.check("conformance: the server ends without an error", || {
        gantry.finish()
    });
}

fn run_suite(gantry: &Gantry, scratch: &Scratch, version: &str) -> Result<String, String> {
    let results = scratch.folder(&format!("results-{version}"))?;
    let log = results.join("log");
    let ran = Cmd::local(CONFORMANCE.path())
        .folder(scratch.path())
        .env("SSL_CERT_FILE", gantry.ca())
        .env("OCI_REGISTRY", gantry.address())
        .env("OCI_TLS", "enabled")
        .env("OCI_USERNAME", "admin")
        .env("OCI_PASSWORD", ADMIN_PASSWORD)
        .env("OCI_REPO1", format!("conformance-1/{version}"))
        .env("OCI_REPO2", format!("conformance-2/{version}"))
        .env("OCI_VERSION", version)
        .env("OCI_RESULTS_DIR", &results)
        .logged(&log);
    let said = String::from_utf8_lossy(&read(&log)?).into_owned();
    for (outcome, case) in unusual(&said) {
        println!("  {version} {outcome}: {case}");
    }
    let report = read(&results.join("junit.xml"))
        .map_err(|error| format!("{error}; the suite said: {}", last_lines(&said)))?;
    summary(&String::from_utf8_lossy(&report), ran.is_ok())
}

/// The counts of a report, an error unless nothing failed.
fn summary(report: &str, succeeded: bool) -> Result<String, String> {
    let count = |name| attribute(report, name).and_then(|text| text.parse::<u32>().ok());
    let (Some(tests), Some(failures), Some(errors)) =
        (count("tests"), count("failures"), count("errors"))
    else {
        return Err("the suite's report has no counts".to_owned());
    };
    let (skipped, disabled) = (count("skipped"), count("disabled"));
    let line = format!(
        "{tests} tests, {failures} failed, {errors} errors, {} skipped, {} disabled",
        skipped.unwrap_or(0),
        disabled.unwrap_or(0)
    );
    if succeeded && tests > 0 && failures == 0 && errors == 0 {
        return Ok(line);
    }
    Err(line)
}

/// An attribute of the report's first element that has it.
fn attribute<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!(" {name}=\""))?;
    rest.split('"').next()
}

/// Every test that did not simply pass, from the suite's own account: the outcome, then the name and
/// the reason that follows it. Groups repeat what their tests say and are left out.
fn unusual(said: &str) -> Vec<(&str, String)> {
    let lines: Vec<&str> = said.lines().map(str::trim).collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some((name, outcome)) = line.rsplit_once(": ") else {
            continue;
        };
        let odd = ["Skip", "Disabled", "FAIL", "Error"].contains(&outcome);
        if !odd || !name.starts_with(SUITE) {
            continue;
        }
        let is_group = lines
            .get(at + 1)
            .is_some_and(|next| next.starts_with(&format!("{name}/")));
        if is_group {
            continue;
        }
        let reason = match lines.get(at + 1) {
            Some(next) if next.starts_with("- ") => next,
            _ if outcome == "Disabled" => "- off by default in this setting of the suite",
            _ => "- no reason given",
        };
        let name = name.trim_start_matches(SUITE);
        found.push((outcome, format!("{name} {reason}")));
    }
    found
}

const SUITE: &str = "OCI Conformance Test/";

#[cfg(test)]
mod tests {
    use super::{summary, unusual};

    #[test]
    fn a_report_passes_only_without_failures_and_errors() {
        let report = |failures, errors| {
            format!(
                r#"<testsuites tests="9"><testsuite tests="9" failures="{failures}" errors="{errors}" skipped="1">"#
            )
        };
        let line = "9 tests, 0 failed, 0 errors, 1 skipped, 0 disabled";
        assert_eq!(summary(&report(0, 0), true).as_deref(), Ok(line));
        assert!(summary(&report(1, 0), true).is_err());
        assert!(summary(&report(0, 1), true).is_err());
        assert!(summary(&report(0, 0), false).is_err());
    }

    #[test]
    fn skipped_tests_are_listed_with_their_reason() {
        let said = "  OCI Conformance Test/blobs: Skip
            OCI Conformance Test/blobs/post only: Skip
              - not supported
            OCI Conformance Test/blobs/get: Pass
            Skip..........: 1";
        assert_eq!(
            unusual(said),
            [("Skip", "blobs/post only - not supported".to_owned())]
        );
    }
}
