//! Sending what waits, with a bound for each receiver, so that a slow one holds up no other.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use db::execution::{self, Status, Vendor};
use db::job_log::{Level, Line};
use db::project;
use db::webhook::delivery::{self, Attempt, Delivery, Next};
use db::webhook::policy as policies;
use db::webhook::target::{self as targets, Found, Target};
use db::webhook::{LONGEST, cleaning};
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use model::{
    ProjectId, Timestamp, WebhookDelivery, WebhookKind, WebhookPolicyId, WebhookRequest,
    WebhookTargetId,
};
use tokio::time::{Instant, sleep};

use super::receiver::{Answer, Message, Taken};
use super::works::Webhooks;
use crate::Result;
use crate::engine::{Context, Job, Outcome, Retry, Standing};

/// Requests at a time, those of one project, and those to one target.
const SIDE_BY_SIDE: usize = 128;
const OF_PROJECT: usize = 32;
const TO_ONE: usize = 4;
/// How often what waits is looked at.
const EVERY: Duration = Duration::from_millis(250);
/// How often what is not sent any more is ended, and how much of it in one transaction.
const CLEANING: Duration = Duration::from_secs(2);
const CLEANED: i64 = 50;
/// Such transactions in a row: nothing is sent meanwhile.
const CLEANINGS: usize = 20;
/// Executions of a policy that are removed at a time.
const PRUNED: i64 = 1_000;
/// How often something is sent that a receiver refuses, and the first wait, which triples.
const MOST_REFUSED: i64 = 3;
const AFTER_REFUSAL: Duration = Duration::from_secs(15);
/// Waits after a receiver did not answer: the first, which doubles, and the longest while it has failed for less than an
/// hour, for longer, and since it was given up.
const FIRST_WAIT: Duration = Duration::from_secs(2);
const SHORT: Duration = Duration::from_secs(60);
const LONG: Duration = Duration::from_secs(600);
const SKIPPED: Duration = Duration::from_secs(3_600);
const HOUR: Duration = Duration::from_secs(3_600);
/// Slack takes a message a second.
const SLACK_PAUSE: Duration = Duration::from_secs(1);

/// Sends what waits.
pub(crate) struct Dispatch(pub(crate) Webhooks);

impl Job for Dispatch {
    const KIND: &'static str = "webhook_send";
    const RETRY: Retry = Retry::STANDING;
    type Payload = ();

    async fn run(&self, (): (), _: &mut Context) -> Outcome {
        self.send_all().await.into()
    }
}

impl Standing for Dispatch {
    const EVERY: Duration = Duration::from_millis(500);

    async fn is_wanted(&self) -> Result<bool> {
        let now = self.0.db.now(&*self.0.clock).await?;
        let mut reader = self.0.db.reader().await?;
        Ok(
            (self.is_on() && delivery::is_any_due(&mut reader, now).await?)
                || cleaning::is_any_gone(&mut reader).await?
                || !cleaning::stale(&mut reader, now, 1).await?.is_empty(),
        )
    }
}

/// What is being sent: the subjects by target, and how many by project.
#[derive(Default)]
struct Busy {
    subjects: HashMap<WebhookTargetId, HashSet<String>>,
    projects: HashMap<ProjectId, usize>,
}

impl Busy {
    /// How many more may be sent to a target.
    fn room(&self, target: &Target) -> usize {
        let at_once = match (target.kind, target.failures) {
            (WebhookKind::Http, 0) => TO_ONE,
            _ => 1,
        };
        let to_it = self.subjects.get(&target.id).map_or(0, HashSet::len);
        let of_project = self.projects.get(&target.project).copied();
        let of_project = OF_PROJECT.saturating_sub(of_project.unwrap_or_default());
        at_once.saturating_sub(to_it).min(of_project)
    }

    fn is_sent(&self, delivery: &Delivery) -> bool {
        let subjects = self.subjects.get(&delivery.target);
        subjects.is_some_and(|subjects| subjects.contains(&delivery.subject))
    }

    fn begins(&mut self, target: &Target, subject: &str) {
        let subjects = self.subjects.entry(target.id).or_default();
        subjects.insert(subject.to_owned());
        *self.projects.entry(target.project).or_default() += 1;
    }

