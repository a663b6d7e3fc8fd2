//! Listing repositories, and deleting them in parts.

use gantry_db::list::{Direction, Field, Selection};
use gantry_db::tag::history::{self, Pointed};
use model::media_type::OCI_INDEX;

use super::untagged_manifests::{payload, store};
use super::*;

fn name(text: &str) -> RepositoryName {
    text.parse().unwrap()
}

/// An index of these manifests.
fn index(children: &[Vec<u8>]) -> Vec<u8> {
    let entries: Vec<String> = children
        .iter()
        .map(|child| {
            let digest = Digest::of(Algorithm::Sha256, child);
            let (kind, size) = (model::media_type::OCI_MANIFEST, child.len());
            format!(r#"{{"mediaType":"{kind}","digest":"{digest}","size":{size}}}"#)
        })
        .collect();
    let entries = entries.join(",");
    format!(r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[{entries}]}}"#)
        .into_bytes()
}

async fn publish(tx: &mut Tx, project: ProjectId, name: &RepositoryName) -> Result<(), Error> {
    let id = repository::id(tx, project, name).await?.unwrap();
    repository::publish(tx, id, NOW).await
}

async fn delete(db: &Db, project: ProjectId, name: RepositoryName) -> bool {
    db.write_alone_in(project, move |tx| {
        Box::pin(async move { repository::delete(tx, project, &name, NOW).await })
    })
    .await
    .unwrap()
}

/// Removes what deleted repositories hold; in how many parts.
async fn purge(db: &Db, limit: i64) -> usize {
    let mut tx = db.reader().await.unwrap();
    let deleted = repository::deleted(&mut tx, RepositoryId(0), 100)
        .await
        .unwrap();
    drop(tx);
    let mut parts = 0;
    for repository in deleted.found {
        loop {
            let part = repository.clone();
            let left = db.write(move |tx| {
                Box::pin(async move { repository::purge(tx, &part, NOW, limit).await })
            });
            if !left.await.unwrap().left {
                break;
            }
            parts += 1;
        }
    }
    parts
}

#[tokio::test]
async fn a_deleted_repository_is_not_found_and_goes_in_parts() {
    on_both("repositories", async |db| {
        let (_, project) = team(&db).await;
        db.write(move |tx| {
            Box::pin(async move {
                let (gone, kept) = (name("team/gone"), name("team/kept"));
                let images: Vec<Vec<u8>> = (0..7)
                    .map(|number| payload(&format!("image {number}"), None))
                    .collect();
                for image in &images {
                    store(tx, project, &gone, (image, None)).await?;
                }
                store(tx, project, &gone, (&index(&images), Some("v1"))).await?;
                store(tx, project, &gone, (&images[0], Some("v2"))).await?;
                let subject = Digest::of(Algorithm::Sha256, &images[0]);
                let referrer = payload("referrer", Some(&subject));
                store(tx, project, &gone, (&referrer, None)).await?;
                store(tx, project, &kept, (&images[0], Some("v1"))).await?;
                publish(tx, project, &gone).await?;
                publish(tx, project, &kept).await
            })
        })
        .await
        .unwrap();
        let mut tx = db.reader().await.unwrap();
        let found = repository::by_name(&mut tx, project, &name("team/gone")).await;
        assert_eq!(
            found.unwrap().unwrap().artifacts,
            2,
            "the index, and what has a tag"
        );
        drop(tx);

        assert!(delete(&db, project, name("team/gone")).await);
        assert!(!delete(&db, project, name("team/gone")).await);
        let mut tx = db.reader().await.unwrap();
        assert_eq!(
            repository::id(&mut tx, project, &name("team/gone"))
                .await
                .unwrap(),
            None
        );
        drop(tx);
        db.write_in(project, move |tx| {
            Box::pin(async move {
                let again = payload("again", None);
                store(tx, project, &name("team/gone"), (&again, Some("v9"))).await?;
                publish(tx, project, &name("team/gone")).await
            })
        })
        .await
        .unwrap();

        assert!(purge(&db, 3).await > 3, "9 manifests, 3 at a time");
        assert_eq!(purge(&db, 3).await, 0);
        let mut tx = db.reader().await.unwrap();
        let counted = project::stored_bytes(&mut tx, project).await.unwrap();
        assert_eq!(quota::used(&mut tx, project).await.unwrap(), counted);
        let (listed, total) = repository::list(&mut tx, project, &Selection::all())
            .await
            .unwrap();
        let names: Vec<&str> = listed.iter().map(|listed| listed.name.as_str()).collect();
        assert_eq!((names, total), (vec!["team/gone", "team/kept"], 2));
        assert!(listed.iter().all(|listed| listed.artifacts == 1));
        drop(tx);

        // The links of the deleted one go with the garbage collection, and then its row.
        let later = NOW.plus(Duration::from_secs(1));
        db.write(move |tx| Box::pin(gc::review(tx, later, Duration::ZERO, 100)))
            .await
            .unwrap();
        assert_eq!(purge(&db, 3).await, 0);
        let mut tx = db.reader().await.unwrap();
        let left = repository::deleted(&mut tx, RepositoryId(0), 100).await;
        assert_eq!(left.unwrap().found, []);
    })
    .await;
}

