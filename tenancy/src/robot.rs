//! Robots: making, changing and deleting them.

pub mod secret;

use db::robot::{self, Robot};
use db::{Db, Tx, binding, principal, user};
use model::{
    Event, Lifetime, Operation, Origin, Principal, ProjectId, RobotDescription, RobotId,
    RobotMaker, RobotName, SecretGrace, Subject, Timestamp, UserId,
};
use policy::{Caller, Permission, PermissionList, RobotPermit, Roles, to};

use crate::password::PasswordHasher;
use crate::robot::secret::RobotSecret;
use crate::{Error, Result};

/// A robot to be made.
#[derive(Clone, Debug)]
pub struct NewRobot {
    /// Its name, without prefix and project.
    pub name: RobotName,
    /// Its description.
    pub description: RobotDescription,
    /// How long it is valid.
    pub lifetime: Lifetime,
    /// Whether it is disabled.
    pub disabled: bool,
    /// What it may do.
    pub permissions: PermissionList,
    /// Its secret.
    pub secret: RobotSecret,
}

/// A robot that was made.
#[derive(Clone, Debug)]
pub struct MadeRobot {
    /// Its id.
    pub id: RobotId,
    /// The name to sign in with.
    pub full_name: String,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
}

/// Makes a robot whose name to sign in with begins with `prefix`.
///
/// # Errors
/// [`Error::RobotTooStrong`], [`Error::RobotOutlives`], [`Error::RobotExists`], [`Error::ProjectGone`],
/// [`Error::Password`], [`Error::CallerVoid`].
pub async fn create(
    db: &Db,
    hasher: &PasswordHasher,
    permit: &RobotPermit<to::Create>,
    (prefix, new): (&str, NewRobot),
    now: Timestamp,
) -> Result<MadeRobot> {
    refuse_stronger(permit, &new.permissions)?;
    refuse_longer(permit.caller(), new.lifetime.end(now))?;
    let row = row(permit, prefix, &new, new.secret.hash(hasher).await?, now);
    let (full_name, expires_at) = (row.full_name.clone(), row.expires_at);
    let giver = Giver::of(permit);
    let id = match row.project {
        Some(project) => {
            db.write_in(project, move |tx| {
                Box::pin(async move { insert(tx, &row, &new.permissions, (&giver, now)).await })
            })
            .await?
        }
        None => {
            db.write(move |tx| {
                Box::pin(async move { insert(tx, &row, &new.permissions, (&giver, now)).await })
            })
            .await?
        }
    };
    Ok(MadeRobot {
        id,
        full_name,
        expires_at,
    })
}

fn row(
    permit: &RobotPermit<to::Create>,
    prefix: &str,
    new: &NewRobot,
    secret_hash: String,
    now: Timestamp,
) -> robot::NewRobot {
    let project = match permit {
        RobotPermit::System(_) => None,
        RobotPermit::Project(permit) => Some(permit.project()),
    };
    let name = new.name.within(project.map(|project| &project.name));
    robot::NewRobot {
        project: project.map(|project| project.id),
        full_name: format!("{prefix}{name}"),
        name,
        description: new.description.as_str().to_owned(),
        secret_hash,
        duration: new.lifetime.days(),
        expires_at: new.lifetime.end(now),
        disabled: new.disabled,
        maker: maker(permit.caller()),
    }
}

/// The creator of a robot; robots made by the machine itself count as made by the built-in administrator.
fn maker(caller: &Caller) -> RobotMaker {
    match caller.principal() {
        Principal::Robot { robot, .. } => RobotMaker::Robot(*robot),
        other => RobotMaker::User(other.user().unwrap_or(UserId::ADMIN)),
    }
}

async fn insert(
    tx: &mut Tx,
    row: &robot::NewRobot,
    permissions: &PermissionList,
    (giver, now): (&Giver, Timestamp),
) -> Result<RobotId> {
    giver.hold(tx).await?;
    let made = robot::create(tx, row, now).await;
    let (id, principal) = made.map_err(|error| match error {
        db::Error::Duplicate(_) => Error::RobotExists(row.full_name.clone()),
        other => other.into(),
    })?;
    robot::set_permissions(tx, (id, principal), permissions).await?;
    let named = (row.project, row.full_name.clone());
    let event = event(now, giver.caller.origin(), Operation::Create, named);
    tx.record(&event.with_detail(permissions.to_string()))
        .await?;
    Ok(id)
}

