//! Logins with passwords that the server has not seen yet.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use testkit::content::new_seed;
use testkit::meter::{Figures, Meter, figures, quantile};
use testkit::process::Processes;
use testkit::registry::{Auth, Call, Failed, Registry};
use testkit::target::Target;

/// Makes accounts and logs each in once, while a probe on another connection watches whether cheap requests are held
/// up by the hashing.
pub(crate) async fn login(
    target: &Target,
    server: &Processes,
    count: usize,
) -> Result<Figures, String> {
    const PASSWORD: &str = "Cold-Passw0rd";
    let admin = Registry::new(target)?;
    let run = new_seed();
    let name = |number: usize| format!("login{run}-{number}");
    for number in 0..count {
        admin.make_user(&name(number), PASSWORD).await?;
    }
    let (meter, ended) = (Meter::start(server), AtomicBool::new(false));
    let logins = async {
        for number in 0..count {
            let began = Instant::now();
            let client = admin.login(&name(number), PASSWORD);
            meter.note(began, 0, once(&client).await);
        }
        meter.stop();
        ended.store(true, Ordering::Relaxed);
    };
    let (mut probes, ()) = tokio::join!(probe(&admin, &ended), logins);
    probes.sort_unstable();
    let mut seen = meter.report()?;
    seen.extend(figures([
        ("probe_p50_ms", quantile(&probes, 0.5)),
        ("probe_p99_ms", quantile(&probes, 0.99)),
        ("probe_max_ms", quantile(&probes, 1.0)),
    ]));
    Ok(seen)
}

/// A ping without credentials, the token request, a ping with the token; all on a new connection.
pub(crate) async fn once(client: &Registry) -> Result<(), Failed> {
    let stranger = client.signing_by(Auth::None);
    stranger.send(Call::get("/v2/", ""), &[401]).await?;
    let (user, _) = client.login.as_ref().expect("it has an account");
    let path = format!(
        "/service/token?account={user}&client_id=docker&offline_token=true&service=harbor-registry"
    );
    let ask = Call::get(&path, "").header("authorization", client.basic());
    let token = stranger.send(ask, &[200]).await?.json();
    let bearer = format!("Bearer {}", token["token"].as_str().unwrap_or_default());
    let ping = Call::get("/v2/", "").header("authorization", bearer);
    stranger.send(ping, &[200]).await.map(drop)
}

/// Times a request that needs no work, every few milliseconds.
async fn probe(admin: &Registry, ended: &AtomicBool) -> Vec<Duration> {
    let mut times = Vec::new();
    let request = admin.head("GET", "/v2/", "") + "\r\n";
    let Ok(mut line) = admin.dial("http/1.1", 64 << 10).await else {
        return times;
    };
    while !ended.load(Ordering::Relaxed) {
        let began = Instant::now();
        if line.exchange(request.as_bytes()).await.is_err() {
            break;
        }
        times.push(began.elapsed());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    times
}
