//! The server's certificates: whether they load, how long they are valid, and for which names.

use std::path::Path;
use std::sync::Arc;

use certs::{HotCertificates, Presented, Roots, Source, SubjectName, findings_in_use};
use model::{Clock as _, SystemClock};
use time::OffsetDateTime;

use super::Opened;
use super::finding::{Check, Finding};
use crate::certificate::{self, stored};
use crate::config::Config;

const CHECK: Check = Check {
    name: "certificates",
    advice: "start the server, which issues its own certificate, or correct the files that [tls] names",
};

pub(super) async fn check(config: Arc<Config>, opened: Option<Opened>) -> Vec<Finding> {
    CHECK.run(move || look(config, opened)).await
}

async fn look(config: Arc<Config>, opened: Option<Opened>) -> anyhow::Result<Vec<Finding>> {
    let stored = match &opened {
        Some(Opened { db, master }) => stored::load(db, master).await?,
        None => Vec::new(),
    };
    let now = SystemClock.now().date_time();
    let (_, files) = certificate::load(&config)?;
    let hot = HotCertificates::new(files, now);
    hot.set_stored(stored, now);
    let roots = Roots::of_the_system().with(&own_ca(&config.ca_file()));
    let wanted = certificate::wanted_names(&config);
    let in_use = findings_in_use(&hot, &wanted, &roots, now);
    let findings = in_use.iter().flat_map(|(presented, found)| {
        let is_refused = !is_valid(presented, now) || lacks_names(&hot, presented, &wanted);
        of_one(presented, found, is_refused)
    });
    Ok(findings.collect())
}

fn own_ca(file: &Path) -> String {
    // Without it, chains that end with it count as incomplete, which is a warning.
    std::fs::read_to_string(file).unwrap_or_default()
}

fn is_valid(presented: &Presented, now: OffsetDateTime) -> bool {
    let certificate = &presented.certificate;
    certificate.not_before() <= now && now < certificate.not_after()
}

/// Whether clients that use one of these names get this certificate, and it is not for that name.
fn lacks_names(hot: &HotCertificates, presented: &Presented, wanted: &[SubjectName]) -> bool {
    wanted.iter().any(|name| {
        let gets = match name {
            SubjectName::Dns(host) => hot.named(host),
            SubjectName::Address(_) => hot.main(),
        };
        Arc::ptr_eq(&gets, &presented.certificate) && !gets.serves(name)
    })
}

fn of_one(presented: &Presented, found: &[String], is_refused: bool) -> Vec<Finding> {
    let (certificate, label) = (&presented.certificate, &presented.label);
    if found.is_empty() {
        let names = certificate.names().join(", ");
        let until = certificate.not_after();
        return vec![CHECK.ok(format!("{label} for {names}, valid until {until}"))];
    }
    let advice = advice(presented.source);
    let findings = found.iter().map(|found| {
        let found = format!("{label}: {found}");
        match is_refused {
            true => CHECK.fail(found, advice),
            false => CHECK.warning(found, advice),
        }
    });
    findings.collect()
}

const fn advice(source: Source) -> &'static str {
    match source {
        Source::Ca => "restart the server or run `gantry cert renew`, with the server's settings",
        Source::Files => "replace the files that [tls] names; a running server loads them",
        Source::Imported => "import another one with `gantry cert import`",
        Source::Acme => {
            "`gantry cert list` says where ACME stands; `gantry cert issue` tries again"
        }
    }
}
