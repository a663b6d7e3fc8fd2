//! regctl, the strictest of the clients.

use std::path::Path;

use super::sheet::{Operation, Sheet};
use super::{Stage, same, says};
use crate::fixture::{Fixture, TAG};
use crate::tally::Tally;
use crate::tools::REGCTL;
use testkit::cmd::Cmd;
use testkit::lab::{PASSWORD, USER};
use testkit::layout::digest_of_file;

const ME: &str = "regctl";

pub(super) fn run(stage: &Stage, tally: &mut Tally) -> Sheet {
    let mut sheet = Sheet::new(ME, REGCTL.version);
    let all = &stage.fixtures;
    sheet.does(tally, Operation::Login, || {
        regctl(stage)
            .words("registry login --pass-stdin -u")
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
        (Operation::BuildCache, "build-cache", &all.build_cache),
    ] {
        sheet.does(tally, operation, || copy(stage, name, fixture));
    }
    sheet.does(tally, Operation::Artifact, || {
        copy(stage, "artifact", &all.artifact)?;
        copy(stage, "artifact", &all.referrer)?;
        stage.has_referrer(ME)?;
        let said = regctl(stage)
            .words("artifact list")
            .arg(stage.name(ME, "artifact"))
            .text()?;
        says(&said, &all.referrer.digest)?;
        pull_with_referrers(stage)
    });
    sheet.does(tally, Operation::List, || {
        let said = regctl(stage)
            .words("tag ls")
            .arg(stage.repository(ME, "image"))
            .text()?;
        says(&said, TAG)
    });
    sheet.does(tally, Operation::Delete, || {
        regctl(stage)
            .words("tag delete")
            .arg(stage.name(ME, "image"))
            .run()?;
        stage.gone(ME, "image", TAG)
    });
    sheet
}

fn regctl(stage: &Stage) -> Cmd {
    Cmd::local(REGCTL.path())
        .env("REGCTL_CONFIG", stage.lab.scratch().join("regctl.json"))
        .env("SSL_CERT_FILE", stage.lab.gantry().ca())
}

fn copy(stage: &Stage, name: &str, fixture: &Fixture) -> Result<(), String> {
    let there = stage.name_of(ME, name, fixture);
    let copy = |from: &str, to: &str| regctl(stage).words("image copy").arg(from).arg(to).run();
    let here = |folder: &Path| format!("ocidir://{}:{}", folder.display(), fixture.tag);
    let push = |from: &Path| copy(&here(from), &there);
    let pull = |to: &Path| copy(&there, &here(to));
    stage.round_trip(ME, name, fixture, push, pull)
}

/// The referrer comes along when the artifact is asked for with all that refers to it.
fn pull_with_referrers(stage: &Stage) -> Result<(), String> {
    let to = stage.folder("regctl-with-referrers")?;
    regctl(stage)
        .words("image copy --referrers")
        .arg(stage.name(ME, "artifact"))
        .arg(format!("ocidir://{}:{TAG}", to.display()))
        .run()?;
    let referrer = &stage.fixtures.referrer.digest;
    let blob = to.join("blobs/sha256").join(&referrer[7..]);
    same(referrer, &digest_of_file(&blob)?)
}
