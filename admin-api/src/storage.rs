//! Storage totals of the installation. They are counted at most once a minute, since that reads all blobs.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use db::usage::{self, LargeBlob, LargeProject};
use model::{ProjectId, Timestamp};
use policy::SystemPermit;
use serde::Serialize;
use utoipa::ToSchema;

use crate::allowed::Granted;
use crate::error::Rendered;
use crate::heavy::Storage;
use crate::{AdminState, App, Error};

/// Maximum rows of each kind among the largest.
const MOST: i64 = 20;

/// Storage totals of the installation.
#[derive(Serialize, ToSchema)]
pub(crate) struct StorageOverview {
    /// When it was counted.
    as_of: String,
    blob_bytes: i64,
    blob_count: i64,
    /// Bytes of objects that wait to be deleted, as far as they are known.
    garbage_bytes: i64,
    garbage_count: i64,
    /// Bytes that all projects hold, with a blob counted in each of them: what would be stored if projects shared
    /// nothing.
    project_bytes: i64,
}

/// Returns the storage totals of the installation, counted at most once a minute.
#[utoipa::path(
    get, path = "/api/ext/v1/storage/overview", operation_id = "getStorageOverview", tag = "storage",
    responses((status = 200, description = "Counts and bytes.", body = StorageOverview))
)]
pub(crate) async fn overview(
    _: Granted<SystemPermit>,
    State(app): App,
) -> Rendered<StorageOverview> {
    let (at, storage) = counted(&app).await?;
    let totals = storage.totals;
    Ok(Json(StorageOverview {
        as_of: at.to_string(),
        blob_bytes: totals.blob_bytes,
        blob_count: totals.blobs,
        garbage_bytes: totals.garbage_bytes,
        garbage_count: totals.garbage_objects,
        project_bytes: totals.project_bytes,
    }))
}

/// What takes the most space.
#[derive(Serialize, ToSchema)]
pub(crate) struct LargestStored {
    /// When it was counted.
    as_of: String,
    blobs: Vec<StoredBlob>,
    projects: Vec<StoredProject>,
}

/// A large blob.
#[derive(Serialize, ToSchema)]
struct StoredBlob {
    digest: String,
    /// Repositories that link it.
    repository_count: i64,
    size: i64,
}

impl From<LargeBlob> for StoredBlob {
    fn from(blob: LargeBlob) -> Self {
        Self {
            digest: blob.digest.to_string(),
            repository_count: blob.repositories,
            size: blob.size,
        }
    }
}

/// A large project.
#[derive(Serialize, ToSchema)]
struct StoredProject {
    name: String,
    #[schema(value_type = i64)]
    project_id: ProjectId,
    /// Bytes that it may hold; -1 for no limit.
    storage_limit: i64,
    storage_used: i64,
}

impl From<LargeProject> for StoredProject {
    fn from(project: LargeProject) -> Self {
        Self {
            name: project.name.to_string(),
            project_id: project.id,
            storage_limit: project.limit,
            storage_used: project.used,
        }
    }
}

/// Returns the 20 largest projects and blobs, counted at most once a minute.
#[utoipa::path(
    get, path = "/api/ext/v1/storage/largest", operation_id = "listLargestStored", tag = "storage",
    responses((status = 200, description = "The largest first.", body = LargestStored))
)]
pub(crate) async fn largest(_: Granted<SystemPermit>, State(app): App) -> Rendered<LargestStored> {
    let (at, storage) = counted(&app).await?;
    Ok(Json(LargestStored {
        as_of: at.to_string(),
        blobs: storage.blobs.into_iter().map(StoredBlob::from).collect(),
        projects: storage
            .projects
            .into_iter()
            .map(StoredProject::from)
            .collect(),
    }))
}

async fn counted(app: &Arc<AdminState>) -> Result<(Timestamp, Storage), Error> {
    let count = async {
        let mut reader = app.db.reader().await?;
        Ok(Storage {
            totals: usage::totals(&mut reader).await?,
            projects: usage::largest_projects(&mut reader, MOST).await?,
            blobs: usage::largest_blobs(&mut reader, MOST).await?,
        })
    };
    app.heavy.storage.get(app.clock.now(), count).await
}
