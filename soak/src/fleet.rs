//! Two replicas under hours of pushes, pulls and deletions, while their certificates are renewed, one hands over to a
//! successor, and one is killed and comes back: no request fails but on connections to the killed one, nothing that was
//! acknowledged is lost, and memory stays flat.

mod client;
mod face;
mod flat;
mod judge;
mod line;
mod schedule;
mod watch;

use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use testkit::gantry::{Binary, Gantry};
use testkit::meter::{listed, wait};

use super::{Options, Soak};
use crate::journal::{Journal, State};
use crate::verify::verify;
use face::Face;
use flat::Memory;
use judge::{Cause, End, Judge};
use schedule::{Event, events};
use watch::Watch;

/// Seconds that the server keeps what nothing refers to: the disk need not hold all that was ever pushed.
const GRACE: &str = "120";
/// How often the replicas are looked at.
const LOOK: Duration = Duration::from_millis(500);

pub(super) fn run(soak: &mut Soak) -> Result<(), String> {
    let journal = Journal::open(&soak.folder.join("fleet.journal"))?;
    let mut fleet = Fleet::start(soak)?;
    let (target, seed) = (fleet.gantry.target.clone(), soak.dice.seed());
    let watch = Watch::new(fleet.gantry.routes()?);
    let (conducted, state) = thread::scope(|scope| {
        let clients = scope.spawn(|| wait(client::run(&target, &watch, &journal, seed)));
        let conducted = fleet.conduct(&watch, &|| clients.is_finished());
        watch.end();
        (conducted, clients.join())
    });
    let state = state.map_err(|_| "the clients panicked".to_owned())?;
    fleet.finish(&watch, conducted, state?)
}

/// How long all of it takes.
struct Plan {
    minutes: u32,
    /// How long a minute of it is: less than one in the short form.
    minute: Duration,
    /// How long a killed replica is away.
    away: Duration,
    /// How much time is between two lines.
    line: Duration,
}

impl Plan {
    fn new(options: &Options) -> Self {
        let seconds = Duration::from_secs;
        let (minutes, minute, away, line) = if options.short {
            (30, Duration::from_millis(2500), seconds(3), seconds(15))
        } else {
            (60, seconds(60), seconds(10), seconds(60))
        };
        Self {
            minutes: options.minutes.unwrap_or(minutes),
            minute,
            away,
            line,
        }
    }

    fn length(&self) -> Duration {
        self.minute * self.minutes
    }
}

struct Fleet<'a> {
    soak: &'a Soak,
    plan: Plan,
    /// The previous build, or the same once more, and the new one; and which of them each replica runs.
    builds: [Binary; 2],
    runs: [usize; 2],
    faces: Vec<Face>,
    gantry: Gantry,
    judge: Judge,
    memory: Memory,
}

impl<'a> Fleet<'a> {
    /// Starts the replicas, one by each build.
    fn start(soak: &'a Soak) -> Result<Self, String> {
        let previous = match soak.options.previous.as_deref() {
            Some(path) => Binary::obtain(Some(path), &soak.folder.folder("previous")?)?,
            None => soak.binary.clone(),
        };
        let builds = [previous, soak.binary.clone()];
        let data = soak.folder.join("fleet/data");
        let settings = [("GANTRY_GC__GRACE_SECS", GRACE)];
        let gantry = Gantry::of_builds(builds.each_ref(), &data, &settings)?;
        gantry.target.create_project(client::PROJECT)?;
        let listeners = gantry.listeners().into_iter();
        let faces = listeners.map(|listener| Face::of(&gantry, listener));
        let faces = faces.collect::<Result<_, String>>()?;
        let versions = builds.each_ref().map(Binary::version).join(" and ");
        eprintln!("  replicas 0 and 1 run {versions}");
        Ok(Self {
            soak,
            plan: Plan::new(&soak.options),
            builds,
            runs: [0, 1],
            faces,
            gantry,
            judge: Judge::default(),
            memory: Memory::default(),
        })
    }