    fn ended(&mut self, (project, target): (ProjectId, WebhookTargetId), subject: &str) {
        if let Some(subjects) = self.subjects.get_mut(&target) {
            subjects.remove(subject);
            if subjects.is_empty() {
                self.subjects.remove(&target);
            }
        }
        if let Some(count) = self.projects.get_mut(&project) {
            *count -= 1;
            if *count == 0 {
                self.projects.remove(&project);
            }
        }
    }
}

/// Something being sent: to where, its subject, and what came of it.
type Sending<'a> = BoxFuture<'a, ((ProjectId, WebhookTargetId), String, Result<()>)>;

impl Dispatch {
    fn is_on(&self) -> bool {
        self.0.settings.current().notification_enable
    }

    /// Sends until nothing is due.
    async fn send_all(&self) -> Result<()> {
        let mut sending: FuturesUnordered<Sending<'_>> = FuturesUnordered::new();
        let mut busy = Busy::default();
        let mut used = HashSet::new();
        self.clean().await?;
        let mut cleaned = Instant::now();
        loop {
            if cleaned.elapsed() >= CLEANING {
                self.clean().await?;
                self.prune(&mut used).await?;
                cleaned = Instant::now();
            }
            if self.is_on() {
                self.begin(&mut sending, (&mut busy, &mut used)).await?;
            }
            if sending.is_empty() {
                return self.prune(&mut used).await;
            }
            tokio::select! {
                () = sleep(EVERY) => {}
                Some((target, subject, done)) = sending.next() => {
                    busy.ended(target, &subject);
                    done?;
                }
            }
        }
    }

