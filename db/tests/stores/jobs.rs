//! Jobs: taken by one, fenced off from the one before, ended, scheduled and forgotten.

use gantry_db::fence::{self, Fence};
use gantry_db::job::{
    self, Cancelled, Claim, Claimed, Ending, LEASE, Lane, LaneLimit, NewJob, Priority, Renewed,
    Runs, Shown, State,
};
use gantry_db::job_log::{self, Level, Line};
use gantry_db::schedule::{self, NewSchedule};
use model::JobId;

use super::*;

const SCAN: Runs = Runs {
    kind: "scan",
    version: 1,
};

fn at(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

fn new(kind: &str, key: Option<&str>) -> NewJob {
    NewJob {
        kind: kind.to_owned(),
        payload_version: 1,
        payload: r#"{"of":"it"}"#.to_owned(),
        dedup_key: key.map(str::to_owned),
        lane: None,
        priority: Priority::Normal,
        due_at: NOW,
    }
}

async fn add(tx: &mut Tx, new: NewJob) -> Result<Option<JobId>, Error> {
    job::add(tx, &new, NOW).await
}

fn claim(holder: &str) -> Claim<'_> {
    Claim {
        runs: SCAN,
        priority: Priority::Normal,
        limit: 10,
        lane: LaneLimit::NONE,
        places: 10,
        holder,
    }
}

async fn claim_one(tx: &mut Tx, holder: &str, now: Timestamp) -> Result<Option<Claimed>, Error> {
    Ok(job::claim(tx, claim(holder), now).await?.pop())
}

fn done() -> Ending {
    Ending {
        state: State::Done,
        due_at: None,
        attempts: 0,
        result: Some("all of it".to_owned()),
        error: None,
    }
}

async fn state(tx: &mut Tx, id: JobId) -> Result<State, Error> {
    Ok(job::get(tx, id).await?.unwrap().state)
}

