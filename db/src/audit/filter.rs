//! Which entries of the log a list shows, as conditions of its statement.
//!
//! Each condition with an index leads to one range of that index, which ends with time and id, so that a page costs the
//! same wherever it is. If a list shows a principal's own entries and those of some projects, each of these is a range
//! of its own, and the ranges are merged.

use model::{
    EventType, Operation, PrincipalId, ProjectId, ProjectName, RepositoryName, Tag, Timestamp,
};

use crate::error::Result;
use crate::list::{Conditions, Direction, Field, Kind, Selection, Test, containing, like};
use crate::sql::Reader;

/// Id.
pub const ID: Field = Field::new("id", Kind::Int, "e.id").unique();
/// When it was written.
pub const TIME: Field = Field::new("op_time", Kind::Time, "e.at");
/// Whether it was done.
pub const RESULT: Field = Field::new("operation_result", Kind::Flag, "e.success").unsorted();
/// What kind of thing something is done to.
pub const RESOURCE_TYPE: Field =
    Field::new("resource_type", Kind::Text, "e.resource_type").unsorted();
/// The name of its project.
const PROJECT: Field = Field::new(
    "project",
    Kind::Text,
    "(select p.name from project p where p.id = e.project_id)",
)
.unsorted();

/// Fields by which lists can be filtered; they are sorted by time only.
pub const FIELDS: [Field; 14] = [
    ID,
    TIME,
    RESULT,
    PROJECT,
    Field::new("username", Kind::Text, "e.principal_name").unsorted(),
    Field::new("operation", Kind::Text, "e.operation").unsorted(),
    Field::new("resource", Kind::Text, "e.resource").unsorted(),
    RESOURCE_TYPE,
    Field::new("repository", Kind::Text, "e.repository").unsorted(),
    Field::new("tag", Kind::Text, "e.tag").unsorted(),
    Field::new("address", Kind::Text, "e.address").unsorted(),
    Field::new("user_agent", Kind::Text, "e.agent").unsorted(),
    Field::new("project_id", Kind::Int, "e.project_id").unsorted(),
    Field::new(
        "event_type",
        Kind::Text,
        "(e.operation || '_' || e.resource_type)",
    )
    .unsorted(),
];

/// Fields with an index, those first that lead to the fewest entries.
const INDEXED: [&str; 6] = [
    "repository",
    "tag",
    "username",
    "project",
    "project_id",
    "operation",
];

/// Whose entries a list shows.
#[derive(Clone, Debug, Default)]
pub enum Scope {
    /// All.
    #[default]
    Everything,
    /// Those of a project.
    Project(ProjectId),
    /// A principal's own, and those of some projects.
    Own {
        /// The principal.
        principal: PrincipalId,
        /// Its name, which entries are found by.
        name: String,
        /// The projects.
        projects: Vec<ProjectId>,
    },
}

/// Maximum ranges to merge: more projects share one.
const RANGES: usize = 50;

/// Which entries a list shows: those that meet all conditions.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Whose they are.
    pub scope: Scope,
    /// The name of whoever did it.
    pub principal: Option<String>,
    /// The project that they belong to.
    pub project: Option<ProjectName>,
    /// The repository, or its content.
    pub repository: Option<RepositoryName>,
    /// The tag of a repository.
    pub tag: Option<Tag>,
    /// What was done.
    pub operation: Option<Operation>,
    /// Not before this time.
    pub from: Option<Timestamp>,
    /// Before this time.
    pub to: Option<Timestamp>,
    /// A text within the resource or the detail, and the time from which to search: no index helps.
    pub contains: Option<(String, Timestamp)>,
    /// Further conditions on [`FIELDS`].
    pub tests: Vec<(Field, Test)>,
    /// Types that are not shown.
    pub hidden: Vec<EventType>,
    /// Older than the entry with this id.
    pub before: Option<i64>,
}

/// The conditions of a statement, and those of its ranges: an entry meets one of these.
pub(super) struct Ranges {
    pub(super) conditions: Conditions,
    pub(super) ranges: Vec<String>,
}

impl Filter {
    /// The same, narrowed by a request's conditions on [`FIELDS`].
    #[must_use]
    pub fn narrowed(mut self, selection: &Selection) -> Self {
        for (field, test) in &selection.tests {
            match test {
                Test::Within(from, until) if *field == TIME => {
                    self.from = self.from.max(Some(*from));
                    let to = Timestamp(until.0.saturating_add(1));
                    self.to = Some(self.to.map_or(to, |known| known.min(to)));
                }
                test => self.tests.push((*field, test.clone())),
            }
        }
        self
    }

    /// The entries to read one by one, if no single index answers the search; otherwise `None`.
    pub(super) fn walked(&self) -> Option<Self> {
        let narrows =
            |(field, test): &&(Field, Test)| *field != ID && !matches!(test, Test::Flag(true));
        let asked: Vec<&(Field, Test)> = self.tests.iter().filter(narrows).collect();
        let exactly = |name: &&str| {
            let mut asked = asked.iter().copied();
            asked.find(|(field, test)| {
                field.name == *name && matches!(test, Test::Is(_) | Test::Number(_))
            })
        };
        let by_index = match self.scope {
            Scope::Everything => INDEXED.iter().find_map(exactly),
            // The index is on the scope.
            Scope::Project(_) | Scope::Own { .. } => None,
        };
        let asked = asked.len() + usize::from(!self.hidden.is_empty());
        (asked > usize::from(by_index.is_some())).then(|| Self {
            scope: self.scope.clone(),
            from: self.from,
            to: self.to,
            tests: by_index.cloned().into_iter().collect(),
            ..Self::default()
        })
    }