    /// Begins to send what is due, as far as there is room.
    async fn begin<'a>(
        &'a self,
        sending: &mut FuturesUnordered<Sending<'a>>,
        (busy, used): (&mut Busy, &mut HashSet<WebhookPolicyId>),
    ) -> Result<()> {
        let now = self.0.db.now(&*self.0.clock).await?;
        let mut reader = self.0.db.reader().await?;
        let due = targets::due(&mut reader, now, SIDE_BY_SIDE as i64 * 4).await?;
        for target in due {
            let room = (SIDE_BY_SIDE - sending.len()).min(busy.room(&target));
            if room == 0 {
                continue;
            }
            // Those being sent are due as well.
            let waiting = delivery::due(&mut reader, target.id, now, TO_ONE as i64 * 2).await?;
            let free = waiting.into_iter();
            let free = free.filter(|delivery| !busy.is_sent(delivery));
            let free: Vec<Delivery> = free.take(room).collect();
            for delivery in free {
                busy.begins(&target, &delivery.subject);
                used.insert(target.policy);
                let target = target.clone();
                let one = async move {
                    let subject = delivery.subject.clone();
                    let done = self.deliver(&target, &delivery).await;
                    ((target.project, target.id), subject, done)
                };
                sending.push(one.boxed());
            }
        }
        Ok(())
    }

    /// Sends something once, and notes what came of it.
    async fn deliver(&self, target: &Target, delivery: &Delivery) -> Result<()> {
        let began = self.0.db.now(&*self.0.clock).await?;
        let mut reader = self.0.db.reader().await?;
        let attrs = delivery::attrs(&mut reader, delivery.execution).await?;
        drop(reader);
        let read = attrs.and_then(|attrs| serde_json::from_str(&attrs).ok());
        let Some(request): Option<WebhookRequest> = read else {
            return self.forget(delivery, began).await;
        };
        let message = Message {
            event: &request.event_type,
            delivery: &delivery.execution.to_string(),
            body: &request.payload,
        };
        let answer = self.0.send(target, &message).await;
        let now = self.0.db.now(&*self.0.clock).await?;
        let outcome = Noted::of(target, (delivery, &answer), now);
        self.note(
            (target, delivery),
            (&request, &answer),
            outcome,
            (began, now),
        )
        .await?;
        let since = target.failing_since.unwrap_or(now);
        let is_dead = answer.is_failure() && now.since(since) >= LONGEST;
        match is_dead && target.skipped_at.is_none() {
            true => self.give_up(target).await,
            false => Ok(()),
        }
    }

    /// Ends something whose body is not there, so that it holds up nothing else.
    async fn forget(&self, delivery: &Delivery, now: Timestamp) -> Result<()> {
        const WHY: &str = "its body cannot be read";
        let delivery = delivery.clone();
        let written = self.0.db.write(move |tx| {
            Box::pin(async move {
                let attempt = Attempt {
                    began: now,
                    message: WHY,
                    attrs: "{}",
                    line: Line::new(now, Level::Error, WHY.to_owned()),
                };
                let next = Next::Ended(Status::Error);
                delivery::attempted(tx, &delivery, (&attempt, next), now).await
            })
        });
        written.await?;
        Ok(())
    }

    async fn note(
        &self,
        (target, delivery): (&Target, &Delivery),
        (request, answer): (&WebhookRequest, &Answer),
        noted: Noted,
        (began, now): (Timestamp, Timestamp),
    ) -> Result<()> {
        let duration_ms = answer.took.map(|took| took.as_millis() as u64);
        let attrs = WebhookDelivery {
            event_type: request.event_type.clone(),
            target: target.id,
            kind: target.kind.name().to_owned(),
            format: target.format.name().to_owned(),
            address: target.address.to_string(),
            status: answer.status(),
            duration_ms,
        };
        // Texts and numbers are always JSON.
        let attrs = serde_json::to_string(&attrs).unwrap_or_default();
        let line = line(answer, &noted, now);
        let (target, delivery, answer) = (target.clone(), delivery.clone(), answer.clone());
        let written = self.0.db.write(move |tx| {
            Box::pin(async move {
                let attempt = Attempt {
                    began,
                    message: answer.error().unwrap_or_default(),
                    attrs: &attrs,
                    line,
                };
                delivery::attempted(tx, &delivery, (&attempt, noted.next), now).await?;
                let status = answer.status().map(i64::from);
                let found = match (&answer.result, status) {
                    (Taken::NotNow(_, why, _), status) => Found::Failed(status, why),
                    (_, status) => Found::Answered(status.unwrap_or_default(), answer.error()),
                };
                let works = targets::found(tx, &target, (&found, noted.retry_at), now).await?;
                match works {
                    true => delivery::hurry(tx, target.id, now).await,
                    false => Ok(()),
                }
            })
        });
        Ok(written.await?)
    }

    async fn give_up(&self, target: &Target) -> Result<()> {
        let mut reader = self.0.db.reader().await?;
        let policy = policies::get(&mut reader, target.project, target.policy).await?;
        drop(reader);
        match policy {
            Some(policy) => self.0.skip((target.project, &policy.name), target).await,
            None => Ok(()),
        }
    }

    /// Removes executions of policies beyond those that are kept: many events would fill the disk before the job that
    /// does it for all kinds comes round.
    async fn prune(&self, used: &mut HashSet<WebhookPolicyId>) -> Result<()> {
        for policy in used.drain() {
            for vendor in [Vendor::Webhook, Vendor::Slack] {
                let mut reader = self.0.db.reader().await?;
                let of = (vendor, policy.0);
                let surplus = execution::surplus(&mut reader, of, PRUNED).await?;
                drop(reader);
                for some in surplus.chunks(CLEANED as usize) {
                    let some = some.to_vec();
                    let removed = self.0.db.write(move |tx| {
                        Box::pin(async move { execution::remove(tx, &some).await })
                    });
                    removed.await?;
                }
            }
        }
        Ok(())
    }

    /// Ends what is not sent any more, and removes what is gone; the rest of much waits for the next time.
    async fn clean(&self) -> Result<()> {
        for _ in 0..CLEANINGS {
            let now = self.0.db.now(&*self.0.clock).await?;
            let mut reader = self.0.db.reader().await?;
            let stale = cleaning::stale(&mut reader, now, CLEANED).await?;
            let is_any_gone = cleaning::is_any_gone(&mut reader).await?;
            drop(reader);
            if stale.is_empty() && !is_any_gone {
                return Ok(());
            }
            let is_last = stale.is_empty();
            let cleaned = self.0.db.write(move |tx| {
                Box::pin(async move {
                    match is_last {
                        true => cleaning::remove_gone(tx, CLEANED, now).await,
                        false => cleaning::end(tx, &stale, now).await,
                    }
                })
            });
            cleaned.await?;
        }
        Ok(())
    }
}

