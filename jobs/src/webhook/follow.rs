//! Following the audit log: for each entry, and for what is noted besides, a delivery to each target of each policy that
//! asks for it.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use db::execution::Cause;
use db::project::{self, Project};
use db::webhook::delivery::{self, New};
use db::webhook::follow::{self, Entry};
use db::webhook::note::{self, Note};
use db::webhook::policy::{self as policies, Policy};
use db::webhook::target::{self as targets, Target};
use db::webhook::trigger;
use db::{Reader, Tx, quota};
use model::{
    ProjectId, RepositoryName, WebhookDelivery, WebhookEvent, WebhookRequest, WebhookTargetId,
};

use super::event::{
    Artifact, Happened, InProject, deleted_tag, event_of, of_artifact, of_refusal, of_warning,
    with_held_back,
};
use super::form::body;
use super::works::Webhooks;
use crate::Result;
use crate::engine::{Context, Job, Outcome, Retry, Standing};
use crate::horizon::Settling;

/// Entries that are read at a time.
const BATCH: i64 = 200;
/// Deliveries that are added at a time: on SQLite, all other writers wait.
const AT_ONCE: usize = 8;
/// At most this many deliveries of one event are added at a time, though those of one policy are never split.
const OF_ONE: usize = 64;
/// How much of its quota a project uses when a push is warned of, in percent.
const NEARLY_FULL: i64 = 85;
/// Events about the quota of a project are sent once in this time.
const QUIET: Duration = Duration::from_secs(600);
/// Deliveries that wait for a target, about: while there are so many, it is sent nothing that is new.
const MOST_WAITING: i64 = 100_000;

/// Follows the log.
pub(crate) struct Follow {
    works: Webhooks,
    /// How far the log may be read.
    settling: Settling,
}

impl Follow {
    pub(crate) fn new(works: Webhooks) -> Self {
        Self {
            works,
            settling: Settling::default(),
        }
    }
}

impl Job for Follow {
    const KIND: &'static str = "webhook_follow";
    const RETRY: Retry = Retry::STANDING;
    type Payload = ();

    async fn run(&self, (): (), _: &mut Context) -> Outcome {
        self.follow().await.into()
    }
}

impl Standing for Follow {
    const EVERY: Duration = Duration::from_millis(500);

    async fn is_wanted(&self) -> Result<bool> {
        let mut reader = self.works.db.reader().await?;
        if !note::list(&mut reader, 1).await?.is_empty() {
            return Ok(true);
        }
        let Some(since) = follow::since(&mut reader).await? else {
            return Ok(false);
        };
        let place = follow::place(&mut reader).await?.max(since);
        Ok(place < follow::newest(&mut reader).await?)
    }
}

/// The policies of a project that send, with their types of events and targets.
type Sending = HashMap<ProjectId, (Project, Vec<Sender>)>;

/// A policy that sends.
#[derive(Clone)]
struct Sender {
    policy: Policy,
    events: Vec<WebhookEvent>,
    targets: Vec<Target>,
}

impl Sender {
    fn takes(&self, entry: Option<i64>, happened: &Happened) -> bool {
        self.events.contains(&happened.event)
            && entry.is_none_or(|id| id > self.policy.since)
            && (self.policy.untagged || !happened.is_untagged)
    }
}

/// What follows from an entry or a note.
struct Following<T = Sender> {
    source: Source,
    /// What happened, with the policies that take it.
    sent: Vec<(Happened, Vec<T>)>,
}

/// What is written at a time.
struct Part<T = Sender> {
    sent: Vec<(Happened, T)>,
    /// How many deliveries these are.
    deliveries: usize,
    /// What is followed once this is written.
    followed: Vec<Source>,
}

impl<T> Default for Part<T> {
    fn default() -> Self {
        Self {
            sent: Vec::new(),
            deliveries: 0,
            followed: Vec::new(),
        }
    }
}

