//! `GET`, `HEAD`, `PUT` and `DELETE /v2/{name}/manifests/{reference}`.

use std::time::Instant;

use http::header::HeaderName;
use http::{Response, StatusCode, header};
use model::{Reference, RepositoryName, Tag};
use registry::LARGEST_MANIFEST;
use registry::manifest::NewManifest;
use registry::memory;
use registry::pull_log::Purpose;

use super::{Answer, CONTENT_DIGEST, Call, HEADERS};
use crate::http::answer::{status, wants_body};
use crate::http::header::{has_etag, text};
use crate::http::request_body::{RequestBody, Short};
use crate::http::response_body::Body;
use crate::oci_error::OciError;

const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
const TAG: HeaderName = HeaderName::from_static("oci-tag");
/// Maximum number of tags that one push may set.
const MOST_TAGS: usize = 100;
/// How Harbor's and Gantry's replication name themselves in each request.
const COPIER: &str = "harbor-registry-client";
/// How scanners name themselves, before the slash and their version.
const SCANNERS: [&str; 1] = ["trivy"];

impl Call<'_> {
    pub(super) async fn get_manifest(&self, name: RepositoryName, reference: Reference) -> Answer {
        let permit = self.may_pull(&name).await?;
        let found = if wants_body(&self.method) {
            let (registry, purpose) = (&self.app.registry, self.purpose());
            registry.pull_manifest(&permit, &reference, purpose).await?
        } else {
            self.app.registry.manifest(&permit, &reference).await?
        };
        let etag = found.digest.to_string();
        let fresh = has_etag(&self.headers, &etag);
        let body = if fresh || !wants_body(&self.method) {
            Body::empty()
        } else {
            Body::full(found.payload.clone())
        };
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.reserve(HEADERS);
        headers.insert(header::ETAG, text(format!("\"{etag}\"")));
        headers.insert(CONTENT_DIGEST, text(&etag));
        headers.insert(header::CONTENT_TYPE, text(&found.media_type));
        if fresh {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        } else {
            headers.insert(header::CONTENT_LENGTH, found.payload.len().into());
        }
        Ok(response)
    }

    /// What the client wants a manifest for. Who names another program hides nothing but a count: the audit log has all.
    fn purpose(&self) -> Purpose {
        let agent = self.header(header::USER_AGENT).unwrap_or_default();
        let program = agent.split(['/', ' ']).next().unwrap_or_default();
        let scans =
            SCANNERS.contains(&program) && self.app.settings.current().scanner_skip_update_pulltime;
        match program == COPIER || scans {
            true => Purpose::Inspection,
            false => Purpose::Use,
        }
    }

    pub(super) async fn put_manifest(
        &self,
        name: RepositoryName,
        reference: Reference,
        body: RequestBody,
    ) -> Answer {
        let (permit, began) = (self.may_push(&name).await?, Instant::now());
        let tags = self.tags_to_set()?;
        let payload = body
            .collect(self.manifest_body())
            .await
            .map_err(|error| match error {
                registry::BodyError::TooLarge(_) => {
                    OciError::from(registry::Error::ManifestTooLarge)
                }
                error => error.into(),
            })?;
        let permit = self.may_push_now(permit, began).await?;
        let content_type = self.header(header::CONTENT_TYPE).map(str::to_owned);
        let tagged = !tags.is_empty();
        let new = NewManifest {
            reference,
            tags,
            content_type,
            payload,
        };
        let pushed = self.app.registry.push_manifest(&permit, new).await?;
        let mut response = status(StatusCode::CREATED);
        let headers = response.headers_mut();
        headers.insert(
            header::LOCATION,
            text(format!("/v2/{name}/manifests/{}", pushed.digest)),
        );
        headers.insert(CONTENT_DIGEST, text(pushed.digest.to_string()));
        if let Some(subject) = pushed.subject {
            headers.insert(SUBJECT, text(subject.to_string()));
        }
        if tagged {
            for tag in &pushed.tags {
                headers.append(TAG, text(tag.as_str()));
            }
        }
        Ok(response)
    }

    /// The limits of a manifest's body.
    fn manifest_body(&self) -> Short<'_> {
        Short {
            limit: LARGEST_MANIFEST,
            memory: self.app.registry.memory().bulk(),
            holder: memory::holder(&self.caller),
            time: self.app.config.limits.short_body_time(),
        }
    }

    fn tags_to_set(&self) -> Result<Vec<Tag>, OciError> {
        let tags = self
            .query
            .iter()
            .filter(|(key, _)| key == "tag")
            .map(|(_, value)| {
                value.parse::<Tag>().map_err(|error| {
                    OciError::bad("TAG_INVALID", format!("tag {value:?}: {error}"))
                })
            });
        let mut tags = tags.collect::<Result<Vec<_>, _>>()?;
        tags.dedup();
        if tags.len() > MOST_TAGS {
            let message = format!("one push sets at most {MOST_TAGS} tags");
            return Err(OciError::Request {
                status: StatusCode::URI_TOO_LONG,
                code: "TAG_INVALID",
                message,
            });
        }
        Ok(tags)
    }

    pub(super) async fn delete_manifest(
        &self,
        name: RepositoryName,
        reference: Reference,
    ) -> Answer {
        let permit = self.may_delete(&name).await?;
        self.app
            .registry
            .delete_manifest(&permit, &reference)
            .await?;
        Ok(status(StatusCode::ACCEPTED))
    }
}
