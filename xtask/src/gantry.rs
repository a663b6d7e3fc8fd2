//! The server under test: the built binary with a data folder of its own, or several of them on shared
//! storage, and the few API calls that set the stage for clients.

mod replicas;
mod server;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::backing::Backing;
use crate::cmd::Cmd;
use crate::netns::Namespace;
use crate::port::lasting_port;
use crate::postgres::Durability;
use crate::scratch::files_below;
use crate::topology::Topology;
use replicas::{Around, Place};
use server::{Server, is_error, is_panic};

/// The password of `admin` on every server that the tests start.
pub(crate) const ADMIN_PASSWORD: &str = "Gantry-test-12345";

/// A running registry. Dropping it stops it; the data folder is its maker's.
pub(crate) struct Gantry {
    // Order matters: servers end before what they stand on.
    servers: Vec<Server>,
    /// What replicas have around them.
    around: Option<Around>,
    address: String,
}

impl Gantry {
    /// Starts it on free loopback ports, with `settings` as environment variables.
    pub(crate) fn on_loopback(
        binary: &Path,
        data: &Path,
        topology: Topology,
        settings: &[(&str, &str)],
    ) -> Result<Self, String> {
        let settings = owned(settings);
        let public = format!("127.0.0.1:{}", lasting_port()?);
        let place = Place {
            inner: "127.0.0.1",
            public: &public,
            namespace: None,
            durability: Durability::Fast,
        };
        match topology {
            Topology::Files => {
                let metrics = format!("127.0.0.1:{}", lasting_port()?);
                Self::alone(Command::new(binary), data, public, metrics, &settings)
            }
            Topology::Replicas => Self::replicas(binary, data, &place, &settings),
        }
    }

    /// Starts replicas whose database, too, may be crashed.
    pub(crate) fn to_crash(binary: &Path, data: &Path) -> Result<Self, String> {
        let public = format!("127.0.0.1:{}", lasting_port()?);
        let place = Place {
            inner: "127.0.0.1",
            public: &public,
            namespace: None,
            durability: Durability::Synced,
        };
        Self::replicas(binary, data, &place, &[])
    }

    /// Starts it inside a network namespace, or, of replicas, the balancer before them; with that address
    /// in its certificate.
    pub(crate) fn in_namespace(
        binary: &Path,
        data: &Path,
        topology: Topology,
        namespace: &Namespace,
    ) -> Result<Self, String> {
        let host = namespace.address();
        let public = format!("{host}:8443");
        let place = Place {
            inner: namespace.outside_address(),
            public: &public,
            namespace: Some(namespace),
            durability: Durability::Fast,
        };
        match topology {
            Topology::Files => {
                let settings = owned(&[("GANTRY_SERVER__NAMES", host)]);
                let metrics = format!("{host}:9443");
                let command = namespace.command(binary);
                Self::alone(command, data, public, metrics, &settings)
            }
            Topology::Replicas => Self::replicas(binary, data, &place, &[]),
        }
    }

    /// Starts `command` (the binary, possibly under another program) with the usual arguments and
    /// waits until it is ready.
    pub(crate) fn start(
        command: Command,
        data: &Path,
        address: String,
        metrics: String,
    ) -> Result<Self, String> {
        Self::alone(command, data, address, metrics, &[])
    }

    fn alone(
        command: Command,
        data: &Path,
        address: String,
        metrics: String,
        settings: &[(String, String)],
    ) -> Result<Self, String> {
        let mut server = Server::spawn(command, data, &address, metrics, settings)?;
        server.wait_ready()?;
        Ok(Self {
            servers: vec![server],
            around: None,
            address,
        })
    }

    fn replicas(
        binary: &Path,
        data: &Path,
        place: &Place<'_>,
        settings: &[(String, String)],
    ) -> Result<Self, String> {
        let (servers, around) = replicas::start(binary, data, place, settings)?;
        Ok(Self {
            servers,
            around: Some(around),
            address: place.public.to_owned(),
        })
    }

