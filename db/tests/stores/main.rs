//! Every store, on both databases. PostgreSQL comes from `GANTRY_TEST_POSTGRES`, a URL of a server
//! on which the test may make databases: `cargo xtask test` starts one.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod applied;
mod artifacts;
mod audit_log;
mod audit_purge;
mod backup;
mod collecting;
mod deletion;
mod executions;
mod failover;
mod followers;
mod groups;
mod identities;
mod jobs;
mod labels;
mod listed;
mod login_failure;
mod mailed_link;
mod oidc;
mod pooler;
mod replication;
mod repositories;
mod retention;
mod robots;
mod server;
mod session;
mod tags;
mod tombstones;
mod transactions;
mod untagged_manifests;
mod versions;
mod webhooks;

use std::time::Duration;

use collecting::{committed, place};
use gantry_db::immutability::Immutability;
use gantry_db::list::{Page, Selection, Test};
use gantry_db::tag::{Deletion, Onto};
use gantry_db::{
    Age, Db, Error, Location, Tx, artifact, audit, binding, blob, garbage, gc, immutable_rule,
    installation, label, manifest, member, principal, project, quota, repository, stat, tag,
    upload, user,
};
use model::{
    Algorithm, Client, Digest, Event, Manifest, ManifestId, Operation, Origin, Principal,
    ProjectId, ProjectName, RepositoryId, RepositoryName, Subject, Tag, Timestamp, UserId,
};
use policy::{Caller, Presented, Role};

const NOW: Timestamp = Timestamp(1_700_000_000_000_000);

/// Runs `test` on a fresh SQLite file and on a fresh PostgreSQL database.
async fn on_both<F>(name: &str, test: impl Fn(Db) -> F)
where
    F: Future<Output = ()>,
{
    let folder = tempfile::tempdir().unwrap();
    let db = Db::open(&Location::Sqlite(folder.path().join("t.db")))
        .await
        .unwrap();
    test(db.clone()).await;
    db.close().await;
    let url = std::env::var("GANTRY_TEST_POSTGRES").expect(
        "GANTRY_TEST_POSTGRES must name a PostgreSQL server: run `cargo xtask test`, or apt-get install postgresql-15",
    );
    let db = Db::open(&Location::Postgres(fresh(&url, name).await))
        .await
        .unwrap();
    test(db.clone()).await;
    db.close().await;
}

async fn fresh(url: &str, name: &str) -> String {
    use sqlx::Connection as _;
    let database = format!("gantry_{name}_{}", std::process::id());
    let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
    sqlx::query(sqlx::AssertSqlSafe(format!("create database {database}")))
        .execute(&mut connection)
        .await
        .unwrap();
    let (server, _) = url.rsplit_once('/').unwrap();
    format!("{server}/{database}")
}

fn ann() -> user::NewUser {
    user::NewUser {
        name: "ann".into(),
        email: Some("ann@example.com".into()),
        realname: "Ann".into(),
        comment: String::new(),
        password_hash: Some("x".into()),
        sysadmin: false,
        email_verified: true,
        unverified: false,
    }
}

/// A project and the user who owns it.
async fn team(db: &Db) -> (user::User, model::ProjectId) {
    db.write(|tx| {
        Box::pin(async move {
            let admin = user::NewUser {
                name: "admin".into(),
                email: None,
                ..ann()
            };
            user::create_admin(tx, &admin, NOW).await?;
            part_ids(tx).await?;
            user::create(tx, &ann(), NOW).await?;
            let ann = user::by_name(tx, "ann").await?.unwrap();
            let id = project::create(tx, &"team".parse().unwrap(), ann.id, false, -1, NOW).await?;
            Ok::<_, Error>((ann, id))
        })
    })
    .await
    .unwrap()
}

/// Gives the next principal an id that the next user does not have, as robots do.
async fn part_ids(tx: &mut Tx) -> Result<(), Error> {
    let table = gantry_db::backup::describe(tx, "principal").await?;
    let gone = r#"[[1000, "user", "gone", 1, 1]]"#;
    gantry_db::backup::put(tx, &table, gone).await?;
    gantry_db::backup::count_on(tx, &table).await
}

