//! The layer between a directory and the LDAP library: TLS, and checks of everything received. The library needs a
//! socket, so it gets one end of a socket pair, and a task forwards checked messages.
//!
//! A connection serves one operation at a time. Each declares which answers it expects; anything else, too many bytes,
//! or silence ends the connection.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use parking_lot::Mutex;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::error::{Error, Result};
use super::message::{self, Kind, Malformed};

/// Maximum bytes of the answer to a search, and to a bind.
const MOST_OF_A_SEARCH: usize = 16 << 20;
const MOST_OF_A_BIND: usize = 1 << 20;
/// Bytes to read at a time.
const CHUNK: usize = 16 << 10;
/// Requests StartTLS (RFC 4511, section 4.14): message 1, an extended request with its name.
const START_TLS: &[u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";

/// A stream to a directory.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// The task that forwards messages of one connection; it ends when this is dropped.
pub(super) struct Wire {
    watch: Arc<Mutex<Watch>>,
    carrier: AbortHandle,
}

/// The expected answer to an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// One result.
    Bound,
    /// Entries, and a result.
    Found,
}

/// What may be received now.
#[derive(Debug, Default)]
struct Watch {
    expected: Option<Expected>,
    /// Bytes that may still be received.
    left: usize,
    /// Why the connection was ended.
    ended: Option<Error>,
}

impl Wire {
    /// Forwards messages between a directory and the returned socket, until either is closed, or nothing is received
    /// for too long.
    ///
    /// # Errors
    /// When there are no more sockets.
    pub(super) fn between(
        stream: Box<dyn Stream>,
        silence: Duration,
    ) -> std::io::Result<(Self, std::os::unix::net::UnixStream)> {
        let (here, there) = UnixStream::pair()?;
        let there = there.into_std()?;
        let watch = Arc::<Mutex<Watch>>::default();
        let carrier = tokio::spawn(carry(stream, here, watch.clone(), silence));
        let carrier = carrier.abort_handle();
        Ok((Self { watch, carrier }, there))
    }

    /// Runs an operation with an expected answer and a time limit.
    ///
    /// # Errors
    /// [`Error::Timeout`]; why the connection was ended meanwhile; errors of the operation.
    pub(super) async fn during<T>(
        &self,
        expected: Expected,
        within: Duration,
        operation: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        self.begin(expected);
        // The library panics on unexpected results, in the calling task.
        let done = timeout(within, AssertUnwindSafe(operation).catch_unwind()).await;
        let ended = self.end();
        match done {
            Err(_) => Err(ended.unwrap_or(Error::Timeout)),
            Ok(Err(_panic)) => Err(malformed(Malformed("the result of an operation is none"))),
            Ok(Ok(Err(error))) => Err(ended.unwrap_or(error)),
            Ok(Ok(done)) => done,
        }
    }

    /// True if it has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.carrier.is_finished()
    }

    fn begin(&self, expected: Expected) {
        let mut watch = self.watch.lock();
        watch.expected = Some(expected);
        watch.left = match expected {
            Expected::Bound => MOST_OF_A_BIND,
            Expected::Found => MOST_OF_A_SEARCH,
        };
    }

    fn end(&self) -> Option<Error> {
        let mut watch = self.watch.lock();
        watch.expected = None;
        watch.left = 0;
        watch.ended.take()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.carrier.abort();
    }
}

impl Watch {
    /// Counts received bytes.
    fn take(&mut self, bytes: usize) -> Result<()> {
        let left = self.left.checked_sub(bytes);
        self.left = left.ok_or(match self.expected {
            Some(_) => Error::Cut("the size of one answer"),
            None => malformed(Malformed("it says what nobody asked for")),
        })?;
        Ok(())
    }

    /// Whether a message may be forwarded.
    fn judge(&self, kind: Kind) -> Result<()> {
        match (kind, self.expected) {
            (Kind::Bound, Some(Expected::Bound)) | (Kind::Found, Some(Expected::Found)) => Ok(()),
            (Kind::Notice, _) => Err(closing()),
            _ => Err(malformed(Malformed("it says what nobody asked for"))),
        }
    }
}

