//! What is in `deploy/`, tried with real parts: the image, the compose files, the chart, the packages, alerts and dashboard.

use std::env;
use std::path::PathBuf;
use std::thread;

use testkit::cmd::Cmd;
use testkit::gantry::Binary;
use testkit::workspace;

use crate::tally::Tally;
use crate::tools::{HELM_4, KUBECTL, SEAWEEDFS, SYFT, cache};

/// Runs the scripts of `deploy/tests` with the server: those with docker, which mostly wait, beside those without.
pub(crate) fn check(tally: &mut Tally, binary: &Binary) {
    thread::scope(|scope| {
        let others = scope.spawn(|| {
            let system = cache().join("tools/debian-bookworm-systemd.tar");
            let mut tally = Tally::default();
            script(
                &mut tally,
                "chart.sh",
                binary,
                &[HELM_4.path(), KUBECTL.path()],
            );
            script(&mut tally, "package.sh", binary, &[system]);
            tally
        });
        script(tally, "container.sh", binary, &[]);
        script(tally, "compose.sh", binary, &[SEAWEEDFS.path()]);
        script(tally, "watch.sh", binary, &[]);
        match others.join() {
            Ok(others) => tally.add(others),
            Err(_) => tally.fail("deploy", "it panicked".to_owned()),
        }
    });
}

fn script(tally: &mut Tally, name: &str, binary: &Binary, more: &[PathBuf]) {
    tally.check(&format!("deploy/tests/{name}"), || {
        let path = workspace::root()?.join("deploy/tests").join(name);
        let cmd = Cmd::new("sh").arg(path).arg(binary.path());
        let cmd = more.iter().fold(cmd, Cmd::arg);
        let cmd = cmd.env("PATH", with_syft());
        cmd.limit_secs(900).run().map(|()| String::new())
    });
}

/// Where programs are found, and syft.
fn with_syft() -> String {
    let path = env::var("PATH").unwrap_or_default();
    let syft = SYFT.path();
    let folder = syft.parent().unwrap_or(&syft);
    format!("{path}:{}", folder.display())
}
