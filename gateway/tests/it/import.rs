//! Taking over what a distribution registry has stored, in place.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Image, Server, eventually, image, index_of, media, sha256};

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

    fn layer(&self, bytes: &[u8]) -> String {
        let digest = self.blob(bytes);
        self.link(&format!("_layers/{}", digest.replace(':', "/")), &digest);
        digest
    }

    fn image(&self, image: &Image, tag: Option<&str>) {
        for blob in image.blobs() {
            self.layer(&blob.bytes);
        }
        self.manifest(&image.manifest, tag);
    }

    /// Puts other bytes where those of a digest belong.
    fn damage(&self, digest: &str, bytes: &[u8]) {
        let hex = digest.trim_start_matches("sha256:");
        self.write(&format!("blobs/sha256/{}/{hex}/data", &hex[..2]), bytes);
    }
}

/// Runs an import; its exit code and what it printed.
async fn import(server: &Server) -> (Option<i32>, String) {
    let ended = server.cli(&["storage", "import"]).await;
    let printed = [ended.stdout, ended.stderr].concat();
    (
        ended.status.code(),
        String::from_utf8_lossy(&printed).into_owned(),
    )
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
    // What it lists and nothing else keeps goes with it.
    let path = format!("/v2/old/app/manifests/{index_digest}");
    admin.delete(&path).await.expect(202);
    eventually(20, "the deleted image's blobs are gone", async || {
        let gone = two.blobs().next().expect("an image has blobs");
        let path = format!("/v2/old/app/blobs/{}", gone.digest);
        (admin.get(&path).await.status == 404).then_some(())
    })
    .await;
    eventually(20, "nothing is left to collect", async || {
        let status = server.cli_prints(&["gc", "status"]).await;
        status.contains("wait to be deleted: 0").then_some(())
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

#[tokio::test]
async fn what_is_damaged_is_named_and_passed_over() {
    let server = Server::start().await;
    let root = server.data().join("blobs");
    let folder = Distribution {
        root: &root,
        repository: "old/app",
    };
    let good = image("import of a good one");
    folder.image(&good, Some("good"));
    let cut = image("import of a truncated layer");
    folder.image(&cut, Some("cut"));
    folder.damage(&cut.layers[0].digest, &cut.layers[0].bytes[..100]);
    let empty = image("import of an empty config");
    folder.image(&empty, Some("empty"));
    folder.damage(&empty.config.digest, b"");
    let longer = image("import of a longer layer");
    folder.image(&longer, Some("longer"));
    let bytes = [&longer.layers[1].bytes[..], b"more"].concat();
    folder.damage(&longer.layers[1].digest, &bytes);
    let altered = image("import of an altered manifest");
    folder.image(&altered, Some("altered"));
    folder.damage(&altered.digest, &good.manifest);
    let huge = sha256(b"no manifest");
    folder.link(
        &format!("_manifests/revisions/{}", huge.replace(':', "/")),
        &huge,
    );
    folder.damage(&huge, &vec![b' '; (4 << 20) + 1]);

    let (code, printed) = import(&server).await;
    assert_eq!(code, Some(1), "{printed}");
    assert!(
        printed.contains("imported 1 repositories, 1 tags, 1 manifests"),
        "{printed}"
    );
    for (digest, reason) in [
        (&cut.layers[0].digest, "it has 100 bytes with digest"),
        (&cut.digest, "it names"),
        (&empty.config.digest, "it has 0 bytes with digest"),
        (&empty.digest, "it names"),
        (&longer.layers[1].digest, "it has 304 bytes with digest"),
        (&longer.digest, "it names"),
        (&altered.digest, "with digest"),
        (&huge, "a manifest has at most 4194304 bytes"),
    ] {
        let line = printed
            .lines()
            .find(|line| line.starts_with(&format!("skipped old/app@{digest}: ")));
        let line = line.unwrap_or_else(|| panic!("{digest} is not named: {printed}"));
        assert!(line.contains(reason), "{reason}: {line}");
    }
    for tag in ["cut", "empty", "longer", "altered"] {
        let line = format!("skipped old/app:{tag}: its manifest was not imported");
        assert!(printed.contains(&line), "{printed}");
    }

    let admin = server.admin();
    let pulled = admin.get("/v2/old/app/manifests/good").await.expect(200);
    assert_eq!(pulled.body, good.manifest);
    for (broken, tag) in [(&cut, "cut"), (&empty, "empty"), (&longer, "longer")] {
        let path = format!("/v2/old/app/manifests/{tag}");
        admin.get(&path).await.expect(404);
        // What a client does then brings everything back.
        admin.push_image("old/app", tag, broken).await;
        assert_eq!(admin.get(&path).await.expect(200).body, broken.manifest);
        for blob in broken.blobs() {
            let path = format!("/v2/old/app/blobs/{}", blob.digest);
            let pulled = admin.get(&path).await.expect(200);
            assert_eq!(pulled.body, blob.bytes, "{tag}");
        }
    }
    server.cli_prints(&["storage", "check", "--rehash"]).await;
    server.cli_prints(&["storage", "usage"]).await;
}

#[tokio::test]
async fn a_later_import_follows_the_other_registry_but_leaves_what_was_pushed_here() {
    let server = Server::start().await;
    let root = server.data().join("blobs");
    let folder = Distribution {
        root: &root,
        repository: "old/app",
    };
    let (old, next, pushed) = (image("old one"), image("next one"), image("pushed one"));
    folder.image(&old, Some("latest"));
    folder.image(&old, Some("follows"));
    let (code, printed) = import(&server).await;
    assert_eq!(code, Some(0), "{printed}");
    let admin = server.admin();
    admin.push_image("old/app", "latest", &pushed).await;
    folder.image(&next, Some("latest"));
    folder.image(&next, Some("follows"));
    for _ in 0..2 {
        let (code, printed) = import(&server).await;
        assert_eq!(code, Some(0), "nothing is wrong: {printed}");
        let line = "skipped old/app:latest: it was pushed here, and stays where it points";
        assert!(printed.contains(line), "{printed}");
        assert!(!printed.contains("skipped old/app:follows"), "{printed}");
        for (tag, expected) in [("latest", &pushed), ("follows", &next)] {
            let path = format!("/v2/old/app/manifests/{tag}");
            let pulled = admin.get(&path).await.expect(200);
            assert_eq!(pulled.digest(), expected.digest, "{tag}");
        }
    }
}

#[tokio::test]
async fn a_later_import_leaves_what_a_rule_keeps_and_tells_of_each_tag_that_it_sets() {
    let server = Server::start().await;
    let root = server.data().join("blobs");
    let folder = Distribution {
        root: &root,
        repository: "old/app",
    };
    let (old, next) = (image("old kept"), image("next kept"));
    folder.image(&old, Some("v1"));
    folder.image(&old, Some("latest"));
    assert_eq!(import(&server).await.0, Some(0));
    let rule = ["rule", "create", "old", "--tags", "v*"];
    server.cli_prints(&rule).await;
    folder.image(&next, Some("v1"));
    folder.image(&next, Some("latest"));
    let (code, printed) = import(&server).await;
    assert_eq!(code, Some(0), "nothing is wrong: {printed}");
    let line = "skipped old/app:v1: a rule makes it immutable, and it stays where it points";
    assert!(printed.contains(line), "{printed}");
    let admin = server.admin();
    for (tag, expected) in [("v1", &old), ("latest", &next)] {
        let pulled = admin.get(&format!("/v2/old/app/manifests/{tag}")).await;
        assert_eq!(pulled.expect(200).digest(), expected.digest, "{tag}");
    }
    let list = ["audit", "list", "--repository", "old/app"];
    let entries = server.cli_prints(&list).await;
    let imported = entries.lines().filter(|line| line.contains("imported"));
    assert_eq!(imported.count(), 3, "{entries}");
}

#[tokio::test]
async fn an_import_takes_the_mark_of_a_lost_blob_away_only_when_its_bytes_are_right() {
    let server = Server::start().await;
    server.may_complain();
    let root = server.data().join("blobs");
    let folder = Distribution {
        root: &root,
        repository: "old/app",
    };
    let image = image("import of one that is damaged later");
    folder.image(&image, Some("v1"));
    let (code, printed) = import(&server).await;
    assert_eq!(code, Some(0), "{printed}");
    let layer = &image.layers[0];
    let mut damaged = layer.bytes.to_vec();
    damaged[10] ^= 1;
    folder.damage(&layer.digest, &damaged);
    let checked = server.cli(&["storage", "check", "--rehash"]).await;
    assert_eq!(checked.status.code(), Some(1));
    let admin = server.admin();
    let path = format!("/v2/old/app/blobs/{}", layer.digest);
    for _ in 0..2 {
        eventually(5, "it is missing", async || {
            (admin.get(&path).await.status == 404).then_some(())
        })
        .await;
        let (code, printed) = import(&server).await;
        assert_eq!(code, Some(1), "{printed}");
        let line = format!("skipped old/app@{}: it has {}", layer.digest, damaged.len());
        assert!(printed.contains(&line), "{printed}");
    }
    folder.damage(&layer.digest, &layer.bytes);
    let (code, printed) = import(&server).await;
    assert_eq!(code, Some(0), "{printed}");
    eventually(5, "it is there again", async || {
        let pulled = admin.get(&path).await;
        (pulled.status == 200 && pulled.body == layer.bytes).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_image_that_states_wrong_sizes_is_imported_with_a_warning() {
    let server = Server::start().await;
    let root = server.data().join("blobs");
    let folder = Distribution {
        root: &root,
        repository: "old/sizes",
    };
    let image = image("import of wrong sizes");
    folder.image(&image, None);
    let mut manifest: Value = serde_json::from_slice(&image.manifest).expect("it is JSON");
    manifest["layers"][0]["size"] = 7.into();
    let wrong = manifest.to_string();
    let digest = folder.manifest(wrong.as_bytes(), Some("wrong"));
    // Distribution itself never writes one: its descriptors of children are right, or nobody can pull them.
    let (_, index) = index_of(&[&image]);
    let size = format!("\"size\":{}", image.manifest.len());
    let index = String::from_utf8_lossy(&index).replace(&size, "\"size\":1");
    folder.manifest(index.as_bytes(), Some("index"));
    for _ in 0..2 {
        let (code, printed) = import(&server).await;
        assert_eq!(code, Some(0), "{printed}");
        let layer = &image.layers[0];
        let warning = format!(
            "old/sizes@{digest}: layers[0] states 7 bytes for {}, which has {}",
            layer.digest,
            layer.bytes.len()
        );
        assert!(printed.contains(&warning), "{printed}");
        assert!(printed.contains("manifests[0] states 1 bytes"), "{printed}");
    }
    let admin = server.admin();
    let pulled = admin.get("/v2/old/sizes/manifests/wrong").await.expect(200);
    assert_eq!(pulled.body, wrong);
    // It is here, so it may be tagged; a new one like it may not come.
    let tagged = admin.push_manifest("old/sizes", "again", media::OCI_MANIFEST, wrong.clone());
    tagged.await.expect(201);
    let new = wrong.replace(":7}", ":8}").replace(":7,", ":8,");
    assert_ne!(new, wrong);
    let refused = admin.push_manifest("old/sizes", "new", media::OCI_MANIFEST, new);
    refused.await.expect_error(400, "MANIFEST_INVALID");
    server.cli_prints(&["storage", "check", "--rehash"]).await;
}

#[tokio::test]
async fn null_lists_and_foreign_layers_are_imported() {
    let server = Server::start().await;
    let root = server.data().join("blobs");
    let folder = Distribution {
        root: &root,
        repository: "old/odd",
    };
    let config = folder.layer(b"{\"odd\":1}");
    let config = json!({ "mediaType": media::OCI_CONFIG, "digest": config, "size": 9 });
    let null = json!({ "schemaVersion": 2, "mediaType": media::OCI_MANIFEST, "config": config, "layers": null });
    folder.manifest(null.to_string().as_bytes(), Some("null"));
    folder.manifest(br#"{"schemaVersion":2,"manifests":null}"#, Some("index"));
    let (here, far) = (
        folder.layer(b"foreign and here"),
        sha256(b"foreign and far"),
    );
    let layer = |digest: &str, size: usize| {
        json!({ "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
            "digest": digest, "size": size, "urls": ["https://far.example/layer"] })
    };
    let foreign = json!({ "schemaVersion": 2, "mediaType": media::DOCKER_MANIFEST, "config": config,
        "layers": [layer(&here, 16), layer(&far, 15)] });
    folder.manifest(foreign.to_string().as_bytes(), Some("foreign"));
    let loose = folder.layer(b"named by nothing");
    let (code, printed) = import(&server).await;
    assert_eq!(code, Some(0), "{printed}");
    assert!(
        printed.contains("imported 1 repositories, 3 tags, 3 manifests, 2 blobs"),
        "{printed}"
    );
    let admin = server.admin();
    for tag in ["null", "index", "foreign"] {
        let path = format!("/v2/old/odd/manifests/{tag}");
        admin.get(&path).await.expect(200);
    }
    let path = format!("/v2/old/odd/blobs/{here}");
    admin.delete(&path).await.expect_error(405, "UNSUPPORTED");
    let path = format!("/v2/old/odd/blobs/{loose}");
    admin.head(&path).await.expect(404);
}

#[tokio::test]
async fn a_root_without_a_registry_is_an_error() {
    let server = Server::start().await;
    let ended = server.cli(&["storage", "import", "--root", "nope"]).await;
    let printed = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(1), "{printed}");
    assert!(
        printed.contains("there is no registry at \"nope\""),
        "{printed}"
    );
}

#[tokio::test]
async fn a_project_leaves_the_same_event_by_rest_command_line_first_start_and_import() {
    let server = Server::start().await;
    let body = json!({ "project_name": "by-rest", "metadata": { "public": "false" } });
    let made = server.admin().post("/api/v2.0/projects").json(&body).await;
    made.expect(201);
    server
        .cli_prints(&["project", "create", "by-command"])
        .await;
    let root = server.data().join("blobs");
    let folder = Distribution {
        root: &root,
        repository: "by-import/app",
    };
    folder.image(&image("of a project that an import makes"), Some("v1"));
    server.cli_prints(&["storage", "import"]).await;

    let exported = server.cli_prints(&["audit", "export"]).await;
    let entries = exported.lines().map(|line| {
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"))
    });
    let created = entries.filter(|entry| {
        entry["operation"] == "create"
            && entry["resource_type"] == "project"
            && entry["success"] == json!(true)
            && entry["times"] == 1
            && entry["project_id"].is_i64()
    });
    let mut created: Vec<String> = created
        .map(|entry| {
            ["resource", "principal_name", "detail"]
                .map(|field| entry[field].as_str().unwrap_or("?").to_owned())
                .join(", ")
        })
        .collect();
    created.sort_unstable();
    let expected = [
        "by-command, command line, public=false",
        "by-import, command line, public=false",
        "by-rest, admin, public=false",
        "library, first start, public=true",
    ];
    assert_eq!(created, expected);
}
