//! `GET /v2/{name}/tags/list`.

use model::RepositoryName;

use super::{Answer, Call, names};

impl Call<'_> {
    pub(super) async fn tags(&self, name: RepositoryName) -> Answer {
        let permit = self.may_pull(&name).await?;
        let (last, limit) = self.page()?;
        let tags = self.app.registry.tags(&permit, last, limit).await?;
        let body = serde_json::json!({ "name": name.as_str() });
        Ok(names(
            &format!("/v2/{name}/tags/list"),
            body,
            ("tags", tags),
            limit,
        ))
    }
}
