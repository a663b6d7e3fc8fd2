//! Taking over what a distribution registry has stored, in place.

use std::fs;
use std::path::Path;

use crate::harness::{Image, Server, eventually, image, index_of, sha256};

/// Writes what a distribution registry keeps of a repository.
struct Distribution<'a> {
    root: &'a Path,
    repository: &'a str,
}

impl Distribution<'_> {
    fn write(&self, path: &str, bytes: &[u8]) {
        let file = self.root.join("docker/registry/v2").join(path);
        fs::create_dir_all(file.parent().expect("a file is in a folder")).expect("it can be made");
        fs::write(file, bytes).expect("the file can be written");
    }

    fn blob(&self, bytes: &[u8]) -> String {
        let digest = sha256(bytes);
        let hex = digest.trim_start_matches("sha256:");
        self.write(&format!("blobs/sha256/{}/{hex}/data", &hex[..2]), bytes);
        digest
    }

    fn link(&self, path: &str, digest: &str) {
        let path = format!("repositories/{}/{path}/link", self.repository);
        self.write(&path, digest.as_bytes());
    }

    fn manifest(&self, bytes: &[u8], tag: Option<&str>) -> String {
        let digest = self.blob(bytes);
        let place = digest.replace(':', "/");
        self.link(&format!("_manifests/revisions/{place}"), &digest);
        if let Some(tag) = tag {
            self.link(&format!("_manifests/tags/{tag}/current"), &digest);
            self.link(&format!("_manifests/tags/{tag}/index/{place}"), &digest);
        }
        digest
    }

    fn image(&self, image: &Image, tag: Option<&str>) {
        for blob in image.blobs() {
            let digest = self.blob(&blob.bytes);
            self.link(&format!("_layers/{}", digest.replace(':', "/")), &digest);
        }
        self.manifest(&image.manifest, tag);
    }
}

/// Files of the other registry.
fn theirs(server: &Server) -> usize {
    let mut folders = vec![server.data().join("blobs/docker")];
    let mut count = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("the folder can be read") {
            let path = entry.expect("the folder can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                count += 1;
            }
        }
    }
    count
}

#[tokio::test]
async fn a_distribution_folder_is_imported_in_place_and_stays_as_it_is() {
    let impatient = [("GANTRY_GC__GRACE_SECS", "1")];
    let server = Server::with(&impatient).await;
    let (one, two) = (image("imported one"), image("imported two"));
    let (index_digest, index) = index_of(&[&one, &two]);
    let root = server.data().join("blobs");
    let folder = Distribution {
        root: &root,
        repository: "old/app",
    };
    folder.image(&one, Some("v1"));
    folder.image(&two, None);
    folder.manifest(&index, Some("both"));
    let flat = Distribution {
        root: &root,
        repository: "flat",
    };
    flat.image(&one, Some("latest"));
    let before = theirs(&server);
    let import = ["storage", "import", "--project", "library"];
    for _ in 0..2 {
        let imported = server.cli_with(&import, &impatient).await;
        let said = String::from_utf8_lossy(&imported.stdout).into_owned();
        let summary = "imported 2 repositories, 3 tags, 4 manifests, 9 blobs";
        assert!(
            imported.status.success() && said.contains(summary),
            "{said}"
        );
    }
    let admin = server.admin();
    for (repository, tag, digest) in [
        ("old/app", "v1", &one.digest),
        ("old/app", "both", &index_digest),
        ("library/flat", "latest", &one.digest),
    ] {
        let path = format!("/v2/{repository}/manifests/{tag}");
        let pulled = admin.get(&path).await.expect(200);
        assert_eq!(
            (pulled.digest(), &sha256(&pulled.body)),
            (&**digest, digest)
        );
    }
    for blob in one.blobs().chain(two.blobs()) {
        let path = format!("/v2/old/app/blobs/{}", blob.digest);
        let pulled = admin.get(&path).await.expect(200);
        assert_eq!(pulled.body, blob.bytes);
    }
    server.cli_prints(&["storage", "check", "--rehash"]).await;
    server.cli_prints(&["storage", "usage"]).await;
    for digest in [&index_digest, &two.digest] {
        let path = format!("/v2/old/app/manifests/{digest}");
        admin.delete(&path).await.expect(202);
    }
    eventually(20, "the deleted image's blobs are gone", async || {
        let gone = two.blobs().next().expect("an image has blobs");
        let path = format!("/v2/old/app/blobs/{}", gone.digest);
        (admin.get(&path).await.status == 404).then_some(())
    })
    .await;
    eventually(20, "nothing is left to collect", async || {
        let status = server.cli_prints(&["gc", "status"]).await;
        status.contains("still stored: 0").then_some(())
    })
    .await;
    assert_eq!(theirs(&server), before, "the old registry serves on");
    server.cli_prints(&["storage", "adopt"]).await;
    let path = format!("/v2/old/app/manifests/{}", one.digest);
    admin.delete(&path).await.expect(202);
    let path = format!("/v2/library/flat/manifests/{}", one.digest);
    admin.delete(&path).await.expect(202);
    eventually(20, "adopted objects are collected", async || {
        (theirs(&server) == before - one.blobs().count()).then_some(())
    })
    .await;
}
