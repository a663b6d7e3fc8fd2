//! Workloads: CI jobs and pods with a token of their own issuer, admitted by rules of projects. Nothing in a token is
//! trusted before its signature is checked; until then its issuer and subject only select rules. Each rule is separate:
//! its project's administrators decide whose keys count for it, and for no other rule.

mod certificate;
mod explain;
mod keys;
mod rights;
mod rule;
mod subject_token;

use std::collections::HashMap;
use std::sync::Arc;

use db::workload_rule::{self, Candidate};
use db::{Age, Db};
use futures_util::future::join_all;
use model::workload::nameable_audiences;
use model::{Clock, ProjectName};
use outgoing::Guard;
use policy::{Authority, Workload, WorkloadRule};
use tracing::instrument;

pub use certificate::{Admitted, CertificateOwner};
pub use explain::{Explanation, Verdict};
pub use rule::RuleText;

pub(crate) use rights::bind;

use self::keys::{KeySource, Keys};
use self::subject_token::SubjectToken;
use crate::error::Result;

/// Maximum rules that apply to one token; further ones are ignored.
const MOST_RULES: usize = 50;
/// Sources of keys of one project that a token is checked by, so that no project takes the places of another's.
const MOST_SOURCES_OF_PROJECT: usize = 5;
/// Sources of keys that a token is checked by.
const MOST_SOURCES: usize = 100;

/// Authenticates workloads.
pub struct Workloads {
    db: Db,
    clock: Arc<dyn Clock>,
    keys: Keys,
}

/// The result for a token.
pub(crate) enum Admission {
    /// No rule names its issuer.
    Unknown,
    /// It is refused.
    Refused {
        /// The subject and the issuer that it claims to have.
        claimed: String,
        /// Why, for administrators.
        reason: String,
    },
    /// It is admitted.
    Admitted(Arc<Authority>),
}

impl Workloads {
    /// Uses the rules in `db`. Connections to issuers, for their keys, are subject to `guard`.
    pub fn new(db: Db, clock: Arc<dyn Clock>, guard: Arc<Guard>) -> Self {
        Self {
            db,
            clock,
            keys: Keys::new(guard),
        }
    }

    /// Checks a token against the rules.
    #[instrument(name = "auth.workload.admit", level = "debug", skip_all)]
    pub(crate) async fn admit(&self, text: &str) -> Result<Admission> {
        let Some(token) = SubjectToken::parse(text) else {
            return Ok(Admission::Unknown);
        };
        let mut reader = self.db.reader().await?;
        let (issuer, subject) = (token.issuer(), token.subject());
        let audiences = nameable_audiences(token.claims());
        let named = (issuer, subject);
        let candidates = workload_rule::candidates(&mut reader, named, audiences).await?;
        if candidates.is_empty() && !workload_rule::is_issuer(&mut reader, issuer).await? {
            return Ok(Admission::Unknown);
        }
        drop(reader);
        match self.judge(&token, candidates).await? {
            Ok(authority) => Ok(Admission::Admitted(authority)),
            Err(reason) => Ok(Admission::Refused {
                claimed: token.claimed(),
                reason,
            }),
        }
    }

    /// The authority that some rules give a token, or why there is none.
    async fn judge(
        &self,
        token: &SubjectToken,
        candidates: Vec<Candidate>,
    ) -> Result<Result<Arc<Authority>, String>> {
        let now = self.clock.now();
        let expires_at = match token.check(now) {
            Ok(expires_at) => expires_at,
            Err(reason) => return Ok(Err(reason)),
        };
        let met = candidates.into_iter();
        let met = met.filter(|rule| rule.conditions.has_claims(token.claims()));
        let met: Vec<Candidate> = met.collect();
        if met.is_empty() {
            return Ok(Err(
                "no rule of a project matches its subject, audience and claims".to_owned(),
            ));
        }
        let (proven, reason) = self.proven(token, met).await?;
        if proven.is_empty() {
            return Ok(Err(reason));
        }
        let lifetimes = proven.iter();
        let workload = Workload {
            lifetimes: lifetimes
                .map(|rule| (rule.project.clone(), rule.lifetime))
                .collect(),
            rules: proven.iter().map(rule_of).collect(),
            expires_at,
        };
        let bound = bind(&self.db, &Arc::new(workload), &token.claimed(), Age::Now).await?;
        Ok(bound.ok_or_else(|| "its rules were deleted or changed meanwhile".to_owned()))
    }

    /// Those of some rules whose keys signed a token, and why the others do not match.
    async fn proven(
        &self,
        token: &SubjectToken,
        rules: Vec<Candidate>,
    ) -> Result<(Vec<Candidate>, String)> {
        let mut reader = self.db.reader().await?;
        let mut by_source: HashMap<KeySource, Vec<Candidate>> = HashMap::new();
        let mut of_project: HashMap<ProjectName, usize> = HashMap::new();
        for rule in rules {
            let Some((jwks, ca)) = workload_rule::keys_of(&mut reader, &rule).await? else {
                continue;
            };
            let source = KeySource::new(&rule.conditions.issuer, jwks, ca);
            if !by_source.contains_key(&source) {
                let taken = of_project.entry(rule.project.clone()).or_default();
                if *taken == MOST_SOURCES_OF_PROJECT || by_source.len() == MOST_SOURCES {
                    continue;
                }
                *taken += 1;
            }
            by_source.entry(source).or_default().push(rule);
        }
        drop(reader);
        let checks = by_source.into_iter().map(async |(source, rules)| {
            let checked = self.keys.verify(&source, token).await;
            (checked, rules)
        });
        let (mut proven, mut reasons) = (Vec::new(), Vec::new());
        for (checked, rules) in join_all(checks).await {
            match checked {
                Ok(()) => proven.extend(rules),
                Err(reason) => {
                    let projects = rules.iter().map(|rule| rule.project.to_string());
                    let projects: Vec<String> = projects.collect();
                    reasons.push(format!("{reason} (rules of {})", projects.join(", ")));
                }
            }
        }
        let mut proven = the_first_of_each(proven, MOST_RULES);
        proven.sort_by_key(|rule| rule.id);
        Ok((proven, reasons.join("; ")))
    }
}

/// So many rules, of each project the first, then of each the second, and so on: no project's rules take the places of
/// another's.
fn the_first_of_each(mut rules: Vec<Candidate>, most: usize) -> Vec<Candidate> {
    rules.sort_by_key(|rule| rule.id);
    let mut of_project: HashMap<ProjectName, usize> = HashMap::new();
    let mut placed: Vec<(usize, Candidate)> = Vec::with_capacity(rules.len());
    for rule in rules {
        let place = of_project.entry(rule.project.clone()).or_default();
        *place += 1;
        placed.push((*place, rule));
    }
    placed.sort_by_key(|(place, _)| *place);
    placed.truncate(most);
    placed.into_iter().map(|(_, rule)| rule).collect()
}

fn rule_of(candidate: &Candidate) -> WorkloadRule {
    WorkloadRule {
        principal: candidate.principal,
        generation: candidate.generation,
    }
}
