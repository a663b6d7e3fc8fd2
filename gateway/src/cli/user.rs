//! `gantry user`.

use std::process::ExitCode;

use clap::Subcommand;
use db::list::Selection;
use db::user::Scope;
use model::{Profile, UserId};
use policy::{Caller, permit};
use tenancy::Error;
use tenancy::password::PasswordHasher;
use tenancy::user::{self, NewUser};

use super::local::{self, Local};
use super::out::line;
use super::password::new_password;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Create a user. The password comes from GANTRY_PASSWORD; without it, it is asked for twice at a terminal, or read
    /// from the first line of standard input.
    Create {
        /// The name to sign in with.
        name: String,
        /// Mail address.
        #[arg(long)]
        email: String,
        /// The person's name.
        #[arg(long, default_value = "")]
        realname: String,
        /// Make the user a system administrator.
        #[arg(long)]
        admin: bool,
    },
    /// List all users.
    List,
    /// Set a user's password, from the same sources as `create`. Existing tokens are revoked.
    Passwd {
        /// The user's name.
        name: String,
    },
    /// Make a user a system administrator, with all permissions.
    Promote {
        /// The user's name.
        name: String,
    },
    /// Revoke a user's system administrator rights. The last one keeps them.
    Demote {
        /// The user's name.
        name: String,
    },
    /// Delete a user.
    Delete {
        /// The user's name.
        name: String,
    },
}

impl Command {
    pub(super) async fn run(self, local: &Local) -> anyhow::Result<ExitCode> {
        match self {
            Self::Create {
                name,
                email,
                realname,
                admin,
            } => {
                let realname = Some(realname).filter(|text| !text.is_empty());
                let realname = realname.unwrap_or_else(|| name.clone());
                create(local, &name, (email, realname), admin).await?;
            }
            Self::List => list(local).await?,
            Self::Passwd { name } => passwd(local, &name).await?,
            Self::Promote { name } => set_sysadmin(local, &name, true).await?,
            Self::Demote { name } => set_sysadmin(local, &name, false).await?,
            Self::Delete { name } => delete(local, &name).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn create(
    local: &Local,
    name: &str,
    (email, realname): (String, String),
    sysadmin: bool,
) -> anyhow::Result<()> {
    let new = NewUser {
        name: name.parse()?,
        profile: Profile::new(email, realname, String::new())?,
        password: new_password(name)?,
        sysadmin,
    };
    let (hasher, permit) = (PasswordHasher::new(), local::system()?);
    let id = user::create(&local.db, &hasher, &permit, new, local.now()).await?;
    line(&format!("user {name} has id {id}"));
    Ok(())
}

async fn list(local: &Local) -> anyhow::Result<()> {
    let mut tx = local.db.reader().await?;
    let (users, _) = db::user::list(&mut tx, Scope::All, &Selection::all()).await?;
    for user in users {
        let role = if user.sysadmin {
            "administrator"
        } else {
            "user"
        };
        let email = user.email.unwrap_or_default();
        line(&format!("{:>6} {} <{email}> {role}", user.id, user.name));
    }
    Ok(())
}

/// The ID of the user with a name.
async fn id_of(local: &Local, name: &str) -> anyhow::Result<UserId> {
    let found = db::user::by_name(&mut local.db.reader().await?, name).await?;
    let found = found.ok_or_else(|| anyhow::anyhow!("there is no user {name}"))?;
    Ok(found.id)
}

async fn passwd(local: &Local, name: &str) -> anyhow::Result<()> {
    // Checked before asking for a password.
    let permit = permit::permit_user(&Caller::command_line(), id_of(local, name).await?)?;
    let (password, hasher) = (new_password(name)?, PasswordHasher::new());
    user::set_password(&local.db, &hasher, &permit, (&password, None), local.now()).await?;
    line(&format!(
        "the password of {name} is changed; existing tokens are revoked"
    ));
    Ok(())
}

async fn set_sysadmin(local: &Local, name: &str, sysadmin: bool) -> anyhow::Result<()> {
    let (id, permit) = (id_of(local, name).await?, local::system()?);
    user::set_sysadmin(&local.db, &permit, id, sysadmin, local.now()).await?;
    line(&if sysadmin {
        format!("{name} is a system administrator")
    } else {
        format!("{name} is no longer a system administrator")
    });
    Ok(())
}

async fn delete(local: &Local, name: &str) -> anyhow::Result<()> {
    let (id, permit) = (id_of(local, name).await?, local::system()?);
    let deleted = user::delete(&local.db, &permit, id, local.now()).await;
    deleted.map_err(|error| match error {
        Error::UserUndeletable(_) => anyhow::anyhow!("the built-in admin cannot be deleted"),
        other => other.into(),
    })?;
    line(&format!("user {name} is deleted"));
    Ok(())
}
