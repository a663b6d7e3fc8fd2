//! Groups of users: the roles of whoever is in one are its own and those of its groups.

use gantry_db::list::Selection;
use gantry_db::member::Entity;
use gantry_db::principal::Kind;
use gantry_db::{Age, Db, Error, backup, binding, group, member, project, user};
use model::{Dn, GroupId, GroupSource, PrincipalId, ProjectId};
use policy::{Caller, Presented, Role};

use crate::{NOW, ann, on_both, team};

/// A group with a role in a project, and bob, who is in it.
async fn devs(db: &Db, project: ProjectId) -> (GroupId, user::User) {
    db.write(move |tx| {
        Box::pin(async move {
            let bob = user::NewUser {
                name: "bob".into(),
                email: None,
                ..ann()
            };
            user::create(tx, &bob, NOW).await?;
            let bob = user::by_name(tx, "bob").await?.unwrap();
            let new = ("devs", GroupSource::Oidc, None);
            let (id, principal) = group::create(tx, new, NOW).await?;
            member::add(tx, project, (principal, Kind::Group), Role::Developer, NOW).await?;
            // What a directory will do.
            let table = backup::describe(tx, "group_member").await?;
            let row = format!("[[{}, {}]]", bob.principal_id, principal);
            backup::put(tx, &table, &row).await?;
            Ok::<_, Error>((id, bob))
        })
    })
    .await
    .unwrap()
}

async fn roles(db: &Db, principal: PrincipalId) -> Vec<Role> {
    let authority = binding::authority(db, principal, None, Age::Now).await;
    let caller = Caller {
        authority: authority.unwrap().unwrap(),
        presented: Presented::Password,
        grants: None,
        address: None,
        client: model::Client::default(),
    };
    let name = "team".parse().unwrap();
    let standing = binding::standing(db, &caller, &name, Age::Now).await;
    standing.unwrap().unwrap().roles.iter().collect()
}

#[tokio::test]
async fn whoever_is_in_a_group_has_its_roles() {
    on_both("group_roles", async |db| {
        let (_, team) = team(&db).await;
        let (id, bob) = devs(&db, team).await;
        assert_eq!(roles(&db, bob.principal_id).await, [Role::Developer]);
        let mut reader = db.reader().await.unwrap();
        let held = binding::roles_in(&mut reader, bob.principal_id, &[team])
            .await
            .unwrap();
        assert!(held[&team].contains(Role::Developer));
        let projects = binding::projects_of(&mut reader, bob.principal_id)
            .await
            .unwrap();
        assert_eq!(projects, [team]);
        let is_developer = binding::has_role(&mut reader, bob.principal_id, Role::Developer).await;
        assert!(is_developer.unwrap());
        for viewer in [
            project::Viewer::Principal(bob.principal_id),
            project::Viewer::Member(bob.principal_id),
        ] {
            let listed = project::list(&mut reader, viewer, &Selection::all()).await;
            assert_eq!(listed.unwrap().1, 1);
        }
        let (members, _) = member::list(&mut reader, team, &Selection::all())
            .await
            .unwrap();
        let entities: Vec<_> = members
            .iter()
            .map(|member| member.entity().unwrap())
            .collect();
        assert_eq!(
            entities,
            [Entity::User(model::UserId(3)), Entity::Group(id)]
        );
        drop(reader);
        let own = (bob.principal_id, Kind::User);
        db.write(move |tx| {
            Box::pin(async move { member::add(tx, team, own, Role::Guest, NOW).await })
        })
        .await
        .unwrap();
        let both = [Role::Developer, Role::Guest];
        assert_eq!(roles(&db, bob.principal_id).await, both);
    })
    .await;
}

#[tokio::test]
async fn a_role_of_a_group_ends_with_the_membership_and_with_the_group() {
    on_both("group_end", async |db| {
        let (_, team) = team(&db).await;
        let (id, bob) = devs(&db, team).await;
        assert_eq!(roles(&db, bob.principal_id).await, [Role::Developer]);
        db.write(move |tx| {
            Box::pin(async move {
                let (members, _) = member::list(tx, team, &Selection::all()).await?;
                member::set_role(tx, &members[1], Role::Guest).await
            })
        })
        .await
        .unwrap();
        assert_eq!(roles(&db, bob.principal_id).await, [Role::Guest]);
        db.write(move |tx| {
            Box::pin(async move {
                let group = group::hold(tx, id).await?.unwrap();
                group::delete(tx, &group, NOW).await
            })
        })
        .await
        .unwrap();
        assert_eq!(roles(&db, bob.principal_id).await, []);
        let mut reader = db.reader().await.unwrap();
        assert_eq!(group::by_id(&mut reader, id).await.unwrap(), None);
        assert_eq!(group::by_name(&mut reader, "devs").await.unwrap(), None);
        let (members, _) = member::list(&mut reader, team, &Selection::all())
            .await
            .unwrap();
        assert_eq!(members.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_name_and_an_entry_of_the_directory_belong_to_one_group() {
    on_both("group_names", async |db| {
        let make = async |name: &'static str, entry: Option<&str>| {
            let entry: Option<Dn> = entry.map(|text| text.parse().unwrap());
            db.write(move |tx| {
                Box::pin(async move {
                    let new = (name, GroupSource::Ldap, entry.as_ref());
                    group::create(tx, new, NOW).await
                })
            })
            .await
        };
        let (id, _) = make("devs", Some("cn=devs, dc=x")).await.unwrap();
        assert!(matches!(
            make("devs", Some("cn=other,dc=x")).await,
            Err(Error::Duplicate(_))
        ));
        assert!(matches!(
            make("other", Some("CN=Devs,dc=X")).await,
            Err(Error::Duplicate(_))
        ));
        make("proxied", None).await.unwrap();
        make("claimed", None).await.unwrap();
        let mut reader = db.reader().await.unwrap();
        let entry: Dn = "CN=devs,dc=x".parse().unwrap();
        let found = group::by_entry(&mut reader, &entry).await.unwrap();
        let found = found.unwrap();
        assert_eq!((found.id, &*found.ldap_dn), (id, "cn=devs, dc=x"));
        let (groups, total) = group::list(&mut reader, &Selection::all()).await.unwrap();
        let names: Vec<&str> = groups.iter().map(|group| &*group.name).collect();
        assert_eq!((names, total), (vec!["claimed", "devs", "proxied"], 3));
    })
    .await;
}
