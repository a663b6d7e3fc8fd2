//! Which tags are immutable: the rules of a project, compiled. They are asked in the transaction that would move or
//! delete a tag, so that replicas agree; a rule is changed while nobody writes into its project.

use std::sync::{Arc, LazyLock};

use db::{Reader, Tx, immutable_rule, tag};
use model::immutable_rule::CompiledRule;
use model::{Digest, ImmutableRule, ManifestId, ProjectId, RepositoryId, RepositoryName, Tag};
use moka::sync::Cache;

use crate::{Error, Result};

/// Rules that stay compiled.
const COMPILED: u64 = 10_000;

/// By what they say: a rule that is changed is another one.
static RULES: LazyLock<Cache<String, Arc<CompiledRule>>> =
    LazyLock::new(|| Cache::builder().max_capacity(COMPILED).build());

/// The rules of a project that have an effect.
#[derive(Clone, Debug, Default)]
pub struct Immutability(Vec<Arc<CompiledRule>>);

impl Immutability {
    /// Reads them: one statement.
    ///
    /// # Errors
    /// When the statement fails, and for a rule that no version of this program writes.
    pub async fn of(reader: &mut Reader, project: ProjectId) -> db::Result<Self> {
        let texts = immutable_rule::in_effect(reader, project).await?;
        let rules = texts.into_iter().map(compiled);
        rules.collect::<db::Result<_>>().map(Self)
    }

    /// Whether a tag of a repository is immutable.
    pub fn covers(&self, repository: &RepositoryName, tag: &Tag) -> bool {
        self.0.iter().any(|rule| rule.covers(repository, tag))
    }

    /// Whether no tag is immutable.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Of tags that are to point at a manifest, those that do not yet. An immutable one that points at another manifest
    /// is refused; while the transaction runs, nobody else sets one of these.
    pub(crate) async fn movable(
        &self,
        tx: &mut Tx,
        (id, name): (RepositoryId, &RepositoryName),
        tags: &[Tag],
        to: &Digest,
    ) -> Result<Vec<Tag>> {
        let (mut covered, mut movable): (Vec<Tag>, Vec<Tag>) =
            tags.iter().cloned().partition(|tag| self.covers(name, tag));
        // In one order, so that transactions wait for each other in that.
        covered.sort_unstable();
        for tag in covered {
            match tag::hold_name(tx, id, &tag).await? {
                None => movable.push(tag),
                Some(digest) if digest == *to => {}
                Some(_) => return Err(Error::immutable(name, &tag)),
            }
        }
        Ok(movable)
    }

    /// Refuses to delete an immutable tag.
    pub(crate) fn refuse_tag(&self, name: &RepositoryName, tag: &Tag) -> Result<()> {
        match self.covers(name, tag) {
            true => Err(Error::immutable(name, tag)),
            false => Ok(()),
        }
    }

    /// Refuses to delete a manifest that has an immutable tag.
    pub(crate) async fn refuse_manifest(
        &self,
        reader: &mut Reader,
        name: &RepositoryName,
        manifest: ManifestId,
    ) -> Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        let tags = tag::of_manifest(reader, manifest).await?;
        tags.iter().try_for_each(|tag| self.refuse_tag(name, tag))
    }

    /// Refuses to delete a repository that has an immutable tag.
    pub(crate) async fn refuse_repository(
        &self,
        reader: &mut Reader,
        name: &RepositoryName,
    ) -> Result<()> {
        /// Tags that are looked at together.
        const PAGE: i64 = 1_000;
        if self.is_empty() {
            return Ok(());
        }
        let mut last: Option<String> = None;
        loop {
            let tags = tag::list(reader, name, last.as_deref(), PAGE).await?;
            for tag in tags.iter().filter_map(|tag| tag.parse().ok()) {
                self.refuse_tag(name, &tag)?;
            }
            last = tags.last().cloned();
            if (tags.len() as i64) < PAGE {
                return Ok(());
            }
        }
    }
}

fn compiled(text: String) -> db::Result<Arc<CompiledRule>> {
    if let Some(rule) = RULES.get(&text) {
        return Ok(rule);
    }
    let corrupt = || db::Error::Corrupt {
        table: "immutable_rule",
        column: "selectors",
    };
    let rule: ImmutableRule = serde_json::from_str(&text).map_err(|_| corrupt())?;
    let rule = Arc::new(rule.compile().map_err(|_| corrupt())?);
    RULES.insert(text, rule.clone());
    Ok(rule)
}
