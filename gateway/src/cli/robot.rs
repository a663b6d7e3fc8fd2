//! `gantry robot`.

mod allow;

use std::process::ExitCode;

use clap::Subcommand;
use db::list::Selection;
use db::robot::Robot;
use db::{Reader, robot};
use model::{Lifetime, ProjectName, RobotDescription, RobotName, SecretGrace, Timestamp};
use policy::to::To;
use policy::{Permission, RobotPermit};
use serde::Serialize;
use tenancy::password::PasswordHasher;
use tenancy::robot::secret::RobotSecret;
use tenancy::robot::{Changes, NewRobot};

use self::allow::Allow;
use super::local::{self, Local};
use super::out::{json_lines, line};
use super::project;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Create a robot and print its secret, which is not shown again.
    Create {
        /// Its name, without prefix and project.
        name: RobotName,
        /// The robot's project; without it, it is a system robot.
        #[arg(long)]
        project: Option<ProjectName>,
        /// What it may do: RESOURCE:ACTION, such as repository:pull, with PROJECT/, */ (all projects) or system/ in
        /// front for a system robot. Repeatable.
        #[arg(long, required = true)]
        allow: Vec<Allow>,
        /// Days until it expires, -1 for never; without it, the setting robot_token_duration applies.
        #[arg(long, allow_negative_numbers = true)]
        days: Option<i64>,
        /// Its description.
        #[arg(long, default_value = "")]
        description: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// List system robots, or the robots of a project.
    List {
        /// The project.
        #[arg(long)]
        project: Option<ProjectName>,
        /// Print a line of JSON for each.
        #[arg(long)]
        json: bool,
    },
    /// Show a robot and its permissions.
    Show {
        /// The name that it signs in with.
        name: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Replace a robot's secret with a new one, and print it. Existing tokens are revoked.
    Rotate {
        /// The name that it signs in with.
        name: String,
        /// Days for which the old secret works too, 0 to 30. `show` counts its uses.
        #[arg(long, value_name = "N", default_value_t = 0)]
        grace_days: i64,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Disable a robot. Existing tokens are revoked.
    Disable {
        /// The name that it signs in with.
        name: String,
    },
    /// Enable a robot that was disabled.
    Enable {
        /// The name that it signs in with.
        name: String,
    },
    /// Delete a robot.
    Delete {
        /// The name that it signs in with.
        name: String,
    },
}

impl Command {
    pub(super) async fn run(self, local: &Local) -> anyhow::Result<ExitCode> {
        match self {
            Self::Create {
                name,
                project,
                allow,
                days,
                description,
                json,
            } => {
                let new = (name, RobotDescription::try_from(description)?);
                create(local, project, new, (&allow, days), json).await?;
            }
            Self::List { project, json } => list(local, project, json).await?,
            Self::Show { name, json } => show(local, &name, json).await?,
            Self::Rotate {
                name,
                grace_days,
                json,
            } => rotate(local, &name, grace_days, json).await?,
            Self::Disable { name } => set_disabled(local, &name, true).await?,
            Self::Enable { name } => set_disabled(local, &name, false).await?,
            Self::Delete { name } => delete(local, &name).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The command line's permit for the robots of a project, or of the system: everything.
async fn permit<A: To>(
    local: &Local,
    project: Option<&ProjectName>,
) -> anyhow::Result<RobotPermit<A>> {
    Ok(match project {
        Some(name) => RobotPermit::Project(project::permit(local, name).await?),
        None => RobotPermit::System(local::system()?),
    })
}

/// The robot with a name, and the permit for it.
async fn find<A: To>(local: &Local, name: &str) -> anyhow::Result<(Robot, RobotPermit<A>)> {
    let mut reader = local.db.reader().await?;
    let found = robot::by_full_name(&mut reader, name).await?;
    let found = found.ok_or_else(|| anyhow::anyhow!("there is no robot {name}"))?;
    let project = match found.project_id {
        Some(id) => db::project::names_of(&mut reader, &[id]).await?.remove(&id),
        None => None,
    };
    drop(reader);
    let permit = permit(local, project.as_ref()).await?;
    Ok((found, permit))
}

/// A robot whose secret is shown.
#[derive(Serialize)]
struct Secret<'s> {
    name: &'s str,
    secret: &'s str,
    expires_at: Option<String>,
}

impl Secret<'_> {
    fn print(&self, json: bool) -> anyhow::Result<()> {
        if json {
            return Ok(json_lines(&[self])?);
        }
        line(&format!("robot {}", self.name));
        line(&format!("secret {}", self.secret));
        line(&ends(self.expires_at.as_deref()));
        Ok(())
    }
}

fn ends(at: Option<&str>) -> String {
    at.map_or_else(|| "never expires".to_owned(), |at| format!("expires {at}"))
}

async fn create(
    local: &Local,
    project: Option<ProjectName>,
    (name, description): (RobotName, RobotDescription),
    (allow, days): (&[Allow], Option<i64>),
    json: bool,
) -> anyhow::Result<()> {
    let permit = permit(local, project.as_ref()).await?;
    let settings = local.settings().await?.current();
    let mut reader = local.db.reader().await?;
    let new = NewRobot {
        name,
        description,
        lifetime: Lifetime::try_from(days.unwrap_or(settings.robot_token_duration))?,
        disabled: false,
        permissions: allow::resolve(&mut reader, permit.project(), allow).await?,
        secret: RobotSecret::random()?,
    };
    drop(reader);
    let secret = new.secret.clone();
    let (hasher, new) = (PasswordHasher::new(), (&*settings.robot_name_prefix, new));
    let made = tenancy::robot::create(&local.db, &hasher, &permit, new, local.now()).await?;
    let shown = Secret {
        name: &made.full_name,
        secret: secret.expose(),
        expires_at: made.expires_at.map(|at| at.to_string()),
    };
    shown.print(json)
}

/// A robot as it is listed.
#[derive(Serialize)]
struct Shown {
    id: i64,
    name: String,
    description: String,
    disabled: bool,
    expires_at: Option<String>,
    last_used_at: Option<String>,
    last_used_address: Option<String>,
    /// Until when the secret before the present one works too.
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_secret_until: Option<String>,
    /// How often that was used since it was replaced.
    previous_secret_uses: i64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    permissions: Vec<String>,
}

impl Shown {
    fn new(robot: Robot, permissions: Vec<String>, now: Timestamp) -> Self {
        let previous_until = robot.previous_secret(now).map(|(_, until)| until);
        let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
        Self {
            id: robot.id.0,
            name: robot.full_name,
            description: robot.description,
            disabled: robot.disabled,
            expires_at: time(robot.expires_at),
            last_used_at: time(robot.used_at),
            last_used_address: robot.used_address,
            previous_secret_until: time(previous_until),
            previous_secret_uses: robot.previous_uses,
            permissions,
        }
    }

    fn print(&self) {
        let state = if self.disabled { "disabled" } else { "enabled" };
        let end = ends(self.expires_at.as_deref());
        let used = match (&self.last_used_at, &self.last_used_address) {
            (Some(at), Some(address)) => format!("used {at} from {address}"),
            _ => "never used".to_owned(),
        };
        line(&format!(
            "{:>6} {} {state}, {end}, {used}",
            self.id, self.name
        ));
        if let Some(until) = &self.previous_secret_until {
            let uses = self.previous_secret_uses;
            line(&format!(
                "       the previous secret works until {until}; it was used {uses} times since it was replaced"
            ));
        }
        for permission in &self.permissions {
            line(&format!("       {permission}"));
        }
    }
}

async fn list(local: &Local, project: Option<ProjectName>, json: bool) -> anyhow::Result<()> {
    let mut reader = local.db.reader().await?;
    let project = match project {
        Some(name) => Some(project::find(&mut reader, &name).await?.id),
        None => None,
    };
    let (robots, _) = robot::list(&mut reader, project, &Selection::all()).await?;
    let robots: Vec<Shown> = robots
        .into_iter()
        .map(|robot| Shown::new(robot, Vec::new(), local.now()))
        .collect();
    if json {
        return Ok(json_lines(&robots)?);
    }
    robots.iter().for_each(Shown::print);
    Ok(())
}

async fn show(local: &Local, name: &str, json: bool) -> anyhow::Result<()> {
    let mut reader = local.db.reader().await?;
    let found = robot::by_full_name(&mut reader, name).await?;
    let found = found.ok_or_else(|| anyhow::anyhow!("there is no robot {name}"))?;
    let permissions = permissions(&mut reader, &found).await?;
    let shown = Shown::new(found, permissions, local.now());
    if json {
        return Ok(json_lines(&[shown])?);
    }
    shown.print();
    Ok(())
}

/// A robot's permissions, as they are typed.
async fn permissions(reader: &mut Reader, robot: &Robot) -> anyhow::Result<Vec<String>> {
    let held = robot::permissions_of(reader, &[robot.id]).await?;
    let projects = held.iter().filter_map(|(_, permission)| match permission {
        Permission::Project(id, ..) => Some(*id),
        Permission::System(..) | Permission::Everywhere(..) => None,
    });
    let projects: Vec<_> = projects.collect();
    let names = db::project::names_of(reader, &projects).await?;
    let typed = held.iter().filter_map(|(_, permission)| {
        let place = match permission {
            Permission::System(..) => "system",
            Permission::Everywhere(..) => "*",
            Permission::Project(id, ..) => names.get(id)?.as_str(),
        };
        Some(format!("{place}/{permission}"))
    });
    Ok(typed.collect())
}

async fn rotate(local: &Local, name: &str, grace_days: i64, json: bool) -> anyhow::Result<()> {
    let grace = SecretGrace::try_from(grace_days)?;
    let (found, permit) = find(local, name).await?;
    let (hasher, secret) = (PasswordHasher::new(), RobotSecret::random()?);
    let change = (found.id, &secret, grace);
    tenancy::robot::set_secret(&local.db, &hasher, &permit, change, local.now()).await?;
    let shown = Secret {
        name,
        secret: secret.expose(),
        expires_at: found.expires_at.map(|at| at.to_string()),
    };
    shown.print(json)
}

async fn set_disabled(local: &Local, name: &str, disabled: bool) -> anyhow::Result<()> {
    let (found, permit) = find(local, name).await?;
    let changes = Changes {
        disabled: Some(disabled),
        ..Changes::default()
    };
    tenancy::robot::update(&local.db, &permit, found.id, changes, local.now()).await?;
    line(&if disabled {
        format!("robot {name} is disabled; existing tokens are revoked")
    } else {
        format!("robot {name} is enabled")
    });
    Ok(())
}

async fn delete(local: &Local, name: &str) -> anyhow::Result<()> {
    let (found, permit) = find(local, name).await?;
    tenancy::robot::delete(&local.db, &permit, found.id, local.now()).await?;
    line(&format!("robot {name} is deleted"));
    Ok(())
}
