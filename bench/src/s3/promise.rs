//! What `docs/benchmarks-s3.md` says of its conditions, and what it claims.

use crate::report::Bound::{AtLeast, AtMost, Exactly};
use crate::report::Goal;
use crate::result::Results;

#[rustfmt::skip]
pub(super) fn goals(results: &Results) -> Vec<Goal> {
    let against = |case, peer, figure| results.ratio((case, "gantry"), (case, peer), figure);
    let own = |case, figure| results.spread(case, "gantry", figure);
    let replicas = |figure| {
        let two = ("replicas", "gantry, 2 replicas");
        results.ratio(two, ("replicas", "gantry, 1 replica"), figure)
    };
    let projects = |figure| {
        let one = ("quota-cpu", "gantry, 1 project");
        results.ratio(one, ("quota-cpu", "gantry, 200 projects"), figure)
    };
    vec![
        Goal::new("push: throughput, × distribution", AtLeast(2.0), against("push", "distribution", "mb_per_s"), "×"),
        Goal::new("push: throughput, × SeaweedFS alone", AtLeast(0.7), against("push", "SeaweedFS alone", "mb_per_s"), "×"),
        Goal::new("push: CPU per GB, × distribution", AtMost(0.3), against("push", "distribution", "cpu_per_gb"), "×"),
        Goal::new("streamed pull: throughput, × distribution", AtLeast(1.2), against("pull", "distribution", "mb_per_s"), "×"),
        Goal::new("streamed pull: CPU per GB, × distribution", AtMost(0.6), against("pull", "distribution", "cpu_per_gb"), "×"),
        Goal::new("the same by 4 connections: throughput", AtLeast(1.2), against("pull-4", "distribution", "mb_per_s"), "×"),
        Goal::new("the same by 4 connections: CPU per GB", AtMost(0.6), against("pull-4", "distribution", "cpu_per_gb"), "×"),
        Goal::new("5 GiB blob: from the last byte to 201", AtMost(300.0), own("commit", "commit_ms"), " ms"),
        Goal::new("manifest GET: CPU of 2 replicas per request, × 1 replica", AtMost(1.1), replicas("cpu_per_1000"), "×"),
        Goal::new("the same with PostgreSQL's CPU", AtMost(1.1), replicas("all_per_1000"), "×"),
        Goal::new("lock waits in PostgreSQL meanwhile", Exactly(0.0), results.spread("replicas", "gantry, 2 replicas", "lock_waits"), ""),
        Goal::new("200 pushes with room for 120: pushed", Exactly(120.0), own("quota", "accepted"), ""),
        Goal::new("bytes charged beyond what is there", Exactly(0.0), own("quota", "excess_bytes"), ""),
        Goal::new("push: CPU with PostgreSQL's, 1 project × 200 projects", AtMost(1.2), projects("all_per_1000"), "×"),
        Goal::new("64 pushes and 64 pulls at once: peak memory", AtMost(300.0), own("memory", "peak_mib"), " MiB"),
    ]
}

pub(super) const PREFACE: &str = "# Benchmarks on PostgreSQL and S3 storage

Written by `cargo xtask bench s3`; do not edit. Gantry on PostgreSQL and SeaweedFS, distribution 3.1 on the same
SeaweedFS, and SeaweedFS alone run on one machine, on loopback, in alternating order: in each round every server is measured
once, and who is first changes. Figures are medians over the rounds, with the smallest and largest in brackets. Ratios are
taken round by round before the median. **CPU ratios decide**: rates depend on how much of the machine the client and SeaweedFS take.

- **Same for all**: TLS to the registries, plain HTTP from them to SeaweedFS 4.48 (all its parts in one process, volumes of
  64 MiB, no fsync), a new bucket for each server and, for pushes, for each round. Random content; digests are computed before the
  clock starts, connections and tokens are there already. `sync` runs before each measurement that writes.
- **Gantry**: the release binary as `gantry serve` starts it, one process where nothing else is said; PostgreSQL 15 with fsync on;
  default settings, so audit, counters and access log on; a private project, requests with a Bearer token.
- **distribution**: version 3.1.1, no accounts, no access log, blob descriptors cached in memory, redirects off, so that it streams too; its S3
  driver with default part sizes.
- **SeaweedFS alone**: our own client sends it a multipart upload as Gantry does: parts of 8 MiB, two at a time, signed but not hashed,
  without TLS. The CPU in its row is its own.
- **Clients**: our own (`bench/src/load`), by TLS 1.3 with TLS_AES_128_GCM_SHA256. What is pulled was pulled once before, and its digest compared. wrk for GETs of manifests (2 threads, the same
  cipher).
- **5 GiB**: one PUT with the whole body; the time from when its last byte was written to the socket to the 201, so with the parts that
  are then still on their way. Of SeaweedFS alone, the time of its CompleteMultipartUpload and no more. At most 3 rounds.
- **Replicas**: both forms are behind haproxy, and only the replicas named run. A session in PostgreSQL looks ten times a
  second at `pg_stat_activity` and `pg_locks` for anyone who waits for a lock.
- **Autogroups** (`kernel.sched_autogroup_enabled`) give PostgreSQL, which has a session of its own, half of the machine and the two
  replicas with balancer and client the other: p99 of the replicas is seconds then, and they wait for each other's statements. Under
  systemd they do nothing. Switch them off.
- **Quota**: all 200 clients are connected and begin at once; rounds alternate between PUT, PATCH and one POST. What the project is charged
  with is compared with the blobs that are there. The CPU cases have a quota too; each client has a repository of its own, either
  all in one project or each in its own; every push is of a new blob.
- **Memory**: one round; the pulls share 8 blobs.
- **CPU** is user and system time of the server's processes (`/proc/PID/stat`); **peak** is `VmHWM`, reset before each measurement;
  **others** is the share of all cores that none of server, client and the named part behind it used: of `quota-cpu`, SeaweedFS's too.
- GB are 10⁹ bytes, MiB are 2²⁰.

";
