//! Workloads with a client certificate. The handshake proved that they have its key, and the caller checks that it is
//! from a trusted authority and not revoked; rules say what its names may do.

use std::collections::HashSet;
use std::sync::Arc;

use db::workload_rule::{self, Candidate};
use model::Timestamp;
use model::workload::CLIENT_CERTIFICATE;
use policy::Workload;
use serde_json::{Map, Value};

use super::{MOST_RULES, Workloads, rule_of, the_first_of_each};
use crate::error::Result;

/// What a certificate says of its owner.
#[derive(Clone, Debug)]
pub struct CertificateOwner {
    /// Its names, as rules write them: `dns:node-1.example`.
    pub subjects: Vec<String>,
    /// Further properties.
    pub claims: Map<String, Value>,
    /// When the certificate expires.
    pub expires_at: Timestamp,
}

/// The rules that a certificate met.
#[derive(Clone, Debug)]
pub struct Admitted {
    pub(crate) workload: Arc<Workload>,
    /// The workload's name in the history.
    pub(crate) name: String,
}

impl Workloads {
    /// Finds the rules for a certificate; `None` if there are none.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn admit_certificate(&self, owner: &CertificateOwner) -> Result<Option<Admitted>> {
        let mut reader = self.db.reader().await?;
        let (mut met, mut known) = (Vec::<Candidate>::new(), HashSet::new());
        let mut name = None;
        for subject in &owner.subjects {
            let named = (CLIENT_CERTIFICATE, subject.as_str());
            // Such rules have no audience.
            let found = workload_rule::candidates(&mut reader, named, std::iter::once("")).await?;
            for rule in found {
                if rule.conditions.has_claims(&owner.claims) && known.insert(rule.id) {
                    name.get_or_insert_with(|| format!("{subject} ({CLIENT_CERTIFICATE})"));
                    met.push(rule);
                }
            }
        }
        let mut met = the_first_of_each(met, MOST_RULES);
        met.sort_by_key(|rule| rule.id);
        Ok(name.map(|name| Admitted {
            workload: Arc::new(Workload {
                lifetimes: met
                    .iter()
                    .map(|rule| (rule.project.clone(), rule.lifetime))
                    .collect(),
                rules: met.iter().map(rule_of).collect(),
                expires_at: owner.expires_at,
            }),
            name,
        }))
    }
}
