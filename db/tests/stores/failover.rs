//! A server of PostgreSQL that failed over without its last transactions, while this process goes on.

use model::Reference;
use sqlx::Connection as _;

use super::*;

#[tokio::test]
async fn an_id_that_was_given_out_again_serves_no_other_manifest() {
    let url = std::env::var("GANTRY_TEST_POSTGRES").expect("GANTRY_TEST_POSTGRES names a server");
    let database = fresh(&url, "reissued").await;
    let db = Db::open(&Location::Postgres(database.clone()))
        .await
        .unwrap();
    let (_, project) = team(&db).await;
    db.write(move |tx| Box::pin(push_empty(tx, project, "team/app")))
        .await
        .unwrap();
    let name: RepositoryName = "team/app".parse().unwrap();
    let latest = Reference::Tag("latest".parse().unwrap());
    let find = async |reference: &Reference| {
        manifest::find(&db, project, &name, reference)
            .await
            .unwrap()
    };
    let before = find(&latest).await.unwrap();
    assert_eq!(find(&latest).await, Some(before.clone()), "from the cache");
    // The new server knows nothing of that push, and gave its row's id to the next one.
    let other = image(&Digest::of(Algorithm::Sha256, b"{}"));
    let digest = Digest::of(Algorithm::Sha256, &other);
    let mut server = sqlx::PgConnection::connect(&database).await.unwrap();
    let reissued = sqlx::query("with renamed as (update manifest set digest = $1) update manifest_payload set payload = $2")
        .bind(digest.to_bytes())
        .bind(other.as_slice())
        .execute(&mut server)
        .await
        .unwrap();
    assert_eq!(reissued.rows_affected(), 1);
    let after = find(&latest).await.unwrap();
    assert_eq!((after.digest, &after.payload[..]), (digest, &other[..]));
    let by_digest = find(&Reference::Digest(digest)).await.unwrap();
    assert_eq!(by_digest.payload, other);
    assert!(find(&Reference::Digest(before.digest)).await.is_none());
    // A permit may be of a project that was made anew under its name.
    let other = model::ProjectId(project.0 + 1);
    assert!(
        manifest::find(&db, other, &name, &latest)
            .await
            .unwrap()
            .is_none()
    );
    db.close().await;
}
