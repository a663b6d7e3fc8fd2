//! What is in `deploy/`, tried with real parts: the image, the compose files, alerts and dashboard.

use testkit::cmd::Cmd;
use testkit::gantry::Binary;
use testkit::workspace;

use crate::tally::Tally;
use crate::tools::SEAWEEDFS;

/// Runs the scripts of `deploy/tests` with the server.
pub(crate) fn check(tally: &mut Tally, binary: &Binary) {
    script(tally, "container.sh", binary, false);
    script(tally, "compose.sh", binary, true);
    script(tally, "watch.sh", binary, false);
}

fn script(tally: &mut Tally, name: &str, binary: &Binary, with_store: bool) {
    tally.check(&format!("deploy/tests/{name}"), || {
        let path = workspace::root()?.join("deploy/tests").join(name);
        let cmd = Cmd::new("sh").arg(path).arg(binary.path());
        let cmd = match with_store {
            true => cmd.arg(SEAWEEDFS.path()),
            false => cmd,
        };
        cmd.limit_secs(900).run().map(|()| String::new())
    });
}
