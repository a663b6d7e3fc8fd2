//! A small registry that does not do its part: it refuses, breaks off, sends other bytes, or redirects inwards.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crate::harness::Image;

/// What it does to requests for a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It sends half of it, whatever range is asked for, and says that it is all.
    Truncates,
    /// It sends as many other bytes.
    Lies,
    /// It redirects to an address of the cloud's metadata.
    RedirectsInwards,
    /// It answers with this status.
    Answers(u16),
    /// It breaks off in the middle, and sends the rest when that is asked for.
    BreaksOff,
    /// Nothing.
    None,
}

/// Answers instead of its own, by what paths or first lines begin with; the newest counts.
type Said = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// A running one.
pub(super) struct Hostile {
    pub(super) url: String,
    asked: Arc<Mutex<Vec<String>>>,
    said: Said,
}

impl Hostile {
    /// It has one image as `broken/app:v1`.
    pub(super) fn start(image: &Image, fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let url = format!("http://{}", listener.local_addr().expect("it listens"));
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let said = Said::default();
        let served = Arc::new(Served {
            said: said.clone(),
            ..Served::of(image, fault)
        });
        let noted = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (served, noted) = (served.clone(), noted.clone());
                std::thread::spawn(move || served.serve(stream, &noted));
            }
        });
        Self { url, asked, said }
    }

    /// From now on it answers this where a path, or a method and a path, begin so.
    pub(super) fn say(&self, prefix: &str, (status, headers): (u16, &str), body: &str) {
        let answer = answer(status, headers, body.as_bytes());
        let mut said = self.said.lock().expect("no test panics with the lock");
        said.push((prefix.to_owned(), answer));
    }

    /// It answers as itself again.
    pub(super) fn unsay(&self) {
        let mut said = self.said.lock().expect("no test panics with the lock");
        said.clear();
    }

    /// How often something with this in its first line was asked for.
    pub(super) fn asked(&self, part: &str) -> usize {
        let asked = self.asked.lock().expect("no test panics with the lock");
        asked.iter().filter(|line| line.contains(part)).count()
    }
}

struct Served {
    manifest: Vec<u8>,
    digest: String,
    media_type: String,
    blobs: HashMap<String, Vec<u8>>,
    fault: Fault,
    said: Said,
}

impl Served {
    fn of(image: &Image, fault: Fault) -> Self {
        let blobs = image.blobs();
        Self {
            manifest: image.manifest.to_vec(),
            digest: image.digest.clone(),
            media_type: image.media_type.clone(),
            blobs: blobs
                .map(|blob| (blob.digest.clone(), blob.bytes.to_vec()))
                .collect(),
            fault,
            said: Said::default(),
        }
    }

    /// One request, after which the connection ends.
    fn serve(&self, mut stream: TcpStream, noted: &Mutex<Vec<String>>) {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read(&mut byte) {
                Ok(1) => head.push(byte[0]),
                _ => return,
            }
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let first = head.lines().next().unwrap_or_default().to_owned();
        let credentials = head
            .lines()
            .filter(|line| line.to_ascii_lowercase().starts_with("authorization:"))
            .count();
        noted
            .lock()
            .expect("no test panics with the lock")
            .push(format!("{first} with {credentials} credentials"));
        let from = head.lines().find_map(|line| {
            let range = line.to_ascii_lowercase();
            let range = range.strip_prefix("range: bytes=")?.to_owned();
            range.split('-').next()?.parse::<usize>().ok()
        });
        // Whoever is closed upon while they send may not see the answer.
        let length = head.lines().find_map(|line| {
            let line = line.to_ascii_lowercase();
            let length = line.strip_prefix("content-length:")?;
            length.trim().parse::<usize>().ok()
        });
        let mut body = vec![0; length.unwrap_or_default()];
        if stream.read_exact(&mut body).is_err() {
            return;
        }
        let answer = match credentials {
            0 | 1 => self.answer(&first, from),
            // As nginx does, behind which every Harbor is.
            _ => answer(400, "", b"duplicate header line"),
        };
        let _ = stream.write_all(&answer);
        let _ = stream.shutdown(std::net::Shutdown::Both);
    }

    fn answer(&self, first: &str, from: Option<usize>) -> Vec<u8> {
        let path = first.split(' ').nth(1).unwrap_or_default();
        let path = path.split('?').next().unwrap_or_default();
        let is_head = first.starts_with("HEAD ");
        let said = self.said.lock().expect("no test panics with the lock");
        let is_meant = |prefix: &str| path.starts_with(prefix) || first.starts_with(prefix);
        let instead = said.iter().rev().find(|said| is_meant(&said.0));
        if let Some((_, answer)) = instead {
            return answer.clone();
        }
        drop(said);
        if path == "/v2/" {
            return answer(200, "", b"{}");
        }
        if path == "/v2/broken/app/tags/list" {
            return answer(
                200,
                "Content-Type: application/json\r\n",
                br#"{"name":"broken/app","tags":["v1"]}"#,
            );
        }
        if path.starts_with("/v2/broken/app/manifests/v1")
            || path.ends_with(&self.digest) && path.contains("/manifests/")
        {
            let headers = format!(
                "Content-Type: {}\r\nDocker-Content-Digest: {}\r\n",
                self.media_type, self.digest
            );
            return match is_head {
                true => answer(200, &headers, b""),
                false => answer(200, &headers, &self.manifest),
            };
        }
        match path
            .strip_prefix("/v2/broken/app/blobs/")
            .and_then(|digest| self.blobs.get(digest))
        {
            Some(blob) => self.blob(blob, from),
            None => answer(404, "", b""),
        }
    }

    fn blob(&self, blob: &[u8], from: Option<usize>) -> Vec<u8> {
        let half = blob.len() / 2;
        match self.fault {
            Fault::Truncates => answer(200, "", &blob[..half]),
            Fault::Lies => answer(200, "", &vec![b'x'; blob.len()]),
            Fault::RedirectsInwards => {
                answer(307, "Location: http://169.254.169.254/latest/\r\n", b"")
            }
            Fault::Answers(status) => answer(status, "Retry-After: 1\r\n", b""),
            Fault::None => answer(200, "", blob),
            Fault::BreaksOff => match from {
                Some(from) => answer(206, "", &blob[from..]),
                None => {
                    let mut whole = answer(200, "", blob);
                    whole.truncate(whole.len() - (blob.len() - half));
                    whole
                }
            },
        }
    }
}

fn answer(status: u16, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}