/// What follows, in parts that are not large. An event with very many deliveries is followed with its last part: if the
/// process dies before that, the earlier ones are sent twice.
fn parts<T>(following: Vec<Following<T>>, deliveries: impl Fn(&T) -> usize) -> Vec<Part<T>> {
    let (mut parts, mut part) = (Vec::new(), Part::default());
    for Following { source, sent } in following {
        if part.deliveries >= AT_ONCE {
            parts.push(std::mem::take(&mut part));
        }
        for (happened, senders) in sent {
            for sender in senders {
                if part.deliveries >= OF_ONE {
                    parts.push(std::mem::take(&mut part));
                }
                part.deliveries += deliveries(&sender);
                part.sent.push((happened.clone(), sender));
            }
        }
        part.followed.push(source);
    }
    parts.push(part);
    parts
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// The log up to this entry.
    Entry(i64),
    /// A note.
    Note(i64),
}

impl Follow {
    async fn follow(&self) -> Result<()> {
        let mut reader = self.works.db.reader().await?;
        // Before the policies are read: one that is made later sends what happens after this.
        let Some(up_to) = self.settling.last(&mut reader).await? else {
            return Ok(());
        };
        let sending = match self.works.settings.current().notification_enable {
            true => self.sending(&mut reader).await?,
            false => Sending::new(),
        };
        let since = follow::since(&mut reader).await?.unwrap_or_default();
        let mut after = follow::place(&mut reader).await?.max(since);
        drop(reader);
        while after < up_to {
            after = self.entries(&sending, (after, up_to)).await?;
        }
        self.notes(&sending).await
    }

    /// Projects with policies that send.
    async fn sending(&self, reader: &mut Reader) -> Result<Sending> {
        let found = policies::enabled(reader).await?;
        let ids: Vec<_> = found.iter().map(|policy| policy.id).collect();
        let mut of_policies = targets::of_policies(reader, &ids).await?;
        let mut sending = Sending::new();
        for policy in found {
            let sender = Sender {
                events: policy.events()?,
                targets: of_policies.remove(&policy.id).unwrap_or_default(),
                policy,
            };
            let id = sender.policy.project;
            if let Some((_, senders)) = sending.get_mut(&id) {
                senders.push(sender);
            } else if let Some(project) = project::by_id(reader, id).await? {
                sending.insert(id, (project, vec![sender]));
            }
        }
        Ok(sending)
    }

    /// Follows some entries; returns the one up to which the log was followed.
    async fn entries(&self, sending: &Sending, (after, up_to): (i64, i64)) -> Result<i64> {
        let mut reader = self.works.db.reader().await?;
        let entries = match sending.is_empty() {
            true => Vec::new(),
            false => follow::entries(&mut reader, (after, up_to), BATCH).await?,
        };
        let full = match entries.is_empty() {
            true => Full::default(),
            false => full(&mut reader, sending).await?,
        };
        let is_all = (entries.len() as i64) < BATCH;
        let mut following = Vec::new();
        for entry in &entries {
            let happened = self.happened(&mut reader, sending, entry).await?;
            following.push(Following {
                source: Source::Entry(entry.id),
                sent: taken((sending, &full), entry.project, Some(entry.id), happened),
            });
        }
        drop(reader);
        let last = entries.last().map_or(up_to, |entry| entry.id);
        let reached = if is_all { up_to } else { last };
        following.push(Following {
            source: Source::Entry(reached),
            sent: Vec::new(),
        });
        self.add(following).await?;
        Ok(reached)
    }

    async fn notes(&self, sending: &Sending) -> Result<()> {
        loop {
            let mut reader = self.works.db.reader().await?;
            let notes = note::list(&mut reader, BATCH).await?;
            if notes.is_empty() {
                return Ok(());
            }
            let full = full(&mut reader, sending).await?;
            drop(reader);
            let following = notes.into_iter().map(|note| {
                let (id, project) = (note.id, note.project);
                let happened = self.noted(note);
                Following {
                    source: Source::Note(id),
                    sent: taken((sending, &full), project, None, vec![happened]),
                }
            });
            self.add(following.collect()).await?;
        }
    }

    /// What a note tells of.
    fn noted(&self, note: Note) -> Happened {
        // A note is written by this program; one that cannot be read tells of the event alone.
        let mut data: serde_json::Value = serde_json::from_str(&note.data).unwrap_or_default();
        for part in ["replication", "retention"] {
            if data[part].is_object() {
                data[part]["harbor_hostname"] = self.works.host().into();
            }
        }
        Happened {
            event: note.event,
            at: note.at,
            operator: note.operator,
            principal: note.principal,
            subject: format!("{} {}", note.event.name(), note.project),
            is_untagged: false,
            times: 1,
            data,
        }
    }

