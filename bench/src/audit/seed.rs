//! Makes events by SQL, evenly over two years: users, projects, repositories and tags in turn, in orders of their own.

use db::audit::{Filter, partition};
use db::{Db, audit};
use model::{Operation, Timestamp};

use crate::scale::seed::{FIRST_ID, in_dialect, series, stored};
use crate::stage::Stage;

const USERS: i64 = 1_009;
const PROJECTS: i64 = 499;
/// In each project.
const REPOSITORIES: i64 = 20;
const TAGS: i64 = 997;
/// Microseconds since 1970 of the first event, and how long the log is.
const BEGIN: i64 = 1_700_000_000_000_000;
const DAY: i64 = 24 * 3_600 * 1_000_000;
const SPAN: i64 = 730 * DAY;

/// The log, whose events are numbered from 0.
pub(super) struct Log {
    pub(super) events: i64,
    /// The id of the last row before them.
    base: i64,
}

/// What a page is narrowed by.
#[derive(Clone, Copy)]
pub(super) enum By {
    User,
    Project,
    Repository,
    Tag,
    Rare,
    Frequent,
}

impl By {
    pub(super) const ALL: [Self; 6] = [
        Self::User,
        Self::Project,
        Self::Repository,
        Self::Tag,
        Self::Rare,
        Self::Frequent,
    ];

    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Project => "project",
            Self::Repository => "repository",
            Self::Tag => "tag",
            Self::Rare => "operation, 1 of 20",
            Self::Frequent => "operation, 15 of 20",
        }
    }

    /// One of how many events fits.
    pub(super) const fn one_of(self) -> i64 {
        match self {
            Self::User => USERS,
            Self::Project => PROJECTS,
            Self::Repository => PROJECTS * REPOSITORIES,
            Self::Tag => TAGS,
            Self::Rare => 20,
            Self::Frequent => 1,
        }
    }

    /// A filter by the value of an event.
    pub(super) fn filter(self, event: i64) -> Result<Filter, String> {
        let project = event % PROJECTS;
        let mut filter = Filter::default();
        match self {
            Self::User => filter.principal = Some(format!("user-{}", event % USERS)),
            Self::Project => filter.project = Some(parsed(&format!("audit-{project}"))?),
            Self::Repository => {
                let name = format!("audit-{project}/r{}", event / PROJECTS % REPOSITORIES);
                filter.repository = Some(parsed(&name)?);
            }
            Self::Tag => filter.tag = Some(parsed(&format!("v{}", event % TAGS))?),
            Self::Rare => filter.operation = Some(Operation::Delete),
            Self::Frequent => filter.operation = Some(Operation::Pull),
        }
        Ok(filter)
    }
}

fn parsed<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text} is no name"))
}

impl Log {
    /// A database with partitions for all of them, where it has partitions.
    pub(super) async fn prepare(db: &Db, events: i64) -> Result<Self, String> {
        for days in (0..=SPAN / DAY).step_by(30) {
            let made = partition::make_ahead(db, Timestamp(BEGIN + days * DAY)).await;
            made.map_err(|error| error.to_string())?;
        }
        let mut reader = db.reader().await.map_err(|error| error.to_string())?;
        let newest = audit::list(&mut reader, &Filter::default(), 1).await;
        let newest = newest.map_err(|error| error.to_string())?;
        let base = newest.first().map_or(0, |listed| listed.entry.id);
        Ok(Self { events, base })
    }

    pub(super) fn at(&self, event: i64) -> Timestamp {
        Timestamp(BEGIN + event * (SPAN / self.events))
    }

    pub(super) const fn id(&self, event: i64) -> i64 {
        self.base + 1 + event
    }

    /// Makes them; the indexes are built afterwards.
    pub(super) fn fill(&self, stage: &Stage<'_>) -> Result<(), String> {
        let indexes = indexes(stage)?;
        let (before, after) = if stage.is_postgres() {
            (
                "set synchronous_commit = off; set maintenance_work_mem = '512MB';",
                "select setval('audit_id_seq', (select max(id) from audit)); vacuum analyze;",
            )
        } else {
            (
                "pragma synchronous = off; pragma cache_size = -1000000;",
                "pragma wal_checkpoint(truncate);",
            )
        };
        let drop: String = NAMES
            .map(|name| format!("drop index audit_{name};"))
            .concat();
        let statements = format!(
            "{before} {drop}\n{}\n{}\n{indexes}\n{after}",
            projects(),
            in_dialect(stage, &self.rows())
        );
        stage.sql(&statements)?;
        Ok(())
    }

    fn rows(&self) -> String {
        let project = format!("(value % {PROJECTS})");
        let repository =
            format!("'audit-' || {project} || '/r' || (value / {PROJECTS} % {REPOSITORIES})");
        format!(
            "insert into audit (id, at, principal_id, principal_name, address, operation, resource_type, resource, project_id,
                 repository, tag, digest, success, times, detail)
             select {first} + value, {BEGIN} + value * {step}, 1000 + value % {USERS}, 'user-' || (value % {USERS}),
                 '192.0.2.' || (value % 256),
                 case when value % 20 < 1 then 'delete' when value % 20 < 5 then 'create' else 'pull' end,
                 'artifact', {repository} || ':v' || (value % {TAGS}), {FIRST_ID} + {project}, {repository},
                 'v' || (value % {TAGS}), {digest}, 1, 1, '' from {series};",
            first = self.id(0),
            step = SPAN / self.events,
            digest = stored("value", 'a'),
            series = series(self.events.unsigned_abs()),
        )
    }
}

fn projects() -> String {
    format!(
        "insert into project (id, name, owner_id, public, storage_limit, created_at, updated_at)
         select {FIRST_ID} + value, 'audit-' || value, 1, 0, -1, {BEGIN}, {BEGIN} from {};",
        series(PROJECTS.unsigned_abs())
    )
}

/// The indexes that the log is searched by.
pub(super) const NAMES: [&str; 6] = [
    "at",
    "project",
    "principal",
    "repository",
    "tag",
    "operation",
];

/// Statements that make them as they are.
fn indexes(stage: &Stage<'_>) -> Result<String, String> {
    let statements = stage.sql(if stage.is_postgres() {
        "select replace(indexdef, ' ON ONLY ', ' ON ') || ';' from pg_indexes
         where tablename = 'audit' and indexname <> 'audit_pkey';"
    } else {
        "select sql || ';' from sqlite_schema where type = 'index' and tbl_name = 'audit' and sql is not null;"
    })?;
    match statements.matches("CREATE INDEX").count() + statements.matches("create index").count() {
        6 => Ok(statements),
        found => Err(format!("the log has {found} indexes: {statements}")),
    }
}
