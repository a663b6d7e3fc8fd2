//! Asks, cold and warm, and collects times.

use testkit::meter::wait;
use testkit::registry::Auth;

use super::place::{Account, Case, Place};
use super::{MEMBER, end};
use crate::load::page::{Asked, pages};
use crate::stage::Stage;
use testkit::gantry::Server;
use testkit::meter::Figures;

/// Requests of one place in a round, and connections that they share.
pub(super) const REQUESTS: usize = 200;
pub(super) const CONNECTIONS: usize = 8;

/// What was measured of one case at one place.
pub(super) struct Measured {
    pub(super) title: &'static str,
    pub(super) place: &'static str,
    /// Right after a start with nothing in memory, where that was possible.
    pub(super) cold: Option<Figures>,
    /// By rounds.
    pub(super) warm: Vec<Figures>,
}

pub(super) struct All {
    pub(super) cases: Vec<Measured>,
    /// Memory of the process after all of it, and the most it took, in MiB.
    pub(super) after: f64,
    pub(super) peak: f64,
}

/// Measures every case: cold first, each with a start of its own, then warm, all of them in turn, round by round.
pub(super) fn all(stage: &mut Stage<'_>, cases: &[Case]) -> Result<All, String> {
    let mut measured = Vec::new();
    for case in cases {
        measured.extend(cold(stage, case)?);
    }
    let (mut gantry, _) = stage.serve()?;
    // One round to warm up, which is not counted.
    for round in 0..=stage.setup.options.rounds() {
        let places = cases
            .iter()
            .flat_map(|case| case.places.iter().map(move |place| (case, place)));
        for ((case, place), into) in places.zip(&mut measured) {
            let figures = ask(&gantry, case, place)?;
            if round > 0 {
                into.warm.push(figures);
            }
        }
    }
    let server = gantry.daemon.processes();
    let (after, peak) = (server.resident_mib(), server.peak_mib());
    end(&mut gantry)?;
    Ok(All {
        cases: measured,
        after,
        peak,
    })
}

/// The first requests after a start; a short run does without.
fn cold(stage: &mut Stage<'_>, case: &Case) -> Result<Vec<Measured>, String> {
    let mut measured = Vec::new();
    for place in &case.places {
        let mut found = None;
        if !stage.setup.options.short && stage.make_cold()? {
            let (mut gantry, _) = stage.serve()?;
            found = Some(ask(&gantry, case, place)?);
            end(&mut gantry)?;
        }
        measured.push(Measured {
            title: case.title,
            place: place.name,
            cold: found,
            warm: Vec::new(),
        });
    }
    Ok(measured)
}

fn ask(gantry: &Server, case: &Case, place: &Place) -> Result<Figures, String> {
    let asked = Asked {
        auth: match (&case.repository, case.account) {
            (Some(_), _) => Auth::Token,
            (None, Account::Nobody) => Auth::None,
            (None, _) => Auth::Basic,
        },
        repository: case.repository.as_deref().unwrap_or_default(),
        status: case.status,
        count: REQUESTS,
        connections: CONNECTIONS,
    };
    let mut target = gantry.target.clone();
    if case.account == Account::Member {
        target.login = Some((MEMBER.0.to_owned(), MEMBER.1.to_owned()));
    }
    let server = gantry.daemon.processes();
    let seen = wait(pages(&target, &server, &asked, &place.requests));
    seen.map_err(|error| format!("{}, {}: {error}", case.title, place.name))
}
