//! Manifests without a tag.

use gantry_db::untagged;

use super::*;

/// An image with a tag of its own, which names nothing that must be there.
pub(crate) fn payload(seed: &str, subject: Option<&Digest>) -> Vec<u8> {
    let subject = subject.map_or(String::new(), |subject| {
        format!(r#","subject":{{"mediaType":"x","digest":"{subject}","size":1}}"#)
    });
    let config = Digest::of(Algorithm::Sha256, b"{}");
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","config":{{"mediaType":"application/x","digest":"{config}","size":2}},
        "layers":[],"annotations":{{"seed":"{seed}"}}{subject}}}"#,
        model::media_type::OCI_MANIFEST
    )
    .into_bytes()
}

const OBJECT: blob::Object<'_> = blob::Object {
    key: "0/config",
    size: 2,
};

pub(crate) async fn store(
    tx: &mut Tx,
    project: ProjectId,
    name: &RepositoryName,
    (bytes, tag): (&[u8], Option<&str>),
) -> Result<model::ManifestId, Error> {
    let repo = repository::ensure(tx, project, name, NOW).await?;
    let at = place(project, repo, name);
    let config = Digest::of(Algorithm::Sha256, b"{}");
    let row = committed(blob::commit(tx, &config, OBJECT, NOW, NOW).await?);
    blob::link(tx, at, &row, NOW).await?.unwrap();
    let manifest = Manifest::parse(None, bytes).unwrap();
    let found = manifest::find_children(tx, repo, &manifest.children).await?;
    let digest = Digest::of(Algorithm::Sha256, bytes);
    let what = (&manifest, bytes);
    let id = manifest::store(tx, at, new(&digest, what, &found), NOW).await?;
    let id = id.unwrap();
    if let Some(tag) = tag {
        set_tag(tx, at, &tag.parse().unwrap(), id, Onto::Anything).await?;
    }
    Ok(id)
}

