//! What asks for a password: tokens and logins.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use testkit::meter::wait;

use super::{Run, Trio};
use crate::load::account;
use crate::request::Request;
use crate::wrk::wrk;

impl Run<'_> {
    pub(super) fn token(&mut self, trio: &Trio) -> Result<(), String> {
        if !self.options.wants("token") {
            return Ok(());
        }
        let (server, target) = (&trio.gantry.daemon, &trio.gantry.target);
        let (user, password) = target.login.as_ref().ok_or("gantry has a login")?;
        let basic = BASE64_STANDARD.encode(format!("{user}:{password}"));
        let request = Request {
            path: "/service/token?service=harbor-registry&scope=repository:bench/small-0:pull,push"
                .to_owned(),
            headers: vec![format!("Authorization: Basic {basic}")],
        };
        let seconds = self.scale.seconds;
        wrk(&server.processes(), target, &request, 64, 1)?;
        for round in 0..self.options.rounds() {
            self.measure("token", "gantry", server, round, |processes| {
                wrk(processes, target, &request, 64, seconds)
            })?;
        }
        Ok(())
    }

    pub(super) fn login(&mut self, trio: &Trio) -> Result<(), String> {
        if !self.options.wants("login") {
            return Ok(());
        }
        let (server, target) = (&trio.gantry.daemon, &trio.gantry.target);
        let count = self.scale.logins;
        for round in 0..self.options.rounds() {
            self.measure("login", "gantry", server, round, |processes| {
                wait(account::login(target, processes, count))
            })?;
        }
        Ok(())
    }
}
