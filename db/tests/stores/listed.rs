//! Which manifests are listed, and how many: the columns compared with what follows from all other rows, after every
//! step of random walks, one after the other and several at once.

use std::collections::{BTreeMap, BTreeSet};

use gantry_db::backup;
use gantry_db::manifest::Found;
use gantry_db::tombstone;
use model::{ManifestId, Tag};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::Value;

use super::deletion::when;
use super::*;

/// What is pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pushed {
    Image(u8),
    /// Of the images with this number and the next.
    Index(u8),
    /// Refers to the image.
    Referrer(u8),
    /// An index of the first image that refers to the index of the first two.
    ReferringIndex,
    /// A signature by cosign that only its tag ties to the first image.
    Signature,
}

#[derive(Clone, Copy, Debug)]
enum Name {
    V(u8),
    /// Cosign's tag for a signature of the first image.
    Signature,
}

#[derive(Clone, Debug)]
enum Step {
    Push(Pushed, Vec<Name>),
    Import(Pushed, Name),
    Untag(Name),
    /// Removes at most so many rows of what hangs on it at once.
    Delete(Pushed, i64),
    /// One part of a purge.
    Purge(i64),
}

fn pushed() -> impl Strategy<Value = Pushed> {
    prop_oneof![
        4 => (0..3_u8).prop_map(Pushed::Image),
        3 => (0..2_u8).prop_map(Pushed::Index),
        2 => (0..2_u8).prop_map(Pushed::Referrer),
        1 => Just(Pushed::ReferringIndex),
        2 => Just(Pushed::Signature),
    ]
}

fn name() -> impl Strategy<Value = Name> {
    prop_oneof![4 => (0..3_u8).prop_map(Name::V), 1 => Just(Name::Signature)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (pushed(), prop::collection::vec(name(), 0..3)).prop_map(|(what, tags)| Step::Push(what, tags)),
        2 => (pushed(), name()).prop_map(|(what, tag)| Step::Import(what, tag)),
        3 => name().prop_map(Step::Untag),
        3 => (pushed(), 0..4_i64).prop_map(|(what, rows)| Step::Delete(what, rows)),
        1 => (1..4_i64).prop_map(Step::Purge),
    ]
}

impl Pushed {
    fn digest(self) -> Digest {
        Digest::of(Algorithm::Sha256, self.payload().as_bytes())
    }

