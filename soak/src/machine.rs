//! Random walks through everything that clients, administrators, jobs and crashes do, compared with a model. They are
//! the tests `machine::random_steps_on_…` of `gateway/tests/it/machine.rs`, which are told here how far to go.

use super::Soak;
use testkit::workspace;

/// Steps on each topology in the full form.
const STEPS: u64 = 200_000;
/// The same in the short form; a run of all tests has gone further already.
const SHORT: u64 = 200;
/// How long they may take.
const LIMIT_SECS: u32 = 7 * 24 * 3_600;

pub(super) fn run(soak: &mut Soak) -> Result<(), String> {
    let usual = if soak.options.short { SHORT } else { STEPS };
    let tests = soak
        .topologies
        .iter()
        .map(|it| format!("machine::random_steps_on_{it}"));
    let tests: Vec<String> = tests.collect();
    let profile = workspace::profile();
    let words = format!("test --profile {profile} --workspace --test it -- --nocapture --exact");
    workspace::cargo(&format!("{words} {}", tests.join(" ")))
        .limit_secs(LIMIT_SECS)
        .env("GANTRY_BIN", soak.binary.path())
        .env("GANTRY_MACHINE_SEED", soak.dice.seed().to_string())
        .env("GANTRY_MACHINE_FROM", soak.options.from.to_string())
        .env(
            "GANTRY_MACHINE_STEPS",
            soak.options.steps.unwrap_or(usual).to_string(),
        )
        .show()
}
