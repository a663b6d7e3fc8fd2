//! Changes on a SQLite file: what they leave, and that what fails leaves nothing.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use db::{Age, Db, Location, audit, binding, user};
use gantry_tenancy::mailed_link::{self, Shown};
use gantry_tenancy::password::{NewPassword, PasswordHasher};
use gantry_tenancy::project::{Changes, NewProject};
use gantry_tenancy::secret::MasterKey;
use gantry_tenancy::setting::{Declaration, Fixed, Settings, follower};
use gantry_tenancy::user::NewUser;
use gantry_tenancy::{Error, installation, member, project as projects};
use model::{
    Client, MailLanguage, Profile, ProjectName, ProjectSetting, Severity, StorageLimit, SystemTask,
    Timestamp, UserId,
};
use policy::on::On;
use policy::system::SystemNeed;
use policy::to::To;
use policy::{
    Caller, CreateProjectPermit, ProjectCreation, ProjectDeletion, ProjectPermit, Role,
    SystemPermit, UserPermit, permit,
};

const NOW: Timestamp = Timestamp(1_700_000_000_000_000);

struct Installation {
    db: Db,
    hasher: PasswordHasher,
    _folder: tempfile::TempDir,
}

fn system<N: SystemNeed>() -> SystemPermit<N> {
    permit::permit_system(&Caller::command_line()).unwrap()
}

fn may_create(caller: &Caller) -> CreateProjectPermit {
    permit::permit_create_project(caller, ProjectCreation::Admins).unwrap()
}

fn password() -> NewPassword {
    "Harbor12345".to_owned().try_into().unwrap()
}

impl Installation {
    async fn begin() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let location = Location::Sqlite(folder.path().join("db"));
        let this = Self {
            db: Db::open(&location).await.unwrap(),
            hasher: PasswordHasher::new(),
            _folder: folder,
        };
        assert!(this.begin_again().await);
        this
    }

    async fn begin_again(&self) -> bool {
        let caller = Caller::system(SystemTask::FirstStart);
        let permits = (
            &permit::permit_system(&caller).unwrap(),
            &may_create(&caller),
        );
        let library = NewProject::named("library".parse().unwrap(), true, StorageLimit::UNLIMITED);
        let first = (&password(), library);
        let begun = installation::begin(&self.db, &self.hasher, permits, first, NOW);
        begun.await.unwrap()
    }

    async fn person(&self, name: &str) -> Result<UserId, Error> {
        let email = format!("{name}@example.com");
        let new = NewUser {
            name: name.parse().unwrap(),
            profile: Profile::new(email, name.to_owned(), String::new()).unwrap(),
            password: password(),
            sysadmin: false,
        };
        gantry_tenancy::user::create(&self.db, &self.hasher, &system(), new, NOW).await
    }

    async fn permit<R: On, A: To>(&self, name: &str) -> ProjectPermit<R, A> {
        let (name, caller): (ProjectName, _) = (name.parse().unwrap(), Caller::command_line());
        let standing = binding::standing(&self.db, &caller, &name, Age::Now).await;
        permit::permit_project(&caller, standing.unwrap().as_ref()).unwrap()
    }

    fn of(&self, id: UserId) -> UserPermit {
        permit::permit_user(&Caller::command_line(), id).unwrap()
    }

    /// The history after its first two events, as `who operation type resource: detail`.
    async fn history(&self) -> Vec<String> {
        let mut reader = self.db.reader().await.unwrap();
        let entries = audit::walk(&mut reader, 2, 1_000).await.unwrap();
        let told = entries.into_iter().map(|entry| {
            format!(
                "{} {} {} {}: {}",
                entry.principal_name,
                entry.operation,
                entry.resource_type,
                entry.resource,
                entry.detail
            )
        });
        told.collect()
    }
}

#[tokio::test]
async fn an_installation_begins_once() {
    let installation = Installation::begin().await;
    assert!(installation::has_begun(&installation.db).await.unwrap());
    assert!(!installation.begin_again().await);
    let mut reader = installation.db.reader().await.unwrap();
    let entries = audit::walk(&mut reader, 0, 10).await.unwrap();
    let made: Vec<&str> = entries.iter().map(|entry| &*entry.resource).collect();
    assert_eq!(made, ["admin", "library"]);
}

