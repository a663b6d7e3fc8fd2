//! Workload rules. Their conditions are in [`model::workload`]; what all principals have, in [`crate::principal`].

use std::collections::{BTreeMap, HashMap};

use model::workload::subject_keys;
use model::{
    ClaimPattern, Issuer, PrincipalId, ProjectId, ProjectName, Timestamp, WorkloadConditions,
    WorkloadRuleId,
};
use policy::Role;

use crate::error::{Error, Result};
use crate::list::{self, Conditions, Field, Kind, Selection, Source};
use crate::principal;
use crate::sql::{Reader, Row, Tx, json_list, row};
use crate::touch::Touch;

/// Rules whose subjects are looked at for one token.
const MOST_CANDIDATES: i64 = 2_000;
/// Rules of one project whose claims are looked at for one token, so that no project takes the places of another's.
const MOST_OF_PROJECT: usize = 50;
/// Rules whose claims are looked at for one token.
const MOST_MATCHING: usize = 500;

row! {
    columns rule_columns;
    /// A rule as it is stored.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Rule of workload_rule {
        /// Its id.
        pub id: WorkloadRuleId = w.id,
        /// Its id among principals.
        pub principal_id: PrincipalId = w.principal_id,
        /// Its project.
        pub project_id: ProjectId = w.project_id,
        /// Its name within the project.
        pub name: String = w.name,
        issuer: String = w.issuer,
        audience: String = w.audience,
        subject: String = w.subject,
        claims: String = w.claims,
        /// The role that it gives.
        pub role: Role = w.role,
        /// Maximum lifetime of registry tokens in seconds.
        pub lifetime: i64 = w.lifetime,
        /// The issuer's keys as a JWK set; `None` if they are read from the issuer.
        pub jwks: Option<String> = w.jwks,
        /// Authorities for the issuer's certificate, in PEM.
        pub ca: Option<String> = w.ca,
        /// When it was made.
        pub created_at: Timestamp = w.created_at,
        /// When it was last changed.
        pub updated_at: Timestamp = w.updated_at,
    }
}

impl Rule {
    /// What it requires of a token.
    ///
    /// # Errors
    /// [`Error::Corrupt`].
    pub fn conditions(&self) -> Result<WorkloadConditions> {
        let texts = (&*self.issuer, &*self.audience, &*self.subject);
        conditions(texts, &self.claims)
    }
}

fn conditions(
    (issuer, audience, subject): (&str, &str, &str),
    claims: &str,
) -> Result<WorkloadConditions> {
    Ok(WorkloadConditions {
        issuer: issuer.parse().map_err(|_| corrupt("issuer"))?,
        audience: audience.to_owned(),
        subject: subject.parse().map_err(|_| corrupt("subject"))?,
        claims: serde_json::from_str(claims).map_err(|_| corrupt("claims"))?,
    })
}

const fn corrupt(column: &'static str) -> Error {
    Error::Corrupt {
        table: "workload_rule",
        column,
    }
}

/// Id.
pub const ID: Field = Field::new("id", Kind::Int, "w.id").unique();

/// Fields by which lists can be filtered and sorted.
pub const FIELDS: [Field; 5] = [
    ID,
    Field::new("name", Kind::Text, "w.name"),
    Field::new("issuer", Kind::Text, "w.issuer"),
    Field::new("creation_time", Kind::Time, "w.created_at"),
    Field::new("update_time", Kind::Time, "w.updated_at"),
];

const SOURCE: Source = Source {
    name: "workload_rule.list",
    columns: rule_columns!(),
    from: "workload_rule w",
    id: "w.id",
    order: ID,
};

/// Rules of a project, and how many there are in all.
///
/// # Errors
/// When a statement fails.
pub async fn list(
    reader: &mut Reader,
    project: ProjectId,
    selection: &Selection,
) -> Result<(Vec<Rule>, i64)> {
    let of_project = Conditions::default().and_value("w.project_id = $", project);
    list::list(reader, &SOURCE, of_project, selection, Rule::read).await
}

/// A rule of a project.
///
/// # Errors
/// When the statement fails.
pub async fn get(
    reader: &mut Reader,
    project: ProjectId,
    id: WorkloadRuleId,
) -> Result<Option<Rule>> {
    let row = reader
        .query(concat!(
            "select ",
            rule_columns!(),
            " from workload_rule w where w.project_id = $1 and w.id = $2"
        ))
        .bind(project)
        .bind(id)
        .optional()
        .await?;
    row.as_ref().map(Rule::read).transpose()
}

/// A rule that may match a token, without the issuer's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its id.
    pub id: WorkloadRuleId,
    /// Its id among principals.
    pub principal: PrincipalId,
    /// Its generation: once that has changed, it is another rule.
    pub generation: i64,
    /// Its project's name.
    pub project: ProjectName,
    /// What it requires.
    pub conditions: WorkloadConditions,
    /// Maximum lifetime of registry tokens in seconds.
    pub lifetime: u32,
}

