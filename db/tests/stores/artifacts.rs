//! Lists of artifacts and tags, and what belongs to an artifact.

use gantry_db::artifact::attrs::Shown;
use gantry_db::artifact::{self, Latest, attrs, closure};
use gantry_db::list::{Direction, Field, Selection, Test};
use gantry_db::tag::listing;
use model::media_type::{OCI_INDEX, OCI_MANIFEST};
use model::{ManifestId, Reference, RepositoryId};

use super::deletion::when;
use super::untagged_manifests::{payload, store};
use super::*;

fn app() -> RepositoryName {
    "team/app".parse().unwrap()
}

fn digest(bytes: &[u8]) -> Digest {
    Digest::of(Algorithm::Sha256, bytes)
}

fn index(children: &[&[u8]]) -> Vec<u8> {
    let descriptor = |child: &&[u8]| {
        format!(
            r#"{{"mediaType":"{OCI_MANIFEST}","digest":"{}","size":{},"platform":{{"os":"linux","architecture":"arm64","variant":"v8"}}}}"#,
            digest(child),
            child.len()
        )
    };
    let children: Vec<String> = children.iter().map(descriptor).collect();
    let children = children.join(",");
    format!(r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[{children}]}}"#)
        .into_bytes()
}

/// Two tagged images, one without a tag, an index of two that have none, and an accessory of the first.
struct Content {
    project: ProjectId,
    repository: RepositoryId,
    ids: Vec<ManifestId>,
}

const SEEDS: [&str; 5] = ["one", "two", "three", "part a", "part b"];

async fn content(db: &Db) -> Content {
    let (_, project) = team(db).await;
    db.write(move |tx| {
        Box::pin(async move {
            let tags = [Some("v1"), Some("V_2"), None, None, None];
            let mut ids = Vec::new();
            for (seed, tag) in SEEDS.iter().zip(tags) {
                let bytes = payload(seed, None);
                ids.push(store(tx, project, &app(), (&bytes, tag)).await?);
            }
            let parts = ["part a", "part b"].map(|seed| payload(seed, None));
            let index = index(&[&parts[0], &parts[1]]);
            ids.push(store(tx, project, &app(), (&index, Some("all"))).await?);
            let bytes = payload("accessory", Some(&digest(&payload("one", None))));
            ids.push(store(tx, project, &app(), (&bytes, None)).await?);
            let repository = repository::id(tx, project, &app()).await?.unwrap();
            repository::publish(tx, repository, NOW).await?;
            Ok::<_, Error>(Content {
                project,
                repository,
                ids,
            })
        })
    })
    .await
    .unwrap()
}

fn field(name: &str) -> Field {
    artifact::FIELDS
        .into_iter()
        .find(|field| field.name == name)
        .unwrap()
}

