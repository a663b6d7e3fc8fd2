//! `/api/ext/v1`: what pages need besides Harbor's API, on both databases.

mod bulk;
mod notices;
mod own;
mod statements;
mod usage;

use serde_json::Value;

use crate::harness::{Client, Replicas, Server};

/// A server, and its database for rows that no request makes.
enum Installation<'a> {
    Sqlite(&'a Server),
    Postgres(&'a Replicas),
}

impl Installation<'_> {
    fn server(&self) -> &Server {
        match self {
            Self::Sqlite(server) => server,
            Self::Postgres(replicas) => &replicas.first,
        }
    }

    async fn sql(&self, statement: &str) {
        match self {
            Self::Sqlite(server) => server.sql(statement).await,
            Self::Postgres(replicas) => {
                replicas.sql(statement).await;
            }
        }
    }

    /// Bytes in a statement.
    fn bytes(&self, hex: &str) -> String {
        match self {
            Self::Sqlite(_) => format!("x'{hex}'"),
            Self::Postgres(_) => format!("decode('{hex}', 'hex')"),
        }
    }
}

async fn get(client: &Client, path: &str) -> Value {
    let answer = client.get(&format!("/api/ext/v1{path}")).await;
    answer.expect(200).json()
}

/// A field of each row.
fn column<'v>(rows: &'v Value, field: &str) -> Vec<&'v str> {
    let rows = rows.as_array().expect("the answer is a list").iter();
    rows.map(|row| row[field].as_str().expect("the field is text"))
        .collect()
}

async fn everything(installation: &Installation<'_>) {
    let server = installation.server();
    own::capabilities(server).await;
    own::preferences_and_favourites(server).await;
    own::access_and_home(server).await;
    own::search(server).await;
    own::matrix(server).await;
    own::owner(server).await;
    usage::projects_and_repositories(server).await;
    usage::storage(server).await;
    usage::robots(server).await;
    usage::certificates(server).await;
    usage::jobs(installation).await;
    bulk::artifacts_and_tags(server).await;
    bulk::each_under_its_own_permit(server).await;
    bulk::labels_and_repositories(server).await;
    notices::robots_and_quotas(installation).await;
    notices::read_only(server).await;
    statements::do_not_grow_with_rows(installation).await;
}

#[tokio::test]
async fn pages_get_what_they_need() {
    let server = Server::start().await;
    everything(&Installation::Sqlite(&server)).await;
}

#[tokio::test]
async fn pages_get_what_they_need_on_postgres() {
    let replicas = Replicas::start().await;
    everything(&Installation::Postgres(&replicas)).await;
}
