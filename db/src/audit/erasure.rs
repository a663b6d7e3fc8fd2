//! Taking a person's name out of the log, so that the chain can still be verified.
//!
//! An entry that shows the person is rewritten: a pseudonym replaces the name, and address and user agent go. The
//! seals stay unchanged. As for a purge, a record beside each seal, signed with the key of the chain, says which rule
//! was applied and what the hash over the present entries is; the seal is proven first, and entries and record change in
//! one transaction. Entries that are not sealed yet wait until they are. A crash loses nothing: the row of
//! [`Erasure`] stays until all seals were looked at, and rewritten entries no longer hold the name.

use std::collections::BTreeSet;

use model::{PrincipalId, Timestamp};

use super::purge::{self, Purged};
use super::seal::{self, Sign};
use super::{Entry, walk};
use crate::error::Result;
use crate::sql::{Reader, Tx, row};

row! {
    columns erasure_columns;
    /// A person whose name is being taken out of the log.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Erasure of erasure {
        /// The person.
        pub principal: PrincipalId = e.principal_id,
        /// The name that the person had.
        pub name: String = e.name,
        /// When the account was made: entries before that are about others of that name.
        pub since: Timestamp = e.since,
        /// When the account was deleted: later entries are about others of that name.
        pub until: Timestamp = e.until,
    }
}

/// The name that is shown instead of a person's: one that no user can have, so that whoever has it is erased. It is one
/// word, so that nothing of it is taken for a name again.
pub fn pseudonym(principal: PrincipalId) -> String {
    format!("erased#{principal}")
}

/// Kinds of things that are named after people.
const NAMED: [&str; 2] = ["user", "member"];
/// Kinds of things whose details name people.
const TOLD: [&str; 5] = ["user", "member", "project", "user_group", "robot"];

/// Begins to take the name of a deleted person out of the log.
///
/// # Errors
/// When the statement fails, as for somebody who is not deleted.
pub async fn begin(
    tx: &mut Tx,
    (principal, name): (PrincipalId, &str),
    since: Timestamp,
) -> Result<()> {
    tx.query(
        "insert into erasure (principal_id, name, since, until)
         values ($1, $2, $3, (select deleted_at from principal where id = $1)) on conflict (principal_id) do nothing",
    )
    .bind(principal)
    .bind(name)
    .bind(since)
    .execute()
    .await?;
    Ok(())
}

/// The erasure of a person that has not ended.
///
/// # Errors
/// When the statement fails.
pub async fn get(reader: &mut Reader, principal: PrincipalId) -> Result<Option<Erasure>> {
    let row = reader
        .query(concat!(
            "select ",
            erasure_columns!(),
            " from erasure e where e.principal_id = $1"
        ))
        .bind(principal)
        .optional()
        .await?;
    row.as_ref().map(Erasure::read).transpose()
}

/// Ends the erasure of a person.
///
/// # Errors
/// When the statement fails.
pub async fn end(tx: &mut Tx, principal: PrincipalId) -> Result<()> {
    tx.query("delete from erasure where principal_id = $1")
        .bind(principal)
        .execute()
        .await?;
    Ok(())
}

/// All names that a person has in the log.
///
/// # Errors
/// When the statement fails.
pub async fn names(reader: &mut Reader, erasure: &Erasure) -> Result<Names> {
    let rows = reader
        .query("select distinct principal_name as name from audit where principal_id = $1")
        .bind(erasure.principal)
        .all()
        .await?;
    let mut names: BTreeSet<String> = rows
        .iter()
        .map(|row| row.get("audit", "name"))
        .collect::<Result<_>>()?;
    names.insert(erasure.name.clone());
    names.remove(&pseudonym(erasure.principal));
    Ok(Names {
        erasure: erasure.clone(),
        names,
    })
}

/// What is taken out of the log.
#[derive(Clone, Debug)]
pub struct Names {
    erasure: Erasure,
    names: BTreeSet<String>,
}

/// A seal that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Its number.
    pub sequence: i64,
    /// The last entry that it covers.
    pub last_id: i64,
    /// Whether an entry of it shows the person.
    pub is_affected: bool,
}

