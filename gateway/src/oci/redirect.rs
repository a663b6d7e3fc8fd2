//! Pulls answered with a URL of the bucket, as `[storage.redirect]` says.

use std::net::IpAddr;
use std::time::Duration;

use db::blob::StoredBlob;
use http::{HeaderValue, Response, StatusCode, header};
use policy::permit::PullPermit;

use super::{CONTENT_DIGEST, Call};
use crate::config::Redirect;
use crate::http::answer::status;
use crate::http::header::text;
use crate::http::response_body::Body;
use crate::oci_error::OciError;

impl Call<'_> {
    /// The answer that redirects the client to the bucket, if the settings and the store allow it.
    pub(super) async fn redirect(
        &self,
        permit: &PullPermit,
        blob: &StoredBlob,
    ) -> Result<Option<Response<Body>>, OciError> {
        let rule = &self.app.config.storage.redirect;
        let project = permit.repository().project_str();
        let address = self.caller.address;
        if !address.is_some_and(|address| rule.covers(address, project, blob.size)) {
            return Ok(None);
        }
        let lasts = Duration::from_secs(rule.expiry_secs.into());
        let url = self.app.registry.blob_url(permit, blob, lasts).await?;
        Ok(url.map(|url| to(&url, blob)))
    }
}

impl Redirect {
    fn covers(&self, address: IpAddr, project: &str, size: u64) -> bool {
        let address = address.to_canonical();
        size >= self.min_bytes
            && self.networks.iter().any(|own| own.contains(&address))
            && (self.projects.is_empty() || self.projects.iter().any(|own| own == project))
    }
}

fn to(url: &str, blob: &StoredBlob) -> Response<Body> {
    let mut response = status(StatusCode::TEMPORARY_REDIRECT);
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, text(url));
    // The URL expires; the content does not.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(CONTENT_DIGEST, text(blob.digest.to_string()));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_covers_its_networks_projects_and_sizes() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let rule = Redirect {
            networks: vec!["10.1.0.0/16".parse().unwrap()],
            projects: vec!["big".to_owned()],
            min_bytes: 100,
            expiry_secs: 60,
        };
        assert!(rule.covers(address("10.1.2.3"), "big", 100));
        assert!(rule.covers(address("::ffff:10.1.2.3"), "big", 100));
        assert!(!rule.covers(address("10.2.2.3"), "big", 100));
        assert!(!rule.covers(address("10.1.2.3"), "small", 100));
        assert!(!rule.covers(address("10.1.2.3"), "big", 99));
        let all = Redirect {
            projects: Vec::new(),
            ..rule.clone()
        };
        assert!(all.covers(address("10.1.2.3"), "small", 100));
        let none = Redirect {
            networks: Vec::new(),
            ..rule
        };
        assert!(!none.covers(address("10.1.2.3"), "big", 100));
    }
}
