//! Two servers on shared storage behind a balancer.

use std::path::{Path, PathBuf};

use super::server::Server;
use crate::backing::Backing;
use crate::balancer::Balancer;
use crate::binary::Binary;
use crate::netns::Namespace;
use crate::port::{lasting_port, loopback};
use crate::postgres::Durability;

/// What there is besides the servers. Fields are dropped in this order: balancer, storage.
pub(super) struct Around {
    pub(super) balancer: Balancer,
    pub(super) backing: Backing,
}

impl Around {
    /// How many connections each server took; an error where one took none, for then nothing was shown.
    pub(super) fn finish(&self) -> Result<String, String> {
        let taken = self.balancer.connections()?;
        let words: Vec<String> = taken.iter().map(u64::to_string).collect();
        let said = format!("{} connections", words.join(" + "));
        if taken.len() == COUNT && taken.iter().all(|count| *count > 0) {
            return Ok(said);
        }
        Err(format!("not every replica was asked: {said}"))
    }
}

pub(super) const COUNT: usize = 2;

/// Where servers and balancer are: the servers always in this network namespace, which also has their
/// storage; the balancer possibly in another one, the only part that clients see.
pub(super) struct Place<'a> {
    /// The address that servers listen on.
    pub(super) inner: &'a str,
    /// `HOST:PORT` of the balancer.
    pub(super) public: String,
    pub(super) namespace: Option<&'a Namespace>,
    /// Whether the database is one that may be crashed.
    pub(super) durability: Durability,
}

impl Place<'_> {
    pub(super) fn loopback(durability: Durability) -> Result<Self, String> {
        Ok(Self {
            inner: "127.0.0.1",
            public: loopback()?,
            namespace: None,
            durability,
        })
    }
}

/// Starts everything, each server by its own binary. The servers start at the same moment, as replicas do where a
/// whole cluster comes up, so that their first starts meet in the empty database.
pub(super) fn start(
    binaries: [&Binary; COUNT],
    data: &Path,
    place: &Place<'_>,
    more: &[(String, String)],
) -> Result<(Vec<Server>, Around), String> {
    let backing = Backing::start(binaries[0], place.durability)?;
    let settings = [backing.settings(), in_front(place), more.to_vec()].concat();
    let mut servers = Vec::new();
    for (number, binary) in binaries.into_iter().enumerate() {
        let listen = format!("{}:{}", place.inner, lasting_port()?);
        let folder = numbered(data, number + 1);
        let command = binary.command();
        servers.push(Server::by(
            command,
            &folder,
            &listen,
            loopback()?,
            &settings,
        )?);
    }
    for server in &mut servers {
        server.wait_ready()?;
    }
    let backends: Vec<&str> = servers.iter().map(Server::listen).collect();
    let balancer = Balancer::start(place.namespace, &place.public, &backends)?;
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
