//! Trying a policy out: a sample is sent to its targets at once, and what came of it is said.

use db::webhook::delivery;
use db::webhook::policy::Policy;
use db::webhook::target::{self as targets, Found, Target};
use futures_util::future;
use model::{ProjectName, Timestamp, WebhookEvent, WebhookTargetId};
use serde_json::json;

use super::event::Happened;
use super::form::body;
use super::receiver::{Answer, Message, Taken};
use super::works::Webhooks;
use crate::Result;

/// What came of trying a target out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// The target.
    pub target: WebhookTargetId,
    /// Its address.
    pub address: String,
    /// The status of its answer.
    pub status: Option<u16>,
    /// How long it took to answer.
    pub duration_ms: Option<u64>,
    /// Why it did not take the sample.
    pub error: Option<String>,
}

/// Sends a sample of an event to the targets of a policy. One that answers is not given up any more.
///
/// # Errors
/// When the database fails.
pub async fn try_out(
    works: &Webhooks,
    (policy, project): (&Policy, &ProjectName),
    event: WebhookEvent,
    operator: &str,
) -> Result<Vec<Tried>> {
    // It is never closed.
    let _turn = works.trying.acquire().await.ok();
    let now = works.db.now(&*works.clock).await?;
    let sample = sample((event, project), operator, &works.host(), now);
    let present = targets::of_policy(&mut works.db.reader().await?, policy.id).await?;
    let sample = &sample;
    let tried = present.iter().map(|target| async move {
        let payload = body(
            sample,
            (policy.project, policy.id),
            (target.kind, target.format),
        );
        let message = Message {
            event: event.name(),
            delivery: "test",
            body: &payload,
        };
        (target, works.send(target, &message).await)
    });
    let mut results = Vec::new();
    for (target, answer) in future::join_all(tried).await {
        note(works, target, &answer).await?;
        results.push(Tried {
            target: target.id,
            address: target.address.to_string(),
            status: answer.status(),
            duration_ms: answer.took.map(|took| took.as_millis() as u64),
            error: answer.error().map(str::to_owned),
        });
    }
    Ok(results)
}

/// An answer shows that a target works; that it does not is left to what waits for it.
async fn note(works: &Webhooks, target: &Target, answer: &Answer) -> Result<()> {
    let Taken::Yes(status) = answer.result else {
        return Ok(());
    };
    let now = works.db.now(&*works.clock).await?;
    let target = target.clone();
    let noted = works.db.write(move |tx| {
        Box::pin(async move {
            let found = Found::Answered(i64::from(status), None);
            match targets::found(tx, &target, (&found, Timestamp::default()), now).await? {
                true => delivery::hurry(tx, target.id, now).await,
                false => Ok(()),
            }
        })
    });
    Ok(noted.await?)
}

/// An event that did not happen.
fn sample(
    (event, project): (WebhookEvent, &ProjectName),
    operator: &str,
    host: &str,
    now: Timestamp,
) -> Happened {
    let digest = format!("sha256:{}", "0".repeat(64));
    let resource = json!({
        "digest": digest, "tag": "test", "resource_url": format!("{host}/{project}/test:test"),
    });
    Happened {
        event,
        at: now,
        operator: operator.to_owned(),
        principal: None,
        subject: format!("{project}/test"),
        is_untagged: false,
        times: 1,
        data: json!({
            "resources": [resource],
            "repository": {
                "date_created": now.seconds(), "name": "test", "namespace": project.as_str(),
                "repo_full_name": format!("{project}/test"), "repo_type": "private",
            },
            "custom_attributes": { "Details": "a test: this did not happen" },
        }),
    }
}
