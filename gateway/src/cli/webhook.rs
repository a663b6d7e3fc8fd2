//! `gantry webhook`: policies by which events of a project are sent to other servers, and what was sent.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use db::execution::task_log;
use db::list::{Page, Selection, Test};
use db::webhook::delivery::{self as deliveries, Shown};
use db::webhook::policy::{self as policies, Content, Policy};
use db::webhook::target::{self as targets, Target};
use jobs::webhook::{Webhooks, try_out};
use model::{
    Clock, ExecutionId, ProjectName, SystemClock, WebhookAddress, WebhookDelivery, WebhookEvent,
    WebhookFormat, WebhookKind, WebhookRequest,
};
use serde_json::{Value, json};
use tenancy::secret::Secret;
use tenancy::webhook::{self as service, NewPolicy, NewSecret, NewTarget};

use super::local::Local;
use super::out::{self, line};
use super::project;

/// Environment variables for secrets.
const HEADER: &str = "GANTRY_WEBHOOK_AUTH_HEADER";
const SECRET: &str = "GANTRY_WEBHOOK_SECRET";

#[derive(Subcommand)]
pub(super) enum Command {
    /// List a project's policies, and whether their receivers answer.
    List {
        /// The project's name.
        project: ProjectName,
        /// Print JSON lines.
        #[arg(long)]
        json: bool,
    },
    /// Make a policy, which sends what happens from now on.
    ///
    /// The header `Authorization` comes from GANTRY_WEBHOOK_AUTH_HEADER, and what requests are signed with from
    /// GANTRY_WEBHOOK_SECRET.
    Create {
        /// The project's name.
        project: ProjectName,
        /// The policy's name.
        name: String,
        #[command(flatten)]
        new: New,
    },
    /// Replace what a policy says. Secrets that are not in the environment stay, for the same address.
    Update {
        /// The project's name.
        project: ProjectName,
        /// The policy's name.
        name: String,
        #[command(flatten)]
        new: New,
    },
    /// Switch a policy on; it sends what happens from now on.
    Enable {
        /// The project's name.
        project: ProjectName,
        /// The policy's name.
        name: String,
    },
    /// Switch a policy off.
    Disable {
        /// The project's name.
        project: ProjectName,
        /// The policy's name.
        name: String,
    },
    /// Delete a policy with its history. What waits of it is not sent.
    Delete {
        /// The project's name.
        project: ProjectName,
        /// The policy's name.
        name: String,
    },
    /// Send a sample to a policy's receivers now, and say what came of it.
    Test {
        /// The project's name.
        project: ProjectName,
        /// The policy's name.
        name: String,
        /// The type of event: the policy's first by default.
        #[arg(long, value_name = "TYPE", value_parser = event)]
        event: Option<WebhookEvent>,
    },
    /// List what a project's policies sent and send, the newest first.
    Deliveries {
        /// The project's name.
        project: ProjectName,
        /// Those of one policy alone.
        #[arg(long, value_name = "NAME")]
        policy: Option<String>,
        /// Those in one state alone: Running, Success, Error or Stopped.
        #[arg(long)]
        status: Option<String>,
        /// How many.
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// Print JSON lines.
        #[arg(long)]
        json: bool,
    },
    /// Print a delivery: its request, and the attempts to send it.
    Show {
        /// The project's name.
        project: ProjectName,
        /// The delivery's ID.
        delivery: ExecutionId,
    },
    /// Send something again to the same address, with the same body; a server does it.
    Redeliver {
        /// The project's name.
        project: ProjectName,
        /// The delivery's ID.
        delivery: ExecutionId,
    },
}