/// Whoever gives a robot rights, and what these are part of.
struct Giver {
    caller: Caller,
    /// The roles in the robot's project.
    roles: Option<(ProjectId, Roles)>,
}

impl Giver {
    fn of<A: to::To>(permit: &RobotPermit<A>) -> Self {
        let roles = match permit {
            RobotPermit::System(_) => None,
            RobotPermit::Project(permit) => Some((permit.project().id, permit.standing().roles)),
        };
        Self {
            caller: permit.caller().clone(),
            roles,
        }
    }

    /// Holds them, with the rights that were compared: hashing a secret takes its time, and a right that is taken away
    /// meanwhile does not change the generation.
    ///
    /// # Errors
    /// [`Error::CallerVoid`] where they were deleted or changed since.
    async fn hold(&self, tx: &mut Tx) -> Result<()> {
        let Some(id) = self.caller.id() else {
            return Ok(());
        };
        let found = principal::hold_alone(tx, id).await?;
        let mut is_same = found == Some(self.caller.authority.generation);
        if self.caller.authority.sysadmin {
            is_same &= user::is_sysadmin(tx, id).await?;
        } else if let Some((project, roles)) = self.roles {
            let held = binding::roles_in(tx, id, &[project]).await?;
            let held = held.get(&project).copied().unwrap_or_default();
            is_same &= roles.iter().all(|role| held.contains(role));
        }
        match is_same {
            true => Ok(()),
            false => Err(Error::CallerVoid),
        }
    }
}

/// Changes of a robot; everything else stays.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Its description.
    pub description: Option<RobotDescription>,
    /// How long it is valid, counted from when it was made.
    pub lifetime: Option<Lifetime>,
    /// Whether it is disabled.
    pub disabled: Option<bool>,
    /// What it may do.
    pub permissions: Option<PermissionList>,
}

impl Changes {
    /// The changed values, and the robot's own for the others.
    fn of(&self, robot: &Robot) -> robot::Changes {
        let (duration, expires_at) = match self.lifetime {
            Some(lifetime) => (lifetime.days(), lifetime.end(robot.created_at)),
            None => (robot.duration, robot.expires_at),
        };
        let description = self.description.as_ref().map(RobotDescription::as_str);
        robot::Changes {
            description: description.unwrap_or(&robot.description).to_owned(),
            duration,
            expires_at,
            disabled: self.disabled.unwrap_or(robot.disabled),
        }
    }

    /// The changes, for the history.
    fn describe(&self) -> String {
        let description = self.description.as_ref().map(|_| "description".to_owned());
        let lifetime = self
            .lifetime
            .map(|lifetime| format!("duration={}", lifetime.days()));
        let disabled = self.disabled.map(|disabled| format!("disable={disabled}"));
        let permissions = self.permissions.as_ref();
        let permissions = permissions.map(|permissions| format!("permissions: {permissions}"));
        let all = [description, lifetime, disabled, permissions];
        let all: Vec<String> = all.into_iter().flatten().collect();
        all.join(" ")
    }
}

/// Changes a robot. Permissions that it already has may be kept, whoever gave them.
///
/// # Errors
/// [`Error::RobotUnknown`], [`Error::RobotTooStrong`], [`Error::CallerVoid`].
pub async fn update(
    db: &Db,
    permit: &RobotPermit<to::Update>,
    id: RobotId,
    changes: Changes,
    now: Timestamp,
) -> Result<()> {
    let permit = permit.clone();
    db.write(move |tx| {
        Box::pin(async move {
            let robot = hold(tx, permit.project(), id).await?;
            if let Some(permissions) = &changes.permissions {
                let held = robot::permissions_of(tx, &[id]).await?;
                let is_new = |new: &&Permission| held.iter().all(|(_, held)| held != *new);
                let added: Vec<Permission> = permissions.iter().filter(is_new).copied().collect();
                refuse_stronger(&permit, &added)?;
                Giver::of(&permit).hold(tx).await?;
                robot::set_permissions(tx, (id, robot.principal_id), permissions).await?;
            }
            robot::update(tx, &robot, &changes.of(&robot), now).await?;
            let named = (robot.project_id, robot.full_name);
            let event = event(now, permit.caller().origin(), Operation::Update, named);
            Ok(tx.record(&event.with_detail(changes.describe())).await?)
        })
    })
    .await
}

