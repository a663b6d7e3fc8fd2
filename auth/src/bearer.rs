//! Registry tokens: finding their callers, and issuing new ones. Their form is in [`crate::token`].

use std::net::IpAddr;
use std::sync::Arc;

use db::{Age, Db, binding};
use model::{Client, Clock, ProjectName, RepositoryName, Timestamp};
use policy::{Action, Authority, Caller, Presented, Workload, WorkloadRule};
use tenancy::setting::Settings;
use tracing::instrument;

use crate::error::{Error, Result};
use crate::scope::Scope;
use crate::token::{Access, Claims, Holder, TokenKeys, VerifiedTokens, WorkloadClaim};
use crate::workload;

/// The action that means all actions.
const EVERYTHING: &str = "*";

/// Verifies and issues tokens.
pub(crate) struct Bearer {
    db: Db,
    clock: Arc<dyn Clock>,
    keys: TokenKeys,
    verified: VerifiedTokens,
    settings: Arc<Settings>,
}

/// An issued token.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The JWT.
    pub token: String,
    /// Lifetime in seconds.
    pub expires_in: u32,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// What it grants, as the text of a `scope` parameter.
    pub scope: String,
}

impl Bearer {
    pub(crate) fn new(
        db: Db,
        clock: Arc<dyn Clock>,
        keys: TokenKeys,
        settings: Arc<Settings>,
    ) -> Self {
        Self {
            db,
            clock,
            keys,
            verified: VerifiedTokens::new(),
            settings,
        }
    }

    /// The keys that verify tokens.
    pub(crate) fn keys(&self) -> &TokenKeys {
        &self.keys
    }

    /// The caller of a token.
    ///
    /// # Errors
    /// [`Error::Token`], [`Error::Void`].
    pub(crate) async fn caller(&self, token: &str, address: IpAddr, age: Age) -> Result<Caller> {
        let now = self.clock.now().date_time();
        let verified = self.verified.verify(&self.keys, token, now);
        let verified = verified.map_err(Error::Token)?;
        let authority = self.holder(verified.claims(), age).await?;
        Ok(Caller {
            authority,
            presented: Presented::Token,
            grants: Some(verified.grants().clone()),
            address: Some(address),
            client: Client::at(Some(address)),
        })
    }

    /// The present authority of a token's holder.
    async fn holder(&self, claims: &Claims, age: Age) -> Result<Arc<Authority>> {
        let Some(principal) = claims.principal else {
            return Ok(Arc::default());
        };
        let bound = match &claims.workload {
            None => {
                let generation = Some(claims.generation);
                binding::authority(&self.db, principal, generation, age).await?
            }
            Some(came_with) => {
                let workload = Arc::new(workload_of(came_with));
                workload::bind(&self.db, &workload, &claims.sub, age).await?
            }
        };
        let now = self.clock.now();
        let bound = bound.filter(|authority| !authority.has_ended(now));
        bound.ok_or(Error::Void)
    }

    /// Issues a token for the requested actions that the caller has now, as far as they fit into a token.
    #[instrument(name = "auth.token.issue", level = "debug", skip_all)]
    pub(crate) async fn issue(&self, caller: &Caller, scopes: &[Scope]) -> Result<Issued> {
        let mut access = Vec::with_capacity(scopes.len());
        for scope in scopes {
            access.push(self.held(caller, scope).await?);
        }
        let issued_at = self.clock.now();
        let id = crate::random_hex::<8>();
        let lifetime = match &caller.authority.workload {
            None => within(
                self.settings.current().token_secs(),
                &caller.authority,
                issued_at,
            ),
            Some(workload) => lifetime_of(workload, scopes, issued_at)?,
        };
        let mut claims = Claims::new(holder(caller), id, issued_at.date_time(), lifetime);
        claims.workload = caller.authority.workload.as_deref().map(claim_of);
        claims.grant(access)?;
        Ok(Issued {
            token: self.keys.issue(&claims)?,
            expires_in: lifetime,
            issued_at,
            scope: claims.scope(),
        })
    }

