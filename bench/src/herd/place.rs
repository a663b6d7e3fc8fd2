//! Two replicas on PostgreSQL and SeaweedFS, with the image, and the robots that nodes sign in as.

use hyper::Method;
use serde_json::json;
use testkit::backing::Room;
use testkit::gantry::Server;
use testkit::meter::{Figures, wait};
use testkit::registry::{Failed, Image, Registry, Way, project};

use super::cost::Cost;
use super::wave::{Herd, Wanted};
use super::{LAYER, REPOSITORY, Source, TAG};
use crate::s3::stage::Stage;

const REPLICAS: usize = 2;
/// Pull secrets that the nodes share.
pub(super) const ROBOTS: usize = 8;
/// Nodes that pull before the clock starts: the secrets are known then, and connections to what is behind are open.
const WARM: usize = REPLICAS * ROBOTS * 4;

/// What the replicas are started with besides their storage. The nodes take a good part of the same cores, so that
/// handshakes may wait for longer than the default of 10 seconds.
const SETTINGS: [(&str, &str); 1] = [("GANTRY_LIMITS__HANDSHAKE_SECS", "60")];
const REDIRECTS: (&str, &str) = ("GANTRY_STORAGE__REDIRECT__NETWORKS", "127.0.0.0/8");

pub(super) struct Place<'a> {
    stage: &'a Stage,
    room: Room<'a>,
    wanted: Wanted,
}

impl<'a> Place<'a> {
    /// Pushes the image and makes the robots.
    pub(super) fn prepare(stage: &'a Stage) -> Result<Self, String> {
        let room = stage.room()?;
        let mut gantry = stage.gantry(&room, &[])?;
        let admin = Registry::new(&gantry.target)?;
        let wanted = wait(fill(&admin))?;
        gantry.stop()?;
        Ok(Self {
            stage,
            room,
            wanted,
        })
    }

    /// Sends the herd to new replicas: how long it took, and what it cost.
    pub(super) fn measure(&self, source: Source, nodes: usize) -> Result<Figures, String> {
        let mut settings = SETTINGS.to_vec();
        if source == Source::Bucket {
            settings.push(REDIRECTS);
        }
        let mut servers: Vec<Server> = (0..REPLICAS)
            .map(|_| self.stage.gantry(&self.room, &settings))
            .collect::<Result<_, _>>()?;
        let herd = Herd::new(&servers, self.stage.endpoint(), &self.wanted)?;
        wait(herd.pull(WARM))?;
        let cost = Cost::start(self.stage, &servers);
        let mut figures = wait(herd.pull(nodes))?;
        cost.end(&mut figures);
        servers.iter_mut().try_for_each(Server::check_alive)?;
        check(source, &figures)?;
        Ok(figures)
    }
}

/// Fails where layers came from elsewhere than they were to.
fn check(source: Source, figures: &Figures) -> Result<(), String> {
    let figure = |name: &str| figures.get(name).copied().unwrap_or_default();
    let wanted = match source {
        Source::Replicas => 0.0,
        Source::Bucket => figure("nodes") * LAYER as f64,
    };
    let came = figure(Source::Bucket.bytes());
    if came == wanted {
        return Ok(());
    }
    Err(format!(
        "{came} bytes came from the bucket instead of {wanted}"
    ))
}

async fn fill(admin: &Registry) -> Result<Wanted, Failed> {
    admin.make_project_of(REPOSITORY).await?;
    let image = Image::small(1_024, LAYER);
    admin.push_image(REPOSITORY, TAG, &image, Way::Put).await?;
    let mut robots = Vec::new();
    for number in 0..ROBOTS {
        robots.push(robot(admin, number).await?);
    }
    Ok(Wanted { image, robots })
}

/// Makes a robot that may pull; its name and secret.
async fn robot(admin: &Registry, number: usize) -> Result<(String, String), Failed> {
    let access = json!([{ "resource": "repository", "action": "pull" }]);
    let body = json!({ "name": format!("herd-{number}"), "level": "system", "duration": 1,
        "permissions": [{ "kind": "project", "namespace": project(REPOSITORY), "access": access }] });
    let path = "/api/v2.0/robots";
    let made = admin.rest(Method::POST, path, Some(&body), &[201]).await?;
    let made = made.json();
    match (made["name"].as_str(), made["secret"].as_str()) {
        (Some(name), Some(secret)) => Ok((name.to_owned(), secret.to_owned())),
        _ => Err(Failed::Wrong(
            "a robot without a name or a secret".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_come_from_where_they_are_to_come_from() {
        let figures = |bytes: u64| {
            let pairs = [("nodes", 2.0), (Source::Bucket.bytes(), bytes as f64)];
            testkit::meter::figures(pairs)
        };
        assert!(check(Source::Replicas, &figures(0)).is_ok());
        assert!(check(Source::Replicas, &figures(LAYER)).is_err());
        assert!(check(Source::Bucket, &figures(2 * LAYER)).is_ok());
        assert!(check(Source::Bucket, &figures(LAYER)).is_err());
    }
}