/// Looks at the seal after one; `None` if that was the last one.
///
/// # Errors
/// When a statement fails.
pub async fn look(reader: &mut Reader, after: i64, names: &Names) -> Result<Option<Look>> {
    let Some(seal) = seal::after(reader, after).await? else {
        return Ok(None);
    };
    let entries = seal::sealed_by(reader, &seal, seal.first_id - 1).await?;
    Ok(Some(Look {
        sequence: seal.sequence,
        last_id: seal.last_id,
        is_affected: entries.iter().any(|entry| names.rewrite(entry).is_some()),
    }))
}

/// Whether entries that are not sealed yet show the person.
///
/// # Errors
/// When a statement fails.
pub async fn waits(reader: &mut Reader, names: &Names, after: i64) -> Result<bool> {
    let entries = walk(reader, after, seal::BATCH).await?;
    Ok(entries.iter().any(|entry| names.rewrite(entry).is_some()))
}

/// Rewrites the entries of a seal that show the person, and records that; returns how many.
///
/// # Errors
/// [`crate::Error::ChainBroken`] if the seal is not valid; when a statement fails.
pub async fn rewrite(
    tx: &mut Tx,
    sequence: i64,
    names: &Names,
    sign: Sign<'_>,
    now: Timestamp,
) -> Result<u64> {
    let Some((seal, mut entries, earlier)) = purge::hold_proven(tx, sequence, sign).await? else {
        return Ok(0);
    };
    let mut count = 0;
    for entry in &mut entries {
        if let Some(rewritten) = names.rewrite(entry) {
            replace(tx, &rewritten).await?;
            *entry = rewritten;
            count += 1;
        }
    }
    if count > 0 {
        let removed = earlier.as_ref().map_or(0, |earlier| earlier.removed);
        let rule = names.rule(earlier.as_ref());
        purge::state(tx, &seal, (removed, &entries), (&rule, sign, now)).await?;
    }
    Ok(count)
}

async fn replace(tx: &mut Tx, entry: &Entry) -> Result<()> {
    tx.query(
        "update audit set principal_name = $3, address = $4, agent = $5, resource = $6, detail = $7
         where id = $1 and at = $2",
    )
    .bind(entry.id)
    .bind(entry.at)
    .bind(entry.principal_name.as_str())
    .bind(entry.address.as_str())
    .bind(entry.agent.as_str())
    .bind(entry.resource.as_str())
    .bind(entry.detail.as_str())
    .execute()
    .await?;
    Ok(())
}

impl Names {
    /// What is recorded of a seal: also what was before, which the record would no longer tell.
    fn rule(&self, earlier: Option<&Purged>) -> String {
        let pseudonym = pseudonym(self.erasure.principal);
        let rule = format!("entries of {pseudonym} rewritten");
        match earlier {
            Some(earlier) => format!("{rule}; at {}: {}", earlier.purged_at, earlier.rule),
            None => rule,
        }
    }

    /// An entry that shows the person, without that; `None` for other entries.
    fn rewrite(&self, entry: &Entry) -> Option<Entry> {
        let mut new = entry.clone();
        let pseudonym = pseudonym(self.erasure.principal);
        let is_of_time = (self.erasure.since.0..=self.erasure.until.0).contains(&entry.at);
        let is_own = entry.principal_id == Some(self.erasure.principal.0);
        // Somebody else who had one of the names then, which the person had given up, or took later.
        let is_namesakes =
            entry.principal_id.is_some() && !is_own && self.names.contains(&entry.principal_name);
        if is_namesakes {
            return None;
        }
        // A failed login has the name alone.
        let is_claimed = entry.principal_id.is_none()
            && self.names.contains(&entry.principal_name)
            && is_of_time;
        if is_own || is_claimed {
            new.principal_name.clone_from(&pseudonym);
            new.address.clear();
            new.agent.clear();
        }
        if is_own || is_of_time {
            if NAMED.contains(&&*entry.resource_type) && self.names.contains(&entry.resource) {
                new.resource.clone_from(&pseudonym);
            }
            if TOLD.contains(&&*entry.resource_type) {
                for name in &self.names {
                    new.detail = without_word(&new.detail, name, &pseudonym);
                }
            }
        }
        (new != *entry).then_some(new)
    }
}

