//! A throw-away rsyslog server on loopback, as Debian packages it, that writes what it is sent into a file.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::daemon::Daemon;
use crate::port::lasting_port;
use crate::scratch::{Scratch, write};

/// How messages come.
pub enum Transport<'a> {
    Tcp,
    Udp,
    /// With a certificate, and with clients that need one by the same authority.
    Tls(&'a Pem),
}

/// What a server shows of itself: CA, certificate and key, all PEM.
pub struct Pem {
    pub ca: String,
    pub certificate: String,
    pub key: String,
}

/// A message, as the server understood it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub priority: String,
    pub time: String,
    pub host: String,
    pub application: String,
    pub id: String,
    pub data: String,
    pub text: String,
}

/// A server, which can be stopped and started again on its port.
pub struct Rsyslogd {
    // Order matters: the server ends before its folder goes.
    daemon: Option<Daemon>,
    scratch: Scratch,
    port: u16,
    is_stream: bool,
}

impl Rsyslogd {
    pub fn start(transport: &Transport<'_>) -> Result<Self, String> {
        let (scratch, port) = (Scratch::new("rsyslogd")?, lasting_port()?);
        let folder = scratch.path().display().to_string();
        let (global, input) = match transport {
            Transport::Udp => (
                String::new(),
                format!(
                    "module(load=\"imudp\")\ninput(type=\"imudp\" address=\"127.0.0.1\" port=\"{port}\")"
                ),
            ),
            Transport::Tcp => (
                String::new(),
                format!(
                    "module(load=\"imtcp\")\ninput(type=\"imtcp\" address=\"127.0.0.1\" port=\"{port}\")"
                ),
            ),
            Transport::Tls(pem) => {
                let files = [
                    ("ca.pem", &pem.ca),
                    ("cert.pem", &pem.certificate),
                    ("key.pem", &pem.key),
                ];
                for (name, text) in files {
                    write(&scratch.join(name), text)?;
                }
                (
                    format!(
                        " defaultNetstreamDriver=\"ossl\" defaultNetstreamDriverCAFile=\"{folder}/ca.pem\" \
                         defaultNetstreamDriverCertFile=\"{folder}/cert.pem\" defaultNetstreamDriverKeyFile=\"{folder}/key.pem\""
                    ),
                    format!(
                        "module(load=\"imtcp\" streamDriver.name=\"ossl\" streamDriver.mode=\"1\" \
                         streamDriver.authMode=\"x509/certvalid\")\ninput(type=\"imtcp\" address=\"127.0.0.1\" port=\"{port}\")"
                    ),
                )
            }
        };
        let text = format!(
            "global(workDirectory=\"{folder}\" maxMessageSize=\"64k\" preserveFQDN=\"on\"{global})\n{input}\n\
             template(name=\"fields\" type=\"string\" \
             string=\"%pri%\\t%timestamp:::date-rfc3339%\\t%hostname%\\t%app-name%\\t%msgid%\\t%structured-data%\\t%msg%\\n\")\n\
             action(type=\"omfile\" file=\"{folder}/messages\" template=\"fields\")\n"
        );
        write(&scratch.join("rsyslog.conf"), text)?;
        let mut server = Self {
            daemon: None,
            scratch,
            port,
            is_stream: !matches!(transport, Transport::Udp),
        };
        server.launch()?;
        Ok(server)
    }

    /// `HOST:PORT`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Ends the server; what it has written stays.
    pub fn stop(&mut self) {
        self.daemon = None;
    }

    /// Starts it, or starts it again.
    pub fn launch(&mut self) -> Result<(), String> {
        let mut command = Command::new("rsyslogd");
        command
            .args(["-n", "-f"])
            .arg(self.scratch.join("rsyslog.conf"))
            .arg("-i")
            .arg(self.scratch.join("pid"));
        let mut daemon = Daemon::start("rsyslogd", command, &self.scratch.join("log"))?;
        let (port, is_stream) = (self.port, self.is_stream);
        daemon.wait_until(Duration::from_secs(20), || match is_stream {
            true => std::net::TcpStream::connect(("127.0.0.1", port)).is_ok(),
            false => std::net::UdpSocket::bind(("127.0.0.1", port)).is_err(),
        })?;
        self.daemon = Some(daemon);
        Ok(())
    }

    /// All messages so far, in the order in which they were written.
    pub fn messages(&self) -> Vec<Message> {
        let text = fs::read_to_string(self.file()).unwrap_or_default();
        // The last line may still be being written.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().filter_map(Message::read).collect()
    }

    fn file(&self) -> PathBuf {
        self.scratch.join("messages")
    }
}

impl Message {
    fn read(line: &str) -> Option<Self> {
        let mut parts = line.splitn(7, '\t').map(str::to_owned);
        Some(Self {
            priority: parts.next()?,
            time: parts.next()?,
            host: parts.next()?,
            application: parts.next()?,
            id: parts.next()?,
            data: parts.next()?,
            text: parts.next()?,
        })
    }
}
