//! cosign, which signs what others pushed: its signature is a referrer of the image.

use super::sheet::{Operation, Sheet};
use super::{PROJECT, Stage, same, says};
use crate::cmd::Cmd;
use crate::fixture::{Fixture, TAG};
use crate::lab::{PASSWORD, USER};
use crate::layout::listed_digest;
use crate::tally::Tally;
use crate::tools::{COSIGN, CRANE};

const ME: &str = "cosign";

pub(super) fn run(stage: &Stage, tally: &mut Tally) -> Sheet {
    let mut sheet = Sheet::new(ME, COSIGN.version);
    let all = &stage.fixtures;
    sheet.does(tally, Operation::Login, || {
        cosign(stage)
            .words("login --password-stdin -u")
            .arg(USER)
            .arg(stage.lab.host())
            .input(PASSWORD)
            .run()
    });
    for (operation, name, fixture) in [
        (Operation::Image, "image", &all.image),
        (Operation::Index, "index", &all.index),
    ] {
        sheet.does(tally, operation, || copy(stage, name, fixture));
    }
    sheet.does(tally, Operation::Artifact, || sign(stage));
    sheet.does(tally, Operation::List, || {
        let said = cosign(stage).arg("tree").arg(stage.name(ME, "image")).text()?;
        says(&said, "sha256:")
    });
    sheet.cannot(
        &[Operation::BuildCache, Operation::Chart, Operation::ZeroByte],
        "it signs and copies images only",
    );
    sheet
}

fn cosign(stage: &Stage) -> Cmd {
    Cmd::local(COSIGN.path())
        .env("DOCKER_CONFIG", stage.lab.scratch().join("cosign-config"))
        .env("SSL_CERT_FILE", stage.lab.gantry().ca())
        .env("COSIGN_PASSWORD", "")
        .env("HOME", stage.lab.scratch().path())
        .folder(stage.lab.scratch().path())
}

fn copy(stage: &Stage, name: &str, fixture: &Fixture) -> Result<(), String> {
    Err(format!("todo {name} {} {PROJECT} {TAG}", fixture.digest))
}

fn sign(stage: &Stage) -> Result<(), String> {
    let _ = (same, listed_digest, CRANE.path(), stage);
    Err("todo".into())
}
