//! One file of an archive in the store, read as a stream: only the bytes of the file are kept.

use std::io::{self, Read};

use bytes::{Buf as _, Bytes};
use db::artifact::Layer;
use flate2::read::GzDecoder;
use futures_util::StreamExt as _;
use storage::Chunks;
use tokio::sync::mpsc;

use crate::{Error, Registry, Result};

/// Maximum size of an archive as stored, in bytes.
const LARGEST_ARCHIVE: u64 = 20 << 20;
/// Maximum unpacked size, in bytes.
const LARGEST_CONTENT: u64 = 64 << 20;
/// Maximum size of the file, in bytes.
const LARGEST_FILE: u64 = 1 << 20;
/// Maximum entries of an archive to read.
const ENTRIES: usize = 10_000;
/// Chunks from the store that wait to be unpacked.
const WAITING: usize = 4;

/// How a file is contained in a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    /// It is the blob.
    Plain,
    /// In a tar archive.
    Tar,
    /// In a tar archive compressed with gzip.
    TarGzip,
}

impl Registry {
    /// The file with one of the given lower-case names in a layer: at the top of the archive, or in its only folder.
    pub(super) async fn file(
        &self,
        layer: &Layer,
        packing: Packing,
        (addition, names): (&'static str, &[&str]),
    ) -> Result<Bytes> {
        let broken = |why: String| Error::AdditionBroken(addition, why);
        if layer.size > LARGEST_ARCHIVE {
            let why = format!("its layer has more than {LARGEST_ARCHIVE} bytes");
            return Err(broken(why));
        }
        let chunks = self.store.read(&layer.key, 0..layer.size).await?;
        let (sender, receiver) = mpsc::channel(WAITING);
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let unpack = tokio::task::spawn_blocking(move || {
            let bytes = Received {
                chunks: receiver,
                current: Bytes::new(),
            };
            find(bytes, packing, &names)
        });
        let ((), found) = tokio::join!(send(chunks, sender), unpack);
        let found = found.map_err(|error| Error::Interrupted("unpack a layer", error))?;
        let found = found.map_err(|error| broken(error.to_string()))?;
        found.ok_or(Error::AdditionUnknown(addition))
    }
}

async fn send(mut chunks: Chunks, to: mpsc::Sender<io::Result<Bytes>>) {
    while let Some(chunk) = chunks.next().await {
        // The unpacking thread has found the file, or given up.
        if to.send(chunk.map_err(io::Error::other)).await.is_err() {
            break;
        }
    }
}

/// Bytes read from the store, for a thread that may block.
struct Received {
    chunks: mpsc::Receiver<io::Result<Bytes>>,
    current: Bytes,
}

impl Read for Received {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.chunks.blocking_recv() {
                Some(chunk) => self.current = chunk?,
                None => return Ok(0),
            }
        }
        let count = into.len().min(self.current.len());
        self.current.copy_to_slice(&mut into[..count]);
        Ok(count)
    }
}

fn find(bytes: impl Read, packing: Packing, names: &[String]) -> io::Result<Option<Bytes>> {
    match packing {
        Packing::Plain => whole(bytes).map(Some),
        Packing::Tar => in_archive(bytes, names),
        Packing::TarGzip => in_archive(GzDecoder::new(bytes).take(LARGEST_CONTENT), names),
    }
}

/// Extensions of the format, which hold names of any length, count as ordinary entries here.
fn in_archive(bytes: impl Read, names: &[String]) -> io::Result<Option<Bytes>> {
    let mut archive = tar::Archive::new(bytes);
    for entry in archive.entries()?.raw(true).take(ENTRIES) {
        let entry = entry?;
        let is_it = entry.header().entry_type().is_file() && has_name(&entry.path_bytes(), names);
        if is_it {
            return whole(entry).map(Some);
        }
    }
    Ok(None)
}

fn has_name(path: &[u8], names: &[String]) -> bool {
    let path = String::from_utf8_lossy(path).to_lowercase();
    let parts: Vec<&str> = path
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .collect();
    let ([name] | [_, name]) = parts[..] else {
        return false;
    };
    names.iter().any(|wanted| wanted == name)
}

fn whole(bytes: impl Read) -> io::Result<Bytes> {
    let mut file = Vec::new();
    bytes.take(LARGEST_FILE + 1).read_to_end(&mut file)?;
    if file.len() as u64 > LARGEST_FILE {
        let why = format!("it has more than {LARGEST_FILE} bytes");
        return Err(io::Error::other(why));
    }
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;

    fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (path, content) in files {
            let mut header = tar::Header::new_ustar();
            header.set_size(content.len() as u64);
            header.set_cksum();
            archive.append_data(&mut header, path, *content).unwrap();
        }
        archive.into_inner().unwrap().finish().unwrap()
    }

    fn found(bytes: &[u8], name: &str) -> io::Result<Option<Bytes>> {
        find(bytes, Packing::TarGzip, &[name.to_owned()])
    }

    #[test]
    fn a_file_is_found_at_the_top_and_in_the_charts_folder_alone() {
        let bytes = archive(&[
            ("nginx/charts/redis/values.yaml", b"inner"),
            ("nginx/values.yaml", b"a: 1"),
            ("nginx/README.md", b"# nginx"),
        ]);
        assert_eq!(found(&bytes, "values.yaml").unwrap().unwrap(), "a: 1");
        assert_eq!(found(&bytes, "readme.md").unwrap().unwrap(), "# nginx");
        assert_eq!(found(&bytes, "license").unwrap(), None);
    }

    #[test]
    fn what_is_too_large_is_refused_or_not_reached() {
        let large = vec![b'x'; LARGEST_FILE as usize + 1];
        let bytes = archive(&[("nginx/values.yaml", &large)]);
        assert!(found(&bytes, "values.yaml").is_err());
        let bomb = vec![0; LARGEST_CONTENT as usize];
        let bytes = archive(&[("nginx/bomb", &bomb), ("nginx/values.yaml", b"a: 1")]);
        assert!(bytes.len() < 1 << 20);
        assert!(!matches!(found(&bytes, "values.yaml"), Ok(Some(_))));
    }

    #[test]
    fn what_is_no_archive_is_an_error() {
        assert!(found(b"no archive at all", "values.yaml").is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
            for packing in [Packing::Plain, Packing::Tar, Packing::TarGzip] {
                let _ = find(&*bytes, packing, &["a".to_owned()]);
            }
        }
    }
}
