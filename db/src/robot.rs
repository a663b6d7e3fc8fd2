//! Robots. What they share with other principals is in [`crate::principal`]; what they may do, in [`permission`].

pub mod expiry;
mod permission;
pub mod usage;

use model::{PrincipalId, ProjectId, RobotId, RobotMaker, Timestamp, UserId};

use crate::error::{Error, Result};
use crate::list::{self, Conditions, Field, Kind, Selection, Source};
use crate::principal;
use crate::sql::{Reader, Tx, row};
use crate::touch::Touch;

pub use permission::{permissions_of, permissions_within, set_permissions};

row! {
    columns robot_columns;
    /// A robot as it is stored.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Robot of robot {
        /// Its id.
        pub id: RobotId = r.id,
        /// Its id among principals.
        pub principal_id: PrincipalId = r.principal_id,
        /// Its project; `None` for a robot of the system.
        pub project_id: Option<ProjectId> = r.project_id,
        /// The name without prefix: `team+ci`, `ci`.
        pub name: String = r.name,
        /// Its description.
        pub description: String = r.description,
        /// SHA-256 of a random secret, or argon2id of a chosen one.
        pub secret_hash: String = r.secret_hash,
        previous_hash: Option<String> = r.previous_hash,
        /// Until when the secret before it works too.
        pub previous_until: Option<Timestamp> = r.previous_until,
        /// How often that was used since it was replaced.
        pub previous_uses: i64 = r.previous_uses,
        /// When it was used last.
        pub previous_used_at: Option<Timestamp> = r.previous_used_at,
        /// Days for which it is valid; -1 for ever.
        pub duration: i64 = r.duration,
        /// When it expires.
        pub expires_at: Option<Timestamp> = r.expires_at,
        /// Whether somebody disabled it.
        pub disabled: bool = r.disabled,
        creator_type: String = r.creator_type,
        creator_ref: i64 = r.creator_ref,
        /// When it was last used.
        pub used_at: Option<Timestamp> = r.used_at,
        /// From where.
        pub used_address: Option<String> = r.used_address,
        /// When it was made.
        pub created_at: Timestamp = r.created_at,
        /// When it was last changed.
        pub updated_at: Timestamp = r.updated_at,
    }
    computed {
        /// The name to sign in with.
        pub full_name: String = "p.name",
        /// Raised to void existing tokens.
        pub generation: i64 = "p.generation",
    }
}

impl Robot {
    /// The hash of the secret before the present one, and until when it works too, if it does.
    pub fn previous_secret(&self, now: Timestamp) -> Option<(&str, Timestamp)> {
        let until = self.previous_until.filter(|until| *until > now)?;
        Some((self.previous_hash.as_deref()?, until))
    }

    /// Who made it.
    ///
    /// # Errors
    /// [`Error::Corrupt`].
    pub fn maker(&self) -> Result<RobotMaker> {
        match self.creator_type.as_str() {
            LOCAL => Ok(RobotMaker::User(UserId(self.creator_ref))),
            ROBOT => Ok(RobotMaker::Robot(RobotId(self.creator_ref))),
            _ => Err(Error::Corrupt {
                table: "robot",
                column: "creator_type",
            }),
        }
    }
}

/// How makers are stored.
const LOCAL: &str = "local";
const ROBOT: &str = "robot";

macro_rules! select {
    () => {
        concat!(
            "select ",
            robot_columns!(),
            " from robot r join principal p on p.id = r.principal_id "
        )
    };
}

/// A new robot.
#[derive(Clone, Debug)]
pub struct NewRobot {
    /// Its project; `None` for a robot of the system.
    pub project: Option<ProjectId>,
    /// The name without prefix.
    pub name: String,
    /// The name to sign in with.
    pub full_name: String,
    /// Its description.
    pub description: String,
    /// SHA-256 of a random secret, or argon2id of a chosen one.
    pub secret_hash: String,
    /// Days for which it is valid; -1 for ever.
    pub duration: i64,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
    /// Whether it is disabled.
    pub disabled: bool,
    /// Who makes it.
    pub maker: RobotMaker,
}

/// Makes a robot without permissions.
///
/// # Errors
/// [`crate::Error::Duplicate`] if the name to sign in with is taken.
pub async fn create(tx: &mut Tx, new: &NewRobot, now: Timestamp) -> Result<(RobotId, PrincipalId)> {
    let principal = principal::create(tx, principal::Kind::Robot, &new.full_name).await?;
    let (creator_type, creator_ref) = match new.maker {
        RobotMaker::User(UserId(id)) => (LOCAL, id),
        RobotMaker::Robot(RobotId(id)) => (ROBOT, id),
    };
    let row = tx
        .query(
            "insert into robot (principal_id, project_id, name, description, secret_hash, duration, expires_at, disabled,
                 creator_type, creator_ref, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11) returning id",
        )
        .bind(principal)
        .bind(new.project)
        .bind(new.name.as_str())
        .bind(new.description.as_str())
        .bind(new.secret_hash.as_str())
        .bind(new.duration)
        .bind(new.expires_at)
        .bind(new.disabled)
        .bind(creator_type)
        .bind(creator_ref)
        .bind(now)
        .one()
        .await?;
    Ok((row.get("robot", "id")?, principal))
}

/// The robot with an id.
///
/// # Errors
/// When the statement fails.
pub async fn by_id(reader: &mut Reader, id: RobotId) -> Result<Option<Robot>> {
    let row = reader
        .query(concat!(select!(), "where r.id = $1"))
        .bind(id)
        .optional()
        .await?;
    row.as_ref().map(Robot::read).transpose()
}

