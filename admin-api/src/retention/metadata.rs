//! What rules may say, for user interfaces.

use axum::Json;
use model::retention::template::{ALWAYS, NEWEST, WITHIN};
use policy::SignedIn;
use serde::Serialize;
use utoipa::ToSchema;

use crate::allowed::Granted;
use crate::error::Rendered;

/// What rules may say.
#[derive(Serialize, ToSchema)]
#[schema(as = RetentionMetadata)]
pub(crate) struct Metadata {
    scope_selectors: Vec<SelectorMetadata>,
    tag_selectors: Vec<SelectorMetadata>,
    templates: Vec<TemplateMetadata>,
}

/// A kind of selectors.
#[derive(Serialize, ToSchema)]
#[schema(as = RetentionSelectorMetadata)]
struct SelectorMetadata {
    decorations: [&'static str; 2],
    display_text: &'static str,
    kind: &'static str,
}

/// A template.
#[derive(Serialize, ToSchema)]
#[schema(as = RetentionRuleMetadata)]
struct TemplateMetadata {
    action: &'static str,
    display_text: &'static str,
    params: Vec<ParamMetadata>,
    rule_template: &'static str,
}

/// A template's number.
#[derive(Serialize, ToSchema)]
#[schema(as = RetentionRuleParamMetadata)]
struct ParamMetadata {
    required: bool,
    #[serde(rename = "type")]
    kind: &'static str,
    unit: &'static str,
}

impl TemplateMetadata {
    fn new(name: &'static str, display_text: &'static str, unit: Option<&'static str>) -> Self {
        let param = |unit| ParamMetadata {
            required: true,
            kind: "int",
            unit,
        };
        Self {
            action: "retain",
            display_text,
            params: unit.map(param).into_iter().collect(),
            rule_template: name,
        }
    }
}

/// Returns the templates and selectors that rules of retention have.
#[utoipa::path(
    get, path = "/api/v2.0/retentions/metadatas", operation_id = "getRentenitionMetadata", tag = "retention",
    responses((status = 200, description = "Templates and selectors.", body = Metadata))
)]
pub(crate) async fn get(_: Granted<SignedIn>) -> Rendered<Metadata> {
    let selector = |display_text, decorations| SelectorMetadata {
        decorations,
        display_text,
        kind: "doublestar",
    };
    let ([(pushed, _), (pulled, _), _], [(since_push, _), (since_pull, _), _]) = (NEWEST, WITHIN);
    let template = TemplateMetadata::new;
    Ok(Json(Metadata {
        scope_selectors: vec![selector("Repositories", ["repoMatches", "repoExcludes"])],
        tag_selectors: vec![selector("Tags", ["matches", "excludes"])],
        templates: vec![
            template(
                pushed,
                "the most recently pushed # artifacts",
                Some("COUNT"),
            ),
            template(
                pulled,
                "the most recently pulled # artifacts",
                Some("COUNT"),
            ),
            template(since_push, "pushed within the last # days", Some("DAYS")),
            template(since_pull, "pulled within the last # days", Some("DAYS")),
            template(ALWAYS, "always", None),
        ],
    }))
}
