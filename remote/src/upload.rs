//! Uploads to another registry: whole, or in chunks that go on where they broke off.

use bytes::Bytes;
use futures_util::Stream;
use http::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE, USER_AGENT,
};
use http::{HeaderMap, Method, Request, StatusCode};
use model::Digest;
use outgoing::streamed;

use crate::client::{Ask, pulling, pushing};
use crate::location::with_query;
use crate::{AGENT, Error, Remote, Result};

/// An open upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Where its bytes go: a whole URL.
    pub location: String,
}

/// What came of beginning an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// The registry has taken the blob from another repository of its own.
    Mounted,
    /// It waits for the bytes.
    Open(Upload),
}

impl Remote {
    /// Begins an upload; with another repository of the registry, the blob is taken from there if it can be.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn begin_upload(
        &self,
        repository: &str,
        mounted: Option<(&Digest, &str)>,
    ) -> Result<Begun> {
        let what = format!("begin an upload to {repository}");
        let mut at = format!("/v2/{repository}/blobs/uploads/");
        let mut scopes = vec![pushing(repository)];
        if let Some((digest, from)) = mounted {
            at = with_query(&at, &format!("mount={digest}&from={from}"));
            scopes.push(pulling(from));
        }
        let mut ask = Ask::new(Method::POST, at, &what).header(CONTENT_LENGTH, "0");
        ask.scopes = scopes;
        let url = self.0.base.url(&ask.at);
        let answer = self.ask(ask).await?;
        let answer = self.success(answer, &what)?;
        match answer.status {
            StatusCode::CREATED if mounted.is_some() => Ok(Begun::Mounted),
            _ => {
                let location = self.location(&url, &answer.headers, &what)?;
                Ok(Begun::Open(Upload { location }))
            }
        }
    }

    fn location(&self, from: &str, headers: &HeaderMap, what: &str) -> Result<String> {
        let location = headers.get(LOCATION).and_then(|to| to.to_str().ok());
        let to = location.and_then(|to| self.0.base.resolve(from, to));
        to.ok_or_else(|| self.protocol(what, "it names no Location for the bytes".to_owned()))
    }

    /// Sends a whole blob, which completes it.
    ///
    /// # Errors
    /// [`Error`]; [`Error::Source`] where its bytes cannot be read.
    pub async fn put_blob<E>(
        &self,
        (repository, upload): (&str, &Upload),
        (digest, size): (&Digest, u64),
        bytes: impl Stream<Item = Result<Bytes, E>> + Send + 'static,
    ) -> Result<()>
    where
        E: Into<outgoing::BodyError> + 'static,
    {
        let what = format!("store the blob {digest} in {repository}");
        let url = with_query(&upload.location, &format!("digest={digest}"));
        let request = self
            .sending((Method::PUT, &url), repository, size)
            .await?
            .body(streamed(bytes));
        let request = request.map_err(|_| self.protocol(&what, format!("{url:?} is no URL")))?;
        let response = self.transfer(request, &url).await?;
        match response.status().is_success() {
            true => Ok(()),
            false => Err(self.refusal(response, &what).await),
        }
    }

    /// Sends the next bytes of an upload; where the ones after them go.
    ///
    /// # Errors
    /// As [`Remote::put_blob`].
    pub async fn append<E>(
        &self,
        (repository, upload): (&str, &Upload),
        (from, length): (u64, u64),
        bytes: impl Stream<Item = Result<Bytes, E>> + Send + 'static,
    ) -> Result<Upload>
    where
        E: Into<outgoing::BodyError> + 'static,
    {
        let what = format!("take a part of a blob for {repository}");
        let url = upload.location.clone();
        let range = format!("{from}-{}", from + length - 1);
        let request = self
            .sending((Method::PATCH, &url), repository, length)
            .await?
            .header(CONTENT_RANGE, range)
            .body(streamed(bytes));
        let request = request.map_err(|_| self.protocol(&what, format!("{url:?} is no URL")))?;
        let response = self.transfer(request, &url).await?;
        if !response.status().is_success() {
            return Err(self.refusal(response, &what).await);
        }
        let location = self.location(&url, response.headers(), &what)?;
        Ok(Upload { location })
    }

    /// Completes an upload whose bytes all were sent.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn finish_upload(
        &self,
        (repository, upload): (&str, &Upload),
        digest: &Digest,
    ) -> Result<()> {
        let what = format!("store the blob {digest} in {repository}");
        let url = with_query(&upload.location, &format!("digest={digest}"));
        let ask = Ask::new(Method::PUT, url, &what)
            .scope(pushing(repository))
            .header(CONTENT_LENGTH, "0");
        let answer = self.ask(ask).await?;
        self.success(answer, &what).map(drop)
    }

    /// How many bytes of an upload the registry has, and where the next ones go; `None` where it does not know the upload
    /// any more.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn upload_size(
        &self,
        repository: &str,
        upload: &Upload,
    ) -> Result<Option<(u64, Upload)>> {
        let what = format!("say how far an upload to {repository} is");
        let ask = Ask::new(Method::GET, upload.location.clone(), &what).scope(pushing(repository));
        let answer = self.ask(ask).await?;
        if !answer.status.is_success() {
            return match answer.status.as_u16() {
                400..=499 => Ok(None),
                _ => self.success(answer, &what).map(|_| None),
            };
        }
        let range = answer.header(&RANGE).unwrap_or("0-0");
        let range = range.trim_start_matches("bytes=");
        let last: u64 = range
            .split_once('-')
            .and_then(|(_, last)| last.parse().ok())
            .unwrap_or_default();
        // `0-0` is one byte or none: the byte is sent again, which a registry that has it refuses.
        let size = if last == 0 { 0 } else { last + 1 };
        let location = self.location(&upload.location, &answer.headers, &what);
        let location = location.unwrap_or_else(|_| upload.location.clone());
        Ok(Some((size, Upload { location })))
    }

    async fn sending(
        &self,
        (method, url): (Method, &str),
        repository: &str,
        length: u64,
    ) -> Result<http::request::Builder> {
        let mut request = Request::builder()
            .method(method)
            .uri(url)
            .header(USER_AGENT, AGENT)
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(CONTENT_LENGTH, length);
        if self.is_own(url)
            && let Some(header) = self.authorize(&[pushing(repository)]).await?
        {
            request = request.header(AUTHORIZATION, header);
        }
        Ok(request)
    }

    /// Sends bytes. Where what is sent breaks off, that is the error, not what the registry makes of it.
    async fn transfer(
        &self,
        request: Request<outgoing::SentBody>,
        url: &str,
    ) -> Result<http::Response<hyper::body::Incoming>> {
        let sent = self.0.http.send(request).await;
        sent.map_err(|error| match error.sent_body::<Error>() {
            Some(source) => Error::Source(self.host().to_owned(), source.to_string()),
            None => Error::of_connection(crate::location::host_of(url), error),
        })
    }
}
