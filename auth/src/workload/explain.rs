//! Trying a token out: which rules of a project it meets, and what the others want.

use db::list::Selection;
use db::workload_rule::{self, Rule};
use futures_util::future::join_all;
use model::{ProjectId, Timestamp, WorkloadRuleId};
use policy::{ProjectPermit, Role, on, to};

use super::Workloads;
use super::keys::KeySource;
use super::subject_token::SubjectToken;
use crate::error::Result;

/// What a token would open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Its issuer; empty if it is no token.
    pub issuer: String,
    /// Its subject.
    pub subject: String,
    /// Until when it is valid.
    pub expires_at: Option<Timestamp>,
    /// Why it is refused whatever the rules say.
    pub problem: Option<String>,
    /// What each rule of the project says of it.
    pub rules: Vec<Verdict>,
}

impl Explanation {
    /// True if a rule lets the token in.
    pub fn admits(&self) -> bool {
        self.problem.is_none() && self.rules.iter().any(|rule| rule.problems.is_empty())
    }
}

/// What one rule says of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The rule's id.
    pub id: WorkloadRuleId,
    /// Its name.
    pub name: String,
    /// The role that it gives.
    pub role: Role,
    /// Why it does not let the token in; empty if it does.
    pub problems: Vec<String>,
}

impl Workloads {
    /// What the rules of a project say of a token. Nothing is issued, and nothing recorded.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn explain(
        &self,
        permit: &ProjectPermit<on::WorkloadRule, to::Operate>,
        text: &str,
    ) -> Result<Explanation> {
        let Some(token) = SubjectToken::parse(text.trim()) else {
            return Ok(not_a_token());
        };
        let checked = token.check(self.clock.now());
        let rules = self.rules(permit.project().id).await?;
        let verdicts = rules.into_iter().map(|rule| self.verdict(&token, rule));
        let verdicts = join_all(verdicts).await.into_iter();
        Ok(Explanation {
            issuer: token.issuer().to_owned(),
            subject: token.subject().to_owned(),
            expires_at: checked.as_ref().ok().copied(),
            problem: checked.err(),
            rules: verdicts.collect::<Result<_>>()?,
        })
    }

    async fn rules(&self, project: ProjectId) -> Result<Vec<Rule>> {
        let mut reader = self.db.reader().await?;
        let (rules, _) = workload_rule::list(&mut reader, project, &Selection::all()).await?;
        Ok(rules)
    }

    /// Keys are looked at only for what meets all conditions, so that no issuer is asked in vain.
    async fn verdict(&self, token: &SubjectToken, rule: Rule) -> Result<Verdict> {
        let conditions = rule.conditions()?;
        let mut problems = conditions.unmet(token.claims());
        if problems.is_empty() {
            let source = KeySource::new(&conditions.issuer, rule.jwks, rule.ca);
            let checked = self.keys.verify(&source, token).await;
            problems.extend(checked.err().map(|reason| format!("signature: {reason}")));
        }
        Ok(Verdict {
            id: rule.id,
            name: rule.name,
            role: rule.role,
            problems,
        })
    }
}

fn not_a_token() -> Explanation {
    let problem = "it is no JWT with iss and sub: three parts, separated by dots";
    Explanation {
        issuer: String::new(),
        subject: String::new(),
        expires_at: None,
        problem: Some(problem.to_owned()),
        rules: Vec::new(),
    }
}
