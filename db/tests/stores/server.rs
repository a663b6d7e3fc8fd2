//! What a database says of its server.

use crate::on_both;

#[tokio::test]
async fn a_server_tells_its_version_and_how_many_connections_it_has() {
    on_both("server_facts", async |db| {
        let facts = db.server().await.unwrap();
        let Some(connections) = facts.connections else {
            assert!(!db.is_shared());
            assert!(facts.version.starts_with("SQLite 3."), "{facts:?}");
            return;
        };
        assert!(facts.version.starts_with("PostgreSQL "), "{facts:?}");
        assert!(connections.open > 0, "{facts:?}");
        // While one is out, the other sees it.
        let another = db.reader().await.unwrap();
        let facts = db.server().await.unwrap();
        drop(another);
        assert!(facts.connections.unwrap().held > 0, "{facts:?}");
        assert!(connections.most > connections.of_process, "{facts:?}");
    })
    .await;
}
