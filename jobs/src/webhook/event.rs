//! What happened, as policies send it: Harbor's data of events.

use db::webhook::follow::{Entry, Whole};
use model::event::tags_of;
use model::{Digest, PrincipalId, ProjectName, RepositoryName, Tag, Timestamp, WebhookEvent};
use serde_json::{Map, Value, json};

/// Something that policies may send.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Happened {
    pub(super) event: WebhookEvent,
    pub(super) at: Timestamp,
    pub(super) operator: String,
    /// Who that is, among principals.
    pub(super) principal: Option<PrincipalId>,
    /// What is sent one after the other: the repository, or else the project.
    pub(super) subject: String,
    /// Whether an artifact was pushed that has no tag.
    pub(super) is_untagged: bool,
    /// How often it happened.
    pub(super) times: i64,
    pub(super) data: Value,
}

/// The project of an event.
#[derive(Clone, Debug)]
pub(super) struct InProject<'a> {
    pub(super) name: &'a ProjectName,
    pub(super) public: bool,
}

/// The artifact of an event.
#[derive(Clone, Debug, Default)]
pub(super) struct Artifact {
    pub(super) tag: Option<Tag>,
    pub(super) digest: Option<Digest>,
    pub(super) whole: Option<Whole>,
}

/// The type of event that an entry is, if any.
pub(super) fn event_of(entry: &Entry) -> Option<WebhookEvent> {
    match (&*entry.operation, &*entry.resource_type) {
        ("create", "artifact") | ("create" | "update", "tag") => Some(WebhookEvent::PushArtifact),
        ("pull", "artifact") => Some(WebhookEvent::PullArtifact),
        ("delete", "artifact" | "repository") => Some(WebhookEvent::DeleteArtifact),
        ("push", "repository") if quota_of(entry).is_some() => Some(WebhookEvent::QuotaExceed),
        _ => None,
    }
}

/// Why a push was refused by a quota.
fn quota_of(entry: &Entry) -> Option<&str> {
    entry.detail.strip_prefix(model::event::BY_QUOTA)
}

/// The first tag that a deleted artifact had.
pub(super) fn deleted_tag(entry: &Entry) -> Option<Tag> {
    tags_of(&entry.detail).into_iter().next()
}

