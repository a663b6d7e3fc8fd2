//! Many pushes at once into a project that has room for some of them; and into one project, or into as many as there
//! are clients.

use std::time::Instant;

use hyper::Method;
use serde_json::{Value, json};
use testkit::content::{Blob, new_seed};
use testkit::meter::{Figures, Meter, each, figures, parallel};
use testkit::process::Processes;
use testkit::registry::{Failed, Registry, Way};
use testkit::target::Target;

pub(crate) const CLIENTS: usize = 200;
/// Blobs that the quota has room for.
const FIT: usize = 120;
const SIZE: u64 = 64 << 10;

/// Fails where one push more or less succeeds, or where the books say anything but what is there.
pub(crate) async fn rush(target: &Target, server: &Processes, way: Way) -> Result<Figures, String> {
    let name = format!("quota-{}", new_seed());
    let registry = Registry::new(target)?;
    let id = limited_project(&registry, &name, FIT as u64 * SIZE).await?;
    let repository = format!("{name}/rush");
    let crew = warm_crew(&registry, |_| repository.clone()).await?;
    let blobs = Blob::many(CLIENTS, SIZE);
    let meter = Meter::start(server);
    let refused = parallel(CLIENTS, async |index| {
        let began = Instant::now();
        let pushed = crew[index].push_blob(&repository, &blobs[index], way).await;
        let refused = pushed.as_ref().is_err_and(is_denied);
        if !refused {
            meter.note(began, SIZE, pushed);
        }
        refused
    })
    .await;
    let mut seen = meter.report()?;
    let mut present = 0;
    for (blob, refused) in blobs.iter().zip(refused) {
        let there = registry.has_blob(&repository, &blob.digest).await?;
        if there == refused {
            let digest = &blob.digest;
            return Err(format!("{digest}: refused {refused}, there {there}"));
        }
        present += usize::from(there);
    }
    let path = format!("/api/v2.0/quotas/{id}");
    let quota = registry
        .rest(Method::GET, &path, None, &[200])
        .await?
        .json();
    let (used, bytes) = (quota["used"]["storage"].as_u64(), present as u64 * SIZE);
    if present != FIT || used != Some(bytes) {
        return Err(format!(
            "{present} pushed with room for {FIT}; {used:?} bytes charged, {bytes} there"
        ));
    }
    seen.extend(figures([
        ("accepted", present as f64),
        ("refused", (CLIENTS - present) as f64),
        ("excess_bytes", 0.0),
    ]));
    Ok(seen)
}

/// Whether an answer is Harbor's to a push that is over the quota.
fn is_denied(error: &Failed) -> bool {
    let Failed::Status {
        code: 403, body, ..
    } = error
    else {
        return false;
    };
    let answer: Value = serde_json::from_str(body).unwrap_or_default();
    let errors = answer["errors"].as_array();
    errors.is_some_and(|errors| errors.len() == 1 && errors[0]["code"] == "DENIED")
}

/// Makes a project with a quota; its id.
async fn limited_project(registry: &Registry, name: &str, limit: u64) -> Result<u64, Failed> {
    registry.make_project_of(name).await?;
    let path = format!("/api/v2.0/projects/{name}");
    let made = registry
        .rest(Method::GET, &path, None, &[200])
        .await?
        .json();
    let id = made["project_id"]
        .as_u64()
        .ok_or("a project without an id".to_owned())?;
    let (path, hard) = (
        format!("/api/v2.0/quotas/{id}"),
        json!({ "hard": { "storage": limit } }),
    );
    registry
        .rest(Method::PUT, &path, Some(&hard), &[200])
        .await?;
    Ok(id)
}

/// As many clients, each with its own connection open and a token for its repository.
async fn warm_crew(
    registry: &Registry,
    repository: impl Fn(usize) -> String,
) -> Result<Vec<Registry>, Failed> {
    let crew = vec![registry.clone(); CLIENTS];
    each(8, CLIENTS, async |index| {
        crew[index].warm(&repository(index)).await
    })
    .await?;
    Ok(crew)
}

/// Each client pushes so many blobs to a repository of its own; the repositories are spread over projects.
pub(crate) async fn spread(
    target: &Target,
    server: &Processes,
    projects: usize,
    waves: usize,
) -> Result<Figures, String> {
    const AMPLE: u64 = 1 << 40;
    let registry = Registry::new(target)?;
    let name = |index: usize| format!("spread-{projects}-{}", index % projects);
    for index in 0..projects {
        limited_project(&registry, &name(index), AMPLE).await?;
    }
    let repository = |index: usize| format!("{}/r{index}", name(index));
    let crew = warm_crew(&registry, repository).await?;
    let blobs = Blob::many(CLIENTS * waves, SIZE);
    let meter = Meter::start(server);
    parallel(CLIENTS, async |index| {
        for wave in 0..waves {
            let (began, blob) = (Instant::now(), &blobs[wave * CLIENTS + index]);
            let pushed = crew[index]
                .push_blob(&repository(index), blob, Way::Put)
                .await;
            meter.note(began, SIZE, pushed);
        }
    })
    .await;
    meter.report()
}
