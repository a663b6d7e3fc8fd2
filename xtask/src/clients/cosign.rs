//! cosign, which signs what others pushed: its signature is a referrer of the image.

use super::sheet::{Operation, Sheet};
use super::{Stage, crane, same, says};
use crate::fixture::Fixture;
use crate::tally::Tally;
use crate::tools::COSIGN;
use testkit::cmd::Cmd;
use testkit::lab::{PASSWORD, USER};
use testkit::layout::{digest_in, listed_digest};

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
        (Operation::Chart, "chart", &all.chart),
        (Operation::ZeroByte, "zero-byte", &all.zero_byte),
        (Operation::HundredLayers, "hundred", &all.hundred_layers),
    ] {
        sheet.does(tally, operation, || copy(stage, name, fixture));
    }
    sheet.cannot(
        &[Operation::BuildCache],
        "it takes every entry of an index for an image, and `save` panics",
    );
    sheet.does(tally, Operation::Artifact, || sign(stage));
    sheet.cannot(
        &[Operation::List],
        "it lists no tags; what is attached to an image it lists (`tree`, tried)",
    );
    sheet.does(tally, Operation::Delete, || {
        let signature = signature(stage)?;
        cosign(stage)
            .words("clean --force")
            .arg(stage.name(ME, "image"))
            .run()?;
        stage.gone(ME, "image", &signature)
    });
    sheet
}

fn cosign(stage: &Stage) -> Cmd {
    let scratch = stage.lab.scratch();
    Cmd::local(COSIGN.path())
        .env("DOCKER_CONFIG", scratch.join("cosign-config"))
        .env("SSL_CERT_FILE", stage.lab.gantry().ca())
        .env("COSIGN_PASSWORD", "")
        .env("HOME", scratch.path())
        .folder(scratch.path())
}

/// cosign pushes what it has saved before, so crane brings it here first.
fn copy(stage: &Stage, name: &str, fixture: &Fixture) -> Result<(), String> {
    let from = stage.name(ME, name);
    crane::push(stage, &fixture.folder, &from)?;
    let saved = stage.lab.scratch().join(&format!("cosign-{name}-saved"));
    cosign(stage)
        .words("save --dir")
        .arg(&saved)
        .arg(&from)
        .run()?;
    same(&fixture.digest, &listed_digest(&saved)?)?;
    let loaded = format!("{name}-loaded");
    cosign(stage)
        .words("load --dir")
        .arg(&saved)
        .arg(stage.name(ME, &loaded))
        .run()?;
    stage.holds(ME, &loaded, &fixture.digest)
}

/// Signs without any outside service and verifies the same way.
fn sign(stage: &Stage) -> Result<(), String> {
    let digest = &stage.fixtures.image.digest;
    let image = format!("{}@{digest}", stage.repository(ME, "image"));
    cosign(stage).arg("generate-key-pair").run()?;
    cosign(stage)
        .words("signing-config create --out signing.json")
        .run()?;
    cosign(stage)
        .words("trusted-root create --out root.json")
        .run()?;
    cosign(stage)
        .words("sign --key cosign.key --signing-config signing.json")
        .words("--trusted-root root.json -y")
        .arg(&image)
        .run()?;
    cosign(stage)
        .words("verify --key cosign.pub --trusted-root root.json --insecure-ignore-tlog")
        .arg(&image)
        .run()?;
    let (status, body) = stage.referrers(ME, "image", digest)?;
    let signature = signature(stage)?;
    if status == 200 {
        return says(&body, &signature);
    }
    Err(format!("the list of referrers answered {status}: {body}"))
}

/// The digest of the manifest that holds the signature.
fn signature(stage: &Stage) -> Result<String, String> {
    let said = cosign(stage)
        .arg("tree")
        .arg(stage.name(ME, "image"))
        .text()?;
    let (_, referrers) = said
        .split_once("via OCI referrer")
        .ok_or(format!("no referrer in: {said}"))?;
    match digest_in(referrers) {
        Some(digest) => Ok(digest),
        None => Err(format!("no digest in: {said}")),
    }
}
