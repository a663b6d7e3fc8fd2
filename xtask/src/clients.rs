//! The matrix of real clients: each one logs in, pushes, pulls, lists and deletes whatever it can, on
//! every kind of content, and the digests pulled have to be the digests pushed. One module per client;
//! the outcome is also the table in `docs/clients.md`.

mod buildah;
mod cosign;
mod crane;
mod ctr;
mod docker;
mod helm;
mod oras;
mod podman;
mod regctl;
mod sheet;
mod skopeo;

use std::path::{Path, PathBuf};

use crate::fixture::{Fixture, Fixtures, TAG};
use crate::tally::Tally;
use crate::tools::{HELM_3, HELM_4};
use testkit::cmd::Cmd;
use testkit::dockerd::Dockerd;
use testkit::gantry::Binary;
use testkit::lab::Lab;
use testkit::layout::listed_digest;
use testkit::scratch::write;
use testkit::topology::Topology;
use testkit::trust::Trust;

/// Runs every client; without `big` docker and crane leave the 2 GiB layer out. When all has been done
/// and all is well, the table is written to `table`, where one is wanted.
pub(crate) fn matrix(
    tally: &mut Tally,
    binary: &Binary,
    topology: Topology,
    big: bool,
    table: Option<&Path>,
) {
    let stage = match Stage::start(binary, topology, big) {
        Ok(stage) => stage,
        Err(reason) => return tally.fail("clients: stage", reason),
    };
    let before = tally.failed();
    let sheets = [
        docker::run(&stage, tally),
        podman::run(&stage, tally),
        skopeo::run(&stage, tally),
        buildah::run(&stage, tally),
        ctr::run(&stage, tally),
        helm::run(&stage, tally, &HELM_3),
        helm::run(&stage, tally, &HELM_4),
        regctl::run(&stage, tally),
        oras::run(&stage, tally),
        crane::run(&stage, tally),
        cosign::run(&stage, tally),
    ];
    if let Some(table) = table
        && big
        && tally.failed() == before
    {
        tally.check("clients: the table in docs", || {
            write(table, sheet::table(&sheets)?).map(|()| String::new())
        });
    }
    let server = stage.lab;
    tally.check("clients: the server ends without an error", || {
        server.finish()
    });
}

/// What all clients work with.
struct Stage {
    _trust: Trust,
    dockerd: Dockerd,
    lab: Lab,
    fixtures: Fixtures,
    big: bool,
}

impl Stage {
    fn start(binary: &Binary, topology: Topology, big: bool) -> Result<Self, String> {
        let lab = Lab::start(binary, topology, &[PROJECT])?;
        Ok(Self {
            _trust: Trust::install(lab.gantry().ca(), lab.host())?,
            dockerd: Dockerd::start()?,
            fixtures: Fixtures::make()?,
            lab,
            big,
        })
    }

    /// The full name of one of a client's repositories.
    fn repository(&self, client: &str, name: &str) -> String {
        self.lab.repository(&format!("{PROJECT}/{client}/{name}"))
    }

    /// The same with a tag, as an image's name.
    fn name(&self, client: &str, name: &str) -> String {
        format!("{}:{TAG}", self.repository(client, name))
    }

    /// The same under the tag that a fixture has.
    fn name_of(&self, client: &str, name: &str, fixture: &Fixture) -> String {
        format!("{}:{}", self.repository(client, name), fixture.tag)
    }

    /// A folder for a client's own files.
    fn folder(&self, client: &str) -> Result<PathBuf, String> {
        self.lab.scratch().folder(client)
    }

    /// The server holds exactly this in a client's repository, under the usual tag.
    fn holds(&self, client: &str, name: &str, digest: &str) -> Result<(), String> {
        self.holds_under(client, name, TAG, digest)
    }

    fn holds_under(&self, client: &str, name: &str, tag: &str, digest: &str) -> Result<(), String> {
        let repository = format!("{PROJECT}/{client}/{name}");
        same(digest, &self.lab.gantry().target.digest(&repository, tag)?)
    }

    /// Pushes from the fixture's layout, looks at the server, pulls to another layout, compares.
    fn round_trip(
        &self,
        client: &str,
        name: &str,
        fixture: &Fixture,
        push: impl FnOnce(&Path) -> Result<(), String>,
        pull: impl FnOnce(&Path) -> Result<(), String>,
    ) -> Result<(), String> {
        push(&fixture.folder)?;
        self.holds_under(client, name, fixture.tag, &fixture.digest)?;
        let pulled = format!("{client}-{name}-{}-pulled", fixture.tag);
        let pulled = self.lab.scratch().join(&pulled);
        pull(&pulled)?;
        same(&fixture.digest, &listed_digest(&pulled)?)
    }

    /// The server's answer to the question what refers to `subject`.
    fn referrers(&self, client: &str, name: &str, subject: &str) -> Result<(u16, String), String> {
        let path = format!("/v2/{PROJECT}/{client}/{name}/referrers/{subject}");
        let (status, body) = self.lab.gantry().target.request(&[], &path)?;
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }

    /// The server lists the referrer of the artifact that a client pushed.
    fn has_referrer(&self, client: &str) -> Result<(), String> {
        let subject = &self.fixtures.artifact.digest;
        let (status, body) = self.referrers(client, "artifact", subject)?;
        if status == 200 && body.contains(&self.fixtures.referrer.digest) {
            return Ok(());
        }
        Err(format!("the list of referrers answered {status}: {body}"))
    }

    /// The server has nothing more under this tag or digest.
    fn gone(&self, client: &str, name: &str, reference: &str) -> Result<(), String> {
        let path = format!("/v2/{PROJECT}/{client}/{name}/manifests/{reference}");
        match self.lab.gantry().target.request(&["-I"], &path)? {
            (404, _) => Ok(()),
            (status, _) => Err(format!("{path} still answers {status}")),
        }
    }
}

/// The one project of the matrix.
const PROJECT: &str = "matrix";

/// The version that a program of Debian's gives for itself, without Debian's own suffix.
fn version_of(program: &str) -> String {
    let said = Cmd::new(program).arg("--version").text();
    number_in(&said.unwrap_or_default())
}

/// The first word that starts with a digit, up to a `+`, `~` or comma.
fn number_in(text: &str) -> String {
    text.split_whitespace()
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))
        .and_then(|word| word.split(['+', '~', ',']).next())
        .unwrap_or("?")
        .to_owned()
}

fn same(pushed: &str, pulled: &str) -> Result<(), String> {
    if pushed == pulled {
        return Ok(());
    }
    Err(format!("pushed {pushed}, found {pulled}"))
}

/// `said` holds `expected` as a word or part of one.
fn says(said: &str, expected: &str) -> Result<(), String> {
    if said.contains(expected) {
        return Ok(());
    }
    Err(format!("`{expected}` is missing in: {said}"))
}

#[cfg(test)]
mod tests {
    use super::number_in;

    #[test]
    fn a_version_is_found_in_what_programs_say() {
        assert_eq!(
            number_in("Docker version 20.10.24+dfsg1, build 297e128"),
            "20.10.24"
        );
        assert_eq!(
            number_in("ctr github.com/containerd/containerd 1.6.20~ds1"),
            "1.6.20"
        );
        assert_eq!(number_in("podman version 4.3.1"), "4.3.1");
        assert_eq!(number_in(""), "?");
    }
}
