//! haproxy before servers: every connection goes to the next backend, behind a PROXY protocol header (version 1) that
//! names the client. One that refuses is passed over. A line of the log for each connection says where it went.

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::daemon::Daemon;
use crate::netns::Namespace;
use crate::scratch::{Scratch, write};

/// The running balancer; dropping it ends it and all connections.
pub struct Balancer {
    _daemon: Daemon,
    scratch: Scratch,
}

impl Balancer {
    /// Starts it, in `namespace` if there is one, and waits until it listens on `listen`, `HOST:PORT`.
    pub fn start(
        namespace: Option<&Namespace>,
        listen: &str,
        backends: &[&str],
    ) -> Result<Self, String> {
        let scratch = Scratch::new("balancer")?;
        let (file, socket) = (scratch.join("haproxy.cfg"), socket(&scratch));
        write(&file, configuration(&socket, listen, backends))?;
        let mut command = match namespace {
            Some(namespace) => namespace.command("haproxy"),
            None => Command::new("haproxy"),
        };
        // Not `-q`: it would take the log away.
        command.args(["-db", "-f"]).arg(&file);
        let mut daemon = Daemon::start("haproxy", command, &log(&scratch))?.ended_by("KILL");
        daemon.wait_until(Duration::from_secs(10), || {
            UnixStream::connect(&socket).is_ok()
        })?;
        Ok(Self {
            _daemon: daemon,
            scratch,
        })
    }

    /// How many connections each backend has taken so far.
    pub fn connections(&self) -> Result<Vec<u64>, String> {
        let ask = || -> std::io::Result<String> {
            let mut stream = UnixStream::connect(socket(&self.scratch))?;
            stream.write_all(b"show stat\n")?;
            let mut text = String::new();
            stream.read_to_string(&mut text)?;
            Ok(text)
        };
        let text = ask().map_err(|error| format!("haproxy does not say: {error}"))?;
        Ok(taken(&text))
    }

    /// Where connections went, for someone who asks while the balancer is another's.
    pub fn routes(&self) -> Routes {
        Routes(log(&self.scratch))
    }
}

/// Where the connections of each client went.
#[derive(Clone)]
pub struct Routes(PathBuf);

impl Routes {
    /// The number of the backend that took the last connection from this address.
    pub fn last(&self, client: &str) -> Option<usize> {
        let text = std::fs::read(&self.0).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let mut lines = text.lines().rev();
        let server = lines.find_map(|line| line.strip_prefix(client)?.strip_prefix(' '))?;
        server.strip_prefix('s')?.parse().ok()
    }
}

fn socket(scratch: &Scratch) -> PathBuf {
    scratch.join("socket")
}

fn log(scratch: &Scratch) -> PathBuf {
    scratch.join("log")
}

fn configuration(socket: &Path, listen: &str, backends: &[&str]) -> String {
    let mut text = format!(
        "global\n  stats socket {} mode 600 level admin\n  maxconn 5000\n\
         \x20 log stdout format raw local0\n\
         defaults\n  mode tcp\n  log global\n  option logasap\n  log-format \"%ci %s\"\n\
         \x20 timeout connect 2s\n  timeout client 1h\n  timeout server 1h\n\
         \x20 retries 3\n  option redispatch 1\nlisten servers\n  bind {listen}\n  balance roundrobin\n",
        socket.display()
    );
    for (number, backend) in backends.iter().enumerate() {
        let _ = writeln!(text, "  server s{number} {backend} send-proxy");
    }
    text
}

/// Of a table with a line for each server: the name of the proxy, that of the server, and as the eighth field how many
/// connections it had.
fn taken(table: &str) -> Vec<u64> {
    let fields = table.lines().map(|line| line.split(',').collect());
    let servers = fields.filter(|it: &Vec<&str>| it[0] == "servers" && it[1].starts_with('s'));
    servers.filter_map(|it| it.get(7)?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::thread;

    use super::Balancer;
    use crate::port::loopback;

    /// A server that answers with its name and the header that it was sent, then what else comes.
    fn backend(name: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let (mut head, mut rest) = (String::new(), String::new());
                reader.read_line(&mut head).unwrap();
                reader.read_to_string(&mut rest).unwrap();
                write!(stream, "{name} {head}{rest}").unwrap();
            }
        });
        address
    }

    fn exchange(address: &str, text: &str) -> (String, u16) {
        let mut stream = TcpStream::connect(address).unwrap();
        let port = stream.local_addr().unwrap().port();
        stream.write_all(text.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        (answer, port)
    }

    #[test]
    fn connections_alternate_behind_a_header_that_names_the_client() {
        let (public, servers) = (loopback().unwrap(), [backend("a"), backend("b")]);
        let servers = servers.each_ref().map(String::as_str);
        let balancer = Balancer::start(None, &public, &servers).unwrap();
        let mut names = Vec::new();
        for _ in 0..4 {
            let (answer, port) = exchange(&public, "ping");
            let here = public.rsplit(':').next().unwrap();
            let header = format!("PROXY TCP4 127.0.0.1 127.0.0.1 {port} {here}\r\nping");
            let (name, rest) = answer.split_once(' ').unwrap();
            assert_eq!(rest, header);
            let number = usize::from(name == "b");
            assert_eq!(balancer.routes().last("127.0.0.1"), Some(number));
            names.push(name.to_owned());
        }
        assert_eq!(balancer.routes().last("127.0.0.2"), None);
        assert_eq!(names[..2], names[2..]);
        assert_ne!(names[0], names[1]);
        assert_eq!(balancer.connections().unwrap(), [2, 2]);
        drop(balancer);
        assert!(TcpStream::connect(&public).is_err());
    }

    #[test]
    fn a_backend_that_refuses_is_passed_over() {
        let (public, nobody, lives) = (loopback().unwrap(), loopback().unwrap(), backend("a"));
        let _balancer = Balancer::start(None, &public, &[&nobody, &lives]).unwrap();
        for _ in 0..4 {
            assert!(exchange(&public, "ping").0.starts_with("a PROXY"));
        }
    }
}
