//! docker. Its daemon stores images unpacked and packs them anew for a push, so the digest pushed is the
//! one it reports, not that of the fixture.

use std::path::Path;

use super::sheet::{Operation, Sheet};
use super::{Stage, same, says, version_of};
use crate::fixture::{Fixture, TAG};
use crate::tally::Tally;
use testkit::cmd::Cmd;
use testkit::dockerd::CLIENT;
use testkit::lab::{PASSWORD, USER};
use testkit::layout::digest_in;

const ME: &str = "docker";

pub(super) fn run(stage: &Stage, tally: &mut Tally) -> Sheet {
    let mut sheet = Sheet::new(ME, &version_of(CLIENT));
    let all = &stage.fixtures;
    sheet.does(tally, Operation::Login, || {
        docker(stage)
            .words("login --password-stdin -u")
            .arg(USER)
            .arg(stage.lab.host())
            .input(PASSWORD)
            .run()
    });
    sheet.does(tally, Operation::Image, || {
        load(stage, &all.image, &stage.name(ME, "image"))?;
        round_trip(stage, "image")
    });
    sheet.does(tally, Operation::Index, || index(stage));
    sheet.does(tally, Operation::HundredLayers, || {
        load(stage, &all.hundred_layers, &stage.name(ME, "hundred"))?;
        round_trip(stage, "hundred")
    });
    if stage.big {
        sheet.does(tally, Operation::BigLayer, || big(stage));
    }
    sheet.cannot(
        &[
            Operation::BuildCache,
            Operation::Chart,
            Operation::Artifact,
            Operation::ZeroByte,
        ],
        "this version stores images only",
    );
    sheet.does(tally, Operation::List, || {
        // It has no command for it, but pulling all tags asks for them.
        let said = docker(stage)
            .words("pull --all-tags")
            .arg(stage.repository(ME, "image"))
            .text()?;
        says(&said, &format!("{TAG}: Pulling from"))
    });
    sheet.cannot(
        &[Operation::Delete],
        "it has no command that deletes in a registry",
    );
    sheet
}

fn docker(stage: &Stage) -> Cmd {
    stage.dockerd.docker().limit_secs(600)
}

fn load(stage: &Stage, fixture: &Fixture, name: &str) -> Result<(), String> {
    let archive = stage.lab.scratch().join("docker-archive.tar");
    std::fs::remove_file(&archive).ok();
    Cmd::local("skopeo")
        .arg("copy")
        .arg(format!("oci:{}:{TAG}", fixture.folder.display()))
        .arg(format!("docker-archive:{}:{name}", archive.display()))
        .env("TMPDIR", stage.lab.scratch().path())
        .run()?;
    docker(stage).words("load -q -i").arg(&archive).run()
}

fn round_trip(stage: &Stage, repository: &str) -> Result<(), String> {
    let name = stage.name(ME, repository);
    let image_id = || {
        docker(stage)
            .words("image inspect --format {{.Id}}")
            .arg(&name)
            .text()
    };
    let said = docker(stage).arg("push").arg(&name).text()?;
    let pushed = said
        .rsplit_once("digest: ")
        .and_then(|(_, rest)| digest_in(rest))
        .ok_or(said)?;
    stage.holds(ME, repository, &pushed)?;
    let id = image_id()?;
    docker(stage).arg("rmi").arg(&name).run()?;
    let said = docker(stage).arg("pull").arg(&name).text()?;
    let pulled = said
        .rsplit_once("Digest: ")
        .and_then(|(_, rest)| digest_in(rest))
        .ok_or(said)?;
    same(&pushed, &pulled)?;
    same(&id, &image_id()?)
}

fn index(stage: &Stage) -> Result<(), String> {
    let name = stage.name(ME, "index");
    let repository = stage.repository(ME, "index");
    let mut members = Vec::new();
    for architecture in ["amd64", "arm64"] {
        let member = format!("{repository}:{architecture}");
        let archive = stage.lab.scratch().join(&format!("{architecture}.tar"));
        platform_archive(stage, architecture, &archive, &member)?;
        docker(stage).words("load -q -i").arg(&archive).run()?;
        docker(stage).words("push -q").arg(&member).run()?;
        members.push(member);
    }
    docker(stage)
        .words("manifest create")
        .arg(&name)
        .words(&members.join(" "))
        .run()?;
    let said = docker(stage)
        .words("manifest push --purge")
        .arg(&name)
        .text()?;
    let pushed = digest_in(&said).ok_or(said)?;
    stage.holds(ME, "index", &pushed)?;
    docker(stage).arg("rmi").words(&members.join(" ")).run()?;
    for architecture in ["amd64", "arm64"] {
        let said = docker(stage)
            .words("pull --platform")
            .arg(format!("linux/{architecture}"))
            .arg(&name)
            .text()?;
        let pulled = said
            .rsplit_once("Digest: ")
            .and_then(|(_, rest)| digest_in(rest))
            .ok_or(said)?;
        same(&pushed, &pulled)?;
        let found = docker(stage)
            .words("image inspect --format {{.Architecture}}")
            .arg(&name)
            .text()?;
        same(architecture, found.trim())?;
    }
    Ok(())
}

fn platform_archive(
    stage: &Stage,
    architecture: &str,
    archive: &Path,
    name: &str,
) -> Result<(), String> {
    Cmd::local("skopeo")
        .words("--override-arch")
        .arg(architecture)
        .arg("copy")
        .arg(format!(
            "oci:{}:{TAG}",
            stage.fixtures.index.folder.display()
        ))
        .arg(format!("docker-archive:{}:{name}", archive.display()))
        .env("TMPDIR", stage.lab.scratch().path())
        .run()
}

fn big(stage: &Stage) -> Result<(), String> {
    let name = stage.name(ME, "big");
    let tar = stage.fixtures.big_tar()?;
    docker(stage).arg("import").arg(&tar).arg(&name).run()?;
    std::fs::remove_file(&tar).ok();
    let done = round_trip(stage, "big");
    docker(stage).arg("rmi").arg(&name).run().ok();
    done
}
