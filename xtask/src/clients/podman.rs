//! podman. It stores images unpacked and packs them anew for a push, so the digest pushed is the one it
//! reports, not that of the fixture.

use super::sheet::{Operation, Sheet};
use super::{Stage, same, says, version_of};
use crate::fixture::TAG;
use crate::tally::Tally;
use testkit::cmd::Cmd;
use testkit::lab::{PASSWORD, USER};
use testkit::scratch::read;

const ME: &str = "podman";

pub(super) fn run(stage: &Stage, tally: &mut Tally) -> Sheet {
    let mut sheet = Sheet::new(ME, &version_of(ME));
    sheet.does(tally, Operation::Login, || {
        podman(stage)
            .words("login --password-stdin -u")
            .arg(USER)
            .arg(stage.lab.host())
            .input(PASSWORD)
            .run()
    });
    sheet.does(tally, Operation::Image, || image(stage));
    sheet.does(tally, Operation::Index, || index(stage));
    sheet.cannot(
        &[
            Operation::BuildCache,
            Operation::Chart,
            Operation::Artifact,
            Operation::ZeroByte,
        ],
        "it stores images only",
    );
    sheet.does(tally, Operation::List, || {
        let said = podman(stage)
            .words("search --list-tags")
            .arg(stage.repository(ME, "image"))
            .text()?;
        says(&said, TAG)
    });
    sheet.cannot(
        &[Operation::Delete],
        "it has no command that deletes in a registry",
    );
    sheet
}

fn podman(stage: &Stage) -> Cmd {
    let scratch = stage.lab.scratch();
    Cmd::local(ME)
        .env("REGISTRY_AUTH_FILE", scratch.join("podman.json"))
        .env("TMPDIR", scratch.path())
        .arg("--root")
        .arg(scratch.join("podman-root"))
        .arg("--runroot")
        .arg(scratch.join("podman-run"))
        .words("--storage-driver vfs")
}

fn image(stage: &Stage) -> Result<(), String> {
    let name = stage.name(ME, "image");
    let folder = stage.fixtures.image.folder.display();
    podman(stage)
        .words("pull -q")
        .arg(format!("oci:{folder}:{TAG}"))
        .run()?;
    let id = podman(stage).words("images -q --no-trunc").text()?;
    let digest_file = stage.lab.scratch().join("podman-digest");
    podman(stage)
        .words("push -q --digestfile")
        .arg(&digest_file)
        .arg(id.trim())
        .arg(&name)
        .run()?;
    let pushed = String::from_utf8_lossy(&read(&digest_file)?).into_owned();
    stage.holds(ME, "image", pushed.trim())?;
    podman(stage).words("rmi --all --force").run()?;
    podman(stage).words("pull -q").arg(&name).run()?;
    let pulled = podman(stage)
        .words("image inspect --format {{.Digest}}")
        .arg(&name)
        .text()?;
    same(pushed.trim(), pulled.trim())
}

fn index(stage: &Stage) -> Result<(), String> {
    let name = stage.name(ME, "index");
    let digest_file = stage.lab.scratch().join("podman-index-digest");
    let folder = stage.fixtures.index.folder.display();
    podman(stage).words("manifest create both").run()?;
    podman(stage)
        .words("manifest add --all both")
        .arg(format!("oci:{folder}:{TAG}"))
        .run()?;
    podman(stage)
        .words("manifest push --all --digestfile")
        .arg(&digest_file)
        .arg("both")
        .arg(format!("docker://{name}"))
        .run()?;
    let pushed = String::from_utf8_lossy(&read(&digest_file)?).into_owned();
    stage.holds(ME, "index", pushed.trim())?;
    for architecture in ["amd64", "arm64"] {
        podman(stage).words("rmi --all --force").run()?;
        podman(stage)
            .words("pull -q --arch")
            .arg(architecture)
            .arg(&name)
            .run()?;
        let pulled = podman(stage)
            .arg("image")
            .arg("inspect")
            .arg("--format")
            .arg("{{.Architecture}} {{.RepoDigests}}")
            .arg(&name)
            .text()?;
        says(&pulled, architecture)?;
        says(&pulled, pushed.trim())?;
    }
    Ok(())
}
