//! HTTP whose bodies are streams, over guarded connections that are kept for the next request. Redirects are not followed.
//! Nothing bounds how long a request takes, only how long nothing moves, and how slowly the other side takes or sends
//! bytes; while this side makes it wait, it counts as neither.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};
use http::{Request, Response, Uri};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use parking_lot::Mutex;
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;
use tower::Service;

use crate::place::Place;
use crate::tls::secured;
use crate::{Error, Guard, Result, Trust};

/// How long resolving, connecting and the handshake may take.
const CONNECT: Duration = Duration::from_secs(20);
/// How long a connection that nobody uses is kept, and how many to one host.
const IDLE: Duration = Duration::from_secs(20);
const MOST_IDLE: usize = 8;

/// The least that moves within [`WINDOW`]s of waiting for the other side: 1 KiB a second.
const LEAST: u64 = 1 << 10;
/// How much waiting is looked at together.
const WINDOW: Duration = Duration::from_secs(60);

/// What a request sends.
pub type SentBody = UnsyncBoxBody<Bytes, BodyError>;
/// Why a body that is sent breaks off.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;
/// What an answer has.
pub type Received = Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>;

/// Asks servers over HTTP/1.1.
#[derive(Clone)]
pub struct StreamClient {
    client: Client<Connector, SentBody>,
    patience: Duration,
    window: Duration,
}

/// How slowly bytes move while the other side is waited for.
#[derive(Debug)]
struct Pace {
    window: Duration,
    waited: Duration,
    bytes: u64,
}

impl Pace {
    const fn new(window: Duration) -> Self {
        Self {
            window,
            waited: Duration::ZERO,
            bytes: 0,
        }
    }

    /// Takes bytes that were waited for. Returns false where they are too few.
    fn take(&mut self, waited: Duration, bytes: u64) -> bool {
        self.waited += waited;
        self.bytes += bytes;
        if self.waited < self.window {
            return true;
        }
        let least = (LEAST as f64 * self.waited.as_secs_f64()) as u64;
        let is_enough = self.bytes >= least;
        (self.waited, self.bytes) = (Duration::ZERO, 0);
        is_enough
    }
}

/// What the other side has taken of a body, and how long it made this side wait for that.
#[derive(Debug)]
struct Taking {
    pace: Pace,
    /// When bytes were handed on, until the next ones are asked for.
    handed_at: Option<(Instant, u64)>,
    is_slow: bool,
}

impl Taking {
    fn asked(&mut self) {
        if let Some((at, bytes)) = self.handed_at.take() {
            self.is_slow |= !self.pace.take(at.elapsed(), bytes);
        }
    }
}

impl StreamClient {
    /// A client whose requests and answers fail when nothing moves for so long.
    pub fn new(
        guard: Arc<Guard>,
        tls: Arc<ClientConfig>,
        trust: Trust,
        patience: Duration,
    ) -> Self {
        let connector = Connector { guard, tls, trust };
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(MOST_IDLE)
            .pool_timer(TokioTimer::new())
            .build(connector);
        Self {
            client,
            patience,
            window: WINDOW,
        }
    }

    /// The answer to a request, whose URI is whole. Its body is read by [`StreamClient::received`].
    ///
    /// # Errors
    /// [`Error::Exchange`], whose [`Error::innermost`] says why there is no connection; [`Error::Timeout`].
    pub async fn send(&self, request: Request<SentBody>) -> Result<Response<Incoming>> {
        let moved = Arc::new(AtomicU64::new(0));
        let taking = Arc::new(Mutex::new(Taking {
            pace: Pace::new(self.window),
            handed_at: None,
            is_slow: false,
        }));
        let (counted, taken) = (moved.clone(), taking.clone());
        let request = request.map(|body| {
            let counting = Counting {
                body,
                counted,
                taken,
            };
            counting.boxed_unsync()
        });
        let mut answer = self.client.request(request);
        let mut before = 0;
        loop {
            if let Ok(answer) = timeout(self.patience, &mut answer).await {
                return answer.map_err(Error::Exchange);
            }
            let now = moved.load(Ordering::Relaxed);
            if now == before {
                return Err(Error::Timeout);
            }
            if taking.lock().is_slow {
                return Err(Error::Slow);
            }
            before = now;
        }
    }

