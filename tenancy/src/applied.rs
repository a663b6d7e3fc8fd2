//! Marks of what `gantry apply` made, which it may remove. A mark is no change that anybody made, and so no event.

use db::Db;
use db::applied::{self, Mark};
use model::Timestamp;

use crate::Result;

/// Marks an object.
///
/// # Errors
/// When the database fails.
pub async fn mark(db: &Db, mark: Mark, now: Timestamp) -> Result<()> {
    db.write(move |tx| Box::pin(async move { Ok(applied::put(tx, &mark, now).await?) }))
        .await
}

/// Forgets the marks of objects that are gone.
///
/// # Errors
/// When the database fails.
pub async fn sweep(db: &Db) -> Result<()> {
    db.write(move |tx| Box::pin(async move { Ok(applied::forget_gone(tx).await?) }))
        .await
}
