//! The web UI: its own checks, that `ui-dist` is what its sources give, and its pages in real browsers.

use std::path::{Path, PathBuf};
use std::thread;

use testkit::cmd::Cmd;
use testkit::gantry::{Binary, Gantry};
use testkit::scratch::{Scratch, make_folder};
use testkit::target::ADMIN_PASSWORD;
use testkit::topology::Topology;
use testkit::workspace;

use crate::install::{CURL, DOCKER, Need, need};
use crate::tally::Tally;
use crate::tools::cache;

pub(crate) const NEEDS: [Need; 6] = [
    CURL,
    DOCKER,
    need("npm", "npm", "builds the web UI"),
    need("chromium", "chromium", "shows its pages"),
    need("firefox-esr", "firefox-esr", "shows some of them"),
    need("slapd", "slapd", "is the directory of their settings"),
];

/// Seconds that a command of npm may take, and the tests of every page in every form.
const LIMIT_SECS: u32 = 1_800;
const FULL_LIMIT_SECS: u32 = 5_400;

/// Checks sources and build, and then the pages.
pub(crate) fn check(tally: &mut Tally, binary: &Binary) {
    let folder = match copy() {
        Ok(folder) => folder,
        Err(reason) => return tally.fail("ui", reason),
    };
    let installed = tally.check("npm ci", || install(&folder).map(|()| String::new()));
    if !installed {
        return;
    }
    tally.check("ui: npm run check", || {
        npm(&folder, "run check").run().map(|()| String::new())
    });
    tally.add(part("alone", &folder, binary));
    // Each half has a server of its own: a browser keeps little more than one core busy.
    thread::scope(|scope| {
        let pages = scope.spawn(|| part("pages", &folder, binary));
        tally.add(part("flows", &folder, binary));
        match pages.join() {
            Ok(pages) => tally.add(pages),
            Err(_) => tally.fail("ui", "it panicked".to_owned()),
        }
    });
}

/// Runs a part of the tests, as `ui/tools/test.js` divides them, against a server of its own.
fn part(name: &str, folder: &Path, binary: &Binary) -> Tally {
    let mut tally = Tally::default();
    tally.check(&format!("ui: npm test {name}"), || {
        browse(npm(folder, "test").arg(name), binary).map(|_| String::new())
    });
    tally
}

/// What is too long for each change: every page in every form (`pages`), or what Lighthouse finds (`lighthouse`). The
/// remark is the last line that was printed.
pub(crate) fn full(what: &str, binary: &Binary) -> Result<String, String> {
    let folder = copy()?;
    install(&folder)?;
    let text = match what {
        "lighthouse" => {
            let own = folder.join("lighthouse");
            install(&own)?;
            browse(npm(&own, "start --silent"), binary)?
        }
        _ => {
            let every = npm(&folder, "test").env("UI_FULL", "1");
            browse(every.limit_secs(FULL_LIMIT_SECS), binary)?
        }
    };
    Ok(text.lines().last().unwrap_or_default().to_owned())
}

fn npm(folder: &Path, words: &str) -> Cmd {
    Cmd::new("npm")
        .words(words)
        .folder(folder)
        .limit_secs(LIMIT_SECS)
}

fn install(folder: &Path) -> Result<(), String> {
    npm(folder, "ci --silent").run()
}

/// Runs tests against a server of their own; what they print.
fn browse(tests: Cmd, binary: &Binary) -> Result<String, String> {
    let scratch = Scratch::new("ui")?;
    // The mail server that tests start is on this machine.
    let settings = [("GANTRY_OUTGOING__ALLOW", "127.0.0.0/8")];
    let data = scratch.join("data");
    let gantry = Gantry::on_loopback(binary, &data, Topology::Files, &settings)?;
    let url = gantry.target.url.clone();
    tests
        .env("GANTRY_URL", &url)
        .env("UI_URL", &url)
        .env("GANTRY_ADMIN_PASSWORD", ADMIN_PASSWORD)
        // Some tests restart a server of their own.
        .env("GANTRY_BIN", binary.path())
        .text()
}

/// Copies sources and build into the cache, and returns where the sources are: packages are kept there, outside the
/// checkout.
fn copy() -> Result<PathBuf, String> {
    let (root, folder) = (workspace::root()?, cache().join("ui"));
    make_folder(&folder)?;
    // A test compares the names of resources with the server's tables. Folders of packages survive: those of the UI, and those of Lighthouse, which no change has to wait for.
    let script = r#"rm -rf "$2"/ui-dist && cp -r "$1"/ui-dist "$2"/ && mkdir -p "$2"/ui "$2"/policy/src &&
        cp "$1"/policy/src/table.rs "$1"/policy/src/system.rs "$2"/policy/src/ &&
        find "$2"/ui -mindepth 1 -maxdepth 1 ! -name node_modules ! -name lighthouse -exec rm -rf {} + &&
        cd "$1"/ui && tar cf - --exclude=./node_modules --exclude=./lighthouse/node_modules . | tar xf - -C "$2"/ui"#;
    Cmd::new("sh")
        .arg("-ec")
        .arg(script)
        .arg("copy")
        .arg(&root)
        .arg(&folder)
        .run()?;
    Ok(folder.join("ui"))
}
