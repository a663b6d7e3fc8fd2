//! Two writers on one upload session at once, each through another replica. One wins, and what is committed are its
//! bytes; the other is told so.

use std::time::{Duration, Instant};

use hyper::Method;
use testkit::content::{Blob, Digester, new_seed};
use testkit::dice::Dice;
use testkit::meter::{Counts, Figures};
use testkit::registry::{Call, Failed, Registry, received, with_digest};
use testkit::target::Target;
use tokio::time::sleep;

const REPOSITORY: &str = "failover/duel";
const SIZE: u64 = 24 << 20;

/// The ways to meet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    /// Both PATCH from the beginning, then PUT.
    Patch,
    /// Both PUT all.
    Put,
    /// One is sending; the other goes on, with other bytes, where the server says it stands.
    Takeover,
    /// Both PATCH without saying where their bytes belong; it may be that none wins.
    Stream,
}

const WAYS: [Way; 4] = [Way::Patch, Way::Put, Way::Takeover, Way::Stream];

pub(super) async fn run(targets: &[Target; 2], rounds: usize) -> Result<Figures, String> {
    let duel = Duel {
        doors: [Registry::new(&targets[0])?, Registry::new(&targets[1])?],
        seen: Counts::default(),
    };
    duel.doors[0].make_project_of(REPOSITORY).await?;
    let mut dice = Dice::new(Some(new_seed()));
    let mut wrong = 0;
    for round in 0..rounds {
        let way = WAYS[round % WAYS.len()];
        let pause = Duration::from_millis(dice.below(60));
        if let Err(error) = duel.round(way, round / WAYS.len() % 2, pause).await {
            eprintln!("  round {round} ({way:?}): {error}");
            wrong += 1;
        }
        duel.seen.count("rounds");
    }
    if wrong > 0 {
        return Err(format!("{wrong} rounds did not end as they had to"));
    }
    let mut figures = Figures::new();
    duel.seen.report("", &mut figures);
    Ok(figures)
}

/// How a writer ended: with this digest, or not.
type Ended = Result<String, Failed>;

struct Duel {
    doors: [Registry; 2],
    seen: Counts,
}

/// What a writer says who found all bytes there already.
const LATE: &str = "the other one was done";

impl Duel {
    /// One duel, the first writer through the given door.
    async fn round(&self, way: Way, door: usize, pause: Duration) -> Result<(), Failed> {
        let clients = [door, 1 - door].map(|door| self.doors[door].clone());
        let blobs = [Blob::random(SIZE), Blob::random(SIZE)];
        for client in &clients {
            client.warm(REPOSITORY).await?;
        }
        let path = &clients[0].start_upload(REPOSITORY).await?;
        let first = self.write(&clients[0], &blobs[0], way, path);
        let second = async {
            if way == Way::Takeover {
                return self.take_over(&clients[1], &blobs, path).await;
            }
            sleep(pause).await;
            self.write(&clients[1], &blobs[1], way, path).await
        };
        let (first, second) = tokio::join!(first, second);
        self.judge(way, &clients, &blobs, [first, second]).await
    }

    /// Sends all, from the beginning.
    async fn write(&self, client: &Registry, blob: &Blob, way: Way, path: &str) -> Ended {
        let body = match way {
            Way::Takeover => blob.made().stream(0).paced(20e6).body(),
            _ => blob.stream(0, SIZE),
        };
        if way == Way::Put {
            let path = with_digest(path, &blob.digest);
            let call = Call::new(Method::PUT, &path, REPOSITORY).body(body, SIZE);
            client.send(call.range(0, SIZE), &[201]).await?;
            return Ok(blob.digest.clone());
        }
        let mut call = Call::new(Method::PATCH, path, REPOSITORY).body(body, SIZE);
        if way != Way::Stream {
            call = call.range(0, SIZE);
        }
        client.send(call, &[202]).await?;
        client.finish_upload(REPOSITORY, path, &blob.digest).await?;
        Ok(blob.digest.clone())
    }

    /// Goes on with the first one's upload, with bytes of its own, as soon as there is a checkpoint.
    async fn take_over(&self, client: &Registry, [first, own]: &[Blob; 2], path: &str) -> Ended {
        let end = Instant::now() + Duration::from_secs(60);
        while Instant::now() < end {
            let answer = client.send(Call::get(path, REPOSITORY), &[204]).await?;
            let at = received(&answer)?;
            if at == SIZE {
                return Err(LATE.to_owned().into());
            }
            if at > 0 {
                let mut sum = Digester::default();
                let mixed = first
                    .made()
                    .pieces(0, at)
                    .chain(own.made().pieces(at, SIZE));
                mixed.for_each(|piece| sum.update(&piece));
                let call = Call::new(Method::PATCH, path, REPOSITORY);
                let call = call.body(own.stream(at, SIZE), SIZE - at).range(at, SIZE);
                match client.send(call, &[202]).await {
                    Ok(_) => {
                        self.seen.count("taken_over");
                        let digest = sum.finish();
                        client.finish_upload(REPOSITORY, path, &digest).await?;
                        return Ok(digest);
                    }
                    // The first one got further meanwhile.
                    Err(error) if error.status() == 416 => self.seen.count("overtaken"),
                    Err(error) => return Err(error),
                }
            }
            sleep(Duration::from_millis(1)).await;
        }
        Err("no checkpoint within a minute".to_owned().into())
    }

    /// Checks that one has won, how the other was told, and that the winner's bytes are what is stored.
    async fn judge(
        &self,
        way: Way,
        clients: &[Registry; 2],
        blobs: &[Blob; 2],
        ended: [Ended; 2],
    ) -> Result<(), Failed> {
        let won = ended.iter().filter(|ended| ended.is_ok()).count();
        if won > 1 || won == 0 && way != Way::Stream {
            return Err(format!("{won} of two writers won: {ended:?}").into());
        }
        self.seen
            .count(&format!("won_{way:?}_{won}").to_lowercase());
        let mut told = Ok(());
        for (index, ended) in ended.iter().enumerate() {
            for client in clients {
                match ended {
                    Ok(digest) => drop(client.pull_blob(REPOSITORY, digest).await?),
                    Err(error) => {
                        let digest = &blobs[index].digest;
                        if client.has_blob(REPOSITORY, digest).await? {
                            let wrong = "is there, but its writer was refused with";
                            return Err(format!("{digest} {wrong} {error}").into());
                        }
                    }
                }
            }
            match ended {
                Ok(_) => self.seen.count(&format!("winner_{}", index + 1)),
                Err(error) => told = told.and(self.told(error)),
            }
        }
        told
    }

    /// Counts how the loser learnt of it: by a clean status of its own making, or by the end of its connection.
    fn told(&self, error: &Failed) -> Result<(), Failed> {
        match error {
            Failed::Wrong(text) if text == LATE => self.seen.count("loser_late"),
            Failed::Cut(_) => self.seen.count("loser_cut"),
            Failed::Status {
                code: code @ 400..500,
                ..
            } if error.is_clean() => {
                self.seen.count(&format!("loser_{code}"));
            }
            error => return Err(format!("the loser got no clean error: {error}").into()),
        }
        Ok(())
    }
}
