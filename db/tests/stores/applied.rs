//! Marks of what `gantry apply` made.

use gantry_db::applied::{self, Kind, Mark};
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