#[tokio::test]
async fn a_value_of_the_installation_is_made_once() {
    on_both("installation", async |db| {
        for value in [b"first", b"later"] {
            let kept = db
                .write(|tx| Box::pin(installation::put_if_absent(tx, "key", value)))
                .await
                .unwrap();
            assert_eq!(kept, b"first");
        }
    })
    .await;
}

#[tokio::test]
async fn the_first_new_user_has_id_three() {
    on_both("user", async |db| {
        let (old, _) = team(&db).await;
        assert_eq!((old.id.0, old.principal_id.0), (3, 1_001));
        let again = db
            .write(|tx| Box::pin(async move { user::create(tx, &ann(), NOW).await }))
            .await;
        assert!(matches!(again, Err(Error::Duplicate(_))));
        let gone = old.clone();
        db.write(move |tx| Box::pin(async move { user::delete(tx, &gone, NOW).await }))
            .await
            .unwrap();
        let (fresh, _) = db
            .write(|tx| Box::pin(async move { user::create(tx, &ann(), NOW).await }))
            .await
            .unwrap();
        assert!(fresh > old.id);
        let mut tx = db.reader().await.unwrap();
        let (listed, total) = user::list(&mut tx, user::Scope::Made, &Selection::all())
            .await
            .unwrap();
        assert_eq!((listed.len(), total), (1, 1));
        let (found, _) = user::search(&mut tx, "AN", Page::ALL).await.unwrap();
        assert_eq!((found[0].id, found.len()), (fresh, 1));
    })
    .await;
}

