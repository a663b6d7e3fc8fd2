//! Secrets of robots, and what ends them.

use ::model::{Clock as _, SystemClock};

use super::*;

#[tokio::test]
async fn a_secret_is_replaced_and_the_old_one_and_its_tokens_open_nothing() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let manifest = with_image(&server, &project).await;
    let robot = project_robot(&project, &["repository:pull"]).await;
    let scope = format!("repository:{}:pull", project.repository("app"));
    let old = robot.client(&server);
    let token = old.with_token(&[&scope]).await;
    let admin = server.admin();
    let random = admin.patch(&robot.path).json(&json!({})).await.expect(200);
    assert_eq!(random.header("cache-control"), "no-store");
    let random = random.json()["secret"]
        .as_str()
        .expect("it is shown")
        .to_owned();
    for caller in [&old, &token] {
        caller
            .get(&manifest)
            .await
            .expect_error(401, "UNAUTHORIZED");
    }
    let new = server.as_user_with(&robot.name, &random);
    new.get(&manifest).await.expect(200);
    let weak = admin
        .patch(&robot.path)
        .json(&json!({ "secret": "weak" }))
        .await;
    assert!(
        weak.expect_error(400, "BAD_REQUEST")
            .message()
            .starts_with("the secret must be 8-128")
    );
    new.get(&manifest).await.expect(200);
    let chosen = admin
        .patch(&robot.path)
        .json(&json!({ "secret": "Secret00Secret" }))
        .await;
    assert_eq!(
        chosen.expect(200).json(),
        json!({}),
        "whoever chose it knows it"
    );
    new.get(&manifest).await.expect_error(401, "UNAUTHORIZED");
    let chosen = server.as_user_with(&robot.name, "Secret00Secret");
    chosen.get(&manifest).await.expect(200);
    let mut body = of_project(&fresh("ci"), &project.name, &["repository:pull"]);
    body["secret"] = json!("Secret00Secret");
    let made = make(&admin, &body).await;
    made.client(&server).get(&manifest).await.expect(200);
    assert_eq!(made.secret, "Secret00Secret");
}

#[tokio::test]
async fn a_disabled_or_deleted_robot_is_out_and_so_are_its_tokens() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let manifest = with_image(&server, &project).await;
    let robot = project_robot(&project, &["repository:pull"]).await;
    let scope = format!("repository:{}:pull", project.repository("app"));
    let client = robot.client(&server);
    let token = client.with_token(&[&scope]).await;
    let admin = server.admin();
    let mut change = admin.get(&robot.path).await.expect(200).json();
    change["disable"] = json!(true);
    admin.put(&robot.path).json(&change).await.expect(200);
    token.get(&manifest).await.expect_error(401, "UNAUTHORIZED");
    let login = "/service/token?service=harbor-registry";
    let refused = client.get(login).await.expect_error(401, "UNAUTHORIZED");
    assert_eq!(refused.message(), "the robot account is disabled");
    let guess = server.as_user_with(&robot.name, "Wr0ngSecret").at(91);
    let wrong = guess.get(login).await.expect_error(401, "UNAUTHORIZED");
    assert_eq!(
        wrong.message(),
        "wrong user name or password",
        "the reason is for its owner"
    );
    change["disable"] = json!(false);
    admin.put(&robot.path).json(&change).await.expect(200);
    client.get(&manifest).await.expect(200);
    token.get(&manifest).await.expect_error(401, "UNAUTHORIZED");
    let token = client.with_token(&[&scope]).await;
    token.get(&manifest).await.expect(200);
    admin.delete(&robot.path).await.expect(200);
    for caller in [&client, &token] {
        caller
            .get(&manifest)
            .await
            .expect_error(401, "UNAUTHORIZED");
    }
    client.get(login).await.expect_error(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn an_expired_robot_is_out_and_so_are_its_tokens() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let manifest = with_image(&server, &project).await;
    let robot = project_robot(&project, &["repository:pull"]).await;
    let scope = format!("repository:{}:pull", project.repository("app"));
    let client = robot.client(&server);
    let token = client.with_token(&[&scope]).await;
    for caller in [&client, &token] {
        caller.get(&manifest).await.expect(200);
    }
    let over = "update robot set created_at = created_at - 172800000000, duration = 1, \
                expires_at = created_at - 86400000000 where id = ";
    server.sql(&format!("{over}{}", robot.id)).await;
    eventually(2, "the robot has expired", async || {
        (token.get(&manifest).await.status == 401).then_some(())
    })
    .await;
    client
        .get(&manifest)
        .await
        .expect_error(401, "UNAUTHORIZED");
    let login = "/service/token?service=harbor-registry";
    let refused = client.get(login).await.expect_error(401, "UNAUTHORIZED");
    assert_eq!(refused.message(), "the robot account has expired");
    // More time, counted from when it was made.
    let admin = server.admin();
    let mut change = admin.get(&robot.path).await.expect(200).json();
    change["duration"] = json!(30);
    admin.put(&robot.path).json(&change).await.expect(200);
    client.get(&manifest).await.expect(200);
}

#[tokio::test]
async fn the_last_use_is_told() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let manifest = with_image(&server, &project).await;
    let robot = project_robot(&project, &["repository:pull"]).await;
    let admin = server.admin();
    assert_eq!(
        admin
            .get(&robot.path)
            .await
            .expect(200)
            .json()
            .get("last_used_at"),
        None
    );
    robot
        .client(&server)
        .at(93)
        .get(&manifest)
        .await
        .expect(200);
    let used = eventually(5, "the use is written", async || {
        let read = admin.get(&robot.path).await.expect(200).json();
        read["last_used_at"].is_string().then_some(read)
    })
    .await;
    assert_eq!(used["last_used_address"], "127.0.0.93");
    assert!(
        used["last_used_at"].as_str() >= used["creation_time"].as_str(),
        "{used}"
    );
}