impl Webhooks {
    /// Gives a target up, and says so in the history and the log.
    pub(super) async fn skip(
        &self,
        (project, policy): (ProjectId, &str),
        target: &Target,
    ) -> Result<()> {
        let now = self.db.now(&*self.clock).await?;
        let (id, policy) = (target.id, policy.to_owned());
        let address = target.address.place();
        let found = project::by_id(&mut self.db.reader().await?, project).await?;
        let project_name = found.map(|found| found.name.to_string());
        let (named, told) = ((policy.clone(), address.clone()), Self::origin());
        let skipped = self.db.write(move |tx| {
            Box::pin(async move {
                let skipped = targets::skip(tx, id, now).await?;
                if skipped {
                    let what = (project, &*named.0, &*named.1);
                    tenancy::webhook::record_skipped(tx, what, (told, now)).await?;
                }
                Ok::<_, crate::Error>(skipped)
            })
        });
        if skipped.await? {
            let project = project_name.unwrap_or_default();
            tracing::warn!(
                project.name = project,
                webhook.policy = policy,
                "a webhook's receiver has not answered for 7 days: what waits for it is given up, and only one event at a \
                 time is tried until it answers"
            );
        }
        Ok(())
    }
}

impl Answer {
    /// Whether it says that the receiver does not work.
    fn is_failure(&self) -> bool {
        matches!(self.result, Taken::NotNow(..))
    }
}

/// What follows from an attempt: for the delivery, and for its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Noted {
    next: Next,
    retry_at: Timestamp,
}

impl Noted {
    fn of(target: &Target, (delivery, answer): (&Delivery, &Answer), now: Timestamp) -> Self {
        let pause = match target.kind {
            WebhookKind::Slack => now.plus(SLACK_PAUSE),
            WebhookKind::Http => Timestamp::default(),
        };
        match &answer.result {
            Taken::Yes(_) => Self {
                next: Next::Ended(Status::Success),
                retry_at: pause,
            },
            Taken::No(..) if delivery.attempts + 1 >= MOST_REFUSED => Self {
                next: Next::Ended(Status::Error),
                retry_at: pause,
            },
            Taken::No(..) => {
                let tripled = AFTER_REFUSAL * 3_u32.pow(delivery.attempts.clamp(0, 3) as u32);
                Self {
                    next: Next::Again(now.plus(tripled)),
                    retry_at: pause,
                }
            }
            Taken::NotNow(_, _, asked) => {
                let longest = longest(target, now);
                let asked = asked.unwrap_or_default().min(LONG);
                let target_wait = doubled(target.failures).min(longest).max(asked);
                // Longer than the target's, so that another delivery is the next to be tried: it may be this one alone.
                let own = doubled(delivery.attempts + 1).min(LONG) + target_wait;
                Self {
                    next: Next::Again(now.plus(own)),
                    retry_at: now.plus(target_wait),
                }
            }
        }
    }
}

fn longest(target: &Target, now: Timestamp) -> Duration {
    let failing = target.failing_since.map(|since| now.since(since));
    match (target.skipped_at, failing) {
        (Some(_), _) => SKIPPED,
        (None, Some(failing)) if failing >= HOUR => LONG,
        (None, _) => SHORT,
    }
}

/// The first wait, doubled so often.
fn doubled(times: i64) -> Duration {
    FIRST_WAIT * 2_u32.pow(times.clamp(0, 12) as u32)
}

