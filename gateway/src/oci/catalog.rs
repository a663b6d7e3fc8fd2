//! `GET /v2/_catalog`, cut to what the caller may see.

use policy::permit;

use super::{Answer, Call, names};

impl Call<'_> {
    pub(super) async fn catalog(&self) -> Answer {
        let (last, limit) = self.page()?;
        // Who sees everything needs no list of projects; who does not sees those of now.
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
