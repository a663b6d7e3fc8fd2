//! The server's certificates: whether they load, how long they are valid, and for which names.

use std::path::Path;
use std::sync::Arc;

use certs::{
    HotCertificates, Presented, Roots, Source, SubjectName, expiry_warning, findings_in_use,
};
use jobs::failures::causes;
use model::{Clock as _, SystemClock};
use time::OffsetDateTime;

use super::Opened;
use super::finding::{Check, Finding};
use crate::certificate;
use crate::certificate::stored::{self, Broken};
use crate::config::Config;

const CHECK: Check = Check {
    name: "certificates",
    advice: "start the server, which issues its own certificate, or correct the files that [tls] names",
};

pub(super) async fn check(config: Arc<Config>, opened: Option<Opened>) -> Vec<Finding> {
    CHECK.run(move || look(config, opened)).await
}

async fn look(config: Arc<Config>, opened: Option<Opened>) -> anyhow::Result<Vec<Finding>> {
    let now = SystemClock.now().date_time();
    let files = certificate::load(&config).map(|(_, files)| files);
    let Some(Opened { db, master }) = &opened else {
        return Ok(alone(files, now));
    };
    let (stored, broken) = stored::read(db, master).await?;
    let mut findings = match files {
        Ok(files) => together(&config, (files, stored), now),
        Err(error) => vec![CHECK.failed(&error)],
    };
    findings.extend(broken.iter().map(of_broken));
    Ok(findings)
}

/// The certificates of files without those in the database: which names they have to have is not known then.
fn alone(files: anyhow::Result<Vec<Presented>>, now: OffsetDateTime) -> Vec<Finding> {
    let of_time = |presented: &Presented| {
        let found: Vec<String> = expiry_warning(&presented.certificate, now)
            .into_iter()
            .collect();
        of_one(presented, &found, !is_valid(presented, now))
    };
    let mut findings: Vec<Finding> = match files {
        Ok(files) => files.iter().flat_map(of_time).collect(),
        Err(error) => vec![CHECK.failed(&error)],
    };
    findings.push(CHECK.warning(
        "names, and certificates in the database, are not checked, as that is not open or its master key not known",
        "see what is said of the database and the key",
    ));
    findings
}

/// The certificates of files and those in the database, as clients get them.
fn together(
    config: &Config,
    (files, stored): (Vec<Presented>, Vec<Presented>),
    now: OffsetDateTime,
) -> Vec<Finding> {
    let hot = HotCertificates::new(files, now);
    hot.set_stored(stored, now);
    let roots = Roots::of_the_system().with(&own_ca(&config.ca_file()));
    let wanted = certificate::wanted_names(config);
    let in_use = findings_in_use(&hot, &wanted, &roots, now);
    let findings = in_use.iter().flat_map(|(presented, found)| {
        let is_refused = !is_valid(presented, now) || lacks_names(&hot, presented, &wanted);
        of_one(presented, found, is_refused)
    });
    findings.collect()
}

/// A certificate in the database that does not load.
fn of_broken(broken: &Broken) -> Finding {
    let Broken {
        source,
        name,
        error,
    } = broken;
    let found = format!("{name}, in the database: {}", causes(error.as_ref()));
    CHECK.fail(found, advice(*source))
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
