//! `gantry user`.

use std::process::ExitCode;

use auth::password::{PasswordHasher, check_rule};
use clap::Subcommand;
use db::account::{self, NewAccount};
use db::audit;
use db::page::Page;

use super::local::{Local, password};
use super::print;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Make a user; the password comes from GANTRY_PASSWORD or standard input.
    Create {
        /// The name to sign in with.
        name: String,
        /// Mail address.
        #[arg(long)]
        email: String,
        /// The person's name.
        #[arg(long, default_value = "")]
        realname: String,
        /// Allow everything.
        #[arg(long)]
        admin: bool,
    },
    /// List users.
    List,
    /// Set a user's password, from GANTRY_PASSWORD or standard input.
    Passwd {
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
                let password_hash = Some(hashed().await?);
                let realname = if realname.is_empty() {
                    name.clone()
                } else {
                    realname
                };
                let new = NewAccount {
                    name,
                    email: Some(email),
                    realname,
                    comment: String::new(),
                    password_hash,
                    sysadmin: admin,
                };
                create(local, new).await?;
            }
            Self::List => list(local).await?,
            Self::Passwd { name } => passwd(local, &name).await?,
            Self::Delete { name } => delete(local, &name).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn hashed() -> anyhow::Result<String> {
    let password = password()?;
    check_rule(&password)?;
    Ok(PasswordHasher::new().hash(&password).await?)
}

async fn create(local: &Local, new: NewAccount) -> anyhow::Result<()> {
    let (now, entry) = (local.now(), local.entry("create", "user", &new.name, None));
    let name = new.name.clone();
    let made = local.db.write(move |tx| {
        Box::pin(async move {
            let id = account::create(tx, &new, now).await?;
            audit::append(tx, &entry).await?;
            Ok::<_, db::Error>(id)
        })
    });
    let id = made.await.map_err(|error| match error {
        db::Error::Duplicate(_) => {
            anyhow::anyhow!("user {name} or the mail address already exists")
        }
        error => error.into(),
    })?;
    print(&format!("user {name} has id {id}"));
    Ok(())
}

async fn list(local: &Local) -> anyhow::Result<()> {
    let mut tx = local.db.reader().await?;
    let (accounts, _) = account::list(
        &mut tx,
        &account::Filter::default(),
        account::Order::Name,
        Page::ALL,
    )
    .await?;
    for account in accounts {
        let admin = if account.sysadmin { " admin" } else { "" };
        print(&format!(
            "{:>6} {} <{}>{admin}",
            account.id,
            account.name,
            account.email.unwrap_or_default()
        ));
    }
    Ok(())
}

async fn find(local: &Local, name: &str) -> anyhow::Result<account::Account> {
    let mut tx = local.db.reader().await?;
    let found = account::by_name(&mut tx, name).await?;
    found.ok_or_else(|| anyhow::anyhow!("there is no user {name}"))
}

async fn passwd(local: &Local, name: &str) -> anyhow::Result<()> {
    let account = find(local, name).await?;
    let hash = hashed().await?;
    let (now, entry) = (local.now(), local.entry("update", "user", name, None));
    let changed = local.db.write(move |tx| {
        Box::pin(async move {
            account::set_password(tx, account.id, &hash, now).await?;
            audit::append(tx, &entry).await
        })
    });
    changed.await?;
    print(&format!(
        "the password of {name} is changed; tokens of before are void"
    ));
    Ok(())
}

async fn delete(local: &Local, name: &str) -> anyhow::Result<()> {
    let account = find(local, name).await?;
    anyhow::ensure!(
        account.id != model::AccountId::ADMIN,
        "the built-in admin cannot be deleted"
    );
    let (now, entry) = (local.now(), local.entry("delete", "user", name, None));
    let deleted = local.db.write(move |tx| {
        Box::pin(async move {
            account::delete(tx, account.id, now).await?;
            audit::append(tx, &entry).await
        })
    });
    deleted.await?;
    print(&format!("user {name} is deleted"));
    Ok(())
}
