//! What is done to one of several servers, by its number.

use std::time::Duration;

use super::Gantry;
use crate::balancer::Routes;
use crate::binary::Binary;
use crate::cmd::succeed;
use crate::process::Processes;

impl Gantry {
    /// Ends one server by SIGKILL.
    pub fn kill(&mut self, number: usize) {
        self.servers[number].daemon.kill();
    }

    /// Starts one server again that has ended.
    pub fn start_again(&mut self, number: usize) -> Result<(), String> {
        self.servers[number].start_again()
    }

    /// Lets `binary` take over from one server, which ends; the time it took.
    pub fn hand_over(&mut self, number: usize, binary: &Binary) -> Result<Duration, String> {
        self.servers[number].hand_over(binary)
    }

    /// Runs a sub-command beside one server, with its settings and on its data folder.
    pub fn command_on(
        &self,
        number: usize,
        binary: &Binary,
        words: &str,
    ) -> Result<String, String> {
        succeed(&mut self.servers[number].beside(binary, words))
    }

    /// One server's process, to be watched.
    pub fn processes(&self, number: usize) -> Processes {
        self.servers[number].daemon.processes()
    }

    /// Which replica the connections of each client went to.
    pub fn routes(&self) -> Result<Routes, String> {
        let around = self.around.as_ref();
        Ok(around.ok_or("there are no replicas")?.balancer.routes())
    }
}