    /// The process; of replicas, the first one.
    pub(crate) fn pid(&self) -> u32 {
        self.servers[0].pid()
    }

    /// Fails where a server has ended, or where something in it has panicked. That its log holds errors
    /// is no failure here.
    pub(crate) fn check_alive(&mut self) -> Result<(), String> {
        self.servers.iter_mut().try_for_each(Server::check_alive)
    }

    /// `HOST:PORT` of the public listener, as it stands in an image's name.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// `HOST:PORT` of the listener for metrics and health; of replicas, the first one's.
    pub(crate) fn metrics_address(&self) -> &str {
        self.servers[0].metrics()
    }

    /// `HOST:PORT` of each server's own public listener.
    pub(crate) fn listeners(&self) -> Vec<String> {
        let listen = |server: &Server| server.listen().to_owned();
        self.servers.iter().map(listen).collect()
    }

    /// How many connections each replica took from the balancer, a moment ago.
    pub(crate) fn connections(&self) -> Vec<u64> {
        let around = self.around.iter();
        around.flat_map(|it| it.balancer.connections()).collect()
    }

    /// Ends one server by SIGKILL.
    pub(crate) fn kill(&mut self, number: usize) -> Result<(), String> {
        self.servers[number].kill()
    }

    /// Starts one server again that has ended.
    pub(crate) fn start_again(&mut self, number: usize) -> Result<(), String> {
        self.servers[number].start_again()
    }

    /// Ends all servers as an administrator does, and starts them again.
    pub(crate) fn restart(&mut self) -> Result<(), String> {
        for server in &mut self.servers {
            server.stop()?;
            server.start_again()?;
        }
        Ok(())
    }

    /// What replicas stand on.
    pub(crate) fn backing(&mut self) -> Result<&mut Backing, String> {
        let around = self.around.as_mut();
        Ok(&mut around.ok_or("there are no replicas")?.backing)
    }

    /// Where the bucket of replicas is: the endpoint of its server.
    pub(crate) fn storage_endpoint(&self) -> Option<String> {
        let around = self.around.as_ref()?;
        Some(around.backing.seaweed().endpoint())
    }

    /// The folder of objects where there are no replicas.
    pub(crate) fn storage_folder(&self) -> PathBuf {
        self.servers[0].data().join("blobs")
    }

    /// A sub-command as [`Gantry::command`] runs it, for someone who watches the process.
    pub(crate) fn beside(&self, binary: &Path, words: &str) -> Command {
        let mut command = Command::new(binary);
        let settings = self.servers[0].settings().iter();
        command
            .args(words.split_whitespace())
            .envs(settings.map(|(name, value)| (name, value)))
            .arg("--data")
            .arg(self.servers[0].data());
        command
    }

    /// A sub-command beside the running server, with its settings.
    pub(crate) fn command(&self, binary: &Path, words: &str) -> Cmd {
        let mut cmd = Cmd::local(binary).words(words);
        for (name, value) in self.servers[0].settings() {
            cmd = cmd.env(name, value);
        }
        cmd.arg("--data").arg(self.servers[0].data())
    }

    /// Every stored object with its size, as the storage itself lists them.
    pub(crate) fn objects(&self) -> Result<BTreeMap<String, u64>, String> {
        let mut objects = match &self.around {
            Some(around) => around.backing.seaweed().objects(),
            None => files_below(&self.storage_folder()),
        }?;
        // The store's identity is no blob.
        objects.retain(|key, _| !key.ends_with("gantry-store.json"));
        Ok(objects)
    }

    /// The certificate authority that clients have to trust; replicas share one.
    pub(crate) fn ca(&self) -> PathBuf {
        self.servers[0].data().join("certs/ca.crt")
    }

