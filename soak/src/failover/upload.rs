//! One upload, and what fails when half of it is on its way.

use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::Soak;
use testkit::backing::Part;
use testkit::gantry::Gantry;
use testkit::load::{Figures, figures_of};
use testkit::target::Target;

/// What ends by force.
#[derive(Clone, Copy)]
pub(super) enum Fault {
    /// The replica that serves the upload; it comes back when the upload is over.
    Replica,
    Part(Part),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Replica => "kill -9 of the replica",
            Self::Part(Part::Database) => "PostgreSQL restarted at once",
            Self::Part(Part::Storage) => "kill -9 of SeaweedFS",
        })
    }
}

/// The client, not started yet.
pub(super) struct Upload {
    command: Command,
    fault: Fault,
    bytes: f64,
}

impl Upload {
    pub(super) fn new(soak: &Soak, target: Target, fault: Fault) -> Self {
        let (mib, pace) = if soak.options.short {
            (256, "50")
        } else {
            (2048, "100")
        };
        let size = format!("{mib}M");
        let args = ["resume", "-size", &size, "-mb-per-s", pace];
        let mut command = soak.load.command(&target, None, &args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Self {
            command,
            fault,
            bytes: f64::from(mib) * 1024.0 * 1024.0,
        }
    }

    /// Runs it; what it saw, with how long the fault lasted.
    pub(super) fn run(mut self, gantry: &mut Gantry) -> Result<Figures, String> {
        let before = gantry.connections()?;
        let mut client = Client::start(&mut self.command)?;
        client.wait_for("begun")?;
        let serving = match self.fault {
            Fault::Replica => Some(serving(gantry, &before)?),
            Fault::Part(_) => None,
        };
        client.wait_for("half")?;
        let began = Instant::now();
        match (self.fault, serving) {
            (Fault::Part(part), _) => gantry.backing()?.crash(part)?,
            (Fault::Replica, Some(number)) => gantry.kill(number),
            (Fault::Replica, None) => return Err("nobody serves the upload".to_owned()),
        }
        client.still_at_it()?;
        if let Fault::Part(part) = self.fault {
            sleep(OUTAGE);
            gantry.backing()?.restart(part)?;
        }
        let mut lasted = began.elapsed();
        let mut seen = client.finish()?;
        if let Some(number) = serving {
            gantry.start_again(number)?;
            lasted = began.elapsed();
        }
        self.judge(&seen)?;
        seen.insert("fault_s".to_owned(), lasted.as_secs_f64());
        Ok(seen)
    }

    /// The client compares digests. What is left: that it was cut and went on from a checkpoint, and that
    /// something was acknowledged beside it.
    fn judge(&self, seen: &Figures) -> Result<(), String> {
        let of = |key: &str| seen.get(key).copied().unwrap_or(0.0);
        let (cut, resumed) = (of("cut_at"), of("resumed_at"));
        let wrong = |what: &str| Err(format!("{what}: {seen:?}"));
        if of("bytes") != self.bytes || of("beside_manifests_pulled") == 0.0 {
            return wrong("not all was pulled");
        }
        match self.fault {
            Fault::Replica if of("resumed") == 0.0 => wrong("the upload was not cut"),
            _ if of("resumed") > 0.0 && resumed <= 0.0 => wrong("the upload began anew"),
            Fault::Replica if cut - resumed > UNKEPT => wrong("too much had to be sent again"),
            _ => Ok(()),
        }
    }
}

/// How long the database or the storage is away at least.
const OUTAGE: Duration = Duration::from_secs(1);

/// Bytes that may be on their way at a time, or not be a whole part yet: sent, but not kept.
const UNKEPT: f64 = 96.0 * 1024.0 * 1024.0;

/// The replica that took the upload's connection, the only new one.
fn serving(gantry: &Gantry, before: &[u64]) -> Result<usize, String> {
    let now = gantry.connections()?;
    let took = |number: usize| now[number] - before.get(number).copied().unwrap_or(0);
    let busy: Vec<usize> = (0..now.len()).filter(|number| took(*number) > 0).collect();
    match busy[..] {
        [number] if took(number) == 1 => Ok(number),
        _ => Err(format!(
            "cannot tell who serves the upload: connections were {before:?} and are {now:?}"
        )),
    }
}

/// The running client, which says how far it is.
struct Client {
    child: Child,
    lines: BufReader<ChildStdout>,
    said: String,
}

impl Client {
    fn start(command: &mut Command) -> Result<Self, String> {
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let output = child.stdout.take().ok_or("no standard output")?;
        Ok(Self {
            child,
            lines: BufReader::new(output),
            said: String::new(),
        })
    }

    fn wait_for(&mut self, key: &str) -> Result<(), String> {
        loop {
            let from = self.said.len();
            let read = self.lines.read_line(&mut self.said);
            if read.map_err(|error| error.to_string())? == 0 {
                return Err(format!("it ended before {key}: {}", self.complaint()));
            }
            if self.said[from..].starts_with(key) {
                return Ok(());
            }
        }
    }

    /// An upload that was over before the fault began would show nothing.
    fn still_at_it(&mut self) -> Result<(), String> {
        match self.child.try_wait().map_err(|error| error.to_string())? {
            None => Ok(()),
            Some(_) => Err(format!("it ended before the fault: {}", self.complaint())),
        }
    }

    fn finish(mut self) -> Result<Figures, String> {
        let read = self.lines.read_to_string(&mut self.said);
        read.map_err(|error| error.to_string())?;
        let complaint = self.complaint();
        let status = self.child.wait().map_err(|error| error.to_string())?;
        if status.success() {
            return Ok(figures_of(&self.said));
        }
        Err(format!("{status}: {complaint}\n{}", self.said))
    }

    fn complaint(&mut self) -> String {
        let mut text = String::new();
        if let Some(mut errors) = self.child.stderr.take() {
            errors.read_to_string(&mut text).ok();
        }
        text
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
