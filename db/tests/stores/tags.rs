//! Setting tags: by pushes, by REST, by imports, and by two of them at once.

use gantry_db::tag::Kept;
use model::ImmutableRule;

use super::untagged_manifests::{payload, store};
use super::*;

fn app() -> RepositoryName {
    "team/app".parse().unwrap()
}

fn v1() -> Tag {
    "v1".parse().unwrap()
}

/// A project in which tags like `v1` are immutable, with manifests.
async fn with_rule(db: &Db) -> (ProjectId, Vec<ManifestId>) {
    let (_, project) = team(db).await;
    db.write(move |tx| {
        Box::pin(async move {
            let rule = ImmutableRule::of_patterns("**", "v*");
            let text = serde_json::to_string(&rule).unwrap();
            immutable_rule::create(tx, project, &text, NOW).await?;
            let mut rows = Vec::new();
            for seed in ["one", "two"] {
                let bytes = payload(seed, None);
                rows.push(store(tx, project, &app(), (&bytes, None)).await?);
            }
            Ok::<_, Error>((project, rows))
        })
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn a_rule_holds_whoever_sets_a_tag_and_each_one_that_is_set_has_its_event() {
    on_both("set_tags", async |db| {
        let (project, rows) = with_rule(&db).await;
        db.write_in(project, move |tx| {
            Box::pin(async move {
                let name = app();
                let repo = repository::id(tx, project, &name).await?.unwrap();
                let at = place(project, repo, &name);
                let mut set = Vec::new();
                for (tag, row, onto) in [
                    // What an import set is immutable too.
                    ("v1", 0, Onto::Imported),
                    ("v1", 1, Onto::Imported),
                    ("v1", 1, Onto::Anything),
                    ("v1", 1, Onto::Nothing),
                    ("v1", 0, Onto::Anything),
                    ("free", 0, Onto::Imported),
                    ("free", 1, Onto::Imported),
                    ("free", 0, Onto::Nothing),
                    ("free", 0, Onto::Anything),
                    ("free", 1, Onto::Imported),
                ] {
                    let tag = tag.parse().unwrap();
                    set.push(set_tag(tx, at, &tag, rows[row], onto).await?);
                }
                let (yes, no) = (true, false);
                assert_eq!(set, [yes, no, no, no, yes, yes, yes, no, yes, no]);
                let all = audit::Filter::default();
                let events = audit::list(tx, &all, 10).await?;
                let told: Vec<_> = events
                    .iter()
                    .map(|event| event.entry.resource.clone())
                    .collect();
                let free = "team/app:free";
                assert_eq!(told, [free, free, free, "team/app:v1"]);
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_tag_that_is_made_anew_has_a_new_row_and_no_counters() {
    on_both("new_row", async |db| {
        let (_, project) = team(&db).await;
        let (old, new) = (payload("old", None), payload("new", None));
        let first = db.write(move |tx| {
            Box::pin(async move {
                store(tx, project, &app(), (&old, Some("v1"))).await?;
                let repo = repository::id(tx, project, &app()).await?.unwrap();
                repository::publish(tx, repo, NOW).await?;
                Ok::<_, Error>((repo, tag::newest(tx, repo).await?))
            })
        });
        let (repo, first) = first.await.unwrap();
        let pulls = [stat::Pulls {
            repository: app(),
            digest: Digest::of(Algorithm::Sha256, &payload("old", None)),
            tag: Some(v1()),
            times: 1,
        }];
        db.write(move |tx| {
            Box::pin(async move { stat::write(tx, "pulls", (&pulls, &[]), NOW).await })
        })
        .await
        .unwrap();
        db.write(move |tx| {
            Box::pin(async move {
                let name = app();
                let at = place(project, repo, &name);
                let old = Digest::of(Algorithm::Sha256, &payload("old", None));
                let going = manifest::hold(tx, repo, &old).await?.unwrap();
                let when = super::deletion::when(NOW);
                manifest::delete(tx, at, going.id, when, 0).await?;
                store(tx, project, &name, (&new, Some("v1"))).await?;
                let newest = tag::newest(tx, repo).await?;
                assert!(newest > first, "{newest:?}");
                let (listed, _) = tag::listing::of_repository(tx, repo, &Selection::all()).await?;
                assert_eq!((listed[0].id, listed[0].pulls), (newest, 0));
                // One that is moved keeps its row.
                store(tx, project, &name, (&payload("next", None), Some("v1"))).await?;
                assert_eq!(tag::newest(tx, repo).await?, newest);
                let newer = async |tx: &mut Tx, than| {
                    let tags = tag::newer(tx, repo, than, None, 10).await;
                    tags.unwrap().len()
                };
                assert_eq!((newer(tx, first).await, newer(tx, newest).await), (1, 0));
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
async fn of_two_who_set_an_immutable_tag_at_once_the_second_waits_and_finds_it_taken() {
    let url = std::env::var("GANTRY_TEST_POSTGRES").expect("GANTRY_TEST_POSTGRES names a server");
    let db = Db::open(&Location::Postgres(fresh(&url, "claims").await))
        .await
        .unwrap();
    let (project, rows) = with_rule(&db).await;
    let (claimed, held) = tokio::sync::oneshot::channel::<()>();
    let row = rows[0];
    let push = db.write_in(project, move |tx| {
        Box::pin(async move {
            let name = app();
            let repo = repository::id(tx, project, &name).await?.unwrap();
            let at = place(project, repo, &name);
            let digest = artifact::by_ids(tx, &[row]).await?[0].digest;
            let rules = Immutability::of(tx, project).await?;
            let claim = tag::claim(tx, (at, &rules), &[v1()], &digest, Onto::Anything).await?;
            assert!(claim.is_ok());
            claimed.send(()).unwrap();
            tokio::time::sleep(Duration::from_millis(200)).await;
            set_tag(tx, at, &v1(), row, Onto::Anything).await
        })
    });
    let create = async {
        held.await.unwrap();
        let row = rows[1];
        let create = db.write_in(project, move |tx| {
            Box::pin(async move {
                let name = app();
                let repo = repository::id(tx, project, &name).await?.unwrap();
                let at = place(project, repo, &name);
                let digest = artifact::by_ids(tx, &[row]).await?[0].digest;
                let rules = Immutability::of(tx, project).await?;
                let claim = tag::claim(tx, (at, &rules), &[v1()], &digest, Onto::Nothing).await?;
                Ok::<_, Error>(claim.err())
            })
        });
        create.await.unwrap()
    };
    let (pushed, created) = tokio::join!(push, create);
    assert!(pushed.unwrap());
    assert_eq!(created, Some(Kept::Taken(v1())));
    db.close().await;
}
