//! Reading a document by HTTPS. A few redirects are followed, and the guard checks each target like the first address.

use bytes::Bytes;
use http::header::{ACCEPT, LOCATION};
use http::{Request, Response, Uri};

use crate::{Error, HttpClient, Result, Trust};

/// Maximum redirects to follow.
const MOST_REDIRECTS: usize = 3;

impl HttpClient {
    /// The document at an `https` URL.
    ///
    /// # Errors
    /// [`Error::Address`] for another URL, also as the target of a redirect; [`Error::Status`], [`Error::Redirects`], and
    /// those of [`HttpClient::send`].
    pub async fn document(&self, url: &str, trust: Trust) -> Result<Bytes> {
        let mut url: Uri = url.parse().map_err(|_| Error::Address)?;
        for _ in 0..=MOST_REDIRECTS {
            check(&url)?;
            let request = Request::get(url.clone()).header(ACCEPT, "application/json");
            let request = request.body(Bytes::new()).map_err(|_| Error::Address)?;
            let response = self.send(request, trust).await?;
            match target(&url, &response)? {
                Some(next) => url = next,
                None => return Ok(response.into_body()),
            }
        }
        Err(Error::Redirects)
    }
}

/// An `https` URL without a name or a password in it.
fn check(url: &Uri) -> Result<()> {
    let has_user = url.authority().is_some_and(|it| it.as_str().contains('@'));
    match url.scheme_str() {
        Some("https") if !has_user => Ok(()),
        _ => Err(Error::Address),
    }
}

/// Where a response redirects to; `None` if it has the document.
fn target(url: &Uri, response: &Response<Bytes>) -> Result<Option<Uri>> {
    let status = response.status();
    if status.is_success() {
        return Ok(None);
    }
    let location = response.headers().get(LOCATION);
    let location = location.and_then(|location| location.to_str().ok());
    match location.filter(|_| status.is_redirection()) {
        Some(location) => resolve(url, location).map(Some),
        None => Err(Error::Status(status.as_u16())),
    }
}

/// Where a `Location` leads that was answered for `url`: to another path of the same host, or elsewhere.
fn resolve(url: &Uri, location: &str) -> Result<Uri> {
    let is_path = location.starts_with('/') && !location.starts_with("//");
    let next = match (is_path, url.authority()) {
        (true, Some(authority)) => format!("https://{authority}{location}"),
        _ => location.to_owned(),
    };
    next.parse().map_err(|_| Error::Address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        text.parse().unwrap()
    }

    #[test]
    fn only_https_without_a_user_is_asked() {
        check(&uri("https://ci.test:8443/x")).unwrap();
        for wrong in [
            "http://ci.test/",
            "/x",
            "https://a:b@ci.test/",
            "ftp://ci.test/",
        ] {
            assert!(matches!(check(&uri(wrong)), Err(Error::Address)), "{wrong}");
        }
    }

    #[test]
    fn a_redirect_leads_to_a_path_or_elsewhere() {
        let from = uri("https://ci.test:8443/a");
        let to = |location| resolve(&from, location).unwrap().to_string();
        assert_eq!(to("/b?c"), "https://ci.test:8443/b?c");
        assert_eq!(to("https://other.test/b"), "https://other.test/b");
        for elsewhere in ["//other.test/b", "b", "http://other.test/"] {
            let refused = resolve(&from, elsewhere).and_then(|next| check(&next));
            assert!(refused.is_err(), "{elsewhere}");
        }
    }
}
