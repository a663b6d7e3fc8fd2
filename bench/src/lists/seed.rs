//! Makes rows by SQL: what `bench scale` makes, and projects, users and pulls besides.

use crate::scale::seed::{self, FIRST_ID, THEN, in_dialect, series};
use crate::stage::Stage;

/// How many rows.
#[derive(Clone, Copy)]
pub(super) struct Size {
    /// Artifacts of the one large repository.
    pub(super) artifacts: u64,
    pub(super) projects: u64,
    pub(super) users: u64,
}

impl Size {
    pub(super) const LONG: Self = Self {
        artifacts: 100_000,
        projects: 10_000,
        users: 5_000,
    };
    pub(super) const SHORT: Self = Self {
        artifacts: 2_000,
        projects: 500,
        users: 500,
    };

    /// The large repository, and a few others.
    pub(super) fn scale(self) -> seed::Size {
        seed::Size {
            repositories: 1_000,
            crowd: self.artifacts,
        }
    }
}

/// What a project, a user and a tag are called, by their numbers.
pub(super) fn project(number: u64) -> String {
    format!("list-{number:05}")
}

pub(super) fn user(number: u64) -> String {
    format!("person-{number:05}")
}

/// Rows that this makes have ids from here on.
const NEXT_ID: u64 = 10_000_000;

/// Fills the database of a server that ran once and has ended.
pub(super) fn fill(stage: &Stage<'_>, size: Size) -> Result<(), String> {
    let Size {
        artifacts,
        projects,
        users,
    } = size;
    eprintln!(
        "  {}: {artifacts} artifacts of one repository, {projects} projects, {users} users",
        stage.topology
    );
    seed::fill(stage, size.scale())?;
    let projects = series(projects);
    let users = series(users);
    let number = |value: &str| format!("substr(cast(100000 + {value} as text), 2)");
    let statements = format!(
        "insert into project (id, name, owner_id, public, storage_limit, created_at, updated_at)
         select {NEXT_ID} + value, 'list-' || {name}, 1, 0, -1, {THEN} + value, {THEN} + value from {projects};
         insert into member (project_id, principal_id, role, created_at) select {NEXT_ID} + value, 1, 1, {THEN} from {projects};
         insert into principal (id, kind, name, generation) select {NEXT_ID} + value, 'user', 'person-' || {name}, 1 from {users};
         insert into user_account (id, principal_id, email, realname, comment, sysadmin, created_at, updated_at)
         select {NEXT_ID} + value, {NEXT_ID} + value, 'person-' || {name} || '@example.test', 'A Person', '', 0, {THEN} + value, {THEN}
         from {users};
         update manifest set pushed_at = pushed_at + id;
         update tag set pushed_at = pushed_at + manifest_id;
         insert into manifest_attrs (manifest_id, attrs) select id, null from manifest;
         insert into manifest_stat (manifest_id, pulls, pulled_at)
         select id, 1, {THEN} + (id * 7919) % 1000003 from manifest where repository_id = {FIRST_ID} and id % 2 = 0;
         {analyze}",
        name = number("value"),
        analyze = match stage.is_postgres() {
            true => "vacuum analyze;",
            false => "",
        },
    );
    stage.sql(&in_dialect(stage, &statements)).map(drop)
}
