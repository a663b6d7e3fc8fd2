//! Referrers: what is attached to a manifest, by the API for them, or by the tag schema where a registry has no such API
//! (distribution specification, "Listing Referrers" and "Unavailable Referrers API").

use bytes::Bytes;
use http::header::ACCEPT;
use http::{Method, StatusCode};
use model::{Digest, Reference, Tag, media_type};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::bounds::Bounds;
use crate::client::{Ask, pulling};
use crate::link;
use crate::{Remote, Result};

/// Referrers of one manifest that are read, and pages of them.
const MOST: usize = 10_000;
const MOST_PAGES: usize = 100;

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
fn schema_tag(subject: &Digest) -> Option<Tag> {
    subject.to_string().replacen(':', "-", 1).parse().ok()
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
                let (_, listed) = self.by_tag(repository, subject).await?;
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

    /// What the tag schema lists, and the tag.
    async fn by_tag(
        &self,
        repository: &str,
        subject: &Digest,
    ) -> Result<(Option<Tag>, Vec<Value>)> {
        let Some(tag) = schema_tag(subject) else {
            return Ok((None, Vec::new()));
        };
        let reference = Reference::Tag(tag.clone());
        let found = self.manifest(repository, &reference).await?;
        let listed = found
            .and_then(|index| serde_json::from_slice::<Index>(&index.bytes).ok())
            .and_then(|index| index.manifests);
        Ok((Some(tag), listed.unwrap_or_default()))
    }

    /// Lists a manifest among the referrers of its subject, for a registry that does not by itself.
    ///
    /// # Errors
    /// [`crate::Error`].
    pub async fn list_referrer(
        &self,
        repository: &str,
        subject: &Digest,
        descriptor: Value,
    ) -> Result<()> {
        let (Some(tag), mut listed) = self.by_tag(repository, subject).await? else {
            return Ok(());
        };
        let own = digest_of(&descriptor);
        if listed.iter().any(|other| digest_of(other) == own) {
            return Ok(());
        }
        listed.push(descriptor);
        let index = json!({
            "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": listed,
        });
        let bytes = Bytes::from(index.to_string());
        let reference = Reference::Tag(tag);
        self.put_manifest(repository, &reference, (media_type::OCI_INDEX, bytes))
            .await?;
        Ok(())
    }
}
