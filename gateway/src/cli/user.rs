//! `gantry user`.

use std::process::ExitCode;

use auth::password::PasswordHasher;
use clap::Subcommand;
use db::account::{self, Account, NewAccount};
use db::list::Selection;
use model::AccountId;

use super::local::Local;
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
    /// Make a user a system administrator, who may do everything.
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
                let new = NewAccount {
                    realname: realname.unwrap_or_else(|| name.clone()),
                    name,
                    email: Some(email),
                    comment: String::new(),
                    password_hash: None,
                    sysadmin: admin,
                };
                create(local, new).await?;
            }
            Self::List => list(local).await?,
            Self::Passwd { name } => passwd(local, name).await?,
            Self::Promote { name } => set_sysadmin(local, name, true).await?,
            Self::Demote { name } => set_sysadmin(local, name, false).await?,
            Self::Delete { name } => delete(local, name).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn hashed_password(user: &str) -> anyhow::Result<String> {
    let password = new_password(user)?;
    Ok(PasswordHasher::new().hash(password.expose()).await?)
}

async fn create(local: &Local, mut new: NewAccount) -> anyhow::Result<()> {
    admin_api::check_username(&new.name)?;
    let email = new.email.clone().unwrap_or_default();
    admin_api::check_profile(&email, &new.realname, &new.comment)?;
    new.password_hash = Some(hashed_password(&new.name).await?);
    let name = new.name.clone();
    let (now, mut entry) = (local.now(), local.entry("create", "user", &name, None));
    if new.sysadmin {
        entry.detail = sysadmin_detail(true);
    }
    let made = local.change(entry, move |tx, _| {
        Box::pin(async move {
            let taken = || {
                anyhow::anyhow!(
                    "another user has the name {} or the mail address {email}",
                    new.name
                )
            };
            if account::is_email_taken(tx, &email, None).await? {
                return Err(taken());
            }
            let made = account::create(tx, &new, now).await;
            made.map_err(|error| match error {
                db::Error::Duplicate(_) => taken(),
                error => error.into(),
            })
        })
    });
    line(&format!("user {name} has id {}", made.await?));
    Ok(())
}

async fn list(local: &Local) -> anyhow::Result<()> {
    let mut tx = local.db.reader().await?;
    let (accounts, _) = account::list(&mut tx, account::Scope::All, &Selection::all()).await?;
    for account in accounts {
        let role = if account.sysadmin {
            "administrator"
        } else {
            "user"
        };
        let email = account.email.unwrap_or_default();
        line(&format!(
            "{:>6} {} <{email}> {role}",
            account.id, account.name
        ));
    }
    Ok(())
}

/// The account of this name, within the transaction that changes it.
async fn find(reader: &mut db::Reader, name: &str) -> anyhow::Result<Account> {
    let found = account::by_name(reader, name).await?;
    found.ok_or_else(|| anyhow::anyhow!("there is no user {name}"))
}

async fn passwd(local: &Local, name: String) -> anyhow::Result<()> {
    // Before a password is asked for.
    find(&mut local.db.reader().await?, &name).await?;
    let hash = hashed_password(&name).await?;
    let (now, mut entry) = (local.now(), local.entry("update", "user", &name, None));
    "password".clone_into(&mut entry.detail);
    let changed = name.clone();
    local
        .change(entry, move |tx, _| {
            Box::pin(async move {
                let account = find(tx, &changed).await?;
                Ok(account::set_password(tx, account.id, &hash, now).await?)
            })
        })
        .await?;
    line(&format!(
        "the password of {name} is changed; existing tokens are revoked"
    ));
    Ok(())
}

/// The detail of the audit entry for a change of rights, by REST too.
fn sysadmin_detail(sysadmin: bool) -> String {
    format!("sysadmin_flag {sysadmin}")
}

/// Refuses to demote or delete the last system administrator.
async fn keep_a_sysadmin(tx: &mut db::Tx, account: &Account) -> anyhow::Result<()> {
    anyhow::ensure!(
        !account::is_last_sysadmin(tx, account.id).await?,
        "{} is the last system administrator: make another user one first",
        account.name
    );
    Ok(())
}

async fn set_sysadmin(local: &Local, name: String, sysadmin: bool) -> anyhow::Result<()> {
    let (now, mut entry) = (local.now(), local.entry("update", "user", &name, None));
    entry.detail = sysadmin_detail(sysadmin);
    let changed = name.clone();
    local
        .change(entry, move |tx, _| {
            Box::pin(async move {
                let account = find(tx, &changed).await?;
                if !sysadmin {
                    keep_a_sysadmin(tx, &account).await?;
                }
                Ok(account::set_sysadmin(tx, account.id, sysadmin, now).await?)
            })
        })
        .await?;
    line(&if sysadmin {
        format!("{name} is a system administrator")
    } else {
        format!("{name} is no longer a system administrator")
    });
    Ok(())
}

async fn delete(local: &Local, name: String) -> anyhow::Result<()> {
    let (now, entry) = (local.now(), local.entry("delete", "user", &name, None));
    let deleted = name.clone();
    local
        .change(entry, move |tx, _| {
            Box::pin(async move {
                let account = find(tx, &deleted).await?;
                anyhow::ensure!(
                    account.id != AccountId::ADMIN,
                    "the built-in admin cannot be deleted"
                );
                keep_a_sysadmin(tx, &account).await?;
                Ok(account::delete(tx, account.id, now).await?)
            })
        })
        .await?;
    line(&format!("user {name} is deleted"));
    Ok(())
}