    /// The bytes of an answer.
    pub fn received(&self, body: Incoming) -> Received {
        let patience = self.patience;
        let reading = Some((body, Pace::new(self.window)));
        let chunks = stream::unfold(reading, move |reading| async move {
            let (mut body, mut pace) = reading?;
            let began = Instant::now();
            let frame = match timeout(patience, body.frame()).await {
                Err(_) => return Some((Err(Error::Timeout), None)),
                Ok(None) => return None,
                Ok(Some(Err(error))) => return Some((Err(Error::Http(error)), None)),
                Ok(Some(Ok(frame))) => frame,
            };
            let bytes = frame.into_data().unwrap_or_default();
            if !pace.take(began.elapsed(), bytes.len() as u64) {
                return Some((Err(Error::Slow), None));
            }
            Some((Ok(bytes), Some((body, pace))))
        });
        Box::pin(chunks)
    }

    /// The bytes of an answer that has at most so many.
    ///
    /// # Errors
    /// [`Error::TooLarge`], and those of a broken connection.
    pub async fn whole(&self, body: Incoming, most: usize) -> Result<Bytes> {
        let mut received = self.received(body);
        let mut whole = Vec::new();
        while let Some(bytes) = received.next().await {
            let bytes = bytes?;
            if whole.len() + bytes.len() > most {
                return Err(Error::TooLarge(most));
            }
            whole.extend_from_slice(&bytes);
        }
        Ok(whole.into())
    }
}

/// A body that is sent, and what is taken of it.
struct Counting {
    body: SentBody,
    counted: Arc<AtomicU64>,
    taken: Arc<Mutex<Taking>>,
}

impl Body for Counting {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        this.taken.lock().asked();
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            this.counted.fetch_add(1, Ordering::Relaxed);
            let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
            this.taken.lock().handed_at = Some((Instant::now(), bytes));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A body of these bytes.
pub fn full(bytes: Bytes) -> SentBody {
    Full::new(bytes)
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// A body of the bytes of a stream.
pub fn streamed<E: Into<BodyError> + 'static>(
    bytes: impl Stream<Item = Result<Bytes, E>> + Send + 'static,
) -> SentBody {
    StreamBody::new(bytes.map_ok(Frame::data).map_err(Into::into)).boxed_unsync()
}

/// Opens connections.
#[derive(Clone)]
struct Connector {
    guard: Arc<Guard>,
    tls: Arc<ClientConfig>,
    trust: Trust,
}

impl Connector {
    async fn connect(self, uri: Uri) -> Result<TokioIo<Io>> {
        let place = Place::of(&uri)?;
        let (host, port) = (place.host.as_str(), place.port);
        let stream = self
            .guard
            .connect((host, port), self.trust, CONNECT)
            .await?;
        if !place.tls {
            return Ok(TokioIo::new(Io(Box::pin(stream))));
        }
        let secured = timeout(CONNECT, secured(stream, host, self.tls)).await;
        let secured = secured.map_err(|_| Error::Timeout)??;
        Ok(TokioIo::new(Io(Box::pin(secured))))
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Io>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<TokioIo<Io>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

trait Duplex: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> Duplex for T {}

/// A connection, encrypted or not.
struct Io(Pin<Box<dyn Duplex>>);

impl Connection for Io {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        self.0.as_mut().poll_read(cx, into)
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.0.as_mut().poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.0.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.0.as_mut().poll_shutdown(cx)
    }
}

impl Error {
    /// Why there is no connection, where an exchange failed at that; else itself.
    pub fn innermost(&self) -> &Self {
        let mut cause = match self {
            Self::Exchange(error) => std::error::Error::source(error),
            _ => return self,
        };
        while let Some(error) = cause {
            if let Some(own) = error.downcast_ref::<Self>() {
                return own;
            }
            cause = error.source();
        }
        self
    }

