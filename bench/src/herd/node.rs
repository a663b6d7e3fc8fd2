//! A node on its way to an image: what it asks for, and what it does where it is not served.

use std::fmt;
use std::time::Duration;

use serde_json::Value;
use testkit::content::Digester;
use testkit::harness::Answer;
use testkit::meter::Counts;
use testkit::registry::{Call, Failed, Image, Registry, location};
use tokio::time::sleep;

use super::{REPOSITORY, Source, TAG};

/// How often a node is not served before it gives up.
pub(super) const TRIES: u32 = 20;

/// One of the herd, with clients of its own, which have no connection yet.
pub(super) struct Node<'a> {
    pub(super) replica: Registry,
    pub(super) bucket: Registry,
    pub(super) image: &'a Image,
    pub(super) counts: &'a Counts,
    /// How often it was not served.
    pub(super) missed: u32,
}

/// Why something was not served.
#[derive(PartialEq, Debug)]
pub(super) enum Missed {
    /// 503 or 429: it is to be tried again after this time.
    Busy(Duration),
    /// No whole answer, or one that blames the server.
    Broken(String),
    /// What no other try makes right.
    Wrong(String),
}

impl Node<'_> {
    /// Gets a token, the manifest by its tag, the config and the layer.
    pub(super) async fn pull(mut self) -> Result<(), Missed> {
        let bearer = loop {
            match self.token().await {
                Ok(token) => break format!("Bearer {token}"),
                Err(missed) => self.wait_after(missed).await?,
            }
        };
        let image = self.image;
        let thing = format!("manifests/{TAG}");
        self.get(&thing, &image.manifest.digest, &bearer).await?;
        for blob in &image.blobs {
            let thing = format!("blobs/{}", blob.digest);
            self.get(&thing, &blob.digest, &bearer).await?;
        }
        Ok(())
    }

    async fn token(&self) -> Result<String, Missed> {
        let path =
            format!("/service/token?service=harbor-registry&scope=repository:{REPOSITORY}:pull");
        let call = Call::get(&path, "").header("authorization", self.replica.basic());
        let answer = judged(self.replica.answer(call, None).await?, &[200])?;
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let token = body["token"].as_str();
        token
            .map(str::to_owned)
            .ok_or_else(|| Missed::Wrong("the answer has no token".to_owned()))
    }

    /// Gets one thing of the image, however often it has to ask.
    async fn get(&mut self, thing: &str, digest: &str, bearer: &str) -> Result<(), Missed> {
        let path = format!("/v2/{REPOSITORY}/{thing}");
        while let Err(missed) = self.get_once(&path, digest, bearer).await {
            self.wait_after(missed).await?;
        }
        Ok(())
    }

    async fn get_once(&mut self, path: &str, digest: &str, bearer: &str) -> Result<(), Missed> {
        let call = Call::get(path, "").manifest();
        let call = call.header("authorization", bearer);
        let answer = self.receive(Source::Replicas, call, digest).await?;
        if answer.status == 200 {
            return Ok(());
        }
        // Redirected: the layer is the last that it wants, so that it closes its connection to the replica.
        self.replica = self.replica.clone();
        let path = location(&answer)?;
        let call = Call::get(&path, "");
        self.receive(Source::Bucket, call, digest).await.map(drop)
    }

    /// Asks, and looks whether what comes is what the digest says.
    async fn receive(
        &self,
        source: Source,
        call: Call<'_>,
        digest: &str,
    ) -> Result<Answer, Missed> {
        let from = match source {
            Source::Replicas => &self.replica,
            Source::Bucket => &self.bucket,
        };
        let mut sum = Digester::default();
        let mut sink = |piece: &[u8]| sum.update(piece);
        let answer = from.answer(call, Some(&mut sink)).await?;
        let answer = judged(answer, source.answers())?;
        if answer.status != 200 {
            return Ok(answer);
        }
        self.counts.add(source.bytes(), sum.1);
        let got = sum.finish();
        match got == digest {
            true => Ok(answer),
            false => Err(Missed::Wrong(format!("got {got} instead of {digest}"))),
        }
    }

    /// Waits before it tries again; an error where it does not.
    async fn wait_after(&mut self, missed: Missed) -> Result<(), Missed> {
        let wait = match missed {
            Missed::Busy(wait) => {
                self.counts.count("busy");
                wait
            }
            Missed::Broken(_) => {
                self.counts.count("broken");
                backoff(self.missed)
            }
            Missed::Wrong(_) => return Err(missed),
        };
        self.missed += 1;
        if self.missed == TRIES {
            return Err(missed);
        }
        sleep(wait).await;
        Ok(())
    }
}

/// Where nobody says how long: a second, then twice as long each time, up to 16.
fn backoff(missed: u32) -> Duration {
    Duration::from_secs(1 << missed.min(4))
}

fn judged(answer: Answer, expected: &[u16]) -> Result<Answer, Missed> {
    match answer.status {
        status if expected.contains(&status) => Ok(answer),
        429 | 503 => Err(Missed::Busy(told(answer.maybe_header("retry-after")))),
        500.. => Err(Missed::Broken(answer.to_string())),
        _ => Err(Missed::Wrong(answer.to_string())),
    }
}

/// What a `Retry-After` in seconds says; a second where there is none.
fn told(retry_after: Option<&str>) -> Duration {
    let seconds = retry_after.and_then(|text| text.trim().parse().ok());
    Duration::from_secs(seconds.unwrap_or(1))
}

impl From<Failed> for Missed {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Cut(how) => Self::Broken(how),
            other => Self::Wrong(other.to_string()),
        }
    }
}

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy(wait) => write!(f, "to be tried again after {} s", wait.as_secs()),
            Self::Broken(text) | Self::Wrong(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_waits_as_long_as_it_is_told() {
        assert_eq!(told(Some("7")), Duration::from_secs(7));
        assert_eq!(told(Some("soon")), Duration::from_secs(1));
        assert_eq!(told(None), Duration::from_secs(1));
    }

    #[test]
    fn a_node_that_is_told_nothing_waits_longer_each_time() {
        let waits: Vec<u64> = (0..7).map(|missed| backoff(missed).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 16, 16]);
    }

    #[test]
    fn a_cut_connection_is_tried_again_and_a_wrong_answer_is_not() {
        let cut = Failed::Cut("closed".to_owned());
        assert_eq!(Missed::from(cut), Missed::Broken("closed".to_owned()));
        let wrong = Failed::Wrong("no Location".to_owned());
        assert_eq!(Missed::from(wrong), Missed::Wrong("no Location".to_owned()));
    }
}
