//! Certificates in the database, which every replica presents.

use std::sync::Arc;

use certs::{Presented, ServerCertificate, Source};
use db::Db;
use db::certificate::{self, Certificate};
use tenancy::secret::MasterKey;

/// All certificates that can be read; the log names the others.
///
/// # Errors
/// If the database cannot be read.
pub(crate) async fn load(db: &Db, master: &MasterKey) -> anyhow::Result<Vec<Presented>> {
    let all = certificate::all(&mut db.reader().await?).await?;
    let opened = all
        .into_iter()
        .filter_map(|stored| match open(master, &stored) {
            Ok(certificate) => Some(Presented {
                source: match stored.source {
                    certificate::Source::Import => Source::Imported,
                    certificate::Source::Acme => Source::Acme,
                },
                label: stored.name,
                certificate: Arc::new(certificate),
            }),
            Err(error) => {
                let error = format!("{error:#}");
                tracing::warn!(
                    certificate.name = stored.name,
                    error,
                    "a certificate in the database cannot be used"
                );
                None
            }
        });
    Ok(opened.collect())
}

fn open(master: &MasterKey, stored: &Certificate) -> anyhow::Result<ServerCertificate> {
    let key = tenancy::certificate::open_key(master, stored)?;
    Ok(ServerCertificate::from_pem(&stored.chain, &key)?)
}
