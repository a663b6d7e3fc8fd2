//! What an account is bound to: its right to do everything, and its roles.

use std::collections::HashMap;
use std::sync::Arc;

use model::{AccountId, ProjectId};
use policy::{Bindings, Role};

use crate::{Age, Db, Error, Result};

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
    if let Some(bindings) = db.caches().bindings.get_of(&id, age) {
        return Ok(fits(&bindings, generation).then_some(bindings));
    }
    Box::pin(read_through(db, id, generation)).await
}

/// Reads what the cache does not have, and puts it there.
async fn read_through(db: &Db, id: AccountId, generation: Option<i64>) -> Result<Option<Bound>> {
    let read_at = db.caches().bindings.before_read();
    let mut tx = db.reader().await?;
    let rows = tx
        .query(
            "select a.name, a.sysadmin, a.generation, m.project_id, m.role from account a
             left join member m on m.account_id = a.id where a.id = $1 and a.deleted_at is null",
        )
        .bind(id)
        .all()
        .await?;
    let Some(account) = rows.first() else {
        return Ok(None);
    };
    let mut roles: HashMap<ProjectId, Vec<Role>> = HashMap::new();
    for row in &rows {
        let Some(project) = row.opt_int("member", "project_id")? else {
            continue;
        };
        let role = Role::from_id(row.int("member", "role")?).ok_or(Error::Corrupt {
            table: "member",
            column: "role",
        })?;
        roles.entry(ProjectId(project)).or_default().push(role);
    }
    let bindings = Arc::new(Bindings {
        account: Some(id),
        name: account.text("account", "name")?.into(),
        sysadmin: account.flag("account", "sysadmin")?,
        generation: account.int("account", "generation")?,
        roles,
    });
    db.caches().bindings.put(read_at, id, bindings.clone());
    Ok(fits(&bindings, generation).then_some(bindings))
}

fn fits(bindings: &Bindings, generation: Option<i64>) -> bool {
    generation.is_none_or(|generation| generation == bindings.generation)
}
