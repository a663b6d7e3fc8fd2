//! The command line. Exit codes: 0 success, 1 failed, refused, or a problem was found, 2 wrong usage, or something
//! differs (`apply --dry-run`).

mod apply;
mod artifact;
mod audit;
mod backup;
mod cert;
mod completion;
mod config;
mod credential_provider;
mod db;
mod doctor;
mod gc;
mod group;
mod job;
mod label;
mod ldap;
mod local;
mod member;
mod node_config;
mod oidc;
mod out;
mod parse;
mod password;
mod progress;
mod project;
mod registry;
mod replication;
mod repository;
mod retention;
mod robot;
mod rule;
mod secret;
mod storage;
mod tag;
mod user;
mod webhook;
mod workload;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, CommandFactory as _, Parser, Subcommand};

use self::out::line as print;
use crate::serve::{Start, serve};

/// Gantry, an enterprise container registry in one process.
#[derive(Parser)]
#[command(name = "gantry", version, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Word,
}

#[derive(Subcommand)]
enum Word {
    #[command(flatten)]
    Command(Box<Command>),
    #[command(flatten)]
    Tool(Tool),
}

/// Options of all commands.
#[derive(Args)]
struct Common {
    /// Settings file; see docs/configuration.md for every key.
    #[arg(long, global = true, value_name = "FILE", env = "GANTRY_CONFIG")]
    config: Option<PathBuf>,
    /// Folder for all of Gantry's data ([server] data).
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the registry.
    Serve(Serve),
    /// Check or show the configuration file's settings, or list and change the settings in the database.
    #[command(subcommand)]
    Config(config::Command),
    /// Manage local users.
    #[command(subcommand)]
    User(user::Command),
    /// Manage groups of users.
    #[command(subcommand)]
    Group(group::Command),
    /// Test the connection to the directory, and search it.
    #[command(subcommand)]
    Ldap(ldap::Command),
    /// Test the OIDC provider.
    #[command(subcommand)]
    Oidc(oidc::Command),
    /// Manage projects and their quotas.
    #[command(subcommand)]
    Project(project::Command),
    /// Manage members of projects and their roles.
    #[command(subcommand)]
    Member(member::Command),
    /// Manage robots: accounts for programs.
    #[command(subcommand)]
    Robot(robot::Command),
    /// List, describe and delete repositories.
    #[command(subcommand)]
    Repository(repository::Command),
    /// Manage labels of the installation and of projects, and put them on artifacts.
    #[command(subcommand)]
    Label(label::Command),
    /// Manage rules that make tags of a project immutable.
    #[command(subcommand)]
    Rule(rule::Command),
    /// Manage and run policies by which a project's artifacts are kept or go.
    #[command(subcommand)]
    Retention(retention::Command),
    /// Manage rules that let CI jobs and pods sign in with tokens of their own issuers.
    #[command(subcommand)]
    Workload(workload::Command),
    /// Manage policies by which events of a project are sent to other servers, and show what was sent.
    #[command(subcommand)]
    Webhook(webhook::Command),
    /// Manage other registries, to which artifacts are copied and from which they come.
    #[command(subcommand)]
    Registry(registry::Command),
    /// Manage policies by which artifacts are copied, and start, show and stop their executions.
    #[command(subcommand)]
    Replication(replication::Command),
    /// List, copy and delete artifacts.
    #[command(subcommand)]
    Artifact(artifact::Command),
    /// List, create, delete and restore tags.
    #[command(subcommand)]
    Tag(tag::Command),
    /// Show, check, issue, renew and import certificates, and replace the private CA.
    #[command(subcommand)]
    Cert(cert::Command),
    /// Read and verify the audit log.
    #[command(subcommand)]
    Audit(audit::Command),
    /// Check, move and import stored blobs.
    #[command(subcommand)]
    Storage(storage::Command),
    /// Show and control garbage collection.
    #[command(subcommand)]
    Gc(gc::Command),
    /// Show, retry and cancel background jobs.
    #[command(subcommand)]
    Job(job::Command),
    /// Show and migrate the database's schema.
    #[command(subcommand)]
    Db(db::Command),
    /// Check names, owners of files, clock, disk, database, storage, certificates, the address of clients and the settings,
    /// and say what to do about each problem; exit code 1 if something fails. Changes nothing.
    Doctor(doctor::Doctor),
    /// Write a consistent snapshot of the database, and the digests of its blobs, into a new folder, while the server
    /// runs. The blobs themselves are not included.
    Backup(backup::Backup),
    /// Restore a backup into an empty database, SQLite or PostgreSQL, and check that its blobs exist.
    Restore(backup::Restore),
    /// Bring projects, members, labels, robots, registries, rules and policies to what YAML files say, and show what
    /// differs first: see docs/gitops.md.
    ///
    /// Exits with 0 if all is as the files say; with 1 if a file is wrong, or an object could not be compared, made,
    /// changed or removed; with 2 if something differs and --dry-run is given.
    Apply(apply::Apply),
    /// Create secrets.
    #[command(subcommand)]
    Secret(secret::Command),
    /// Write the files by which nodes of a Kubernetes cluster trust this registry and sign in at it.
    NodeConfig(node_config::NodeConfig),
}

