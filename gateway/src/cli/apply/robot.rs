//! Robots of projects in files. Secrets are never in files: a new robot's is printed once, or written to a file.

use std::fmt::Display;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use db::Reader;
use db::list::{Selection, Test};
use db::robot::{self, Robot as Stored};
use model::{Lifetime, ProjectId, ProjectName, RobotDescription, RobotId, RobotName};
use policy::{Action, Permission, PermissionList, Resource, RobotPermit, to};
use serde::Deserialize;
use serde::de::IgnoredAny;
use tenancy::password::PasswordHasher;
use tenancy::robot::secret::RobotSecret;
use tenancy::robot::{Changes as Update, NewRobot};

use super::difference::{Changes, Found, Made};
use super::text;
use super::world::World;
use crate::cli::out::{self, line};

/// A robot. What is left out stays as it is.
#[derive(Debug)]
pub(super) struct Robot {
    pub(super) project: ProjectName,
    name: RobotName,
    description: Option<RobotDescription>,
    lifetime: Option<Lifetime>,
    disabled: Option<bool>,
    allow: Vec<(Resource, Action)>,
    pub(super) secret_file: Option<PathBuf>,
}

/// The same as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a robot")]
struct Fields {
    #[serde(rename = "kind")]
    _kind: IgnoredAny,
    #[serde(deserialize_with = "text::parsed")]
    project: ProjectName,
    #[serde(deserialize_with = "text::parsed")]
    name: RobotName,
    description: Option<String>,
    days: Option<i64>,
    disabled: Option<bool>,
    allow: Vec<String>,
    secret_file: Option<PathBuf>,
}

/// What a robot is called, by its name without prefix.
pub(super) fn title(name: impl Display, project: &ProjectName) -> String {
    format!("robot {name} of project {project}")
}

/// A permission, such as `repository:pull`.
fn allowed(text: &str) -> anyhow::Result<(Resource, Action)> {
    let pair = text.split_once(':').and_then(|(resource, action)| {
        Some((Resource::from_name(resource)?, Action::from_name(action)?))
    });
    let given = |(resource, action)| Permission::Project(ProjectId(0), resource, action);
    let pair = pair.filter(|pair| given(*pair).is_grantable());
    pair.with_context(|| {
        format!(
            "allow: robots are not given {text}: write RESOURCE:ACTION, such as repository:pull; see docs/permissions.md"
        )
    })
}

impl Robot {
    /// Reads a document; paths in it begin at a folder.
    pub(super) fn read(
        document: serde_norway::Deserializer<'_>,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let read = Fields::deserialize(document)?;
        let description = read.description.map(RobotDescription::try_from);
        let lifetime = read.days.map(Lifetime::try_from).transpose();
        if read.allow.is_empty() {
            anyhow::bail!("allow: write at least one RESOURCE:ACTION, such as repository:pull");
        }
        let allow = read.allow.iter().map(|text| allowed(text));
        Ok(Self {
            project: read.project,
            name: read.name,
            description: description.transpose()?,
            lifetime: lifetime.context("days")?,
            disabled: read.disabled,
            allow: allow.collect::<anyhow::Result<_>>()?,
            secret_file: read.secret_file.map(|path| folder.join(path)),
        })
    }

    pub(super) fn title(&self) -> String {
        title(&self.name, &self.project)
    }

    /// Refuses a place for the secret that cannot be used, before anything is made.
    pub(super) fn check_place(&self) -> anyhow::Result<()> {
        let Some(path) = &self.secret_file else {
            return Ok(());
        };
        let shown = path.display();
        match path.symlink_metadata() {
            Ok(_) => anyhow::bail!("secret_file: {shown} is there: it must not exist yet"),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => {
                return Err(error).with_context(|| format!("secret_file: cannot look at {shown}"));
            }
        }
        let is_in_folder = path.parent().is_some_and(Path::is_dir);
        anyhow::ensure!(
            is_in_folder,
            "secret_file: {shown} is in no folder: make it"
        );
        Ok(())
    }

    fn permissions(&self, project: ProjectId) -> anyhow::Result<PermissionList> {
        let allow = self.allow.iter();
        let permissions =
            allow.map(|(resource, action)| Permission::Project(project, *resource, *action));
        Ok(PermissionList::try_from(permissions.collect::<Vec<_>>())?)
    }

    async fn stored(&self, reader: &mut Reader, id: ProjectId) -> anyhow::Result<Option<Stored>> {
        let name = self.name.within(Some(&self.project));
        let named = Selection::all().with(robot::NAME, Test::Is(name));
        let (mut found, _) = robot::list(reader, Some(id), &named).await?;
        anyhow::ensure!(
            found.len() < 2,
            "there are {} robots of that name, with different prefixes: delete all but one",
            found.len()
        );
        Ok(found.pop())
    }

