//! `gantry cert show` and `list`.

use std::sync::Arc;

use certs::{HotCertificates, Presented, Roots, ServerCertificate, findings_in_use};
use serde_json::json;

use super::super::local::Local;
use super::super::{out, print};
use crate::bootstrap;
use crate::certificate::{self, stored};

/// Shows the main certificate.
pub(super) fn show(local: &Local) -> anyhow::Result<()> {
    let files = certificate::files(&local.config);
    let certificate = ServerCertificate::load(&files.certificate, &files.key)?;
    print(&format!("file     {}", files.certificate.display()));
    print(&format!("names    {}", certificate.names().join(", ")));
    print(&format!("serial   {}", certificate.serial()));
    print(&format!("issuer   {}", certificate.issuer()));
    print(&format!("from     {}", certificate.not_before()));
    print(&format!("until    {}", certificate.not_after()));
    if let Some(warning) = certs::expiry_warning(&certificate, local.now().date_time()) {
        print(&warning);
    }
    Ok(())
}

/// Lists all certificates.
pub(super) async fn list(local: &Local, json: bool) -> anyhow::Result<()> {
    let now = local.now();
    let (_, files) = certificate::load(&local.config)?;
    let hot = HotCertificates::new(files, now.date_time());
    hot.set_stored(
        stored::load(&local.db, &local.master).await?,
        now.date_time(),
    );
    let authorities = bootstrap::authorities(&local.db, &local.master, now).await?;
    let roots = Roots::of_the_system().with(&authorities.bundle());
    let wanted = certificate::wanted_names(&local.config);
    let in_use = findings_in_use(&hot, &wanted, &roots, now.date_time());
    let found = |presented: &Presented| {
        let mut used = in_use.iter();
        let used = used.find(|(used, _)| Arc::ptr_eq(&used.certificate, &presented.certificate));
        used.map(|(_, found)| found.as_slice())
    };
    if json {
        let values: Vec<_> = hot
            .all()
            .iter()
            .map(|presented| shown(presented, found(presented)))
            .collect();
        return Ok(out::json_lines(&values)?);
    }
    for presented in hot.all() {
        let (certificate, found) = (&presented.certificate, found(&presented));
        let unused = if found.is_some() { "" } else { ", not in use" };
        let source = presented.source.name();
        print(&format!("{source:<8} {}{unused}", presented.label));
        print(&format!("         for {}", certificate.names().join(", ")));
        print(&format!(
            "         by {} until {}",
            certificate.issuer(),
            certificate.not_after()
        ));
        for warning in found.unwrap_or_default() {
            print(&format!("         {warning}"));
        }
    }
    print_acme(local).await
}

fn shown(presented: &Presented, found: Option<&[String]>) -> serde_json::Value {
    let certificate = &presented.certificate;
    json!({
        "source": presented.source.name(), "label": presented.label, "in_use": found.is_some(),
        "names": certificate.names(), "serial": certificate.serial(), "issuer": certificate.issuer(),
        "not_before": certificate.not_before().unix_timestamp(),
        "not_after": certificate.not_after().unix_timestamp(), "warnings": found.unwrap_or_default(),
    })
}

async fn print_acme(local: &Local) -> anyhow::Result<()> {
    let Some(order) = db::acme::order(&mut local.db.reader().await?).await? else {
        return Ok(());
    };
    print(&format!(
        "ACME     {}; the next look is at {}",
        order.state.name(),
        order.next_at
    ));
    if let Some(at) = order.renew_at {
        print(&format!("         the certificate is renewed at {at}"));
    }
    if let (Some(reason), Some(message)) = (&order.reason, &order.message) {
        let failures = order.failures;
        print(&format!(
            "         failed {failures} times in a row: {reason}: {message}"
        ));
    }
    Ok(())
}