/// The rules of living projects that a token may meet, by its issuer, audiences and subject, the oldest of each project first: 500 at most,
/// 50 of a project. Their claims are read for no others.
///
/// # Errors
/// When a statement fails.
pub async fn candidates(
    reader: &mut Reader,
    (issuer, subject): (&str, &str),
    audiences: impl Iterator<Item = &str>,
) -> Result<Vec<Candidate>> {
    macro_rules! select {
        ($keys:literal, $audiences:literal) => {
            concat!(
                "select w.id, w.project_id, w.subject, row_number() over (partition by w.project_id order by w.id) as place
                 from workload_rule w join principal p on p.id = w.principal_id join project o on o.id = w.project_id
                 where w.issuer = $1 and p.deleted_at is null and o.deleted_at is null and w.subject_key ",
                $keys,
                " and w.audience ",
                $audiences,
                " order by place, w.id limit $4"
            )
        };
    }
    let rows = reader
        .query_either(
            select!(
                "in (select value from json_each($2))",
                "in (select value from json_each($3))"
            ),
            select!(
                "= any (array(select json_array_elements_text(cast($2 as json))))",
                "= any (array(select json_array_elements_text(cast($3 as json))))"
            ),
        )
        .bind(issuer)
        .bind(json_list(subject_keys(subject)))
        .bind(json_list(audiences))
        .bind(MOST_CANDIDATES)
        .all()
        .await?;
    let mut of_project: HashMap<ProjectId, usize> = HashMap::new();
    let mut matching: Vec<WorkloadRuleId> = Vec::new();
    for row in &rows {
        let pattern: String = row.get("workload_rule", "subject")?;
        let pattern: ClaimPattern = pattern.parse().map_err(|_| corrupt("subject"))?;
        if !pattern.matches(subject) {
            continue;
        }
        let project = row.get("workload_rule", "project_id")?;
        let taken = of_project.entry(project).or_default();
        if *taken < MOST_OF_PROJECT && matching.len() < MOST_MATCHING {
            *taken += 1;
            matching.push(row.get("workload_rule", "id")?);
        }
    }
    let places = matching.iter().enumerate();
    let places: HashMap<WorkloadRuleId, usize> = places.map(|(place, id)| (*id, place)).collect();
    let mut found = whole(reader, &matching).await?;
    found.sort_by_key(|rule| places.get(&rule.id).copied());
    Ok(found)
}

/// Rules by their ids.
async fn whole(reader: &mut Reader, ids: &[WorkloadRuleId]) -> Result<Vec<Candidate>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    macro_rules! select {
        ($ids:literal) => {
            concat!(
                "select w.id, w.principal_id, p.generation, o.name as project_name, w.issuer, w.audience, w.subject, w.claims, w.lifetime
                 from workload_rule w join principal p on p.id = w.principal_id join project o on o.id = w.project_id
                 where p.deleted_at is null and o.deleted_at is null and w.id ",
                $ids,
                " order by w.id"
            )
        };
    }
    let rows = reader
        .query_either(
            select!("in (select value from json_each($1))"),
            select!(
                "= any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint)))"
            ),
        )
        .bind(json_list(ids.iter().map(|id| id.0)))
        .all()
        .await?;
    rows.iter().map(candidate).collect()
}

fn candidate(row: &Row) -> Result<Candidate> {
    let text = |column| row.get::<String>("workload_rule", column);
    let (issuer, audience, subject) = (text("issuer")?, text("audience")?, text("subject")?);
    let lifetime: i64 = row.get("workload_rule", "lifetime")?;
    Ok(Candidate {
        id: row.get("workload_rule", "id")?,
        principal: row.get("workload_rule", "principal_id")?,
        generation: row.get("principal", "generation")?,
        project: row.get("project", "project_name")?,
        conditions: conditions((&issuer, &audience, &subject), &text("claims")?)?,
        lifetime: u32::try_from(lifetime).unwrap_or_default(),
    })
}

/// The given keys and authorities of a rule; `None` if it was deleted or changed.
///
/// # Errors
/// When the statement fails.
pub async fn keys_of(
    reader: &mut Reader,
    candidate: &Candidate,
) -> Result<Option<(Option<String>, Option<String>)>> {
    let row = reader
        .query(
            "select w.jwks, w.ca from workload_rule w join principal p on p.id = w.principal_id
             where w.id = $1 and p.generation = $2 and p.deleted_at is null",
        )
        .bind(candidate.id)
        .bind(candidate.generation)
        .optional()
        .await?;
    let read = |row: Row| {
        Ok((
            row.get("workload_rule", "jwks")?,
            row.get("workload_rule", "ca")?,
        ))
    };
    row.map(read).transpose()
}

