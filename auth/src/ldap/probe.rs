//! Testing a directory step by step: what works, what does not, and what to do about it.

use model::{Dn, Timestamp};

use super::connection::{Connection, Extent, Search};
use super::error::{Error, Result};
use super::person::FoundGroup;
use super::server::Server;

/// A step of the test.
#[derive(Clone, Debug)]
pub struct Step {
    /// What was tested.
    pub what: String,
    /// The result.
    pub finding: Finding,
}

/// The result of a step.
#[derive(Clone, Debug)]
pub enum Finding {
    /// It worked, with further information.
    Good(String),
    /// It failed, for this reason.
    Bad(Error),
}

impl Step {
    /// What to do, if it failed.
    pub fn advice(&self) -> Option<&'static str> {
        let Finding::Bad(error) = &self.finding else {
            return None;
        };
        Some(match error {
            Error::NotConfigured => "set ldap_url and ldap_base_dn",
            Error::Settings(_) => "correct the setting",
            Error::Unreachable(_) => {
                "check host and port of ldap_url, the firewall, and [outgoing] allow for an address on this machine"
            }
            Error::Tls(_) => {
                "give the certificate of the directory's CA as ldap_ca_certificate, and a name in ldap_url that stands in its certificate"
            }
            Error::StrongAuth(_) => "set ldap_starttls to true, or write ldaps:// in ldap_url",
            Error::SearchRefused(_) => "correct ldap_search_dn and ldap_search_password",
            Error::Cut(_) => {
                "make the filter or the base narrower, or raise the directory's limit for ldap_search_dn"
            }
            Error::NoBase(_) => "correct ldap_base_dn or ldap_group_base_dn",
            Error::Ambiguous => "make ldap_filter narrower, or choose another ldap_uid",
            Error::Timeout => "raise ldap_timeout, or find out why the directory is slow",
            Error::Busy => "try again",
            Error::RuleUnknown(_) => "set ldap_group_lookup to search",
            Error::Refused(_) | Error::Protocol(_) => "look into the directory's log",
        })
    }
}

impl Server {
    /// Tests all addresses, the entry for searches, and the entries where searches begin.
    pub async fn probe(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for (at, url) in self.config.urls.iter().enumerate() {
            let connected = self.connect(at).await;
            let note = match self.config.is_plain(url) {
                true => "passwords go over the wire unencrypted",
                false if !self.config.verify => "encrypted, by whatever certificate",
                false => "encrypted",
            };
            let mut connection = match connected {
                Ok(connection) => {
                    steps.push(good(format!("connect to {url}"), note));
                    connection
                }
                Err(error) => {
                    steps.push(bad(format!("connect to {url}"), error));
                    continue;
                }
            };
            steps.push(self.probe_search(&mut connection).await);
        }
        let works = |step: &Step| matches!(step.finding, Finding::Good(_));
        if !steps.iter().all(works) {
            return steps;
        }
        steps.push(self.probe_base("ldap_base_dn", &self.config.base_dn).await);
        let groups = &self.config.groups;
        if !groups.filter.is_empty() && groups.base_dn != self.config.base_dn {
            steps.push(self.probe_base("ldap_group_base_dn", &groups.base_dn).await);
        }
        steps
    }

    async fn probe_search(&self, connection: &mut Connection) -> Step {
        let what = match self.config.search_dn.as_str() {
            "" => "search as nobody".to_owned(),
            dn => format!("search as {dn}"),
        };
        match self.let_in(connection).await {
            Ok(()) => good(what, "let in"),
            Err(error) => bad(what, error),
        }
    }

    async fn probe_base(&self, setting: &str, dn: &str) -> Step {
        let what = format!("look at {setting} {dn}");
        let search = Search {
            base: dn.to_owned(),
            scope: ldap3::Scope::Base,
            filter: "(objectClass=*)".to_owned(),
            attributes: vec!["1.1".to_owned()],
            extent: Extent::Few(1),
        };
        match self.search(&search).await {
            Ok(found) if !found.is_empty() => good(what, "found"),
            Ok(_) => bad(what, Error::NoBase(std::sync::Arc::new(NotReadable))),
            Err(error) => bad(what, error),
        }
    }

    /// Looks a person up as signing in does, without their password.
    pub async fn probe_user(&self, name: &str, now: Timestamp) -> Vec<Step> {
        let what = format!("find {name} by {}", self.config.uid);
        let person = match self.find(name, now).await {
            Err(error) => return vec![bad(what, error)],
            Ok(None) => {
                return vec![good(
                    what,
                    "nobody: check ldap_base_dn, ldap_filter and ldap_uid",
                )];
            }
            Ok(Some(person)) => person,
        };
        let state = person.ended.unwrap_or("may sign in");
        let found = format!("{} at {}; {state}", person.name(), person.dn);
        let mut steps = vec![good(what, &found)];
        let what = "find the groups".to_owned();
        steps.push(match self.groups_of(&person).await {
            Err(error) => bad(what, error),
            Ok(groups) => {
                let named: Vec<&str> = groups.iter().map(|group| &*group.name).collect();
                let admin = match self.is_admin(&person, &groups) {
                    true => "; a system administrator by ldap_group_admin_dn",
                    false => "",
                };
                let dropped = not_taken(&person.member_of, &groups);
                let dropped = match dropped.is_empty() {
                    true => String::new(),
                    false => format!(
                        "; not taken over, for they are outside ldap_group_base_dn or ldap_group_search_filter: {}",
                        dropped.join(" | ")
                    ),
                };
                let none = if named.is_empty() { "none" } else { "" };
                good(what, &format!("{none}{}{admin}{dropped}", named.join(", ")))
            }
        });
        steps
    }

    /// Tests the directory; stops at the first failure.
    ///
    /// # Errors
    /// That failure.
    pub async fn ping(&self) -> Result<()> {
        for step in self.probe().await {
            if let Finding::Bad(error) = step.finding {
                return Err(error);
            }
        }
        Ok(())
    }
}

/// Groups that an entry names and that are not used.
fn not_taken<'d>(named: &'d [Dn], taken: &[FoundGroup]) -> Vec<&'d str> {
    let is_taken = |entry: &Dn| taken.iter().any(|group| group.entry == *entry);
    let others = named.iter().filter(|entry| !is_taken(entry));
    others.map(Dn::as_str).take(10).collect()
}

/// The entry may exist, but the entry for searches cannot read it.
#[derive(Debug, thiserror::Error)]
#[error("ldap_search_dn does not see it")]
struct NotReadable;

fn good(what: String, note: &str) -> Step {
    Step {
        what,
        finding: Finding::Good(note.to_owned()),
    }
}

fn bad(what: String, error: Error) -> Step {
    Step {
        what,
        finding: Finding::Bad(error),
    }
}