/// What a policy says.
#[derive(Args)]
pub(super) struct New {
    /// Where events are sent: https://HOST[:PORT]/PATH.
    #[arg(long)]
    url: WebhookAddress,
    /// The types of events, separated by commas, such as PUSH_ARTIFACT,DELETE_ARTIFACT.
    #[arg(long, value_name = "TYPES", value_delimiter = ',', required = true, value_parser = event)]
    events: Vec<WebhookEvent>,
    /// http, or slack for messages in Slack's form.
    #[arg(long = "type", value_name = "TYPE", default_value = "http", value_parser = kind)]
    kind: WebhookKind,
    /// Default (Harbor's form) or CloudEvents.
    #[arg(long, default_value = "Default", value_parser = format)]
    format: WebhookFormat,
    /// What it is for.
    #[arg(long, default_value = "")]
    description: String,
    /// Believe whoever answers, whatever certificate they have.
    #[arg(long)]
    insecure: bool,
    /// Leave out pushes of artifacts without a tag, such as the parts of an image for several platforms.
    #[arg(long)]
    tagged_only: bool,
    /// Do not send anything yet.
    #[arg(long)]
    disabled: bool,
}

fn event(text: &str) -> Result<WebhookEvent, String> {
    WebhookEvent::from_name(text).ok_or_else(|| {
        let all: Vec<&str> = WebhookEvent::ALL.iter().map(|it| it.name()).collect();
        format!("write one of {}", all.join(", "))
    })
}

fn kind(text: &str) -> Result<WebhookKind, &'static str> {
    WebhookKind::from_name(text).ok_or("write http or slack")
}

fn format(text: &str) -> Result<WebhookFormat, &'static str> {
    WebhookFormat::from_name(text).ok_or("write Default or CloudEvents")
}

impl New {
    fn policy(self, name: String, otherwise: &NewSecret) -> anyhow::Result<NewPolicy> {
        // Not arguments, which every account of the machine could read.
        let given = |variable| match std::env::var(variable) {
            Ok(text) if !text.is_empty() => NewSecret::Set(Secret::new(text)),
            _ => otherwise.clone(),
        };
        let content = targets::Content {
            kind: self.kind,
            address: self.url,
            insecure: self.insecure,
            format: self.format,
        };
        Ok(NewPolicy {
            content: Content {
                name,
                description: self.description,
                events: self.events,
                enabled: !self.disabled,
                untagged: !self.tagged_only,
            },
            targets: vec![NewTarget {
                content,
                auth_header: given(HEADER),
                secret: given(SECRET),
            }],
        })
    }
}

