//! Sending to servers that users name: one request, whose answer is nothing but a status. Redirects are not followed, and
//! an answer's body is not read, so that nobody reads through this what they could not read themselves.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request};
use rustls::ClientConfig;

use crate::{Error, Guard, HttpClient, Result, Trust, Verification, client_config};

/// Bytes of an answer's body, which is not read.
const LARGEST: usize = 0;

/// How a server's certificate is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// By the authorities that the system trusts.
    Verified,
    /// Not at all.
    Unverified,
}

/// Sends requests.
#[derive(Clone)]
pub struct Poster {
    verified: HttpClient,
    unverified: HttpClient,
}

/// What a server answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posted {
    /// The status.
    pub status: u16,
    /// How long it took.
    pub took: Duration,
    /// How long the server asks to wait, if it does.
    pub retry_after: Option<Duration>,
}

impl Poster {
    /// Requests take at most `within`, from resolving the name to the head of the answer.
    ///
    /// # Errors
    /// [`Error::Tls`].
    pub fn new(guard: &Arc<Guard>, within: Duration) -> Result<Self> {
        let client = |tls: Arc<ClientConfig>| HttpClient::new(guard.clone(), tls, within, LARGEST);
        Ok(Self {
            verified: client(client_config(Verification::System, None)?),
            unverified: client(client_config(Verification::Off, None)?),
        })
    }

    /// Sends a body to a URL that a request named.
    ///
    /// # Errors
    /// Those of [`HttpClient::send_for_head`]; an answer with any status is none.
    pub async fn post(
        &self,
        url: &str,
        (headers, body): (HeaderMap, Bytes),
        certificate: Certificate,
    ) -> Result<Posted> {
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = url.parse().map_err(|_| Error::Address)?;
        *request.headers_mut() = headers;
        let agent = HeaderValue::from_static("gantry");
        request.headers_mut().insert(USER_AGENT, agent);
        let client = match certificate {
            Certificate::Verified => &self.verified,
            Certificate::Unverified => &self.unverified,
        };
        let began = Instant::now();
        let answer = client.send_for_head(request, Trust::Guarded).await;
        let took = began.elapsed();
        match answer {
            Ok(head) => Ok(Posted {
                status: head.status.as_u16(),
                took,
                retry_after: retry_after(&head.headers),
            }),
            Err(error) => Err(error),
        }
    }
}

/// Seconds that a server asks to wait.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    async fn ask(guard: Guard, answer: &'static str) -> Result<Posted> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; 1024];
            let read = stream.read(&mut asked).await.unwrap();
            assert!(asked[..read].starts_with(b"POST /hook HTTP/1.1\r\n"));
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        let poster = Poster::new(&Arc::new(guard), Duration::from_secs(5)).unwrap();
        let sent = (HeaderMap::new(), Bytes::from_static(b"{}"));
        poster.post(&url, sent, Certificate::Verified).await
    }

    fn loopback() -> Guard {
        Guard::new(vec!["127.0.0.0/8".parse().unwrap()], Vec::new())
    }

    #[tokio::test]
    async fn a_status_is_all_that_an_answer_says() {
        let busy = "HTTP/1.1 429 Wait\r\nRetry-After: 7\r\nContent-Length: 6\r\n\r\nsecret";
        let answer = ask(loopback(), busy).await.unwrap();
        let asked = Some(Duration::from_secs(7));
        assert_eq!((answer.status, answer.retry_after), (429, asked));
        let elsewhere =
            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(ask(loopback(), elsewhere).await.unwrap().status, 302);
    }

    #[tokio::test]
    async fn the_guard_decides() {
        let refused = ask(Guard::default(), "HTTP/1.1 200 OK\r\n\r\n").await;
        assert!(matches!(refused, Err(Error::Forbidden(_))), "{refused:?}");
    }
}