#[tokio::test]
async fn a_job_is_added_once_taken_once_and_ended_once() {
    on_both("job", async |db| {
        db.write(|tx| {
            Box::pin(async move {
                let id = add(tx, new("scan", Some("it"))).await?.unwrap();
                assert_eq!(add(tx, new("scan", Some("it"))).await?, None, "it waits");
                assert!(add(tx, new("other", Some("it"))).await?.is_some());
                let due = job::due(tx, &[SCAN], NOW).await?;
                assert_eq!(due.queued, [("scan".to_owned(), Priority::Normal)]);
                let taken = claim_one(tx, "server a", NOW).await?.unwrap();
                let fence = Fence { job: id, number: 1 };
                assert_eq!((taken.fence, taken.attempts), (fence, 1));
                assert_eq!(taken.payload, r#"{"of":"it"}"#);
                assert_eq!(claim_one(tx, "server b", NOW).await?, None);
                assert_eq!(add(tx, new("scan", Some("it"))).await?, None, "it runs");
                assert_eq!(job::due(tx, &[SCAN], NOW).await?, job::Due::default());
                let line = |text: &str| Line::new(NOW, Level::Info, text.to_owned());
                job_log::append(tx, id, &[line("one"), line("two")]).await?;
                assert!(job::end(tx, fence, &done(), at(5)).await?);
                assert!(!job::end(tx, fence, &done(), at(5)).await?);
                let ended = job::get(tx, id).await?.unwrap();
                assert_eq!((ended.state, ended.attempts), (State::Done, 0));
                assert_eq!(ended.finished_at, Some(at(5)));
                assert_eq!(ended.result.as_deref(), Some("all of it"));
                let lines = job_log::list(tx, id, 10).await?;
                assert_eq!(lines, [line("one"), line("two")]);
                assert!(add(tx, new("scan", Some("it"))).await?.is_some());
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
async fn who_may_take_what() {
    on_both("job_claim", async |db| {
        db.write(|tx| {
            Box::pin(async move {
                let first = add(
                    tx,
                    NewJob {
                        due_at: at(1),
                        ..new("scan", None)
                    },
                )
                .await?;
                let second = add(
                    tx,
                    NewJob {
                        due_at: at(2),
                        ..new("scan", None)
                    },
                )
                .await?;
                add(
                    tx,
                    NewJob {
                        due_at: at(99),
                        ..new("scan", None)
                    },
                )
                .await?;
                let urgent = NewJob {
                    priority: Priority::High,
                    ..new("scan", None)
                };
                let urgent = add(tx, urgent).await?;
                add(
                    tx,
                    NewJob {
                        payload_version: 2,
                        ..new("scan", None)
                    },
                )
                .await?;
                assert_eq!(
                    job::due(tx, &[], at(3)).await?.queued,
                    [],
                    "nobody knows them"
                );
                let due = job::due(tx, &[SCAN], at(3)).await?.queued;
                let of = |priority| ("scan".to_owned(), priority);
                assert_eq!(due, [of(Priority::High), of(Priority::Normal)]);
                let ids = |jobs: Vec<Claimed>| -> Vec<Option<JobId>> {
                    jobs.iter().map(|taken| Some(taken.fence.job)).collect()
                };
                let one = Claim {
                    limit: 3,
                    places: 1,
                    ..claim("server a")
                };
                assert_eq!(ids(job::claim(tx, one, at(3)).await?), [first]);
                let high = Claim {
                    priority: Priority::High,
                    ..one
                };
                assert_eq!(ids(job::claim(tx, high, at(3)).await?), [urgent]);
                let two = Claim { limit: 2, ..one };
                assert_eq!(ids(job::claim(tx, two, at(3)).await?), [], "two run");
                assert_eq!(ids(job::claim(tx, one, at(3)).await?), [second]);
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
async fn lanes_are_taken_in_turn_and_none_takes_all_places() {
    on_both("job_lanes", async |db| {
        db.write(|tx| {
            Box::pin(async move {
                let mut ids = Vec::new();
                for (group, member) in [
                    ("x", "1"),
                    ("x", "1"),
                    ("x", "1"),
                    ("x", "2"),
                    ("x", "3"),
                    ("y", "4"),
                ] {
                    let lane = Lane {
                        group: group.to_owned(),
                        member: member.to_owned(),
                    };
                    let new = NewJob {
                        lane: Some(lane),
                        ..new("scan", None)
                    };
                    ids.push(add(tx, new).await?.unwrap());
                }
                let claim = Claim {
                    lane: LaneLimit {
                        group: 3,
                        member: 2,
                    },
                    ..claim("server a")
                };
                let taken = job::claim(tx, claim, NOW).await?;
                let taken: Vec<JobId> = taken.iter().map(|taken| taken.fence.job).collect();
                // The oldest, then the other registry, then the other policies before a second run of the first.
                assert_eq!(taken, [ids[0], ids[5], ids[3], ids[4]]);
                let one_more = Claim {
                    lane: LaneLimit {
                        group: 9,
                        member: 2,
                    },
                    ..claim
                };
                let taken = job::claim(tx, one_more, NOW).await?;
                assert_eq!(taken.len(), 1, "a third of one policy waits");
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
async fn what_a_cancelled_run_writes_fails_where_that_is_asked_for() {
    on_both("job_until_cancelled", async |db| {
        let taken = db.write(|tx| {
            Box::pin(async move {
                add(tx, new("scan", None)).await?;
                claim_one(tx, "server a", NOW).await
            })
        });
        let fence = taken.await.unwrap().unwrap().fence;
        let write = || db.write(|tx| Box::pin(async move { job::queued(tx, "scan", 9).await }));
        fence::within(fence, fence::until_cancelled(write()))
            .await
            .unwrap();
        let id = fence.job;
        let cancelled = db.write(move |tx| Box::pin(async move { job::cancel(tx, id, NOW).await }));
        cancelled.await.unwrap();
        fence::within(fence, write()).await.unwrap();
        let refused = fence::within(fence, fence::until_cancelled(write())).await;
        assert!(matches!(refused, Err(Error::Fenced)), "{refused:?}");
        fence::until_cancelled(write()).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_lease_that_ran_out_is_ended_and_its_holder_fenced_off() {
    on_both("job_lapsed", async |db| {
        let old = db
            .write(|tx| {
                Box::pin(async move {
                    add(tx, new("scan", None)).await?;
                    let old = claim_one(tx, "server a", NOW).await?.unwrap().fence;
                    let renewed = job::renew(tx, old, Some("half"), at(10)).await?;
                    assert_eq!(renewed, Renewed::Held);
                    let running = job::get(tx, old.job).await?.unwrap();
                    assert_eq!(running.progress.as_deref(), Some("half"));
                    assert!(!job::due(tx, &[SCAN], at(20)).await?.lapsed);
                    assert_eq!(job::end_lapsed(tx, at(20)).await?, []);
                    Ok::<_, Error>(old)
                })
            })
            .await
            .unwrap();
        fence::within(old, write(&db)).await.unwrap();
        let late = at(10).plus(LEASE).plus(Duration::from_secs(1));
        db.write(move |tx| {
            Box::pin(async move {
                assert!(job::due(tx, &[SCAN], late).await?.lapsed);
                let ended = job::end_lapsed(tx, late).await?;
                assert_eq!(ended, [(old.job, "server a".to_owned())]);
                assert_eq!(job::renew(tx, old, None, late).await?, Renewed::Lost);
                assert!(!job::end(tx, old, &done(), late).await?);
                let new = claim_one(tx, "server b", late).await?.unwrap();
                assert!(new.fence.number > old.number);
                assert_eq!(new.attempts, 2);
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
        let fenced = fence::within(old, write(&db)).await;
        assert!(matches!(fenced, Err(Error::Fenced)), "{fenced:?}");
        // What is no job's is not fenced.
        write(&db).await.unwrap();
    })
    .await;
}

async fn write(db: &Db) -> Result<(), Error> {
    db.write(|tx| Box::pin(installation::put(tx, "written", b"x")))
        .await
}

/// Nobody takes a job in the middle of a transaction of its holder, and renewals do not wait for that.
#[tokio::test]
async fn a_transaction_of_a_job_ends_before_the_job_is_anothers() {
    let url = std::env::var("GANTRY_TEST_POSTGRES").expect("GANTRY_TEST_POSTGRES names a server");
    let database = Location::Postgres(fresh(&url, "job_fence").await);
    let db = Db::open(&database).await.unwrap();
    let fence = db
        .write(|tx| {
            Box::pin(async move {
                add(tx, new("scan", None)).await?;
                Ok::<_, Error>(claim_one(tx, "server a", NOW).await?.unwrap().fence)
            })
        })
        .await
        .unwrap();
    let late = NOW.plus(LEASE * 2);
    let other = db.clone();
    let step = db.write(move |tx| {
        Box::pin(async move {
            installation::put(tx, "step", b"x").await?;
            let taken = other.write(move |tx| Box::pin(job::end_lapsed(tx, late)));
            assert_eq!(taken.await?, [], "its holder is in a transaction");
            let renewed = other.write(move |tx| Box::pin(job::renew(tx, fence, None, NOW)));
            assert_eq!(renewed.await?, Renewed::Held);
            Ok::<_, Error>(())
        })
    });
    fence::within(fence, step).await.unwrap();
    let taken = db.write(move |tx| Box::pin(job::end_lapsed(tx, late)));
    assert_eq!(taken.await.unwrap().len(), 1);
    db.close().await;
}

#[tokio::test]
async fn a_wrong_clock_holds_nothing_for_long() {
    on_both("job_clock", async |db| {
        db.write(|tx| {
            Box::pin(async move {
                add(tx, new("scan", None)).await?;
                let wrong = claim_one(tx, "server wrong", at(31_536_000))
                    .await?
                    .unwrap();
                assert!(job::due(tx, &[SCAN], NOW).await?.lapsed);
                let ended = job::end_lapsed(tx, NOW).await?;
                assert_eq!(ended[0].0, wrong.fence.job);
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
async fn nothing_waits_for_the_time_of_a_clock_that_was_ahead() {
    on_both("job_ahead", async |db| {
        db.write(|tx| {
            Box::pin(async move {
                let ahead = at(7_200);
                job::ensure_standing(tx, &["scan"], NOW).await?;
                let taken = job::take_standing(tx, "scan", "server a", ahead)
                    .await?
                    .unwrap();
                let ended = Ending {
                    state: State::Queued,
                    due_at: Some(ahead.plus(LEASE)),
                    ..done()
                };
                assert!(job::end(tx, taken.fence, &ended, ahead).await?);
                let hourly = NewSchedule {
                    kind: "hourly".to_owned(),
                    subject: String::new(),
                    payload_version: 1,
                    payload: "null".to_owned(),
                    cron: "0 0 * * * *".parse().unwrap(),
                };
                schedule::set(tx, &hourly, ahead).await?;
                let found = job::due(tx, &[SCAN], NOW).await?;
                assert!(
                    found.lapsed && found.scheduled && found.queued.is_empty(),
                    "{found:?}"
                );
                assert_eq!(job::end_lapsed(tx, NOW).await?, [], "nobody held it");
                schedule::fire(tx, NOW).await?;
                let found = job::due(tx, &[SCAN], NOW).await?;
                assert!(!found.lapsed && !found.scheduled, "{found:?}");
                assert_eq!(found.queued, [("scan".to_owned(), Priority::Normal)]);
                assert!(
                    job::list(tx, Some("hourly"), Shown::All, 1)
                        .await?
                        .is_empty(),
                    "no time was missed"
                );
                assert!(job::due(tx, &[SCAN], at(3_601)).await?.scheduled);
                // What waits by the right clock waits on.
                let taken = claim_one(tx, "server a", NOW).await?.unwrap();
                let ended = Ending {
                    due_at: Some(ahead),
                    ..ended
                };
                assert!(job::end(tx, taken.fence, &ended, NOW).await?);
                assert!(!job::due(tx, &[SCAN], NOW).await?.lapsed);
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_standing_job_is_always_there() {
    on_both("job_standing", async |db| {
        db.write(|tx| {
            Box::pin(async move {
                job::ensure_standing(tx, &["gc", "sweep"], NOW).await?;
                job::ensure_standing(tx, &["gc"], NOW).await?;
                let all = job::list(tx, None, Shown::All, 10).await?;
                assert_eq!(all.len(), 2);
                assert!(all.iter().all(|job| job.standing));
                let id = all[1].id;
                assert_eq!(
                    job::cancel(tx, id, NOW).await?,
                    Cancelled::Not,
                    "it only waits"
                );
                let taken = job::take_standing(tx, "gc", "command a", NOW)
                    .await?
                    .unwrap();
                assert_eq!(job::take_standing(tx, "gc", "server b", NOW).await?, None);
                job::end_all(tx, NOW).await?;
                assert_eq!(state(tx, id).await?, State::Running, "a command holds it");
                job::ask_to_stop(tx, "gc", NOW).await?;
                let renewed = job::renew(tx, taken.fence, None, NOW).await?;
                assert_eq!(renewed, Renewed::Held, "only servers are asked to stop");
                let late = NOW.plus(LEASE * 2);
                let taken = job::take_standing(tx, "gc", "server b", late)
                    .await?
                    .unwrap();
                assert_eq!(taken.attempts, 2);
                job::ask_to_stop(tx, "gc", late).await?;
                let renewed = job::renew(tx, taken.fence, None, late).await?;
                assert_eq!(renewed, Renewed::Cancelled);
                job::end_all(tx, late).await?;
                assert_eq!(state(tx, id).await?, State::Queued, "servers are gone");
                // Whatever a standing job waits for, a server that is alone does not.
                let taken = job::take_standing(tx, "gc", "server c", late)
                    .await?
                    .unwrap();
                let failed = Ending {
                    state: State::Queued,
                    due_at: Some(late.plus(LEASE)),
                    attempts: taken.attempts,
                    result: None,
                    error: Some("no route".to_owned()),
                };
                assert!(job::end(tx, taken.fence, &failed, late).await?);
                job::end_all(tx, late).await?;
                assert_eq!(job::get(tx, id).await?.unwrap().due_at, late);
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
async fn jobs_are_cancelled_and_run_again() {
    on_both("job_cancel", async |db| {
        let id = db
            .write(|tx| {
                Box::pin(async move {
                    let id = add(tx, new("scan", Some("it"))).await?.unwrap();
                    assert!(job::retry(tx, id, NOW).await?, "it is due at once");
                    assert_eq!(job::cancel(tx, id, NOW).await?, Cancelled::Done);
                    assert_eq!(job::cancel(tx, id, NOW).await?, Cancelled::Not);
                    assert!(job::retry(tx, id, NOW).await?);
                    let taken = claim_one(tx, "server a", NOW).await?.unwrap();
                    assert!(!job::retry(tx, id, NOW).await?, "it runs");
                    assert_eq!(job::cancel(tx, id, NOW).await?, Cancelled::Asked);
                    assert!(job::get(tx, id).await?.unwrap().cancel_at.is_some());
                    // Whoever was to stop it died: it is not run any more.
                    job::end_lapsed(tx, NOW.plus(LEASE * 2)).await?;
                    assert_eq!(state(tx, id).await?, State::Cancelled);
                    assert_eq!(job::renew(tx, taken.fence, None, NOW).await?, Renewed::Lost);
                    let other = add(tx, new("scan", Some("it"))).await?;
                    assert!(other.is_some());
                    Ok::<_, Error>(id)
                })
            })
            .await
            .unwrap();
        let again = db.write(move |tx| Box::pin(job::retry(tx, id, NOW))).await;
        assert!(matches!(again, Err(Error::Duplicate(_))), "{again:?}");
    })
    .await;
}

#[tokio::test]
async fn what_waits_is_counted_and_what_ended_forgotten() {
    on_both("job_count", async |db| {
        db.write(|tx| {
            Box::pin(async move {
                job::ensure_standing(tx, &["gc"], NOW).await?;
                let id = add(tx, new("scan", None)).await?.unwrap();
                add(
                    tx,
                    NewJob {
                        due_at: at(7),
                        ..new("scan", None)
                    },
                )
                .await?;
                let waiting = |kind: &str, failing, oldest_due| job::Count {
                    kind: kind.to_owned(),
                    failing,
                    oldest_due,
                };
                let counted = job::count(tx).await?;
                assert_eq!(
                    counted,
                    [waiting("gc", 0, None), waiting("scan", 0, Some(NOW))]
                );
                let fence = claim_one(tx, "server a", NOW).await?.unwrap().fence;
                let failed = Ending {
                    state: State::Queued,
                    due_at: Some(at(9)),
                    error: Some("no route".to_owned()),
                    attempts: 1,
                    ..done()
                };
                job::end(tx, fence, &failed, NOW).await?;
                let counted = job::count(tx).await?;
                assert_eq!(counted[1], waiting("scan", 1, Some(at(7))));
                // Of what is listed, what ended well comes only where all is asked for.
                let claimed = job::claim(tx, claim("server a"), at(9)).await?;
                for taken in claimed {
                    job::end(tx, taken.fence, &done(), at(10)).await?;
                }
                assert_eq!(job::list(tx, None, Shown::Open, 10).await?.len(), 1);
                assert_eq!(job::list(tx, Some("scan"), Shown::All, 10).await?.len(), 2);
                let line = Line::new(at(9), Level::Warn, "x".repeat(9_000));
                let lines = vec![line; job_log::LINES as usize + 5];
                job_log::append(tx, id, &lines).await?;
                let kept = job_log::list(tx, id, 9_999).await?;
                assert_eq!(kept.len() as i64, job_log::LINES);
                assert!(kept[0].text.len() < 2_100, "it is cut");
                assert_eq!(job_log::prune(tx, at(10), 10).await?, 10);
                assert_eq!(job::prune(tx, at(10), 10).await?, 0);
                assert_eq!(job::prune(tx, at(11), 10).await?, 2);
                assert_eq!(job_log::list(tx, id, 10).await?, []);
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_schedule_adds_one_job_at_a_time() {
    on_both("schedule", async |db| {
        db.write(|tx| {
            Box::pin(async move {
                let hourly = |payload: &str| NewSchedule {
                    kind: "scan".to_owned(),
                    subject: "all".to_owned(),
                    payload_version: 1,
                    payload: payload.to_owned(),
                    cron: "0 0 * * * *".parse().unwrap(),
                };
                schedule::set(tx, &hourly("1"), NOW).await?;
                let count = async |tx: &mut Tx| {
                    Ok::<_, Error>(job::list(tx, None, Shown::All, 10).await?.len())
                };
                assert!(!job::due(tx, &[], NOW).await?.scheduled);
                let later = at(3 * 3_600);
                assert!(job::due(tx, &[], later).await?.scheduled);
                schedule::fire(tx, later).await?;
                assert_eq!(count(tx).await?, 1, "times that were missed are one");
                assert!(!job::due(tx, &[], later).await?.scheduled);
                schedule::fire(tx, at(5 * 3_600)).await?;
                assert_eq!(count(tx).await?, 1, "the one before waits still");
                // A clock that was a year ahead has set the next time.
                schedule::fire(tx, at(31_536_000)).await?;
                schedule::set(tx, &hourly("1"), later).await?;
                assert!(job::due(tx, &[], at(4 * 3_600)).await?.scheduled);
                schedule::remove(tx, "scan", "all").await?;
                assert!(!job::due(tx, &[], at(99_999_999)).await?.scheduled);
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
    })
    .await;
}
