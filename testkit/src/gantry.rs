//! The server under test: the built binary with a data folder of its own, or several of them on shared
//! storage.

mod replicas;
mod server;
mod single;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::backing::Backing;
pub use crate::binary::Binary;
use crate::binary::forget_settings;
use crate::cmd::succeed;
use crate::netns::Namespace;
use crate::port::loopback;
use crate::postgres::Durability;
use crate::scratch::files_below;
use crate::target::Target;
use crate::topology::Topology;
use replicas::{Around, COUNT, Place};
pub use server::Server;
use server::{is_error, is_panic};

/// A running registry. Dropping it stops it; the data folder is its maker's.
pub struct Gantry {
    // Order matters: servers end before what they stand on.
    servers: Vec<Server>,
    /// What replicas have around them.
    around: Option<Around>,
    /// How clients see it.
    pub target: Target,
}

impl Gantry {
    /// Starts it on free loopback ports, with `settings` as environment variables.
    pub fn on_loopback(
        binary: &Binary,
        data: &Path,
        topology: Topology,
        settings: &[(&str, &str)],
    ) -> Result<Self, String> {
        let settings = owned(settings);
        match topology {
            Topology::Files => {
                Self::alone(binary.command(), data, &loopback()?, loopback()?, &settings)
            }
            Topology::Replicas => {
                let place = Place::loopback(Durability::Fast)?;
                Self::replicas([binary; COUNT], data, &place, &settings)
            }
        }
    }

    /// Starts replicas of which each runs a build of its own.
    pub fn of_builds(
        binaries: [&Binary; 2],
        data: &Path,
        settings: &[(&str, &str)],
    ) -> Result<Self, String> {
        let place = Place::loopback(Durability::Fast)?;
        Self::replicas(binaries, data, &place, &owned(settings))
    }

    /// Starts replicas whose database, too, may be crashed.
    pub fn to_crash(binary: &Binary, data: &Path) -> Result<Self, String> {
        let place = Place::loopback(Durability::Synced)?;
        Self::replicas([binary; COUNT], data, &place, &[])
    }

    /// Starts it inside a network namespace, or, of replicas, the balancer before them; with that address
    /// in its certificate.
    pub fn in_namespace(
        binary: &Binary,
        data: &Path,
        topology: Topology,
        namespace: &Namespace,
    ) -> Result<Self, String> {
        let host = namespace.address();
        let public = format!("{host}:8443");
        match topology {
            Topology::Files => {
                let settings = owned(&[("GANTRY_SERVER__NAMES", host)]);
                let mut command = namespace.command(binary.path());
                forget_settings(&mut command);
                let metrics = format!("{host}:9443");
                Self::alone(command, data, &public, metrics, &settings)
            }
            Topology::Replicas => {
                let place = Place {
                    inner: namespace.outside_address(),
                    public,
                    namespace: Some(namespace),
                    durability: Durability::Fast,
                };
                Self::replicas([binary; COUNT], data, &place, &[])
            }
        }
    }

    /// Starts `command` (the binary, possibly under another program) with the usual arguments and
    /// waits until it is ready.
    pub fn alone(
        command: Command,
        data: &Path,
        listen: &str,
        metrics: String,
        settings: &[(String, String)],
    ) -> Result<Self, String> {
        let mut server = Server::by(command, data, listen, metrics, settings)?;
        server.wait_ready()?;
        Ok(Self {
            target: server.target.clone(),
            servers: vec![server],
            around: None,
        })
    }

    fn replicas(
        binaries: [&Binary; COUNT],
        data: &Path,
        place: &Place<'_>,
        settings: &[(String, String)],
    ) -> Result<Self, String> {
        let (servers, around) = replicas::start(binaries, data, place, settings)?;
        Ok(Self {
            target: servers[0].target.at(&place.public),
            servers,
            around: Some(around),
        })
    }

    /// The process; of replicas, the first one.
    pub fn pid(&self) -> u32 {
        self.servers[0].daemon.pid()
    }

