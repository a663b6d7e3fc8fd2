//! What is deleted or taken away through one replica is gone on the other.

use std::time::{Duration, Instant};

use hyper::Method;
use serde_json::json;
use testkit::content::Blob;
use testkit::meter::{Figures, figures, quantile};
use testkit::registry::{Call, Failed, Image, Registry, Way};
use testkit::target::Target;
use tokio::time::sleep;

const REPOSITORY: &str = "across/app";

pub(super) async fn run(
    targets: &[Target; 2],
    rounds: u32,
    members: u32,
) -> Result<Figures, String> {
    let [mut here, mut there] = [Registry::new(&targets[0])?, Registry::new(&targets[1])?];
    here.make_project_of(REPOSITORY).await?;
    for round in 0..rounds {
        let done = deletions(&here, &there, &format!("t{round}")).await;
        done.map_err(|error| format!("deletion {round}: {error}"))?;
        std::mem::swap(&mut here, &mut there);
    }
    let mut late = Vec::new();
    for number in 0..members {
        let done = member(&here, &there, &format!("across-{number}")).await;
        late.push(done.map_err(|error| format!("member {number}: {error}"))?);
        std::mem::swap(&mut here, &mut there);
    }
    late.sort_unstable();
    Ok(figures([
        ("manifests_gone", rounds.into()),
        ("tags_gone", rounds.into()),
        ("members_removed", members.into()),
        ("refused_after_p50_ms", quantile(&late, 0.5)),
        ("refused_after_max_ms", quantile(&late, 1.0)),
    ]))
}

/// Deletes a tag, then the manifest with another tag, and asks the other replica at once. It was asked before, so that
/// whatever it remembers is there to be wrong.
async fn deletions(here: &Registry, there: &Registry, tag: &str) -> Result<(), Failed> {
    let image = Image::small(300, 3000);
    let (kept, digest) = (format!("{tag}-kept"), image.manifest.digest.clone());
    here.push_image(REPOSITORY, tag, &image, Way::Put).await?;
    here.push_manifest(REPOSITORY, &kept, &image.manifest)
        .await?;
    let steps = [
        ("", [200, 200, 200]),
        (tag, [404, 200, 200]),
        (&digest, [404, 404, 404]),
    ];
    for (delete, after) in steps {
        if !delete.is_empty() {
            here.delete(REPOSITORY, delete).await?;
        }
        for (reference, status) in [tag, &kept, &digest].into_iter().zip(after) {
            for method in [Method::GET, Method::HEAD] {
                let path = manifest(reference);
                let call = Call::new(method, &path, REPOSITORY).manifest();
                let asked = there.send(call, &[status]).await;
                asked.map_err(|error| {
                    let deleted = format!("after deleting {delete:?} on the other replica");
                    format!("{deleted}, {status} was expected: {error}")
                })?;
            }
        }
    }
    Ok(())
}

fn manifest(reference: &str) -> String {
    format!("/v2/{REPOSITORY}/manifests/{reference}")
}

/// Makes a user a member and takes that away again while it goes on with the token it has; how long that is of use.
async fn member(here: &Registry, there: &Registry, name: &str) -> Result<Duration, Failed> {
    const PASSWORD: &str = "Across-Passw0rd";
    const MEMBERS: &str = "/api/v2.0/projects/across/members";
    const MAINTAINER: u8 = 4;
    here.make_user(name, PASSWORD).await?;
    let image = Image::new(Blob::config(300), &[]);
    here.push_image(REPOSITORY, "member", &image, Way::Put)
        .await?;
    let grant = json!({ "role_id": MAINTAINER, "member_user": { "username": name } });
    here.rest(Method::POST, MEMBERS, Some(&grant), &[201])
        .await?;
    let (user, path) = (there.login(name, PASSWORD), manifest("member"));
    let pull = async |expected: &[u16]| {
        let pull = Call::get(&path, REPOSITORY).manifest();
        user.send(pull, expected).await
    };
    let allowed = until(async || pull(&[200]).await).await;
    allowed.map_err(|error| format!("a member may not pull: {error}"))?;
    let found = format!("{MEMBERS}?entityname={name}");
    let members = here.rest(Method::GET, &found, None, &[200]).await?.json();
    let mut members = members.as_array().into_iter().flatten();
    let member = members.find(|member| member["entity_name"] == name);
    let id = member.and_then(|member| member["id"].as_u64());
    let id = id.ok_or(format!("no member {name}"))?;
    let path = format!("{MEMBERS}/{id}");
    here.rest(Method::DELETE, &path, None, &[200]).await?;
    // Until the token is worth nothing any more, and then it stays so.
    let began = Instant::now();
    let refused = async || pull(&[401, 403, 404]).await;
    let gone = until(refused).await;
    gone.map_err(|error| format!("a removed member goes on: {error}"))?;
    let late = began.elapsed();
    while began.elapsed() < late + Duration::from_millis(500) {
        let again = refused().await;
        again.map_err(|error| format!("a member that was refused is let in again: {error}"))?;
        sleep(Duration::from_millis(20)).await;
    }
    Ok(late)
}

/// Repeats what fails, for two seconds.
async fn until<T>(what: impl AsyncFn() -> Result<T, Failed>) -> Result<T, Failed> {
    let end = Instant::now() + Duration::from_secs(2);
    loop {
        let done = what().await;
        if done.is_ok() || Instant::now() > end {
            return done;
        }
        sleep(Duration::from_millis(10)).await;
    }
}