#[tokio::test]
async fn artifacts_are_listed_by_every_field() {
    on_both("artifacts", async |db| {
        let Content {
            repository, ids, ..
        } = content(&db).await;
        let mut reader = db.reader().await.unwrap();
        let is = |text: &str| Test::Is(text.to_owned());
        let first = digest(&payload("one", None)).to_string();
        for (tests, expected) in [
            (vec![], vec![0, 1, 2, 5]),
            (vec![("tags", is("*"))], vec![0, 1, 5]),
            (vec![("tags", is("nil"))], vec![2]),
            (vec![("tags", is("v1"))], vec![0]),
            (vec![("tags", Test::Contains("v_".into()))], vec![1]),
            (
                vec![("tags", Test::AnyOf(vec!["v1".into(), "all".into()]))],
                vec![0, 5],
            ),
            (vec![("base", is("*"))], vec![0, 1, 2, 3, 4, 5]),
            (vec![("type", is("IMAGE"))], vec![5]),
            (vec![("type", is("UNKNOWN")), ("tags", is("*"))], vec![0, 1]),
            (vec![("media_type", is("application/x"))], vec![0, 1, 2]),
            (vec![("manifest_media_type", is(OCI_INDEX))], vec![5]),
            (
                vec![("artifact_type", Test::Contains("X".into()))],
                vec![0, 1, 2],
            ),
            (vec![("digest", is(&first))], vec![0]),
            (
                vec![("digest", Test::Contains(first[20..40].to_uppercase()))],
                vec![0],
            ),
            (
                vec![("digest", Test::AnyOf(vec![first.clone(), "x".into()]))],
                vec![0],
            ),
            (vec![("digest", is("x"))], vec![]),
            (
                vec![("push_time", Test::Within(NOW, NOW))],
                vec![0, 1, 2, 5],
            ),
            (vec![("id", Test::Number(ids[1].0))], vec![1]),
        ] {
            let mut selection = Selection::all();
            selection.order = Some((artifact::PUSHED, Direction::Down));
            for (name, test) in &tests {
                selection.tests.push((field(name), test.clone()));
            }
            let listed = artifact::list(&mut reader, repository, &selection).await;
            let (listed, total) = listed.unwrap();
            let found: Vec<ManifestId> = listed.iter().map(|one| one.id).collect();
            let newest: Vec<_> = expected.iter().rev().map(|at| ids[*at]).collect();
            assert_eq!((found, total), (newest, expected.len() as i64), "{tests:?}");
        }
        for order in artifact::FIELDS.iter().filter(|field| field.sortable) {
            let mut selection = Selection::all();
            selection.order = Some((*order, Direction::Up));
            selection.page.limit = Some(2);
            let listed = artifact::list(&mut reader, repository, &selection).await;
            let (listed, total) = listed.unwrap();
            assert_eq!((listed.len(), total), (2, 4), "{order:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_not_there_comes_before_all_that_is() {
    on_both("artifact_nulls", async |db| {
        let Content {
            repository, ids, ..
        } = content(&db).await;
        let pulls = [stat::Pulls {
            repository: app(),
            digest: digest(&payload("two", None)),
            tag: Some("V_2".parse().unwrap()),
            times: 1,
        }];
        db.write(move |tx| Box::pin(async move { stat::add(tx, &pulls, NOW).await }))
            .await
            .unwrap();
        let mut reader = db.reader().await.unwrap();
        let (up, down) = (Direction::Up, Direction::Down);
        for (name, way, expected) in [
            ("pull_time", up, [0, 2, 5, 1]),
            ("pull_time", down, [1, 5, 2, 0]),
            // The index has none.
            ("artifact_type", up, [5, 0, 1, 2]),
            ("artifact_type", down, [2, 1, 0, 5]),
        ] {
            let mut selection = Selection::all();
            selection.order = Some((field(name), way));
            let listed = artifact::list(&mut reader, repository, &selection).await;
            let found: Vec<_> = listed.unwrap().0.iter().map(|one| one.id).collect();
            assert_eq!(found, expected.map(|at| ids[at]), "{name} {way:?}");
        }
        for (way, expected) in [(up, ["v1", "all", "V_2"]), (down, ["V_2", "all", "v1"])] {
            let pulled = listing::FIELDS.into_iter();
            let pulled = pulled.clone().find(|field| field.name == "pull_time");
            let mut selection = Selection::all();
            selection.order = pulled.map(|field| (field, way));
            let listed = listing::of_repository(&mut reader, repository, &selection).await;
            let found: Vec<_> = listed
                .unwrap()
                .0
                .iter()
                .map(|tag| tag.name.to_string())
                .collect();
            assert_eq!(found, expected, "{way:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_page_has_a_greatest_size() {
    on_both("artifact_sizes", async |db| {
        let (_, project) = team(&db).await;
        let (repository, indexes) = db
            .write(move |tx| {
                Box::pin(async move {
                    let long = "x".repeat(50_000);
                    for number in 0..90 {
                        let seed = format!("{number}{long}");
                        store(tx, project, &app(), (&payload(&seed, None), None)).await?;
                    }
                    let part = payload("part", None);
                    store(tx, project, &app(), (&part, None)).await?;
                    let mut indexes = Vec::new();
                    for count in [3_000, 3_001] {
                        let index = index(&vec![part.as_slice(); count]);
                        indexes.push(store(tx, project, &app(), (&index, None)).await?);
                    }
                    let repository = repository::id(tx, project, &app()).await?.unwrap();
                    repository::publish(tx, repository, NOW).await?;
                    Ok::<_, Error>((repository, indexes))
                })
            })
            .await
            .unwrap();
        let mut reader = db.reader().await.unwrap();
        // With long annotations, of how many rows.
        for (limit, offset, expected) in [
            (Some(10), 0, (10, 10)),
            (Some(100), 0, (0, 92)),
            (Some(100), 80, (10, 12)),
            (None, 0, (90, 92)),
        ] {
            let mut selection = Selection::all();
            selection.page = Page { offset, limit };
            let listed = artifact::list(&mut reader, repository, &selection).await;
            let (listed, total) = listed.unwrap();
            let is_long = |text: &String| text.len() > 50_000;
            let has = |one: &&artifact::Artifact| one.annotations.as_ref().is_some_and(is_long);
            let shown = (listed.iter().filter(has).count(), listed.len());
            assert_eq!((shown, total), (expected, 92), "{limit:?} {offset}");
        }
        let parts = async |reader: &mut gantry_db::Reader, of: &[ManifestId]| {
            let parts = artifact::parts(reader, of).await.unwrap();
            let of = |id: &ManifestId| parts.iter().filter(|part| part.index == *id).count();
            indexes.iter().map(of).collect::<Vec<_>>()
        };
        assert_eq!(parts(&mut reader, &indexes[..1]).await, [3_000, 0]);
        assert_eq!(parts(&mut reader, &indexes).await, [2_500, 2_500]);
    })
    .await;
}

#[tokio::test]
async fn a_projects_artifacts_are_those_of_all_its_repositories() {
    on_both("artifacts_all", async |db| {
        let Content { project, ids, .. } = content(&db).await;
        let other = db.write(move |tx| {
            Box::pin(async move {
                let other: RepositoryName = "team/other".parse().unwrap();
                let bytes = payload("one", None);
                let id = store(tx, project, &other, (&bytes, Some("v1"))).await?;
                let repository = repository::id(tx, project, &other).await?.unwrap();
                repository::publish(tx, repository, NOW).await?;
                Ok::<_, Error>(id)
            })
        });
        let other = other.await.unwrap();
        let mut reader = db.reader().await.unwrap();
        let mut listed = async |latest, tests: &[(&str, &str)]| {
            let mut selection = Selection::all();
            for (name, text) in tests {
                let test = Test::Is((*text).to_owned());
                selection.tests.push((field(name), test));
            }
            let listed = artifact::list_in_project(&mut reader, project, latest, &selection);
            let (listed, total) = listed.await.unwrap();
            let found: Vec<ManifestId> = listed.iter().map(|one| one.id).collect();
            assert_eq!(found.len() as i64, total);
            found
        };
        let all = vec![ids[0], ids[1], ids[2], ids[5], other];
        assert_eq!(listed(Latest::All, &[]).await, all);
        let v1 = listed(Latest::All, &[("tags", "v1")]).await;
        assert_eq!(v1, [ids[0], other]);
        let tests = [("media_type", "application/x")];
        let latest = listed(Latest::ByMediaType, &tests).await;
        assert_eq!(latest, [ids[2], other]);
        let tests = [("artifact_type", "application/x")];
        assert_eq!(listed(Latest::ByArtifactType, &tests).await, latest);
    })
    .await;
}

#[tokio::test]
async fn an_artifact_is_found_with_its_parts_accessories_and_tags() {
    on_both("artifact", async |db| {
        let Content {
            project,
            repository,
            ids,
        } = content(&db).await;
        let mut reader = db.reader().await.unwrap();
        let reader = &mut reader;
        let find = async |reader: &mut gantry_db::Reader, project: ProjectId, text: &str| {
            let reference: Reference = text.parse().unwrap();
            let found = artifact::find(reader, project, &app(), &reference).await;
            found.unwrap().map(|artifact| artifact.id)
        };
        let part = digest(&payload("part a", None)).to_string();
        assert_eq!(find(reader, project, "v1").await, Some(ids[0]));
        assert_eq!(find(reader, project, &part).await, Some(ids[3]));
        assert_eq!(find(reader, project, "none").await, None);
        assert_eq!(find(reader, ProjectId(project.0 + 1), "v1").await, None);
        let parts = artifact::parts(reader, &ids).await.unwrap();
        let children: Vec<_> = parts.iter().map(|part| part.child).collect();
        assert_eq!(children, [Some(ids[3]), Some(ids[4])]);
        assert_eq!(parts[0].platform.as_deref(), Some("linux/arm64/v8"));
        let subject = digest(&payload("one", None));
        let all = Selection::all();
        let listed = artifact::accessories(reader, (repository, &subject), &all).await;
        let (listed, total) = listed.unwrap();
        assert_eq!((listed[0].id, total), (ids[6], 1));
        assert_eq!(listed[0].kind, "subject.accessory");
        let kinds = artifact::accessory_kinds(reader, &ids).await.unwrap();
        assert!(kinds.iter().eq([&(ids[0], listed[0].kind.clone())]));
        let together = artifact::accessories_of(reader, &ids).await.unwrap();
        assert_eq!(together, [(ids[0], listed[0].clone())]);
        let layers = artifact::layers(reader, ids[0]).await.unwrap();
        assert_eq!(layers.len(), 1, "the config");
        assert_eq!(
            (layers[0].size, &*layers[0].media_type),
            (2, "application/x")
        );
        let tags = listing::of_manifests(reader, &ids).await.unwrap();
        let names = |tags: &[listing::Listed]| -> Vec<String> {
            tags.iter().map(|tag| tag.name.to_string()).collect()
        };
        assert_eq!(names(&tags), ["all", "V_2", "v1"]);
        let (tags, total) = listing::of_manifest(reader, ids[0], &all).await.unwrap();
        assert_eq!((names(&tags), total), (vec!["v1".to_owned()], 1));
        for order in listing::ALL_FIELDS {
            let mut selection = Selection::all();
            selection.order = Some((order, Direction::Down));
            let listed = listing::of_repository(reader, repository, &selection).await;
            assert_eq!(listed.unwrap().1, 3, "{order:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn tags_of_deleted_manifests_are_not_listed_and_are_made_anew() {
    on_both("made_tags", async |db| {
        let Content {
            project,
            repository,
            ids,
        } = content(&db).await;
        db.write(move |tx| {
            Box::pin(async move {
                let v1 = "v1".parse().unwrap();
                let app = app();
                let at = place(project, repository, &app);
                let two = digest(&payload("two", None));
                let two = manifest::hold(tx, repository, &two).await?.unwrap();
                let made = set_tag(tx, at, &v1, two.id, Onto::Nothing).await?;
                assert!(!made, "it is there");
                let one = digest(&payload("one", None));
                assert_eq!(tag::target(tx, repository, &v1).await?, Some(one));
                // Nothing of it is purged: the tag's row is there.
                manifest::delete(tx, at, ids[0], when(NOW), 0).await?;
                let all = Selection::all();
                assert_eq!(listing::of_repository(tx, repository, &all).await?.1, 2);
                assert_eq!(tag::target(tx, repository, &v1).await?, None);
                assert!(set_tag(tx, at, &v1, two.id, Onto::Nothing).await?);
                assert_eq!(tag::target(tx, repository, &v1).await?, Some(two.digest));
                assert_eq!(listing::of_repository(tx, repository, &all).await?.1, 3);
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
async fn what_is_shown_of_configs_is_kept_once() {
    on_both("attrs", async |db| {
        let Content {
            repository, ids, ..
        } = content(&db).await;
        let mut reader = db.reader().await.unwrap();
        let configs = attrs::configs(&mut reader, &ids).await.unwrap();
        assert_eq!(configs.len(), 6, "an index has none");
        assert_eq!((configs[0].size, &*configs[0].key), (2, "0/config"));
        let shown = |at: usize, attrs: Option<&str>| Shown {
            manifest: ids[at].0,
            attrs: attrs.map(str::to_owned),
        };
        let rows = vec![
            shown(0, Some(r#"{"a":"é\u0000"}"#)),
            shown(1, None),
            Shown {
                manifest: -1,
                attrs: None,
            },
        ];
        for _ in 0..2 {
            let rows = rows.clone();
            db.write(move |tx| Box::pin(async move { attrs::keep(tx, &rows).await }))
                .await
                .unwrap();
        }
        for (longest, expected) in [(100, Some(r#"{"a":"é\u0000"}"#)), (10, None)] {
            let kept = attrs::kept(&mut reader, &ids, longest).await.unwrap();
            let mut kept: Vec<_> = kept.iter().map(|one| (one.manifest, &one.attrs)).collect();
            kept.sort_unstable();
            let expected = expected.map(str::to_owned);
            assert_eq!(kept, [(ids[0].0, &expected), (ids[1].0, &None)]);
        }
        let mut selection = Selection::all();
        selection.order = Some((artifact::PUSHED, Direction::Up));
        let (listed, _) = artifact::list(&mut reader, repository, &selection)
            .await
            .unwrap();
        let told: Vec<_> = listed
            .iter()
            .map(|one| (one.attrs.as_deref(), one.is_unread))
            .collect();
        let expected = [
            (Some(r#"{"a":"é\u0000"}"#), false),
            (None, false),
            (None, true),
            (None, false),
        ];
        assert_eq!(told, expected);
        let by_ids = artifact::by_ids(&mut reader, &ids).await.unwrap();
        assert_eq!(by_ids.len(), 7);
    })
    .await;
}

#[tokio::test]
async fn a_closure_has_all_that_belongs_to_an_artifact() {
    on_both("closure", async |db| {
        let Content {
            project,
            repository,
            ids,
        } = content(&db).await;
        db.write(move |tx| {
            Box::pin(async move {
                // Of a part, and of that again.
                let first = payload("first", Some(&digest(&payload("part b", None))));
                let second = payload("second", Some(&digest(&first)));
                let mut expected = vec![ids[3].0, ids[4].0, ids[5].0];
                let scheme = format!("{}.sig", digest(&first)).replace(':', "-");
                for (bytes, tag) in [(&first, "acc"), (&second, &*scheme)] {
                    let id = store(tx, project, &app(), (bytes, Some(tag))).await?;
                    expected.push(id.0);
                }
                let members = closure::members(tx, (repository, ids[5]), 100).await?;
                let mut found: Vec<i64> = members.iter().map(|member| member.id.0).collect();
                found.sort_unstable();
                assert_eq!(found, expected);
                let some = closure::members(tx, (repository, ids[5]), 2).await?;
                assert_eq!(some.len(), 2);
                let rows: Vec<ManifestId> = expected.into_iter().map(ManifestId).collect();
                let blobs = closure::hold_blobs(tx, &rows, 10).await?;
                assert_eq!(blobs.len(), 1, "the config that all have");
                assert_eq!(closure::references(tx, &rows, 10).await?, 6);
                let tags = closure::tags(tx, ids[5], &rows, 10).await?;
                let names: Vec<String> = tags.iter().map(|(_, tag)| tag.to_string()).collect();
                assert_eq!(names, ["all", &*scheme]);
                assert_eq!(closure::payloads(tx, &rows).await?.len(), 5);
                assert!(closure::is_accessory(tx, ids[6]).await?);
                assert!(!closure::is_accessory(tx, ids[0]).await?);
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_description_is_of_a_repository_that_is_shown() {
    on_both("described", async |db| {
        let Content {
            project,
            repository,
            ..
        } = content(&db).await;
        db.write(move |tx| {
            Box::pin(async move {
                let other = ProjectId(project.0 + 1);
                let in_project = repository::published_in(tx, project, &app()).await?;
                assert_eq!(in_project, Some(repository));
                assert_eq!(repository::published_in(tx, other, &app()).await?, None);
                let text = "what it is for";
                assert!(repository::describe(tx, project, &app(), text, NOW).await?);
                assert!(!repository::describe(tx, other, &app(), "no", NOW).await?);
                let found = repository::by_name(tx, project, &app()).await?.unwrap();
                assert_eq!(found.description, text);
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
    })
    .await;
}