/// A text in which another word stands for one. Words end at spaces and at `=`, `,`, `:` and `;`.
fn without_word(text: &str, word: &str, other: &str) -> String {
    let is_end = |letter: char| letter.is_whitespace() || matches!(letter, '=' | ',' | ':' | ';');
    let parts = text.split_inclusive(is_end).map(|part| {
        let bare = part.trim_end_matches(is_end);
        match bare == word {
            true => format!("{other}{}", &part[bare.len()..]),
            false => part.to_owned(),
        }
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use model::UserName;

    use super::*;

    fn names() -> Names {
        Names {
            erasure: Erasure {
                principal: PrincipalId(7),
                name: "ann".to_owned(),
                since: Timestamp(100),
                until: Timestamp(50_000),
            },
            names: BTreeSet::from(["ann".to_owned(), "ann.old".to_owned()]),
        }
    }

    fn entry(id: i64, principal: Option<i64>, name: &str, (kind, resource): (&str, &str)) -> Entry {
        Entry {
            id,
            at: 1_000 * id,
            principal_id: principal,
            principal_name: name.to_owned(),
            address: "192.0.2.1".to_owned(),
            agent: "docker".to_owned(),
            operation: "update".to_owned(),
            resource_type: kind.to_owned(),
            resource: resource.to_owned(),
            project_id: None,
            repository: None,
            tag: None,
            digest: None,
            success: true,
            times: 1,
            detail: "owner=ann".to_owned(),
        }
    }

    #[test]
    fn what_shows_the_person_is_rewritten() {
        let own = names()
            .rewrite(&entry(99, Some(7), "ann.old", ("artifact", "team/ann:v1")))
            .unwrap();
        assert_eq!(own.principal_name, "erased#7");
        assert_eq!((&*own.address, &*own.agent), ("", ""));
        assert_eq!(own.resource, "team/ann:v1", "a repository is no person");
        let failed = names()
            .rewrite(&entry(50, None, "ann", ("user", "ann")))
            .unwrap();
        assert_eq!(
            (&*failed.principal_name, &*failed.resource),
            ("erased#7", "erased#7")
        );
        let by_admin = names().rewrite(&entry(50, Some(1), "admin", ("project", "team")));
        let by_admin = by_admin.unwrap();
        assert_eq!(by_admin.principal_name, "admin");
        assert_eq!(by_admin.address, "192.0.2.1");
        assert_eq!(by_admin.detail, "owner=erased#7");
        assert_eq!(names().rewrite(&own), None, "it is done once");
    }

    #[test]
    fn a_record_keeps_what_was_done_before() {
        let names = names();
        assert_eq!(names.rule(None), "entries of erased#7 rewritten");
        let purged = Purged {
            sequence: 1,
            removed: 2,
            remaining: 3,
            hash: Vec::new(),
            rule: "before a day".to_owned(),
            purged_at: Timestamp(0),
            signature: Vec::new(),
        };
        assert_eq!(
            names.rule(Some(&purged)),
            "entries of erased#7 rewritten; at 1970-01-01T00:00:00.000Z: before a day"
        );
    }

    #[test]
    fn nobody_has_a_pseudonym_as_name() {
        let pseudonym = pseudonym(PrincipalId(7));
        pseudonym.parse::<UserName>().unwrap_err();
        for part in ["erased", "7"] {
            assert_eq!(without_word(&pseudonym, part, "x"), pseudonym);
        }
    }

    #[test]
    fn others_of_the_same_name_are_left_alone() {
        let later = entry(51, None, "ann", ("user", "ann"));
        assert_eq!(names().rewrite(&later), None);
        let hers = entry(51, Some(8), "ann", ("user", "ann"));
        assert_eq!(names().rewrite(&hers), None);
        let at_the_time = entry(50, Some(8), "ann.old", ("user", "ann.old"));
        assert_eq!(names().rewrite(&at_the_time), None);
        let by_admin = entry(51, Some(1), "admin", ("user", "ann"));
        assert_eq!(names().rewrite(&by_admin), None);
        // It was written late.
        let mut late = entry(99, None, "ann", ("user", "ann"));
        late.at = 50_000;
        assert!(names().rewrite(&late).is_some());
        let mut before = entry(1, None, "ann", ("user", "ann"));
        before.at = 99;
        assert_eq!(names().rewrite(&before), None);
    }

    #[test]
    fn only_whole_words_are_replaced() {
        let replaced = |text| without_word(text, "ann", "x");
        assert_eq!(
            replaced("owner=ann, ann: anna annann"),
            "owner=x, x: anna annann"
        );
        assert_eq!(replaced("ann"), "x");
        assert_eq!(replaced(""), "");
    }
}
