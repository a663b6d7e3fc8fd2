//! A throw-away OpenLDAP server on loopback, as Debian packages it, with people and groups that tests change.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::cmd::Cmd;
use crate::daemon::Daemon;
use crate::port::lasting_port;
use crate::scratch::{Scratch, make_folder, write};

/// Where everything is.
pub const BASE: &str = "dc=example,dc=test";
/// Where people are.
pub const PEOPLE: &str = "ou=People,dc=example,dc=test";
/// Where groups are.
pub const GROUPS: &str = "ou=Groups,dc=example,dc=test";
/// Whoever searches, and is held to the size limit.
pub const READER: &str = "cn=reader,dc=example,dc=test";
/// The password of [`READER`].
pub const READER_PASSWORD: &str = "Reader-Passw0rd";
/// The password of each person.
pub const PASSWORD: &str = "Ldap-Passw0rd";
/// Entries that one search gives at most, in pages or not.
pub const SIZE_LIMIT: usize = 500;

/// The directory's own administrator, whom no limit holds.
const ROOT: &str = "cn=root,dc=example,dc=test";

/// The running server; dropping it stops it and removes its data.
pub struct Slapd {
    // Order matters: the server ends before its folder goes.
    daemon: Daemon,
    _scratch: Scratch,
    port: u16,
    tls_port: u16,
}

/// What a server shows of itself: CA, certificate and key, all PEM.
pub struct Certificate {
    pub ca: String,
    pub certificate: String,
    pub key: String,
}

impl Slapd {
    /// A server without TLS that holds the [`BASE`] and two folders.
    pub fn start() -> Result<Self, String> {
        Self::with(None, "")
    }

    /// A server with TLS, if there is a certificate, and with further lines in its configuration.
    pub fn with(certificate: Option<&Certificate>, lines: &str) -> Result<Self, String> {
        // In the foreground, and silent.
        Self::seeded(certificate, lines, ("", "0"))
    }

    /// A server without TLS that holds many people and groups, each of `per_group` people. It logs each operation.
    pub fn crowded(people: usize, groups: usize, per_group: usize) -> Result<Self, String> {
        Self::seeded(None, "", (&crowd(people, groups, per_group), "256"))
    }

    /// How many operations were asked for since it began: binds, other than those of [`READER`], and searches.
    pub fn operations(&self) -> usize {
        let log = self.log();
        let is_counted = |line: &&str| {
            let is_bind = line.contains(" BIND dn=") && line.contains(" method=");
            line.contains(" SRCH base=") || is_bind && !line.contains(READER)
        };
        log.lines().filter(is_counted).count()
    }

    fn seeded(
        certificate: Option<&Certificate>,
        lines: &str,
        (more, level): (&str, &str),
    ) -> Result<Self, String> {
        let scratch = Scratch::new("slapd")?;
        make_folder(&scratch.join("data"))?;
        let tls = match certificate {
            None => String::new(),
            Some(it) => {
                let mut lines = String::new();
                for (key, name, pem) in [
                    ("TLSCACertificateFile", "ca.pem", &it.ca),
                    ("TLSCertificateFile", "cert.pem", &it.certificate),
                    ("TLSCertificateKeyFile", "key.pem", &it.key),
                ] {
                    write(&scratch.join(name), pem)?;
                    lines += &format!("{key} {}\n", scratch.join(name).display());
                }
                lines
            }
        };
        write(
            &scratch.join("slapd.conf"),
            configuration(scratch.path(), &tls, lines),
        )?;
        let seed = scratch.join("seed.ldif");
        write(&seed, format!("{}{more}", seed_ldif()))?;
        Cmd::local("slapadd")
            .limit_secs(600)
            .words("-q -f")
            .arg(scratch.join("slapd.conf"))
            .arg("-l")
            .arg(&seed)
            .run()?;
        let (port, tls_port) = (lasting_port()?, lasting_port()?);
        let urls = match certificate {
            None => format!("ldap://127.0.0.1:{port}/"),
            Some(_) => format!("ldap://127.0.0.1:{port}/ ldaps://127.0.0.1:{tls_port}/"),
        };
        Ok(Self {
            daemon: launch(&scratch, (&urls, level), port)?,
            _scratch: scratch,
            port,
            tls_port,
        })
    }

    /// `HOST:PORT`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// `ldap://HOST:PORT`.
    pub fn url(&self) -> String {
        format!("ldap://{}", self.address())
    }

    /// `ldaps://HOST:PORT`.
    pub fn tls_url(&self) -> String {
        format!("ldaps://127.0.0.1:{}", self.tls_port)
    }

    pub fn log(&self) -> String {
        self.daemon.log()
    }

