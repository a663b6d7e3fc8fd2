//! All nodes: they begin within a second, whatever became of those before, and each calls from one of many addresses.

use std::path::PathBuf;
use std::time::Duration;

use testkit::gantry::Server;
use testkit::meter::{Counts, Figures, figures, parallel, quantile};
use testkit::registry::{Auth, Image, Registry};
use testkit::target::Target;
use tokio::time::{Instant, sleep_until};

use super::Source;
use super::node::{Missed, Node};

/// Within which all begin.
const BEGIN: Duration = Duration::from_secs(1);
/// Addresses that nodes call from, 127.0.0.2 and on: no address has so many connections that it is refused some.
pub(super) const ADDRESSES: usize = 250;
/// How long a node waits for an answer, connecting included.
const PATIENCE: Duration = Duration::from_secs(300);
/// What the kernel keeps of what comes, for each connection: 10,000 are to fit into memory.
const RECEIVE: u32 = 128 << 10;
/// Of how many nodes that gave up it is told why.
const TOLD: u32 = 5;

/// The image, and the robots that nodes sign in as: names and secrets.
pub(super) struct Wanted {
    pub(super) image: Image,
    pub(super) robots: Vec<(String, String)>,
}

/// What all nodes share.
pub(super) struct Herd<'a> {
    replicas: Vec<Registry>,
    bucket: Registry,
    wanted: &'a Wanted,
}

impl<'a> Herd<'a> {
    /// One that goes to these servers in turn, and by plain HTTP to the endpoint of their bucket.
    pub(super) fn new(
        servers: &[Server],
        endpoint: String,
        wanted: &'a Wanted,
    ) -> Result<Self, String> {
        let bucket = Target {
            url: endpoint,
            ca: PathBuf::new(),
            login: None,
        };
        let replicas = servers.iter().map(|server| client(&server.target));
        Ok(Self {
            replicas: replicas.collect::<Result<Vec<_>, _>>()?,
            bucket: client(&bucket)?,
            wanted,
        })
    }

    /// Lets so many pull; when they had the image, what came from where, and what had to be tried again.
    pub(super) async fn pull(&self, nodes: usize) -> Result<Figures, String> {
        let counts = Counts::default();
        let names = ["busy", "broken"]
            .into_iter()
            .chain(Source::ALL.map(Source::bytes));
        names.for_each(|name| counts.add(name, 0));
        let began = Instant::now();
        let node = async |number: usize| {
            sleep_until(began + due(number, nodes)).await;
            let ended = self.node(number, &counts).pull().await;
            (ended, began.elapsed())
        };
        let ended = parallel(nodes, node).await;
        let mut figures = arrivals(ended)?;
        counts.report("", &mut figures);
        Ok(figures)
    }

    fn node<'n>(&'n self, number: usize, counts: &'n Counts) -> Node<'n> {
        let replica = &self.replicas[number % self.replicas.len()];
        let turn = number / self.replicas.len();
        let robots = &self.wanted.robots;
        let (name, secret) = &robots[turn % robots.len()];
        let last = (turn % ADDRESSES + 2) as u8;
        Node {
            replica: replica.login(name, secret).calling_from(last),
            bucket: self.bucket.calling_from(last),
            image: &self.wanted.image,
            counts,
            missed: 0,
        }
    }
}

fn client(target: &Target) -> Result<Registry, String> {
    // Nodes ask for their tokens by themselves.
    let mut registry = Registry::new(target)?.signing_by(Auth::None);
    registry.client = registry.client.clone().receiving(RECEIVE);
    registry.patience = PATIENCE;
    Ok(registry)
}

/// When a node begins.
fn due(number: usize, nodes: usize) -> Duration {
    BEGIN * number as u32 / nodes as u32
}

/// When the nodes had the image, and how many gave up.
fn arrivals(ended: Vec<(Result<(), Missed>, Duration)>) -> Result<Figures, String> {
    let (mut times, mut failed) = (Vec::new(), 0);
    for (ended, time) in ended {
        match ended {
            Ok(()) => times.push(time),
            Err(Missed::Wrong(text)) => return Err(text),
            Err(missed) => {
                failed += 1;
                if failed <= TOLD {
                    eprintln!("  a node gave up: {missed}");
                }
            }
        }
    }
    if times.is_empty() {
        return Err("no node got the image".to_owned());
    }
    times.sort_unstable();
    let at = |part: f64| quantile(&times, part) / 1000.0;
    Ok(figures([
        ("nodes", times.len() as f64),
        ("failed", f64::from(failed)),
        ("first_s", at(0.0)),
        ("half_s", at(0.5)),
        ("p99_s", at(0.99)),
        ("last_s", at(1.0)),
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_begin_within_a_second_one_after_the_other() {
        let begin: Vec<Duration> = (0..10_000).map(|number| due(number, 10_000)).collect();
        assert!(begin.is_sorted());
        assert_eq!(begin[0], Duration::ZERO);
        assert_eq!(begin[5_000], Duration::from_millis(500));
        assert!(begin[9_999] < BEGIN);
    }

    #[test]
    fn arrivals_are_told_of_the_nodes_that_have_the_image() {
        let time = Duration::from_secs;
        let mut ended: Vec<_> = (1..=100)
            .rev()
            .map(|number| (Ok(()), time(number)))
            .collect();
        ended.push((Err(Missed::Broken("cut".to_owned())), time(500)));
        let figures = arrivals(ended).unwrap();
        let names = ["nodes", "failed", "first_s", "half_s", "p99_s", "last_s"];
        let found = names.map(|name| figures[name]);
        assert_eq!(found, [100.0, 1.0, 1.0, 51.0, 100.0, 100.0]);
    }

    #[test]
    fn a_wrong_answer_is_no_figure() {
        let wrong = Err(Missed::Wrong("404".to_owned()));
        let ended = vec![(Ok(()), BEGIN), (wrong, BEGIN)];
        assert_eq!(arrivals(ended), Err("404".to_owned()));
        assert!(arrivals(Vec::new()).is_err());
    }
}
