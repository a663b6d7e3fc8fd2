//! Readings: people who are users here, and their groups, are looked up again at intervals. Who is not there any more, or may
//! not sign in, is out; who is there again is in. What the directory does not say in full changes nothing.

use std::collections::HashMap;

use db::identity::{self, Identity, LDAP};
use model::Dn;
use tenancy::directory::{Reading, take_over};

use super::{Directory, described};
use crate::error::Error;
use crate::ldap::{self, FoundGroup, FoundPerson, Lookup, Result, Server, seconds};

/// People who are looked up at a time.
const PEOPLE: i64 = 100;

impl Directory {
    /// True if somebody was not read for as long as the settings say.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn is_reading_due(&self) -> Result<bool, Error> {
        if !self.is_configured() {
            return Ok(false);
        }
        Ok(!self.due(1).await?.is_empty())
    }

    /// Reads everybody again who is due; how many.
    ///
    /// # Errors
    /// When the directory does not say, or the database fails: what was read before stays.
    pub async fn read(&self) -> Result<usize, Error> {
        let mut read = 0;
        loop {
            let due = self.due(PEOPLE).await?;
            if due.is_empty() {
                return Ok(read);
            }
            read += due.len();
            let server = self.server()?;
            let readings = self.look_up(&server, due).await?;
            let taken = take_over(&self.db, readings, self.clock.now()).await;
            taken.map_err(Error::NotAdmitted)?;
        }
    }

    async fn due(&self, limit: i64) -> Result<Vec<Identity>, Error> {
        let every = seconds(self.settings.current().ldap_reading_secs);
        let before = self.clock.now().minus(every);
        let mut reader = self.db.reader().await?;
        Ok(identity::due(&mut reader, LDAP, before, limit).await?)
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
        for known in due {
            readings.push(match found.remove(&known.subject) {
                None => Reading::Ended(known, "the directory does not have the account any more"),
                Some(FoundPerson {
                    ended: Some(why), ..
                }) => Reading::Ended(known, why),
                Some(person) => {
                    let groups = match &groups {
                        Some(all) if !person.is_cut => Some(of_person(all, &person)),
                        _ => whole(server.groups_of(&person).await)?,
                    };
                    let (person, groups) = described(server, person, groups);
                    Reading::Found(known, person, groups)
                }
            });
        }
        Ok(readings)
    }
}

/// Groups that were read in full; `None` if the answer was cut, which ends no other reading.
fn whole(groups: Result<Vec<FoundGroup>>) -> Result<Option<Vec<FoundGroup>>> {
    match groups {
        Ok(groups) => Ok(Some(groups)),
        Err(error @ ldap::Error::Cut(_)) => {
            tracing::warn!(%error, "somebody's groups cannot be read from the directory: the last reading holds");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// All groups that these people's entries name.
async fn groups_of_all<'p>(
    server: &Server,
    people: impl Iterator<Item = &'p FoundPerson> + Clone + Send,
) -> Result<HashMap<Dn, FoundGroup>> {
    /// Entries that are asked for at a time.
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
