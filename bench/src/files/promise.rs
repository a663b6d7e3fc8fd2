//! What `docs/benchmarks.md` says of its conditions, and what it claims.

use super::http2::{BLOB, HTTP1, MANIFEST, PUSH};
use crate::report::Bound::{AtLeast, AtMost};
use crate::report::Goal;
use crate::result::Results;

#[rustfmt::skip]
pub(super) fn goals(results: &Results) -> Vec<Goal> {
    let against = |case, peer, figure| results.ratio((case, "gantry"), (case, peer), figure);
    let http1 = |case, figure| results.ratio((case, "gantry"), (case, HTTP1), figure);
    let own = |case, figure| results.spread(case, "gantry", figure);
    vec![
        Goal::new("manifest GET: rate, × nginx", AtLeast(0.8), against("manifest", "nginx", "rate"), "×"),
        Goal::new("manifest GET: CPU per request, × nginx", AtMost(1.3), against("manifest", "nginx", "cpu_per_1000"), "×"),
        Goal::new("manifest GET: rate, × distribution", AtLeast(20.0), against("manifest", "distribution", "rate"), "×"),
        Goal::new("100 MiB blob GET: CPU per GB, × nginx", AtMost(0.6), against("blob-100m", "nginx", "cpu_per_gb"), "×"),
        Goal::new("100 MiB blob GET: throughput, × nginx", AtLeast(1.05), against("blob-100m", "nginx", "mb_per_s"), "×"),
        Goal::new("1 GiB push on disk: CPU per GB, × distribution", AtMost(0.45), against("push-disk", "distribution", "cpu_per_gb"), "×"),
        Goal::new("1 GiB push on disk: throughput, × distribution", AtLeast(1.4), against("push-disk", "distribution", "mb_per_s"), "×"),
        Goal::new("1 GiB push on tmpfs: throughput, × distribution", AtLeast(2.5), against("push-tmpfs", "distribution", "mb_per_s"), "×"),
        Goal::new("small image (POST, PUT): server CPU each", AtMost(4.0), own("small", "cpu_per_1000"), " ms"),
        Goal::new("tokens, cached credentials", AtLeast(10_000.0), own("token", "rate"), "/s"),
        Goal::new("docker login, cold password: p50", AtMost(150.0), own("login", "p50_ms"), " ms"),
        Goal::new("2 KiB blob GET: CPU, × manifest GET", AtMost(1.2), results.ratio(("blob-2k", "gantry"), ("manifest", "gantry"), "cpu_per_1000"), "×"),
        Goal::new("512 MiB push over HTTP/2: throughput, × HTTP/1.1", AtLeast(0.85), http1(PUSH, "mb_per_s"), "×"),
        Goal::new("512 MiB push over HTTP/2: CPU per GB, × HTTP/1.1", AtMost(1.25), http1(PUSH, "cpu_per_gb"), "×"),
        Goal::new("100 MiB blob GET over HTTP/2: CPU per GB, × nginx", AtMost(0.8), against(BLOB, "nginx", "cpu_per_gb"), "×"),
        Goal::new("manifest GET over HTTP/2: CPU, × HTTP/1.1", AtMost(1.25), http1(MANIFEST, "cpu_per_1000"), "×"),
        Goal::new("idle memory", AtMost(40.0), own("start", "idle_mib"), " MiB"),
    ]
}

pub(super) const PREFACE: &str = "# Benchmarks

Written by `cargo xtask bench`; do not edit. Gantry, nginx and distribution 3.1 run on one machine, on loopback, over
TLS, in alternating order: in each round every server is measured once, and who is first changes. Figures are medians over
the rounds, with the smallest and largest in brackets. Ratios are taken round by round before the median, so that what
disturbs a round disturbs both sides. **CPU ratios decide**: rates depend on how much of the machine the client takes.

On PostgreSQL and S3 storage: [benchmarks-s3.md](benchmarks-s3.md). With 1,000,000 tags, 100,000 repositories and 1,000,000 blobs, and
beside garbage collection: [benchmarks-scale.md](benchmarks-scale.md).

- **Same for all**: TLS 1.3 with TLS_AES_128_GCM_SHA256 (forced at the client), a P-256 certificate, HTTP/1.1 with keep-alive
  where nothing else is said, the same sizes. Nobody reuses a name that was cached for somebody else.
- **Gantry**: the release binary as `gantry serve` starts it; files and SQLite, fsync on, audit, counters and access log on, a
  private project, requests with a Bearer token (`token` and `login`: Basic).
- **nginx**: Debian's package, static files, as many workers as cores, access log on (buffered, 64 KiB), no limit of requests
  per connection. It checks no token, and hashes and records nothing.
- **distribution**: version 3.1.1 (`go install`), at its best: no accounts, no access log, blob descriptors cached in memory. It
  syncs the files that it writes.
- **Clients**: wrk for GETs and tokens (2 threads), over HTTP/2 h2load (1 thread, one request at a time on a connection) and curl, our own (`bench/src/load`) for pushes, images and logins. Random content; digests are
  computed before the clock starts, connections and tokens are there already. `sync` runs before each measurement that writes.
- **CPU** is user and system time of the server's processes (`/proc/PID/stat`); **peak** is `VmHWM`, reset before each measurement;
  **others** is the share of all cores that neither the server nor the client used, that is, how busy the machine was with other work.
- GB are 10⁹ bytes, MiB are 2²⁰.

";