#[tokio::test]
async fn bindings_follow_memberships() {
    on_both("binding", async |db| {
        let (ann, id) = team(&db).await;
        let authority = async |generation| {
            let found = binding::authority(&db, ann.principal_id, generation, Age::Now).await;
            found.unwrap()
        };
        assert!(authority(Some(2)).await.is_none());
        let caller = Caller {
            authority: authority(Some(1)).await.unwrap(),
            presented: Presented::Password,
            grants: None,
            address: None,
            client: model::Client::default(),
        };
        let name = "team".parse().unwrap();
        let roles = async || {
            let standing = binding::standing(&db, &caller, &name, Age::Now).await;
            let standing = standing.unwrap().unwrap();
            assert_eq!(standing.project.id, id);
            standing.roles.iter().collect::<Vec<_>>()
        };
        assert_eq!(roles().await, [Role::ProjectAdmin]);
        db.write(move |tx| {
            Box::pin(async move {
                let (members, _) = member::list(tx, id, &Selection::all()).await?;
                member::set_role(tx, &members[0], Role::Guest).await
            })
        })
        .await
        .unwrap();
        assert_eq!(roles().await, [Role::Guest]);
        let mut reader = db.reader().await.unwrap();
        let held = binding::roles_in(&mut reader, ann.principal_id, &[id])
            .await
            .unwrap();
        assert!(held[&id].contains(Role::Guest));
        let projects = binding::projects_of(&mut reader, ann.principal_id)
            .await
            .unwrap();
        assert_eq!(projects, [id]);
        drop(reader);
        db.write(move |tx| {
            Box::pin(async move {
                let (members, _) = member::list(tx, id, &Selection::all()).await?;
                member::remove(tx, &members[0]).await
            })
        })
        .await
        .unwrap();
        assert!(roles().await.is_empty());
        let missing = "nowhere".parse().unwrap();
        let missing = binding::standing(&db, &caller, &missing, Age::Now).await;
        assert_eq!(missing.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn a_token_newer_than_what_was_read_a_moment_ago_is_good() {
    let url = std::env::var("GANTRY_TEST_POSTGRES").expect("GANTRY_TEST_POSTGRES names a server");
    let shared = Location::Postgres(fresh(&url, "generation").await);
    let (here, there) = (
        Db::open(&shared).await.unwrap(),
        Db::open(&shared).await.unwrap(),
    );
    let (ann, _) = team(&here).await;
    let id = ann.principal_id;
    let bound = async |generation| {
        let found = binding::authority(&here, id, Some(generation), Age::Moments).await;
        found.unwrap().map(|authority| authority.generation)
    };
    assert_eq!(bound(1).await, Some(1));
    there
        .write(move |tx| {
            Box::pin(async move { user::set_password(tx, &ann, "another", NOW).await })
        })
        .await
        .unwrap();
    assert_eq!(bound(2).await, Some(2));
    assert_eq!(bound(1).await, None, "the older token is not");
    here.close().await;
    there.close().await;
}

#[tokio::test]
async fn connections_that_the_server_ended_a_moment_ago_fail_nothing() {
    use sqlx::Connection as _;
    let url = std::env::var("GANTRY_TEST_POSTGRES").expect("GANTRY_TEST_POSTGRES names a server");
    let database = fresh(&url, "ended").await;
    let db = Db::open(&Location::Postgres(database.clone()))
        .await
        .unwrap();
    let mut server = sqlx::PgConnection::connect(&database).await.unwrap();
    let mut end = async || {
        let held = [db.reader().await.unwrap(), db.reader().await.unwrap()];
        drop(held);
        tokio::time::sleep(Duration::from_millis(50)).await;
        let others = "select count(pg_terminate_backend(pid)) from pg_stat_activity
             where datname = current_database() and pid <> pg_backend_pid()";
        let ended: i64 = sqlx::query_scalar(others)
            .fetch_one(&mut server)
            .await
            .unwrap();
        assert!(ended >= 2, "{ended} ended");
    };
    end().await;
    db.write(|tx| Box::pin(installation::put(tx, "written", b"x")))
        .await
        .unwrap();
    end().await;
    let mut tx = db.reader().await.unwrap();
    let read = installation::get(&mut tx, "written").await.unwrap();
    assert_eq!(read.as_deref(), Some(&b"x"[..]));
    drop(tx);
    end().await;
    let mut held = db.reader().await.unwrap();
    installation::get(&mut held, "written").await.unwrap();
    end().await;
    assert!(installation::get(&mut held, "written").await.is_err());
    drop(held);
    db.close().await;
}

#[tokio::test]
async fn projects_are_listed_to_those_who_may_see_them() {
    on_both("project", async |db| {
        let (ann, id) = team(&db).await;
        let name: ProjectName = "team".parse().unwrap();
        let nobody = Caller::anonymous([127, 0, 0, 1].into());
        let found = async || {
            let standing = binding::standing(&db, &nobody, &name, Age::Now).await;
            standing.unwrap().map(|standing| standing.project)
        };
        let facts = found().await.unwrap();
        assert_eq!(facts.id, id);
        let list = async |viewer| {
            let mut tx = db.reader().await.unwrap();
            let listed = project::list(&mut tx, viewer, &Selection::all()).await;
            listed.unwrap().1
        };
        assert_eq!(list(project::Viewer::Anonymous).await, 0);
        assert_eq!(list(project::Viewer::Principal(ann.principal_id)).await, 1);
        assert_eq!(list(project::Viewer::Administrator).await, 1);
        let opened = facts.clone();
        db.write(move |tx| {
            Box::pin(async move { project::set_public(tx, &opened, true, NOW).await })
        })
        .await
        .unwrap();
        assert_eq!(list(project::Viewer::Anonymous).await, 1);
        assert!(found().await.unwrap().public);
        let gone = db
            .write(move |tx| Box::pin(async move { project::delete(tx, &facts, NOW).await }))
            .await
            .unwrap();
        assert!(gone);
        assert_eq!(found().await, None);
    })
    .await;
}

fn image(config: &Digest) -> Vec<u8> {
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","config":{{"mediaType":"application/x","digest":"{config}","size":2}},"layers":[],
        "subject":{{"mediaType":"x","digest":"{config}","size":1}},"annotations":{{"a":"b"}}}}"#,
        model::media_type::OCI_MANIFEST
    )
    .into_bytes()
}

/// A manifest to be stored, whose tags are set later.
pub(crate) fn new<'a>(
    digest: &'a Digest,
    (manifest, payload): (&'a Manifest, &'a [u8]),
    found: &'a [manifest::Found],
) -> manifest::New<'a> {
    manifest::New {
        digest,
        manifest,
        payload,
        found,
        tags: &[],
    }
}

