//! `cargo xtask bench scale`: lists and manifests where there are very many rows, time to ready, and memory.

mod measure;
mod page;
mod place;
pub(super) mod seed;

use std::time::Duration;

use super::paper::{self, Part};
use testkit::gantry::Server;
use testkit::meter::wait;
use testkit::target::Target;
use testkit::topology::Topology;

use super::load::small;

use super::Options;
use super::stage::{Setup, Stage};
use place::{Case, Referrers, member_of, real_tags};
use seed::Size;

/// Seconds after the start when memory at rest is read.
const REST: Duration = Duration::from_secs(5);
const REFERRERS: usize = 1_000;
const MEMBER: (&str, &str) = ("scale-member", "Bench-Member-1");

/// Runs it on each topology and writes the document.
///
/// # Errors
/// A program is missing, a server fails, or an answer is not what it must be. A missed target is no error.
pub(super) fn run(options: Options) -> Result<(), String> {
    options.check(&[])?;
    let setup = Setup::new(options)?;
    let mut parts = Vec::new();
    for topology in Topology::these_or_all(&setup.options.on) {
        let stage = Stage::new(&setup, topology, "scale")?;
        parts.push(one(stage).map_err(|error| format!("on {topology}: {error}"))?);
    }
    paper::publish(&setup.options, &parts)
}

fn one(mut stage: Stage<'_>) -> Result<Part, String> {
    let size = if stage.setup.options.short {
        Size {
            repositories: 5_000,
            crowd: 2_000,
        }
    } else {
        Size::MILLION
    };
    // The schema and the first account are the server's own work.
    let (mut gantry, _) = stage.serve()?;
    end(&mut gantry)?;
    eprintln!(
        "  {}: {} tags, {} repositories, {} blobs",
        stage.topology,
        size.tags(),
        size.repositories,
        size.tags()
    );
    seed::fill(&stage, size)?;
    let cases = prepare(&stage, size)?;
    let (starts, idle) = starts(&stage)?;
    let measured = measure::all(&mut stage, &cases)?;
    // What SQL made is what the server would count.
    stage.command("storage usage")?;
    Ok(page::part(
        &stage,
        size,
        &measured,
        &page::Process { starts, idle },
    ))
}

/// Lets the server itself add what is fetched whole, and a member.
fn prepare(stage: &Stage<'_>, size: Size) -> Result<Vec<Case>, String> {
    let (mut gantry, _) = stage.serve()?;
    add_member(stage, &gantry, size)?;
    let repository = size.repository(0);
    for first in real_tags(size) {
        wait(small::tagged(
            &gantry.target,
            &repository,
            first,
            place::SPREAD,
        ))?;
    }
    let referrers = push_referrers(stage, &gantry.target, &repository)?;
    end(&mut gantry)?;
    Ok(place::cases(size, &referrers))
}

fn add_member(stage: &Stage<'_>, gantry: &Server, size: Size) -> Result<(), String> {
    let (name, password) = MEMBER;
    gantry.target.create_user(name, password)?;
    let projects = member_of(size).map(|number| format!("'{}'", seed::project(number)));
    // A limited guest: the least that a member may be.
    stage.sql(&format!(
        "insert into member (project_id, principal_id, role, created_at)
         select p.id, a.id, 5, {} from project p, principal a where p.name in ({}) and a.name = '{name}';",
        seed::THEN,
        projects.join(", ")
    ))?;
    Ok(())
}

fn push_referrers(
    stage: &Stage<'_>,
    target: &Target,
    repository: &str,
) -> Result<Referrers, String> {
    let subject = wait(small::referrers(target, repository, REFERRERS))?;
    // In the order in which they were stored, which is the order of their pages.
    let rows = stage.sql(&format!(
        "select id || ' sha256:' || {digest} from manifest where subject = {subject} order by id;",
        digest = if stage.is_postgres() {
            "encode(substr(digest, 2), 'hex')"
        } else {
            "lower(hex(substr(digest, 2)))"
        },
        subject = seed::in_dialect(stage, &seed::literal(&subject))
    ))?;
    let pair = |row: &str| {
        let (id, digest) = row.split_once(' ')?;
        Some((id.parse().ok()?, digest.to_owned()))
    };
    let stored: Vec<(u64, String)> = rows.lines().filter_map(pair).collect();
    if stored.len() != REFERRERS {
        return Err(format!("{} referrers are stored", stored.len()));
    }
    let (ids, digests) = stored.into_iter().unzip();
    Ok(Referrers {
        subject,
        digests,
        ids,
    })
}

/// Milliseconds from the start of the process to ready, and the memory at rest, in MiB, of each start.
fn starts(stage: &Stage<'_>) -> Result<(Vec<f64>, Vec<f64>), String> {
    let (mut times, mut idle) = (Vec::new(), Vec::new());
    for round in 0..stage.setup.options.rounds() {
        let (mut gantry, took) = stage.serve()?;
        times.push(took.as_secs_f64() * 1000.0);
        if round < 2 {
            std::thread::sleep(REST);
            idle.push(gantry.daemon.processes().resident_mib());
        }
        end(&mut gantry)?;
    }
    Ok((times, idle))
}

fn end(gantry: &mut Server) -> Result<(), String> {
    gantry.stop().map(drop)
}
