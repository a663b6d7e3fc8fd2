//! oras.

use std::fs;
use std::path::Path;

use super::sheet::{Operation, Sheet};
use super::{Stage, same, says};
use crate::fixture::{Fixture, TAG};
use crate::tally::Tally;
use crate::tools::ORAS;
use testkit::cmd::Cmd;
use testkit::lab::{PASSWORD, USER};
use testkit::layout::{INDEX, digest};

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
        (Operation::Chart, "chart", &all.chart),
        (Operation::HundredLayers, "hundred", &all.hundred_layers),
        (Operation::ZeroByte, "zero-byte", &all.zero_byte),
    ] {
        sheet.does(tally, operation, || copy(stage, name, fixture));
    }
    sheet.does(tally, Operation::Artifact, || {
        copy(stage, "artifact", &all.with_referrer)?;
        stage.has_referrer(ME)?;
        let said = oras(stage)
            .words("discover --format json")
            .arg(stage.name(ME, "artifact"))
            .text()?;
        says(&said, &all.referrer.digest)
    });
    sheet.does(tally, Operation::BuildCache, || build_cache(stage));
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

/// `oras cp` takes every entry of an index for a manifest, so the parts go one by one.
fn build_cache(stage: &Stage) -> Result<(), String> {
    let fixture = &stage.fixtures.build_cache;
    let blobs = fixture.folder.join("blobs/sha256");
    let repository = stage.repository(ME, "build-cache");
    let index = fixture.digest.trim_start_matches("sha256:");
    let parts: Vec<String> = fs::read_dir(&blobs)
        .map_err(|error| error.to_string())?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name != index)
        .collect();
    for part in &parts {
        oras(stage)
            .words("blob push")
            .arg(format!("{repository}@sha256:{part}"))
            .arg(blobs.join(part))
            .run()?;
    }
    let name = stage.name(ME, "build-cache");
    oras(stage)
        .words("manifest push --media-type")
        .arg(INDEX)
        .arg(&name)
        .arg(blobs.join(index))
        .run()?;
    stage.holds(ME, "build-cache", &fixture.digest)?;
    let fetched = oras(stage).words("manifest fetch").arg(&name).output()?;
    same(&fixture.digest, &digest(&fetched)?)?;
    for part in &parts {
        let fetched = oras(stage)
            .words("blob fetch --output -")
            .arg(format!("{repository}@sha256:{part}"))
            .output()?;
        same(&format!("sha256:{part}"), &digest(&fetched)?)?;
    }
    Ok(())
}
