//! A server that dies in the middle of a large blob: the next process goes on from the last chunk.

use serde_json::json;

use super::site::{add, digest, ended, gantry, log, policy, push, site, start, tasks};
use crate::harness::{Blob, Image, eventually, media, noise};

/// Bytes of the layer: four chunks.
const LARGE: usize = 128 << 20;
/// Bytes of a chunk.
const CHUNK: u64 = 32 << 20;

#[tokio::test]
async fn another_process_goes_on_from_the_last_chunk() {
    let (here, there) = (site().await, site().await);
    let project = here.private_project().await;
    let repository = project.repository("app");
    let layer = Blob::new(noise("resumed", LARGE));
    here.admin()
        .push_blob(&repository, layer.bytes.clone())
        .await;
    let mut app = Image::build("resumed", json!({}));
    for blob in app.blobs() {
        here.admin()
            .push_blob(&repository, blob.bytes.clone())
            .await;
    }
    let mut manifest: serde_json::Value =
        serde_json::from_slice(&app.manifest).expect("it is JSON");
    let layers = manifest["layers"].as_array_mut().expect("a list");
    layers.push(layer.descriptor(media::OCI_LAYER));
    app.manifest = manifest.to_string().into();
    let pushed = here
        .admin()
        .push_manifest(&repository, "v1", media::OCI_MANIFEST, app.manifest.clone())
        .await;
    let expected = pushed.expect(201).digest().to_owned();
    let to = add(&here, &gantry(&there, "other")).await;
    let mut wanted = push("out", to, &repository);
    wanted["copy_by_chunk"] = json!(true);
    // 16 MiB a second: eight seconds.
    wanted["speed"] = json!(131_072);
    let out = policy(&here, &wanted).await;
    let execution = start(&here, out).await;
    eventually(60, "a chunk is there", async || {
        let open = there.metric("gantry_uploads_open").await;
        (open >= 1.0).then_some(())
    })
    .await;
    tokio::time::sleep(std::time::Duration::from_secs(4)).await;
    here.kill();
    here.restart().await;
    let shown = ended(&here, execution).await;
    assert_eq!(shown["status"], "Succeed", "{shown:#}");
    assert_eq!(digest(&there, &repository, "v1").await, Some(expected));
    let text = log(&here, &tasks(&here, execution).await[0]).await;
    let at = text
        .split("goes on at byte ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next())
        .and_then(|at| at.parse::<u64>().ok());
    let at = at.unwrap_or_else(|| panic!("it began anew:\n{text}"));
    // What had come of the next chunk counts too.
    assert!((CHUNK..LARGE as u64).contains(&at), "{at}");
}
