//! Referrers: what is attached to a manifest, by the API for them, or by the tag schema where a registry has no such API
//! (distribution specification, "Listing Referrers" and "Unavailable Referrers API").

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use bytes::Bytes;
use http::header::ACCEPT;
use http::{Method, StatusCode};
use model::{Digest, Reference, Tag, media_type};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::bounds::Bounds;
use crate::client::{Ask, pulling};
use crate::link;
use crate::{Remote, Result};

/// Referrers of one manifest that are read, and pages of them.
const MOST: usize = 10_000;
const MOST_PAGES: usize = 100;
/// How often a list is changed and read again.
const ATTEMPTS: usize = 5;
/// Characters of a digest in the tag of its list.
const LONGEST_HEX: usize = 64;

#[derive(Deserialize)]
struct Index {
    manifests: Option<Vec<Value>>,
}

fn has_no_api(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::BAD_REQUEST
    )
}

fn digest_of(descriptor: &Value) -> Option<Digest> {
    descriptor.get("digest")?.as_str()?.parse().ok()
}

/// The tag by which referrers are listed where there is no API.
fn schema_tag(subject: &Digest) -> Tag {
    let text = subject.to_string();
    let (algorithm, hex) = text.split_once(':').unwrap_or((&text, ""));
    let hex = &hex[..hex.len().min(LONGEST_HEX)];
    let tag = format!("{algorithm}-{hex}");
    tag.parse().expect("a digest has the characters of a tag")
}

/// Who may change the lists of some subjects. Two subjects may share one.
static TURNS: [Mutex<()>; 64] = [const { Mutex::const_new(()) }; 64];

fn turn(list: (&str, &str, &Digest)) -> &'static Mutex<()> {
    let mut hasher = DefaultHasher::new();
    list.hash(&mut hasher);
    &TURNS[(hasher.finish() % TURNS.len() as u64) as usize]
}

impl Remote {
    /// Digests of what is attached to a manifest.
    ///
    /// # Errors
    /// [`crate::Error`].
    pub async fn referrers(&self, repository: &str, subject: &Digest) -> Result<Vec<Digest>> {
        match self.by_api(repository, subject).await? {
            Some(found) => Ok(found),
            None => {
                let listed = self.by_tag(repository, subject).await?;
                Ok(listed.iter().filter_map(digest_of).collect())
            }
        }
    }

    /// `None` where the registry has no such API.
    async fn by_api(&self, repository: &str, subject: &Digest) -> Result<Option<Vec<Digest>>> {
        let what = format!("list what is attached to {repository} {subject}");
        let first = format!("/v2/{repository}/referrers/{subject}");
        let (mut found, mut bounds) = (Vec::new(), Bounds::new(MOST_PAGES, MOST));
        let (mut next, mut is_first) = (Some(first), true);
        while let Some(at) = next {
            let ask = Ask::new(Method::GET, at.clone(), &what)
                .scope(pulling(repository))
                .header(ACCEPT, media_type::OCI_INDEX);
            let answer = self.ask(ask).await?;
            if is_first && has_no_api(answer.status) {
                return Ok(None);
            }
            let answer = self.success(answer, &what)?;
            let page = match serde_json::from_slice::<Index>(&answer.body) {
                Ok(page) => page,
                Err(_) if is_first => return Ok(None),
                Err(error) => return Err(self.protocol(&what, error.to_string())),
            };
            let manifests = page.manifests.unwrap_or_default();
            self.bounded(&mut bounds, (manifests.len(), answer.body.len()), &what)?;
            found.extend(manifests.iter().filter_map(digest_of));
            next = self.next_page(&at, link::next(&answer.headers), &what)?;
            is_first = false;
        }
        Ok(Some(found))
    }

    /// Those of the referrers of a manifest that a registry without an API for them does not list.
    ///
    /// # Errors
    /// [`crate::Error`].
    pub async fn unlisted(
        &self,
        repository: &str,
        subject: &Digest,
        referrers: &[Digest],
    ) -> Result<Vec<Digest>> {
        // Harbor and Gantry have it.
        if self.kind().has_projects() || self.by_api(repository, subject).await?.is_some() {
            return Ok(Vec::new());
        }
        let listed = self.by_tag(repository, subject).await?;
        let listed: HashSet<Digest> = listed.iter().filter_map(digest_of).collect();
        let unlisted = referrers.iter().filter(|it| !listed.contains(it));
        Ok(unlisted.copied().collect())
    }

    /// What the tag schema lists; nothing where the tag names something else.
    async fn by_tag(&self, repository: &str, subject: &Digest) -> Result<Vec<Value>> {
        let reference = Reference::Tag(schema_tag(subject));
        let found = self.manifest(repository, &reference).await?;
        let listed = found
            .and_then(|index| serde_json::from_slice::<Index>(&index.bytes).ok())
            .and_then(|index| index.manifests);
        Ok(listed.unwrap_or_default())
    }

    /// Lists manifests among the referrers of their subject, for a registry that does not by itself. Of all writers of this
    /// process one changes a list at a time; another one elsewhere may do so between reading and writing, so the list is
    /// read again. What it removes after that is listed by the next run.
    ///
    /// # Errors
    /// [`crate::Error`]; where the tag of the list names something else.
    pub async fn list_referrers(
        &self,
        repository: &str,
        subject: &Digest,
        descriptors: Vec<Value>,
    ) -> Result<()> {
        let what = format!("list what is attached to {repository} {subject}");
        let reference = Reference::Tag(schema_tag(subject));
        let _turn = turn((self.host(), repository, subject)).lock().await;
        for _ in 0..ATTEMPTS {
            let found = self.manifest(repository, &reference).await?;
            let mut index = match found {
                Some(found) => serde_json::from_slice(&found.bytes).unwrap_or_default(),
                None => json!({
                    "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": [],
                }),
            };
            let Some(listed) = index.get_mut("manifests").and_then(Value::as_array_mut) else {
                let problem = format!("{reference}, which is to list it, is no index");
                return Err(self.protocol(&what, problem));
            };
            let known: HashSet<Digest> = listed.iter().filter_map(digest_of).collect();
            let missing = descriptors.iter();
            let missing = missing.filter(|it| digest_of(it).is_some_and(|it| !known.contains(&it)));
            let missing: Vec<Value> = missing.cloned().collect();
            if missing.is_empty() {
                return Ok(());
            }
            listed.extend(missing);
            let bytes = Bytes::from(index.to_string());
            self.put_manifest(repository, &reference, (media_type::OCI_INDEX, bytes))
                .await?;
        }
        let problem = format!("{reference}, which lists it, is changed again and again");
        Err(self.protocol(&what, problem))
    }
}
