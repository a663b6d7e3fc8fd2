//! Rules for immutable tags. A change has the project's exclusive lock: a push either ends before it, or knows the
//! rule.

use db::Db;
use db::immutable_rule;
use model::{
    Event, ImmutableRule, ImmutableRuleId, Operation, Origin, ProjectId, ResourceType, Subject,
    Timestamp,
};
use policy::{ProjectPermit, on, to};

use crate::{Error, Result};

/// Maximum rules of a project.
pub const MOST: i64 = 100;

/// Makes a rule, which takes effect at once. It must be one that compiles.
///
/// # Errors
/// [`Error::RuleExists`], [`Error::TooManyRules`], [`Error::ProjectGone`].
pub async fn create(
    db: &Db,
    permit: &ProjectPermit<on::ImmutableTag, to::Create>,
    rule: ImmutableRule,
    now: Timestamp,
) -> Result<ImmutableRuleId> {
    make(db, permit, (true, rule), now).await
}

/// Makes a rule that is switched off. It must be one that compiles.
///
/// # Errors
/// As [`create`].
pub async fn create_disabled(
    db: &Db,
    permit: &ProjectPermit<on::ImmutableTag, to::Create>,
    rule: ImmutableRule,
    now: Timestamp,
) -> Result<ImmutableRuleId> {
    make(db, permit, (false, rule), now).await
}

async fn make(
    db: &Db,
    permit: &ProjectPermit<on::ImmutableTag, to::Create>,
    (enabled, rule): (bool, ImmutableRule),
    now: Timestamp,
) -> Result<ImmutableRuleId> {
    let (project, origin) = (permit.project().id, permit.caller().origin());
    db.write_alone_in(project, move |tx| {
        Box::pin(async move {
            if immutable_rule::count(tx, project).await? >= MOST {
                return Err(Error::TooManyRules(MOST));
            }
            let text = text(&rule);
            let made = immutable_rule::create(tx, project, &text, now).await;
            let id = made.map_err(exists)?;
            let named = (project, id);
            let made = event(now, origin.clone(), Operation::Create, named);
            tx.record(&made.with_detail(&*text)).await?;
            if !enabled {
                immutable_rule::update(tx, id, false, &text).await?;
                let disabled = event(now, origin, Operation::Update, named);
                tx.record(&disabled.with_detail("disabled")).await?;
            }
            Ok(id)
        })
    })
    .await
}

/// Switches a rule on or off if that differs from its state; otherwise replaces its content, as in Harbor.
///
/// # Errors
/// [`Error::RuleUnknown`], [`Error::RuleExists`], [`Error::ProjectGone`].
pub async fn change(
    db: &Db,
    permit: &ProjectPermit<on::ImmutableTag, to::Update>,
    id: ImmutableRuleId,
    (enabled, rule): (bool, ImmutableRule),
    now: Timestamp,
) -> Result<()> {
    let (project, origin) = (permit.project().id, permit.caller().origin());
    db.write_alone_in(project, move |tx| {
        Box::pin(async move {
            let before = immutable_rule::get(tx, project, id).await?;
            let before = before.ok_or(Error::RuleUnknown(id))?;
            let (text, detail) = match before.enabled == enabled {
                true => (text(&rule), text(&rule)),
                false if enabled => (before.selectors, "enabled".to_owned()),
                false => (before.selectors, "disabled".to_owned()),
            };
            let changed = immutable_rule::update(tx, id, enabled, &text).await;
            changed.map_err(exists)?;
            let event = event(now, origin, Operation::Update, (project, id));
            Ok(tx.record(&event.with_detail(detail)).await?)
        })
    })
    .await
}

/// Switches a rule on or off.
///
/// # Errors
/// [`Error::RuleUnknown`], [`Error::ProjectGone`].
pub async fn enable(
    db: &Db,
    permit: &ProjectPermit<on::ImmutableTag, to::Update>,
    id: ImmutableRuleId,
    enabled: bool,
    now: Timestamp,
) -> Result<()> {
    let (project, origin) = (permit.project().id, permit.caller().origin());
    db.write_alone_in(project, move |tx| {
        Box::pin(async move {
            let before = immutable_rule::get(tx, project, id).await?;
            let before = before.ok_or(Error::RuleUnknown(id))?;
            immutable_rule::update(tx, id, enabled, &before.selectors).await?;
            let event = event(now, origin, Operation::Update, (project, id));
            let detail = if enabled { "enabled" } else { "disabled" };
            Ok(tx.record(&event.with_detail(detail)).await?)
        })
    })
    .await
}

/// Deletes a rule.
///
/// # Errors
/// [`Error::RuleUnknown`], [`Error::ProjectGone`].
pub async fn delete(
    db: &Db,
    permit: &ProjectPermit<on::ImmutableTag, to::Delete>,
    id: ImmutableRuleId,
    now: Timestamp,
) -> Result<()> {
    let (project, origin) = (permit.project().id, permit.caller().origin());
    db.write_alone_in(project, move |tx| {
        Box::pin(async move {
            let gone = immutable_rule::get(tx, project, id).await?;
            let gone = gone.ok_or(Error::RuleUnknown(id))?;
            immutable_rule::delete(tx, id).await?;
            let event = event(now, origin, Operation::Delete, (project, id));
            Ok(tx.record(&event.with_detail(gone.selectors)).await?)
        })
    })
    .await
}

/// The form in which a rule is stored, and compared with others.
fn text(rule: &ImmutableRule) -> String {
    // Only texts, which can always be serialized.
    serde_json::to_string(rule).unwrap_or_default()
}

fn exists(error: db::Error) -> Error {
    match error {
        db::Error::Duplicate(_) => Error::RuleExists,
        other => other.into(),
    }
}

fn event(
    now: Timestamp,
    origin: Origin,
    operation: Operation,
    (project, id): (ProjectId, ImmutableRuleId),
) -> Event {
    let subject = Subject::Owned {
        project,
        kind: ResourceType::ImmutableTag,
        name: id.to_string(),
    };
    Event::new(now, origin, operation, subject)
}