    /// What an entry tells of.
    async fn happened(
        &self,
        reader: &mut Reader,
        sending: &Sending,
        entry: &Entry,
    ) -> Result<Vec<Happened>> {
        let found = (
            sending.get(&entry.project),
            event_of(entry),
            &entry.repository,
        );
        let (Some((project, senders)), Some(event), Some(repository)) = found else {
            return Ok(Vec::new());
        };
        let asks = |event| senders.iter().any(|sender| sender.events.contains(&event));
        let named = InProject {
            name: &project.name,
            public: project.public,
        };
        let mut happened = Vec::new();
        if asks(event) {
            happened.push(match event {
                WebhookEvent::QuotaExceed => of_refusal(entry, repository, &named),
                _ => {
                    let found = artifact(reader, entry, repository).await?;
                    let host = self.works.host();
                    let at = (&named, &*host);
                    of_artifact((entry, event), repository, at, (&found.0, found.1))
                }
            });
        }
        let is_limited = project.storage_limit > 0;
        if event == WebhookEvent::PushArtifact && is_limited && asks(WebhookEvent::QuotaWarning) {
            let (used, limit) = (
                quota::used(reader, project.id).await?,
                project.storage_limit,
            );
            if i128::from(used) * 100 >= i128::from(limit) * i128::from(NEARLY_FULL) {
                happened.push(of_warning(entry, repository, &named, (used, limit)));
            }
        }
        Ok(happened)
    }

    /// Adds deliveries, a few at a time. Each transaction says how far it has followed.
    async fn add(&self, following: Vec<Following>) -> Result<()> {
        for part in parts(following, |sender| sender.targets.len()) {
            self.write(part).await?;
        }
        Ok(())
    }

    async fn write(&self, part: Part) -> Result<()> {
        let now = self.works.db.now(&*self.works.clock).await?;
        let written = self.works.db.write(move |tx| {
            Box::pin(async move {
                let mut place = None;
                for (happened, sender) in part.sent {
                    send(tx, &sender, happened, now).await?;
                }
                for source in part.followed {
                    match source {
                        Source::Entry(id) => place = Some(id),
                        Source::Note(id) => note::remove(tx, id).await?,
                    }
                }
                match place {
                    Some(place) => follow::set_place(tx, place).await,
                    None => Ok(()),
                }
            })
        });
        Ok(written.await?)
    }
}

/// Targets for which so much waits that nothing is added.
#[derive(Default)]
struct Full(HashSet<WebhookTargetId>);

impl Full {
    /// A policy with those of its targets that are sent something; `None` if there are none.
    fn spare(&self, sender: &Sender) -> Option<Sender> {
        let mut sender = sender.clone();
        sender.targets.retain(|target| !self.0.contains(&target.id));
        (!sender.targets.is_empty()).then_some(sender)
    }
}

/// Targets for which too much waits.
async fn full(reader: &mut Reader, sending: &Sending) -> Result<Full> {
    let senders = sending.values().flat_map(|(_, senders)| senders);
    let targets = senders.flat_map(|sender| &sender.targets);
    let ids: Vec<_> = targets.map(|target| target.id).collect();
    if ids.is_empty() {
        return Ok(Full::default());
    }
    let waiting = delivery::waiting(reader, &ids).await?;
    let full = waiting
        .into_iter()
        .filter(|(_, count)| *count >= MOST_WAITING);
    let full: HashSet<_> = full.map(|(target, _)| target).collect();
    if !full.is_empty() {
        tracing::warn!(
            targets = full.len(),
            "100,000 deliveries wait for receivers of webhooks: what happens now is not sent to these"
        );
    }
    Ok(Full(full))
}

/// What happened, with those who take it.
fn taken(
    (sending, full): (&Sending, &Full),
    project: ProjectId,
    entry: Option<i64>,
    happened: Vec<Happened>,
) -> Vec<(Happened, Vec<Sender>)> {
    let senders = sending.get(&project).map(|(_, senders)| senders);
    let taken = happened.into_iter().map(|happened| {
        let takers = senders.into_iter().flatten();
        let takers = takers.filter(|sender| sender.takes(entry, &happened));
        let takers = takers.filter_map(|sender| full.spare(sender)).collect();
        (happened, takers)
    });
    taken.collect()
}

