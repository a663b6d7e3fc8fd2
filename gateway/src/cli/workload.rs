//! `gantry workload`: rules that let CI jobs and pods sign in with tokens of their own issuers.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use auth::workload::{Explanation, RuleText, Workloads};
use clap::{Args, Subcommand};
use db::list::Selection;
use db::workload_rule::{self, Rule};
use model::{ProjectName, SystemClock, WorkloadRuleId};
use serde_json::{Value, json};
use tenancy::workload_rule as service;

use super::local::Local;
use super::out::{self, line};
use super::project;

#[derive(Subcommand)]
pub(super) enum Command {
    /// List a project's rules for workloads.
    List {
        /// The project's name.
        project: ProjectName,
        /// Print JSON lines.
        #[arg(long)]
        json: bool,
    },
    /// Add a rule. It takes effect at once: matching tokens get the role in the project.
    Add(Box<Add>),
    /// Remove a rule. It accepts no more tokens, and access already granted by it is revoked.
    Remove {
        /// The project's name.
        project: ProjectName,
        /// The rule's ID.
        id: WorkloadRuleId,
    },
    /// Show which rules accept a token, and why the others do not. Exit code 1 if none does.
    Test {
        /// The project's name.
        project: ProjectName,
        /// The file with the token; `-` is standard input.
        #[arg(long, value_name = "FILE", default_value = "-")]
        token_file: PathBuf,
    },
}

/// The fields of a new rule.
#[derive(Args)]
pub(super) struct Add {
    /// The project's name.
    project: ProjectName,
    /// The rule's name, unique within the project.
    name: String,
    /// The issuer's URL, as its tokens name it.
    #[arg(long, value_name = "URL")]
    issuer: String,
    /// The audience of the tokens (`aud`), usually the registry's address.
    #[arg(long)]
    audience: String,
    /// The subject (`sub`), or a pattern with a fixed beginning that names the owner: `*` for anything but `/` and `:`,
    /// `**` for anything.
    #[arg(long, value_name = "PATTERN")]
    subject: String,
    /// A further claim and its pattern; may be given several times.
    #[arg(long = "claim", value_name = "NAME=PATTERN", value_parser = claim)]
    claims: Vec<(String, String)>,
    /// maintainer, developer, guest or limitedGuest.
    #[arg(long, default_value = "developer")]
    role: String,
    /// Maximum lifetime of registry tokens in seconds, 60 to 86400.
    #[arg(long, value_name = "SECONDS", default_value_t = 3_600)]
    lifetime: i64,
    /// A file with the issuer's public keys as a JWK set; without it, they are fetched from the issuer.
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// A PEM file with CAs for the issuer's certificate; without it, the system's CAs are used.
    #[arg(long, value_name = "FILE", conflicts_with = "jwks")]
    ca: Option<PathBuf>,
}

/// A claim and its pattern.
fn claim(text: &str) -> Result<(String, String), &'static str> {
    let (name, pattern) = text.split_once('=').ok_or("must be NAME=PATTERN")?;
    Ok((name.to_owned(), pattern.to_owned()))
}

impl Command {
    pub(super) async fn run(self, local: &Local) -> anyhow::Result<ExitCode> {
        match self {
            Self::List { project, json } => list(local, &project, json).await?,
            Self::Add(rule) => add(local, *rule).await?,
            Self::Remove { project, id } => remove(local, &project, id).await?,
            Self::Test {
                project,
                token_file,
            } => return test(local, &project, &token_file).await,
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn list(local: &Local, project: &ProjectName, json: bool) -> anyhow::Result<()> {
    let mut reader = local.db.reader().await?;
    let project = project::find(&mut reader, project).await?.id;
    let (rules, _) = workload_rule::list(&mut reader, project, &Selection::all()).await?;
    if json {
        let values: Vec<Value> = rules.iter().map(shown).collect::<Result<_, _>>()?;
        return Ok(out::json_lines(&values)?);
    }
    for rule in rules {
        let conditions = rule.conditions()?;
        let (id, name, role) = (rule.id, &rule.name, rule.role.name());
        let (subject, issuer) = (&conditions.subject, &conditions.issuer);
        line(&format!("{id:>6} {role} {subject} of {issuer} ({name})"));
    }
    Ok(())
}

/// A rule as JSON, in the API's form.
fn shown(rule: &Rule) -> anyhow::Result<Value> {
    let conditions = rule.conditions()?;
    let jwks = rule.jwks.as_deref().map(serde_json::from_str::<Value>);
    Ok(json!({
        "id": rule.id, "name": rule.name, "issuer": conditions.issuer.as_str(), "audience": conditions.audience,
        "subject": conditions.subject, "claims": conditions.claims, "role": rule.role.name(), "lifetime": rule.lifetime,
        "jwks": jwks.transpose()?, "ca": rule.ca,
    }))
}

async fn add(local: &Local, rule: Add) -> anyhow::Result<()> {
    let file = |path: Option<&PathBuf>| path.map(|path| text_of(path)).transpose();
    let text = RuleText {
        name: rule.name,
        issuer: rule.issuer,
        audience: rule.audience,
        subject: rule.subject,
        claims: rule.claims.into_iter().collect(),
        role: rule.role,
        lifetime: Some(rule.lifetime),
        jwks: file(rule.jwks.as_ref())?,
        ca: file(rule.ca.as_ref())?,
    };
    let content = text.content()?;
    let permit = project::permit(local, &rule.project).await?;
    let id = service::create(&local.db, &permit, content, local.now()).await?;
    line(&format!("rule {id} of {} is in effect", rule.project));
    Ok(())
}

fn text_of(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

async fn remove(local: &Local, project: &ProjectName, id: WorkloadRuleId) -> anyhow::Result<()> {
    let permit = project::permit(local, project).await?;
    service::delete(&local.db, &permit, id, local.now()).await?;
    line(&format!("rule {id} of {project} is removed"));
    Ok(())
}

/// Connections to issuers, through the same guard as the server's.
async fn test(local: &Local, project: &ProjectName, file: &Path) -> anyhow::Result<ExitCode> {
    let token = match file.as_os_str() == "-" {
        true => from_stdin()?,
        false => text_of(file)?,
    };
    let permit = project::permit(local, project).await?;
    let guard = Arc::new(local.config.outgoing.guard());
    let workloads = Workloads::new(local.db.clone(), Arc::new(SystemClock), guard);
    let explanation = workloads.explain(&permit, &token).await?;
    print(&explanation);
    Ok(match explanation.admits() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Maximum length of a token on standard input, in bytes.
const LARGEST_TOKEN: u64 = 64 << 10;

fn from_stdin() -> anyhow::Result<String> {
    let mut text = String::new();
    let mut input = io::stdin().lock().take(LARGEST_TOKEN);
    let read = input.read_to_string(&mut text);
    read.context("cannot read the token from standard input")?;
    Ok(text)
}

fn print(explanation: &Explanation) {
    let (subject, issuer) = (&explanation.subject, &explanation.issuer);
    line(&format!("subject {subject:?}, issuer {issuer:?}"));
    if let Some(problem) = &explanation.problem {
        line(&format!("REFUSED {problem}"));
    }
    for rule in &explanation.rules {
        let (id, name) = (rule.id, &rule.name);
        match rule.problems.is_empty() {
            true => line(&format!("matches rule {id} ({name}): {}", rule.role.name())),
            false => line(&format!("no      rule {id} ({name})")),
        }
        for problem in &rule.problems {
            line(&format!("        {problem}"));
        }
    }
    if explanation.rules.is_empty() {
        line("there is no rule that could match");
    }
}
