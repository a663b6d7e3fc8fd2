//! Vulnerabilities that the whole installation accepts.

use std::collections::BTreeSet;

use db::{Db, Reader, installation};
use model::{Event, Operation, ResourceType, Subject, Timestamp};
use policy::SystemPermit;
use serde::{Deserialize, Serialize};

use crate::Result;

/// Its name in the database.
const STORED: &str = "cve-allowlist";
/// Maximum accepted vulnerabilities.
const MOST: usize = 10_000;

/// The accepted vulnerabilities, and until when they are accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CveAllowlist {
    /// Names such as `CVE-2026-1`.
    pub items: Vec<String>,
    /// When the list expires, in seconds since 1970.
    pub expires_at: Option<i64>,
    /// Microseconds since 1970 when it was first set.
    pub created_at: i64,
    /// Microseconds since 1970 when it was last set.
    pub updated_at: i64,
}

/// Why a list is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAllowlist {
    /// An invalid name.
    #[error("items.cve_id: must have 1 to 128 visible characters: {0:?}")]
    Name(String),
    /// A duplicate.
    #[error("items.cve_id: {0} is there twice")]
    Twice(String),
    /// Too many.
    #[error("items: there may be at most {MOST}")]
    TooMany,
}

/// Checks names of vulnerabilities.
///
/// # Errors
/// The first problem.
pub fn check(items: &[String]) -> Result<(), InvalidAllowlist> {
    if items.len() > MOST {
        return Err(InvalidAllowlist::TooMany);
    }
    let mut seen = BTreeSet::new();
    for item in items {
        let valid =
            (1..=128).contains(&item.len()) && item.bytes().all(|byte| byte.is_ascii_graphic());
        if !valid {
            return Err(InvalidAllowlist::Name(item.clone()));
        }
        if !seen.insert(item) {
            return Err(InvalidAllowlist::Twice(item.clone()));
        }
    }
    Ok(())
}

/// The list.
///
/// # Errors
/// When the statement fails.
pub async fn get(reader: &mut Reader) -> Result<CveAllowlist> {
    let stored = installation::get(reader, STORED).await?;
    let parsed = stored.map(|json| serde_json::from_slice(&json));
    parsed
        .transpose()
        .map(Option::unwrap_or_default)
        .map_err(|_| {
            let (table, column) = ("installation", "value");
            db::Error::Corrupt { table, column }.into()
        })
}

/// Replaces the list with checked names.
///
/// # Errors
/// When the database fails.
pub async fn set(
    db: &Db,
    permit: &SystemPermit,
    items: Vec<String>,
    expires_at: Option<i64>,
    now: Timestamp,
) -> Result<()> {
    let subject = Subject::Installation(ResourceType::Configuration, "CVE allowlist".to_owned());
    let event = Event::new(now, permit.caller().origin(), Operation::Update, subject);
    let event = event.with_detail(format!("{} vulnerabilities", items.len()));
    db.write(move |tx| {
        Box::pin(async move {
            let before = get(tx).await?;
            let created_at = match before.created_at {
                0 => now.0,
                at => at,
            };
            let list = CveAllowlist {
                items,
                expires_at,
                created_at,
                updated_at: now.0,
            };
            let json = serde_json::to_string(&list).unwrap_or_default();
            installation::put(tx, STORED, json.as_bytes()).await?;
            Ok(tx.record(&event).await?)
        })
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_named() {
        let check = |items: &[&str]| {
            let items: Vec<String> = items.iter().map(|item| (*item).to_owned()).collect();
            check(&items)
        };
        assert_eq!(check(&["CVE-2026-1", "GHSA-x"]), Ok(()));
        assert_eq!(check(&[" "]), Err(InvalidAllowlist::Name(" ".into())));
        assert_eq!(check(&["a", "a"]), Err(InvalidAllowlist::Twice("a".into())));
    }
}
