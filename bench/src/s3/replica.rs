//! One replica and two, behind the same kind of balancer: what a manifest costs, and whether they wait
//! for each other in the database.

use super::Run;
use super::lock::LockWatch;
use crate::recorder::{Subject, rotated};
use crate::request::{Request, Seed};
use crate::wrk::wrk;
use testkit::backing::Room;
use testkit::balancer::Balancer;
use testkit::gantry::Server;
use testkit::meter::Figures;
use testkit::port::loopback;
use testkit::process::Processes;

const CONNECTIONS: u32 = 64;

impl Run<'_> {
    pub(super) fn replicas(&mut self) -> Result<(), String> {
        if !self.options.wants("replicas") {
            return Ok(());
        }
        let room = self.stage.room()?;
        let request = {
            let gantry = self.stage.gantry(&room, &[])?;
            Request::seed(&gantry.target, "replicas", Seed::Manifest, None)?
        };
        for round in 0..self.options.rounds() {
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
        let servers: Vec<Server> = (0..count)
            .map(|_| self.stage.gantry(room, &BEHIND_BALANCER))
            .collect::<Result<_, _>>()?;
        let listen: Vec<&str> = servers.iter().map(Server::listen).collect();
        let public = loopback()?;
        let balancer = Balancer::start(None, &public, &listen)?;
        let target = servers[0].target.at(&public);
        let processes = Processes::of(servers.iter().map(|gantry| gantry.daemon.pid()));
        let postgres = self.stage.postgres();
        let subject = Subject {
            case: "replicas",
            server: ["gantry, 1 replica", "gantry, 2 replicas"][count - 1],
            round,
            processes: &processes,
            behind: &postgres,
        };
        let folder = self.stage.folder();
        let (seconds, looks) = (self.scale.seconds, self.scale.looks);
        wrk(&processes, &target, request, CONNECTIONS, 1)?;
        let work = || -> Result<Figures, String> {
            let watch = LockWatch::start(&room.database, folder)?;
            let mut figures = wrk(&processes, &target, request, CONNECTIONS, seconds)?;
            let seen = watch.finish(looks)?;
            for reason in &seen.reasons {
                eprintln!("waited for {reason}");
            }
            figures.insert("lock_waits".to_owned(), seen.waits.into());
            figures.insert("lock_looks".to_owned(), seen.looks.into());
            Ok(figures)
        };
        self.recorder.take(&subject, work)?;
        let taken = balancer.connections()?;
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
