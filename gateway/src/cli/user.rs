//! `gantry user`.

use std::process::ExitCode;

use clap::Subcommand;
use db::list::Selection;
use db::user::Scope;
use model::{Profile, UserId};
use policy::{Caller, permit};
use tenancy::Error;
use tenancy::oidc::Accounts;
use tenancy::oidc::link::{self, By, Relink};
use tenancy::password::PasswordHasher;
use tenancy::user::{self, NewUser};

use super::local::{self, Local};
use super::oidc::provider;
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
    /// Join a user and a person of the OIDC provider: the user signs in there from now on.
    Join {
        /// The user's name.
        name: String,
        /// What the provider calls the person: the claim `sub`.
        #[arg(long)]
        subject: String,
    },
    /// Part a user from its person at the OIDC provider: its CLI secret, tokens and sessions end at once.
    Unlink {
        /// The user's name.
        name: String,
    },
    /// Let all users of an OIDC issuer belong to the same people at another issuer, as when the provider's host name or
    /// tenant changed. Refused if two users would belong to one person.
    Relink {
        /// The issuer that vouched for them, and the one that does from now on.
        #[arg(long, num_args = 2, value_names = ["OLD", "NEW"], required = true)]
        issuer: Vec<String>,
        /// Find people by this claim at their next sign-in, if subjects change too: `email`, which the provider must have
        /// verified, or `name`, the claim of oidc_user_claim.
        #[arg(long, value_name = "CLAIM", value_parser = ["email", "name"])]
        by: Option<String>,
        /// Only print what would change.
        #[arg(long)]
        dry_run: bool,
    },
    /// Replace the name of a user, existing or deleted, by a pseudonym wherever it is shown, and remove all else that is
    /// known about the person. The server takes the name out of the audit log, which can still be verified.
    Erase {
        /// The name that the user has, or had when it was deleted.
        name: String,
        /// Which one, if several users had that name.
        #[arg(long)]
        id: Option<i64>,
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
            Self::Join { name, subject } => join(local, &name, &subject).await?,
            Self::Unlink { name } => unlink(local, &name).await?,
            Self::Relink {
                issuer,
                by,
                dry_run,
            } => relink(local, &issuer, by.as_deref(), dry_run).await?,
            Self::Erase { name, id } => erase(local, &name, id.map(UserId)).await?,
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

async fn erase(local: &Local, name: &str, id: Option<UserId>) -> anyhow::Result<()> {
    let mut found = db::user::any_by_name(&mut local.db.reader().await?, name).await?;
    found.retain(|user| id.is_none_or(|id| id == user.id));
    let id = match found.as_slice() {
        [] => anyhow::bail!("there is no such user {name}, and none was deleted"),
        [only] => only.id,
        several => {
            let ids: Vec<String> = several.iter().map(|user| user.id.to_string()).collect();
            anyhow::bail!(
                "several users had the name {name}: choose one by --id: {}",
                ids.join(", ")
            );
        }
    };
    let erased = user::erase(&local.db, &local::system()?, id, local.now()).await;
    let pseudonym = erased.map_err(|error| match error {
        Error::UserUndeletable(_) => anyhow::anyhow!("the built-in admin cannot be erased"),
        other => other.into(),
    })?;
    line(&format!(
        "{name} is {pseudonym} now; the server takes the name out of the audit log"
    ));
    Ok(())
}

async fn join(local: &Local, name: &str, subject: &str) -> anyhow::Result<()> {
    let id = id_of(local, name).await?;
    let issuer = provider(local).await?.issuer().await?;
    let accounts = Accounts::new(local.db.clone(), local.master.clone());
    let person = (id, &*issuer, subject);
    link::join(&accounts, &local::system()?, person, local.now()).await?;
    line(&format!("{name} belongs to {subject} of {issuer} now"));
    Ok(())
}

async fn unlink(local: &Local, name: &str) -> anyhow::Result<()> {
    let id = id_of(local, name).await?;
    link::unlink(&local.db, &local::system()?, id, local.now()).await?;
    line(&format!(
        "{name} belongs to nobody at the provider now; its secrets, tokens and sessions have ended"
    ));
    Ok(())
}

async fn relink(
    local: &Local,
    issuers: &[String],
    by: Option<&str>,
    dry_run: bool,
) -> anyhow::Result<()> {
    let [from, to] = issuers else {
        anyhow::bail!("--issuer takes two issuers: the old one and the new one");
    };
    let claim = local.settings().await?.current().oidc_user_claim.clone();
    let asked = Relink {
        from: from.clone(),
        to: to.clone(),
        by: match by {
            Some("email") => By::Email,
            Some(_) => By::Name,
            None => By::Subject,
        },
        name_claim: if claim.is_empty() {
            "name".to_owned()
        } else {
            claim
        },
        dry_run,
    };
    let changed = link::relink(&local.db, &local::system()?, asked, local.now()).await?;
    for change in &changed {
        line(&format!(
            "{}: {} -> {}",
            change.name, change.from, change.to
        ));
    }
    let count = changed.len();
    line(&match dry_run {
        true => format!("{count} users would follow the provider; nothing was changed"),
        false => format!("{count} users follow the provider"),
    });
    Ok(())
}
