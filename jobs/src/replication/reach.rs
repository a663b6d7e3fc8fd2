//! Where copies go in circles. A site tells whoever copies to it where what is pushed there goes on: to the registries of
//! its own policies that override, and to where these have told that it goes on from them. Whoever finds itself among them
//! lets the versions of tags decide. The number of copies on the way is counted, so that what is no longer so is forgotten,
//! even where two sites tell it each other.

use std::collections::HashMap;

use db::list::Selection;
use db::registry as registries;
use db::replication::policy as policies;
use db::replication::reach::{self, Reached};
use db::{Db, Reader, store_identity};
use model::replication::{Direction, Filters, PolicyContent};
use model::{Clock, InstallationId, RegistryId, Timestamp};

use crate::Result;

/// Copies on the way that are counted.
const FARTHEST: u32 = 8;

/// This installation, as others that copy from it or to it know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnSite {
    /// Which one it is.
    pub origin: InstallationId,
    /// The time here.
    pub time: Timestamp,
    /// The installations to which what is pushed to the repository here goes on.
    pub reaches: Reached,
    /// The installations from which policies here pull it.
    pub pulls_from: Vec<InstallationId>,
}

/// This installation, for a repository of it, whether it exists or not.
///
/// # Errors
/// When a statement fails.
pub async fn own_site(db: &Db, clock: &dyn Clock, repository: &str) -> Result<OwnSite> {
    let time = db.now(clock).await?;
    let mut reader = db.reader().await?;
    let origin = store_identity::installation(&mut reader).await?;
    let origins = origins(&mut reader).await?;
    let (mut reaches, mut pulls_from) = (Reached::new(), Vec::new());
    for policy in policies::overriding(&mut reader).await? {
        let content = policy.content()?;
        if !is_about(&content, repository) {
            continue;
        }
        let next = origins.get(&policy.registry).copied();
        match content.direction {
            Direction::Pull => pulls_from.extend(next),
            Direction::Push => {
                let told = reach::of(&mut reader, policy.id, repository).await?;
                let farther = told
                    .into_iter()
                    .map(|(at, copies)| (at, copies.saturating_add(1)));
                let all = next.map(|next| (next.to_string(), 1)).into_iter();
                for (at, copies) in all.chain(farther.filter(|(_, copies)| *copies <= FARTHEST)) {
                    let known = reaches.entry(at).or_insert(copies);
                    *known = copies.min(*known);
                }
            }
        }
    }
    Ok(OwnSite {
        origin: origin.unwrap_or(InstallationId::new([0; 16])),
        time,
        reaches,
        pulls_from,
    })
}

async fn origins(reader: &mut Reader) -> Result<HashMap<RegistryId, InstallationId>> {
    let (all, _) = registries::list(reader, &Selection::all()).await?;
    let known = all.into_iter();
    Ok(known
        .filter_map(|registry| Some((registry.id, registry.origin?)))
        .collect())
}

/// Whether a policy copies a repository, as it is called here.
fn is_about(content: &PolicyContent, repository: &str) -> bool {
    let namespace = &content.mapping.namespace;
    let is_renamed = content.direction == Direction::Pull && !namespace.is_empty();
    match Filters::compile(&content.filters) {
        // What it was called there is not known any more.
        Ok(_) if is_renamed => {
            let rest = repository.strip_prefix(namespace.as_str());
            rest.is_some_and(|rest| rest.starts_with('/'))
        }
        Ok(filters) => filters.repository(repository),
        Err(_) => false,
    }
}