/// Gives a robot another secret; its existing tokens are void. For a grace, its present secret gets new ones too.
///
/// # Errors
/// [`Error::RobotUnknown`], [`Error::Password`].
pub async fn set_secret(
    db: &Db,
    hasher: &PasswordHasher,
    permit: &RobotPermit<to::Update>,
    (id, secret, grace): (RobotId, &RobotSecret, SecretGrace),
    now: Timestamp,
) -> Result<()> {
    let (project, origin) = (permit.project(), permit.caller().origin());
    let hash = secret.hash(hasher).await?;
    db.write(move |tx| {
        Box::pin(async move {
            let robot = hold(tx, project, id).await?;
            robot::set_secret(tx, &robot, (&hash, grace.end(now)), now).await?;
            let named = (robot.project_id, robot.full_name);
            let event = event(now, origin, Operation::Update, named);
            let detail = match grace.days() {
                0 => "secret".to_owned(),
                days => format!("secret; the previous one works for {days} days"),
            };
            Ok(tx.record(&event.with_detail(detail)).await?)
        })
    })
    .await
}

/// Deletes a robot: its name becomes free, and its secret and tokens no longer work.
///
/// # Errors
/// [`Error::RobotUnknown`].
pub async fn delete(
    db: &Db,
    permit: &RobotPermit<to::Delete>,
    id: RobotId,
    now: Timestamp,
) -> Result<()> {
    let (project, origin) = (permit.project(), permit.caller().origin());
    db.write(move |tx| {
        Box::pin(async move {
            let robot = hold(tx, project, id).await?;
            robot::delete(tx, &robot, now).await?;
            let named = (robot.project_id, robot.full_name);
            Ok(tx
                .record(&event(now, origin, Operation::Delete, named))
                .await?)
        })
    })
    .await
}

/// A robot of the permit's project, or of the system, to be changed; it is locked against other changes.
async fn hold(tx: &mut Tx, project: Option<ProjectId>, id: RobotId) -> Result<Robot> {
    let robot = robot::hold(tx, id).await?;
    let robot = robot.filter(|robot| robot.project_id == project);
    robot.ok_or(Error::RobotUnknown(id))
}

/// Refuses permissions that the holder of the permit may not give.
fn refuse_stronger<A: to::To>(permit: &RobotPermit<A>, permissions: &[Permission]) -> Result<()> {
    let mut lacking = permissions
        .iter()
        .filter(|asked| !permit.may_give(**asked))
        .peekable();
    match lacking.peek() {
        None => Ok(()),
        Some(_) => Err(too_strong(lacking)),
    }
}

/// The refusal of permissions that the caller may not give.
pub fn too_strong<'a>(lacking: impl Iterator<Item = &'a Permission>) -> Error {
    let lacking: Vec<String> = lacking.map(Permission::to_string).collect();
    Error::RobotTooStrong(lacking.join(", "))
}

/// A robot cannot make one that outlives it.
fn refuse_longer(caller: &Caller, end: Option<Timestamp>) -> Result<()> {
    let own = caller.authority.own.as_ref();
    match own.and_then(|own| own.expires_at) {
        Some(own) if end.is_none_or(|end| end > own) => Err(Error::RobotOutlives(own)),
        _ => Ok(()),
    }
}

/// An event about a robot.
fn event(
    now: Timestamp,
    origin: Origin,
    operation: Operation,
    (project, name): (Option<ProjectId>, String),
) -> Event {
    Event::new(now, origin, operation, Subject::Robot { project, name })
}