/// The robot with a name to sign in with.
///
/// # Errors
/// When the statement fails.
pub async fn by_full_name(reader: &mut Reader, name: &str) -> Result<Option<Robot>> {
    let row = reader
        .query(concat!(
            select!(),
            "where p.name = $1 and p.kind = 'robot' and p.deleted_at is null"
        ))
        .bind(name)
        .optional()
        .await?;
    row.as_ref().map(Robot::read).transpose()
}

/// As [`by_id`], and nobody else changes or deletes it until the transaction ends.
///
/// # Errors
/// When a statement fails.
pub async fn hold(tx: &mut Tx, id: RobotId) -> Result<Option<Robot>> {
    let Some(found) = by_id(tx, id).await? else {
        return Ok(None);
    };
    match principal::hold_alone(tx, found.principal_id).await? {
        // Read again: another transaction may have changed it before the lock was granted.
        Some(_) => by_id(tx, id).await,
        None => Ok(None),
    }
}

/// The name without prefix.
pub const NAME: Field = Field::new("name", Kind::Text, "r.name");

/// Fields by which lists can be filtered and sorted.
pub const FIELDS: [Field; 7] = [
    NAME,
    Field::new("id", Kind::Int, "r.id").unique(),
    Field::new("description", Kind::Text, "r.description").unsorted(),
    Field::new("disable", Kind::Flag, "r.disabled").unsorted(),
    Field::new("creation_time", Kind::Time, "r.created_at"),
    Field::new("update_time", Kind::Time, "r.updated_at"),
    Field::new("last_used_at", Kind::Time, "r.used_at").optional(),
];

const SOURCE: Source = Source {
    name: "robot.list",
    columns: robot_columns!(),
    from: "robot r join principal p on p.id = r.principal_id",
    id: "r.id",
    order: NAME,
};

/// The robots of a project, or of the system, and how many there are in all.
///
/// # Errors
/// When a statement fails.
pub async fn list(
    reader: &mut Reader,
    project: Option<ProjectId>,
    selection: &Selection,
) -> Result<(Vec<Robot>, i64)> {
    let level = Conditions::default();
    let level = match project {
        Some(project) => level.and_value("r.project_id = $", project),
        None => level.and("r.project_id is null"),
    };
    list::list(reader, &SOURCE, level, selection, Robot::read).await
}

/// Changes of a robot other than its permissions and its secret.
#[derive(Clone, Debug)]
pub struct Changes {
    /// Its description.
    pub description: String,
    /// Days for which it is valid; -1 for ever.
    pub duration: i64,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
    /// Whether it is disabled.
    pub disabled: bool,
}

/// Changes a robot; its tokens are void once it is disabled.
///
/// # Errors
/// When a statement fails.
pub async fn update(tx: &mut Tx, robot: &Robot, changes: &Changes, now: Timestamp) -> Result<()> {
    tx.query(
        "update robot set description = $2, duration = $3, expires_at = $4, disabled = $5, updated_at = $6,
             expiry_stage = case when expires_at = $4 then expiry_stage end where id = $1",
    )
    .bind(robot.id)
    .bind(changes.description.as_str())
    .bind(changes.duration)
    .bind(changes.expires_at)
    .bind(changes.disabled)
    .bind(now)
    .execute()
    .await?;
    tx.touch(Touch::Principal(robot.principal_id));
    if changes.disabled && !robot.disabled {
        principal::void_tokens(tx, robot.principal_id).await?;
    }
    Ok(())
}

/// Gives a robot another secret, and voids all existing tokens. The present secret works until `previous_until` too; the
/// one before it does not.
///
/// # Errors
/// When a statement fails.
pub async fn set_secret(
    tx: &mut Tx,
    robot: &Robot,
    (hash, previous_until): (&str, Option<Timestamp>),
    now: Timestamp,
) -> Result<()> {
    let previous = previous_until.map(|_| robot.secret_hash.as_str());
    tx.query(
        "update robot set secret_hash = $2, previous_hash = $3, previous_until = $4, previous_uses = 0,
             previous_used_at = null, updated_at = $5 where id = $1",
    )
    .bind(robot.id)
    .bind(hash)
    .bind(previous)
    .bind(previous_until)
    .bind(now)
    .execute()
    .await?;
    principal::void_tokens(tx, robot.principal_id).await
}

/// Deletes a robot: its name becomes free.
///
/// # Errors
/// When a statement fails.
pub async fn delete(tx: &mut Tx, robot: &Robot, now: Timestamp) -> Result<()> {
    for statement in [
        "delete from robot_permission where robot_id = $1",
        "delete from robot where id = $1",
    ] {
        tx.query(statement).bind(robot.id).execute().await?;
    }
    principal::delete(tx, robot.principal_id, now).await
}

/// Deletes the robots of a deleted project, and other robots' permissions in it.
pub(crate) async fn delete_of_project(
    tx: &mut Tx,
    project: ProjectId,
    now: Timestamp,
) -> Result<()> {
    tx.query(
        "update principal set generation = generation + 1, deleted_at = $2
         where id in (select principal_id from robot where project_id = $1)",
    )
    .bind(project)
    .bind(now)
    .execute()
    .await?;
    for statement in [
        "delete from robot_permission
         where project_id = $1 or robot_id in (select id from robot where project_id = $1)",
        "delete from robot where project_id = $1",
    ] {
        tx.query(statement).bind(project).execute().await?;
    }
    tx.touch(Touch::Everything);
    Ok(())
}
