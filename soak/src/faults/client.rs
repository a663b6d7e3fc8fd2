//! A registry client that tells how it was failed: each request goes over a connection of its own.

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::Method;
use testkit::content::{Blob, Digester};
use testkit::meter::wait;
use testkit::registry::{Auth, Call, Failed, Manifest, Registry, with_digest};
use testkit::target::Target;
use tokio::time::timeout;

use super::seen::{Answer, Seen};

/// The repository that all is pushed to.
pub(super) const REPOSITORY: &str = "library/faults";

/// How long until an answer counts as never coming.
const PATIENCE: Duration = Duration::from_secs(150);

/// The ways to push a blob.
#[derive(Clone, Copy)]
pub(super) enum Way {
    /// POST, then PUT with the whole body.
    Put,
    /// POST, three times PATCH, then PUT.
    Chunks,
}

/// The location where an upload goes on, or what came instead.
type Located = Result<Result<String, Seen>, String>;

pub(super) struct Client {
    pub(super) registry: Registry,
}

impl Client {
    pub(super) fn new(target: &Target) -> Result<Self, String> {
        let registry = Registry::new(target)?.signing_by(Auth::Basic);
        Ok(Self { registry })
    }

    /// One request.
    pub(super) async fn ask(&self, call: Call<'_>) -> Result<Answer, String> {
        self.ask_by(&self.registry, call).await
    }

    async fn ask_by(&self, registry: &Registry, call: Call<'_>) -> Result<Answer, String> {
        let answered = timeout(PATIENCE, answer(registry, call)).await;
        answered.map_err(|_| "no answer came within the time, nor was the connection cut")?
    }

    /// Pulls a blob, and counts it as a success only where its digest is right.
    pub(super) fn pull(&self, digest: &str) -> Result<Seen, String> {
        self.pull_path(&self.registry, "blobs", digest, digest)
    }

    pub(super) fn pull_http2(&self, digest: &str) -> Result<Seen, String> {
        self.pull_path(&self.registry.http2(), "blobs", digest, digest)
    }

    pub(super) fn pull_manifest(&self, reference: &str, digest: &str) -> Result<Seen, String> {
        self.pull_path(&self.registry, "manifests", reference, digest)
    }

    fn pull_path(
        &self,
        registry: &Registry,
        kind: &str,
        reference: &str,
        digest: &str,
    ) -> Result<Seen, String> {
        let path = format!("/v2/{REPOSITORY}/{kind}/{reference}");
        let call = Call::get(&path, REPOSITORY).manifest();
        let answer = wait(self.ask_by(registry, call))?;
        let seen = answer.seen()?;
        if seen.is_done() && (seen != Seen::Done(200) || answer.digest != digest) {
            return Ok(Seen::Changed);
        }
        Ok(seen)
    }

    pub(super) fn head(&self, digest: &str) -> Result<Seen, String> {
        let path = format!("/v2/{REPOSITORY}/blobs/{digest}");
        wait(self.ask(Call::new(Method::HEAD, &path, REPOSITORY)))?.seen()
    }

    /// Begins an upload; its location.
    pub(super) fn begin(&self) -> Located {
        let path = format!("/v2/{REPOSITORY}/blobs/uploads/");
        self.located(Call::new(Method::POST, &path, REPOSITORY))
    }

    fn located(&self, call: Call<'_>) -> Located {
        let answer = wait(self.ask(call))?;
        let seen = answer.seen()?;
        if !seen.is_done() {
            return Ok(Err(seen));
        }
        Ok(Ok(answer.location.ok_or("202 without a Location")?))
    }

    /// Pushes a blob, at full speed.
    pub(super) fn push(&self, blob: &Blob, way: Way) -> Result<Seen, String> {
        let mut location = match self.begin()? {
            Ok(location) => location,
            Err(seen) => return Ok(seen),
        };
        if let Way::Put = way {
            let body = Some(blob.stream(0, blob.size));
            return wait(self.finish(&location, blob, body));
        }
        let step = blob.size.div_ceil(3);
        for from in (0..blob.size).step_by(step as usize) {
            match self.patch(&location, blob, from, step)? {
                Ok(next) => location = next,
                Err(seen) => return Ok(seen),
            }
        }
        wait(self.finish(&location, blob, None))
    }

    /// Pushes a blob, so many bytes in a second.
    pub(super) fn push_slowly(&self, blob: &Blob, pace: f64) -> Result<Seen, String> {
        match self.begin()? {
            Ok(location) => {
                let body = blob.made().stream(0).paced(pace).body();
                wait(self.finish(&location, blob, Some(body)))
            }
            Err(seen) => Ok(seen),
        }
    }

    /// Sends at most `length` bytes of a blob from `from` on.
    pub(super) fn patch(&self, location: &str, blob: &Blob, from: u64, length: u64) -> Located {
        let to = blob.size.min(from + length);
        let call = Call::new(Method::PATCH, location, REPOSITORY);
        self.located(call.body(blob.stream(from, to), to - from).range(from, to))
    }

    /// Ends an upload, with the whole body or with none.
    pub(super) async fn finish(
        &self,
        location: &str,
        blob: &Blob,
        body: Option<testkit::content::Sent>,
    ) -> Result<Seen, String> {
        let path = with_digest(location, &blob.digest);
        let mut call = Call::new(Method::PUT, &path, REPOSITORY);
        if let Some(body) = body {
            call = call.body(body, blob.size);
        }
        self.ask(call).await?.seen()
    }

    /// How many bytes of an upload the server has.
    pub(super) fn received(&self, location: &str) -> Result<u64, String> {
        let answer = wait(self.ask(Call::get(location, REPOSITORY)))?;
        let range = answer.range.ok_or("an upload's status without Range")?;
        let last = range
            .rsplit_once('-')
            .and_then(|(_, last)| last.parse::<u64>().ok());
        Ok(last.ok_or(format!("Range {range}"))? + 1)
    }

    pub(super) fn push_manifest(&self, tag: &str, manifest: &Manifest) -> Result<Seen, String> {
        let path = format!("/v2/{REPOSITORY}/manifests/{tag}");
        wait(self.ask(Call::put_manifest(&path, REPOSITORY, manifest)))?.seen()
    }

    pub(super) fn delete_blob(&self, digest: &str) -> Result<Seen, String> {
        let path = format!("/v2/{REPOSITORY}/blobs/{digest}");
        wait(self.ask(Call::new(Method::DELETE, &path, REPOSITORY)))?.seen()
    }
}

async fn answer(registry: &Registry, call: Call<'_>) -> Result<Answer, String> {
    let is_head = call.is_head();
    let response = match registry.begin(call).await {
        Ok(response) => response,
        // That nobody listens any more is not the end of a connection.
        Err(Failed::Cut(how)) if !how.contains("refused") => return Ok(Answer::default()),
        Err(error) => return Err(error.to_string()),
    };
    let (head, mut body) = response.into_parts();
    let header = |name| head.headers.get(name)?.to_str().ok().map(str::to_owned);
    let mut answer = Answer {
        status: head.status.as_u16(),
        is_head,
        retries: header("retry-after").is_some(),
        range: header("range"),
        location: header("location"),
        ..Answer::default()
    };
    let mut sum = Digester::default();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return Ok(answer);
        };
        let piece = frame.into_data().unwrap_or_default();
        sum.update(&piece);
        if answer.status >= 400 {
            answer.body.extend_from_slice(&piece);
        }
    }
    answer.digest = sum.finish();
    answer.is_whole = true;
    Ok(answer)
}