#[tokio::test]
async fn a_project_and_its_members_live_and_end() {
    let installation = Installation::begin().await;
    let (db, permit) = (&installation.db, may_create(&Caller::command_line()));
    let new = || NewProject {
        settings: vec![ProjectSetting::AutoScan(true)],
        ..NewProject::named(
            "team".parse().unwrap(),
            false,
            StorageLimit::try_from(1 << 20).unwrap(),
        )
    };
    projects::create(db, &permit, new(), NOW).await.unwrap();
    let again = projects::create(db, &permit, new(), NOW).await;
    assert!(matches!(again, Err(Error::ProjectExists(_))));

    let update = installation.permit("team").await;
    let changes = Changes {
        public: Some(true),
        settings: vec![ProjectSetting::Severity(Severity::High)],
    };
    projects::update(db, &update, changes, NOW).await.unwrap();
    let nothing = Changes::default();
    projects::update(db, &update, nothing, NOW).await.unwrap();

    let ann = installation.person("ann").await.unwrap();
    let ann = user::by_id(&mut db.reader().await.unwrap(), ann).await;
    let ann = ann.unwrap().unwrap();
    let grant = installation.permit("team").await;
    let id = member::grant(db, &grant, ann.principal_id, Role::Guest, NOW).await;
    let id = id.unwrap();
    let again = member::grant(db, &grant, ann.principal_id, Role::Guest, NOW).await;
    assert!(matches!(again, Err(Error::MemberExists(_))));
    let change = installation.permit("team").await;
    let changed = member::change(db, &change, id, Role::Developer, NOW).await;
    changed.unwrap();
    let revoke = installation.permit("team").await;
    member::revoke(db, &revoke, id, NOW).await.unwrap();
    let again = member::revoke(db, &revoke, id, NOW).await;
    assert!(matches!(again, Err(Error::MemberUnknown { .. })));

    let delete = installation.permit("team").await;
    projects::delete(db, &delete, ProjectDeletion::Everyone, NOW)
        .await
        .unwrap();
    let again = projects::delete(db, &delete, ProjectDeletion::Everyone, NOW).await;
    assert!(matches!(again, Err(Error::ProjectGone)));
    let expected = [
        "command line create project team: public=false",
        "command line update project team: public=true severity=high",
        "command line create user ann: ",
        "command line create member ann: guest",
        "command line update member ann: developer",
        "command line delete member ann: developer",
        "command line delete project team: ",
    ];
    assert_eq!(installation.history().await, expected);
}

#[tokio::test]
async fn a_user_keeps_its_names_and_rights_apart_from_others() {
    let installation = Installation::begin().await;
    let db = &installation.db;
    let ann = installation.person("ann").await.unwrap();
    let taken = installation.person("ann").await;
    assert!(matches!(taken, Err(Error::UserExists { .. })));

    let profile = |email: &str| Profile::new(email.into(), "A".into(), String::new()).unwrap();
    let bob = installation.person("bob").await.unwrap();
    let of_bob = installation.of(bob);
    let update = gantry_tenancy::user::update_profile;
    let taken = update(db, &of_bob, (profile("ann@example.com"), None), NOW).await;
    assert!(matches!(taken, Err(Error::UserExists { .. })));
    update(db, &of_bob, (profile("b@example.com"), None), NOW)
        .await
        .unwrap();

    let hasher = &installation.hasher;
    let (set, new) = (gantry_tenancy::user::set_password, password());
    set(db, hasher, &of_bob, (&new, None), NOW).await.unwrap();
    let demoted = set_sysadmin(db, UserId::ADMIN, false).await;
    assert!(matches!(demoted, Err(Error::LastSysadmin { .. })));
    set_sysadmin(db, ann, true).await.unwrap();
    set_sysadmin(db, UserId::ADMIN, false).await.unwrap();
    let delete = async |id| gantry_tenancy::user::delete(db, &system(), id, NOW).await;
    assert!(matches!(delete(ann).await, Err(Error::LastSysadmin { .. })));
    let builtin = delete(UserId::ADMIN).await;
    assert!(matches!(builtin, Err(Error::UserUndeletable(_))));
    delete(bob).await.unwrap();
    assert!(matches!(delete(bob).await, Err(Error::UserUnknown(_))));
    let mut reader = db.reader().await.unwrap();
    assert!(user::by_id(&mut reader, bob).await.unwrap().is_none());
    let expected = [
        "command line create user ann: ",
        "command line create user bob: ",
        "command line update user bob: profile, mail address",
        "command line update user bob: password",
        "command line update user ann: sysadmin_flag true",
        "command line update user admin: sysadmin_flag false",
        "command line delete user bob: ",
    ];
    assert_eq!(installation.history().await, expected);
}

async fn set_sysadmin(db: &Db, id: UserId, sysadmin: bool) -> Result<(), Error> {
    gantry_tenancy::user::set_sysadmin(db, &system(), id, sysadmin, NOW).await
}

#[tokio::test]
async fn of_two_who_know_the_old_password_the_first_sets_the_new_one() {
    let installation = Installation::begin().await;
    let (db, hasher) = (&installation.db, &installation.hasher);
    let bob = installation.person("bob").await.unwrap();
    let stored = user::by_id(&mut db.reader().await.unwrap(), bob).await;
    let principal = stored.unwrap().unwrap().principal_id;
    let authority = binding::authority(db, principal, None, Age::Now).await;
    let caller = Caller {
        authority: authority.unwrap().unwrap(),
        presented: policy::Presented::Password,
        grants: None,
        address: None,
        client: model::Client::default(),
    };
    // Both were let in by the old password.
    let own = permit::permit_user(&caller, bob).unwrap();
    let (set, new) = (gantry_tenancy::user::set_password, password());
    assert!(!set(db, hasher, &own, (&new, None), NOW).await.unwrap());
    let second = set(db, hasher, &own, (&new, None), NOW).await;
    assert!(matches!(second, Err(Error::CallerVoid)), "{second:?}");
    // An administrator needs no old password.
    let of_bob = installation.of(bob);
    set(db, hasher, &of_bob, (&new, None), NOW).await.unwrap();
}

