//! 200 people who sign in at once, each for the first time, beside pulls at a quarter of what the server can.

use std::time::Instant;

use testkit::content::new_seed;
use testkit::meter::{parallel, wait};
use testkit::registry::Registry;

use super::{Row, median, pull, row};
use crate::load::account::once;
use crate::stage::Stage;

const PASSWORD: &str = "Cold-Passw0rd";
/// How many sign in at once.
const PEOPLE: usize = 200;
/// The 99th percentile of pulls may grow by this.
const LIMIT: f64 = 1.3;

pub(super) fn measure(stage: &Stage<'_>) -> Result<Vec<Row>, String> {
    let options = &stage.setup.options;
    let (people, seconds, warm) = match options.short {
        true => (10, 2, 200),
        false => (PEOPLE, 20, 5_000),
    };
    let (mut gantry, _) = stage.serve()?;
    let admin = Registry::new(&gantry.target)?;
    let server = gantry.daemon.processes();
    pull::prepare(&admin)?;
    let capacity = pull::capacity(&admin, &server, warm)?;
    let quarter = ((capacity / 4.0) as u32).max(1);
    let (mut alone, mut beside, mut took) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..options.rounds() {
        let run = new_seed();
        let name = |number: usize| format!("cold{run}-{number}");
        let made = wait(async {
            for number in 0..people {
                admin.make_user(&name(number), PASSWORD).await?;
            }
            Ok(())
        });
        made.map_err(|error: testkit::registry::Failed| error.to_string())?;
        let clients = std::slice::from_ref(&admin);
        let pace = (quarter, seconds);
        alone.push(wait(pull::paced(clients, &server, pace))?);
        let sign_ins = async {
            let began = Instant::now();
            let signed_in = parallel(people, async |number| {
                // From several addresses, as people are.
                let client = admin.login(&name(number), PASSWORD);
                once(&client.calling_from((number % 200 + 2) as u8)).await
            });
            let signed_in: Result<Vec<()>, _> = signed_in.await.into_iter().collect();
            signed_in.map_err(|error| error.to_string())?;
            Ok::<f64, String>(began.elapsed().as_secs_f64())
        };
        let (p99, seconds) =
            wait(async { tokio::join!(pull::paced(clients, &server, pace), sign_ins) });
        beside.push(p99?);
        took.push(seconds?);
    }
    gantry.stop()?;
    let ratios = alone
        .iter()
        .zip(&beside)
        .map(|(alone, beside)| beside / alone);
    let ratio = median(ratios.collect());
    Ok(vec![
        row("pulls, as many as go", capacity, "/s"),
        row("pulls at a quarter of that: p99", median(alone), "ms"),
        row(
            "the same beside 200 sign-ins at once: p99",
            median(beside),
            "ms",
        ),
        row("the same over without", ratio, "×").up_to(LIMIT),
        row("until all 200 are signed in", median(took), "s"),
    ])
}
