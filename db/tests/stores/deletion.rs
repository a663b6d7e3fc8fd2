//! What is deleted, made anew, and deleted while others use it.

use futures_util::future::BoxFuture;
use gantry_db::manifest::When;
use gantry_db::{tombstone, untagged};
use model::{ManifestId, Reference, RepositoryId};

use super::collecting::push;
use super::untagged_manifests::{payload, store};
use super::*;

fn name() -> RepositoryName {
    "team/app".parse().unwrap()
}

/// A deletion that keeps blobs no longer than until then.
pub(crate) fn when(lease_until: Timestamp) -> When {
    When {
        now: NOW,
        lease_until,
    }
}

/// Purges the deleted manifests of a repository; in how many parts.
pub(crate) async fn purge_all(
    tx: &mut Tx,
    at: blob::Place<'_>,
    limit: i64,
) -> Result<usize, Error> {
    let mut parts = 0;
    loop {
        let deleted = tombstone::list(tx, ManifestId(0), 100).await?.found;
        if deleted.is_empty() {
            return Ok(parts);
        }
        let ids: Vec<ManifestId> = deleted.iter().map(|deleted| deleted.id).collect();
        tombstone::purge(tx, at, &ids, when(NOW), limit).await?;
        parts += 1;
    }
}

async fn delete_project(db: &Db, project: ProjectId) -> Result<bool, Error> {
    let deleted = db.write_alone_in(project, move |tx| {
        Box::pin(async move {
            let found = project::by_id(tx, project).await?.unwrap();
            project::delete(tx, &found.facts(), NOW).await
        })
    });
    deleted.await
}

async fn make_project(db: &Db, owner: model::UserId) -> ProjectId {
    let made = db.write(move |tx| {
        Box::pin(async move {
            project::create(tx, &"team".parse().unwrap(), owner, false, -1, NOW).await
        })
    });
    made.await.unwrap()
}