    /// Creates a private project.
    pub(crate) fn create_project(&self, name: &str) -> Result<(), String> {
        let body = format!(r#"{{"project_name":"{name}","metadata":{{"public":"false"}}}}"#);
        self.create("/api/v2.0/projects", &body)
    }

    /// Creates a user with no rights yet.
    pub(crate) fn create_user(&self, name: &str, password: &str) -> Result<(), String> {
        let body = format!(
            r#"{{"username":"{name}","password":"{password}","email":"{name}@example.test","realname":"{name}"}}"#
        );
        self.create("/api/v2.0/users", &body)
    }

    /// Makes a user a member of a project.
    pub(crate) fn add_member(&self, project: &str, user: &str, role: Role) -> Result<(), String> {
        let role = role as u8;
        let body = format!(r#"{{"role_id":{role},"member_user":{{"username":"{user}"}}}}"#);
        self.create(&format!("/api/v2.0/projects/{project}/members"), &body)
    }

    /// A request as `admin` with credentials sent at once; the answer's status and body.
    pub(crate) fn request(&self, args: &[&str], path: &str) -> Result<(u16, Vec<u8>), String> {
        let mut cmd = Cmd::local("curl")
            .words("-sS --max-time 120 -w %{stderr}%{http_code} --cacert")
            .arg(self.ca())
            .arg("-u")
            .arg(format!("admin:{ADMIN_PASSWORD}"));
        for arg in args {
            cmd = cmd.arg(arg);
        }
        let (body, status) = cmd
            .arg(format!("https://{}{path}", self.address))
            .output_and_errors()?;
        let status = status.trim().parse().map_err(|_| status)?;
        Ok((status, body))
    }

    /// The digest that the server gives for a manifest, which is checked against its bytes.
    pub(crate) fn digest(&self, repository: &str, reference: &str) -> Result<String, String> {
        let path = format!("/v2/{repository}/manifests/{reference}");
        let (status, head) = self.request(&["-I", "-H", ACCEPT], &path)?;
        let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
        let digest = head
            .lines()
            .find_map(|line| line.strip_prefix("docker-content-digest:"))
            .map(|value| value.trim().to_owned())
            .ok_or(format!("HEAD {path} answered {status} without a digest"))?;
        let (status, body) = self.request(&["-H", ACCEPT], &path)?;
        let real = crate::layout::digest(&body)?;
        if status != 200 || real != digest {
            return Err(format!(
                "GET {path} answered {status} with bytes of {real}, HEAD says {digest}"
            ));
        }
        Ok(digest)
    }

    /// Fails where a log holds an error or a panic.
    pub(crate) fn check_logs(&self) -> Result<(), String> {
        let mut servers = self.servers.iter();
        servers.try_for_each(|server| server.check_log(is_error))
    }

    /// Asks it to end, and fails where it does not, or where a log holds an error or a panic.
    pub(crate) fn finish(self) -> Result<String, String> {
        self.end(is_error)
    }

    /// The same where what it stands on has failed: that it logged errors is right then.
    pub(crate) fn finish_after_failures(self) -> Result<String, String> {
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

    fn create(&self, path: &str, body: &str) -> Result<(), String> {
        let args = [
            "-X",
            "POST",
            "-H",
            "Content-Type: application/json",
            "-d",
            body,
        ];
        let (status, answer) = self.request(&args, path)?;
        if status == 201 {
            return Ok(());
        }
        let answer = String::from_utf8_lossy(&answer);
        Err(format!("POST {path} answered {status}: {answer}"))
    }
}

/// Harbor's roles by their numbers.
#[derive(Clone, Copy)]
pub(crate) enum Role {
    Maintainer = 4,
}

/// Everything a manifest may be.
const ACCEPT: &str = "Accept: application/vnd.oci.image.index.v1+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.docker.distribution.manifest.v2+json";

fn owned(settings: &[(&str, &str)]) -> Vec<(String, String)> {
    let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    settings.iter().map(pair).collect()
}