    /// The actions of a scope that the caller has.
    async fn held(&self, caller: &Caller, scope: &Scope) -> Result<Access> {
        let held: Vec<&str> = match (scope.kind(), scope.name()) {
            ("repository", name) => match name.parse() {
                Ok(name) => self.held_on(caller, &name).await?,
                Err(_) => Vec::new(),
            },
            // The catalog shows only what the caller may see.
            ("registry", "catalog") if caller.is_signed_in() => vec![EVERYTHING],
            _ => Vec::new(),
        };
        let asked = |action: &str| scope.actions().iter().any(|asked| asked == action);
        let all = asked(EVERYTHING);
        let actions = held.into_iter().filter(|action| all || asked(action));
        Ok(Access {
            kind: scope.kind().to_owned(),
            name: scope.name().to_owned(),
            actions: actions.map(str::to_owned).collect(),
        })
    }

    async fn held_on(&self, caller: &Caller, name: &RepositoryName) -> Result<Vec<&'static str>> {
        let standing = binding::standing(&self.db, caller, &name.project(), Age::Now).await?;
        let held = standing.map(|standing| standing.on_repository(caller));
        let held = held.unwrap_or_default();
        // In the order in which clients write them.
        let actions = [Action::Pull, Action::Push, Action::Delete];
        let actions = actions.into_iter().filter(|action| held.contains(*action));
        Ok(actions.map(Action::name).collect())
    }
}

/// A lifetime in seconds that ends with the caller's rights. At least a second, so that the token is one.
fn within(seconds: u32, authority: &Authority, now: Timestamp) -> u32 {
    let own = authority.own.as_ref();
    let Some(end) = own.and_then(|own| own.expires_at) else {
        return seconds;
    };
    let left = end.since(now).as_secs();
    u32::try_from(left).map_or(seconds, |left| seconds.min(left.max(1)))
}

/// Lifetime of a workload's registry token in seconds: never longer than its own token is valid.
fn lifetime_of(workload: &Workload, scopes: &[Scope], now: Timestamp) -> Result<u32> {
    let projects = scopes.iter().filter_map(|scope| {
        let name: RepositoryName = scope.name().parse().ok()?;
        (scope.kind() == "repository").then(|| name.project())
    });
    let projects: Vec<ProjectName> = projects.collect();
    let left = workload.expires_at.seconds() - now.seconds();
    match u32::try_from(left) {
        Ok(left) if left > 0 => Ok(left.min(workload.token_secs(&projects))),
        _ => Err(Error::SubjectToken),
    }
}

fn claim_of(workload: &Workload) -> WorkloadClaim {
    let rules = workload.rules.iter();
    WorkloadClaim {
        rules: rules
            .map(|rule| (rule.principal, rule.generation))
            .collect(),
        exp: workload.expires_at.seconds(),
    }
}

fn workload_of(claim: &WorkloadClaim) -> Workload {
    let rules = claim.rules.iter();
    let rules = rules.map(|&(principal, generation)| WorkloadRule {
        principal,
        generation,
    });
    Workload {
        rules: rules.collect(),
        // A token cannot be exchanged for another one.
        lifetimes: Vec::new(),
        expires_at: Timestamp(claim.exp.saturating_mul(1_000_000)),
    }
}

fn holder(caller: &Caller) -> Holder {
    match caller.id() {
        None => Holder::anonymous(),
        Some(principal) => Holder {
            name: caller.name().to_owned(),
            principal: Some(principal),
            generation: caller.authority.generation,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use policy::OwnRights;

    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_000_000);

    fn ending(expires_at: Option<Timestamp>) -> Authority {
        Authority {
            own: Some(OwnRights {
                expires_at,
                ..OwnRights::default()
            }),
            ..Authority::default()
        }
    }

    #[test]
    fn a_token_lives_no_longer_than_the_rights_in_it() {
        let in_seconds = |seconds| ending(Some(NOW.plus(Duration::from_secs(seconds))));
        assert_eq!(within(1_800, &Authority::default(), NOW), 1_800);
        assert_eq!(within(1_800, &ending(None), NOW), 1_800);
        assert_eq!(within(1_800, &in_seconds(60), NOW), 60);
        assert_eq!(within(1_800, &in_seconds(3_600), NOW), 1_800);
        assert_eq!(
            within(1_800, &in_seconds(u64::from(u32::MAX) + 1), NOW),
            1_800
        );
        assert_eq!(within(1_800, &in_seconds(0), NOW), 1);
    }
}
