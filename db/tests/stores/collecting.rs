//! What nothing refers to, and what a project may hold.

use super::deletion::when;
use super::*;

pub(crate) fn committed(committed: blob::Committed) -> blob::StoredBlob {
    match committed {
        blob::Committed::New(blob) | blob::Committed::Known(blob) => blob,
    }
}

pub(crate) fn place(
    project: ProjectId,
    repository: RepositoryId,
    name: &RepositoryName,
) -> blob::Place<'_> {
    blob::Place {
        project,
        repository,
        name,
        taking: quota::Taking::default(),
    }
}

/// Commits a blob of a size and links it to a repository.
pub(crate) async fn push(
    tx: &mut Tx,
    project: ProjectId,
    name: &RepositoryName,
    (text, size): (&str, u64),
    lease: Timestamp,
) -> Result<(), Error> {
    push_taking(
        tx,
        project,
        name,
        (text, size, lease),
        quota::Taking::Shared,
    )
    .await
}

async fn push_taking(
    tx: &mut Tx,
    project: ProjectId,
    name: &RepositoryName,
    (text, size, lease): (&str, u64, Timestamp),
    taking: quota::Taking,
) -> Result<(), Error> {
    if taking == quota::Taking::Alone {
        quota::hold(tx, project).await?;
    }
    let repo = repository::ensure(tx, project, name, NOW).await?;
    let digest = Digest::of(Algorithm::Sha256, text.as_bytes());
    let at = blob::Place {
        taking,
        ..place(project, repo, name)
    };
    let key = format!("0/{text}");
    let object = blob::Object { key: &key, size };
    let charged = match blob::commit(tx, &digest, object, NOW, NOW).await? {
        blob::Committed::New(row) => blob::link_new(tx, at, &row, lease).await?,
        blob::Committed::Known(row) => blob::link(tx, at, &row, lease).await?,
    };
    // As the registry does: what is refused leaves nothing.
    charged.map_err(|_| Error::WriterGone)
}