#[tokio::test]
async fn what_nothing_keeps_is_found_held_and_forgiven() {
    on_both("untagged", async |db| {
        let (_, project) = team(&db).await;
        let name: RepositoryName = "team/app".parse().unwrap();
        let later = NOW.plus(Duration::from_secs(60));
        db.write(move |tx| {
            Box::pin(async move {
                assert_eq!(untagged::policies(tx).await?, []);
                untagged::set_policy(tx, project, Some(60)).await?;
                assert_eq!(untagged::policies(tx).await?, [(project, 60)]);
                let (tagged, plain) = (payload("tagged", None), payload("plain", None));
                store(tx, project, &name, (&tagged, Some("v1"))).await?;
                let id = store(tx, project, &name, (&plain, None)).await?;
                // A referrer stays with its subject.
                let subject = Digest::of(Algorithm::Sha256, &tagged);
                let referrer = payload("referrer", Some(&subject));
                store(tx, project, &name, (&referrer, None)).await?;
                let repositories = untagged::repositories(tx, project, "", 10).await?;
                let repo = repositories.found[0].0;
                let ids = async |tx: &mut Tx| {
                    let found = untagged::list(tx, repo, &[], 10).await?;
                    let found = found.found.iter();
                    Ok::<_, Error>(found.map(|found| found.id).collect::<Vec<_>>())
                };
                assert_eq!(ids(tx).await?, [id]);
                assert!(!untagged::hold(tx, id, later).await?, "nobody noted it yet");
                untagged::note(tx, &[id], NOW).await?;
                untagged::note(tx, &[id], later).await?;
                assert!(untagged::hold(tx, id, NOW).await?);
                // Pushed again: its time begins anew.
                store(tx, project, &name, (&plain, None)).await?;
                assert!(!untagged::hold(tx, id, later).await?);
                untagged::note(tx, &[id], NOW).await?;
                store(tx, project, &name, (&plain, Some("v2"))).await?;
                assert_eq!(ids(tx).await?, []);
                untagged::set_policy(tx, project, None).await?;
                assert_eq!(untagged::policy(tx, project).await?, None);
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
    })
    .await;
}

/// What nothing keeps, looked for as the job does.
async fn is_due(tx: &mut Tx, id: model::ManifestId) -> Result<bool, Error> {
    untagged::hold(tx, id, NOW.plus(Duration::from_secs(3_600))).await
}

#[tokio::test]
async fn what_is_tagged_between_list_and_note_has_no_time() {
    on_both("noted", async |db| {
        let (_, project) = team(&db).await;
        let name: RepositoryName = "team/app".parse().unwrap();
        db.write(move |tx| {
            Box::pin(async move {
                let plain = payload("plain", None);
                let id = store(tx, project, &name, (&plain, None)).await?;
                let repo = repository::id(tx, project, &name).await?.unwrap();
                let listed = untagged::list(tx, repo, &[], 10).await?;
                assert_eq!(listed.found.len(), 1);
                let at = place(project, repo, &name);
                let tag = "v1".parse().unwrap();
                set_tag(tx, at, &tag, id, Onto::Anything).await?;
                untagged::note(tx, &[id], NOW).await?;
                tag::delete(tx, (repo, &name), &tag, Deletion::Here(NOW)).await?;
                assert!(
                    !is_due(tx, id).await?,
                    "its time begins when it is seen without"
                );
                untagged::note(tx, &[id], NOW).await?;
                assert!(is_due(tx, id).await?);
                // A tag that comes and goes again, by whatever way, begins it anew.
                set_tag(tx, at, &tag, id, Onto::Anything).await?;
                tag::delete(tx, (repo, &name), &tag, Deletion::Here(NOW)).await?;
                assert!(!is_due(tx, id).await?);
                untagged::note(tx, &[id], NOW).await?;
                let digest = Digest::of(Algorithm::Sha256, &plain);
                let held = manifest::hold(tx, repo, &digest).await?.unwrap();
                assert!(set_tag(tx, at, &tag, held.id, Onto::Imported).await?);
                let other = store(tx, project, &name, (&payload("other", None), None)).await?;
                set_tag(tx, at, &tag, other, Onto::Anything).await?;
                assert!(!is_due(tx, id).await?);
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_import_moves_only_tags_that_it_set() {
    on_both("importtag", async |db| {
        let (_, project) = team(&db).await;
        let name: RepositoryName = "team/app".parse().unwrap();
        let moved = db.write(move |tx| {
            Box::pin(async move {
                let mut rows = Vec::new();
                for seed in ["one", "two", "three"] {
                    let bytes = payload(seed, None);
                    store(tx, project, &name, (&bytes, None)).await?;
                    let repo = repository::id(tx, project, &name).await?.unwrap();
                    let digest = Digest::of(Algorithm::Sha256, &bytes);
                    rows.push(manifest::hold(tx, repo, &digest).await?.unwrap());
                }
                let repo = repository::id(tx, project, &name).await?.unwrap();
                let at = place(project, repo, &name);
                let tag = "latest".parse().unwrap();
                let mut moved = Vec::new();
                // Made, seen again, moved in the other registry, seen again.
                for row in [0, 0, 1, 1] {
                    moved.push(set_tag(tx, at, &tag, rows[row].id, Onto::Imported).await?);
                }
                // A push moves it, or sets it anew where it is.
                set_tag(tx, at, &tag, rows[2].id, Onto::Anything).await?;
                moved.push(set_tag(tx, at, &tag, rows[1].id, Onto::Imported).await?);
                moved.push(set_tag(tx, at, &tag, rows[2].id, Onto::Imported).await?);
                set_tag(tx, at, &tag, rows[1].id, Onto::Anything).await?;
                moved.push(set_tag(tx, at, &tag, rows[0].id, Onto::Imported).await?);
                let found = tag::delete(tx, (repo, &name), &tag, Deletion::Here(NOW)).await?;
                assert_eq!(found, Some(rows[1].digest));
                Ok::<_, Error>(moved)
            })
        });
        let moved = moved.await.unwrap();
        assert_eq!(moved, [true, true, true, true, false, true, false]);
    })
    .await;
}