    fn payload(self) -> String {
        let descriptor = |of: Self| {
            let (digest, size) = (of.digest(), of.payload().len());
            format!(
                r#"{{"mediaType":"{}","digest":"{digest}","size":{size}}}"#,
                model::media_type::OCI_MANIFEST
            )
        };
        let index = |of: &[Self], rest: &str| {
            let children: Vec<String> = of.iter().map(|child| descriptor(*child)).collect();
            let media_type = model::media_type::OCI_INDEX;
            format!(
                r#"{{"schemaVersion":2,"mediaType":"{media_type}","manifests":[{}]{rest}}}"#,
                children.join(",")
            )
        };
        match self {
            Self::Image(number) => leaf(
                "application/x",
                &format!(r#","annotations":{{"n":"{number}"}}"#),
            ),
            Self::Index(number) => index(&[Self::Image(number), Self::Image(number + 1)], ""),
            Self::Referrer(number) => {
                let subject = descriptor(Self::Image(number));
                leaf("application/x", &format!(r#","subject":{subject}"#))
            }
            Self::ReferringIndex => {
                let subject = descriptor(Self::Index(0));
                index(&[Self::Image(0)], &format!(r#","subject":{subject}"#))
            }
            Self::Signature => leaf(model::accessory::COSIGN_LAYER, ""),
        }
    }
}

/// A manifest with a layer of a type, none of whose blobs must be there.
fn leaf(layer: &str, rest: &str) -> String {
    let digest = Digest::of(Algorithm::Sha256, b"{}");
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","config":{{"mediaType":"application/x","digest":"{digest}","size":2}},
        "layers":[{{"mediaType":"{layer}","digest":"{digest}","size":2}}]{rest}}}"#,
        model::media_type::OCI_MANIFEST
    )
}

impl Name {
    fn tag(self) -> Tag {
        let text = match self {
            Self::V(number) => format!("v{number}"),
            Self::Signature => format!("{}.sig", Pushed::Image(0).digest()).replace(':', "-"),
        };
        text.parse().unwrap()
    }
}

/// Does a step in one transaction; one that cannot be done does nothing.
async fn walk(db: &Db, project: ProjectId, app: &RepositoryName, step: &Step) -> Result<(), Error> {
    let (app, step) = (app.clone(), step.clone());
    let walked = db.write_in(project, move |tx| {
        Box::pin(async move {
            let repo = repository::ensure(tx, project, &app, NOW).await?;
            match step {
                Step::Push(what, tags) => push(tx, (project, repo, &app), what, &tags).await,
                Step::Import(what, name) => {
                    let held = manifest::hold(tx, repo, &what.digest()).await?;
                    let Some(held) = held else { return Ok(()) };
                    let at = place(project, repo, &app);
                    set_tag(tx, at, &name.tag(), held.id, Onto::Imported).await?;
                    Ok(())
                }
                Step::Untag(name) => {
                    tag::delete(tx, (repo, &app), &name.tag(), Deletion::Here(NOW))
                        .await
                        .map(drop)
                }
                Step::Delete(what, rows) => {
                    let held = manifest::hold(tx, repo, &what.digest()).await?;
                    let Some(held) = held else { return Ok(()) };
                    if manifest::parent(tx, held.id).await?.is_some() {
                        return Ok(());
                    }
                    let at = place(project, repo, &app);
                    manifest::delete(tx, at, held.id, when(NOW), rows).await
                }
                Step::Purge(rows) => {
                    let deleted = tombstone::list(tx, ManifestId(0), 100).await?.found;
                    let ours = deleted.iter().filter(|deleted| deleted.repository == repo);
                    let ids: Vec<ManifestId> = ours.map(|deleted| deleted.id).collect();
                    let at = place(project, repo, &app);
                    tombstone::purge(tx, at, &ids, when(NOW), rows)
                        .await
                        .map(drop)
                }
            }
        })
    });
    walked.await
}

async fn push(
    tx: &mut Tx,
    (project, repo, app): (ProjectId, model::RepositoryId, &RepositoryName),
    what: Pushed,
    names: &[Name],
) -> Result<(), Error> {
    let payload = what.payload();
    let manifest = Manifest::parse(None, payload.as_bytes()).unwrap();
    let mut found = manifest::find_children(tx, repo, &manifest.children).await?;
    for (child, found) in manifest.children.iter().zip(&mut found) {
        match (child.kind, *found) {
            (model::manifest::ChildKind::Manifest, Found::Missing) => return Ok(()),
            (_, Found::Missing) => *found = Found::Elsewhere,
            _ => {}
        }
    }
    let tags: Vec<Tag> = names.iter().map(|name| name.tag()).collect();
    let new = manifest::New {
        digest: &what.digest(),
        manifest: &manifest,
        payload: payload.as_bytes(),
        found: &found,
        tags: &tags,
    };
    let id = manifest::store(tx, place(project, repo, app), new, NOW).await?;
    let id = id.unwrap();
    for tag in &tags {
        let at = place(project, repo, app);
        set_tag(tx, at, tag, id, Onto::Anything).await?;
    }
    repository::publish(tx, repo, NOW).await
}

/// A table, each row by the names of its columns.
async fn table(reader: &mut gantry_db::Reader, name: &'static str) -> Vec<BTreeMap<String, Value>> {
    let table = backup::describe(reader, name).await.unwrap();
    let mut rows = Vec::new();
    let take = |row: &str| {
        let values: Vec<Value> = serde_json::from_str(row).unwrap();
        let names = table.columns.iter().map(|column| column.name.clone());
        rows.push(names.zip(values).collect());
        Ok::<_, Error>(())
    };
    backup::rows(reader, &table, take).await.unwrap();
    rows
}

fn ids(rows: &[BTreeMap<String, Value>], column: &str) -> BTreeSet<i64> {
    rows.iter().filter_map(|row| row[column].as_i64()).collect()
}

/// Fails unless the columns say what follows from all other rows.
async fn compare(db: &Db) -> Result<(), String> {
    let mut reader = db.snapshot().await.unwrap();
    let tagged = ids(&table(&mut reader, "tag").await, "manifest_id");
    let children = ids(&table(&mut reader, "manifest_reference").await, "child_id");
    let accessories = ids(&table(&mut reader, "accessory").await, "manifest_id");
    let mut counts: BTreeMap<i64, i64> = BTreeMap::new();
    for row in table(&mut reader, "manifest").await {
        let id = row["id"].as_i64().unwrap();
        if !row["subject"].is_null() && !accessories.contains(&id) {
            return Err(format!("{id} is no accessory"));
        }
        if !row["deleted_at"].is_null() {
            continue;
        }
        let is_tagged = tagged.contains(&id);
        let is_listed = !accessories.contains(&id) && (is_tagged || !children.contains(&id));
        let expected = (i64::from(is_tagged), i64::from(is_listed));
        let stored = ["tagged", "listed"].map(|column| row[column].as_i64().unwrap());
        if <(i64, i64)>::from(stored) != expected {
            return Err(format!("{id} is {stored:?} instead of {expected:?}"));
        }
        *counts
            .entry(row["repository_id"].as_i64().unwrap())
            .or_default() += expected.1;
    }
    for row in table(&mut reader, "repository").await {
        let expected = counts
            .remove(&row["id"].as_i64().unwrap())
            .unwrap_or_default();
        if row["artifacts"].as_i64() != Some(expected) {
            return Err(format!(
                "{} artifacts instead of {expected}",
                row["artifacts"]
            ));
        }
    }
    Ok(())
}

#[tokio::test]
async fn after_every_step_exactly_the_right_ones_are_listed() {
    on_both("listed", async |db| {
        let (_, project) = team(&db).await;
        let mut runner = TestRunner::deterministic();
        for round in 0..8 {
            let app: RepositoryName = format!("team/app{round}").parse().unwrap();
            let mut walked = Vec::new();
            for _ in 0..60 {
                let step = step().new_tree(&mut runner).unwrap().current();
                walk(&db, project, &app, &step).await.unwrap();
                walked.push(step);
                if let Err(wrong) = compare(&db).await {
                    panic!("{wrong} after {walked:#?}");
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn walks_at_once_leave_exactly_the_right_ones_listed() {
    const WALKERS: usize = 4;
    on_both("listed_at_once", async |db| {
        let (_, project) = team(&db).await;
        let mut runner = TestRunner::deterministic();
        let app: RepositoryName = "team/app".parse().unwrap();
        for round in 0..5 {
            let steps = prop::collection::vec(step(), 15);
            let walks = (0..WALKERS).map(|_| {
                let steps = steps.new_tree(&mut runner).unwrap().current();
                let (db, app) = (db.clone(), app.clone());
                tokio::spawn(async move {
                    for step in steps {
                        loop {
                            match walk(&db, project, &app, &step).await {
                                Err(error) if error.is_collision() => {}
                                walked => break walked.unwrap(),
                            }
                        }
                    }
                })
            });
            for walk in walks.collect::<Vec<_>>() {
                walk.await.unwrap();
            }
            compare(&db)
                .await
                .unwrap_or_else(|wrong| panic!("{wrong} after round {round}"));
        }
    })
    .await;
}

/// Walks on, and the subjects and types of accessories that are left then, and how many artifacts are listed.
async fn after(db: &Db, project: ProjectId, steps: &[Step]) -> (Vec<(Value, Value)>, i64) {
    let app: RepositoryName = "team/app".parse().unwrap();
    for step in steps {
        walk(db, project, &app, step).await.unwrap();
    }
    compare(db).await.unwrap();
    let mut reader = db.reader().await.unwrap();
    let found = repository::by_name(&mut reader, project, &app)
        .await
        .unwrap();
    let accessories = table(&mut reader, "accessory").await;
    let told = accessories
        .iter()
        .map(|row| (row["subject"].clone(), row["type"].clone()));
    (told.collect(), found.unwrap().artifacts)
}

/// How a digest stands in a dump.
fn stored(digest: &Digest) -> Value {
    format!("01{}", digest.to_string().trim_start_matches("sha256:")).into()
}

#[tokio::test]
async fn an_accessory_is_one_before_its_subject_comes_and_when_that_comes_again() {
    on_both("accessory", async |db| {
        let (_, project) = team(&db).await;
        let (image, referrer) = (Pushed::Image(0), Pushed::Referrer(0));
        let push = |what| Step::Push(what, vec![]);
        let row = (stored(&image.digest()), Value::from("subject.accessory"));
        let lower = |(rows, listed): (Vec<(Value, Value)>, i64)| {
            let low = |value: Value| Value::from(value.as_str().unwrap().to_lowercase());
            let rows: Vec<_> = rows.into_iter().map(|(of, kind)| (low(of), kind)).collect();
            (rows, listed)
        };
        let early = after(&db, project, &[push(referrer)]).await;
        assert_eq!(lower(early), (vec![row.clone()], 0));
        let both = after(&db, project, &[push(image)]).await;
        assert_eq!(lower(both), (vec![row.clone()], 1));
        let gone = after(&db, project, &[Step::Delete(image, 10)]).await;
        assert_eq!(gone, (vec![], 0), "it goes with its subject");
        let again = after(&db, project, &[push(image), push(referrer)]).await;
        assert_eq!(lower(again), (vec![row.clone()], 1));
        let tagged = [
            Step::Push(referrer, vec![Name::V(0)]),
            Step::Delete(image, 10),
        ];
        let gone = after(&db, project, &tagged).await;
        assert_eq!(gone, (vec![], 0), "its tag does not keep it");
    })
    .await;
}

#[tokio::test]
async fn a_signature_is_one_from_when_cosigns_tag_names_its_subject() {
    on_both("cosign", async |db| {
        let (_, project) = team(&db).await;
        let plain = Step::Push(Pushed::Signature, vec![Name::V(0)]);
        assert_eq!(after(&db, project, &[plain]).await, (vec![], 1));
        let image = Step::Push(Pushed::Image(1), vec![Name::Signature]);
        assert_eq!(
            after(&db, project, &[image]).await,
            (vec![], 2),
            "no signature"
        );
        let named = Step::Push(Pushed::Signature, vec![Name::Signature]);
        let (rows, listed) = after(&db, project, &[named]).await;
        assert_eq!((rows.len(), listed), (1, 1));
        assert_eq!(rows[0].1, "signature.cosign");
        let untagged = [Step::Untag(Name::Signature), Step::Untag(Name::V(0))];
        assert_eq!(after(&db, project, &untagged).await, (rows, 1));
        let gone = [Step::Delete(Pushed::Signature, 10)];
        assert_eq!(after(&db, project, &gone).await, (vec![], 1));
    })
    .await;
}

#[tokio::test]
async fn a_signature_by_tag_goes_with_its_subject() {
    on_both("cosign_gone", async |db| {
        let (_, project) = team(&db).await;
        let image = Step::Push(Pushed::Image(0), vec![Name::V(0)]);
        let signature = Step::Push(Pushed::Signature, vec![Name::Signature]);
        let delete = |rows| Step::Delete(Pushed::Image(0), rows);
        let both = [image.clone(), signature.clone()];
        assert_eq!(after(&db, project, &both).await.0.len(), 1);
        assert_eq!(after(&db, project, &[delete(10)]).await, (vec![], 0));
        // One that is pushed again before the purge is new, and stays.
        after(&db, project, &both).await;
        let again = [delete(0), signature, Step::Purge(10)];
        let (rows, _) = after(&db, project, &again).await;
        assert_eq!(rows.len(), 1);
        let tag = Name::Signature.tag();
        let found = tag::resolve(&db, &"team/app".parse().unwrap(), &tag).await;
        assert_eq!(found.unwrap(), Some(Pushed::Signature.digest()));
    })
    .await;
}

#[tokio::test]
async fn sizes_add_up_through_indexes() {
    on_both("sizes", async |db| {
        let (_, project) = team(&db).await;
        let pushed = [Pushed::Image(0), Pushed::Image(1), Pushed::Index(0)];
        let steps = pushed.map(|what| Step::Push(what, vec![]));
        after(&db, project, &steps).await;
        let mut rows = table(&mut db.reader().await.unwrap(), "manifest").await;
        rows.sort_by_key(|row| row["id"].as_i64());
        let column =
            |name: &str| -> Vec<Value> { rows.iter().map(|row| row[name].clone()).collect() };
        let [first, second, index] = pushed.map(|what| what.payload().len() as i64);
        let expected = [first + 4, second + 4, index + first + second + 8];
        assert_eq!(column("total_size"), expected.map(Value::from));
        let config = stored(&Digest::of(Algorithm::Sha256, b"{}"));
        let lower = |value: &Value| value.as_str().map(|text| Value::from(text.to_lowercase()));
        let configs: Vec<_> = column("config_digest").iter().map(lower).collect();
        assert_eq!(configs, [Some(config.clone()), Some(config), None]);
    })
    .await;
}