#[tokio::test]
async fn members_of_a_deleted_project_are_known_as_long_as_it_can_be_restored() {
    on_both("former_member", async |db| {
        let (ann, team) = team(&db).await;
        assert!(delete_project(&db, team).await.unwrap());
        let former = async |after| {
            let roles: policy::Roles = Role::ALL.into_iter().collect();
            let mut reader = db.reader().await.unwrap();
            binding::former_projects_with(&mut reader, ann.principal_id, roles, after)
                .await
                .unwrap()
        };
        let before = NOW.minus(Duration::from_secs(1));
        let pruned = async |deleted| {
            db.write(move |tx| Box::pin(member::prune_former(tx, deleted, 10)))
                .await
                .unwrap()
        };
        assert_eq!(former(before).await, [team]);
        assert!(former(NOW).await.is_empty());
        assert_eq!(pruned(before).await, 0);
        assert_eq!(former(before).await, [team]);
        assert_eq!(pruned(NOW).await, 1);
        assert!(former(before).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn what_a_deleted_project_held_is_collected_and_not_found_in_its_successor() {
    on_both("successor", async |db| {
        let (ann, old) = team(&db).await;
        db.write_in(old, move |tx| {
            Box::pin(async move { push(tx, old, &name(), ("x", 5), NOW).await })
        })
        .await
        .unwrap();
        assert!(delete_project(&db, old).await.unwrap());
        let new = make_project(&db, ann.id).await;
        assert_ne!(old, new);
        let digest = Digest::of(Algorithm::Sha256, b"x");
        assert!(
            blob::linked(&db, new, &name(), &digest)
                .await
                .unwrap()
                .is_none()
        );
        let late = db
            .write_in(old, |tx| Box::pin(installation::put(tx, "late", b"x")))
            .await;
        assert!(matches!(late, Err(Error::ProjectGone)), "{late:?}");
        db.write_in(new, move |tx| {
            Box::pin(async move {
                let stolen = repository::ensure(tx, old, &name(), NOW).await;
                assert!(stolen.is_ok(), "the name is free until it is used");
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
        let reviewed = db
            .write(|tx| Box::pin(gc::review(tx, NOW, Duration::ZERO, 10)))
            .await
            .unwrap();
        assert_eq!(
            (reviewed.unlinked, reviewed.blobs, reviewed.broken),
            (1, 1, 0)
        );
        let mut tx = db.reader().await.unwrap();
        assert_eq!(quota::used(&mut tx, old).await.unwrap(), 0);
        assert_eq!(quota::used(&mut tx, new).await.unwrap(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_permit_of_a_deleted_project_finds_nothing_in_its_successor() {
    on_both("old_permit", async |db| {
        let (ann, old) = team(&db).await;
        let subject = payload("subject", None);
        let digest = Digest::of(Algorithm::Sha256, &subject);
        let fill = async |project| {
            let (subject, referrer) = (subject.clone(), payload("referrer", Some(&digest)));
            db.write(move |tx| {
                Box::pin(async move {
                    store(tx, project, &name(), (&subject, Some("v1"))).await?;
                    store(tx, project, &name(), (&referrer, None)).await?;
                    let repo = repository::id(tx, project, &name()).await?.unwrap();
                    repository::publish(tx, repo, NOW).await
                })
            })
            .await
            .unwrap();
        };
        let references = [
            Reference::Tag("v1".parse().unwrap()),
            Reference::Digest(digest),
        ];
        let found = async |project| {
            let mut found = Vec::new();
            for reference in &references {
                let manifest = manifest::find(&db, project, &name(), reference).await;
                found.push(manifest.unwrap().is_some());
            }
            let (mut reader, app) = (db.reader().await.unwrap(), name());
            let at = (project, &app);
            let tags = tag::list(&mut reader, at, None, 10).await.unwrap();
            found.push(!tags.is_empty());
            let all = manifest::referrers(&mut reader, at, &digest, None, (0, 10)).await;
            let all = all.unwrap();
            assert_eq!(all.total, all.descriptors.len() as i64);
            found.push(all.total > 0);
            let config = Digest::of(Algorithm::Sha256, b"{}");
            let named = blob::is_named(&mut reader, at, &config).await.unwrap();
            found.push(named);
            let id = repository::published_in(&mut reader, project, &app).await;
            found.push(id.unwrap().is_some());
            let shown = repository::by_name(&mut reader, project, &app).await;
            found.push(shown.unwrap().is_some());
            found
        };
        fill(old).await;
        assert_eq!(found(old).await, [true; 7]);
        let deleted = db.write_alone_in(old, move |tx| {
            Box::pin(async move {
                assert!(repository::delete(tx, old, &name(), NOW).await?);
                let facts = project::by_id(tx, old).await?.unwrap().facts();
                project::delete(tx, &facts, NOW).await
            })
        });
        assert!(deleted.await.unwrap());
        let new = make_project(&db, ann.id).await;
        fill(new).await;
        assert_eq!(found(new).await, [true; 7]);
        assert_eq!(
            found(old).await,
            [false; 7],
            "whatever is cached of the other"
        );
    })
    .await;
}

#[tokio::test]
async fn a_repository_of_a_deleted_project_is_never_another_ones() {
    on_both("owner", async |db| {
        let (ann, old) = team(&db).await;
        assert!(delete_project(&db, old).await.unwrap());
        let new = make_project(&db, ann.id).await;
        db.write(move |tx| {
            Box::pin(async move {
                repository::ensure(tx, new, &name(), NOW).await?;
                let stolen = repository::ensure(tx, old, &name(), NOW).await;
                assert!(matches!(stolen, Err(Error::ProjectGone)), "{stolen:?}");
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
async fn uploads_end_with_their_project() {
    on_both("orphan", async |db| {
        let (ann, project) = team(&db).await;
        let later = NOW.plus(Duration::from_secs(60));
        db.write_in(project, move |tx| {
            Box::pin(async move {
                let owner = upload::Owner {
                    repository: name(),
                    project,
                    principal: Some(ann.principal_id),
                    process: "a".into(),
                };
                let five = upload::Durable {
                    size: 5,
                    ..upload::Durable::default()
                };
                upload::begin(tx, "u", &owner, ("0/u", &five), NOW, later).await?;
                let taking = quota::Taking::Shared;
                upload::reserve(tx, ("u", 1), (project, taking), (0, 9))
                    .await?
                    .unwrap();
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
        assert!(delete_project(&db, project).await.unwrap());
        let mut tx = db.reader().await.unwrap();
        let row = upload::get(&mut tx, "u").await.unwrap().unwrap();
        assert_eq!((row.state, row.key), (upload::State::Closed, None));
        assert_eq!(quota::used(&mut tx, project).await.unwrap(), 0);
        let due = garbage::due(&mut tx, NOW, 10).await.unwrap();
        assert_eq!(due, [garbage::Garbage::of_upload("0/u".into())]);
    })
    .await;
}

#[tokio::test]
async fn a_project_is_not_deleted_in_the_middle_of_a_push() {
    let url = std::env::var("GANTRY_TEST_POSTGRES").expect("GANTRY_TEST_POSTGRES names a server");
    let db = Db::open(&Location::Postgres(fresh(&url, "middle").await))
        .await
        .unwrap();
    let (_, project) = team(&db).await;
    let (open, gate) = tokio::sync::oneshot::channel::<()>();
    let (began, begun) = tokio::sync::oneshot::channel::<()>();
    let push = db.write_in(project, move |tx| {
        Box::pin(async move {
            began.send(()).unwrap();
            gate.await.unwrap();
            push_empty(tx, project, "team/app").await
        })
    });
    let delete = async {
        begun.await.unwrap();
        let delete = tokio::spawn({
            let db = db.clone();
            async move { delete_project(&db, project).await }
        });
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(!delete.is_finished(), "it waits for the push");
        open.send(()).unwrap();
        delete.await.unwrap()
    };
    let (pushed, deleted) = tokio::join!(push, delete);
    pushed.unwrap();
    assert!(!deleted.unwrap(), "it holds an artifact now");
    db.close().await;
}

/// Pushes a manifest with a subject; its row.
async fn refer(tx: &mut Tx, project: ProjectId, seed: &str, subject: &[u8]) -> ManifestId {
    let subject = Digest::of(Algorithm::Sha256, subject);
    let bytes = payload(seed, Some(&subject));
    store(tx, project, &name(), (&bytes, None)).await.unwrap()
}

#[tokio::test]
async fn a_referrer_that_is_tagged_while_its_subject_goes_goes_with_its_tag() {
    tagged_meanwhile("tagged", Referrer::Leaf).await;
}

#[tokio::test]
async fn a_referrer_with_referrers_that_is_tagged_while_its_subject_goes_goes_too() {
    tagged_meanwhile("tagged_inner", Referrer::Inner).await;
}

/// Whether something hangs on a referrer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Referrer {
    Leaf,
    Inner,
}

/// Tags a referrer while its subject is deleted.
async fn tagged_meanwhile(database: &str, kind: Referrer) {
    let url = std::env::var("GANTRY_TEST_POSTGRES").expect("GANTRY_TEST_POSTGRES names a server");
    let db = Db::open(&Location::Postgres(fresh(&url, database).await))
        .await
        .unwrap();
    let (_, project) = team(&db).await;
    let subject = payload("subject", None);
    let bytes = subject.clone();
    let referrer = db.write(move |tx| {
        Box::pin(async move {
            store(tx, project, &name(), (&bytes, None)).await?;
            let referrer = refer(tx, project, "referrer", &bytes).await;
            if kind == Referrer::Inner {
                let digest = Digest::of(Algorithm::Sha256, &bytes);
                refer(tx, project, "inner", &payload("referrer", Some(&digest))).await;
            }
            Ok::<_, Error>(referrer)
        })
    });
    let referrer = referrer.await.unwrap();
    let (tagged, held) = tokio::sync::oneshot::channel::<()>();
    let tag = db.write(move |tx| {
        Box::pin(async move {
            let repo = repository::id(tx, project, &name()).await?.unwrap();
            let kept = "kept".parse().unwrap();
            let app = name();
            let at = place(project, repo, &app);
            set_tag(tx, at, &kept, referrer, Onto::Anything).await?;
            tagged.send(()).unwrap();
            tokio::time::sleep(Duration::from_millis(200)).await;
            Ok::<_, Error>(())
        })
    });
    let delete = async {
        held.await.unwrap();
        let digest = Digest::of(Algorithm::Sha256, &subject);
        let deleted = db.write(move |tx| {
            Box::pin(async move {
                let repo = repository::id(tx, project, &name()).await?.unwrap();
                let going = manifest::hold(tx, repo, &digest).await?.unwrap();
                let app = name();
                let at = place(project, repo, &app);
                manifest::delete(tx, at, going.id, when(NOW), 10).await?;
                assert_eq!(purge_all(tx, at, 10).await?, 0);
                Ok::<_, Error>(())
            })
        });
        deleted.await
    };
    let (tag, deleted) = tokio::join!(tag, delete);
    tag.unwrap();
    deleted.unwrap();
    let kept = "kept".parse().unwrap();
    let found = tag::resolve(&db, &name(), &kept).await.unwrap();
    assert_eq!(found, None, "neither the tag nor its manifest is there");
    let mut reader = db.reader().await.unwrap();
    let tags = tag::list(&mut reader, (project, &name()), None, 10)
        .await
        .unwrap();
    assert_eq!(tags, [""; 0]);
    drop(reader);
    db.close().await;
}

/// A push of a manifest under a tag that is there, which ends a little after it has said so.
async fn push_over(
    db: &Db,
    project: ProjectId,
    (seed, tag): (&'static str, &'static str),
    pushed: tokio::sync::oneshot::Sender<()>,
) {
    let push = db.write(move |tx| {
        Box::pin(async move {
            store(tx, project, &name(), (&payload(seed, None), Some(tag))).await?;
            pushed.send(()).unwrap();
            tokio::time::sleep(Duration::from_millis(200)).await;
            Ok::<_, Error>(())
        })
    });
    push.await.unwrap();
}

/// A project on PostgreSQL with a manifest under the tag `v1`, which is pushed over while `work` is done.
async fn beside_a_push<F>(database: &str, work: F) -> (Db, Digest)
where
    F: for<'t> FnOnce(&'t mut Tx, ProjectId, RepositoryId) -> BoxFuture<'t, Result<(), Error>>
        + Send
        + 'static,
{
    let url = std::env::var("GANTRY_TEST_POSTGRES").expect("GANTRY_TEST_POSTGRES names a server");
    let db = Db::open(&Location::Postgres(fresh(&url, database).await))
        .await
        .unwrap();
    let (_, project) = team(&db).await;
    let stored = db.write(move |tx| {
        Box::pin(
            async move { store(tx, project, &name(), (&payload("old", None), Some("v1"))).await },
        )
    });
    stored.await.unwrap();
    let (pushed, held) = tokio::sync::oneshot::channel::<()>();
    let work = async {
        held.await.unwrap();
        let done = db.write(move |tx| {
            Box::pin(async move {
                let repo = repository::id(tx, project, &name()).await?.unwrap();
                work(tx, project, repo).await
            })
        });
        done.await.unwrap();
    };
    tokio::join!(push_over(&db, project, ("new", "v1"), pushed), work);
    (db, Digest::of(Algorithm::Sha256, &payload("new", None)))
}

#[tokio::test]
async fn a_tag_that_moves_away_while_its_manifest_goes_stays() {
    let (db, new) = beside_a_push("moved_tag", |tx, project, repo| {
        Box::pin(async move {
            let old = Digest::of(Algorithm::Sha256, &payload("old", None));
            let going = manifest::hold(tx, repo, &old).await?.unwrap();
            let app = name();
            let at = place(project, repo, &app);
            manifest::delete(tx, at, going.id, when(NOW), 10).await?;
            Ok(())
        })
    })
    .await;
    let v1 = "v1".parse().unwrap();
    let found = tag::resolve(&db, &name(), &v1).await.unwrap();
    assert_eq!(found, Some(new));
    db.close().await;
}

#[tokio::test]
async fn a_tag_that_is_pushed_while_it_is_deleted_goes_with_what_it_points_at_by_then() {
    let (db, _) = beside_a_push("deleted_tag", |tx, _, repo| {
        Box::pin(async move {
            let v1 = "v1".parse().unwrap();
            let gone = tag::delete(tx, (repo, &name()), &v1, Deletion::Here(NOW)).await?;
            let new = Digest::of(Algorithm::Sha256, &payload("new", None));
            assert_eq!(gone, Some(new));
            Ok(())
        })
    })
    .await;
    let v1 = "v1".parse().unwrap();
    assert!(tag::resolve(&db, &name(), &v1).await.unwrap().is_none());
    db.close().await;
}

#[tokio::test]
async fn a_pull_that_meets_a_deletion_is_counted_when_run_again() {
    let url = std::env::var("GANTRY_TEST_POSTGRES").expect("GANTRY_TEST_POSTGRES names a server");
    let db = Db::open(&Location::Postgres(fresh(&url, "pulled").await))
        .await
        .unwrap();
    let (_, project) = team(&db).await;
    let bytes = payload("pulled", None);
    let digest = Digest::of(Algorithm::Sha256, &bytes);
    db.write(move |tx| {
        Box::pin(async move { store(tx, project, &name(), (&bytes, Some("v1"))).await })
    })
    .await
    .unwrap();
    let (deleted, gone) = tokio::sync::oneshot::channel::<()>();
    let delete = db.write(move |tx| {
        Box::pin(async move {
            let repo = repository::id(tx, project, &name()).await?.unwrap();
            let going = manifest::hold(tx, repo, &digest).await?.unwrap();
            let app = name();
            let at = place(project, repo, &app);
            manifest::delete(tx, at, going.id, when(NOW), 10).await?;
            deleted.send(()).unwrap();
            tokio::time::sleep(Duration::from_millis(200)).await;
            Ok::<_, Error>(())
        })
    });
    let count = async || {
        let pulls = [stat::Pulls {
            repository: name(),
            digest,
            tag: Some("v1".parse().unwrap()),
            times: 1,
        }];
        let counted = db.write(move |tx| {
            Box::pin(async move { stat::write(tx, "pulls", (&pulls, &[]), NOW).await })
        });
        counted.await
    };
    let met = async {
        gone.await.unwrap();
        count().await
    };
    let (deleted, met) = tokio::join!(delete, met);
    deleted.unwrap();
    let error = met.expect_err("the tag went meanwhile");
    assert!(error.is_collision(), "{error:?}");
    count().await.unwrap();
    db.close().await;
}

#[tokio::test]
async fn time_without_a_tag_begins_when_nothing_keeps_the_manifest() {
    on_both("month", async |db| {
        let (_, project) = team(&db).await;
        let month = NOW.plus(Duration::from_secs(30 * 86_400));
        db.write(move |tx| {
            Box::pin(async move {
                let subject = payload("subject", None);
                let late = store(tx, project, &name(), (&subject, None)).await?;
                untagged::note(tx, &[late], NOW).await?;
                // A month later it gets an index, which goes again, and a tag meanwhile.
                let digest = Digest::of(Algorithm::Sha256, &subject);
                let index = format!(
                    r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[{{"mediaType":"{}","digest":"{digest}","size":{}}}]}}"#,
                    model::media_type::OCI_INDEX,
                    model::media_type::OCI_MANIFEST,
                    subject.len()
                );
                store(tx, project, &name(), (index.as_bytes(), None)).await?;
                let repo = repository::id(tx, project, &name()).await?.unwrap();
                let index = Digest::of(Algorithm::Sha256, index.as_bytes());
                let going = manifest::hold(tx, repo, &index).await?.unwrap();
                let app = name();
                let at = place(project, repo, &app);
                manifest::delete(tx, at, going.id, when(month), 0).await?;
                untagged::note(tx, &[late], month).await?;
                assert!(!untagged::hold(tx, late, month).await?, "the index keeps it until it is purged");
                let tag = "v1".parse().unwrap();
                set_tag_by(tx, at, &tag, late, (Onto::Anything, Principal::CommandLine, month)).await?;
                assert_eq!(purge_all(tx, at, 10).await?, 1);
                tag::delete(tx, (repo, &app), &tag, Deletion::Here(NOW)).await?;
                assert!(!untagged::hold(tx, late, month).await?, "its time begins anew");
                untagged::note(tx, &[late], month).await?;
                assert!(untagged::hold(tx, late, month).await?);
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
    })
    .await;
}

/// Deletes a manifest; in how many parts.
async fn delete_in_parts(
    tx: &mut Tx,
    at: blob::Place<'_>,
    digest: &Digest,
    limit: i64,
) -> Result<usize, Error> {
    let going = manifest::hold(tx, at.repository, digest).await?.unwrap();
    manifest::delete(tx, at, going.id, when(NOW), limit).await?;
    Ok(1 + purge_all(tx, at, limit).await?)
}

/// Pushes manifests of which each has the one before as its subject.
async fn chain(tx: &mut Tx, project: ProjectId, length: usize) -> Vec<(ManifestId, Digest)> {
    let mut pushed = Vec::new();
    for number in 0..length {
        let subject = pushed.last().map(|(_, digest)| digest);
        let bytes = payload(&format!("chain {number}"), subject);
        let id = store(tx, project, &name(), (&bytes, None)).await.unwrap();
        pushed.push((id, Digest::of(Algorithm::Sha256, &bytes)));
    }
    pushed
}

#[tokio::test]
async fn a_long_chain_of_referrers_is_gone_down_once() {
    on_both("chain", async |db| {
        let (_, project) = team(&db).await;
        db.write(move |tx| {
            Box::pin(async move {
                let chain = chain(tx, project, 31).await;
                let repo = repository::id(tx, project, &name()).await?.unwrap();
                let app = name();
                let at = place(project, repo, &app);
                let parts = delete_in_parts(tx, at, &chain[0].1, 10).await?;
                assert_eq!(
                    parts, 7,
                    "30 are looked at once and 31 removed, 10 at a time"
                );
                assert!(untagged::list(tx, repo, &[], 10).await?.found.is_empty());
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_referrer_that_was_tagged_between_two_parts_goes_with_what_hangs_on_it() {
    on_both("between", async |db| {
        let (_, project) = team(&db).await;
        db.write(move |tx| {
            Box::pin(async move {
                let chain = chain(tx, project, 7).await;
                let repo = repository::id(tx, project, &name()).await?.unwrap();
                let app = name();
                let at = place(project, repo, &app);
                let going = manifest::hold(tx, repo, &chain[0].1).await?.unwrap();
                manifest::delete(tx, at, going.id, when(NOW), 2).await?;
                let kept = "kept".parse().unwrap();
                set_tag(tx, at, &kept, chain[3].0, Onto::Anything).await?;
                purge_all(tx, at, 4).await?;
                let mut left = Vec::new();
                for (_, digest) in &chain {
                    left.push(manifest::id(tx, repo, digest).await?.is_some());
                }
                assert_eq!(left, [false; 7]);
                assert_eq!(tag::list(tx, (project, &app), None, 10).await?, [""; 0]);
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
    })
    .await;
}

/// An image with a subject and so many layers, which are elsewhere.
fn layered(seed: &str, subject: &Digest, layers: usize) -> Vec<u8> {
    let layer = |number: usize| {
        let digest = Digest::of(Algorithm::Sha256, format!("{seed} {number}").as_bytes());
        serde_json::json!({
            "mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar",
            "digest": digest.to_string(), "size": 1, "urls": ["https://example.com/layer"],
        })
    };
    let mut image: serde_json::Value =
        serde_json::from_slice(&payload(seed, Some(subject))).unwrap();
    image["layers"] = (0..layers).map(layer).collect();
    image.to_string().into_bytes()
}

#[tokio::test]
async fn referrers_with_many_references_are_deleted_in_parts() {
    on_both("layers", async |db| {
        let (_, project) = team(&db).await;
        db.write(move |tx| {
            Box::pin(async move {
                let subject = payload("subject", None);
                store(tx, project, &name(), (&subject, None)).await?;
                let digest = Digest::of(Algorithm::Sha256, &subject);
                for number in 0..5 {
                    let bytes = layered(&format!("r{number}"), &digest, 600);
                    store(tx, project, &name(), (&bytes, None)).await?;
                }
                let repo = repository::id(tx, project, &name()).await?.unwrap();
                let app = name();
                let at = place(project, repo, &app);
                let parts = delete_in_parts(tx, at, &digest, 100).await?;
                assert_eq!(parts, 4, "3,006 references, 1,000 at a time");
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
async fn what_hangs_on_a_deleted_manifest_is_removed_in_parts() {
    on_both("parts", async |db| {
        let (_, project) = team(&db).await;
        db.write(move |tx| {
            Box::pin(async move {
                let subject = payload("subject", None);
                let id = store(tx, project, &name(), (&subject, Some("v0"))).await?;
                let repo = repository::id(tx, project, &name()).await?.unwrap();
                for number in 1..7 {
                    let tag = format!("v{number}").parse().unwrap();
                    let app = name();
                    let at = place(project, repo, &app);
                    set_tag(tx, at, &tag, id, Onto::Anything).await?;
                    refer(tx, project, &format!("r{number}"), &subject).await;
                }
                let first = payload("r1", Some(&Digest::of(Algorithm::Sha256, &subject)));
                refer(tx, project, "second level", &first).await;
                let digest = Digest::of(Algorithm::Sha256, &subject);
                let app = name();
                let at = place(project, repo, &app);
                let parts = delete_in_parts(tx, at, &digest, 3).await?;
                let why = "7 tags, 7 referrers looked at, 8 manifests removed, 3 at a time";
                assert_eq!(parts, 8, "{why}");
                let left = untagged::list(tx, repo, &[], 10).await?;
                assert_eq!(left.found, []);
                let config = Digest::of(Algorithm::Sha256, b"{}");
                let size = blob::live(tx, &config).await?.unwrap().size as i64;
                assert_eq!(quota::used(tx, project).await?, size);
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_row_that_cannot_be_read_stops_no_collection() {
    use sqlx::Connection as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let db = Db::open(&Location::Sqlite(path.clone())).await.unwrap();
    let (_, project) = team(&db).await;
    db.write(move |tx| {
        Box::pin(async move {
            push(tx, project, &"team/bad".parse().unwrap(), ("a", 1), NOW).await?;
            push(tx, project, &name(), ("b", 2), NOW).await
        })
    })
    .await
    .unwrap();
    let mut other = sqlx::SqliteConnection::connect(&format!("sqlite://{}", path.display()))
        .await
        .unwrap();
    sqlx::query("update repository set name = 'No Name' where name = 'team/bad'")
        .execute(&mut other)
        .await
        .unwrap();
    let review = async || {
        db.write(|tx| Box::pin(gc::review(tx, NOW, Duration::ZERO, 10)))
            .await
            .unwrap()
    };
    let first = review().await;
    assert_eq!((first.unlinked, first.blobs, first.broken), (1, 1, 1));
    assert_eq!(review().await, gc::Reviewed::default(), "it is set aside");
    db.close().await;
}
