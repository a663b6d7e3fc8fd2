//! Testing a token: which rules of a project it matches, and what the others require.

use db::list::Selection;
use db::workload_rule::{self, Rule};
use futures_util::future::join_all;
use model::{ProjectId, Timestamp, WorkloadRuleId};
use policy::{ProjectPermit, Role, on, to};

use super::Workloads;
use super::keys::KeySource;
use super::subject_token::SubjectToken;
use crate::error::Result;

/// The result of testing a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Its issuer; empty if it is not a token.
    pub issuer: String,
    /// Its subject.
    pub subject: String,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
    /// Why it is refused whatever the rules say.
    pub problem: Option<String>,
    /// The result for each rule of the project.
    pub rules: Vec<Verdict>,
}

impl Explanation {
    /// True if a rule admits the token.
    pub fn admits(&self) -> bool {
        self.problem.is_none() && self.rules.iter().any(|rule| rule.problems.is_empty())
    }
}

/// The result of one rule for a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The rule's id.
    pub id: WorkloadRuleId,
    /// Its name.
    pub name: String,
    /// The role that it gives.
    pub role: Role,
    /// Why it does not admit the token; empty if it does.
    pub problems: Vec<String>,
}

impl Workloads {
    /// Tests a token against the rules of a project. Nothing is issued or recorded.
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

    /// Keys are used only if all conditions are met, so that no issuer is asked in vain.
    async fn verdict(&self, token: &SubjectToken, rule: Rule) -> Result<Verdict> {
        let conditions = rule.conditions()?;
        let mut problems = conditions.unmet(token.claims());
        if problems.is_empty() {
            let source = KeySource::new(&conditions.issuer, rule.jwks, rule.ca);
            let checked = self.keys.verify(&source, token).await;
            problems.extend(
                checked
                    .err()
                    .map(|reason| format!("signature: {}", reason.for_project())),
            );
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
