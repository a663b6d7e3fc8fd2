//! Readings: people who are users here, and their groups, are looked up again at intervals. Those who were deleted, or
//! may not sign in, are locked out; those who are back are let in. Incomplete answers change nothing.

use std::collections::HashMap;

use db::identity::{self, Identity, LDAP};
use model::Dn;
use tenancy::directory::{Reading, take_over};

use super::{Directory, described};
use crate::error::Error;
use crate::ldap::{self, FoundGroup, FoundPerson, Lookup, Result, Server, seconds};

/// People to look up at a time.
const PEOPLE: i64 = 100;
/// Consecutive people whose groups the directory does not return in time, after which it counts as down.
const MOST_SLOW: u32 = 3;
/// The reason for locking people out when there is no directory.
const NO_DIRECTORY: &str = "no directory is configured any more";

impl Directory {
    /// True if somebody is due by the settings, or may still sign in though there is no directory.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn is_reading_due(&self) -> Result<bool, Error> {
        Ok(!self.due(1).await?.is_empty())
    }

    /// Reads everybody who is due; returns how many. Without a directory they are locked out, since nothing confirms
    /// any more that they may sign in.
    ///
    /// # Errors
    /// When the directory does not answer, or the database fails: the previous results stay.
    pub async fn read(&self) -> Result<usize, Error> {
        let mut read = 0;
        loop {
            let due = self.due(PEOPLE).await?;
            if due.is_empty() {
                return Ok(read);
            }
            read += due.len();
            let readings = match self.server_if_any().await? {
                Some(server) => self.look_up(&server, due).await?,
                None => due.into_iter().map(ended).collect(),
            };
            let taken = take_over(&self.db, readings, self.clock.now()).await;
            taken.map_err(Error::NotAdmitted)?;
        }
    }

    async fn due(&self, limit: i64) -> Result<Vec<Identity>, Error> {
        let (every, now) = (
            seconds(self.settings.current().ldap_reading_secs),
            self.clock.now(),
        );
        let mut reader = self.db.reader().await?;
        let due = match self.is_configured() {
            // A time of reading in the future was set by a fast clock.
            true => {
                identity::due(&mut reader, LDAP, now.minus(every)..now.plus(every), limit).await
            }
            false => identity::active(&mut reader, LDAP, limit).await,
        };
        Ok(due?)
    }

    async fn look_up(&self, server: &Server, due: Vec<Identity>) -> Result<Vec<Reading>> {
        let subjects: Vec<&str> = due.iter().map(|known| &*known.subject).collect();
        let found = server.find_all(&subjects, self.clock.now()).await?;
        let mut found: HashMap<String, FoundPerson> = found
            .into_iter()
            .map(|person| (person.subject.clone(), person))
            .collect();
        let groups = match server.lookup() {
            Some(Lookup::Attribute) => Some(groups_of_all(server, found.values()).await?),
            Some(Lookup::Search | Lookup::Nested) | None => None,
        };
        let mut readings = Vec::with_capacity(due.len());
        let mut slow = 0;
        for known in due {
            readings.push(match found.remove(&known.subject) {
                None => Reading::Ended(known, "the directory does not have the account any more"),
                Some(FoundPerson {
                    ended: Some(why), ..
                }) => Reading::Ended(known, why),
                Some(person) => {
                    let groups = match &groups {
                        Some(all) if !person.is_cut => Some(of_person(all, &person)),
                        _ => whole(server.groups_of(&person).await, &mut slow)?,
                    };
                    let (person, groups) = described(server, person, groups);
                    Reading::Found(known, person, groups)
                }
            });
        }
        Ok(readings)
    }
}

fn ended(known: Identity) -> Reading {
    Reading::Ended(known, NO_DIRECTORY)
}

/// Completely read groups; `None` if the answer was cut off or late, which does not end the reading: a group of groups
/// may be large. Counts consecutive late answers.
fn whole(groups: Result<Vec<FoundGroup>>, slow: &mut u32) -> Result<Option<Vec<FoundGroup>>> {
    *slow = match &groups {
        Err(ldap::Error::Timeout) => *slow + 1,
        _ => 0,
    };
    match groups {
        Ok(groups) => Ok(Some(groups)),
        Err(error @ (ldap::Error::Cut(_) | ldap::Error::Timeout)) if *slow < MOST_SLOW => {
            tracing::warn!(%error, "somebody's groups cannot be read from the directory: the last reading holds");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// All groups named in these people's entries.
async fn groups_of_all<'p>(
    server: &Server,
    people: impl Iterator<Item = &'p FoundPerson> + Clone + Send,
) -> Result<HashMap<Dn, FoundGroup>> {
    /// Entries to request at a time.
    const ENTRIES: usize = 500;
    let mut all = HashMap::new();
    let is_ad = people.clone().any(FoundPerson::is_active_directory);
    let mut named: Vec<&Dn> = people.flat_map(|person| &person.member_of).collect();
    named.sort_unstable_by(|one, other| one.key().cmp(other.key()));
    named.dedup();
    for part in named.chunks(ENTRIES) {
        let found = server.groups_at(part.iter().copied(), is_ad).await?;
        all.extend(found.into_iter().map(|group| (group.entry.clone(), group)));
    }
    Ok(all)
}

fn of_person(all: &HashMap<Dn, FoundGroup>, person: &FoundPerson) -> Vec<FoundGroup> {
    let named = person.member_of.iter();
    named.filter_map(|entry| all.get(entry).cloned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slow_answer_changes_nothing_and_several_end_the_reading() {
        let mut slow = 0;
        let late = || Err(ldap::Error::Timeout);
        assert_eq!(whole(late(), &mut slow).unwrap(), None);
        assert_eq!(whole(late(), &mut slow).unwrap(), None);
        assert_eq!(whole(Ok(Vec::new()), &mut slow).unwrap(), Some(Vec::new()));
        assert_eq!(whole(late(), &mut slow).unwrap(), None);
        assert_eq!(whole(Err(ldap::Error::Cut("x")), &mut slow).unwrap(), None);
        for _ in 1..MOST_SLOW {
            assert_eq!(whole(late(), &mut slow).unwrap(), None);
        }
        whole(late(), &mut slow).unwrap_err();
        whole(Err(ldap::Error::Busy), &mut slow).unwrap_err();
    }
}
