//! crane, of go-containerregistry.

use std::fs;
use std::path::Path;

use super::sheet::{Operation, Sheet};
use super::{Stage, says};
use crate::fixture::{Fixture, TAG};
use crate::tally::Tally;
use crate::tools::CRANE;
use testkit::cmd::Cmd;
use testkit::lab::{PASSWORD, USER};

const ME: &str = "crane";

pub(super) fn run(stage: &Stage, tally: &mut Tally) -> Sheet {
    let mut sheet = Sheet::new(ME, CRANE.version);
    let all = &stage.fixtures;
    sheet.does(tally, Operation::Login, || {
        crane(stage)
            .words("auth login --password-stdin -u")
            .arg(USER)
            .arg(stage.lab.host())
            .input(PASSWORD)
            .run()
    });
    for (operation, name, fixture) in [
        (Operation::Image, "image", &all.image),
        (Operation::Index, "index", &all.index),
        (Operation::Chart, "chart", &all.chart),
        (Operation::ZeroByte, "zero-byte", &all.zero_byte),
        (Operation::HundredLayers, "hundred", &all.hundred_layers),
    ] {
        sheet.does(tally, operation, || copy(stage, name, fixture));
    }
    sheet.does(tally, Operation::Artifact, || {
        copy(stage, "artifact", &all.artifact)?;
        copy(stage, "artifact", &all.referrer)?;
        stage.has_referrer(ME)
    });
    sheet.does(tally, Operation::BuildCache, || build_cache(stage));
    if stage.big {
        sheet.does(tally, Operation::BigLayer, || big(stage));
    }
    sheet.does(tally, Operation::List, || {
        let said = crane(stage)
            .arg("ls")
            .arg(stage.repository(ME, "image"))
            .text()?;
        says(&said, TAG)
    });
    sheet.does(tally, Operation::Delete, || {
        let digest = &all.image.digest;
        let name = format!("{}@{digest}", stage.repository(ME, "image"));
        crane(stage).arg("delete").arg(name).run()?;
        stage.gone(ME, "image", digest)
    });
    sheet
}

fn crane(stage: &Stage) -> Cmd {
    Cmd::local(CRANE.path())
        .env("DOCKER_CONFIG", stage.lab.scratch().join("crane-config"))
        .env("SSL_CERT_FILE", stage.lab.gantry().ca())
        .limit_secs(600)
}

fn copy(stage: &Stage, name: &str, fixture: &Fixture) -> Result<(), String> {
    let there = stage.name_of(ME, name, fixture);
    let push = |from: &Path| push(stage, from, &there);
    let pull = |to: &Path| pull(stage, &there, to);
    stage.round_trip(ME, name, fixture, push, pull)
}

pub(super) fn push(stage: &Stage, from: &Path, name: &str) -> Result<(), String> {
    crane(stage).arg("push").arg(from).arg(name).run()
}

fn pull(stage: &Stage, name: &str, to: &Path) -> Result<(), String> {
    crane(stage)
        .words("pull --format oci")
        .arg(name)
        .arg(to)
        .run()
}

/// From a layout crane takes every entry of an index for a manifest; between repositories it does not.
/// So it copies what regctl has pushed.
fn build_cache(stage: &Stage) -> Result<(), String> {
    let push = |_: &Path| {
        crane(stage)
            .arg("copy")
            .arg(stage.name("regctl", "build-cache"))
            .arg(stage.name(ME, "build-cache"))
            .run()
    };
    let pull = |to: &Path| pull(stage, &stage.name(ME, "build-cache"), to);
    stage.round_trip(ME, "build-cache", &stage.fixtures.build_cache, push, pull)
}

fn big(stage: &Stage) -> Result<(), String> {
    let fixture = stage.fixtures.big_image()?;
    let done = copy(stage, "big", &fixture);
    let pulled = stage.lab.scratch().join("crane-big-pulled");
    for folder in [&fixture.folder, &pulled] {
        fs::remove_dir_all(folder).ok();
    }
    done
}
