//! `GET /v2/_catalog`, limited to what the caller may see.

use policy::permit;

use super::{Answer, Call, names};

impl Call<'_> {
    pub(super) async fn catalog(&self) -> Answer {
        let (last, limit) = self.page()?;
        // Callers who see everything need no list of projects; others get a current one.
        let caller = if self.caller.is_sysadmin() {
            self.caller.clone()
        } else {
            self.caller_now().await?
        };
        let permit =
            permit::permit_catalog(&caller).map_err(|_| self.challenged(None, "list catalog"))?;
        let registry = &self.app.registry;
        let found = registry.catalog(&permit, &caller, last, limit).await?;
        Ok(names(
            "/v2/_catalog",
            serde_json::json!({}),
            ("repositories", found),
            limit,
        ))
    }
}
