//! The form of registry notifications, which is distribution's: a JSON object with a list of events.

use db::audit::registry_event::RegistryEvent;
use db::blob_event::BlobEvent;
use model::notification::Action;
use model::{Algorithm, Digest, Timestamp};
use serde::Serialize;
use time::format_description::well_known::Rfc3339;

/// The media type of an envelope.
pub(super) const MEDIA_TYPE: &str = "application/vnd.docker.distribution.events.v2+json";
/// The media type of blobs.
const OCTETS: &str = "application/octet-stream";
/// The name of callers who did not sign in.
const ANONYMOUS: &str = "anonymous";

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Happening {
    /// Its place in the log.
    pub(super) id: i64,
    at: Timestamp,
    pub(super) action: Action,
    /// Empty where it is unknown, or there is none.
    pub(super) media_type: String,
    digest: Option<Digest>,
    size: i64,
    repository: String,
    source: Option<String>,
    tag: Option<String>,
    is_blob: bool,
    principal: String,
    address: String,
}

impl Happening {
    /// What an entry of the log tells; `None` if that is nothing to endpoints.
    pub(super) fn of_entry(entry: RegistryEvent) -> Option<Self> {
        let action = match &*entry.operation {
            "create" => Action::Push,
            "pull" => Action::Pull,
            "delete" => Action::Delete,
            _ => return None,
        };
        let is_delete = action == Action::Delete;
        // What is removed has neither in distribution's events.
        let media_type = entry.media_type.filter(|_| !is_delete);
        let size = entry.size.filter(|_| !is_delete);
        Some(Self {
            id: entry.id,
            at: entry.at,
            action,
            media_type: media_type.unwrap_or_default(),
            digest: entry.digest.or(entry.tagged),
            size: size.unwrap_or_default(),
            repository: entry.repository?.to_string(),
            source: None,
            tag: entry.tag.map(|tag| tag.to_string()),
            is_blob: entry.resource_type == "blob",
            principal: entry.principal_name,
            address: entry.address,
        })
    }

    pub(super) fn of_blob(blob: BlobEvent) -> Self {
        Self {
            id: blob.id,
            at: blob.at,
            action: match blob.source {
                Some(_) => Action::Mount,
                None => Action::Push,
            },
            media_type: OCTETS.to_owned(),
            digest: Some(blob.digest),
            size: blob.size,
            repository: blob.repository.to_string(),
            source: blob.source.map(|source| source.to_string()),
            tag: None,
            is_blob: true,
            principal: blob.principal_name,
            address: blob.address,
        }
    }

    /// The method of requests that do this.
    const fn method(&self) -> &'static str {
        match self.action {
            Action::Pull => "GET",
            Action::Push => "PUT",
            Action::Mount => "POST",
            Action::Delete => "DELETE",
        }
    }
}

/// Who sends events.
pub(super) struct Source {
    host: String,
    installation: String,
    instance_id: String,
}

impl Source {
    /// `installation` is an id that no other one has.
    pub(super) fn new(host: String, installation: &str) -> Self {
        Self {
            host,
            instance_id: uuid(installation),
            installation: installation.to_owned(),
        }
    }

    /// Events as JSON.
    pub(super) fn envelope(&self, events: &[Happening]) -> Vec<u8> {
        let events = events.iter().map(|event| self.shown(event)).collect();
        serde_json::to_vec(&Envelope { events }).unwrap_or_default()
    }

    fn shown<'a>(&'a self, event: &'a Happening) -> Shown<'a> {
        let id = self.id(event);
        let is_read_or_written = event.action != Action::Delete;
        let url = event.digest.filter(|_| is_read_or_written).map(|digest| {
            let kind = if event.is_blob { "blobs" } else { "manifests" };
            let (host, repository) = (&self.host, &event.repository);
            format!("https://{host}/v2/{repository}/{kind}/{digest}")
        });
        Shown {
            // The form has only what every time has.
            timestamp: event.at.date_time().format(&Rfc3339).unwrap_or_default(),
            action: event.action.name(),
            target: Target {
                media_type: &event.media_type,
                digest: event
                    .digest
                    .map(|digest| digest.to_string())
                    .unwrap_or_default(),
                size: event.size,
                length: (event.size != 0).then_some(event.size),
                repository: &event.repository,
                from_repository: event.source.as_deref(),
                url,
                tag: event.tag.as_deref(),
            },
            request: Asked {
                id: id.clone(),
                addr: &event.address,
                host: &self.host,
                method: event.method(),
                useragent: "",
            },
            actor: Actor {
                name: Some(&*event.principal).filter(|name| *name != ANONYMOUS),
            },
            source: Sent {
                addr: &self.host,
                instance_id: &self.instance_id,
            },
            id,
        }
    }