    pub(super) async fn ranges(&self, reader: &mut Reader) -> Result<Ranges> {
        let mut conditions = self.conditions(reader).await?;
        let ranges = self.scope.ranges(&mut conditions);
        Ok(Ranges { conditions, ranges })
    }

    async fn conditions(&self, reader: &mut Reader) -> Result<Conditions> {
        let mut all = Conditions::default();
        if let Some(name) = &self.principal {
            all = all.and_value("e.principal_name = $", name.as_str());
        }
        if let Some(name) = &self.project {
            all = all.and_any("e.project_id", &projects(reader, name.as_str()).await?);
        }
        if let Some(name) = &self.repository {
            all = all.and_value("e.repository = $", name.as_str());
        }
        if let Some(tag) = &self.tag {
            all = all.and_value("e.tag = $", tag.as_str());
        }
        if let Some(operation) = self.operation {
            all = all.and_value("e.operation = $", operation.name());
        }
        all = self.asked(reader, all).await?;
        for hidden in &self.hidden {
            let values = [hidden.operation(), hidden.resource_type()];
            let text = "not (e.operation = $ and e.resource_type = $)";
            all = all.and_values(text, values.map(Into::into));
        }
        if let Some((text, _)) = &self.contains {
            let holds = |column| like(reader.is_postgres(), column);
            let either = format!("({} or {})", holds("e.resource"), holds("e.detail"));
            all = all.and_value(&either, containing(text));
        }
        let since = self.contains.as_ref().map(|(_, since)| *since);
        if let Some(from) = self.from.max(since) {
            all = all.and_value("e.at >= $", from);
        }
        self.upper_bound(reader, all).await
    }

    /// The conditions on fields. A project's name is replaced by its id, which has an index.
    async fn asked(&self, reader: &mut Reader, all: Conditions) -> Result<Conditions> {
        let mut all = all;
        for (field, test) in &self.tests {
            match test {
                Test::Is(name) if *field == PROJECT => {
                    all = all.and_any("e.project_id", &projects(reader, name).await?);
                }
                test => all.test(reader.is_postgres(), field, test),
            }
        }
        Ok(all)
    }

    /// The narrower one of both bounds: with two, SQLite may read on from the other one.
    async fn upper_bound(&self, reader: &mut Reader, all: Conditions) -> Result<Conditions> {
        let mut all = all;
        if let Some(id) = self.before {
            match time_of(reader, id).await? {
                Some(at) if self.to.is_none_or(|to| at < to) => {
                    return Ok(older_than(reader, all, at, id));
                }
                // It is beyond the other bound.
                Some(_) => {}
                // It was deleted.
                None => all = all.and_value("e.id < $", id),
            }
        }
        Ok(match self.to {
            Some(to) => all.and_value("e.at < $", to),
            None => all,
        })
    }
}

impl Scope {
    fn ranges(&self, conditions: &mut Conditions) -> Vec<String> {
        match self {
            Self::Everything => vec!["1 = 1".to_owned()],
            Self::Project(id) => vec![conditions.text("e.project_id = $", [(*id).into()])],
            Self::Own {
                principal,
                name,
                projects,
            } => {
                let own = "e.principal_name = $ and e.principal_id = $";
                let own = conditions.text(own, [name.as_str().into(), (*principal).into()]);
                let shared = projects.len().div_ceil(RANGES).max(1);
                let projects: Vec<i64> = projects.iter().map(|id| id.0).collect();
                let of_projects = projects.chunks(shared);
                let of_projects = of_projects.map(|ids| conditions.any_of("e.project_id", ids));
                std::iter::once(own).chain(of_projects).collect()
            }
        }
    }
}

impl Ranges {
    /// A statement for ids and times of a page: `limit` and `offset` are placeholders or numbers.
    pub(super) fn keys(&self, direction: Direction, limit: &str, offset: &str) -> String {
        let suffix = match direction {
            Direction::Up => "",
            Direction::Down => " desc",
        };
        let keys = |range: &String, limit: &str| {
            let clause = self.conditions.clause_with(range);
            format!(
                "select e.id, e.at from audit e {clause} order by e.at{suffix}, e.id{suffix} limit {limit}"
            )
        };
        match self.ranges.as_slice() {
            [range] => format!("{} offset {offset}", keys(range, limit)),
            ranges => {
                let parts = ranges.iter().enumerate().map(|(number, range)| {
                    let part = keys(range, &format!("{limit} + {offset}"));
                    format!("select id, at from ({part}) r{number}")
                });
                let parts: Vec<String> = parts.collect();
                format!(
                    "select id, at from ({}) merged order by at{suffix}, id{suffix} limit {limit} offset {offset}",
                    parts.join(" union ")
                )
            }
        }
    }
}

/// Ids of the project with a name, and of deleted ones that had the name.
async fn projects(reader: &mut Reader, name: &str) -> Result<Vec<i64>> {
    let rows = reader
        .query("select id from project where name = $1 order by id")
        .bind(name)
        .all()
        .await?;
    rows.iter().map(|row| row.get("project", "id")).collect()
}

/// When the entry with an id was written, if it is there.
async fn time_of(reader: &mut Reader, id: i64) -> Result<Option<Timestamp>> {
    let row = reader
        .query("select at from audit where id = $1")
        .bind(id)
        .optional()
        .await?;
    row.map(|row| row.get("audit", "at")).transpose()
}

/// Continues after an entry.
fn older_than(reader: &Reader, all: Conditions, at: Timestamp, id: i64) -> Conditions {
    let all = match reader.is_postgres() {
        // It excludes partitions.
        true => all.and_value("e.at <= $", at),
        false => all,
    };
    all.and_values("(e.at, e.id) < ($, $)", [at.into(), id.into()])
}
