//! Policies of webhooks: which events of a project are sent where. Secrets of targets are sealed for their rows, and kept
//! only for the address that they were given for. Sending is in `jobs`.

use std::sync::Arc;

use db::execution::Cause;
use db::webhook::delivery;
use db::webhook::policy::{self as policies, Content, Policy};
use db::webhook::target::{self as targets, Target};
use db::{Db, Tx};
use model::{
    Event, ExecutionId, Operation, Origin, ProjectId, ResourceType, Subject, Timestamp,
    WebhookDelivery, WebhookPolicyId, WebhookTargetId,
};
use policy::{ProjectPermit, on, to};

use crate::secret::{MasterKey, Secret};
use crate::{Error, Result};

/// Policies that a project has at most.
pub const MOST: i64 = 100;
/// Targets that a policy has at most.
pub const MOST_TARGETS: usize = 10;
/// Maximum bytes of a name, of a description, and of a secret.
const LONGEST_NAME: usize = 128;
const LONGEST_TEXT: usize = 1_024;
const LONGEST_SECRET: usize = 4_096;

/// For what secrets are sealed.
const HEADER: &str = "webhook authorization";
const SIGNATURE: &str = "webhook signature";

/// What happens to a secret of a target.
#[derive(Clone, Debug)]
pub enum NewSecret {
    /// It stays, as there is one for this address.
    Kept,
    /// It stays, if there is one for this address.
    KeptIfAny,
    /// There is none any more.
    Removed,
    /// It is this one.
    Set(Secret),
}

/// A target as it is set.
#[derive(Clone, Debug)]
pub struct NewTarget {
    /// What it is.
    pub content: targets::Content,
    /// The header `Authorization`.
    pub auth_header: NewSecret,
    /// What requests are signed with.
    pub secret: NewSecret,
}

/// A policy as it is set.
#[derive(Clone, Debug)]
pub struct NewPolicy {
    /// What it says, but for its targets.
    pub content: Content,
    /// Its targets.
    pub targets: Vec<NewTarget>,
}

/// The secrets of a target.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    /// The header `Authorization`.
    pub auth_header: Option<Secret>,
    /// What requests are signed with.
    pub secret: Option<Secret>,
}

/// The secrets of a target.
///
/// # Errors
/// [`Error::Secret`] with another master key.
pub fn secrets_of(target: &Target, master: &MasterKey) -> Result<Secrets> {
    let open = |purpose, sealed: &Option<Vec<u8>>| {
        let Some(sealed) = sealed else {
            return Ok::<_, Error>(None);
        };
        let opened = master.open(purpose, sealed, &context(target.id))?;
        let text = String::from_utf8_lossy(&opened).into_owned();
        Ok(Some(Secret::new(text)))
    };
    Ok(Secrets {
        auth_header: open(HEADER, &target.auth_header)?,
        secret: open(SIGNATURE, &target.secret)?,
    })
}

fn context(id: WebhookTargetId) -> [u8; 8] {
    id.0.to_be_bytes()
}

/// Refuses what cannot be stored, or cannot be sent.
fn check(new: &NewPolicy) -> Result<()> {
    short("name", &new.content.name, LONGEST_NAME)?;
    if new.content.name.trim().is_empty() {
        return Err(Error::WebhookInvalid(
            "name",
            "must not be empty".to_owned(),
        ));
    }
    short("description", &new.content.description, LONGEST_TEXT)?;
    for target in &new.targets {
        if let NewSecret::Set(header) = &target.auth_header {
            short("targets.auth_header", header.expose(), LONGEST_SECRET)?;
            if !header
                .expose()
                .bytes()
                .all(|byte| matches!(byte, b' '..=b'~'))
            {
                let how = "must be printable ASCII characters in one line".to_owned();
                return Err(Error::WebhookInvalid("targets.auth_header", how));
            }
        }
        if let NewSecret::Set(secret) = &target.secret {
            short("targets.secret", secret.expose(), LONGEST_SECRET)?;
        }
    }
    Ok(())
}

fn short(field: &'static str, text: &str, most: usize) -> Result<()> {
    match text.len() <= most {
        true => Ok(()),
        false => Err(Error::WebhookInvalid(
            field,
            format!("at most {most} bytes"),
        )),
    }
}

/// Makes a policy.
///
/// # Errors
/// [`Error::WebhookInvalid`], [`Error::WebhookExists`], [`Error::TooManyWebhooks`], [`Error::SecretMissing`],
/// [`Error::ProjectGone`].
pub async fn create(
    (db, master): (&Db, &Arc<MasterKey>),
    permit: &ProjectPermit<on::Webhook, to::Create>,
    new: NewPolicy,
    now: Timestamp,
) -> Result<WebhookPolicyId> {
    check(&new)?;
    let (project, origin) = (permit.project().id, permit.caller().origin());
    let master = master.clone();
    db.write_in(project, move |tx| {
        Box::pin(async move {
            if policies::count(tx, project).await? >= MOST {
                return Err(Error::TooManyWebhooks(MOST));
            }
            let creator = (origin.principal.name(), origin.principal.id());
            let made = policies::create(tx, project, (&new.content, creator), now).await;
            let id = made.map_err(|error| exists(error, &new.content.name))?;
            set_targets(tx, &master, (id, &[]), &new.targets, now).await?;
            let event = event(
                (now, origin),
                Operation::Create,
                (project, &new.content.name),
            );
            tx.record(&event.with_detail(described(&new))).await?;
            Ok(id)
        })
    })
    .await
}

