//! Robots: what is stored of them, and what they are bound to.

use std::net::{IpAddr, Ipv4Addr};

use gantry_db::list::{Selection, Test};
use gantry_db::robot::usage::RobotUses;
use gantry_db::robot::{self, Changes, NewRobot, Robot};
use gantry_db::{Age, Db, Error, binding, project};
use model::{Principal, PrincipalId, ProjectId, RobotId, RobotMaker, Timestamp, UserId};
use policy::{Action, Authority, Permission, Resource, SystemResource};

use crate::{NOW, on_both, team};

const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const PULL: Permission = Permission::Everywhere(Resource::Repository, Action::Pull);

async fn make(
    db: &Db,
    (project, name): (Option<ProjectId>, &str),
    permissions: Vec<Permission>,
) -> Result<(RobotId, PrincipalId), Error> {
    let new = NewRobot {
        project,
        name: name.to_owned(),
        full_name: format!("robot${name}"),
        description: "builds".to_owned(),
        secret_hash: "sha256:00".to_owned(),
        duration: 1,
        expires_at: Some(Timestamp(NOW.0 + 1)),
        disabled: false,
        maker: RobotMaker::User(UserId::ADMIN),
    };
    db.write(move |tx| {
        Box::pin(async move {
            let made = robot::create(tx, &new, NOW).await?;
            robot::set_permissions(tx, made, &permissions).await?;
            Ok(made)
        })
    })
    .await
}

async fn read(db: &Db, id: RobotId) -> Option<Robot> {
    let mut reader = db.reader().await.unwrap();
    robot::by_id(&mut reader, id).await.unwrap()
}

async fn permissions(db: &Db, id: RobotId) -> Vec<Permission> {
    let mut reader = db.reader().await.unwrap();
    let held = robot::permissions_of(&mut reader, &[id]).await.unwrap();
    held.into_iter().map(|(_, permission)| permission).collect()
}

async fn authority(db: &Db, principal: PrincipalId) -> Option<std::sync::Arc<Authority>> {
    let found = binding::authority(db, principal, None, Age::Now).await;
    found.unwrap()
}

#[tokio::test]
async fn a_robot_is_read_back_with_its_permissions_in_their_order() {
    on_both("robot", async |db| {
        let (_, team) = team(&db).await;
        let given = vec![
            Permission::System(SystemResource::User, Action::List),
            Permission::Project(team, Resource::Tag, Action::List),
            PULL,
        ];
        let (id, principal) = make(&db, (None, "ci"), given.clone()).await.unwrap();
        let robot = read(&db, id).await.unwrap();
        assert_eq!((robot.principal_id, robot.project_id), (principal, None));
        assert_eq!((&*robot.name, &*robot.full_name), ("ci", "robot$ci"));
        assert_eq!(robot.maker().unwrap(), RobotMaker::User(UserId::ADMIN));
        assert_eq!(robot.expires_at, Some(Timestamp(NOW.0 + 1)));
        assert_eq!(permissions(&db, id).await, given);
        let taken = make(&db, (None, "ci"), vec![PULL]).await;
        assert!(matches!(taken, Err(Error::Duplicate(_))));
        let bound = authority(&db, principal).await.unwrap();
        let Principal::Robot { robot, name, .. } = &bound.principal else {
            panic!("it is a robot: {bound:?}");
        };
        assert_eq!((*robot, &**name, bound.sysadmin), (id, "robot$ci", false));
        assert!(!bound.has_ended(NOW) && bound.has_ended(Timestamp(NOW.0 + 1)));
        let own = bound.own.as_ref().unwrap();
        let tags = own.permissions.in_project(team, Resource::Tag);
        assert!(tags.contains(Action::List));
    })
    .await;
}

