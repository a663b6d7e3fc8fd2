//! Labels and what is set for projects travel between registries that know them.

use serde_json::{Value, json};

use super::site::{add, digest, following, gantry, policy, pull, push, run, site, sum};
use crate::harness::{Server, eventually, fresh, image};

/// Makes a label, of a project or of the installation: its id.
async fn label(at: &Server, name: &str, project: Option<i64>) -> i64 {
    let mut body = json!({"name": name, "color": "#112233", "description": "of it", "scope": "g"});
    if let Some(id) = project {
        body["scope"] = json!("p");
        body["project_id"] = json!(id);
    }
    let made = at.admin().post("/api/v2.0/labels").json(&body).await;
    let location = made.expect(201).location();
    location
        .rsplit('/')
        .next()
        .and_then(|id| id.parse().ok())
        .expect("an id")
}

async fn project_of(at: &Server, name: &str) -> Value {
    let path = format!("/api/v2.0/projects/{name}");
    at.admin().get(&path).await.expect(200).json()
}

/// Names of the labels of an artifact, sorted.
async fn labels(at: &Server, project: &str, reference: &str) -> Vec<String> {
    let path = format!(
        "/api/v2.0/projects/{project}/repositories/app/artifacts/{reference}?with_label=true"
    );
    let answer = at.admin().get(&path).await;
    if answer.status != 200 {
        return Vec::new();
    }
    let shown = answer.json();
    let listed = shown["labels"].as_array().into_iter().flatten();
    let mut names: Vec<String> = listed
        .map(|label| label["name"].as_str().expect("a name").to_owned())
        .collect();
    names.sort();
    names
}

async fn mark(at: &Server, project: &str, reference: &str, label: i64) {
    let path =
        format!("/api/v2.0/projects/{project}/repositories/app/artifacts/{reference}/labels");
    let marked = at.admin().post(&path).json(&json!({ "id": label })).await;
    marked.expect(200);
}

#[tokio::test]
async fn labels_and_settings_come_along_by_push_and_by_pull() {
    let (here, there, third) = (site().await, site().await, site().await);
    let name = fresh("labelled");
    let body = json!({
        "project_name": name,
        "metadata": {"public": "true", "auto_scan": "true", "severity": "high"},
    });
    let made = here.admin().post("/api/v2.0/projects").json(&body).await;
    made.expect(201);
    let repository = format!("{name}/app");
    let app = image("labelled");
    here.admin().push_image(&repository, "v1", &app).await;
    let id = project_of(&here, &name).await["project_id"].as_i64();
    let (own, all) = (
        label(&here, "of-project", id).await,
        label(&here, "of-all", None).await,
    );
    for label in [own, all] {
        mark(&here, &name, "v1", label).await;
    }
    let to = add(&here, &gantry(&there, "other")).await;
    let out = policy(&here, &push("out", to, &repository)).await;
    run(&here, out).await;
    let from = add(&third, &gantry(&there, "other")).await;
    let into = policy(&third, &pull("in", from, &repository)).await;
    run(&third, into).await;
    for at in [&there, &third] {
        assert_eq!(labels(at, &name, "v1").await, ["of-all", "of-project"]);
        let shown = project_of(at, &name).await;
        let metadata = ["public", "auto_scan", "severity"].map(|key| &shown["metadata"][key]);
        assert_eq!(metadata, [&json!("true"), &json!("true"), &json!("high")]);
    }
    // Those that are there are not put there again, and one that comes later does.
    let later = label(&here, "later", None).await;
    mark(&here, &name, "v1", later).await;
    assert_eq!(sum(&run(&here, out).await, "present"), 1);
    assert_eq!(
        labels(&there, &name, "v1").await,
        ["later", "of-all", "of-project"]
    );
}

#[tokio::test]
async fn a_label_that_comes_later_starts_the_policy_that_asks_for_it() {
    let (here, there) = (site().await, site().await);
    let project = here.private_project().await;
    let repository = project.repository("app");
    let app = image("released");
    here.admin().push_image(&repository, "v1", &app).await;
    let released = label(&here, "released", None).await;
    let to = add(&here, &gantry(&there, "other")).await;
    let mut wanted = following(push("out", to, &repository));
    let filters = wanted["filters"].as_array_mut().expect("a list");
    filters.push(json!({"type": "label", "value": ["released"]}));
    policy(&here, &wanted).await;
    here.admin().push_image(&repository, "v2", &app).await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(digest(&there, &repository, "v1").await, None);
    mark(&here, &project.name, "v1", released).await;
    eventually(20, "it goes out", async || {
        (digest(&there, &repository, "v1").await.as_ref() == Some(&app.digest)).then_some(())
    })
    .await;
    assert_eq!(labels(&there, &project.name, "v1").await, ["released"]);
}