// Commands without an installation: nodes and packagers run them.
#[derive(Subcommand)]
enum Tool {
    /// The kubelet's plugin by which pods pull as themselves: it reads a request from standard input.
    CredentialProvider(credential_provider::CredentialProvider),
    /// Print a script that completes the command line in a shell.
    Completion(completion::Completion),
    /// Write man pages.
    Man(completion::Man),
    /// Print the version.
    Version,
}

#[derive(Args)]
struct Serve {
    /// Address of the registry, HTTPS ([server] listen).
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<SocketAddr>,
    /// Address of /metrics, /healthz and /readyz, plain HTTP ([server] metrics_listen).
    #[arg(long, value_name = "ADDR:PORT")]
    metrics_listen: Option<SocketAddr>,
    /// Take over the listeners of a running process: send that process SIGQUIT afterwards.
    #[arg(long)]
    take_over: bool,
}

/// Runs the command line.
pub(crate) fn run() -> ExitCode {
    let code = match Cli::try_parse() {
        Ok(cli) => execute(cli).unwrap_or_else(failed),
        Err(error) => not_a_command(&error),
    };
    let written = out::finish().context("cannot write to standard output");
    written.map_or_else(failed, |()| code)
}

fn failed(error: anyhow::Error) -> ExitCode {
    out::error(&error);
    ExitCode::FAILURE
}

/// Prints help or the version if requested, or an error about the arguments.
fn not_a_command(error: &clap::Error) -> ExitCode {
    let printed = error.print();
    if error.use_stderr() {
        return ExitCode::from(WRONG_USAGE);
    }
    out::wrote(printed);
    ExitCode::SUCCESS
}

/// The exit code for invalid arguments.
const WRONG_USAGE: u8 = 2;