    /// Adds a person with [`PASSWORD`]; the entry.
    pub fn add_person(&self, uid: &str, mail: Option<&str>) -> Result<String, String> {
        let mail = mail.map(|mail| format!("mail: {mail}\n"));
        let dn = format!("uid={uid},{PEOPLE}");
        self.change(&format!(
            "dn: {dn}\nchangetype: add\nobjectClass: inetOrgPerson\nobjectClass: shadowAccount\nuid: {uid}\n\
             cn: {uid} of the office\nsn: {uid}\nuserPassword: {PASSWORD}\n{}",
            mail.unwrap_or_default()
        ))?;
        Ok(dn)
    }

    /// Adds a group of these entries; its entry.
    pub fn add_group(&self, cn: &str, members: &[&str]) -> Result<String, String> {
        let members: String = members.iter().map(|dn| format!("member: {dn}\n")).collect();
        let dn = format!("cn={cn},{GROUPS}");
        self.change(&format!(
            "dn: {dn}\nchangetype: add\nobjectClass: groupOfNames\ncn: {cn}\nmember: {ROOT}\n{members}"
        ))?;
        Ok(dn)
    }

    /// Makes changes, in LDIF.
    pub fn change(&self, ldif: &str) -> Result<(), String> {
        Cmd::local("ldapmodify")
            .words("-x -o nettimeout=10 -H")
            .arg(self.url())
            .arg("-D")
            .arg(ROOT)
            .words(&format!("-w {PASSWORD}"))
            .input(ldif)
            .run()
            .map(|_| ())
    }

    /// Replaces one attribute of an entry.
    pub fn set(&self, dn: &str, attribute: &str, value: &str) -> Result<(), String> {
        self.change(&format!(
            "dn: {dn}\nchangetype: modify\nreplace: {attribute}\n{attribute}: {value}\n"
        ))
    }
}

fn launch(scratch: &Scratch, (urls, level): (&str, &str), port: u16) -> Result<Daemon, String> {
    let mut command = Command::new("slapd");
    command.args(["-d", level, "-h", urls, "-f"]);
    command.arg(scratch.join("slapd.conf"));
    let mut daemon = Daemon::start("slapd", command, &scratch.join("log"))?;
    daemon.wait_until(Duration::from_secs(20), || {
        std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
    })?;
    Ok(daemon)
}

fn configuration(folder: &Path, tls: &str, lines: &str) -> String {
    let folder = folder.display();
    let schemas: String = ["core", "cosine", "nis", "inetorgperson"]
        .iter()
        .map(|name| format!("include /etc/ldap/schema/{name}.schema\n"))
        .collect();
    format!(
        "{schemas}pidfile {folder}/pid\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\nmoduleload memberof\n\
         sizelimit {SIZE_LIMIT}\n{tls}{lines}\n\
         database mdb\nsuffix {BASE}\nrootdn {ROOT}\nrootpw {PASSWORD}\ndirectory {folder}/data\nmaxsize 1073741824\ndbnosync\n\
         index objectClass,uid,entryUUID,member eq\n\
         access to attrs=userPassword by anonymous auth by * none\n\
         access to * by dn.exact=\"{READER}\" read by * auth\n\
         overlay memberof\nmemberof-refint TRUE\n"
    )
}

/// People with [`PASSWORD`], `crowd-00042`, and groups, `group-0042`, in LDIF.
fn crowd(people: usize, groups: usize, per_group: usize) -> String {
    let mut text = String::new();
    for number in 0..people {
        text += &format!(
            "\ndn: uid=crowd-{number:05},{PEOPLE}\nobjectClass: inetOrgPerson\nobjectClass: shadowAccount\n\
             uid: crowd-{number:05}\ncn: Person {number}\nsn: {number}\nmail: crowd-{number:05}@example.test\n\
             userPassword: {PASSWORD}\n"
        );
    }
    for group in 0..groups {
        text += &format!(
            "\ndn: cn=group-{group:04},{GROUPS}\nobjectClass: groupOfNames\ncn: group-{group:04}\n"
        );
        // Neighbours in one group are not neighbours in the next.
        for member in 0..per_group {
            let number = (group * 7 + member * 97) % people.max(1);
            text += &format!("member: uid=crowd-{number:05},{PEOPLE}\n");
        }
    }
    text
}

fn seed_ldif() -> String {
    format!(
        "dn: {BASE}\nobjectClass: dcObject\nobjectClass: organization\no: example\ndc: example\n\n\
         dn: {PEOPLE}\nobjectClass: organizationalUnit\nou: People\n\n\
         dn: {GROUPS}\nobjectClass: organizationalUnit\nou: Groups\n\n\
         dn: {READER}\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: reader\n\
         userPassword: {READER_PASSWORD}\n"
    )
}
