//! `gantry audit forward`: the state of forwarding, and a test of it.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Subcommand;
use jobs::audit_forward::{self, Forwarding, State, Tested};
use model::{SystemClock, Timestamp};
use tenancy::setting::Values;

use crate::cli::local::Local;
use crate::cli::out::line;

#[derive(Subcommand)]
pub(in crate::cli) enum Command {
    /// Send each collector one line that is marked as a test; exit code 1 if one does not take it.
    Test,
    /// Show the collectors, how many entries wait for each, and why.
    Status,
}

impl Command {
    pub(super) async fn run(self, local: &Local) -> anyhow::Result<ExitCode> {
        match self {
            Self::Test => test(local).await,
            Self::Status => status(local).await,
        }
    }
}

async fn test(local: &Local) -> anyhow::Result<ExitCode> {
    let guard = Arc::new(local.config.outgoing.guard());
    let host = local.config.external_host();
    let forwarding = Forwarding::new(local.settings().await?, guard, host);
    let tested = forwarding.test(&SystemClock).await;
    anyhow::ensure!(
        !tested.is_empty(),
        "no collector is set: set audit_log_forward_endpoint or audit_log_forward_url, by `gantry config set`"
    );
    for it in &tested {
        line(&tested_line(it));
    }
    Ok(match tested.iter().all(|it| it.outcome.is_ok()) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn tested_line(tested: &Tested) -> String {
    let Tested {
        collector,
        address,
        protocol,
        outcome,
        elapsed,
    } = tested;
    let (name, millis) = (collector.name(), elapsed.as_millis());
    match outcome {
        Ok(()) if *protocol == "udp" => {
            format!("ok     {name} {address} by udp: sent; nothing tells whether it arrived")
        }
        Ok(()) => format!("ok     {name} {address} by {protocol}: taken in {millis} ms"),
        Err(why) => format!("FAILED {name} {address} by {protocol}: {why}"),
    }
}

async fn status(local: &Local) -> anyhow::Result<ExitCode> {
    let values = local.settings().await?.current();
    let states = audit_forward::states(&mut local.db.reader().await?, &values).await?;
    if states.is_empty() {
        line(
            "the audit log is not forwarded: audit_log_forward_endpoint and audit_log_forward_url are empty",
        );
    }
    for state in &states {
        line(&state_line(state, &values, local.now()));
    }
    Ok(ExitCode::SUCCESS)
}

fn state_line(state: &State, values: &Values, now: Timestamp) -> String {
    let collector = state.collector;
    let mut text = format!(
        "{} {} by {}: {} entries wait, the oldest for {} s",
        collector.name(),
        collector.address(values),
        collector.protocol(values),
        state.lag.entries,
        state.lag.seconds(now),
    );
    let Some(follower) = &state.follower else {
        return text + "; forwarding has not begun: is a server running?";
    };
    if let Some(at) = follower.sent_at {
        text += &format!("; last sent at {at}");
    }
    if let Some(since) = follower.failing_since {
        let (failures, error) = (follower.failures, &follower.error);
        text += &format!("; {failures} failures since {since}: {error}");
    }
    text
}
