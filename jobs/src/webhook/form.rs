//! The forms of requests: Harbor's own, CloudEvents, and Slack's.

use model::{ProjectId, WebhookEvent, WebhookFormat, WebhookKind, WebhookPolicyId};
use serde_json::{Value, json};

use super::event::Happened;

/// Slack takes at most 3,000 characters in a section.
const LONGEST_SECTION: usize = 2_800;

/// What an event is sent as.
pub(super) fn body(
    happened: &Happened,
    (project, policy): (ProjectId, WebhookPolicyId),
    (kind, format): (WebhookKind, WebhookFormat),
) -> String {
    match (kind, format) {
        (WebhookKind::Slack, _) => slack(happened),
        (WebhookKind::Http, WebhookFormat::Default) => default(happened),
        (WebhookKind::Http, WebhookFormat::CloudEvents) => cloud(happened, project, policy),
    }
    .to_string()
}

/// The media type of a body.
pub(super) const fn media_type(kind: WebhookKind, format: WebhookFormat) -> &'static str {
    match (kind, format) {
        (WebhookKind::Http, WebhookFormat::CloudEvents) => "application/cloudevents+json",
        _ => "application/json",
    }
}

fn default(happened: &Happened) -> Value {
    json!({
        "type": happened.event.name(),
        "occur_at": happened.at.seconds(),
        "operator": happened.operator,
        "event_data": happened.data,
    })
}

fn cloud(happened: &Happened, project: ProjectId, policy: WebhookPolicyId) -> Value {
    let id = uuid(auth::random());
    json!({
        "specversion": "1.0",
        "id": id,
        "requestid": id,
        "source": format!("/projects/{project}/webhook/policies/{policy}"),
        "type": happened.event.cloud_name(),
        "datacontenttype": "application/json",
        "time": happened.at.to_string(),
        "operator": happened.operator,
        "data": happened.data,
    })
}

/// A UUID of version 4 from random bytes (RFC 9562, section 5.4).
fn uuid(mut random: [u8; 16]) -> String {
    random[6] = random[6] & 0x0f | 0x40;
    random[8] = random[8] & 0x3f | 0x80;
    let text = hex::encode(random);
    let parts = [
        &text[..8],
        &text[8..12],
        &text[12..16],
        &text[16..20],
        &text[20..],
    ];
    parts.join("-")
}

fn slack(happened: &Happened) -> Value {
    let section =
        |text: String| json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } });
    let seconds = happened.at.seconds();
    let time = format!(
        "*occur_at:* <!date^{seconds}^{{date}} at {{time}}|{}>",
        happened.at
    );
    let data = serde_json::to_string_pretty(&happened.data).unwrap_or_default();
    let data = escaped(&data);
    let data = &data[..data.floor_char_boundary(LONGEST_SECTION)];
    json!({ "blocks": [
        { "type": "header", "text": { "type": "plain_text", "text": title(happened.event), "emoji": true } },
        section(format!("*event_type:* {}", happened.event.name())),
        section(time),
        section(format!("*operator:* {}", escaped(&happened.operator))),
        section(format!("*event_data:*\n```{data}```")),
    ] })
}

/// Names come from users: none of them becomes a link or calls everyone.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('`', "'")
}

const fn title(event: WebhookEvent) -> &'static str {
    match event {
        WebhookEvent::PushArtifact => "Artifact pushed",
        WebhookEvent::PullArtifact => "Artifact pulled",
        WebhookEvent::DeleteArtifact => "Artifact deleted",
        WebhookEvent::QuotaExceed => "Quota exceeded",
        WebhookEvent::QuotaWarning => "Quota nearly used up",
        WebhookEvent::Replication => "Replication",
        WebhookEvent::TagRetention => "Tag retention",
        WebhookEvent::ScanningCompleted
        | WebhookEvent::ScanningFailed
        | WebhookEvent::ScanningStopped => "Scan",
    }
}

#[cfg(test)]
mod tests {
    use model::Timestamp;

    use super::*;

    fn happened(operator: &str) -> Happened {
        Happened {
            event: WebhookEvent::PushArtifact,
            at: Timestamp(1_000_000),
            operator: operator.to_owned(),
            principal: None,
            subject: "team/app".to_owned(),
            is_untagged: false,
            times: 1,
            data: json!({ "repository": { "name": "app" } }),
        }
    }

    fn sent(kind: WebhookKind, format: WebhookFormat) -> Value {
        let of = (ProjectId(2), WebhookPolicyId(3));
        serde_json::from_str(&body(&happened("<!channel>"), of, (kind, format))).unwrap()
    }

    #[test]
    fn harbors_form_and_cloud_events_have_the_same_data() {
        let own = sent(WebhookKind::Http, WebhookFormat::Default);
        let expected = json!({
            "type": "PUSH_ARTIFACT", "occur_at": 1, "operator": "<!channel>",
            "event_data": { "repository": { "name": "app" } },
        });
        assert_eq!(own, expected);
        let cloud = sent(WebhookKind::Http, WebhookFormat::CloudEvents);
        assert_eq!(cloud["data"], own["event_data"]);
        assert_eq!(cloud["source"], "/projects/2/webhook/policies/3");
        assert_eq!(cloud["type"], "harbor.artifact.pushed");
        assert_eq!(cloud["time"], "1970-01-01T00:00:01.000Z");
        assert_eq!(cloud["id"].as_str().unwrap().len(), 36);
    }

    #[test]
    fn nobody_calls_everyone_in_slack() {
        let message = sent(WebhookKind::Slack, WebhookFormat::Default).to_string();
        assert!(message.contains("&lt;!channel&gt;"), "{message}");
        assert!(!message.contains("<!channel>"));
    }

    #[test]
    fn a_long_event_fits_into_a_section() {
        let mut long = happened("ann");
        long.data["x"] = "é".repeat(5_000).into();
        let message = slack(&long);
        let text = message["blocks"][4]["text"]["text"].as_str().unwrap();
        assert!(text.chars().count() < 3_000);
    }

    #[test]
    fn a_uuid_says_its_version() {
        assert_eq!(uuid([0xff; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(uuid([0; 16]), "00000000-0000-4000-8000-000000000000");
    }
}
