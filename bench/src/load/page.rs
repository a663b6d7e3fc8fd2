//! GETs of lists and manifests on a few connections, each answer held to what it must be.

use std::time::Instant;

use serde_json::Value;
use testkit::harness::Answer;
use testkit::meter::{Figures, Meter, parallel};
use testkit::process::Processes;
use testkit::registry::{Auth, Call, Manifest, Registry};
use testkit::target::Target;

/// A request: path, how many items its list has, which is the first; any, where that is empty. With fewer than none the answer
/// is a manifest, of the digest that it names.
pub(crate) type Page = (String, i64, String);

/// How pages are asked for.
pub(crate) struct Asked<'a> {
    pub(crate) auth: Auth,
    /// What a token is asked for.
    pub(crate) repository: &'a str,
    pub(crate) status: u16,
    pub(crate) count: usize,
    pub(crate) connections: usize,
}

/// Asks for pages in turn.
pub(crate) async fn pages(
    target: &Target,
    server: &Processes,
    asked: &Asked<'_>,
    pages: &[Page],
) -> Result<Figures, String> {
    let registry = Registry::new(target)?.signing_by(asked.auth);
    let crew = vec![registry; asked.connections];
    for client in &crew {
        // Neither the handshake nor the check of a password is part of what is measured.
        client
            .answer(Call::get("/v2/", asked.repository), None)
            .await?;
    }
    let meter = Meter::start(server);
    let answers = parallel(asked.connections, async |index| {
        let mut answers = Vec::new();
        for number in (index..asked.count).step_by(asked.connections) {
            let page = &pages[number % pages.len()];
            let mut call = Call::get(&page.0, asked.repository);
            if page.1 < 0 {
                call = call.manifest();
            }
            let began = Instant::now();
            match crew[index].send(call, &[asked.status]).await {
                Ok(answer) => {
                    meter.done(began, answer.body.len() as u64);
                    answers.push((page, answer));
                }
                Err(error) => meter.fail(error),
            }
        }
        answers
    })
    .await;
    meter.stop();
    // Reading what came takes about as long as sending it, and is not to be in its way.
    for (page, answer) in answers.iter().flatten() {
        if let Err(wrong) = check(page, answer) {
            meter.fail(format!("GET {}: {wrong}", page.0));
        }
    }
    meter.report()
}

fn check((_, items, first): &Page, answer: &Answer) -> Result<(), String> {
    if answer.status != 200 {
        // It holds no list, which was right.
        return Ok(());
    }
    if *items < 0 {
        let got = Manifest::new(answer.body.clone()).digest;
        return match answer.digest() {
            named if named == got => Ok(()),
            named => Err(format!("bytes of {got}, named {named}")),
        };
    }
    let names = items_of(&answer.json());
    let found = names.first().map_or("none", String::as_str);
    let is_first = *items == 0 || first.is_empty() || found == first;
    if names.len() as i64 != *items || !is_first {
        let count = names.len();
        return Err(format!(
            "{count} items from {found}, expected {items} from {first}"
        ));
    }
    Ok(())
}

/// The items of a list: an array, or an object with one array; of strings, or of objects with a name or a digest.
fn items_of(list: &Value) -> Vec<String> {
    let array = list.as_array();
    let inner = || list.as_object()?.values().find_map(Value::as_array);
    let named = |item: &Value| {
        let texts = [
            item.as_str(),
            item["name"].as_str(),
            item["digest"].as_str(),
        ];
        texts.into_iter().flatten().collect()
    };
    array
        .or_else(inner)
        .into_iter()
        .flatten()
        .map(named)
        .collect()
}