fn execute(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Word::Command(command) => with_settings(*command, cli.common),
        Word::Tool(Tool::CredentialProvider(command)) => command.run(),
        Word::Tool(Tool::Completion(command)) => command.run(Cli::command()),
        Word::Tool(Tool::Man(command)) => command.run(Cli::command()),
        Word::Tool(Tool::Version) => {
            print(concat!("gantry ", env!("CARGO_PKG_VERSION")));
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn with_settings(command: Command, common: Common) -> anyhow::Result<ExitCode> {
    let loaded = crate::config::load(common.config.as_deref(), std::env::vars_os());
    let mut config = match (loaded, &command) {
        (Err(error), Command::Doctor(doctor)) => return doctor.run_without_settings(&error),
        (loaded, _) => loaded?,
    };
    if let Some(data) = common.data {
        config.server.data = data;
    }
    match command {
        Command::Serve(options) => {
            config.server.listen = options.listen.unwrap_or(config.server.listen);
            config.server.metrics_listen = options
                .metrics_listen
                .unwrap_or(config.server.metrics_listen);
            let start = if options.take_over {
                Start::TakeOver
            } else {
                Start::Fresh
            };
            serve(config, start)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Config(command) => command.run(config),
        Command::User(command) => local::run(config, async |local| command.run(local).await),
        Command::Group(command) => local::run(config, async |local| command.run(local).await),
        Command::Ldap(command) => local::run(config, async |local| command.run(local).await),
        Command::Oidc(command) => local::run(config, async |local| command.run(local).await),
        Command::Member(command) => local::run(config, async |local| command.run(local).await),
        Command::Project(command) => local::run(config, async |local| command.run(local).await),
        Command::Robot(command) => local::run(config, async |local| command.run(local).await),
        Command::Repository(command) => local::run(config, async |local| command.run(local).await),
        Command::Label(command) => local::run(config, async |local| command.run(local).await),
        Command::Rule(command) => local::run(config, async |local| command.run(local).await),
        Command::Retention(command) => local::run(config, async |local| command.run(local).await),
        Command::Workload(command) => local::run(config, async |local| command.run(local).await),
        Command::Webhook(command) => local::run(config, async |local| command.run(local).await),
        Command::Registry(command) => local::run(config, async |local| command.run(local).await),
        Command::Replication(command) => local::run(config, async |local| command.run(local).await),
        Command::Artifact(command) => local::run(config, async |local| command.run(local).await),
        Command::Tag(command) => local::run(config, async |local| command.run(local).await),
        Command::Cert(command) => command.start(config),
        Command::Audit(command) => local::run(config, async |local| command.run(local).await),
        Command::Storage(command) => local::run(config, async |local| command.run(local).await),
        Command::Gc(command) => local::run(config, async |local| command.run(local).await),
        Command::Job(command) => local::run(config, async |local| command.run(local).await),
        Command::Apply(command) => command.start(config),
        Command::Backup(command) => local::run(config, async |local| command.run(local).await),
        Command::Restore(command) => local::runtime()?.block_on(command.run(config)),
        Command::Db(command) => local::runtime()?.block_on(command.run(&config)),
        Command::Doctor(command) => command.run(config),
        Command::Secret(command) => command.run(),
        Command::NodeConfig(command) => command.run(config),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All subcommands of a command, as they are typed.
    fn commands(of: &clap::Command, before: &str) -> Vec<String> {
        let below = of.get_subcommands().flat_map(|command| {
            let typed = format!("{before} {}", command.get_name());
            if command.has_subcommands() {
                commands(command, &typed)
            } else {
                vec![typed]
            }
        });
        below.collect()
    }

    /// The commands of a table row: the first in full, the others without the common beginning.
    fn of_row(row: &str) -> Vec<String> {
        let cell = row.split('|').nth(1).unwrap_or_default();
        let typed: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
        let group = typed[0].split(' ').take(2).collect::<Vec<_>>().join(" ");
        let further = typed[1..].iter().flat_map(|words| {
            let word = words.split(' ').next().unwrap_or_default();
            [format!("{group} {word}"), format!("gantry {word}")]
        });
        further
            .chain([group.clone(), typed[0].to_owned()])
            .collect()
    }

    #[test]
    fn the_documentation_has_every_command() {
        let folder = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").unwrap());
        let text = std::fs::read_to_string(folder.join("../docs/operators.md")).unwrap();
        let rows = text.lines().filter(|line| line.starts_with("| `gantry "));
        let documented: Vec<String> = rows.flat_map(of_row).collect();
        let is_documented = |typed: &String| {
            let arguments = format!("{typed} ");
            documented
                .iter()
                .any(|row| row == typed || row.starts_with(&arguments))
        };
        let all = commands(&Cli::command(), "gantry");
        assert!(all.contains(&"gantry gc run".to_owned()), "{all:?}");
        let missing: Vec<&String> = all.iter().filter(|typed| !is_documented(typed)).collect();
        assert!(missing.is_empty(), "not in docs/operators.md: {missing:?}");
    }
}
