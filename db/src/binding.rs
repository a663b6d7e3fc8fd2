//! What an account is bound to: its right to do everything, and its roles.

use std::collections::HashMap;
use std::sync::Arc;

use model::{AccountId, Principal, ProjectId};
use policy::{Bindings, Role};

use crate::cache::Age;
use crate::database::Db;
use crate::error::{Error, Result};

/// Bindings together with the account's generation: a token of an older one is no longer valid.
pub type Bound = Arc<Bindings>;

/// The bindings of an account, through the cache; `None` where there is no such account (any more),
/// or its generation is not the expected one.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_account(
    db: &Db,
    id: AccountId,
    generation: Option<i64>,
    age: Age,
) -> Result<Option<Bound>> {
    // One of another generation may be older than the token: what is true now decides.
    let cached = db.caches().bindings.get_of(&id, age);
    if let Some(bindings) = cached.filter(|bindings| fits(bindings, generation)) {
        return Ok(Some(bindings));
    }
    Box::pin(read_through(db, id, generation)).await
}

/// Reads what the cache does not have, and puts it there.
async fn read_through(db: &Db, id: AccountId, generation: Option<i64>) -> Result<Option<Bound>> {
    let read_at = db.caches().bindings.before_read();
    let mut reader = db.reader().await?;
    // One row, whatever the number of projects.
    let account = reader
        .query_either(
            "select a.name, a.sysadmin, a.generation, (select
                 json_group_array(json_array(m.project_id, m.role)) from member m where m.account_id = a.id) as roles
             from account a where a.id = $1 and a.deleted_at is null",
            "select a.name, a.sysadmin, a.generation, (select cast(
                 coalesce(json_agg(json_build_array(m.project_id, m.role)), '[]') as text)
                 from member m where m.account_id = a.id) as roles
             from account a where a.id = $1 and a.deleted_at is null",
        )
        .bind(id)
        .optional()
        .await?;
    let Some(account) = account else {
        return Ok(None);
    };
    let bindings = Arc::new(Bindings {
        principal: Principal::User {
            id,
            name: account.get::<String>("account", "name")?.into(),
        },
        sysadmin: account.get("account", "sysadmin")?,
        generation: account.get("account", "generation")?,
        roles: roles(&account.get::<String>("account", "roles")?)?,
    });
    db.caches().bindings.put(read_at, id, bindings.clone());
    Ok(fits(&bindings, generation).then_some(bindings))
}

/// Roles by project, of pairs of both in JSON.
fn roles(pairs: &str) -> Result<HashMap<ProjectId, Vec<Role>>> {
    let corrupt = || Error::Corrupt {
        table: "member",
        column: "role",
    };
    let pairs: Vec<(i64, i64)> = serde_json::from_str(pairs).map_err(|_| corrupt())?;
    let mut roles: HashMap<ProjectId, Vec<Role>> = HashMap::new();
    for (project, role) in pairs {
        let role = Role::from_id(role).ok_or_else(corrupt)?;
        roles.entry(ProjectId(project)).or_default().push(role);
    }
    Ok(roles)
}

fn fits(bindings: &Bindings, generation: Option<i64>) -> bool {
    generation.is_none_or(|generation| generation == bindings.generation)
}
