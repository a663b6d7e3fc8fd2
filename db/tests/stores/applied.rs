//! Marks of what `gantry apply` made.

use gantry_db::applied::{self, Kind, Mark};
use gantry_db::backup;
use model::NewLabel;

use super::*;

async fn kinds(db: &Db) -> Vec<Kind> {
    let mut reader = db.reader().await.unwrap();
    let marks = applied::all(&mut reader).await.unwrap();
    marks.into_iter().map(|mark| mark.kind).collect()
}

#[tokio::test]
async fn a_mark_is_of_an_object_that_exists() {
    on_both("applied", async |db| {
        let (_, team) = team(&db).await;
        let label = db.write(move |tx| {
            Box::pin(async move {
                let new = NewLabel::new("a", String::new(), String::new()).unwrap();
                let label = label::create(tx, Some(team), &new, NOW).await?;
                for (kind, object, project) in [
                    (Kind::Project, team.0, None),
                    (Kind::Label, label.0, Some(team)),
                    (Kind::Robot, 7, Some(team)),
                ] {
                    let name = "it".to_owned();
                    let mark = Mark {
                        kind,
                        object,
                        project,
                        name,
                    };
                    // A second time changes nothing.
                    applied::put(tx, &mark, NOW).await?;
                    applied::put(tx, &mark, NOW).await?;
                }
                Ok::<_, Error>(label)
            })
        });
        let label = label.await.unwrap();
        assert_eq!(kinds(&db).await, [Kind::Label, Kind::Project]);
        db.write(move |tx| {
            Box::pin(async move {
                label::delete(tx, label, NOW).await?;
                applied::forget_gone(tx).await
            })
        })
        .await
        .unwrap();
        assert_eq!(kinds(&db).await, [Kind::Project]);
    })
    .await;
}

/// How many rows there are, whatever they are of.
async fn rows(db: &Db) -> usize {
    let mut reader = db.reader().await.unwrap();
    let table = backup::describe(&mut reader, "applied").await.unwrap();
    let mut count = 0;
    let counted = backup::rows(&mut reader, &table, |_| {
        count += 1;
        Ok::<_, Error>(())
    });
    counted.await.unwrap();
    count
}

async fn put(db: &Db, (kind, object): (Kind, i64), project: Option<ProjectId>) {
    let mark = Mark {
        kind,
        object,
        project,
        name: String::new(),
    };
    db.write(move |tx| Box::pin(async move { applied::put(tx, &mark, NOW).await }))
        .await
        .unwrap();
}

#[tokio::test]
async fn the_mark_of_a_membership_goes_with_the_user() {
    on_both("applied_member", async |db| {
        let (ann, team) = team(&db).await;
        let mut reader = db.reader().await.unwrap();
        let member = member::of_principal(&mut reader, team, ann.principal_id).await;
        drop(reader);
        let member = member.unwrap().unwrap();
        put(&db, (Kind::Member, member.id.0), Some(team)).await;
        assert_eq!(rows(&db).await, 1);
        db.write(move |tx| Box::pin(async move { user::delete(tx, &ann, NOW).await }))
            .await
            .unwrap();
        assert_eq!(rows(&db).await, 0);
    })
    .await;
}

#[tokio::test]
async fn a_project_is_forgotten_with_what_is_in_it() {
    on_both("applied_project", async |db| {
        let (_, team) = team(&db).await;
        put(&db, (Kind::Project, team.0), None).await;
        put(&db, (Kind::Label, 7), Some(team)).await;
        // Of another kind, with the same number.
        put(&db, (Kind::Registry, team.0), None).await;
        db.write(move |tx| Box::pin(async move { applied::forget_project(tx, team).await }))
            .await
            .unwrap();
        assert_eq!(rows(&db).await, 1);
    })
    .await;
}

#[tokio::test]
async fn marks_of_kinds_that_only_newer_processes_know_stay() {
    on_both("applied_newer", async |db| {
        db.write(|tx| {
            Box::pin(async move {
                let table = backup::describe(tx, "applied").await?;
                let newer = r#"[["webhook_policy", 1, null, "hook", 1]]"#;
                backup::put(tx, &table, newer).await?;
                applied::forget_gone(tx).await
            })
        })
        .await
        .unwrap();
        assert_eq!(rows(&db).await, 1);
        assert_eq!(kinds(&db).await, []);
    })
    .await;
}