#[tokio::test]
async fn a_bounded_number_of_mails_waits() {
    let installation = Installation::begin().await;
    let db = &installation.db;
    let forgot = async |number: u32| {
        let order = (
            format!("{number}@example.com"),
            std::net::Ipv4Addr::LOCALHOST.into(),
            MailLanguage::English,
        );
        gantry_tenancy::account_mail::forgot_password(db, order, NOW).await
    };
    for number in 0..1_000 {
        forgot(number).await.unwrap();
    }
    assert!(matches!(forgot(1_000).await, Err(Error::MailsWait)));
}

#[tokio::test]
async fn somebodys_own_address_is_mailed_no_links_until_it_is_verified() {
    let installation = Installation::begin().await;
    let db = &installation.db;
    let bob = installation.person("bob").await.unwrap();
    let find = async || {
        let user = user::by_id(&mut db.reader().await.unwrap(), bob).await;
        user.unwrap().unwrap()
    };
    let caller = Caller {
        authority: binding::authority(db, find().await.principal_id, None, Age::Now)
            .await
            .unwrap()
            .unwrap(),
        presented: policy::Presented::Password,
        grants: None,
        address: None,
        client: model::Client::default(),
    };
    let own = permit::permit_user(&caller, bob).unwrap();
    let profile = Profile::new("new@example.com".into(), "B".into(), String::new()).unwrap();
    let update = gantry_tenancy::user::update_profile;
    let change = (profile.clone(), Some(MailLanguage::English));
    update(db, &own, change, NOW).await.unwrap();
    let links = async |email: &str| {
        let links = mailed_link::to_reset(db, email.to_owned(), NOW).await;
        links.unwrap().len()
    };
    assert!(!find().await.is_email_verified());
    assert_eq!(
        (
            links("new@example.com").await,
            links("bob@example.com").await
        ),
        (0, 1)
    );
    let link = mailed_link::to_verify(db, bob, NOW).await.unwrap().unwrap();
    assert_eq!((link.account(), link.is_new), (None, false));
    let needed = mailed_link::needs_password(db, &link.token, NOW).await;
    assert_eq!(needed.unwrap().as_deref(), Some("bob"));
    let here = Client::new(std::net::Ipv4Addr::LOCALHOST.into(), "");
    let verify =
        async |shown| mailed_link::verify(db, (&link.token, shown), here.clone(), NOW).await;
    let refused = verify(Shown::Link).await;
    assert!(matches!(refused, Err(Error::LinkNeedsPassword)));
    verify(Shown::LinkAndPassword).await.unwrap();
    assert_eq!(
        (
            links("new@example.com").await,
            links("bob@example.com").await
        ),
        (1, 0)
    );
    // What an administrator sets counts at once.
    let of_bob = installation.of(bob);
    let profile = Profile::new("third@example.com".into(), "B".into(), String::new()).unwrap();
    update(db, &of_bob, (profile, None), NOW).await.unwrap();
    assert_eq!(links("third@example.com").await, 1);
}

#[tokio::test]
async fn a_process_with_other_fixed_settings_ends_no_forwarding() {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::Sqlite(folder.path().join("db"));
    let db = Db::open(&location).await.unwrap();
    let master = Arc::new(MasterKey::parse(&[b'a'; 64]).unwrap());
    let open = async |fixed: &[(&str, &str)]| {
        let fixed = fixed.iter();
        let fixed = fixed.map(|(name, value)| ((*name).to_owned(), serde_json::json!(value)));
        let fixed = Fixed::new(fixed.collect()).unwrap();
        Settings::open(db.clone(), master.clone(), fixed)
            .await
            .unwrap()
    };
    let followers = async || {
        let all = audit::follower::all(&mut db.reader().await.unwrap()).await;
        let names = all.unwrap().into_iter().map(|it| it.name);
        names.collect::<Vec<_>>()
    };
    let url = ("audit_log_forward_url", "https://siem.example/in");
    let (with, without) = (open(&[url]).await, open(&[]).await);
    with.begin_followers().await.unwrap();
    without.begin_followers().await.unwrap();
    assert_eq!(followers().await, [follower::HTTP]);
    // A change of something else is none of it.
    let change = async |name: &str, value: serde_json::Value| {
        let changes = vec![(Declaration::named(name).unwrap(), value)];
        without.change(&system(), changes, NOW).await.unwrap();
    };
    change("read_only", true.into()).await;
    assert_eq!(followers().await, [follower::HTTP]);
    // Saying that nothing is forwarded ends it, and a process that forwards begins anew.
    change(url.0, "".into()).await;
    assert!(followers().await.is_empty());
    with.begin_followers().await.unwrap();
    assert_eq!(followers().await, [follower::HTTP]);
}