impl Command {
    pub(super) async fn run(self, local: &Local) -> anyhow::Result<ExitCode> {
        match self {
            Self::List { project, json } => list(local, &project, json).await?,
            Self::Create { project, name, new } => {
                let new = new.policy(name.clone(), &NewSecret::Removed)?;
                let (permit, at) = (
                    project::permit(local, &project).await?,
                    (&local.db, &local.master),
                );
                let id = service::create(at, &permit, new, local.now()).await?;
                line(&format!("policy {name} of {project} is made with id {id}"));
            }
            Self::Update { project, name, new } => {
                let id = find(local, &project, &name).await?.id;
                let new = new.policy(name.clone(), &NewSecret::KeptIfAny)?;
                let (permit, at) = (
                    project::permit(local, &project).await?,
                    (&local.db, &local.master),
                );
                service::change(at, &permit, id, new, local.now()).await?;
                line(&format!("policy {name} of {project} is changed"));
            }
            Self::Enable { project, name } => enable(local, (&project, &name), true).await?,
            Self::Disable { project, name } => enable(local, (&project, &name), false).await?,
            Self::Delete { project, name } => {
                let id = find(local, &project, &name).await?.id;
                let permit = project::permit(local, &project).await?;
                service::delete(&local.db, &permit, id, local.now()).await?;
                line(&format!("policy {name} of {project} is deleted"));
            }
            Self::Test {
                project,
                name,
                event,
            } => return test(local, (&project, &name), event).await,
            Self::Deliveries {
                project,
                policy,
                status,
                limit,
                json,
            } => {
                let narrowed = (policy.as_deref(), status, i64::from(limit));
                list_deliveries(local, &project, narrowed, json).await?;
            }
            Self::Show { project, delivery } => show(local, &project, delivery).await?,
            Self::Redeliver { project, delivery } => {
                let permit = project::permit(local, &project).await?;
                let added = service::redeliver(&local.db, &permit, delivery, local.now()).await?;
                line(&format!("delivery {added} waits for a server"));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn find(local: &Local, project: &ProjectName, name: &str) -> anyhow::Result<Policy> {
    let mut reader = local.db.reader().await?;
    let id = project::find(&mut reader, project).await?.id;
    let found = policies::by_name(&mut reader, id, name).await?;
    found.with_context(|| format!("project {project} has no webhook policy {name}"))
}

async fn list(local: &Local, project: &ProjectName, json: bool) -> anyhow::Result<()> {
    let mut reader = local.db.reader().await?;
    let id = project::find(&mut reader, project).await?.id;
    let (found, _) = policies::list(&mut reader, id, &Selection::all()).await?;
    let ids: Vec<_> = found.iter().map(|policy| policy.id).collect();
    let mut of_policies = targets::of_policies(&mut reader, &ids).await?;
    let mut values = Vec::new();
    for policy in &found {
        let targets = of_policies.remove(&policy.id).unwrap_or_default();
        let ids: Vec<_> = targets.iter().map(|target| target.id).collect();
        let waiting = deliveries::waiting(&mut reader, &ids).await?;
        let events: Vec<&str> = policy.events()?.iter().map(|it| it.name()).collect();
        if json {
            let targets: Vec<Value> = targets.iter().map(shown).collect();
            values.push(json!({
                "id": policy.id, "name": policy.name, "enabled": policy.enabled, "event_types": events,
                "untagged": policy.untagged, "targets": targets,
            }));
            continue;
        }
        let state = if policy.enabled {
            "enabled"
        } else {
            "disabled"
        };
        line(&format!(
            "{:>6} {} {state}: {}",
            policy.id,
            policy.name,
            events.join(", ")
        ));
        for target in &targets {
            let waiting = waiting.get(&target.id).copied().unwrap_or_default();
            line(&format!(
                "       {} {}, {waiting} wait",
                target.address,
                state_of(target)
            ));
        }
    }
    if json {
        out::json_lines(&values)?;
    }
    Ok(())
}

fn state_of(target: &Target) -> String {
    let why = target.last_error.as_deref().unwrap_or_default();
    match (target.skipped_at, target.failing_since, target.last_at) {
        (Some(at), ..) => format!("skipped since {at}: {why}"),
        (None, Some(at), _) => format!("does not answer since {at}: {why}"),
        (None, None, Some(at)) => match &target.last_error {
            Some(why) => format!("answered at {at}: {why}"),
            None => format!("answered at {at}"),
        },
        (None, None, None) => "not used yet".to_owned(),
    }
}

/// A target as JSON, without its secrets.
fn shown(target: &Target) -> Value {
    json!({
        "type": target.kind.name(), "address": target.address.as_str(), "payload_format": target.format.name(),
        "skip_cert_verify": target.insecure, "has_auth_header": target.auth_header.is_some(),
        "is_signed": target.secret.is_some(), "last_status": target.last_status, "last_error": target.last_error,
        "failing_since": target.failing_since.map(|at| at.to_string()),
        "skipped_since": target.skipped_at.map(|at| at.to_string()),
    })
}

async fn enable(
    local: &Local,
    (project, name): (&ProjectName, &str),
    enabled: bool,
) -> anyhow::Result<()> {
    let id = find(local, project, name).await?.id;
    let permit = project::permit(local, project).await?;
    service::enable(&local.db, &permit, (id, enabled), local.now()).await?;
    let state = if enabled { "on" } else { "off" };
    line(&format!("policy {name} of {project} is switched {state}"));
    Ok(())
}

/// Connections pass the same guard as the server's.
async fn test(
    local: &Local,
    (project, name): (&ProjectName, &str),
    event: Option<WebhookEvent>,
) -> anyhow::Result<ExitCode> {
    let policy = find(local, project, name).await?;
    let first = policy.events()?.first().copied();
    let event = event.or(first).unwrap_or(WebhookEvent::PushArtifact);
    let permit = project::permit(local, project).await?;
    service::tested(&local.db, &permit, policy.id, local.now()).await?;
    let guard = Arc::new(local.config.outgoing.guard());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let secrets = (local.master.clone(), local.settings().await?);
    let host = local.config.external_host();
    let works = Webhooks::new((local.db.clone(), clock), secrets, &guard, &host)?;
    let mut code = ExitCode::SUCCESS;
    for tried in try_out(&works, (&policy, project), event, "command line").await? {
        let (address, took) = (tried.address, tried.duration_ms.unwrap_or_default());
        match (tried.error, tried.status) {
            (Some(why), _) => {
                code = ExitCode::FAILURE;
                line(&format!("{address}: {why}"));
            }
            (None, status) => {
                let status = status.unwrap_or_default();
                line(&format!(
                    "{address}: taken with status {status} in {took} ms"
                ));
            }
        }
    }
    Ok(code)
}

async fn list_deliveries(
    local: &Local,
    project: &ProjectName,
    (policy, status, limit): (Option<&str>, Option<String>, i64),
    json: bool,
) -> anyhow::Result<()> {
    let policy = match policy {
        Some(name) => Some(find(local, project, name).await?.id),
        None => None,
    };
    let mut reader = local.db.reader().await?;
    let id = project::find(&mut reader, project).await?.id;
    let page = Page {
        offset: 0,
        limit: Some(limit),
    };
    let selection = Selection {
        page,
        ..Selection::all()
    };
    let selection = selection.or(deliveries::STATUS_FIELD, status.map(Test::Is));
    let (found, _) = deliveries::list(&mut reader, (id, policy), &selection).await?;
    if json {
        let values: Vec<Value> = found.iter().map(delivery_json).collect();
        return Ok(out::json_lines(&values)?);
    }
    for one in &found {
        line(&delivery_line(one));
    }
    Ok(())
}

fn attrs(shown: &Shown) -> Option<WebhookDelivery> {
    serde_json::from_str(&shown.attrs).ok()
}

fn delivery_line(shown: &Shown) -> String {
    let (id, at, status) = (shown.id, shown.started_at, shown.status.name());
    let (event, address) = match attrs(shown) {
        Some(attrs) => (attrs.event_type, attrs.address),
        None => Default::default(),
    };
    let why = match shown.message.as_str() {
        "" => String::new(),
        text => format!(": {text}"),
    };
    let attempts = shown.attempts;
    format!(
        "{id:>6} {at} {event} {} to {address} {status} after {attempts}{why}",
        shown.subject
    )
}

fn delivery_json(shown: &Shown) -> Value {
    let attrs = attrs(shown);
    json!({
        "id": shown.id, "policy_id": shown.policy, "status": shown.status.name(), "subject": shown.subject,
        "event_type": attrs.as_ref().map(|it| &it.event_type), "address": attrs.as_ref().map(|it| &it.address),
        "response_status": attrs.as_ref().and_then(|it| it.status), "attempts": shown.attempts, "error": shown.message,
        "start_time": shown.started_at.to_string(), "end_time": shown.ended_at.map(|at| at.to_string()),
    })
}

/// Lines of a log that are shown.
const LINES: i64 = 500;

async fn show(local: &Local, project: &ProjectName, id: ExecutionId) -> anyhow::Result<()> {
    let mut reader = local.db.reader().await?;
    let project = project::find(&mut reader, project).await?.id;
    let found = deliveries::get(&mut reader, project, id).await?;
    let (shown, sent) = found.ok_or(tenancy::Error::DeliveryUnknown(id))?;
    let request: WebhookRequest = serde_json::from_str(&sent)?;
    line(&delivery_line(&shown));
    line(&request.payload);
    let (lines, _) = task_log::page(&mut reader, shown.task, (0, LINES)).await?;
    for one in lines {
        line(&format!("  {} {}", one.at, one.text));
    }
    Ok(())
}
