//! Bytes that are compared with their digest while they pass. The last ones are held back until it is known: whoever
//! stores them never completes wrong ones.

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use model::{Digest, Hasher};

use crate::{Bytestream, Error, Result};

struct Checking<S> {
    bytes: S,
    hasher: Option<Hasher>,
    digest: Digest,
    left: u64,
    host: String,
}

/// The bytes of a blob of `size` bytes, which come from `host`.
pub fn verified(
    bytes: impl Stream<Item = Result<Bytes>> + Send + Unpin + 'static,
    (digest, size): (Digest, u64),
    host: &str,
) -> Bytestream {
    let checking = Checking {
        bytes,
        hasher: Some(Hasher::new(digest.algorithm())),
        digest,
        left: size,
        host: host.to_owned(),
    };
    Box::pin(stream::unfold(checking, |mut checking| async move {
        let bytes = checking.next().await?;
        Some((bytes, checking))
    }))
}

impl<S: Stream<Item = Result<Bytes>> + Send + Unpin> Checking<S> {
    async fn next(&mut self) -> Option<Result<Bytes>> {
        let mut hasher = self.hasher.take()?;
        loop {
            return match self.bytes.next().await {
                Some(Ok(bytes)) if bytes.is_empty() => continue,
                Some(Ok(bytes)) => {
                    let Some(left) = self.left.checked_sub(bytes.len() as u64) else {
                        return Some(Err(self.wrong()));
                    };
                    self.left = left;
                    hasher.update(&bytes);
                    if left > 0 {
                        self.hasher = Some(hasher);
                        return Some(Ok(bytes));
                    }
                    match hasher.finish() == self.digest {
                        true => Some(Ok(bytes)),
                        false => Some(Err(self.wrong())),
                    }
                }
                Some(Err(error)) => Some(Err(error)),
                // An empty blob has no last bytes.
                None if self.left == 0 && hasher.finish() == self.digest => None,
                None => Some(Err(self.wrong())),
            };
        }
    }

    fn wrong(&self) -> Error {
        Error::WrongBytes {
            host: self.host.clone(),
            what: format!("the blob {}", self.digest),
        }
    }
}

#[cfg(test)]
mod tests {
    use model::Algorithm;

    use super::*;

    async fn passed(sent: &[&'static str], size: u64, of: &str) -> (String, bool) {
        let chunks: Vec<_> = sent.iter().map(|text| Ok(Bytes::from(*text))).collect();
        let digest = Digest::of(Algorithm::Sha256, of.as_bytes());
        let mut checked = verified(stream::iter(chunks), (digest, size), "r.test");
        let mut text = String::new();
        while let Some(bytes) = checked.next().await {
            match bytes {
                Ok(bytes) => text.push_str(std::str::from_utf8(&bytes).unwrap()),
                Err(_) => return (text, false),
            }
        }
        (text, true)
    }

    #[tokio::test]
    async fn wrong_bytes_never_end() {
        assert_eq!(
            passed(&["ab", "", "c"], 3, "abc").await,
            ("abc".into(), true)
        );
        assert_eq!(passed(&[], 0, "").await, (String::new(), true));
        assert_eq!(passed(&["ab", "x"], 3, "abc").await, ("ab".into(), false));
        assert_eq!(passed(&["ab", "cd"], 3, "abc").await, ("ab".into(), false));
        assert_eq!(passed(&["ab"], 3, "abc").await, ("ab".into(), false));
    }
}
