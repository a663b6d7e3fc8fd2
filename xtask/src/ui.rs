//! The web UI: its own checks, that `ui-dist` is what its sources give, and its pages in a real browser.

use std::path::PathBuf;

use testkit::cmd::Cmd;
use testkit::gantry::{Binary, Gantry};
use testkit::scratch::{Scratch, make_folder};
use testkit::target::ADMIN_PASSWORD;
use testkit::topology::Topology;
use testkit::workspace;

use crate::tally::Tally;
use crate::tools::cache;

/// Checks sources and build, and then the pages.
pub(crate) fn check(tally: &mut Tally, binary: &Binary) {
    let folder = match copy() {
        Ok(folder) => folder,
        Err(reason) => return tally.fail("ui", reason),
    };
    let npm = |words: &str| {
        Cmd::new("npm")
            .words(words)
            .folder(folder.join("ui"))
            .limit_secs(900)
    };
    let installed = tally.check("npm ci", || {
        npm("ci --silent").run().map(|()| String::new())
    });
    if !installed {
        return;
    }
    tally.check("ui: npm run check", || {
        npm("run check").run().map(|()| String::new())
    });
    tally.check("ui: npm test", || {
        let scratch = Scratch::new("ui")?;
        let gantry = Gantry::on_loopback(binary, &scratch.join("data"), Topology::Files, &[])?;
        let url = gantry.target.url.clone();
        let tested = npm("test")
            .env("GANTRY_URL", &url)
            .env("UI_URL", &url)
            .env("GANTRY_ADMIN_PASSWORD", ADMIN_PASSWORD)
            // Some tests restart a server of their own.
            .env("GANTRY_BIN", binary.path())
            .run();
        tested.map(|()| String::new())
    });
}

/// Copies sources and build into the cache: packages are kept there, outside the checkout.
fn copy() -> Result<PathBuf, String> {
    let (root, folder) = (workspace::root()?, cache().join("ui"));
    make_folder(&folder)?;
    let script = r#"rm -rf "$2"/ui-dist && cp -r "$1"/ui-dist "$2"/ && mkdir -p "$2"/ui &&
        find "$2"/ui -mindepth 1 -maxdepth 1 ! -name node_modules -exec rm -rf {} + &&
        cd "$1"/ui && tar cf - --exclude=./node_modules . | tar xf - -C "$2"/ui"#;
    Cmd::new("sh")
        .arg("-ec")
        .arg(script)
        .arg("copy")
        .arg(&root)
        .arg(&folder)
        .run()?;
    Ok(folder)
}
