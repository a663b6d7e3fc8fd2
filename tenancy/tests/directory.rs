//! People and groups of a directory on a SQLite file: what they become, and who they stay.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use db::identity::{self, LDAP};
use db::{Db, Location, audit, group, user};
use gantry_tenancy::Error;
use gantry_tenancy::directory::{Admitted, Group, Person, Reading, admit, origin, take_over};
use model::{GroupSource, Timestamp};

const NOW: Timestamp = Timestamp(1_700_000_000_000_000);

struct Office {
    db: Db,
    _folder: tempfile::TempDir,
}

fn person(subject: &str, name: &str) -> Person {
    Person {
        subject: format!("entryuuid:{subject}"),
        dn: format!("uid={name},dc=x"),
        names: vec![name.to_owned()],
        realname: "x".repeat(400),
        email: Some("office@example.test".to_owned()),
        admin: false,
    }
}

fn devs(entry: &str) -> Group {
    Group {
        entry: entry.parse().unwrap(),
        name: "devs".to_owned(),
    }
}

impl Office {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let location = Location::Sqlite(folder.path().join("db"));
        Self {
            db: Db::open(&location).await.unwrap(),
            _folder: folder,
        }
    }

    async fn admit(&self, person: Person, groups: Vec<Group>) -> Result<Admitted, Error> {
        admit(&self.db, person, Some(groups), (origin(), NOW)).await
    }

    async fn name_of(&self, admitted: Admitted) -> String {
        let mut reader = self.db.reader().await.unwrap();
        let all = NOW..NOW;
        let due = identity::due(&mut reader, LDAP, all, 10).await.unwrap();
        let found = due
            .into_iter()
            .find(|it| it.principal == admitted.principal);
        found.unwrap().name
    }

    async fn groups_of(&self, admitted: Admitted) -> Vec<String> {
        let mut reader = self.db.reader().await.unwrap();
        let ids = group::of_member(&mut reader, admitted.principal, GroupSource::Ldap);
        let ids = ids.await.unwrap();
        let all = db::list::Selection::all();
        let (groups, _) = group::list(&mut reader, &all).await.unwrap();
        let of = groups
            .into_iter()
            .filter(|it| ids.contains(&it.principal_id));
        of.map(|group| group.name).collect()
    }
}

#[tokio::test]
async fn a_person_is_who_they_are_whatever_they_are_called() {
    let office = Office::open().await;
    let first = office.admit(person("1", "alice"), vec![]).await.unwrap();
    let again = office.admit(person("1", "alice"), vec![]).await.unwrap();
    assert_eq!(first, again);
    let renamed = office.admit(person("1", "alicia"), vec![]).await.unwrap();
    assert_eq!(renamed, first);
    assert_eq!(office.name_of(first).await, "alicia");
    // The name is free, and another person's now; the mail address may be that of several.
    let other = office.admit(person("2", "alice"), vec![]).await.unwrap();
    assert_ne!(other.principal, first.principal);
    // Nobody takes the name of another account, at first or later.
    let taken = office.admit(person("3", "alicia"), vec![]).await;
    assert!(matches!(taken, Err(Error::NameTaken(_))));
    office.admit(person("2", "alicia"), vec![]).await.unwrap();
    assert_eq!(office.name_of(other).await, "alice");
    let unusable = office.admit(person("4", "a:b"), vec![]).await;
    assert!(matches!(unusable, Err(Error::NameInvalid(_))));
    let mut reader = office.db.reader().await.unwrap();
    let alice = user::by_name(&mut reader, "alice").await.unwrap().unwrap();
    assert_eq!((alice.realname.len(), alice.password_hash), (255, None));
    let history = audit::walk(&mut reader, 0, 100).await.unwrap();
    assert!(
        history
            .iter()
            .any(|entry| entry.detail.contains("renamed to alicia"))
    );
}

#[tokio::test]
async fn groups_of_one_name_stand_side_by_side() {
    let office = Office::open().await;
    let long = |end: &str| devs(&format!("cn=devs,ou={}{end},dc=x", "g".repeat(300)));
    let groups = vec![
        devs("cn=devs,ou=a,dc=x"),
        devs("cn=devs,ou=b,dc=x"),
        long("1"),
        long("2"),
    ];
    let alice = office
        .admit(person("1", "alice"), groups.clone())
        .await
        .unwrap();
    let names = office.groups_of(alice).await;
    assert_eq!(names.len(), 4, "{names:?}");
    assert!(names.contains(&"devs".to_owned()), "{names:?}");
    assert!(names.contains(&"cn=devs,ou=b,dc=x".to_owned()), "{names:?}");
    // Whatever letters an entry is written with.
    let shouted = vec![devs("CN=DEVS, OU=A, DC=X")];
    office.admit(person("1", "alice"), shouted).await.unwrap();
    assert_eq!(office.groups_of(alice).await, ["devs"]);
    // What could not be read stays.
    let unread = admit(&office.db, person("1", "alice"), None, (origin(), NOW));
    unread.await.unwrap();
    assert_eq!(office.groups_of(alice).await, ["devs"]);
}

#[tokio::test]
async fn a_reading_ends_who_is_gone_and_begins_who_is_back() {
    let office = Office::open().await;
    let mut chief = person("1", "alice");
    chief.admin = true;
    let alice = office.admit(chief, vec![]).await.unwrap();
    let known = async || {
        let mut reader = office.db.reader().await.unwrap();
        let known = identity::by_subject(&mut reader, LDAP, "entryuuid:1").await;
        known.unwrap().unwrap()
    };
    // Groups that could not be read take no rights away.
    let unread = Reading::Found(known().await, person("1", "alice"), None);
    take_over(&office.db, vec![unread], NOW).await.unwrap();
    assert!(known().await.admin);
    let ended = Reading::Ended(known().await, "gone");
    take_over(&office.db, vec![ended], NOW).await.unwrap();
    let out = known().await;
    assert!(!out.active && !out.admin && out.generation == alice.generation + 1);
    // Once is enough.
    take_over(&office.db, vec![Reading::Ended(out.clone(), "gone")], NOW)
        .await
        .unwrap();
    assert_eq!(known().await.generation, out.generation);
    let back = office.admit(person("1", "alice"), vec![]).await.unwrap();
    assert!(known().await.active);
    assert_eq!(
        (back.principal, back.generation),
        (alice.principal, out.generation)
    );
}
