//! Rules in the API.

use std::collections::BTreeMap;

use model::RetentionRule;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::immutable_rule::{SelectorView, all};

/// A rule: which artifacts are kept.
#[derive(Default, Deserialize, Serialize, ToSchema)]
#[serde(default)]
#[schema(as = RetentionRule)]
pub(super) struct RuleView {
    #[serde(skip_serializing_if = "String::is_empty")]
    action: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    disabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<BTreeMap<String, Object>>)]
    params: Option<BTreeMap<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<i64>,
    scope_selectors: Option<BTreeMap<String, Vec<SelectorView>>>,
    tag_selectors: Option<Vec<SelectorView>>,
    #[serde(skip_serializing_if = "String::is_empty")]
    template: String,
}

impl From<RuleView> for RetentionRule {
    fn from(view: RuleView) -> Self {
        let scopes = view.scope_selectors.unwrap_or_default().into_iter();
        Self {
            id: view.id.unwrap_or_default(),
            priority: view.priority.unwrap_or_default(),
            disabled: view.disabled,
            action: view.action,
            template: view.template,
            params: view.params.unwrap_or_default(),
            tag_selectors: view.tag_selectors.map(all).unwrap_or_default(),
            scope_selectors: scopes.map(|(key, list)| (key, all(list))).collect(),
        }
    }
}

impl From<RetentionRule> for RuleView {
    fn from(rule: RetentionRule) -> Self {
        let set = |number: i64| (number != 0).then_some(number);
        let scopes = rule.scope_selectors.into_iter();
        Self {
            action: rule.action,
            disabled: rule.disabled,
            id: set(rule.id),
            params: (!rule.params.is_empty()).then_some(rule.params),
            priority: set(rule.priority),
            scope_selectors: Some(scopes.map(|(key, list)| (key, all(list))).collect()),
            tag_selectors: Some(all(rule.tag_selectors)),
            template: rule.template,
        }
    }
}
