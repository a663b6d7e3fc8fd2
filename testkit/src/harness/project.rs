//! Projects and people, made by the REST interface like anybody's.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use super::client::Client;
use super::server::Server;

/// The password of every user that a test creates.
pub const PASSWORD: &str = "Passw0rd1";

/// Harbor's five roles, by the number they have on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    ProjectAdmin = 1,
    Developer = 2,
    Guest = 3,
    Maintainer = 4,
    LimitedGuest = 5,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Visibility {
    Public,
    Private,
}

pub struct Project<'s> {
    server: &'s Server,
    pub name: String,
    pub id: u64,
}

impl Server {
    pub async fn private_project(&self) -> Project<'_> {
        Project::create(self, Visibility::Private).await
    }

    pub async fn public_project(&self) -> Project<'_> {
        Project::create(self, Visibility::Public).await
    }

    /// The client of a user that [`Self::create_user`] made.
    pub fn as_user(&self, name: &str) -> Client {
        self.as_user_with(name, PASSWORD)
    }

    /// Pushes and pulls an image: whatever a test did before, this has to work.
    pub async fn still_serves(&self) {
        let project = Project::create(self, Visibility::Private).await;
        let repository = project.repository("still-serves");
        let image = super::image::image(&repository);
        let admin = self.admin();
        admin.push_image(&repository, "latest", &image).await;
        let pulled = admin
            .get(&format!("/v2/{repository}/manifests/latest"))
            .await
            .expect(200);
        assert_eq!(
            pulled.body, image.manifest,
            "the manifest came back changed"
        );
        let layer = admin
            .get(&format!(
                "/v2/{repository}/blobs/{}",
                image.layers[0].digest
            ))
            .await
            .expect(200);
        assert_eq!(
            layer.body, image.layers[0].bytes,
            "the layer came back changed"
        );
    }

    /// A person whom no project knows.
    pub async fn stranger(&self) -> Client {
        let name = fresh("user");
        self.create_user(&name).await;
        self.as_user(&name)
    }

    /// Creates a user and gives their id.
    pub async fn create_user(&self, name: &str) -> u64 {
        let user = json!({ "username": name, "password": PASSWORD, "email": format!("{name}@example.com"),
            "realname": name, "comment": "" });
        let created = self
            .admin()
            .post("/api/v2.0/users")
            .json(&user)
            .await
            .expect(201);
        id_in(&created.location())
    }
}

impl<'s> Project<'s> {
    pub async fn create(server: &'s Server, visibility: Visibility) -> Self {
        let name = fresh("project");
        let public = (visibility == Visibility::Public).to_string();
        let body = json!({ "project_name": name, "metadata": { "public": public } });
        let created = server
            .admin()
            .post("/api/v2.0/projects")
            .json(&body)
            .await
            .expect(201);
        Self {
            server,
            name,
            id: id_in(&created.location()),
        }
    }

    pub fn repository(&self, name: &str) -> String {
        format!("{}/{name}", self.name)
    }

    /// A new person with this role in this project.
    pub async fn member(&self, role: Role) -> Client {
        let person = self.server.stranger().await;
        self.add(person.name(), role).await;
        person
    }

    /// Makes a user a member; gives the member's id.
    pub async fn add(&self, user: &str, role: Role) -> u64 {
        let body = membership(user, role);
        let added = self
            .server
            .admin()
            .post(&self.members())
            .json(&body)
            .await
            .expect(201);
        id_in(&added.location())
    }

    pub async fn remove(&self, member: u64) {
        self.server
            .admin()
            .delete(&format!("{}/{member}", self.members()))
            .await
            .expect(200);
    }

    /// The path of the project's members.
    pub fn members(&self) -> String {
        format!("/api/v2.0/projects/{}/members", self.id)
    }
}

/// The body that makes `user` a member.
pub fn membership(user: &str, role: Role) -> Value {
    json!({ "role_id": role as u8, "member_user": { "username": user } })
}

/// A name that no other test of this run uses; all have the same length.
pub fn fresh(kind: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("{kind}-{:05}", NEXT.fetch_add(1, Ordering::Relaxed))
}

fn id_in(location: &str) -> u64 {
    let (_, id) = location.rsplit_once('/').expect("a Location is a path");
    id.parse()
        .unwrap_or_else(|_| panic!("no number at the end of {location}"))
}