    /// The event's id: the same whenever it is sent, so that receivers know what they have.
    fn id(&self, event: &Happening) -> String {
        uuid(&format!("{} {}", self.installation, event.id))
    }
}

/// A UUID of version 8 (RFC 9562) by the hash of a text.
fn uuid(text: &str) -> String {
    let hash = Digest::of(Algorithm::Sha256, text.as_bytes());
    let hex = hex::encode(hash.to_bytes());
    format!(
        "{}-{}-8{}-8{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..15],
        &hex[15..18],
        &hex[18..30]
    )
}

#[derive(Serialize)]
struct Envelope<'a> {
    events: Vec<Shown<'a>>,
}

#[derive(Serialize)]
struct Shown<'a> {
    id: String,
    timestamp: String,
    action: &'static str,
    target: Target<'a>,
    request: Asked<'a>,
    actor: Actor<'a>,
    source: Sent<'a>,
}

#[derive(Serialize)]
struct Target<'a> {
    #[serde(rename = "mediaType")]
    media_type: &'a str,
    digest: String,
    size: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<i64>,
    repository: &'a str,
    #[serde(rename = "fromRepository", skip_serializing_if = "Option::is_none")]
    from_repository: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<&'a str>,
}

#[derive(Serialize)]
struct Asked<'a> {
    id: String,
    addr: &'a str,
    host: &'a str,
    method: &'static str,
    useragent: &'a str,
}

#[derive(Serialize)]
struct Actor<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

#[derive(Serialize)]
struct Sent<'a> {
    addr: &'a str,
    #[serde(rename = "instanceID")]
    instance_id: &'a str,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn blob(source: Option<&str>) -> Happening {
        Happening::of_blob(BlobEvent {
            id: 7,
            at: Timestamp(1_767_323_045_678_901),
            principal_name: "ann".to_owned(),
            address: "10.0.0.1".to_owned(),
            repository: "team/b".parse().unwrap(),
            digest: Digest::of(Algorithm::Sha256, b"x"),
            size: 1,
            source: source.map(|source| source.parse().unwrap()),
        })
    }

    fn sent(event: Happening) -> Value {
        let source = Source::new("r.example:8443".to_owned(), "one");
        let envelope: Value = serde_json::from_slice(&source.envelope(&[event])).unwrap();
        envelope["events"][0].clone()
    }

    #[test]
    fn a_mounted_blob_names_where_it_came_from() {
        let digest = Digest::of(Algorithm::Sha256, b"x").to_string();
        let event = sent(blob(Some("team/a")));
        assert_eq!(event["action"], "mount");
        let url = format!("https://r.example:8443/v2/team/b/blobs/{digest}");
        let target = json!({
            "mediaType": OCTETS, "digest": digest, "size": 1, "length": 1, "repository": "team/b",
            "fromRepository": "team/a", "url": url,
        });
        assert_eq!(event["target"], target);
        assert_eq!(event["actor"], json!({ "name": "ann" }));
        assert_eq!(event["timestamp"], "2026-01-02T03:04:05.678901Z");
        assert_eq!(sent(blob(None))["action"], "push");
    }

    #[test]
    fn an_event_keeps_its_id_and_another_has_another() {
        let first = sent(blob(None))["id"].clone();
        assert_eq!(first, sent(blob(None))["id"]);
        let other = Happening {
            id: 8,
            ..blob(None)
        };
        assert_ne!(first, sent(other)["id"]);
        let parts: Vec<usize> = first.as_str().unwrap().split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12]);
    }

    #[test]
    fn a_tag_that_is_removed_has_no_digest_and_nobody_no_name() {
        let entry = RegistryEvent {
            id: 1,
            at: Timestamp(0),
            principal_name: ANONYMOUS.to_owned(),
            address: String::new(),
            operation: "delete".to_owned(),
            resource_type: "tag".to_owned(),
            repository: Some("team/a".parse().unwrap()),
            tag: Some("v1".parse().unwrap()),
            digest: None,
            tagged: None,
            media_type: None,
            size: None,
        };
        let event = sent(Happening::of_entry(entry).unwrap());
        let target = json!({ "mediaType": "", "digest": "", "size": 0, "repository": "team/a", "tag": "v1" });
        assert_eq!(event["target"], target);
        assert_eq!(
            (&event["actor"], &event["action"]),
            (&json!({}), &json!("delete"))
        );
    }
}