#[tokio::test]
async fn a_disabled_robot_is_bound_to_nothing_and_its_tokens_are_void() {
    on_both("robot_disabled", async |db| {
        let (id, principal) = make(&db, (None, "ci"), vec![PULL]).await.unwrap();
        let generation = authority(&db, principal).await.unwrap().generation;
        let set = async |disabled| {
            db.write(move |tx| {
                Box::pin(async move {
                    let robot = robot::hold(tx, id).await?.unwrap();
                    let changes = Changes {
                        description: String::new(),
                        duration: -1,
                        expires_at: None,
                        disabled,
                    };
                    robot::update(tx, &robot, &changes, NOW).await
                })
            })
            .await
            .unwrap();
        };
        set(true).await;
        assert!(authority(&db, principal).await.is_none());
        set(false).await;
        let bound = authority(&db, principal).await.unwrap();
        assert_eq!(bound.generation, generation + 1);
        assert!(!bound.has_ended(Timestamp(i64::MAX)));
        db.write(move |tx| {
            Box::pin(async move {
                let robot = robot::hold(tx, id).await?.unwrap();
                robot::set_permissions(tx, (id, principal), &[]).await?;
                robot::set_secret(tx, &robot, ("sha256:01", None), NOW).await
            })
        })
        .await
        .unwrap();
        let bound = authority(&db, principal).await.unwrap();
        assert_eq!(bound.generation, generation + 2);
        assert_eq!(bound.own.as_ref().unwrap().permissions, Default::default());
        assert_eq!(read(&db, id).await.unwrap().secret_hash, "sha256:01");
    })
    .await;
}

#[tokio::test]
async fn a_project_takes_its_robots_and_the_permissions_of_others_with_it() {
    on_both("robot_project", async |db| {
        let (_, team) = team(&db).await;
        let in_team = Permission::Project(team, Resource::Repository, Action::Pull);
        let (own, principal) = make(&db, (Some(team), "team+ci"), vec![in_team])
            .await
            .unwrap();
        let (other, _) = make(&db, (None, "ci"), vec![in_team, PULL]).await.unwrap();
        assert!(authority(&db, principal).await.is_some());
        db.write_alone_in(team, move |tx| {
            Box::pin(async move {
                let project = project::by_id(tx, team).await?.unwrap();
                project::delete(tx, &project.facts(), NOW).await
            })
        })
        .await
        .unwrap();
        assert!(authority(&db, principal).await.is_none());
        assert_eq!(read(&db, own).await, None);
        assert_eq!(permissions(&db, other).await, [PULL]);
        // Its name is free.
        make(&db, (None, "team+ci"), vec![PULL]).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn robots_are_listed_by_their_level() {
    on_both("robot_list", async |db| {
        let (_, team) = team(&db).await;
        for name in ["b", "a"] {
            make(&db, (None, name), vec![PULL]).await.unwrap();
        }
        make(&db, (Some(team), "team+c"), vec![PULL]).await.unwrap();
        let mut reader = db.reader().await.unwrap();
        let mut names = async |project, selection: Selection| {
            let listed = robot::list(&mut reader, project, &selection).await;
            let (robots, total) = listed.unwrap();
            let names: Vec<String> = robots.into_iter().map(|robot| robot.name).collect();
            assert_eq!(names.len() as i64, total);
            names
        };
        assert_eq!(names(None, Selection::all()).await, ["a", "b"]);
        assert_eq!(names(Some(team), Selection::all()).await, ["team+c"]);
        let named = Selection::all().with(robot::NAME, Test::Is("team+c".into()));
        assert_eq!(names(Some(team), named.clone()).await, ["team+c"]);
        assert_eq!(names(None, named).await, [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn the_last_use_is_written_once_a_minute() {
    on_both("robot_use", async |db| {
        let (id, principal) = make(&db, (None, "ci"), vec![PULL]).await.unwrap();
        let (uses, other) = (RobotUses::default(), RobotUses::default());
        let at = |seconds: i64| Timestamp(NOW.0 + seconds * 1_000_000);
        let used = async || {
            let robot = read(&db, id).await.unwrap();
            robot
                .used_at
                .map(|used| (used.seconds() - NOW.seconds(), robot.used_address.unwrap()))
        };
        uses.flush(&db).await.unwrap();
        assert_eq!(used().await, None);
        uses.note(principal, HOME, at(0));
        uses.note(PrincipalId(987_654), HOME, at(0));
        uses.flush(&db).await.unwrap();
        assert_eq!(used().await, Some((0, "127.0.0.1".to_owned())));
        uses.note(principal, HOME, at(59));
        uses.flush(&db).await.unwrap();
        assert_eq!(used().await, Some((0, "127.0.0.1".to_owned())));
        let elsewhere = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        uses.note(principal, elsewhere, at(60));
        uses.flush(&db).await.unwrap();
        // What another process knows is older.
        other.note(principal, HOME, at(30));
        other.flush(&db).await.unwrap();
        assert_eq!(used().await, Some((60, "192.0.2.1".to_owned())));
    })
    .await;
}
