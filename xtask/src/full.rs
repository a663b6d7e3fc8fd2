//! `cargo xtask full`: every soak and benchmark in its long form, generated requests, and every page of the web UI in every
//! form, in pieces of under two hours. What passed is kept for each commit, so that a run that was broken off goes on
//! where it was.

use std::fs;
use std::path::PathBuf;

use testkit::cmd::Cmd;
use testkit::gantry::Binary;
use testkit::scratch::make_folder;
use testkit::workspace;

use crate::install::{self, Mode};
use crate::long::{BENCH, Long, SOAK};
use crate::tally::Tally;
use crate::tools::cache;
use crate::{api_tests, run, ui};

/// One piece: a soak, a benchmark, a test of the REST API or of the web UI, and its arguments.
struct Piece {
    program: Program,
    name: &'static str,
    arguments: &'static str,
}

enum Program {
    Long(&'static Long),
    Api,
    Ui,
}

const fn soak(arguments: &'static str) -> Piece {
    Piece {
        program: Program::Long(&SOAK),
        name: "soak",
        arguments,
    }
}

const fn bench(arguments: &'static str) -> Piece {
    Piece {
        program: Program::Long(&BENCH),
        name: "bench",
        arguments,
    }
}

const fn api(arguments: &'static str) -> Piece {
    Piece {
        program: Program::Api,
        name: "api",
        arguments,
    }
}

const fn pages(arguments: &'static str) -> Piece {
    Piece {
        program: Program::Ui,
        name: "ui",
        arguments,
    }
}

/// What the issues ask for first, then what makes it whole. A walk of the machine goes on where the piece before ended.
const PIECES: [Piece; 32] = [
    soak("crash --rounds 75"),
    soak("power --rounds 20"),
    soak("race --minutes 20"),
    soak("faults"),
    soak("failover"),
    soak("import"),
    soak("memory"),
    soak("unread"),
    soak("ready"),
    soak("certs"),
    soak("drain"),
    soak("fleet --minutes 60 --seed 1"),
    soak("fleet --minutes 60 --seed 2"),
    api("fuzz.py --cases 10000"),
    pages("pages"),
    pages("lighthouse"),
    bench("--rounds 3"),
    bench("s3 --rounds 3"),
    bench("gc"),
    bench("scale"),
    bench("audit"),
    bench("lists"),
    bench("people"),
    bench("herd --rounds 3"),
    soak("crash --rounds 225"),
    soak("power --rounds 30"),
    soak("machine --seed 1 --steps 10000"),
    soak("machine --seed 1 --steps 40000 --from 10000"),
    soak("machine --seed 1 --steps 50000 --from 50000"),
    soak("machine --seed 1 --steps 50000 --from 100000"),
    soak("machine --seed 1 --steps 50000 --from 150000"),
    bench("--rounds 7"),
];

impl Piece {
    fn line(&self) -> String {
        format!("{} {}", self.name, self.arguments)
    }

    fn run(&self, mode: Mode) -> Result<String, String> {
        let program = match self.program {
            Program::Long(program) => program,
            Program::Api => {
                install::ensure(&api_tests::NEEDS, mode)?;
                return api_tests::run(self.arguments, &run::build(mode)?);
            }
            Program::Ui => {
                install::ensure(&ui::NEEDS, mode)?;
                return ui::full(self.arguments, &Binary::at(&run::build(mode)?));
            }
        };
        let mut arguments: Vec<String> = self
            .arguments
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        if mode == Mode::Ask {
            arguments.push("--no-install".to_owned());
        }
        program.run(&arguments).map(|()| String::new())
    }
}

/// Runs the pieces that have not passed on this commit, or those whose line holds the text of `--only`.
pub(crate) fn full(args: &[String]) -> Result<(), String> {
    let mut passed = Passed::read()?;
    if args.iter().any(|arg| arg == "--list") {
        for piece in &PIECES {
            let mark = if passed.holds(piece) {
                "passed"
            } else {
                "open"
            };
            println!("{mark:6}  {}", piece.line());
        }
        return Ok(());
    }
    let only = wanted(args)?;
    let mut tally = Tally::default();
    for piece in &PIECES {
        if !piece.line().contains(only) {
            continue;
        }
        if passed.holds(piece) {
            println!("passed before on {}: {}", passed.commit, piece.line());
        } else if tally.check(&piece.line(), || piece.run(Mode::of(args))) {
            passed.add(piece)?;
        }
    }
    tally.finish()
}

fn wanted(args: &[String]) -> Result<&str, String> {
    let mut args = args.iter();
    let mut only = "";
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--no-install" => {}
            "--only" => only = args.next().ok_or("--only takes a part of a piece's line")?,
            other => return Err(format!("full does not know {other}")),
        }
    }
    Ok(only)
}

/// The lines of the pieces that passed on a commit.
struct Passed {
    commit: String,
    file: PathBuf,
    lines: String,
}

impl Passed {
    /// Of the commit that is checked out. What is not committed has no name to be kept under.
    fn read() -> Result<Self, String> {
        let root = workspace::root()?;
        let git = |words: &str| Cmd::new("git").words(words).folder(&root).text();
        // Documents are what the pieces write.
        if !git("status --porcelain -- . :!docs")?.trim().is_empty() {
            return Err("full runs on a commit: commit what has changed".to_owned());
        }
        let commit = git("rev-parse --short=12 HEAD")?.trim().to_owned();
        let folder = cache().join("full");
        make_folder(&folder)?;
        let file = folder.join(&commit);
        let lines = if file.exists() {
            fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?
        } else {
            String::new()
        };
        Ok(Self {
            commit,
            file,
            lines,
        })
    }

    fn holds(&self, piece: &Piece) -> bool {
        self.lines.lines().any(|line| line == piece.line())
    }

    fn add(&mut self, piece: &Piece) -> Result<(), String> {
        self.lines.push_str(&format!("{}\n", piece.line()));
        fs::write(&self.file, &self.lines)
            .map_err(|error| format!("{}: {error}", self.file.display()))
    }
}
