//! Small images: as fast as they go, at a fixed rate, and at chosen places among rows that SQL made.

use std::time::{Duration, Instant};

use serde_json::json;
use testkit::content::{Blob, new_seed};
use testkit::meter::{Figures, Meter, each, parallel, put, quantile};
use testkit::process::Processes;
use testkit::registry::{Failed, Image, Registry, Way};
use testkit::target::Target;

const CLIENTS: usize = 8;

/// Pushes all-new images with several clients; with `head`, each blob is asked for first, as docker does.
pub(crate) async fn push(
    target: &Target,
    server: &Processes,
    count: usize,
    way: Way,
    head: bool,
) -> Result<Figures, String> {
    let registry = Registry::new(target)?;
    registry.make_project_of("bench/small").await?;
    let image = |_| {
        let layers = [Blob::random(4096), Blob::random(4096)];
        Image::new(Blob::config(4096 - 200), &layers)
    };
    let images: Vec<Image> = (0..count).map(image).collect();
    let crew = vec![registry; CLIENTS];
    for (index, client) in crew.iter().enumerate() {
        client.warm(&format!("bench/small-{index}")).await?;
    }
    let run = new_seed();
    let meter = Meter::start(server);
    parallel(CLIENTS, async |index| {
        let (client, repository) = (&crew[index], format!("bench/small-{index}"));
        for number in (index..count).step_by(CLIENTS) {
            let (began, image) = (Instant::now(), &images[number]);
            let pushed = async {
                for blob in image.blobs.iter().filter(|_| head) {
                    client.has_blob(&repository, &blob.digest).await?;
                }
                let tag = format!("t{run}-{number}");
                client.push_image(&repository, &tag, image, way).await
            };
            meter.note(began, 3 * 4096, pushed.await);
        }
    })
    .await;
    meter.report()
}

/// Pushes and pulls at a fixed rate, whatever the server makes of them.
pub(crate) async fn paced(
    target: &Target,
    server: &Processes,
    repository: &str,
    seconds: u32,
) -> Result<Figures, String> {
    const PUSHES: u32 = 20;
    const PULLS: u32 = 200;
    const TAGS: u32 = 100;
    let registry = Registry::new(target)?;
    registry.make_project_of(repository).await?;
    fill_once(&registry, repository, TAGS).await?;
    let images: Vec<Image> = (0..PUSHES * seconds)
        .map(|_| Image::small(1024, 4096))
        .collect();
    let meter = Meter::start(server);
    let push = async |number: u32| {
        let (tag, image) = (format!("p{number}"), &images[number as usize]);
        registry.push_image(repository, &tag, image, Way::Put).await
    };
    let pull = async |number: u32| {
        let tag = format!("t{:06}", number % TAGS);
        registry.pull_manifest(repository, &tag).await.map(drop)
    };
    let (pushed, pulled) = tokio::join!(
        pace(&meter, PUSHES, seconds, push),
        pace(&meter, PULLS, seconds, pull)
    );
    let mut figures = meter.report()?;
    for (name, times) in [("push", pushed), ("pull", pulled)] {
        put(&mut figures, &format!("{name}_count"), times.len() as f64);
        put(
            &mut figures,
            &format!("{name}_p50_ms"),
            quantile(&times, 0.5),
        );
        put(
            &mut figures,
            &format!("{name}_p99_ms"),
            quantile(&times, 0.99),
        );
    }
    Ok(figures)
}

/// Begins an operation every so often, and takes its time from when it was to begin: what makes others wait is not
/// left out. The times are sorted.
pub(crate) async fn pace(
    meter: &Meter,
    per_second: u32,
    seconds: u32,
    work: impl AsyncFn(u32) -> Result<(), Failed>,
) -> Vec<Duration> {
    let began = tokio::time::Instant::now();
    let worker = async |first: usize| {
        let mut times = Vec::new();
        for number in (first as u32..per_second * seconds).step_by(WORKERS) {
            let due = began + Duration::from_secs(number.into()) / per_second;
            tokio::time::sleep_until(due).await;
            if let Err(error) = work(number).await {
                meter.fail(error);
            }
            times.push(due.elapsed());
        }
        times
    };
    let times = parallel(WORKERS, worker).await;
    let mut times: Vec<Duration> = times.into_iter().flatten().collect();
    times.sort_unstable();
    times
}

const WORKERS: usize = 16;

/// Pushes the images to pull where an earlier run did not.
pub(crate) async fn fill_once(
    registry: &Registry,
    repository: &str,
    tags: u32,
) -> Result<(), Failed> {
    let last = format!("t{:06}", tags - 1);
    match registry.pull_manifest(repository, &last).await {
        Err(error) if error.status() == 404 => {}
        other => return other.map(drop),
    }
    let (config, layer) = two(registry, repository).await?;
    for number in 0..tags {
        let image = Image::numbered(&config, &layer, "x".repeat(number as usize));
        let tag = format!("t{number:06}");
        registry
            .push_manifest(repository, &tag, &image.manifest)
            .await?;
    }
    Ok(())
}

/// Pushes a config and a layer.
async fn two(registry: &Registry, repository: &str) -> Result<(Blob, Blob), Failed> {
    let (config, layer) = (Blob::config(1024), Blob::random(4096));
    for blob in [&config, &layer] {
        registry.push_blob(repository, blob, Way::Put).await?;
    }
    Ok((config, layer))
}

/// Pushes images under numbered tags.
pub(crate) async fn tagged(
    target: &Target,
    repository: &str,
    from: u64,
    count: u64,
) -> Result<(), String> {
    let registry = Registry::new(target)?;
    let (config, layer) = two(&registry, repository).await?;
    each(CLIENTS, count as usize, async |number| {
        let number = from + number as u64;
        let image = Image::numbered(&config, &layer, number);
        let tag = format!("t{number:06}");
        registry
            .push_manifest(repository, &tag, &image.manifest)
            .await
    })
    .await?;
    Ok(())
}

/// Pushes one subject and many referrers of it; the subject's digest.
pub(crate) async fn referrers(
    target: &Target,
    repository: &str,
    count: usize,
) -> Result<String, String> {
    let registry = Registry::new(target)?;
    let (config, layer) = two(&registry, repository).await?;
    let layer = [layer];
    let subject = Image::new(config.clone(), &layer).manifest;
    registry
        .push_manifest(repository, &subject.digest, &subject)
        .await?;
    let to = json!({ "mediaType": testkit::layout::MANIFEST, "digest": subject.digest, "size": subject.size() });
    each(CLIENTS, count, async |number| {
        let more = json!({ "subject": to, "annotations": { "number": number.to_string() } });
        let manifest = Image::with(config.clone(), &layer, &more).manifest;
        registry
            .push_manifest(repository, &manifest.digest, &manifest)
            .await
    })
    .await?;
    Ok(subject.digest)
}