/// True if there is a rule of an issuer.
///
/// # Errors
/// When the statement fails.
pub async fn is_issuer(reader: &mut Reader, issuer: &str) -> Result<bool> {
    let row = reader
        .query("select id from workload_rule where issuer = $1 limit 1")
        .bind(issuer)
        .optional()
        .await?;
    Ok(row.is_some())
}

/// How many rules a project has.
///
/// # Errors
/// When the statement fails.
pub async fn count(reader: &mut Reader, project: ProjectId) -> Result<i64> {
    let row = reader
        .query("select count(*) as total from workload_rule where project_id = $1")
        .bind(project)
        .one()
        .await?;
    row.get("workload_rule", "total")
}

/// The content of a rule, as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Its name within the project.
    pub name: String,
    /// What it requires of a token.
    pub conditions: WorkloadConditions,
    /// The role that it gives.
    pub role: Role,
    /// Maximum lifetime of registry tokens in seconds.
    pub lifetime: u32,
    /// The issuer's keys as a JWK set; `None` to read them from the issuer.
    pub jwks: Option<String>,
    /// Authorities for the issuer's certificate, in PEM.
    pub ca: Option<String>,
}

impl Content {
    fn issuer(&self) -> &Issuer {
        &self.conditions.issuer
    }

    fn subject(&self) -> &ClaimPattern {
        &self.conditions.subject
    }

    fn claims(&self) -> String {
        let claims: &BTreeMap<String, ClaimPattern> = &self.conditions.claims;
        // Only texts, which can always be serialized.
        serde_json::to_string(claims).unwrap_or_default()
    }
}

/// Makes a rule, which takes effect at once.
///
/// # Errors
/// [`Error::Duplicate`] if the project has one with the name.
pub async fn create(
    tx: &mut Tx,
    project: ProjectId,
    content: &Content,
    now: Timestamp,
) -> Result<WorkloadRuleId> {
    let principal = principal::create(tx, principal::Kind::Workload, &content.name).await?;
    let row = tx
        .query(
            "insert into workload_rule (principal_id, project_id, name, issuer, audience, subject, subject_key, claims, role,
                 lifetime, jwks, ca, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13) returning id",
        )
        .bind(principal)
        .bind(project)
        .bind(content.name.as_str())
        .bind(content.issuer().as_str())
        .bind(content.conditions.audience.as_str())
        .bind(content.subject().as_str())
        .bind(content.subject().key())
        .bind(content.claims())
        .bind(content.role.id())
        .bind(i64::from(content.lifetime))
        .bind(content.jwks.as_deref())
        .bind(content.ca.as_deref())
        .bind(now)
        .one()
        .await?;
    row.get("workload_rule", "id")
}

/// Replaces a rule. Tokens that it gave before are void.
///
/// # Errors
/// [`Error::Duplicate`] if the project has another one with the name.
pub async fn update(tx: &mut Tx, rule: &Rule, content: &Content, now: Timestamp) -> Result<()> {
    tx.query(
        "update workload_rule set name = $2, issuer = $3, audience = $4, subject = $5, subject_key = $6, claims = $7,
             role = $8, lifetime = $9, jwks = $10, ca = $11, updated_at = $12
         where id = $1",
    )
    .bind(rule.id)
    .bind(content.name.as_str())
    .bind(content.issuer().as_str())
    .bind(content.conditions.audience.as_str())
    .bind(content.subject().as_str())
    .bind(content.subject().key())
    .bind(content.claims())
    .bind(content.role.id())
    .bind(i64::from(content.lifetime))
    .bind(content.jwks.as_deref())
    .bind(content.ca.as_deref())
    .bind(now)
    .execute()
    .await?;
    tx.query("update principal set name = $2 where id = $1")
        .bind(rule.principal_id)
        .bind(content.name.as_str())
        .execute()
        .await?;
    principal::void_tokens(tx, rule.principal_id).await
}

/// Deletes a rule. Tokens that it gave are void.
///
/// # Errors
/// When a statement fails.
pub async fn delete(tx: &mut Tx, rule: &Rule, now: Timestamp) -> Result<()> {
    tx.query("delete from workload_rule where id = $1")
        .bind(rule.id)
        .execute()
        .await?;
    principal::delete(tx, rule.principal_id, now).await
}

/// Deletes the rules of a deleted project.
pub(crate) async fn delete_of_project(
    tx: &mut Tx,
    project: ProjectId,
    now: Timestamp,
) -> Result<()> {
    tx.query(
        "update principal set generation = generation + 1, deleted_at = $2
         where id in (select principal_id from workload_rule where project_id = $1)",
    )
    .bind(project)
    .bind(now)
    .execute()
    .await?;
    tx.query("delete from workload_rule where project_id = $1")
        .bind(project)
        .execute()
        .await?;
    tx.touch(Touch::Everything);
    Ok(())
}