    /// Fails where a server has ended, or where something in it has panicked. That its log holds errors
    /// is no failure here.
    pub fn check_alive(&mut self) -> Result<(), String> {
        self.servers.iter_mut().try_for_each(Server::check_alive)
    }

    /// `HOST:PORT` of the public listener, as it stands in an image's name.
    pub fn address(&self) -> &str {
        self.target.address()
    }

    /// `HOST:PORT` of the listener for metrics and health; of replicas, the first one's.
    pub fn metrics_address(&self) -> &str {
        self.servers[0].metrics()
    }

    /// `HOST:PORT` of each server's own public listener.
    pub fn listeners(&self) -> Vec<&str> {
        self.servers.iter().map(Server::listen).collect()
    }

    /// How many connections each replica took from the balancer so far.
    pub fn connections(&self) -> Result<Vec<u64>, String> {
        let around = self.around.as_ref();
        around
            .ok_or("there are no replicas")?
            .balancer
            .connections()
    }

    /// Ends all servers as an administrator does, and starts them again.
    pub fn restart(&mut self) -> Result<(), String> {
        for server in &mut self.servers {
            server.stop()?;
            server.start_again()?;
        }
        Ok(())
    }

    /// What replicas stand on.
    pub fn backing(&mut self) -> Result<&mut Backing, String> {
        let around = self.around.as_mut();
        Ok(&mut around.ok_or("there are no replicas")?.backing)
    }

    /// Where the bucket of replicas is: the endpoint of its server.
    pub fn storage_endpoint(&self) -> Option<String> {
        let around = self.around.as_ref()?;
        Some(around.backing.seaweed().endpoint())
    }

    /// The folder of objects where there are no replicas.
    pub fn storage_folder(&self) -> PathBuf {
        self.servers[0].data.join("blobs")
    }

    /// A sub-command as [`Gantry::command`] runs it, for someone who watches the process.
    pub fn beside(&self, binary: &Binary, words: &str) -> Command {
        self.servers[0].beside(binary, words)
    }

    /// Runs a sub-command beside the running server, with its settings.
    pub fn command(&self, binary: &Binary, words: &str) -> Result<String, String> {
        succeed(&mut self.beside(binary, words))
    }

    /// Every stored object with its size, as the storage itself lists them.
    pub fn objects(&self) -> Result<BTreeMap<String, u64>, String> {
        let mut objects = match &self.around {
            Some(around) => around.backing.seaweed().objects(),
            None => files_below(&self.storage_folder()),
        }?;
        // The store's identity is no blob.
        objects.retain(|key, _| !key.ends_with("gantry-store.json"));
        Ok(objects)
    }

    /// The certificate authority that clients have to trust; replicas share one.
    pub fn ca(&self) -> &Path {
        &self.target.ca
    }

    /// Fails where a log holds an error or a panic.
    pub fn check_logs(&self) -> Result<(), String> {
        let mut servers = self.servers.iter();
        servers.try_for_each(|server| server.check_log(is_error))
    }

    /// Asks it to end, and fails where it does not, or where a log holds an error or a panic.
    pub fn finish(self) -> Result<String, String> {
        self.end(is_error)
    }

    /// The same where what it stands on has failed: that it logged errors is right then.
    pub fn finish_after_failures(self) -> Result<String, String> {
        self.end(is_panic)
    }

    fn end(mut self, bad: fn(&str) -> bool) -> Result<String, String> {
        let mut said = Vec::new();
        for server in &mut self.servers {
            let took = server.stop()?;
            server.check_log(bad)?;
            said.push(format!("ended within {:.1} s", took.as_secs_f32()));
        }
        if let Some(around) = &self.around {
            said.push(around.finish()?);
        }
        Ok(said.join(", "))
    }
}

fn owned(settings: &[(&str, &str)]) -> Vec<(String, String)> {
    let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    settings.iter().map(pair).collect()
}