/// Upgrades a connection to TLS, if the directory agrees. Before that it may send exactly one message: everything after
/// it is TLS.
///
/// # Errors
/// [`Error::Tls`], [`Error::Unreachable`], [`Error::Protocol`].
pub(super) async fn start_tls<S: Stream>(stream: &mut S) -> Result<()> {
    let gone = |error| Error::Unreachable(Arc::new(error));
    stream.write_all(START_TLS).await.map_err(gone)?;
    stream.flush().await.map_err(gone)?;
    let mut answer = Vec::new();
    let length = loop {
        if let Some(length) = message::length(&answer).map_err(malformed)? {
            break length;
        }
        answer.push(stream.read_u8().await.map_err(gone)?);
    };
    let read = answer.len();
    answer.resize(length.max(read), 0);
    stream.read_exact(&mut answer[read..]).await.map_err(gone)?;
    match message::check(&mut answer).map_err(malformed)? {
        Kind::Extended => {}
        Kind::Notice => return Err(closing()),
        Kind::Bound | Kind::Found => {
            return Err(malformed(Malformed("it says what nobody asked for")));
        }
    }
    match message::result(&answer).map_err(malformed)? {
        (0, _) => Ok(()),
        (code, text) => Err(Error::Tls(Arc::new(NoTls { code, text }))),
    }
}

/// TLS over a connection, to the given name, which may be an address.
///
/// # Errors
/// [`Error::Tls`].
pub(super) async fn encrypt<S: Stream + 'static>(
    stream: S,
    name: &str,
    config: &Arc<ClientConfig>,
) -> Result<Box<dyn Stream>> {
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(name.to_owned()).map_err(|why| Error::Tls(Arc::new(why)))?;
    let connector = TlsConnector::from(config.clone());
    let stream = connector.connect(name, stream).await;
    Ok(Box::new(stream.map_err(|why| Error::Tls(Arc::new(why)))?))
}

/// The directory does not agree to TLS.
#[derive(Debug, thiserror::Error)]
#[error("the directory does not start TLS: result {code}, {text:?}")]
struct NoTls {
    code: u32,
    text: String,
}

fn malformed(why: Malformed) -> Error {
    Error::Protocol(Arc::new(why))
}

fn closing() -> Error {
    let why = std::io::Error::new(
        std::io::ErrorKind::ConnectionAborted,
        "the directory closes the connection",
    );
    Error::Unreachable(Arc::new(why))
}

/// Forwards until either end closes; why the directory's end was closed is in `watch`.
async fn carry(
    stream: Box<dyn Stream>,
    library: UnixStream,
    watch: Arc<Mutex<Watch>>,
    silence: Duration,
) {
    let (mut from_directory, mut to_directory) = tokio::io::split(stream);
    let (mut from_library, mut to_library) = library.into_split();
    let outward = tokio::io::copy(&mut from_library, &mut to_directory);
    let inward = carry_in(&mut from_directory, &mut to_library, &watch, silence);
    let ended = tokio::select! {
        _ = outward => return,
        ended = inward => ended,
    };
    if let Err(error) = ended {
        let cause = error.chain();
        tracing::debug!(cause, "a connection to the directory is closed");
        watch.lock().ended = Some(error);
    }
}