/// Replaces what a policy says. One that is switched on sends what happens from then on. What waits for targets that it
/// does not name any more is not sent; those that it names are tried again at once.
///
/// # Errors
/// [`Error::WebhookInvalid`], [`Error::WebhookUnknown`], [`Error::WebhookExists`], [`Error::SecretMissing`],
/// [`Error::ProjectGone`].
pub async fn change(
    (db, master): (&Db, &Arc<MasterKey>),
    permit: &ProjectPermit<on::Webhook, to::Update>,
    id: WebhookPolicyId,
    new: NewPolicy,
    now: Timestamp,
) -> Result<()> {
    check(&new)?;
    let (project, origin) = (permit.project().id, permit.caller().origin());
    let master = master.clone();
    db.write_in(project, move |tx| {
        Box::pin(async move {
            let before = hold(tx, project, id).await?;
            if new.content.enabled && !before.enabled {
                policies::send_from_now(tx, id).await?;
            }
            let changed = policies::update(tx, id, &new.content, now).await;
            changed.map_err(|error| exists(error, &new.content.name))?;
            let present = targets::of_policy(tx, id).await?;
            set_targets(tx, &master, (id, &present), &new.targets, now).await?;
            let event = event(
                (now, origin),
                Operation::Update,
                (project, &new.content.name),
            );
            Ok(tx.record(&event.with_detail(described(&new))).await?)
        })
    })
    .await
}

/// Switches a policy on or off.
///
/// # Errors
/// [`Error::WebhookUnknown`], [`Error::ProjectGone`].
pub async fn enable(
    db: &Db,
    permit: &ProjectPermit<on::Webhook, to::Update>,
    (id, enabled): (WebhookPolicyId, bool),
    now: Timestamp,
) -> Result<()> {
    let (project, origin) = (permit.project().id, permit.caller().origin());
    db.write_in(project, move |tx| {
        Box::pin(async move {
            let before = hold(tx, project, id).await?;
            if enabled && !before.enabled {
                policies::send_from_now(tx, id).await?;
            }
            let content = Content {
                events: before.events()?,
                name: before.name.clone(),
                description: before.description,
                enabled,
                untagged: before.untagged,
            };
            policies::update(tx, id, &content, now).await?;
            let event = event((now, origin), Operation::Update, (project, &before.name));
            let detail = if enabled { "enabled" } else { "disabled" };
            Ok(tx.record(&event.with_detail(detail)).await?)
        })
    })
    .await
}

/// Deletes a policy with its history. What waits of it is not sent.
///
/// # Errors
/// [`Error::WebhookUnknown`], [`Error::ProjectGone`].
pub async fn delete(
    db: &Db,
    permit: &ProjectPermit<on::Webhook, to::Delete>,
    id: WebhookPolicyId,
    now: Timestamp,
) -> Result<()> {
    let (project, origin) = (permit.project().id, permit.caller().origin());
    db.write_in(project, move |tx| {
        Box::pin(async move {
            let gone = hold(tx, project, id).await?;
            policies::delete(tx, id, now).await?;
            let event = event((now, origin), Operation::Delete, (project, &gone.name));
            Ok(tx.record(&event).await?)
        })
    })
    .await
}

/// Sends something again, with the same body, to the target to which it was sent: returns the new delivery.
///
/// # Errors
/// [`Error::DeliveryUnknown`], [`Error::TargetGone`], [`Error::ProjectGone`].
pub async fn redeliver(
    db: &Db,
    permit: &ProjectPermit<on::Webhook, to::Update>,
    id: ExecutionId,
    now: Timestamp,
) -> Result<ExecutionId> {
    let (project, origin) = (permit.project().id, permit.caller().origin());
    db.write_in(project, move |tx| {
        Box::pin(async move {
            let found = delivery::get(tx, project, id).await?;
            let (shown, attrs) = found.ok_or(Error::DeliveryUnknown(id))?;
            let policy = hold(tx, project, shown.policy).await?;
            let sent: WebhookDelivery =
                serde_json::from_str(&shown.attrs).map_err(|_| db::Error::Corrupt {
                    table: "task",
                    column: "attrs",
                })?;
            let present = targets::of_policy(tx, policy.id).await?;
            let target = present.into_iter().find(|one| one.id == sent.target);
            let target = target.ok_or(Error::TargetGone)?;
            let again = WebhookDelivery {
                status: None,
                duration_ms: None,
                ..sent
            };
            let new = delivery::New {
                target: target.id,
                kind: target.kind,
                policy: policy.id,
                cause: Cause::Manual,
                operator: (origin.principal.id(), origin.principal.name().to_owned()),
                subject: shown.subject,
                attrs,
                // Texts and numbers are always JSON.
                task_attrs: serde_json::to_string(&again).unwrap_or_default(),
            };
            let added = delivery::add(tx, &new, now).await?;
            let event = event((now, origin), Operation::Update, (project, &policy.name));
            let detail = format!("delivery {id} sent again as {added}");
            tx.record(&event.with_detail(detail)).await?;
            Ok(added)
        })
    })
    .await
}

