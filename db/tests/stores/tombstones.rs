//! Deleted manifests that are not purged yet, and what is pushed meanwhile.

use gantry_db::{tombstone, untagged};
use model::media_type::{OCI_INDEX, OCI_MANIFEST};
use model::{ImmutableRule, ImmutableRuleId, ManifestId, Reference, Tag};

use super::deletion::{purge_all, when};
use super::untagged_manifests::{payload, store};
use super::*;

fn app() -> RepositoryName {
    "team/app".parse().unwrap()
}

fn digest(bytes: &[u8]) -> Digest {
    Digest::of(Algorithm::Sha256, bytes)
}

fn index(child: &[u8]) -> Vec<u8> {
    let (digest, size) = (digest(child), child.len());
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[{{"mediaType":"{OCI_MANIFEST}","digest":"{digest}","size":{size}}}]}}"#
    )
    .into_bytes()
}

fn referrer(seed: &str, subject: &[u8]) -> Vec<u8> {
    payload(seed, Some(&digest(subject)))
}

/// Pushes a manifest; its row.
async fn push(
    tx: &mut Tx,
    project: ProjectId,
    bytes: &[u8],
    tag: Option<&str>,
) -> Result<ManifestId, Error> {
    let id = store(tx, project, &app(), (bytes, tag)).await?;
    let repo = repository::id(tx, project, &app()).await?.unwrap();
    repository::publish(tx, repo, NOW).await?;
    Ok(id)
}

/// Deletes a manifest, and removes so many rows of what hangs on it.
async fn delete(tx: &mut Tx, project: ProjectId, bytes: &[u8], rows: i64) -> Result<(), Error> {
    let repo = repository::id(tx, project, &app()).await?.unwrap();
    let going = manifest::hold(tx, repo, &digest(bytes)).await?.unwrap();
    let name = app();
    manifest::delete(tx, place(project, repo, &name), going.id, when(NOW), rows).await
}

/// Purges everything, a row at a time; usage is right before and after.
async fn purge(tx: &mut Tx, project: ProjectId) -> Result<(), Error> {
    let name = app();
    let repo = repository::id(tx, project, &name).await?.unwrap();
    usage_is_exact(tx, project).await?;
    purge_all(tx, place(project, repo, &name), 1).await?;
    usage_is_exact(tx, project).await
}

async fn usage_is_exact(tx: &mut Tx, project: ProjectId) -> Result<(), Error> {
    let counted = project::stored_bytes(tx, project).await?;
    assert_eq!(quota::used(tx, project).await?, counted);
    Ok(())
}

async fn row(tx: &mut Tx, project: ProjectId, bytes: &[u8]) -> Result<Option<ManifestId>, Error> {
    let repo = repository::id(tx, project, &app()).await?.unwrap();
    manifest::id(tx, repo, &digest(bytes)).await
}

/// What a tag or a digest finds, as it is pulled.
async fn found(db: &Db, project: ProjectId, reference: &str) -> Option<Digest> {
    let reference = match reference.parse() {
        Ok(digest) => Reference::Digest(digest),
        Err(_) => Reference::Tag(reference.parse().unwrap()),
    };
    let found = manifest::find(db, project, &app(), &reference)
        .await
        .unwrap();
    found.map(|found| found.digest)
}