/// The line of an attempt in the log.
fn line(answer: &Answer, noted: &Noted, now: Timestamp) -> Line {
    let took = answer
        .took
        .map(|took| format!(" in {} ms", took.as_millis()));
    let took = took.unwrap_or_default();
    let (level, text) = match (answer.error(), noted.next) {
        (None, _) => {
            let status = answer.status().unwrap_or_default();
            (Level::Info, format!("sent: status {status}{took}"))
        }
        (Some(why), Next::Again(at)) => (Level::Warn, format!("{why}{took}; tried again at {at}")),
        (Some(why), Next::Ended(_)) => (Level::Error, format!("{why}{took}; given up")),
    };
    Line::new(now, level, text)
}

#[cfg(test)]
mod tests {
    use model::{ExecutionId, TaskId, WebhookFormat, WebhookPolicyId};

    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000_000_000);

    fn target(failures: i64, failing_since: Option<Timestamp>) -> Target {
        Target {
            id: WebhookTargetId(1),
            policy: WebhookPolicyId(1),
            project: ProjectId(1),
            kind: WebhookKind::Http,
            address: "http://a".parse().unwrap(),
            auth_header: None,
            secret: None,
            insecure: false,
            format: WebhookFormat::Default,
            failures,
            failing_since,
            retry_at: Timestamp(0),
            last_at: None,
            last_status: None,
            last_error: None,
            skipped_at: None,
        }
    }

    fn delivery(attempts: i64) -> Delivery {
        Delivery {
            id: 1,
            target: WebhookTargetId(1),
            execution: ExecutionId(1),
            task: TaskId(1),
            subject: "team/app".to_owned(),
            attempts,
            due_at: NOW,
            created_at: NOW,
        }
    }

    fn noted(target: &Target, attempts: i64, result: Taken) -> Noted {
        let answer = Answer { took: None, result };
        Noted::of(target, (&delivery(attempts), &answer), NOW)
    }

    fn silent() -> Taken {
        Taken::NotNow(None, "silent".to_owned(), None)
    }

    #[test]
    fn no_project_takes_all_the_room() {
        let mut busy = Busy::default();
        let of = |project, id| Target {
            id: WebhookTargetId(id),
            project: ProjectId(project),
            ..target(0, None)
        };
        for id in 0..8 {
            assert_eq!(busy.room(&of(1, id)), TO_ONE);
            for subject in ["a", "b", "c", "d"] {
                busy.begins(&of(1, id), subject);
            }
            assert_eq!(busy.room(&of(1, id)), 0);
        }
        assert_eq!((busy.room(&of(1, 9)), busy.room(&of(2, 10))), (0, TO_ONE));
        busy.ended((ProjectId(1), WebhookTargetId(3)), "b");
        assert_eq!((busy.room(&of(1, 3)), busy.room(&of(1, 9))), (1, 1));
    }

    #[test]
    fn what_is_refused_is_sent_three_times() {
        let refused = |attempts| {
            let no = Taken::No(400, "no".to_owned());
            noted(&target(0, None), attempts, no).next
        };
        assert_eq!(refused(0), Next::Again(NOW.plus(AFTER_REFUSAL)));
        assert_eq!(refused(1), Next::Again(NOW.plus(AFTER_REFUSAL * 3)));
        assert_eq!(refused(2), Next::Ended(Status::Error));
    }

    #[test]
    fn what_is_not_answered_is_sent_again_and_others_before_it() {
        let mut seen = Vec::new();
        for (failures, ago) in [(0, 0), (1, 2), (20, 600), (200, 7_200)] {
            let since = NOW.minus(Duration::from_secs(ago));
            let noted = noted(&target(failures, Some(since)), failures, silent());
            let Next::Again(own) = noted.next else {
                panic!("it is sent again")
            };
            assert!(own > noted.retry_at);
            seen.push(noted.retry_at.since(NOW).as_secs());
        }
        assert_eq!(seen, [2, 4, 60, 600]);
    }

    #[test]
    fn a_receiver_that_asks_for_time_gets_it_within_bounds() {
        let wait = |asked| {
            let busy = Taken::NotNow(
                Some(429),
                "busy".to_owned(),
                Some(Duration::from_secs(asked)),
            );
            noted(&target(0, None), 0, busy)
                .retry_at
                .since(NOW)
                .as_secs()
        };
        assert_eq!((wait(30), wait(1_000_000)), (30, 600));
    }
}
