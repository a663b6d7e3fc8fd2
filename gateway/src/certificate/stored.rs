//! Certificates in the database, which every replica presents.

use std::sync::Arc;

use certs::{Presented, ServerCertificate, Source};
use db::Db;
use db::certificate::{self, Certificate};
use tenancy::secret::MasterKey;

/// A certificate that cannot be used.
pub(crate) struct Broken {
    pub(crate) source: Source,
    pub(crate) name: String,
    pub(crate) error: anyhow::Error,
}

/// All certificates that can be used; the log names the others.
///
/// # Errors
/// If the database cannot be read.
pub(crate) async fn load(db: &Db, master: &MasterKey) -> anyhow::Result<Vec<Presented>> {
    let (presented, broken) = read(db, master).await?;
    for Broken { name, error, .. } in broken {
        let error = format!("{error:#}");
        tracing::warn!(
            certificate.name = name,
            error,
            "a certificate in the database cannot be used"
        );
    }
    Ok(presented)
}

/// All certificates that can be used, and those that cannot.
///
/// # Errors
/// If the database cannot be read.
pub(crate) async fn read(
    db: &Db,
    master: &MasterKey,
) -> anyhow::Result<(Vec<Presented>, Vec<Broken>)> {
    let all = certificate::all(&mut db.reader().await?).await?;
    let (mut presented, mut broken) = (Vec::new(), Vec::new());
    for stored in all {
        let source = match stored.source {
            certificate::Source::Import => Source::Imported,
            certificate::Source::Acme => Source::Acme,
        };
        match open(master, &stored) {
            Ok(certificate) => presented.push(Presented {
                source,
                label: stored.name,
                certificate: Arc::new(certificate),
            }),
            Err(error) => broken.push(Broken {
                source,
                name: stored.name,
                error,
            }),
        }
    }
    Ok((presented, broken))
}

fn open(master: &MasterKey, stored: &Certificate) -> anyhow::Result<ServerCertificate> {
    let key = tenancy::certificate::open_key(master, stored)?;
    Ok(ServerCertificate::from_pem(&stored.chain, &key)?)
}
