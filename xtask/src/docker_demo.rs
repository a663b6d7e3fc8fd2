//! What a newcomer does, as a proof: docker meets a server it does not trust, is given the CA, and then
//! logs in, pushes, pulls and runs a real Debian. No insecure flag anywhere.

use std::fs;
use std::path::PathBuf;

use crate::tally::Tally;
use crate::tools::cache;
use testkit::cmd::Cmd;
use testkit::dockerd::Dockerd;
use testkit::gantry::Binary;
use testkit::lab::{Lab, PASSWORD, USER};
use testkit::layout::digest_in;
use testkit::scratch::{Scratch, make_folder};
use testkit::topology::Topology;
use testkit::trust::Trust;

/// Runs the demonstration; every step is a line of its own in the tally.
pub(crate) fn demonstrate(tally: &mut Tally, binary: &Binary) {
    let stage =
        Lab::start(binary, Topology::Files, &["demo"]).and_then(|lab| Ok((lab, Dockerd::start()?)));
    let (lab, dockerd) = match stage {
        Ok(stage) => stage,
        Err(reason) => return tally.fail("docker: stage", reason),
    };
    let name = format!("{}:bookworm", lab.repository("demo/debian"));
    let demo = Demo { lab, dockerd, name };
    tally.check("docker: no insecure registry but loopback", || {
        demo.no_insecure_flag()
    });
    tally.check("docker: a Debian root file system becomes an image", || {
        demo.import()
    });
    tally.check(
        "docker: login before the CA is installed is refused by x509",
        || demo.refused(demo.login()),
    );
    tally.check(
        "docker: push before the CA is installed is refused by x509",
        || demo.refused(demo.docker("push")),
    );
    let trust = Trust::install(demo.lab.gantry().ca(), demo.lab.host());
    if let Err(reason) = &trust {
        return tally.fail("docker: installing the CA", reason.clone());
    }
    tally.check("docker: login", || {
        demo.login().run().map(|()| String::new())
    });
    tally.check("docker: push, pull, run", || demo.round_trip());
    tally.check("docker: a wrong password is refused", || {
        let said = demo.login_with("not-the-password").fails()?;
        if said.contains("unauthorized") || said.contains("401") {
            return Ok(String::new());
        }
        Err(said)
    });
    tally.check("docker: the server ends without an error", || {
        demo.lab.finish()
    });
}

struct Demo {
    lab: Lab,
    dockerd: Dockerd,
    name: String,
}

impl Demo {
    fn docker(&self, verb: &str) -> Cmd {
        self.dockerd.docker().arg(verb).arg(&self.name)
    }

    fn login(&self) -> Cmd {
        self.login_with(PASSWORD)
    }

    fn login_with(&self, password: &str) -> Cmd {
        self.dockerd
            .docker()
            .words("login --password-stdin -u")
            .arg(USER)
            .arg(self.lab.host())
            .input(password)
    }

    fn no_insecure_flag(&self) -> Result<String, String> {
        let listed = self
            .dockerd
            .docker()
            .arg("info")
            .arg("--format")
            .arg("{{.RegistryConfig.InsecureRegistryCIDRs}} {{range .RegistryConfig.IndexConfigs}}{{.Name}}={{.Secure}} {{end}}")
            .text()?;
        if listed.trim() == "[127.0.0.0/8] docker.io=true" {
            return Ok(listed.trim().to_owned());
        }
        Err(format!("docker lists {listed}"))
    }

    fn import(&self) -> Result<String, String> {
        let archive = root_file_system()?;
        self.dockerd
            .docker()
            .arg("import")
            .arg(archive)
            .arg(&self.name)
            .run()?;
        Ok(String::new())
    }

    fn refused(&self, cmd: Cmd) -> Result<String, String> {
        let said = cmd.fails()?;
        if said.contains("x509: certificate signed by unknown authority") {
            return Ok(String::new());
        }
        Err(format!("docker failed for another reason: {said}"))
    }

    fn round_trip(&self) -> Result<String, String> {
        let said = self.docker("push").text()?;
        let pushed = digest_in(&said).ok_or(said)?;
        let stored = self.lab.gantry().target.digest("demo/debian", "bookworm")?;
        self.docker("rmi").run()?;
        let said = self.docker("pull").text()?;
        let pulled = digest_in(&said).ok_or(said)?;
        if pushed != stored || pulled != stored {
            return Err(format!("pushed {pushed}, stored {stored}, pulled {pulled}"));
        }
        let release = self
            .dockerd
            .docker()
            .words("run --rm --network none")
            .arg(&self.name)
            .words("cat /etc/os-release")
            .text()?;
        release
            .lines()
            .find_map(|line| line.strip_prefix("PRETTY_NAME="))
            .map(|name| format!("{pushed} runs as {name}"))
            .ok_or(release)
    }
}

/// A minimal Debian as a tar file, made once and kept in the cache.
fn root_file_system() -> Result<PathBuf, String> {
    let folder = cache().join("tools");
    let archive = folder.join("debian-bookworm.tar");
    if archive.exists() {
        return Ok(archive);
    }
    make_folder(&folder)?;
    let scratch = Scratch::new("debootstrap")?;
    let root = scratch.join("root");
    Cmd::new("debootstrap")
        .words("--variant=minbase bookworm")
        .arg(&root)
        .limit_secs(900)
        .run()?;
    let part = folder.join("debian-bookworm.tar.part");
    Cmd::new("tar")
        .arg("-C")
        .arg(&root)
        .arg("-cf")
        .arg(&part)
        .arg(".")
        .run()?;
    fs::rename(&part, &archive).map_err(|error| format!("cannot keep the archive: {error}"))?;
    Ok(archive)
}
