//! HTTP over guarded connections. Each request has a connection of its own, which ends with its answer; redirects are
//! not followed, and answers are limited in size and time.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::response::Parts;
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use crate::place::Place;
use crate::tls::secured;
use crate::{Error, Guard, Result, Trust};

/// How much of an answer is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// Its head: the body is dropped with the connection, however long or slow it is.
    Head,
    /// All.
    All,
}

/// Sends requests over HTTP/1.1.
#[derive(Clone)]
pub struct HttpClient {
    guard: Arc<Guard>,
    tls: Arc<ClientConfig>,
    within: Duration,
    largest: usize,
}

impl HttpClient {
    /// A client whose requests take at most `within`, from resolving the name to the last byte of the answer, which has
    /// at most `largest` bytes.
    pub fn new(
        guard: Arc<Guard>,
        tls: Arc<ClientConfig>,
        within: Duration,
        largest: usize,
    ) -> Self {
        Self {
            guard,
            tls,
            within,
            largest,
        }
    }

    /// The answer to a request with an absolute URI: `https://host/path`, or `http://`.
    ///
    /// # Errors
    /// [`Error::Address`], [`Error::Timeout`], [`Error::Http`], [`Error::TooLarge`], and those of [`Guard::connect`].
    pub async fn send(&self, request: Request<Bytes>, trust: Trust) -> Result<Response<Bytes>> {
        self.send_for(request, trust, Wanted::All).await
    }

    /// The head of the answer to a request, for those to whom only the status matters: what comes after it cannot make
    /// a failure of a request that the server has taken.
    ///
    /// # Errors
    /// Those of [`HttpClient::send`] but for [`Error::TooLarge`].
    pub async fn send_for_head(&self, request: Request<Bytes>, trust: Trust) -> Result<Parts> {
        let answer = self.send_for(request, trust, Wanted::Head).await?;
        Ok(answer.into_parts().0)
    }

    async fn send_for(
        &self,
        request: Request<Bytes>,
        trust: Trust,
        wanted: Wanted,
    ) -> Result<Response<Bytes>> {
        let exchange = Box::pin(self.exchange(request, trust, wanted));
        timeout(self.within, exchange)
            .await
            .map_err(|_| Error::Timeout)?
    }

    async fn exchange(
        &self,
        request: Request<Bytes>,
        trust: Trust,
        wanted: Wanted,
    ) -> Result<Response<Bytes>> {
        let place = Place::of(request.uri())?;
        let (host, port) = (place.host.as_str(), place.port);
        let stream = self.guard.connect((host, port), trust, self.within).await?;
        if !place.tls {
            return self.speak(stream, request, wanted).await;
        }
        let secured = secured(stream, host, self.tls.clone()).await?;
        self.speak(secured, request, wanted).await
    }

    async fn speak<S>(
        &self,
        stream: S,
        request: Request<Bytes>,
        wanted: Wanted,
    ) -> Result<Response<Bytes>>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(Error::Http)?;
        let answer = async {
            let answer = sender.send_request(relative(request)?).await;
            let (parts, body) = answer.map_err(Error::Http)?.into_parts();
            if wanted == Wanted::Head {
                return Ok(Response::from_parts(parts, Bytes::new()));
            }
            let body = Limited::new(body, self.largest).collect().await;
            let body = body.map_err(|error| self.cut(error))?;
            Ok(Response::from_parts(parts, body.to_bytes()))
        };
        // The connection is driven for as long as the answer is awaited, and ends with it.
        tokio::select! {
            answer = answer => answer,
            Err(error) = connection => Err(Error::Http(error)),
        }
    }

    fn cut(&self, error: Box<dyn std::error::Error + Send + Sync>) -> Error {
        match error.downcast::<hyper::Error>() {
            Ok(error) => Error::Http(*error),
            Err(other) => {
                debug_assert!(other.is::<LengthLimitError>(), "{other}");
                Error::TooLarge(self.largest)
            }
        }
    }
}