#[tokio::test]
async fn repositories_are_listed_by_what_one_looks_for() {
    on_both("repository_list", async |db| {
        let (_, project) = team(&db).await;
        db.write(move |tx| {
            Box::pin(async move {
                for (number, text) in ["team/b", "team/a/deep", "team/c_d"].iter().enumerate() {
                    let bytes = payload(text, None);
                    let at = NOW.plus(Duration::from_secs(number as u64));
                    repository::ensure(tx, project, &name(text), at).await?;
                    store(tx, project, &name(text), (&bytes, None)).await?;
                    let id = repository::id(tx, project, &name(text)).await?.unwrap();
                    repository::publish(tx, id, at).await?;
                }
                repository::ensure(tx, project, &name("team/blobs-only"), NOW).await?;
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
        let mut tx = db.reader().await.unwrap();
        let mut list = async |selection: Selection| -> (Vec<String>, i64) {
            let listed = repository::list(&mut tx, project, &selection).await;
            let (found, total) = listed.unwrap();
            let names = found.iter().map(|found| found.name.to_string());
            (names.collect(), total)
        };
        let all = Selection::all;
        let newest_first: (Field, Direction) = (repository::CREATED, Direction::Down);
        let (newest, total) = list(Selection {
            order: Some(newest_first),
            ..all()
        })
        .await;
        assert_eq!(newest, ["team/c_d", "team/a/deep", "team/b"]);
        assert_eq!(total, 3);
        let second = Page {
            offset: 1,
            limit: Some(1),
        };
        let second = Selection {
            page: second,
            ..all()
        };
        assert_eq!(list(second).await.0, ["team/b"]);
        let contains = all().with(repository::NAME, Test::Contains("C_".into()));
        assert_eq!(list(contains).await.0, ["team/c_d"]);
        let names = vec!["team/b".into(), "team/none".into()];
        let any = all().with(repository::NAME, Test::AnyOf(names));
        let (found, total) = list(any).await;
        assert_eq!((found.len(), total), (1, 1));
        let last_page = Page {
            offset: 1,
            limit: Some(5),
        };
        let names = (0..1_000)
            .map(|number| format!("team/{number}"))
            .chain(["team/b".to_owned(), "team/c_d".to_owned()]);
        let many = Selection {
            page: last_page,
            ..all().with(repository::NAME, Test::AnyOf(names.collect()))
        };
        let (found, total) = list(many).await;
        assert_eq!((found, total), (vec!["team/c_d".to_owned()], 2));
    })
    .await;
}

#[tokio::test]
async fn what_a_tag_pointed_at_outlives_it() {
    on_both("tag_history", async |db| {
        let (ann, project) = team(&db).await;
        let app = name("team/app");
        let (first, second) = (payload("first", None), payload("second", None));
        db.write(move |tx| {
            Box::pin(async move {
                let v1: model::Tag = "v1".parse().unwrap();
                let one = store(tx, project, &app, (&first, None)).await?;
                let two = store(tx, project, &app, (&second, None)).await?;
                let repo = repository::id(tx, project, &app).await?.unwrap();
                let later = |secs| NOW.plus(Duration::from_secs(secs));
                let set = [(one, 0), (one, 1), (two, 2), (one, 3)];
                for (manifest, secs) in set {
                    let by = Principal::User {
                        id: ann.principal_id,
                        user: ann.id,
                        name: "ann".into(),
                    };
                    let at = place(project, repo, &app);
                    let how = (Onto::Anything, by, later(secs));
                    set_tag_by(tx, at, &v1, manifest, how).await?;
                }
                tag::delete(tx, (repo, &app), &v1, Deletion::Here(NOW)).await?;
                let digest = |bytes: &[u8]| Digest::of(Algorithm::Sha256, bytes);
                let pointed = |bytes: &[u8], secs| Pointed {
                    digest: digest(bytes),
                    at: later(secs),
                    by: Some(ann.principal_id),
                    by_name: Some(ann.name.clone()),
                    is_there: true,
                };
                // The second time nothing moved.
                let all = [pointed(&first, 3), pointed(&second, 2), pointed(&first, 0)];
                let mut newest = Selection::all();
                newest.order = Some((history::SET, Direction::Down));
                let found = history::list(tx, repo, &v1, &newest).await?;
                assert_eq!(found, (all.to_vec(), 3));
                newest.page.limit = Some(1);
                let found = history::list(tx, repo, &v1, &newest).await?;
                assert_eq!(found, (all[..1].to_vec(), 3));
                assert!(history::has(tx, repo, &v1, &digest(&second)).await?);
                assert!(!history::has(tx, repo, &v1, &digest(b"another")).await?);
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
    })
    .await;
}