/// Notes that somebody tried a policy out.
///
/// # Errors
/// [`Error::WebhookUnknown`], [`Error::ProjectGone`].
pub async fn tested(
    db: &Db,
    permit: &ProjectPermit<on::Webhook, to::Update>,
    id: WebhookPolicyId,
    now: Timestamp,
) -> Result<()> {
    let (project, origin) = (permit.project().id, permit.caller().origin());
    db.write_in(project, move |tx| {
        Box::pin(async move {
            let policy = hold(tx, project, id).await?;
            let event = event((now, origin), Operation::Update, (project, &policy.name));
            Ok(tx.record(&event.with_detail("tested")).await?)
        })
    })
    .await
}

/// Notes that Gantry gave a target up, as it has not answered for too long.
///
/// # Errors
/// When a statement fails.
pub async fn record_skipped(
    tx: &mut Tx,
    (project, policy, address): (ProjectId, &str, &str),
    (origin, now): (Origin, Timestamp),
) -> Result<()> {
    let event = event((now, origin), Operation::Update, (project, policy));
    let detail = format!("{address} has not answered for 7 days: it is skipped");
    Ok(tx.record(&event.with_detail(detail)).await?)
}

async fn hold(tx: &mut Tx, project: ProjectId, id: WebhookPolicyId) -> Result<Policy> {
    let found = policies::hold(tx, project, id).await?;
    found.ok_or(Error::WebhookUnknown(id))
}

/// Gives a policy its targets: one that sends to the same address stays, with its secrets and what waits for it.
async fn set_targets(
    tx: &mut Tx,
    master: &MasterKey,
    (policy, present): (WebhookPolicyId, &[Target]),
    wanted: &[NewTarget],
    now: Timestamp,
) -> Result<()> {
    let mut left: Vec<&Target> = present.iter().collect();
    for (position, new) in (0..).zip(wanted) {
        let is_same = |one: &&Target| {
            one.kind == new.content.kind && one.address.url() == new.content.address.url()
        };
        let same = left.iter().position(is_same);
        let same = same.map(|at| left.remove(at));
        let id = match same {
            Some(same) => {
                targets::update(tx, same.id, position, &new.content).await?;
                same.id
            }
            None => targets::add(tx, policy, position, &new.content).await?,
        };
        let has_header = same.is_some_and(|same| same.auth_header.is_some());
        check_kept("auth_header", &new.auth_header, has_header)?;
        let has_secret = same.is_some_and(|same| same.secret.is_some());
        check_kept("secret", &new.secret, has_secret)?;
        if let Some(header) = sealed(master, (HEADER, id), &new.auth_header)? {
            targets::set_auth_header(tx, id, header.as_deref()).await?;
        }
        if let Some(secret) = sealed(master, (SIGNATURE, id), &new.secret)? {
            targets::set_secret(tx, id, secret.as_deref()).await?;
        }
    }
    for gone in left {
        targets::remove(tx, gone.id, now).await?;
    }
    Ok(())
}

/// Refuses to keep what is not there.
fn check_kept(field: &'static str, new: &NewSecret, is_there: bool) -> Result<()> {
    match new {
        NewSecret::Kept if !is_there => Err(Error::SecretMissing(field)),
        _ => Ok(()),
    }
}

/// What is stored of a secret; `None` for what is there.
fn sealed(
    master: &MasterKey,
    (purpose, id): (&str, WebhookTargetId),
    new: &NewSecret,
) -> Result<Option<Option<Vec<u8>>>> {
    Ok(match new {
        NewSecret::Kept | NewSecret::KeptIfAny => None,
        NewSecret::Removed => Some(None),
        NewSecret::Set(secret) => {
            let plain = secret.expose().as_bytes();
            Some(Some(master.seal(purpose, plain, &context(id))?))
        }
    })
}

/// What is set, without the secrets, of which a part of an address may be one.
fn described(new: &NewPolicy) -> String {
    let events: Vec<&str> = new.content.events.iter().map(|it| it.name()).collect();
    let addresses = new.targets.iter().map(|it| it.content.address.place());
    let addresses: Vec<String> = addresses.collect();
    let state = if new.content.enabled {
        "enabled"
    } else {
        "disabled"
    };
    format!("{state}: {} to {}", events.join(", "), addresses.join(", "))
}

fn exists(error: db::Error, name: &str) -> Error {
    match error {
        db::Error::Duplicate(_) => Error::WebhookExists(name.to_owned()),
        other => other.into(),
    }
}

fn event(
    (now, origin): (Timestamp, Origin),
    operation: Operation,
    (project, name): (ProjectId, &str),
) -> Event {
    let subject = Subject::Owned {
        project,
        kind: ResourceType::Webhook,
        name: name.to_owned(),
    };
    Event::new(now, origin, operation, subject)
}
