//! The two places where blobs may be, seen from outside Gantry: a folder and a bucket.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::backing::{Backing, SeaweedFs};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backend {
    Files,
    S3,
}

impl Backend {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::S3 => "s3",
        }
    }

    pub(crate) fn other(self) -> Self {
        match self {
            Self::Files => Self::S3,
            Self::S3 => Self::Files,
        }
    }
}

/// Both stores of a walk.
pub(crate) struct Stores {
    pub(crate) folder: PathBuf,
    /// The walk's folder in the bucket.
    pub(crate) prefix: String,
    pub(crate) backing: Arc<Backing>,
}

impl Stores {
    pub(crate) async fn put(&self, backend: Backend, key: &str, bytes: Bytes) {
        match backend {
            Backend::Files => {
                let file = self.folder.join(key);
                fs::create_dir_all(file.parent().expect("a file is in a folder"))
                    .expect("a folder can be made");
                fs::write(file, bytes).expect("a file can be written");
            }
            Backend::S3 => {
                let client = self.backing.bucket().await.client();
                client.put(&self.path(key)).body(bytes).await.expect(200);
            }
        }
    }

    pub(crate) async fn delete(&self, backend: Backend, key: &str) {
        match backend {
            Backend::Files => fs::remove_file(self.folder.join(key)).expect("the file is there"),
            Backend::S3 => {
                let client = self.backing.bucket().await.client();
                client.delete(&self.path(key)).await.expect(204);
            }
        }
    }

    /// All that a store has, by key.
    pub(crate) async fn all(&self, backend: Backend) -> BTreeMap<String, Bytes> {
        match backend {
            Backend::Files => {
                let mut found = BTreeMap::new();
                read_folder(&self.folder, &self.folder, &mut found);
                found
            }
            Backend::S3 => self.all_objects().await,
        }
    }

    async fn all_objects(&self) -> BTreeMap<String, Bytes> {
        let client = self.backing.bucket().await.client();
        let mut found = BTreeMap::new();
        for key in self.listed("list-type=2&max-keys=1000", "Key").await {
            let answer = client.get(&SeaweedFs::path(&key)).await;
            // It may go while all are read.
            if answer.status == 200 {
                let key = key
                    .strip_prefix(&format!("{}/", self.prefix))
                    .unwrap_or(&key);
                found.insert(key.to_owned(), answer.body);
            }
        }
        found
    }

    /// Uploads in parts that are neither completed nor aborted.
    pub(crate) async fn unfinished(&self, backend: Backend) -> Vec<String> {
        match backend {
            Backend::Files => Vec::new(),
            Backend::S3 => self.listed("uploads", "Key").await,
        }
    }

    async fn listed(&self, query: &str, element: &str) -> Vec<String> {
        let client = self.backing.bucket().await.client();
        let path = SeaweedFs::path("");
        let path = format!(
            "{}?{query}&prefix={}/",
            path.trim_end_matches('/'),
            self.prefix
        );
        let list = client.get(&path).await.expect(200).text();
        assert!(
            !list.contains("<IsTruncated>true"),
            "more than a page: {list}"
        );
        let (open, close) = (format!("<{element}>"), format!("</{element}>"));
        let ends = list
            .split(&open)
            .skip(1)
            .filter_map(|rest| rest.split(&close).next());
        ends.map(str::to_owned).collect()
    }

    fn path(&self, key: &str) -> String {
        SeaweedFs::path(&format!("{}/{key}", self.prefix))
    }
}

fn read_folder(root: &Path, folder: &Path, found: &mut BTreeMap<String, Bytes>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            read_folder(root, &path, found);
        } else if let Ok(bytes) = fs::read(&path) {
            let key = path.strip_prefix(root).expect("it is below the root");
            found.insert(key.to_string_lossy().into_owned(), bytes.into());
        }
    }
}
