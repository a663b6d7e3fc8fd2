//! Hand-over: a successor takes the listening sockets of a running process, so that no connection is refused.
//!
//! The successor opens everything, then listens on `hand-over.sock` in the data folder. On SIGQUIT the previous process
//! connects, sends its addresses and sockets in one message, and keeps accepting. The successor answers once it accepts
//! too; only then does the previous process drain. If the successor ends or does not answer, the previous process keeps
//! serving: at least one of them accepts at any time.
//!
//! Pingora's own transfer is not used: it panics on unexpected input, lets every user connect, and ends the old process
//! whether or not there is a successor.

use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::net::sockopt::socket_peercred;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use tokio::net::UnixListener;

/// How long a successor waits for the previous process.
const WAIT: Duration = Duration::from_secs(60);
/// How long the previous process waits for a successor, which may still be opening its database.
pub(crate) const SUCCESSOR: Duration = Duration::from_secs(30);
/// How long the previous process waits for its successor to serve, and the successor for the message.
const ANSWER: Duration = Duration::from_secs(30);
/// Maximum number of sockets in a message.
const SOCKETS: usize = 16;
/// Maximum size of a message, in bytes.
const MESSAGE: usize = 4_096;
/// A successor's message that it serves.
const SERVING: &[u8] = b"serving\n";

/// A listening socket and its address.
pub(crate) type Socket = (SocketAddr, TcpListener);

/// A successor waiting for sockets.
pub(crate) struct Successor {
    listener: UnixListener,
    path: PathBuf,
    /// The path of the socket's file.
    inode: u64,
}

impl Successor {
    /// Starts listening in the data folder. Must be called within a runtime.
    ///
    /// # Errors
    /// If the socket cannot be created.
    pub(crate) fn listen(data: &Path) -> anyhow::Result<Self> {
        let path = socket_path(data)?;
        let failed = || format!("cannot listen on {}", path.display());
        match std::fs::symlink_metadata(&path) {
            Ok(found) if found.file_type().is_socket() => {
                std::fs::remove_file(&path).with_context(failed)?;
            }
            Ok(_) => anyhow::bail!("{} is not a socket: move it away", path.display()),
            Err(_) => {}
        }
        let listener = UnixListener::bind(&path).with_context(failed)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))
            .with_context(failed)?;
        let inode = inode(&path).with_context(failed)?;
        Ok(Self {
            listener,
            path,
            inode,
        })
    }

    /// Waits for the previous process's sockets.
    ///
    /// # Errors
    /// If they do not come.
    pub(crate) async fn receive(self) -> anyhow::Result<(Vec<Socket>, Predecessor)> {
        let accepted = tokio::time::timeout(WAIT, self.listener.accept()).await;
        let accepted = accepted.map_err(|_| {
            anyhow::anyhow!(
                "no process handed its listeners over within {} s: send SIGQUIT to the running gantry",
                WAIT.as_secs()
            )
        })?;
        let (stream, _) = accepted.context("cannot accept the hand-over")?;
        let stream = stream.into_std()?;
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(ANSWER))?;
        check_peer(&stream)?;
        let received = tokio::task::spawn_blocking(move || {
            let sockets = receive(&stream)?;
            anyhow::Ok((sockets, Predecessor(stream)))
        });
        received.await.context("the hand-over was interrupted")?
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        // Another waiting successor may have replaced it with its own.
        if inode(&self.path).is_ok_and(|inode| inode == self.inode) {
            // One that is left over is removed by the next successor.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn inode(path: &Path) -> io::Result<u64> {
    std::fs::symlink_metadata(path).map(|found| found.ino())
}

/// The previous process, which waits until this one serves.
pub(crate) struct Predecessor(UnixStream);

impl Predecessor {
    /// Tells the previous process to drain.
    ///
    /// # Errors
    /// If it is gone.
    pub(crate) fn serving(mut self) -> io::Result<()> {
        self.0.write_all(SERVING)
    }
}

/// Gives sockets to a successor that listens within `patience`, and returns once it serves. Blocks.
///
/// # Errors
/// If there is no successor, or it does not serve: then this process must keep serving.
pub(crate) fn give(data: &Path, sockets: &[Socket], patience: Duration) -> anyhow::Result<()> {
    let mut stream = connect(&socket_path(data)?, patience)?;
    stream.set_read_timeout(Some(ANSWER))?;
    check_peer(&stream)?;
    send(&stream, sockets).context("cannot send the listeners")?;
    let mut answer = [0; SERVING.len()];
    stream
        .read_exact(&mut answer)
        .context("the successor did not begin to serve")?;
    anyhow::ensure!(answer == SERVING, "the successor did not begin to serve");
    Ok(())
}