    /// Why a body that was sent broke off, where it is of a type.
    pub fn sent_body<E: std::error::Error + 'static>(&self) -> Option<&E> {
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            if let Some(found) = error.downcast_ref::<E>() {
                return Some(found);
            }
            cause = error.source();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;
    use crate::{Verification, client_config};

    /// A server that answers every request on a connection the same; its address.
    async fn answering(answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; 4096];
            while stream.read(&mut asked).await.is_ok_and(|read| read > 0) {
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        format!("http://{address}/x")
    }

    fn client(trust: Trust, patience: Duration) -> StreamClient {
        let tls = client_config(Verification::System, None).unwrap();
        StreamClient::new(Arc::default(), tls, trust, patience)
    }

    fn get(uri: &str) -> Request<SentBody> {
        Request::get(uri).body(full(Bytes::new())).unwrap()
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn a_connection_serves_one_request_after_the_other() {
        let client = client(Trust::Trusted, SECOND);
        // Only one connection is ever taken.
        let uri = answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        for _ in 0..3 {
            let answer = client.send(get(&uri)).await.unwrap();
            let body = client.whole(answer.into_body(), 2).await.unwrap();
            assert_eq!(&body[..], b"ok");
        }
        let answer = client.send(get(&uri)).await.unwrap();
        let refused = client.whole(answer.into_body(), 1).await;
        assert!(matches!(refused, Err(Error::TooLarge(1))), "{refused:?}");
    }

    #[tokio::test]
    async fn what_a_request_named_is_guarded_and_says_so() {
        let client = client(Trust::Guarded, SECOND);
        let uri = answering("HTTP/1.1 200 OK\r\n\r\n").await;
        let refused = client.send(get(&uri)).await.unwrap_err();
        assert!(
            matches!(refused.innermost(), Error::Forbidden(_)),
            "{refused:?}"
        );
    }

    #[tokio::test]
    async fn what_stalls_or_breaks_off_is_an_error() {
        let client = client(Trust::Trusted, Duration::from_millis(200));
        let uri = answering("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf").await;
        let answer = client.send(get(&uri)).await.unwrap();
        let stalled = client.whole(answer.into_body(), 100).await;
        assert!(matches!(stalled, Err(Error::Timeout)), "{stalled:?}");
        let uri = answering("").await;
        let silent = client.send(get(&uri)).await;
        assert!(matches!(silent, Err(Error::Timeout)), "{silent:?}");
    }

    /// A client that looks at the pace after 300 ms.
    fn looking_soon() -> StreamClient {
        StreamClient {
            window: Duration::from_millis(300),
            ..client(Trust::Trusted, SECOND)
        }
    }

    #[tokio::test]
    async fn a_trickle_is_an_error_and_waiting_on_this_side_is_none() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}/x", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; 4096];
            assert!(stream.read(&mut asked).await.unwrap() > 0);
            let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";
            stream.write_all(head).await.unwrap();
            while stream.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        let answer = looking_soon().send(get(&uri)).await.unwrap();
        let trickled = looking_soon().whole(answer.into_body(), 1_000).await;
        assert!(matches!(trickled, Err(Error::Slow)), "{trickled:?}");

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}/x", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (mut asked, mut part) = (Vec::new(), [0; 4096]);
            // All of it, before it is answered.
            while !asked.ends_with(b"0\r\n\r\n") {
                let read = stream.read(&mut part).await.unwrap();
                asked.extend_from_slice(&part[..read]);
            }
            let head = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
            stream.write_all(head).await.unwrap();
        });
        let slow = stream::iter(0..8).then(|_| async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            Ok::<_, Error>(Bytes::from_static(b"x"))
        });
        let sent = Request::put(&uri).body(streamed(slow)).unwrap();
        let answer = looking_soon().send(sent).await.unwrap();
        assert_eq!(answer.status(), 200);
    }

    #[test]
    fn too_few_bytes_for_the_waiting_are_noticed() {
        let mut pace = Pace::new(WINDOW);
        assert!(pace.take(WINDOW / 2, 0), "a pause alone is none");
        assert!(pace.take(WINDOW / 2, 60 << 10));
        assert!(pace.take(WINDOW / 2, 0) && !pace.take(WINDOW / 2, (60 << 10) - 1));
    }
}