/// What happened to an artifact or a repository. `made` is when the repository was, if it is there.
pub(super) fn of_artifact(
    (entry, event): (&Entry, WebhookEvent),
    repository: &RepositoryName,
    (project, host): (&InProject<'_>, &str),
    (artifact, made): (&Artifact, Option<Timestamp>),
) -> Happened {
    let mut data = Map::new();
    if let Some(resource) = resource(repository, host, artifact) {
        data.insert("resources".to_owned(), json!([resource]));
    }
    data.insert("repository".to_owned(), in_form(repository, project, made));
    let mut attributes = Map::new();
    if entry.times > 1 {
        attributes.insert("times".to_owned(), entry.times.to_string().into());
    }
    if entry.resource_type == "repository" {
        let gone = "the repository was deleted with all its artifacts";
        attributes.insert("Details".to_owned(), gone.into());
    }
    if !attributes.is_empty() {
        data.insert("custom_attributes".to_owned(), attributes.into());
    }
    Happened {
        event,
        at: entry.at,
        operator: entry.operator.clone(),
        principal: entry.principal,
        subject: repository.to_string(),
        is_untagged: event == WebhookEvent::PushArtifact && artifact.tag.is_none(),
        times: entry.times,
        data: data.into(),
    }
}

/// The artifact of an event in Harbor's form; `tag` is the digest where there is none.
fn resource(repository: &RepositoryName, host: &str, artifact: &Artifact) -> Option<Value> {
    let named = match (&artifact.tag, &artifact.digest) {
        (Some(tag), _) => (tag.to_string(), format!("{host}/{repository}:{tag}")),
        (None, Some(digest)) => (digest.to_string(), format!("{host}/{repository}@{digest}")),
        (None, None) => return None,
    };
    let mut shown = Map::new();
    if let Some(digest) = &artifact.digest {
        shown.insert("digest".to_owned(), digest.to_string().into());
    }
    shown.insert("tag".to_owned(), named.0.into());
    shown.insert("resource_url".to_owned(), named.1.into());
    match &artifact.whole {
        Some(Whole::Index(index)) => {
            shown.insert("index".to_owned(), index.to_string().into());
        }
        Some(Whole::Subject(subject)) => {
            shown.insert("subject".to_owned(), subject.to_string().into());
        }
        None => {}
    }
    Some(shown.into())
}

fn in_form(repository: &RepositoryName, project: &InProject<'_>, made: Option<Timestamp>) -> Value {
    let whole = repository.as_str();
    let namespace = project.name.as_str();
    let name = whole
        .strip_prefix(namespace)
        .map_or(whole, |rest| rest.trim_start_matches('/'));
    let kind = if project.public { "public" } else { "private" };
    let mut shown = json!({
        "name": name, "namespace": namespace, "repo_full_name": whole, "repo_type": kind,
    });
    if let Some(made) = made {
        shown["date_created"] = made.seconds().into();
    }
    shown
}

/// A push was refused, as the project would have exceeded its quota.
pub(super) fn of_refusal(
    entry: &Entry,
    repository: &RepositoryName,
    project: &InProject<'_>,
) -> Happened {
    let why = quota_of(entry).unwrap_or_default();
    Happened {
        event: WebhookEvent::QuotaExceed,
        at: entry.at,
        operator: entry.operator.clone(),
        principal: entry.principal,
        subject: project.name.to_string(),
        is_untagged: false,
        times: entry.times,
        data: json!({
            "repository": in_form(repository, project, None),
            "custom_attributes": { "Details": why },
        }),
    }
}

/// A push left the project nearly full.
pub(super) fn of_warning(
    entry: &Entry,
    repository: &RepositoryName,
    project: &InProject<'_>,
    (used, limit): (i64, i64),
) -> Happened {
    let percent = i128::from(used) * 100 / i128::from(limit.max(1));
    let why = format!("the project holds {used} of {limit} bytes, {percent} % of its quota");
    Happened {
        event: WebhookEvent::QuotaWarning,
        at: entry.at,
        operator: entry.operator.clone(),
        principal: entry.principal,
        subject: project.name.to_string(),
        is_untagged: false,
        times: 1,
        data: json!({
            "repository": in_form(repository, project, None),
            "custom_attributes": { "Details": why },
        }),
    }
}

/// The same event, which says how many others like it were not sent.
pub(super) fn with_held_back(mut happened: Happened, held_back: i64) -> Happened {
    let all = held_back + happened.times;
    if all > 1 {
        happened.data["custom_attributes"]["times"] = all.to_string().into();
    }
    happened
}

#[cfg(test)]
mod tests {
    use model::Algorithm;

    use super::*;

    fn entry(operation: &str, resource_type: &str, detail: &str) -> Entry {
        Entry {
            id: 1,
            at: Timestamp(7_000_000),
            operator: "ann".to_owned(),
            principal: None,
            operation: operation.to_owned(),
            resource_type: resource_type.to_owned(),
            project: model::ProjectId(1),
            repository: "team/deep/app".parse().ok(),
            tag: None,
            digest: None,
            times: 1,
            detail: detail.to_owned(),
        }
    }

    #[test]
    fn entries_are_events_or_none() {
        let of = |operation, kind, detail| event_of(&entry(operation, kind, detail));
        assert_eq!(
            of("create", "artifact", ""),
            Some(WebhookEvent::PushArtifact)
        );
        assert_eq!(of("create", "tag", ""), Some(WebhookEvent::PushArtifact));
        assert_eq!(of("delete", "tag", ""), None);
        assert_eq!(of("update", "repository", ""), None);
        assert_eq!(
            of("delete", "repository", ""),
            Some(WebhookEvent::DeleteArtifact)
        );
        assert_eq!(of("push", "repository", "not permitted"), None);
        assert_eq!(
            of("push", "repository", "quota: too much"),
            Some(WebhookEvent::QuotaExceed)
        );
    }

    #[test]
    fn an_artifact_is_told_of_as_harbor_tells_of_it() {
        let digest = Digest::of(Algorithm::Sha256, b"");
        let (repository, project) = ("team/deep/app".parse().unwrap(), "team".parse().unwrap());
        let at = (
            &InProject {
                name: &project,
                public: true,
            },
            "registry.example",
        );
        let artifact = Artifact {
            tag: Some("v1".parse().unwrap()),
            digest: Some(digest),
            whole: None,
        };
        let pushed = entry("create", "artifact", "");
        let push = (&pushed, WebhookEvent::PushArtifact);
        let happened = of_artifact(
            push,
            &repository,
            at,
            (&artifact, Some(Timestamp(3_000_000))),
        );
        let expected = json!({
            "resources": [{
                "digest": digest.to_string(), "tag": "v1", "resource_url": "registry.example/team/deep/app:v1",
            }],
            "repository": {
                "date_created": 3, "name": "deep/app", "namespace": "team", "repo_full_name": "team/deep/app",
                "repo_type": "public",
            },
        });
        assert_eq!(happened.data, expected);
        assert!(!happened.is_untagged);
        let untagged = Artifact {
            tag: None,
            ..artifact
        };
        let happened = of_artifact(push, &repository, at, (&untagged, None));
        assert_eq!(happened.data["resources"][0]["tag"], digest.to_string());
        assert!(happened.is_untagged);
    }

    #[test]
    fn refusals_are_counted() {
        let (repository, project) = ("team/app".parse().unwrap(), "team".parse().unwrap());
        let at = InProject {
            name: &project,
            public: false,
        };
        let refused = entry("push", "repository", "quota: too much");
        let happened = of_refusal(&refused, &repository, &at);
        assert_eq!(
            happened.data["custom_attributes"],
            json!({ "Details": "too much" })
        );
        let counted = with_held_back(happened, 13);
        assert_eq!(counted.data["custom_attributes"]["times"], "14");
    }
}
