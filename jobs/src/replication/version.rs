//! Tags between installations of which each copies to the other one, by whichever way: the later version wins, at both
//! ends, and deletions are versions too. The destination decides when it is told of a version ([`registry::tag::version`]);
//! what is compared here only saves copying what would lose.
//!
//! **Nothing goes to and fro.** A tag takes the version that it came with. When it is compared with where it came from,
//! both have the same one, and nothing is sent. Two that name the same digest differ in nothing else than their versions:
//! the later one is adopted without an event. So every change crosses each way once, and every comparison after that ends
//! with nothing, whatever circles the ways have.

use std::collections::HashSet;
use std::time::Duration;

use db::registry as registries;
use db::replication::reach;
use db::tag::version;
use model::accessory::referred_by;
use model::replication::{Filters, TagState};
use model::{Digest, Reference, Tag, Timestamp};
use remote::{Remote, RemoteSite, Sent};

use super::copy::{Copying, Versions};
use super::error::{Copied, CopyError};
use super::failures::Failures;
use super::reach::own_site;
use super::site::{Site, own};

/// How far the clocks of two sites may be apart before it is reported.
const SKEW: Duration = Duration::from_secs(5);
/// States of a page.
const PAGE: i64 = 1_000;

impl Copying<'_> {
    /// Finds out whether the way is part of a circle, and then what the tags are at the other end.
    pub(super) async fn compare_versions(&mut self) -> Copied<()> {
        let (remote, there, here) = match (&self.route.source, &self.route.target) {
            (Site::There(remote), _) => (remote, &self.from, &self.to),
            (_, Site::There(remote)) => (remote, &self.to, &self.from),
            (Site::Here(_), Site::Here(_)) => return Ok(()),
        };
        if !self.route.policy.overrides || !remote.kind().has_projects() {
            return Ok(());
        }
        let Some(told) = self.asked(remote, there).await? else {
            return Ok(());
        };
        let works = self.journal.works();
        let this = own_site(&works.db, &*works.clock, here).await;
        let this = this.map_err(|error| CopyError::Stored(error.to_string()))?;
        self.report_skew(this.time, Timestamp(told.time));
        self.remember(here, &told).await?;
        let (own, other) = (this.origin.to_string(), told.origin.to_string());
        let comes_back = match self.route.source {
            Site::Here(_) => {
                told.reaches.contains_key(&own) || this.pulls_from.contains(&told.origin)
            }
            Site::There(_) => {
                told.pulls_from.contains(&this.origin) || this.reaches.contains_key(&other)
            }
        };
        // A copy of this installation has its name: nobody could tell their versions apart.
        if comes_back && own != other {
            let there = remote.tag_states(there).await?.into_iter().collect();
            self.versions = Some(Versions { there });
        }
        Ok(())
    }

    async fn asked(&self, remote: &Remote, repository: &str) -> Copied<Option<RemoteSite>> {
        match remote.site(repository).await {
            Ok(told) => Ok(told),
            Err(remote::Error::Denied { .. } | remote::Error::Credentials(_)) => {
                self.journal.info(format!(
                    "tags carry no versions: the account has no permission to list replication at {}",
                    remote.host()
                ));
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn report_skew(&self, here: Timestamp, there: Timestamp) {
        let apart = here.since(there).max(there.since(here));
        if apart > SKEW {
            self.journal.warn(format!(
                "the clocks of this registry and the other one are {} s apart: of two changes of a tag, the wrong one may win",
                apart.as_secs()
            ));
        }
    }

    /// Notes which installation the other registry is, and where what is pushed there goes on.
    async fn remember(&self, here: &str, told: &RemoteSite) -> Copied<()> {
        let works = self.journal.works();
        let (policy, registry) = (self.route.id, self.route.policy.registry);
        let is_push = matches!(self.route.source, Site::Here(_));
        let mut reader = works.db.reader().await?;
        let known = registries::get(&mut reader, registry).await?;
        let known = known.and_then(|known| known.origin);
        let reached = reach::of(&mut reader, policy, here).await?;
        drop(reader);
        if known == Some(told.origin) && (!is_push || reached == told.reaches) {
            return Ok(());
        }
        let (here, told) = (here.to_owned(), told.clone());
        let noted = works.db.write(move |tx| {
            Box::pin(async move {
                registries::set_origin(tx, registry, told.origin).await?;
                if is_push {
                    reach::set(tx, policy, (&here, &told.reaches)).await?;
                }
                Ok::<_, db::Error>(())
            })
        });
        Ok(noted.await?)
    }

    async fn state_here(&self, repository: &str, tag: &Tag) -> Copied<Option<TagState>> {
        let mut reader = self.journal.works().db.reader().await?;
        Ok(version::of(&mut reader, &own(repository)?, tag).await?)
    }

    async fn state_at_source(&self, versions: &Versions, tag: &Tag) -> Copied<Option<TagState>> {
        match self.route.source {
            Site::Here(_) => self.state_here(&self.from, tag).await,
            Site::There(_) => Ok(versions.there.get(tag).copied()),
        }
    }

    async fn state_at_target(&self, versions: &Versions, tag: &Tag) -> Copied<Option<TagState>> {
        match self.route.target {
            Site::Here(_) => self.state_here(&self.to, tag).await,
            Site::There(_) => Ok(versions.there.get(tag).copied()),
        }
    }

    /// Copies what a tag names, unless what it is at the destination is later.
    pub(super) async fn versioned(&self, versions: &Versions, tag: &Tag) -> Copied<()> {
        let ours = self.state_at_source(versions, tag).await?;
        let Some((ours, digest)) = ours.and_then(|ours| Some((ours, ours.digest?))) else {
            // It is gone since the list was made.
            return Ok(());
        };
        let theirs = self.state_at_target(versions, tag).await?;
        let is_there = theirs.is_some_and(|theirs| theirs.digest == ours.digest);
        if let Some(theirs) = theirs.filter(|it| !is_there && !ours.is_later_than(it)) {
            self.report_kept(tag, &ours, &theirs);
            return Ok(());
        }
        let reference = Reference::Tag(tag.clone());
        if self.is_dry_run() {
            let there = theirs.and_then(|theirs| theirs.digest);
            self.say_what_would_be(&reference, (&digest, there.as_ref()));
            return Ok(());
        }
        let before = self.journal.counts().bytes;
        if !is_there {
            self.content(digest, 0).await?;
        }
        self.attachments(digest).await?;
        self.labels(&digest).await?;
        if is_there && theirs.is_some_and(|theirs| !ours.is_later_than(&theirs)) {
            self.journal.count(|counts| counts.present += 1);
            return Ok(());
        }
        match self.send_state(tag, &ours).await? {
            Sent::Same => self.journal.count(|counts| counts.present += 1),
            Sent::Kept(theirs) => self.report_kept(tag, &ours, &theirs),
            Sent::Taken => {
                let bytes = self.journal.counts().bytes.saturating_sub(before);
                self.report_taken((tag, &digest), theirs.as_ref(), bytes);
            }
        }
        Ok(())
    }

    /// Brings a tag that names what is attached to something, unless what it is at the destination is later. Returns what
    /// it names.
    pub(super) async fn versioned_attaching(
        &self,
        versions: &Versions,
        tag: &Tag,
    ) -> Copied<Option<Digest>> {
        let ours = self.state_at_source(versions, tag).await?;
        let Some((ours, digest)) = ours.and_then(|ours| Some((ours, ours.digest?))) else {
            return Ok(None);
        };
        let theirs = self.state_at_target(versions, tag).await?;
        if theirs.is_some_and(|theirs| !ours.is_later_than(&theirs)) {
            return Ok(Some(digest));
        }
        self.content(digest, 0).await?;
        if self.send_state(tag, &ours).await? == Sent::Taken {
            self.note(&Reference::Tag(tag.clone()), &digest);
            self.journal
                .info(format!("{} {tag} comes along: {digest}", self.from));
        }
        Ok(Some(digest))
    }

    async fn send_state(&self, tag: &Tag, state: &TagState) -> Copied<Sent> {
        self.refuse_stopped().await?;
        match &self.route.target {
            Site::Here(here) => Box::pin(here.accept(&own(&self.to)?, tag, state)).await,
            Site::There(remote) => Ok(Box::pin(remote.send_state((&self.to, tag), state)).await?),
        }
    }

    fn report_taken(&self, (tag, digest): (&Tag, &Digest), theirs: Option<&TagState>, bytes: u64) {
        self.journal.count(|counts| counts.copied += 1);
        self.note(&Reference::Tag(tag.clone()), digest);
        let (from, to) = (&self.from, &self.to);
        let replaced = theirs.and_then(|theirs| theirs.digest.filter(|it| it != digest));
        let replaced = replaced.map(|lost| {
            format!(
                ", later than {lost}, which loses the tag and can still be pulled there by its digest"
            )
        });
        self.journal.info(format!(
            "{from} {tag} is copied to {to}: {digest}{}, {bytes} bytes moved",
            replaced.unwrap_or_default()
        ));
    }

    fn report_kept(&self, tag: &Tag, ours: &TagState, theirs: &TagState) {
        let (from, to) = (&self.from, &self.to);
        let (at, origin) = (theirs.at, theirs.origin);
        let is = match theirs.digest {
            Some(digest) => format!("it is {digest}"),
            None => "it was deleted".to_owned(),
        };
        let lost = ours.digest.map_or_else(String::new, |lost| {
            format!(", and {lost} can still be pulled from {from} by its digest")
        });
        self.journal.warn(format!(
            "{to} {tag} is kept: {is} there since {at}, by {origin}, later than here{lost}"
        ));
        self.journal.count(|counts| counts.kept += 1);
    }

    /// Deletes at the destination what was deleted at the source since it was last set at either.
    pub(super) async fn versioned_deletions(
        &self,
        versions: &Versions,
        filters: &Filters,
    ) -> Copied<()> {
        let mut failures = Failures::default();
        // A source that is elsewhere has told all; here they are read in pages.
        let mut after = String::new();
        loop {
            let (page, is_last) = match self.route.source {
                Site::There(_) => {
                    let all = versions
                        .there
                        .iter()
                        .map(|(tag, state)| (tag.clone(), *state));
                    (all.collect(), true)
                }
                Site::Here(_) => {
                    let mut reader = self.journal.works().db.for_lists().reader().await?;
                    let name = own(&self.from)?;
                    let (page, more) = version::list(&mut reader, &name, &after, PAGE).await?;
                    (page, !more)
                }
            };
            let page: Vec<(Tag, TagState)> = page;
            if let Some((last, _)) = page.last() {
                after = last.to_string();
            }
            let living = self.living_at_target(versions).await?;
            for (tag, state) in page {
                let is_meant = state.digest.is_none() && living.contains(&tag);
                if !is_meant || !(referred_by(&tag).is_some() || filters.tag(tag.as_str())) {
                    continue;
                }
                let done = self.versioned_deletion(versions, (&tag, &state)).await;
                failures.take(self.journal, done, || {
                    format!("{} {tag} was not deleted", self.to)
                })?;
            }
            if is_last {
                return failures.end();
            }
        }
    }

    /// Tags that the destination has.
    async fn living_at_target(&self, versions: &Versions) -> Copied<HashSet<Tag>> {
        match &self.route.target {
            Site::Here(here) => Ok(here.tags(&own(&self.to)?).await?.into_iter().collect()),
            Site::There(_) => {
                let living = versions.there.iter();
                let living = living.filter(|(_, state)| state.digest.is_some());
                Ok(living.map(|(tag, _)| tag.clone()).collect())
            }
        }
    }

    async fn versioned_deletion(
        &self,
        versions: &Versions,
        (tag, state): (&Tag, &TagState),
    ) -> Copied<()> {
        let theirs = self.state_at_target(versions, tag).await?;
        if theirs.is_some_and(|theirs| !state.is_later_than(&theirs)) {
            return Ok(());
        }
        let to = &self.to;
        if self.is_dry_run() {
            self.journal.count(|counts| counts.deleted += 1);
            self.journal
                .info(format!("dry run: {to} {tag} would be deleted"));
            return Ok(());
        }
        if self.send_state(tag, state).await? == Sent::Taken {
            self.journal.count(|counts| counts.deleted += 1);
            self.journal.forget(to, tag.as_str());
            self.journal.info(format!(
                "{to} {tag} is deleted, as it was at {}",
                self.route.source.name()
            ));
        }
        Ok(())
    }
}
