//! helm, in its two majors.

use super::sheet::{Operation, Sheet};
use super::{PROJECT, Stage, same, says};
use crate::fixture::{CHART, CHART_VERSION, chart_sources};
use crate::tally::Tally;
use crate::tools::Tool;
use testkit::cmd::Cmd;
use testkit::lab::{PASSWORD, USER};
use testkit::layout::{digest_in, digest_of_file};

pub(super) fn run(stage: &Stage, tally: &mut Tally, tool: &Tool) -> Sheet {
    let mut sheet = Sheet::new("helm", tool.version);
    let helm = Helm { stage, tool };
    sheet.does(tally, Operation::Login, || {
        helm.command()
            .words("registry login --password-stdin -u")
            .arg(USER)
            .arg("--ca-file")
            .arg(stage.lab.gantry().ca())
            .arg(stage.lab.host())
            .input(PASSWORD)
            .run()
    });
    sheet.does(tally, Operation::Chart, || helm.chart());
    sheet.cannot(
        &[
            Operation::Image,
            Operation::Index,
            Operation::BuildCache,
            Operation::Artifact,
            Operation::ZeroByte,
        ],
        "it pushes and pulls charts only",
    );
    sheet.does(tally, Operation::List, || {
        // It has no command for it, but a range of versions makes it ask for the tags.
        let said = helm
            .registry("show chart")
            .arg(helm.url())
            .words("--version >=0.1.0")
            .text()?;
        says(&said, &format!("version: {CHART_VERSION}"))
    });
    sheet.cannot(
        &[Operation::Delete],
        "it has no command that deletes in a registry",
    );
    sheet
}

struct Helm<'a> {
    stage: &'a Stage,
    tool: &'a Tool,
}

impl Helm<'_> {
    fn command(&self) -> Cmd {
        let home = self.stage.lab.scratch().join(&self.home());
        Cmd::local(self.tool.path())
            .env("HELM_CONFIG_HOME", home.join("config"))
            .env("HELM_CACHE_HOME", home.join("cache"))
            .env("HELM_DATA_HOME", home.join("data"))
            .env("DOCKER_CONFIG", home.join("docker"))
    }

    fn registry(&self, words: &str) -> Cmd {
        self.command()
            .words(words)
            .arg("--ca-file")
            .arg(self.stage.lab.gantry().ca())
    }

    fn home(&self) -> String {
        format!("helm-{}", self.tool.version)
    }

    /// One repository per major, so that each pushes what it packed itself.
    fn parent(&self) -> String {
        format!(
            "oci://{}",
            self.stage
                .lab
                .repository(&format!("{PROJECT}/{}", self.home()))
        )
    }

    fn url(&self) -> String {
        format!("{}/{CHART}", self.parent())
    }

    fn chart(&self) -> Result<(), String> {
        let folder = self.stage.folder(&self.home())?;
        chart_sources(&folder.join(CHART))?;
        self.command()
            .arg("package")
            .arg(CHART)
            .folder(&folder)
            .run()?;
        let file = format!("{CHART}-{CHART_VERSION}.tgz");
        let packed = folder.join(&file);
        let said = self
            .registry("push")
            .arg(&packed)
            .arg(self.parent())
            .text()?;
        let pushed = digest_in(&said).ok_or(said)?;
        let repository = format!("{PROJECT}/{}/{CHART}", self.home());
        same(
            &pushed,
            &self
                .stage
                .lab
                .gantry()
                .target
                .digest(&repository, CHART_VERSION)?,
        )?;
        let to = self.stage.folder(&format!("{}/pulled", self.home()))?;
        let said = self
            .registry("pull")
            .arg(self.url())
            .arg("--version")
            .arg(CHART_VERSION)
            .arg("--destination")
            .arg(&to)
            .text()?;
        same(&pushed, &digest_in(&said).ok_or(said)?)?;
        same(&digest_of_file(&packed)?, &digest_of_file(&to.join(file))?)
    }
}
