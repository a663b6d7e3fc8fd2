//! The audit log and its chain.

use gantry_db::audit::count::Count;
use gantry_db::list::Direction;
use model::{Client, Event, Operation, Origin, Principal, Subject};

use super::*;

pub(crate) fn event(name: &str) -> Event {
    by("ann", Operation::Create, Subject::User(name.into()))
}

fn by(who: &str, operation: Operation, subject: Subject) -> Event {
    let origin = Origin {
        principal: Principal::Claimed(who.into()),
        client: Client::at(Some([127, 0, 0, 1].into())),
    };
    Event::new(NOW, origin, operation, subject)
}

#[tokio::test]
async fn the_audit_chain_holds_and_counts_what_is_not_sealed() {
    on_both("audit", async |db| {
        let sign = |hash: &[u8]| -> [u8; 32] {
            hash.iter()
                .map(|b| b ^ 1)
                .collect::<Vec<_>>()
                .try_into()
                .unwrap()
        };
        for resource in ["a", "b", "c"] {
            db.write(move |tx| Box::pin(async move { tx.record(&event(resource)).await }))
                .await
                .unwrap();
        }
        let sealed = db.write(move |tx| {
            Box::pin(async move { audit::chain::seal(tx, &sign, i64::MAX, NOW).await })
        });
        assert_eq!(sealed.await.unwrap(), 3);
        db.write(|tx| Box::pin(async move { tx.record(&event("d")).await }))
            .await
            .unwrap();
        let mut tx = db.reader().await.unwrap();
        let report = audit::chain::verify(&mut tx, &sign, None, &|| {})
            .await
            .unwrap();
        assert_eq!((report.sealed, report.unsealed), (3, 1));
        assert!(report.seals >= 1);
        assert!(report.findings.is_empty(), "{:?}", report.findings);
        let head = audit::chain::head(&mut tx).await.unwrap().unwrap();
        let lost = |_: &[u8]| [0; 32];
        for (exported, findings) in [(None, 1), (Some(&head), 0)] {
            let verified = audit::chain::verify(&mut tx, &lost, exported, &|| {}).await;
            let found = verified.unwrap().findings;
            assert_eq!(found.len(), findings, "{found:?}");
        }
        let mut other = head;
        other.sequence = 9;
        let cut = audit::chain::verify(&mut tx, &sign, Some(&other), &|| {})
            .await
            .unwrap();
        assert_eq!(cut.findings.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn nothing_is_sealed_below_an_open_transaction() {
    on_both("horizon", async |db| {
        let (inside, began) = tokio::sync::oneshot::channel();
        let (end, gate) = tokio::sync::oneshot::channel::<()>();
        let open = db.write(move |tx| {
            Box::pin(async move {
                tx.record(&event("open")).await?;
                inside.send(()).unwrap();
                gate.await.unwrap();
                Ok::<_, Error>(())
            })
        });
        let look = async {
            began.await.unwrap();
            let mut tx = db.reader().await.unwrap();
            let horizon = audit::chain::horizon(&mut tx).await.unwrap();
            let settled = audit::chain::is_settled(&mut tx, &horizon).await.unwrap();
            // SQLite gives ids out in the order of commits.
            assert_eq!(
                (settled, horizon.last_id),
                (!db.is_shared(), i64::from(db.is_shared()))
            );
            end.send(()).unwrap();
            horizon
        };
        let (done, horizon) = tokio::join!(open, look);
        done.unwrap();
        let mut tx = db.reader().await.unwrap();
        assert!(audit::chain::is_settled(&mut tx, &horizon).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn a_list_shows_what_fits_all_of_its_filter() {
    on_both("audit_list", async |db| {
        let (_, team) = team(&db).await;
        let artifact = |name: &str, tag: Option<&str>| Subject::Artifact {
            project: team,
            repository: name.parse().unwrap(),
            tag: tag.map(|tag| tag.parse().unwrap()),
            digest: Digest::of(Algorithm::Sha256, b""),
        };
        let tag = Subject::Tag {
            project: team,
            repository: "team/app".parse().unwrap(),
            tag: "v1".parse().unwrap(),
        };
        let repository = Subject::Repository {
            project: Some(team),
            name: "team/app".parse().unwrap(),
        };
        let events = [
            by("ann", Operation::Create, artifact("team/app", Some("v1"))),
            by("bob", Operation::Pull, artifact("team/app", None)),
            by("ann", Operation::Delete, tag),
            by("ann", Operation::Delete, repository),
            by("bob", Operation::Create, artifact("team/apple", Some("v1"))),
            by(
                "bob",
                Operation::Pull,
                artifact("team/app/sub", Some("v11")),
            ),
            by("ann", Operation::Create, Subject::User("x:v1".into())),
        ];
        for (secs, event) in (1..).zip(events) {
            let event = Event {
                at: NOW.plus(Duration::from_secs(secs)),
                ..event
            };
            db.write(move |tx| Box::pin(async move { tx.record(&event).await }))
                .await
                .unwrap();
        }
        let mut tx = db.reader().await.unwrap();
        let mut list = async |filter: audit::Filter, limit: i64| -> Vec<i64> {
            let listed = audit::list(&mut tx, &filter, limit).await.unwrap();
            let all_known = listed
                .iter()
                .all(|listed| listed.project.is_some() == listed.entry.project_id.is_some());
            assert!(all_known, "{listed:?}");
            let secs = |listed: &audit::Listed| (listed.entry.at - NOW.0) / 1_000_000;
            listed.iter().map(secs).collect()
        };
        let all = audit::Filter::default;
        assert_eq!(list(all(), 3).await, [7, 6, 5]);
        let ann = || audit::Filter {
            principal: Some("ann".into()),
            ..all()
        };
        assert_eq!(list(ann(), 9).await, [7, 4, 3, 1]);
        let app = || audit::Filter {
            repository: Some("team/app".parse().unwrap()),
            ..all()
        };
        assert_eq!(list(app(), 9).await, [4, 3, 2, 1]);
        let v1 = || audit::Filter {
            tag: Some("v1".parse().unwrap()),
            ..all()
        };
        assert_eq!(list(v1(), 9).await, [5, 3, 1]);
        let both = audit::Filter {
            tag: v1().tag,
            operation: Some(Operation::Create),
            project: Some("team".parse().unwrap()),
            ..app()
        };
        assert_eq!(list(both, 9).await, [1]);
        let other = audit::Filter {
            project: Some("other".parse().unwrap()),
            ..all()
        };
        assert!(list(other, 9).await.is_empty());
        let within = audit::Filter {
            from: Some(NOW.plus(Duration::from_secs(2))),
            to: Some(NOW.plus(Duration::from_secs(4))),
            ..all()
        };
        assert_eq!(list(within, 9).await, [3, 2]);
        let page = audit::list(&mut tx, &ann(), 2).await.unwrap();
        let older = audit::Filter {
            before: page.last().map(|listed| listed.entry.id),
            ..ann()
        };
        let older = audit::list(&mut tx, &older, 9).await.unwrap();
        assert_eq!(older.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_batch_that_is_written_again_counts_once() {
    on_both("audit_batch", async |db| {
        for (id, resource) in [("1", "a"), ("1", "a"), ("2", "b")] {
            db.write(move |tx| {
                Box::pin(async move { tx.record_batch(id, &[event(resource)], NOW).await })
            })
            .await
            .unwrap();
        }
        assert_eq!(resources(&db).await, ["a", "b"]);
    })
    .await;
}

#[tokio::test]
async fn a_batch_whose_answer_was_lost_keeps_its_id() {
    let folder = tempfile::tempdir().unwrap();
    let file = Location::Sqlite(folder.path().join("t.db"));
    let (db, closed) = (
        Db::open(&file).await.unwrap(),
        Db::open(&file).await.unwrap(),
    );
    closed.close().await;
    let recorder = audit::recorder::Recorder::default();
    recorder.record(event("a"));
    assert!(recorder.flush(&closed, "first", NOW).await.is_err());
    // What the database did, though nobody heard of it: the recorder numbers the batches of a flush.
    db.write(|tx| Box::pin(async move { tx.record_batch("first-0", &[event("a")], NOW).await }))
        .await
        .unwrap();
    recorder.record(event("b"));
    assert_eq!(recorder.flush(&db, "second", NOW).await.unwrap(), 2);
    assert_eq!(resources(&db).await, ["a", "b"]);
    db.close().await;
}

/// What all entries are about, oldest first.
async fn resources(db: &Db) -> Vec<String> {
    let mut tx = db.reader().await.unwrap();
    let entries = audit::walk(&mut tx, 0, 10).await.unwrap();
    entries.into_iter().map(|entry| entry.resource).collect()
}

/// Statements on the side, in the database that a URL names; the first number that they yield.
async fn number(url: &str, sql: &'static str) -> i64 {
    use sqlx::Connection as _;
    let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
    sqlx::query_scalar(sql)
        .fetch_one(&mut connection)
        .await
        .unwrap()
}

const IN_DEFAULT: &str = "select count(*) from audit_default";
const PARTITIONS: &str = "select count(*) from pg_inherits where inhparent = 'audit'::regclass";

async fn postgres(name: &str) -> (String, Db) {
    let url = std::env::var("GANTRY_TEST_POSTGRES").expect("GANTRY_TEST_POSTGRES names a server");
    let url = fresh(&url, name).await;
    let db = Db::open(&Location::Postgres(url.clone())).await.unwrap();
    (url, db)
}

fn sign(hash: &[u8]) -> [u8; 32] {
    hash.try_into().unwrap()
}

#[tokio::test]
async fn an_entry_of_any_time_is_kept_and_moves_into_the_partition_of_its_month() {
    let (url, db) = postgres("audit_parts").await;
    // Midnight between two months, in UTC.
    let month = Timestamp(1_701_388_800_000_000);
    let times = [
        NOW,
        Timestamp(month.0 - 1),
        month,
        Timestamp(-5),
        Timestamp(i64::MAX),
    ];
    let record = async |at: Timestamp| {
        let event = Event { at, ..event("x") };
        db.write(move |tx| Box::pin(async move { tx.record(&event).await }))
            .await
            .unwrap();
    };
    for at in times {
        record(at).await;
    }
    let seal = db.write(|tx| Box::pin(async { audit::chain::seal(tx, &sign, 3, NOW).await }));
    assert_eq!(seal.await.unwrap(), 3);
    let list = async || {
        let mut reader = db.reader().await.unwrap();
        let listed = audit::list(&mut reader, &audit::Filter::default(), 9).await;
        let at = |listed: &audit::Listed| listed.entry.at;
        listed.unwrap().iter().map(at).collect::<Vec<_>>()
    };
    let before = list().await;
    assert_eq!(number(&url, IN_DEFAULT).await, 5);
    let made = tokio::join!(
        audit::partition::make_ahead(&db, NOW),
        audit::partition::make_ahead(&db, NOW),
        audit::partition::make_ahead(&db, NOW),
    );
    for made in [made.0, made.1, made.2] {
        made.unwrap();
    }
    // November to January.
    assert_eq!(number(&url, PARTITIONS).await, 4);
    assert_eq!(
        number(&url, IN_DEFAULT).await,
        2,
        "no clock shows these times"
    );
    assert_eq!(list().await, before);
    record(NOW).await;
    assert_eq!(number(&url, "select count(*) from audit_2023_11").await, 3);
    let mut reader = db.reader().await.unwrap();
    let report = audit::chain::verify(&mut reader, &sign, None, &|| {})
        .await
        .unwrap();
    assert_eq!((report.sealed, report.unsealed), (3, 3));
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    let ids: Vec<i64> = audit::walk(&mut reader, 0, 9)
        .await
        .unwrap()
        .iter()
        .map(|entry| entry.id)
        .collect();
    assert_eq!(ids, [1, 2, 3, 4, 5, 6]);
    drop(reader);
    db.close().await;
}

#[tokio::test]
async fn a_reader_of_the_log_keeps_nobody_from_writing_while_partitions_wait_for_it() {
    let (url, db) = postgres("audit_read").await;
    let mut snapshot = db.snapshot().await.unwrap();
    audit::walk(&mut snapshot, 0, 9).await.unwrap();
    audit::partition::make_ahead(&db, NOW).await.unwrap_err();
    for _ in 0..2 {
        db.write(|tx| Box::pin(async { tx.record(&event("x")).await }))
            .await
            .unwrap();
    }
    drop(snapshot);
    audit::partition::make_ahead(&db, NOW).await.unwrap();
    assert_eq!(number(&url, IN_DEFAULT).await, 0);
    assert_eq!(number(&url, "select count(*) from audit_2023_11").await, 2);
    db.close().await;
}

#[tokio::test]
async fn what_is_restored_is_in_the_partition_of_its_month() {
    let folder = tempfile::tempdir().unwrap();
    let file = Location::Sqlite(folder.path().join("t.db"));
    let from = Db::open(&file).await.unwrap();
    from.write(|tx| Box::pin(async { tx.record(&event("x")).await }))
        .await
        .unwrap();
    let (url, db) = postgres("audit_restored").await;
    backup::copy(&from, &db).await;
    assert_eq!(number(&url, IN_DEFAULT).await, 0);
    assert_eq!(number(&url, "select count(*) from audit_2023_11").await, 1);
    db.write(|tx| Box::pin(async { tx.record(&event("y")).await }))
        .await
        .unwrap();
    assert_eq!(resources(&db).await, ["x", "y"], "ids go on");
    from.close().await;
    db.close().await;
}

#[tokio::test]
async fn entries_are_counted_exactly_up_to_a_bound_and_found_by_a_text_within() {
    on_both("audit_count", async |db| {
        let events: Vec<Event> = (0..10_000)
            .map(|number| Event {
                at: Timestamp(NOW.0 + number * 1_000_000),
                ..event(&format!("User {}%", number % 100))
            })
            .collect();
        let count = async |filter: audit::Filter| {
            let mut reader = db.reader().await.unwrap();
            audit::count::count(&mut reader, &filter).await.unwrap()
        };
        let record = async |events: Vec<Event>| {
            db.write(move |tx| Box::pin(async move { tx.record_all(&events).await }))
                .await
                .unwrap();
        };
        record(events.clone()).await;
        let all = audit::Filter::default;
        assert_eq!(count(all()).await, Count::Exact(10_000));
        let with = |text: &str, from: i64| audit::Filter {
            contains: Some((text.to_owned(), Timestamp(NOW.0 + from * 1_000_000))),
            ..all()
        };
        assert_eq!(count(with("user 7%", 0)).await, Count::Exact(100));
        assert_eq!(count(with("user 7%", 5_000)).await, Count::Exact(50));
        assert_eq!(count(with("user 7_", 0)).await, Count::Exact(0));
        let later = events.into_iter().map(|event| Event {
            at: event.at.plus(Duration::from_secs(10_000)),
            ..event
        });
        record(later.collect()).await;
        let Count::About(about) = count(all()).await else {
            panic!("twice as many as are counted exactly");
        };
        assert!((19_000..21_000).contains(&about), "{about}");
    })
    .await;
}

#[tokio::test]
async fn ones_own_entries_and_those_of_some_projects_are_one_list() {
    on_both("audit_scope", async |db| {
        let (ann, team) = team(&db).await;
        let other = project(&db, "other").await;
        let record = async |at: i64, by_ann: bool, subject: Subject| {
            let principal = match by_ann {
                true => Principal::User {
                    id: ann.principal_id,
                    user: ann.id,
                    name: "ann".into(),
                },
                // Of her name, but not her.
                false => Principal::Claimed("ann".into()),
            };
            let origin = Origin {
                principal,
                client: Client::default(),
            };
            let at = NOW.plus(Duration::from_secs(at.unsigned_abs()));
            let event = Event::new(at, origin, Operation::Create, subject);
            db.write(move |tx| Box::pin(async move { tx.record(&event).await }))
                .await
                .unwrap();
        };
        let in_project = |id: ProjectId| Subject::Repository {
            project: Some(id),
            name: "team/app".parse().unwrap(),
        };
        record(1, true, in_project(team)).await;
        record(2, true, in_project(other)).await;
        record(3, false, in_project(team)).await;
        record(4, false, in_project(other)).await;
        record(5, true, Subject::User("x".into())).await;
        record(6, false, Subject::User("y".into())).await;
        let own = |projects: &[ProjectId]| audit::Filter {
            scope: audit::Scope::Own {
                principal: ann.principal_id,
                name: "ann".into(),
                projects: projects.to_vec(),
            },
            ..audit::Filter::default()
        };
        let mut reader = db.reader().await.unwrap();
        let mut secs = async |filter: &audit::Filter, offset: i64, limit: i64, way: Direction| {
            let page = Page {
                offset,
                limit: Some(limit),
            };
            let found = audit::list::page(&mut reader, filter, page, way).await;
            let secs = |listed: &audit::Listed| (listed.entry.at - NOW.0) / 1_000_000;
            found.unwrap().iter().map(secs).collect::<Vec<_>>()
        };
        let (down, up) = (Direction::Down, Direction::Up);
        assert_eq!(secs(&own(&[]), 0, 9, down).await, [5, 2, 1]);
        assert_eq!(secs(&own(&[team]), 0, 9, down).await, [5, 3, 2, 1]);
        assert_eq!(secs(&own(&[team]), 0, 9, up).await, [1, 2, 3, 5]);
        assert_eq!(secs(&own(&[team, other]), 1, 2, down).await, [4, 3]);
        let of_team = audit::Filter {
            scope: audit::Scope::Project(team),
            ..audit::Filter::default()
        };
        assert_eq!(secs(&of_team, 0, 9, down).await, [3, 1]);
        let hidden = audit::Filter {
            hidden: model::EventType::list("create_user"),
            ..own(&[team])
        };
        assert_eq!(secs(&hidden, 0, 9, down).await, [3, 2, 1]);
        let after = audit::Filter {
            before: Some(5),
            ..own(&[team])
        };
        assert_eq!(secs(&after, 0, 2, down).await, [3, 2]);
        // More projects than have ranges of their own.
        let many: Vec<ProjectId> = (100..300).map(ProjectId).chain([team]).collect();
        assert_eq!(secs(&own(&many), 0, 9, down).await, [5, 3, 2, 1]);
        let counted = audit::count::count(&mut reader, &own(&[team]))
            .await
            .unwrap();
        assert_eq!(counted, Count::Exact(4));
        let mut search = audit::Filter {
            tests: vec![(audit::FIELDS[4], Test::Contains("ann".into()))],
            ..audit::Filter::default()
        };
        let bound = audit::list::bound_search(&mut reader, &mut search, 10).await;
        assert_eq!(bound.unwrap(), None, "there are few");
    })
    .await;
}

#[tokio::test]
async fn a_search_that_no_index_answers_is_bounded_by_what_it_looks_at() {
    on_both("audit_search", async |db| {
        let events: Vec<Event> = (0..50)
            .map(|number| Event {
                at: Timestamp(NOW.0 + number * 1_000_000),
                ..event("Änderung")
            })
            .collect();
        db.write(move |tx| Box::pin(async move { tx.record_all(&events).await }))
            .await
            .unwrap();
        let mut reader = db.reader().await.unwrap();
        let field = |name: &str| {
            let mut fields = audit::FIELDS.into_iter();
            fields.find(|field| field.name == name).unwrap()
        };
        let is = |name: &str, text: &str| (field(name), Test::Is(text.to_owned()));
        let holds = |name: &str, text: &str| (field(name), Test::Contains(text.to_owned()));
        let any = (field("username"), Test::AnyOf(vec!["x".into()]));
        let at = |number: i64| Timestamp(NOW.0 + number * 1_000_000);
        let from_1970 = (Some(Timestamp(1)), None);
        for (tests, (from, to), since) in [
            (vec![], (None, None), None),
            (vec![is("username", "x")], (None, None), None),
            (vec![(audit::RESULT, Test::Flag(true))], (None, None), None),
            (
                vec![(audit::RESULT, Test::Flag(false))],
                (None, None),
                Some(39),
            ),
            (vec![is("address", "x")], from_1970, Some(39)),
            (vec![holds("resource", "x")], (None, None), Some(39)),
            (vec![holds("resource", "x")], from_1970, Some(39)),
            (vec![holds("resource", "x")], (Some(at(45)), None), None),
            (vec![holds("resource", "x")], (None, Some(at(30))), Some(19)),
            (vec![any], (None, None), Some(39)),
            // No entry is looked at that the index does not lead to.
            (
                vec![is("username", "x"), holds("resource", "x")],
                (None, None),
                None,
            ),
        ] {
            let mut filter = audit::Filter {
                tests: tests.clone(),
                from,
                to,
                ..audit::Filter::default()
            };
            let bound = audit::list::bound_search(&mut reader, &mut filter, 10).await;
            let since = since.map(at);
            assert_eq!(bound.unwrap(), since, "{tests:?} {from:?} {to:?}");
            assert_eq!(filter.from, since.or(from), "{tests:?}");
        }
        let mut hidden = audit::Filter {
            hidden: model::EventType::list("create_user"),
            ..audit::Filter::default()
        };
        let bound = audit::list::bound_search(&mut reader, &mut hidden, 10).await;
        assert_eq!(bound.unwrap(), Some(at(39)), "all may be of a hidden type");
        let count = async |reader: &mut gantry_db::Reader, text: &str| {
            let filter = audit::Filter {
                tests: vec![holds("resource", text)],
                ..audit::Filter::default()
            };
            audit::count::count(reader, &filter).await.unwrap()
        };
        assert_eq!(count(&mut reader, "Änd").await, Count::Exact(50));
        assert_eq!(count(&mut reader, "ÄND").await, Count::Exact(50));
        assert_eq!(count(&mut reader, "änd").await, Count::Exact(0));
    })
    .await;
}

async fn project(db: &Db, name: &str) -> ProjectId {
    let name: ProjectName = name.parse().unwrap();
    db.write(move |tx| {
        Box::pin(async move {
            let ann = user::by_name(tx, "ann").await?.unwrap();
            project::create(tx, &name, ann.id, false, -1, NOW).await
        })
    })
    .await
    .unwrap()
}