/// The artifact that an entry is about, and when its repository was made.
async fn artifact(
    reader: &mut Reader,
    entry: &Entry,
    repository: &RepositoryName,
) -> Result<(Artifact, Option<model::Timestamp>)> {
    let found = follow::repository(reader, repository).await?;
    let mut artifact = Artifact {
        tag: entry.tag.clone().or_else(|| deleted_tag(entry)),
        digest: entry.digest,
        whole: None,
    };
    if let Some((id, _)) = found {
        if let (Some(tag), None) = (&entry.tag, &entry.digest) {
            artifact.digest = follow::tagged(reader, (id, tag), entry.at).await?;
        }
        if let (None, Some(digest)) = (&entry.tag, &entry.digest) {
            artifact.whole = follow::whole(reader, (id, digest)).await?;
        }
    }
    Ok((artifact, found.map(|(_, made)| made)))
}

/// Adds the deliveries of an event to the targets of a policy. Events about quotas are sent once in a while.
async fn send(
    tx: &mut Tx,
    sender: &Sender,
    happened: Happened,
    now: model::Timestamp,
) -> Result<(), db::Error> {
    let (policy, event) = (&sender.policy, happened.event);
    let mut happened = happened;
    if matches!(
        event,
        WebhookEvent::QuotaExceed | WebhookEvent::QuotaWarning
    ) {
        let before = trigger::get(tx, (policy.id, event)).await?;
        if let Some(before) = &before
            && now.since(before.at) < QUIET
        {
            return trigger::hold_back(tx, (policy.id, event), happened.times).await;
        }
        happened = with_held_back(happened, before.map_or(0, |before| before.held_back));
    }
    trigger::set(tx, (policy.id, event), now).await?;
    for target in &sender.targets {
        // One at a time shows whether it works again.
        if target.skipped_at.is_some() && delivery::is_waiting(tx, target.id).await? {
            continue;
        }
        delivery::add(tx, &new(policy, target, &happened), now).await?;
    }
    Ok(())
}

fn new(policy: &Policy, target: &Target, happened: &Happened) -> New {
    let request = WebhookRequest {
        event_type: happened.event.name().to_owned(),
        payload: body(
            happened,
            (policy.project, policy.id),
            (target.kind, target.format),
        ),
    };
    let attrs = WebhookDelivery {
        event_type: happened.event.name().to_owned(),
        target: target.id,
        kind: target.kind.name().to_owned(),
        format: target.format.name().to_owned(),
        address: target.address.to_string(),
        status: None,
        duration_ms: None,
    };
    // Texts and numbers are always JSON.
    let json = serde_json::to_string(&attrs).unwrap_or_default();
    New {
        target: target.id,
        kind: target.kind,
        policy: policy.id,
        cause: Cause::Event,
        operator: (happened.principal, happened.operator.clone()),
        subject: happened.subject.clone(),
        attrs: serde_json::to_string(&request).unwrap_or_default(),
        task_attrs: json,
    }
}

#[cfg(test)]
mod tests {
    use model::Timestamp;

    use super::*;

    #[test]
    fn an_event_with_many_deliveries_is_followed_with_its_last_part() {
        let event = |entry, targets: Vec<usize>| {
            let happened = Happened {
                event: WebhookEvent::PushArtifact,
                at: Timestamp(0),
                operator: "ann".to_owned(),
                principal: None,
                subject: "team/app".to_owned(),
                is_untagged: false,
                times: 1,
                data: serde_json::Value::Null,
            };
            Following {
                source: Source::Entry(entry),
                sent: vec![(happened, targets)],
            }
        };
        let small = |entry| event(entry, vec![4]);
        let following = vec![small(1), small(2), small(3), event(4, vec![10; 15])];
        let parts = parts(following, |targets| *targets);
        let seen = parts.iter().map(|part| (part.deliveries, &*part.followed));
        let seen: Vec<_> = seen.collect();
        let all = [1, 2, 3, 4].map(Source::Entry);
        let expected = [
            (8, &all[..2]),
            (64, &all[2..3]),
            (70, &all[..0]),
            (20, &all[3..]),
        ];
        assert_eq!(seen, expected);
    }
}