async fn carry_in(
    directory: &mut (impl AsyncRead + Send + Unpin),
    library: &mut (impl AsyncWrite + Send + Unpin),
    watch: &Mutex<Watch>,
    silence: Duration,
) -> Result<()> {
    let gone = |error| Error::Unreachable(Arc::new(error));
    let mut bytes = Vec::new();
    loop {
        let begun = bytes.len();
        bytes.resize(begun + CHUNK, 0);
        let read = timeout(silence, directory.read(&mut bytes[begun..])).await;
        let read = read.map_err(|_| Error::Timeout)?.map_err(gone)?;
        bytes.truncate(begun + read);
        if read == 0 {
            return Ok(());
        }
        watch.lock().take(read)?;
        let mut at = 0;
        while let Some(length) = message::length(&bytes[at..]).map_err(malformed)? {
            let Some(message) = bytes.get_mut(at..at + length) else {
                break;
            };
            let kind = message::check(message).map_err(malformed)?;
            watch.lock().judge(kind)?;
            library.write_all(message).await.map_err(gone)?;
            at += length;
        }
        bytes.drain(..at);
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{DuplexStream, duplex};

    use super::*;
    use crate::ldap::message::tests::{message, nested, result_of, tag};

    const SECOND: Duration = Duration::from_secs(1);

    /// A wire, the directory's end of it, and the library's.
    fn wire() -> (Wire, DuplexStream, UnixStream) {
        wire_within(10 * SECOND)
    }

    fn wire_within(silence: Duration) -> (Wire, DuplexStream, UnixStream) {
        let (near, far) = duplex(1 << 20);
        let (wire, library) = Wire::between(Box::new(near), silence).unwrap();
        library.set_nonblocking(true).unwrap();
        (wire, far, UnixStream::from_std(library).unwrap())
    }

    /// What the library is given until its connection ends, and why that ended.
    async fn given(expected: Option<Expected>, said: &[&[u8]]) -> (Vec<u8>, Option<Error>) {
        let (wire, mut directory, mut library) = wire();
        if let Some(expected) = expected {
            wire.begin(expected);
        }
        for part in said {
            // It may be closed before the last.
            let _ = directory.write_all(part).await;
        }
        drop(directory);
        let mut given = Vec::new();
        let read = library.read_to_end(&mut given);
        timeout(10 * SECOND, read).await.unwrap().unwrap();
        (given, wire.end())
    }

    #[tokio::test]
    async fn whole_messages_that_were_asked_for_are_carried() {
        let found = message(2, &result_of(0x65, 0, b""));
        let (head, tail) = found.split_at(5);
        let all = [&found[..], &found].concat();
        assert_eq!(
            given(Some(Expected::Found), &[&found, head, tail]).await.0,
            all
        );
        let bound = message(1, &result_of(0x61, 49, b"Ung\xfcltig"));
        let (carried, ended) = given(Some(Expected::Bound), &[&bound]).await;
        assert_eq!(carried.len(), bound.len());
        assert!(ended.is_none(), "{ended:?}");
    }

    #[tokio::test]
    async fn nothing_else_reaches_the_library() {
        let found = message(2, &result_of(0x65, 0, b""));
        let deep = message(2, &tag(0x64, &nested(10_000)));
        let endless = [0x30, 0x84, 0x7f, 0xff, 0xff, 0xff];
        let notice = message(0, &result_of(0x78, 52, b""));
        for (expected, said, why) in [
            (Some(Expected::Found), &deep[..], "32 levels"),
            (Some(Expected::Found), &endless, "1 MiB"),
            (Some(Expected::Found), b"HTTP/1.1 200 OK", "no LDAP"),
            (Some(Expected::Bound), &found, "nobody asked"),
            (None, &found, "nobody asked"),
            (Some(Expected::Found), &notice, "closes the connection"),
        ] {
            let (carried, ended) = given(expected, &[said]).await;
            let ended = ended.map(|error| error.chain()).unwrap_or_default();
            assert!(ended.contains(why), "{why}: {ended}");
            assert_eq!(carried, b"", "{why}");
        }
    }

    #[tokio::test]
    async fn an_answer_has_a_bound_of_bytes() {
        let large = message(2, &tag(0x64, &tag(0x04, &vec![0; 1_000_000])));
        let said = vec![&large[..]; 18];
        let (carried, ended) = {
            let (wire, mut directory, mut library) = wire();
            wire.begin(Expected::Found);
            let reading = tokio::spawn(async move {
                let mut given = Vec::new();
                let _ = library.read_to_end(&mut given).await;
                given.len()
            });
            for part in said {
                let _ = directory.write_all(part).await;
            }
            (reading.await.unwrap(), wire.end())
        };
        assert!(carried <= MOST_OF_A_SEARCH, "{carried}");
        assert!(matches!(ended, Some(Error::Cut(_))), "{ended:?}");
    }

    #[tokio::test]
    async fn silence_ends_a_connection() {
        let (wire, directory, mut library) = wire_within(SECOND / 20);
        let mut byte = [0];
        assert_eq!(library.read(&mut byte).await.unwrap(), 0);
        assert!(matches!(wire.end(), Some(Error::Timeout)));
        drop(directory);
    }

    #[tokio::test]
    async fn a_panic_of_the_library_is_an_error() {
        let (wire, _directory, _library) = wire();
        let panics = async { panic!("matched dn") };
        let done: Result<()> = wire.during(Expected::Bound, SECOND, panics).await;
        assert!(matches!(done, Err(Error::Protocol(_))), "{done:?}");
        let never = std::future::pending();
        let done: Result<()> = wire.during(Expected::Bound, SECOND / 10, never).await;
        assert!(matches!(done, Err(Error::Timeout)), "{done:?}");
    }

    #[tokio::test]
    async fn tls_starts_only_where_the_directory_agrees() {
        let deep = message(1, &tag(0x78, &nested(10_000)));
        for (answer, why) in [
            (message(1, &result_of(0x78, 0, b"")), ""),
            (message(1, &result_of(0x78, 53, b"no")), "result 53"),
            (message(1, &result_of(0x61, 0, b"")), "nobody asked"),
            (deep, "32 levels"),
            (vec![0x30, 0x84, 0x7f, 0xff, 0xff, 0xff], "1 MiB"),
            (b"\x30\x10".to_vec(), "cannot be reached"),
        ] {
            let (mut near, mut far) = duplex(1 << 20);
            far.write_all(&answer).await.unwrap();
            far.shutdown().await.unwrap();
            let started = start_tls(&mut near).await;
            let said = started.map_or_else(|error| error.chain(), |()| String::new());
            assert!(
                said.contains(why) && said.is_empty() == why.is_empty(),
                "{said}"
            );
            let mut asked = Vec::new();
            drop(near);
            far.read_to_end(&mut asked).await.unwrap();
            assert_eq!(asked, START_TLS);
        }
    }
}
