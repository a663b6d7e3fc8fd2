//! buildah. Like podman it packs images anew for a push.

use super::sheet::{Operation, Sheet};
use super::{Stage, same, says, version_of};
use crate::fixture::TAG;
use crate::tally::Tally;
use testkit::cmd::Cmd;
use testkit::lab::{PASSWORD, USER};
use testkit::scratch::read;

const ME: &str = "buildah";

pub(super) fn run(stage: &Stage, tally: &mut Tally) -> Sheet {
    let mut sheet = Sheet::new(ME, &version_of(ME));
    sheet.does(tally, Operation::Login, || {
        buildah(stage)
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
    sheet.cannot(
        &[Operation::List, Operation::Delete],
        "it has no command that lists or deletes in a registry",
    );
    sheet
}

fn buildah(stage: &Stage) -> Cmd {
    let scratch = stage.lab.scratch();
    Cmd::local(ME)
        .env("REGISTRY_AUTH_FILE", scratch.join("buildah.json"))
        .env("TMPDIR", scratch.path())
        .arg("--root")
        .arg(scratch.join("buildah-root"))
        .arg("--runroot")
        .arg(scratch.join("buildah-run"))
        .words("--storage-driver vfs")
}

fn image(stage: &Stage) -> Result<(), String> {
    let name = stage.name(ME, "image");
    let folder = stage.fixtures.image.folder.display();
    let id = buildah(stage)
        .words("pull -q")
        .arg(format!("oci:{folder}:{TAG}"))
        .text()?;
    let digest_file = stage.lab.scratch().join("buildah-digest");
    buildah(stage)
        .words("push -q --digestfile")
        .arg(&digest_file)
        .arg(id.trim())
        .arg(&name)
        .run()?;
    let pushed = String::from_utf8_lossy(&read(&digest_file)?).into_owned();
    stage.holds(ME, "image", pushed.trim())?;
    buildah(stage).words("rmi --all --force").run()?;
    buildah(stage).words("pull -q").arg(&name).run()?;
    let pulled = buildah(stage)
        .words("images --digests --format {{.Digest}}")
        .text()?;
    same(pushed.trim(), pulled.trim())
}

fn index(stage: &Stage) -> Result<(), String> {
    let name = stage.name(ME, "index");
    let digest_file = stage.lab.scratch().join("buildah-index-digest");
    let folder = stage.fixtures.index.folder.display();
    buildah(stage).words("manifest create both").run()?;
    buildah(stage)
        .words("manifest add --all both")
        .arg(format!("oci:{folder}:{TAG}"))
        .run()?;
    buildah(stage)
        .words("manifest push --all --digestfile")
        .arg(&digest_file)
        .arg("both")
        .arg(format!("docker://{name}"))
        .run()?;
    let pushed = String::from_utf8_lossy(&read(&digest_file)?).into_owned();
    stage.holds(ME, "index", pushed.trim())?;
    for architecture in ["amd64", "arm64"] {
        buildah(stage).words("rmi --all --force").run()?;
        buildah(stage)
            .words("pull -q --arch")
            .arg(architecture)
            .arg(&name)
            .run()?;
        let pulled = buildah(stage)
            .arg("inspect")
            .words("--type image --format {{.OCIv1.Architecture}}")
            .arg(&name)
            .text()?;
        says(&pulled, architecture)?;
    }
    Ok(())
}
