//! A network namespace of our own with one address in it, joined to this one by a pair of virtual
//! interfaces. Clients trust loopback addresses blindly; an address here they treat like any other.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::cmd::Cmd;

/// The namespace; dropping it removes the namespace and, with it, the interfaces.
pub struct Namespace {
    name: String,
    outside: String,
    address: String,
    outside_address: String,
}

impl Namespace {
    pub fn new() -> Result<Self, String> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        sweep();
        let id = process::id();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let network = format!("10.{}.{}", 200 + id / 256 % 50, id % 256);
        let first = number * 4 % 256;
        let made = Self {
            name: format!("gantry-{id}-{number}"),
            outside: format!("gt{id}o{number}"),
            address: format!("{network}.{}", first + 2),
            outside_address: format!("{network}.{}", first + 1),
        };
        let inside = format!("gt{id}i{number}");
        let Self {
            name,
            outside,
            address,
            outside_address: here,
        } = &made;
        ip(&format!("netns add {name}"))?;
        ip(&format!(
            "link add {outside} type veth peer name {inside} netns {name}"
        ))?;
        ip(&format!("addr add {here}/30 dev {outside}"))?;
        ip(&format!("link set {outside} up"))?;
        ip(&format!("-n {name} addr add {address}/30 dev {inside}"))?;
        ip(&format!("-n {name} link set {inside} up"))?;
        ip(&format!("-n {name} link set lo up"))?;
        Ok(made)
    }

    /// The address inside, which this namespace reaches.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The address of this end, which the namespace reaches.
    pub fn outside_address(&self) -> &str {
        &self.outside_address
    }

    /// A command that will run inside.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        ip(&format!("link del {}", self.outside)).ok();
        ip(&format!("netns del {}", self.name)).ok();
    }
}

/// Removes what a run left that was ended by force: namespaces of processes that are gone.
fn sweep() {
    let listed = Cmd::new("ip")
        .words("netns list")
        .text()
        .unwrap_or_default();
    for name in listed.lines().filter_map(|line| line.split(' ').next()) {
        let owner = name
            .strip_prefix("gantry-")
            .and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|id| !Path::new("/proc").join(id).exists()) {
            ip(&format!("netns del {name}")).ok();
        }
    }
}

fn ip(words: &str) -> Result<(), String> {
    Cmd::new("ip").words(words).run()
}
