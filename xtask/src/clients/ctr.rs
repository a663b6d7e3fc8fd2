//! ctr, containerd's own client, on the containerd beneath our docker daemon.

use super::sheet::{Operation, Sheet};
use super::{Stage, says, version_of};
use crate::fixture::Fixture;
use crate::tally::Tally;
use testkit::cmd::Cmd;
use testkit::lab::{PASSWORD, USER};
use testkit::scratch::{make_folder, write};

const ME: &str = "ctr";

pub(super) fn run(stage: &Stage, tally: &mut Tally) -> Sheet {
    let mut sheet = Sheet::new(ME, &version_of(ME));
    let all = &stage.fixtures;
    sheet.cannot(
        &[Operation::Login],
        "it keeps no credentials, each command takes `--user`",
    );
    if let Err(reason) = trust(stage) {
        tally.fail("ctr: hosts.toml", reason);
    }
    for (operation, name, fixture) in [
        (Operation::Image, "image", &all.image),
        (Operation::Index, "index", &all.index),
        (Operation::Chart, "chart", &all.chart),
        (Operation::HundredLayers, "hundred", &all.hundred_layers),
        (Operation::BuildCache, "build-cache", &all.build_cache),
    ] {
        sheet.does(tally, operation, || copy(stage, name, fixture));
    }
    sheet.does(tally, Operation::Artifact, || {
        copy(stage, "artifact", &all.referrer)?;
        copy(stage, "artifact", &all.artifact)?;
        stage.has_referrer(ME)
    });
    sheet.cannot(
        &[Operation::ZeroByte],
        "containerd fetches nothing that has the size zero",
    );
    sheet.cannot(
        &[Operation::List, Operation::Delete],
        "it has no command that lists or deletes in a registry",
    );
    sheet
}

fn ctr(stage: &Stage) -> Cmd {
    Cmd::local(ME)
        .arg("--address")
        .arg(stage.dockerd.containerd())
        .words("--namespace matrix")
}

/// A command that goes to the registry; flags stand before the names.
fn remote(stage: &Stage, words: &str) -> Cmd {
    ctr(stage)
        .words(words)
        .arg("--hosts-dir")
        .arg(stage.lab.scratch().join("ctr-hosts"))
        .arg("--user")
        .arg(format!("{USER}:{PASSWORD}"))
}

fn trust(stage: &Stage) -> Result<(), String> {
    let host = stage.lab.host();
    let folder = stage.lab.scratch().join("ctr-hosts").join(host);
    make_folder(&folder)?;
    let ca = stage.lab.gantry().ca();
    let text = format!(
        "server = \"https://{host}\"\n[host.\"https://{host}\"]\nca = \"{}\"\n",
        ca.display()
    );
    write(&folder.join("hosts.toml"), text)
}

fn copy(stage: &Stage, name: &str, fixture: &Fixture) -> Result<(), String> {
    let there = stage.name_of(ME, name, fixture);
    let archive = stage.lab.scratch().join("ctr.tar");
    Cmd::new("tar")
        .arg("-C")
        .arg(&fixture.folder)
        .arg("-cf")
        .arg(&archive)
        .arg(".")
        .run()?;
    ctr(stage)
        .words("images import --all-platforms --no-unpack --base-name")
        .arg(stage.repository(ME, name))
        .arg(&archive)
        .run()?;
    remote(stage, "images push").arg(&there).run()?;
    stage.holds_under(ME, name, fixture.tag, &fixture.digest)?;
    // With its last image gone the content goes too, so the fetch below has to bring all of it.
    ctr(stage).words("images rm --sync").arg(&there).run()?;
    let kept = ctr(stage).words("content ls -q").text()?;
    if kept.contains(&fixture.digest) {
        return Err("containerd kept the content; the pull would prove nothing".to_owned());
    }
    remote(stage, "content fetch --all-platforms")
        .arg(&there)
        .run()?;
    let listed = ctr(stage)
        .words("images ls")
        .arg(format!("name=={there}"))
        .text()?;
    says(&listed, &fixture.digest)?;
    ctr(stage).words("images rm --sync").arg(&there).run()
}