/// Points a tag at a manifest, as a push or what else does; whether it points there then.
pub(crate) async fn set_tag(
    tx: &mut Tx,
    at: blob::Place<'_>,
    tag: &Tag,
    to: ManifestId,
    onto: Onto,
) -> Result<bool, Error> {
    set_tag_by(tx, at, tag, to, (onto, Principal::CommandLine, NOW)).await
}

/// As [`set_tag`], by somebody at some time.
pub(crate) async fn set_tag_by(
    tx: &mut Tx,
    at: blob::Place<'_>,
    tag: &Tag,
    to: ManifestId,
    (onto, principal, now): (Onto, Principal, Timestamp),
) -> Result<bool, Error> {
    let digest = artifact::by_ids(tx, &[to]).await?[0].digest;
    let origin = Origin {
        principal,
        client: Client::default(),
    };
    let subject = Subject::Artifact {
        project: at.project,
        repository: at.name.clone(),
        tag: None,
        digest,
    };
    let event = Event::new(now, origin, Operation::Create, subject);
    let rules = Immutability::of(tx, at.project).await?;
    let tags = std::slice::from_ref(tag);
    let Ok(claim) = tag::claim(tx, (at, &rules), tags, &digest, onto).await? else {
        return Ok(false);
    };
    let set = tag::set(tx, at, claim, to, &event).await?;
    Ok(set.is_ok() || tag::target(tx, at.repository, tag).await? == Some(digest))
}

/// Pushes an index of nothing.
async fn push_empty(tx: &mut Tx, project: ProjectId, name: &str) -> Result<(), Error> {
    let bytes = format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[]}}"#,
        model::media_type::OCI_INDEX
    );
    let manifest = Manifest::parse(None, bytes.as_bytes()).unwrap();
    let digest = Digest::of(Algorithm::Sha256, bytes.as_bytes());
    let name: RepositoryName = name.parse().unwrap();
    let repository = repository::ensure(tx, project, &name, NOW).await?;
    let at = place(project, repository, &name);
    let what = (&manifest, bytes.as_bytes());
    let id = manifest::store(tx, at, new(&digest, what, &[]), NOW).await?;
    let tag = "latest".parse().unwrap();
    set_tag(tx, at, &tag, id.unwrap(), Onto::Anything).await?;
    repository::publish(tx, repository, NOW).await
}

