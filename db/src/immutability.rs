//! Which tags are immutable: the rules of a project, compiled. They are checked in the transaction that sets or removes
//! a tag, so that replicas agree; changing a rule locks out all writers of its project.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use model::immutable_rule::CompiledRule;
use model::{ImmutableRule, ProjectId, RepositoryName, Tag};
use moka::sync::Cache;

use crate::error::{Error, Result};
use crate::immutable_rule;
use crate::sql::{Reader, Row, json_list};

/// Maximum compiled rules to keep.
const COMPILED: u64 = 10_000;
/// Maximum tags to check before manifests are deleted with their subject.
const TAGS: usize = 10_000;

/// By text: a changed rule has another key.
static RULES: LazyLock<Cache<String, Arc<CompiledRule>>> =
    LazyLock::new(|| Cache::builder().max_capacity(COMPILED).build());

/// The enabled rules of a project. Equal values cover the same tags.
#[derive(Clone, Debug)]
pub struct Immutability {
    texts: Vec<String>,
    rules: Vec<Arc<CompiledRule>>,
}

impl PartialEq for Immutability {
    fn eq(&self, other: &Self) -> bool {
        self.texts == other.texts
    }
}

impl Immutability {
    /// Reads them: one statement.
    ///
    /// # Errors
    /// When the statement fails, and for a rule that no version of this program writes.
    pub async fn of(reader: &mut Reader, project: ProjectId) -> Result<Self> {
        let texts = immutable_rule::in_effect(reader, project).await?;
        let rules = texts.iter().map(|text| compiled(text));
        Ok(Self {
            rules: rules.collect::<Result<_>>()?,
            texts,
        })
    }

    /// Whether a tag of a repository is immutable.
    pub fn covers(&self, repository: &RepositoryName, tag: &Tag) -> bool {
        self.rules.iter().any(|rule| rule.covers(repository, tag))
    }

    /// Whether no tag is immutable.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Those of some manifests that have an immutable tag: they stay when others are deleted with their subject. If
    /// there are too many tags to check, unchecked manifests stay too.
    ///
    /// # Errors
    /// When the statement fails.
    pub(crate) async fn kept(
        &self,
        reader: &mut Reader,
        name: &RepositoryName,
        manifests: &[i64],
    ) -> Result<HashSet<i64>> {
        if self.is_empty() || manifests.is_empty() {
            return Ok(HashSet::new());
        }
        let rows = reader
            .query_either(
                "select manifest_id, name from tag where manifest_id in (select value from json_each($1))
                 order by manifest_id, name limit $2",
                "select manifest_id, name from tag
                 where manifest_id = any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint)))
                 order by manifest_id, name limit $2",
            )
            .bind(json_list(manifests))
            .bind(TAGS as i64 + 1)
            .all()
            .await?;
        let manifest = |row: &Row| row.get::<i64>("tag", "manifest_id");
        let seen_before = rows.get(TAGS).map(manifest).transpose()?;
        let is_unseen = |id: &&i64| seen_before.is_some_and(|first| **id >= first);
        let mut kept: HashSet<i64> = manifests.iter().filter(is_unseen).copied().collect();
        for row in &rows {
            // A tag that does not parse is covered by no rule.
            let tag = row.get::<Tag>("tag", "name");
            if tag.is_ok_and(|tag| self.covers(name, &tag)) {
                kept.insert(manifest(row)?);
            }
        }
        Ok(kept)
    }
}

fn compiled(text: &str) -> Result<Arc<CompiledRule>> {
    if let Some(rule) = RULES.get(text) {
        return Ok(rule);
    }
    let corrupt = || Error::Corrupt {
        table: "immutable_rule",
        column: "selectors",
    };
    let rule: ImmutableRule = serde_json::from_str(text).map_err(|_| corrupt())?;
    let rule = Arc::new(rule.compile().map_err(|_| corrupt())?);
    RULES.insert(text.to_owned(), rule.clone());
    Ok(rule)
}
