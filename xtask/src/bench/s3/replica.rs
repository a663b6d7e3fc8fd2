//! One replica and two, behind the same kind of balancer: what a manifest costs, and whether they wait
//! for each other in the database.

use super::Run;
use super::lock::LockWatch;
use crate::backing::Room;
use crate::balancer;
use crate::bench::gantry::Gantry;
use crate::bench::load::{Figures, Target};
use crate::bench::process::Processes;
use crate::bench::recorder::{Subject, rotated};
use crate::bench::request::Request;
use crate::port::lasting_port;

const CONNECTIONS: u32 = 64;

impl Run<'_> {
    pub(super) fn replicas(&mut self) -> Result<(), String> {
        if !self.options.wants("replicas") {
            return Ok(());
        }
        let room = self.stage.room()?;
        let seed = ["-tag", "bench", "-padding", "1600"];
        let request = {
            let gantry = self.stage.gantry(&room, &[])?;
            Request::seed(&self.load, &gantry.target, "replicas", &seed, None)?
        };
        for round in 0..self.options.rounds {
            for index in rotated(2, round) {
                self.replicas_one(&room, &request, round, index + 1)?;
            }
        }
        Ok(())
    }

    fn replicas_one(
        &mut self,
        room: &Room<'_>,
        request: &Request,
        round: u32,
        count: usize,
    ) -> Result<(), String> {
        let servers: Vec<Gantry> = (0..count)
            .map(|_| self.stage.gantry(room, &BEHIND_BALANCER))
            .collect::<Result<_, _>>()?;
        let listen: Vec<&str> = servers.iter().map(Gantry::listen).collect();
        let public = format!("127.0.0.1:{}", lasting_port()?);
        let log = self.stage.folder().join("balancer.log");
        let _ = std::fs::remove_file(&log);
        let balancer = balancer::Process::start(None, &public, &listen, &log)?;
        let target = Target {
            url: format!("https://{public}"),
            ..servers[0].target.clone()
        };
        let processes = Processes::of(servers.iter().map(|gantry| gantry.server.pid()));
        let postgres = self.stage.postgres();
        let subject = Subject {
            case: "replicas",
            server: ["gantry, 1 replica", "gantry, 2 replicas"][count - 1],
            round,
            processes: &processes,
            behind: &postgres,
        };
        let (load, folder) = (&self.load, self.stage.folder());
        let (seconds, looks) = (self.scale.seconds, self.scale.looks);
        load.wrk(&processes, &target, request, CONNECTIONS, 1)?;
        let work = || -> Result<Figures, String> {
            let watch = LockWatch::start(&room.database, folder)?;
            let mut figures = load.wrk(&processes, &target, request, CONNECTIONS, seconds)?;
            let seen = watch.finish(looks)?;
            for reason in &seen.reasons {
                eprintln!("waited for {reason}");
            }
            figures.insert("lock_waits".to_owned(), seen.waits.into());
            figures.insert("lock_looks".to_owned(), seen.looks.into());
            Ok(figures)
        };
        self.recorder.take(&subject, work)?;
        let taken = balancer.connections();
        if taken.len() == count && taken.iter().all(|connections| *connections > 0) {
            return Ok(());
        }
        Err(format!("not every replica was asked: {taken:?}"))
    }
}

/// Whom a replica believes, and how connections reach it.
const BEHIND_BALANCER: [(&str, &str); 2] = [
    ("GANTRY_SERVER__TRUSTED_PROXIES", "127.0.0.1/32"),
    ("GANTRY_SERVER__PROXY_PROTOCOL", "true"),
];
