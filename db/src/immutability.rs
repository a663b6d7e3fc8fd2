//! Which tags are immutable: the rules of a project, compiled. They are asked in the transaction that sets a tag or takes
//! it away, so that replicas agree; a rule is changed while nobody writes into its project.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use model::immutable_rule::CompiledRule;
use model::{ImmutableRule, ProjectId, RepositoryName, Tag};
use moka::sync::Cache;

use crate::error::{Error, Result};
use crate::immutable_rule;
use crate::sql::{Reader, Row, json_list};

/// Rules that stay compiled.
const COMPILED: u64 = 10_000;
/// Tags of manifests that are looked at together before these go with their subject.
const TAGS: usize = 10_000;

/// By what they say: a rule that is changed is another one.
static RULES: LazyLock<Cache<String, Arc<CompiledRule>>> =
    LazyLock::new(|| Cache::builder().max_capacity(COMPILED).build());

/// The rules of a project that have an effect. Equal ones cover the same tags.
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

    /// Those of some manifests that have an immutable tag: they stay where others go with their subject. Where there are
    /// more tags than can be looked at, whatever was not looked at stays too.
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
            // One that cannot be understood is covered by nothing.
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