/// The status of a sign-in.
async fn sign_in(client: &Client) -> u16 {
    let login = "/service/token?service=harbor-registry";
    client.get(login).await.status
}

#[tokio::test]
async fn for_a_grace_the_old_secret_works_and_its_uses_are_counted() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let manifest = with_image(&server, &project).await;
    let robot = project_robot(&project, &["repository:pull"]).await;
    let (admin, old) = (server.admin(), robot.client(&server));
    old.get(&manifest).await.expect(200);
    for days in [-1, 31, 1_000_000] {
        let wrong = admin
            .patch(&robot.path)
            .json(&json!({ "grace_days": days }));
        let wrong = wrong.await.expect_error(400, "BAD_REQUEST");
        assert!(wrong.message().contains("grace_days"), "{wrong}");
    }
    let rotated = admin
        .patch(&robot.path)
        .json(&json!({ "grace_days": 7 }))
        .await;
    let rotated = rotated.expect(200).json();
    let new = rotated["secret"].as_str().expect("it is shown").to_owned();
    let new = server.as_user_with(&robot.name, &new);
    for client in [&old, &new, &old, &new, &old] {
        client.get(&manifest).await.expect(200);
    }
    let counted = eventually(10, "the uses are written", async || {
        let shown = admin.get(&robot.path).await.expect(200).json();
        let previous = shown["previous_secret"].clone();
        (previous["uses"] == 3).then_some(previous)
    });
    let counted = counted.await;
    assert!(counted["last_used_at"].is_string(), "{counted}");
    let end = counted["expires_at"].as_str().expect("a time");
    assert!(end.ends_with('Z'), "{end}");
    let wrong = server.as_user_with(&robot.name, "Wrong00Wrong");
    assert_eq!(sign_in(&wrong).await, 401);

    // It ends by itself, also where it was right a moment ago.
    server
        .sql(&format!(
            "update robot set previous_until = 1 where id = {}",
            robot.id
        ))
        .await;
    let over = eventually(70, "the old secret has ended", async || {
        (sign_in(&old).await == 401).then_some(())
    });
    over.await;
    new.get(&manifest).await.expect(200);
    let shown = admin.get(&robot.path).await.expect(200).json();
    assert_eq!(shown["previous_secret"], Value::Null);
}

#[tokio::test]
async fn a_second_rotation_or_one_without_grace_ends_the_older_secrets_at_once() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let robot = project_robot(&project, &["repository:pull"]).await;
    let (admin, first) = (server.admin(), robot.client(&server));
    let rotate = async |body: Value| {
        let answer = admin
            .patch(&robot.path)
            .json(&body)
            .await
            .expect(200)
            .json();
        let secret = answer["secret"].as_str().unwrap_or("Chosen00Chosen");
        server.as_user_with(&robot.name, secret)
    };
    // Chosen secrets are hashed like passwords, and have a grace too.
    let second = rotate(json!({ "secret": "Chosen00Chosen", "grace_days": 30 })).await;
    assert_eq!((sign_in(&first).await, sign_in(&second).await), (200, 200));
    let third = rotate(json!({ "grace_days": 30 })).await;
    let statuses = (
        sign_in(&first).await,
        sign_in(&second).await,
        sign_in(&third).await,
    );
    assert_eq!(statuses, (401, 200, 200));
    let fourth = rotate(json!({})).await;
    let statuses = (
        sign_in(&second).await,
        sign_in(&third).await,
        sign_in(&fourth).await,
    );
    assert_eq!(statuses, (401, 401, 200));
    // A disabled robot is out with both.
    let fifth = rotate(json!({ "grace_days": 1 })).await;
    let mut change = admin.get(&robot.path).await.expect(200).json();
    change["disable"] = json!(true);
    admin.put(&robot.path).json(&change).await.expect(200);
    assert_eq!((sign_in(&fourth).await, sign_in(&fifth).await), (401, 401));
}

#[tokio::test]
async fn each_stage_before_a_robot_expires_is_one_event() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let robot = project_robot(&project, &["repository:pull"]).await;
    let admin = server.admin();
    let events = async || {
        let query = "q=operation%3Dexpire%2Cresource_type%3Drobot&sort=op_time&page_size=100";
        let path = format!("/api/v2.0/projects/{}/auditlog-exts?{query}", project.name);
        let events = admin.get(&path).await.expect(200).json();
        let events = events.as_array().expect("a list").iter();
        let told = events.map(|event| {
            event["operation_description"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        });
        told.collect::<Vec<String>>()
    };
    let mut expected = 0;
    for (days, text) in [
        (13, "within 15 days"),
        (2, "within 4 days"),
        (0, "within a day"),
        (-1, "expired at"),
    ] {
        // Half a day more than whole ones.
        let micros = (days * 86_400 + 43_200) * 1_000_000_i64;
        let end = SystemClock.now().0 + micros;
        let set = format!(
            "update robot set expires_at = {end} where id = {}",
            robot.id
        );
        server.sql(&set).await;
        expected += 1;
        for _ in 0..2 {
            server
                .sql("update schedule set next_at = 0 where kind = 'robot_expiry'")
                .await;
            let told = eventually(15, "it is told of", async || {
                let told = events().await;
                (told.len() >= expected).then_some(told)
            });
            let told = told.await;
            assert_eq!(told.len(), expected, "once: {told:?}");
            assert!(
                told.iter().any(|told| told.contains(text)),
                "{text}: {told:?}"
            );
        }
    }
}
