//! What an S3 server takes by itself: one large object in parts, as the registry uploads it, and many small ones.
//! Requests are signed by signature version 4, their payload is not.

use std::time::Instant;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use hyper::Method;
use testkit::cmd::Cmd;
use testkit::content::{Content, new_seed};
use testkit::harness::{Answer, Client};
use testkit::meter::{Figures, Meter, each, figures};
use testkit::process::Processes;
use testkit::seaweed::{ACCESS_KEY, REGION, SECRET_KEY};

const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
const PART: u64 = 8 << 20;
/// Parts on their way at a time.
const IN_FLIGHT: usize = 2;

/// An S3 server at a moment: signatures hold for a quarter of an hour.
pub(crate) struct S3 {
    client: Client,
    host: String,
    stamp: String,
}

impl S3 {
    /// At `http://HOST:PORT`.
    pub(crate) fn at(endpoint: &str) -> Result<Self, String> {
        let host = endpoint.trim_start_matches("http://").to_owned();
        let port = host.rsplit(':').next().and_then(|port| port.parse().ok());
        let stamp = Cmd::new("date").words("-u +%Y%m%dT%H%M%SZ").text()?;
        Ok(Self {
            client: Client::plain(port.ok_or("an endpoint without a port")?),
            stamp: stamp.trim().to_owned(),
            host,
        })
    }

    /// Sends a request and expects 200.
    async fn send(
        &self,
        method: Method,
        path: &str,
        query: &str,
        body: Bytes,
    ) -> Result<Answer, String> {
        let signature = self.authorization(method.as_str(), path, query);
        let target = format!("{path}?{query}");
        let request = self
            .client
            .request(method, target.trim_end_matches('?'))
            .body(body);
        let request = request
            .header("x-amz-date", &self.stamp)
            .header("x-amz-content-sha256", UNSIGNED)
            .header("authorization", signature);
        let answer = request.attempt().await.map_err(|error| error.to_string())?;
        match answer.status {
            200 => Ok(answer),
            _ => Err(answer.to_string()),
        }
    }

    fn authorization(&self, method: &str, path: &str, query: &str) -> String {
        const SIGNED: &str = "host;x-amz-content-sha256;x-amz-date";
        let (host, stamp) = (&self.host, &self.stamp);
        let scope = format!("{}/{REGION}/s3/aws4_request", &stamp[..8]);
        let canonical = format!(
            "{method}\n{path}\n{query}\nhost:{host}\nx-amz-content-sha256:{UNSIGNED}\nx-amz-date:{stamp}\n\n{SIGNED}\n{UNSIGNED}"
        );
        let hash = hex::encode(digest(&SHA256, canonical.as_bytes()));
        let text = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hash}");
        let mut key = format!("AWS4{SECRET_KEY}").into_bytes();
        for step in scope.split('/').chain([&*text]) {
            let signer = hmac::Key::new(hmac::HMAC_SHA256, &key);
            key = hmac::sign(&signer, step.as_bytes()).as_ref().to_vec();
        }
        let signature = hex::encode(key);
        format!(
            "AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{scope}, SignedHeaders={SIGNED}, Signature={signature}"
        )
    }
}

/// Pushes one object in parts; with `commit_ms`, how long it took to make an object of them.
pub(crate) async fn push(
    endpoint: &str,
    bucket: &str,
    server: &Processes,
    size: u64,
) -> Result<Figures, String> {
    let s3 = &S3::at(endpoint)?;
    let path = &*format!("/{bucket}/direct-{}", new_seed());
    let content = Content::new(size);
    // Opens a connection, as the registries' clients do before the clock starts.
    s3.send(Method::HEAD, &format!("/{bucket}"), "", Bytes::new())
        .await?;
    let meter = Meter::start(server);
    let began = Instant::now();
    let begun = s3
        .send(Method::POST, path, "uploads=", Bytes::new())
        .await?
        .text();
    let (_, id) = begun
        .split_once("<UploadId>")
        .ok_or("no upload was begun")?;
    let id = id.split('<').next().unwrap_or_default();
    // While some are on their way, the next one is made.
    let parts = stream::iter(0..size.div_ceil(PART)).map(|index| async move {
        let (from, to) = (index * PART, size.min((index + 1) * PART));
        let mut part = BytesMut::with_capacity((to - from) as usize);
        content
            .pieces(from, to)
            .for_each(|piece| part.extend_from_slice(&piece));
        let number = index + 1;
        let query = format!("partNumber={number}&uploadId={id}");
        let answer = s3.send(Method::PUT, path, &query, part.freeze()).await?;
        let tag = answer.header("etag").to_owned();
        Ok::<_, String>(format!(
            "<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>"
        ))
    });
    let parts: Vec<String> = parts.buffered(IN_FLIGHT).try_collect().await?;
    let list = format!(
        "<CompleteMultipartUpload>{}</CompleteMultipartUpload>",
        parts.concat()
    );
    let completing = Instant::now();
    s3.send(Method::POST, path, &format!("uploadId={id}"), list.into())
        .await?;
    let took = completing.elapsed();
    meter.done(began, size);
    let mut seen = meter.report()?;
    seen.extend(figures([("commit_ms", took.as_secs_f64() * 1000.0)]));
    let answer = s3.send(Method::HEAD, path, "", Bytes::new()).await?;
    match answer.header("content-length").parse::<u64>() {
        Ok(length) if length == size => Ok(seen),
        other => Err(format!("{path} has {other:?} bytes instead of {size}")),
    }
}

/// Puts many small objects into a bucket: the name of each is `prefix` and the 40 digits of its number.
pub(crate) async fn objects(
    endpoint: &str,
    bucket: &str,
    prefix: &str,
    from: u64,
    count: u64,
    size: u64,
) -> Result<(), String> {
    const CONNECTIONS: usize = 32;
    // Many are put for longer than a signature holds.
    const AT_ONCE: u64 = 10_000;
    let body = Bytes::from(vec![7; size as usize]);
    for first in (0..count).step_by(AT_ONCE as usize) {
        let s3 = S3::at(endpoint)?;
        each(
            CONNECTIONS,
            AT_ONCE.min(count - first) as usize,
            async |number| {
                let number = from + first + number as u64;
                let path = format!("/{bucket}/{prefix}{number:040}");
                s3.send(Method::PUT, &path, "", body.clone())
                    .await
                    .map(drop)
            },
        )
        .await?;
    }
    Ok(())
}
