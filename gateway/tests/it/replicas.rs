//! What two processes on one database know of each other.

use std::time::Duration;

use crate::harness::{Replicas, fresh};

const LOGIN: &str = "/service/token?service=harbor-registry";

#[tokio::test]
async fn guesses_at_one_replica_count_at_the_other() {
    let replicas = Replicas::start().await;
    let (first, second) = (&replicas.first, &replicas.second);
    let name = fresh("guessed");
    first.create_user(&name).await;
    let guess = async |server: &crate::harness::Server| {
        let guesser = server.as_user_with(&name, "Wr0ngPassword").at(77);
        guesser.get(LOGIN).await.expect(401)
    };
    // One less than is refused.
    for _ in 0..4 {
        guess(first).await;
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    guess(second).await;
    let owner = second.as_user(&name);
    let refused = owner.at(77).get(LOGIN).await.expect(429);
    assert_eq!(refused.header("retry-after"), "1");
    owner.at(78).get(LOGIN).await.expect(200);
    // The right password at one clears it at both.
    tokio::time::sleep(Duration::from_secs(2)).await;
    first.as_user(&name).at(77).get(LOGIN).await.expect(200);
    tokio::time::sleep(Duration::from_secs(3)).await;
    for _ in 0..4 {
        guess(second).await;
    }
    owner.at(77).get(LOGIN).await.expect(200);
}