#[tokio::test]
async fn garbage_is_what_nothing_refers_to_once_its_lease_is_over() {
    on_both("gc", async |db| {
        let (_, project) = team(&db).await;
        let (one, two): (RepositoryName, RepositoryName) =
            ("team/one".parse().unwrap(), "team/two".parse().unwrap());
        let at = |seconds| NOW.plus(Duration::from_secs(seconds));
        let names = (one.clone(), two.clone());
        let payload = image(&Digest::of(Algorithm::Sha256, b"named"));
        let manifest_digest = Digest::of(Algorithm::Sha256, &payload);
        db.write(move |tx| {
            Box::pin(async move {
                let (one, two) = names;
                push(tx, project, &one, ("named", 10), at(10)).await?;
                push(tx, project, &one, ("twice", 20), at(10)).await?;
                push(tx, project, &two, ("twice", 20), at(30)).await?;
                push(tx, project, &one, ("lost", 40), at(10)).await?;
                let repo = repository::id(tx, project, &one).await?.unwrap();
                let manifest = Manifest::parse(None, &payload).unwrap();
                let found = manifest::find_children(tx, repo, &manifest.children).await?;
                let what = (&manifest, &payload[..]);
                let (at, new) = (
                    place(project, repo, &one),
                    new(&manifest_digest, what, &found),
                );
                manifest::store(tx, at, new, NOW).await?.unwrap();
                assert_eq!(quota::used(tx, project).await?, 70 + payload.len() as i64);
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
        let review = async |now| {
            db.write(move |tx| Box::pin(gc::review(tx, now, Duration::ZERO, 100)))
                .await
                .unwrap()
        };
        assert_eq!(review(at(9)).await, gc::Reviewed::default());
        let first = review(at(10)).await;
        assert_eq!(
            (first.looked_at, first.unlinked, first.blobs, first.bytes),
            (3, 2, 1, 40)
        );
        assert_eq!(review(at(29)).await.looked_at, 0);
        let last = review(at(30)).await;
        assert_eq!((last.unlinked, last.blobs), (1, 1));
        let mut tx = db.reader().await.unwrap();
        let due = garbage::due(&mut tx, at(30), 10).await.unwrap();
        let keys: Vec<String> = due.into_iter().map(|object| object.key).collect();
        assert_eq!(keys, ["0/lost", "0/twice"]);
        let used = quota::used(&mut tx, project).await.unwrap();
        assert_eq!(used, project::stored_bytes(&mut tx, project).await.unwrap());
        let named = blob::live(&mut tx, &Digest::of(Algorithm::Sha256, b"named"))
            .await
            .unwrap()
            .unwrap();
        let keepers = gc::keepers(&mut tx, named.id, 10).await.unwrap();
        assert_eq!(keepers[0].manifests, [manifest_digest]);
        drop(tx);
        // The last reference goes: what it named stays for its lease, then goes too.
        let name = one.clone();
        db.write(move |tx| {
            Box::pin(async move {
                garbage::forget(tx, &keys).await?;
                let repo = repository::id(tx, project, &name).await?.unwrap();
                let going = manifest::hold(tx, repo, &manifest_digest).await?.unwrap();
                let at_place = place(project, repo, &name);
                manifest::delete(tx, at_place, going.id, when(at(100)), 10).await?;
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
        assert_eq!(review(at(99)).await.looked_at, 0);
        assert_eq!(review(at(100)).await.blobs, 1);
        let mut tx = db.reader().await.unwrap();
        assert_eq!(quota::used(&mut tx, project).await.unwrap(), 0);
        let outlook = gc::outlook(&mut tx, at(100)).await.unwrap();
        assert_eq!((outlook.objects.objects, outlook.objects.bytes), (1, 10));
    })
    .await;
}

#[tokio::test]
async fn a_digest_that_was_garbage_can_be_pushed_again_at_once() {
    on_both("again", async |db| {
        let (_, project) = team(&db).await;
        let name: RepositoryName = "team/app".parse().unwrap();
        db.write(move |tx| {
            Box::pin(async move {
                push(tx, project, &name, ("x", 1), NOW).await?;
                let hold = Duration::from_secs(60);
                assert_eq!(gc::review(tx, NOW, hold, 10).await?.blobs, 1);
                let repo = repository::ensure(tx, project, &name, NOW).await?;
                let digest = Digest::of(Algorithm::Sha256, b"x");
                assert!(blob::hold_live(tx, &digest).await?.is_none());
                let object = blob::Object {
                    key: "0/y",
                    size: 1,
                };
                let again = blob::commit(tx, &digest, object, NOW, NOW).await?;
                assert!(matches!(again, blob::Committed::New(_)));
                let at = place(project, repo, &name);
                blob::link_new(tx, at, &committed(again), NOW)
                    .await?
                    .unwrap();
                assert_eq!(garbage::due(tx, NOW, 10).await?, [], "its object is held");
                let due = garbage::due(tx, NOW.plus(hold), 10).await?;
                assert_eq!(due[0].key, "0/x");
                assert_eq!(blob::live(tx, &digest).await?.unwrap().key, "0/y");
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_repository_that_only_ever_had_blobs_goes_with_the_last_one() {
    on_both("unused", async |db| {
        let (_, project) = team(&db).await;
        let name: RepositoryName = "team/app".parse().unwrap();
        db.write(move |tx| {
            Box::pin(async move {
                let later = NOW.plus(Duration::from_secs(1));
                push(tx, project, &name, ("first", 1), NOW).await?;
                push(tx, project, &name, ("last", 1), later).await?;
                let review = async |tx: &mut Tx, now| gc::review(tx, now, Duration::ZERO, 10).await;
                assert_eq!(review(tx, NOW).await?.unlinked, 1);
                let repo = repository::id(tx, project, &name).await?;
                assert!(repo.is_some(), "it holds a blob");
                assert_eq!(review(tx, later).await?.unlinked, 1);
                assert_eq!(repository::id(tx, project, &name).await?, None);
                // One that was shown stays.
                push(tx, project, &name, ("again", 1), NOW).await?;
                let repo = repository::id(tx, project, &name).await?.unwrap();
                repository::publish(tx, repo, NOW).await?;
                assert_eq!(review(tx, NOW).await?.unlinked, 1);
                assert_eq!(repository::id(tx, project, &name).await?, Some(repo));
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_push_takes_the_place_of_what_it_cannot_trust() {
    on_both("heal", async |db| {
        let (_, project) = team(&db).await;
        let name: RepositoryName = "team/app".parse().unwrap();
        db.write(move |tx| {
            Box::pin(async move {
                let digest = Digest::of(Algorithm::Sha256, b"x");
                let repo = repository::ensure(tx, project, &name, NOW).await?;
                let at = place(project, repo, &name);
                let foreign = blob::Object {
                    key: "docker/x",
                    size: 7,
                };
                let imported = blob::commit_foreign(tx, &digest, foreign, blob::Proof::Size, NOW);
                let imported = imported.await?.unwrap();
                blob::link(tx, at, &imported, NOW).await?.unwrap();
                assert_eq!(quota::used(tx, project).await?, 7);
                let commit = async |tx: &mut Tx, key: &str, size| {
                    let object = blob::Object { key, size };
                    let known = committed(blob::commit(tx, &digest, object, NOW, NOW).await?);
                    let due = garbage::due(tx, NOW, 10).await?;
                    let due: Vec<String> = due.into_iter().map(|object| object.key).collect();
                    Ok::<_, Error>((known.key, due))
                };
                // Another registry's object is replaced, and left where it is.
                let (key, due) = commit(tx, "0/a", 9).await?;
                assert_eq!((&*key, due.len()), ("0/a", 0));
                assert_eq!(quota::used(tx, project).await?, 9);
                // One's own, whole object stays; the new one is garbage.
                let (key, due) = commit(tx, "0/b", 9).await?;
                assert_eq!((&*key, due), ("0/a", vec!["0/b".to_owned()]));
                // One of another size was damaged.
                let (key, due) = commit(tx, "0/c", 8).await?;
                assert_eq!((&*key, due.len()), ("0/c", 2));
                assert_eq!(quota::used(tx, project).await?, 8);
                assert_eq!(project::stored_bytes(tx, project).await?, 8);
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
async fn of_two_pushes_at_once_over_what_cannot_be_trusted_one_counts() {
    let url = std::env::var("GANTRY_TEST_POSTGRES").expect("GANTRY_TEST_POSTGRES names a server");
    let db = Db::open(&Location::Postgres(fresh(&url, "heal_twice").await))
        .await
        .unwrap();
    let (_, project) = team(&db).await;
    let name: RepositoryName = "team/app".parse().unwrap();
    let digest = Digest::of(Algorithm::Sha256, b"x");
    db.write(move |tx| {
        Box::pin(async move {
            let repo = repository::ensure(tx, project, &name, NOW).await?;
            let at = place(project, repo, &name);
            let foreign = blob::Object {
                key: "docker/x",
                size: 7,
            };
            let imported = blob::commit_foreign(tx, &digest, foreign, blob::Proof::Size, NOW);
            let imported = imported.await?.unwrap();
            blob::link(tx, at, &imported, NOW).await?.unwrap();
            Ok::<_, Error>(())
        })
    })
    .await
    .unwrap();
    let (begun, begin) = tokio::sync::oneshot::channel::<()>();
    let push = async |key: &'static str, begun: Option<tokio::sync::oneshot::Sender<()>>| {
        let pushed = db.write(move |tx| {
            Box::pin(async move {
                let object = blob::Object { key, size: 9 };
                let known = committed(blob::commit(tx, &digest, object, NOW, NOW).await?);
                if let Some(begun) = begun {
                    begun.send(()).unwrap();
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                Ok::<_, Error>(known.key)
            })
        });
        pushed.await.unwrap()
    };
    let keys = tokio::join!(push("0/a", Some(begun)), async {
        begin.await.unwrap();
        push("0/b", None).await
    });
    assert_eq!(keys, ("0/a".to_owned(), "0/a".to_owned()));
    db.write(move |tx| {
        Box::pin(async move {
            let due = garbage::due(tx, NOW, 10).await?;
            let due: Vec<String> = due.into_iter().map(|object| object.key).collect();
            assert_eq!(due, ["0/b"]);
            assert_eq!(quota::used(tx, project).await?, 9);
            assert_eq!(project::stored_bytes(tx, project).await?, 9);
            Ok::<_, Error>(())
        })
    })
    .await
    .unwrap();
    db.close().await;
}

#[tokio::test]
async fn an_object_that_cannot_be_deleted_is_put_off() {
    on_both("putoff", async |db| {
        db.write(move |tx| {
            Box::pin(async move {
                let object = |key: &str| garbage::Garbage {
                    key: key.into(),
                    size: 3,
                    unfinished: key == "0/b",
                };
                let objects = [object("0/a"), object("0/b")];
                garbage::add(tx, &objects, NOW).await?;
                assert_eq!(garbage::due(tx, NOW, 10).await?, objects);
                garbage::put_off(tx, "0/a", "access denied", NOW).await?;
                assert_eq!(garbage::due(tx, NOW, 10).await?, objects[1..]);
                let waiting = garbage::waiting(tx).await?;
                assert_eq!((waiting.objects, waiting.failing), (2, 1));
                assert_eq!(waiting.error.as_deref(), Some("access denied"));
                let later = NOW.plus(Duration::from_secs(10));
                assert_eq!(garbage::due(tx, later, 10).await?.len(), 2);
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
async fn exactly_what_fits_is_pushed() {
    on_both("quota", async |db| {
        let (_, project) = team(&db).await;
        let limit = 120 * 1_000;
        db.write(move |tx| Box::pin(quota::set_limit(tx, project, limit)))
            .await
            .unwrap();
        let pushes = (0..200).map(|number| {
            let db = db.clone();
            async move {
                let name: RepositoryName = format!("team/app{}", number % 7).parse().unwrap();
                let push = async |taking| {
                    let name = name.clone();
                    let push = db.write(move |tx| {
                        Box::pin(async move {
                            let what = (&*format!("blob {number}"), 1_000, NOW);
                            push_taking(tx, project, &name, what, taking).await
                        })
                    });
                    push.await
                };
                match push(quota::Taking::Shared).await {
                    Err(Error::Crowded) => push(quota::Taking::Alone).await,
                    pushed => pushed,
                }
            }
        });
        let pushed = futures_util::future::join_all(pushes).await;
        let failed: Vec<_> = pushed
            .iter()
            .filter(|result| !matches!(result, Ok(()) | Err(Error::WriterGone)))
            .collect();
        assert!(failed.is_empty(), "{failed:?}");
        assert_eq!(pushed.iter().filter(|result| result.is_ok()).count(), 120);
        let mut tx = db.reader().await.unwrap();
        assert_eq!(quota::used(&mut tx, project).await.unwrap(), limit);
        assert_eq!(
            project::stored_bytes(&mut tx, project).await.unwrap(),
            limit
        );
        drop(tx);
        // Less than it holds: nothing more fits until enough is gone.
        db.write(move |tx| {
            Box::pin(async move {
                quota::set_limit(tx, project, 50_000).await?;
                assert_eq!(quota::exceeded(tx, project).await?.unwrap().used, limit);
                quota::refund(tx, project, 70_000).await?;
                assert!(quota::exceeded(tx, project).await?.is_none());
                let alone = quota::Taking::Alone;
                assert!(quota::charge(tx, project, 1, alone).await?.is_err());
                quota::refund(tx, project, 1).await?;
                assert_eq!(quota::waiting(tx, 10).await?, [project]);
                assert!(quota::charge(tx, project, 1, alone).await?.is_ok());
                assert!(quota::waiting(tx, 10).await?.is_empty());
                quota::set_limit(tx, project, -1).await?;
                assert!(quota::charge(tx, project, 1 << 50, alone).await?.is_ok());
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_foreign_layer_is_named_whether_it_came_before_or_after() {
    on_both("foreign", async |db| {
        let (_, project) = team(&db).await;
        let name: RepositoryName = "team/foreign".parse().unwrap();
        let at = |seconds| NOW.plus(Duration::from_secs(seconds));
        let digest = |text: &str| Digest::of(Algorithm::Sha256, text.as_bytes());
        let layer = |text: &str| {
            format!(
                r#"{{"mediaType":"application/vnd.docker.image.rootfs.foreign.diff.tar","digest":"{}","size":4,"urls":["x"]}}"#,
                digest(text)
            )
        };
        let payload = format!(
            r#"{{"schemaVersion":2,"config":{{"digest":"{}","size":2}},"layers":[{},{}]}}"#,
            digest("config"),
            layer("before"),
            layer("after")
        );
        let manifest_digest = digest(&payload);
        let repository = name.clone();
        db.write(move |tx| {
            Box::pin(async move {
                let name = repository;
                push(tx, project, &name, ("config", 2), at(10)).await?;
                push(tx, project, &name, ("before", 4), at(10)).await?;
                let repo = repository::id(tx, project, &name).await?.unwrap();
                let manifest = Manifest::parse(None, payload.as_bytes()).unwrap();
                let found = manifest::find_children(tx, repo, &manifest.children).await?;
                let sizes: Vec<_> = found.iter().map(|found| found.size()).collect();
                assert_eq!(sizes, [Some(2), Some(4), None]);
                assert_eq!(found[2], manifest::Found::Elsewhere);
                let what = (&manifest, payload.as_bytes());
                let at_repo = place(project, repo, &name);
                let new = new(&manifest_digest, what, &found);
                manifest::store(tx, at_repo, new, NOW).await?.unwrap();
                push(tx, project, &name, ("after", 4), at(10)).await?;
                for text in ["before", "after"] {
                    let named = blob::named_by(tx, repo, &digest(text)).await?;
                    assert_eq!(named, Some(manifest_digest), "{text}");
                    assert!(blob::is_named(tx, (project, &name), &digest(text)).await?, "{text}");
                }
                let outlook = gc::outlook(tx, at(10)).await?;
                assert_eq!((outlook.due_links, outlook.garbage_links), (3, 0));
                let reviewed = gc::review(tx, at(10), Duration::ZERO, 100).await?;
                assert_eq!((reviewed.looked_at, reviewed.unlinked), (3, 0));
                let after = blob::live(tx, &digest("after")).await?.unwrap();
                let keepers = gc::keepers(tx, after.id, 10).await?;
                assert_eq!(keepers[0].manifests, [manifest_digest]);
                // The manifest goes: both stay for a lease, then go.
                let going = manifest::hold(tx, repo, &manifest_digest).await?.unwrap();
                manifest::delete(tx, at_repo, going.id, when(at(20)), 10).await?;
                let early = gc::review(tx, at(19), Duration::ZERO, 100).await?;
                assert_eq!(early.looked_at, 0);
                let late = gc::review(tx, at(20), Duration::ZERO, 100).await?;
                assert_eq!((late.looked_at, late.unlinked), (3, 3));
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
    })
    .await;
}
