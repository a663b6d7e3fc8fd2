//! `GET /v2/{name}/referrers/{digest}`.

use http::header::HeaderName;
use http::{HeaderValue, StatusCode, header};
use model::{Descriptor, Digest, RepositoryName, media_type};
use serde::Serialize;

use super::{Answer, Call};
use crate::http::answer::json;
use crate::http::header::text;
use crate::oci_error::OciError;

const FILTERS: HeaderName = HeaderName::from_static("oci-filters-applied");
const TOTAL: HeaderName = HeaderName::from_static("x-total-count");

/// The answer, an image index.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index<'a> {
    schema_version: u32,
    media_type: &'a str,
    manifests: &'a [Descriptor],
}

impl Call<'_> {
    pub(super) async fn referrers(&self, name: RepositoryName, subject: Digest) -> Answer {
        let permit = self.may_pull(&name).await?;
        let artifact_type = self.artifact_type()?;
        let artifact_type = artifact_type.as_deref();
        let after = match self.parameter("after") {
            None => 0,
            Some(text) => text
                .parse()
                .map_err(|_| OciError::bad("UNSUPPORTED", "after must come from a Link header"))?,
        };
        let (_, limit) = self.page()?;
        let found = self
            .app
            .registry
            .referrers(&permit, &subject, artifact_type, (after, limit))
            .await?;
        let body = Index {
            schema_version: 2,
            media_type: media_type::OCI_INDEX,
            manifests: &found.descriptors,
        };
        let mut response = json(StatusCode::OK, &body);
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static(media_type::OCI_INDEX),
        );
        headers.insert(TOTAL, found.total.into());
        if artifact_type.is_some() {
            headers.insert(FILTERS, HeaderValue::from_static("artifactType"));
        }
        if let Some(next) = found.next {
            let filter = artifact_type.map(|text| {
                let text =
                    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC);
                format!("&artifactType={text}")
            });
            let filter = filter.unwrap_or_default();
            let link = format!(
                r#"</v2/{name}/referrers/{subject}?after={next}&n={limit}{filter}>; rel="next""#
            );
            headers.insert(header::LINK, text(link));
        }
        Ok(response)
    }

    /// The type to filter by. A media type has no spaces: a space here was a plus that the client did not escape, as in
    /// `application/spdx+json`.
    fn artifact_type(&self) -> Result<Option<String>, OciError> {
        let text = self.parameter("artifactType").unwrap_or_default();
        if text.contains('\0') {
            let message = "artifactType must not contain NUL";
            return Err(OciError::bad("UNSUPPORTED", message));
        }
        Ok(Some(text.replace(' ', "+")).filter(|text| !text.is_empty()))
    }
}