    pub(super) async fn find(&self, world: &World<'_>) -> anyhow::Result<Option<Found>> {
        let Some(project) = world.project(&self.project).await? else {
            return Ok(None);
        };
        let mut reader = world.local.db.reader().await?;
        let Some(robot) = self.stored(&mut reader, project.id).await? else {
            return Ok(None);
        };
        let held = robot::permissions_of(&mut reader, &[robot.id]).await?;
        let wanted = self.permissions(project.id)?;
        let mut changes = Changes::default();
        let description = self.description.as_ref().map(RobotDescription::as_str);
        changes.compare("description", &robot.description, description);
        changes.compare("days", robot.duration, self.lifetime.map(Lifetime::days));
        changes.compare("disabled", robot.disabled, self.disabled);
        let held = sorted(held.iter().map(|(_, permission)| permission));
        changes.compare("allow", held, Some(sorted(wanted.iter())));
        let id = robot.id.0;
        Ok(Some(Found { id, changes }))
    }

    pub(super) async fn create(&self, world: &World<'_>) -> anyhow::Result<Made> {
        let local = world.local;
        let permit: RobotPermit<to::Create> =
            RobotPermit::Project(world.permit(&self.project).await?);
        let project = permit.project().ok_or(tenancy::Error::ProjectGone)?;
        let settings = local.settings().await?.current();
        let lifetime = match self.lifetime {
            Some(lifetime) => lifetime,
            None => Lifetime::try_from(settings.robot_token_duration)?,
        };
        let new = NewRobot {
            name: self.name.clone(),
            description: self.description.clone().unwrap_or_default(),
            lifetime,
            disabled: self.disabled.unwrap_or_default(),
            permissions: self.permissions(project)?,
            secret: RobotSecret::random()?,
        };
        let secret = new.secret.clone();
        // It is shown once, and not to nobody.
        anyhow::ensure!(
            self.secret_file.is_some() || out::is_open(),
            "it is not made: standard output takes no more, and its secret would be lost"
        );
        // Before the robot, so that its secret has a place.
        let file = SecretFile::make(self.secret_file.as_deref())?;
        let (hasher, new) = (PasswordHasher::new(), (&*settings.robot_name_prefix, new));
        let made = tenancy::robot::create(&local.db, &hasher, &permit, new, local.now()).await;
        let made = made.inspect_err(|_| SecretFile::remove(&file))?;
        let handed = SecretFile::keep(file, (made.full_name.as_str(), secret.expose()));
        Ok(Made {
            handed,
            ..Made::new(made.id.0, Some(project))
        })
    }

    pub(super) async fn change(&self, world: &World<'_>, id: i64) -> anyhow::Result<()> {
        let local = world.local;
        let permit: RobotPermit<to::Update> =
            RobotPermit::Project(world.permit(&self.project).await?);
        let mut reader = local.db.reader().await?;
        let held = robot::permissions_of(&mut reader, &[RobotId(id)]).await?;
        drop(reader);
        let project = permit.project().ok_or(tenancy::Error::ProjectGone)?;
        let wanted = self.permissions(project)?;
        let held = sorted(held.iter().map(|(_, permission)| permission));
        let update = Update {
            description: self.description.clone(),
            lifetime: self.lifetime,
            disabled: self.disabled,
            permissions: (held != sorted(wanted.iter())).then_some(wanted),
        };
        tenancy::robot::update(&local.db, &permit, RobotId(id), update, local.now()).await?;
        Ok(())
    }
}

/// Permissions in an order of their own, as they are written.
fn sorted<'p>(permissions: impl Iterator<Item = &'p Permission>) -> String {
    let mut texts: Vec<String> = permissions.map(Permission::to_string).collect();
    texts.sort_unstable();
    texts.dedup();
    texts.join(" ")
}

/// A new file for a secret, which only its owner reads.
struct SecretFile {
    path: PathBuf,
    file: File,
}

impl SecretFile {
    fn make(path: Option<&Path>) -> anyhow::Result<Option<Self>> {
        let Some(path) = path else { return Ok(None) };
        let mut options = OpenOptions::new();
        let made = options.write(true).create_new(true).mode(0o600).open(path);
        let file = made.with_context(|| {
            format!(
                "secret_file: cannot make {}: it must not exist yet",
                path.display()
            )
        })?;
        let path = path.to_owned();
        Ok(Some(Self { path, file }))
    }

    /// Removes it, if the robot was not made.
    fn remove(made: &Option<Self>) {
        if let Some(Self { path, .. }) = made {
            // An empty file is left if this fails.
            let _ = fs::remove_file(path);
        }
    }

    /// Writes the secret of a robot into it, or prints it if there is no file.
    fn keep(made: Option<Self>, (robot, secret): (&str, &str)) -> anyhow::Result<()> {
        let Some(Self { path, mut file }) = made else {
            return print((robot, secret));
        };
        let shown = path.display();
        let written = file.write_all(secret.as_bytes());
        let Err(error) = written.and_then(|()| file.sync_all()) else {
            line(&format!("secret of {robot} is in {shown}"));
            return Ok(());
        };
        // Nobody shall take a part of it for the secret.
        let removed = fs::remove_file(&path);
        print((robot, secret))?;
        removed
            .with_context(|| format!("secret_file: cannot remove {shown}, which is not whole"))?;
        Err(error).with_context(|| format!("secret_file: cannot write {shown}: it is printed"))
    }
}

/// Prints the secret of a robot.
fn print((robot, secret): (&str, &str)) -> anyhow::Result<()> {
    line(&format!("secret of {robot}: {secret}"));
    anyhow::ensure!(
        out::is_open(),
        "the secret of {robot} could not be printed: `gantry robot rotate` makes another one"
    );
    Ok(())
}
