//! `gantry ldap`: tests the configured directory step by step, and searches it.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use auth::ldap::{Config, Finding, FoundGroup, FoundPerson, Server, Step};
use clap::{Subcommand, ValueEnum};
use serde::Serialize;
use tenancy::secret::Secret;

use super::local::Local;
use super::out::{json_lines, line};
use super::password::first_line;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Connect to each address of the directory, search it, and print what works, and how to fix what does not.
    Test {
        /// Also look up this person and their groups, as at a sign-in.
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
        /// Also check the person's password, which is the first line of standard input.
        #[arg(long, requires = "user")]
        password_stdin: bool,
    },
    /// List people or groups of the directory.
    Search {
        /// What to list.
        kind: What,
        /// The exact name; without it, list all.
        name: Option<String>,
        /// Print a line of JSON for each.
        #[arg(long)]
        json: bool,
    },
}

/// What to search for.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum What {
    /// People who can sign in.
    Users,
    /// Groups that Gantry adopts.
    Groups,
}

impl Command {
    pub(super) async fn run(self, local: &Local) -> anyhow::Result<ExitCode> {
        let server = server(local).await?;
        match self {
            Self::Test {
                user,
                password_stdin,
            } => {
                let password = match password_stdin {
                    true => Some(Secret::new(first_line(io::stdin().lock())?)),
                    false => None,
                };
                test(local, &server, user.as_deref().map(|user| (user, password))).await
            }
            Self::Search { kind, name, json } => {
                search(local, &server, (kind, name.as_deref()), json).await?;
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

/// The configured directory; connections to it pass the same guard as the server's.
async fn server(local: &Local) -> anyhow::Result<Server> {
    let settings = local.settings().await?;
    let config = Config::of(&settings, &settings.current())?;
    let config = config.ok_or(auth::ldap::Error::NotConfigured)?;
    let guard = Arc::new(local.config.outgoing.guard());
    Ok(Server::new(config, guard)?)
}

async fn test(
    local: &Local,
    server: &Server,
    user: Option<(&str, Option<Secret>)>,
) -> anyhow::Result<ExitCode> {
    let mut works = print(&server.probe().await);
    if let Some((name, password)) = user.filter(|_| works) {
        works = print(&server.probe_user(name, local.now()).await);
        if let Some(password) = password.filter(|_| works) {
            works = check(local, server, name, password.expose()).await?;
        }
    }
    Ok(match works {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Prints steps, and returns whether all of them worked.
fn print(steps: &[Step]) -> bool {
    let mut works = true;
    for step in steps {
        let what = &step.what;
        match &step.finding {
            Finding::Good(note) => line(&format!("ok     {what}: {note}")),
            Finding::Bad(error) => {
                works = false;
                line(&format!("FAILED {what}: {}", error.chain()));
                line(&format!("       -> {}", step.advice().unwrap_or_default()));
            }
        }
    }
    works
}

async fn check(local: &Local, server: &Server, name: &str, password: &str) -> anyhow::Result<bool> {
    let found = server.find(name, local.now()).await?;
    let right = match found {
        Some(person) => server.check(&person.dn, password).await?,
        None => false,
    };
    line(match right {
        true => "ok     check the password: right",
        false => "FAILED check the password: the directory refuses it",
    });
    Ok(right)
}

/// A person as `--json` prints them.
#[derive(Serialize)]
struct Person {
    name: String,
    realname: String,
    email: Option<String>,
    dn: String,
    ended: Option<&'static str>,
}

impl From<FoundPerson> for Person {
    fn from(found: FoundPerson) -> Self {
        Self {
            name: found.name().to_owned(),
            realname: found.realname,
            email: found.email,
            dn: found.dn,
            ended: found.ended,
        }
    }
}

/// A group as `--json` prints it.
#[derive(Serialize)]
struct Group {
    name: String,
    dn: String,
}

impl From<FoundGroup> for Group {
    fn from(found: FoundGroup) -> Self {
        Self {
            name: found.name,
            dn: found.entry.to_string(),
        }
    }
}

async fn search(
    local: &Local,
    server: &Server,
    (kind, name): (What, Option<&str>),
    json: bool,
) -> anyhow::Result<()> {
    match kind {
        What::Users => {
            let found = server.search_users(name, local.now()).await?;
            let people: Vec<Person> = found.into_iter().map(Person::from).collect();
            if json {
                return Ok(json_lines(&people)?);
            }
            for person in people {
                let ended = person.ended.map(|why| format!(" ({why})"));
                let ended = ended.unwrap_or_default();
                line(&format!("{}  {}{ended}", person.name, person.dn));
            }
        }
        What::Groups => {
            let found = server.search_groups(name).await?;
            let groups: Vec<Group> = found.into_iter().map(Group::from).collect();
            if json {
                return Ok(json_lines(&groups)?);
            }
            for group in groups {
                line(&format!("{}  {}", group.name, group.dn));
            }
        }
    }
    Ok(())
}
