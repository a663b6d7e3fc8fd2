//! The configuration file and the environment, as `gantry config check` judges them.

use std::future::ready;
use std::sync::Arc;

use jobs::failures::causes;
use model::{Clock as _, SystemClock};

use super::finding::{Check, Finding};
use crate::config::{Config, ConfigError};

const CHECK: Check = Check {
    name: "configuration",
    advice: "correct the configuration file or the environment, and try it with `gantry config check`",
};

pub(super) async fn check(config: Arc<Config>) -> Vec<Finding> {
    CHECK.run(move || ready(Ok(look(&config)))).await
}

/// What is wrong with settings that cannot be read.
pub(super) fn unreadable(error: &ConfigError) -> Vec<Finding> {
    let lines = match error {
        ConfigError::Unknown(lines) => lines.clone(),
        other => vec![causes(other)],
    };
    let findings = lines.iter().map(|line| CHECK.fail(line, CHECK.advice));
    findings.collect()
}

fn look(config: &Config) -> Vec<Finding> {
    match config.check(SystemClock.now()) {
        Ok(warnings) if warnings.is_empty() => vec![CHECK.ok("every setting is valid")],
        Ok(warnings) => {
            let advice = "the server starts with it; see docs/configuration.md";
            let findings = warnings.iter().map(|line| CHECK.warning(line, advice));
            findings.collect()
        }
        Err(invalid) => {
            let lines = invalid.lines().iter();
            lines.map(|line| CHECK.fail(line, CHECK.advice)).collect()
        }
    }
}
