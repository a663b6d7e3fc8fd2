//! Pulls: as many as go, and at a fixed rate.

use std::time::{Duration, Instant};

use testkit::meter::{Meter, each, quantile, wait};
use testkit::process::Processes;
use testkit::registry::{Failed, Registry};

use crate::load::small::{fill_once, pace};

/// Tags that are pulled.
const TAGS: u32 = 100;
/// Clients that pull as fast as they can.
const CLIENTS: usize = 8;
const REPOSITORY: &str = "people/app";

/// Pushes what is pulled.
pub(super) fn prepare(admin: &Registry) -> Result<(), String> {
    let made = wait(async {
        admin.make_project_of(REPOSITORY).await?;
        fill_once(admin, REPOSITORY, TAGS).await
    });
    made.map_err(|error: Failed| error.to_string())
}

async fn pull(client: &Registry, number: u32) -> Result<(), Failed> {
    let tag = format!("t{:06}", number % TAGS);
    client.pull_manifest(REPOSITORY, &tag).await.map(drop)
}

/// Pulls a second when clients do not wait for one another.
pub(super) fn capacity(client: &Registry, server: &Processes, count: usize) -> Result<f64, String> {
    let meter = Meter::start(server);
    let work = async |number: usize| {
        let began = Instant::now();
        let done = pull(client, number as u32).await;
        meter.note(began, 0, done);
        Ok::<(), Failed>(())
    };
    wait(each(CLIENTS, count, work)).map_err(|error| error.to_string())?;
    let figures = meter.report()?;
    figures
        .get("rate")
        .copied()
        .ok_or("there is no rate".to_owned())
}

/// Pulls of these clients in turn at a fixed rate, for so many seconds; the 99th percentile in milliseconds.
pub(super) async fn paced(
    clients: &[Registry],
    server: &Processes,
    (per_second, seconds): (u32, u32),
) -> Result<f64, String> {
    let meter = Meter::start(server);
    let work = async |number: u32| {
        let client = &clients[number as usize % clients.len()];
        pull(client, number).await
    };
    let times: Vec<Duration> = pace(&meter, per_second, seconds, work).await;
    meter.report()?;
    Ok(quantile(&times, 0.99))
}
