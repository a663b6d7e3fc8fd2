//! oras.

use std::path::Path;

use super::sheet::{Operation, Sheet};
use super::{Stage, says};
use crate::cmd::Cmd;
use crate::fixture::{Fixture, TAG};
use crate::lab::{PASSWORD, USER};
use crate::tally::Tally;
use crate::tools::ORAS;

const ME: &str = "oras";

pub(super) fn run(stage: &Stage, tally: &mut Tally) -> Sheet {
    let mut sheet = Sheet::new(ME, ORAS.version);
    let all = &stage.fixtures;
    sheet.does(tally, Operation::Login, || {
        oras(stage)
            .words("login --password-stdin -u")
            .arg(USER)
            .arg(stage.lab.host())
            .input(PASSWORD)
            .run()
    });
    for (operation, name, fixture) in [
        (Operation::Image, "image", &all.image),
        (Operation::Index, "index", &all.index),
        (Operation::ZeroByte, "zero-byte", &all.zero_byte),
        (Operation::BuildCache, "build-cache", &all.build_cache),
    ] {
        sheet.does(tally, operation, || copy(stage, name, fixture));
    }
    sheet.does(tally, Operation::Artifact, || {
        copy(stage, "artifact", &all.artifact)?;
        stage.has_referrer(ME, "artifact")?;
        let said = oras(stage)
            .words("discover --format json")
            .arg(stage.name(ME, "artifact"))
            .text()?;
        says(&said, &all.referrer.digest)
    });
    sheet.cannot(&[Operation::Chart], "it makes no charts; one that helm pushed it copies like any artifact");
    sheet.does(tally, Operation::List, || {
        let said = oras(stage)
            .words("repo tags")
            .arg(stage.repository(ME, "image"))
            .text()?;
        says(&said, TAG)
    });
    sheet.does(tally, Operation::Delete, || {
        oras(stage)
            .words("manifest delete --force")
            .arg(stage.name(ME, "image"))
            .run()?;
        stage.gone(ME, "image", TAG)
    });
    sheet
}

fn oras(stage: &Stage) -> Cmd {
    Cmd::local(ORAS.path())
        .env("DOCKER_CONFIG", stage.lab.scratch().join("oras-config"))
        .env("SSL_CERT_FILE", stage.lab.gantry().ca())
}

fn copy(stage: &Stage, name: &str, fixture: &Fixture) -> Result<(), String> {
    let there = stage.name(ME, name);
    let push = |from: &Path| {
        oras(stage)
            .words("cp --recursive --from-oci-layout")
            .arg(format!("{}:{TAG}", from.display()))
            .arg(&there)
            .run()
    };
    let pull = |to: &Path| {
        oras(stage)
            .words("cp --recursive --to-oci-layout")
            .arg(&there)
            .arg(format!("{}:{TAG}", to.display()))
            .run()
    };
    stage.round_trip(ME, name, fixture, push, pull)
}
