//! Settings of the installation, which `tenancy::setting` declares.

use axum::Json;
use axum::extract::State;
use policy::SystemPermit;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tenancy::setting::{Changes, DECLARED, Declaration, Kind, Values};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::allowed::Granted;
use crate::json::{BodyOf, Unread};
use crate::{AdminState, App, Error};

/// Each setting with its value, and whether it can be changed.
pub(crate) struct Shown;

impl ToSchema for Shown {
    fn name() -> std::borrow::Cow<'static, str> {
        "ConfigurationsResponse".into()
    }
}

impl PartialSchema for Shown {
    fn schema() -> RefOr<Schema> {
        let shown = DECLARED.iter().filter(|it| it.kind != Kind::Secret);
        let items = shown.fold(ObjectBuilder::new(), |schema, setting| {
            let item = ObjectBuilder::new()
                .description(Some(setting.meaning()))
                .property("value", typed(setting))
                .property("editable", ObjectBuilder::new().schema_type(Type::Boolean))
                .required("value")
                .required("editable");
            schema.property(setting.name, item)
        });
        let policy = ObjectBuilder::new().description(Some("Always empty."));
        items.property("scan_all_policy", policy).into()
    }
}

/// Settings to change; the others stay.
#[derive(Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct ConfigurationsRequest(Map<String, Value>);

impl BodyOf for ConfigurationsRequest {
    const NAME: &'static str = "configurations";
}

impl ToSchema for ConfigurationsRequest {
    fn name() -> std::borrow::Cow<'static, str> {
        "Configurations".into()
    }
}

impl PartialSchema for ConfigurationsRequest {
    fn schema() -> RefOr<Schema> {
        let settings = DECLARED
            .iter()
            .fold(ObjectBuilder::new(), |schema, setting| {
                let value = typed(setting).description(Some(setting.meaning()));
                schema.property(setting.name, value)
            });
        settings.into()
    }
}

/// The values of a setting.
fn typed(setting: &Declaration) -> ObjectBuilder {
    let kind = match setting.kind {
        Kind::Flag => Type::Boolean,
        Kind::Number => Type::Integer,
        Kind::Text | Kind::Secret => Type::String,
    };
    ObjectBuilder::new().schema_type(SchemaType::Type(kind))
}

/// Returns all settings but secrets.
#[utoipa::path(
    get, path = "/api/v2.0/configurations", operation_id = "getConfigurations", tag = "configure",
    responses((status = 200, description = "Settings by name.", body = Shown))
)]
pub(crate) async fn list(Granted(_): Granted<SystemPermit>, State(app): App) -> Json<Value> {
    let shown = app.settings.shown().into_iter().filter_map(|shown| {
        let item = json!({"value": shown.value?, "editable": shown.editable});
        Some((shown.declaration.name.to_owned(), item))
    });
    let mut items: Map<String, Value> = shown.collect();
    // Harbor shows the schedule of scans here, or an empty object.
    items.insert("scan_all_policy".to_owned(), json!({}));
    Json(items.into())
}

/// Changes settings, all or none; every replica uses them within a second. A setting that cannot be changed may be
/// given with its present value.
#[utoipa::path(
    put, path = "/api/v2.0/configurations", operation_id = "updateConfigurations", tag = "configure",
    request_body = ConfigurationsRequest,
    responses((status = 200, description = "Changed."))
)]
pub(crate) async fn update(
    Granted(permit): Granted<SystemPermit>,
    State(app): App,
    body: Unread<ConfigurationsRequest>,
) -> Result<(), Error> {
    let (permit, ConfigurationsRequest(given)) = body.read(&app, permit).await?;
    let given = given.into_iter().filter(|(_, value)| !value.is_null());
    let changes = given.map(|(name, value)| Ok((Declaration::named(&name)?, value)));
    let changes: Result<Changes, tenancy::Error> = changes.collect();
    let changes = changes?;
    refuse_unreachable(&app, &changes).await?;
    let now = app.clock.now();
    Ok(app.settings.change(&permit, changes, now).await?)
}

/// Refuses an address of a syslog server that cannot be reached, as Harbor does.
async fn refuse_unreachable(app: &AdminState, changes: &Changes) -> Result<(), Error> {
    const ENDPOINT: &str = "audit_log_forward_endpoint";
    let current = app.settings.current();
    let mut wanted = (*current).clone();
    for (declaration, value) in changes {
        let put = declaration.put_into(&mut wanted, value);
        put.map_err(tenancy::Error::from)?;
    }
    let place = |values: &Values| {
        let protocol = values.audit_log_forward_protocol;
        (values.audit_log_forward_endpoint.clone(), protocol)
    };
    // One that is fixed is not changed, and may be anywhere.
    let is_fixed = app
        .settings
        .is_fixed(Declaration::named(ENDPOINT).map_err(tenancy::Error::from)?);
    let is_same = place(&wanted) == place(&current);
    if is_fixed || is_same || wanted.audit_log_forward_endpoint.is_empty() {
        return Ok(());
    }
    let reached = app.forwarding.reach_syslog(wanted).await;
    reached.map_err(|why| Error::BadRequest(format!("{ENDPOINT}: it cannot be reached: {why}")))
}
