//! Large blobs: pulled again and again, and how long a registry takes to answer a push after the last byte of it.

use std::time::{Duration, Instant};

use testkit::content::Blob;
use testkit::meter::{Figures, Meter, figures, parallel};
use testkit::process::Processes;
use testkit::registry::{Call, Registry, with_digest};
use testkit::target::Target;

/// Pulls one blob for a while. The first time it is hashed, and counted only after that.
pub(crate) async fn download(
    target: &Target,
    server: &Processes,
    path: &str,
    connections: usize,
    seconds: u32,
) -> Result<Figures, String> {
    let registry = Registry::new(target)?;
    let (repository, digest) = path
        .strip_prefix("/v2/")
        .and_then(|path| path.split_once("/blobs/"))
        .ok_or("that is no path of a blob")?;
    let crew = vec![registry; connections];
    let mut size = 0;
    for client in &crew {
        size = client.pull_blob(repository, digest).await?;
    }
    let meter = Meter::start(server);
    let end = meter.began() + Duration::from_secs(seconds.into());
    parallel(connections, async |index| {
        while Instant::now() < end {
            let (began, mut came) = (Instant::now(), 0);
            let mut sink = |piece: &[u8]| came += piece.len() as u64;
            let call = Call::get(path, repository);
            let pulled = crew[index].answer(call, Some(&mut sink)).await;
            let whole = match pulled {
                Ok(answer) if answer.status == 200 && came == size => Ok(()),
                Ok(answer) => Err(format!("{}, {came} bytes of {size}", answer.status)),
                Err(error) => Err(error.to_string()),
            };
            let failed = whole.is_err();
            meter.note(began, size, whole);
            if failed {
                return;
            }
        }
    })
    .await;
    meter.report()
}

/// Pushes one large blob by one PUT; with `commit_ms`, from when its last byte was written to the answer.
pub(crate) async fn commit(
    target: &Target,
    server: &Processes,
    size: u64,
) -> Result<Figures, String> {
    const REPOSITORY: &str = "bench/commit";
    let registry = Registry::new(target)?;
    registry.make_project_of(REPOSITORY).await?;
    let blob = Blob::random(size);
    registry.warm(REPOSITORY).await?;
    let authorization = registry.authorization(REPOSITORY).await?;
    let line = registry.dial("http/1.1", 64 << 10).await;
    let mut line = line.map_err(|error| error.to_string())?;
    let meter = Meter::start(server);
    let began = Instant::now();
    let path = with_digest(&registry.start_upload(REPOSITORY).await?, &blob.digest);
    let head = registry.head("PUT", &path, &authorization);
    let head =
        format!("{head}Content-Type: application/octet-stream\r\nContent-Length: {size}\r\n\r\n");
    line.write(head).await.map_err(|error| error.to_string())?;
    for piece in blob.made().pieces(0, size) {
        line.write(piece).await.map_err(|error| error.to_string())?;
    }
    let written = Instant::now();
    let answer = line
        .whole_answer(async |_| {})
        .await
        .map_err(|error| error.to_string())?;
    let took = written.elapsed();
    if answer.status != 201 {
        return Err(format!("PUT of {size} bytes: {}", answer.status));
    }
    meter.done(began, size);
    let mut seen = meter.report()?;
    seen.extend(figures([("commit_ms", took.as_secs_f64() * 1000.0)]));
    match registry.has_blob(REPOSITORY, &blob.digest).await? {
        true => Ok(seen),
        false => Err("the blob is not there".to_owned()),
    }
}
