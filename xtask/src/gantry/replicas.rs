//! Two servers on shared storage behind a balancer.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::server::Server;
use crate::backing::Backing;
use crate::balancer;
use crate::netns::Namespace;
use crate::port::lasting_port;
use crate::postgres::Durability;

/// What there is besides the servers. Fields are dropped in this order: balancer, storage.
pub(super) struct Around {
    pub(super) balancer: balancer::Process,
    pub(super) backing: Backing,
}

impl Around {
    /// How many connections each server took; an error where one took none, for then nothing was shown.
    pub(super) fn finish(&self) -> Result<String, String> {
        let taken = self.balancer.connections();
        let words: Vec<String> = taken.iter().map(u64::to_string).collect();
        let said = format!("{} connections", words.join(" + "));
        if taken.len() == COUNT && taken.iter().all(|count| *count > 0) {
            return Ok(said);
        }
        Err(format!("not every replica was asked: {said}"))
    }
}

const COUNT: usize = 2;

/// Where servers and balancer are: the servers always in this network namespace, which also has their
/// storage; the balancer possibly in another one, the only part that clients see.
pub(super) struct Place<'a> {
    /// The address that servers listen on.
    pub(super) inner: &'a str,
    /// `HOST:PORT` of the balancer.
    pub(super) public: &'a str,
    pub(super) namespace: Option<&'a Namespace>,
    /// Whether the database is one that may be crashed.
    pub(super) durability: Durability,
}

/// Starts everything. The servers start at the same moment, as replicas do where a whole cluster comes
/// up, so that their first starts meet in the empty database.
pub(super) fn start(
    binary: &Path,
    data: &Path,
    place: &Place<'_>,
    more: &[(String, String)],
) -> Result<(Vec<Server>, Around), String> {
    let backing = Backing::start(binary, place.durability)?;
    let settings = [backing.settings(), in_front(place), more.to_vec()].concat();
    let mut servers = Vec::new();
    let mut listen = Vec::new();
    for number in 1..=COUNT {
        let address = format!("{}:{}", place.inner, lasting_port()?);
        let metrics = format!("127.0.0.1:{}", lasting_port()?);
        let folder = numbered(data, number);
        let command = Command::new(binary);
        servers.push(Server::spawn(
            command, &folder, &address, metrics, &settings,
        )?);
        listen.push(address);
    }
    for server in &mut servers {
        server.wait_ready()?;
    }
    let backends: Vec<&str> = listen.iter().map(String::as_str).collect();
    let log = data.with_extension("balancer.log");
    let balancer = balancer::Process::start(place.namespace, place.public, &backends, &log)?;
    Ok((servers, Around { balancer, backing }))
}

/// The settings that come of the balancer: whom to believe, and the name that clients use.
fn in_front(place: &Place<'_>) -> Vec<(String, String)> {
    let host = place.public.rsplit_once(':').map_or("", |(host, _)| host);
    let set = |name: &str, value: String| (name.to_owned(), value);
    vec![
        set("GANTRY_SERVER__NAMES", host.to_owned()),
        set("GANTRY_SERVER__TRUSTED_PROXIES", format!("{host}/32")),
        set("GANTRY_SERVER__PROXY_PROTOCOL", "true".to_owned()),
    ]
}

fn numbered(data: &Path, number: usize) -> PathBuf {
    let mut name = data.as_os_str().to_owned();
    name.push(format!("-{number}"));
    PathBuf::from(name)
}