#[tokio::test]
async fn a_catalog_goes_on_after_any_name() {
    on_both("catalog", async |db| {
        let (ann, _) = team(&db).await;
        let projects = db.write(move |tx| {
            Box::pin(async move {
                let mut ids = Vec::new();
                for project in ["a", "ab", "a-b", "hidden"] {
                    let name = project.parse().unwrap();
                    let id = project::create(tx, &name, ann.id, false, -1, NOW).await?;
                    for repository in ["y", "x/1", "x"] {
                        push_empty(tx, id, &format!("{project}/{repository}")).await?;
                    }
                    ids.push(id);
                }
                ids.pop();
                Ok::<_, Error>(ids)
            })
        });
        let projects = projects.await.unwrap();
        let all = [
            "a-b/x", "a-b/x/1", "a-b/y", "a/x", "a/x/1", "a/y", "ab/x", "ab/x/1", "ab/y",
        ];
        let mut tx = db.reader().await.unwrap();
        let places = [
            "", "a", "a-", "a-b", "a-b/x", "a/", "a/x/", "a/y", "a0", "ab/x", "b",
        ];
        for (last, limit) in places.iter().flat_map(|last| [(*last, 2), (*last, 100)]) {
            let visible = repository::Visible::Projects(&projects);
            let names = repository::catalog(&mut tx, visible, Some(last), limit).await;
            let after = all.into_iter().filter(|name| *name > last);
            let expected: Vec<_> = after.take(limit as usize).collect();
            assert_eq!(names.unwrap(), expected, "after {last:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_image_is_stored_tagged_found_and_deleted() {
    on_both("image", async |db| {
        let (_, project) = team(&db).await;
        let name: RepositoryName = "team/app".parse().unwrap();
        let config = Digest::of(Algorithm::Sha256, b"{}");
        let payload = image(&config);
        let digest = Digest::of(Algorithm::Sha256, &payload);
        let tag_name: model::Tag = "v1".parse().unwrap();
        let (stored_name, stored_tag, bytes) = (name.clone(), tag_name.clone(), payload.clone());
        db.write(move |tx| {
            Box::pin(async move {
                let manifest = Manifest::parse(None, &bytes).unwrap();
                let repo = repository::ensure(tx, project, &stored_name, NOW).await?;
                let at = place(project, repo, &stored_name);
                let missing = manifest::find_children(tx, repo, &manifest.children).await?;
                assert_eq!(missing, [manifest::Found::Missing]);
                let object = |key| blob::Object { key, size: 2 };
                let row = committed(blob::commit(tx, &config, object("0/a"), NOW, NOW).await?);
                let second = committed(blob::commit(tx, &config, object("0/b"), NOW, NOW).await?);
                assert_eq!(row, second);
                blob::link(tx, at, &row, NOW).await?.unwrap();
                let found = manifest::find_children(tx, repo, &manifest.children).await?;
                let new = new(&digest, (&manifest, &bytes), &found);
                let id = manifest::store(tx, at, new, NOW).await?.unwrap();
                set_tag(tx, at, &stored_tag, id, Onto::Anything).await?;
                repository::publish(tx, repo, NOW).await?;
                assert_eq!(blob::named_by(tx, repo, &config).await?, Some(digest));
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
        assert_eq!(
            tag::resolve(&db, &name, &tag_name).await.unwrap(),
            Some(digest)
        );
        let stored = manifest::stored(&db, (project, &name), &digest)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(stored.payload, payload);
        assert_eq!(
            blob::linked(&db, project, &name, &config)
                .await
                .unwrap()
                .unwrap()
                .blob
                .key,
            "0/a"
        );
        let mut tx = db.reader().await.unwrap();
        let mut referrers = async |kind| {
            manifest::referrers(&mut tx, (project, &name), &config, kind, (0, 10))
                .await
                .unwrap()
        };
        for kind in [None, Some("application/x")] {
            let page = referrers(kind).await;
            assert_eq!(page.descriptors[0].size, payload.len() as i64);
            assert_eq!(
                (page.descriptors.len(), page.next, page.total),
                (1, None, 1)
            );
        }
        let others = referrers(Some("other")).await;
        assert_eq!(
            (others.descriptors.len(), others.next, others.total),
            (0, None, 1)
        );
        assert_eq!(
            repository::catalog(&mut tx, repository::Visible::Everything, None, 10)
                .await
                .unwrap(),
            ["team/app"]
        );
        assert_eq!(
            repository::catalog(&mut tx, repository::Visible::Projects(&[project]), None, 10)
                .await
                .unwrap()
                .len(),
            1
        );
        assert!(
            repository::catalog(&mut tx, repository::Visible::Projects(&[]), None, 10)
                .await
                .unwrap()
                .is_empty()
        );
        assert_eq!(
            blob::known_keys(&mut tx, &["0/a".into(), "0/b".into(), "0/z".into()])
                .await
                .unwrap(),
            ["0/a", "0/b"]
        );
        drop(tx);
        let gone_name = name.clone();
        let pulls = [stat::Pulls {
            repository: name.clone(),
            digest,
            tag: Some(tag_name.clone()),
            times: 3,
        }];
        for id in ["first", "second", "second"] {
            let pulls = pulls.clone();
            db.write(move |tx| {
                Box::pin(async move { stat::write(tx, id, (&pulls, &[]), NOW).await })
            })
            .await
            .unwrap();
        }
        let mut tx = db.reader().await.unwrap();
        let found = stat::of_manifest(&mut tx, &name, &digest).await.unwrap();
        assert_eq!(
            (found.pulls, found.pulled_at),
            (6, Some(NOW)),
            "written twice"
        );
        drop(tx);
        db.write(move |tx| {
            Box::pin(async move {
                let repo = repository::published_in(tx, project, &gone_name)
                    .await?
                    .unwrap();
                let going = manifest::hold(tx, repo, &digest).await?.unwrap();
                let at = place(project, repo, &gone_name);
                manifest::delete(tx, at, going.id, deletion::when(NOW), 1).await?;
                assert_eq!(deletion::purge_all(tx, at, 10).await?, 1);
                let stored = blob::hold_alone(tx, &config).await?.unwrap();
                assert!(blob::unlink(tx, at, &stored, NOW).await?);
                assert!(!blob::unlink(tx, at, &stored, NOW).await?);
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
        assert_eq!(tag::resolve(&db, &name, &tag_name).await.unwrap(), None);
        assert!(
            manifest::stored(&db, (project, &name), &digest)
                .await
                .unwrap()
                .is_none()
        );
        assert!(
            blob::linked(&db, project, &name, &config)
                .await
                .unwrap()
                .is_none()
        );
    })
    .await;
}

#[tokio::test]
async fn who_takes_an_upload_over_fences_the_one_before() {
    on_both("upload", async |db| {
        let (ann, project) = team(&db).await;
        let later = NOW.plus(Duration::from_secs(60));
        db.write(move |tx| {
            Box::pin(async move {
                let owner = upload::Owner {
                    repository: "team/app".parse().unwrap(),
                    project,
                    principal: Some(ann.principal_id),
                    process: "a".into(),
                };
                let nothing = upload::Durable::default();
                let five = upload::Durable {
                    size: 5,
                    hash_state: Some(b"state".to_vec()),
                    store_state: Some(b"parts".to_vec()),
                };
                assert!(upload::begin(tx, "w", &owner, ("0/w", &five), NOW, later).await?);
                let whole = upload::get(tx, "w").await?.unwrap();
                assert_eq!((whole.epoch, whole.size), (1, 5));
                assert_eq!(whole.hash_state, five.hash_state);
                assert_eq!(whole.store_state, five.store_state);
                upload::close(tx, ("w", 1)).await?;
                assert!(upload::begin(tx, "u", &owner, ("0/u", &nothing), NOW, later).await?);
                assert!(!upload::begin(tx, "u", &owner, ("0/v", &nothing), NOW, later).await?);
                assert!(upload::checkpoint(tx, ("u", 1), &five, later).await?);
                let taken = upload::take_over(tx, "u", "a", later).await?.unwrap();
                assert_eq!((taken.epoch, taken.size, taken.rehash), (2, 5, false));
                let taken = upload::take_over(tx, "u", "b", later).await?.unwrap();
                assert_eq!((taken.epoch, taken.rehash), (3, true));
                assert!(!upload::checkpoint(tx, ("u", 1), &five, later).await?);
                let close = upload::close(tx, ("u", 1)).await;
                assert!(matches!(close, Err(Error::UploadGone)));
                let alone = (project, quota::Taking::Shared);
                let reserve = upload::reserve(tx, ("u", 1), alone, (0, 7)).await;
                assert!(matches!(reserve, Err(Error::UploadGone)));
                assert!(!upload::renew(tx, ("u", 1), later).await?);
                assert!(upload::renew(tx, ("u", 3), later).await?);
                for before in [None, Some(1)] {
                    upload::end(tx, ("u", before), &owner, NOW, later).await?;
                }
                assert_eq!(
                    upload::count_open(tx).await?,
                    1,
                    "it is another one's by now"
                );
                upload::reserve(tx, ("u", 3), alone, (0, 7)).await?.unwrap();
                assert_eq!(quota::used(tx, project).await?, 7);
                assert!(
                    upload::rekey(tx, ("u", 3), ("0/u", "0/v"), NOW)
                        .await
                        .is_ok_and(|done| !done)
                );
                let cancelled = upload::cancel(tx, "u", &owner, NOW, later).await?;
                assert_eq!(cancelled, upload::Cancelled::Open);
                let again = upload::cancel(tx, "u", &owner, NOW, later).await?;
                assert_eq!(again, upload::Cancelled::Over);
                let fresh = upload::cancel(tx, "x", &owner, NOW, later).await?;
                assert_eq!(fresh, upload::Cancelled::Fresh);
                assert_eq!(quota::used(tx, project).await?, 0);
                assert!(upload::take_over(tx, "u", "a", later).await?.is_none());
                let due = garbage::due(tx, NOW, 10).await?;
                assert_eq!(due, [garbage::Garbage::of_upload("0/u".into())]);
                assert!(upload::begin(tx, "e", &owner, ("0/e", &five), NOW, later).await?);
                upload::end(tx, ("e", Some(1)), &owner, NOW, later).await?;
                upload::end(tx, ("never", None), &owner, NOW, later).await?;
                for ended in ["e", "never"] {
                    let row = upload::get(tx, ended).await?.unwrap();
                    assert_eq!((row.state, row.key), (upload::State::Closed, None));
                }
                assert_eq!(garbage::due(tx, NOW, 10).await?.len(), 2);
                assert!(upload::begin(tx, "o", &owner, ("0/o", &five), NOW, later).await?);
                upload::reserve(tx, ("o", 1), alone, (0, 7)).await?.unwrap();
                let after = later.plus(Duration::from_secs(1));
                assert_eq!(upload::expire(tx, after, 2).await?, 2);
                assert_eq!(upload::expire(tx, after, 10).await?, 4);
                assert_eq!(upload::expire(tx, after, 10).await?, 0);
                let due = garbage::due(tx, after, 10).await?;
                let open = garbage::Garbage::of_upload("0/o".into());
                assert_eq!((due.len(), due.contains(&open)), (3, true), "it was open");
                assert_eq!(quota::used(tx, project).await?, 0);
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_failed_transaction_leaves_nothing_and_spares_its_neighbours() {
    on_both("rollback", async |db| {
        let work = |fails: bool, name: &'static str| {
            db.write(move |tx| {
                Box::pin(async move {
                    installation::put(tx, name, b"x").await?;
                    if fails {
                        Err(Error::WriterGone)
                    } else {
                        Ok(())
                    }
                })
            })
        };
        let (good, bad) = tokio::join!(work(false, "good"), work(true, "bad"));
        assert!(good.is_ok() && bad.is_err());
        let mut tx = db.reader().await.unwrap();
        assert!(installation::get(&mut tx, "good").await.unwrap().is_some());
        assert!(installation::get(&mut tx, "bad").await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn the_count_of_members_is_that_of_the_list() {
    on_both("members", async |db| {
        let (ann, team) = team(&db).await;
        db.write(move |tx| {
            Box::pin(async move {
                let admin = user::by_id(tx, UserId::ADMIN).await?.unwrap();
                let admin = (admin.principal_id, principal::Kind::User);
                member::add(tx, team, admin, Role::Guest, NOW).await
            })
        })
        .await
        .unwrap();
        let mut tx = db.reader().await.unwrap();
        for (name, expected) in [(None, 2), (Some("ann"), 1), (Some("nobody"), 0)] {
            let named = name.map(|name: &str| Test::Is(name.to_owned()));
            let selection = Selection::all().or(member::NAME, named);
            let (members, total) = member::list(&mut tx, team, &selection).await.unwrap();
            assert_eq!(
                (members.len() as i64, total),
                (expected, expected),
                "{name:?}"
            );
        }
        let member = member::of_principal(&mut tx, team, ann.principal_id).await;
        let member = member.unwrap().unwrap();
        let user = member::Entity::User(ann.id);
        assert_eq!(
            (member.entity().unwrap(), member.role),
            (user, Role::ProjectAdmin)
        );
    })
    .await;
}

#[tokio::test]
async fn the_built_in_administrator_is_listed_on_request() {
    on_both("builtin", async |db| {
        team(&db).await;
        let mut tx = db.reader().await.unwrap();
        let scopes = [user::Scope::Made, user::Scope::All];
        for (scope, expected) in scopes.into_iter().zip([&["ann"][..], &["admin", "ann"]]) {
            let listed = user::list(&mut tx, scope, &Selection::all()).await;
            let (users, total) = listed.unwrap();
            let names: Vec<&str> = users.iter().map(|user| &*user.name).collect();
            assert_eq!((names, total), (expected.to_vec(), expected.len() as i64));
        }
    })
    .await;
}

#[tokio::test]
async fn lists_find_any_number_of_names() {
    on_both("any_of", async |db| {
        let (ann, team) = team(&db).await;
        db.write(move |tx| Box::pin(project::set_metadata(tx, team, "severity", "low")))
            .await
            .unwrap();
        let names = |name: &str| {
            let others = (0..1_000).map(|number| format!("{name}'{number}"));
            others.chain([name.to_owned()]).collect::<Vec<_>>()
        };
        let mut tx = db.reader().await.unwrap();
        let named = Selection::all().with(user::NAME, Test::AnyOf(names("ann")));
        let listed = user::list(&mut tx, user::Scope::Made, &named).await;
        let (users, total) = listed.unwrap();
        let ids: Vec<_> = users.iter().map(|user| user.id).collect();
        assert_eq!((ids, total), (vec![ann.id], 1));
        let named = Selection::all().with(project::NAME, Test::AnyOf(names("team")));
        let listed = project::list(&mut tx, project::Viewer::Administrator, &named).await;
        let (projects, total) = listed.unwrap();
        let ids: Vec<_> = projects.iter().map(|project| project.id).collect();
        assert_eq!((ids, total), (vec![team], 1));
        let many: Vec<_> = (1..2_000).map(model::ProjectId).collect();
        let settings = project::metadata_of(&mut tx, &many).await.unwrap();
        assert_eq!(settings.len(), 1);
        assert_eq!(settings[&team]["severity"], "low");
        let none = project::metadata_of(&mut tx, &[]).await.unwrap();
        assert!(none.is_empty());
    })
    .await;
}

#[tokio::test]
async fn what_several_projects_hold_is_told_at_once() {
    on_both("used_by", async |db| {
        let (ann, team) = team(&db).await;
        let other = db.write(move |tx| {
            Box::pin(async move {
                let name = "other".parse().unwrap();
                let other = project::create(tx, &name, ann.id, false, 1 << 20, NOW).await?;
                for (project, bytes) in [(team, 100), (team, 50), (other, 7)] {
                    let taking = quota::Taking::Shared;
                    quota::charge(tx, project, bytes, taking).await?.unwrap();
                }
                quota::refund(tx, team, 30).await?;
                Ok::<_, Error>(other)
            })
        });
        let other = other.await.unwrap();
        let mut tx = db.reader().await.unwrap();
        let used = quota::used_by(&mut tx, &[team, other]).await.unwrap();
        assert_eq!(used.len(), 2);
        for project in [team, other] {
            let alone = quota::used(&mut tx, project).await.unwrap();
            assert_eq!(used[&project], alone);
        }
        assert_eq!((used[&team], used[&other]), (120, 7));
        let none = quota::used_by(&mut tx, &[]).await.unwrap();
        assert!(none.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_user_who_goes_leaves_no_membership_and_no_project_behind() {
    on_both("holding", async |db| {
        let (ann, team) = team(&db).await;
        let principal = ann.principal_id;
        db.write(move |tx| {
            Box::pin(async move {
                assert_eq!(
                    principal::hold(tx, principal)
                        .await?
                        .map(|(name, _)| name)
                        .as_deref(),
                    Some("ann")
                );
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
        let (begun, begin) = tokio::sync::oneshot::channel::<()>();
        let other = db.write(move |tx| {
            Box::pin(async move {
                let name = "other".parse().unwrap();
                let made = project::create(tx, &name, ann.id, false, -1, NOW).await;
                // On SQLite writers come one after the other anyway.
                begun.send(()).unwrap();
                tokio::time::sleep(Duration::from_millis(200)).await;
                made
            })
        });
        let gone = ann.clone();
        let deleted = async {
            begin.await.unwrap();
            db.write(move |tx| Box::pin(async move { user::delete(tx, &gone, NOW).await }))
                .await
        };
        let (made, deleted) = tokio::join!(other, deleted);
        deleted.unwrap();
        let mut tx = db.reader().await.unwrap();
        for project in [team, made.unwrap()] {
            assert_eq!(member::count_by_role(&mut tx, project).await.unwrap(), []);
        }
        drop(tx);
        let late = db.write(move |tx| {
            Box::pin(async move {
                assert_eq!(principal::hold(tx, principal).await?, None);
                project::create(tx, &"late".parse().unwrap(), ann.id, false, -1, NOW).await
            })
        });
        assert!(matches!(late.await, Err(Error::OwnerGone)));
    })
    .await;
}