/// The request in wire form: only the path as target, and the host in `Host`.
fn relative(request: Request<Bytes>) -> Result<Request<Full<Bytes>>> {
    let (mut parts, body) = request.into_parts();
    let authority = parts.uri.authority().ok_or(Error::Address)?;
    let after_user = authority.as_str().rsplit('@').next().unwrap_or_default();
    let host = HeaderValue::try_from(after_user).map_err(|_| Error::Address)?;
    parts.headers.insert(HOST, host);
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    parts.uri = path.parse().map_err(|_| Error::Address)?;
    Ok(Request::from_parts(parts, Full::new(body)))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;
    use crate::{Verification, client_config};

    /// A server that gives one answer, whatever it is asked; its address.
    async fn answering(answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; 1024];
            let _ = stream.read(&mut asked).await;
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        format!("http://{address}/x?y=1")
    }

    async fn ask(answer: &'static str) -> Result<Response<Bytes>> {
        let tls = client_config(Verification::System, None).unwrap();
        let client = HttpClient::new(Arc::default(), tls, Duration::from_secs(5), 10);
        let uri = answering(answer).await;
        let request = Request::get(uri).body(Bytes::new()).unwrap();
        client.send(request, Trust::Trusted).await
    }

    #[tokio::test]
    async fn a_redirect_is_an_answer_and_a_long_body_none() {
        let answer =
            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 2\r\n\r\nok";
        let answer = ask(answer).await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.body()[..]),
            (302, &b"ok"[..])
        );
        let long = ask("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world").await;
        assert!(matches!(long, Err(Error::TooLarge(10))), "{long:?}");
        let broken = ask("SSH-2.0-x\r\n\r\n").await;
        assert!(matches!(broken, Err(Error::Http(_))), "{broken:?}");
    }

    #[tokio::test]
    async fn a_head_is_enough_whatever_comes_after_it() {
        let long = "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world";
        let cut = "HTTP/1.1 202 Accepted\r\nContent-Length: 1000000\r\n\r\n";
        let broken = "HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\nno chunk";
        for (answer, status) in [(long, 200), (cut, 202), (broken, 503)] {
            let tls = client_config(Verification::System, None).unwrap();
            let client = HttpClient::new(Arc::default(), tls, Duration::from_secs(5), 10);
            let request = Request::post(answering(answer).await);
            let request = request.body(Bytes::from_static(b"{}")).unwrap();
            let head = client.send_for_head(request, Trust::Trusted).await.unwrap();
            assert_eq!(head.status.as_u16(), status);
        }
    }

    #[tokio::test]
    async fn a_head_is_enough_while_the_body_does_not_come() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}/", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; 1024];
            let _ = stream.read(&mut asked).await;
            let head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
            stream.write_all(head).await.unwrap();
            // Until the client closes the connection.
            let _ = stream.read(&mut asked).await;
        });
        let tls = client_config(Verification::System, None).unwrap();
        let client = HttpClient::new(Arc::default(), tls, Duration::from_secs(5), 10);
        let request = Request::get(uri).body(Bytes::new()).unwrap();
        let head = client.send_for_head(request, Trust::Trusted).await.unwrap();
        assert_eq!(head.status.as_u16(), 200);
        server.await.unwrap();
    }

    #[tokio::test]
    async fn what_a_request_named_is_guarded() {
        let tls = client_config(Verification::System, None).unwrap();
        let client = HttpClient::new(Arc::default(), tls, Duration::from_secs(5), 10);
        let uri = answering("HTTP/1.1 200 OK\r\n\r\n").await;
        let request = Request::get(uri).body(Bytes::new()).unwrap();
        let refused = client.send(request, Trust::Guarded).await;
        assert!(matches!(refused, Err(Error::Forbidden(_))), "{refused:?}");
        let request = Request::get("/x").body(Bytes::new()).unwrap();
        let refused = client.send(request, Trust::Trusted).await;
        assert!(matches!(refused, Err(Error::Address)), "{refused:?}");
    }
}
