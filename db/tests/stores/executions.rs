//! Executions and tasks: added once, taken by one, ended with their tasks, their jobs, or by somebody; and pruned.

use gantry_db::execution::task::{self, Ending, Task};
use gantry_db::execution::{self, Cause, Counts, Execution, Status, Vendor, task_log};
use gantry_db::job::{self, Claim, NewJob, Priority, Runs, State};
use gantry_db::job_log::{Level, Line};
use model::{ExecutionId, JobId, TaskId};

use super::*;

const KIND: Runs = Runs {
    kind: "retention",
    version: 1,
};

fn at(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

async fn add_job(tx: &mut Tx) -> Result<JobId, Error> {
    let new = NewJob {
        kind: KIND.kind.to_owned(),
        payload_version: 1,
        payload: "null".to_owned(),
        dedup_key: None,
        lane: None,
        priority: Priority::Normal,
        due_at: NOW,
    };
    Ok(job::add(tx, &new, NOW).await?.unwrap())
}

async fn create(tx: &mut Tx, vendor_id: i64, job: Option<JobId>) -> Result<ExecutionId, Error> {
    let new = execution::New {
        vendor: Vendor::Retention,
        vendor_id,
        cause: Cause::Manual,
        attrs: r#"{"dry_run":true}"#.to_owned(),
        operator: (None, "ann".to_owned()),
        job,
    };
    execution::create(tx, &new, NOW).await
}

fn tasks(subjects: &[&str]) -> Vec<task::New> {
    let one = |subject: &&str| task::New {
        subject: (*subject).to_owned(),
        job: None,
        attrs: "{}".to_owned(),
    };
    subjects.iter().map(one).collect()
}

async fn get(tx: &mut Tx, id: ExecutionId) -> Result<Execution, Error> {
    Ok(execution::get(tx, id).await?.unwrap())
}

async fn take(tx: &mut Tx, id: ExecutionId, job: JobId) -> Result<Task, Error> {
    Ok(task::take_next(tx, id, job, NOW).await?.unwrap())
}

async fn end(tx: &mut Tx, task: &Task, status: Status, now: Timestamp) -> Result<bool, Error> {
    let ending = Ending {
        status,
        message: "",
        attrs: None,
    };
    task::end(tx, (task.execution, task.id), &ending, now).await
}

/// A job that runs, of an execution with these tasks.
async fn running(tx: &mut Tx, subjects: &[&str]) -> Result<(ExecutionId, job::Claimed), Error> {
    let id = add_job(tx).await?;
    let execution = create(tx, 1, Some(id)).await?;
    task::add(tx, execution, &tasks(subjects), NOW).await?;
    execution::planned(tx, execution, NOW).await?;
    let claim = Claim {
        runs: KIND,
        priority: Priority::Normal,
        limit: 100,
        lane: job::LaneLimit::NONE,
        places: 100,
        holder: "server a",
    };
    let claimed = job::claim(tx, claim, NOW).await?;
    let claimed = claimed.into_iter().find(|one| one.fence.job == id);
    Ok((execution, claimed.unwrap()))
}

#[tokio::test]
async fn tasks_are_added_once_taken_in_order_and_end_their_execution() {
    on_both("execution", async |db| {
        db.write(|tx| {
            Box::pin(async move {
                let job = add_job(tx).await?;
                let id = create(tx, 1, Some(job)).await?;
                assert_eq!(execution::of_job(tx, job).await?.unwrap().id, id);
                assert_eq!(task::add(tx, id, &tasks(&["a", "b"]), NOW).await?, 2);
                // As after a crash in the middle of the planning.
                assert_eq!(task::add(tx, id, &tasks(&["b", "c"]), NOW).await?, 1);
                let first = take(tx, id, job).await?;
                assert_eq!((&*first.subject, first.run_count), ("a", 1));
                assert!(end(tx, &first, Status::Success, NOW).await?);
                assert!(!end(tx, &first, Status::Error, NOW).await?, "it has ended");
                let second = take(tx, id, job).await?;
                // Whoever takes the job over has the task again.
                let again = take(tx, id, job).await?;
                assert_eq!((again.id, again.run_count), (second.id, 2));
                assert!(task::is_running(tx, again.id, job).await?);
                assert!(!task::is_running(tx, again.id, JobId(0)).await?);
                end(tx, &again, Status::Success, NOW).await?;
                let third = take(tx, id, job).await?;
                end(tx, &third, Status::Error, NOW).await?;
                assert_eq!(task::take_next(tx, id, job, NOW).await?, None);
                // More may be to come.
                assert_eq!(get(tx, id).await?.status, Status::Running);
                execution::hold(tx, id).await?;
                execution::planned(tx, id, at(5)).await?;
                let ended = get(tx, id).await?;
                assert_eq!((ended.status, ended.ended_at), (Status::Error, Some(at(5))));
                assert_eq!(
                    task::add(tx, id, &tasks(&["d"]), NOW).await?,
                    0,
                    "it has ended"
                );
                let counts = execution::counts(tx, &[id]).await?[&id];
                let expected = Counts {
                    success: 2,
                    error: 1,
                    ..Counts::default()
                };
                assert_eq!((counts, counts.total()), (expected, 3));
                let (listed, total) = task::list(tx, id, &Selection::all()).await?;
                let subjects: Vec<&str> = listed.iter().map(|task| &*task.subject).collect();
                assert_eq!((subjects, total), (vec!["c", "b", "a"], 3));
                let failed = Selection::all().with(task::STATUS, Test::Is("Error".into()));
                assert_eq!(task::list(tx, id, &failed).await?.1, 1);
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_execution_has_the_status_of_its_worst_task() {
    use Status::{Error as Failed, Pending, Running, Stopped, Success};
    on_both("derived", async |db| {
        for (index, (statuses, expected)) in [
            (&[Success, Success][..], Success),
            (&[Success, Stopped], Stopped),
            (&[Stopped, Failed], Failed),
            (&[Failed, Pending], Running),
        ]
        .into_iter()
        .enumerate()
        {
            let statuses = statuses.to_vec();
            db.write(move |tx| {
                Box::pin(async move {
                    let id = create(tx, index as i64, None).await?;
                    let names: Vec<String> = (0..statuses.len()).map(|n| n.to_string()).collect();
                    let names: Vec<&str> = names.iter().map(String::as_str).collect();
                    task::add(tx, id, &tasks(&names), NOW).await?;
                    execution::planned(tx, id, NOW).await?;
                    for status in &statuses {
                        if status.is_final() {
                            let task = take(tx, id, JobId(7)).await?;
                            end(tx, &task, *status, at(9)).await?;
                        }
                    }
                    let found = get(tx, id).await?;
                    assert_eq!(found.status, expected, "{statuses:?}");
                    assert_eq!(found.ended_at, expected.is_final().then_some(at(9)));
                    Ok::<_, Error>(())
                })
            })
            .await
            .unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn without_tasks_it_ends_as_who_runs_it_says() {
    on_both("untasked", async |db| {
        db.write(|tx| {
            Box::pin(async move {
                let id = create(tx, 1, None).await?;
                execution::planned(tx, id, NOW).await?;
                assert_eq!(get(tx, id).await?.status, Status::Running);
                let nothing = (Status::Success, "nothing to do");
                assert!(execution::end(tx, id, nothing, at(1)).await?);
                let ended = get(tx, id).await?;
                assert_eq!(
                    (ended.status, &*ended.status_message),
                    (Status::Success, "nothing to do")
                );
                assert!(!execution::end(tx, id, (Status::Error, ""), at(2)).await?);
                // With an open task nobody says so.
                let id = create(tx, 1, None).await?;
                task::add(tx, id, &tasks(&["a"]), NOW).await?;
                assert!(!execution::end(tx, id, nothing, at(1)).await?);
                execution::fail(tx, id, "the policy is broken", at(3)).await?;
                let failed = get(tx, id).await?;
                assert_eq!(
                    (failed.status, failed.ended_at),
                    (Status::Error, Some(at(3)))
                );
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
async fn stopping_ends_all_that_is_open_and_cancels_the_jobs() {
    on_both("stopped", async |db| {
        db.write(|tx| {
            Box::pin(async move {
                // One whose job runs.
                let (id, claimed) = running(tx, &["a", "b", "c"]).await?;
                let job = claimed.fence.job;
                let done = take(tx, id, job).await?;
                end(tx, &done, Status::Success, NOW).await?;
                let open = take(tx, id, job).await?;
                execution::stop(tx, id, at(4)).await?.unwrap();
                let stopped = get(tx, id).await?;
                assert_eq!(
                    (stopped.status, stopped.ended_at),
                    (Status::Stopped, Some(at(4)))
                );
                assert!(!task::is_running(tx, open.id, job).await?);
                assert!(!end(tx, &open, Status::Success, at(5)).await?, "too late");
                assert_eq!(task::take_next(tx, id, job, NOW).await?, None);
                let asked = job::get(tx, job).await?.unwrap();
                assert_eq!(
                    (asked.state, asked.cancel_at),
                    (State::Running, Some(at(4)))
                );
                let before = execution::stop(tx, id, at(6)).await?.unwrap();
                assert_eq!(before.status, Status::Stopped, "again changes nothing");
                assert_eq!(get(tx, id).await?.ended_at, Some(at(4)));
                // One whose tasks have jobs of their own, which wait.
                let id = create(tx, 2, None).await?;
                let (one, other) = (add_job(tx).await?, add_job(tx).await?);
                let mut new = tasks(&["a", "b"]);
                new[0].job = Some(one);
                new[1].job = Some(other);
                task::add(tx, id, &new, NOW).await?;
                execution::planned(tx, id, NOW).await?;
                let (listed, _) = task::list(tx, id, &Selection::all()).await?;
                assert!(listed.iter().all(|task| task.status == Status::Scheduled));
                execution::stop(tx, id, at(4)).await?.unwrap();
                for job in [one, other] {
                    assert_eq!(job::get(tx, job).await?.unwrap().state, State::Cancelled);
                }
                assert_eq!(execution::counts(tx, &[id]).await?[&id].stopped, 2);
                assert_eq!(get(tx, id).await?.status, Status::Stopped);
                assert_eq!(execution::stop(tx, ExecutionId(99), NOW).await?, None);
                // One that is still being planned.
                let id = create(tx, 3, None).await?;
                execution::stop(tx, id, at(4)).await?.unwrap();
                assert_eq!(get(tx, id).await?.status, Status::Stopped);
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_job_that_ends_leaves_nothing_open() {
    on_both("left_open", async |db| {
        db.write(|tx| {
            Box::pin(async move {
                for (state, expected) in [
                    (State::Failed, Status::Error),
                    (State::Cancelled, Status::Stopped),
                    (State::Done, Status::Error),
                ] {
                    let (id, claimed) = running(tx, &["a", "b"]).await?;
                    let done = take(tx, id, claimed.fence.job).await?;
                    end(tx, &done, Status::Success, NOW).await?;
                    let ending = job::Ending {
                        state,
                        due_at: None,
                        attempts: 0,
                        result: None,
                        error: Some("the database is full".to_owned()),
                    };
                    assert!(job::end(tx, claimed.fence, &ending, at(8)).await?);
                    let ended = get(tx, id).await?;
                    assert_eq!(
                        (ended.status, ended.ended_at),
                        (expected, Some(at(8))),
                        "{state}"
                    );
                    let (left, _) = task::list(tx, id, &Selection::all()).await?;
                    assert_eq!(left[0].status, expected);
                    assert_eq!(left[1].status, Status::Success);
                    if state == State::Failed {
                        assert_eq!(ended.status_message, "the database is full");
                    }
                }
                // One that is retried leaves all open.
                let (id, claimed) = running(tx, &["a"]).await?;
                let again = job::Ending {
                    state: State::Queued,
                    due_at: Some(NOW),
                    attempts: 1,
                    result: None,
                    error: Some("busy".to_owned()),
                };
                assert!(job::end(tx, claimed.fence, &again, at(8)).await?);
                assert_eq!(get(tx, id).await?.status, Status::Running);
                // Cancelled in the queue, by itself or with all of its kind.
                job::cancel(tx, claimed.fence.job, at(9)).await?;
                assert_eq!(get(tx, id).await?.status, Status::Stopped);
                let job = add_job(tx).await?;
                let id = create(tx, 1, None).await?;
                let mut new = tasks(&["a"]);
                new[0].job = Some(job);
                task::add(tx, id, &new, NOW).await?;
                execution::planned(tx, id, NOW).await?;
                assert_eq!(job::cancel_queued(tx, Some("retention"), at(9)).await?, 1);
                assert_eq!(get(tx, id).await?.status, Status::Stopped);
                // A lease that expired after somebody cancelled.
                let (id, claimed) = running(tx, &["a"]).await?;
                job::cancel(tx, claimed.fence.job, NOW).await?;
                job::end_lapsed(tx, at(60)).await?;
                assert_eq!(get(tx, id).await?.status, Status::Stopped);
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
async fn two_tasks_that_end_at_once_end_their_execution() {
    on_both("at_once", async |db| {
        let (id, first, second) = db
            .write(|tx| {
                Box::pin(async move {
                    let id = create(tx, 1, None).await?;
                    task::add(tx, id, &tasks(&["a", "b"]), NOW).await?;
                    execution::planned(tx, id, NOW).await?;
                    let (first, second) =
                        (take(tx, id, JobId(1)).await?, take(tx, id, JobId(2)).await?);
                    Ok::<_, Error>((id, first, second))
                })
            })
            .await
            .unwrap();
        let finish = |task: Task| {
            db.write(move |tx| Box::pin(async move { end(tx, &task, Status::Success, NOW).await }))
        };
        let (one, other) = tokio::join!(finish(first), finish(second));
        assert!(one.unwrap() && other.unwrap());
        let found = execution::get(&mut db.reader().await.unwrap(), id).await;
        assert_eq!(found.unwrap().unwrap().status, Status::Success);
    })
    .await;
}

fn lines(task: TaskId, from: usize, count: usize) -> (TaskId, Vec<Line>) {
    let line = |number: usize| Line::new(NOW, Level::Info, format!("line {number}"));
    (task, (from..from + count).map(line).collect())
}

#[tokio::test]
async fn a_log_keeps_the_newest_lines_and_history_the_newest_executions() {
    on_both("pruned", async |db| {
        db.write(|tx| {
            Box::pin(async move {
                let id = create(tx, 1, None).await?;
                task::add(tx, id, &tasks(&["a"]), NOW).await?;
                let task = take(tx, id, JobId(1)).await?;
                let most = task_log::LINES as usize;
                let (of, some) = lines(task.id, 0, most);
                task_log::append(tx, of, &some).await?;
                let (of, more) = lines(task.id, most, 5);
                task_log::append(tx, of, &more).await?;
                let (page, last) = task_log::page(tx, task.id, (0, 3)).await?;
                let texts: Vec<&str> = page.iter().map(|line| &*line.text).collect();
                assert_eq!(texts, ["line 5", "line 6", "line 7"]);
                let (next, _) = task_log::page(tx, task.id, (last, 1)).await?;
                assert_eq!(next[0].text, "line 8");
                end(tx, &task, Status::Success, NOW).await?;
                execution::planned(tx, id, NOW).await?;
                // As many as are kept, and one that still runs, all of them later.
                let mut newest = Vec::new();
                for number in 0..50_u64 {
                    let new = create(tx, 1, None).await?;
                    execution::end(tx, new, (Status::Success, ""), at(number)).await?;
                    newest.push(new);
                }
                let other = create(tx, 2, None).await?;
                let mut removed = 0;
                loop {
                    match execution::prune(tx, 4_000).await? {
                        0 => break,
                        rows => removed += rows,
                    }
                }
                assert_eq!(removed, 10_000 + 1 + 1, "lines, the task, the execution");
                let shown = async |tx: &mut Tx, vendor_id| {
                    let of = (Vendor::Retention, vendor_id);
                    let (shown, total) = execution::list(tx, of, &Selection::all()).await?;
                    let ids: Vec<ExecutionId> = shown.iter().map(|one| one.id).collect();
                    Ok::<_, Error>((ids, total))
                };
                newest.reverse();
                assert_eq!(shown(tx, 1).await?, (newest, 50));
                // Of a policy that is gone, none is shown, and all go.
                execution::forget(tx, (Vendor::Retention, 1), NOW).await?;
                assert_eq!(shown(tx, 1).await?, (vec![], 0));
                while execution::prune(tx, 100).await? > 0 {}
                let all = Selection::all();
                let (_, all) = execution::list_all(tx, Vendor::Retention, &all).await?;
                assert_eq!(all, 1);
                assert_eq!(shown(tx, 2).await?, (vec![other], 1));
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
    })
    .await;
}