fn socket_path(data: &Path) -> anyhow::Result<PathBuf> {
    let data = std::path::absolute(data).context("cannot find the data folder")?;
    Ok(data.join("hand-over.sock"))
}

fn connect(path: &Path, patience: Duration) -> anyhow::Result<UnixStream> {
    let begun = Instant::now();
    loop {
        match UnixStream::connect(path) {
            Ok(stream) => return Ok(stream),
            Err(error) if begun.elapsed() > patience => {
                return Err(error)
                    .context("no successor waits: start `gantry serve --take-over` first");
            }
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

/// Sockets are only exchanged with the same user or root.
fn check_peer(stream: &UnixStream) -> anyhow::Result<()> {
    let peer = socket_peercred(stream).context("cannot identify the peer")?;
    let own = rustix::process::geteuid();
    anyhow::ensure!(
        peer.uid == own || peer.uid.is_root(),
        "the peer of the hand-over is a process of user {}",
        peer.uid.as_raw()
    );
    Ok(())
}

fn send(stream: &UnixStream, sockets: &[Socket]) -> io::Result<()> {
    let addresses: Vec<SocketAddr> = sockets.iter().map(|(address, _)| *address).collect();
    let message = serde_json::to_vec(&addresses)?;
    let descriptors: Vec<_> = sockets.iter().map(|(_, socket)| socket.as_fd()).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if message.len() > MESSAGE || !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::Error::other("there are too many listeners"));
    }
    let sent = sendmsg(
        stream,
        &[IoSlice::new(&message)],
        &mut control,
        SendFlags::NOSIGNAL,
    )?;
    if sent == message.len() {
        Ok(())
    } else {
        Err(io::ErrorKind::WriteZero.into())
    }
}

fn receive(stream: &UnixStream) -> anyhow::Result<Vec<Socket>> {
    let mut message = [0; MESSAGE];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(
        stream,
        &mut [IoSliceMut::new(&mut message)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    );
    let received = received.context("the listeners were not received")?.bytes;
    let mut descriptors: Vec<OwnedFd> = Vec::new();
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = part {
            descriptors.extend(rights);
        }
    }
    let addresses: Vec<SocketAddr> =
        serde_json::from_slice(&message[..received]).context("the hand-over is unreadable")?;
    anyhow::ensure!(
        addresses.len() == descriptors.len(),
        "received {} addresses with {} listeners",
        addresses.len(),
        descriptors.len()
    );
    let sockets = descriptors.into_iter().map(TcpListener::from);
    Ok(addresses.into_iter().zip(sockets).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket() -> Socket {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        (socket.local_addr().unwrap(), socket)
    }

    #[tokio::test]
    async fn sockets_arrive_with_their_addresses_and_the_giver_learns_that_they_serve() {
        let folder = tempfile::tempdir().unwrap();
        let successor = Successor::listen(folder.path()).unwrap();
        let given = [socket(), socket()];
        let addresses = given.each_ref().map(|(address, _)| *address);
        let data = folder.path().to_owned();
        let giving = tokio::task::spawn_blocking(move || give(&data, &given, SUCCESSOR));
        let (received, before) = successor.receive().await.unwrap();
        for ((address, socket), sent) in received.iter().zip(addresses) {
            assert_eq!(*address, sent);
            assert_eq!(socket.local_addr().unwrap(), sent);
        }
        assert!(!giving.is_finished());
        before.serving().unwrap();
        giving.await.unwrap().unwrap();
        assert!(!folder.path().join("hand-over.sock").exists());
    }

    #[tokio::test]
    async fn a_successor_that_ends_leaves_the_giver_serving() {
        let folder = tempfile::tempdir().unwrap();
        let successor = Successor::listen(folder.path()).unwrap();
        let data = folder.path().to_owned();
        let giving = tokio::task::spawn_blocking(move || give(&data, &[socket()], SUCCESSOR));
        let (received, before) = successor.receive().await.unwrap();
        assert_eq!(received.len(), 1);
        drop(before);
        let error = giving.await.unwrap().unwrap_err().to_string();
        assert!(error.contains("did not begin to serve"), "{error}");
    }

    #[test]
    fn without_a_successor_nothing_is_given() {
        let folder = tempfile::tempdir().unwrap();
        let error = give(folder.path(), &[socket()], Duration::ZERO)
            .unwrap_err()
            .to_string();
        assert!(error.contains("--take-over"), "{error}");
    }

    #[tokio::test]
    async fn only_a_socket_of_before_is_replaced_and_nobody_else_may_connect() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hand-over.sock");
        std::fs::write(&path, "mine").unwrap();
        assert!(Successor::listen(folder.path()).is_err());
        std::fs::remove_file(&path).unwrap();
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let _successor = Successor::listen(folder.path()).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
