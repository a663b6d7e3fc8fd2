//! PgBouncer in front of PostgreSQL. The program comes from Debian's package of that name.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::*;

struct PgBouncer {
    process: Child,
    _folder: tempfile::TempDir,
    port: u16,
}

impl PgBouncer {
    /// Starts one for the server that `url` names.
    async fn start(url: &str, mode: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let (address, _) = url.rsplit_once('@').unwrap().1.split_once('/').unwrap();
        let (host, server_port) = address.split_once(':').unwrap();
        // A session is held by each connection of the process.
        let size = if mode == "session" { 20 } else { 3 };
        let file = folder.path().join("pgbouncer.ini");
        let settings = format!(
            "[databases]\n* = host={host} port={server_port} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = {mode}\ndefault_pool_size = {size}\n"
        );
        std::fs::write(&file, settings).unwrap();
        open_to_all(folder.path());
        open_to_all(&file);
        let process = Command::new("setpriv")
            .args([
                "--reuid=postgres",
                "--regid=postgres",
                "--clear-groups",
                "pgbouncer",
                "-q",
            ])
            .arg(&file)
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("pgbouncer can be run: apt-get install pgbouncer");
        let bouncer = Self {
            process,
            _folder: folder,
            port,
        };
        for _ in 0..100 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return bouncer;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("pgbouncer takes no connections");
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn open_to_all(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Opens the database through a pooler, and reads and writes on many connections at once.
async fn use_through(mode: &str) -> Result<(), Error> {
    let url = std::env::var("GANTRY_TEST_POSTGRES").expect("GANTRY_TEST_POSTGRES names a server");
    let database = fresh(&url, &format!("pooled_{mode}")).await;
    let bouncer = PgBouncer::start(&url, mode).await;
    let (_, name) = database.rsplit_once('/').unwrap();
    let pooled = format!("postgres://postgres@127.0.0.1:{}/{name}", bouncer.port);
    let location = Location::Postgres(pooled);
    let db = Db::open(&location).await?;
    for migration in Db::migrations(&location).await? {
        assert!(migration.applied, "{migration:?}");
    }
    let work = (0..40).map(|number| {
        let db = db.clone();
        async move {
            let key: &'static str = ["a", "b", "c", "d"][number % 4];
            db.write(move |tx| Box::pin(installation::put(tx, key, b"x")))
                .await?;
            let mut tx = db.reader().await?;
            installation::get(&mut tx, key)
                .await
                .map(|value| assert!(value.is_some()))
        }
    });
    let done = futures_util::future::join_all(work).await;
    db.close().await;
    done.into_iter().collect()
}

#[tokio::test]
async fn a_pooler_that_gives_whole_sessions_is_no_obstacle() {
    use_through("session").await.unwrap();
}

#[tokio::test]
async fn a_pooler_that_loses_statements_is_named_with_what_to_set() {
    // From 1.21 on PgBouncer can keep them.
    if let Err(error) = use_through("transaction").await {
        assert!(
            error.to_string().contains("pool_mode = session"),
            "{error:?}"
        );
    }
}