    /// Does all that is planned, for as long as the clients go on.
    fn conduct(&mut self, watch: &Watch, ended: &dyn Fn() -> bool) -> Result<(), String> {
        let events = events(self.plan.minutes, self.plan.minute);
        let (mut events, mut line) = (events.into_iter().peekable(), self.plan.line);
        while watch.now() < self.plan.length() {
            if ended() {
                return Err("the clients ended early".to_owned());
            }
            if let Some((_, event)) = events.next_if(|(at, _)| *at <= watch.now()) {
                let done = self.happen(event, watch);
                done.map_err(|error| format!("{event}, {:.0?}: {error}", watch.now()))?;
            }
            self.look(watch);
            if self.judge.has_enough() {
                return Err("it was broken off: too many requests failed".to_owned());
            }
            if watch.now() >= line {
                eprintln!("  {:.0?}: {}", watch.now(), watch.lately());
                line += self.plan.line;
                self.gantry.check_alive()?;
            }
            sleep(LOOK);
        }
        Ok(())
    }

    fn happen(&mut self, event: Event, watch: &Watch) -> Result<(), String> {
        let from = watch.now();
        let took = match event {
            Event::Renew => self.renew()?,
            Event::HandOver(number) => {
                self.runs[number] = 1 - self.runs[number];
                let took = self
                    .gantry
                    .hand_over(number, &self.builds[self.runs[number]])?;
                self.ended(number, Cause::HandOver, from, watch);
                took
            }
            Event::Kill(number) => {
                self.gantry.kill(number);
                self.ended(number, Cause::Kill, from, watch);
                sleep(self.plan.away);
                let began = Instant::now();
                self.gantry.start_again(number)?;
                began.elapsed()
            }
        };
        eprintln!("  {from:.0?}: {event}: {:.1} s", took.as_secs_f64());
        Ok(())
    }

    fn ended(&mut self, replica: usize, cause: Cause, from: Duration, watch: &Watch) {
        let to = watch.now();
        self.judge.note(End {
            replica,
            cause,
            from,
            to,
        });
    }

    /// Renews both certificates; the longer time until a new one was shown.
    fn renew(&mut self) -> Result<Duration, String> {
        let (gantry, binary) = (&self.gantry, &self.soak.binary);
        let mut longest = Duration::ZERO;
        for (number, face) in self.faces.iter_mut().enumerate() {
            let renew = || gantry.command_on(number, binary, "cert renew").map(drop);
            let took = face.renew(renew);
            longest = longest.max(took.map_err(|error| format!("replica {number}: {error}"))?);
        }
        Ok(longest)
    }

    /// Looks at the replicas' memory, and at what has failed meanwhile.
    fn look(&mut self, watch: &Watch) {
        for number in 0..self.runs.len() {
            let mib = self.gantry.processes(number).resident_mib();
            self.memory.note(number, watch.now(), mib);
        }
        for failure in watch.take_failures() {
            if let Some(wrong) = self.judge.hear(&failure) {
                eprintln!("  failed {wrong}");
            }
        }
    }

    /// Checks everything, whatever fails before.
    fn finish(
        mut self,
        watch: &Watch,
        conducted: Result<(), String>,
        mut state: State,
    ) -> Result<(), String> {
        self.look(watch);
        let mut wrong = Vec::new();
        let mut note = |done: Result<(), String>| wrong.extend(done.err());
        note(conducted);
        eprintln!("  in all: {}", watch.in_all());
        note(self.judge.sum().map(|sum| eprintln!("  {sum}")));
        note(self.is_flat());
        let whole = wait(verify(&self.gantry.target, &mut state));
        note(whole.map(|whole| eprintln!("  pulled again: {}", listed(&whole, false))));
        for words in ["storage check", "audit verify"] {
            note(self.gantry.command(&self.soak.binary, words).map(drop));
        }
        let Self { gantry, faces, .. } = self;
        drop(faces);
        note(gantry.finish().map(|end| eprintln!("  {end}")));
        if wrong.is_empty() {
            return Ok(());
        }
        Err(wrong.join("\n"))
    }

    /// Prints the peaks of memory. Those of the short form are still those of a start.
    fn is_flat(&self) -> Result<(), String> {
        let (peaks, flat) = self.memory.sum(self.plan.length());
        eprintln!("  memory by thirds: {peaks}");
        if flat || self.soak.options.short {
            return Ok(());
        }
        Err("memory grows".to_owned())
    }
}
