//! skopeo.

use std::path::Path;

use super::sheet::{Operation, Sheet};
use super::{Stage, says, version_of};
use crate::fixture::{Fixture, TAG};
use crate::tally::Tally;
use testkit::cmd::Cmd;
use testkit::lab::{PASSWORD, USER};

const ME: &str = "skopeo";

pub(super) fn run(stage: &Stage, tally: &mut Tally) -> Sheet {
    let mut sheet = Sheet::new(ME, &version_of(ME));
    let all = &stage.fixtures;
    sheet.does(tally, Operation::Login, || {
        skopeo(stage)
            .words("login --password-stdin -u")
            .arg(USER)
            .arg(stage.lab.host())
            .input(PASSWORD)
            .run()
    });
    for (operation, name, fixture) in [
        (Operation::Image, "image", &all.image),
        (Operation::Index, "index", &all.index),
        (Operation::Chart, "chart", &all.chart),
        (Operation::HundredLayers, "hundred", &all.hundred_layers),
        (Operation::ZeroByte, "zero-byte", &all.zero_byte),
    ] {
        sheet.does(tally, operation, || copy(stage, name, fixture));
    }
    sheet.does(tally, Operation::Artifact, || {
        copy(stage, "artifact", &all.artifact)?;
        copy(stage, "artifact", &all.referrer)?;
        stage.has_referrer(ME)
    });
    sheet.cannot(
        &[Operation::BuildCache],
        "it takes every entry of an index for a manifest",
    );
    sheet.does(tally, Operation::List, || {
        let name = format!("docker://{}", stage.repository(ME, "image"));
        says(&skopeo(stage).arg("list-tags").arg(name).text()?, TAG)
    });
    sheet.does(tally, Operation::Delete, || {
        let name = format!("docker://{}", stage.name(ME, "image"));
        skopeo(stage).arg("delete").arg(name).run()?;
        stage.gone(ME, "image", TAG)
    });
    sheet
}

fn skopeo(stage: &Stage) -> Cmd {
    Cmd::local(ME)
        .env(
            "REGISTRY_AUTH_FILE",
            stage.lab.scratch().join("skopeo.json"),
        )
        .env("TMPDIR", stage.lab.scratch().path())
}

fn copy(stage: &Stage, name: &str, fixture: &Fixture) -> Result<(), String> {
    let there = format!("docker://{}", stage.name_of(ME, name, fixture));
    let here = |folder: &Path| format!("oci:{}:{}", folder.display(), fixture.tag);
    let copy = |from: &str, to: &str| {
        skopeo(stage)
            .words("copy --all --preserve-digests")
            .arg(from)
            .arg(to)
            .run()
    };
    let push = |from: &Path| copy(&here(from), &there);
    let pull = |to: &Path| copy(&there, &here(to));
    stage.round_trip(ME, name, fixture, push, pull)
}
