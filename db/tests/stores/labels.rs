//! Labels and immutable rules.

use model::{LabelId, NewLabel};

use super::untagged_manifests::{payload, store};
use super::*;

fn new(name: &str) -> NewLabel {
    NewLabel::new(name, String::new(), "#fff".into()).unwrap()
}

async fn make(db: &Db, project: Option<ProjectId>, name: &str) -> Result<LabelId, Error> {
    let new = new(name);
    db.write(move |tx| Box::pin(async move { label::create(tx, project, &new, NOW).await }))
        .await
}

#[tokio::test]
async fn a_name_is_taken_within_its_scope_alone() {
    on_both("labels", async |db| {
        let (_, team) = team(&db).await;
        let global = make(&db, None, "a").await.unwrap();
        let own = make(&db, Some(team), "a").await.unwrap();
        for scope in [None, Some(team)] {
            let taken = make(&db, scope, "a").await.unwrap_err();
            assert!(matches!(taken, Error::Duplicate(_)), "{taken}");
        }
        let mut reader = db.reader().await.unwrap();
        for (scope, id) in [(None, global), (Some(team), own)] {
            let listed = label::list(&mut reader, scope, &Selection::all()).await;
            let (labels, total) = listed.unwrap();
            assert_eq!((labels[0].id, labels[0].project, total), (id, scope, 1));
        }
    })
    .await;
}

#[tokio::test]
async fn a_part_of_a_name_is_found_whatever_its_letters() {
    on_both("label_search", async |db| {
        for name in ["Änderung", "änderung", "Plain_1"] {
            make(&db, None, name).await.unwrap();
        }
        let mut reader = db.reader().await.unwrap();
        for (text, expected) in [
            ("Änd", vec!["Änderung"]),
            ("änd", vec!["änderung"]),
            ("NDERUNG", vec!["Änderung", "änderung"]),
            ("pLAIN_", vec!["Plain_1"]),
            ("_", vec!["Plain_1"]),
            ("%", vec![]),
        ] {
            let named = Selection::all().with(label::NAME, Test::Contains(text.into()));
            let (found, _) = label::list(&mut reader, None, &named).await.unwrap();
            let names: Vec<&str> = found.iter().map(|label| label.name.as_str()).collect();
            assert_eq!(names, expected, "{text}");
        }
    })
    .await;
}

#[tokio::test]
async fn labels_of_artifacts_go_with_either() {
    on_both("label_links", async |db| {
        let (_, team) = team(&db).await;
        let (one, other) = (
            make(&db, None, "b").await.unwrap(),
            make(&db, Some(team), "a").await.unwrap(),
        );
        let manifest = db.write(move |tx| {
            Box::pin(async move {
                let name: RepositoryName = "team/app".parse().unwrap();
                let repository = repository::ensure(tx, team, &name, NOW).await?;
                let bytes = br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
                let digest = Digest::of(Algorithm::Sha256, bytes);
                let manifest = Manifest::parse(None, bytes).unwrap();
                let new = manifest::New {
                    digest: &digest,
                    manifest: &manifest,
                    payload: bytes,
                    found: &[],
                    tags: &[],
                };
                let at = place(team, repository, &name);
                let id = manifest::store(tx, at, new, NOW).await?.unwrap();
                for label in [one, other] {
                    assert!(label::attach(tx, id, label).await?);
                    assert!(!label::attach(tx, id, label).await?);
                }
                Ok::<_, Error>(id)
            })
        });
        let manifest = manifest.await.unwrap();
        let mut reader = db.reader().await.unwrap();
        let found = label::of_manifests(&mut reader, &[manifest]).await.unwrap();
        let names: Vec<&str> = found[&manifest].iter().map(|label| &*label.name).collect();
        assert_eq!(names, ["a", "b"]);
        drop(reader);
        db.write(move |tx| {
            Box::pin(async move {
                label::delete(tx, one, NOW).await?;
                assert!(label::detach(tx, manifest, other).await?);
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
        let mut reader = db.reader().await.unwrap();
        let found = label::of_manifests(&mut reader, &[manifest]).await.unwrap();
        assert!(found.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_deleted_label_is_gone_at_once_and_its_links_are_removed_in_parts() {
    on_both("label_purge", async |db| {
        let (_, team) = team(&db).await;
        let gone = make(&db, Some(team), "a").await.unwrap();
        db.write(move |tx| {
            Box::pin(async move {
                let name: RepositoryName = "team/app".parse().unwrap();
                for seed in ["one", "two", "three"] {
                    let bytes = payload(seed, None);
                    let id = store(tx, team, &name, (&bytes, None)).await?;
                    label::attach(tx, id, gone).await?;
                }
                label::delete(tx, gone, NOW).await
            })
        })
        .await
        .unwrap();
        let successor = make(&db, Some(team), "a").await.unwrap();
        assert_ne!(successor, gone, "the name is free");
        let mut reader = db.reader().await.unwrap();
        assert_eq!(label::get(&mut reader, gone).await.unwrap(), None);
        let listed = label::list(&mut reader, Some(team), &Selection::all()).await;
        assert_eq!(listed.unwrap().1, 1);
        let name = "team/app".parse().unwrap();
        let repository = repository::id(&mut reader, team, &name).await.unwrap();
        let all = artifact::list(&mut reader, repository.unwrap(), &Selection::all()).await;
        let ids: Vec<_> = all.unwrap().0.iter().map(|artifact| artifact.id).collect();
        assert_eq!(ids.len(), 3);
        let found = label::of_manifests(&mut reader, &ids).await.unwrap();
        assert!(found.is_empty(), "{found:?}");
        let counted = label::count_of(&mut reader, ids[0], 10).await.unwrap();
        assert_eq!(counted, 0, "it counts no more");
        drop(reader);
        let mut parts = 0;
        loop {
            let part = db.write(|tx| Box::pin(label::purge(tx, 2)));
            let part = part.await.unwrap();
            assert!(part.rows <= 3, "{part:?}");
            if !part.left {
                break;
            }
            parts += 1;
        }
        assert_eq!(parts, 2, "two links, then one and the label");
        let mut reader = db.reader().await.unwrap();
        assert_eq!(label::deleted(&mut reader).await.unwrap(), None);
        for id in ids {
            assert_eq!(label::count_of(&mut reader, id, 10).await.unwrap(), 0);
        }
    })
    .await;
}

#[tokio::test]
async fn a_project_has_no_two_rules_that_say_the_same_and_only_enabled_ones_count() {
    on_both("rules", async |db| {
        let (_, team) = team(&db).await;
        let make = async |text: &'static str| {
            db.write(move |tx| {
                Box::pin(async move { immutable_rule::create(tx, team, text, NOW).await })
            })
            .await
        };
        let (one, _) = (make("{}").await.unwrap(), make("{\"a\":1}").await.unwrap());
        assert!(matches!(make("{}").await, Err(Error::Duplicate(_))));
        db.write(move |tx| Box::pin(immutable_rule::update(tx, one, false, "{}")))
            .await
            .unwrap();
        let mut reader = db.reader().await.unwrap();
        let in_effect = immutable_rule::in_effect(&mut reader, team).await.unwrap();
        assert_eq!(in_effect, ["{\"a\":1}"]);
        let listed = immutable_rule::list(&mut reader, team, &Selection::all()).await;
        assert_eq!(listed.unwrap().1, 2);
    })
    .await;
}