/// Runs a test in a transaction on both databases.
async fn within<F>(name: &str, test: F)
where
    F: for<'t> Fn(&'t mut Tx, ProjectId) -> futures_util::future::BoxFuture<'t, Result<(), Error>>
        + Send
        + Sync
        + Copy
        + 'static,
{
    on_both(name, async |db| {
        let (_, project) = team(&db).await;
        let done = db.write(move |tx| test(tx, project));
        done.await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn nothing_of_a_deleted_manifest_is_found_before_it_is_purged() {
    on_both("tomb_found", async |db| {
        let (_, project) = team(&db).await;
        let subject = payload("subject", None);
        let bytes = referrer("gone", &subject);
        let pushed = bytes.clone();
        db.write(move |tx| {
            Box::pin(async move {
                push(tx, project, &subject, None).await?;
                push(tx, project, &pushed, Some("v1")).await?;
                push(tx, project, &payload("listed", None), Some("v2")).await?;
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
        let by_digest = digest(&bytes).to_string();
        assert_eq!(found(&db, project, "v1").await, Some(digest(&bytes)));
        assert_eq!(found(&db, project, &by_digest).await, Some(digest(&bytes)));
        db.write(move |tx| {
            Box::pin(async move {
                delete(tx, project, &bytes, 0).await?;
                delete(tx, project, &payload("listed", None), 0).await?;
                let repo = repository::id(tx, project, &app()).await?.unwrap();
                let again = manifest::hold(tx, repo, &digest(&bytes)).await?;
                assert_eq!(again, None, "it is deleted once");
                assert_eq!(tag::list(tx, (project, &app()), None, 10).await?, [""; 0]);
                let all = repository::Visible::Everything;
                assert_eq!(repository::catalog(tx, all, None, 10).await?, [""; 0]);
                let subject = digest(&payload("subject", None));
                let page =
                    manifest::referrers(tx, (project, &app()), &subject, None, (0, 10)).await?;
                assert_eq!((page.descriptors.len(), page.total), (0, 0));
                let index = Manifest::parse(None, &index(&bytes)).unwrap();
                let children = manifest::find_children(tx, repo, &index.children).await?;
                assert_eq!(children, [manifest::Found::Missing]);
                let untagged = untagged::list(tx, repo, &[], 10).await?.found;
                assert_eq!(untagged.len(), 1, "the subject");
                let v1 = "v1".parse().unwrap();
                assert_eq!(
                    tag::delete(tx, (repo, &app()), &v1, Deletion::Here(NOW)).await?,
                    None
                );
                usage_is_exact(tx, project).await
            })
        })
        .await
        .unwrap();
        let shown = repository::by_name(&mut db.reader().await.unwrap(), project, &app()).await;
        assert_eq!(shown.unwrap().unwrap().artifacts, 1, "the subject");
        for reference in ["v1", "v2", &by_digest] {
            assert_eq!(found(&db, project, reference).await, None, "{reference}");
        }
        db.write(move |tx| {
            Box::pin(async move {
                delete(tx, project, &payload("subject", None), 0).await?;
                assert!(!project::holds_artifacts(tx, project).await?);
                purge(tx, project).await
            })
        })
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
async fn what_is_pushed_again_before_the_purge_is_new_and_stays() {
    on_both("tomb_again", async |db| {
        let (_, project) = team(&db).await;
        let bytes = payload("image", None);
        let by_digest = digest(&bytes);
        db.write(move |tx| {
            Box::pin(async move {
                for tag in ["v1", "v2", "v3"] {
                    push(tx, project, &payload("image", None), Some(tag)).await?;
                }
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
        assert_eq!(found(&db, project, "v1").await, Some(by_digest));
        db.write(move |tx| {
            Box::pin(async move { delete(tx, project, &payload("image", None), 1).await })
        })
        .await
        .unwrap();
        db.write(move |tx| {
            Box::pin(async move {
                push(tx, project, &bytes, Some("v2")).await?;
                push(tx, project, &payload("other", None), Some("v3")).await?;
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
        let other = digest(&payload("other", None));
        for purged in [false, true] {
            if purged {
                db.write(move |tx| Box::pin(async move { purge(tx, project).await }))
                    .await
                    .unwrap();
            }
            assert_eq!(found(&db, project, "v1").await, None);
            assert_eq!(found(&db, project, "v2").await, Some(by_digest));
            assert_eq!(found(&db, project, "v3").await, Some(other));
            assert_eq!(
                found(&db, project, &by_digest.to_string()).await,
                Some(by_digest)
            );
        }
        let mut tx = db.reader().await.unwrap();
        let tags = tag::list(&mut tx, (project, &app()), None, 10)
            .await
            .unwrap();
        assert_eq!(tags, ["v2", "v3"]);
    })
    .await;
}

#[tokio::test]
async fn an_import_sets_a_tag_whose_manifest_was_deleted() {
    within("tomb_import", |tx, project| {
        Box::pin(async move {
            push(tx, project, &payload("pushed", None), Some("v1")).await?;
            let imported = payload("imported", None);
            push(tx, project, &imported, None).await?;
            delete(tx, project, &payload("pushed", None), 0).await?;
            let repo = repository::id(tx, project, &app()).await?.unwrap();
            let held = manifest::hold(tx, repo, &digest(&imported)).await?.unwrap();
            let v1 = "v1".parse().unwrap();
            let name = app();
            let at = place(project, repo, &name);
            assert!(set_tag(tx, at, &v1, held.id, Onto::Imported).await?);
            purge(tx, project).await?;
            assert_eq!(tag::list(tx, (project, &app()), None, 10).await?, ["v1"]);
            Ok(())
        })
    })
    .await;
}

#[tokio::test]
async fn an_index_that_goes_with_its_subject_keeps_no_referrer() {
    within("tomb_index", |tx, project| {
        Box::pin(async move {
            let subject = payload("subject", None);
            push(tx, project, &subject, None).await?;
            let listed = referrer("listed", &subject);
            push(tx, project, &listed, None).await?;
            let text = String::from_utf8(index(&listed)).unwrap();
            let size = subject.len();
            let of_subject = format!(
                r#""subject":{{"mediaType":"{OCI_MANIFEST}","digest":"{}","size":{size}}},"manifests""#,
                digest(&subject)
            );
            let lists = text.replace(r#""manifests""#, &of_subject).into_bytes();
            push(tx, project, &lists, None).await?;
            delete(tx, project, &subject, 100).await?;
            for bytes in [&subject, &lists, &listed] {
                assert_eq!(row(tx, project, bytes).await?, None);
            }
            purge(tx, project).await
        })
    })
    .await;
}

#[tokio::test]
async fn referrers_that_are_pushed_after_their_subject_went_stay() {
    within("tomb_referrers", |tx, project| {
        Box::pin(async move {
            let subject = payload("subject", None);
            push(tx, project, &subject, Some("v1")).await?;
            let [old, again, tagged, new] =
                ["old", "again", "tagged", "new"].map(|seed| referrer(seed, &subject));
            for referrer in [&old, &again, &tagged] {
                push(tx, project, referrer, None).await?;
            }
            let below = referrer("below", &old);
            push(tx, project, &below, None).await?;
            delete(tx, project, &subject, 0).await?;
            let before = row(tx, project, &again).await?;
            push(tx, project, &again, None).await?;
            assert_ne!(
                row(tx, project, &again).await?,
                before,
                "what is pushed again is new"
            );
            let kept = row(tx, project, &again).await?;
            push(tx, project, &again, None).await?;
            assert_eq!(row(tx, project, &again).await?, kept, "once");
            push(tx, project, &tagged, Some("kept")).await?;
            push(tx, project, &new, None).await?;
            purge(tx, project).await?;
            let mut left = Vec::new();
            for bytes in [&subject, &old, &below, &again, &tagged, &new] {
                left.push(row(tx, project, bytes).await?.is_some());
            }
            assert_eq!(left, [false, false, false, true, true, true]);
            Ok(())
        })
    })
    .await;
}

#[tokio::test]
async fn referrers_hang_on_a_subject_that_is_pushed_again_before_the_purge() {
    within("tomb_subject", |tx, project| {
        Box::pin(async move {
            let subject = payload("subject", None);
            push(tx, project, &subject, Some("v1")).await?;
            let first = referrer("first", &subject);
            push(tx, project, &first, None).await?;
            delete(tx, project, &subject, 0).await?;
            push(tx, project, &subject, Some("v1")).await?;
            purge(tx, project).await?;
            assert!(row(tx, project, &first).await?.is_some());
            let page = manifest::referrers(tx, (project, &app()), &digest(&subject), None, (0, 10))
                .await?;
            assert_eq!(page.total, 1);
            // And goes with that one.
            delete(tx, project, &subject, 100).await?;
            assert_eq!(row(tx, project, &first).await?, None);
            assert_eq!(tombstone::list(tx, ManifestId(0), 10).await?.found, []);
            usage_is_exact(tx, project).await
        })
    })
    .await;
}

/// Makes a rule for tags of the project.
async fn keep(tx: &mut Tx, project: ProjectId, tags: &str) -> Result<ImmutableRuleId, Error> {
    let rule = ImmutableRule::of_patterns("**", tags);
    let text = serde_json::to_string(&rule).unwrap();
    immutable_rule::create(tx, project, &text, NOW).await
}

#[tokio::test]
async fn referrers_with_an_immutable_tag_stay_when_their_subject_goes() {
    within("tomb_immutable", |tx, project| {
        Box::pin(async move {
            let subject = payload("subject", None);
            push(tx, project, &subject, None).await?;
            let [covered, free, again] =
                ["covered", "free", "again"].map(|seed| referrer(seed, &subject));
            push(tx, project, &covered, Some("v1")).await?;
            push(tx, project, &free, Some("latest")).await?;
            push(tx, project, &again, Some("v2")).await?;
            let below = referrer("below", &covered);
            push(tx, project, &below, None).await?;
            let repo = repository::id(tx, project, &app()).await?.unwrap();
            let going = async |tx: &mut Tx, bytes: &[u8]| {
                let id = row(tx, project, bytes).await.unwrap().unwrap();
                let tags = tombstone::tags_that_go_with(tx, (repo, id), 10).await;
                let mut names: Vec<String> = tags.unwrap().iter().map(Tag::to_string).collect();
                names.sort();
                names
            };
            assert_eq!(going(tx, &subject).await, ["latest", "v1", "v2"]);
            // Those of a child go with the index that lists it, unless a tag keeps the child.
            let listing = index(&subject);
            push(tx, project, &listing, None).await?;
            assert_eq!(going(tx, &listing).await, ["latest", "v1", "v2"]);
            push(tx, project, &subject, Some("mine")).await?;
            assert_eq!(going(tx, &listing).await, [""; 0]);
            delete(tx, project, &listing, 100).await?;
            // The rule comes when the subject is gone already, but not what hangs on it.
            delete(tx, project, &subject, 0).await?;
            keep(tx, project, "v*").await?;
            let before = row(tx, project, &again).await?;
            push(tx, project, &again, Some("other")).await?;
            assert_eq!(row(tx, project, &again).await?, before, "it keeps its tags");
            purge(tx, project).await?;
            let mut left = Vec::new();
            for bytes in [&subject, &covered, &free, &again, &below] {
                left.push(row(tx, project, bytes).await?.is_some());
            }
            assert_eq!(left, [false, true, false, true, true]);
            let tags = tag::list(tx, (project, &app()), None, 10).await?;
            assert_eq!(tags, ["other", "v1", "v2"]);
            Ok(())
        })
    })
    .await;
}

#[tokio::test]
async fn a_child_can_be_deleted_before_the_index_that_listed_it_is_purged() {
    within("tomb_child", |tx, project| {
        Box::pin(async move {
            let child = payload("child", None);
            let id = push(tx, project, &child, None).await?;
            let index = index(&child);
            push(tx, project, &index, Some("v1")).await?;
            assert_eq!(manifest::parent(tx, id).await?, Some(digest(&index)));
            delete(tx, project, &index, 0).await?;
            assert_eq!(manifest::parent(tx, id).await?, None);
            delete(tx, project, &child, 100).await?;
            purge(tx, project).await?;
            assert_eq!(tombstone::list(tx, ManifestId(0), 10).await?.found, []);
            Ok(())
        })
    })
    .await;
}

#[tokio::test]
async fn a_deleted_repository_takes_its_deleted_manifests_along() {
    within("tomb_repository", |tx, project| {
        Box::pin(async move {
            let subject = payload("subject", None);
            push(tx, project, &subject, Some("v1")).await?;
            push(tx, project, &referrer("first", &subject), None).await?;
            push(tx, project, &index(&subject), Some("v2")).await?;
            delete(tx, project, &index(&subject), 0).await?;
            delete(tx, project, &subject, 0).await?;
            assert!(repository::delete(tx, project, &app(), NOW).await?);
            let deleted = repository::deleted(tx, RepositoryId(0), 10).await?.found;
            while repository::purge(tx, &deleted[0], NOW, 1).await?.left {}
            assert_eq!(tombstone::list(tx, ManifestId(0), 10).await?.found, []);
            usage_is_exact(tx, project).await
        })
    })
    .await;
}

/// A project on PostgreSQL with an image.
async fn with_image(database: &str) -> (Db, ProjectId) {
    let url = std::env::var("GANTRY_TEST_POSTGRES").expect("GANTRY_TEST_POSTGRES names a server");
    let db = Db::open(&Location::Postgres(fresh(&url, database).await))
        .await
        .unwrap();
    let (_, project) = team(&db).await;
    db.write(move |tx| {
        Box::pin(async move { push(tx, project, &payload("child", None), Some("v1")).await })
    })
    .await
    .unwrap();
    (db, project)
}

#[tokio::test]
async fn an_index_that_is_pushed_beside_is_seen_by_the_deletion_or_finds_nothing() {
    for first in ["index", "deletion"] {
        let (db, project) = with_image(&format!("beside_{first}")).await;
        let (begun, begin) = tokio::sync::oneshot::channel::<()>();
        let index = async |delay: bool, begun: Option<tokio::sync::oneshot::Sender<()>>| {
            db.write(move |tx| {
                Box::pin(async move {
                    let repo = repository::id(tx, project, &app()).await?.unwrap();
                    let bytes = index(&payload("child", None));
                    let parsed = Manifest::parse(None, &bytes).unwrap();
                    let found = manifest::find_children(tx, repo, &parsed.children).await?;
                    if found == [manifest::Found::Missing] {
                        return Ok(false);
                    }
                    let name = app();
                    let (at, what) = (place(project, repo, &name), (&parsed, &bytes[..]));
                    let index = digest(&bytes);
                    let stored = manifest::store(tx, at, new(&index, what, &found), NOW);
                    stored.await?.unwrap();
                    wait(delay, begun).await;
                    Ok::<_, Error>(true)
                })
            })
            .await
            .unwrap()
        };
        let deletion = async |delay: bool, begun: Option<tokio::sync::oneshot::Sender<()>>| {
            db.write(move |tx| {
                Box::pin(async move {
                    let repo = repository::id(tx, project, &app()).await?.unwrap();
                    let child = digest(&payload("child", None));
                    let held = manifest::hold(tx, repo, &child).await?.unwrap();
                    if manifest::parent(tx, held.id).await?.is_some() {
                        return Ok(false);
                    }
                    delete(tx, project, &payload("child", None), 0).await?;
                    wait(delay, begun).await;
                    Ok::<_, Error>(true)
                })
            })
            .await
            .unwrap()
        };
        let (pushed, deleted) = if first == "index" {
            tokio::join!(index(true, Some(begun)), async {
                begin.await.unwrap();
                deletion(false, None).await
            })
        } else {
            let (deleted, pushed) = tokio::join!(deletion(true, Some(begun)), async {
                begin.await.unwrap();
                index(false, None).await
            });
            (pushed, deleted)
        };
        assert_eq!((pushed, deleted), (first == "index", first == "deletion"));
        db.close().await;
    }
}

/// Says that it has begun, and goes on a little later.
async fn wait(delay: bool, begun: Option<tokio::sync::oneshot::Sender<()>>) {
    if let Some(begun) = begun {
        begun.send(()).unwrap();
    }
    if delay {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn the_same_digest_that_is_pushed_beside_a_deletion_is_there_afterwards() {
    let (db, project) = with_image("beside_same").await;
    let (begun, begin) = tokio::sync::oneshot::channel::<()>();
    let deletion = db.write(move |tx| {
        Box::pin(async move {
            delete(tx, project, &payload("child", None), 0).await?;
            wait(true, Some(begun)).await;
            Ok::<_, Error>(())
        })
    });
    let push = async {
        begin.await.unwrap();
        db.write(move |tx| {
            Box::pin(async move { push(tx, project, &payload("child", None), Some("v1")).await })
        })
        .await
    };
    let (deleted, pushed) = tokio::join!(deletion, push);
    deleted.unwrap();
    pushed.unwrap();
    db.write(move |tx| Box::pin(async move { purge(tx, project).await }))
        .await
        .unwrap();
    let child = digest(&payload("child", None));
    assert_eq!(found(&db, project, "v1").await, Some(child));
    db.close().await;
}

#[tokio::test]
async fn a_purge_passes_over_what_another_holds() {
    let (db, project) = with_image("purges").await;
    db.write(move |tx| {
        Box::pin(async move { delete(tx, project, &payload("child", None), 0).await })
    })
    .await
    .unwrap();
    let part = async |delay: bool, begun: Option<tokio::sync::oneshot::Sender<()>>| {
        db.write(move |tx| {
            Box::pin(async move {
                let deleted = tombstone::list(tx, ManifestId(0), 10).await?.found;
                let ids: Vec<ManifestId> = deleted.iter().map(|deleted| deleted.id).collect();
                let repo = repository::id(tx, project, &app()).await?.unwrap();
                let name = app();
                let at = place(project, repo, &name);
                let part = tombstone::purge(tx, at, &ids, when(NOW), 10).await?;
                wait(delay, begun).await;
                Ok::<_, Error>(part.rows)
            })
        })
        .await
        .unwrap()
    };
    let (begun, begin) = tokio::sync::oneshot::channel::<()>();
    let (first, second) = tokio::join!(part(true, Some(begun)), async {
        begin.await.unwrap();
        part(false, None).await
    });
    assert_eq!((first, second), (2, 0), "the tag and the manifest");
    db.close().await;
}

#[tokio::test]
async fn a_restored_tombstone_does_not_wait_for_ids_that_are_given_out_again() {
    on_both("restored_tombstone", async |db| {
        let (_, project) = team(&db).await;
        let subject = payload("subject", None);
        let deleted = subject.clone();
        db.write(move |tx| {
            Box::pin(async move {
                push(tx, project, &deleted, None).await?;
                let last = referrer("last", &deleted);
                push(tx, project, &last, None).await?;
                delete(tx, project, &deleted, 0).await?;
                delete(tx, project, &last, 10).await
            })
        })
        .await
        .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let restored = Location::Sqlite(folder.path().join("restored"));
        let restored = Db::open(&restored).await.unwrap();
        super::backup::copy(&db, &restored).await;
        restored
            .write(move |tx| {
                Box::pin(async move {
                    let later = referrer("later", &subject);
                    push(tx, project, &later, None).await?;
                    purge(tx, project).await?;
                    assert!(
                        row(tx, project, &later).await?.is_some(),
                        "pushed after the restore"
                    );
                    Ok::<_, Error>(())
                })
            })
            .await
            .unwrap();
        restored.close().await;
    })
    .await;
}

#[tokio::test]
async fn what_an_index_lists_goes_with_it_unless_something_else_keeps_it() {
    within("tomb_children", |tx, project| {
        Box::pin(async move {
            let [alone, tagged, shared] = ["alone", "tagged", "shared"].map(|it| payload(it, None));
            push(tx, project, &alone, None).await?;
            push(tx, project, &tagged, Some("own")).await?;
            push(tx, project, &shared, None).await?;
            push(tx, project, &index(&shared), Some("other")).await?;
            for child in [&alone, &tagged, &shared] {
                push(tx, project, &outer(child), None).await?;
                delete(tx, project, &outer(child), 0).await?;
            }
            assert!(
                row(tx, project, &alone).await?.is_some(),
                "it is looked at by the purge"
            );
            purge(tx, project).await?;
            assert_eq!(row(tx, project, &alone).await?, None);
            assert!(
                row(tx, project, &tagged).await?.is_some()
                    && row(tx, project, &shared).await?.is_some()
            );
            delete(tx, project, &index(&shared), 100).await?;
            assert_eq!(row(tx, project, &shared).await?, None);
            assert_eq!(tombstone::list(tx, ManifestId(0), 10).await?.found, []);
            usage_is_exact(tx, project).await
        })
    })
    .await;
}

#[tokio::test]
async fn a_child_that_is_pushed_again_before_the_purge_stays() {
    within("tomb_child_again", |tx, project| {
        Box::pin(async move {
            let child = payload("child", None);
            let first = push(tx, project, &child, None).await?;
            push(tx, project, &index(&child), Some("v1")).await?;
            delete(tx, project, &index(&child), 0).await?;
            let second = push(tx, project, &child, None).await?;
            assert_ne!(first, second, "what is pushed is new");
            purge(tx, project).await?;
            assert_eq!(row(tx, project, &child).await?, Some(second));
            assert_eq!(tombstone::list(tx, ManifestId(0), 10).await?.found, []);
            usage_is_exact(tx, project).await
        })
    })
    .await;
}

#[tokio::test]
async fn of_two_indexes_that_go_at_once_the_later_one_takes_along_what_both_list() {
    let (db, project) = with_image("beside_indexes").await;
    db.write(move |tx| {
        Box::pin(async move {
            let child = payload("shared", None);
            push(tx, project, &child, None).await?;
            push(tx, project, &index(&child), None).await?;
            push(tx, project, &outer(&child), None).await
        })
    })
    .await
    .unwrap();
    let (begun, begin) = tokio::sync::oneshot::channel::<()>();
    let deletion = async |bytes: Vec<u8>, begun: Option<tokio::sync::oneshot::Sender<()>>| {
        db.write(move |tx| {
            Box::pin(async move {
                delete(tx, project, &bytes, 100).await?;
                wait(begun.is_some(), begun).await;
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
    };
    let child = payload("shared", None);
    tokio::join!(deletion(index(&child), Some(begun)), async {
        begin.await.unwrap();
        deletion(outer(&child), None).await;
    });
    db.write(move |tx| {
        Box::pin(async move {
            assert_eq!(row(tx, project, &payload("shared", None)).await?, None);
            usage_is_exact(tx, project).await
        })
    })
    .await
    .unwrap();
    db.close().await;
}

/// Another index of a manifest.
fn outer(child: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(index(child)).unwrap();
    text.replacen('{', r#"{"annotations":{"a":"b"},"#, 1)
        .into_bytes()
}
